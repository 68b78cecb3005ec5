// fairing/core/parallel.hpp - a few threads, joined before the call returns.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace fairing {

/// How many threads this machine runs at once, at least 1.
[[nodiscard]] inline std::size_t hardware_threads() noexcept {
    return std::max<std::size_t>(1, std::thread::hardware_concurrency());
}

/// Calls body(i) for every i below `count`, on at most `threads` threads, the caller's among them.
/// Indices are taken in order. After a throw no further index is taken; the exception of the lowest
/// index that threw is rethrown here, so that the outcome does not depend on timing more than it
/// must.
template <class Body>
void parallel_for(std::size_t count, std::size_t threads, const Body& body) {
    std::atomic<std::size_t> next{0};
    std::mutex mutex;
    std::exception_ptr failure;
    std::size_t failed_index = count;
    const auto work = [&] {
        for (std::size_t index = next++; index < count; index = next++) {
            try {
                body(index);
            } catch (...) {
                next = count;
                const std::lock_guard lock{mutex};
                if (index < failed_index) {
                    failed_index = index;
                    failure = std::current_exception();
                }
            }
        }
    };
    {
        std::vector<std::jthread> helpers;
        for (std::size_t i = 1; i < std::min(threads, count); ++i) {
            try {
                helpers.emplace_back(work);
            } catch (const std::system_error&) {
                break;  // no more threads here: those there are do it all
            }
        }
        work();
    }
    if (failure) {
        std::rethrow_exception(failure);
    }
}

}  // namespace fairing
