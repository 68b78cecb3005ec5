// tests/support/tls_server.hpp - a TLS peer on a free loopback port that wants to see its clients'
// certificates.
#pragma once

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "fairing/net/sigpipe.hpp"
#include "socket_server.hpp"

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
        reset_at_close(fd_);
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
        : context_(make_context(files), &::SSL_CTX_free),
          handler_(std::move(handler)),
          server_([this](int fd) { serve(fd); }) {}
    [[nodiscard]] int port() const noexcept { return server_.port(); }

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
    }

    std::unique_ptr<SSL_CTX, decltype(&::SSL_CTX_free)> context_;
    Handler handler_;
    SocketServer server_;
};

}  // namespace support
