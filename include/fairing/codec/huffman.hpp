// fairing/codec/huffman.hpp - prefix codes of limited length, as deflate writes
// them (RFC 1951, section 3.2.2).
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

/// A symbol that occurs, and how often.
struct HuffmanLeaf {
    std::uint32_t weight = 0;
    std::uint32_t symbol = 0;
};

/// Package-merge (Larmore and Hirschberg, 1990): optimal under a limit, and
/// slow. Adds to the lengths of the leaves, which are sorted by weight.
inline void package_merge(std::span<const HuffmanLeaf> leaves, unsigned limit,
                          std::span<std::uint8_t> lengths) {
    // Row n lists the cheapest items of level n: leaves, and pairs of neighbours
    // of the row before.
    std::array<std::bitset<2 * huffman_symbols>, huffman_longest> is_leaf;
    std::array<std::uint64_t, 2 * huffman_symbols> weights, merged;
    std::size_t size = 0;
    for (unsigned level = 0; level < limit; ++level) {
        std::size_t leaf = 0, pair = 0, length = 0;
        while (leaf < leaves.size() || pair + 1 < size) {
            const bool take_leaf =
                leaf < leaves.size() &&
                (pair + 1 >= size || leaves[leaf].weight <= weights[pair] + weights[pair + 1]);
            is_leaf[level][length] = take_leaf;
            merged[length++] = take_leaf ? leaves[leaf].weight : weights[pair] + weights[pair + 1];
            leaf += take_leaf ? 1 : 0;
            pair += take_leaf ? 0 : 2;
        }
        std::swap(weights, merged);
        size = length;
    }

    // The first 2n - 2 items of the last row are the solution; a symbol is as
    // long as it is often in them.
    std::size_t taken = 2 * leaves.size() - 2;
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

/// Huffman's algorithm with two queues, the leaves sorted by weight and the
/// inner nodes, which come sorted. Returns the longest length; they are set
/// when that is within the limit.
[[nodiscard]] inline unsigned huffman_tree(std::span<const HuffmanLeaf> leaves, unsigned limit,
                                           std::span<std::uint8_t> lengths) {
    const std::size_t count = leaves.size();
    std::array<std::uint64_t, huffman_symbols> weights;
    std::array<std::uint16_t, huffman_symbols> leaf_parents, parents;
    std::size_t leaf = 0, node = 0;
    for (std::size_t made = 0; made + 1 < count; ++made) {
        std::uint64_t weight = 0;
        for (int child = 0; child < 2; ++child) {
            if (node >= made || (leaf < count && leaves[leaf].weight <= weights[node])) {
                weight += leaves[leaf].weight;
                leaf_parents[leaf++] = static_cast<std::uint16_t>(made);
            } else {
                weight += weights[node];
                parents[node++] = static_cast<std::uint16_t>(made);
            }
        }
        weights[made] = weight;
    }
    // From the root, the last node, down.
    std::array<std::uint16_t, huffman_symbols> depths;
    depths[count - 2] = 0;
    for (std::size_t i = count - 2; i-- > 0;) {
        depths[i] = static_cast<std::uint16_t>(depths[parents[i]] + 1);
    }
    const unsigned longest = depths[leaf_parents[0]] + 1U;  // the lightest leaf is the deepest
    if (longest <= limit) {
        for (std::size_t i = 0; i < count; ++i) {
            lengths[leaves[i].symbol] = static_cast<std::uint8_t>(depths[leaf_parents[i]] + 1);
        }
    }
    return longest;
}

/// The lengths of an optimal prefix code of at most `limit` bits. Unused
/// symbols get length 0. At least two symbols get a code, used or not, so that
/// the code is complete.
///
/// Preconditions: lengths.size() == frequencies.size(), 2 to huffman_symbols,
/// at most 2^limit; limit <= 15; the sum of the frequencies is below 2^32.
inline void huffman_lengths(std::span<const std::uint32_t> frequencies, unsigned limit,
                            std::span<std::uint8_t> lengths) {
    std::array<std::uint64_t, huffman_symbols> keys;
    std::size_t count = 0;
    std::fill(lengths.begin(), lengths.end(), std::uint8_t{0});
    for (std::size_t symbol = 0; symbol < frequencies.size(); ++symbol) {
        keys[count] = std::uint64_t{frequencies[symbol]} << 32 | symbol;
        count += frequencies[symbol] > 0 ? 1 : 0;
    }
    for (std::size_t symbol = 0; count < 2; ++symbol) {
        if (frequencies[symbol] == 0) {
            keys[count++] = std::uint64_t{1} << 32 | symbol;
        }
    }
    std::sort(keys.begin(), keys.begin() + count);
    std::array<HuffmanLeaf, huffman_symbols> storage;
    for (std::size_t i = 0; i < count; ++i) {
        storage[i] = {static_cast<std::uint32_t>(keys[i] >> 32),
                      static_cast<std::uint32_t>(keys[i])};
    }
    const auto leaves = std::span{storage}.first(count);
    if (huffman_tree(leaves, limit, lengths) > limit) {
        package_merge(leaves, limit, lengths);
    }
}

/// The canonical codes of these lengths, their bits reversed as they go into
/// the stream.
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
