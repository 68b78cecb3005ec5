// The inflate reader: every split of the input, every kind of malformed stream, and zlib's streams.
#include <doctest/doctest.h>

#include <fairing/codec/deflate.hpp>
#include <fairing/codec/inflate.hpp>
#include <fairing/core/files.hpp>
#include <string>
#include <utility>
#include <vector>

#include "../support/samples.hpp"
#include "../support/shell.hpp"
#include "bits.hpp"

using namespace fairing::codec;
using codec_test::Bits;
using support::bytes_of;

namespace {

struct Outcome {
    std::string text = {};
    bool done = false;
    std::size_t used = 0;
};

Outcome expand(std::string_view stream, std::size_t piece = ~std::size_t{0}) {
    Outcome outcome;
    Inflater inflater{
        [&](std::span<const std::byte> bytes) { outcome.text += support::text_of(bytes); }};
    while (outcome.used < stream.size() && !inflater.done()) {
        // A copy of its own, so that a sanitizer sees a read beyond it.
        const std::string copy{stream.substr(outcome.used, piece)};
        outcome.used += inflater.write(bytes_of(copy));
    }
    outcome.done = inflater.done();
    return outcome;
}

std::string refusal(std::string_view stream) {
    std::string reason;
    for (const std::size_t piece : {std::size_t{1}, stream.size() + 1}) {
        try {
            static_cast<void>(expand(stream, piece));
            return "accepted";
        } catch (const fairing::Error& error) {
            CHECK(error.code() == fairing::ErrorCode::integrity);
            CHECK((reason.empty() || reason == error.details().answer));
            reason = error.details().answer;
        }
    }
    return reason;
}

}  // namespace

TEST_CASE("inflate: every split of the input gives the same") {
    const std::string text = support::prose(3000, 1) + std::string(700, 'x') +
                             support::random_bytes(500, 2) + support::prose(3000, 1);
    std::vector<std::byte> out;
    deflate(bytes_of(text), out, {.end = DeflateEnd::open});
    deflate(bytes_of(text), out, {.end = DeflateEnd::last});
    const std::string stream = support::text_of(out);
    for (std::size_t piece = 1; piece < 200; ++piece) {
        const Outcome outcome = expand(stream + "tail", piece);
        REQUIRE(outcome.done);
        REQUIRE(outcome.used == stream.size());
        REQUIRE(outcome.text == text + text);
    }
}

TEST_CASE("inflate: a stream that is cut off anywhere is never done") {
    std::vector<std::byte> out;
    deflate(bytes_of(support::prose(5000, 3)), out, {.end = DeflateEnd::last});
    const std::string stream = support::text_of(out);
    for (std::size_t size = 0; size < stream.size(); ++size) {
        REQUIRE(!expand(std::string_view{stream}.substr(0, size)).done);
    }
}

TEST_CASE("inflate: output far beyond the window") {
    std::string text;
    for (std::uint64_t i = 0; i < 12; ++i) {
        text += support::random_bytes(30'000, i % 5) + support::prose(60'000, i % 7);
    }
    std::vector<std::byte> out;
    deflate(bytes_of(text), out, {.end = DeflateEnd::last});
    CHECK(expand(support::text_of(out)).text == text);
    CHECK(expand(support::text_of(out), 1000).text == text);
}

TEST_CASE("inflate: reset() begins anew, and after the end nothing is taken") {
    std::string text;
    Inflater inflater{[&](std::span<const std::byte> bytes) { text += support::text_of(bytes); }};
    const std::string stream{"\x4b\x04\x00", 3};  // "a"
    CHECK(inflater.write(bytes_of(stream)) == 3);
    CHECK(inflater.write(bytes_of(stream)) == 0);
    inflater.reset();
    CHECK(!inflater.done());
    CHECK(inflater.write(bytes_of(stream)) == 3);
    CHECK(text == "aa");
}

TEST_CASE("inflate: malformed blocks") {
    CHECK(refusal(Bits{}.value(1, 1).value(3, 2).bytes()) == "a block of the reserved type");
    CHECK(refusal(std::string{"\x01\x05\x00\x05\x00hello", 10}) ==
          "a stored block with contradictory sizes");
    CHECK(expand(std::string{"\x01\x05\x00\xfa\xffhello", 10}).text == "hello");
    CHECK(refusal(Bits{}.value(1, 1).value(2, 2).value(30, 5).value(0, 9).bytes()) ==
          "a code for too many symbols");
    // Fixed codes: length 3 (0000001) at distance 1 (00000) with nothing before it.
    CHECK(
        refusal(
            Bits{}.value(1, 1).value(1, 2).code("0000001").code("00000").code("0000000").bytes()) ==
        "a distance to before the beginning");
    // The symbols 286 and 287, and the distances 30 and 31, never occur.
    CHECK(refusal(Bits{}.value(1, 1).value(1, 2).code("11000110").code("00000000").bytes()) ==
          "bits that stand for no symbol");
    CHECK(refusal(Bits{}
                      .value(1, 1)
                      .value(1, 2)
                      .code("10010001")
                      .code("0000001")
                      .code("11110")
                      .code("0000000")
                      .bytes()) == "bits that stand for no distance");
}

TEST_CASE("inflate: after an error every further write is refused") {
    Inflater inflater{[](std::span<const std::byte>) {}};
    CHECK_THROWS_AS(inflater.write(bytes_of("\x07")), fairing::Error);
    CHECK_THROWS_AS(inflater.write(bytes_of("\x07")), fairing::Error);
    inflater.reset();
    CHECK(inflater.write(bytes_of(std::string_view{"\x03\x00", 2})) == 2);
}

TEST_CASE("inflate: a bit that flips is noticed or gives other bytes, and never harms") {
    const std::string text = support::prose(2000, 8);
    std::vector<std::byte> out;
    deflate(bytes_of(text), out, {.end = DeflateEnd::last});
    std::size_t refused = 0;
    for (std::size_t bit = 0; bit < 8 * out.size(); ++bit) {
        std::vector<std::byte> broken = out;
        broken[bit / 8] ^= std::byte{1} << (bit % 8);
        try {
            static_cast<void>(expand(support::text_of(broken)));
        } catch (const fairing::Error& error) {
            REQUIRE(error.code() == fairing::ErrorCode::integrity);
            ++refused;
        }
    }
    CHECK(refused > 100);
}

TEST_CASE("inflate: streams of python's zlib, of every level and strategy") {
    if (!support::has_program("python3")) {
        MESSAGE("skipped: there is no python3");
        return;
    }
    const fairing::TemporaryDirectory folder;
    const std::string prefix = (folder.path() / "sample").string();
    const auto samples = support::samples();
    for (std::size_t i = 0; i < samples.size(); ++i) {
        support::write_bytes(prefix + std::to_string(i), samples[i].second);
    }
    support::write_bytes(prefix + ".py", R"(import sys, zlib
prefix, count = sys.argv[1], int(sys.argv[2])
for i in range(count):
    plain = open(prefix + str(i), "rb").read()
    writer = zlib.compressobj(i % 10, zlib.DEFLATED, -15, 1 + i % 9, i % 5)
    half = len(plain) // 2
    stream = writer.compress(plain[:half]) + writer.flush(zlib.Z_SYNC_FLUSH)
    stream += writer.compress(plain[half:]) + writer.flush()
    open(prefix + str(i) + ".z", "wb").write(stream)
)");
    REQUIRE(
        support::run("python3 " + prefix + ".py " + prefix + " " + std::to_string(samples.size()))
            .exit_code == 0);
    for (std::size_t i = 0; i < samples.size(); ++i) {
        CAPTURE(samples[i].first);
        const std::string stream = fairing::read_file(prefix + std::to_string(i) + ".z");
        const Outcome outcome = expand(stream, 1 + i * 1000);
        REQUIRE(outcome.done);
        REQUIRE(outcome.text == samples[i].second);
    }
}
