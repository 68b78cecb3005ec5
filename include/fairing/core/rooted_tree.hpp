// fairing/core/rooted_tree.hpp - a directory seen as "/" (POSIX openat(2) and its kin): no path, no
// link and no ".." leads out of it, whoever wrote them.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <deque>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "error.hpp"
#include "files.hpp"

namespace fairing {

/// For a directory that nobody else changes meanwhile. Links are followed as chroot(2) would:
/// absolute ones begin at the root, and ".." stops there. Not for several threads at once.
class RootedTree {
public:
    /// Trees deeper than this are refused: what removes them needs a descriptor per level.
    static constexpr std::size_t deepest = 256;

    enum class Missing { create, absent };

    /// Where something is or shall be: a name in a directory. The root itself is the name "." and
    /// the path "".
    struct Place {
        std::shared_ptr<const UniqueFd> directory = {};
        std::string name = {};  ///< one component; may be a link, or not exist
        std::string path = {};  ///< from the root, free of links: "usr/bin/python3"

        [[nodiscard]] int fd() const noexcept { return directory->get(); }
    };

    explicit RootedTree(const std::filesystem::path& root)
        : root_(share(open_file(root, O_PATH | O_DIRECTORY))), current_(root_) {}

    /// The place that `path` names; links on the way are followed, the last component is not.
    /// Directories on the way are made (0755), or nullopt is given. Throws Error{input} for loops,
    /// ".." behind files, and depth.
    [[nodiscard]] std::optional<Place> place(std::string_view path, Missing missing) {
        std::deque<std::string> parts = components(path);
        if (parts.empty()) {
            return Place{.directory = root_, .name = ".", .path = {}};
        }
        const std::string name = std::move(parts.back());
        parts.pop_back();
        if (name == "..") {
            throw refuse(path, "it ends with \"..\"");
        }
        if (!enter(parts, path, missing)) {
            return std::nullopt;
        }
        return Place{.directory = current_, .name = name, .path = join(name)};
    }

    /// The place of what `path` names in the end, its last link followed too; nullopt when there is
    /// nothing.
    [[nodiscard]] std::optional<Place> resolve(std::string_view path) {
        std::string next{path};
        for (int links = 0; links < most_links; ++links) {
            std::optional<Place> found = place(next, Missing::absent);
            struct stat status {};
            if (!found || !look(*found, status)) {
                return std::nullopt;
            }
            if (!S_ISLNK(status.st_mode)) {
                return found;
            }
            const std::string target = read_link(found->fd(), found->name).value_or("");
            const std::size_t slash = found->path.rfind('/');
            next = target.starts_with('/') || slash == std::string::npos
                       ? target
                       : found->path.substr(0, slash + 1) + target;
            while (next.ends_with('/') && next.size() > 1) {
                next.pop_back();
            }
            if (next.empty() || next == ".." || next.ends_with("/..")) {
                return std::nullopt;
            }
        }
        throw refuse(path, "too many symbolic links");
    }

    /// lstat(2); false when there is nothing.
    [[nodiscard]] static bool look(const Place& place, struct stat& status) {
        return ::fstatat(place.fd(), place.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
    }

    /// Removes a file, or a directory with all that is in it; the absence of it is no error.
    void remove(const Place& place) {
        remove_from(place.fd(), place.name, place.path);
        forget();
    }

    /// The place of every entry of the directory at `place`, in no order.
    [[nodiscard]] static std::vector<Place> children(const Place& place) {
        const auto directory = share(UniqueFd{::openat(
            place.fd(), place.name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)});
        if (!*directory) {
            throw system_error(errno, "list", shown(place.path));
        }
        std::vector<Place> result;
        for (std::string& name : names_in(directory->get())) {
            std::string path = place.path.empty() ? name : place.path + '/' + name;
            result.push_back(
                {.directory = directory, .name = std::move(name), .path = std::move(path)});
        }
        return result;
    }

    /// The text with control characters made visible, for messages.
    [[nodiscard]] static std::string shown(std::string_view text) {
        std::string result = "\"";
        for (const char c : text.substr(0, 300)) {
            result += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
        }
        return result + '"';
    }

private:
    static constexpr int most_links = 40;  // as the kernel's

    static std::shared_ptr<const UniqueFd> share(UniqueFd fd) {
        return std::make_shared<const UniqueFd>(std::move(fd));
    }

    static std::vector<std::string> names_in(int directory) {
        std::vector<std::string> names;
        const int copy = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        const auto close = [](DIR* stream) { ::closedir(stream); };
        const std::unique_ptr<DIR, decltype(close)> stream{copy < 0 ? nullptr : ::fdopendir(copy),
                                                           close};
        if (!stream) {
            throw system_error(errno, "list", "a directory");
        }
        while (const dirent* entry = ::readdir(stream.get())) {
            if (const std::string_view name{entry->d_name}; name != "." && name != "..") {
                names.emplace_back(name);
            }
        }
        return names;
    }

    static void remove_from(int parent, const std::string& name, const std::string& path) {
        if (::unlinkat(parent, name.c_str(), 0) == 0 || errno == ENOENT) {
            return;
        }
        if (errno != EISDIR && errno != EPERM) {
            throw system_error(errno, "remove", shown(path));
        }
        const UniqueFd directory{
            ::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
        if (!directory) {
            throw system_error(errno, "remove", shown(path));
        }
        for (const std::string& child : names_in(directory.get())) {
            remove_from(directory.get(), child, path + '/' + child);
        }
        if (::unlinkat(parent, name.c_str(), AT_REMOVEDIR) != 0) {
            throw system_error(errno, "remove", shown(path));
        }
    }

    static std::deque<std::string> components(std::string_view path) {
        std::deque<std::string> parts;
        for (std::size_t start = 0; start < path.size();) {
            const std::size_t end = std::min(path.find('/', start), path.size());
            const std::string_view part = path.substr(start, end - start);
            if (!part.empty() && part != ".") {
                parts.emplace_back(part);
            }
            start = end + 1;
        }
        return parts;
    }

    static Error refuse(std::string_view path, std::string answer) {
        return Error{
            ErrorCode::input,
            {.attempted = "use path", .subject = shown(path), .answer = std::move(answer)}};
    }

    static std::optional<std::string> read_link(int directory, const std::string& name) {
        std::string target(PATH_MAX, '\0');
        const ssize_t got = ::readlinkat(directory, name.c_str(), target.data(), target.size());
        if (got < 0) {
            return std::nullopt;
        }
        target.resize(static_cast<std::size_t>(got));
        return target;
    }

    [[nodiscard]] int current() const noexcept { return current_->get(); }

    [[nodiscard]] std::string join(const std::string& name) const {
        std::string path;
        for (const std::string& part : names_) {
            path += part + '/';
        }
        return path + name;
    }

    void forget() noexcept {
        names_.clear();
        current_ = root_;
        entered_.clear();
    }

    /// Makes the directory of `parts` the current one. The last one is remembered: archives list
    /// neighbours together.
    bool enter(std::deque<std::string> parts, std::string_view path, Missing missing) {
        if (!entered_.empty() &&
            std::equal(parts.begin(), parts.end(), entered_.begin(), entered_.end())) {
            return true;
        }
        forget();
        const std::vector<std::string> wanted{parts.begin(), parts.end()};
        for (int links = 0; !parts.empty();) {
            const std::string part = std::move(parts.front());
            parts.pop_front();
            if (part == "..") {
                leave();
                continue;
            }
            if (names_.size() == deepest) {
                throw refuse(path, "deeper than " + std::to_string(deepest) + " directories");
            }
            if (descend(part, path, missing)) {
                continue;
            }
            const std::optional<std::string> target = read_link(current(), part);
            if (!target) {
                forget();
                return false;
            }
            if (++links > most_links) {
                throw refuse(path, "too many symbolic links");
            }
            if (target->starts_with('/')) {
                names_.clear();
                current_ = root_;
            }
            const std::deque<std::string> more = components(*target);
            parts.insert(parts.begin(), more.begin(), more.end());
        }
        entered_ = wanted;
        return true;
    }

    /// Goes down one level; false when there is a link, or nothing and nothing shall be made.
    bool descend(const std::string& part, std::string_view path, Missing missing) {
        constexpr int flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
        UniqueFd next{::openat(current(), part.c_str(), flags)};
        if (!next && errno == ENOENT && missing == Missing::create) {
            if (::mkdirat(current(), part.c_str(), 0755) != 0) {
                throw system_error(errno, "create directory", shown(join(part)));
            }
            next = UniqueFd{::openat(current(), part.c_str(), flags)};
        }
        if (next) {
            names_.push_back(part);
            current_ = share(std::move(next));
            return true;
        }
        if (errno != ENOTDIR && errno != ELOOP && errno != ENOENT) {
            throw system_error(errno, "open", shown(join(part)));
        }
        struct stat status {};
        if (::fstatat(current(), part.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
            !S_ISLNK(status.st_mode) && missing == Missing::create) {
            throw refuse(path, shown(join(part)) + " is not a directory");
        }
        return false;
    }

    /// "..": walks down again to the parent, so that depth costs no descriptors. The root is its
    /// own parent.
    void leave() {
        if (names_.empty()) {
            return;
        }
        names_.pop_back();
        current_ = root_;
        for (const std::string& name : names_) {
            UniqueFd next{
                ::openat(current(), name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
            if (!next) {
                throw system_error(errno, "open", shown(name));
            }
            current_ = share(std::move(next));
        }
    }

    std::shared_ptr<const UniqueFd> root_;
    std::shared_ptr<const UniqueFd> current_;
    std::vector<std::string> names_ = {};    ///< of the current directory, links resolved
    std::vector<std::string> entered_ = {};  ///< what led to it
};

}  // namespace fairing
