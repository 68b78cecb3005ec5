// fairing/packaging/walk.hpp - what lies at and below a path of this machine, as entries of an
// image (POSIX).
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../core/control.hpp"
#include "../core/error.hpp"
#include "../core/files.hpp"
#include "context.hpp"
#include "destination.hpp"
#include "ignore.hpp"
#include "links.hpp"
#include "secrets.hpp"
#include "text.hpp"

namespace fairing::packaging {

/// The names in a folder, sorted by bytes, without "." and "..". Throws what system_error() makes
/// of errno.
[[nodiscard]] inline std::vector<std::string> list_folder(const UniqueFd& folder,
                                                          std::string_view shown) {
    const int copy = ::fcntl(folder.get(), F_DUPFD_CLOEXEC, 0);
    const std::unique_ptr<DIR, int (*)(DIR*)> stream{copy < 0 ? nullptr : ::fdopendir(copy),
                                                     ::closedir};
    if (!stream) {
        const Error error = system_error(errno, "list", escaped(shown));
        if (copy >= 0) {
            ::close(copy);
        }
        throw error;
    }
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = ::readdir(stream.get())) {
        const std::string_view name = entry->d_name;
        if (name != "." && name != "..") {
            names.emplace_back(name);
        }
    }
    if (errno != 0) {
        throw system_error(errno, "list", escaped(shown));
    }
    std::sort(names.begin(), names.end());
    return names;
}

/// What a file is when it is neither regular, nor a folder, nor a link: "a named pipe (FIFO)".
[[nodiscard]] inline std::string_view kind_of(mode_t mode) {
    return S_ISFIFO(mode)   ? "a named pipe (FIFO)"
           : S_ISSOCK(mode) ? "a socket"
           : S_ISCHR(mode)  ? "a character device"
           : S_ISBLK(mode)  ? "a block device"
           : S_ISDIR(mode)  ? "a folder"
           : S_ISLNK(mode)  ? "a symbolic link"
                            : "not a regular file";
}

/// What a walk goes by. The pointers outlive the walker.
struct WalkRules {
    std::string root = {};  ///< the context root: absolute, clean
    Symlinks symlinks = Symlinks::keep;
    Secrets secrets = Secrets::leave_out;
    const IgnoreRules* ignore = nullptr;               ///< for what lies below the root
    const std::set<std::string>* elsewhere = nullptr;  ///< paths that land where another walk says
};

/// Collects entries; one walker may take several paths.
class Walker {
public:
    Walker(WalkRules rules, const Control& control) : rules_(std::move(rules)), control_(control) {}

    /// Takes `source` (absolute, clean; a folder with all below it) to `destination`. Symbolic
    /// links stay below `boundary`. What .dockerignore excludes and what looks like a secret is
    /// counted, and left out.
    void take(const std::string& source, const std::string& destination,
              const std::string& boundary) {
        boundary_ = boundary;
        struct stat status {};
        if (::lstat(source.c_str(), &status) != 0) {
            throw system_error(errno, "package", escaped(source));
        }
        above_.clear();
        const auto below_root = relative(source);
        auto verdict = IgnoreRules::Verdict::taken;
        if (below_root && !below_root->empty()) {
            above_ = rules_.ignore->above(*below_root);
            verdict = rules_.ignore->judge(*below_root, above_);
        }
        if (rules_.secrets == Secrets::leave_out &&
            secret_rule(below_root ? *below_root : std::string_view{source})) {
            leave_out(source, *secret_rule(below_root ? *below_root : std::string_view{source}));
            return;
        }
        place(AT_FDCWD, source.c_str(), source, destination, status, verdict);
    }

    [[nodiscard]] std::vector<ContextFile>& files() noexcept { return files_; }
    /// "PATH (RULE)" of what was left out as a secret, in the order of the walk.
    [[nodiscard]] const std::vector<std::string>& secrets() const noexcept { return secrets_; }
    /// How many paths .dockerignore left out; a folder counts once.
    [[nodiscard]] std::size_t ignored() const noexcept { return ignored_; }

private:
    using Verdict = IgnoreRules::Verdict;

    /// The path as .dockerignore sees it, or nothing when it is not below the root.
    [[nodiscard]] std::optional<std::string_view> relative(std::string_view source) const {
        return is_within(source, rules_.root) ? std::optional{relative_to(source, rules_.root)}
                                              : std::nullopt;
    }

    void leave_out(std::string_view source, std::string_view rule) {
        const auto below_root = relative(source);
        secrets_.push_back(escaped(below_root ? *below_root : source) + " (" + std::string{rule} +
                           ')');
    }

    /// One path that was found; `name` is its name in the open `folder`.
    void place(int folder, const char* name, const std::string& source,
               const std::string& destination, const struct stat& status, Verdict verdict) {
        if (S_ISDIR(status.st_mode)) {
            if (verdict == Verdict::excluded_with_all_below) {
                ++ignored_;
            } else {
                walk(source, destination, status);
            }
            return;
        }
        if (verdict != Verdict::taken) {
            ++ignored_;
            return;
        }
        if (S_ISLNK(status.st_mode)) {
            take_link(folder, name, source, destination);
        } else {
            take_file(folder, name, source, destination, status);
        }
    }

    void take_file(int folder, const char* name, const std::string& source,
                   const std::string& destination, const struct stat& status) {
        if (!S_ISREG(status.st_mode)) {
            throw Error{ErrorCode::input,
                        {.attempted = "package",
                         .subject = escaped(source),
                         .answer = std::string{kind_of(status.st_mode)},
                         .advice = "leave it out, for example with a line in .dockerignore"}};
        }
        check_destination(destination, source);
        if ((status.st_mode & 0444) != 0444 && ::faccessat(folder, name, R_OK, AT_EACCESS) != 0) {
            throw system_error(errno, "read", escaped(source));
        }
        files_.push_back({.source = source,
                          .destination = destination,
                          .mode = status.st_mode & 0777,
                          .kind = FileKind::regular,
                          .size = static_cast<std::uint64_t>(status.st_size)});
    }

    void take_link(int folder, const char* name, const std::string& source,
                   const std::string& destination) {
        const std::string target = read_link(folder, name, source);
        if (rules_.symlinks == Symlinks::follow) {
            follow(source, target, destination);
            return;
        }
        check_destination(destination, source);
        check_link(boundary_, source, target);
        files_.push_back({.source = source,
                          .destination = destination,
                          .mode = 0777,
                          .kind = FileKind::symlink,
                          .link_target = target});
    }

    void follow(const std::string& link, const std::string& target,
                const std::string& destination) {
        const std::unique_ptr<char, void (*)(void*)> resolved{::realpath(link.c_str(), nullptr),
                                                              std::free};
        struct stat status {};
        if (!resolved || ::lstat(resolved.get(), &status) != 0) {
            detail::refuse_link(link, target,
                                errno == ELOOP    ? "leads back to itself"
                                : errno == ENOENT ? "does not exist"
                                                  : "can not be followed");
        }
        const std::string source = resolved.get();
        const auto rule = secret_rule(relative(source).value_or(source));
        if (rules_.secrets == Secrets::leave_out && rule) {
            leave_out(link, *rule);
            return;
        }
        if (!S_ISDIR(status.st_mode)) {
            take_file(AT_FDCWD, source.c_str(), source, destination, status);
            return;
        }
        const Identity folder{status.st_dev, status.st_ino};
        if (std::find(open_.begin(), open_.end(), folder) != open_.end()) {
            detail::refuse_link(link, target, "leads back to a folder that holds it");
        }
        const IgnoreRules::Matches outer = above_;
        above_ = rules_.ignore->above(relative(source).value_or(""));
        walk(source, destination, status);
        above_ = outer;
    }

    /// One descriptor is open at a time, however deep the tree.
    void walk(const std::string& source, const std::string& destination,
              const struct stat& status) {
        control_.check("package " + escaped(source));
        struct Child {
            std::string name = {};
            struct stat status = {};
            Verdict verdict = Verdict::taken;
        };
        std::vector<Child> folders;
        const auto below_root = relative(source);
        const IgnoreRules::Matches outer = above_;
        if (below_root && !below_root->empty()) {
            above_ = rules_.ignore->enter(*below_root, outer);
        }
        open_.emplace_back(status.st_dev, status.st_ino);
        {
            const UniqueFd folder = open_folder(source);
            for (std::string& name : list_folder(folder, source)) {
                const std::string path = join(source, name);
                const Verdict verdict = judge(path, source, name);
                if (verdict == Verdict::excluded_with_all_below) {
                    continue;
                }
                Child child{.verdict = verdict};
                if (::fstatat(folder.get(), name.c_str(), &child.status, AT_SYMLINK_NOFOLLOW) !=
                    0) {
                    throw system_error(errno, "package", escaped(path));
                }
                if (S_ISDIR(child.status.st_mode)) {
                    child.name = std::move(name);
                    folders.push_back(std::move(child));
                } else {
                    place(folder.get(), name.c_str(), path, join(destination, name), child.status,
                          verdict);
                }
            }
        }
        for (const Child& child : folders) {
            walk(join(source, child.name), join(destination, child.name), child.status);
        }
        open_.pop_back();
        above_ = outer;
    }

    /// Whether to look at a path at all; what is left out here is counted here.
    [[nodiscard]] Verdict judge(const std::string& path, std::string_view folder,
                                std::string_view name) {
        if (rules_.elsewhere != nullptr && rules_.elsewhere->contains(path)) {
            return Verdict::excluded_with_all_below;
        }
        Verdict verdict = Verdict::taken;
        if (const auto below_root = relative(path); below_root && !rules_.ignore->empty()) {
            verdict = rules_.ignore->judge(*below_root, above_);
        }
        if (verdict == Verdict::excluded_with_all_below) {
            ++ignored_;
        } else if (rules_.secrets == Secrets::leave_out) {
            if (const auto rule = secret_rule_of_name(last_component(folder), name)) {
                leave_out(path, *rule);
                return Verdict::excluded_with_all_below;
            }
        }
        return verdict;
    }

    [[nodiscard]] static UniqueFd open_folder(const std::string& path) {
        UniqueFd folder{
            ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)};
        if (!folder) {
            throw system_error(errno, "list", escaped(path));
        }
        return folder;
    }

    using Identity = std::pair<dev_t, ino_t>;

    WalkRules rules_;
    const Control& control_;
    std::string boundary_ = {};
    IgnoreRules::Matches above_ = {};
    std::vector<Identity> open_ = {};
    std::vector<ContextFile> files_ = {};
    std::vector<std::string> secrets_ = {};
    std::size_t ignored_ = 0;
};

}  // namespace fairing::packaging
