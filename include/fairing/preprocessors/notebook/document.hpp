// fairing/preprocessors/notebook/document.hpp - a Jupyter notebook as cells (nbformat 3 and 4).
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../../core/error.hpp"
#include "../../core/json_text.hpp"
#include "../../packaging/text.hpp"

namespace fairing::notebook {

enum class CellKind { code, markdown, raw };

struct Cell {
    CellKind kind = CellKind::code;
    std::string source = {};  ///< lines end with "\n", whatever they ended with in the file
    std::vector<std::string> tags = {};
    std::int64_t execution_count = 0;  ///< 0: never run

    [[nodiscard]] bool has_any_tag(const std::vector<std::string>& wanted) const {
        return std::any_of(wanted.begin(), wanted.end(), [this](const std::string& tag) {
            return std::find(tags.begin(), tags.end(), tag) != tags.end();
        });
    }
};

struct Document {
    std::vector<Cell> cells = {};
    std::string kernel = {};    ///< the name that Jupyter starts it by; "" when the file has none
    std::string language = {};  ///< of the kernel, in lower case; "" when the file has none
};

namespace detail {

[[nodiscard]] inline Error unreadable(const std::string& subject, std::string answer,
                                      ErrorCode code = ErrorCode::input, std::string advice = {}) {
    return Error{code,
                 {.attempted = "read notebook",
                  .subject = subject,
                  .answer = std::move(answer),
                  .advice = std::move(advice)}};
}

/// CR and CR LF become LF. NUL, which no Python file may hold, goes.
[[nodiscard]] inline std::string with_plain_newlines(std::string_view text) {
    std::string result;
    result.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\r') {
            result += '\n';
            i += i + 1 < text.size() && text[i + 1] == '\n' ? 1 : 0;
        } else if (text[i] != '\0') {
            result += text[i];
        }
    }
    return result;
}

/// A text, or a list of texts that are one: both forms are valid.
[[nodiscard]] inline std::string multiline(const Json& cell, const char* key,
                                           const std::string& subject, std::size_t number) {
    const auto found = cell.find(key);
    if (found == cell.end()) {
        return {};
    }
    std::string text;
    const bool list = found->is_array();
    for (const Json& part : list ? *found : Json::array({*found})) {
        if (!part.is_string()) {
            throw unreadable(subject, "cell " + std::to_string(number) + " has a " + key +
                                          " that is neither a text nor a list of texts");
        }
        text += part.get_ref<const std::string&>();
    }
    return with_plain_newlines(text);
}

/// A heading of nbformat 3, as markdown.
[[nodiscard]] inline std::string heading(const Json& cell, std::string text) {
    const Json level = cell.value("level", Json());
    const auto hashes = level.is_number_integer() ? level.get<std::int64_t>() : 1;
    if (text.ends_with('\n')) {
        text.pop_back();
    }
    std::replace(text.begin(), text.end(), '\n', ' ');
    return std::string(static_cast<std::size_t>(std::clamp<std::int64_t>(hashes, 1, 6)), '#') +
           ' ' + text;
}

[[nodiscard]] inline std::vector<std::string> tags_of(const Json& cell) {
    std::vector<std::string> tags;
    const Json metadata = cell.value("metadata", Json::object());
    if (metadata.is_object()) {
        const Json list = metadata.value("tags", Json::array());
        for (const Json& tag : list.is_array() ? list : Json::array()) {
            if (tag.is_string()) {
                tags.push_back(tag.get<std::string>());
            }
        }
    }
    return tags;
}

/// Appends the cell; one of a type that the format does not know is left out, as nbconvert does.
inline void read_cell(Document& document, const Json& json, int format, const std::string& subject,
                      std::size_t number) {
    if (!json.is_object()) {
        throw unreadable(subject, "cell " + std::to_string(number) + " is no object");
    }
    const std::string type = text_or(json, "cell_type");
    const bool code = type == "code";
    Cell cell{.tags = tags_of(json)};
    cell.source = multiline(json, code && format == 3 ? "input" : "source", subject, number);
    if (code) {
        const Json count = json.value(format == 3 ? "prompt_number" : "execution_count", Json());
        cell.execution_count = count.is_number_integer() ? count.get<std::int64_t>() : 0;
    } else if (type == "raw") {
        cell.kind = CellKind::raw;
    } else if (type == "markdown" || (format == 3 && (type == "html" || type == "heading"))) {
        cell.kind = CellKind::markdown;
        cell.source = type == "heading" ? heading(json, std::move(cell.source)) : cell.source;
    } else {
        return;
    }
    document.cells.push_back(std::move(cell));
}

inline void read_kernel(Document& document, const Json& metadata) {
    if (!metadata.is_object()) {
        return;
    }
    const Json kernel = metadata.value("kernelspec", Json::object());
    document.kernel = text_or(kernel, "name");
    document.language = text_or(metadata.value("language_info", Json::object()), "name",
                                text_or(kernel, "language"));
    for (char& c : document.language) {
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
}

}  // namespace detail

/// Reads nbformat 3 and 4. Throws Error: input for what is no notebook, unsupported for other
/// formats. `subject` is the file as a message names it.
[[nodiscard]] inline Document parse(std::string_view bytes, const std::string& subject) {
    const Json json = parse_json(bytes, "notebook " + subject);
    const Json version = json.is_object() ? json.value("nbformat", Json()) : Json();
    if (!version.is_number_integer()) {
        throw detail::unreadable(subject, "it is JSON, but no notebook: it has no nbformat");
    }
    const auto format = version.get<std::int64_t>();
    if (format != 3 && format != 4) {
        throw detail::unreadable(
            subject, "its format is nbformat " + std::to_string(format) + "; only 3 and 4 are read",
            ErrorCode::unsupported, "open it with a current Jupyter and save it again");
    }
    Document document;
    detail::read_kernel(document, json.value("metadata", Json::object()));
    const Json sheets = format == 4 ? Json::array({json}) : json.value("worksheets", Json());
    if (!sheets.is_array()) {
        throw detail::unreadable(subject, "it has no worksheets");
    }
    std::size_t number = 0;
    for (const Json& sheet : sheets) {
        if (!sheet.is_object() || !sheet.value("cells", Json()).is_array()) {
            throw detail::unreadable(subject, "it has no cells");
        }
        for (const Json& cell : sheet["cells"]) {
            detail::read_cell(document, cell, static_cast<int>(format), subject, ++number);
        }
    }
    return document;
}

}  // namespace fairing::notebook
