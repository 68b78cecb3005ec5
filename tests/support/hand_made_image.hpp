// tests/support/hand_made_image.hpp - an image put together without a builder, in any store.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "fairing/codec/gzip.hpp"
#include "fairing/oci/append.hpp"
#include "fairing/oci/image.hpp"
#include "fairing/oci/store.hpp"
#include "fairing/stage/image.hpp"
#include "tar_archive.hpp"

namespace support {

/// Whose media types an image has.
enum class Family { oci, docker };

struct HandMade {
    std::vector<TarArchive> base = {};  ///< layers of the base image
    std::vector<TarArchive> own = {};   ///< ours, on top
    std::vector<std::string> command = {};
    std::map<std::string, std::string> environment = {};
    std::vector<std::string> base_environment = {"PATH=/usr/bin:/bin"};
    std::string working_directory = "/app/";
    fairing::oci::Platform platform = fairing::oci::host_platform();
    Family family = Family::oci;

    /// Writes blobs, config and manifest; `name` is the reference without its digest, "oci:DIR".
    [[nodiscard]] fairing::Image write(fairing::oci::Store& store, const std::string& name) const {
        namespace oci = fairing::oci;
        using fairing::Json;
        const bool is_docker = family == Family::docker;
        const std::string layer_type{is_docker ? oci::media_type::docker_layer_gzip
                                               : oci::media_type::layer_gzip};
        const std::string manifest_type{is_docker ? oci::media_type::docker_manifest
                                                  : oci::media_type::manifest};
        fairing::Image image;
        Json layers = Json::array();
        Json diff_ids = Json::array();
        const auto add = [&](const TarArchive& archive, fairing::Origin origin) {
            const std::string tar = archive.bytes();
            const oci::Descriptor blob = put(store, layer_type, fairing::codec::gzip(tar));
            layers.push_back(blob.json());
            diff_ids.push_back(oci::digest_of(tar));
            image.layers.push_back({.digest = blob.digest,
                                    .diff_id = diff_ids.back().get<std::string>(),
                                    .media_type = blob.media_type,
                                    .size = blob.size,
                                    .uncompressed_size = tar.size(),
                                    .origin = origin});
        };
        for (const TarArchive& archive : base) {
            add(archive, fairing::Origin::base);
        }
        for (const TarArchive& archive : own) {
            add(archive, fairing::Origin::built);
        }
        const Json config = {{"os", platform.os},
                             {"architecture", platform.architecture},
                             {"variant", platform.variant},
                             {"config",
                              {{"Cmd", command},
                               {"Env", base_environment},
                               {"WorkingDir", working_directory},
                               {"Labels", {{oci::layers_label, std::to_string(own.size())}}}}},
                             {"rootfs", {{"type", "layers"}, {"diff_ids", diff_ids}}}};
        const oci::Descriptor config_blob =
            put(store,
                std::string{is_docker ? oci::media_type::docker_config : oci::media_type::config},
                config.dump());
        const Json manifest = {{"schemaVersion", 2},
                               {"mediaType", manifest_type},
                               {"config", config_blob.json()},
                               {"layers", layers}};
        const oci::RawManifest raw{.media_type = manifest_type, .body = manifest.dump()};
        store.write_manifest(raw, {});
        image.digest = raw.descriptor().digest;
        image.reference = name + '@' + image.digest;
        image.location = fairing::Location::layout;
        image.command = command;
        image.environment = environment;
        image.working_directory = working_directory;
        image.platform = platform.text();
        return image;
    }

private:
    static fairing::oci::Descriptor put(fairing::oci::Store& store, const std::string& media_type,
                                        const std::string& bytes) {
        const fairing::oci::Descriptor blob{.media_type = media_type,
                                            .digest = fairing::oci::digest_of(bytes),
                                            .size = bytes.size()};
        store.write_blob(blob, fairing::net::Body::of(bytes), {});
        return blob;
    }
};

/// Writes an index, or Docker's manifest list, of images that share a layer and have one of their
/// own, under `tag`.
inline fairing::oci::RawManifest put_index(fairing::oci::Store& store, const std::string& tag,
                                           const std::vector<std::string>& platforms,
                                           Family family = Family::oci) {
    namespace oci = fairing::oci;
    using fairing::Json;
    Json entries = Json::array();
    for (const std::string& text : platforms) {
        const oci::Platform platform = oci::parse_platform(text);
        const fairing::Image image =
            HandMade{
                .base = {TarArchive{}.file("shared", "the same"), TarArchive{}.file("own", text)},
                .base_environment = {"PATH=/usr/bin:/bin",
                                     "PYTHONPATH=/of/" + platform.architecture},
                .platform = platform,
                .family = family}
                .write(store, "x");
        const oci::RawManifest raw = store.find_manifest(image.digest).value();
        Json entry = raw.descriptor().json();
        entry["platform"] = {{"os", platform.os}, {"architecture", platform.architecture}};
        if (!platform.variant.empty()) {
            entry["platform"]["variant"] = platform.variant;
        }
        entries.push_back(std::move(entry));
    }
    const std::string type{family == Family::docker ? oci::media_type::docker_list
                                                    : oci::media_type::index};
    const oci::RawManifest index{
        .media_type = type,
        .body = Json{{"schemaVersion", 2}, {"mediaType", type}, {"manifests", std::move(entries)}}
                    .dump()};
    store.write_manifest(index, tag);
    return index;
}

}  // namespace support
