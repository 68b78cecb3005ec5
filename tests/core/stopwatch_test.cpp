#include "fairing/core/stopwatch.hpp"

#include <doctest/doctest.h>

using fairing::detail::Stopwatch;

namespace {

using Steady = std::chrono::steady_clock;

double seconds_between(Steady::time_point begin, Steady::time_point end) {
    return std::chrono::duration<double>(end - begin).count();
}

}  // namespace

TEST_CASE("the seconds of a steady clock since it was made") {
    const auto before = Steady::now();
    const Stopwatch watch;
    const auto made = Steady::now();
    auto now = made;
    while (now - made < std::chrono::milliseconds{2}) {
        now = Steady::now();
    }
    const double seconds = watch.seconds();
    CHECK(seconds >= seconds_between(made, now));
    CHECK(seconds <= seconds_between(before, Steady::now()));
}

TEST_CASE("it never goes back, and a copy goes on from the same begin") {
    const Stopwatch watch;
    double last = watch.seconds();
    CHECK(last >= 0);
    for (int i = 0; i < 1000; ++i) {
        const double next = watch.seconds();
        REQUIRE(next >= last);
        last = next;
    }
    const Stopwatch copy = watch;
    CHECK(copy.seconds() >= last);
}
