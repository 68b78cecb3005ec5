// Bits come out of bytes from the lowest up, whatever the pieces in which the bytes come.
#include <doctest/doctest.h>

#include <cstdint>
#include <fairing/codec/bit_reader.hpp>
#include <string>

#include "../support/samples.hpp"

using fairing::codec::detail::BitReader;
using support::bytes_of;

TEST_CASE("bit reader: the order of bits, and a look ahead") {
    const std::string input{"\xb1\x02\xff", 3};
    BitReader bits{.input = bytes_of(input)};
    REQUIRE(bits.available(24));
    CHECK(bits.peek(0, 8) == 0xb1);
    CHECK(bits.peek(4, 8) == 0x2b);
    CHECK(bits.peek(0, 0) == 0);
    CHECK(bits.take(1) == 1);
    CHECK(bits.take(3) == 0);
    CHECK(bits.take(8) == 0x2b);
    bits.drop(3);
    CHECK(bits.take(9) == 0x1fe);
    CHECK(bits.count == 0);
    CHECK(!bits.available(1));
    CHECK(bits.available(0));
}

TEST_CASE("bit reader: what does not suffice stays for the next piece") {
    const std::string first = "\x34", second = "\x12";
    BitReader bits{.input = bytes_of(first)};
    CHECK(!bits.available(9));
    CHECK(bits.input.empty());
    CHECK(bits.count == 8);
    bits.input = {};
    CHECK(!bits.available(9));
    bits.input = bytes_of(second);
    CHECK(bits.available(9));
    CHECK(bits.take(16) == 0x1234);
}

TEST_CASE("bit reader: whole bytes are taken while they fit, and the others left") {
    const std::string input = support::random_bytes(20, 1);
    BitReader bits{.input = bytes_of(input)};
    bits.refill();
    CHECK(bits.count == 56);
    CHECK(bits.input.size() == 13);
    bits.refill();
    CHECK(bits.count == 56);
    bits.drop(1);
    bits.refill();
    CHECK(bits.count == 63);
    CHECK(bits.input.size() == 12);
    // Enough is there: nothing is taken.
    bits.drop(15);
    CHECK(bits.available(48));
    CHECK(bits.input.size() == 12);
}

TEST_CASE("bit reader: any widths give what one bit at a time gives") {
    const std::string input = support::random_bytes(5000, 2);
    support::Random random{3};
    BitReader wide{.input = bytes_of(input)}, narrow = wide;
    std::size_t taken = 0;
    for (;;) {
        const auto size = static_cast<unsigned>(random.below(33));
        if (!wide.available(size)) {
            break;
        }
        const std::uint32_t value = wide.take(size);
        for (unsigned bit = 0; bit < size; ++bit) {
            REQUIRE(narrow.available(1));
            REQUIRE(narrow.take(1) == (value >> bit & 1));
        }
        taken += size;
    }
    CHECK(taken + wide.count == 8 * input.size());
}
