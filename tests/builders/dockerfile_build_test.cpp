#include "fairing/builders/dockerfile_build.hpp"

#include <doctest/doctest.h>

#include <set>

#include "../support/workspace.hpp"

using namespace fairing;
using detail::DockerfileOptions;

TEST_CASE("a Dockerfile is generated, or read") {
    const support::Workspace space;
    space.file("own", "FROM scratch\n");
    const Context context{.command = {"a"}};
    const DockerfileOptions generated{.base_image = "debian:12"};
    const DockerfileOptions given{.dockerfile_path = space / "own"};
    CHECK(detail::plan_dockerfile(generated, context, {}).text ==
          dockerfile::generate(context, "debian:12"));
    CHECK(detail::plan_dockerfile(given, context, {}).text == "FROM scratch\n");
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

TEST_CASE("the tag is by all that makes the image, and by nothing else") {
    const support::Workspace space;
    space.file("own", "FROM debian:12\n");
    space.file("other", "FROM debian:12\nUSER 7\n");
    const auto tag_of = [](const DockerfileOptions& options,
                           const Context& context = {.command = {"a"}}) {
        return detail::foresee_image(options, {.host = "r.example", .repository = "job"}, context,
                                     {})
            .tag;
    };
    const DockerfileOptions usual{.base_image = "debian:12"};
    const std::set<std::string> tags = {
        tag_of(usual),
        tag_of(usual, {.command = {"b"}}),
        tag_of(usual, {.command = {"a"}, .environment = {{"A", "1"}}}),
        tag_of(usual, {.command = {"a"}, .search_paths = {{"PYTHONPATH", "/app"}}}),
        tag_of({.base_image = "debian:13"}),
        tag_of({.base_image = "debian:12", .executable_path_prefix = "/opt/bin"}),
        tag_of({.base_image = "debian:12", .platform = "linux/arm64"}),
        tag_of({.base_image = "debian:12", .arguments = {"--build-arg=A=1", "--target=b"}}),
        tag_of({.base_image = "debian:12", .arguments = {"--build-arg=A=1\n10:--target=b"}}),
        tag_of({.dockerfile_path = space / "own"}),
        tag_of({.dockerfile_path = space / "other"})};
    CHECK(tags.size() == 11);
    CHECK(tag_of({.base_image = "debian:12", .access = {.insecure = true}}) == tag_of(usual));
    CHECK(tag_of(usual) == "97222f519577");  // in every version
}
