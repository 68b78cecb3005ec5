// fairing/packaging/links.hpp - symbolic links of a context: they stay inside it, end somewhere,
// and end in the image.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <deque>
#include <functional>
#include <string>
#include <string_view>

#include "../core/error.hpp"
#include "text.hpp"

namespace fairing::packaging {

/// What becomes of a symbolic link.
enum class Symlinks {
    keep,   ///< it stays a link; one that leaves the context root, dangles or loops is an error
    follow  ///< what it points to is stored in its place
};

namespace detail {

[[noreturn]] inline void refuse_link(std::string_view link, std::string_view target,
                                     std::string_view fault) {
    throw Error{
        ErrorCode::input,
        {.attempted = "package",
         .subject = escaped(link),
         .answer = "a symbolic link to " + escaped(target) + ", which " + std::string{fault},
         .advice = "leave it out with a line in .dockerignore, or store what it points to "
                   "(--follow-symlinks, follow_symlinks)"}};
}

/// Linux gives up after as many links (path_resolution(7)).
inline constexpr int link_limit = 40;

/// What is at a place: nothing, a folder, a file, or a link with its target.
struct Place {
    enum class Kind { nothing, folder, file, link } kind = Kind::nothing;
    std::string target = {};
};

/// Follows `link` (relative to the root that `look` knows, clean) to its end. `look` is asked about
/// such paths.
inline void follow_link(std::string_view root, std::string_view link, std::string_view target,
                        std::string_view missing,
                        const std::function<Place(const std::string&)>& look) {
    const std::string shown = join(root, link);
    std::deque<std::string> waiting;
    for (const std::string_view part : components(link)) {
        waiting.emplace_back(part);
    }
    std::string place;
    for (int links = 0; !waiting.empty();) {
        const std::string part = std::move(waiting.front());
        waiting.pop_front();
        if (part == ".") {
            continue;
        }
        if (part == "..") {
            if (place.empty()) {
                refuse_link(shown, target, "leaves the context root " + escaped(root));
            }
            place = parent(place);
            continue;
        }
        std::string next = join(place, part);
        const Place found = look(next);
        if (found.kind == Place::Kind::link) {
            if (++links > link_limit) {
                refuse_link(shown, target, "leads back to itself");
            }
            if (found.target.starts_with('/')) {
                refuse_link(shown, target,
                            "is absolute and so leaves the context root " + escaped(root));
            }
            const auto parts = components(found.target);
            waiting.insert(waiting.begin(), parts.begin(), parts.end());
            continue;
        }
        if (found.kind == Place::Kind::nothing ||
            (found.kind == Place::Kind::file && !waiting.empty())) {
            refuse_link(shown, target, missing);
        }
        place = std::move(next);
    }
}

}  // namespace detail

/// The target of a symbolic link, as it is stored. Throws what system_error() makes of errno.
[[nodiscard]] inline std::string read_link(int folder, const char* name, std::string_view shown) {
    std::string target(256, '\0');
    while (true) {
        const ssize_t length = ::readlinkat(folder, name, target.data(), target.size());
        if (length < 0) {
            throw system_error(errno, "read the link", escaped(shown));
        }
        if (static_cast<std::size_t>(length) < target.size()) {
            target.resize(static_cast<std::size_t>(length));
            return target;
        }
        target.resize(2 * target.size());
    }
}

/// Throws Error{input} that names a link of this machine which leaves `root`, dangles or loops.
/// `path` is the link, absolute and below `root`; both are clean.
inline void check_link(const std::string& root, const std::string& path,
                       const std::string& target) {
    const auto look = [&](const std::string& below) -> detail::Place {
        using Kind = detail::Place::Kind;
        const std::string full = join(root, below);
        struct stat status {};
        if (::lstat(full.c_str(), &status) != 0) {
            if (errno != ENOENT && errno != ENOTDIR) {
                throw system_error(errno, "follow the link", escaped(path));
            }
            return {};
        }
        if (S_ISLNK(status.st_mode)) {
            return {.kind = Kind::link, .target = read_link(AT_FDCWD, full.c_str(), full)};
        }
        return {.kind = S_ISDIR(status.st_mode) ? Kind::folder : Kind::file};
    };
    detail::follow_link(root, relative_to(path, root), target, "does not exist", look);
}

}  // namespace fairing::packaging
