#include "fairing/net/resolve_host.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace fairing;
using namespace std::chrono_literals;

TEST_CASE("addresses and localhost resolve, nonsense does not") {
    CHECK(net::resolve_host("127.0.0.1", 1min, {}) == std::vector<std::string>{"127.0.0.1"});
    CHECK(net::resolve_host("::1", 1min, {}) == std::vector<std::string>{"::1"});
    const auto local = net::resolve_host("localhost", 1min, {});
    CHECK(std::all_of(local.begin(), local.end(), [](const std::string& address) {
        return address == "127.0.0.1" || address == "::1";
    }));
    CHECK_THROWS_AS((void)net::resolve_host("no-such-name.invalid", 20s, {}), Error);
}

TEST_CASE("old notations of an address come out in the usual one") {
    CHECK(net::resolve_host("0xa9fea9fe", 1min, {}) == std::vector<std::string>{"169.254.169.254"});
}

TEST_CASE("a stop ends the wait") {
    std::stop_source source;
    source.request_stop();
    try {
        (void)net::resolve_host("localhost", 5s, source.get_token());
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::cancelled);  // or the answer was quicker
    }
}
