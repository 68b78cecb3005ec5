// fairing/kube/time.hpp - the times of the Kubernetes API: RFC 3339 with up to nine digits behind
// the point.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>

#include "../core/clock.hpp"

namespace fairing::kube {

/// Seconds and nanoseconds since 1970, as the logs of containers count.
struct Time {
    std::int64_t seconds = 0;
    std::int32_t nanoseconds = 0;

    friend auto operator<=>(const Time&, const Time&) = default;

    [[nodiscard]] std::chrono::system_clock::time_point rounded() const {
        return clock_time(seconds);
    }
};

namespace detail {

/// The number of `text` at `at`, `width` digits long; -1 when there is anything else.
[[nodiscard]] constexpr int digits_at(std::string_view text, std::size_t at, std::size_t width) {
    int value = 0;
    for (std::size_t i = at; i < at + width; ++i) {
        if (i >= text.size() || text[i] < '0' || text[i] > '9') {
            return -1;
        }
        value = value * 10 + (text[i] - '0');
    }
    return value;
}

/// Days since 1970-01-01 of a date in the Gregorian calendar.
[[nodiscard]] constexpr std::int64_t days_from_date(int year, int month, int day) {
    const int shifted =
        month <= 2 ? year - 1 : year;  // years that begin in March end in a leap day
    const int era = shifted / 400;
    const int year_of_era = shifted % 400;
    const int day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    const int day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return std::int64_t{era} * 146097 + day_of_era - 719468;
}

/// "+02:00", "-07:30" or "Z" in seconds.
[[nodiscard]] constexpr std::optional<int> offset_of(std::string_view zone) {
    if (zone == "Z" || zone == "z") {
        return 0;
    }
    const int hours = digits_at(zone, 1, 2);
    const int minutes = digits_at(zone, 4, 2);
    if (zone.size() != 6 || (zone[0] != '+' && zone[0] != '-') || zone[3] != ':' || hours < 0 ||
        hours > 23 || minutes < 0 || minutes > 59) {
        return std::nullopt;
    }
    return (zone[0] == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
}

}  // namespace detail

/// "2024-05-06T07:08:09.123456789Z", or with "+02:00"; nullopt for anything else.
[[nodiscard]] inline std::optional<Time> parse_time(std::string_view text) {
    using detail::digits_at;
    const int year = digits_at(text, 0, 4);
    const int month = digits_at(text, 5, 2);
    const int day = digits_at(text, 8, 2);
    const int hour = digits_at(text, 11, 2);
    const int minute = digits_at(text, 14, 2);
    const int second = digits_at(text, 17, 2);
    if (text.size() < 20 || text[4] != '-' || text[7] != '-' || text[10] != 'T' ||
        text[13] != ':' || text[16] != ':' || year < 0 || month < 1 || month > 12 || day < 1 ||
        day > 31 || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 ||
        second > 60) {
        return std::nullopt;
    }
    Time time;
    std::size_t at = 19;
    if (text[at] == '.') {
        std::int32_t unit = 100000000;
        for (++at; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
            time.nanoseconds += unit * (text[at] - '0');
            unit /= 10;
        }
        if (at == 20) {
            return std::nullopt;
        }
    }
    const auto offset = detail::offset_of(text.substr(at));
    if (!offset) {
        return std::nullopt;
    }
    const int seconds = (hour * 60 + minute) * 60 + second - *offset;
    time.seconds = detail::days_from_date(year, month, day) * 86400 + seconds;
    return time;
}

/// "2024-05-06T07:08:09Z": what `sinceTime` takes. The fraction is cut off.
[[nodiscard]] inline std::string whole_seconds(const Time& time) {
    const auto seconds = static_cast<std::time_t>(time.seconds);
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    char text[40] = {};
    const std::size_t size = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    return std::string{text, size};
}

}  // namespace fairing::kube
