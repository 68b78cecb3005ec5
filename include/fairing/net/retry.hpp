// fairing/net/retry.hpp - how often, and after how long, a request is sent again (RFC 9110, 10.2.3:
// Retry-After).
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <ctime>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <string_view>

#include "../core/clock.hpp"

namespace fairing::net {

/// Five attempts, 1 s × 2 ± 20 %, never more than 60 s apart.
struct RetryPolicy {
    int attempts = 5;  ///< in total; 1 means no second one
    std::chrono::milliseconds first_delay = std::chrono::seconds{1};
    double factor = 2;
    double jitter = 0.2;
    std::chrono::milliseconds longest_delay = std::chrono::seconds{60};
    /// Numbers in [0, 1) for the jitter; empty means random ones. Called from several threads.
    std::function<double()> random = {};
};

/// Whether an answer with this status may be different next time.
[[nodiscard]] constexpr bool is_temporary(int status) noexcept {
    return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 ||
           status == 504;
}

namespace detail {

/// Digits of a fixed-width number; -1 when there is anything else.
[[nodiscard]] constexpr int number(std::string_view digits) noexcept {
    int value = 0;
    for (const char digit : digits) {
        if (digit < '0' || digit > '9') {
            return -1;
        }
        value = value * 10 + (digit - '0');
    }
    return digits.empty() ? -1 : value;
}

}  // namespace detail

/// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, 5.6.7, IMF-fixdate); nullopt for anything else.
[[nodiscard]] inline std::optional<std::chrono::system_clock::time_point> parse_http_date(
    std::string_view text) {
    constexpr std::string_view months = "JanFebMarAprMayJunJulAugSepOctNovDec";
    if (text.size() != 29 || text.substr(3, 2) != ", " || text[7] != ' ' || text[11] != ' ' ||
        text[16] != ' ' || text[19] != ':' || text[22] != ':' || text.substr(25) != " GMT") {
        return std::nullopt;
    }
    const std::size_t month = months.find(text.substr(8, 3));
    std::tm parts{};
    parts.tm_mday = detail::number(text.substr(5, 2));
    parts.tm_year = detail::number(text.substr(12, 4)) - 1900;
    parts.tm_hour = detail::number(text.substr(17, 2));
    parts.tm_min = detail::number(text.substr(20, 2));
    parts.tm_sec = detail::number(text.substr(23, 2));
    if (month == std::string_view::npos || month % 3 != 0 || parts.tm_mday < 1 ||
        parts.tm_mday > 31 || parts.tm_year < 0 || parts.tm_hour < 0 || parts.tm_hour > 23 ||
        parts.tm_min < 0 || parts.tm_min > 59 || parts.tm_sec < 0 || parts.tm_sec > 60) {
        return std::nullopt;
    }
    parts.tm_mon = static_cast<int>(month / 3);
    return clock_time(::timegm(&parts));
}

/// How long Retry-After asks to wait; nullopt when it is empty, nonsense or not in the future.
[[nodiscard]] inline std::optional<std::chrono::milliseconds> parse_retry_after(
    std::string_view text, std::chrono::system_clock::time_point now) {
    using std::chrono::milliseconds;
    if (text.size() <= 9 && detail::number(text) > 0) {
        return milliseconds{std::chrono::seconds{detail::number(text)}};
    }
    if (const auto date = parse_http_date(text); date && *date > now) {
        return std::chrono::duration_cast<milliseconds>(*date - now);
    }
    return std::nullopt;
}

/// The pause after the failed attempt number `attempt` (from 1). `retry_after` is the header's
/// value or empty; `random` is in [0, 1). Retry-After wins over the back-off; both are capped.
[[nodiscard]] inline std::chrono::milliseconds retry_delay(
    const RetryPolicy& policy, int attempt, std::string_view retry_after,
    std::chrono::system_clock::time_point now, double random) {
    if (const auto asked = parse_retry_after(retry_after, now)) {
        return std::min(*asked, policy.longest_delay);
    }
    const double longest = static_cast<double>(policy.longest_delay.count());
    const double plain = std::min(longest, static_cast<double>(policy.first_delay.count()) *
                                               std::pow(policy.factor, attempt - 1));
    const double spread = plain * (1 + policy.jitter * (2 * random - 1));
    return std::chrono::milliseconds{std::llround(std::clamp(spread, 0.0, longest))};
}

/// The same, with a random number of the policy's own.
[[nodiscard]] inline std::chrono::milliseconds retry_delay(
    const RetryPolicy& policy, int attempt, std::string_view retry_after,
    std::chrono::system_clock::time_point now) {
    thread_local std::minstd_rand engine{std::random_device{}()};
    const double random =
        policy.random ? policy.random() : std::uniform_real_distribution<double>{}(engine);
    return retry_delay(policy, attempt, retry_after, now, random);
}

}  // namespace fairing::net
