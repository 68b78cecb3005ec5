// fairing/oci/referrers.hpp - manifests that say something about another one, their subject:
// signatures, SBOMs (OCI image-spec 1.1, manifest.md; distribution-spec 1.1, "Referrers tag
// schema"). Pure but for attach().
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../core/json_text.hpp"
#include "descriptor.hpp"
#include "media_type.hpp"
#include "store.hpp"

namespace fairing::oci {

/// The tag under which a registry without the referrers API keeps an index of them.
[[nodiscard]] inline std::string referrers_tag(const std::string& digest) {
    return "sha256-" + digest_hex(digest);
}

/// The digest of the manifest's subject, or "".
[[nodiscard]] inline std::string subject_of(const RawManifest& manifest) {
    const Json document = parse_json(manifest.body, "a manifest");
    return document.is_object() ? text_or(document.value("subject", Json()), "digest")
                                : std::string{};
}

/// How a list of referrers names the manifest: its artifactType is its own, else its config's type.
[[nodiscard]] inline Json referrer_descriptor(const RawManifest& manifest) {
    const Json document = parse_json(manifest.body, "a manifest");
    Json descriptor = manifest.descriptor().json();
    const std::string type =
        text_or(document, "artifactType", text_or(document.value("config", Json()), "mediaType"));
    if (!type.empty()) {
        descriptor["artifactType"] = type;
    }
    if (document.contains("annotations")) {
        descriptor["annotations"] = document["annotations"];
    }
    return descriptor;
}

/// The index of the tag schema with one more referrer; `index` is what is there, or null.
[[nodiscard]] inline RawManifest with_referrer(Json index, const RawManifest& referrer) {
    Json descriptor = referrer_descriptor(referrer);
    if (!index.is_object() || !index.value("manifests", Json()).is_array()) {
        index = {
            {"schemaVersion", 2}, {"mediaType", media_type::index}, {"manifests", Json::array()}};
    }
    bool known = false;
    for (Json& each : index["manifests"]) {
        known = known || text_or(each, "digest") == text_or(descriptor, "digest");
    }
    if (!known) {
        index["manifests"].push_back(std::move(descriptor));
    }
    return {.media_type = std::string{media_type::index}, .body = index.dump()};
}

/// The config of an artifact: the bytes "{}".
[[nodiscard]] inline Descriptor empty_config() {
    return {.media_type = std::string{media_type::empty}, .digest = digest_of("{}"), .size = 2};
}

/// The manifest of an artifact that is one blob (OCI image-spec, "Guidelines for Artifact Usage").
[[nodiscard]] inline RawManifest artifact_manifest(const Descriptor& subject,
                                                   const std::string& artifact_type,
                                                   const Descriptor& content, Json annotations) {
    Json manifest = {{"schemaVersion", 2},
                     {"mediaType", media_type::manifest},
                     {"artifactType", artifact_type},
                     {"config", empty_config().json()},
                     {"layers", Json::array({content.json()})},
                     {"subject", subject.json()}};
    if (!annotations.empty()) {
        manifest["annotations"] = std::move(annotations);
    }
    return {.media_type = std::string{media_type::manifest}, .body = manifest.dump()};
}

/// Stores `content` of that media type as an artifact about `subject`, a manifest of the store.
/// Gives the artifact's descriptor.
inline Descriptor attach(Store& store, const Descriptor& subject, const std::string& artifact_type,
                         const std::string& content, const Json& annotations = Json::object()) {
    if (artifact_type.find('/') == std::string::npos) {
        throw Error{ErrorCode::usage,
                    {.attempted = "attach to " + subject.digest,
                     .subject = '"' + artifact_type + '"',
                     .answer = "not a media type such as application/spdx+json"}};
    }
    const Descriptor blob{
        .media_type = artifact_type, .digest = digest_of(content), .size = content.size()};
    store.write_blob(empty_config(), net::Body::of("{}"), {});
    store.write_blob(blob, net::Body::of(content), {});
    const RawManifest manifest = artifact_manifest(subject, artifact_type, blob, annotations);
    store.write_referrer(manifest);
    return manifest.descriptor();
}

}  // namespace fairing::oci
