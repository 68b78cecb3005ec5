// A header's names and numbers at their limits, in POSIX's form and in GNU's, and its checksum.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <fairing/codec/tar_header.hpp>
#include <limits>
#include <string>
#include <string_view>

#include "ustar_header.hpp"

using namespace fairing::codec::detail;
using codec_test::Header;
using fairing::Error;
using fairing::ErrorCode;

namespace {

TarBlock block_of(const std::string& bytes) {
    TarBlock block;
    REQUIRE(bytes.size() == block.size());
    std::copy(bytes.begin(), bytes.end(), block.begin());
    return block;
}

std::string name_of(const Header& header) {
    const std::string after;
    const TarBlock block = block_of(header.block());
    return TarHeader{block, after}.name();
}

/// The number in a field of eight bytes or of twelve.
std::int64_t number_in(std::string_view text) {
    REQUIRE((text.size() == 8 || text.size() == 12));
    const TarField field = text.size() == 8 ? tar_user : tar_size;
    const std::string after;
    const TarBlock block = block_of(Header{"f"}.at(field.offset, text).block());
    return TarHeader{block, after}.number(field, "number");
}

/// Base 256 of so many bytes, all of them as they are but the first, which has its bit set already.
std::string base_256(std::size_t size, unsigned char first, std::string_view last) {
    const char fill = (first & 0x40) != 0 ? '\xff' : '\0';
    return static_cast<char>(first) + std::string(size - 1 - last.size(), fill) + std::string{last};
}

template <class Call>
std::string refusal(const Call& call, const char* subject = "a tar archive") {
    try {
        static_cast<void>(call());
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::integrity);
        CHECK(error.details().subject == subject);
        return error.details().answer;
    }
    return "accepted";
}

}  // namespace

TEST_CASE("tar header: names end at NUL or fill their field, the prefix goes in front") {
    const std::string name(100, 'n'), prefix(155, 'p');
    CHECK(name_of(Header{"n"}) == "n");
    CHECK(name_of(Header{std::string{"n\0old", 5}}) == "n");
    CHECK(name_of(Header{name}) == name);
    CHECK(name_of(Header{name}.at(345, "p")) == "p/" + name);
    CHECK(name_of(Header{name}.at(345, prefix)) == prefix + '/' + name);
    CHECK(name_of(Header{name}.at(345, prefix)).size() == 256);
    CHECK(name_of(Header{""}.at(345, "p")) == "p/");
    // What follows the prefix is nobody's.
    CHECK(name_of(Header{"n"}.at(345, prefix).at(500, "tail")) == prefix + "/n");
}

TEST_CASE("tar header: only POSIX's magic means a prefix, whatever its version") {
    const Header header = Header{"n"}.at(345, "p");
    CHECK(name_of(Header{header}.at(257, {"ustar\0\0\0", 8})) == "p/n");
    CHECK(name_of(Header{header}.at(257, {"ustar  \0", 8})) == "n");
    CHECK(name_of(Header{header}.at(257, std::string(8, '\0'))) == "n");
}

TEST_CASE("tar header: kind and link") {
    const std::string after, link(100, 'l');
    const TarBlock block = block_of(Header{"n", '2'}.at(157, link).block());
    CHECK(TarHeader{block, after}.type() == '2');
    CHECK(TarHeader{block, after}.text(tar_link) == link);
    CHECK(!TarHeader{block, after}.is_zero());
    TarBlock zero = {};
    CHECK(TarHeader{zero, after}.is_zero());
    zero[511] = ' ';
    CHECK(!TarHeader{zero, after}.is_zero());
}

TEST_CASE("tar header: octal numbers, with and without what surrounds them") {
    CHECK(number_in({"0000644\0", 8}) == 0644);
    CHECK(number_in({"644\0\0\0\0\0", 8}) == 0644);
    CHECK(number_in({"   644 \0", 8}) == 0644);
    CHECK(number_in("     644") == 0644);
    CHECK(number_in("0000644 ") == 0644);
    CHECK(number_in({"12\0\0"
                     "9999",
                     8}) == 012);  // left by somebody who wrote a shorter one
    CHECK(number_in("        ") == 0);
    CHECK(number_in({"\0\0\0\0\0\0\0\0", 8}) == 0);
    CHECK(number_in("77777777") == 077777777);
    // 8 GiB less one in eleven digits, which is all of ustar; twelve hold eight times as much.
    CHECK(number_in({"77777777777\0", 12}) == 8589934591);
    CHECK(number_in("100000000000") == 8589934592);
    CHECK(number_in("777777777777") == 68719476735);
    for (const std::string_view text :
         {"0000008\0", "-0000001", "+0000001", "0x000001", "000a0000", "\t0000644", "0000644\n"}) {
        const std::string padded = std::string{text} + std::string(8 - text.size(), '\0');
        CAPTURE(padded);
        CHECK(refusal([&] { return number_in(padded); }) == "a number that is not a number");
    }
}

TEST_CASE("tar header: base 256 is two's complement, the highest byte first") {
    constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
    constexpr std::int64_t least = std::numeric_limits<std::int64_t>::min();
    CHECK(number_in(base_256(8, 0x80, "")) == 0);
    CHECK(number_in(base_256(8, 0x80, {"\xff\0\0\1", 4})) == 0xff000001);
    CHECK(number_in(base_256(12, 0x80, {"\2\0\0\0\0", 5})) == 8589934592);
    CHECK(number_in(base_256(12, 0x80, {"\x7f\xff\xff\xff\xff\xff\xff\xff", 8})) == most);
    CHECK(number_in(base_256(12, 0xff, "\xff")) == -1);
    CHECK(number_in(base_256(8, 0xff, "\xfe")) == -2);
    CHECK(number_in(base_256(12, 0xff, {"\x80\0\0\0\0\0\0\0", 8})) == least);
    // The first byte has six bits of the number.
    CHECK(number_in(base_256(8, 0xbf, {"\xff\xff\xff\xff\xff\xff\xff", 7})) ==
          (std::int64_t{1} << 62) - 1);
    CHECK(number_in(base_256(8, 0xc0, {"\0\0\0\0\0\0\0", 7})) == -(std::int64_t{1} << 62));
    // One more, or one less, than 64 bits hold.
    CHECK(refusal([] {
              return number_in(base_256(12, 0x80, {"\x80\0\0\0\0\0\0\0", 8}));
          }) == "a number that is too large");
    CHECK(refusal([] {
              return number_in(base_256(12, 0xff, {"\x7f\xff\xff\xff\xff\xff\xff\xff", 8}));
          }) == "a number that is too large");
    CHECK(refusal([] { return number_in(base_256(12, 0x81, "")); }) ==
          "a number that is too large");
}

TEST_CASE("tar header: numbers that have a sign or a size of their own") {
    const std::string after = "a\nb";
    const TarBlock block = block_of(Header{"d", '3'}
                                        .at(108, std::string(8, '\xff'))
                                        .at(329, base_256(8, 0x80, {"\xff\xff\xff\xff", 4}))
                                        .at(337, base_256(8, 0x80, {"\1\0\0\0\0", 5}))
                                        .block());
    const TarHeader header{block, after};
    CHECK(header.number(tar_user, "user") == -1);
    // The entry before is named, in printable characters.
    constexpr const char* subject = "a tar archive after \"a\\x0ab\"";
    CHECK(refusal([&] { return header.unsigned_number(tar_user, "user"); }, subject) ==
          "a negative user");
    CHECK(header.device(tar_device_major) == 4294967295);
    CHECK(refusal([&] { return header.device(tar_device_minor); }, subject) ==
          "a device number that is too large");
}

TEST_CASE("tar header: the checksum is of every byte, its own field taken for spaces") {
    const std::string after, good = Header{"caf\xe9"}.block();
    const auto verdict = [&after](const std::string& bytes) {
        const TarBlock block = block_of(bytes);
        return refusal([&] {
            TarHeader{block, after}.check_checksum();
            return true;
        });
    };
    CHECK(verdict(good) == "accepted");
    for (std::size_t i = 0; i < good.size(); ++i) {
        std::string broken = good;
        broken[i] = static_cast<char>(broken[i] ^ 1);
        // Behind the digits stand a NUL and a space: the second may be anything.
        REQUIRE((verdict(broken) == "accepted") == (i == 155));
    }
    // All bytes zero: eight spaces are the sum.
    std::string empty(512, '\0');
    CHECK(verdict(empty) == "a header does not match its checksum");
    empty.replace(148, 6, "000400");
    CHECK(verdict(empty) == "accepted");
    CHECK(verdict(std::string(512, 'x')) == "a checksum that is not a number");
    // The sum of signed characters: 256 less for each one that is not ASCII.
    std::array<char, 8> digits;
    std::snprintf(digits.data(), digits.size(), "%06lo",
                  std::stoul(good.substr(148, 6), nullptr, 8) - 256);
    CHECK(verdict(std::string{good}.replace(148, 6, digits.data(), 6)) == "accepted");
}
