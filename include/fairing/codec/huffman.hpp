// fairing/codec/huffman.hpp - prefix codes of limited length, as deflate writes them (RFC 1951,
// section 3.2.2).
#pragma once

#include <algorithm>
#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <span>

namespace fairing::codec::detail {

/// No code of deflate is longer, and no alphabet larger.
inline constexpr unsigned huffman_longest = 15;
inline constexpr std::size_t huffman_symbols = 288;

/// The lengths of an optimal prefix code of at most `limit` bits (package-merge: Larmore and
/// Hirschberg, 1990). Unused symbols get length 0. At least two symbols get a code, used or not, so
/// that the code is complete.
///
/// Preconditions: lengths.size() == frequencies.size(), 2 to huffman_symbols, at most 2^limit;
/// limit <= 15; the sum of the frequencies is below 2^32.
inline void huffman_lengths(std::span<const std::uint32_t> frequencies, unsigned limit,
                            std::span<std::uint8_t> lengths) {
    struct Leaf {
        std::uint32_t weight;
        std::uint32_t symbol;
    };
    std::array<Leaf, huffman_symbols> leaves;
    std::size_t count = 0;
    std::fill(lengths.begin(), lengths.end(), std::uint8_t{0});
    for (std::uint32_t symbol = 0; symbol < frequencies.size(); ++symbol) {
        if (frequencies[symbol] > 0) {
            leaves[count++] = {frequencies[symbol], symbol};
        }
    }
    for (std::uint32_t symbol = 0; count < 2; ++symbol) {
        if (frequencies[symbol] == 0) {
            leaves[count++] = {1, symbol};
        }
    }
    std::sort(leaves.begin(), leaves.begin() + count, [](const Leaf& left, const Leaf& right) {
        return left.weight != right.weight ? left.weight < right.weight
                                           : left.symbol < right.symbol;
    });

    // Row n lists the cheapest items of level n: leaves, and pairs of neighbours of the row before.
    std::array<std::bitset<2 * huffman_symbols>, huffman_longest> is_leaf;
    std::array<std::uint64_t, 2 * huffman_symbols> weights, merged;
    std::size_t size = 0;
    for (unsigned level = 0; level < limit; ++level) {
        std::size_t leaf = 0, pair = 0, length = 0;
        while (leaf < count || pair + 1 < size) {
            const bool take_leaf =
                leaf < count &&
                (pair + 1 >= size || leaves[leaf].weight <= weights[pair] + weights[pair + 1]);
            is_leaf[level][length] = take_leaf;
            merged[length++] = take_leaf ? leaves[leaf].weight : weights[pair] + weights[pair + 1];
            leaf += take_leaf ? 1 : 0;
            pair += take_leaf ? 0 : 2;
        }
        std::swap(weights, merged);
        size = length;
    }

    // The first 2n - 2 items of the last row are the solution; a symbol is as long as it is often
    // in them.
    std::size_t taken = 2 * count - 2;
    for (unsigned level = limit; level-- > 0 && taken > 0;) {
        std::size_t taken_leaves = 0;
        for (std::size_t i = 0; i < taken; ++i) {
            taken_leaves += is_leaf[level][i] ? 1 : 0;
        }
        for (std::size_t i = 0; i < taken_leaves; ++i) {
            ++lengths[leaves[i].symbol];
        }
        taken = 2 * (taken - taken_leaves);
    }
}

/// The canonical codes of these lengths, their bits reversed as they go into the stream.
inline void huffman_codes(std::span<const std::uint8_t> lengths, std::span<std::uint16_t> codes) {
    std::array<std::uint16_t, huffman_longest + 2> next = {};
    for (const std::uint8_t length : lengths) {
        ++next[length + 1U];
    }
    next[1] = 0;
    for (std::size_t length = 2; length < next.size(); ++length) {
        next[length] = static_cast<std::uint16_t>((next[length] + next[length - 1]) << 1);
    }
    for (std::size_t symbol = 0; symbol < lengths.size(); ++symbol) {
        std::uint16_t reversed = 0;
        if (lengths[symbol] > 0) {
            std::uint16_t code = next[lengths[symbol]]++;
            for (unsigned bit = 0; bit < lengths[symbol]; ++bit, code >>= 1) {
                reversed = static_cast<std::uint16_t>(reversed << 1 | (code & 1));
            }
        }
        codes[symbol] = reversed;
    }
}

}  // namespace fairing::codec::detail
