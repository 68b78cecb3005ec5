#include "fairing/oci/docker_archive.hpp"

#include <doctest/doctest.h>

#include "../support/hand_made_image.hpp"
#include "../support/memory_store.hpp"

using namespace fairing;

namespace {

/// The members of an archive, each of which must be there once.
std::map<std::string, std::string> members_of(const net::Body& body) {
    std::map<std::string, std::string> members;
    std::string* current = nullptr;
    codec::TarReader reader{[&](const codec::TarEntry& entry) {
                                CHECK(members.count(entry.path) == 0);
                                current = &members[entry.path];
                            },
                            [&](std::span<const std::byte> bytes) {
                                current->append(reinterpret_cast<const char*>(bytes.data()),
                                                bytes.size());
                            }};
    std::uint64_t size = 0;
    body.write([&](std::span<const std::byte> bytes) {
        size += bytes.size();
        reader.write(bytes);
    });
    reader.finish();
    CHECK(size == body.size);
    return members;
}

struct Made {
    support::MemoryStore store = {};
    Image image = {};
    oci::Image stored = {};
    Made() {
        const support::TarArchive layer = support::TarArchive{}.file("a", "1");
        image = support::HandMade{.base = {layer, support::TarArchive{}.file("b", "2"), layer},
                                  .command = {"a"}}
                    .write(store, "test");
        stored = oci::load_image(store, image.digest, oci::host_platform(), image.reference).image;
    }
};

}  // namespace

TEST_CASE("the archive holds config, layers and manifest.json, and is as long as it says") {
    Made made;
    const net::Body body = oci::docker_archive(made.store, made.stored);
    for (int replay = 0; replay < 2; ++replay) {
        const auto members = members_of(body);
        CHECK(members.size() == 4);
        const Json manifest = Json::parse(members.at("manifest.json"));
        REQUIRE(manifest.size() == 1);
        CHECK(manifest[0].at("RepoTags").is_null());
        CHECK(manifest[0].at("Layers").size() == 3);
        CHECK(manifest[0].at("Layers")[0] == manifest[0].at("Layers")[2]);
        for (const Json& name : manifest[0].at("Layers")) {
            const std::string& bytes = members.at(name.get<std::string>());
            CHECK("blobs/sha256/" + oci::digest_hex(oci::digest_of(bytes)) == name);
        }
        const std::string config = manifest[0].at("Config").get<std::string>();
        CHECK(oci::digest_of(members.at(config)) == oci::image_id(made.stored));
    }
}

TEST_CASE("with its manifest the archive is an image layout too, and has its name in both") {
    Made made;
    const auto members = members_of(oci::docker_archive(
        made.store, made.stored,
        {.name = "job:v1", .manifest = made.store.find_manifest(made.image.digest)}));
    const Json index = Json::parse(members.at("index.json"));
    const Json& entry = index.at("manifests").at(0);
    CHECK(entry.at("digest") == made.image.digest);
    CHECK(entry.at("annotations").at("org.opencontainers.image.ref.name") == "job:v1");
    CHECK(entry.at("annotations").at("io.containerd.image.name") == "docker.io/library/job:v1");
    CHECK(members.contains("blobs/sha256/" + oci::digest_hex(made.image.digest)));
    CHECK(Json::parse(members.at("oci-layout")).at("imageLayoutVersion") == "1.0.0");
    CHECK(Json::parse(members.at("manifest.json"))[0].at("RepoTags") == Json{"job:v1"});
}
