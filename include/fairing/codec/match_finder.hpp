// fairing/codec/match_finder.hpp - earlier occurrences of the next bytes, within deflate's window
// (RFC 1951, section 4).
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "byte_order.hpp"

namespace fairing::codec::detail {

inline constexpr std::size_t window_size = 32768;
inline constexpr std::size_t shortest_match = 3;
inline constexpr std::size_t longest_match = 258;

/// `length` bytes that stand `distance` bytes before too. Length 0: none.
struct Match {
    std::size_t length = 0;
    std::size_t distance = 0;
};

/// How many bytes are equal at `left` and `right`, at most `limit`. `limit` bytes are readable at
/// both.
[[nodiscard]] inline std::size_t common_prefix(const std::byte* left, const std::byte* right,
                                               std::size_t limit) {
    std::size_t length = 0;
    for (; length + 8 <= limit; length += 8) {
        const std::uint64_t difference =
            load_little<std::uint64_t>(left + length) ^ load_little<std::uint64_t>(right + length);
        if (difference != 0) {
            return length + static_cast<std::size_t>(std::countr_zero(difference)) / 8;
        }
    }
    while (length < limit && left[length] == right[length]) {
        ++length;
    }
    return length;
}

/// Hash chains over one input: one table of the last place of each three bytes, one of chains of
/// places that share four bytes. Positions are visited in rising order and may be left out; the
/// input stays where it is.
class MatchFinder {
public:
    /// Precondition: input.size() < 2^31.
    explicit MatchFinder(std::span<const std::byte> input)
        : input_(input),
          hash_bits_(std::clamp(static_cast<unsigned>(std::bit_width(input.size())), 8U, 16U)),
          chains_(std::size_t{1} << hash_bits_, nowhere),
          triples_(std::size_t{1} << (hash_bits_ - 2), nowhere),
          previous_(std::min(std::bit_ceil(input.size() + 1), window_size), nowhere) {}

    /// Notes `position` without a search.
    void insert(std::size_t position) {
        if (position + 4 <= input_.size()) {
            static_cast<void>(enter(position));
        }
    }

    /// The longest match at `position` that is longer than `shorter` and is met within `depth`
    /// steps, the nearest of that length; a match of `nice` bytes ends the search. Notes the
    /// position.
    [[nodiscard]] Match find(std::size_t position, std::size_t shorter, std::size_t nice,
                             unsigned depth) {
        if (position + 4 > input_.size()) {
            return {};
        }
        const std::byte* const here = input_.data() + position;
        const std::size_t limit = std::min(longest_match, input_.size() - position);
        const auto [triple, first] = enter(position);
        Match best = {.length = std::max(shorter, shortest_match - 1)};
        if (best.length >= limit) {
            return {};
        }
        if (best.length < shortest_match && is_near(triple, position, far_triple)) {
            const std::byte* const there = input_.data() + triple;
            if (((load_little<std::uint32_t>(there) ^ load_little<std::uint32_t>(here)) &
                 0xffffff) == 0) {
                best = {.length = shortest_match,
                        .distance = position - static_cast<std::size_t>(triple)};
            }
        }
        std::int32_t candidate = first;
        for (; depth > 0 && is_near(candidate, position, window_size); --depth) {
            const std::byte* const there = input_.data() + candidate;
            // A longer match has these four bytes too, and most candidates do not.
            const std::size_t tail = std::max(best.length, shortest_match) - 3;
            if (load_little<std::uint32_t>(there + tail) ==
                load_little<std::uint32_t>(here + tail)) {
                const std::size_t length = common_prefix(here, there, limit);
                if (length > best.length) {
                    best = {.length = length,
                            .distance = position - static_cast<std::size_t>(candidate)};
                    if (length >= nice || length == limit) {
                        break;
                    }
                }
            }
            const std::int32_t next = previous_[slot(static_cast<std::size_t>(candidate))];
            if (next >= candidate) {
                break;  // the slot belongs to a position a window later
            }
            candidate = next;
        }
        return best.distance > 0 ? best : Match{};
    }

private:
    static constexpr std::int32_t nowhere = -1;
    /// Three literals cost less than a match of three from farther away.
    static constexpr std::size_t far_triple = 4096;

    struct Entered {
        std::int32_t triple;
        std::int32_t chain;
    };

    [[nodiscard]] static bool is_near(std::int32_t candidate, std::size_t position,
                                      std::size_t distance) {
        return candidate >= 0 && position - static_cast<std::size_t>(candidate) <= distance;
    }
    [[nodiscard]] std::size_t slot(std::size_t position) const {
        return position & (previous_.size() - 1);
    }
    /// What the tables held for the bytes at `position`, which they now lead to. Four bytes are
    /// readable there.
    Entered enter(std::size_t position) {
        const auto bytes = load_little<std::uint32_t>(input_.data() + position);
        const auto number = static_cast<std::int32_t>(position);
        std::int32_t& chain = chains_[bytes * 0x9e3779b1U >> (32 - hash_bits_)];
        std::int32_t& triple = triples_[(bytes << 8) * 0x85ebca77U >> (34 - hash_bits_)];
        const Entered before = {.triple = triple, .chain = chain};
        previous_[slot(position)] = chain;
        chain = number;
        triple = number;
        return before;
    }

    std::span<const std::byte> input_;
    unsigned hash_bits_;
    std::vector<std::int32_t> chains_;
    std::vector<std::int32_t> triples_;
    std::vector<std::int32_t> previous_;
};

}  // namespace fairing::codec::detail
