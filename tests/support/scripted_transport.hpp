// A transport without a network: it expects requests in an order, answers them, and records what it
// got.
#pragma once

#include <concepts>
#include <deque>
#include <functional>
#include <mutex>
#include <span>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "fairing/core/error.hpp"
#include "fairing/net/message.hpp"
#include "fairing/net/transport.hpp"

namespace fairing::test {

/// What was sent; the body as bytes.
struct Recorded {
    std::string method = {}, url = {}, body = {};
    net::Headers headers = {};

    [[nodiscard]] std::string header(const std::string& name) const {
        return net::header(headers, name);
    }
};

/// Models Transport. Pass `std::ref(scripted)`, so that the record can be read afterwards.
class ScriptedTransport {
public:
    using Reply = std::function<net::Response(const Recorded&)>;

    /// The next request must be this one. An empty URL accepts any.
    ScriptedTransport& expect(std::string method, std::string url, net::Response response) {
        return expect(std::move(method), std::move(url),
                      [response = std::move(response)](const Recorded&) { return response; });
    }
    /// The same, answered by a call.
    template <std::invocable<const Recorded&> Call>
    ScriptedTransport& expect(std::string method, std::string url, Call reply) {
        steps_.push_back({std::move(method), std::move(url), std::move(reply)});
        return *this;
    }
    /// The next request is recorded, and then the connection breaks.
    ScriptedTransport& expect_broken(std::string method, std::string url,
                                     std::string answer = "connection reset") {
        return expect(
            std::move(method), std::move(url),
            [answer = std::move(answer)](const Recorded&) -> net::Response {
                throw Error{ErrorCode::unavailable, {.attempted = "reach", .answer = answer}};
            });
    }

    net::Response send(const net::Request& request, const net::BodySink& sink,
                       std::stop_token stop) {
        if (stop.stop_requested()) {
            throw Cancelled{ErrorCode::cancelled, {.attempted = "reach", .answer = "stopped"}};
        }
        Recorded recorded{.method = request.method, .url = request.url, .headers = request.headers};
        if (request.body.write) {
            request.body.write([&](std::span<const std::byte> bytes) {
                recorded.body.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
            });
        }
        Step step;
        {
            const std::lock_guard lock{mutex_};
            recorded_.push_back(recorded);
            const std::string got = request.method + ' ' + request.url;
            if (steps_.empty()) {
                fail("unexpected " + got);
            }
            step = std::move(steps_.front());
            steps_.pop_front();
            if (step.method != request.method || (!step.url.empty() && step.url != request.url)) {
                fail("expected " + step.method + ' ' + step.url + ", got " + got);
            }
        }
        net::Response response = step.reply(recorded);
        if (request.on_head) {
            request.on_head(response);
        }
        if (sink && response.status >= 200 && response.status < 300) {
            sink(std::as_bytes(std::span{response.body}));
            response.body.clear();
        }
        return response;
    }

    /// Empty when every request was the expected one and all of them came.
    [[nodiscard]] std::string complaint() const {
        const std::lock_guard lock{mutex_};
        if (!complaint_.empty()) {
            return complaint_;
        }
        return steps_.empty() ? ""
                              : "never sent: " + steps_.front().method + ' ' + steps_.front().url;
    }
    [[nodiscard]] const std::vector<Recorded>& recorded() const { return recorded_; }

private:
    struct Step {
        std::string method = {}, url = {};
        Reply reply = {};
    };
    [[noreturn]] void fail(std::string complaint) {
        complaint_ = std::move(complaint);
        throw Error{ErrorCode::internal, {.attempted = "follow the script", .answer = complaint_}};
    }

    mutable std::mutex mutex_;
    std::deque<Step> steps_;
    std::vector<Recorded> recorded_;
    std::string complaint_;
};

}  // namespace fairing::test
