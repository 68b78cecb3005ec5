// tests/support/api_proxy.hpp - plain HTTP in front of the API server, like `kubectl proxy`: it
// adds the token, keeps what was asked, and plays faults that need to know the request: a lost
// reply, a cut in the middle of a body, another answer, a request that is held up.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "fairing/net/transport.hpp"
#include "http_server.hpp"

namespace support {

struct Fault {
    enum class Kind {
        none,
        lose_reply,    ///< the server does it, and the connection is reset instead of its answer
        cut,           ///< reset after `bytes` of the answer's body
        end,           ///< the same, but as an orderly end of a chunked body
        answer,        ///< not asked at all: `status`, `headers` and `body` are the answer
        hold_request,  ///< the server is asked after release(), and not at all when the client goes
        late_request,  ///< the server is asked a moment after the client has gone
        hold_reply     ///< the server does it, and its answer waits for release()
    };
    Kind kind = Kind::none;
    std::size_t bytes = 0;
    std::string status = {}, headers = {}, body = {};
};

struct SeenRequest {
    std::string method = {}, target = {};
};

class ApiProxy {
public:
    /// Called with every request, one at a time.
    using Policy = std::function<Fault(const SeenRequest&)>;

    ApiProxy(std::string server, std::string token, fairing::net::AnyTransport transport)
        : server_url_(std::move(server)),
          token_(std::move(token)),
          transport_(std::move(transport)),
          server_([this](fairing::test::Peer& peer) { serve(peer); }) {}
    ApiProxy(ApiProxy&&) = delete;
    ApiProxy& operator=(ApiProxy&&) = delete;
    ~ApiProxy() { cut_all(); }

    [[nodiscard]] std::string url() const {
        return "http://127.0.0.1:" + std::to_string(server_.port());
    }
    void set_policy(Policy policy) {
        const std::lock_guard lock{mutex_};
        policy_ = std::move(policy);
        released_ = false;
        held_ = 0;
        late_ = 0;
    }
    /// Lets go on what is held, from now on.
    void release() { released_ = true; }
    /// How many exchanges were held since the policy was set.
    [[nodiscard]] int held() const { return held_; }
    /// How many late requests the server has answered since then.
    [[nodiscard]] int late() const { return late_; }
    [[nodiscard]] std::vector<SeenRequest> seen() const {
        const std::lock_guard lock{mutex_};
        return seen_;
    }
    [[nodiscard]] std::size_t count(const std::string& method, const std::string& part) const {
        const std::vector<SeenRequest> all = seen();
        return static_cast<std::size_t>(
            std::count_if(all.begin(), all.end(), [&](const SeenRequest& each) {
                return each.method == method && each.target.find(part) != std::string::npos;
            }));
    }
    void forget() {
        const std::lock_guard lock{mutex_};
        seen_.clear();
    }
    /// Resets every exchange that is going on.
    void cut_all() {
        const std::lock_guard lock{mutex_};
        cutting_.request_stop();
        cutting_ = std::stop_source{};
    }

private:
    static constexpr std::chrono::milliseconds moment{300};
    /// The client is gone, or its connection is cut by plan.
    struct Broken {};

    void serve(fairing::test::Peer& peer) {
        for (std::string head = peer.head(); !head.empty(); head = peer.head()) {
            if (!exchange(peer, head)) {
                return;
            }
        }
    }

    static std::string header(const std::string& head, const std::string& name) {
        const std::size_t at = head.find("\r\n" + name + ": ");
        if (at == std::string::npos) {
            return {};
        }
        const std::size_t begin = at + name.size() + 4;
        return head.substr(begin, head.find('\r', begin) - begin);
    }

    bool exchange(fairing::test::Peer& peer, const std::string& head) {
        const std::size_t space = head.find(' ');
        SeenRequest seen{.method = head.substr(0, space),
                         .target = head.substr(space + 1, head.find(' ', space + 1) - space - 1)};
        fairing::net::Request request{.method = seen.method, .url = server_url_ + seen.target};
        if (const std::string length = header(head, "Content-Length"); !length.empty()) {
            request.body = fairing::net::Body::of(peer.body(std::stoul(length)));
        }
        for (const char* name : {"Accept", "Content-Type"}) {
            if (const std::string value = header(head, name); !value.empty()) {
                request.headers.emplace(name, value);
            }
        }
        request.headers.emplace("Authorization", "Bearer " + token_);
        request.idle_timeout = std::chrono::minutes{10};
        request.max_body = std::uint64_t{64} << 20;
        Fault fault;
        std::stop_token stop;
        {
            const std::lock_guard lock{mutex_};
            seen_.push_back(seen);
            fault = policy_ ? policy_(seen) : Fault{};
            stop = cutting_.get_token();
        }
        if (fault.kind == Fault::Kind::answer) {
            return peer.answer(fault.status, fault.body,
                               "Content-Type: application/json\r\n" + fault.headers);
        }
        try {
            const bool is_late = fault.kind == Fault::Kind::late_request;
            if ((is_late || fault.kind == Fault::Kind::hold_request) && !hold(peer, stop)) {
                if (!is_late) {
                    throw Broken{};
                }
                std::this_thread::sleep_for(moment);
            }
            const bool streams = seen.target.find("watch=") != std::string::npos ||
                                 seen.target.find("follow=") != std::string::npos;
            return streams ? stream(peer, request, fault, stop) : pass(peer, request, fault, stop);
        } catch (const std::exception&) {
            // the API server is away, or cut_all()
        } catch (const Broken&) {
        }
        peer.reset();
        return false;
    }

    /// Until release(); false when the client hangs up first, or everything is cut.
    bool hold(const fairing::test::Peer& peer, const std::stop_token& stop) {
        ++held_;
        while (!stop.stop_requested() && !peer.gone()) {
            if (released_) {
                return true;
            }
            std::this_thread::sleep_for(std::chrono::milliseconds{5});
        }
        return false;
    }

    bool pass(fairing::test::Peer& peer, const fairing::net::Request& request, const Fault& fault,
              const std::stop_token& stop) {
        const fairing::net::Response response = transport_.send(request, {}, stop);
        if (fault.kind == Fault::Kind::late_request) {
            ++late_;
        }
        const std::string length = std::to_string(response.body.size());
        const std::string start =
            "HTTP/1.1 " + std::to_string(response.status) +
            " Status\r\nContent-Type: " + fairing::net::header(response.headers, "Content-Type") +
            "\r\nContent-Length: " + length + "\r\n\r\n";
        if (fault.kind == Fault::Kind::lose_reply ||
            (fault.kind == Fault::Kind::hold_reply && !hold(peer, stop))) {
            throw Broken{};
        }
        if (fault.kind == Fault::Kind::cut) {
            peer.say(start + response.body.substr(0, fault.bytes));
            throw Broken{};
        }
        return peer.say(start + response.body);
    }

    /// As the bytes come, in chunks.
    bool stream(fairing::test::Peer& peer, const fairing::net::Request& request, const Fault& fault,
                const std::stop_token& stop) const {
        bool started = false;
        std::size_t left = fault.bytes;
        const auto chunk = [&](std::string_view bytes) {
            std::string text;
            if (!std::exchange(started, true)) {
                text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
            }
            if (!bytes.empty()) {
                char size[32];
                std::snprintf(size, sizeof size, "%zx\r\n", bytes.size());
                text += size + std::string{bytes} + "\r\n";
            }
            if (!peer.say(text)) {
                throw Broken{};
            }
        };
        const fairing::net::BodySink sink = [&](std::span<const std::byte> bytes) {
            std::string_view text{reinterpret_cast<const char*>(bytes.data()), bytes.size()};
            const bool is_cut = fault.kind == Fault::Kind::cut || fault.kind == Fault::Kind::end ||
                                fault.kind == Fault::Kind::lose_reply;
            const bool ends = is_cut && text.size() >= left;
            if (ends) {
                text = text.substr(0, left);
            }
            left -= std::min(left, text.size());
            chunk(text);
            if (ends) {
                if (fault.kind == Fault::Kind::end) {
                    peer.say("0\r\n\r\n");
                }
                throw Broken{};
            }
        };
        const fairing::net::Response response = transport_.send(request, sink, stop);
        if (response.status < 200 || response.status >= 300) {
            return peer.answer(std::to_string(response.status) + " Status", response.body,
                               "Content-Type: application/json\r\n");
        }
        chunk({});
        return peer.say("0\r\n\r\n");
    }

    std::string server_url_, token_;
    fairing::net::AnyTransport transport_;
    mutable std::mutex mutex_;
    Policy policy_ = {};
    std::vector<SeenRequest> seen_ = {};
    std::stop_source cutting_ = {};
    std::atomic<bool> released_ = false;
    std::atomic<int> held_ = 0, late_ = 0;
    fairing::test::HttpServer server_;  // last: its threads use all of the above
};

}  // namespace support
