// tests/support/faulty_transport.hpp - a transport between a client and a real peer that loses
// requests or answers, or changes them.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>

#include "fairing/core/error.hpp"
#include "fairing/net/transport.hpp"

namespace support {

/// Models Transport; lend it with std::ref.
class FaultyTransport {
public:
    enum class Fault { lost_request, lost_answer };

    explicit FaultyTransport(fairing::net::AnyTransport inner) : inner_(std::move(inner)) {}

    /// The next `times` requests whose "METHOD URL" holds `text` suffer `fault`.
    void lose(std::string text, int times, Fault fault) {
        text_ = std::move(text);
        fault_ = fault;
        left_ = times;
    }
    /// Every answer to a request whose "METHOD URL" holds `text` becomes this one; the peer does
    /// not see the request.
    void replace(std::string text, fairing::net::Response response) {
        replaced_ = std::move(text);
        response_ = std::move(response);
    }
    [[nodiscard]] int left() const noexcept { return left_; }

    fairing::net::Response send(const fairing::net::Request& request,
                                const fairing::net::BodySink& sink, const std::stop_token& stop) {
        const std::string line = request.method + ' ' + request.url;
        if (response_ && line.find(replaced_) != std::string::npos) {
            return *response_;
        }
        const bool hit = left_ > 0 && line.find(text_) != std::string::npos;
        if (!hit || fault_ == Fault::lost_answer) {
            fairing::net::Response response = inner_.send(request, sink, stop);
            if (!hit) {
                return response;
            }
        }
        --left_;
        throw fairing::Error{fairing::ErrorCode::unavailable,
                             {.attempted = "reach", .answer = "connection reset by the test"}};
    }

private:
    fairing::net::AnyTransport inner_;
    std::string text_ = {}, replaced_ = {};
    std::optional<fairing::net::Response> response_ = {};
    Fault fault_ = Fault::lost_request;
    std::atomic<int> left_ = 0;
};

}  // namespace support
