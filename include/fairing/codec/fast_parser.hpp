// fairing/codec/fast_parser.hpp - literals and matches by one look into a
// table: the fast level.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "byte_order.hpp"
#include "match_cost.hpp"
#include "match_finder.hpp"
#include "sequences.hpp"

namespace fairing::codec::detail {

/// The last place of each hash of five bytes, modulo 65536. A place may be
/// stale or of other bytes: what stands there decides, so any content of the
/// table is correct.
class FastTable {
public:
    static constexpr unsigned bits = 14;
    void clear() { places_.fill(0); }
    [[nodiscard]] std::uint16_t* places() { return places_.data(); }

private:
    std::array<std::uint16_t, std::size_t{1} << bits> places_;
};

/// Visits one input piece by piece. Where nothing is found it looks at fewer
/// and fewer places.
class FastParser {
public:
    FastParser(std::span<const std::byte> input, FastTable& table)
        : begin_(input.data()), end_(input.data() + input.size()), table_(table) {
        table_.clear();
    }

    /// Adds the input from `position` to at least `target`, and returns where it
    /// got to.
    [[gnu::always_inline]] std::size_t parse(std::size_t position, std::size_t target,
                                             const MatchCost& cost, Sequences& sequences) {
        const std::byte* const begin = begin_;
        const std::byte* const end = end_;
        const std::byte* const stop =
            std::min(begin + target, end - std::min<std::ptrdiff_t>(end - begin, margin));
        std::uint16_t* const table = table_.places();
        const std::array<std::uint8_t, 16> shortest = cost.shortest_lengths();
        // Where literals are cheap, as digits are, short matches are not worth a
        // look.
        const bool is_cheap = cost.literal() < 17 * cost_of_bit / 4;
        const unsigned shift = is_cheap ? 0 : 24;
        Sequences::Cursor cursor = sequences.cursor();
        const std::byte* anchor = begin + position;
        const std::byte* here = anchor + (position == 0 ? 1 : 0);
        while (here < stop) {
            const std::uint64_t word = load_little<std::uint64_t>(here);
            std::uint16_t& entry = table[slot(word, shift)];
            const auto place = static_cast<std::uint16_t>(here - begin);
            // What is out of reach is looked at one byte before: one branch less, and
            // runs are found.
            const std::size_t entered = static_cast<std::uint16_t>(place - entry);
            const std::size_t reach = std::min(window_size, static_cast<std::size_t>(here - begin));
            const std::size_t near = entered - 1 < reach ? 1 : 0;
            const std::size_t distance = 1 + ((entered - 1) & (0 - near));
            entry = place;
            const std::byte* there = here - distance;
            const std::uint64_t first = load_little<std::uint64_t>(there) ^ word;
            if (static_cast<std::uint32_t>(first) != 0) {
                const std::ptrdiff_t step =
                    std::min(widest_step, 1 + ((here - anchor) >> patience));
                if (step > 1 && (here - begin) % (step * step) < step) [[unlikely]] {
                    for (std::ptrdiff_t i = 1; i < step; ++i) {
                        note(table, begin, here + i, shift);
                    }
                }
                here += step;
                continue;
            }
            // The same for most lengths: no branch tells 7 from 8.
            const std::uint64_t second =
                load_little<std::uint64_t>(there + 8) ^ load_little<std::uint64_t>(here + 8);
            const std::uint64_t beyond = first == 0 ? 1 : 0;
            const std::uint64_t differing = first | (second & (0 - beyond));
            std::size_t length = 8 * beyond;
            length += differing != 0 ? static_cast<std::size_t>(std::countr_zero(differing)) / 8
                                     : 8 + common_prefix(here + 16, there + 16,
                                                         static_cast<std::size_t>(end - here) - 16);
            if (here - anchor >= 1 << patience) {
                while (here > anchor && there > begin && here[-1] == there[-1]) {
                    --here, --there, ++length;
                }
            }
            if (length < shortest[static_cast<std::size_t>(std::bit_width(distance - 1))]) {
                ++here;
                continue;
            }
            add(cursor, anchor, static_cast<std::size_t>(here - anchor), length, distance);
            here += length;
            anchor = here;
            if (here < stop) {
                note(table, begin, here - length + 2, shift);
                note(table, begin, here - 2, shift);
                note(table, begin, here - 1, shift);
            }
        }
        const auto reached = static_cast<std::size_t>(anchor - begin);
        sequences.resume(cursor, reached - position);
        if (reached >= target) {
            return reached;
        }
        sequences.add_literals({anchor, target - reached});
        return target;
    }

private:
    /// Bytes at the end of the input that no match begins in, so that words may
    /// be read.
    static constexpr std::ptrdiff_t margin = 64;
    /// Of places that are looked at one in `step`, and noted in bursts of `step`
    /// every step^2, some meet at any distance.
    static constexpr std::ptrdiff_t widest_step = 32;
    /// After 2^patience places without a match the steps grow.
    static constexpr unsigned patience = 6;

    [[nodiscard]] static std::size_t slot(std::uint64_t word, unsigned shift) {
        return static_cast<std::size_t>((word << shift) * 0x9e3779b97f4a7c15U >>
                                        (64 - FastTable::bits));
    }
    static void note(std::uint16_t* table, const std::byte* begin, const std::byte* at,
                     unsigned shift) {
        table[slot(load_little<std::uint64_t>(at), shift)] = static_cast<std::uint16_t>(at - begin);
    }
    /// A match of any length, as matches that deflate has.
    static void add(Sequences::Cursor& cursor, const std::byte* from, std::size_t literals,
                    std::size_t length, std::size_t distance) {
        while (length > longest_match)
            [[unlikely]] {
                // The rest must be a match too.
                const std::size_t part = length - longest_match < shortest_match
                                             ? longest_match - shortest_match
                                             : longest_match;
                cursor.add(from, literals, part, distance);
                literals = 0;
                length -= part;
            }
        cursor.add(from, literals, length, distance);
    }

    const std::byte* begin_;
    const std::byte* end_;
    FastTable& table_;
};

}  // namespace fairing::codec::detail
