// fairing/preprocessors/notebook/python_lines.hpp - where the statements of a cell begin and end,
// and which of them are IPython's and not Python's (Python reference, 2; IPython's input
// transformations). Pure.
//
// A statement ends with its line unless a bracket, a string in triple quotes or a backslash goes
// on, so that a % or ! in the middle of one is what it looks like: Python.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace fairing::notebook {

enum class LineKind {
    python,
    escape,      ///< begins with % ! ? , ; or /
    assignment,  ///< x = %magic, x = !command
    help         ///< name? or name??
};

/// A logical line: one or more physical ones, with their newlines.
struct LogicalLine {
    LineKind kind = LineKind::python;
    std::string_view text = {};
    std::size_t indent = 0;  ///< bytes of blank in front
    std::size_t escape = 0;  ///< of an assignment: where the % or ! stands

    [[nodiscard]] std::string_view blank() const { return text.substr(0, indent); }
    [[nodiscard]] std::string_view code() const { return text.substr(indent); }
};

/// Takes logical lines off the front of a cell.
class PythonLines {
public:
    explicit PythonLines(std::string_view cell) : cell_(cell) {}
    [[nodiscard]] bool done() const noexcept { return cell_.empty(); }

    [[nodiscard]] LogicalLine next() {
        LogicalLine line{.indent = std::min(cell_.find_first_not_of(" \t\f"), cell_.size())};
        at_ = line.indent;
        if (at_ < cell_.size() && std::string_view{"%!?,;/"}.find(cell_[at_]) != none) {
            line.kind = LineKind::escape;
            end_continued_line();
        } else {
            read_python(line);
        }
        line.text = cell_.substr(0, at_);
        cell_.remove_prefix(at_);
        return line;
    }

private:
    static constexpr std::size_t none = std::string_view::npos;

    /// IPython's own rule: only a backslash goes on.
    void end_continued_line() {
        do {
            at_ = std::min(cell_.find('\n', at_), cell_.size() - 1) + 1;
        } while (at_ < cell_.size() && at_ >= 2 && cell_[at_ - 2] == '\\');
    }

    void read_python(LogicalLine& line) {
        std::size_t depth = 0;
        char last = '\n';  // of the code, blanks aside
        for (; at_ < cell_.size(); ++at_) {
            const char c = cell_[at_];
            if (c == '\n' && depth == 0) {
                ++at_;
                break;
            }
            if (c == '#') {
                at_ = std::min(cell_.find('\n', at_), cell_.size()) - 1;
            } else if (c == '\'' || c == '"') {
                skip_string(c);
                last = c;
            } else if (c == '\\') {
                ++at_;  // a newline, or what no Python holds
            } else if (c == '=' && depth == 0 && begins_escape(last)) {
                line.kind = LineKind::assignment;
                line.escape = cell_.find_first_not_of(" \t", at_ + 1);
                end_continued_line();
                return;
            } else if (c != ' ' && c != '\t' && c != '\n') {
                depth += c == '(' || c == '[' || c == '{' ? 1 : 0;
                depth -= (c == ')' || c == ']' || c == '}') && depth > 0 ? 1 : 0;
                last = c;
            }
        }
        at_ = std::min(at_, cell_.size());
        line.kind = last == '?' ? LineKind::help : LineKind::python;
    }

    /// Whether the = at hand is an assignment, and a % or ! follows it.
    [[nodiscard]] bool begins_escape(char before) const {
        if (std::string_view{"=!<>:+-*/%&|^@"}.find(before) != none && cell_[at_ - 1] == before) {
            return false;
        }
        const std::size_t next = cell_.find_first_not_of(" \t", at_ + 1);
        return next != none && (cell_[next] == '%' || cell_[next] == '!');
    }

    /// From the opening quote to the closing one; a string in single quotes that nobody closes ends
    /// with its line.
    void skip_string(char quote) {
        const bool triple = cell_.substr(at_, 3) == std::string_view{"\"\"\""} ||
                            cell_.substr(at_, 3) == std::string_view{"'''"};
        const std::size_t width = triple ? 3 : 1;
        for (at_ += width; at_ < cell_.size(); ++at_) {
            if (cell_[at_] == '\\') {
                ++at_;
            } else if (cell_[at_] == '\n' && !triple) {
                --at_;
                return;
            } else if (cell_[at_] == quote &&
                       (!triple || (at_ + 2 < cell_.size() && cell_[at_ + 1] == quote &&
                                    cell_[at_ + 2] == quote))) {
                at_ += width - 1;
                return;
            }
        }
    }

    std::string_view cell_;
    std::size_t at_ = 0;
};

}  // namespace fairing::notebook
