// Literals and matches, counted and forgotten up to a mark; what symbols cost
// by their counts.
#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <fairing/codec/sequences.hpp>
#include <string>

#include "../support/samples.hpp"

using namespace fairing::codec::detail;
using support::bytes_of;

TEST_CASE("sequences: counts between marks") {
    Sequences sequences{1000};
    const std::string text = "abcabcabcabc and more of it, for the words that are read at once";
    Sequences::Cursor cursor = sequences.cursor();
    cursor.add(bytes_of(text).data(), 3, 9, 3);
    sequences.resume(cursor, 12);
    const Sequences::Mark middle = sequences.mark();
    sequences.add_literals(bytes_of(text).subspan(12, 20));
    const Sequences::Mark end = sequences.mark();
    CHECK(middle.input == 12);
    CHECK(end.input == 32);
    const Histogram first = sequences.count({}, middle);
    CHECK(first.literals['a'] == 1);
    CHECK(first.literals[length_symbols[9]] == 1);
    CHECK(first.distances[2] == 1);
    const Histogram second = sequences.count(middle, end);
    CHECK(second.literals[' '] == 5);
    CHECK(second.distances == std::array<std::uint32_t, distance_symbols>{});
    Histogram both = first;
    both.add(second);
    CHECK(both.literals == sequences.count({}, end).literals);
    sequences.drop(middle);
    CHECK(sequences.mark().input == 20);
    CHECK(sequences.count({}, sequences.mark()).literals == second.literals);
}

TEST_CASE("sequences: bytes are counted wherever they stand") {
    for (const std::size_t size : {0U, 1U, 15U, 16U, 17U, 1000U}) {
        const std::string text = support::random_bytes(size, size);
        std::array<std::uint32_t, 256> counts = {}, expected = {};
        count_bytes({reinterpret_cast<const std::uint8_t*>(text.data()), size}, counts);
        for (const char byte : text) {
            ++expected[static_cast<unsigned char>(byte)];
        }
        CHECK(counts == expected);
    }
}

TEST_CASE("sequences: what literals and matches cost is learnt") {
    MatchCost cost;
    Histogram digits;
    for (char digit = '0'; digit <= '9'; ++digit) {
        digits.literals[static_cast<std::size_t>(digit)] = 10'000;
    }
    learn(digits, cost);
    CHECK(cost.literal() > 32 * cost_of_bit / 10);
    CHECK(cost.literal() < 34 * cost_of_bit / 10);
    const std::uint32_t before = cost.literal();
    learn(Histogram{}, cost);
    CHECK(cost.literal() == before);
    // Two chunks of the same kind share a block, and two of different kinds do
    // not.
    Histogram words;
    for (char letter = 'a'; letter <= 'z'; ++letter) {
        words.literals[static_cast<std::size_t>(letter)] = 4'000;
    }
    Histogram same = digits, different = digits;
    same.add(digits);
    different.add(words);
    CHECK(same.cost() < 2 * digits.cost());
    CHECK(different.cost() > digits.cost() + words.cost());
}
