#include "fairing/builders/dockerfile_context.hpp"

#include <doctest/doctest.h>

#include "../support/workspace.hpp"

using namespace fairing;

TEST_CASE("a Dockerfile is generated, or read; the tag is the context's, or both's") {
    const support::Workspace space;
    space.file("own", "FROM scratch\n");
    const Context context{.command = {"a"}};
    const auto generated = detail::prepare_dockerfile({.base_image = "debian:12"}, context, {});
    CHECK(generated.dockerfile == dockerfile::generate(context, "debian:12"));
    const auto given = detail::prepare_dockerfile({.dockerfile_path = space / "own"}, context, {});
    CHECK(given.dockerfile == "FROM scratch\n");
    const std::string digest = "sha256:" + std::string(64, 'a');
    CHECK(detail::image_tag(generated, digest) == std::string(12, 'a'));
    CHECK(detail::image_tag(given, digest).size() == 12);
    CHECK(detail::image_tag(given, digest) != detail::image_tag(generated, digest));
    for (const detail::DockerfileOptions& wrong :
         {detail::DockerfileOptions{.base_image = "oci:/x"},
          detail::DockerfileOptions{.base_image = "docker-archive:/x"},
          detail::DockerfileOptions{.dockerfile_path = space / "none"},
          detail::DockerfileOptions{.base_image = "-x"}}) {
        CHECK_FALSE(support::error_of([&] {
                        static_cast<void>(detail::prepare_dockerfile(wrong, context, {}));
                    }).empty());
    }
}
