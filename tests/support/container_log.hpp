// tests/support/container_log.hpp - what one run of a container wrote, by lines with their times,
// for as many readers as come.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace support {

/// Nanoseconds since 1970.
[[nodiscard]] inline std::int64_t now_in_nanoseconds() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

/// "2026-01-02T03:04:05.000000006Z"; without a fraction when `digits` is 0.
[[nodiscard]] inline std::string rfc3339(std::int64_t nanoseconds, int digits = 9) {
    const auto seconds = static_cast<std::time_t>(nanoseconds / 1'000'000'000);
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    char text[64];
    const std::size_t length = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    std::string result(text, length);
    if (digits > 0) {
        std::snprintf(text, sizeof text, ".%09lld",
                      static_cast<long long>(nanoseconds % 1'000'000'000));
        result += text;
    }
    return result + 'Z';
}

class ContainerLog {
public:
    struct Line {
        std::int64_t time = 0;
        std::string text = {};  ///< with its newline, unless it is the last and has none
    };

    /// Bytes as the program wrote them; a line gets the time at which it was complete.
    void write(std::string_view bytes) {
        const std::lock_guard lock{mutex_};
        for (std::size_t start = 0; start < bytes.size();) {
            const std::size_t newline = bytes.find('\n', start);
            const std::size_t end = newline == std::string_view::npos ? bytes.size() : newline + 1;
            pending_.append(bytes.substr(start, end - start));
            if (newline != std::string_view::npos) {
                add();
            }
            start = end;
        }
        changed_.notify_all();
    }
    /// Lines get this time from now on; nullopt: the clock's again.
    void set_time(std::optional<std::int64_t> time) {
        const std::lock_guard lock{mutex_};
        time_ = time;
    }
    void close() {
        const std::lock_guard lock{mutex_};
        if (!pending_.empty()) {
            add();
        }
        closed_ = true;
        changed_.notify_all();
    }
    /// Up to 1000 lines from `index` on. Waits for some for at most 100 ms; the second is false
    /// when there will be no more.
    [[nodiscard]] std::pair<std::vector<Line>, bool> next(std::size_t index) {
        std::unique_lock lock{mutex_};
        changed_.wait_for(lock, std::chrono::milliseconds{100},
                          [&] { return closed_ || lines_.size() > index; });
        return copy(index);
    }
    /// The same without waiting.
    [[nodiscard]] std::pair<std::vector<Line>, bool> at_once(std::size_t index) const {
        const std::lock_guard lock{mutex_};
        return copy(index);
    }
    [[nodiscard]] std::size_t size() const {
        const std::lock_guard lock{mutex_};
        return lines_.size();
    }

private:
    void add() {
        lines_.push_back(
            {.time = time_ ? *time_ : now_in_nanoseconds(), .text = std::move(pending_)});
        pending_.clear();
    }
    [[nodiscard]] std::pair<std::vector<Line>, bool> copy(std::size_t index) const {
        const std::size_t begin = std::min(index, lines_.size());
        const std::size_t end = std::min(begin + 1000, lines_.size());
        return {{lines_.begin() + static_cast<std::ptrdiff_t>(begin),
                 lines_.begin() + static_cast<std::ptrdiff_t>(end)},
                !closed_ || end < lines_.size()};
    }

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<Line> lines_ = {};
    std::string pending_ = {};
    std::optional<std::int64_t> time_ = {};
    bool closed_ = false;
};

}  // namespace support
