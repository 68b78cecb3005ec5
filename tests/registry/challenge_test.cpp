#include "fairing/registry/challenge.hpp"

#include <doctest/doctest.h>

using namespace fairing;
using registry::Challenge;

namespace {

std::vector<Challenge> parse(const std::string& value) {
    return registry::parse_challenges({{"www-authenticate", value}});
}

}  // namespace

TEST_CASE("the challenge of every registry") {
    const auto challenges = parse(
        R"(Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push")");
    REQUIRE(challenges.size() == 1);
    CHECK(challenges[0].scheme == "bearer");
    CHECK(challenges[0].parameter("realm") == "https://auth.example/token");
    CHECK(challenges[0].parameter("service") == "registry.example");
    CHECK(challenges[0].parameter("scope") == "repository:a/b:pull,push");
    CHECK(challenges[0].parameter("error").empty());
}

TEST_CASE("fault 16: several challenges, in one header and in several") {
    const auto one = parse(
        R"(Negotiate, Basic realm="a, \"b\" = c" , charset=UTF-8, Bearer realm="r",service=s)");
    REQUIRE(one.size() == 3);
    CHECK(one[0].scheme == "negotiate");
    CHECK(one[1].parameter("realm") == "a, \"b\" = c");
    CHECK(one[1].parameter("charset") == "UTF-8");
    CHECK(registry::choose_challenge(one)->scheme == "bearer");
    CHECK(registry::choose_challenge(one)->parameter("service") == "s");
    const auto several = registry::parse_challenges({{"WWW-Authenticate", "Negotiate YII+/=="},
                                                     {"Www-Authenticate", "BASIC Realm = x"},
                                                     {"X-Other", "Bearer realm=y"}});
    REQUIRE(several.size() == 2);
    CHECK(several[0].token68 == "YII+/==");
    CHECK(registry::choose_challenge(several)->scheme == "basic");
    CHECK(registry::choose_challenge(several)->parameter("realm") == "x");
    CHECK(parse("Negotiate abc=, Basic realm=x").size() == 2);
    CHECK(parse(",, ,").empty());
    CHECK(parse("Bearer realm=https://h/token?a=b,service=c")[0].parameter("realm") ==
          "https://h/token?a=b");
    CHECK_FALSE(registry::choose_challenge(parse("Negotiate, Digest realm=x")));
    CHECK_FALSE(registry::choose_challenge({}));
}

TEST_CASE("fault 16: what is malformed is refused") {
    for (const std::string text : {R"(Bearer realm="unterminated)", R"(Bearer realm="ends in \)",
                                   "=x", "Bearer realm=a service=b", "Bearer realm=\"a\"b",
                                   "Bearer a=1, a=2", "Bearer realm=a, \x01", "Bearer \"a\"",
                                   "realm=a", "Bearer a b c", "Bearer realm=, b=c"}) {
        CAPTURE(text);
        CHECK_THROWS_AS(parse(text), Error);
    }
    CHECK(parse("Bearer realm=")[0].token68 == "realm=");  // that is what it looks like
    CHECK(parse("Bearer realm=")[0].parameter("realm").empty());
}
