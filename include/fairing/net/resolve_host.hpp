// fairing/net/resolve_host.hpp - the addresses of a host, by the C library's resolver, without
// waiting for ever.
#pragma once

#include <netdb.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "../core/error.hpp"

namespace fairing::net {

namespace detail {

struct Lookup {
    int error = 0;
    std::vector<std::string> addresses = {};
};

/// Numeric addresses of `host`, in the resolver's order, without repetition.
[[nodiscard]] inline Lookup look_up(const std::string& host, int flags) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = flags;
    addrinfo* list = nullptr;
    Lookup result;
    result.error = ::getaddrinfo(host.c_str(), nullptr, &hints, &list);
    for (const addrinfo* entry = result.error == 0 ? list : nullptr; entry != nullptr;
         entry = entry->ai_next) {
        std::array<char, NI_MAXHOST> text{};
        if (::getnameinfo(entry->ai_addr, entry->ai_addrlen, text.data(),
                          static_cast<socklen_t>(text.size()), nullptr, 0, NI_NUMERICHOST) == 0) {
            result.addresses.emplace_back(text.data());
        }
    }
    if (list != nullptr) {
        ::freeaddrinfo(list);
    }
    return result;
}

}  // namespace detail

/// At least one numeric address. Throws Error{not_found} for a name that does not exist,
/// Error{unavailable} when the resolver fails, Error{timeout} after `limit`, Cancelled on a stop. A
/// look-up that is given up ends by itself in a thread of its own: the resolver can not be
/// interrupted.
[[nodiscard]] inline std::vector<std::string> resolve_host(const std::string& host,
                                                           std::chrono::milliseconds limit,
                                                           const std::stop_token& stop) {
    const auto refuse = [&host](ErrorCode code, std::string answer) {
        return Error{
            code,
            {.attempted = "find the address of", .subject = host, .answer = std::move(answer)}};
    };
    detail::Lookup lookup = detail::look_up(host, AI_NUMERICHOST);
    if (lookup.error != 0) {
        struct Shared {
            std::mutex mutex;
            std::condition_variable_any changed;
            std::optional<detail::Lookup> result;
        };
        const auto shared = std::make_shared<Shared>();
        std::thread{[shared, host] {
            detail::Lookup found = detail::look_up(host, AI_ADDRCONFIG);
            if (found.error != 0) {
                found = detail::look_up(host, 0);  // localhost, on a machine without a network
            }
            const std::lock_guard lock{shared->mutex};
            shared->result = std::move(found);
            shared->changed.notify_all();
        }}.detach();
        std::unique_lock lock{shared->mutex};
        shared->changed.wait_for(lock, stop, limit, [&] { return shared->result.has_value(); });
        if (!shared->result) {
            if (stop.stop_requested()) {
                throw Cancelled{ErrorCode::cancelled,
                                {.attempted = "find the address of",
                                 .subject = host,
                                 .answer = "stopped on request"}};
            }
            throw refuse(ErrorCode::timeout, "no answer from the resolver");
        }
        lookup = *std::move(shared->result);
    }
    if (lookup.error != 0 || lookup.addresses.empty()) {
        const bool unknown = lookup.error == EAI_NONAME;
        throw refuse(unknown ? ErrorCode::not_found : ErrorCode::unavailable,
                     lookup.error == 0 ? "it has none" : ::gai_strerror(lookup.error));
    }
    return std::move(lookup.addresses);
}

}  // namespace fairing::net
