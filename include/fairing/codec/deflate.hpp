// fairing/codec/deflate.hpp - a writer of deflate streams (RFC 1951): hash chains, lazy matching,
// dynamic codes.
//
// Bytes -> MatchFinder (earlier occurrences) -> DeflateBlock (literals and matches) -> BitWriter.
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
#include "deflate_block.hpp"
#include "incompressible.hpp"
#include "match_finder.hpp"

namespace fairing::codec {

/// What follows the blocks: an empty stored block that ends at a byte border, so that other blocks
/// may follow (nothing when the border is reached already), or the block that ends the stream.
enum class DeflateEnd { open, last };

struct DeflateOptions {
    int level = 6;  ///< 1 (fast) to 9 (small)
    DeflateEnd end = DeflateEnd::open;
};

namespace detail {

/// How hard a level searches: steps in a chain, the length that ends a search, and the length from
/// which the next position is not tried for a longer match.
struct DeflateEffort {
    unsigned depth;
    std::size_t nice;
    std::size_t lazy;
};
inline constexpr std::array<DeflateEffort, 9> deflate_efforts = {{{2, 16, 0},
                                                                  {6, 24, 0},
                                                                  {8, 32, 8},
                                                                  {12, 48, 16},
                                                                  {20, 64, 24},
                                                                  {40, 96, 48},
                                                                  {80, 160, 96},
                                                                  {250, 258, 258},
                                                                  {1000, 258, 258}}};

/// Appends blocks for an input of less than 2^31 bytes.
class Deflater {
public:
    Deflater(std::span<const std::byte> input, const DeflateEffort& effort, BitWriter& writer)
        : input_(input), effort_(effort), writer_(writer), finder_(input), probe_(input) {}

    void run() {
        while (position_ < input_.size()) {
            const std::size_t size = std::min(segment_size, input_.size() - position_);
            if (probe_.looks_random(position_, size)) {
                flush();
                write_stored(input_.subspan(position_, size), writer_);
                position_ += size;
                written_ = position_;
            } else {
                compress(position_ + size);
            }
        }
        flush();
    }

private:
    /// The longest stored block.
    static constexpr std::size_t segment_size = 65535;

    /// Turns the input into tokens up to `end`; the last match may reach beyond.
    void compress(std::size_t end) {
        while (position_ < end) {
            Match match = finder_.find(position_, 0, effort_.nice, effort_.depth);
            std::size_t entered = position_ + 1;
            while (match.length > 0 && match.length < effort_.lazy) {
                const unsigned depth = match.length >= 8 ? effort_.depth / 4 : effort_.depth / 2;
                const Match longer = finder_.find(entered++, match.length, effort_.nice, depth);
                if (longer.length == 0) {
                    break;
                }
                block_.literal(input_[position_++]);
                match = longer;
            }
            if (match.length == 0) {
                block_.literal(input_[position_++]);
            } else {
                block_.match(match);
                position_ += match.length;
                for (; entered < position_; ++entered) {
                    finder_.insert(entered);
                }
            }
            if (block_.full()) {
                flush();
            }
        }
    }

    void flush() {
        if (!block_.empty()) {
            block_.write(input_.subspan(written_, block_.input_size()), writer_);
            written_ = position_;
        }
    }

    std::span<const std::byte> input_;
    const DeflateEffort& effort_;
    BitWriter& writer_;
    MatchFinder finder_;
    RandomnessProbe probe_;
    DeflateBlock block_ = {};
    std::size_t position_ = 0;
    std::size_t written_ = 0;
};

}  // namespace detail

/// Appends whole blocks that hold `input` and refer to nothing before it; the end is at a byte
/// border. Blocks from several calls follow each other in any number, the `last` one at the end. A
/// function of input and options alone. Throws Error{usage} on a level that there is not.
inline void deflate(std::span<const std::byte> input, std::vector<std::byte>& out,
                    const DeflateOptions& options = {}) {
    if (options.level < 1 || options.level > static_cast<int>(detail::deflate_efforts.size())) {
        throw Error{ErrorCode::usage,
                    {.attempted = "compress with",
                     .subject = "level " + std::to_string(options.level),
                     .answer = "there is no such level",
                     .advice = "choose 1 to 9"}};
    }
    const auto& effort = detail::deflate_efforts[static_cast<std::size_t>(options.level - 1)];
    constexpr std::size_t longest_run = std::size_t{1} << 30;
    detail::BitWriter writer{out};
    while (!input.empty()) {
        const auto run = input.first(std::min(input.size(), longest_run));
        detail::Deflater{run, effort, writer}.run();
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
