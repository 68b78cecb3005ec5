#include "fairing/builders/target.hpp"

#include <doctest/doctest.h>

using namespace fairing;
using detail::name_target;
using detail::TargetOptions;

TEST_CASE("a target is a repository below the registry, or the layout or archive itself") {
    CHECK(name_target({.registry = "r.example/team", .image_name = "job"}).text() ==
          "r.example/team/job");
    CHECK(name_target({.registry = "r.example", .image_name = "job", .tag = "v1"}).text() ==
          "r.example/job:v1");
    CHECK(name_target({.registry = "oci:/tmp/x", .image_name = "job"}).kind ==
          oci::ReferenceKind::layout);
    CHECK(name_target({.image_name = "job", .push = false}).repository == "job");
}

TEST_CASE("what names no target is refused with what to do") {
    const auto refused = [](const TargetOptions& options, const char* message) {
        CHECK_THROWS_WITH_AS(static_cast<void>(name_target(options)), doctest::Contains(message),
                             Error);
    };
    refused({.image_name = "job"}, "--registry oci:DIR");
    refused({.registry = "r.example", .image_name = "x:1"}, "cannot use image name \"x:1\"");
    refused({.registry = "UPPER.example/Team", .image_name = "job"}, "cannot use image reference");
    refused({.registry = "oci:/tmp/x", .image_name = "job", .tag = "a b"},
            "cannot use tag \"a b\"");
    refused({.registry = "oci:/tmp/x:v1", .image_name = "job", .tag = "v2"}, "or a second tag");
}
