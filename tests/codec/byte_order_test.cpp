// Numbers in memory have their lowest byte first, at any address.
#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <fairing/codec/byte_order.hpp>
#include <string>
#include <vector>

#include "../support/samples.hpp"

using namespace fairing::codec::detail;
using support::bytes_of;

static_assert(reverse_bytes(std::uint8_t{0x12}) == 0x12);
static_assert(reverse_bytes(std::uint16_t{0x1234}) == 0x3412);
static_assert(reverse_bytes(std::uint32_t{0x12345678}) == 0x78563412);
static_assert(reverse_bytes(std::uint64_t{0x0102030405060708}) == 0x0807060504030201);
static_assert(reverse_bytes(std::uint16_t{0xff00}) == 0x00ff);

TEST_CASE("byte order: numbers are read and written at any address") {
    const std::string text{"\xff\x01\x02\x83\x04\x05\x06\x07\x88\xff", 10};
    const std::byte* const odd = bytes_of(text).data() + 1;
    CHECK(load_little<std::uint8_t>(odd) == 0x01);
    CHECK(load_little<std::uint16_t>(odd) == 0x0201);
    CHECK(load_little<std::uint32_t>(odd) == 0x04830201);
    CHECK(load_little<std::uint64_t>(odd) == 0x8807060504830201);
    std::vector<std::byte> copy(text.size(), std::byte{0xff});
    store_little(std::uint64_t{0x8807060504830201}, copy.data() + 1);
    CHECK(support::text_of(copy) == text);
    store_little(std::uint16_t{0xabcd}, copy.data() + 3);
    CHECK(support::text_of(copy) == std::string{"\xff\x01\x02\xcd\xab\x05\x06\x07\x88\xff", 10});
}

TEST_CASE("byte order: numbers and bytes go to the end of what is there") {
    std::vector<std::byte> out = {std::byte{'<'}};
    append_little(std::uint32_t{0xfffffffe}, out);
    append_little(std::uint16_t{1}, out);
    append_bytes(bytes_of("and bytes"), out);
    append_bytes({}, out);
    append_little(std::uint8_t{'>'}, out);
    CHECK(support::text_of(out) == std::string{"<\xfe\xff\xff\xff\x01\0and bytes>", 17});
}
