// fairing/packaging/glob.hpp - one wildcard pattern: * ? [a-z] [^a-z] ** and \ before a character
// that is meant literally (Go's path/filepath.Match; ** as in moby/patternmatcher). Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../core/error.hpp"
#include "text.hpp"

namespace fairing::packaging {

/// How two details are read.
enum class GlobDialect {
    dockerignore,  ///< ** crosses folders; [!a] is a '!' or an 'a'
    shell          ///< for one component of a path: ** is *; [!a] is anything but 'a'
};

/// A pattern, compiled once. Matching takes time in proportion to pattern times path, whatever the
/// pattern.
class Glob {
public:
    /// Throws Error{input} when the pattern is malformed.
    Glob(std::string_view pattern, GlobDialect dialect) : pattern_(pattern), dialect_(dialect) {
        compile();
    }

    /// Whether all of `path` matches. Characters are those of UTF-8; an invalid byte counts as one.
    [[nodiscard]] bool matches(std::string_view path) const {
        switch (form_) {
            case Form::literal:
                return path == literal_;
            case Form::prefix:
                return path.starts_with(literal_);
            case Form::suffix:
                return path.ends_with(literal_) ||
                       (literal_.starts_with('/') && path == std::string_view{literal_}.substr(1));
            case Form::general:
                break;
        }
        return path.starts_with(literal_) && path.ends_with(tail_) && run(path);
    }

    /// Whether `text` holds a character that has a meaning in a pattern.
    [[nodiscard]] static bool is_pattern(std::string_view text) {
        return text.find_first_of("*?[\\") != std::string_view::npos;
    }

private:
    enum class Step : unsigned char {
        character,
        any,           // one character but '/'
        star,          // any number of those
        set,           // one character of a set
        folders,       // nothing, or what folders_rest takes
        folders_rest,  // anything that ends in '/'
        everything     // anything at all
    };
    struct Token {
        Step step = Step::character;
        bool negated = false;
        char32_t character = 0;
        std::vector<std::pair<char32_t, char32_t>> ranges = {};
    };
    enum class Form { literal, prefix, suffix, general };

    [[noreturn]] void fail(std::string answer) const {
        throw Error{ErrorCode::input,
                    {.attempted = "use pattern",
                     .subject = escaped(pattern_),
                     .answer = std::move(answer),
                     .advice = "put \\ before a character that is meant literally"}};
    }

    void compile() {
        bool only_text = true, open_start = false;
        std::string text;
        for (std::size_t position = 0; position < pattern_.size();) {
            const std::size_t start = position;
            const char32_t character = next_character(pattern_, position);
            if (character == U'*' && dialect_ == GlobDialect::dockerignore && at(position) == '*') {
                const bool slash = at(position + 1) == '/';
                position += slash ? 2 : 1;
                if (start == 0) {
                    open_start = true;
                    text = slash ? "/" : "";
                }
                if (position < pattern_.size()) {
                    tokens_.push_back({.step = Step::folders});
                    tokens_.push_back({.step = Step::folders_rest});
                    only_text = only_text && start == 0;
                } else if (only_text && !open_start) {
                    form_ = Form::prefix;
                    literal_ = text;
                    return;
                } else {
                    tokens_.push_back({.step = Step::everything});
                    only_text = only_text && start == 0;
                }
            } else if (character == U'*' || character == U'?') {
                tokens_.push_back({.step = character == U'*' ? Step::star : Step::any});
                only_text = false;
            } else if (character == U'[') {
                tokens_.push_back(set(position));
                only_text = false;
            } else if (character == U'\\') {
                if (position == pattern_.size()) {
                    fail("it ends with a \\");
                }
                tokens_.push_back({.character = next_character(pattern_, position)});
                only_text = false;
            } else {
                tokens_.push_back({.character = character});
                text += pattern_.substr(start, position - start);
            }
        }
        if (only_text) {
            form_ = open_start ? Form::suffix : Form::literal;
            literal_ = text;
            return;
        }
        form_ = Form::general;
        find_ends();
    }

    [[nodiscard]] char at(std::size_t position) const {
        return position < pattern_.size() ? pattern_[position] : '\0';
    }

    /// A set, from behind its '['.
    [[nodiscard]] Token set(std::size_t& position) const {
        Token token{.step = Step::set};
        if (at(position) == '^' || (at(position) == '!' && dialect_ == GlobDialect::shell)) {
            token.negated = true;
            ++position;
        }
        while (at(position) != ']' || token.ranges.empty()) {
            const char32_t low = set_member(position);
            char32_t high = low;
            if (at(position) == '-') {
                ++position;
                high = set_member(position);
            }
            if (high < low) {
                fail("a range in [] runs backwards");
            }
            token.ranges.emplace_back(low, high);
        }
        ++position;
        return token;
    }

    [[nodiscard]] char32_t set_member(std::size_t& position) const {
        if (at(position) == '-' || at(position) == ']') {
            fail("a '-' or ']' without \\ where [] needs a character");
        }
        if (at(position) == '\\') {
            ++position;
        }
        if (position >= pattern_.size()) {
            fail("a '[' without its ']'");
        }
        const char32_t member = next_character(pattern_, position);
        if (position >= pattern_.size()) {
            fail("a '[' without its ']'");
        }
        return member;
    }

    /// What every match begins and ends with, so that most paths are refused without running the
    /// pattern.
    void find_ends() {
        const auto is_ascii = [](const Token& token) {
            return token.step == Step::character && token.character < 0x80;
        };
        for (auto token = tokens_.begin(); token != tokens_.end() && is_ascii(*token); ++token) {
            literal_ += static_cast<char>(token->character);
        }
        for (auto token = tokens_.rbegin(); token != tokens_.rend() && is_ascii(*token); ++token) {
            tail_.insert(tail_.begin(), static_cast<char>(token->character));
        }
    }

    [[nodiscard]] static bool holds(const Token& set, char32_t character) {
        for (const auto& [low, high] : set.ranges) {
            if (character >= low && character <= high) {
                return !set.negated;
            }
        }
        return set.negated;
    }

    /// Follows all ways through the pattern at once: active[i] means that tokens before i have
    /// matched.
    [[nodiscard]] bool run(std::string_view path) const {
        std::vector<unsigned char> active(tokens_.size() + 1, 0), next(tokens_.size() + 1, 0);
        active[0] = 1;
        skip_optional(active);
        for (std::size_t position = 0; position < path.size();) {
            const char32_t character = next_character(path, position);
            next.assign(next.size(), 0);
            bool alive = false;
            for (std::size_t i = 0; i < tokens_.size(); ++i) {
                if (active[i] != 0) {
                    alive = advance(i, character, next) || alive;
                }
            }
            if (!alive) {
                return false;
            }
            skip_optional(next);
            active.swap(next);
        }
        return active.back() != 0;
    }

    void skip_optional(std::vector<unsigned char>& active) const {
        for (std::size_t i = 0; i < tokens_.size(); ++i) {
            const Step step = tokens_[i].step;
            if (active[i] == 0) {
                continue;
            }
            if (step == Step::star || step == Step::everything) {
                active[i + 1] = 1;
            } else if (step == Step::folders) {
                active[i + 1] = active[i + 2] = 1;
            }
        }
    }

    bool advance(std::size_t i, char32_t character, std::vector<unsigned char>& next) const {
        const Token& token = tokens_[i];
        switch (token.step) {
            case Step::character:
                return character == token.character && (next[i + 1] = 1);
            case Step::any:
                return character != U'/' && (next[i + 1] = 1);
            case Step::star:
                return character != U'/' && (next[i] = 1);
            case Step::set:
                return holds(token, character) && (next[i + 1] = 1);
            case Step::folders:
                return false;
            case Step::folders_rest:
                if (character == U'/') {
                    next[i + 1] = 1;
                }
                return (next[i] = 1);
            case Step::everything:
                return (next[i] = 1);
        }
        return false;
    }

    std::string pattern_;
    GlobDialect dialect_;
    Form form_ = Form::literal;
    std::string literal_ = {}, tail_ = {};
    std::vector<Token> tokens_ = {};
};

}  // namespace fairing::packaging
