// Bits go into bytes from the lowest up, and other blocks may stand before them.
#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <fairing/codec/bit_writer.hpp>
#include <string>
#include <vector>

#include "../support/samples.hpp"

using fairing::codec::detail::BitWriter;

TEST_CASE("bit writer: the order of bits, and borders") {
    std::vector<std::byte> out = {std::byte{0xaa}};
    BitWriter writer{out};
    writer.reserve(100);
    writer.put(0b1, 1);
    writer.put(0b01, 2);
    CHECK(writer.bits_in_byte() == 3);
    writer.put(0xabcdef0123456, 52);
    writer.put(0, 0);
    writer.align();
    CHECK(writer.bits_in_byte() == 0);
    writer.align();
    writer.append(support::bytes_of("tail"));
    writer.reserve(1);
    writer.put(1, 1);
    writer.finish();
    CHECK(support::text_of(out) ==
          "\xaa" + std::string{"\xb3\xa2\x91\x80\xf7\xe6\x55", 7} + "tail" + "\x01");
}

TEST_CASE("bit writer: any widths give what one bit at a time gives") {
    support::Random random{1};
    std::vector<std::byte> wide, narrow;
    BitWriter first{wide}, second{narrow};
    for (int round = 0; round < 5000; ++round) {
        const auto count = static_cast<unsigned>(random.below(57));
        const std::uint64_t bits = random() & ((std::uint64_t{1} << count) - 1);
        first.reserve(count);
        first.put(bits, count);
        for (unsigned bit = 0; bit < count; ++bit) {
            second.reserve(1);
            second.put(bits >> bit & 1, 1);
        }
    }
    first.finish();
    second.finish();
    CHECK(wide == narrow);
    CHECK(!wide.empty());
}
