// tests/support/tcp_proxy.hpp - a TCP proxy on a free loopback port that can cut what passes
// through it, TLS or not.
#pragma once

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "socket_server.hpp"

namespace support {

/// Which way the bytes go that are counted.
enum class Way { to_client, to_server };

class TcpProxy {
public:
    explicit TcpProxy(int target) : target_(target), server_([this](int fd) { pass(fd); }) {}
    TcpProxy(TcpProxy&&) = delete;
    TcpProxy& operator=(TcpProxy&&) = delete;
    ~TcpProxy() { cut_all(); }

    [[nodiscard]] int port() const noexcept { return server_.port(); }
    [[nodiscard]] int connections() const noexcept { return server_.accepted(); }
    /// How many of them neither side has closed yet.
    [[nodiscard]] int open() const noexcept { return server_.open(); }

    /// The next `times` connections that brought more than `bytes` that way are cut there, one
    /// after the other.
    void cut_after(std::size_t bytes, int times, Way way = Way::to_client) {
        cut_bytes_ = bytes;
        cut_way_ = way;
        cuts_ = times;
    }
    /// Every `n`-th connection is reset, in turns within its first request and its answer, and
    /// somewhere in its first 64 KiB, if it gets there.
    void reset_every(int n) { reset_every_ = n; }
    [[nodiscard]] int resets() const noexcept { return resets_; }
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
    void pass(int client) {
        const int number = ++number_;
        const std::size_t most = reset_place(number);
        const int generation = generation_;
        const fairing::UniqueFd server{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
        sockaddr_in address = loopback(target_);
        if (::connect(server.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
            return reset_at_close(client);
        }
        std::array<std::size_t, 2> passed{};  // by Way
        std::array<pollfd, 2> events{{{.fd = client, .events = POLLIN, .revents = 0},
                                      {.fd = server.get(), .events = POLLIN, .revents = 0}}};
        for (;;) {
            ::poll(events.data(), events.size(), 20);
            if (passed[0] + passed[1] > most) {
                ++resets_;
                return reset_at_close(client);
            }
            if (generation != generation_ || take_cut(passed)) {
                return reset_at_close(client);
            }
            if (events[0].revents != 0 && takes_hold(client)) {
                return wait_for_end(client, generation);
            }
            if ((events[0].revents != 0 && !copy(client, server.get(), passed[1])) ||
                (events[1].revents != 0 && !copy(server.get(), client, passed[0]))) {
                return;
            }
        }
    }
    /// After how many bytes the connection is reset.
    [[nodiscard]] std::size_t reset_place(int number) const {
        const int every = reset_every_;
        if (every == 0 || number % every != 0) {
            return ~std::size_t{0};
        }
        const auto turn = static_cast<std::size_t>(number / every);
        return turn * 2654435761U % (turn % 2 == 0 ? 500 : 65536);
    }
    bool take_cut(const std::array<std::size_t, 2>& passed) {
        int left = cuts_;
        while (left > 0 && passed.at(static_cast<std::size_t>(cut_way_.load())) > cut_bytes_) {
            if (cuts_.compare_exchange_weak(left, left - 1)) {
                return true;
            }
        }
        return false;
    }
    /// Whether what the client says next is what hold_at() wants; it stays unread.
    bool takes_hold(int client) {
        std::array<char, 4096> buffer;
        const ssize_t got = ::recv(client, buffer.data(), buffer.size(), MSG_PEEK | MSG_DONTWAIT);
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
    void wait_for_end(int client, int generation) const {
        pollfd event{.fd = client, .events = POLLRDHUP, .revents = 0};
        while (::poll(&event, 1, 20) == 0 && generation == generation_) {
        }
    }
    static bool copy(int from, int to, std::size_t& passed) {
        std::array<char, 4096> buffer;
        const ssize_t got = ::recv(from, buffer.data(), buffer.size(), 0);
        if (got <= 0) {
            return false;
        }
        for (ssize_t done = 0; done < got;) {
            const ssize_t sent = ::send(to, buffer.data() + done,
                                        static_cast<std::size_t>(got - done), MSG_NOSIGNAL);
            if (sent <= 0) {
                return false;
            }
            done += sent;
        }
        passed += static_cast<std::size_t>(got);
        return true;
    }
    int target_;
    std::atomic<int> number_ = 0, generation_ = 0, cuts_ = 0, reset_every_ = 0, resets_ = 0;
    std::atomic<std::size_t> cut_bytes_ = 0;
    std::atomic<Way> cut_way_ = Way::to_client;
    std::mutex mutex_;
    std::string hold_ = {};
    std::atomic<bool> held_ = false;
    SocketServer server_;  // last: its threads use the rest
};

}  // namespace support
