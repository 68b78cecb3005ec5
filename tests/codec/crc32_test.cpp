// CRC-32 against its check value, a bit-by-bit computation, and python's zlib.
#include <doctest/doctest.h>

#include <fairing/codec/crc32.hpp>
#include <fairing/core/files.hpp>
#include <string>

#include "../support/samples.hpp"
#include "../support/shell.hpp"

using namespace fairing::codec;
using support::bytes_of;

namespace {

std::uint32_t crc32_bit_by_bit(std::string_view text) {
    std::uint32_t state = 0xffffffff;
    for (const char character : text) {
        state ^= static_cast<unsigned char>(character);
        for (int bit = 0; bit < 8; ++bit) {
            state = state >> 1 ^ ((state & 1) != 0 ? 0xedb88320U : 0U);
        }
    }
    return ~state;
}

}  // namespace

TEST_CASE("crc32: the check value") {
    for (const Crc32Implementation implementation : crc32_implementations()) {
        CHECK(crc32(bytes_of("123456789"), 0, implementation) == 0xcbf43926);
        CHECK(crc32({}, 0, implementation) == 0);
        CHECK(crc32({}, 0x12345678, implementation) == 0x12345678);
    }
}

TEST_CASE("crc32: every length to 700, at every alignment, by every implementation") {
    const std::string bytes = support::random_bytes(720, 1);
    REQUIRE(crc32_implementations().back() == Crc32Implementation::portable);
    for (std::size_t size = 0; size <= 700; ++size) {
        const std::string_view text = std::string_view{bytes}.substr(size % 17, size);
        const std::uint32_t expected = crc32_bit_by_bit(text);
        for (const Crc32Implementation implementation : crc32_implementations()) {
            REQUIRE(crc32(bytes_of(text), 0, implementation) == expected);
            const std::uint32_t half = crc32(bytes_of(text.substr(0, size / 2)), 0, implementation);
            REQUIRE(crc32(bytes_of(text.substr(size / 2)), half, implementation) == expected);
        }
    }
}

TEST_CASE("crc32: pieces are combined by their lengths") {
    const std::string bytes = support::random_bytes(5000, 2);
    for (std::size_t at = 0; at <= bytes.size(); at += 7) {
        const std::string_view first = std::string_view{bytes}.substr(0, at);
        const std::string_view second = std::string_view{bytes}.substr(at);
        REQUIRE(combine_crc32(crc32(bytes_of(first)), crc32(bytes_of(second)), second.size()) ==
                crc32(bytes_of(bytes)));
    }
    // Lengths that can not be tried: (A + B) + C is A + (B + C).
    const std::uint64_t length_b = (std::uint64_t{1} << 40) + 3;
    const std::uint64_t length_c = (std::uint64_t{1} << 61) + 12345;
    const std::uint32_t a = 0x12345678, b = 0x9abcdef0, c = 0x0fedcba9;
    CHECK(combine_crc32(combine_crc32(a, b, length_b), c, length_c) ==
          combine_crc32(a, combine_crc32(b, c, length_c), length_b + length_c));
    static_assert(combine_crc32(0x12345678, 0, 0) == 0x12345678);
}

TEST_CASE("crc32: python's zlib agrees") {
    if (!support::has_program("python3")) {
        MESSAGE("skipped: there is no python3");
        return;
    }
    const fairing::TemporaryDirectory folder;
    const std::string path = (folder.path() / "file").string();
    const std::string bytes = support::random_bytes(3'000'001, 3);
    support::write_bytes(path, bytes);
    CHECK(support::run("python3 -c 'import zlib; print(zlib.crc32(open(\"" + path +
                       "\", \"rb\").read()))'")
              .output == std::to_string(crc32(bytes_of(bytes))) + "\n");
}
