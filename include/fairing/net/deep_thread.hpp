// fairing/net/deep_thread.hpp - a thread with a large stack, which the caller waits for and can
// have interrupted.
//
// cpp-httplib matches the first line of an answer with std::regex, which recurses per character: a
// hostile peer that sends a long line overflows an ordinary stack. 64 MiB of address space is
// enough for the longest line that it reads.
#pragma once

#include <pthread.h>
#include <signal.h>

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

/// Does one piece of work after the other, in a thread of its own which the destructor ends. It is
/// kept from piece to piece: what cpp-httplib keeps for a thread, its regular expressions, takes
/// longer to make than many an answer.
class DeepThread {
public:
    using Deadline = std::optional<std::chrono::steady_clock::time_point>;

    /// Throws Error{internal} when the system has no thread for us.
    DeepThread() {
        constexpr std::size_t stack = std::size_t{64} << 20;
        pthread_attr_t attributes;
        ::pthread_attr_init(&attributes);
        ::pthread_attr_setstacksize(&attributes, stack);
        // It outlives requests: a signal that the program comes to wait for must not meet it.
        sigset_t all, before;
        ::sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, &before);
        const int failure = ::pthread_create(&thread_, &attributes, &DeepThread::main, this);
        ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
        ::pthread_attr_destroy(&attributes);
        if (failure != 0) {
            throw system_error(failure, "start", "a thread", ErrorCode::internal);
        }
    }
    DeepThread(const DeepThread&) = delete;
    DeepThread& operator=(const DeepThread&) = delete;
    /// Waits for the work.
    ~DeepThread() {
        {
            const std::lock_guard lock{mutex_};
            leaving_ = true;
        }
        changed_.notify_all();
        ::pthread_join(thread_, nullptr);
    }

    /// When the work before has been waited for, by finish().
    void start(std::function<void()> work) {
        {
            const std::lock_guard lock{mutex_};
            work_ = std::move(work);
        }
        changed_.notify_all();
    }
    /// Waits for the end of the work, but not longer than until a stop or the deadline. Whether it
    /// has ended.
    [[nodiscard]] bool wait(const std::stop_token& stop, Deadline deadline) {
        std::unique_lock lock{mutex_};
        const auto ended = [this] { return !work_; };
        return deadline ? changed_.wait_until(lock, stop, *deadline, ended)
                        : changed_.wait(lock, stop, ended);
    }
    /// Waits for the end, and throws what the work threw.
    void finish() {
        std::unique_lock lock{mutex_};
        changed_.wait(lock, [this] { return !work_; });
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
        std::unique_lock lock{mutex_};
        while (true) {
            changed_.wait(lock, [this] { return leaving_ || work_; });
            if (!work_) {
                return;
            }
            lock.unlock();
            std::exception_ptr failure;
            try {
                work_();
            } catch (...) {
                failure = std::current_exception();
            }
            lock.lock();
            failure_ = std::move(failure);
            work_ = nullptr;
            changed_.notify_all();
        }
    }

    std::mutex mutex_;
    std::condition_variable_any changed_;
    std::function<void()> work_ = {};  ///< in hand or to be done
    std::exception_ptr failure_ = {};
    bool leaving_ = false;
    pthread_t thread_{};
};

}  // namespace fairing::net
