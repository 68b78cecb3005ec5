// fairing/core/json_text.hpp - reading and writing JSON (RFC 8259) without surprises.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "error.hpp"

namespace fairing {

/// Member `key` of `object` as text, or `fallback` when the member is absent or not a string.
[[nodiscard]] inline std::string text_or(const Json& object, const char* key,
                                         std::string fallback = {}) {
    if (!object.is_object()) {
        return fallback;
    }
    const auto member = object.find(key);
    return member != object.end() && member->is_string() ? member->get<std::string>()
                                                         : std::move(fallback);
}

/// Whether arrays and objects are nested deeper than any document of ours: copying such a value
/// would use up the stack.
[[nodiscard]] inline bool is_too_deep(std::string_view text) noexcept {
    constexpr std::size_t deepest = 256;
    std::size_t depth = 0;
    bool in_string = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (in_string) {
            i += c == '\\' ? 1 : 0;
            in_string = c != '"';
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            if (++depth > deepest) {
                return true;
            }
        } else if ((c == ']' || c == '}') && depth > 0) {
            --depth;
        }
    }
    return false;
}

/// The document in `text`. Throws Error{input} that names `subject` and the byte where reading
/// stopped, and never quotes the text: it may hold credentials.
[[nodiscard]] inline Json parse_json(std::string_view text, const std::string& subject) {
    if (is_too_deep(text)) {
        throw Error{ErrorCode::input,
                    {.attempted = "read",
                     .subject = subject,
                     .answer = "its JSON is nested more than 256 levels deep"}};
    }
    try {
        return Json::parse(text);
    } catch (const Json::exception& error) {
        const auto* at = dynamic_cast<const Json::parse_error*>(&error);
        throw Error{ErrorCode::input,
                    {.attempted = "read",
                     .subject = subject,
                     .answer = "not valid JSON" +
                               (at != nullptr ? " at byte " + std::to_string(at->byte) : "")}};
    }
}

/// `document` as text. Throws Error{input}, "cannot ATTEMPTED SUBJECT", that names a member whose
/// text is not UTF-8, and never quotes it: it may be a credential.
[[nodiscard]] inline std::string dump_json(const Json& document, const std::string& attempted,
                                           const std::string& subject) {
    try {
        return document.dump();
    } catch (const Json::type_error&) {
        const auto is_text = [](const Json& member) {
            try {
                return !member.dump().empty();
            } catch (const Json::type_error&) {
                return false;
            }
        };
        const Json members = document.flatten();
        std::string name;
        for (auto each = members.begin(); each != members.end() && name.empty(); ++each) {
            if (!is_text({each.key(), each.value()})) {
                name = Json(each.key()).dump(-1, ' ', false, Json::error_handler_t::replace);
            }
        }
        throw Error{ErrorCode::input,
                    {.attempted = attempted,
                     .subject = subject,
                     .answer = "the JSON's " + name + " is not UTF-8"}};
    }
}

}  // namespace fairing
