#include "fairing/kube/document.hpp"

#include <doctest/doctest.h>

using namespace fairing;

TEST_CASE("members are found by their path, and what is not there reads as empty") {
    const Json pod = Json::parse(R"({"metadata": {"name": "a", "generation": 3},
        "status": {"conditions": [{"type": "Ready", "status": "False", "reason": "no"}, 7, null]}})");
    CHECK(kube::text(pod, {"metadata", "name"}) == "a");
    CHECK(kube::number(pod, {"metadata", "generation"}) == 3);
    CHECK(kube::text(pod, {"metadata", "generation"}).empty());
    CHECK(kube::text(pod, {"metadata", "name", "deeper"}).empty());
    CHECK(kube::number(pod, {"metadata", "name"}) == 0);
    CHECK(kube::member(pod, {"spec"}).is_null());
    CHECK(kube::list(pod, {"metadata", "name"}).empty());
    CHECK(kube::list(pod, {"status", "conditions"}).size() == 3);
    CHECK(kube::text(Json(), {"metadata"}).empty());
    CHECK(kube::member(Json::array({1}), {"metadata"}).is_null());
}

TEST_CASE("a condition is found by type and status") {
    const Json pod = Json::parse(
        R"({"status": {"conditions": [3, {"type": "Ready", "status": "False", "reason": "no"}]}})");
    CHECK(kube::condition(pod, "Ready").is_null());
    CHECK(kube::text(kube::condition(pod, "Ready", "False"), {"reason"}) == "no");
    CHECK(kube::condition(Json::object(), "Ready").is_null());
}
