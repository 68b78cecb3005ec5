// A tiny HTTP peer on a free loopback port, or on a socket in the file system. It says exactly the
// bytes that a test gives it, and can misbehave: reset, stall, truncate.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "fairing/core/files.hpp"

namespace fairing::test {

/// One accepted connection, in the hands of a test's handler.
class Peer {
public:
    Peer(int fd, const std::atomic<bool>& closing) : fd_(fd), closing_(closing) {}

    /// Reads one request head, up to the empty line; empty at the end of the connection.
    std::string head() {
        std::size_t end = 0;
        while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
            if (!more()) {
                return {};
            }
        }
        std::string result = buffer_.substr(0, end + 4);
        buffer_.erase(0, end + 4);
        return result;
    }
    /// Reads `size` bytes of a body; fewer at the end of the connection.
    std::string body(std::size_t size) {
        while (buffer_.size() < size && more()) {
        }
        std::string result = buffer_.substr(0, size);
        buffer_.erase(0, result.size());
        return result;
    }
    bool say(std::string_view text) {
        while (!text.empty()) {
            const ssize_t sent = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
            if (sent <= 0) {
                return false;
            }
            text.remove_prefix(static_cast<std::size_t>(sent));
        }
        return true;
    }
    /// "HTTP/1.1 `status`" with a Content-Length and `extra` header lines.
    bool answer(const std::string& status, const std::string& content,
                const std::string& extra = {}) {
        return say("HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(content.size()) +
                   "\r\n" + extra + "\r\n" + content);
    }
    /// The connection ends with a TCP reset instead of an orderly close.
    void reset() {
        const linger now{1, 0};
        ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        reset_ = true;
    }
    [[nodiscard]] bool was_reset() const { return reset_; }
    /// Whether the other side has hung up.
    [[nodiscard]] bool gone() const {
        pollfd event{.fd = fd_, .events = POLLRDHUP, .revents = 0};
        return ::poll(&event, 1, 0) > 0;
    }
    /// Waits; ends early when the server is destroyed.
    void pause(std::chrono::milliseconds duration) const {
        const auto end = std::chrono::steady_clock::now() + duration;
        while (!closing_ && std::chrono::steady_clock::now() < end) {
            std::this_thread::sleep_for(std::chrono::milliseconds{5});
        }
    }

private:
    bool more() {
        char bytes[16384];
        const ssize_t got = ::recv(fd_, bytes, sizeof bytes, 0);
        if (got > 0) {
            buffer_.append(bytes, static_cast<std::size_t>(got));
        }
        return got > 0;
    }

    int fd_;
    const std::atomic<bool>& closing_;
    std::string buffer_;
    bool reset_ = false;
};

class HttpServer {
public:
    using Handler = std::function<void(Peer&)>;

    /// On a free port of 127.0.0.1; `handler` runs once per connection, in a thread of its own.
    explicit HttpServer(Handler handler) : handler_(std::move(handler)) {
        listener_ = UniqueFd{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        bind_and_listen(reinterpret_cast<sockaddr*>(&address), sizeof address);
        socklen_t size = sizeof address;
        ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size);
        port_ = ntohs(address.sin_port);
    }
    /// On a socket in the file system.
    HttpServer(const std::string& path, Handler handler) : handler_(std::move(handler)) {
        listener_ = UniqueFd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
        bind_and_listen(reinterpret_cast<sockaddr*>(&address), sizeof address);
    }
    ~HttpServer() {
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
    HttpServer(const HttpServer&) = delete;
    HttpServer& operator=(const HttpServer&) = delete;

    [[nodiscard]] int port() const { return port_; }
    [[nodiscard]] std::string url(const std::string& target = "/") const {
        return "http://127.0.0.1:" + std::to_string(port_) + target;
    }
    [[nodiscard]] int connections() const { return connections_; }

private:
    void bind_and_listen(const sockaddr* address, socklen_t size) {
        if (!listener_ || ::bind(listener_.get(), address, size) != 0 ||
            ::listen(listener_.get(), 64) != 0) {
            throw system_error(errno, "listen", "a test port");
        }
        acceptor_ = std::jthread{[this] { accept_all(); }};
    }
    void accept_all() {
        while (!closing_) {
            const int fd = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
            if (fd < 0) {
                continue;
            }
            ++connections_;
            const std::lock_guard lock{mutex_};
            open_.push_back(fd);
            threads_.emplace_back([this, fd] {
                Peer peer{fd, closing_};
                handler_(peer);
                const std::lock_guard inner{mutex_};
                open_.remove(fd);
                if (!peer.was_reset()) {
                    ::shutdown(fd, SHUT_WR);
                }
                ::close(fd);
            });
        }
    }

    Handler handler_;
    UniqueFd listener_;
    int port_ = 0;
    std::atomic<bool> closing_ = false;
    std::atomic<int> connections_ = 0;
    std::mutex mutex_;
    std::list<int> open_;
    std::vector<std::jthread> threads_;
    std::jthread acceptor_;
};

}  // namespace fairing::test
