#include "fairing/core/line_splitter.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace {

std::vector<std::string> split(const std::vector<std::string>& portions, std::size_t limit) {
    std::vector<std::string> lines;
    const auto sink = [&lines](std::string line) { lines.push_back(std::move(line)); };
    fairing::LineSplitter splitter{limit};
    for (const std::string& portion : portions) {
        splitter.write(std::as_bytes(std::span{portion}), sink);
    }
    splitter.finish(sink);
    return lines;
}

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("lines do not depend on how the bytes arrive") {
    const std::string text = "one\n\nthree\r\n\x1b[1mfour\nlast";
    const Lines expected{"one", "", "three\r", "\x1b[1mfour", "last"};
    for (std::size_t size = 1; size <= text.size(); ++size) {
        Lines portions;
        for (std::size_t at = 0; at < text.size(); at += size) {
            portions.push_back(text.substr(at, size));
        }
        CHECK(split(portions, 100) == expected);
    }
}

TEST_CASE("no final newline, only newlines, nothing") {
    CHECK(split({"a"}, 10) == Lines{"a"});
    CHECK(split({"\n\n"}, 10) == Lines{"", ""});
    CHECK(split({}, 10).empty());
    CHECK(split({""}, 10).empty());
}

TEST_CASE("a line at the limit stays whole, a longer one comes in pieces") {
    CHECK(split({"12345\nx\n"}, 5) == Lines{"12345", "x"});
    CHECK(split({"123", "45", "\n"}, 5) == Lines{"12345"});
    CHECK(split({"1234567890ab\n"}, 5) == Lines{"12345", "67890", "ab"});
    CHECK(split({"1234567890\n"}, 5) == Lines{"12345", "67890"});
}

TEST_CASE("a NUL byte is a byte") {
    const std::string text{"a\0b\n", 4};
    CHECK(split({text}, 10) == Lines{std::string{"a\0b", 3}});
}
