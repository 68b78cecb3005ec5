// Base64: the vectors of RFC 4648, section 10, and what must be refused.
#include <doctest/doctest.h>

#include <fairing/codec/base64.hpp>
#include <string>
#include <utility>
#include <vector>

#include "../support/samples.hpp"

using namespace fairing::codec;

TEST_CASE("base64: the vectors of RFC 4648, with padding and without") {
    const std::vector<std::pair<std::string, std::string>> vectors = {{"", ""},
                                                                      {"f", "Zg=="},
                                                                      {"fo", "Zm8="},
                                                                      {"foo", "Zm9v"},
                                                                      {"foob", "Zm9vYg=="},
                                                                      {"fooba", "Zm9vYmE="},
                                                                      {"foobar", "Zm9vYmFy"}};
    for (const auto& [bytes, text] : vectors) {
        CHECK(base64_encode(bytes) == text);
        CHECK(base64_decode(text) == bytes);
        CHECK(base64_decode(text.substr(0, text.find('='))) == bytes);
    }
}

TEST_CASE("base64: bytes of every length come back") {
    for (std::size_t size = 0; size < 300; ++size) {
        const std::string bytes = support::random_bytes(size, size);
        REQUIRE(base64_decode(base64_encode(bytes)) == bytes);
    }
    CHECK(base64_encode("\xfb\xff\xfe") == "+//+");
}

TEST_CASE("base64: what is not Base64 is refused, and never quoted") {
    for (const char* text :
         {"A", "AAAAA", "Zg=", "Z===", "====", "=", "Zm=v", "Zm9v\n", " Zm9v", "Zm9-", "Zm9_",
          "Zh==", "Zm9=", "Zg==Zg==", "secret!!", "Zm\xc3\xa9v"}) {
        CAPTURE(text);
        try {
            static_cast<void>(base64_decode(text));
            FAIL("accepted");
        } catch (const fairing::Error& error) {
            CHECK(error.code() == fairing::ErrorCode::input);
            CHECK(std::string{error.what()}.starts_with("cannot decode Base64 text: "));
            CHECK(std::string{error.what()}.find("secret") == std::string::npos);
        }
    }
    CHECK_THROWS_AS(static_cast<void>(base64_decode(std::string_view{"AA\0A", 4})), fairing::Error);
}

TEST_CASE("the form for URLs has other signs and no padding") {
    CHECK(codec::base64url_encode("\xfb\xef\xff\xfe") == "--___g");
    CHECK(codec::base64url_encode("") == "");
}
