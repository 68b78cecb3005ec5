#include "fairing/engine/archive.hpp"

#include <doctest/doctest.h>

#include "../support/hand_made_image.hpp"
#include "../support/memory_store.hpp"

using namespace fairing;

TEST_CASE("the archive holds config, layers and manifest.json, and is as long as it says") {
    support::MemoryStore store;
    const support::TarArchive layer = support::TarArchive{}.file("a", "1");
    const Image image = support::HandMade{
        .base = {layer, support::TarArchive{}.file("b", "2"), layer},
        .command = {"a"}}.write(store, "test");
    const oci::Image stored =
        oci::load_image(store, image.digest, oci::host_platform(), image.reference).image;
    const net::Body body = engine::docker_archive(store, stored);
    for (int replay = 0; replay < 2; ++replay) {
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
        CHECK(members.size() == 4);
        const Json manifest = Json::parse(members.at("manifest.json"));
        REQUIRE(manifest.size() == 1);
        CHECK(manifest[0].at("Layers").size() == 3);
        CHECK(manifest[0].at("Layers")[0] == manifest[0].at("Layers")[2]);
        for (const Json& name : manifest[0].at("Layers")) {
            const std::string& bytes = members.at(name.get<std::string>());
            CHECK(oci::digest_hex(oci::digest_of(bytes)) + ".tar" == name);
        }
        const std::string config = manifest[0].at("Config").get<std::string>();
        CHECK(oci::digest_of(members.at(config)) == engine::image_id(stored));
        CHECK(config == oci::digest_hex(engine::image_id(stored)) + ".json");
    }
}
