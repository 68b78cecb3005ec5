// fairing/net/httplib_connection.hpp - one connection of cpp-httplib: plain, TLS, to a Unix socket
// or through a proxy.
//
// Of cpp-httplib this uses the connection, TLS and the parser. The request line and the headers on
// the wire are ours: cpp-httplib would write queries anew.
#pragma once

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "../core/error.hpp"
#include "../core/files.hpp"
#include "../core/secret.hpp"
#include "deep_thread.hpp"
#include "httplib.hpp"
#include "proxy.hpp"
#include "redact.hpp"
#include "transport.hpp"
#include "url.hpp"

namespace fairing::net {

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
    ProxySettings proxies = {};  ///< where `proxy` is empty: which proxy for which peer
    /// The addresses of a host; empty: the system's resolver.
    std::function<std::vector<std::string>(const std::string& host)> resolve = {};
    AddressGuard addresses = AddressGuard::on;
    std::chrono::milliseconds connect_timeout = std::chrono::seconds{10};  ///< each address
    std::size_t idle_connections = 8;                                      ///< kept per origin
    std::chrono::milliseconds idle_lifetime = std::chrono::seconds{30};
};

}  // inline namespace FAIRING_ABI

namespace detail {
inline namespace FAIRING_ABI {

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
    /// Where send() is to be called.
    [[nodiscard]] DeepThread& thread() noexcept { return thread_; }
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
    DeepThread thread_;  // last: ends before the rest goes
};

}  // inline namespace FAIRING_ABI
}  // namespace detail

}  // namespace fairing::net
