#include "fairing/builders/dockerfile_build.hpp"

#include <doctest/doctest.h>

#include <cstdlib>

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

TEST_CASE("without a base image it is Python's own, of the version that is here") {
    const support::Workspace space;
    const std::string before = *env("PATH");
    const auto base_with = [&](const std::string& path) {
        ::setenv("PATH", path.c_str(), 1);
        std::string said = support::error_of([&] { (void)detail::default_base_image({}); });
        said = said.empty() ? detail::default_base_image({}) : said;
        ::setenv("PATH", before.c_str(), 1);
        return said;
    };
    space.file("python3", "#!/bin/sh\nprintf 3.7", 0755);
    CHECK(base_with(space.path().string()) == "python:3.7-slim");
    space.file("python3", "#!/bin/sh\nprintf 'no version'", 0755);
    CHECK(support::contains(base_with(space.path().string()), "name one with --base-image"));
    CHECK(support::contains(base_with("/nowhere"), "name one with --base-image"));
}
