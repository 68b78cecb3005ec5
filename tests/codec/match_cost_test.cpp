// Which matches pay.
#include <doctest/doctest.h>

#include <cstddef>
#include <fairing/codec/match_cost.hpp>

using namespace fairing::codec::detail;

TEST_CASE("match cost: near or long matches pay, the more the dearer literals are") {
    MatchCost cheap, dear;
    cheap.set(3 * cost_of_bit, 8 * cost_of_bit);
    dear.set(8 * cost_of_bit, 8 * cost_of_bit);
    for (std::size_t distance = 1; distance <= 32768; distance *= 2) {
        CHECK(dear.shortest(distance) <= cheap.shortest(distance));
        CHECK(cheap.shortest(distance) <= cheap.shortest(32768));
        CHECK(cheap.gain(cheap.shortest(distance), distance) > 0);
        CHECK(dear.shortest(distance) >= 3);
    }
    // 8 bits, and 13 of the distance: 21 bits are 7 cheap literals.
    CHECK(cheap.gain(7, 32768) == 0);
    CHECK(cheap.shortest(32768) == 8);
    CHECK(cheap.gain(5, 4) > cheap.gain(5, 5));
    CHECK(cheap.gain(5, 1) == 7 * cost_of_bit);
}

TEST_CASE("match cost: literals never count as free") {
    MatchCost cost;
    cost.set(0, 500 * cost_of_bit);
    CHECK(cost.literal() == cost_of_bit);
    CHECK(cost.shortest(32768) == 255);
}
