// fairing/codec/match_finder.hpp - earlier occurrences of the next bytes,
// within deflate's window (RFC 1951, section 4).
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

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
    static constexpr unsigned row_bits = 11;
    static constexpr unsigned row_size = 16;
    static constexpr unsigned triple_bits = 13;

    /// The places last noted of all bytes that share a hash, and a second hash of each.
    struct alignas(64) Row {
        std::array<std::uint8_t, row_size> tags = {};
        std::array<std::uint16_t, row_size> places = {};
        std::uint8_t newest = 0;
    };

    void clear() {
        rows_.fill({});
        triples_.fill(0);
    }
    [[nodiscard]] Row* rows() { return rows_.data(); }
    [[nodiscard]] std::uint16_t* triples() { return triples_.data(); }

private:
    std::array<Row, std::size_t{1} << row_bits> rows_ = {};
    std::array<std::uint16_t, std::size_t{1} << triple_bits> triples_ = {};
};

class MatchFinder {
public:
    MatchFinder(std::span<const std::byte> input, ChainTables& tables)
        : input_(input), rows_(tables.rows()), triples_(tables.triples()) {
        tables.clear();
    }

    /// No match begins here or later: words are read at each position before.
    [[nodiscard]] std::size_t end() const {
        return input_.size() - std::min(input_.size(), margin);
    }

    /// Notes the positions from `from` to before `to` without a search.
    void insert(std::size_t from, std::size_t to) {
        for (to = std::min(to, end()); from < to; ++from) {
            const auto bytes = load_little<std::uint32_t>(input_.data() + from);
            const std::uint32_t hash = bytes * 0x9e3779b1U;
            enter(from, hash);
            triples_[triple_slot(bytes)] = static_cast<std::uint16_t>(from);
        }
    }

    [[nodiscard]] Match find(std::size_t position, const Match& before, std::size_t nice,
                             unsigned depth, const MatchCost& cost) {
        const std::byte* const here = input_.data() + position;
        const std::size_t limit = std::min(longest_match, input_.size() - position);
        const std::size_t reach = std::min(window_size, position);
        const auto bytes = load_little<std::uint32_t>(here);
        const std::uint32_t hash = bytes * 0x9e3779b1U;
        ChainTables::Row& row = rows_[hash >> (32 - ChainTables::row_bits)];
        const auto tag = static_cast<std::uint8_t>(hash >> (24 - ChainTables::row_bits));
        std::uint32_t found = equal_tags(row, tag);
        const unsigned newest = row.newest;
        // The place noted now takes the place of the oldest.
        std::uint16_t& triple = triples_[triple_slot(bytes)];
        const std::size_t near = distance_to(triple, position);
        triple = static_cast<std::uint16_t>(position);
        Match best;
        if (before.length >= limit) {
            enter(position, hash);
            return best;
        }
        // A match has to be as long as this.
        std::size_t least = std::max<std::size_t>(before.length, 4);
        std::int64_t gain = before.length > 0 ? cost.gain(before.length, before.distance) : 0;
        if (before.length == 0) {
            if (near - 1 < std::min(reach, far_triple) &&
                ((load_little<std::uint32_t>(here - near) ^ bytes) & 0xffffff) == 0 &&
                cost.gain(shortest_match, near) > gain) {
                best = {.length = shortest_match, .distance = near};
                gain = cost.gain(shortest_match, near);
            }
        }
        auto wanted = load_little<std::uint32_t>(here + least - 4);
        for (; found != 0 && depth > 0; found &= found - 1, --depth) {
            const auto way = (newest + static_cast<unsigned>(std::countr_zero(found))) %
                             ChainTables::row_size;
            const std::size_t distance = distance_to(row.places[way], position);
            if (distance - 1 >= reach) {
                break;
            }
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
        }
        enter(position, hash);
        return best;
    }

private:
    /// Three literals cost less than a match of three from farther away.
    static constexpr std::size_t far_triple = 4096;
    static constexpr std::size_t margin = 32;

    [[nodiscard]] static std::size_t distance_to(std::uint16_t place, std::size_t position) {
        return static_cast<std::uint16_t>(position - place);
    }
    static std::size_t triple_slot(std::uint32_t bytes) {
        return (bytes << 8) * 0x85ebca77U >> (32 - ChainTables::triple_bits);
    }
    /// One bit for each place in a row that has this tag, from the newest on.
    static std::uint32_t equal_tags(const ChainTables::Row& row, std::uint8_t tag) {
#if defined(__SSE2__)
        const auto same = static_cast<std::uint16_t>(_mm_movemask_epi8(
            _mm_cmpeq_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(row.tags.data())),
                           _mm_set1_epi8(static_cast<char>(tag)))));
#else
#endif
        return std::rotr(same, row.newest);
    }
    void enter(std::size_t position, std::uint32_t hash) {
        ChainTables::Row& row = rows_[hash >> (32 - ChainTables::row_bits)];
        const unsigned way = (row.newest - 1U) % ChainTables::row_size;
        row.newest = static_cast<std::uint8_t>(way);
        row.tags[way] = static_cast<std::uint8_t>(hash >> (24 - ChainTables::row_bits));
        row.places[way] = static_cast<std::uint16_t>(position);
    }

    std::span<const std::byte> input_;
    ChainTables::Row* rows_;
    std::uint16_t* triples_;
};

}  // namespace fairing::codec::detail
