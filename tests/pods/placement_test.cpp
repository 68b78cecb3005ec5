#include "fairing/pods/placement.hpp"

#include <doctest/doctest.h>

#include "../support/mutated.hpp"
#include "../support/workspace.hpp"

using namespace fairing;

TEST_CASE("pods go to the nodes that are asked for, as the account and priority that are named") {
    support::Mutated one;
    one.apply(node_selector({{"disk", "ssd"}}))
        .apply(node_selector({{"pool", "a"}}))
        .apply(service_account("trainer"))
        .apply(priority_class("low"))
        .apply(tolerations({{.key = "gpu", .value = "yes", .effect = "NoSchedule"},
                            {.effect = "NoExecute", .seconds = 60}}));
    CHECK(one.pod.json()["nodeSelector"] == Json::parse(R"({"disk": "ssd", "pool": "a"})"));
    CHECK(one.pod.json()["serviceAccountName"] == "trainer");
    CHECK(one.pod.json()["priorityClassName"] == "low");
    CHECK(one.pod.json()["tolerations"] == Json::parse(R"([
        {"operator": "Equal", "key": "gpu", "value": "yes", "effect": "NoSchedule"},
        {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60}])"));
}

TEST_CASE("bad names are refused") {
    CHECK(support::contains(support::error_of([] {
                                (void)node_selector({{"a b", "c"}});
                            }),
                            "cannot use label"));
    CHECK(support::contains(support::error_of([] { (void)service_account("A"); }),
                            "cannot use service account"));
    CHECK(support::contains(support::error_of([] { (void)priority_class(""); }),
                            "cannot use priority class"));
}
