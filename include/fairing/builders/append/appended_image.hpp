// fairing/builders/append/appended_image.hpp - what an image says that was made by appending: its
// configs, manifests and index, out of the base's and of what our layers are. Documents, no I/O.
#pragma once

#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>
#include <vector>

#include "../../oci/append.hpp"
#include "../../oci/platforms.hpp"
#include "../../oci/reference.hpp"
#include "../../packaging/context.hpp"
#include "../../packaging/context_digest.hpp"
#include "../../stage/image.hpp"
#include "../base_fit.hpp"
#include "../base_image.hpp"
#include "image_layers.hpp"

namespace fairing::detail {

/// What `layers` cost, and what they say about the context.
struct LayerSummary {
    std::vector<oci::NewLayer> additions = {};
    std::string context_digest = {};  ///< "sha256:…"
    BuildFigures figures = {};
};

[[nodiscard]] inline LayerSummary summarize(const Context& context,
                                            const std::vector<OwnLayer>& layers) {
    LayerSummary summary;
    packaging::ContextDigest digest;
    for (const OwnLayer& own : layers) {
        digest.add(own.group.files, own.contents);
        summary.additions.push_back({.descriptor = {.media_type = {},  // the base's family
                                                    .digest = own.layer.digest,
                                                    .size = own.layer.size},
                                     .diff_id = own.layer.diff_id,
                                     .comment = own.group.name});
        summary.figures.bytes_read += own.bytes_read;
        summary.figures.bytes_compressed += own.bytes_compressed;
    }
    summary.context_digest = digest.finish(context);
    return summary;
}

/// RFC 3339 in UTC of SOURCE_DATE_EPOCH, which is 0 unless set (reproducible-builds.org).
[[nodiscard]] inline std::string created_time(std::int64_t seconds) {
    const auto time = static_cast<std::time_t>(seconds);
    std::tm parts{};
    ::gmtime_r(&time, &parts);
    char text[32];
    return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

/// The documents of each of the base's images with our layers on top.
struct AppendedImage {
    std::vector<oci::Image> images = {};
    oci::RawManifest root = {};  ///< what the tag points at: the one image's, or the index

    /// "linux/amd64,linux/arm64".
    [[nodiscard]] std::string platforms() const {
        std::string text;
        for (const oci::Image& image : images) {
            text += (text.empty() ? "" : ",") + image.platform().text();
        }
        return text;
    }
};

/// `suffix` is the compressor's, in the media type of `additions`.
[[nodiscard]] inline AppendedImage appended(const Base& base, std::vector<oci::NewLayer> additions,
                                            const Context& context, std::string_view suffix,
                                            bool all_platforms) {
    const bool named_base = base.reference.kind == oci::ReferenceKind::registry;
    const std::string base_name = named_base ? base.reference.text() : "";
    AppendedImage result;
    for (const oci::StoredImage& each : base.images()) {
        for (oci::NewLayer& layer : additions) {
            layer.descriptor.media_type = oci::layer_media_type(each.image, suffix);
        }
        result.images.push_back(
            oci::append(each.image, additions,
                        {.command = context.command,
                         .user = "0",
                         .working_directory = context.working_directory,
                         .environment = environment_on(each.image, context),
                         .created = created_time(packaging::source_date_epoch()),
                         .base_name = base_name,
                         .base_digest = each.manifest.digest}));
    }
    result.root = all_platforms ? oci::index_of(base.index, result.images, base_name)
                                : oci::serialize(result.images.front());
    return result;
}

}  // namespace fairing::detail
