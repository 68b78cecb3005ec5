// fairing/net/httplib_call.hpp - one request on one connection: its head and body on the wire, the
// framing and the limits of the answer, and what a failure means.
#pragma once

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <iterator>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include "../core/error.hpp"
#include "httplib.hpp"
#include "httplib_connection.hpp"
#include "message.hpp"
#include "proxy.hpp"
#include "redact.hpp"
#include "status.hpp"
#include "transport.hpp"
#include "url.hpp"

namespace fairing::net::detail {
inline namespace FAIRING_ABI {

/// How a call came to its end: by itself, or aborted by us.
enum class End { own, stopped, expired };

/// One request on one connection: what cpp-httplib calls back, and what its outcome means.
class Call {
public:
    Call(const Request& request, const Url& url, const BodySink& sink, const Proxy* proxy)
        : request_(request),
          url_(url),
          sink_(sink),
          proxy_(proxy),
          active_(std::chrono::steady_clock::now()) {
        wire_.method = request.method;
        wire_.path = "/";
        wire_.headers.emplace("Host", url.authority());
        wire_.headers.emplace("Accept", "*/*");
        wire_.headers.emplace("Expect", "");  // none, and cpp-httplib does not add its own
        wire_.response_handler = [this](const httplib::Response& head) { return begin(head); };
        wire_.content_receiver = [this](const char* data, std::size_t size, std::size_t,
                                        std::size_t) { return receive(data, size); };
        if (request.body.size == Body::unknown_size) {
            wire_.is_chunked_content_provider_ = true;
            wire_.content_provider_ = [this](std::size_t, std::size_t, httplib::DataSink& out) {
                const bool written = write_body(out);
                if (written) {
                    out.done();
                }
                return written;
            };
        } else if (request.body.size > 0) {
            wire_.content_length_ = static_cast<std::size_t>(request.body.size);
            wire_.content_provider_ = [this](std::size_t offset, std::size_t,
                                             httplib::DataSink& out) {
                return offset == 0 && write_body(out);
            };
        }
    }

    /// Whether a usable answer came.
    bool run(Connection& connection) {
        httplib::Error error = httplib::Error::Success;
        complete_ = connection.send(wire_, answer_, error, head(), request_.idle_timeout) &&
                    error != httplib::Error::ProxyConnection;
        error_ = error;
        return complete_;
    }
    /// The answer, or the Error that there is instead.
    [[nodiscard]] Response outcome(const Connection& connection, End end) {
        if (failure_) {
            std::rethrow_exception(failure_);
        }
        const bool early = !body_written_ && answer_.status >= 300 && answer_.status <= 599;
        if (complete_ || (end == End::own && (cut_ || early))) {
            return result();
        }
        if (end == End::stopped) {
            throw Cancelled{
                ErrorCode::cancelled,
                {.attempted = "reach", .subject = peer(), .answer = "stopped on request"}};
        }
        if (end == End::expired) {
            throw refuse(ErrorCode::timeout, "no complete answer within " +
                                                 std::to_string(request_.deadline.count()) + " ms");
        }
        throw broken(connection);
    }
    /// Whether nothing was sent because no connection could be made: another address may do.
    [[nodiscard]] bool unconnected(const Connection& connection) const noexcept {
        return !complete_ && !connection.head_written() &&
               (error_ == httplib::Error::Connection ||
                error_ == httplib::Error::ConnectionTimeout);
    }
    /// Whether the connection can carry another request.
    [[nodiscard]] bool clean() const noexcept { return complete_ && body_written_; }

private:
    /// Unwinds Body::write when the connection is gone.
    struct Gone {};

    [[nodiscard]] std::string peer() const {
        return redact_url(url_.origin()) +
               (proxy_ == nullptr ? "" : " through proxy " + redact_url(proxy_->url.origin()));
    }
    [[nodiscard]] Error refuse(ErrorCode code, std::string answer) const {
        return Error{code, {.attempted = "reach", .subject = peer(), .answer = std::move(answer)}};
    }

    /// The request line and the headers.
    [[nodiscard]] std::string head() const {
        const bool is_forwarded = proxy_ != nullptr && !url_.is_tls();
        std::string text = request_.method + ' ' + (is_forwarded ? url_.origin() : "") +
                           url_.target + " HTTP/1.1\r\n" + (is_forwarded ? proxy_->header() : "");
        const auto add = [&](const char* name, const std::string& value) {
            if (header(request_.headers, name).empty()) {
                text += std::string{name} + ": " + value + "\r\n";
            }
        };
        add("Host", url_.authority());
        add("User-Agent", std::string{"fairing/"} + version);
        add("Accept", "*/*");
        const std::string& method = request_.method;
        if (request_.body.size == Body::unknown_size) {
            text += "Transfer-Encoding: chunked\r\n";
        } else if (request_.body.size > 0 || method == "POST" || method == "PUT" ||
                   method == "PATCH") {
            add("Content-Length", std::to_string(request_.body.size));
        }
        for (const auto& [name, value] : request_.headers) {
            text += name;
            text += ": ";
            text += value;
            text += "\r\n";
        }
        return text + "\r\n";
    }

    bool write_body(httplib::DataSink& out) {
        std::uint64_t written = 0;
        body_written_ = false;
        try {
            request_.body.write([&](std::span<const std::byte> bytes) {
                written += bytes.size();
                if (written > request_.body.size) {
                    throw refuse(ErrorCode::internal,
                                 "a request body longer than it was said to be");
                }
                if (!bytes.empty() &&
                    !out.write(reinterpret_cast<const char*>(bytes.data()), bytes.size())) {
                    throw Gone{};
                }
                active_ = std::chrono::steady_clock::now();
            });
            if (written != request_.body.size && request_.body.size != Body::unknown_size) {
                throw refuse(ErrorCode::internal, "a request body shorter than it was said to be");
            }
        } catch (const Gone&) {
            return false;
        } catch (...) {
            failure_ = std::current_exception();
            return false;
        }
        body_written_ = true;
        return true;
    }

    /// The headers are here: is the body framed in exactly one way (RFC 9112, 6.3)?
    bool begin(const httplib::Response& head) {
        active_ = std::chrono::steady_clock::now();
        to_sink_ = sink_ && head.status >= 200 && head.status < 300;
        if (head.status == 304) {
            return true;
        }
        const auto lengths = head.headers.equal_range("Content-Length");
        const auto codings = head.headers.equal_range("Transfer-Encoding");
        const auto length_count = std::distance(lengths.first, lengths.second);
        const auto coding_count = std::distance(codings.first, codings.second);
        const char* wrong = nullptr;
        if (length_count + coding_count == 0) {
            wrong = "an answer with neither Content-Length nor Transfer-Encoding";
        } else if (length_count + coding_count > 1) {
            wrong = "an answer whose length is stated twice";
        } else if (coding_count == 1) {
            std::string coding = codings.first->second;
            std::transform(coding.begin(), coding.end(), coding.begin(), detail::lower);
            wrong = coding == "chunked" ? nullptr : "an answer with an unknown Transfer-Encoding";
        } else {
            const std::string& length = lengths.first->second;
            const bool number = !length.empty() && length.size() <= 18 &&
                                length.find_first_not_of("0123456789") == std::string::npos;
            wrong = number ? nullptr : "an answer whose Content-Length is not a number";
        }
        try {
            if (wrong != nullptr) {
                throw refuse(ErrorCode::integrity, wrong);
            }
            if (request_.on_head) {
                request_.on_head({.status = head.status, .headers = headers_of(head)});
            }
        } catch (...) {
            failure_ = std::current_exception();
        }
        return !failure_;
    }
    [[nodiscard]] static Headers headers_of(const httplib::Response& head) {
        return {head.headers.begin(), head.headers.end()};
    }

    bool receive(const char* data, std::size_t size) {
        active_ = std::chrono::steady_clock::now();
        try {
            if (to_sink_) {
                sink_(std::as_bytes(std::span{data, size}));
                return true;
            }
            constexpr std::uint64_t largest_error = std::uint64_t{64} << 10;
            const bool error_body = answer_.status >= 300;
            const std::uint64_t limit =
                error_body ? std::min(largest_error, request_.max_body) : request_.max_body;
            if (body_.size() + size <= limit) {
                body_.append(data, size);
                return true;
            }
            if (error_body) {
                body_.append(data, static_cast<std::size_t>(limit) - body_.size());
                cut_ = true;
                return false;
            }
            throw refuse(ErrorCode::integrity,
                         "an answer of more than " + std::to_string(limit) + " bytes");
        } catch (...) {
            failure_ = std::current_exception();
        }
        return false;
    }

    [[nodiscard]] Response result() {
        return {.status = answer_.status, .headers = headers_of(answer_), .body = std::move(body_)};
    }

    [[nodiscard]] Error broken(const Connection& connection) const {
        using httplib::Error;
        if (error_ == Error::ConnectionTimeout) {
            return refuse(ErrorCode::timeout, "no connection in time");
        }
        if (error_ == Error::ProxyConnection) {
            const int status = answer_.status;
            return refuse(status == 407 || status == 403 || status == 401 ? ErrorCode::denied
                                                                          : ErrorCode::unavailable,
                          "the proxy refused the connection: " + status_text(status));
        }
#if FAIRING_TLS
        constexpr const char* advice = "name the CA that signed its certificate with --ca-file";
        if (error_ == Error::SSLServerHostnameVerification) {
            return tls("the certificate is not for this host", "");
        }
        if (error_ == Error::SSLServerVerification) {
            return tls(connection.tls_reason(), advice);
        }
        if (error_ == Error::SSLConnection && !connection.tls_reason().empty()) {
            return tls(connection.tls_reason(), "");
        }
        if (error_ == Error::SSLConnection) {
            return refuse(ErrorCode::unavailable, "no TLS handshake: closed, reset or silent");
        }
        if (error_ == Error::SSLLoadingCerts) {
            return fairing::Error{ErrorCode::input,
                                  {.attempted = "reach",
                                   .subject = peer(),
                                   .answer = "the CA file can not be read as PEM certificates",
                                   .advice = "check --ca-file"}};
        }
#endif
        switch (connection.last_errno()) {
            case ECONNRESET:
            case EPIPE:
            case ECONNABORTED:
                return refuse(ErrorCode::unavailable, "connection reset");
            case ECONNREFUSED:
            case EHOSTUNREACH:
            case ENETUNREACH:
            case ENOENT:
            case EACCES:
                return refuse(ErrorCode::unavailable,
                              std::generic_category().message(connection.last_errno()));
            default:
                break;
        }
        if (error_ == Error::Connection) {
            return refuse(ErrorCode::unavailable, "connection refused");
        }
        const auto idle = std::chrono::steady_clock::now() - active_;
        if (request_.idle_timeout.count() > 0 &&
            idle >= request_.idle_timeout - request_.idle_timeout / 20) {
            return refuse(ErrorCode::timeout, "nothing was sent or received for " +
                                                  std::to_string(request_.idle_timeout.count()) +
                                                  " ms");
        }
        return refuse(ErrorCode::unavailable, "connection closed before the answer was complete");
    }
    [[nodiscard]] Error tls(std::string reason, std::string advice) const {
        return Error{ErrorCode::denied,
                     {.attempted = "reach",
                      .subject = peer(),
                      .answer = "TLS: " + std::move(reason),
                      .advice = std::move(advice)}};
    }

    const Request& request_;
    const Url& url_;
    const BodySink& sink_;
    const Proxy* proxy_;
    SteadyTime active_;
    httplib::Request wire_ = {};
    httplib::Response answer_ = {};
    httplib::Error error_ = httplib::Error::Success;
    std::string body_ = {};
    std::exception_ptr failure_ = {};
    bool to_sink_ = false, complete_ = false, cut_ = false, body_written_ = true;
};

}  // inline namespace FAIRING_ABI
}  // namespace fairing::net::detail
