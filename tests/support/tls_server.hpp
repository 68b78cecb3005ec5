// tests/support/tls_server.hpp - a TLS peer on a free loopback port that wants to see its clients'
// certificates.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "fairing/core/files.hpp"
#include "fairing/net/sigpipe.hpp"

namespace support {

struct TlsFiles {
    std::string certificate = {}, key = {};
    std::string client_ca = {};  ///< who signs the clients' certificates
};

/// One accepted connection.
class TlsPeer {
public:
    TlsPeer(SSL* ssl, int fd) : ssl_(ssl), fd_(fd) {}

    /// The head of a request, up to the empty line; empty at the end of the connection.
    [[nodiscard]] std::string head() {
        std::string result;
        char byte = 0;
        while (!result.ends_with("\r\n\r\n")) {
            if (::SSL_read(ssl_, &byte, 1) != 1) {
                return {};
            }
            result += byte;
        }
        return result;
    }
    bool say(std::string_view text) {
        while (!text.empty()) {
            std::size_t sent = 0;
            if (::SSL_write_ex(ssl_, text.data(), text.size(), &sent) != 1) {
                return false;
            }
            text.remove_prefix(sent);
        }
        return true;
    }
    /// Whether the client went away.
    [[nodiscard]] bool gone() const {
        char byte = 0;
        return ::recv(fd_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
    }
    /// The connection ends with a TCP reset.
    void reset() const {
        const linger now{1, 0};
        ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        reset_ = true;
    }
    [[nodiscard]] bool was_reset() const noexcept { return reset_; }

private:
    SSL* ssl_;
    int fd_;
    mutable bool reset_ = false;
};

/// `handler` runs once per connection, in a thread of its own, after a handshake in which the
/// client showed a certificate of the right authority. The handler must return when the peer can no
/// longer be spoken to.
class TlsServer {
public:
    using Handler = std::function<void(TlsPeer&)>;

    TlsServer(const TlsFiles& files, Handler handler)
        : context_(make_context(files), &::SSL_CTX_free), handler_(std::move(handler)) {
        listener_ = fairing::UniqueFd{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        auto* generic = reinterpret_cast<sockaddr*>(&address);
        if (!listener_ || ::bind(listener_.get(), generic, size) != 0 ||
            ::listen(listener_.get(), 64) != 0 ||
            ::getsockname(listener_.get(), generic, &size) != 0) {
            throw fairing::system_error(errno, "listen", "a test port");
        }
        port_ = ntohs(address.sin_port);
        acceptor_ = std::jthread{[this] { accept_all(); }};
    }
    TlsServer(TlsServer&&) = delete;
    TlsServer& operator=(TlsServer&&) = delete;
    ~TlsServer() {
        closing_ = true;
        ::shutdown(listener_.get(), SHUT_RDWR);
        acceptor_.join();
        {
            const std::lock_guard lock{mutex_};
            for (const int fd : open_) {
                ::shutdown(fd, SHUT_RDWR);
            }
        }
        threads_.clear();
    }
    [[nodiscard]] int port() const noexcept { return port_; }

private:
    static SSL_CTX* make_context(const TlsFiles& files) {
        SSL_CTX* context = ::SSL_CTX_new(::TLS_server_method());
        if (::SSL_CTX_use_certificate_chain_file(context, files.certificate.c_str()) != 1 ||
            ::SSL_CTX_use_PrivateKey_file(context, files.key.c_str(), SSL_FILETYPE_PEM) != 1 ||
            ::SSL_CTX_load_verify_locations(context, files.client_ca.c_str(), nullptr) != 1) {
            ::SSL_CTX_free(context);
            throw std::runtime_error{"cannot use the certificate " + files.certificate};
        }
        ::SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
        return context;
    }
    void accept_all() {
        while (!closing_) {
            const int fd = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
            if (fd < 0) {
                continue;
            }
            const std::lock_guard lock{mutex_};
            open_.push_back(fd);
            threads_.emplace_back([this, fd] { serve(fd); });
        }
    }
    void serve(int fd) {
        const fairing::net::SigpipeBlock quiet;
        const std::unique_ptr<SSL, decltype(&::SSL_free)> ssl{::SSL_new(context_.get()),
                                                              &::SSL_free};
        ::SSL_set_fd(ssl.get(), fd);
        bool orderly = false;
        if (::SSL_accept(ssl.get()) == 1) {
            TlsPeer peer{ssl.get(), fd};
            handler_(peer);
            orderly = !peer.was_reset();
        }
        ::ERR_clear_error();
        if (orderly) {
            ::SSL_shutdown(ssl.get());
        }
        const std::lock_guard lock{mutex_};
        open_.remove(fd);
        ::close(fd);
    }

    std::unique_ptr<SSL_CTX, decltype(&::SSL_CTX_free)> context_;
    Handler handler_;
    fairing::UniqueFd listener_ = {};
    int port_ = 0;
    std::atomic<bool> closing_ = false;
    std::mutex mutex_;
    std::list<int> open_ = {};
    std::list<std::jthread> threads_ = {};
    std::jthread acceptor_ = {};
};

}  // namespace support
