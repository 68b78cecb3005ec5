// fairing/preprocessors/notebook/plain_python.hpp - a code cell as Python that needs no IPython.
// Pure.
//
// What IPython adds to Python goes, as in Fairing's default filter; more of it is recognised, and
// what stays is valid:
//
//   %magic, !command, ?name, name?   dropped with its continuation lines; `pass` inside a block
//   x = %magic, x = !command         x = None, and what it was as a comment
//   %time statement                  the statement, also behind x =
//   %%time, %%capture, %%prun        the rest of the cell; any other cell magic drops the cell
//   get_ipython().…                  as the magic that it stands for
//   ,f a b    ;f a b    /f a b       the call that IPython makes of it
//   >>> and In [1]: prompts, an indented first line, empty first lines: removed
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pip_install.hpp"
#include "python_lines.hpp"

namespace fairing::notebook {

/// A cell without IPython.
struct PlainCell {
    std::string source = {};                     ///< ends with a newline
    std::vector<std::string> dropped = {};       ///< the first line of each command that went
    std::vector<std::string> requirements = {};  ///< what its pip commands would install
};

namespace detail {

[[nodiscard]] inline std::string_view trimmed(std::string_view text) {
    const std::size_t first = text.find_first_not_of(" \t\n\f");
    return first == std::string_view::npos
               ? std::string_view{}
               : text.substr(first, text.find_last_not_of(" \t\n\f") + 1 - first);
}

[[nodiscard]] inline std::string_view first_line(std::string_view text) {
    return text.substr(0, text.find('\n'));
}

/// Calls `change` with every line, its newline included, and joins what it gives.
template <class Change>
[[nodiscard]] std::string by_line(std::string_view text, const Change& change) {
    std::string result;
    while (!text.empty()) {
        const std::size_t size = std::min(text.find('\n'), text.size() - 1) + 1;
        result += change(text.substr(0, size));
        text.remove_prefix(size);
    }
    return result;
}

/// How long the prompt in front of a line is: ">>> ", "... "; 0 when there is none.
[[nodiscard]] inline std::size_t python_prompt(std::string_view line) {
    if (!line.starts_with(">>>") && !line.starts_with("...")) {
        return 0;
    }
    const bool alone = line.size() == 3 || line[3] == '\n';
    return alone ? 3 : line[3] == ' ' ? 4 : 0;
}

/// The same for "In [1]: " and "   ...: ".
[[nodiscard]] inline std::size_t ipython_prompt(std::string_view line) {
    if (line.starts_with("In [")) {
        const std::size_t close = line.find_first_not_of("0123456789", 4);
        return close != std::string_view::npos && close > 4 && line.substr(close).starts_with("]: ")
                   ? close + 3
                   : 0;
    }
    const std::size_t dots = line.find_first_not_of(" \t");
    if (dots == std::string_view::npos || !line.substr(dots).starts_with("...")) {
        return 0;
    }
    const std::size_t colon = line.find_first_not_of('.', dots);
    if (colon == std::string_view::npos || line[colon] != ':') {
        return 0;
    }
    return colon + (colon + 1 < line.size() && line[colon + 1] == ' ' ? 2 : 1);
}

/// Removes prompts when one of the first two lines has one.
[[nodiscard]] inline std::string without_prompts(std::string text) {
    const std::string_view first = first_line(text);
    const std::string_view second =
        first.size() < text.size() ? first_line(std::string_view{text}.substr(first.size() + 1))
                                   : std::string_view{};
    const auto strip = [&text](auto prompt) {
        return by_line(text, [&](std::string_view line) { return line.substr(prompt(line)); });
    };
    if ((first.starts_with(">>>") && python_prompt(first) > 0) ||
        (second.starts_with(">>>") && python_prompt(second) > 0)) {
        text = strip(python_prompt);
    }
    if (ipython_prompt(first) > 0 || ipython_prompt(second) > 0) {
        text = strip(ipython_prompt);
    }
    return text;
}

/// What IPython does to a cell before it looks for magics: empty first lines, the first line's
/// indentation and prompts go.
[[nodiscard]] inline std::string cleaned(std::string_view cell) {
    const std::size_t code = cell.find_first_not_of(" \t\n\f\v");
    if (code != std::string_view::npos) {
        const std::size_t newline = cell.rfind('\n', code);
        cell.remove_prefix(newline == std::string_view::npos ? 0 : newline + 1);
    }
    const std::string_view indent =
        cell.substr(0, std::min(cell.find_first_not_of(" \t"), cell.size()));
    return without_prompts(by_line(cell, [indent](std::string_view line) {
        return line.substr(line.starts_with(indent) ? indent.size() : 0);
    }));
}

/// "%%name …" at the start of a cell: the name; "" when there is none.
[[nodiscard]] inline std::string_view cell_magic(std::string_view cell) {
    if (!cell.starts_with("%%")) {
        return {};
    }
    cell = first_line(cell).substr(2);
    cell = cell.substr(0, cell.find_first_of(" \t"));
    return cell.ends_with('?') ? std::string_view{} : cell;  // a question about the magic
}

[[nodiscard]] inline bool keeps_its_body(std::string_view magic) {
    return magic == "time" || magic == "capture" || magic == "prun";
}

/// The statement behind "%time ", or "" for everything else.
[[nodiscard]] inline std::string_view timed_statement(std::string_view code) {
    if (!code.starts_with("%time ") && !code.starts_with("%time\t")) {
        return {};
    }
    const std::string_view statement = trimmed(code.substr(5));
    return !statement.empty() &&
                   std::string_view{"%!?-"}.find(statement.front()) != std::string_view::npos
               ? std::string_view{}
               : statement;
}

/// A command over several lines as one, for a comment.
[[nodiscard]] inline std::string on_one_line(std::string_view command) {
    std::string result;
    for (const char c : trimmed(command)) {
        result += c == '\n' ? ' ' : c;
    }
    return result;
}

/// Makes one cell plain.
class PlainWriter {
public:
    explicit PlainWriter(std::string_view cell) {
        // A filter that works by lines has no newline at the end.
        if (cell.ends_with('\n')) {
            cell.remove_suffix(1);
        }
        std::string text = cleaned(cell);
        if (without_cell_magics(text)) {
            read(text);
        }
        result_.source = cleaned(result_.source);
        if (!result_.source.ends_with('\n')) {
            result_.source += '\n';
        }
    }
    [[nodiscard]] PlainCell take() { return std::move(result_); }

private:
    /// Whether anything is left.
    [[nodiscard]] bool without_cell_magics(std::string& text) {
        for (std::string_view magic = cell_magic(text); !magic.empty(); magic = cell_magic(text)) {
            const bool kept = keeps_its_body(magic);
            drop(text, text);
            const std::size_t line = first_line(text).size();
            if (!kept) {
                for (PythonLines lines{std::string_view{text}.substr(line)}; !lines.done();) {
                    install(lines.next().code());  // of a shell's cell
                }
                return false;
            }
            text = cleaned(std::string_view{text}.substr(std::min(line + 1, text.size())));
        }
        return true;
    }

    void read(std::string_view text) {
        for (PythonLines lines{text}; !lines.done();) {
            const LogicalLine line = lines.next();
            const std::size_t before = result_.source.size();
            add(line);
            const bool gone = result_.source.size() == before;
            if (gone && lines.done() && !line.text.ends_with('\n') &&
                result_.source.ends_with('\n')) {
                result_.source.pop_back();
            }
        }
    }

    void add(const LogicalLine& line) {
        const std::string_view code = line.code();
        if (line.kind == LineKind::assignment) {
            add_assignment(line, line.text.substr(0, line.escape), line.text.substr(line.escape));
        } else if (line.kind == LineKind::escape &&
                   std::string_view{",;/"}.find(code.front()) != std::string_view::npos) {
            add_call(line);
        } else if (const auto statement = timed_statement(code); !statement.empty()) {
            result_.source.append(line.blank()).append(statement);
            end(line);
        } else if (line.kind != LineKind::python || code.starts_with("get_ipython().") ||
                   is_bare_install(code)) {
            drop(code, code);
            if (line.indent > 0) {
                result_.source.append(line.blank()).append("pass");
                end(line);
            }
        } else if (const std::size_t at = ipython_value(code); at != 0) {
            add_assignment(line, line.text.substr(0, line.indent + at), code.substr(at));
        } else {
            result_.source += line.text;
        }
    }

    /// Where "get_ipython()." begins in "x = get_ipython().…"; 0 when it is something else.
    [[nodiscard]] static std::size_t ipython_value(std::string_view code) {
        const std::size_t at = code.find("get_ipython().");
        if (at == std::string_view::npos || at < 3) {
            return 0;
        }
        const std::string_view target = trimmed(code.substr(0, at));
        const bool names =
            target.find_first_not_of(
                "abcdefghijklmnopqrstuvwxyz"
                "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_., =") == std::string_view::npos;
        return names && target.ends_with('=') ? at : 0;
    }

    void add_assignment(const LogicalLine& line, std::string_view target,
                        std::string_view command) {
        result_.source += target;
        if (const auto statement = timed_statement(command); !statement.empty()) {
            result_.source += statement;
        } else {
            result_.source += "None  # " + on_one_line(command);
            drop(line.code(), command);
        }
        end(line);
    }

    /// ",f a b" is f("a", "b"), ";f a b" is f("a b"), "/f a b" is f(a, b).
    void add_call(const LogicalLine& line) {
        const std::string_view code = line.code();
        std::string text = on_one_line(code.substr(1));
        const std::size_t blank = std::min(text.find(' '), text.size());
        const std::string name = text.substr(0, blank);
        const std::string rest = blank < text.size() ? text.substr(blank + 1) : std::string{};
        if (name.empty()) {
            drop(code, code);
            return;
        }
        const char* const separator = code.front() == ',' ? "\", \"" : ", ";
        std::string list;
        for (std::string_view words = rest; !words.empty();) {
            const std::string_view word = words.substr(0, words.find_first_of(" \t"));
            words.remove_prefix(std::min(word.size() + 1, words.size()));
            list += (list.empty() || word.empty() ? "" : separator) + std::string{word};
        }
        const std::string quote = code.front() == '/' ? "" : "\"";
        result_.source.append(line.blank());
        result_.source += name + '(' + quote + (code.front() == ';' ? rest : list) + quote + ')';
        end(line);
    }

    void end(const LogicalLine& line) { result_.source += line.text.ends_with('\n') ? "\n" : ""; }
    void drop(std::string_view shown, std::string_view command) {
        result_.dropped.emplace_back(trimmed(first_line(shown)));
        install(command);
    }
    void install(std::string_view command) {
        for (std::string& requirement : pip_requirements(command)) {
            result_.requirements.push_back(std::move(requirement));
        }
    }

    PlainCell result_ = {};
};

}  // namespace detail

/// The cell's Python; equal bytes to IPython's own transformation where nothing had to go.
[[nodiscard]] inline PlainCell plain_python(std::string_view cell) {
    return detail::PlainWriter{cell}.take();
}

}  // namespace fairing::notebook
