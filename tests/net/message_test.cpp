#include "fairing/net/message.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace fairing;

namespace {

std::string written(const net::Body& body) {
    std::string bytes;
    body.write([&bytes](std::span<const std::byte> piece) {
        bytes.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    });
    return bytes;
}

}  // namespace

TEST_CASE("a header's name has no case, and of several the first counts (RFC 9110, 5.1)") {
    const net::Headers headers = {{"Content-Type", "text/plain"},
                                  {"link", "first"},
                                  {"link", "second"},
                                  {"X", ""},
                                  {"@", "at"}};
    CHECK(net::header(headers, "content-type") == "text/plain");
    CHECK(net::header(headers, "CONTENT-TYPE") == "text/plain");
    CHECK(net::header(headers, "Link") == "first");
    CHECK(net::header(headers, "x").empty());
    CHECK(net::header(headers, "Content").empty());
    CHECK(net::header(headers, "Content-Type ").empty());
    CHECK(net::header(headers, "`").empty());  // 32 above "@", and no letter
    CHECK(net::header({}, "Link").empty());
}

TEST_CASE("a body of a text is the same bytes each time, shared by its copies") {
    const std::string text{"a\0\xff\n", 4};
    const net::Body body = net::Body::of(text), copy = body;
    CHECK(body.size == 4);
    CHECK(written(body) == text);
    CHECK(written(body) == text);
    CHECK(written(copy) == text);
    CHECK(net::Body::of("").size == 0);
    CHECK(written(net::Body::of("")).empty());
    CHECK_FALSE(net::Body{}.write);
    CHECK(net::Body{}.size != net::Body::unknown_size);
}
