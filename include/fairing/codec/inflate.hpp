// fairing/codec/inflate.hpp - a reader of deflate streams (RFC 1951) that takes its input in pieces
// of any size.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "bit_reader.hpp"
#include "byte_order.hpp"
#include "compressor.hpp"
#include "inflate_codes.hpp"
#include "inflate_table.hpp"

namespace fairing::codec {

/// Gives what a deflate stream holds to a sink. Accepts exactly the streams that zlib accepts;
/// throws Error{integrity} with the reason on others, and is good for nothing but reset() then.
/// Keeps 32 KiB of history and the output of one step, whatever the stream says.
class Inflater {
public:
    explicit Inflater(ByteSink sink) : sink_(std::move(sink)), buffer_(buffer_size) {}

    /// Takes the next piece of the stream and gives the sink all that it decides. Returns how many
    /// bytes belonged to the stream: all of them, unless done().
    std::size_t write(std::span<const std::byte> input) {
        bits_.input = input;
        while (state_ != State::done && step()) {
        }
        if (state_ == State::done) {
            // Whole bytes that were read ahead came out of this input: every earlier one was
            // needed.
            bits_.input = input.subspan(input.size() - bits_.input.size() - bits_.count / 8);
            bits_.held = 0;
            bits_.count = 0;
        }
        flush();
        return input.size() - bits_.input.size();
    }

    /// Whether the last block is complete.
    [[nodiscard]] bool done() const { return state_ == State::done; }

    /// Begins another stream, with the same sink.
    void reset() {
        state_ = State::block_header;
        bits_ = {};
        is_last_ = false;
        position_ = 0;
        flushed_ = 0;
    }

private:
    enum class State { block_header, stored_size, stored, codes, symbols, done, failed };

    static constexpr std::size_t window = 32768;
    /// The longest match, and what its copy may write beyond.
    static constexpr std::size_t slack = 258 + 8;
    static constexpr std::size_t buffer_size = window + (std::size_t{128} << 10) + slack;
    /// The longest symbol with its distance has 48 bits, so eight bytes are always enough.
    static constexpr std::size_t fast_input = 16;

    [[noreturn]] void malformed(const char* reason) {
        state_ = State::failed;
        detail::malformed_deflate(reason);
    }

    /// Goes on until the state changes or the buffer is flushed; false when the input ends before
    /// that.
    bool step() {
        switch (state_) {
            case State::block_header:
                return read_block_header();
            case State::stored_size:
                return read_stored_size();
            case State::stored:
                return copy_stored();
            case State::codes:
                return read_codes();
            case State::symbols:
                return read_symbols();
            case State::done:
                return false;
            case State::failed:
                break;
        }
        malformed("it was found to be malformed before");
    }

    // Blocks ------------------------------------------------------------------------------------

    void end_block() { state_ = is_last_ ? State::done : State::block_header; }

    bool read_block_header() {
        if (!bits_.available(3)) {
            return false;
        }
        is_last_ = bits_.take(1) != 0;
        switch (bits_.take(2)) {
            case 0:
                bits_.drop(bits_.count % 8);
                state_ = State::stored_size;
                return true;
            case 1:
                codes_.use_fixed();
                state_ = State::symbols;
                return true;
            case 2:
                codes_.begin();
                state_ = State::codes;
                return true;
            default:
                malformed("a block of the reserved type");
        }
    }

    bool read_codes() {
        state_ = State::failed;  // unless it comes back
        const bool complete = codes_.read(bits_);
        state_ = complete ? State::symbols : State::codes;
        return complete;
    }

    bool read_stored_size() {
        if (!bits_.available(32)) {
            return false;
        }
        stored_left_ = bits_.take(16);
        if (bits_.take(16) != (~stored_left_ & 0xffff)) {
            malformed("a stored block with contradictory sizes");
        }
        state_ = State::stored;
        return true;
    }

    bool copy_stored() {
        while (stored_left_ > 0 && bits_.count >= 8) {
            make_room();
            buffer_[position_++] = static_cast<std::byte>(bits_.take(8));
            --stored_left_;
        }
        while (stored_left_ > 0 && !bits_.input.empty()) {
            make_room();
            const std::size_t size =
                std::min({stored_left_, bits_.input.size(), buffer_.size() - slack - position_});
            std::memcpy(buffer_.data() + position_, bits_.input.data(), size);
            position_ += size;
            stored_left_ -= size;
            bits_.input = bits_.input.subspan(size);
        }
        if (stored_left_ > 0) {
            return false;
        }
        end_block();
        return true;
    }

    // Symbols -----------------------------------------------------------------------------------

    bool read_symbols() {
        while (state_ == State::symbols) {
            make_room();
            if (bits_.input.size() >= fast_input) {
                read_symbols_fast();
            } else if (!read_symbol()) {
                return false;
            }
        }
        return true;
    }

    /// One symbol, or false and no change when its bits are not all there.
    bool read_symbol() {
        static_cast<void>(bits_.available(48));
        const detail::InflateEntry entry = codes_.literals().find(bits_.held);
        if (bits_.count < entry.bits) {
            return false;
        }
        if (entry.kind == detail::inflate_literal) {
            buffer_[position_++] = static_cast<std::byte>(entry.value);
            bits_.drop(entry.bits);
            return true;
        }
        if (entry.kind == detail::inflate_end_of_block) {
            bits_.drop(entry.bits);
            end_block();
            return true;
        }
        if (entry.kind == detail::inflate_invalid) {
            malformed("bits that stand for no symbol");
        }
        const unsigned length_bits = entry.bits + entry.kind;
        if (bits_.count < length_bits) {
            return false;
        }
        const detail::InflateEntry distance = codes_.distances().find(bits_.held >> length_bits);
        if (bits_.count < length_bits + distance.bits) {
            return false;
        }
        if (distance.kind == detail::inflate_invalid) {
            malformed("bits that stand for no distance");
        }
        const unsigned distance_bits = length_bits + distance.bits;
        if (bits_.count < distance_bits + distance.kind) {
            return false;
        }
        copy_match(entry.value + bits_.peek(entry.bits, entry.kind),
                   distance.value + bits_.peek(distance_bits, distance.kind));
        bits_.drop(distance_bits + distance.kind);
        return true;
    }

    /// Symbols for as long as there is input and room for any of them, without a check of the bits.
    void read_symbols_fast() {
        const std::byte* input = bits_.input.data();
        const std::byte* const input_end = input + (bits_.input.size() - fast_input);
        const std::size_t room = buffer_.size() - slack;
        const auto fill = [&] {
            bits_.held |= detail::load_little<std::uint64_t>(input) << bits_.count;
            input += (63 - bits_.count) / 8;
            bits_.count |= 56;
        };
        while (input <= input_end && position_ < room) {
            fill();
            detail::InflateEntry entry = codes_.literals().find(bits_.held);
            if (entry.kind == detail::inflate_literal) {
                buffer_[position_++] = static_cast<std::byte>(entry.value);
                bits_.drop(entry.bits);
                entry = codes_.literals().find(bits_.held);
                if (entry.kind == detail::inflate_literal) {
                    buffer_[position_++] = static_cast<std::byte>(entry.value);
                    bits_.drop(entry.bits);
                    continue;
                }
                fill();
            }
            if (entry.kind >= detail::inflate_literal) {
                break;  // the end of the block, or an error: read_symbol() sees to it
            }
            const unsigned length_bits = entry.bits + entry.kind;
            const detail::InflateEntry distance =
                codes_.distances().find(bits_.held >> length_bits);
            if (distance.kind >= detail::inflate_literal) {
                break;
            }
            const unsigned distance_bits = length_bits + distance.bits;
            const std::size_t length = entry.value + bits_.peek(entry.bits, entry.kind);
            const std::size_t offset = distance.value + bits_.peek(distance_bits, distance.kind);
            bits_.drop(distance_bits + distance.kind);
            copy_match(length, offset);
        }
        bits_.held &= (std::uint64_t{1} << bits_.count) - 1;
        bits_.input = bits_.input.last(static_cast<std::size_t>(input_end - input) + fast_input);
        static_cast<void>(position_ < room && read_symbol());
    }

    void copy_match(std::size_t length, std::size_t distance) {
        if (distance > position_) {
            malformed("a distance to before the beginning");
        }
        std::byte* to = buffer_.data() + position_;
        const std::byte* from = to - distance;
        position_ += length;
        if (distance >= 8) {
            for (const std::byte* const end = to + length; to < end; to += 8, from += 8) {
                std::memcpy(to, from, 8);
            }
        } else if (distance == 1) {
            std::memset(to, std::to_integer<int>(*from), length);
        } else {
            for (std::size_t i = 0; i < length; ++i) {
                to[i] = from[i];
            }
        }
    }

    // Output ------------------------------------------------------------------------------------

    /// Room for one match; keeps the window.
    void make_room() {
        if (position_ < buffer_.size() - slack) {
            return;
        }
        flush();
        std::memmove(buffer_.data(), buffer_.data() + position_ - window, window);
        position_ = window;
        flushed_ = window;
    }

    void flush() {
        if (flushed_ < position_) {
            const auto output = std::span{buffer_}.subspan(flushed_, position_ - flushed_);
            flushed_ = position_;
            sink_(output);
        }
    }

    ByteSink sink_;
    State state_ = State::block_header;
    detail::BitReader bits_ = {};
    bool is_last_ = false;

    std::size_t stored_left_ = 0;
    detail::InflateCodes codes_ = {};

    std::vector<std::byte> buffer_;
    std::size_t position_ = 0;
    std::size_t flushed_ = 0;
};

}  // namespace fairing::codec
