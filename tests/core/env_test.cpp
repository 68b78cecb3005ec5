#include "fairing/core/env.hpp"

#include <doctest/doctest.h>

using namespace fairing;

TEST_CASE("variables: set, empty, absent") {
    ::setenv("FAIRING_TEST_VARIABLE", "value", 1);
    CHECK(env("FAIRING_TEST_VARIABLE") == "value");
    CHECK(env("FAIRING_TEST_VARIABLE", "other") == "value");
    ::setenv("FAIRING_TEST_VARIABLE", "", 1);
    CHECK(env("FAIRING_TEST_VARIABLE") == "");
    CHECK(env("FAIRING_TEST_VARIABLE", "other").empty());
    ::unsetenv("FAIRING_TEST_VARIABLE");
    CHECK_FALSE(env("FAIRING_TEST_VARIABLE"));
    CHECK(env("FAIRING_TEST_VARIABLE", "other") == "other");
}

TEST_CASE("in the job means that FAIRING_RUNTIME is set, to whatever") {
    const auto before = env("FAIRING_RUNTIME");
    ::unsetenv("FAIRING_RUNTIME");
    CHECK_FALSE(in_job());
    ::setenv("FAIRING_RUNTIME", "1", 1);
    CHECK(in_job());
    if (before) {
        ::setenv("FAIRING_RUNTIME", before->c_str(), 1);
    } else {
        ::unsetenv("FAIRING_RUNTIME");
    }
}
