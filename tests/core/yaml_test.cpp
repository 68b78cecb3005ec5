#include "fairing/core/yaml.hpp"

#include <doctest/doctest.h>

using namespace fairing;

#if FAIRING_YAML

TEST_CASE("JSON as YAML: texts are quoted, the rest is written as in JSON") {
    const Json document = {{"name", "yes"},
                           {"count", 3},
                           {"ratio", 0.5},
                           {"on", true},
                           {"none", nullptr},
                           {"list", {"1", 2}},
                           {"empty", Json::object()},
                           {"nothing", Json::array()}};
    CHECK(to_yaml(document) ==
          "count: 3\nempty: {}\nlist:\n  - \"1\"\n  - 2\nname: \"yes\"\nnone: ~\nnothing: "
          "[]\n\"on\": true\nratio: 0.5\n");
}

TEST_CASE("quotes, newlines and colons survive") {
    CHECK(to_yaml(Json{{"a: b", "x\n\"y\""}}) == "\"a: b\": \"x\\n\\\"y\\\"\"\n");
}

#else

TEST_CASE("without yaml-cpp the error says what to do") {
    CHECK_THROWS_WITH_AS(static_cast<void>(to_yaml({})), doctest::Contains("ask for JSON"), Error);
}

#endif
