// Code lengths: complete, within their limit, and as short in total as Huffman's own where the
// limit does not matter.
#include <doctest/doctest.h>

#include <algorithm>
#include <fairing/codec/huffman.hpp>
#include <functional>
#include <queue>
#include <set>
#include <string>
#include <vector>

#include "../support/samples.hpp"

using namespace fairing::codec::detail;

namespace {

std::vector<std::uint8_t> lengths_of(const std::vector<std::uint32_t>& frequencies,
                                     unsigned limit) {
    std::vector<std::uint8_t> lengths(frequencies.size());
    huffman_lengths(frequencies, limit, lengths);
    return lengths;
}

/// The sum of 2^(15 - length): 2^15 for a complete code.
std::uint32_t kraft_sum(const std::vector<std::uint8_t>& lengths) {
    std::uint32_t sum = 0;
    for (const std::uint8_t length : lengths) {
        sum += length > 0 ? 1U << (15 - length) : 0;
    }
    return sum;
}

std::uint64_t cost(const std::vector<std::uint32_t>& frequencies,
                   const std::vector<std::uint8_t>& lengths) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < lengths.size(); ++i) {
        sum += std::uint64_t{frequencies[i]} * lengths[i];
    }
    return sum;
}

/// Huffman's algorithm, without a limit: the sum of all inner nodes.
std::uint64_t unlimited_cost(const std::vector<std::uint32_t>& frequencies) {
    std::priority_queue<std::uint64_t, std::vector<std::uint64_t>, std::greater<>> nodes;
    for (const std::uint32_t frequency : frequencies) {
        if (frequency > 0) {
            nodes.push(frequency);
        }
    }
    std::uint64_t sum = 0;
    while (nodes.size() > 1) {
        const std::uint64_t first = nodes.top();
        nodes.pop();
        const std::uint64_t both = first + nodes.top();
        nodes.pop();
        nodes.push(both);
        sum += both;
    }
    return sum;
}

}  // namespace

TEST_CASE("huffman: random frequencies give complete codes, optimal when the limit is far") {
    support::Random random{1};
    for (int round = 0; round < 400; ++round) {
        std::vector<std::uint32_t> frequencies(2 + random.below(285));
        for (std::uint32_t& frequency : frequencies) {
            frequency = static_cast<std::uint32_t>(random.below(3) == 0 ? 0 : 1 + random.below(50));
        }
        frequencies[0] = frequencies[1] = 1;
        const auto lengths = lengths_of(frequencies, 15);
        REQUIRE(kraft_sum(lengths) == 1U << 15);
        REQUIRE(cost(frequencies, lengths) == unlimited_cost(frequencies));
        for (std::size_t i = 0; i < lengths.size(); ++i) {
            REQUIRE((lengths[i] > 0) == (frequencies[i] > 0));
        }
    }
}

TEST_CASE("huffman: frequencies that ask for longer codes keep to the limit") {
    std::vector<std::uint32_t> fibonacci = {1, 1};
    while (fibonacci.size() < 19) {
        fibonacci.push_back(fibonacci.end()[-1] + fibonacci.end()[-2]);
    }
    for (const unsigned limit : {5U, 6U, 7U, 10U, 15U}) {
        const auto lengths = lengths_of(fibonacci, limit);
        CHECK(kraft_sum(lengths) == 1U << 15);
        CHECK(*std::max_element(lengths.begin(), lengths.end()) == limit);
        CHECK(std::is_sorted(lengths.rbegin(), lengths.rend()));
    }
    // By hand: with a limit of 3 bits, the best for 1 1 2 4 8 is 3 3 3 3 1.
    CHECK(lengths_of({1, 1, 2, 4, 8}, 3) == std::vector<std::uint8_t>{3, 3, 3, 3, 1});
}

TEST_CASE("huffman: there are two codes at least") {
    CHECK(lengths_of({0, 0, 0}, 15) == std::vector<std::uint8_t>{1, 1, 0});
    CHECK(lengths_of({7, 0, 0}, 15) == std::vector<std::uint8_t>{1, 1, 0});
    CHECK(lengths_of({0, 0, 7}, 15) == std::vector<std::uint8_t>{1, 0, 1});
}

TEST_CASE("huffman: canonical codes, as the example of RFC 1951, section 3.2.2") {
    const std::vector<std::uint8_t> lengths = {3, 3, 3, 3, 3, 2, 4, 4};
    std::vector<std::uint16_t> codes(lengths.size());
    huffman_codes(lengths, codes);
    // 010 011 100 101 110 00 1110 1111, each read backwards
    CHECK(codes ==
          std::vector<std::uint16_t>{0b010, 0b110, 0b001, 0b101, 0b011, 0b00, 0b0111, 0b1111});
}
