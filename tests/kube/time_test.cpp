#include "fairing/kube/time.hpp"

#include <doctest/doctest.h>

using namespace fairing;

TEST_CASE("RFC 3339 times") {
    const auto seconds = [](std::string_view text) {
        const auto time = kube::parse_time(text);
        return time ? time->seconds : -1;
    };
    CHECK(seconds("1970-01-01T00:00:00Z") == 0);
    CHECK(seconds("2024-02-29T12:34:56Z") == 1709210096);
    CHECK(seconds("2024-02-29T14:34:56+02:00") == 1709210096);
    CHECK(seconds("2024-02-29T05:04:56-07:30") == 1709210096);
    CHECK(seconds("2000-03-01T00:00:00Z") == 951868800);
    CHECK(kube::parse_time("2024-02-29T12:34:56.5Z")->nanoseconds == 500000000);
    CHECK(kube::parse_time("2024-02-29T12:34:56.000000001Z")->nanoseconds == 1);
    CHECK(kube::whole_seconds({.seconds = 1709210096, .nanoseconds = 999}) ==
          "2024-02-29T12:34:56Z");
    for (const char* wrong :
         {"", "2024-02-29", "2024-02-29T12:34:56", "2024-02-29 12:34:56Z", "2024-13-29T12:34:56Z",
          "2024-02-29T12:34:56.Z", "2024-02-29T12:34:56+0200", "2024-02-29T12:34:56Zx",
          "2024-02-29T25:34:56Z", "20a4-02-29T12:34:56Z"}) {
        CAPTURE(wrong);
        CHECK_FALSE(kube::parse_time(wrong));
    }
}
