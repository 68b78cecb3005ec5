// fairing/net/url.hpp - http, https and http+unix URLs (RFC 3986), kept byte for byte.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "../core/error.hpp"
#include "redact.hpp"

namespace fairing::net {

/// An absolute URL in parts. Of http+unix the host is the socket's path, and the port is 0.
struct Url {
    std::string scheme = {};   ///< "http", "https" or "http+unix"
    std::string host = {};     ///< lower-case; an IPv6 address without its brackets
    std::uint16_t port = 0;    ///< always stated, 80 and 443 too
    std::string target = "/";  ///< path and query exactly as they were written; no fragment

    [[nodiscard]] bool is_unix() const noexcept { return scheme == "http+unix"; }
    [[nodiscard]] bool is_tls() const noexcept { return scheme == "https"; }
    /// "host", "host:5000" or "[::1]:5000": the Host header; the port only when it is not the
    /// scheme's own.
    [[nodiscard]] std::string authority() const {
        if (is_unix()) {
            return "localhost";
        }
        std::string result = host.find(':') == std::string::npos ? host : '[' + host + ']';
        if (port != (is_tls() ? 443 : 80)) {
            result += ':' + std::to_string(port);
        }
        return result;
    }
    /// "https://host:5000": what credentials are bound to.
    [[nodiscard]] std::string origin() const;
    [[nodiscard]] std::string text() const { return origin() + target; }
};

/// `text` with everything but unreserved characters (RFC 3986, 2.3) as %XX: a path segment or a
/// query value.
[[nodiscard]] inline std::string percent_encode(std::string_view text) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string result;
    for (const char c : text) {
        const bool unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                                (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
                                c == '~';
        if (unreserved) {
            result += c;
        } else {
            const auto byte = static_cast<unsigned char>(c);
            result += {'%', digits[byte >> 4U], digits[byte & 15U]};
        }
    }
    return result;
}

inline std::string Url::origin() const {
    return scheme + "://" + (is_unix() ? percent_encode(host) : authority());
}

/// Scheme, host and port are equal (RFC 6454, section 4).
[[nodiscard]] inline bool same_origin(const Url& a, const Url& b) noexcept {
    return a.scheme == b.scheme && a.host == b.host && a.port == b.port;
}

/// Whether the host names this machine: localhost, 127.0.0.0/8 or ::1.
[[nodiscard]] inline bool is_loopback(const Url& url) noexcept {
    const std::string& host = url.host;
    return url.is_unix() || host == "localhost" || host == "::1" ||
           (host.starts_with("127.") &&
            host.find_first_not_of("0123456789.") == std::string::npos &&
            std::count(host.begin(), host.end(), '.') == 3);
}

namespace detail {

[[nodiscard]] inline Error bad_url(std::string_view text, std::string answer) {
    return Error{ErrorCode::input,
                 {.attempted = "use URL",
                  .subject = '"' + redact_url(text) + '"',
                  .answer = std::move(answer)}};
}

[[nodiscard]] constexpr bool is_url_character(char c) noexcept {
    return c > 0x20 && c < 0x7f && c != '"' && c != '<' && c != '>' && c != '\\';
}

[[nodiscard]] constexpr char lower(char c) noexcept {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

[[nodiscard]] constexpr int hex_value(char c) noexcept {
    return c >= '0' && c <= '9'                 ? c - '0'
           : lower(c) >= 'a' && lower(c) <= 'f' ? lower(c) - 'a' + 10
                                                : -1;
}

[[nodiscard]] inline std::string percent_decode(std::string_view text, std::string_view url) {
    std::string result;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            result += text[i];
            continue;
        }
        const int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
        const int low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
        if (high < 0 || low < 0 || high * 16 + low == 0) {
            throw bad_url(url, "a % that is not followed by two hex digits of a non-zero byte");
        }
        result += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return result;
}

/// The path of RFC 3986, 5.2.4: without "." and ".." segments.
[[nodiscard]] inline std::string remove_dot_segments(std::string_view path) {
    std::string result;
    while (!path.empty()) {
        if (path.starts_with("/./") || path == "/.") {
            path = path == "/." ? "/" : path.substr(2);
        } else if (path.starts_with("/../") || path == "/..") {
            path = path == "/.." ? "/" : path.substr(3);
            const std::size_t slash = result.rfind('/');
            result.resize(slash == std::string::npos ? 0 : slash);
        } else {
            const std::size_t next = path.find('/', 1);
            result += path.substr(0, next);
            path = next == std::string_view::npos ? std::string_view{} : path.substr(next);
        }
    }
    return result;
}

[[nodiscard]] inline std::uint16_t parse_port(std::string_view digits, std::string_view url) {
    unsigned value = 0;
    for (const char digit : digits) {
        if (digit < '0' || digit > '9' || value > 65535) {
            throw bad_url(url, "the port is not a number from 1 to 65535");
        }
        value = value * 10 + static_cast<unsigned>(digit - '0');
    }
    if (value == 0 || value > 65535) {
        throw bad_url(url, "the port is not a number from 1 to 65535");
    }
    return static_cast<std::uint16_t>(value);
}

/// Host and port of `authority` into `url`, whose scheme is set.
inline void parse_authority(Url& url, std::string_view authority, std::string_view text) {
    if (authority.find('@') != std::string_view::npos) {
        throw bad_url(text, "it holds a user or password, which does not belong into a URL");
    }
    if (url.is_unix()) {
        url.host = percent_decode(authority, text);
        if (!url.host.starts_with('/') || url.host.size() > 107) {
            throw bad_url(text, "the socket is not an absolute path of at most 107 bytes");
        }
        return;
    }
    std::string_view rest;
    if (authority.starts_with('[')) {
        const std::size_t close = authority.find(']');
        url.host = authority.substr(1, close == std::string_view::npos ? 0 : close - 1);
        if (url.host.find_first_not_of("0123456789abcdefABCDEF:.") != std::string::npos ||
            url.host.find(':') == std::string::npos) {
            throw bad_url(text, "the host in brackets is not an IPv6 address");
        }
        rest = authority.substr(close + 1);
    } else {
        const std::size_t colon = std::min(authority.find(':'), authority.size());
        url.host = authority.substr(0, colon);
        rest = authority.substr(colon);
        if (url.host.empty() || url.host.size() > 253 ||
            !std::all_of(url.host.begin(), url.host.end(), [](char c) {
                return (lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '.' || c == '_';
            })) {
            throw bad_url(text, "the host is not a name or an address");
        }
    }
    std::transform(url.host.begin(), url.host.end(), url.host.begin(), lower);
    url.port = url.is_tls() ? 443 : 80;
    if (!rest.empty()) {
        if (rest.front() != ':') {
            throw bad_url(text, "the host is followed by something that is not a port");
        }
        if (rest.size() > 1) {
            url.port = parse_port(rest.substr(1), text);
        }
    }
}

/// The scheme in front of the first colon, in lower case; empty when `text` has none (RFC
/// 3986, 3.1).
[[nodiscard]] inline std::string scheme_of(std::string_view text) {
    const std::size_t end = text.find_first_of(":/?#");
    if (end == std::string_view::npos || end == 0 || text[end] != ':') {
        return {};
    }
    std::string scheme{text.substr(0, end)};
    std::transform(scheme.begin(), scheme.end(), scheme.begin(), lower);
    const bool valid =
        scheme[0] >= 'a' && scheme[0] <= 'z' &&
        scheme.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789+-.") == std::string::npos;
    return valid ? scheme : std::string{};
}

}  // namespace detail

/// An absolute URL. Throws Error{input}, in which no secret of the URL is shown.
[[nodiscard]] inline Url parse_url(std::string_view text) {
    if (text.size() > 16384 || !std::all_of(text.begin(), text.end(), detail::is_url_character)) {
        throw detail::bad_url(text, "it is too long or holds characters that must be encoded");
    }
    Url url;
    url.scheme = detail::scheme_of(text);
    if (url.scheme != "http" && url.scheme != "https" && !url.is_unix()) {
        throw detail::bad_url(text, "it does not begin with http://, https:// or http+unix://");
    }
    std::string_view rest = text.substr(url.scheme.size() + 1);
    if (!rest.starts_with("//")) {
        throw detail::bad_url(text, "it has no host");
    }
    rest.remove_prefix(2);
    rest = rest.substr(0, rest.find('#'));
    const std::size_t end = std::min(rest.find_first_of("/?"), rest.size());
    detail::parse_authority(url, rest.substr(0, end), text);
    url.target = rest.substr(end);
    if (!url.target.starts_with('/')) {
        url.target.insert(0, "/");
    }
    return url;
}

/// What `reference` (a Location header) means in an answer to `base` (RFC 3986, 5.2.2). The query
/// is kept byte for byte. Throws Error{input} like parse_url().
[[nodiscard]] inline Url resolve(const Url& base, std::string_view reference) {
    if (!std::all_of(reference.begin(), reference.end(), detail::is_url_character)) {
        throw detail::bad_url(reference, "it holds characters that must be encoded");
    }
    reference = reference.substr(0, reference.find('#'));
    Url url = base;
    std::string_view base_path = base.target;
    base_path = base_path.substr(0, base_path.find('?'));
    if (!detail::scheme_of(reference).empty()) {
        url = parse_url(reference);
    } else if (reference.starts_with("//")) {
        url = parse_url(base.scheme + ':' + std::string{reference});
    } else if (reference.starts_with('?')) {
        url.target = std::string{base_path} + std::string{reference};
        return url;
    } else if (reference.empty()) {
        return url;
    } else if (reference.starts_with('/')) {
        url.target = reference;
    } else {
        url.target = std::string{base_path.substr(0, base_path.rfind('/') + 1)};
        url.target += reference;
    }
    const std::size_t question = std::min(url.target.find('?'), url.target.size());
    std::string path =
        detail::remove_dot_segments(std::string_view{url.target}.substr(0, question));
    if (!path.starts_with('/')) {
        path.insert(0, "/");
    }
    url.target = path + url.target.substr(question);
    return url;
}

}  // namespace fairing::net
