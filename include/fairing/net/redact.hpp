// fairing/net/redact.hpp - URLs, headers and foreign text made safe for logs and errors, by
// allowlist.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace fairing::net {

/// `text` on one line and at most `limit` bytes: control characters become '?', what is cut off
/// becomes "…".
[[nodiscard]] inline std::string printable(std::string_view text, std::size_t limit = 300) {
    std::string shown;
    for (const char c : text.substr(0, limit)) {
        const auto byte = static_cast<unsigned char>(c);
        shown += byte < 0x20 || byte == 0x7f ? '?' : c;
    }
    return text.size() > limit ? shown + "…" : shown;
}

/// A URL without user information and fragment, and with the values of all query parameters hidden
/// but those that are known to hold no secret. The text need not be a valid URL.
[[nodiscard]] inline std::string redact_url(std::string_view url) {
    constexpr std::array<std::string_view, 8> shown = {"digest", "mount",   "from", "service",
                                                       "scope",  "version", "tag",  "platform"};
    url = url.substr(0, url.find('#'));
    const std::size_t question = url.find('?');
    const std::string_view path = url.substr(0, question);
    std::string result;
    const std::size_t scheme_end = path.find("//");
    const std::size_t authority = scheme_end == std::string_view::npos ? 0 : scheme_end + 2;
    const std::size_t authority_end = std::min(path.find('/', authority), path.size());
    const std::size_t user_end = path.substr(0, authority_end).rfind('@');
    if (user_end != std::string_view::npos && user_end >= authority) {
        result = std::string{path.substr(0, authority)} + "***@";
        result += path.substr(user_end + 1);
    } else {
        result = path;
    }
    if (question != std::string_view::npos) {
        std::string_view query = url.substr(question + 1);
        char separator = '?';
        while (!query.empty()) {
            const std::string_view parameter = query.substr(0, query.find('&'));
            query.remove_prefix(std::min(parameter.size() + 1, query.size()));
            const std::size_t equals = parameter.find('=');
            const std::string_view name = parameter.substr(0, equals);
            result += separator;
            separator = '&';
            if (std::find(shown.begin(), shown.end(), name) != shown.end()) {
                result += parameter;
            } else if (equals == std::string_view::npos) {
                result += "***";
            } else {
                result += std::string{name} + "=***";
            }
        }
    }
    return printable(result, 1000);
}

/// "name: value", or "name: ***" unless the header is known to hold no secret.
[[nodiscard]] inline std::string redact_header(std::string_view name, std::string_view value) {
    constexpr std::array<std::string_view, 19> shown = {"accept",
                                                        "connection",
                                                        "content-length",
                                                        "content-range",
                                                        "content-type",
                                                        "date",
                                                        "digest",
                                                        "etag",
                                                        "docker-content-digest",
                                                        "host",
                                                        "last-modified",
                                                        "docker-distribution-api-version",
                                                        "range",
                                                        "retry-after",
                                                        "server",
                                                        "transfer-encoding",
                                                        "user-agent",
                                                        "vary",
                                                        "docker-upload-uuid"};
    std::string lower{name};
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    std::string result = printable(name, 100) + ": ";
    if (std::find(shown.begin(), shown.end(), lower) != shown.end()) {
        return result + printable(value);
    }
    return result + (lower == "location" ? redact_url(value) : "***");
}

}  // namespace fairing::net
