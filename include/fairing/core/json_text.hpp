// fairing/core/json_text.hpp - reading JSON (RFC 8259) without surprises.
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

/// The document in `text`. Throws Error{input} that names `subject` and the byte where reading stopped, and never
/// quotes the text: it may hold credentials.
[[nodiscard]] inline Json parse_json(std::string_view text, const std::string& subject) {
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

}  // namespace fairing
