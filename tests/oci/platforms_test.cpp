#include "fairing/oci/platforms.hpp"

#include <doctest/doctest.h>

#include "../support/hand_made_image.hpp"
#include "../support/memory_store.hpp"

using namespace fairing;

TEST_CASE("the Linux images of an index; others are named, and what is no image is passed over") {
    support::MemoryStore store;
    support::put_index(store, "v1",
                       {"linux/amd64", "linux/arm64/v8", "windows/amd64", "unknown/unknown"});
    const oci::StoredIndex index = oci::load_index(store, "v1", "base:v1");
    REQUIRE(index.images.size() == 2);
    CHECK(index.images[1].image.platform().text() == "linux/arm64/v8");
    CHECK(index.images[1].manifest.digest == index.entries[1].at("digest"));
    CHECK(index.left_out == std::vector<std::string>{"windows/amd64"});

    support::put_index(store, "windows", {"windows/amd64"});
    CHECK_THROWS_WITH_AS(static_cast<void>(oci::load_index(store, "windows", "base:v1")),
                         doctest::Contains("none of them is Linux"), Error);
    const std::string single = index.images[0].manifest.digest;
    CHECK_THROWS_WITH_AS(static_cast<void>(oci::load_index(store, single, "base:v1")),
                         doctest::Contains("leave out --all-platforms"), Error);
    CHECK_THROWS_WITH_AS(static_cast<void>(oci::load_index(store, "v2", "base:v2")),
                         doctest::Contains("there is no manifest v2"), Error);
}

TEST_CASE("the new index keeps the old one's type, order and platforms, and names its base") {
    for (const support::Family family : {support::Family::oci, support::Family::docker}) {
        support::MemoryStore store;
        support::put_index(store, "v1", {"linux/arm64/v8", "linux/amd64"}, family);
        oci::StoredIndex base = oci::load_index(store, "v1", "base:v1");
        base.document["annotations"] = {{"kept", "yes"}};
        base.entries[0]["platform"]["os.features"] = {"x"};
        std::vector<oci::Image> images;
        for (const oci::StoredImage& stored : base.images) {
            images.push_back(oci::append(stored.image, {}, {.command = {"a"}}));
        }
        const oci::RawManifest raw = oci::index_of(base, images, "base:v1");
        CHECK(raw.media_type == (family == support::Family::docker ? oci::media_type::docker_list
                                                                   : oci::media_type::index));
        const Json document = oci::parse_manifest(raw, "the index");
        REQUIRE(document.at("manifests").size() == 2);
        for (std::size_t i = 0; i < 2; ++i) {
            const Json& entry = document.at("manifests")[i];
            CHECK(entry.at("digest") == oci::serialize(images[i]).descriptor().digest);
            CHECK(entry.at("platform") == base.entries[i].at("platform"));
        }
        const Json annotations = document.at("annotations");
        CHECK(annotations.at("kept") == "yes");
        CHECK(text_or(annotations, "org.opencontainers.image.base.digest") ==
              (family == support::Family::oci ? base.descriptor.digest : ""));
    }
}
