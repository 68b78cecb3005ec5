// fairing/codec/inflate.hpp - a reader of deflate streams (RFC 1951) that takes its input in pieces
// of any size.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "../core/error.hpp"
#include "byte_order.hpp"
#include "compressor.hpp"
#include "deflate_tables.hpp"
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
        input_ = input;
        while (state_ != State::done && step()) {
        }
        if (state_ == State::done) {
            // Whole bytes that were read ahead came out of this input: every earlier one was
            // needed.
            input_ = input.subspan(input.size() - input_.size() - bit_count_ / 8);
            bits_ = 0;
            bit_count_ = 0;
        }
        flush();
        return input.size() - input_.size();
    }

    /// Whether the last block is complete.
    [[nodiscard]] bool done() const { return state_ == State::done; }

    /// Begins another stream, with the same sink.
    void reset() {
        state_ = State::block_header;
        bits_ = 0;
        bit_count_ = 0;
        is_last_ = false;
        position_ = 0;
        flushed_ = 0;
    }

private:
    enum class State {
        block_header,
        stored_size,
        stored,
        dynamic_header,
        code_length_lengths,
        code_lengths,
        symbols,
        done,
        failed
    };

    static constexpr std::size_t window = 32768;
    /// The longest match, and what its copy may write beyond.
    static constexpr std::size_t slack = 258 + 8;
    static constexpr std::size_t buffer_size = window + (std::size_t{128} << 10) + slack;
    /// The longest symbol with its distance has 48 bits, so eight bytes are always enough.
    static constexpr std::size_t fast_input = 16;

    [[noreturn]] void malformed(std::string reason) {
        state_ = State::failed;
        throw Error{ErrorCode::integrity,
                    {.attempted = "unpack",
                     .subject = "deflate data",
                     .answer = std::move(reason),
                     .advice = "the data is damaged"}};
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
            case State::dynamic_header:
                return read_dynamic_header();
            case State::code_length_lengths:
                return read_code_length_lengths();
            case State::code_lengths:
                return read_code_lengths();
            case State::symbols:
                return read_symbols();
            case State::done:
                return false;
            case State::failed:
                break;
        }
        malformed("it was found to be malformed before");
    }

    // Bits --------------------------------------------------------------------------------------

    /// Takes whole bytes while they fit.
    void refill() {
        while (bit_count_ < 56 && !input_.empty()) {
            bits_ |= std::to_integer<std::uint64_t>(input_.front()) << bit_count_;
            bit_count_ += 8;
            input_ = input_.subspan(1);
        }
    }
    /// Whether `count` bits, at most 48, are there; takes input for them.
    bool available(unsigned count) {
        if (bit_count_ < count) {
            refill();
        }
        return bit_count_ >= count;
    }
    [[nodiscard]] std::uint32_t peek(unsigned offset, unsigned count) const {
        return static_cast<std::uint32_t>(bits_ >> offset & ((std::uint64_t{1} << count) - 1));
    }
    void drop(unsigned count) {
        bits_ >>= count;
        bit_count_ -= count;
    }
    std::uint32_t take(unsigned count) {
        const std::uint32_t value = peek(0, count);
        drop(count);
        return value;
    }

    // Blocks ------------------------------------------------------------------------------------

    void end_block() { state_ = is_last_ ? State::done : State::block_header; }

    bool read_block_header() {
        if (!available(3)) {
            return false;
        }
        is_last_ = take(1) != 0;
        switch (take(2)) {
            case 0:
                drop(bit_count_ % 8);
                state_ = State::stored_size;
                return true;
            case 1:
                use_fixed_codes();
                state_ = State::symbols;
                return true;
            case 2:
                state_ = State::dynamic_header;
                return true;
            default:
                malformed("a block of the reserved type");
        }
    }

    bool read_stored_size() {
        if (!available(32)) {
            return false;
        }
        stored_left_ = take(16);
        if (take(16) != (~stored_left_ & 0xffff)) {
            malformed("a stored block with contradictory sizes");
        }
        state_ = State::stored;
        return true;
    }

    bool copy_stored() {
        while (stored_left_ > 0 && bit_count_ >= 8) {
            make_room();
            buffer_[position_++] = static_cast<std::byte>(take(8));
            --stored_left_;
        }
        while (stored_left_ > 0 && !input_.empty()) {
            make_room();
            const std::size_t size =
                std::min({stored_left_, input_.size(), buffer_.size() - slack - position_});
            std::memcpy(buffer_.data() + position_, input_.data(), size);
            position_ += size;
            stored_left_ -= size;
            input_ = input_.subspan(size);
        }
        if (stored_left_ > 0) {
            return false;
        }
        end_block();
        return true;
    }

    static detail::InflateEntry literal_entry(std::size_t symbol) {
        if (symbol < detail::end_of_block) {
            return {.value = static_cast<std::uint16_t>(symbol), .kind = detail::inflate_literal};
        }
        if (symbol == detail::end_of_block) {
            return {.kind = detail::inflate_end_of_block};
        }
        return range_entry(detail::length_ranges, symbol - detail::first_length_symbol);
    }
    static detail::InflateEntry distance_entry(std::size_t symbol) {
        return range_entry(detail::distance_ranges, symbol);
    }
    /// The last symbols of the fixed codes are outside the range: invalid.
    static detail::InflateEntry range_entry(std::span<const detail::SymbolRange> ranges,
                                            std::size_t index) {
        return index < ranges.size() ? detail::InflateEntry{.value = ranges[index].base,
                                                            .kind = ranges[index].extra_bits}
                                     : detail::InflateEntry{};
    }

    void use_fixed_codes() {
        if (!codes_are_fixed_) {
            literals_.build(detail::fixed_literal_lengths, literal_entry);
            distances_.build(detail::fixed_distance_lengths, distance_entry);
            codes_are_fixed_ = true;
        }
    }

    bool read_dynamic_header() {
        if (!available(14)) {
            return false;
        }
        literal_count_ = take(5) + detail::first_length_symbol;
        distance_count_ = take(5) + 1;
        code_length_count_ = take(4) + 4;
        if (literal_count_ > detail::literal_symbols ||
            distance_count_ > detail::distance_symbols) {
            malformed("a code for too many symbols");
        }
        lengths_ = {};
        length_index_ = 0;
        state_ = State::code_length_lengths;
        return true;
    }

    bool read_code_length_lengths() {
        for (; length_index_ < code_length_count_; ++length_index_) {
            if (!available(3)) {
                return false;
            }
            lengths_[detail::code_length_order[length_index_]] = static_cast<std::uint8_t>(take(3));
        }
        const auto verdict = code_lengths_.build(
            std::span{lengths_}.first(detail::code_length_symbols), [](std::size_t symbol) {
                return detail::InflateEntry{.value = static_cast<std::uint16_t>(symbol),
                                            .kind = detail::inflate_literal};
            });
        if (verdict != detail::CodeVerdict::complete) {
            malformed(verdict == detail::CodeVerdict::oversubscribed
                          ? "an over-subscribed code of code lengths"
                          : "an incomplete code of code lengths");
        }
        lengths_ = {};
        length_index_ = 0;
        state_ = State::code_lengths;
        return true;
    }

    bool read_code_lengths() {
        const std::size_t count = literal_count_ + distance_count_;
        while (length_index_ < count) {
            static_cast<void>(available(14));
            const detail::InflateEntry entry = code_lengths_.find(bits_);
            const unsigned extra = entry.value < 16    ? 0
                                   : entry.value == 16 ? 2
                                   : entry.value == 17 ? 3
                                                       : 7;
            if (bit_count_ < entry.bits + extra) {
                return false;
            }
            drop(entry.bits);
            if (entry.value < 16) {
                lengths_[length_index_++] = static_cast<std::uint8_t>(entry.value);
                continue;
            }
            const std::size_t repeats = take(extra) + (entry.value == 18 ? 11U : 3U);
            if (entry.value == 16 && length_index_ == 0) {
                malformed("a repeated code length without one before");
            }
            if (repeats > count - length_index_) {
                malformed("more code lengths than symbols");
            }
            const std::uint8_t length = entry.value == 16 ? lengths_[length_index_ - 1] : 0;
            std::fill_n(lengths_.begin() + static_cast<std::ptrdiff_t>(length_index_), repeats,
                        length);
            length_index_ += repeats;
        }
        build_dynamic_codes();
        state_ = State::symbols;
        return true;
    }

    void build_dynamic_codes() {
        using Verdict = detail::CodeVerdict;
        codes_are_fixed_ = false;
        if (lengths_[detail::end_of_block] == 0) {
            malformed("a code without an end of the block");
        }
        const auto lengths = std::span<const std::uint8_t>{lengths_};
        const Verdict literals = literals_.build(lengths.first(literal_count_), literal_entry);
        if (literals != Verdict::complete && literals != Verdict::single) {
            malformed(literals == Verdict::oversubscribed ? "an over-subscribed code of literals"
                                                          : "an incomplete code of literals");
        }
        const Verdict distances =
            distances_.build(lengths.subspan(literal_count_, distance_count_), distance_entry);
        if (distances == Verdict::oversubscribed || distances == Verdict::incomplete) {
            malformed(distances == Verdict::oversubscribed ? "an over-subscribed code of distances"
                                                           : "an incomplete code of distances");
        }
    }

    // Symbols -----------------------------------------------------------------------------------

    bool read_symbols() {
        while (state_ == State::symbols) {
            make_room();
            if (input_.size() >= fast_input) {
                read_symbols_fast();
            } else if (!read_symbol()) {
                return false;
            }
        }
        return true;
    }

    /// One symbol, or false and no change when its bits are not all there.
    bool read_symbol() {
        static_cast<void>(available(48));
        const detail::InflateEntry entry = literals_.find(bits_);
        if (bit_count_ < entry.bits) {
            return false;
        }
        if (entry.kind == detail::inflate_literal) {
            buffer_[position_++] = static_cast<std::byte>(entry.value);
            drop(entry.bits);
            return true;
        }
        if (entry.kind == detail::inflate_end_of_block) {
            drop(entry.bits);
            end_block();
            return true;
        }
        if (entry.kind == detail::inflate_invalid) {
            malformed("bits that stand for no symbol");
        }
        const unsigned length_bits = entry.bits + entry.kind;
        if (bit_count_ < length_bits) {
            return false;
        }
        const detail::InflateEntry distance = distances_.find(bits_ >> length_bits);
        if (bit_count_ < length_bits + distance.bits) {
            return false;
        }
        if (distance.kind == detail::inflate_invalid) {
            malformed("bits that stand for no distance");
        }
        const unsigned distance_bits = length_bits + distance.bits;
        if (bit_count_ < distance_bits + distance.kind) {
            return false;
        }
        copy_match(entry.value + peek(entry.bits, entry.kind),
                   distance.value + peek(distance_bits, distance.kind));
        drop(distance_bits + distance.kind);
        return true;
    }

    /// Symbols for as long as there is input and room for any of them, without a check of the bits.
    void read_symbols_fast() {
        const std::byte* input = input_.data();
        const std::byte* const input_end = input + (input_.size() - fast_input);
        const std::size_t room = buffer_.size() - slack;
        const auto fill = [&] {
            bits_ |= detail::load_little<std::uint64_t>(input) << bit_count_;
            input += (63 - bit_count_) / 8;
            bit_count_ |= 56;
        };
        while (input <= input_end && position_ < room) {
            fill();
            detail::InflateEntry entry = literals_.find(bits_);
            if (entry.kind == detail::inflate_literal) {
                buffer_[position_++] = static_cast<std::byte>(entry.value);
                drop(entry.bits);
                entry = literals_.find(bits_);
                if (entry.kind == detail::inflate_literal) {
                    buffer_[position_++] = static_cast<std::byte>(entry.value);
                    drop(entry.bits);
                    continue;
                }
                fill();
            }
            if (entry.kind >= detail::inflate_literal) {
                break;  // the end of the block, or an error: read_symbol() sees to it
            }
            const unsigned length_bits = entry.bits + entry.kind;
            const detail::InflateEntry distance = distances_.find(bits_ >> length_bits);
            if (distance.kind >= detail::inflate_literal) {
                break;
            }
            const unsigned distance_bits = length_bits + distance.bits;
            const std::size_t length = entry.value + peek(entry.bits, entry.kind);
            const std::size_t offset = distance.value + peek(distance_bits, distance.kind);
            drop(distance_bits + distance.kind);
            copy_match(length, offset);
        }
        bits_ &= (std::uint64_t{1} << bit_count_) - 1;
        input_ = input_.last(static_cast<std::size_t>(input_end - input) + fast_input);
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
    std::span<const std::byte> input_ = {};
    std::uint64_t bits_ = 0;
    unsigned bit_count_ = 0;
    bool is_last_ = false;

    std::size_t stored_left_ = 0;
    std::size_t literal_count_ = 0;
    std::size_t distance_count_ = 0;
    std::size_t code_length_count_ = 0;
    std::size_t length_index_ = 0;
    std::array<std::uint8_t, detail::literal_symbols + detail::distance_symbols> lengths_ = {};
    detail::InflateTable<7, detail::code_length_symbols, 7> code_lengths_ = {};
    detail::InflateTable<10, 288, 15> literals_ = {};
    detail::InflateTable<8, 32, 15> distances_ = {};
    bool codes_are_fixed_ = false;

    std::vector<std::byte> buffer_;
    std::size_t position_ = 0;
    std::size_t flushed_ = 0;
};

}  // namespace fairing::codec
