// fairing/codec/block_splitter.hpp - where one block of a deflate stream ends
// and the next begins.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "bit_writer.hpp"
#include "deflate_block.hpp"
#include "match_cost.hpp"
#include "sequences.hpp"

namespace fairing::codec::detail {

/// Writes an input that comes in chunks as blocks: neighbours that have much
/// the same symbols share one.
class BlockSplitter {
public:
    static constexpr std::size_t longest_chunk = 32768;
    static constexpr std::size_t longest_block = 4 * longest_chunk;

    BlockSplitter(std::span<const std::byte> input, Sequences& sequences, BitWriter& writer)
        : input_(input), writer_(writer), sequences_(sequences) {
        sequences_.clear();
    }
    static constexpr std::size_t capacity = longest_block + 2 * longest_chunk;

    [[nodiscard]] Sequences& sequences() { return sequences_; }
    [[nodiscard]] const MatchCost& cost() const { return cost_; }

    /// What was added to the sequences since the last call is a chunk.
    void end_chunk() {
        const Sequences::Mark end = sequences_.mark();
        const Histogram chunk = sequences_.count(pending_end_, end);
        learn(chunk, cost_);
        const std::uint64_t chunk_cost = chunk.cost();
        if (pending_end_.input > 0) {
            Histogram both = pending_;
            both.add(chunk);
            const std::uint64_t both_cost = both.cost();
            if (end.input <= longest_block && both_cost <= pending_cost_ + chunk_cost) {
                pending_ = both;
                pending_cost_ = both_cost;
                pending_end_ = end;
                return;
            }
            flush();
        }
        pending_ = chunk;
        pending_cost_ = chunk_cost;
        pending_end_ = sequences_.mark();
    }
    /// Writes all.
    void flush() {
        if (stored_ > 0) {
            write_stored(input_.subspan(written_, stored_), writer_);
            written_ += stored_;
            stored_ = 0;
        }
        if (pending_end_.input > 0) {
            write_block(sequences_, {}, pending_end_, pending_,
                        input_.subspan(written_, pending_end_.input), writer_);
            written_ += pending_end_.input;
            sequences_.drop(pending_end_);
            pending_end_ = {};
        }
    }
    /// The next `size` bytes are written as they are.
    void store(std::size_t size) {
        if (pending_end_.input > 0) {
            flush();
        }
        stored_ += size;
    }

private:
    std::span<const std::byte> input_;
    BitWriter& writer_;
    Sequences& sequences_;
    MatchCost cost_ = {};
    Histogram pending_ = {};
    std::uint64_t pending_cost_ = 0;
    Sequences::Mark pending_end_ = {};
    std::size_t written_ = 0;
    std::size_t stored_ = 0;  // after what is written, before what is pending
};

}  // namespace fairing::codec::detail
