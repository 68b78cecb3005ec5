#include "fairing/net/status.hpp"

#include <doctest/doctest.h>

using namespace fairing;

TEST_CASE("a status has a name and a kind") {
    CHECK(net::status_text(401) == "401 Unauthorized");
    CHECK(net::status_text(299) == "299");
    CHECK(net::error_code(401) == ErrorCode::denied);
    CHECK(net::error_code(404) == ErrorCode::not_found);
    CHECK(net::error_code(409) == ErrorCode::conflict);
    CHECK(net::error_code(413) == ErrorCode::input);
    CHECK(net::error_code(405) == ErrorCode::unsupported);
    CHECK(net::error_code(503) == ErrorCode::unavailable);
    CHECK(net::error_code(429) == ErrorCode::unavailable);
}
