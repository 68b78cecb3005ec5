// tests/support/tcp_proxy.hpp - a TCP proxy on a free loopback port that can cut what passes
// through it, TLS or not.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "fairing/core/files.hpp"

namespace support {

class TcpProxy {
public:
    explicit TcpProxy(int target) : target_(target) {
        listener_ = fairing::UniqueFd{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
        sockaddr_in address = loopback(0);
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
    TcpProxy(TcpProxy&&) = delete;
    TcpProxy& operator=(TcpProxy&&) = delete;
    ~TcpProxy() {
        closing_ = true;
        ::shutdown(listener_.get(), SHUT_RDWR);
        acceptor_.join();
        cut_all();
        threads_.clear();
    }
    [[nodiscard]] int port() const noexcept { return port_; }
    [[nodiscard]] int connections() const noexcept { return connections_; }

    /// The next `times` connections that brought more than `bytes` to the client are cut there, one
    /// after the other.
    void cut_after(std::size_t bytes, int times) {
        cut_bytes_ = bytes;
        cuts_ = times;
    }
    [[nodiscard]] int cuts_left() const noexcept { return cuts_; }
    /// The next request that begins with something around `text` is not passed on: its connection
    /// stands still until the client hangs up.
    void hold_at(std::string text) {
        const std::lock_guard lock{mutex_};
        hold_ = std::move(text);
        held_ = false;
    }
    [[nodiscard]] bool holds() const noexcept { return held_; }
    /// Cuts what is open now.
    void cut_all() { ++generation_; }

private:
    static sockaddr_in loopback(int port) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(static_cast<std::uint16_t>(port));
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return address;
    }
    void accept_all() {
        while (!closing_) {
            fairing::UniqueFd client{::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)};
            if (client) {
                ++connections_;
                threads_.emplace_back(
                    [this, held = std::move(client)]() mutable { pass(std::move(held)); });
            }
        }
    }
    void pass(fairing::UniqueFd client) {
        const int generation = generation_;
        const fairing::UniqueFd server{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
        sockaddr_in address = loopback(target_);
        if (::connect(server.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
            return reset(client);
        }
        std::size_t passed = 0;
        std::array<pollfd, 2> events{{{.fd = client.get(), .events = POLLIN, .revents = 0},
                                      {.fd = server.get(), .events = POLLIN, .revents = 0}}};
        for (;;) {
            ::poll(events.data(), events.size(), 20);
            if (generation != generation_ || take_cut(passed)) {
                return reset(client);
            }
            if (events[0].revents != 0 && takes_hold(client)) {
                return wait_for_end(client, generation);
            }
            if ((events[0].revents != 0 && !copy(client, server, nullptr)) ||
                (events[1].revents != 0 && !copy(server, client, &passed))) {
                return;
            }
        }
    }
    bool take_cut(std::size_t passed) {
        int left = cuts_;
        while (left > 0 && passed > cut_bytes_) {
            if (cuts_.compare_exchange_weak(left, left - 1)) {
                return true;
            }
        }
        return false;
    }
    /// Whether what the client says next is what hold_at() wants; it stays unread.
    bool takes_hold(const fairing::UniqueFd& client) {
        std::array<char, 4096> buffer;
        const ssize_t got =
            ::recv(client.get(), buffer.data(), buffer.size(), MSG_PEEK | MSG_DONTWAIT);
        const std::lock_guard lock{mutex_};
        if (hold_.empty() || got <= 0 ||
            std::string_view{buffer.data(), static_cast<std::size_t>(got)}.find(hold_) ==
                std::string_view::npos) {
            return false;
        }
        hold_.clear();
        held_ = true;
        return true;
    }
    void wait_for_end(const fairing::UniqueFd& client, int generation) const {
        pollfd event{.fd = client.get(), .events = POLLRDHUP, .revents = 0};
        while (::poll(&event, 1, 20) == 0 && generation == generation_) {
        }
    }
    static bool copy(const fairing::UniqueFd& from, const fairing::UniqueFd& to,
                     std::size_t* passed) {
        std::array<char, 4096> buffer;
        const ssize_t got = ::recv(from.get(), buffer.data(), buffer.size(), 0);
        if (got <= 0) {
            return false;
        }
        for (ssize_t done = 0; done < got;) {
            const ssize_t sent = ::send(to.get(), buffer.data() + done,
                                        static_cast<std::size_t>(got - done), MSG_NOSIGNAL);
            if (sent <= 0) {
                return false;
            }
            done += sent;
        }
        if (passed != nullptr) {
            *passed += static_cast<std::size_t>(got);
        }
        return true;
    }
    static void reset(fairing::UniqueFd& client) {
        const linger now{1, 0};
        ::setsockopt(client.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
        client.reset();
    }

    int target_;
    fairing::UniqueFd listener_ = {};
    int port_ = 0;
    std::atomic<bool> closing_ = false;
    std::atomic<int> connections_ = 0, generation_ = 0, cuts_ = 0;
    std::atomic<std::size_t> cut_bytes_ = 0;
    std::mutex mutex_;
    std::string hold_ = {};
    std::atomic<bool> held_ = false;
    std::list<std::jthread> threads_ = {};
    std::jthread acceptor_ = {};
};

}  // namespace support
