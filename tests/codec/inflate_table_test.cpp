// Prefix codes in tables: by one look and by two, and sets of lengths that are no code.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <fairing/codec/huffman.hpp>
#include <fairing/codec/inflate_table.hpp>
#include <string_view>
#include <vector>

using namespace fairing::codec::detail;

namespace {

using Lengths = std::vector<std::uint8_t>;

InflateEntry symbol_entry(std::size_t symbol) {
    return {.value = static_cast<std::uint16_t>(symbol), .kind = inflate_literal};
}

template <unsigned root_bits>
using Table = InflateTable<root_bits, 8, 4>;

template <class AnyTable>
CodeVerdict build(AnyTable& table, const Lengths& lengths) {
    return table.build(lengths, symbol_entry);
}

/// Whether these first bits are this symbol, whatever follows them.
template <class AnyTable>
bool finds(const AnyTable& table, std::uint64_t code, unsigned length, std::size_t symbol) {
    const InflateEntry zeros = table.find(code),
                       ones = table.find(code | ~std::uint64_t{0} << length);
    return zeros.kind == inflate_literal && zeros.value == symbol && zeros.bits == length &&
           ones.kind == inflate_literal && ones.value == symbol && ones.bits == length;
}
template <class AnyTable>
bool finds(const AnyTable& table, std::string_view code, std::size_t symbol) {
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < code.size(); ++i) {
        bits |= std::uint64_t{code[i] == '1'} << i;
    }
    return finds(table, bits, static_cast<unsigned>(code.size()), symbol);
}

template <unsigned root_bits>
void check_example() {
    Table<root_bits> table;
    REQUIRE(build(table, {3, 3, 3, 3, 3, 2, 4, 4}) == CodeVerdict::complete);
    CHECK(finds(table, "010", 0));
    CHECK(finds(table, "011", 1));
    CHECK(finds(table, "100", 2));
    CHECK(finds(table, "101", 3));
    CHECK(finds(table, "110", 4));
    CHECK(finds(table, "00", 5));
    CHECK(finds(table, "1110", 6));
    CHECK(finds(table, "1111", 7));
}

}  // namespace

TEST_CASE("inflate table: the example of RFC 1951, 3.2.2, however much of a code one look takes") {
    check_example<1>();
    check_example<2>();
    check_example<3>();
    check_example<4>();
}

TEST_CASE("inflate table: what a set of lengths amounts to") {
    Table<2> table;
    CHECK(build(table, {1, 1}) == CodeVerdict::complete);
    CHECK(build(table, {1, 2, 3, 4, 4}) == CodeVerdict::complete);
    CHECK(build(table, {3, 3, 3, 3, 3, 3, 3, 3}) == CodeVerdict::complete);
    for (const Lengths& lengths : {Lengths{1, 1, 1}, Lengths{1, 1, 4}, Lengths{1, 2, 2, 2},
                                   Lengths{2, 2, 2, 2, 2}, Lengths{1, 2, 3, 4, 4, 4}}) {
        CHECK(build(table, lengths) == CodeVerdict::oversubscribed);
    }
    // One code alone may be incomplete, and only when it has one bit.
    for (const Lengths& lengths : {Lengths{1, 2}, Lengths{1, 2, 3, 4}, Lengths{0, 2}, Lengths{4},
                                   Lengths{2, 2, 2}, Lengths{0, 0, 4, 4}}) {
        CHECK(build(table, lengths) == CodeVerdict::incomplete);
    }
    CHECK(build(table, {0, 1}) == CodeVerdict::single);
    CHECK(build(table, {}) == CodeVerdict::empty);
    CHECK(build(table, {0, 0, 0}) == CodeVerdict::empty);
}

TEST_CASE(
    "inflate table: bits without a code are invalid, and nothing of an earlier code is left") {
    Table<2> table;
    const auto is_invalid = [&table](std::uint64_t bits) {
        return table.find(bits).kind == inflate_invalid && table.find(bits).bits == 1;
    };
    REQUIRE(build(table, {3, 3, 3, 3, 3, 2, 4, 4}) == CodeVerdict::complete);
    REQUIRE(build(table, {0, 0, 1}) == CodeVerdict::single);
    for (std::uint64_t rest = 0; rest < 16; rest += 2) {
        CHECK(finds(table, rest, 1, 2));
        CHECK(is_invalid(rest | 1));
    }
    REQUIRE(build(table, {3, 3, 3, 3, 3, 2, 4, 4}) == CodeVerdict::complete);
    REQUIRE(build(table, {0, 0}) == CodeVerdict::empty);
    for (std::uint64_t bits = 0; bits < 16; ++bits) {
        CHECK(is_invalid(bits));
    }
    REQUIRE(build(table, {1, 2, 2}) == CodeVerdict::complete);
    CHECK(finds(table, "0", 0));
    CHECK(finds(table, "11", 2));
}

TEST_CASE("inflate table: the longest codes of the largest alphabet") {
    // Rare symbols would get 20 bits: many of 15 fill the largest subtables that there are.
    std::vector<std::uint32_t> frequencies(288, 1);
    for (std::size_t i = 0; i < 20; ++i) {
        frequencies[i] = 1U << i;
    }
    Lengths lengths(frequencies.size());
    std::vector<std::uint16_t> codes(frequencies.size());
    huffman_lengths(frequencies, 15, lengths);
    huffman_codes(lengths, codes);
    REQUIRE(*std::max_element(lengths.begin(), lengths.end()) == 15);
    InflateTable<10, 288, 15> literals;
    InflateTable<8, 288, 15> narrow;
    REQUIRE(build(literals, lengths) == CodeVerdict::complete);
    REQUIRE(build(narrow, lengths) == CodeVerdict::complete);
    for (std::size_t symbol = 0; symbol < lengths.size(); ++symbol) {
        REQUIRE(finds(literals, codes[symbol], lengths[symbol], symbol));
        REQUIRE(finds(narrow, codes[symbol], lengths[symbol], symbol));
    }
    // All of one length: 256 codes of 8 bits, each found by one look where eight bits are.
    REQUIRE(build(narrow, Lengths(256, 8)) == CodeVerdict::complete);
    CHECK(narrow.find(0).kind == inflate_literal);
    CHECK(narrow.find(255).value == 255);
}
