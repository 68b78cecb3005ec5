// fairing/net/transport.hpp - the one door to the network: a concept, and its type-erased value.
#pragma once

#include <concepts>
#include <functional>
#include <memory>
#include <stop_token>
#include <utility>

#include "message.hpp"

namespace fairing::net {

/// Sends one request and gives the answer, whatever its status; throws Error when there is none.
/// Called from several threads at once. `sink`, when set, gets a 2xx body piece by piece. Follows
/// no redirect and repeats nothing. A stop closes the connection and throws Cancelled.
template <class T>
concept Transport = requires(T& transport, const Request& request, const BodySink& sink,
                             std::stop_token stop) {
    { transport.send(request, sink, stop) } -> std::same_as<Response>;
};

/// Any transport, by value; copies share it. `std::ref(transport)` lends one that the caller keeps.
class AnyTransport {
public:
    AnyTransport() = default;

    template <class T>
    requires(!std::same_as<T, AnyTransport>) && Transport<T> AnyTransport(T transport)
        : send_([shared = std::make_shared<T>(std::move(transport))](
                    const Request& request, const BodySink& sink, std::stop_token stop) {
              return shared->send(request, sink, std::move(stop));
          }) {}

    template <Transport T>
    AnyTransport(std::reference_wrapper<T> transport)
        : send_([transport](const Request& request, const BodySink& sink, std::stop_token stop) {
              return transport.get().send(request, sink, std::move(stop));
          }) {}

    [[nodiscard]] Response send(const Request& request, const BodySink& sink = {},
                                std::stop_token stop = {}) const {
        return send_(request, sink, std::move(stop));
    }
    explicit operator bool() const noexcept { return static_cast<bool>(send_); }

private:
    std::function<Response(const Request&, const BodySink&, std::stop_token)> send_ = {};
};
static_assert(Transport<AnyTransport>);

}  // namespace fairing::net
