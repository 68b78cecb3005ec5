#include <doctest/doctest.h>

#include <fairing/packaging/text.hpp>
#include <string>
#include <vector>

using namespace fairing::packaging;

TEST_CASE("UTF-8 is read character by character, and invalid bytes one by one") {
    const auto all = [](std::string_view text) {
        std::vector<char32_t> characters;
        for (std::size_t position = 0; position < text.size();) {
            characters.push_back(next_character(text, position));
        }
        return characters;
    };
    CHECK(all("a\xc3\xa9\xe2\x98\xba\xf0\x9f\x98\x80") ==
          std::vector<char32_t>{U'a', U'\u00e9', U'\u263a', U'\U0001f600'});
    CHECK(all("\xc0\xaf") ==
          std::vector<char32_t>{invalid_character, invalid_character});  // overlong
    CHECK(all("\xe0\x80\x80").front() == invalid_character);
    CHECK(all("\xf0\x80\x80\x80").front() == invalid_character);
    CHECK(all("\xed\xa0\x80").front() == invalid_character);      // a surrogate
    CHECK(all("\xf4\x90\x80\x80").front() == invalid_character);  // above U+10FFFF
    CHECK(all("\xe2\x98") == std::vector<char32_t>{invalid_character, invalid_character});
    CHECK(all("\x80z") == std::vector<char32_t>{invalid_character, U'z'});
}

TEST_CASE("clean gives the shortest path that means the same") {
    CHECK(clean("") == ".");
    CHECK(clean("a/./b//c/") == "a/b/c");
    CHECK(clean("a/../..") == "..");
    CHECK(clean("../../a") == "../../a");
    CHECK(clean("/../a/..") == "/");
    CHECK(clean("//a") == "/a");
}

TEST_CASE("parts of paths") {
    CHECK(components("/a//b/") == std::vector<std::string_view>{"a", "b"});
    CHECK(join("/", "a") == "/a");
    CHECK(join("/a", "b") == "/a/b");
    CHECK(join("/a", "") == "/a");
    CHECK(join("", "b") == "b");
    CHECK(parent("/a/b") == "/a");
    CHECK(parent("/a") == "/");
    CHECK(parent("a").empty());
    CHECK(last_component("/a/b") == "b");
    CHECK(is_within("/a/b", "/a"));
    CHECK(is_within("/a", "/a"));
    CHECK(is_within("/a", "/"));
    CHECK_FALSE(is_within("/ab", "/a"));
    CHECK(relative_to("/a/b", "/a") == "b");
    CHECK(relative_to("/a", "/a").empty());
    CHECK(relative_to("/a", "/") == "a");
}
