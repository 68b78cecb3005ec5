#include "fairing/oci/descriptor.hpp"

#include <doctest/doctest.h>

using namespace fairing;

TEST_CASE("a descriptor survives its JSON form") {
    const oci::Descriptor one{.media_type = "a/b", .digest = oci::digest_of("x"), .size = 1};
    CHECK(oci::Descriptor::from(one.json(), "test") == one);
}

TEST_CASE("descriptors without type, digest or size are refused by name") {
    const Json good = {{"mediaType", "a/b"}, {"digest", oci::digest_of("x")}, {"size", 1}};
    for (const auto& [key, value] :
         std::initializer_list<std::pair<const char*, Json>>{{"mediaType", ""},
                                                             {"mediaType", 1},
                                                             {"digest", "sha256:1"},
                                                             {"size", -1},
                                                             {"size", "1"},
                                                             {"size", 1.5}}) {
        Json bad = good;
        bad[key] = value;
        CAPTURE(bad.dump());
        CHECK_THROWS_WITH_AS(static_cast<void>(oci::Descriptor::from(bad, "layer 3")),
                             doctest::Contains("layer 3"), Error);
    }
    CHECK_THROWS_AS(static_cast<void>(oci::Descriptor::from(Json::array(), "x")), Error);
}
