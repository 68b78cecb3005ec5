// fairing/net/validation.hpp - what may go onto the wire (RFC 9110, sections 5 and 9; RFC 9112,
// section 3): nothing with a line break in it, and no header that would contradict how the body is
// framed.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include "../core/error.hpp"
#include "message.hpp"
#include "url.hpp"

namespace fairing::net {

/// Whether `text` is a token: a method, or the name of a header.
[[nodiscard]] constexpr bool is_token(std::string_view text) noexcept {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view{"!#$%&'*+-.^_`|~"}.find(c) != std::string_view::npos;
    });
}

/// Whether `text` may be the value of a header: no control characters, no white space at either
/// end.
[[nodiscard]] constexpr bool is_header_value(std::string_view text) noexcept {
    if (!text.empty() && (text.front() == ' ' || text.front() == '\t' || text.back() == ' ' ||
                          text.back() == '\t')) {
        return false;
    }
    return std::all_of(text.begin(), text.end(), [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
    });
}

/// The URL of a request that may be sent. Throws Error{usage} that names the part that may not, and
/// Error{input} for a URL that is none. Values of headers are never quoted.
inline Url validate(const Request& request) {
    const auto refuse = [&request](std::string answer) {
        return Error{ErrorCode::usage,
                     {.attempted = "send request to",
                      .subject = redact_url(request.url),
                      .answer = std::move(answer)}};
    };
    Url url = parse_url(request.url);
    if (!is_token(request.method) || request.method == "CONNECT") {
        throw refuse("\"" + printable(request.method, 40) + "\" is no method that we send");
    }
    for (const auto& [name, value] : request.headers) {
        if (!is_token(name)) {
            throw refuse("\"" + printable(name, 100) + "\" is not the name of a header");
        }
        if (!is_header_value(value)) {
            throw refuse("the value of header " + name + " holds control characters");
        }
        std::string lower = name;
        std::transform(lower.begin(), lower.end(), lower.begin(), detail::lower);
        if (lower == "transfer-encoding" || lower == "connection" || lower == "expect" ||
            (lower == "content-length" && value != std::to_string(request.body.size))) {
            throw refuse("header " + name + " is set by the transport");
        }
    }
    if (request.body.size > 0 && !request.body.write) {
        throw refuse("a body of " +
                     (request.body.size == Body::unknown_size
                          ? "unknown size"
                          : std::to_string(request.body.size) + " bytes") +
                     " that can not be written");
    }
    return url;
}

}  // namespace fairing::net
