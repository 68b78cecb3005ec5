// Costs in integers: near the logarithms of the standard library.
#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <fairing/codec/entropy.hpp>

using namespace fairing::codec::detail;

TEST_CASE("entropy: logarithms") {
    CHECK(log2_cost(1) == 0);
    CHECK(log2_cost(2) == cost_of_bit);
    CHECK(log2_cost(1U << 31) == 31 * cost_of_bit);
    for (std::uint32_t number = 1; number < 4'000'000'000U; number += 1 + number / 7) {
        const double exact = std::log2(static_cast<double>(number)) * cost_of_bit;
        REQUIRE(std::abs(exact - log2_cost(number)) < 0.008 * cost_of_bit);
    }
}

TEST_CASE("entropy: of known distributions") {
    CHECK(entropy_cost({}) == 0);
    CHECK(entropy_cost(std::array<std::uint32_t, 3>{0, 7, 0}) == 0);
    CHECK(entropy_cost(std::array<std::uint32_t, 2>{8, 8}) == 16 * cost_of_bit);
    CHECK(entropy_cost(std::array<std::uint32_t, 4>{4, 2, 1, 1}) == 14 * cost_of_bit);
}
