#include "fairing/net/validation.hpp"

#include <doctest/doctest.h>

using namespace fairing;

TEST_CASE("nothing with a line break goes onto the wire") {
    net::Request good{.url = "http://host/x", .headers = {{"X-Name", "a value\twith tab"}}};
    CHECK(net::validate(good).host == "host");
    const auto refused = [&](auto change) {
        net::Request bad = good;
        change(bad);
        CHECK_THROWS_AS(net::validate(bad), Error);
    };
    refused([](net::Request& r) { r.method = "GET /\r\nX: y"; });
    refused([](net::Request& r) { r.method = ""; });
    refused([](net::Request& r) { r.method = "CONNECT"; });
    refused([](net::Request& r) { r.url = "http://host/\r\nX: y"; });
    refused([](net::Request& r) { r.headers.emplace("X-A", "b\r\nX-C: d"); });
    refused([](net::Request& r) { r.headers.emplace("X-A", "b\n"); });
    refused([](net::Request& r) { r.headers.emplace("X-A", std::string("b\0c", 3)); });
    refused([](net::Request& r) { r.headers.emplace("X-A", " b"); });
    refused([](net::Request& r) { r.headers.emplace("X A", "b"); });
    refused([](net::Request& r) { r.headers.emplace("X-A:", "b"); });
    refused([](net::Request& r) { r.headers.emplace("", "b"); });
    refused([](net::Request& r) { r.headers.emplace("transfer-encoding", "chunked"); });
    refused([](net::Request& r) { r.headers.emplace("Connection", "close"); });
    refused([](net::Request& r) { r.headers.emplace("Content-Length", "5"); });
    refused([](net::Request& r) { r.body.size = 5; });
}

TEST_CASE("the value of a refused header is not quoted") {
    try {
        net::validate({.url = "http://host/", .headers = {{"Authorization", "geheim\n"}}});
        FAIL("accepted");
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::usage);
        CHECK(std::string{error.what()}.find("geheim") == std::string::npos);
        CHECK(std::string{error.what()}.find("Authorization") != std::string::npos);
    }
}
