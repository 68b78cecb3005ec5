// fairing/codec/entropy.hpp - what symbols cost by the best code, in integers,
// so that every machine decides alike.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

namespace fairing::codec::detail {

/// Costs are in units of 1/1024 bit.
inline constexpr unsigned cost_fraction_bits = 10;
inline constexpr std::uint32_t cost_of_bit = 1U << cost_fraction_bits;

/// log2(1 + i / 256): squared again and again, a number between 1 and 2 gives
/// one bit of its logarithm at a time.
inline constexpr auto log2_fractions = [] {
    std::array<std::uint16_t, 256> fractions = {};
    for (std::uint64_t i = 0; i < fractions.size(); ++i) {
        std::uint64_t value = (256 + i) << 22;
        std::uint32_t fraction = 0;
        for (unsigned bit = 0; bit < cost_fraction_bits; ++bit) {
            value = value * value >> 30;
            const std::uint64_t carry = value >> 31;
            value >>= carry;
            fraction = fraction << 1 | static_cast<std::uint32_t>(carry);
        }
        fractions[i] = static_cast<std::uint16_t>(fraction);
    }
    return fractions;
}();

/// The binary logarithm of a number above 0.
[[nodiscard]] constexpr std::uint32_t log2_cost(std::uint32_t number) {
    const auto exponent = static_cast<std::uint32_t>(std::bit_width(number)) - 1;
    const std::uint32_t mantissa = number << (31 - exponent) >> 23;  // the leading 1 and 8 bits
    return exponent << cost_fraction_bits | log2_fractions[mantissa & 0xff];
}

/// The cost of all symbols together by the best code for them.
[[nodiscard]] inline std::uint64_t entropy_cost(std::span<const std::uint32_t> frequencies) {
    std::uint64_t sum = 0, total = 0;
    for (const std::uint32_t frequency : frequencies) {
        total += frequency;
        sum += std::uint64_t{frequency} * log2_cost(std::max(frequency, 1U));
    }
    return total > 0 ? total * log2_cost(static_cast<std::uint32_t>(total)) - sum : 0;
}

}  // namespace fairing::codec::detail
