// fairing/oci/platforms.hpp - all images of an index, and the index of what was made of them (OCI
// image-spec, image-index.md; Docker's manifest list).
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "../core/json_text.hpp"
#include "append.hpp"
#include "descriptor.hpp"
#include "image.hpp"
#include "media_type.hpp"
#include "platform.hpp"
#include "store.hpp"

namespace fairing::oci {

/// An index and those of its images that are for Linux.
struct StoredIndex {
    Json document = {};
    Descriptor descriptor = {};
    std::vector<Json> entries = {};  ///< of the document, one for each image
    std::vector<StoredImage> images = {};
    std::vector<std::string> left_out = {};  ///< platforms: "windows/amd64"
};

/// Reads the index and all of its Linux images. What is no image (an attestation, whose platform is
/// "unknown") belongs to an image as it was, and is passed over. Throws Error{input} when there is
/// no index, and what load_image() throws.
[[nodiscard]] inline StoredIndex load_index(Store& store, const std::string& tag_or_digest,
                                            const std::string& subject) {
    const RawManifest raw = detail::find_image(store, tag_or_digest, subject);
    if (!media_type::is_index(raw.media_type)) {
        throw Error{ErrorCode::input,
                    {.attempted = "use all platforms of",
                     .subject = subject,
                     .answer = "it is the image of one platform, not an index",
                     .advice = "leave out --all-platforms"}};
    }
    StoredIndex index{.document = parse_manifest(raw, subject), .descriptor = raw.descriptor()};
    index.document["mediaType"] = raw.media_type;
    for (const Json& entry : index.document.at("manifests")) {
        const Descriptor descriptor = Descriptor::from(entry, "the index of " + subject);
        const Platform stated = Platform::from(entry.value("platform", Json::object()));
        if (stated.os == "unknown" || stated.architecture == "unknown") {
            continue;
        }
        if (!stated.os.empty() && stated.os != "linux") {
            index.left_out.push_back(stated.text());
            continue;
        }
        index.images.push_back(
            load_image_of(store, detail::find_image(store, descriptor.digest, subject), subject));
        index.entries.push_back(entry);
    }
    if (index.images.empty()) {
        throw Error{ErrorCode::not_found,
                    {.attempted = "use all platforms of",
                     .subject = subject,
                     .answer = "none of them is Linux"}};
    }
    return index;
}

/// The index with `images`, one for each of its own, in their places. What it says of itself and of
/// their platforms stays.
[[nodiscard]] inline RawManifest index_of(const StoredIndex& base, std::span<const Image> images,
                                          const std::string& base_name) {
    Json document = base.document;
    Json entries = Json::array();
    for (std::size_t i = 0; i < images.size(); ++i) {
        Json entry = serialize(images[i]).descriptor().json();
        const Platform platform = images[i].platform();
        entry["platform"] = {{"architecture", platform.architecture}, {"os", platform.os}};
        if (!platform.variant.empty()) {
            entry["platform"]["variant"] = platform.variant;
        }
        if (base.entries[i].contains("platform")) {
            entry["platform"] = base.entries[i]["platform"];
        }
        entries.push_back(std::move(entry));
    }
    document["manifests"] = std::move(entries);
    std::string type = text_or(document, "mediaType");
    if (type == media_type::index && !base_name.empty()) {
        note_base(document, base_name, base.descriptor.digest);
    }
    return {.media_type = std::move(type), .body = document.dump()};
}

}  // namespace fairing::oci
