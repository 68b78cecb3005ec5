// fairing/codec/deflate_block.hpp - one block of a deflate stream, in the smallest of its three
// forms (RFC 1951, 3.2.3).
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "bit_writer.hpp"
#include "deflate_tables.hpp"
#include "huffman.hpp"
#include "match_finder.hpp"

namespace fairing::codec::detail {

/// Stored blocks (type 00) that hold `bytes`; afterwards the writer is at a byte border.
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

/// Collects literals and matches, and writes them as a block that is not the last one.
class DeflateBlock {
public:
    DeflateBlock() { tokens_.reserve(capacity); }

    void literal(std::byte value) {
        const auto symbol = std::to_integer<std::uint32_t>(value);
        tokens_.push_back(symbol);
        ++literal_frequencies_[symbol];
        ++input_size_;
    }
    void match(const Match& match) {
        tokens_.push_back(static_cast<std::uint32_t>(match.length << 16 | (match.distance - 1)));
        ++literal_frequencies_[length_symbol(match.length)];
        ++distance_frequencies_[distance_symbol(match.distance)];
        input_size_ += match.length;
    }
    [[nodiscard]] bool empty() const { return tokens_.empty(); }
    /// Enough for the code to fit its block and to be worth its description.
    [[nodiscard]] bool full() const { return tokens_.size() >= capacity; }
    /// How many bytes the tokens stand for.
    [[nodiscard]] std::size_t input_size() const { return input_size_; }

    /// Writes the block and forgets its tokens. `input` is what they stand for.
    void write(std::span<const std::byte> input, BitWriter& writer) {
        literal_frequencies_[end_of_block] = 1;
        static const Codes fixed = {fixed_literal_lengths, fixed_distance_lengths};
        const Codes dynamic = {literal_frequencies_, distance_frequencies_};
        const Description description{dynamic};
        const std::uint64_t fixed_bits = 3 + body_bits(fixed);
        const std::uint64_t dynamic_bits = 3 + description.bits() + body_bits(dynamic);
        const std::uint64_t stored_bits =
            (input.size() / 65535 + 1) * (3 + 7 + 32) + 8 * std::uint64_t{input.size()};
        if (stored_bits <= std::min(fixed_bits, dynamic_bits)) {
            write_stored(input, writer);
        } else if (fixed_bits <= dynamic_bits) {
            writer.reserve(fixed_bits);
            writer.put(0b010, 3);
            write_body(fixed, writer);
        } else {
            writer.reserve(dynamic_bits);
            writer.put(0b100, 3);
            description.write(writer);
            write_body(dynamic, writer);
        }
        tokens_.clear();
        literal_frequencies_ = {};
        distance_frequencies_ = {};
        input_size_ = 0;
    }

private:
    static constexpr std::size_t capacity = 16384;

    using LiteralFrequencies = std::array<std::uint32_t, literal_symbols>;
    using DistanceFrequencies = std::array<std::uint32_t, distance_symbols>;

    static constexpr auto length_symbols = [] {
        std::array<std::uint16_t, longest_match + 1> symbols = {};
        for (std::size_t i = 0; i < length_ranges.size(); ++i) {
            for (std::size_t length = length_ranges[i].base; length < symbols.size(); ++length) {
                symbols[length] = static_cast<std::uint16_t>(first_length_symbol + i);
            }
        }
        return symbols;
    }();
    static std::size_t length_symbol(std::size_t length) { return length_symbols[length]; }
    static std::size_t distance_symbol(std::size_t distance) {
        const std::size_t value = distance - 1;
        if (value < 4) {
            return value;
        }
        const auto width = static_cast<std::size_t>(std::bit_width(value));
        return 2 * (width - 1) + (value >> (width - 2) & 1);
    }

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
        Codes(const LiteralFrequencies& literals, const DistanceFrequencies& distances) {
            huffman_lengths(literals, 15, std::span{literal_lengths}.first(literals.size()));
            huffman_lengths(distances, 15, std::span{distance_lengths}.first(distances.size()));
            assign_codes();
        }

    private:
        void assign_codes() {
            huffman_codes(literal_lengths, literal_codes);
            huffman_codes(distance_lengths, distance_codes);
        }
    };

    /// The lengths of two codes as a dynamic block opens with them (RFC 1951, section 3.2.7).
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
            runs_[run_count_++] = {static_cast<std::uint8_t>(symbol),
                                   static_cast<std::uint8_t>(extra)};
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

    [[nodiscard]] std::uint64_t body_bits(const Codes& codes) const {
        std::uint64_t sum = 0;
        for (std::size_t i = 0; i < literal_symbols; ++i) {
            const unsigned extra =
                i < first_length_symbol ? 0U : length_ranges[i - first_length_symbol].extra_bits;
            sum += std::uint64_t{literal_frequencies_[i]} * (codes.literal_lengths[i] + extra);
        }
        for (std::size_t i = 0; i < distance_symbols; ++i) {
            const unsigned extra = distance_ranges[i].extra_bits;
            sum += std::uint64_t{distance_frequencies_[i]} * (codes.distance_lengths[i] + extra);
        }
        return sum;
    }

    void write_body(const Codes& codes, BitWriter& writer) const {
        for (const std::uint32_t token : tokens_) {
            const std::size_t length = token >> 16;
            if (length == 0) {
                writer.put(codes.literal_codes[token], codes.literal_lengths[token]);
                continue;
            }
            const std::size_t distance = (token & 0xffff) + 1;
            const std::size_t first = length_symbol(length), second = distance_symbol(distance);
            const SymbolRange& length_range = length_ranges[first - first_length_symbol];
            const SymbolRange& distance_range = distance_ranges[second];
            std::uint64_t bits = codes.literal_codes[first];
            unsigned count = codes.literal_lengths[first];
            bits |= std::uint64_t{length - length_range.base} << count;
            count += length_range.extra_bits;
            bits |= std::uint64_t{codes.distance_codes[second]} << count;
            count += codes.distance_lengths[second];
            bits |= std::uint64_t{distance - distance_range.base} << count;
            writer.put(bits, count + distance_range.extra_bits);
        }
        writer.put(codes.literal_codes[end_of_block], codes.literal_lengths[end_of_block]);
    }

    std::vector<std::uint32_t> tokens_;
    LiteralFrequencies literal_frequencies_ = {};
    DistanceFrequencies distance_frequencies_ = {};
    std::size_t input_size_ = 0;
};

}  // namespace fairing::codec::detail
