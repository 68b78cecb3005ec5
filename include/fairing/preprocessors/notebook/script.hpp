// fairing/preprocessors/notebook/script.hpp - a notebook as one Python file, laid out as
// nbconvert's PythonExporter does it. Pure.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../../core/error.hpp"
#include "document.hpp"
#include "filter.hpp"
#include "plain_python.hpp"

namespace fairing::notebook {

struct Script {
    std::string text = {};
    std::vector<std::string> dropped = {};       ///< commands of IPython that went
    std::vector<std::string> requirements = {};  ///< lines of a requirements file
    std::size_t code_cells = 0;                  ///< those that hold any code
};

namespace detail {

[[nodiscard]] inline std::string as_comment(std::string_view text) {
    std::string result = "# ";
    for (const char c : text) {
        result += c;
        result += c == '\n' ? "# " : "";
    }
    return result;
}

inline void append(std::vector<std::string>& all, std::vector<std::string> more) {
    for (std::string& each : more) {
        all.push_back(std::move(each));
    }
}

[[nodiscard]] constexpr bool is_word(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (static_cast<unsigned char>(c) & 0x80U) != 0;
}

/// Whether `word` stands in `text` as a word of its own.
[[nodiscard]] inline bool has_word(std::string_view text, std::string_view word) {
    for (std::size_t at = text.find(word); at != std::string_view::npos;
         at = text.find(word, at + 1)) {
        const std::size_t end = at + word.size();
        if ((at == 0 || !is_word(text[at - 1])) && (end == text.size() || !is_word(text[end]))) {
            return true;
        }
    }
    return false;
}

}  // namespace detail

/// The code cells that `filter` keeps, without IPython; the other cells as comments.
[[nodiscard]] inline Script script(const Document& document, const AnyCellFilter& filter = {}) {
    Script result{.text = "#!/usr/bin/env python\n# coding: utf-8\n"};
    for (const Cell& cell : document.cells) {
        const auto source = filter ? filter(cell) : std::optional{cell.source};
        if (!source) {
            continue;
        }
        if (cell.kind != CellKind::code) {
            result.text += '\n' + detail::as_comment(*source) + '\n';
            continue;
        }
        PlainCell plain = plain_python(*source);
        const std::string number =
            cell.execution_count > 0 ? std::to_string(cell.execution_count) : " ";
        result.text += "\n# In[" + number + "]:\n\n\n" + plain.source + '\n';
        result.code_cells += detail::trimmed(plain.source).empty() ? 0 : 1;
        detail::append(result.dropped, std::move(plain.dropped));
        detail::append(result.requirements, std::move(plain.requirements));
    }
    return result;
}

/// The script as a command line program of `class_name`, by Python Fire and in Fairing's own form:
/// no cell markers, no two blank lines after another, and a main part.
[[nodiscard]] inline std::string with_fire(std::string_view script, const std::string& class_name) {
    const auto wrong = [&](std::string answer) {
        return Error{ErrorCode::input,
                     {.attempted = "make a command of class",
                      .subject = packaging::escaped(class_name),
                      .answer = std::move(answer),
                      .advice = "name a class of a cell that is kept (one that says "
                                "fairing:include-cell)"}};
    };
    for (const char c : class_name) {
        if (!detail::is_word(c) && c != '.') {
            throw wrong("that is no name of Python's");
        }
    }
    if (!detail::has_word(script, class_name.substr(0, class_name.find('.')))) {
        throw wrong("no cell that is kept speaks of it");
    }
    std::string text;
    bool after_empty = false;
    while (!script.empty()) {
        const std::string_view line = detail::first_line(script);
        script.remove_prefix(std::min(line.size() + 1, script.size()));
        const bool blank = detail::trimmed(line).empty();
        if ((blank && after_empty) || line.starts_with("# In[")) {
            continue;
        }
        text.append(line).append("\n");
        after_empty = line.empty();
    }
    return text +
           "\nif __name__ == \"__main__\":\n  import fire\n  import logging\n"
           "  logging.basicConfig(format='%(message)s')\n"
           "  logging.getLogger().setLevel(logging.INFO)\n  fire.Fire(" +
           class_name + ")\n";
}

}  // namespace fairing::notebook
