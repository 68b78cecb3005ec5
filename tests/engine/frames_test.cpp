#include "fairing/engine/frames.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace fairing;
using engine::FrameReader;

namespace {

std::string frame(char stream, const std::string& text) {
    std::string header{stream, 0, 0, 0};
    for (int shift = 24; shift >= 0; shift -= 8) {
        header += static_cast<char>(text.size() >> shift);
    }
    return header + text;
}

struct Read {
    std::string output = {}, errors = {};
    void operator()(const std::string& bytes, std::size_t portion) {
        FrameReader reader{[this](Stream stream, std::span<const std::byte> part) {
            (stream == Stream::output ? output : errors)
                .append(reinterpret_cast<const char*>(part.data()), part.size());
        }};
        for (std::size_t at = 0; at < bytes.size(); at += portion) {
            reader.write(
                std::as_bytes(std::span{bytes}).subspan(at, std::min(portion, bytes.size() - at)));
        }
        reader.finish();
    }
};

}  // namespace

TEST_CASE("frames come apart the same however they arrive") {
    const std::string bytes = frame(1, "one\n") + frame(2, "err") + frame(1, "") +
                              frame(0, "in as out") + frame(1, std::string(70000, 'x'));
    for (const std::size_t portion : {1U, 2U, 7U, 8U, 9U, 4096U, 1000000U}) {
        Read read;
        read(bytes, portion);
        CHECK(read.output == "one\nin as out" + std::string(70000, 'x'));
        CHECK(read.errors == "err");
    }
    Read nothing;
    nothing("", 1);
    CHECK(nothing.output.empty());
}

TEST_CASE("what is no frame, or half of one, is an error") {
    CHECK_THROWS_AS(Read{}("plain text, as with a terminal", 100), Error);
    CHECK_THROWS_AS(Read{}(std::string{"\x01\x00\x01\x00\x00\x00\x00\x01x", 9}, 100), Error);
    CHECK_THROWS_AS(Read{}(frame(1, "whole").substr(0, 10), 100), Error);
    CHECK_THROWS_AS(Read{}(frame(1, "whole").substr(0, 5), 100), Error);
}
