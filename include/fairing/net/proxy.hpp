// fairing/net/proxy.hpp - which HTTP proxy stands before which peer (RFC 9110, 3.7 and 9.3.6), and
// HTTP_PROXY, HTTPS_PROXY and NO_PROXY as Go and curl read them.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "../codec/base64.hpp"
#include "../core/env.hpp"
#include "../core/secret.hpp"
#include "url.hpp"

namespace fairing::net {

/// Where requests go first.
struct Proxy {
    Url url = {};
    std::string authorization = {};  ///< the value of Proxy-Authorization, or empty

    /// Throws Error{input}, in which no password is shown.
    [[nodiscard]] static Proxy parse(const std::string& text) {
        const std::size_t begin = std::min(text.find("//"), text.size() - 1) + 2;
        const std::size_t end = std::min(text.find('/', begin), text.size());
        const std::size_t at = text.substr(0, end).rfind('@');
        if (!text.starts_with("http://")) {
            throw detail::bad_url(text, "a proxy is given as http://host:port");
        }
        if (at == std::string::npos) {
            return {.url = parse_url(text)};
        }
        const std::string user = detail::percent_decode(text.substr(begin, at - begin), text);
        return {.url = parse_url(text.substr(0, begin) + text.substr(at + 1)),
                .authorization =
                    "Basic " +
                    codec::base64_encode(user.find(':') == std::string::npos ? user + ':' : user)};
    }
    [[nodiscard]] std::string header() const {
        return authorization.empty() ? "" : "Proxy-Authorization: " + authorization + "\r\n";
    }
};

namespace detail {

/// The bytes of an address, four or sixteen; an IPv4 address within IPv6 as four.
[[nodiscard]] inline std::string address_bytes(const std::string& text) {
    std::array<char, 16> bytes{};
    if (::inet_pton(AF_INET, text.c_str(), bytes.data()) == 1) {
        return {bytes.data(), 4};
    }
    if (::inet_pton(AF_INET6, text.c_str(), bytes.data()) != 1) {
        return {};
    }
    constexpr std::string_view mapped{"\0\0\0\0\0\0\0\0\0\0\xff\xff", 12};
    const std::string all{bytes.data(), bytes.size()};
    return all.starts_with(mapped) ? all.substr(12) : all;
}

/// Whether `address` is in "10.0.0.0/8".
[[nodiscard]] inline bool in_network(const std::string& address, std::string_view network) {
    const std::size_t slash = network.find('/');
    const std::string base = address_bytes(std::string{network.substr(0, slash)});
    const std::string_view digits = network.substr(slash + 1);
    std::size_t bits = 0;
    const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
    if (failure != std::errc{} || end != digits.data() + digits.size() || base.empty() ||
        base.size() != address.size() || bits > base.size() * 8) {
        return false;
    }
    for (std::size_t bit = 0; bit < bits; ++bit) {
        const int difference = base[bit / 8] ^ address[bit / 8];
        if ((difference >> (7 - bit % 8) & 1) != 0) {
            return false;
        }
    }
    return true;
}

/// Whether one entry of NO_PROXY means this peer.
[[nodiscard]] inline bool is_exception(std::string_view entry, const Url& url) {
    if (entry == "*") {
        return true;
    }
    const std::string address = address_bytes(url.host);
    if (entry.find('/') != std::string_view::npos) {
        return !address.empty() && in_network(address, entry);
    }
    if (address_bytes(std::string{entry}).empty()) {  // else an IPv6 address is full of colons
        if (const std::size_t colon = entry.rfind(':'); colon != std::string_view::npos) {
            if (entry.substr(colon + 1) != std::to_string(url.port)) {
                return false;
            }
            entry = entry.substr(0, colon);
        }
        if (entry.size() > 2 && entry.front() == '[' && entry.back() == ']') {
            entry = entry.substr(1, entry.size() - 2);
        }
    }
    if (const std::string same = address_bytes(std::string{entry}); !same.empty()) {
        return same == address;
    }
    if (entry.starts_with("*.")) {
        entry.remove_prefix(1);
    }
    std::string name{entry};
    std::transform(name.begin(), name.end(), name.begin(), lower);
    if (name.empty() || !address.empty()) {
        return false;
    }
    return name.front() == '.' ? url.host.ends_with(name)
                               : url.host == name || url.host.ends_with('.' + name);
}

}  // namespace detail

/// Proxies by the scheme of the peer. This machine is never asked for through one.
struct ProxySettings {
    Secret http = {};   ///< "[http://][user:password@]host[:port]"; empty: none
    Secret https = {};  ///< the same for peers that are spoken to with TLS, through a tunnel
    /// By commas: "*", or names with all below them, ".domains" without the name itself, addresses,
    /// networks ("10.0.0.0/8"), each but the networks with a ":port" where it is meant.
    std::string exceptions = {};

    /// Empty: none.
    [[nodiscard]] Secret proxy_for(const Url& url) const {
        const Secret& chosen = url.is_tls() ? https : http;
        if (chosen.empty() || is_loopback(url)) {
            return {};
        }
        for (std::string_view rest = exceptions; !rest.empty();) {
            const std::size_t comma = std::min(rest.find(','), rest.size());
            std::string_view entry = rest.substr(0, comma);
            rest.remove_prefix(std::min(comma + 1, rest.size()));
            while (entry.starts_with(' ')) {
                entry.remove_prefix(1);
            }
            while (entry.ends_with(' ')) {
                entry.remove_suffix(1);
            }
            if (detail::is_exception(entry, url)) {
                return {};
            }
        }
        const bool has_scheme = chosen.reveal().find("://") != std::string::npos;
        return has_scheme ? chosen : Secret{"http://" + chosen.reveal()};
    }
};

/// What the environment says. Names in lower case come first; HTTP_PROXY is not believed in a CGI
/// program, where a client sets it (CVE-2016-5385).
[[nodiscard]] inline ProxySettings environment_proxies() {
    const auto either = [](const char* small, const char* large) {
        std::string value = env(small, "");
        return value.empty() && large != nullptr ? env(large, "") : value;
    };
    const bool is_cgi = env("REQUEST_METHOD").has_value();
    return {.http = Secret{either("http_proxy", is_cgi ? nullptr : "HTTP_PROXY")},
            .https = Secret{either("https_proxy", "HTTPS_PROXY")},
            .exceptions = either("no_proxy", "NO_PROXY")};
}

}  // namespace fairing::net
