// fairing/codec/huffman.hpp - prefix codes of limited length, as deflate writes
// them (RFC 1951, section 3.2.2).
#pragma once

#include <algorithm>
#include <array>
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

/// Sorts by weight, and by symbol where the weights are equal: eight bits of the weight at a time,
/// without a branch on what they are.
inline void sort_leaves(std::span<HuffmanLeaf> leaves) {
    std::array<HuffmanLeaf, huffman_symbols> sorted;
    std::uint32_t weights = 0;
    for (const HuffmanLeaf& leaf : leaves) {
        weights |= leaf.weight;
    }
    for (unsigned shift = 0; shift < 32 && weights >> shift != 0; shift += 8) {
        std::array<std::uint16_t, 257> places = {};
        for (const HuffmanLeaf& leaf : leaves) {
            ++places[(leaf.weight >> shift & 0xff) + 1];
        }
        for (std::size_t i = 1; i < places.size(); ++i) {
            places[i] = static_cast<std::uint16_t>(places[i] + places[i - 1]);
        }
        for (const HuffmanLeaf& leaf : leaves) {
            sorted[places[leaf.weight >> shift & 0xff]++] = leaf;
        }
        std::copy_n(sorted.begin(), leaves.size(), leaves.begin());
    }
}

/// How many codes there are of each length.
using HuffmanCounts = std::array<std::uint16_t, huffman_longest + 1>;

/// Huffman's algorithm with two queues, the leaves sorted by weight and the
/// inner nodes, which come sorted. Leaves below `limit` are counted there.
[[nodiscard]] inline HuffmanCounts count_lengths(std::span<const HuffmanLeaf> leaves,
                                                 unsigned limit) {
    const std::size_t count = leaves.size();
    std::array<std::uint64_t, huffman_symbols> weights;
    std::array<std::uint16_t, huffman_symbols> parents;
    std::array<std::uint8_t, huffman_symbols> inner = {};  // children that are nodes
    std::size_t leaf = 0, node = 0;
    for (std::size_t made = 0; made + 1 < count; ++made) {
        std::uint64_t weight = 0;
        for (int child = 0; child < 2; ++child) {
            if (node >= made || (leaf < count && leaves[leaf].weight <= weights[node])) {
                weight += leaves[leaf++].weight;
            } else {
                weight += weights[node];
                parents[node++] = static_cast<std::uint16_t>(made);
                ++inner[made];
            }
        }
        weights[made] = weight;
    }
    // From the root, the last node, down.
    HuffmanCounts counts = {};
    std::array<std::uint16_t, huffman_symbols> depths;
    for (std::size_t i = count - 1; i-- > 0;) {
        depths[i] = i == count - 2 ? 0 : static_cast<std::uint16_t>(depths[parents[i]] + 1);
        const unsigned length = std::min(depths[i] + 1U, limit);
        counts[length] = static_cast<std::uint16_t>(counts[length] + 2 - inner[i]);
    }
    return counts;
}

/// Makes a complete code of one that has too many codes of the `limit`: a shorter code becomes two
/// that are a bit longer, and one of the longest moves there. Close to the optimum.
inline void keep_to_limit(HuffmanCounts& counts, unsigned limit) {
    std::uint32_t sum = 0;  // in units of the longest code
    for (unsigned length = 1; length <= limit; ++length) {
        sum += std::uint32_t{counts[length]} << (limit - length);
    }
    for (; sum > 1U << limit; --sum) {
        unsigned length = limit - 1;
        while (counts[length] == 0) {
            --length;
        }
        --counts[length];
        counts[length + 1] = static_cast<std::uint16_t>(counts[length + 1] + 2);
        --counts[limit];
    }
}

/// The lengths of a prefix code of at most `limit` bits, optimal where Huffman's own is not longer.
/// Unused symbols get length 0. At least two symbols get a code, used or not, so that
/// the code is complete.
///
/// Preconditions: lengths.size() == frequencies.size(), 2 to huffman_symbols,
/// at most 2^limit; limit <= 15; the sum of the frequencies is below 2^32.
inline void huffman_lengths(std::span<const std::uint32_t> frequencies, unsigned limit,
                            std::span<std::uint8_t> lengths) {
    std::array<HuffmanLeaf, huffman_symbols> storage;
    std::size_t count = 0;
    std::fill(lengths.begin(), lengths.end(), std::uint8_t{0});
    for (std::size_t symbol = 0; symbol < frequencies.size(); ++symbol) {
        storage[count] = {frequencies[symbol], static_cast<std::uint32_t>(symbol)};
        count += frequencies[symbol] > 0 ? 1 : 0;
    }
    for (std::size_t symbol = 0; count < 2; ++symbol) {
        if (frequencies[symbol] == 0) {
            storage[count++] = {1, static_cast<std::uint32_t>(symbol)};
        }
    }
    const auto leaves = std::span{storage}.first(count);
    sort_leaves(leaves);
    HuffmanCounts counts = count_lengths(leaves, limit);
    keep_to_limit(counts, limit);
    std::size_t leaf = 0;
    for (unsigned length = limit; length > 0; --length) {
        for (unsigned left = counts[length]; left > 0; --left) {
            lengths[leaves[leaf++].symbol] = static_cast<std::uint8_t>(length);
        }
    }
}

/// The 16 bits of a number backwards.
[[nodiscard]] constexpr unsigned reverse_bits(unsigned bits) {
    bits = (bits & 0x5555) << 1 | (bits >> 1 & 0x5555);
    bits = (bits & 0x3333) << 2 | (bits >> 2 & 0x3333);
    bits = (bits & 0x0f0f) << 4 | (bits >> 4 & 0x0f0f);
    return (bits & 0x00ff) << 8 | bits >> 8;
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
        const unsigned length = lengths[symbol];
        codes[symbol] =
            length > 0 ? static_cast<std::uint16_t>(reverse_bits(next[length]++) >> (16 - length))
                       : std::uint16_t{0};
    }
}

}  // namespace fairing::codec::detail
