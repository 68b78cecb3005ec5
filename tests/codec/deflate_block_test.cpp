// One block in each of its three forms, bit by bit as RFC 1951 has them.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <fairing/codec/deflate_block.hpp>
#include <fairing/codec/inflate_codes.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "../support/samples.hpp"
#include "bits.hpp"

using namespace fairing::codec::detail;
using codec_test::Bits;
using support::bytes_of;

namespace {

template <class Write>
std::string written(const Write& write) {
    std::vector<std::byte> out;
    BitWriter writer{out};
    write(writer);
    writer.finish();
    return support::text_of(out);
}

/// The block of these literals, and of a match behind them when it has a length.
std::string block_of(std::string_view literals, std::size_t length = 0, std::size_t distance = 0) {
    Sequences sequences{literals.size() + length + 64};
    const std::string readable = std::string{literals} + std::string(16, '\0');
    if (length > 0) {
        Sequences::Cursor cursor = sequences.cursor();
        cursor.add(bytes_of(readable).data(), literals.size(), length, distance);
        sequences.resume(cursor, literals.size() + length);
    } else {
        sequences.add_literals(bytes_of(literals));
    }
    // What the match stands for matters only when the block is stored.
    const std::string input = std::string{literals} + std::string(length, '?');
    return written([&](BitWriter& writer) {
        write_block(sequences, {}, sequences.mark(), sequences.count({}, sequences.mark()),
                    bytes_of(input), writer);
    });
}

/// A block that is not the last, of the fixed codes.
Bits fixed_block() { return Bits{}.value(0, 1).value(1, 2); }

/// 00110000 for 0 to 10111111 for 143.
std::string fixed_code(char literal) {
    std::string code;
    for (unsigned value = 0x30U + static_cast<unsigned char>(literal), bit = 8; bit > 0; --bit) {
        code += (value >> (bit - 1) & 1) != 0 ? '1' : '0';
    }
    return code;
}

/// A histogram in which every third or so symbol occurs, in stretches.
Histogram random_histogram(support::Random& random) {
    Histogram histogram;
    const auto fill = [&random](auto& counts) {
        for (std::size_t i = 0; i < counts.size();) {
            const bool occurs = random.below(3) == 0;
            for (std::size_t left = 1 + random.below(150); left > 0 && i < counts.size(); --left) {
                counts[i++] = static_cast<std::uint32_t>(occurs ? 1 + random.below(5) : 0);
            }
        }
    };
    fill(histogram.literals);
    fill(histogram.distances);
    histogram.literals[end_of_block] = 1;
    return histogram;
}

}  // namespace

TEST_CASE("deflate block: stored ones begin at a byte border, and hold 65,535 bytes (3.2.4)") {
    const auto stored = [](std::string_view text, unsigned bits_before = 0) {
        return written([&](BitWriter& writer) {
            writer.reserve(8);
            writer.put((1U << bits_before) - 1, bits_before);
            write_stored(bytes_of(text), writer);
            CHECK(writer.bits_in_byte() == (text.empty() ? bits_before : 0));
        });
    };
    CHECK(stored("").empty());
    CHECK(stored("ab") == std::string{"\x00\x02\x00\xfd\xff", 5} + "ab");
    CHECK(stored("ab", 5) == std::string{"\x1f\x02\x00\xfd\xff", 5} + "ab");
    CHECK(stored("ab", 6) == std::string{"\x3f\x00\x02\x00\xfd\xff", 6} + "ab");
    const std::string most(65535, 'x');
    CHECK(stored(most) == std::string{"\x00\xff\xff\x00\x00", 5} + most);
    CHECK(stored(most + "y") == std::string{"\x00\xff\xff\x00\x00", 5} + most +
                                    std::string{"\x00\x01\x00\xfe\xff", 5} + "y");
}

TEST_CASE("deflate block: a few literals have the fixed codes, in every number") {
    for (std::size_t count = 1; count <= 9; ++count) {
        const std::string text = std::string{"a bookcase"}.substr(0, count);
        Bits bits = fixed_block();
        for (const char literal : text) {
            bits.code(fixed_code(literal));
        }
        CHECK(block_of(text) == bits.code("0000000").bytes());
    }
}

TEST_CASE("deflate block: matches, with their extra bits") {
    const auto after_x = [] { return fixed_block().code(fixed_code('x')); };
    const std::string end = "0000000";
    CHECK(block_of("x", 3, 1) == after_x().code("0000001").code("00000").code(end).bytes());
    CHECK(block_of("x", 258, 1) == after_x().code("11000101").code("00000").code(end).bytes());
    CHECK(block_of("x", 257, 4) ==
          after_x().code("11000100").value(30, 5).code("00011").code(end).bytes());
    CHECK(block_of("x", 12, 32768) ==
          after_x().code("0001001").value(1, 1).code("11101").value(8191, 13).code(end).bytes());
    CHECK(block_of("x", 12, 24577) ==
          after_x().code("0001001").value(1, 1).code("11101").value(0, 13).code(end).bytes());
}

TEST_CASE("deflate block: the smallest of the three forms") {
    const auto form = [](const std::string& block) { return block.at(0) & 7; };
    const std::string noise = support::random_bytes(70'000, 1), words = support::prose(70'000, 1);
    CHECK(form(block_of(words.substr(0, 20))) == 0b010);
    CHECK(form(block_of(words)) == 0b100);
    CHECK(block_of(words).size() < words.size() * 3 / 4);
    CHECK(form(block_of(noise)) == 0b000);
    CHECK(block_of(noise).size() == noise.size() + 2 * 5);
    // Nothing but the end.
    CHECK(block_of("") == fixed_block().code("0000000").bytes());
}

TEST_CASE("deflate block: the description of two codes by hand (3.2.7)") {
    Histogram histogram;
    histogram.literals['a'] = histogram.literals[end_of_block] = 1;
    const Codes codes{histogram};
    const Description description{codes};
    // 97 zeros, a 1, 158 zeros, three times 1: the end, and two distances, for there is no less.
    // The codes of 1 and 18 are 0 and 1.
    Bits bits;
    bits.value(0, 5).value(1, 5).value(14, 4);
    for (const unsigned length :
         {0U, 0U, 1U, 0U, 0U, 0U, 0U, 0U, 0U, 0U, 0U, 0U, 0U, 0U, 0U, 0U, 0U, 1U}) {
        bits.value(length, 3);
    }
    bits.code("1").value(97 - 11, 7).code("0");
    bits.code("1").value(127, 7).code("1").value(20 - 11, 7).code("000");
    CHECK(description.bits() == 14 + 3 * 18 + 3 * 8 + 4);
    CHECK(written([&](BitWriter& writer) {
              writer.reserve(description.bits());
              description.write(writer);
          }) == bits.bytes());
    CHECK(codes.body_bits(histogram) == 2);
    // Eleven zeros are one 18, and the last eight of 146 one 17: that makes
    // 18 2 18 2 18 17 1 1 1, which Huffman's algorithm gives 3 + 6 + 9 bits.
    histogram.literals['a' + 12] = 1;
    CHECK(Description{Codes{histogram}}.bits() == 14 + 3 * 18 + (3 + 6 + 9) + 3 * 7 + 3);
}

TEST_CASE("deflate block: what a body takes, extra bits and all") {
    const Codes fixed{fixed_literal_lengths, fixed_distance_lengths};
    Histogram histogram;
    histogram.literals['x'] = 2;
    histogram.literals[end_of_block] = 1;
    CHECK(fixed.body_bits(histogram) == 2 * 8 + 7);
    histogram.literals[length_symbols[12]] = 3;
    histogram.distances[distance_symbol(32768)] = 3;
    CHECK(fixed.body_bits(histogram) == 2 * 8 + 7 + 3 * (7 + 1 + 5 + 13));
}

TEST_CASE("deflate block: what is described is what a reader finds, and no code is too long") {
    support::Random random{7};
    for (int round = 0; round < 50; ++round) {
        Histogram histogram = random_histogram(random);
        for (std::uint32_t i = 0; round % 2 == 0 && i < 25; ++i) {
            histogram.literals[i] = 1U << i;
        }
        const Codes codes{histogram};
        REQUIRE(*std::max_element(codes.literal_lengths.begin(), codes.literal_lengths.end()) <=
                longest_code);
        const Description description{codes};
        const std::string header = written([&](BitWriter& writer) {
            writer.reserve(description.bits());
            description.write(writer);
        });
        REQUIRE(header.size() == (description.bits() + 7) / 8);
        BitReader reader{.input = bytes_of(header)};
        InflateCodes found;
        found.begin();
        REQUIRE(found.read(reader));
        REQUIRE(reader.count < 8);
        for (std::size_t symbol = 0; symbol < 256; ++symbol) {
            if (const unsigned length = codes.literal_lengths[symbol]; length > 0) {
                const InflateEntry entry = found.literals().find(codes.literal_codes[symbol]);
                REQUIRE(entry.value == symbol);
                REQUIRE(entry.bits == length);
                REQUIRE(entry.kind == inflate_literal);
            }
        }
        for (std::size_t symbol = 0; symbol < distance_symbols; ++symbol) {
            if (const unsigned length = codes.distance_lengths[symbol]; length > 0) {
                const InflateEntry entry = found.distances().find(codes.distance_codes[symbol]);
                REQUIRE(entry.value == distance_ranges[symbol].base);
                REQUIRE(entry.bits == length);
            }
        }
    }
}
