// fairing/engine/archive.hpp - an image as `docker save` writes it: what POST /images/load takes
// (Docker image-spec v1.2).
#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "../codec/tar.hpp"
#include "../net/message.hpp"
#include "../oci/image.hpp"
#include "../oci/store.hpp"

namespace fairing::engine {

/// The name by which an engine knows an image without a tag: the digest of its config.
[[nodiscard]] inline std::string image_id(const oci::Image& image) {
    return oci::Descriptor::from(image.manifest.at("config"), "the config of an image").digest;
}

/// The image as a tar archive, streamed out of `store`, which must outlive the body. Layers go in
/// as they are stored: engines detect gzip. A layer that occurs twice is sent once.
[[nodiscard]] inline net::Body docker_archive(oci::Store& store, const oci::Image& image) {
    struct Member {
        std::vector<std::byte> header;
        oci::Descriptor blob;
    };
    const auto header_of = [](std::string path, std::uint64_t size) {
        std::vector<std::byte> header;
        codec::append_tar_header({.path = std::move(path), .size = size}, header);
        return header;
    };
    std::vector<Member> members;
    std::uint64_t total = 0;
    const auto add = [&](std::string path, const oci::Descriptor& blob) {
        members.push_back({.header = header_of(std::move(path), blob.size), .blob = blob});
        total += members.back().header.size() + blob.size + codec::tar_padding(blob.size);
    };
    const auto config =
        oci::Descriptor::from(image.manifest.at("config"), "the config of an image");
    const std::string config_name = oci::digest_hex(config.digest) + ".json";
    add(config_name, config);
    Json names = Json::array();
    std::set<std::string> sent;
    for (const oci::Descriptor& layer : image.layers()) {
        const std::string name = oci::digest_hex(layer.digest) + ".tar";
        names.push_back(name);
        if (sent.insert(name).second) {
            add(name, layer);
        }
    }
    const Json manifest =
        Json::array({{{"Config", config_name}, {"RepoTags", nullptr}, {"Layers", names}}});
    const std::string manifest_text = manifest.dump();
    std::vector<std::byte> tail = header_of("manifest.json", manifest_text.size());
    const auto bytes = std::as_bytes(std::span{manifest_text});
    tail.insert(tail.end(), bytes.begin(), bytes.end());
    tail.resize(tail.size() + codec::tar_padding(manifest_text.size()));
    codec::append_tar_end(tail);
    total += tail.size();
    return {.size = total,
            .write = [&store, members = std::move(members),
                      tail = std::move(tail)](const net::BodySink& sink) {
                for (const Member& member : members) {
                    sink(member.header);
                    store.read_blob(member.blob, sink);
                    sink(std::vector<std::byte>(codec::tar_padding(member.blob.size)));
                }
                sink(tail);
            }};
}

}  // namespace fairing::engine
