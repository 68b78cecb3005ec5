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

TEST_CASE("YAML as JSON: plain scalars are numbers and words only where both languages agree") {
    CHECK(
        parse_yaml("a: 1\nb: -2.5\nc: true\nd: ~\ne:\nf: \"1\"\ng: yes\nh: 0123\ni: [x, {y: z}]\n",
                   "f") == Json{{"a", 1},
                                {"b", -2.5},
                                {"c", true},
                                {"d", nullptr},
                                {"e", nullptr},
                                {"f", "1"},
                                {"g", "yes"},
                                {"h", "0123"},
                                {"i", {"x", {{"y", "z"}}}}});
    CHECK(parse_yaml("", "f").is_null());
    CHECK(parse_yaml("a: &x {b: 1}\nc: *x\n", "f")["c"]["b"] == 1);
    CHECK(parse_yaml("n: 123456789012345678901234567890\n", "f")["n"].is_string());
    const Json document = {{"a", {"x\n\"y\"", 1, false}}, {"on", nullptr}};
    CHECK(parse_yaml(to_yaml(document), "f") == document);
}

TEST_CASE("hostile YAML is refused by place, and never quoted") {
    const auto refusal = [](const std::string& text) {
        try {
            static_cast<void>(parse_yaml(text, "f"));
        } catch (const Error& error) {
            return std::string{error.what()};
        }
        return std::string{"no error"};
    };
    CHECK(refusal("a: 1\nhidden: [\n") == "cannot read f: not valid YAML (line 3, column 1)");
    CHECK(refusal("a: 1\na: 2\n") ==
          "cannot read f: a key that was there before (line 2, column 1)");
    CHECK(refusal("? [x]\n: 1\n").find("a key that is no text") != std::string::npos);
    std::string laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
    for (int i = 1; i < 9; ++i) {
        const std::string before = "*a" + std::to_string(i - 1);
        const std::string name = std::to_string(i);
        laughs += 'a' + name + ": &a" + name + " [" + before;
        for (int j = 0; j < 9; ++j) {
            laughs += ", " + before;
        }
        laughs += "]\n";
    }
    CHECK(refusal(laughs).find("grows too large") != std::string::npos);
    CHECK(refusal(std::string(2000, '[')) != "no error");
    CHECK(refusal("&a [*a]") != "no error");
}

#else

TEST_CASE("without yaml-cpp the error says what to do") {
    CHECK_THROWS_WITH_AS(static_cast<void>(to_yaml({})), doctest::Contains("ask for JSON"), Error);
}

#endif
