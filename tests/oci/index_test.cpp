#include "fairing/oci/index.hpp"

#include <doctest/doctest.h>

using namespace fairing;

TEST_CASE("row 23: the first entry of a platform, or an error that lists what is there") {
    const auto entry = [](const char* digest_source, Json platform) {
        return Json{{"mediaType", "application/vnd.oci.image.manifest.v1+json"},
                    {"digest", oci::digest_of(digest_source)},
                    {"size", 3},
                    {"platform", std::move(platform)}};
    };
    const Json index = {
        {"manifests",
         {entry("a", {{"os", "linux"}, {"architecture", "amd64"}}),
          entry("b", {{"os", "linux"}, {"architecture", "arm64"}, {"variant", "v8"}}),
          entry("c", {{"os", "linux"}, {"architecture", "amd64"}}),
          entry("d", {{"os", "unknown"}, {"architecture", "unknown"}})}}};
    CHECK(oci::select(index, oci::parse_platform("linux/amd64"), "x").digest ==
          oci::digest_of("a"));
    CHECK(oci::select(index, oci::parse_platform("linux/arm64"), "x").digest ==
          oci::digest_of("b"));
    CHECK_THROWS_WITH_AS(
        static_cast<void>(oci::select(index, oci::parse_platform("linux/s390x"), "base:1")),
        "cannot find platform linux/s390x in base:1: it has linux/amd64, linux/arm64/v8, "
        "linux/amd64; choose one with --platform",
        Error);
    CHECK_THROWS_AS(static_cast<void>(oci::select(Json::object(), {}, "x")), Error);
}
