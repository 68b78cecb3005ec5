// The alphabets of deflate, as the tables of RFC 1951 have them.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <fairing/codec/deflate_tables.hpp>

using namespace fairing::codec::detail;

namespace {

/// Each range ends where the next begins.
template <std::size_t count>
bool is_gapless(const std::array<SymbolRange, count>& ranges, std::size_t up_to) {
    for (std::size_t i = 1; i < up_to; ++i) {
        if (ranges[i].base != ranges[i - 1].base + (1U << ranges[i - 1].extra_bits)) {
            return false;
        }
    }
    return true;
}

}  // namespace

TEST_CASE("deflate tables: lengths (RFC 1951, 3.2.5)") {
    constexpr std::array<unsigned, 29> bases = {3,  4,  5,  6,   7,   8,   9,   10,  11, 13,
                                                15, 17, 19, 23,  27,  31,  35,  43,  51, 59,
                                                67, 83, 99, 115, 131, 163, 195, 227, 258};
    REQUIRE(length_ranges.size() == bases.size());
    for (std::size_t i = 0; i < bases.size(); ++i) {
        CHECK(length_ranges[i].base == bases[i]);
        CHECK(length_symbols[bases[i]] == 257 + i);
    }
    CHECK(is_gapless(length_ranges, 28));
    CHECK(length_ranges[27].extra_bits == 5);
    // The longest has a symbol of its own, though that before it could say it, too.
    CHECK(length_ranges[28].extra_bits == 0);
    CHECK(length_symbols[257] == 284);
    CHECK(length_symbols[12] == 265);
}

TEST_CASE("deflate tables: distances (RFC 1951, 3.2.5)") {
    constexpr std::array<unsigned, 30> bases = {
        1,   2,   3,   4,   5,   7,    9,    13,   17,   25,   33,   49,   65,    97,    129,
        193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};
    REQUIRE(distance_ranges.size() == bases.size());
    for (std::size_t i = 0; i < bases.size(); ++i) {
        CHECK(distance_ranges[i].base == bases[i]);
        CHECK(distance_symbol(bases[i]) == i);
        CHECK(distance_symbol(i + 1 < bases.size() ? bases[i + 1] - 1 : window_size) == i);
    }
    CHECK(is_gapless(distance_ranges, 30));
    CHECK(distance_ranges[29].base + (1U << distance_ranges[29].extra_bits) - 1 == window_size);
}

TEST_CASE("deflate tables: every symbol of a code of code lengths is written once (3.2.7)") {
    auto sorted = code_length_order;
    CHECK(sorted[0] == 16);
    CHECK(sorted[3] == 0);
    CHECK(sorted[18] == 15);
    std::sort(sorted.begin(), sorted.end());
    for (std::size_t i = 0; i < sorted.size(); ++i) {
        CHECK(sorted[i] == i);
    }
}

TEST_CASE("deflate tables: the fixed codes are complete (3.2.6)") {
    unsigned sum = 0;
    for (const auto length : fixed_literal_lengths) {
        sum += 1U << (9 - length);
    }
    CHECK(sum == 1U << 9);
    CHECK(fixed_literal_lengths[143] == 8);
    CHECK(fixed_literal_lengths[144] == 9);
    CHECK(fixed_literal_lengths[255] == 9);
    CHECK(fixed_literal_lengths[end_of_block] == 7);
    CHECK(fixed_literal_lengths[279] == 7);
    CHECK(fixed_literal_lengths[280] == 8);
    CHECK(std::count(fixed_distance_lengths.begin(), fixed_distance_lengths.end(), 5) == 32);
}
