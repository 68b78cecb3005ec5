// fairing/net/message.hpp - an HTTP request and its answer (RFC 9110), as values.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <utility>

#include "../core/secret.hpp"

namespace fairing::net {

using BodySink = std::function<void(std::span<const std::byte>)>;

/// A request body that can be sent again: every call of `write` gives the same bytes. One of
/// `unknown_size` is sent in chunks (RFC 9112, 7.1).
struct Body {
    static constexpr std::uint64_t unknown_size = ~std::uint64_t{0};

    std::uint64_t size = 0;
    std::function<void(const BodySink&)> write = {};

    /// The bytes of `text`, copied once and shared by all copies of the body.
    [[nodiscard]] static Body of(std::string text) {
        const auto size = static_cast<std::uint64_t>(text.size());
        return {.size = size, .write = [text = std::move(text)](const BodySink& sink) {
                    sink(std::as_bytes(std::span{text}));
                }};
    }
};

using Headers = std::multimap<std::string, std::string>;

struct Response {
    int status = 0;
    Headers headers = {};
    std::string body = {};
};

struct Request {
    std::string method = "GET";
    std::string url = {};  ///< http, https, or http+unix://%2Fpath%2Fto%2Fsocket/path
    Headers headers = {};
    Body body = {};
    /// The whole exchange; zero means no limit beyond `idle_timeout`.
    std::chrono::milliseconds deadline = {};
    /// Without one byte received or sent.
    std::chrono::milliseconds idle_timeout = std::chrono::seconds{60};
    /// A longer answer than this in Response::body is an Error; what goes to a sink is not counted.
    /// Of an answer that is no success only the first 64 KiB are kept: they are for the message.
    std::uint64_t max_body = std::uint64_t{4} << 20;
    /// Called with status and headers of an answer, before its body goes to the sink; what it
    /// throws ends the exchange. A transport that does not call it is never asked for a part of a
    /// body.
    std::function<void(const Response&)> on_head = {};
};

/// Who we are to a TLS peer that asks: PEM, the certificate first and then its chain.
struct ClientCertificate {
    std::string chain = {};
    Secret key = {};
};

/// The first header of that name, compared without case (RFC 9110, 5.1); empty when there is none.
[[nodiscard]] inline std::string header(const Headers& headers, const std::string& name) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    for (const auto& [key, value] : headers) {
        if (key.size() == name.size() &&
            std::equal(key.begin(), key.end(), name.begin(),
                       [&](char a, char b) { return lower(a) == lower(b); })) {
            return value;
        }
    }
    return {};
}

}  // namespace fairing::net
