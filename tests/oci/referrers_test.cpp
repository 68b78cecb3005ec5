#include "fairing/oci/referrers.hpp"

#include <doctest/doctest.h>

#include "../support/hand_made_image.hpp"
#include "../support/workspace.hpp"
#include "fairing/oci/layout.hpp"

using namespace fairing;

TEST_CASE("what is attached in a layout refers to its image, which stays the only one") {
    const support::Workspace space;
    oci::Layout layout{space / "image"};
    const Image image = support::HandMade{}.write(layout, "x");
    CHECK(layout.find_referrers(image.digest).empty());
    const oci::Descriptor subject = layout.find_manifest("")->descriptor();
    const oci::Descriptor sbom =
        oci::attach(layout, subject, "application/spdx+json", "{\"a\":1}", {{"title", "a.json"}});
    const std::vector<Json> found = layout.find_referrers(image.digest);
    REQUIRE(found.size() == 1);
    CHECK(found[0].at("digest") == sbom.digest);
    CHECK(found[0].at("artifactType") == "application/spdx+json");
    CHECK(found[0].at("annotations").at("title") == "a.json");
    CHECK(layout.find_manifest("")->descriptor().digest == image.digest);
    const oci::RawManifest raw = layout.find_manifest(sbom.digest).value();
    CHECK(oci::subject_of(raw) == image.digest);
    const Json artifact = Json::parse(raw.body);
    CHECK(artifact.at("config").at("mediaType") == "application/vnd.oci.empty.v1+json");
    CHECK(artifact.at("layers").at(0).at("digest") == oci::digest_of("{\"a\":1}"));
    oci::attach(layout, subject, "application/spdx+json", "{\"a\":1}", {{"title", "a.json"}});
    CHECK(layout.find_referrers(image.digest).size() == 1);
    CHECK_THROWS_WITH_AS(static_cast<void>(oci::attach(layout, subject, "spdx", "x")),
                         doctest::Contains("not a media type"), Error);
}

TEST_CASE("the index of the tag schema gets each referrer once; its type may be its config's") {
    CHECK(oci::referrers_tag(oci::digest_of("x")) ==
          "sha256-" + oci::digest_hex(oci::digest_of("x")));
    const oci::RawManifest referrer{
        .media_type = std::string{oci::media_type::manifest},
        .body = R"({"config":{"mediaType":"a/b"},"annotations":{"k":"v"}})"};
    const oci::RawManifest one = oci::with_referrer(Json(), referrer);
    CHECK(one.media_type == oci::media_type::index);
    Json index = Json::parse(one.body);
    REQUIRE(index.at("manifests").size() == 1);
    CHECK(index.at("manifests")[0].at("artifactType") == "a/b");
    CHECK(index.at("manifests")[0].at("annotations") == Json{{"k", "v"}});
    index["kept"] = true;
    CHECK(oci::with_referrer(index, referrer).body == index.dump());
    CHECK(oci::subject_of(referrer).empty());
}
