// fairing/net/httplib_transport.hpp - our transport: HTTP/1.1 (RFC 9112) through cpp-httplib,
// guarded. The only header that includes httplib.
//
// Of cpp-httplib this uses the connection, TLS and the parser. Redirects, encodings and retries are
// ours, and so are the request line and the headers on the wire: cpp-httplib would write queries
// anew.
#pragma once

#include "../core/version.hpp"

#if defined(CPPHTTPLIB_HTTPLIB_H) && FAIRING_TLS && !defined(CPPHTTPLIB_OPENSSL_SUPPORT)
#error \
    "httplib.h was included before fairing without CPPHTTPLIB_OPENSSL_SUPPORT: define it, or FAIRING_TLS=0"
#endif
#if !FAIRING_TLS && defined(CPPHTTPLIB_OPENSSL_SUPPORT)
#error \
    "FAIRING_TLS is 0, but CPPHTTPLIB_OPENSSL_SUPPORT is defined: make them agree in all translation units"
#endif
#if FAIRING_TLS && !defined(CPPHTTPLIB_OPENSSL_SUPPORT)
#define CPPHTTPLIB_OPENSSL_SUPPORT
#endif

#include <httplib.h>

// These came with 0.41 or shortly before; the version itself is a text, which only the compiler can
// compare.
#if !defined(CPPHTTPLIB_VERSION_NUM) || !defined(CPPHTTPLIB_EXPECT_100_THRESHOLD)
#error \
    "cpp-httplib is older than 0.41: it writes CR LF into headers (CVE-2026-21428) and sends credentials along \
redirects to other hosts; install 0.41 or newer"
#endif

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "../codec/base64.hpp"
#include "../core/error.hpp"
#include "../core/files.hpp"
#include "../core/secret.hpp"
#include "address.hpp"
#include "deep_thread.hpp"
#include "message.hpp"
#include "redact.hpp"
#include "resolve_host.hpp"
#include "sigpipe.hpp"
#include "status.hpp"
#include "transport.hpp"
#include "url.hpp"
#include "validation.hpp"

namespace fairing::net {

namespace detail {

/// The minor number of "0.41.0"; 1000 from 1.0 on.
[[nodiscard]] constexpr int httplib_minor(std::string_view version) noexcept {
    if (!version.starts_with("0.")) {
        return 1000;
    }
    int minor = 0;
    for (std::size_t i = 2; i < version.size() && version[i] != '.'; ++i) {
        minor = minor * 10 + (version[i] - '0');
    }
    return minor;
}
static_assert(httplib_minor(CPPHTTPLIB_VERSION) >= 41,
              "cpp-httplib is older than 0.41: it writes CR LF into headers (CVE-2026-21428) and "
              "sends credentials "
              "along redirects to other hosts; install 0.41 or newer");

}  // namespace detail

inline namespace FAIRING_ABI {

/// Whether certificates of https peers are checked. `off` is for tests and broken networks only.
enum class Verification { full, off };

/// Whether link-local, unspecified and metadata addresses are refused after the look-up of a name,
/// before connecting. Only clients of a cloud's metadata service turn it off.
enum class AddressGuard { on, off };

struct HttplibOptions {
    std::string ca_file = {};  ///< PEM; trusted instead of the system's certificates
    std::string ca_pem = {};   ///< the same, as a text
    Verification verification = Verification::full;
    std::string tls_server_name = {};  ///< asked for and expected instead of the URL's host
    /// Asked before each request to an https peer, with the request's stop; a connection is kept
    /// for the certificate that it was made with.
    std::function<std::optional<ClientCertificate>(const std::stop_token&)> certificate = {};
    Secret proxy = {};  ///< "http://[user:password@]host:port", for everything but Unix sockets
    AddressGuard addresses = AddressGuard::on;
    std::chrono::milliseconds connect_timeout = std::chrono::seconds{10};  ///< each address
    std::size_t idle_connections = 8;                                      ///< kept per origin
    std::chrono::milliseconds idle_lifetime = std::chrono::seconds{30};
};

}  // inline namespace FAIRING_ABI

namespace detail {
inline namespace FAIRING_ABI {

/// Where requests go first (RFC 9110, 9.3.6 and 3.7).
struct Proxy {
    Url url = {};
    std::string authorization = {};  ///< the value of Proxy-Authorization, or empty

    /// Throws Error{input}, in which no password is shown.
    [[nodiscard]] static Proxy parse(const std::string& text) {
        const std::size_t begin = std::min(text.find("//"), text.size() - 1) + 2;
        const std::size_t end = std::min(text.find('/', begin), text.size());
        const std::size_t at = text.substr(0, end).rfind('@');
        if (!text.starts_with("http://")) {
            throw bad_url(text, "a proxy is given as http://host:port");
        }
        if (at == std::string::npos) {
            return {.url = parse_url(text)};
        }
        const std::string user = percent_decode(text.substr(begin, at - begin), text);
        return {.url = parse_url(text.substr(0, begin) + text.substr(at + 1)),
                .authorization =
                    "Basic " +
                    codec::base64_encode(user.find(':') == std::string::npos ? user + ':' : user)};
    }
    [[nodiscard]] std::string header() const {
        return authorization.empty() ? "" : "Proxy-Authorization: " + authorization + "\r\n";
    }
};

using SteadyTime = std::chrono::steady_clock::time_point;

/// One connection to one origin. The socket has a second descriptor, ours: shutting it down ends
/// whatever the connection waits for, and it can not be reused by somebody else meanwhile.
class Connection {
public:
    Connection(const Url& url, const HttplibOptions& options, const std::string& address,
               const Proxy* proxy, const std::optional<ClientCertificate>& certificate)
        : url_(url) {
        if (url.is_unix()) {
            client_ = std::make_unique<httplib::ClientImpl>(url.host, 80);
            client_->set_address_family(AF_UNIX);
        } else if (url.is_tls()) {
            make_tls_client(options, certificate);
        } else {
            client_ = std::make_unique<httplib::ClientImpl>(url.host, url.port);
        }
        if (!url.is_unix()) {
            client_->set_hostname_addr_map({{client_->host(), address}});
            client_->set_tcp_nodelay(true);
        }
        if (proxy != nullptr) {
            client_->set_proxy(address, proxy->url.port);
            const std::string host =
                url.host.find(':') == std::string::npos ? url.host : '[' + url.host + ']';
            const std::string target = host + ':' + std::to_string(url.port);
            tunnel_head_ = "CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\n" +
                           proxy->header() + "\r\n";
        }
        client_->set_keep_alive(true);
        client_->set_follow_location(false);
        client_->set_decompress(false);
        client_->set_path_encode(false);
        set_timeout(options.connect_timeout, [this](time_t seconds, time_t microseconds) {
            client_->set_connection_timeout(seconds, microseconds);
        });
        client_->set_socket_options([this](int socket) { adopt(socket); });
        client_->set_header_writer([this](httplib::Stream& stream, httplib::Headers& headers) {
            return write_head(stream, headers);
        });
        client_->set_error_logger(
            [this](const httplib::Error&, const httplib::Request*) { last_errno_ = errno; });
    }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    /// Sends and receives. `head` is what goes before the body. The result says whether a whole
    /// answer came.
    bool send(httplib::Request& request, httplib::Response& response, httplib::Error& error,
              std::string head, std::chrono::milliseconds idle) {
        head_ = std::move(head);
        heads_written_ = 0;
        last_errno_ = 0;
        errno = 0;
        set_timeout(idle, [this](time_t seconds, time_t microseconds) {
            client_->set_read_timeout(seconds, microseconds);
            client_->set_write_timeout(seconds, microseconds);
        });
        return client_->send(request, response, error);
    }
    /// From any thread: whatever this connection does ends with an error.
    void abort() noexcept {
        const std::lock_guard lock{mutex_};
        aborted_ = true;
        if (socket_) {
            ::shutdown(socket_.get(), SHUT_RDWR);
        }
    }
    [[nodiscard]] bool head_written() const noexcept { return heads_written_ > 0; }
    [[nodiscard]] bool reusable() const { return !aborted_ && client_->is_socket_open() != 0; }
    [[nodiscard]] int last_errno() const noexcept { return last_errno_; }

    /// What OpenSSL has to say about a failed handshake; empty when the peer just went away.
    [[nodiscard]] std::string tls_reason() const {
#if FAIRING_TLS
        if (!tls_reason_.empty()) {
            return tls_reason_;
        }
        if (const std::uint64_t code = Backend::error(*client_); code != 0) {
            const std::string text =
                httplib::tls::error_string(code);  // "error:0A:SSL routines::x"
            const std::size_t colons = text.rfind("::");
            const std::string reason = colons == std::string::npos ? text : text.substr(colons + 2);
            return reason.starts_with("unexpected eof") ? "" : reason;
        }
#endif
        return {};
    }

private:
    void make_tls_client([[maybe_unused]] const HttplibOptions& options,
                         [[maybe_unused]] const std::optional<ClientCertificate>& certificate) {
#if FAIRING_TLS
        const std::string& name =
            options.tls_server_name.empty() ? url_.host : options.tls_server_name;
        auto client = certificate ? certified_client(name, *certificate)
                                  : std::make_unique<httplib::SSLClient>(name, url_.port);
        const bool verify = options.verification == Verification::full;
        client->enable_server_certificate_verification(verify);
        client->enable_server_hostname_verification(verify);
        if (!options.ca_file.empty()) {
            client->set_ca_cert_path(options.ca_file);
        }
        if (!options.ca_pem.empty()) {
            client->load_ca_cert_store(options.ca_pem.data(), options.ca_pem.size());
        }
        if (verify) {
            client->set_session_verifier([this](httplib::tls::session_t session) {
                if (const long code = httplib::tls::get_verify_result(session); code != 0) {
                    tls_reason_ = httplib::tls::verify_error_string(code);
                }
                return httplib::SSLVerifierResponse::NoDecisionMade;
            });
        }
        client_ = std::move(client);
#else
        throw Error{ErrorCode::unsupported,
                    {.attempted = "reach",
                     .subject = url_.origin(),
                     .answer = "this program was built without TLS (FAIRING_TLS=0)"}};
#endif
    }

#if FAIRING_TLS
    /// A client that shows `certificate` with its whole chain.
    [[nodiscard]] std::unique_ptr<httplib::SSLClient> certified_client(
        const std::string& name, const ClientCertificate& certificate) const {
        const std::string& key = certificate.key.reveal();
        // An empty password, so that nobody is asked for that of an encrypted key.
        auto client = std::make_unique<httplib::SSLClient>(
            name, url_.port,
            httplib::SSLClient::PemMemory{certificate.chain.c_str(), certificate.chain.size(),
                                          key.c_str(), key.size(), ""});
        if (!client->is_valid()) {
            throw Error{ErrorCode::input,
                        {.attempted = "reach",
                         .subject = redact_url(url_.origin()),
                         .answer = "the client certificate and its key can not be used",
                         .advice = "check that they are PEM, belong together, and that the key "
                                   "needs no password"}};
        }
        auto* context = static_cast<SSL_CTX*>(client->tls_context());
        const std::unique_ptr<BIO, decltype(&::BIO_free)> text{
            ::BIO_new_mem_buf(certificate.chain.data(), static_cast<int>(certificate.chain.size())),
            &::BIO_free};
        ::X509_free(::PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr));  // shown already
        while (X509* above = ::PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr)) {
            SSL_CTX_add0_chain_cert(context, above);
        }
        ::ERR_clear_error();
        return client;
    }
#endif

    template <class Setter>
    static void set_timeout(std::chrono::milliseconds value, Setter setter) {
        constexpr std::chrono::milliseconds endless = std::chrono::hours{24 * 365};
        const auto chosen = value.count() > 0 ? std::min(value, endless) : endless;
        setter(static_cast<time_t>(chosen.count() / 1000),
               static_cast<time_t>(chosen.count() % 1000 * 1000));
    }

    /// Called with a new socket, before it connects.
    void adopt(int socket) {
        const std::lock_guard lock{mutex_};
        if (aborted_) {
            ::close(socket);
            throw Error{ErrorCode::cancelled,
                        {.attempted = "reach", .subject = url_.origin(), .answer = "given up"}};
        }
        socket_ = UniqueFd{::fcntl(socket, F_DUPFD_CLOEXEC, 3)};
    }

    /// Puts our own request line and headers where cpp-httplib collects its own.
    ssize_t write_head(httplib::Stream& stream, httplib::Headers& headers) {
        auto* buffer = dynamic_cast<httplib::detail::BufferStream*>(&stream);
        if (!aborted_ && buffer != nullptr && buffer->get_buffer().starts_with("CONNECT ")) {
            const_cast<std::string&>(buffer->get_buffer()) = tunnel_head_;
            return static_cast<ssize_t>(tunnel_head_.size());
        }
        if (aborted_ || heads_written_++ > 0 || buffer == nullptr || !headers.contains("Host")) {
            return -1;  // cpp-httplib repeats a request by itself when TLS was closed: not here
        }
        const_cast<std::string&>(buffer->get_buffer()) = head_;
        return static_cast<ssize_t>(head_.size());
    }

#if FAIRING_TLS
    struct Backend : httplib::ClientImpl {
        static std::uint64_t error(const httplib::ClientImpl& client) {
            return client.*(&Backend::last_backend_error_);
        }
    };
#endif

    Url url_;
    std::unique_ptr<httplib::ClientImpl> client_;
    std::string head_ = {}, tunnel_head_ = {}, tls_reason_ = {};
    std::atomic<bool> aborted_ = false;
    int heads_written_ = 0, last_errno_ = 0;
    std::mutex mutex_;
    UniqueFd socket_;
};

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
        if (wrong != nullptr) {
            failure_ = std::make_exception_ptr(refuse(ErrorCode::integrity, wrong));
        }
        return wrong == nullptr;
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
        Response response{.status = answer_.status, .headers = {}, .body = std::move(body_)};
        for (const auto& [name, value] : answer_.headers) {
            response.headers.emplace(name, value);
        }
        return response;
    }

    [[nodiscard]] Error broken(const Connection& connection) const {
        using httplib::Error;
        if (error_ == Error::ConnectionTimeout) {
            return refuse(ErrorCode::timeout, "no connection in time");
        }
        if (error_ == Error::ProxyConnection) {
            return refuse(answer_.status == 407 || answer_.status == 403 ? ErrorCode::denied
                                                                         : ErrorCode::unavailable,
                          "the proxy refused the connection: " + status_text(answer_.status));
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
}  // namespace detail

inline namespace FAIRING_ABI {

/// Keeps connections alive per origin; send() may be called from several threads at once, each call
/// has a connection of its own. Body and sink are called in another thread while the caller waits.
/// Copies nothing into memory but answers without a sink. An answer of status 300 and above is cut
/// at 64 KiB instead of being an Error. A peer that answers before it has read the whole request
/// and then closes is heard where the system still has its answer: status and headers, without the
/// body.
class HttplibTransport {
public:
    explicit HttplibTransport(HttplibOptions options = {}) : options_(std::move(options)) {
        if (!options_.proxy.empty()) {
            proxy_ = detail::Proxy::parse(options_.proxy.reveal());
        }
    }
    HttplibTransport(HttplibTransport&& other) noexcept
        : options_(std::move(other.options_)), proxy_(std::move(other.proxy_)) {}
    HttplibTransport& operator=(HttplibTransport&&) = delete;

    [[nodiscard]] Response send(const Request& request, const BodySink& sink,
                                const std::stop_token& stop) {
        const Url url = validate(request);
        check_stop(url, stop);
        std::optional<detail::SteadyTime> deadline;
        if (request.deadline.count() != 0) {
            deadline = std::chrono::steady_clock::now() + request.deadline;
        }
        const detail::Proxy* proxy = proxy_ && !url.is_unix() ? &*proxy_ : nullptr;
        std::optional<ClientCertificate> certificate;
        if (options_.certificate && url.is_tls()) {
            certificate = options_.certificate(stop);
        }
        const std::string place = place_of(url, certificate);
        if (std::unique_ptr<detail::Connection> kept = take(place)) {
            detail::Call call{request, url, sink, proxy};
            return attempt(call, std::move(kept), place, url, stop, deadline).value();
        }
        const std::vector<std::string> addresses =
            allowed_addresses(proxy == nullptr ? url : proxy->url, request.deadline, stop);
        for (std::size_t i = 0;; ++i) {
            detail::Call call{request, url, sink, proxy};
            const Try kind = i + 1 < addresses.size() ? Try::more : Try::last;
            auto connection = std::make_unique<detail::Connection>(url, options_, addresses[i],
                                                                   proxy, certificate);
            if (auto response =
                    attempt(call, std::move(connection), place, url, stop, deadline, kind)) {
                return *std::move(response);
            }
        }
    }

private:
    enum class Try { more, last };
    struct Idle {
        std::unique_ptr<detail::Connection> connection = {};
        detail::SteadyTime since = {};
    };

    /// Under which a connection is kept: who we are on it does not change.
    static std::string place_of(const Url& url,
                                const std::optional<ClientCertificate>& certificate) {
        return certificate ? url.origin() + ' ' + certificate->chain : url.origin();
    }

    static void check_stop(const Url& url, const std::stop_token& stop) {
        if (stop.stop_requested()) {
            throw Cancelled{ErrorCode::cancelled,
                            {.attempted = "reach",
                             .subject = redact_url(url.origin()),
                             .answer = "stopped on request"}};
        }
    }

    /// nullopt only with Try::more: this address does not answer, another may.
    std::optional<Response> attempt(detail::Call& call,
                                    std::unique_ptr<detail::Connection> connection,
                                    const std::string& place, const Url& url,
                                    const std::stop_token& stop,
                                    std::optional<detail::SteadyTime> deadline,
                                    Try kind = Try::last) {
        check_stop(url, stop);
        detail::End end = detail::End::own;
        try {
            DeepThread thread{[&] {
                const SigpipeBlock no_sigpipe;
                call.run(*connection);
            }};
            if (!thread.wait(stop, deadline)) {
                end = stop.stop_requested() ? detail::End::stopped : detail::End::expired;
                connection->abort();
            }
            thread.finish();
        } catch (const Error&) {
            if (end == detail::End::own) {
                throw;
            }  // else aborted before it was connected
        }
        if (kind == Try::more && call.unconnected(*connection) && end == detail::End::own) {
            return std::nullopt;
        }
        std::optional<Response> response = call.outcome(*connection, end);
        if (call.clean() && connection->reusable()) {
            keep(place, std::move(connection));
        }
        return response;
    }

    /// Where to connect to: {""} for a socket in the file system.
    [[nodiscard]] std::vector<std::string> allowed_addresses(const Url& url,
                                                             std::chrono::milliseconds deadline,
                                                             const std::stop_token& stop) const {
        if (url.is_unix()) {
            return {std::string{}};
        }
        constexpr std::chrono::milliseconds longest = std::chrono::seconds{30};
        std::vector<std::string> addresses = resolve_host(
            url.host, deadline.count() == 0 ? longest : std::min(deadline, longest), stop);
        const std::string first = addresses.front();
        if (options_.addresses == AddressGuard::on) {
            std::erase_if(addresses, is_refused_address);
        }
        if (addresses.empty()) {
            throw Error{ErrorCode::denied,
                        {.attempted = "reach",
                         .subject = redact_url(url.origin()),
                         .answer = "refused address " + first,
                         .advice = "link-local and unspecified addresses are never contacted"}};
        }
        return addresses;
    }

    [[nodiscard]] std::unique_ptr<detail::Connection> take(const std::string& place) {
        const auto oldest = std::chrono::steady_clock::now() - options_.idle_lifetime;
        std::vector<Idle> expired;  // closed after the lock is gone
        const std::lock_guard lock{mutex_};
        std::vector<Idle>& idle = idle_[place];
        while (!idle.empty()) {
            Idle newest = std::move(idle.back());
            idle.pop_back();
            if (newest.since > oldest) {
                return std::move(newest.connection);
            }
            expired.push_back(std::move(newest));
        }
        return nullptr;
    }
    void keep(const std::string& place, std::unique_ptr<detail::Connection> connection) {
        const std::lock_guard lock{mutex_};
        std::vector<Idle>& idle = idle_[place];
        if (idle.size() < options_.idle_connections) {
            idle.push_back({std::move(connection), std::chrono::steady_clock::now()});
        }
    }

    HttplibOptions options_;
    std::optional<detail::Proxy> proxy_ = {};
    std::mutex mutex_;
    std::map<std::string, std::vector<Idle>> idle_;  ///< by place_of()
};
static_assert(Transport<HttplibTransport>);

/// The transport that everything uses unless it is given another.
[[nodiscard]] inline AnyTransport default_transport(HttplibOptions options = {}) {
    return HttplibTransport{std::move(options)};
}

}  // inline namespace FAIRING_ABI

}  // namespace fairing::net
