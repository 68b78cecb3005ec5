// fairing/codec/inflate_codes.hpp - the two codes of a deflate block: the fixed ones, or those that
// its header holds (RFC 1951, 3.2.6 and 3.2.7).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "../core/error.hpp"
#include "bit_reader.hpp"
#include "deflate_tables.hpp"
#include "inflate_table.hpp"

namespace fairing::codec::detail {

[[noreturn]] inline void malformed_deflate(const char* reason) {
    throw Error{ErrorCode::integrity,
                {.attempted = "unpack",
                 .subject = "deflate data",
                 .answer = reason,
                 .advice = "the data is damaged"}};
}

class InflateCodes {
public:
    using Literals = InflateTable<10, 288, 15>;
    using Distances = InflateTable<8, 32, 15>;

    [[nodiscard]] const Literals& literals() const { return literals_; }
    [[nodiscard]] const Distances& distances() const { return distances_; }

    void use_fixed() {
        if (!codes_are_fixed_) {
            literals_.build(fixed_literal_lengths, literal_entry);
            distances_.build(fixed_distance_lengths, distance_entry);
            codes_are_fixed_ = true;
        }
    }

    /// Before the first read() of a header.
    void begin() { step_ = Step::header; }
    /// Whether the header is complete; false when it goes on in the next piece of the input. Throws
    /// Error{integrity} for codes that there can not be.
    bool read(BitReader& bits) {
        return (step_ != Step::header || read_dynamic_header(bits)) &&
               (step_ != Step::code_length_lengths || read_code_length_lengths(bits)) &&
               read_code_lengths(bits);
    }

private:
    enum class Step { header, code_length_lengths, code_lengths };

    static InflateEntry literal_entry(std::size_t symbol) {
        if (symbol < end_of_block) {
            return {.value = static_cast<std::uint16_t>(symbol), .kind = inflate_literal};
        }
        if (symbol == end_of_block) {
            return {.kind = inflate_end_of_block};
        }
        return range_entry(length_ranges, symbol - first_length_symbol);
    }
    static InflateEntry distance_entry(std::size_t symbol) {
        return range_entry(distance_ranges, symbol);
    }
    /// The last symbols of the fixed codes are outside the range: invalid.
    static InflateEntry range_entry(std::span<const SymbolRange> ranges, std::size_t index) {
        return index < ranges.size()
                   ? InflateEntry{.value = ranges[index].base, .kind = ranges[index].extra_bits}
                   : InflateEntry{};
    }

    bool read_dynamic_header(BitReader& bits) {
        if (!bits.available(14)) {
            return false;
        }
        literal_count_ = bits.take(5) + first_length_symbol;
        distance_count_ = bits.take(5) + 1;
        code_length_count_ = bits.take(4) + 4;
        if (literal_count_ > literal_symbols || distance_count_ > distance_symbols) {
            malformed_deflate("a code for too many symbols");
        }
        lengths_ = {};
        length_index_ = 0;
        step_ = Step::code_length_lengths;
        return true;
    }

    bool read_code_length_lengths(BitReader& bits) {
        for (; length_index_ < code_length_count_; ++length_index_) {
            if (!bits.available(3)) {
                return false;
            }
            lengths_[code_length_order[length_index_]] = static_cast<std::uint8_t>(bits.take(3));
        }
        const auto verdict = code_lengths_.build(
            std::span{lengths_}.first(code_length_symbols), [](std::size_t symbol) {
                return InflateEntry{.value = static_cast<std::uint16_t>(symbol),
                                    .kind = inflate_literal};
            });
        if (verdict != CodeVerdict::complete) {
            malformed_deflate(verdict == CodeVerdict::oversubscribed
                                  ? "an over-subscribed code of code lengths"
                                  : "an incomplete code of code lengths");
        }
        lengths_ = {};
        length_index_ = 0;
        step_ = Step::code_lengths;
        return true;
    }

    bool read_code_lengths(BitReader& bits) {
        const std::size_t count = literal_count_ + distance_count_;
        while (length_index_ < count) {
            static_cast<void>(bits.available(14));
            const InflateEntry entry = code_lengths_.find(bits.held);
            const unsigned extra = entry.value < 16    ? 0
                                   : entry.value == 16 ? 2
                                   : entry.value == 17 ? 3
                                                       : 7;
            if (bits.count < entry.bits + extra) {
                return false;
            }
            bits.drop(entry.bits);
            if (entry.value < 16) {
                lengths_[length_index_++] = static_cast<std::uint8_t>(entry.value);
                continue;
            }
            const std::size_t repeats = bits.take(extra) + (entry.value == 18 ? 11U : 3U);
            if (entry.value == 16 && length_index_ == 0) {
                malformed_deflate("a repeated code length without one before");
            }
            if (repeats > count - length_index_) {
                malformed_deflate("more code lengths than symbols");
            }
            const std::uint8_t length = entry.value == 16 ? lengths_[length_index_ - 1] : 0;
            std::fill_n(lengths_.begin() + static_cast<std::ptrdiff_t>(length_index_), repeats,
                        length);
            length_index_ += repeats;
        }
        build_dynamic_codes();
        return true;
    }

    void build_dynamic_codes() {
        using Verdict = CodeVerdict;
        codes_are_fixed_ = false;
        if (lengths_[end_of_block] == 0) {
            malformed_deflate("a code without an end of the block");
        }
        const auto lengths = std::span<const std::uint8_t>{lengths_};
        const Verdict literals = literals_.build(lengths.first(literal_count_), literal_entry);
        if (literals != Verdict::complete && literals != Verdict::single) {
            malformed_deflate(literals == Verdict::oversubscribed
                                  ? "an over-subscribed code of literals"
                                  : "an incomplete code of literals");
        }
        const Verdict distances =
            distances_.build(lengths.subspan(literal_count_, distance_count_), distance_entry);
        if (distances == Verdict::oversubscribed || distances == Verdict::incomplete) {
            malformed_deflate(distances == Verdict::oversubscribed
                                  ? "an over-subscribed code of distances"
                                  : "an incomplete code of distances");
        }
    }

    Step step_ = Step::header;
    std::size_t literal_count_ = 0, distance_count_ = 0, code_length_count_ = 0;
    std::size_t length_index_ = 0;
    std::array<std::uint8_t, literal_symbols + distance_symbols> lengths_ = {};
    InflateTable<7, code_length_symbols, 7> code_lengths_ = {};
    Literals literals_ = {};
    Distances distances_ = {};
    bool codes_are_fixed_ = false;
};

}  // namespace fairing::codec::detail
