#include "fairing/pods/labels.hpp"

#include <doctest/doctest.h>

#include "fairing/core/json.hpp"

using namespace fairing;

TEST_CASE("equal labels give equal bytes, in whatever order they were set") {
    Labels one;
    Labels other;
    for (const char* key : {"team", "app.kubernetes.io/name", "a"}) {
        one[key] = "x";
    }
    for (const char* key : {"a", "team", "app.kubernetes.io/name"}) {
        other[key] = "x";
    }
    CHECK(Json(one).dump() == R"({"a":"x","app.kubernetes.io/name":"x","team":"x"})");
    CHECK(Json(one).dump() == Json(other).dump());
    CHECK(Json(Labels{}).dump() == "{}");
}
