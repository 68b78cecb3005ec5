// fairing/codec/incompressible.hpp - a cheap guess at what deflate could not
// make smaller.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "byte_order.hpp"
#include "match_finder.hpp"

namespace fairing::codec::detail {

/// Looks at an input piece by piece, in order. Deterministic: no clock, no
/// random numbers.
class RandomnessProbe {
public:
    explicit RandomnessProbe(std::span<const std::byte> input) : input_(input) {}

    /// Whether `size` bytes from `position` on have neither a skewed distribution
    /// nor repetitions, so that storing them loses at most a percent.
    [[nodiscard]] bool looks_random(std::size_t position, std::size_t size) {
        return size >= least_size && is_uniform(input_.subspan(position, size / 8)) &&
               is_uniform(input_.subspan(position, size)) && !has_repetitions(position, size);
    }

private:
    static constexpr std::size_t least_size = 16384;
    static constexpr unsigned table_bits = 12;

    /// The sum of the squared counts of a uniform source of n bytes is about n^2
    /// / 256 + n; 4 % more are 0.06 bits of entropy in each byte.
    [[nodiscard]] static bool is_uniform(std::span<const std::byte> piece) {
        std::array<std::array<std::uint32_t, 256>, 4> counts = {};
        std::size_t i = 0;
        for (; i + 4 <= piece.size(); i += 4) {
            ++counts[0][std::to_integer<std::size_t>(piece[i])];
            ++counts[1][std::to_integer<std::size_t>(piece[i + 1])];
            ++counts[2][std::to_integer<std::size_t>(piece[i + 2])];
            ++counts[3][std::to_integer<std::size_t>(piece[i + 3])];
        }
        for (; i < piece.size(); ++i) {
            ++counts[0][std::to_integer<std::size_t>(piece[i])];
        }
        std::uint64_t squares = 0;
        for (std::size_t value = 0; value < 256; ++value) {
            const std::uint64_t count = std::uint64_t{counts[0][value]} + counts[1][value] +
                                        counts[2][value] + counts[3][value];
            squares += count * count;
        }
        const std::uint64_t size = piece.size();
        const std::uint64_t expected = size * size / 256 + size;
        return squares <= expected + expected / 25;
    }

    /// Remembers one place in 32, chosen by the bytes that stand there, so that
    /// both ends of a repetition choose alike.
    [[nodiscard]] bool has_repetitions(std::size_t position, std::size_t size) {
        if (places_.empty()) {
            places_.assign(std::size_t{1} << table_bits, nowhere);
        }
        std::size_t found = 0;
        for (std::size_t at = position; at + 8 <= position + size; ++at) {
            const auto bytes = load_little<std::uint64_t>(input_.data() + at);
            const std::uint64_t hash = bytes * 0x9e3779b97f4a7c15U;
            if (hash >> 59 != 0) {
                continue;
            }
            std::size_t& place = places_[hash >> (59 - table_bits)];
            if (place != nowhere && at - place <= window_size &&
                load_little<std::uint64_t>(input_.data() + place) == bytes) {
                ++found;
            }
            place = at;
        }
        return found * 32 * 8 > size / 100;
    }

    static constexpr std::size_t nowhere = ~std::size_t{0};

    std::span<const std::byte> input_;
    std::vector<std::size_t> places_ = {};
};

}  // namespace fairing::codec::detail
