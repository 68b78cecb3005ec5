#include <doctest/doctest.h>

#include <fairing/packaging/glob.hpp>
#include <string>

using fairing::packaging::Glob;
using fairing::packaging::GlobDialect;

namespace {

bool shell(std::string_view pattern, std::string_view text) {
    return Glob{pattern, GlobDialect::shell}.matches(text);
}
bool docker(std::string_view pattern, std::string_view text) {
    return Glob{pattern, GlobDialect::dockerignore}.matches(text);
}

}  // namespace

TEST_CASE("wildcards of one component") {
    CHECK(shell("*.py", "train.py"));
    CHECK_FALSE(shell("*.py", "train.pyc"));
    CHECK(shell("?", "\xe2\x98\xba"));
    CHECK_FALSE(shell("?", ""));
    CHECK(shell("[!a]", "b"));
    CHECK_FALSE(shell("[!a]", "a"));
    CHECK(shell("[^a-c]x", "dx"));
    CHECK(shell("a\\*", "a*"));
    CHECK_FALSE(shell("a\\*", "ab"));
    CHECK(shell("**", "abc"));
}

TEST_CASE("a set that begins with ! is a plain set in .dockerignore") {
    CHECK(docker("[!a]", "!"));
    CHECK(docker("[!a]", "a"));
    CHECK_FALSE(docker("[!a]", "b"));
}

TEST_CASE("a malformed pattern is refused by name") {
    for (const char* pattern :
         {"[", "[^", "[a", "[]", "[]a]", "[-]", "[x-]", "[-x]", "[z-a]", "a\\"}) {
        CAPTURE(pattern);
        CHECK_THROWS_AS(shell(pattern, "a"), fairing::Error);
        CHECK_THROWS_AS(docker(pattern, "a"), fairing::Error);
    }
}

TEST_CASE("a pattern that invites backtracking takes no longer than another") {
    std::string pattern, text(3000, 'a');
    for (int i = 0; i < 60; ++i) {
        pattern += "*a**/";
    }
    CHECK(docker(pattern + "[b]", text + "b"));
    CHECK_FALSE(docker(pattern + "[b]", text + "c"));
}
