// fairing/codec/match_finder.hpp - earlier occurrences of the next bytes,
// within deflate's window (RFC 1951, section 4).
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "byte_order.hpp"
#include "deflate_tables.hpp"
#include "match_cost.hpp"

namespace fairing::codec::detail {

/// `length` bytes that stand `distance` bytes before too. Length 0: none.
struct Match {
    std::size_t length = 0;
    std::size_t distance = 0;
};

/// How many bytes are equal at `left` and `right`, at most `limit`. `limit`
/// bytes are readable at both.
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

/// The tables of a MatchFinder, to be used again and again. Places are modulo
/// 65536, and may be stale or of other bytes: what stands there decides.
class ChainTables {
public:
    static constexpr unsigned chain_bits = 15;
    static constexpr unsigned triple_bits = 13;

    void clear() {
        chains_.fill(0);
        triples_.fill(0);
        previous_.fill(0);
    }
    [[nodiscard]] std::uint16_t* chains() { return chains_.data(); }
    [[nodiscard]] std::uint16_t* triples() { return triples_.data(); }
    [[nodiscard]] std::uint16_t* previous() { return previous_.data(); }

private:
    std::array<std::uint16_t, std::size_t{1} << chain_bits> chains_ = {};
    std::array<std::uint16_t, std::size_t{1} << triple_bits> triples_ = {};
    std::array<std::uint16_t, window_size> previous_ = {};
};

/// Hash chains over one input: one table of the last place of each three bytes,
/// one of chains of places that share four bytes. Positions are visited in
/// rising order and may be left out; the input stays where it is.
class MatchFinder {
public:
    MatchFinder(std::span<const std::byte> input, ChainTables& tables)
        : input_(input),
          chains_(tables.chains()),
          triples_(tables.triples()),
          previous_(tables.previous()) {
        tables.clear();
    }

    /// No match begins here or later: words are read at each position before.
    [[nodiscard]] std::size_t end() const {
        return input_.size() - std::min(input_.size(), margin);
    }

    /// Notes the positions from `from` to before `to` without a search.
    void insert(std::size_t from, std::size_t to) {
        for (to = std::min(to, end()); from < to; ++from) {
            static_cast<void>(enter(from));
        }
    }

    /// The match at `position` that saves most among those that are met within
    /// `depth` steps, are not shorter than `before`, and save something, and more
    /// than `before`; none: length 0. A match of `nice` bytes ends the search.
    /// Notes the position. Precondition: position < end().
    [[nodiscard]] Match find(std::size_t position, const Match& before, std::size_t nice,
                             unsigned depth, const MatchCost& cost) {
        const std::byte* const here = input_.data() + position;
        const std::size_t limit = std::min(longest_match, input_.size() - position);
        const std::size_t reach = std::min(window_size, position);
        const Entered entered = enter(position);
        std::size_t distance = distance_to(entered.chain, position);
        if (before.length >= limit) {
            return {};
        }
        Match best;
        // A match has to be as long as this.
        std::size_t least = std::max<std::size_t>(before.length, 4);
        std::int64_t gain = before.length > 0 ? cost.gain(before.length, before.distance) : 0;
        if (before.length == 0) {
            const std::size_t near = distance_to(entered.triple, position);
            if (near - 1 < std::min(reach, far_triple) &&
                ((load_little<std::uint32_t>(here - near) ^ load_little<std::uint32_t>(here)) &
                 0xffffff) == 0 &&
                cost.gain(shortest_match, near) > gain) {
                best = {.length = shortest_match, .distance = near};
                gain = cost.gain(shortest_match, near);
            }
        }
        const std::uint16_t* const previous = previous_;
        auto wanted = load_little<std::uint32_t>(here + least - 4);
        for (std::size_t last = 0; depth > 0 && distance > last && distance <= reach; --depth) {
            const std::byte* const there = here - distance;
            // A longer match has these four bytes too, and most candidates do not.
            if (load_little<std::uint32_t>(there + least - 4) == wanted) {
                const std::size_t length = common_prefix(here, there, limit);
                if (length >= least && cost.gain(length, distance) > gain) {
                    best = {.length = length, .distance = distance};
                    gain = cost.gain(length, distance);
                    if (length >= nice || length == limit) {
                        break;
                    }
                    least = length + 1;
                    wanted = load_little<std::uint32_t>(here + least - 4);
                }
            }
            last = distance;
            distance = distance_to(previous[(position - distance) % window_size], position);
        }
        return best;
    }

private:
    /// Three literals cost less than a match of three from farther away.
    static constexpr std::size_t far_triple = 4096;
    static constexpr std::size_t margin = 32;

    struct Entered {
        std::uint16_t triple;
        std::uint16_t chain;
    };

    [[nodiscard]] static std::size_t distance_to(std::uint16_t place, std::size_t position) {
        return static_cast<std::uint16_t>(position - place);
    }
    /// What the tables held for the bytes at `position`, which they now lead to.
    Entered enter(std::size_t position) {
        const auto bytes = load_little<std::uint32_t>(input_.data() + position);
        const auto place = static_cast<std::uint16_t>(position);
        std::uint16_t& chain = chains_[bytes * 0x9e3779b1U >> (32 - ChainTables::chain_bits)];
        std::uint16_t& triple =
            triples_[(bytes << 8) * 0x85ebca77U >> (32 - ChainTables::triple_bits)];
        const Entered before = {.triple = triple, .chain = chain};
        previous_[position % window_size] = chain;
        chain = place;
        triple = place;
        return before;
    }

    std::span<const std::byte> input_;
    std::uint16_t* chains_;
    std::uint16_t* triples_;
    std::uint16_t* previous_;
};

}  // namespace fairing::codec::detail
