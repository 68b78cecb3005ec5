// fairing/packaging/expand.hpp - the paths of this machine that a wildcard pattern names, as a
// shell would (POSIX).
#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "../core/control.hpp"
#include "../core/error.hpp"
#include "../core/files.hpp"
#include "glob.hpp"
#include "text.hpp"
#include "walk.hpp"

namespace fairing::packaging {

namespace detail {

class Expansion {
public:
    Expansion(std::string_view pattern, const Control& control)
        : pattern_(pattern), control_(control) {
        for (const std::string_view part : components(pattern_)) {
            if (part == "**") {
                parts_.push_back({.form = Form::folders});
            } else if (Glob::is_pattern(part)) {
                parts_.push_back({.form = Form::wildcard,
                                  .text = std::string{part},
                                  .glob = {Glob{part, GlobDialect::shell}}});
            } else {
                parts_.push_back({.form = Form::name, .text = std::string{part}});
            }
        }
        expand("/", 0);
    }
    [[nodiscard]] std::vector<std::string> paths() const { return {found_.begin(), found_.end()}; }

private:
    enum class Form { name, wildcard, folders };
    struct Part {
        Form form = Form::name;
        std::string text = {};
        std::vector<Glob> glob = {};
    };

    void expand(const std::string& folder, std::size_t index) {
        if (index == parts_.size()) {
            found_.insert(folder);
            return;
        }
        const Part& part = parts_[index];
        if (part.form == Form::name) {
            struct stat status {};
            const std::string path = join(folder, part.text);
            if (::lstat(path.c_str(), &status) == 0) {
                expand(path, index + 1);
            }
            return;
        }
        control_.check("list " + escaped(pattern_));
        const std::vector<std::string> names = list(folder);
        const bool last = index + 1 == parts_.size();
        if (part.form == Form::folders && !last) {
            expand(folder, index + 1);
        }
        for (const std::string& name : names) {
            const std::string path = join(folder, name);
            if (part.form == Form::wildcard) {
                if ((!name.starts_with('.') || part.text.starts_with('.')) &&
                    part.glob.front().matches(name)) {
                    expand(path, index + 1);
                }
            } else if (name.starts_with('.') || found_.contains(path)) {
                continue;  // hidden, or taken as a whole already
            } else if (last) {
                found_.insert(path);
            } else if (is_folder(path)) {
                expand(path, index);
            }
        }
    }

    [[nodiscard]] static bool is_folder(const std::string& path) {
        struct stat status {};
        return ::lstat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
    }

    [[nodiscard]] static std::vector<std::string> list(const std::string& folder) {
        const UniqueFd open{
            ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC)};
        if (open) {
            return list_folder(open, folder);
        }
        if (errno == ENOTDIR || errno == ENOENT) {
            return {};
        }
        throw system_error(errno, "list", escaped(folder));
    }

    std::string pattern_;
    const Control& control_;
    std::vector<Part> parts_ = {};
    std::set<std::string> found_ = {};
};

}  // namespace detail

/// The paths that an absolute, clean pattern names, sorted by bytes. `*`, `?` and `[…]` stay inside
/// one component and match a leading dot only where the pattern has one; `**` is any number of
/// folders, none of them hidden or a symbolic link. A folder that matches stands for all below it.
/// Throws Error{input} on a malformed pattern.
[[nodiscard]] inline std::vector<std::string> expand(std::string_view pattern,
                                                     const Control& control) {
    return detail::Expansion{pattern, control}.paths();
}

}  // namespace fairing::packaging
