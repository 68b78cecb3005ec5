#include "fairing/core/json.hpp"

#include <doctest/doctest.h>

using namespace fairing;

TEST_CASE("members are in the order of their names, so that equal documents are equal bytes") {
    CHECK(Json{{"b", 1}, {"a", {{"d", 1}, {"c", 2}}}}.dump() == R"({"a":{"c":2,"d":1},"b":1})");
}

TEST_CASE("a copy by = is a copy with every compiler") {
    const Json object = {{"a", 1}};
    const Json copy = object;
    CHECK(copy.is_object());
}
