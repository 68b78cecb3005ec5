// fairing/kube/names.hpp - what Kubernetes takes for a name or a label (RFC 1123, RFC 1035, and the
// API conventions), so that a wrong one is refused here and not by a request.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "../core/error.hpp"

namespace fairing::kube {

namespace detail {

[[nodiscard]] constexpr bool is_lower(char c) noexcept { return c >= 'a' && c <= 'z'; }
[[nodiscard]] constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
[[nodiscard]] constexpr bool is_lower_or_digit(char c) noexcept {
    return is_lower(c) || is_digit(c);
}
[[nodiscard]] constexpr bool is_alphanumeric(char c) noexcept {
    return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z');
}

/// A foreign text between quotes, safe to print.
[[nodiscard]] inline std::string quoted(std::string_view text) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string result = "\"";
    for (const char c : text.substr(0, 300)) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte >= 0x7f) {
            result += {'\\', 'x', digits[byte >> 4U], digits[byte & 15U]};
        } else {
            result += c;
        }
    }
    return result + (text.size() > 300 ? "...\"" : "\"");
}

/// The characters of a label's value or of a key's name: letters and digits at both ends.
[[nodiscard]] constexpr bool is_label_text(std::string_view text) noexcept {
    return !text.empty() && text.size() <= 63 && is_alphanumeric(text.front()) &&
           is_alphanumeric(text.back()) && std::all_of(text.begin(), text.end(), [](char c) {
               return is_alphanumeric(c) || c == '-' || c == '_' || c == '.';
           });
}

}  // namespace detail

/// RFC 1123 label: at most 63 of a-z, 0-9 and '-', which stands at neither end.
[[nodiscard]] constexpr bool is_dns_label(std::string_view text) noexcept {
    return !text.empty() && text.size() <= 63 && detail::is_lower_or_digit(text.front()) &&
           detail::is_lower_or_digit(text.back()) &&
           std::all_of(text.begin(), text.end(),
                       [](char c) { return detail::is_lower_or_digit(c) || c == '-'; });
}

/// RFC 1035 label: the same, and begins with a letter. Services and TrainJobs want it.
[[nodiscard]] constexpr bool is_dns_1035_label(std::string_view text) noexcept {
    return is_dns_label(text) && detail::is_lower(text.front());
}

/// RFC 1123 subdomain: labels with dots between them, at most 253 characters.
[[nodiscard]] constexpr bool is_dns_subdomain(std::string_view text) noexcept {
    if (text.empty() || text.size() > 253) {
        return false;
    }
    for (std::string_view rest = text;;) {
        const std::size_t dot = rest.find('.');
        const std::string_view label = rest.substr(0, dot);
        if (label.empty() || !detail::is_lower_or_digit(label.front()) ||
            !detail::is_lower_or_digit(label.back()) ||
            !std::all_of(label.begin(), label.end(),
                         [](char c) { return detail::is_lower_or_digit(c) || c == '-'; })) {
            return false;
        }
        if (dot == std::string_view::npos) {
            return true;
        }
        rest.remove_prefix(dot + 1);
    }
}

/// A label's value: empty, or at most 63 letters, digits, '-', '_' and '.'.
[[nodiscard]] constexpr bool is_label_value(std::string_view text) noexcept {
    return text.empty() || detail::is_label_text(text);
}

/// The key of a label or an annotation: NAME or SUBDOMAIN/NAME.
[[nodiscard]] constexpr bool is_qualified_name(std::string_view text) noexcept {
    const std::size_t slash = text.find('/');
    return slash == std::string_view::npos ? detail::is_label_text(text)
                                           : is_dns_subdomain(text.substr(0, slash)) &&
                                                 detail::is_label_text(text.substr(slash + 1));
}

/// Throws Error{usage} unless `name` is an RFC 1123 label; `what` is "Job name", "namespace", ….
inline void check_dns_label(const std::string& what, std::string_view name) {
    if (is_dns_label(name)) {
        return;
    }
    throw Error{ErrorCode::usage,
                {.attempted = "use " + what,
                 .subject = detail::quoted(name),
                 .answer = name.empty()       ? "it is empty"
                           : name.size() > 63 ? "it has " + std::to_string(name.size()) +
                                                    " characters, and 63 are allowed"
                                              : "not a name that Kubernetes takes",
                 .advice = "use a-z, 0-9 and '-', a letter or digit at both ends (RFC 1123)"}};
}

/// The same for an RFC 1035 label: of Services, and of kinds whose pods are found through one.
inline void check_dns_1035_label(const std::string& what, std::string_view name) {
    check_dns_label(what, name);
    if (!is_dns_1035_label(name)) {
        throw Error{ErrorCode::usage,
                    {.attempted = "use " + what,
                     .subject = detail::quoted(name),
                     .answer = "it does not begin with a letter",
                     .advice = "use a-z, 0-9 and '-', a letter first (RFC 1035)"}};
    }
}

/// The same for names that may hold dots: secrets, service accounts, volume claims, nodes.
inline void check_dns_subdomain(const std::string& what, std::string_view name) {
    if (!is_dns_subdomain(name)) {
        throw Error{ErrorCode::usage,
                    {.attempted = "use " + what,
                     .subject = detail::quoted(name),
                     .answer = name.empty() ? "it is empty" : "not a name that Kubernetes takes",
                     .advice = "use at most 253 of a-z, 0-9, '-' and '.' (RFC 1123 subdomain)"}};
    }
}

/// Throws Error{usage} unless `key` may name a label or an annotation (`what`).
inline void check_key(const std::string& what, std::string_view key) {
    if (!is_qualified_name(key)) {
        throw Error{ErrorCode::usage,
                    {.attempted = "use " + what,
                     .subject = detail::quoted(key),
                     .answer = "not a key that Kubernetes takes",
                     .advice = "use NAME or DOMAIN/NAME, at most 63 letters, digits, '-', '_' and "
                               "'.' for the name"}};
    }
}

/// Throws Error{usage} unless this may be a label.
inline void check_label(std::string_view key, std::string_view value) {
    check_key("label", key);
    if (!is_label_value(value)) {
        throw Error{ErrorCode::usage,
                    {.attempted = "use label " + std::string{key},
                     .subject = detail::quoted(value),
                     .answer = value.size() > 63 ? "its value has " + std::to_string(value.size()) +
                                                       " characters, and 63 are allowed"
                                                 : "not a value that Kubernetes takes",
                     .advice = "use letters, digits, '-', '_' and '.', a letter or digit at both "
                               "ends; longer texts belong into an annotation"}};
    }
}

}  // namespace fairing::kube
