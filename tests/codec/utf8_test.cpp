// UTF-8: what RFC 3629 allows and what it forbids; texts made fit for a message.
#include <doctest/doctest.h>

#include <fairing/codec/utf8.hpp>
#include <string>

using namespace fairing::codec;

TEST_CASE("utf8: valid at every border") {
    for (const char* text : {"", "a", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80",
                             "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80",
                             "\xf4\x8f\xbf\xbf", "na\xc3\xafve \xe2\x82\xac \xf0\x9f\x9a\x80"}) {
        CHECK(is_utf8(text));
    }
}

TEST_CASE("utf8: too long, surrogate, too large, cut off, alone") {
    for (const char* text :
         {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xed\xbf\xbf",
          "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xc3", "\xe2\x82",
          "\xf0\x9f\x9a", "a\xc3 b", "\xe2\x28\xa1"}) {
        CAPTURE(escaped(text));
        CHECK(!is_utf8(text));
    }
}

TEST_CASE("utf8: escaped for a message") {
    CHECK(escaped("na\xc3\xafve") == "na\xc3\xafve");
    CHECK(escaped(std::string_view{"a\nb\0\x1b[1m\x7f", 9}) == "a\\x0ab\\x00\\x1b[1m\\x7f");
    CHECK(escaped("\xff\xc3") == "\\xff\\xc3");
    CHECK(escaped("a\"b\\c") == "a\\\"b\\\\c");
    CHECK(escaped(std::string(1000, 'x')).size() == 1000);
    CHECK(in_quotes("a\"b") == "\"a\\\"b\"");
    CHECK(in_quotes(std::string(1000, 'x'), 10) == "\"" + std::string(10, 'x') + "...\"");
}

TEST_CASE("on a terminal nothing moves the cursor, and every letter stays") {
    CHECK(visible("loss\t0.5 \xc3\xa4 \xf0\x9f\x98\x80") == "loss\t0.5 \xc3\xa4 \xf0\x9f\x98\x80");
    CHECK(visible("\x1b[31mred") == "\\x1b[31mred");
    CHECK(visible("10%\r20%\r") == "10%\\x0d20%");
    CHECK(visible("\xc2\x9b"
                  "0m") == "\\xc2\\x9b0m");
    CHECK(visible(std::string_view{"\0\x7f\xff", 3}) == "\\x00\\x7f\\xff");
    CHECK(visible("").empty());
}
