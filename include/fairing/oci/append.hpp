// fairing/oci/append.hpp - a base image with layers on top (OCI image-spec, config.md and
// manifest.md). Pure.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "../codec/utf8.hpp"
#include "image.hpp"

namespace fairing::oci {

/// The config label that says how many of the topmost layers are ours.
inline constexpr const char* layers_label = "fairing.layers";

/// A layer of ours: how it is stored, and the digest of its uncompressed tar.
struct NewLayer {
    Descriptor descriptor = {};
    std::string diff_id = {};
    std::string comment = {};  ///< for the history: "fairing: 3 files"
};

/// What an appended image overrides in the configuration of its base. Environment variables are
/// added to the base's, or take their place; a base's Entrypoint is always cleared, since the
/// command is the whole command.
struct Overrides {
    std::vector<std::string> command = {};
    std::string user = {};
    std::string working_directory = {};
    std::map<std::string, std::string> environment = {};
    std::string created =
        "1970-01-01T00:00:00Z";  ///< RFC 3339; constant, so that equal inputs give equal bytes
    std::string base_name = {};  ///< for the annotations of an OCI image; empty: none
    std::string base_digest = {};
};

/// How many of the topmost layers are ours.
[[nodiscard]] inline std::size_t own_layers(const Image& image) {
    const Json labels = image.setting("Labels");
    const std::string text = text_or(labels, layers_label);
    std::size_t count = 0;
    for (const char digit : text) {
        if (digit < '0' || digit > '9' || count > 10'000) {
            return 0;
        }
        count = count * 10 + static_cast<std::size_t>(digit - '0');
    }
    return std::min(count, image.layers().size());
}

/// The media type of a layer of ours on `base`, of the base's own family. `compression` is "gzip"
/// or "zstd". Throws Error{unsupported} for zstd on an image of Docker's, whose layers are gzip.
[[nodiscard]] inline std::string layer_media_type(const Image& base,
                                                  std::string_view compression = "gzip") {
    if (compression == "gzip") {
        return std::string{base.is_docker() ? media_type::docker_layer_gzip
                                            : media_type::layer_gzip};
    }
    if (base.is_docker()) {
        throw Error{
            ErrorCode::unsupported,
            {.attempted = "append a " + std::string{compression} + " layer",
             .subject = "to the base image",
             .answer =
                 "its manifest is Docker's (version 2, schema 2), which knows gzip layers only",
             .advice = "choose a compressor that makes gzip, or a base with an OCI manifest"}};
    }
    return std::string{media_type::layer} + '+' + std::string{compression};
}

namespace detail {

inline void override_environment(Json& settings, const std::map<std::string, std::string>& added) {
    Json& list = settings["Env"];
    if (!list.is_array()) {
        list = Json::array();
    }
    for (const auto& [name, value] : added) {
        const std::string prefix = name + '=';
        const auto same = std::find_if(list.begin(), list.end(), [&prefix](const Json& entry) {
            return entry.is_string() && entry.get_ref<const std::string&>().starts_with(prefix);
        });
        if (same != list.end()) {
            *same = prefix + value;
        } else {
            list.push_back(prefix + value);
        }
    }
}

/// JSON holds nothing but UTF-8, and a process's strings end at their first NUL.
inline void check_text(const std::string& text, const char* where) {
    if (!codec::is_utf8(text) || text.find('\0') != std::string::npos) {
        throw Error{ErrorCode::input,
                    {.attempted = "put into an image",
                     .subject = codec::in_quotes(text),
                     .answer = std::string{where} + " must be UTF-8 without NUL"}};
    }
}

}  // namespace detail

/// The annotations of an OCI manifest or index that say which base it was made on.
inline void note_base(Json& document, const std::string& name, const std::string& digest) {
    Json& annotations = document["annotations"];
    if (!annotations.is_object()) {
        annotations = Json::object();
    }
    annotations["org.opencontainers.image.base.name"] = name;
    annotations["org.opencontainers.image.base.digest"] = digest;
}

/// The base with `layers` on top, in that order. Everything that the base's documents hold and we
/// do not know survives. The manifest's config descriptor is that of config.dump(): store exactly
/// these bytes.
[[nodiscard]] inline Image append(const Image& base, std::span<const NewLayer> layers,
                                  const Overrides& overrides) {
    Image image = base;
    const std::size_t ours = own_layers(base) + layers.size();

    for (const std::string& word : overrides.command) {
        detail::check_text(word, "the command");
    }
    for (const auto& [name, value] : overrides.environment) {
        detail::check_text(name + '=' + value, "the environment");
    }
    Json& settings = image.config["config"];
    if (!settings.is_object()) {
        settings = Json::object();
    }
    settings.erase("Entrypoint");
    settings["Cmd"] = overrides.command;
    settings["WorkingDir"] = overrides.working_directory;
    if (!overrides.user.empty()) {
        settings["User"] = overrides.user;
    }
    detail::override_environment(settings, overrides.environment);
    if (!settings["Labels"].is_object()) {
        settings["Labels"] = Json::object();
    }
    settings["Labels"][layers_label] = std::to_string(ours);
    image.config["created"] = overrides.created;

    const bool has_history = base.config.contains("history") && base.config["history"].is_array();
    for (const NewLayer& layer : layers) {
        image.config["rootfs"]["diff_ids"].push_back(layer.diff_id);
        if (has_history) {
            image.config["history"].push_back({{"created", overrides.created},
                                               {"created_by", "fairing"},
                                               {"comment", layer.comment}});
        }
        image.manifest["layers"].push_back(layer.descriptor.json());
    }

    const std::string config = image.config.dump();
    image.manifest["config"] =
        Descriptor{.media_type = std::string{base.is_docker() ? media_type::docker_config
                                                              : media_type::config},
                   .digest = digest_of(config),
                   .size = config.size()}
            .json();
    if (!base.is_docker() && !overrides.base_name.empty()) {
        note_base(image.manifest, overrides.base_name, overrides.base_digest);
    }
    return image;
}

/// The manifest as it is stored.
[[nodiscard]] inline RawManifest serialize(const Image& image) {
    return {.media_type = image.media_type(), .body = image.manifest.dump()};
}

}  // namespace fairing::oci
