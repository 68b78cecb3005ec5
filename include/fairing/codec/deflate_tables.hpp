// fairing/codec/deflate_tables.hpp - the alphabets of deflate (RFC 1951,
// sections 3.2.5 to 3.2.7).
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace fairing::codec::detail {

inline constexpr std::size_t window_size = 32768;
inline constexpr std::size_t shortest_match = 3;
inline constexpr std::size_t longest_match = 258;

inline constexpr std::size_t literal_symbols = 286;
inline constexpr std::size_t distance_symbols = 30;
inline constexpr std::size_t code_length_symbols = 19;
inline constexpr std::size_t end_of_block = 256;
inline constexpr std::size_t first_length_symbol = 257;

/// The least value of a symbol, and how many bits follow it to say how much
/// more.
struct SymbolRange {
    std::uint16_t base = 0;
    std::uint8_t extra_bits = 0;
};

/// Lengths, from symbol 257 on.
inline constexpr auto length_ranges = [] {
    std::array<SymbolRange, literal_symbols - first_length_symbol> ranges = {};
    std::uint16_t base = 3;
    for (std::size_t i = 0; i < ranges.size(); ++i) {
        const auto extra = static_cast<std::uint8_t>(i < 8 ? 0 : i / 4 - 1);
        ranges[i] = {base, extra};
        base = static_cast<std::uint16_t>(base + (1 << extra));
    }
    ranges.back() = {258, 0};
    return ranges;
}();

inline constexpr auto distance_ranges = [] {
    std::array<SymbolRange, distance_symbols> ranges = {};
    std::uint16_t base = 1;
    for (std::size_t i = 0; i < ranges.size(); ++i) {
        const auto extra = static_cast<std::uint8_t>(i < 4 ? 0 : i / 2 - 1);
        ranges[i] = {base, extra};
        base = static_cast<std::uint16_t>(base + (1 << extra));
    }
    return ranges;
}();

/// The symbol of each length from 3 on.
inline constexpr auto length_symbols = [] {
    std::array<std::uint16_t, longest_match + 1> symbols = {};
    for (std::size_t i = 0; i < length_ranges.size(); ++i) {
        for (std::size_t length = length_ranges[i].base; length < symbols.size(); ++length) {
            symbols[length] = static_cast<std::uint16_t>(first_length_symbol + i);
        }
    }
    return symbols;
}();

[[nodiscard]] constexpr std::size_t distance_symbol(std::size_t distance) {
    const std::size_t value = distance - 1;
    if (value < 2) {
        return value;
    }
    const auto width = static_cast<std::size_t>(std::bit_width(value));
    return 2 * (width - 1) + (value >> (width - 2) & 1);
}

/// The order in which the lengths of the code length code are written.
inline constexpr std::array<std::uint8_t, code_length_symbols> code_length_order = {
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};

/// The fixed code of literals and lengths; the last two symbols complete it and
/// never occur.
inline constexpr auto fixed_literal_lengths = [] {
    std::array<std::uint8_t, 288> lengths = {};
    for (std::size_t i = 0; i < lengths.size(); ++i) {
        lengths[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
    }
    return lengths;
}();

/// The fixed code of distances; the last two symbols complete it and never
/// occur.
inline constexpr auto fixed_distance_lengths = [] {
    std::array<std::uint8_t, 32> lengths = {};
    lengths.fill(5);
    return lengths;
}();

}  // namespace fairing::codec::detail
