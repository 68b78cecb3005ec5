// fairing/kube/log_lines.hpp - the lines of a container's log with their times, each told once
// however often a part of the log comes again.
#pragma once

#include <algorithm>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "time.hpp"

namespace fairing::kube {

/// One line; without a time when the node itself speaks, or of a piece of a line too long for us.
struct LogLine {
    std::optional<Time> time = {};
    std::string text = {};
};

/// "2024-05-06T07:08:09.123456789Z text": what a log with timestamps consists of.
[[nodiscard]] inline LogLine parse_log_line(std::string line) {
    const std::size_t space = std::string_view{line}.substr(0, 40).find(' ');
    if (space == std::string::npos) {
        // An empty line of the workload may come without the space.
        const auto time = parse_time(line);
        return time ? LogLine{.time = time} : LogLine{.text = std::move(line)};
    }
    const auto time = parse_time(std::string_view{line}.substr(0, space));
    if (!time) {
        return {.text = std::move(line)};
    }
    line.erase(0, space + 1);
    return {.time = time, .text = std::move(line)};
}

/// Whether the node says that it has no log any more; the workload did not write this.
[[nodiscard]] inline bool is_word_of_node(const LogLine& line) {
    return !line.time && (line.text.starts_with("unable to retrieve container logs for ") ||
                          line.text.starts_with("failed to try resolving symlinks in path ") ||
                          line.text.starts_with("rpc error: code = "));
}

/// The container of Katib's that repeats what a trial's program prints, which itself prints nothing
/// then: each line behind the header of klog, "I1126 04:05:06.789012      15 main.go:143] ".
inline constexpr const char* katib_collector = "metrics-logger-and-collector";

/// A line of `container` as the program wrote it.
[[nodiscard]] inline std::string original_line(const std::string& container, std::string line) {
    constexpr std::string_view severities = "IWEF";
    constexpr std::size_t longest = 80;
    const std::size_t end = std::string_view{line}.substr(0, longest).find("] ");
    if (container == katib_collector && end != std::string::npos &&
        severities.find(line.front()) != std::string_view::npos &&
        std::string_view{line}.substr(0, end).find(" main.go:") != std::string_view::npos) {
        line.erase(0, end + 2);
    }
    return line;
}

/// Where a reader of a log is. `sinceTime` counts whole seconds and lines may have equal times, so
/// a log that is opened again begins with lines that were read before: in the same order, and
/// known by their times and texts. Lines whose times are up to a second out of order are neither
/// lost nor repeated; when a node's clock is set back further, lines are repeated, not lost.
class LogCursor {
public:
    /// For the next opening; empty before the first line.
    [[nodiscard]] std::string since_time() const {
        return newest_ ? whole_seconds({.seconds = oldest_kept()}) : std::string{};
    }
    /// The log was opened again with since_time().
    void reopen() noexcept {
        position_ = 0;
        replayed_ = seen_.size();
        before_.reset();
    }
    /// Whether this line was not read before. It counts as read then.
    [[nodiscard]] bool take(const LogLine& line) {
        if (!line.time && !before_ && newest_) {
            return false;  // the end of a line whose beginning is older than since_time()
        }
        const Time time = line.time ? *line.time : before_.value_or(Time{});
        const Key key{time, std::hash<std::string>{}(line.text)};
        before_ = time;
        if (is_replayed(key)) {
            return false;
        }
        seen_.push_back(key);
        if (line.time && (!newest_ || time > *newest_ || time.seconds < oldest_kept())) {
            newest_ = time;
            prune();
        }
        return true;
    }

private:
    struct Key {
        Time time = {};
        std::size_t text = 0;
        friend bool operator==(const Key&, const Key&) = default;
    };

    [[nodiscard]] std::int64_t oldest_kept() const { return newest_->seconds - 1; }

    /// Lines that the node has thrown away meanwhile are skipped.
    [[nodiscard]] bool is_replayed(const Key& key) {
        if (position_ == replayed_) {
            return false;
        }
        const auto begin = seen_.begin() + static_cast<std::ptrdiff_t>(position_);
        const auto end = seen_.begin() + static_cast<std::ptrdiff_t>(replayed_);
        const auto found = std::find(begin, end, key);
        if (found != end) {
            position_ = static_cast<std::size_t>(found - seen_.begin()) + 1;
            return true;
        }
        if (newest_ && key.time > *newest_) {
            position_ = replayed_;  // later than all that was read: nothing old follows
        }
        return false;
    }
    void prune() {
        while (!seen_.empty() && seen_.front().time.seconds < oldest_kept()) {
            seen_.pop_front();
            position_ -= std::min<std::size_t>(position_, 1);
            replayed_ -= std::min<std::size_t>(replayed_, 1);
        }
    }

    std::deque<Key> seen_ = {};  ///< that come again with since_time(), in their order
    std::size_t position_ = 0, replayed_ = 0;
    std::optional<Time> newest_ = {};
    std::optional<Time> before_ = {};  ///< of the line before, for those that have none
};

}  // namespace fairing::kube
