// fairing/net/deep_thread.hpp - a thread with a large stack, which the caller waits for and can
// have interrupted.
//
// cpp-httplib matches the first line of an answer with std::regex, which recurses per character: a
// hostile peer that sends a long line overflows an ordinary stack. 64 MiB of address space is
// enough for the longest line that it reads.
#pragma once

#include <pthread.h>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <utility>

#include "../core/error.hpp"

namespace fairing::net {

/// Runs `work` in a thread of its own, joined by the destructor.
class DeepThread {
public:
    using Deadline = std::optional<std::chrono::steady_clock::time_point>;

    /// Throws Error{internal} when the system has no thread for us.
    explicit DeepThread(std::function<void()> work) : work_(std::move(work)) {
        constexpr std::size_t stack = std::size_t{64} << 20;
        pthread_attr_t attributes;
        ::pthread_attr_init(&attributes);
        ::pthread_attr_setstacksize(&attributes, stack);
        const int failure = ::pthread_create(&thread_, &attributes, &DeepThread::main, this);
        ::pthread_attr_destroy(&attributes);
        if (failure != 0) {
            throw system_error(failure, "start", "a thread", ErrorCode::internal);
        }
    }
    DeepThread(const DeepThread&) = delete;
    DeepThread& operator=(const DeepThread&) = delete;
    ~DeepThread() { join(); }

    /// Waits for the end of the work, but not longer than until a stop or the deadline. Whether it
    /// has ended.
    [[nodiscard]] bool wait(const std::stop_token& stop, Deadline deadline) {
        std::unique_lock lock{mutex_};
        const auto ended = [this] { return ended_; };
        return deadline ? changed_.wait_until(lock, stop, *deadline, ended)
                        : changed_.wait(lock, stop, ended);
    }
    /// Waits for the end, and throws what the work threw.
    void finish() {
        join();
        if (failure_) {
            std::rethrow_exception(std::exchange(failure_, nullptr));
        }
    }

private:
    static void* main(void* self) {
        static_cast<DeepThread*>(self)->run();
        return nullptr;
    }
    void run() {
        std::exception_ptr failure;
        try {
            work_();
        } catch (...) {
            failure = std::current_exception();
        }
        const std::lock_guard lock{mutex_};
        failure_ = failure;
        ended_ = true;
        changed_.notify_all();
    }
    void join() noexcept {
        if (!std::exchange(joined_, true)) {
            ::pthread_join(thread_, nullptr);
        }
    }

    std::function<void()> work_;
    std::mutex mutex_;
    std::condition_variable_any changed_;
    std::exception_ptr failure_ = {};
    bool ended_ = false, joined_ = false;
    pthread_t thread_{};
};

}  // namespace fairing::net
