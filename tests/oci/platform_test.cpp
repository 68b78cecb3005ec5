#include "fairing/oci/platform.hpp"

#include <doctest/doctest.h>

using namespace fairing::oci;

TEST_CASE("platforms are read and compared") {
    const Platform arm = parse_platform("linux/arm64/v8");
    CHECK(arm.os == "linux");
    CHECK(arm.architecture == "arm64");
    CHECK(arm.variant == "v8");
    CHECK(arm.text() == "linux/arm64/v8");
    CHECK(parse_platform("linux/arm64").accepts(arm));
    CHECK_FALSE(arm.accepts(parse_platform("linux/arm64")));
    CHECK_FALSE(parse_platform("linux/amd64").accepts(arm));
    CHECK(parse_platform("").text() == host_platform().text());
    for (const char* wrong : {"linux", "linux/", "/amd64", "a/b/c/d"}) {
        CHECK_THROWS_AS(static_cast<void>(parse_platform(wrong)), fairing::Error);
    }
}
