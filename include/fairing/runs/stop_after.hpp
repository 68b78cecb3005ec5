// fairing/runs/stop_after.hpp - a stop token that also means "time is up".
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <stop_token>
#include <thread>
#include <utility>

namespace fairing::kubernetes {

/// Requests its stop after `limit`, or with `parent`, whichever comes first; the end of its life
/// stops nothing.
class StopAfter {
public:
    explicit StopAfter(std::chrono::milliseconds limit, const std::stop_token& parent = {})
        : on_parent_(parent, [this] { source_.request_stop(); }),
          timer_([this, limit] { wait(limit); }) {}
    StopAfter(StopAfter&&) = delete;
    StopAfter& operator=(StopAfter&&) = delete;
    ~StopAfter() {
        {
            const std::lock_guard lock{mutex_};
            ended_ = true;
        }
        woken_.notify_all();
        timer_.join();
    }
    [[nodiscard]] std::stop_token token() const noexcept { return source_.get_token(); }

private:
    void wait(std::chrono::milliseconds limit) {
        std::unique_lock lock{mutex_};
        if (!woken_.wait_for(lock, limit, [this] { return ended_; })) {
            source_.request_stop();
        }
    }

    std::stop_source source_ = {};
    std::stop_callback<std::function<void()>> on_parent_;
    std::mutex mutex_;
    std::condition_variable woken_;
    bool ended_ = false;
    std::thread timer_;  // last: it uses all of the above
};

}  // namespace fairing::kubernetes
