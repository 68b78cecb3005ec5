#include "fairing/pods/patch.hpp"

#include <doctest/doctest.h>

#include "../support/mutated.hpp"
#include "../support/workspace.hpp"

using namespace fairing;

TEST_CASE("a JSON patch changes anything") {
    support::Mutated one;
    one.apply(mutate(Json::parse(R"([{"op": "add", "path": "/hostNetwork", "value": true},
                                     {"op": "replace", "path": "/containers/0/name", "value": "m"}])")));
    CHECK(one.pod.json()["hostNetwork"] == true);
    CHECK(one.container()["name"] == "m");
}

TEST_CASE("a patch that does not fit is an error of ours") {
    for (const char* bad : {R"([{"op": "remove", "path": "/nothing"}])", R"([{"op": "fly"}])",
                            R"({"op": "add"})", "7"}) {
        CAPTURE(bad);
        support::Mutated one;
        CHECK(support::contains(support::error_of([&] { one.apply(mutate(Json::parse(bad))); }),
                                "cannot patch the pod"));
    }
}
