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

struct HandMade {
    std::vector<TarArchive> base = {};  ///< layers of the base image
    std::vector<TarArchive> own = {};   ///< ours, on top
    std::vector<std::string> command = {};
    std::map<std::string, std::string> environment = {};
    std::vector<std::string> base_environment = {"PATH=/usr/bin:/bin"};
    std::string working_directory = "/app/";
    fairing::oci::Platform platform = fairing::oci::host_platform();

    /// Writes blobs, config and manifest; `name` is the reference without its digest, "oci:DIR".
    [[nodiscard]] fairing::Image write(fairing::oci::Store& store, const std::string& name) const {
        namespace oci = fairing::oci;
        using fairing::Json;
        fairing::Image image;
        Json layers = Json::array();
        Json diff_ids = Json::array();
        const auto add = [&](const TarArchive& archive, fairing::Origin origin) {
            const std::string tar = archive.bytes();
            const oci::Descriptor blob =
                put(store, std::string{oci::media_type::layer_gzip}, fairing::codec::gzip(tar));
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
                             {"config",
                              {{"Cmd", command},
                               {"Env", base_environment},
                               {"WorkingDir", working_directory},
                               {"Labels", {{oci::layers_label, std::to_string(own.size())}}}}},
                             {"rootfs", {{"type", "layers"}, {"diff_ids", diff_ids}}}};
        const oci::Descriptor config_blob =
            put(store, std::string{oci::media_type::config}, config.dump());
        const Json manifest = {{"schemaVersion", 2},
                               {"mediaType", std::string{oci::media_type::manifest}},
                               {"config", config_blob.json()},
                               {"layers", layers}};
        const oci::RawManifest raw{.media_type = std::string{oci::media_type::manifest},
                                   .body = manifest.dump()};
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

}  // namespace support
