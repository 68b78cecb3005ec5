#include "fairing/registry/copy.hpp"

#include <doctest/doctest.h>

#include "../support/hand_made_image.hpp"
#include "../support/memory_registry.hpp"
#include "../support/memory_store.hpp"
#include "../support/workspace.hpp"
#include "fairing/oci/archive.hpp"
#include "fairing/oci/layout.hpp"
#include "fairing/registry/client.hpp"

using namespace fairing;
using support::MemoryStore;

namespace {

registry::Client client_of(support::MemoryRegistry& transport, const std::string& repository) {
    return {oci::parse_reference("localhost:5000/" + repository),
            {.transport = std::ref(transport), .files = std::vector<std::filesystem::path>{}},
            {}};
}

}  // namespace

TEST_CASE("an index goes with all its images, from a layout to a registry and back, unchanged") {
    for (const support::Family family : {support::Family::oci, support::Family::docker}) {
        const support::Workspace space;
        oci::Layout source{space / "source"};
        const oci::RawManifest index = support::put_index(
            source, "v1", {"linux/amd64", "linux/arm64/v8", "windows/amd64"}, family);
        support::MemoryRegistry memory;
        registry::Client client = client_of(memory, "team/job");
        const registry::Copied there = registry::copy(source, "v1", client, "v2", "oci:source:v1");
        CHECK(there.root == index.descriptor());
        CHECK(there.manifests == 4);
        CHECK(there.uploaded == 7);  // three configs, three layers and the one that they share
        CHECK(there.bytes > 0);
        const registry::Copied again = registry::copy(source, "v1", client, "v3", "oci:source:v1");
        CHECK(again.present == 7);
        CHECK(again.bytes == 0);

        oci::Layout back{space / "back"};
        CHECK(registry::copy(client, "v2", back, "v1", "the registry").root == index.descriptor());
        CHECK(back.find_manifest("")->body ==
              index.body);  // its children are no images of their own
        for (const char* platform : {"linux/amd64", "linux/arm64/v8"}) {
            CHECK(oci::load_image(back, "v1", oci::parse_platform(platform), "x")
                      .image.platform()
                      .text() == platform);
        }
    }
}

TEST_CASE("one platform alone, into an archive; a platform that is not there") {
    const support::Workspace space;
    MemoryStore source;
    support::put_index(source, "v1", {"linux/amd64", "linux/arm64/v8"});
    oci::Archive archive{space / "image.tar"};
    const registry::Copied copied =
        registry::copy(source, "v1", archive, "team/job:v1", "base:v1",
                       {.platform = oci::parse_platform("linux/arm64")});
    CHECK(copied.manifests == 1);
    oci::Archive written{space / "image.tar"};
    const oci::StoredImage image = oci::load_image(written, "team/job:v1", {}, "the archive");
    CHECK(image.manifest.digest == copied.root.digest);
    CHECK(image.image.platform().text() == "linux/arm64/v8");
    CHECK_THROWS_WITH_AS(
        static_cast<void>(registry::copy(source, "v1", archive, "", "base:v1",
                                         {.platform = oci::parse_platform("linux/s390x")})),
        doctest::Contains("it has linux/amd64, linux/arm64/v8"), Error);
    CHECK_THROWS_WITH_AS(static_cast<void>(registry::copy(source, "v2", archive, "", "base:v2")),
                         doctest::Contains("there is no manifest v2"), Error);
}

TEST_CASE("within a registry blobs are mounted; row 26: what it lost is sent once more") {
    support::MemoryRegistry memory;
    registry::Client source = client_of(memory, "team/base");
    support::put_index(source, "v1", {"linux/amd64", "linux/arm64/v8"});
    registry::Client target = client_of(memory, "team/job");
    const registry::Copied mounted =
        registry::copy(source, "v1", target, "v1", "x", {.mount_from = "team/base"});
    CHECK(mounted.mounted == 5);
    CHECK(mounted.uploaded == 0);
    memory.lost = {memory.repositories["team/job"].blobs.begin()->first};
    memory.requests.clear();
    const registry::Copied repaired = registry::copy(source, "v1", target, "v2", "x");
    CHECK(repaired.uploaded == 1);
    CHECK(memory.count("PUT /v2/team/job/manifests/") == 4);  // one of them twice
}

TEST_CASE("referrers go with it when they are wanted, those of children too") {
    for (const bool has_api : {true, false}) {
        CAPTURE(has_api);
        MemoryStore empty;
        const support::Workspace space;
        oci::Layout source{space / "source"};
        const oci::RawManifest index =
            support::put_index(source, "v1", {"linux/amd64", "linux/arm64"});
        const std::string child =
            Json::parse(index.body).at("manifests").at(0).at("digest").get<std::string>();
        oci::attach(source, index.descriptor(), "a/one", "1");
        const oci::Descriptor signature =
            oci::attach(source, source.find_manifest(child)->descriptor(), "a/two", "2");
        oci::attach(source, signature, "a/three", "3");

        support::MemoryRegistry memory;
        memory.has_referrers_api = has_api;
        registry::Client target = client_of(memory, "team/job");
        CHECK(registry::copy(source, "v1", target, "v1", "x").manifests == 3);
        CHECK(target.find_referrers(child).empty());
        const registry::CopyOptions all{.referrers = registry::Referrers::copy};
        CHECK(registry::copy(source, "v1", target, "v1", "x", all).manifests == 6);
        CHECK(target.find_referrers(index.descriptor().digest).size() == 1);
        CHECK(target.find_referrers(child).at(0).at("artifactType") == "a/two");
        CHECK(target.find_referrers(signature.digest).size() == 1);
        oci::Layout back{space / "back"};
        CHECK(registry::copy(target, "v1", back, "v1", "x", all).manifests == 6);
        CHECK(back.find_referrers(child).size() == 1);
    }
}

TEST_CASE("row 25: foreign layers are not fetched; row 20: damage leaves no tag behind") {
    MemoryStore source;
    const Image image =
        support::HandMade{.base = {support::TarArchive{}.file("a", "1")}}.write(source, "x");
    Json document = Json::parse(source.find_manifest(image.digest)->body);
    document["layers"].push_back({{"mediaType", "application/vnd.docker.image.rootfs.foreign.tar"},
                                  {"digest", oci::digest_of("elsewhere")},
                                  {"size", 9},
                                  {"urls", {"https://elsewhere.example/x"}}});
    source.write_manifest(
        {.media_type = std::string{oci::media_type::manifest}, .body = document.dump()}, "v1");
    support::MemoryRegistry memory;
    registry::Client target = client_of(memory, "team/job");
    const registry::Copied copied = registry::copy(source, "v1", target, "v1", "x");
    CHECK(copied.uploaded == 2);
    CHECK(target.find_manifest("v1")->body == document.dump());

    source.blobs.at(document.at("layers").at(0).at("digest")) = "damaged";
    MemoryStore other;
    CHECK_THROWS_AS(static_cast<void>(registry::copy(source, "v1", other, "v1", "x")), Error);
    CHECK(other.manifests.empty());
}
