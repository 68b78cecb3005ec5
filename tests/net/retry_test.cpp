#include "fairing/net/retry.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace std::chrono_literals;
using namespace fairing::net;

static const auto now = std::chrono::system_clock::from_time_t(784111777);  // 1994-11-06 08:49:37

TEST_CASE("the back-off doubles from one second, spread by a fifth, up to a minute") {
    const RetryPolicy policy;
    const auto delay = [&](int attempt, double random) {
        return retry_delay(policy, attempt, "", now, random);
    };
    CHECK(delay(1, 0.5) == 1s);
    CHECK(delay(2, 0.5) == 2s);
    CHECK(delay(4, 0.5) == 8s);
    CHECK(delay(1, 0.0) == 800ms);
    CHECK(delay(1, 0.75) == 1100ms);
    CHECK(delay(40, 0.99) == 60s);
    CHECK(delay(40, 0.0) == 48s);
}

TEST_CASE("the source of jitter can be replaced") {
    RetryPolicy policy;
    policy.random = [] { return 0.0; };
    CHECK(retry_delay(policy, 1, "", now) == 800ms);
    policy.random = {};
    const auto random = retry_delay(policy, 1, "", now);
    CHECK(random >= 800ms);
    CHECK(random <= 1200ms);
}

TEST_CASE("fault 4: Retry-After is obeyed up to a minute, nonsense is not") {
    const RetryPolicy policy;
    const auto delay = [&](const char* header) { return retry_delay(policy, 1, header, now, 0.5); };
    CHECK(delay("2") == 2s);
    CHECK(delay("99999") == 60s);
    CHECK(delay("Sun, 06 Nov 5309 08:49:37 GMT") == 60s);
    CHECK(delay("Sun, 06 Nov 1994 08:49:47 GMT") == 10s);
    CHECK(delay("Mon, 07 Nov 1994 08:49:47 GMT") == 60s);
    for (const char* nonsense : {"-1", "0", "", "soon", "2s", "1.5", "99999999999999999999",
                                 "Sun, 06 Nov 1994 08:49:27 GMT", "Sun, 06 Nov 1994 08:49:47",
                                 "Sun, 66 Nov 1994 08:49:47 GMT", "Sun, 06 Nov 1994 08:4x:47 GMT",
                                 "Sun, 06 ovD 1994 08:49:47 GMT"}) {
        CAPTURE(nonsense);
        CHECK(delay(nonsense) == 1s);
    }
}

TEST_CASE("only what may pass is temporary") {
    for (const int status : {408, 429, 500, 502, 503, 504}) {
        CHECK(is_temporary(status));
    }
    for (const int status : {200, 301, 400, 401, 403, 404, 409, 413, 422, 501}) {
        CHECK_FALSE(is_temporary(status));
    }
}
