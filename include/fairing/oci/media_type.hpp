// fairing/oci/media_type.hpp - media types of the OCI image-spec and of Docker's image manifest
// version 2, schema 2.
#pragma once

#include <string_view>

namespace fairing::oci::media_type {

inline constexpr std::string_view index = "application/vnd.oci.image.index.v1+json";
inline constexpr std::string_view manifest = "application/vnd.oci.image.manifest.v1+json";
inline constexpr std::string_view config = "application/vnd.oci.image.config.v1+json";
inline constexpr std::string_view layer = "application/vnd.oci.image.layer.v1.tar";
inline constexpr std::string_view layer_gzip = "application/vnd.oci.image.layer.v1.tar+gzip";
inline constexpr std::string_view layer_zstd = "application/vnd.oci.image.layer.v1.tar+zstd";
/// Of the two bytes "{}": the config of an artifact that needs none.
inline constexpr std::string_view empty = "application/vnd.oci.empty.v1+json";

inline constexpr std::string_view docker_list =
    "application/vnd.docker.distribution.manifest.list.v2+json";
inline constexpr std::string_view docker_manifest =
    "application/vnd.docker.distribution.manifest.v2+json";
inline constexpr std::string_view docker_config = "application/vnd.docker.container.image.v1+json";
inline constexpr std::string_view docker_layer = "application/vnd.docker.image.rootfs.diff.tar";
inline constexpr std::string_view docker_layer_gzip =
    "application/vnd.docker.image.rootfs.diff.tar.gzip";

/// What a client accepts when it asks for a manifest.
inline constexpr std::string_view accept =
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.docker.distribution.manifest.v2+json";

[[nodiscard]] constexpr bool is_index(std::string_view type) noexcept {
    return type == index || type == docker_list;
}
[[nodiscard]] constexpr bool is_manifest(std::string_view type) noexcept {
    return type == manifest || type == docker_manifest;
}

/// Layers that registries do not hold: whoever pulls the image fetches them from the descriptor's
/// `urls`.
[[nodiscard]] constexpr bool is_foreign(std::string_view type) noexcept {
    return type.find(".nondistributable.") != std::string_view::npos ||
           type.find(".foreign.") != std::string_view::npos;
}

}  // namespace fairing::oci::media_type
