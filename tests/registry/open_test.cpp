#include "fairing/registry/open.hpp"

#include <doctest/doctest.h>

using namespace fairing;

TEST_CASE("every kind of reference but scratch has a store") {
    const auto open = [](const std::string& text) {
        return registry::open_store(oci::parse_reference(text), {}, {});
    };
    CHECK(dynamic_cast<registry::Client*>(open("r.example/a").get()) != nullptr);
    CHECK(dynamic_cast<oci::Layout*>(open("oci:dir").get()) != nullptr);
    CHECK(dynamic_cast<oci::Archive*>(open("docker-archive:file").get()) != nullptr);
    CHECK_THROWS_WITH_AS(static_cast<void>(open("scratch")), doctest::Contains("names no image"),
                         Error);
}
