// gzip files: ours read by gzip and python, theirs read by us, and every way in which one can be
// broken.
#include <doctest/doctest.h>

#include <algorithm>
#include <fairing/codec/gzip.hpp>
#include <fairing/core/files.hpp>
#include <string>
#include <vector>

#include "../support/compressor_suite.hpp"
#include "../support/samples.hpp"
#include "../support/shell.hpp"

using namespace fairing::codec;
using support::bytes_of;

namespace {

constexpr std::size_t no_limit = std::size_t{1} << 30;

/// A file made block by block, as the layer writer does it.
std::string gzip_in_blocks(std::string_view text, std::size_t block_size) {
    return support::compressed(GzipCompressor{}, text, block_size);
}

std::string refusal(std::string_view file) {
    try {
        static_cast<void>(gunzip(file, no_limit));
    } catch (const fairing::Error& error) {
        CHECK(error.code() == fairing::ErrorCode::integrity);
        return error.details().answer;
    }
    return "accepted";
}

/// A header with these flags and fields, and the body and trailer of gzip("hello").
std::string with_header(char flags, const std::string& fields) {
    std::string header{"\x1f\x8b\x08", 3};
    header += flags;
    header += std::string{"\1\2\3\4\0\3", 6} + fields;
    return header + gzip("hello").substr(10);
}

}  // namespace

TEST_CASE("gzip: every sample comes back, whole and in blocks") {
    for (const auto& [name, text] : support::samples()) {
        const std::string& sample = name;
        CAPTURE(sample);
        REQUIRE(gunzip(gzip(text), no_limit) == text);
        REQUIRE(gunzip(gzip_in_blocks(text, 65536), no_limit) == text);
    }
    const std::string text = support::prose(3000, 1);
    for (const std::size_t size : {1U, 2U, 100U, 2999U, 3000U}) {
        CHECK(gunzip(gzip_in_blocks(text, size), no_limit) == text);
    }
}

TEST_CASE("gzip: the header has no time, no name and no system") {
    CHECK(gzip("").substr(0, 10) == std::string{"\x1f\x8b\x08\0\0\0\0\0\0\xff", 10});
    CHECK(gzip("hello") == gzip("hello"));
}

TEST_CASE("gzip: optional parts of the header") {
    CHECK(gunzip(with_header(0, ""), no_limit) == "hello");
    CHECK(gunzip(with_header(1, ""), no_limit) == "hello");  // FTEXT
    CHECK(gunzip(with_header(8, std::string{"name.txt\0", 9}), no_limit) == "hello");
    CHECK(gunzip(with_header(16, std::string{"a comment\0", 10}), no_limit) == "hello");
    CHECK(gunzip(with_header(4, std::string{"\0\0", 2}), no_limit) == "hello");
    CHECK(gunzip(with_header(4, std::string{"\5\0ab\1\0x", 7}), no_limit) == "hello");
    const std::string fields{"\5\0ab\1\0xname\0comment\0", 20};
    CHECK(gunzip(with_header(4 + 8 + 16, fields), no_limit) == "hello");
    const std::string header = with_header(2 + 4 + 8 + 16, fields).substr(0, 10 + fields.size());
    const std::uint32_t crc = crc32(bytes_of(header));
    std::string checked = fields;
    checked += static_cast<char>(crc & 0xff);
    checked += static_cast<char>(crc >> 8 & 0xff);
    CHECK(gunzip(with_header(2 + 4 + 8 + 16, checked), no_limit) == "hello");
    checked.back() = static_cast<char>(checked.back() ^ 1);
    CHECK(refusal(with_header(2 + 4 + 8 + 16, checked)) ==
          "its header does not match the checksum");
    CHECK(refusal(with_header(32, "")) == "reserved flags in its header");
}

TEST_CASE("gzip: several members, in pieces of every size") {
    const std::string file =
        gzip("one ") + gzip("") + gzip("two ") + with_header(8, std::string{"n\0", 2});
    for (std::size_t piece = 1; piece <= file.size(); ++piece) {
        std::string text;
        GunzipReader reader{
            [&](std::span<const std::byte> bytes) { text += support::text_of(bytes); }};
        for (std::size_t at = 0; at < file.size(); at += piece) {
            reader.write(bytes_of(std::string_view{file}.substr(at, piece)));
        }
        reader.finish();
        REQUIRE(text == "one two hello");
    }
}

TEST_CASE("gzip: broken files") {
    const std::string file = gzip("hello, hello, hello");
    for (std::size_t size = 0; size < file.size(); ++size) {
        REQUIRE(refusal(file.substr(0, size)) == "it is cut off");
        REQUIRE(refusal(file + file.substr(0, size)) == (size == 0 ? "accepted" : "it is cut off"));
    }
    const auto flipped = [&](std::size_t at) {
        std::string copy = file;
        copy[at] = static_cast<char>(copy[at] ^ 4);
        return copy;
    };
    CHECK(refusal(flipped(0)) == "it does not begin like gzip");
    CHECK(refusal(flipped(1)) == "it does not begin like gzip");
    CHECK(refusal(flipped(2)) == "an unknown compression method");
    CHECK(refusal(flipped(file.size() - 5)) == "its content does not match the checksum");
    CHECK(refusal(flipped(file.size() - 1)) == "its content does not match the size");
    CHECK(refusal(file + "garbage") == "something other follows its end");
    CHECK(refusal(file + std::string(1, '\0')) == "something other follows its end");
    CHECK(refusal("not gzip") == "it does not begin like gzip");
}

TEST_CASE("gzip: a limit holds, and a bomb costs no more than it") {
    const std::string text(1000, 'x');
    CHECK(gunzip(gzip(text), 1000) == text);
    CHECK_THROWS_WITH_AS(static_cast<void>(gunzip(gzip(text), 999)),
                         doctest::Contains("it holds more than 999 bytes"), fairing::Error);
    const std::string bomb = gzip(std::string(50'000'000, '\0'));
    CHECK(bomb.size() < 100'000);
    CHECK_THROWS_AS(static_cast<void>(gunzip(bomb, 1'000'000)), fairing::Error);
}

TEST_CASE("gzip: gzip and python read ours, and we read theirs") {
    if (!support::has_program("gzip")) {
        MESSAGE("skipped: there is no gzip");
        return;
    }
    const bool has_python = support::has_program("python3");
    const fairing::TemporaryDirectory folder;
    const std::string plain = (folder.path() / "sample").string();
    const std::string packed = plain + ".gz";
    for (const auto& [name, text] : support::samples()) {
        const std::string& sample = name;
        CAPTURE(sample);
        support::write_bytes(plain, text);
        support::write_bytes(packed, gzip_in_blocks(text, 100'000));
        REQUIRE(support::run("gzip -t " + packed + " 2>&1").output.empty());
        REQUIRE(support::run("gzip -dc " + packed + " | cmp - " + plain + " 2>&1").output.empty());
        REQUIRE(gunzip(support::run("gzip -c " + plain).output, no_limit) == text);
    }
    if (!has_python) {
        MESSAGE("skipped in part: there is no python3");
        return;
    }
    CHECK(support::run("python3 -c 'import gzip; assert gzip.open(\"" + packed +
                       "\").read() == open(\"" + plain + "\", \"rb\").read()' 2>&1")
              .output.empty());
    CHECK(support::run("python3 -c 'import gzip; gzip.open(\"" + packed +
                       "\", \"wb\").write(b\"from python\")'")
              .exit_code == 0);
    CHECK(gunzip(fairing::read_file(packed), no_limit) == "from python");
}
