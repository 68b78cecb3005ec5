#include "fairing/builders/dockerfile_build.hpp"

#include <doctest/doctest.h>

#include "../support/workspace.hpp"

using namespace fairing;

TEST_CASE("a Dockerfile is generated, or read, and then part of the tag") {
    const support::Workspace space;
    space.file("own", "FROM x\n");
    const Context context{.command = {"python3"}};
    const detail::DockerfileOptions generated{.base_image = "r.example/base"};
    const detail::DockerfileOptions own{.dockerfile_path = space / "own"};
    CHECK(
        detail::plan_dockerfile(generated, context, {}).text.starts_with("FROM r.example/base\n"));
    CHECK(detail::plan_dockerfile(own, context, {}).text == "FROM x\n");
    const std::string digest = "sha256:" + std::string(64, 'a');
    CHECK(detail::dockerfile_tag(generated, digest, "x") == std::string(12, 'a'));
    CHECK(detail::dockerfile_tag(own, digest, "x") != detail::dockerfile_tag(own, digest, "y"));
    const std::string layout = support::error_of([&context] {
        static_cast<void>(detail::plan_dockerfile({.base_image = "oci:/tmp/x"}, context, {}));
    });
    CHECK(support::contains(layout, "takes its bases from registries"));
}
