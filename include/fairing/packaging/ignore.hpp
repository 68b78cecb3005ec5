// fairing/packaging/ignore.hpp - the rules of a .dockerignore file, as moby/patternmatcher judges
// them: anchored at the root, a rule matches a path or any folder above it, the last rule that
// matches decides, `!` takes again. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../core/error.hpp"
#include "glob.hpp"
#include "text.hpp"

namespace fairing::packaging {

/// Paths are relative to the folder that the file lies in, without "./" or a slash in front.
class IgnoreRules {
public:
    /// For every rule, whether it matches a folder or one above it. Empty: no folder yet.
    using Matches = std::vector<bool>;

    enum class Verdict {
        taken,
        excluded,
        excluded_with_all_below  ///< no later `!` can take anything below it again
    };

    /// Takes everything.
    IgnoreRules() = default;

    /// One rule a line; blank lines and those that begin with # say nothing. Throws Error{input}
    /// that names the line.
    explicit IgnoreRules(std::string_view text) {
        constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
        if (text.starts_with(byte_order_mark)) {
            text.remove_prefix(byte_order_mark.size());
        }
        for (std::size_t number = 1; !text.empty(); ++number) {
            const std::string_view line = text.substr(0, text.find('\n'));
            text.remove_prefix(line.size() < text.size() ? line.size() + 1 : line.size());
            if (!line.starts_with('#')) {
                add(trimmed(line), number);
            }
        }
    }

    [[nodiscard]] bool empty() const noexcept { return rules_.empty(); }

    [[nodiscard]] bool excluded(std::string_view path) const {
        if (path.ends_with('/')) {
            path.remove_suffix(1);
        }
        return judge(path, above(path)) != Verdict::taken;
    }

    /// The matches of all folders above `path`.
    [[nodiscard]] Matches above(std::string_view path) const {
        Matches matches;
        for (std::size_t slash = path.find('/'); slash != std::string_view::npos;
             slash = path.find('/', slash + 1)) {
            matches = enter(path.substr(0, slash), matches);
        }
        return matches;
    }

    /// The matches of a folder, when those of the folders above it are known.
    [[nodiscard]] Matches enter(std::string_view folder, const Matches& above) const {
        Matches matches(rules_.size());
        for (std::size_t i = 0; i < rules_.size(); ++i) {
            matches[i] = (!above.empty() && above[i]) || rules_[i].glob.matches(folder);
        }
        return matches;
    }

    /// What becomes of a path below folders with these matches.
    [[nodiscard]] Verdict judge(std::string_view path, const Matches& above) const {
        bool taken_again = false;
        for (std::size_t i = rules_.size(); i-- > 0;) {
            if ((!above.empty() && above[i]) || rules_[i].glob.matches(path)) {
                return rules_[i].takes_again ? Verdict::taken
                       : taken_again         ? Verdict::excluded
                                             : Verdict::excluded_with_all_below;
            }
            taken_again = taken_again || rules_[i].takes_again;
        }
        return Verdict::taken;
    }

private:
    struct Rule {
        Glob glob;
        bool takes_again = false;
    };

    static std::string_view trimmed(std::string_view text) {
        constexpr std::string_view blank = " \t\r\v\f";
        const std::size_t first = text.find_first_not_of(blank);
        return first == std::string_view::npos
                   ? std::string_view{}
                   : text.substr(first, text.find_last_not_of(blank) - first + 1);
    }

    void add(std::string_view line, std::size_t number) {
        if (line.empty()) {
            return;
        }
        const bool takes_again = line.starts_with('!');
        std::string pattern{takes_again ? trimmed(line.substr(1)) : line};
        if (!pattern.empty()) {
            pattern = clean(pattern);
        }
        if (pattern.size() > 1 && pattern.front() == '/') {
            pattern.erase(0, 1);
        }
        try {
            if (pattern.empty() || (takes_again && pattern == "/")) {
                throw Error{ErrorCode::input,
                            {.attempted = "use", .answer = "a ! with no pattern"}};
            }
            rules_.push_back({Glob{pattern, GlobDialect::dockerignore}, takes_again});
        } catch (const Error& error) {
            throw Error{ErrorCode::input,
                        {.attempted = "use .dockerignore",
                         .subject = "line " + std::to_string(number) + " (" + escaped(line) + ')',
                         .answer = error.details().answer,
                         .advice = error.details().advice}};
        }
    }

    std::vector<Rule> rules_ = {};
};

}  // namespace fairing::packaging
