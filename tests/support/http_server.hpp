// A tiny HTTP peer on a free loopback port, or on a socket in the file system. It says exactly the
// bytes that a test gives it, and can misbehave: reset, stall, truncate.
#pragma once

#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "socket_server.hpp"

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
        support::reset_at_close(fd_);
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
    explicit HttpServer(Handler handler)
        : handler_(std::move(handler)), server_([this](int fd) { serve(fd); }) {}
    /// On a socket in the file system.
    HttpServer(const std::string& path, Handler handler)
        : handler_(std::move(handler)), server_(path, [this](int fd) { serve(fd); }) {}

    [[nodiscard]] int port() const { return server_.port(); }
    [[nodiscard]] std::string url(const std::string& target = "/") const {
        return "http://127.0.0.1:" + std::to_string(port()) + target;
    }
    [[nodiscard]] int connections() const { return server_.accepted(); }
    /// How many of them it has not closed yet.
    [[nodiscard]] int open() const { return server_.open(); }

private:
    void serve(int fd) {
        Peer peer{fd, server_.closing()};
        handler_(peer);
        if (!peer.was_reset()) {
            ::shutdown(fd, SHUT_WR);
        }
    }

    Handler handler_;
    support::SocketServer server_;
};

}  // namespace fairing::test
