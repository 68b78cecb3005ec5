// fairing/codec/deflate.hpp - a writer of deflate streams (RFC 1951).
//
// Bytes -> FastParser or ChainParser (literals and matches) -> BlockSplitter ->
// a code and its bits. The levels differ in the parser alone.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "../core/error.hpp"
#include "bit_writer.hpp"
#include "block_splitter.hpp"
#include "chain_parser.hpp"
#include "deflate_block.hpp"
#include "fast_parser.hpp"
#include "incompressible.hpp"
#include "sequences.hpp"

namespace fairing::codec {

/// Levels go from 0 to 9; these have names.
inline constexpr int deflate_store = 0, deflate_fast = 1, deflate_balanced = 6, deflate_best = 9;

/// Changes whenever a level gives other bytes than before, for those who keep
/// them.
inline constexpr int deflate_version = 2;

/// What follows the blocks: an empty stored block that ends at a byte border,
/// so that other blocks may follow (nothing when the border is reached
/// already), or the block that ends the stream.
enum class DeflateEnd { open, last };

struct DeflateOptions {
    int level = deflate_balanced;
    DeflateEnd end = DeflateEnd::open;
};

namespace detail {

/// Appends blocks for an input of less than 2^31 bytes.
template <class Parser>
void deflate_run(std::span<const std::byte> input, Parser& parser, BitWriter& writer) {
    static thread_local Sequences sequences{BlockSplitter::capacity};
    BlockSplitter splitter{input, sequences, writer};
    RandomnessProbe probe{input};
    std::size_t position = 0;
    while (position < input.size()) {
        const std::size_t size = std::min(BlockSplitter::chunk_size, input.size() - position);
        if (probe.looks_random(position, size)) {
            splitter.store(size);
            position += size;
        } else {
            position =
                parser.parse(position, position + size, splitter.cost(), splitter.sequences());
            splitter.end_chunk();
        }
    }
    splitter.flush();
}

/// Levels 2 to 9.
inline constexpr std::array<ChainEffort, 8> chain_efforts = {{{3, 24, 0, 0},
                                                              {4, 24, 0, 0},
                                                              {6, 32, 0, 0},
                                                              {8, 32, 12, 1},
                                                              {10, 48, 16, 1},
                                                              {16, 64, 32, 1},
                                                              {32, 128, 64, 1},
                                                              {70, 160, 128, 2}}};

inline void deflate_at_level(std::span<const std::byte> input, int level, BitWriter& writer) {
    if (level == deflate_store) {
        write_stored(input, writer);
    } else if (level == deflate_fast) {
        static thread_local FastTable table;
        FastParser parser{input, table};
        deflate_run(input, parser, writer);
    } else {
        static thread_local ChainTables tables;
        ChainParser parser{input, chain_efforts[static_cast<std::size_t>(level - 2)], tables};
        deflate_run(input, parser, writer);
    }
}

}  // namespace detail

/// Appends whole blocks that hold `input` and refer to nothing before it; the
/// end is at a byte border. Blocks from several calls follow each other in any
/// number, the `last` one at the end. A function of input and options alone.
/// Throws Error{usage} on a level that there is not.
inline void deflate(std::span<const std::byte> input, std::vector<std::byte>& out,
                    const DeflateOptions& options = {}) {
    if (options.level < deflate_store || options.level > deflate_best) {
        throw Error{ErrorCode::usage,
                    {.attempted = "compress with",
                     .subject = "level " + std::to_string(options.level),
                     .answer = "there is no such level",
                     .advice = "choose 0 (store) to 9 (small)"}};
    }
    constexpr std::size_t longest_run = std::size_t{1} << 30;
    detail::BitWriter writer{out};
    while (!input.empty()) {
        const auto run = input.first(std::min(input.size(), longest_run));
        detail::deflate_at_level(run, options.level, writer);
        input = input.subspan(run.size());
    }
    writer.reserve(64);
    if (options.end == DeflateEnd::last) {
        writer.put(0b011, 10);  // the end-of-block symbol of a fixed code, 0000000
    } else if (writer.bits_in_byte() > 0) {
        writer.put(0, 3);
        writer.align();
        writer.put(0xffff0000, 32);
    }
    writer.finish();
}

}  // namespace fairing::codec
