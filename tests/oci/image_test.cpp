#include "fairing/oci/image.hpp"

#include <doctest/doctest.h>

#include "../support/memory_store.hpp"

using namespace fairing;

namespace {

const std::string manifest_type{oci::media_type::manifest};
const std::string index_type{oci::media_type::index};

Json config_of(std::size_t layers) {
    Json diff_ids = Json::array();
    for (std::size_t i = 0; i < layers; ++i) {
        diff_ids.push_back(oci::digest_of(std::to_string(i)));
    }
    return {{"architecture", "amd64"},
            {"os", "linux"},
            {"rootfs", {{"type", "layers"}, {"diff_ids", diff_ids}}}};
}

/// A store with one image under "v1".
struct OneImage {
    support::MemoryStore store = {};
    Json manifest = {};
    OneImage() {
        const auto config = store.add(std::string{oci::media_type::config}, config_of(1).dump());
        const auto layer = store.add(std::string{oci::media_type::layer_gzip}, "layer");
        manifest = {{"schemaVersion", 2},
                    {"mediaType", manifest_type},
                    {"config", config.json()},
                    {"layers", {layer.json()}}};
        put(manifest);
    }
    void put(const Json& document) {
        store.write_manifest({.media_type = manifest_type, .body = document.dump()}, "v1");
    }
    oci::StoredImage load(const std::string& name = "v1") {
        return oci::load_image(store, name, oci::parse_platform("linux/amd64"), "test/image:v1");
    }
};

}  // namespace

TEST_CASE("manifest and config are read and agree") {
    OneImage one;
    const oci::StoredImage stored = one.load();
    CHECK(stored.image.layers().size() == 1);
    CHECK(stored.image.diff_ids().size() == 1);
    CHECK(stored.image.platform().text() == "linux/amd64");
    CHECK(stored.manifest.digest == oci::digest_of(one.manifest.dump()));
}

TEST_CASE("a manifest that states no mediaType is taken for what it was served as") {
    OneImage one;
    one.manifest.erase("mediaType");
    one.put(one.manifest);
    CHECK(one.load().image.media_type() == manifest_type);
}

TEST_CASE("an index leads to the manifest of the platform") {
    OneImage one;
    const auto entry =
        oci::RawManifest{.media_type = manifest_type, .body = one.manifest.dump()}.descriptor();
    Json described = entry.json();
    described["platform"] = {{"os", "linux"}, {"architecture", "amd64"}};
    one.store.write_manifest(
        {.media_type = index_type,
         .body = Json{{"schemaVersion", 2}, {"mediaType", index_type}, {"manifests", {described}}}
                     .dump()},
        "multi");
    CHECK(one.load("multi").manifest.digest == entry.digest);
}

TEST_CASE("row 22: ambiguous, foreign and old documents are refused by name") {
    OneImage one;
    const auto refused = [&one](const Json& document, const char* why) {
        one.put(document);
        CHECK_THROWS_WITH_AS(static_cast<void>(one.load()), doctest::Contains(why), Error);
    };
    Json ambiguous = one.manifest;
    ambiguous["manifests"] = Json::array();
    refused(ambiguous, "ambiguous");
    Json mistyped = one.manifest;
    mistyped["mediaType"] = oci::media_type::docker_manifest;
    refused(mistyped, "but its manifest says");
    refused({{"schemaVersion", 1}, {"fsLayers", Json::array()}}, "schema 1");
    Json artifact = one.manifest;
    artifact["config"]["mediaType"] = "application/vnd.cncf.helm.config.v1+json";
    refused(artifact, "an artifact, not an image");
    Json without = one.manifest;
    without.erase("layers");
    refused(without, "without layers");
    refused(Json::array(), "not a JSON object");
}

TEST_CASE("row 24: layers and diff_ids that disagree") {
    OneImage one;
    one.manifest["layers"].push_back(one.manifest["layers"][0]);
    one.put(one.manifest);
    CHECK_THROWS_WITH_AS(static_cast<void>(one.load()),
                         doctest::Contains("2 layers, its config 1 diff_ids"), Error);
}

TEST_CASE("an image that is not there, and a config that is") {
    OneImage one;
    CHECK_THROWS_WITH_AS(static_cast<void>(one.load("v9")),
                         doctest::Contains("there is no manifest v9"), Error);
    one.store.blobs.clear();
    CHECK_THROWS_AS(static_cast<void>(one.load()), Error);
}

TEST_CASE("row 21: a config longer than 4 MiB is not read") {
    OneImage one;
    one.manifest["config"]["size"] = (4u << 20) + 1;
    one.put(one.manifest);
    CHECK_THROWS_WITH_AS(static_cast<void>(one.load()), doctest::Contains("longer than 4 MiB"),
                         Error);
}

TEST_CASE("scratch is an image without layers") {
    const oci::Image image = oci::scratch(oci::parse_platform("linux/arm64/v8"));
    CHECK_NOTHROW(oci::check_image(image, "scratch"));
    CHECK(image.layers().empty());
    CHECK(image.platform().text() == "linux/arm64/v8");
}
