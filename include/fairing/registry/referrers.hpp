// fairing/registry/referrers.hpp - referrers in a registry: by its API, or by an index under a tag
// where it has none (OCI distribution-spec 1.1, "Listing Referrers", "Referrers Tag Schema").
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "../core/control.hpp"
#include "../core/json_text.hpp"
#include "../net/message.hpp"
#include "../oci/media_type.hpp"
#include "../oci/referrers.hpp"
#include "../oci/store.hpp"
#include "api.hpp"
#include "pages.hpp"

namespace fairing::registry {

/// The descriptors in a document that lists referrers.
[[nodiscard]] inline std::vector<Json> descriptors_in(const Json& index) {
    const Json entries = index.is_object() ? index.value("manifests", Json()) : Json();
    return entries.is_array() ? entries.get<std::vector<Json>>() : std::vector<Json>{};
}

/// What the registry's API lists; nullopt when it has none.
[[nodiscard]] inline std::optional<std::vector<Json>> list_referrers(Api& api,
                                                                     const std::string& digest,
                                                                     const Control& control) {
    std::vector<Json> all;
    const PageRequest request{.url = api.url("referrers/" + digest),
                              .accept = std::string{oci::media_type::index},
                              .attempted = "list the referrers of " + digest + " in"};
    const net::Answer other = read_pages(api, request, control, [&](const net::Answer& answer) {
        if (!net::header(answer.headers, "Content-Type").starts_with(oci::media_type::index)) {
            return false;  // some page of a server that answers everything
        }
        for (Json& each :
             descriptors_in(parse_json(answer.body, "the referrers in " + api.name()))) {
            all.push_back(std::move(each));
        }
        return true;
    });
    switch (other.status) {
        case 0:
            return all;
        case 200:
        case 400:
        case 404:
        case 405:
        case 406:
            return std::nullopt;
        default:
            throw api.failure(other, {.attempted = request.attempted, .subject = api.name()});
    }
}

/// Client::find_referrers(); `store` is the client.
[[nodiscard]] inline std::vector<Json> find_referrers(Api& api, oci::Store& store,
                                                      const std::string& digest,
                                                      const Control& control) {
    if (auto listed = list_referrers(api, digest, control)) {
        return *std::move(listed);
    }
    const auto index = store.find_manifest(oci::referrers_tag(digest));
    return index ? descriptors_in(parse_json(index->body, "the referrers in " + api.name()))
                 : std::vector<Json>{};
}

/// Client::write_referrer(). Without the API the index under the tag is changed by reading and
/// writing it, so it is read again: another writer may have come between.
inline void write_referrer(Api& api, oci::Store& store, const oci::RawManifest& manifest,
                           const Control& control) {
    store.write_manifest(manifest, {});
    const std::string subject = oci::subject_of(manifest);
    const std::string digest = manifest.descriptor().digest;
    if (list_referrers(api, subject, control)) {
        return;
    }
    const std::string tag = oci::referrers_tag(subject);
    for (int attempt = 0; attempt < 5; ++attempt) {
        const auto index = store.find_manifest(tag);
        const std::string name = "the index " + tag + " in " + api.name();
        const Json document = index ? parse_json(index->body, name) : Json();
        const std::vector<Json> known = descriptors_in(document);
        if (std::any_of(known.begin(), known.end(), [&digest](const Json& each) {
                return text_or(each, "digest") == digest;
            })) {
            return;
        }
        store.write_manifest(oci::with_referrer(document, manifest), tag);
    }
    throw Error{ErrorCode::unavailable,
                {.attempted = "attach to " + subject,
                 .subject = api.name(),
                 .answer = "others change the index " + tag + " all the time"}};
}

}  // namespace fairing::registry
