// tests/support/socket_server.hpp - a listener on a free port of 127.0.0.1, or on a socket in the
// file system; each connection has a thread of its own. What the test peers are built on.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "fairing/core/files.hpp"

namespace support {

inline sockaddr_in loopback(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

/// The connection ends with a TCP reset when it is closed.
inline void reset_at_close(int fd) {
    const linger now{1, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

class SocketServer {
public:
    /// Closes the connection when it returns, which it must when its peer is gone.
    using Handler = std::function<void(int fd)>;

    explicit SocketServer(Handler handler) : handler_(std::move(handler)) {
        listener_ = fairing::UniqueFd{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
        sockaddr_in address = loopback(0);
        auto* generic = reinterpret_cast<sockaddr*>(&address);
        socklen_t size = sizeof address;
        listen(generic, size);
        ::getsockname(listener_.get(), generic, &size);
        port_ = ntohs(address.sin_port);
    }
    SocketServer(const std::string& path, Handler handler) : handler_(std::move(handler)) {
        listener_ = fairing::UniqueFd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
        listen(reinterpret_cast<sockaddr*>(&address), sizeof address);
    }
    SocketServer(const SocketServer&) = delete;
    SocketServer& operator=(const SocketServer&) = delete;
    /// Ends all connections.
    ~SocketServer() {
        closing_ = true;
        ::shutdown(listener_.get(), SHUT_RDWR);
        acceptor_.join();
        {
            const std::lock_guard lock{mutex_};
            for (const Connection& connection : connections_) {
                if (!connection.ended) {
                    ::shutdown(connection.fd, SHUT_RDWR);
                }
            }
        }
        connections_.clear();
    }
    [[nodiscard]] int port() const noexcept { return port_; }
    [[nodiscard]] int accepted() const noexcept { return accepted_; }
    /// How many of them are not closed yet.
    [[nodiscard]] int open() const noexcept { return accepted_ - closed_; }
    [[nodiscard]] const std::atomic<bool>& closing() const noexcept { return closing_; }

private:
    struct Connection {
        int fd = -1;
        bool ended = false;
        std::jthread thread = {};
    };

    void listen(const sockaddr* address, socklen_t size) {
        if (!listener_ || ::bind(listener_.get(), address, size) != 0 ||
            ::listen(listener_.get(), 256) != 0) {
            throw fairing::system_error(errno, "listen", "a test port");
        }
        acceptor_ = std::jthread{[this] { accept_all(); }};
    }
    void accept_all() {
        while (!closing_) {
            const int fd = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
            if (fd < 0) {
                continue;
            }
            ++accepted_;
            const std::lock_guard lock{mutex_};
            connections_.remove_if([](const Connection& old) { return old.ended; });
            Connection& connection = connections_.emplace_back(Connection{.fd = fd});
            connection.thread = std::jthread{[this, &connection] {
                handler_(connection.fd);
                const std::lock_guard inner{mutex_};
                ::close(connection.fd);
                connection.ended = true;
                ++closed_;
            }};
        }
    }

    Handler handler_;
    fairing::UniqueFd listener_ = {};
    int port_ = 0;
    std::atomic<bool> closing_ = false;
    std::atomic<int> accepted_ = 0, closed_ = 0;
    std::mutex mutex_;
    std::list<Connection> connections_ = {};
    std::jthread acceptor_ = {};
};

}  // namespace support
