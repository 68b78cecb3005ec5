// fairing/core/figures.hpp - sizes and times as a person reads them: three figures, decimal units.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>

namespace fairing {

namespace detail {

[[nodiscard]] inline std::string figure_text(double value, int decimals, const char* unit) {
    std::array<char, 48> text{};
    std::snprintf(text.data(), text.size(), "%.*f %s", decimals, value, unit);
    return text.data();
}

}  // namespace detail

/// "1.30 MB".
[[nodiscard]] inline std::string human_bytes(std::uint64_t bytes) {
    constexpr std::array<const char*, 5> units{"B", "kB", "MB", "GB", "TB"};
    auto value = static_cast<double>(bytes);
    std::size_t unit = 0;
    while (value >= 999.5 && unit + 1 < units.size()) {
        value /= 1000;
        ++unit;
    }
    const bool whole = unit == 0 || value >= 99.95;
    return detail::figure_text(value, whole ? 0 : value < 9.995 ? 2 : 1, units[unit]);
}

/// "0.42 s".
[[nodiscard]] inline std::string human_seconds(double seconds) {
    return detail::figure_text(seconds, 2, "s");
}

}  // namespace fairing
