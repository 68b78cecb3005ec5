// zstd: ours read by the program zstd, its read by us, and every way in which a file can be broken.
#include <doctest/doctest.h>

#include <fairing/codec/zstd.hpp>
#include <string>
#include <vector>

#include "../support/compressor_suite.hpp"

#if FAIRING_ZSTD

using fairing::codec::ZstdCompressor;
using fairing::codec::ZstdReader;
using support::bytes_of;
using support::compressed;

namespace {

/// Read in pieces of `piece` bytes.
std::string unpacked(const std::string& file, std::size_t piece = std::size_t{1} << 30) {
    std::string text;
    ZstdReader reader{[&](std::span<const std::byte> bytes) { text += support::text_of(bytes); }};
    for (std::size_t at = 0; at < file.size(); at += piece) {
        reader.write(bytes_of(std::string_view{file}.substr(at, piece)));
    }
    reader.finish();
    return text;
}

std::string refusal(const std::string& file) {
    try {
        static_cast<void>(unpacked(file));
    } catch (const fairing::Error& error) {
        CHECK(error.code() == fairing::ErrorCode::integrity);
        return error.details().answer;
    }
    return "accepted";
}

const auto whole = [](const std::string& file) { return unpacked(file); };

}  // namespace

TEST_CASE("zstd: every sample at every level that a builder takes, through every reader") {
    const bool has_program = support::has_program("zstd");
    for (int level = 1; level <= 9; ++level) {
        CAPTURE(level);
        const ZstdCompressor compressor{.level = level};
        support::check_samples(compressor, whole);
        if (has_program) {
            CHECK(support::PackedSamples{compressor}.wrong_by("zstd -dcq") == "");
        }
    }
    if (!has_program) {
        MESSAGE("skipped in part: there is no zstd");
    }
}

TEST_CASE("zstd: blocks of any size at any level, and what compresses gets smaller") {
    for (const int level : {1, 3, 9, 15, 22}) {
        CAPTURE(level);
        support::check_borders(ZstdCompressor{.level = level}, whole);
    }
}

TEST_CASE("zstd: a block is a function of its input") {
    support::check_independent(ZstdCompressor{.level = 1}, ZstdCompressor{.level = 9});
}

TEST_CASE("zstd: the recipe says the level and the version, and a level that is none is refused") {
    CHECK(ZstdCompressor{.level = 1}.recipe().starts_with("zstd 1 1."));
    for (const int level : {-1, 0, 23}) {
        CHECK_THROWS_WITH_AS(
            static_cast<void>(support::block_of(ZstdCompressor{.level = level}, "x")),
            doctest::Contains("choose 1 to 22"), fairing::Error);
    }
}

TEST_CASE("zstd: several frames, in pieces of every size") {
    const std::string skippable{"\x50\x2a\x4d\x18\3\0\0\0abc", 11};
    const std::string file = compressed(ZstdCompressor{}, "one ", 4) + skippable +
                             compressed(ZstdCompressor{}, "", 1) +
                             compressed(ZstdCompressor{}, "two three", 4);
    for (std::size_t piece = 1; piece <= file.size(); ++piece) {
        REQUIRE(unpacked(file, piece) == "one two three");
    }
    // As long as the reader's buffer, or twice that: the end of a frame is seen all the same.
    for (const std::size_t size : {131'071U, 131'072U, 131'073U, 262'144U}) {
        const std::string text = support::random_bytes(size, 1);
        CHECK(unpacked(compressed(ZstdCompressor{}, text, text.size())) == text);
        CHECK(unpacked(compressed(ZstdCompressor{}, std::string(size, 'x'), size)).size() == size);
    }
}

TEST_CASE("zstd: broken files") {
    const std::string file = compressed(ZstdCompressor{}, support::prose(2000, 1), 2000);
    for (std::size_t size = 0; size < file.size(); ++size) {
        REQUIRE(refusal(file.substr(0, size)) == "it is cut off");
        REQUIRE(refusal(file + file.substr(0, size)) == (size == 0 ? "accepted" : "it is cut off"));
    }
    CHECK(refusal("no zstd file").find("Unknown frame") != std::string::npos);
    CHECK(refusal(file + "and more").find("Unknown frame") != std::string::npos);
    // No checksum is kept: a changed byte is an error or changes the text, and never goes beyond.
    for (std::size_t at = 0; at < file.size(); ++at) {
        std::string damaged = file;
        damaged[at] = static_cast<char>(damaged[at] ^ 0x40);
        static_cast<void>(refusal(damaged));
    }
}

TEST_CASE("zstd: what the program makes is read") {
    if (!support::has_program("zstd")) {
        MESSAGE("skipped: there is no zstd");
        return;
    }
    const fairing::TemporaryDirectory folder;
    const std::string plain = (folder.path() / "sample").string();
    const std::string text = support::prose(3'000'000, 5) + support::random_bytes(500'000, 5);
    support::write_bytes(plain, text);
    for (const char* const options : {"-1", "-19", "--no-check -3", "--long=27 -3", "-T2 -3"}) {
        CAPTURE(options);
        CHECK(unpacked(support::run("zstd -qc " + std::string{options} + ' ' + plain).output) ==
              text);
    }
    // A window of 256 MiB is more than a foreign file may ask for.
    const std::string wide = support::run("cat " + plain + " | zstd -qc --long=28").output;
    CHECK(refusal(wide).find("too much memory") != std::string::npos);
}

#endif
