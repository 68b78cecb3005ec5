#include "fairing/core/json_text.hpp"

#include <doctest/doctest.h>

#include <cmath>

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

TEST_CASE("what is not UTF-8 is no JSON: the error names the member, and never its text") {
    CHECK(dump_json({{"a", "\xc3\xa4"}}, "send", "it") == "{\"a\":\"\xc3\xa4\"}");
    const auto said = [](const Json& document) {
        try {
            return dump_json(document, "create", "Job j");
        } catch (const Error& error) {
            CHECK(error.code() == ErrorCode::input);
            return std::string{error.what()};
        }
    };
    CHECK(said({{"a", "\xef\xbf\xbd"}, {"env", {{{"name", "A"}, {"value", "s3cret\xff"}}}}}) ==
          "cannot create Job j: the JSON's \"/env/0/value\" is not UTF-8");
    CHECK(said({{"labels", {{"k\xe9y", 1}}}}) ==
          "cannot create Job j: the JSON's \"/labels/k\xef\xbf\xbdy\" is not UTF-8");
    CHECK(said({{"a", std::nan("")}, {"b", "\xff"}}) ==
          "cannot create Job j: the JSON's \"/b\" is not UTF-8");
}
