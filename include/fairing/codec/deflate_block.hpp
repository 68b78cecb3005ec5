// fairing/codec/deflate_block.hpp - one block of a deflate stream, in the
// smallest of its three forms (RFC 1951, 3.2.3).
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "bit_writer.hpp"
#include "deflate_tables.hpp"
#include "huffman.hpp"
#include "sequences.hpp"

namespace fairing::codec::detail {

/// Stored blocks (type 00) that hold `bytes`; afterwards the writer is at a
/// byte border.
inline void write_stored(std::span<const std::byte> bytes, BitWriter& writer) {
    while (!bytes.empty()) {
        const auto piece = bytes.first(std::min<std::size_t>(bytes.size(), 65535));
        const auto size = static_cast<std::uint16_t>(piece.size());
        writer.reserve(64);
        writer.put(0, 3);
        writer.align();
        writer.put(size, 16);
        writer.put(static_cast<std::uint16_t>(~size), 16);
        writer.append(piece);
        bytes = bytes.subspan(piece.size());
    }
}

/// Two bits short of deflate's limit costs nothing measurable, and lets four
/// literals and the rest of a byte fit 64 bits.
inline constexpr unsigned longest_code = 14;

/// A code for literals and lengths, and one for distances.
struct Codes {
    std::array<std::uint8_t, 288> literal_lengths = {};
    std::array<std::uint8_t, 32> distance_lengths = {};
    std::array<std::uint16_t, 288> literal_codes = {};
    std::array<std::uint16_t, 32> distance_codes = {};

    Codes(const std::array<std::uint8_t, 288>& literals,
          const std::array<std::uint8_t, 32>& distances)
        : literal_lengths(literals), distance_lengths(distances) {
        assign_codes();
    }
    explicit Codes(const Histogram& histogram) {
        huffman_lengths(histogram.literals, longest_code,
                        std::span{literal_lengths}.first(literal_symbols));
        huffman_lengths(histogram.distances, longest_code,
                        std::span{distance_lengths}.first(distance_symbols));
        assign_codes();
    }

    /// What the symbols of a block take.
    [[nodiscard]] std::uint64_t body_bits(const Histogram& histogram) const {
        std::uint64_t sum = 0;
        for (std::size_t i = 0; i < literal_symbols; ++i) {
            const unsigned extra =
                i < first_length_symbol ? 0U : length_ranges[i - first_length_symbol].extra_bits;
            sum += std::uint64_t{histogram.literals[i]} * (literal_lengths[i] + extra);
        }
        for (std::size_t i = 0; i < distance_symbols; ++i) {
            sum += std::uint64_t{histogram.distances[i]} *
                   (distance_lengths[i] + distance_ranges[i].extra_bits);
        }
        return sum;
    }

private:
    void assign_codes() {
        huffman_codes(literal_lengths, literal_codes);
        huffman_codes(distance_lengths, distance_codes);
    }
};

/// The lengths of two codes as a dynamic block opens with them (RFC 1951,
/// section 3.2.7).
class Description {
public:
    explicit Description(const Codes& codes) {
        literal_count_ = used(codes.literal_lengths, first_length_symbol);
        distance_count_ = used(codes.distance_lengths, 1);
        std::array<std::uint8_t, literal_symbols + distance_symbols> lengths;
        auto end = std::copy_n(codes.literal_lengths.begin(), literal_count_, lengths.begin());
        end = std::copy_n(codes.distance_lengths.begin(), distance_count_, end);
        find_runs(std::span{lengths.begin(), end});
        std::array<std::uint32_t, code_length_symbols> frequencies = {};
        for (std::size_t i = 0; i < run_count_; ++i) {
            ++frequencies[runs_[i].symbol];
        }
        huffman_lengths(frequencies, 7, code_lengths_);
        huffman_codes(code_lengths_, codes_);
        while (code_lengths_[code_length_order[order_count_ - 1]] == 0) {
            --order_count_;
        }
    }

    [[nodiscard]] std::uint64_t bits() const {
        std::uint64_t sum = 5 + 5 + 4 + 3 * order_count_;
        for (std::size_t i = 0; i < run_count_; ++i) {
            sum += code_lengths_[runs_[i].symbol] + extra_bits(runs_[i].symbol);
        }
        return sum;
    }

    void write(BitWriter& writer) const {
        writer.put(literal_count_ - first_length_symbol, 5);
        writer.put(distance_count_ - 1, 5);
        writer.put(order_count_ - 4, 4);
        for (std::size_t i = 0; i < order_count_; ++i) {
            writer.put(code_lengths_[code_length_order[i]], 3);
        }
        for (std::size_t i = 0; i < run_count_; ++i) {
            writer.put(codes_[runs_[i].symbol], code_lengths_[runs_[i].symbol]);
            writer.put(runs_[i].extra, extra_bits(runs_[i].symbol));
        }
    }

private:
    struct Run {
        std::uint8_t symbol = 0;
        std::uint8_t extra = 0;
    };

    static std::size_t used(std::span<const std::uint8_t> lengths, std::size_t least) {
        std::size_t count = lengths.size();
        while (count > least && lengths[count - 1] == 0) {
            --count;
        }
        return count;
    }
    static unsigned extra_bits(std::uint8_t symbol) {
        return symbol < 16 ? 0 : symbol == 16 ? 2 : symbol == 17 ? 3 : 7;
    }
    void add(std::size_t symbol, std::size_t extra) {
        runs_[run_count_++] = {static_cast<std::uint8_t>(symbol), static_cast<std::uint8_t>(extra)};
    }
    void find_runs(std::span<const std::uint8_t> lengths) {
        while (!lengths.empty()) {
            const std::uint8_t value = lengths.front();
            const auto end = std::find_if(lengths.begin(), lengths.end(),
                                          [&](std::uint8_t other) { return other != value; });
            auto left = static_cast<std::size_t>(end - lengths.begin());
            lengths = lengths.subspan(left);
            if (value != 0) {
                add(value, 0);
                --left;
            }
            while (left >= 3) {
                const std::size_t run = std::min<std::size_t>(left, value != 0   ? 6
                                                                    : left >= 11 ? 138
                                                                                 : 10);
                add(value != 0 ? 16 : run >= 11 ? 18 : 17, run >= 11 ? run - 11 : run - 3);
                left -= run;
            }
            for (; left > 0; --left) {
                add(value, 0);
            }
        }
    }

    std::size_t literal_count_ = 0;
    std::size_t distance_count_ = 0;
    std::size_t order_count_ = code_length_symbols;
    std::array<Run, literal_symbols + distance_symbols> runs_ = {};
    std::size_t run_count_ = 0;
    std::array<std::uint8_t, code_length_symbols> code_lengths_ = {};
    std::array<std::uint16_t, code_length_symbols> codes_ = {};
};

/// Bits and how many, as one number: a table of them is half as large.
class PackedBits {
public:
    PackedBits() = default;
    PackedBits(std::uint32_t bits, unsigned count) : value_(bits << 8 | count) {}
    [[nodiscard]] std::uint64_t bits() const { return value_ >> 8; }
    [[nodiscard]] unsigned count() const { return value_ & 0xff; }

private:
    std::uint32_t value_ = 0;
};

/// The symbols of a block by one code.
class BodyWriter {
public:
    explicit BodyWriter(const Codes& codes) : codes_(codes) {
        for (std::size_t i = 0; i < literals_.size(); ++i) {
            literals_[i] = {codes.literal_codes[i], codes.literal_lengths[i]};
        }
        for (std::size_t length = shortest_match; length <= longest_match; ++length) {
            const std::size_t symbol = length_symbols[length];
            const SymbolRange& range = length_ranges[symbol - first_length_symbol];
            const unsigned count = codes.literal_lengths[symbol];
            lengths_[length] = {static_cast<std::uint32_t>(codes.literal_codes[symbol] |
                                                           (length - range.base) << count),
                                count + range.extra_bits};
        }
    }

    void write(std::span<const Sequence> sequences, const std::uint8_t* literals,
               BitWriter& writer) const {
#if defined(__x86_64__)
        static const bool has_bmi2 = __builtin_cpu_supports("bmi2") != 0;
        if (has_bmi2) {
            return write_bmi2(sequences, literals, writer);
        }
#endif
        write_symbols(sequences, literals, writer);
    }

private:
#if defined(__x86_64__)
    /// The same with shifts by any register.
    [[gnu::target("bmi2")]] void write_bmi2(std::span<const Sequence> sequences,
                                            const std::uint8_t* literals, BitWriter& writer) const {
        write_symbols(sequences, literals, writer);
    }
#endif

    [[gnu::always_inline]] void write_symbols(std::span<const Sequence> sequences,
                                              const std::uint8_t* literals,
                                              BitWriter& writer) const {
        BitCursor cursor = writer.cursor();
        for (const Sequence& sequence : sequences) {
            std::uint32_t left = sequence.literals;
            for (; left >= 4; left -= 4, literals += 4) {
                put_four(literals, cursor);
            }
            put_rest(literals, left, cursor);
            literals += left;
            if (sequence.length > 0) {
                put_match(sequence, cursor);
            }
        }
        cursor.put(codes_.literal_codes[end_of_block], codes_.literal_lengths[end_of_block]);
        writer.resume(cursor);
    }
    [[gnu::always_inline]] void put_four(const std::uint8_t* literals, BitCursor& cursor) const {
        const PackedBits a = literals_[literals[0]], b = literals_[literals[1]];
        const PackedBits c = literals_[literals[2]], d = literals_[literals[3]];
        const std::uint64_t first = a.bits() | b.bits() << a.count();
        const std::uint64_t second = c.bits() | d.bits() << c.count();
        const unsigned count = a.count() + b.count();
        cursor.put(first | second << count, count + c.count() + d.count());
    }
    /// Up to three literals, without a branch on how many: it would be guessed
    /// wrongly often. Three bytes are readable.
    [[gnu::always_inline]] void put_rest(const std::uint8_t* literals, std::uint32_t left,
                                         BitCursor& cursor) const {
        const PackedBits a = literals_[literals[0]], b = literals_[literals[1]];
        const PackedBits c = literals_[literals[2]];
        const unsigned two = a.count() + b.count();
        const std::uint64_t bits = a.bits() | b.bits() << a.count() | c.bits() << two;
        const std::array<unsigned, 4> counts = {0, a.count(), two, two + c.count()};
        const unsigned count = counts[left];
        cursor.put(bits & ((std::uint64_t{1} << count) - 1), count);
    }
    [[gnu::always_inline]] void put_match(const Sequence& sequence, BitCursor& cursor) const {
        const PackedBits length = lengths_[sequence.length];
        const std::size_t symbol = distance_symbol(sequence.distance);
        const SymbolRange& range = distance_ranges[symbol];
        std::uint64_t bits = length.bits();
        unsigned count = length.count();
        bits |= std::uint64_t{codes_.distance_codes[symbol]} << count;
        count += codes_.distance_lengths[symbol];
        bits |= std::uint64_t{sequence.distance - std::uint64_t{range.base}} << count;
        cursor.put(bits, count + range.extra_bits);
    }

    const Codes& codes_;
    std::array<PackedBits, 256> literals_ = {};
    std::array<PackedBits, longest_match + 1> lengths_ = {};
};

/// Writes the sequences between two marks as a block that is not the last one.
/// `input` is what they stand for, `histogram` counts their symbols.
inline void write_block(const Sequences& sequences, const Sequences::Mark& from,
                        const Sequences::Mark& to, Histogram histogram,
                        std::span<const std::byte> input, BitWriter& writer) {
    histogram.literals[end_of_block] = 1;
    const std::uint64_t stored_bits =
        (input.size() / 65535 + 1) * (3 + 7 + 32) + 8 * std::uint64_t{input.size()};
    static const Codes fixed = {fixed_literal_lengths, fixed_distance_lengths};
    const Codes dynamic{histogram};
    const Description description{dynamic};
    const std::uint64_t fixed_bits = 3 + fixed.body_bits(histogram);
    const std::uint64_t dynamic_bits = 3 + description.bits() + dynamic.body_bits(histogram);
    if (stored_bits <= std::min(fixed_bits, dynamic_bits)) {
        write_stored(input, writer);
        return;
    }
    const bool is_fixed = fixed_bits <= dynamic_bits;
    writer.reserve(std::min(fixed_bits, dynamic_bits));
    writer.put(is_fixed ? 0b010 : 0b100, 3);
    if (!is_fixed) {
        description.write(writer);
    }
    BodyWriter{is_fixed ? fixed : dynamic}.write(sequences.sequences(from, to),
                                                 sequences.literals(from, to).data(), writer);
}

}  // namespace fairing::codec::detail
