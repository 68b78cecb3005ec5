#include "fairing/pods/environment.hpp"

#include <doctest/doctest.h>

#include "../support/mutated.hpp"
#include "../support/workspace.hpp"

using namespace fairing;

TEST_CASE("variables are set in the order of their names, and mean what they say") {
    support::Mutated one;
    one.apply(add_env({{"SEED", "1"}, {"EPOCHS", "$(date) \"x\"\n"}}));
    CHECK(one.container()["env"] == Json::parse(R"([{"name": "EPOCHS", "value": "$$(date) \"x\"\n"},
                          {"name": "SEED", "value": "1"}])"));
}

TEST_CASE("a name that is none is refused") {
    for (const char* bad : {"", "A=B", "A B", "A\n"}) {
        CAPTURE(bad);
        CHECK(support::contains(support::error_of([&] {
                                    (void)add_env({{bad, "x"}});
                                }),
                                "cannot use variable"));
    }
}
