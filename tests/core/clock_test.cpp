#include "fairing/core/clock.hpp"

#include <doctest/doctest.h>

#include <limits>

using fairing::clock_time;

TEST_CASE("a time that the clock does not reach is its last one") {
    using Seconds = std::chrono::seconds;
    const auto since_1970 = [](std::int64_t seconds) {
        return std::chrono::duration_cast<Seconds>(clock_time(seconds).time_since_epoch()).count();
    };
    CHECK(since_1970(0) == 0);
    CHECK(since_1970(784111777) == 784111777);
    CHECK(since_1970(-1) == -1);
    CHECK(since_1970(105395417377) == 9223372036);  // the year 5309
    CHECK(since_1970(std::numeric_limits<std::int64_t>::max()) == 9223372036);
    CHECK(since_1970(std::numeric_limits<std::int64_t>::min()) == -9223372036);
}
