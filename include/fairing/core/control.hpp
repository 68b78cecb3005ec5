// fairing/core/control.hpp - how a long operation is stopped and what it says meanwhile.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>

#include "error.hpp"
#include "version.hpp"

namespace fairing {

enum class Level { debug, info, warning, error };

/// What we say.
struct LogRecord {
    Level level = Level::info;
    std::string text = {};
};

/// What the workload says: one line, without its newline.
struct OutputLine {
    std::string pod = {}, container = {}, text = {};
};

/// How far one item of a step is, in bytes. The last call of an item has done == total.
struct Progress {
    std::string step = {}, item = {};
    std::uint64_t done = 0;
    std::optional<std::uint64_t> total = {};
};

/// Sinks are called one at a time, from any thread, with no lock of ours held. A throw stops the
/// run and leaves the blocking call on the caller's thread.
using LogSink = std::function<void(LogRecord)>;
using OutputSink = std::function<void(OutputLine)>;
using ProgressSink = std::function<void(const Progress&)>;
using Clock = std::function<std::chrono::system_clock::time_point()>;

/// The same sink, safe to call from several threads: calls are queued, and whoever finds the queue
/// idle delivers it, so that no lock is held while the sink runs. What the sink throws reaches that
/// thread.
template <class Value>
[[nodiscard]] std::function<void(Value)> serialized(std::function<void(Value)> sink) {
    if (!sink) {
        return {};
    }
    struct Queue {
        std::mutex mutex;
        std::deque<std::decay_t<Value>> waiting;
        bool delivering = false;
    };
    return [queue = std::make_shared<Queue>(), sink = std::move(sink)](Value value) {
        std::unique_lock lock{queue->mutex};
        queue->waiting.push_back(std::forward<Value>(value));
        if (queue->delivering) {
            return;
        }
        queue->delivering = true;
        while (!queue->waiting.empty()) {
            auto next = std::move(queue->waiting.front());
            queue->waiting.pop_front();
            lock.unlock();
            try {
                sink(std::move(next));
            } catch (...) {
                lock.lock();
                queue->delivering = false;
                throw;
            }
            lock.lock();
        }
        queue->delivering = false;
    };
}

inline namespace FAIRING_ABI {

/// The part of a Session that the lower levels use. A cheap value; {} is silent and can not be
/// stopped.
struct Control {
    std::stop_token stop = {};
    LogSink log = {};
    ProgressSink progress = {};
    Clock clock = {};

    void say(Level level, std::string text) const {
        if (log) {
            log({.level = level, .text = std::move(text)});
        }
    }
    void show(const Progress& value) const {
        if (progress) {
            progress(value);
        }
    }
    [[nodiscard]] std::chrono::system_clock::time_point now() const {
        return clock ? clock() : std::chrono::system_clock::now();
    }
    /// The same for what has to be done in any case, as in a destructor: what the log throws is
    /// dropped.
    [[nodiscard]] Control with_tame_log() const {
        Control tame = *this;
        if (log) {
            tame.log = [log = log](LogRecord record) {
                try {
                    log(std::move(record));
                } catch (...) {
                    // the work comes first
                }
            };
        }
        return tame;
    }
    /// Throws Cancelled when a stop was requested; `attempted` is what was going on ("push image").
    void check(const std::string& attempted) const {
        if (stop.stop_requested()) {
            throw Cancelled{ErrorCode::cancelled,
                            {.attempted = attempted, .answer = "stopped on request"}};
        }
    }
    /// Sleeps, or returns early on a stop.
    void sleep(std::chrono::nanoseconds duration) const {
        std::mutex mutex;
        std::condition_variable_any woken;
        std::unique_lock lock{mutex};
        woken.wait_for(lock, stop, duration, [] { return false; });
    }
};

}  // inline namespace FAIRING_ABI

}  // namespace fairing
