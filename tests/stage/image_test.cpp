#include "fairing/stage/image.hpp"

#include <doctest/doctest.h>

using namespace fairing;

TEST_CASE("an image is data: members outlive a temporary's expression") {
    const auto build = [] {
        return Image{.reference = "r", .layers = {{.digest = "a"}, {.digest = "b"}}};
    };
    std::string digests;
    for (const Layer& layer : build().layers) {
        digests += layer.digest;
    }
    CHECK(digests == "ab");
    CHECK(build().location == Location::registry);
    CHECK(build().working_directory == "/app/");
}
