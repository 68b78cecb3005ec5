// fairing/codec/match_finder.hpp - earlier occurrences of the next bytes,
// within deflate's window (RFC 1951, section 4).
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "byte_order.hpp"
#include "deflate_tables.hpp"
#include "match_cost.hpp"

namespace fairing::codec::detail {

/// `length` bytes that stand `distance` bytes before too, and what they save. Length 0: none.
struct Match {
    std::uint32_t length = 0;
    std::uint32_t distance = 0;
    std::int32_t gain = 0;
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

/// Which of eight bytes, the first of them in the lowest bit, are `wanted`.
[[nodiscard]] inline std::uint64_t equal_bytes(std::uint64_t bytes, std::uint8_t wanted) {
    constexpr std::uint64_t ones = 0x0101010101010101U, low = 0x7f * ones;
    const std::uint64_t differing = bytes ^ wanted * ones;
    const std::uint64_t equal = ~(((differing & low) + low) | differing | low) >> 7;
    return equal * 0x0102040810204080U >> 56;
}

/// The places noted last of all bytes that share a hash, and a second hash of each. Places are
/// modulo 65536, and may be stale or of other bytes: what stands there decides.
template <unsigned ways>
struct alignas(64) MatchRow {  // few cache lines
    static_assert(ways == 32 || ways == 64);
    using Mask = std::conditional_t<ways == 32, std::uint32_t, std::uint64_t>;

    std::array<std::byte, ways> tags = {};
    std::array<std::uint16_t, ways> places = {};
    std::uint16_t newest = 0;

    [[gnu::always_inline]] void enter(std::uint8_t tag, std::size_t position) {
        newest = static_cast<std::uint16_t>((newest - 1U) % ways);
        tags[newest] = std::byte{tag};
        places[newest] = static_cast<std::uint16_t>(position);
    }
    /// A bit for each place with this tag, the newest in the lowest one.
    [[gnu::always_inline]] [[nodiscard]] Mask with_tag(std::uint8_t tag) const {
        std::uint64_t same = 0;
#if defined(__SSE2__)
        const __m128i wanted = _mm_set1_epi8(static_cast<char>(tag));
        for (unsigned i = 0; i < ways; i += 16) {
            __m128i some;
            std::memcpy(&some, tags.data() + i, sizeof some);
            const int equal = _mm_movemask_epi8(_mm_cmpeq_epi8(some, wanted));
            same |= std::uint64_t{static_cast<std::uint32_t>(equal)} << i;
        }
#else
        for (unsigned i = 0; i < ways; i += 8) {
            same |= equal_bytes(load_little<std::uint64_t>(tags.data() + i), tag) << i;
        }
#endif
        return std::rotr(static_cast<Mask>(same), newest);
    }
    /// The place of the lowest bit.
    [[nodiscard]] std::uint16_t place(Mask found) const {
        return places[(newest + static_cast<unsigned>(std::countr_zero(found))) % ways];
    }
};

/// The tables of a MatchFinder, to be used again and again.
template <unsigned ways>
class MatchTables {
public:
    static constexpr unsigned row_bits = 10;
    static constexpr unsigned triple_bits = 13;

    void clear() {
        rows_.fill({});
        triples_.fill(0);
    }
    [[nodiscard]] MatchRow<ways>* rows() { return rows_.data(); }
    [[nodiscard]] std::uint16_t* triples() { return triples_.data(); }

private:
    std::array<MatchRow<ways>, std::size_t{1} << row_bits> rows_ = {};
    std::array<std::uint16_t, std::size_t{1} << triple_bits> triples_ = {};
};

/// A table of the last place of each three bytes, and rows of the last places of
/// each four: one comparison tells which of a row may match. Positions are visited in
/// rising order and may be left out; the input stays where it is.
template <unsigned ways>
class MatchFinder {
public:
    MatchFinder(std::span<const std::byte> input, MatchTables<ways>& tables)
        : input_(input), rows_(tables.rows()), triples_(tables.triples()) {
        tables.clear();
    }

    /// No match begins here or later: words are read at each position before.
    [[nodiscard]] std::size_t end() const {
        return input_.size() - std::min(input_.size(), margin);
    }

    /// Notes the positions from `from` to before `to` without a search.
    [[gnu::always_inline]] void insert(std::size_t from, std::size_t to) {
        for (to = std::min(to, end()); from < to; ++from) {
            const Slots slots{load_little<std::uint32_t>(input_.data() + from)};
            rows_[slots.row].enter(slots.tag, from);
            triples_[slots.triple] = static_cast<std::uint16_t>(from);
        }
    }

    /// The match at `position` that saves most among the `depth` newest candidates
    /// that are not shorter than `before`, and save something, and more
    /// than `before`; none: length 0. A match of `nice` bytes ends the search.
    /// Notes the position. Precondition: position < end().
    [[gnu::always_inline]] [[nodiscard]] Match find(std::size_t position, const Match& before,
                                                    std::size_t nice, unsigned depth,
                                                    const MatchCost& cost) {
        const std::byte* const here = input_.data() + position;
        const std::size_t limit = std::min(longest_match, input_.size() - position);
        const std::size_t reach = std::min(window_size, position);
        const auto bytes = load_little<std::uint32_t>(here);
        const Slots slots{bytes};
        MatchRow<ways>& row = rows_[slots.row];
        using Mask = typename MatchRow<ways>::Mask;
        Mask found = row.with_tag(slots.tag);
        std::uint16_t& triple = triples_[slots.triple];
        const std::size_t near = distance_to(triple, position);
        triple = static_cast<std::uint16_t>(position);
        Match best = {.gain = before.gain};
        // A match has to be as long as this.
        std::size_t least = std::max<std::size_t>(before.length, 4);
        if (before.length == 0 && near - 1 < std::min(reach, far_triple) &&
            ((load_little<std::uint32_t>(here - near) ^ bytes) & 0xffffff) == 0) {
            keep(best, shortest_match, near, cost);
        }
        if (least > limit) {
            found = 0;
        }
        for (; found != 0 && depth > 0; found &= found - 1, --depth) {
            const std::size_t distance = distance_to(row.place(found), position);
            if (distance - 1 >= reach) {
                break;
            }
            const std::byte* const there = here - distance;
            // A longer match has these four bytes too, and most candidates do not.
            if (load_little<std::uint32_t>(there + least - 4) !=
                load_little<std::uint32_t>(here + least - 4)) {
                continue;
            }
            const std::size_t length = common_prefix(here, there, limit);
            if (length >= least && keep(best, length, distance, cost)) {
                if (length >= nice || length == limit) {
                    break;
                }
                least = length + 1;
            }
        }
        row.enter(slots.tag, position);
        return best;
    }

private:
    /// Three literals cost less than a match of three from farther away.
    static constexpr std::size_t far_triple = 4096;
    static constexpr std::size_t margin = 32;

    /// Where the tables know the first of these bytes.
    struct Slots {
        explicit Slots(std::uint32_t bytes)
            : row(bytes * 0x9e3779b1U >> (32 - MatchTables<ways>::row_bits)),
              triple((bytes << 8) * 0x85ebca77U >> (32 - MatchTables<ways>::triple_bits)),
              tag(static_cast<std::uint8_t>(bytes * 0x9e3779b1U >>
                                            (24 - MatchTables<ways>::row_bits))) {}
        std::uint32_t row;
        std::uint32_t triple;
        std::uint8_t tag;
    };

    [[nodiscard]] static std::size_t distance_to(std::uint16_t place, std::size_t position) {
        return static_cast<std::uint16_t>(position - place);
    }
    /// Whether this match saves more than the best.
    [[gnu::always_inline]] static bool keep(Match& best, std::size_t length, std::size_t distance,
                                            const MatchCost& cost) {
        const std::int32_t gain = cost.gain(length, distance);
        if (gain <= best.gain) {
            return false;
        }
        best = {.length = static_cast<std::uint32_t>(length),
                .distance = static_cast<std::uint32_t>(distance),
                .gain = gain};
        return true;
    }

    std::span<const std::byte> input_;
    MatchRow<ways>* rows_;
    std::uint16_t* triples_;
};

}  // namespace fairing::codec::detail
