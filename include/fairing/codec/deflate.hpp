// fairing/codec/deflate.hpp - a writer of deflate streams (RFC 1951).
//
// Bytes -> FastParser or LazyParser (literals and matches) -> BlockSplitter ->
// a code and its bits. The levels differ in the parser alone.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "../core/error.hpp"
#include "bit_writer.hpp"
#include "block_splitter.hpp"
#include "deflate_block.hpp"
#include "fast_parser.hpp"
#include "incompressible.hpp"
#include "lazy_parser.hpp"
#include "sequences.hpp"

namespace fairing::codec {

/// Levels go from 0 to 9; these have names.
inline constexpr int deflate_store = 0, deflate_fast = 1, deflate_balanced = 6, deflate_best = 9;

/// Changes whenever a level gives other bytes than before, for those who keep
/// them.
inline constexpr int deflate_version = 3;

/// What follows the blocks: an empty stored block that ends at a byte border,
/// so that other blocks may follow (nothing when the border is reached
/// already), or the block that ends the stream.
enum class DeflateEnd { open, last };

struct DeflateOptions {
    int level = deflate_balanced;
    DeflateEnd end = DeflateEnd::open;
};

namespace detail {

/// Appends blocks for an input of less than 2^31 bytes, chunk by chunk: the smaller the chunks, the
/// better the blocks' borders, and the more often their symbols are counted.
template <class Parser>
[[gnu::always_inline]] inline void deflate_chunks(std::span<const std::byte> input, Parser& parser,
                                                  std::size_t chunk, BitWriter& writer) {
    static thread_local Sequences sequences{BlockSplitter::capacity};
    BlockSplitter splitter{input, sequences, writer};
    RandomnessProbe probe{input};
    std::size_t position = 0, probed = 0;
    while (position < input.size()) {
        if (position >= probed) {
            const std::size_t size =
                std::min(BlockSplitter::longest_chunk, input.size() - position);
            probed = position + size;
            if (probe.looks_random(position, size)) {
                splitter.store(size);
                position += size;
                continue;
            }
        }
        position = parser.parse(position, std::min(position + chunk, probed), splitter.cost(),
                                splitter.sequences());
        splitter.end_chunk();
    }
    splitter.flush();
}

#if defined(__x86_64__)
/// The same with shifts by any register, and bits counted from the lowest.
template <class Parser>
[[gnu::target("bmi,bmi2")]] void deflate_chunks_bmi(std::span<const std::byte> input,
                                                    Parser& parser, std::size_t chunk,
                                                    BitWriter& writer) {
    deflate_chunks(input, parser, chunk, writer);
}
#endif

template <class Parser>
void deflate_run(std::span<const std::byte> input, Parser& parser, std::size_t chunk,
                 BitWriter& writer) {
#if defined(__x86_64__)
    static const bool has_bmi =
        __builtin_cpu_supports("bmi") != 0 && __builtin_cpu_supports("bmi2") != 0;
    if (has_bmi) {
        return deflate_chunks_bmi(input, parser, chunk, writer);
    }
#endif
    deflate_chunks(input, parser, chunk, writer);
}

/// Levels 2 to 9.
inline constexpr std::array<SearchEffort, 8> search_efforts = {{{2, 24, 0, 0},
                                                                {4, 32, 0, 0},
                                                                {6, 32, 10, 1},
                                                                {10, 48, 12, 1},
                                                                {16, 48, 16, 1},
                                                                {16, 64, 32, 1},
                                                                {32, 96, 64, 2},
                                                                {64, 258, 128, 2}}};

/// Tables for the next inputs of this thread too. They stand on the heap: thread-local storage is
/// made and cleared for every thread of a program, also for those that compress nothing.
template <class Tables>
[[nodiscard]] Tables& tables_of_thread() {
    static thread_local const auto tables = std::make_unique<Tables>();
    return *tables;
}

template <unsigned ways>
void deflate_lazily(std::span<const std::byte> input, int level, BitWriter& writer) {
    constexpr std::size_t chunk = 4096;
    LazyParser<ways> parser{input, search_efforts[static_cast<std::size_t>(level - 2)],
                            tables_of_thread<MatchTables<ways>>()};
    deflate_run(input, parser, chunk, writer);
}

inline void deflate_at_level(std::span<const std::byte> input, int level, BitWriter& writer) {
    if (level == deflate_store) {
        write_stored(input, writer);
    } else if (level == deflate_fast) {
        FastParser parser{input, tables_of_thread<FastTable>()};
        deflate_run(input, parser, BlockSplitter::longest_chunk, writer);
    } else if (level <= deflate_balanced) {
        deflate_lazily<32>(input, level, writer);
    } else {
        deflate_lazily<64>(input, level, writer);
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
