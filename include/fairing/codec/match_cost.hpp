// fairing/codec/match_cost.hpp - which matches cost less than the literals that
// they stand for.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "entropy.hpp"

namespace fairing::codec::detail {

/// What the symbols of the recent past cost on average, in units of 1/1024 bit.
class MatchCost {
public:
    MatchCost() { set(6 * cost_of_bit, 10 * cost_of_bit); }

    /// `match` is the cost of a length and a distance without the distance's
    /// extra bits.
    void set(std::uint32_t literal, std::uint32_t match) {
        literal_ = std::max<std::uint32_t>(literal, cost_of_bit);
        for (std::uint32_t width = 0; width < shortest_.size(); ++width) {
            const std::uint32_t extra = width > 2 ? width - 2 : 0;
            distance_[width] = match + extra * cost_of_bit;
            shortest_[width] = static_cast<std::uint8_t>(
                std::clamp<std::uint32_t>(distance_[width] / literal_ + 1, 3, 255));
        }
    }

    /// A match at this distance is worth its place from this length on.
    [[nodiscard]] std::size_t shortest(std::size_t distance) const {
        return shortest_[width_of(distance)];
    }
    /// The same for each bit width of distance - 1.
    [[nodiscard]] const std::array<std::uint8_t, 16>& shortest_lengths() const { return shortest_; }
    /// How much a match saves, to be compared with others.
    [[nodiscard]] std::int32_t gain(std::size_t length, std::size_t distance) const {
        return static_cast<std::int32_t>(static_cast<std::uint32_t>(length) * literal_ -
                                         distance_[width_of(distance)]);
    }
    [[nodiscard]] std::uint32_t literal() const { return literal_; }

private:
    static std::size_t width_of(std::size_t distance) {
        return static_cast<std::size_t>(std::bit_width(distance - 1));
    }
    std::uint32_t literal_ = 0;
    std::array<std::uint32_t, 16> distance_ = {};
    std::array<std::uint8_t, 16> shortest_ = {};
};

}  // namespace fairing::codec::detail
