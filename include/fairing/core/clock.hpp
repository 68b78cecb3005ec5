// fairing/core/clock.hpp - times that others name, on this machine's clock, which ends in 2262.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace fairing {

/// `seconds` after (or before) 1970, or the clock's last (or first) second when it does not reach
/// so far: what a peer sends may name any year.
[[nodiscard]] constexpr std::chrono::system_clock::time_point clock_time(
    std::int64_t seconds) noexcept {
    using Point = std::chrono::system_clock::time_point;
    constexpr std::int64_t last =
        std::chrono::duration_cast<std::chrono::seconds>(Point::duration::max()).count();
    return Point{std::chrono::seconds{std::clamp(seconds, -last, last)}};
}

}  // namespace fairing
