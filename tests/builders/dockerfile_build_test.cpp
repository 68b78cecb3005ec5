#include "fairing/builders/dockerfile_build.hpp"

#include <doctest/doctest.h>

#include "../support/workspace.hpp"

using namespace fairing;
using detail::DockerfileOptions;

TEST_CASE("a Dockerfile is generated, or read; the tag is the context's, or both's") {
    const support::Workspace space;
    space.file("own", "FROM scratch\n");
    const Context context{.command = {"a"}};
    const DockerfileOptions generated{.base_image = "debian:12"};
    const DockerfileOptions given{.dockerfile_path = space / "own"};
    CHECK(detail::plan_dockerfile(generated, context, {}).text ==
          dockerfile::generate(context, "debian:12"));
    CHECK(detail::plan_dockerfile(given, context, {}).text == "FROM scratch\n");
    const std::string digest = "sha256:" + std::string(64, 'a');
    CHECK(detail::dockerfile_tag(generated, digest, "x") == std::string(12, 'a'));
    CHECK(detail::dockerfile_tag(given, digest, "x").size() == 12);
    CHECK(detail::dockerfile_tag(given, digest, "x") != detail::dockerfile_tag(given, digest, "y"));
    CHECK(support::contains(
        detail::plan_dockerfile({.base_image = "debian:12", .executable_path_prefix = "/opt/bin"},
                                context, {})
            .text,
        "PATH=\"/opt/bin${PATH:+:$PATH}\"\n"));
    for (const DockerfileOptions& wrong : {DockerfileOptions{.base_image = "oci:/x"},
                                           DockerfileOptions{.base_image = "docker-archive:/x"},
                                           DockerfileOptions{.dockerfile_path = space / "none"},
                                           DockerfileOptions{.base_image = "-x"}}) {
        CHECK_FALSE(support::error_of([&] {
                        static_cast<void>(detail::plan_dockerfile(wrong, context, {}));
                    }).empty());
    }
}
