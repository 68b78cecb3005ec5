// The deflate writer: what it writes is read back by our reader and by python's
// zlib, and is small.
#include <doctest/doctest.h>

#include <fairing/codec/deflate.hpp>
#include <fairing/codec/inflate.hpp>
#include <fairing/core/files.hpp>
#include <string>
#include <thread>
#include <vector>

#include "../support/samples.hpp"
#include "../support/shell.hpp"

using namespace fairing::codec;
using support::bytes_of;

namespace {

std::string compress(std::string_view text, int level, DeflateEnd end = DeflateEnd::last) {
    std::vector<std::byte> out;
    deflate(bytes_of(text), out, {.level = level, .end = end});
    return support::text_of(out);
}

std::string expand(std::string_view stream) {
    std::string text;
    Inflater inflater{[&](std::span<const std::byte> bytes) { text += support::text_of(bytes); }};
    REQUIRE(inflater.write(bytes_of(stream)) == stream.size());
    REQUIRE(inflater.done());
    return text;
}

}  // namespace

TEST_CASE("deflate: every sample comes back at every level") {
    for (const auto& [name, text] : support::samples()) {
        const std::string& sample = name;
        CAPTURE(sample);
        for (const int level : {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}) {
            CAPTURE(level);
            const std::string stream = compress(text, level);
            REQUIRE(expand(stream) == text);
            REQUIRE(stream.size() <= text.size() + text.size() / 1000 + 16);
        }
    }
}

TEST_CASE("deflate: every period to 300") {
    for (std::size_t period = 1; period <= 300; ++period) {
        const std::string unit = support::random_bytes(period, period);
        std::string text;
        while (text.size() < 5000) {
            text += unit;
        }
        for (const int level : {deflate_fast, deflate_balanced, deflate_best}) {
            const std::string stream = compress(text, level);
            REQUIRE(expand(stream) == text);
            REQUIRE(stream.size() < 2 * period + 150);
        }
    }
}

TEST_CASE("deflate: blocks of any size follow each other") {
    const std::string text =
        support::prose(100'000, 1) + support::random_bytes(50'000, 2) + std::string(50'000, 'z');
    for (const std::size_t size : {1U, 7U, 100U, 4096U, 65535U, 65536U, 65537U, 150'000U}) {
        std::string_view left = text;
        if (size < 100) {
            left = left.substr(0, 2000);
        }
        const std::string_view whole = left;
        std::string stream;
        while (!left.empty()) {
            const std::string_view block = left.substr(0, size);
            stream += compress(block, 6, DeflateEnd::open);
            left.remove_prefix(block.size());
        }
        CHECK(expand(stream + compress("", 6)) == whole);
    }
}

TEST_CASE("deflate: an open end is a byte border and says no more than needed") {
    CHECK(compress("", 6, DeflateEnd::open).empty());
    CHECK(compress("", 6) == std::string{"\x03\x00", 2});
    CHECK(compress("hello", 6, DeflateEnd::open).ends_with(std::string{"\0\0\xff\xff", 4}));
    CHECK(compress("x", 6).size() <= 5);
}

TEST_CASE("deflate: a function of its input and level") {
    const std::string text = support::prose(300'000, 3);
    for (const int level : {deflate_store, deflate_fast, deflate_balanced, deflate_best}) {
        const std::string first = compress(text, level);
        const std::string copy = " " + text;
        CHECK(compress(std::string_view{copy}.substr(1), level) == first);
        // Not of what was compressed before, on this thread or another.
        static_cast<void>(compress(support::prose(200'000, 8) + text, level));
        CHECK(compress(text, level) == first);
        std::string elsewhere;
        std::thread{[&] { elsewhere = compress(text, level); }}.join();
        CHECK(elsewhere == first);
        std::vector<std::byte> out(3, std::byte{1});
        deflate(bytes_of(text), out, {.level = level, .end = DeflateEnd::last});
        CHECK(support::text_of(std::span{out}.subspan(3)) == first);
    }
}

TEST_CASE(
    "deflate: prose shrinks, more so at higher levels, and random bytes "
    "are stored") {
    const std::string text = support::prose(400'000, 4);
    const std::size_t fast = compress(text, 1).size(), usual = compress(text, 6).size();
    CHECK(usual < text.size() / 2);
    CHECK(usual <= fast);
    CHECK(compress(text, 9).size() <= usual);
    const std::string noise = support::random_bytes(1'000'000, 5);
    CHECK(compress(noise, 6).size() <= noise.size() + 5 * 16 + 16);
    // Random bytes that come again are no longer random.
    CHECK(compress(noise.substr(0, 20'000) + noise.substr(0, 20'000), 6).size() < 21'000);
}

TEST_CASE("deflate: level 0 stores") {
    const std::string text(70'000, 'x');
    CHECK(compress(text, deflate_store, DeflateEnd::open).size() == text.size() + 2 * 5);
}

TEST_CASE("deflate: a level that there is not") {
    for (const int level : {10, -1}) {
        std::vector<std::byte> out;
        CHECK_THROWS_WITH_AS(deflate(bytes_of("x"), out, {.level = level}),
                             doctest::Contains("choose 0 (store) to 9 (small)"), fairing::Error);
    }
}

TEST_CASE("deflate: python's zlib reads it, and is not much smaller") {
    if (!support::has_program("python3")) {
        MESSAGE("skipped: there is no python3");
        return;
    }
    const fairing::TemporaryDirectory folder;
    const std::string prefix = (folder.path() / "sample").string();
    const auto samples = support::samples();
    for (std::size_t i = 0; i < samples.size(); ++i) {
        support::write_bytes(prefix + std::to_string(i), samples[i].second);
        support::write_bytes(prefix + std::to_string(i) + ".z", compress(samples[i].second, 6));
    }
    support::write_bytes(prefix + ".py", R"(import sys, zlib
prefix, count = sys.argv[1], int(sys.argv[2])
ours = theirs = 0
for i in range(count):
    plain = open(prefix + str(i), "rb").read()
    stream = open(prefix + str(i) + ".z", "rb").read()
    reader = zlib.decompressobj(-15)
    assert reader.decompress(stream) == plain and reader.eof and not reader.unused_data, i
    writer = zlib.compressobj(6, zlib.DEFLATED, -15)
    ours += len(stream)
    theirs += len(writer.compress(plain) + writer.flush())
assert ours <= theirs * 1.03, (ours, theirs)
print("good")
)");
    const auto verdict = support::run("python3 " + prefix + ".py " + prefix + " " +
                                      std::to_string(samples.size()) + " 2>&1");
    CHECK(verdict.output == "good\n");
}
