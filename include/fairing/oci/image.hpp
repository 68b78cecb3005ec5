// fairing/oci/image.hpp - one image as its two documents, manifest and config, checked against each
// other (OCI image-spec, manifest.md and config.md; Docker image manifest version 2, schema 2).
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../core/json_text.hpp"
#include "descriptor.hpp"
#include "index.hpp"
#include "media_type.hpp"
#include "platform.hpp"
#include "store.hpp"

namespace fairing::oci {

/// Documents as they were stored: members that we do not know are kept.
struct Image {
    Json manifest = {};
    Json config = {};

    [[nodiscard]] std::string media_type() const { return text_or(manifest, "mediaType"); }
    [[nodiscard]] bool is_docker() const { return media_type() == media_type::docker_manifest; }
    [[nodiscard]] Platform platform() const { return Platform::from(config); }

    [[nodiscard]] std::vector<Descriptor> layers() const {
        std::vector<Descriptor> result;
        for (const Json& layer : manifest.at("layers")) {
            result.push_back(Descriptor::from(layer, "a layer of the image manifest"));
        }
        return result;
    }
    [[nodiscard]] std::vector<std::string> diff_ids() const {
        return config.at("rootfs").at("diff_ids").get<std::vector<std::string>>();
    }
    /// Member `key` of the config's `config` object, or null.
    [[nodiscard]] Json setting(const char* key) const {
        const Json settings = config.value("config", Json());
        return settings.is_object() && settings.contains(key) ? settings.at(key) : Json();
    }
};

/// Nothing at all, for `platform`: what FROM scratch means.
[[nodiscard]] inline Image scratch(const Platform& platform) {
    Image image;
    image.config = {{"architecture", platform.architecture},
                    {"os", platform.os},
                    {"config", Json::object()},
                    {"rootfs", {{"type", "layers"}, {"diff_ids", Json::array()}}},
                    {"history", Json::array()}};
    if (!platform.variant.empty()) {
        image.config["variant"] = platform.variant;
    }
    image.manifest = {
        {"schemaVersion", 2}, {"mediaType", media_type::manifest}, {"layers", Json::array()}};
    return image;
}

/// The document of a manifest or an index, refused by name when it is ambiguous: `manifests` beside
/// `layers`, schema 1, or a mediaType that is not the one it was served with.
[[nodiscard]] inline Json parse_manifest(const RawManifest& raw, const std::string& subject) {
    const auto refuse = [&subject](std::string answer, ErrorCode code = ErrorCode::unsupported) {
        return Error{code,
                     {.attempted = "use image", .subject = subject, .answer = std::move(answer)}};
    };
    Json document = parse_json(raw.body, "the manifest of " + subject);
    if (!document.is_object()) {
        throw refuse("its manifest is not a JSON object", ErrorCode::input);
    }
    const Json version = document.value("schemaVersion", Json());
    if (version.is_number_integer() && version.get<int>() == 1) {
        throw refuse("its manifest is of schema 1, which no current tool writes");
    }
    if (document.contains("manifests") && document.contains("layers")) {
        throw refuse("its manifest is ambiguous: it has both manifests and layers",
                     ErrorCode::integrity);
    }
    const std::string stated = text_or(document, "mediaType", raw.media_type);
    if (stated != raw.media_type) {
        throw refuse("served as " + raw.media_type + ", but its manifest says " + stated,
                     ErrorCode::integrity);
    }
    if (!media_type::is_index(stated) && !media_type::is_manifest(stated)) {
        throw refuse("media type " + stated + " is not that of an image");
    }
    const char* content = media_type::is_index(stated) ? "manifests" : "layers";
    if (!document.contains(content) || !document[content].is_array()) {
        throw refuse("a " + stated + " without " + content, ErrorCode::integrity);
    }
    return document;
}

/// Throws Error when manifest and config do not describe one image: an artifact's config, or layers
/// and diff_ids that differ in number.
inline void check_image(const Image& image, const std::string& subject) {
    const auto refuse = [&subject](std::string answer) {
        return Error{ErrorCode::unsupported,
                     {.attempted = "use image", .subject = subject, .answer = std::move(answer)}};
    };
    if (!image.config.is_object() || !image.config.contains("rootfs") ||
        !image.config["rootfs"].is_object() || !image.config["rootfs"].contains("diff_ids") ||
        !image.config["rootfs"]["diff_ids"].is_array()) {
        throw refuse("its config has no rootfs.diff_ids");
    }
    for (const Json& diff_id : image.config["rootfs"]["diff_ids"]) {
        if (!diff_id.is_string() || !is_digest(diff_id.get_ref<const std::string&>())) {
            throw refuse("its config has a diff_id that is not a sha256 digest");
        }
    }
    const std::size_t layers = image.layers().size();
    const std::size_t diff_ids = image.config["rootfs"]["diff_ids"].size();
    if (layers != diff_ids) {
        throw refuse("its manifest has " + std::to_string(layers) + " layers, its config " +
                     std::to_string(diff_ids) + " diff_ids");
    }
}

/// An image as it lies in a store, and the descriptor that names it there.
struct StoredImage {
    Image image = {};
    Descriptor manifest = {};
};

namespace detail {

[[nodiscard]] inline RawManifest find_image(Store& store, const std::string& tag_or_digest,
                                            const std::string& subject) {
    auto raw = store.find_manifest(tag_or_digest);
    if (!raw) {
        throw Error{ErrorCode::not_found,
                    {.attempted = "find image",
                     .subject = subject,
                     .answer = tag_or_digest.empty() ? "there is no image in it"
                                                     : "there is no manifest " + tag_or_digest,
                     .advice = "check its name and tag"}};
    }
    return *std::move(raw);
}

}  // namespace detail

/// The image of a manifest that is no index; its config is read. Throws Error that names `subject`.
[[nodiscard]] inline StoredImage load_image_of(Store& store, const RawManifest& raw,
                                               const std::string& subject) {
    constexpr std::uint64_t largest_config = std::uint64_t{4} << 20;
    const auto refuse = [&subject](std::string answer) {
        return Error{ErrorCode::unsupported,
                     {.attempted = "use image", .subject = subject, .answer = std::move(answer)}};
    };
    StoredImage stored{.manifest = raw.descriptor()};
    stored.image.manifest = parse_manifest(raw, subject);
    if (media_type::is_index(raw.media_type)) {
        throw refuse("its index holds another index");
    }
    stored.image.manifest["mediaType"] = raw.media_type;
    const Descriptor config = Descriptor::from(stored.image.manifest.value("config", Json()),
                                               "the config descriptor of " + subject);
    if (config.media_type != media_type::config && config.media_type != media_type::docker_config) {
        throw refuse("its config is of type " + config.media_type + ": an artifact, not an image");
    }
    if (config.size > largest_config) {
        throw refuse("its config is longer than 4 MiB");
    }
    std::string text;
    store.read_blob(config, [&text](std::span<const std::byte> bytes) {
        text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    });
    stored.image.config = parse_json(text, "the config of " + subject);
    check_image(stored.image, subject);
    return stored;
}

/// Reads manifest and config; an index is resolved for `platform`. Throws Error{not_found} when the
/// store has no such manifest. `subject` is the reference as the user wrote it.
[[nodiscard]] inline StoredImage load_image(Store& store, const std::string& tag_or_digest,
                                            const Platform& platform, const std::string& subject) {
    RawManifest raw = detail::find_image(store, tag_or_digest, subject);
    if (media_type::is_index(raw.media_type)) {
        const Json index = parse_manifest(raw, subject);
        raw = detail::find_image(store, select(index, platform, subject).digest, subject);
    }
    return load_image_of(store, raw, subject);
}

}  // namespace fairing::oci
