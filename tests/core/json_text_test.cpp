#include "fairing/core/json_text.hpp"

#include <doctest/doctest.h>

using namespace fairing;

TEST_CASE("a member's text, or the fallback for anything else") {
    const Json object = {{"a", "text"}, {"n", 1}, {"e", ""}};
    CHECK(text_or(object, "a") == "text");
    CHECK(text_or(object, "e", "fallback").empty());
    CHECK(text_or(object, "n", "fallback") == "fallback");
    CHECK(text_or(object, "none").empty());
    CHECK(text_or(Json::array(), "a", "f") == "f");
    CHECK(text_or(Json("text"), "a", "f") == "f");
    CHECK(text_or(Json(), "a", "f") == "f");
}

TEST_CASE("broken JSON is an error with the place and never the text") {
    CHECK(parse_json("{\"a\": [1, 2]}", "it").at("a")[1] == 2);
    for (const char* text :
         {"{\"password\": \"s3cret\" oops}", "", "{", "\"s3cret", "[1,]", "\xff\xfe s3cret"}) {
        try {
            static_cast<void>(parse_json(text, "config.json"));
            FAIL("no error");
        } catch (const Error& error) {
            const std::string what = error.what();
            CHECK(error.code() == ErrorCode::input);
            CHECK(what.find("config.json") != std::string::npos);
            CHECK(what.find("at byte") != std::string::npos);
            CHECK(what.find("s3cret") == std::string::npos);
        }
    }
}
