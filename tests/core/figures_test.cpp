#include "fairing/core/figures.hpp"

#include <doctest/doctest.h>

using fairing::human_bytes;
using fairing::human_seconds;

TEST_CASE("sizes have three figures and a decimal unit, bytes are whole") {
    CHECK(human_bytes(0) == "0 B");
    CHECK(human_bytes(999) == "999 B");
    CHECK(human_bytes(1000) == "1.00 kB");
    CHECK(human_bytes(9994) == "9.99 kB");
    CHECK(human_bytes(9996) == "10.0 kB");
    CHECK(human_bytes(123456) == "123 kB");
    CHECK(human_bytes(999600) == "1.00 MB");
    CHECK(human_bytes(36'200'000) == "36.2 MB");
    CHECK(human_bytes(5'000'000'000'000'000) == "5000 TB");
}

TEST_CASE("seconds have two places") {
    CHECK(human_seconds(0) == "0.00 s");
    CHECK(human_seconds(75.126) == "75.13 s");
}
