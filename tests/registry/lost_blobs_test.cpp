#include "fairing/registry/lost_blobs.hpp"

#include <doctest/doctest.h>

using namespace fairing;

TEST_CASE("row 26: what a registry lost is sent once more, and the manifest too; then it is over") {
    int writes = 0, sends = 0;
    const auto write = [&](int failures) {
        return [&writes, failures] {
            if (++writes <= failures) {
                throw registry::MissingBlobs{{.attempted = "push"}, {"a"}};
            }
        };
    };
    const auto send = [&sends](const registry::LostBlobs& lost) {
        ++sends;
        CHECK(lost.may_hold("a"));
        CHECK_FALSE(lost.may_hold("b"));
    };
    registry::write_in_spite_of_losses(write(1), send);
    CHECK(writes == 2);
    CHECK(sends == 1);
    writes = 0;
    CHECK_THROWS_AS(registry::write_in_spite_of_losses(write(2), send), registry::MissingBlobs);
    CHECK(writes == 2);
    CHECK(registry::LostBlobs{{}}.may_hold("any"));
}
