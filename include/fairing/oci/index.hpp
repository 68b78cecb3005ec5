// fairing/oci/index.hpp - several manifests under one name (OCI image-spec, image-index.md;
// Docker's manifest list).
#pragma once

#include <string>

#include "../core/json_text.hpp"
#include "descriptor.hpp"
#include "platform.hpp"

namespace fairing::oci {

/// The first entry of the index for `wanted`. Throws Error{not_found} that lists the platforms that
/// are there.
[[nodiscard]] inline Descriptor select(const Json& index, const Platform& wanted,
                                       const std::string& subject) {
    const Json entries = index.value("manifests", Json::array());
    std::string available;
    for (const Json& entry : entries) {
        if (!entry.is_object()) {
            continue;
        }
        const Platform platform = Platform::from(entry.value("platform", Json::object()));
        if (wanted.accepts(platform)) {
            return Descriptor::from(entry, subject);
        }
        if (!platform.architecture.empty() && platform.architecture != "unknown") {
            available += (available.empty() ? "" : ", ") + platform.text();
        }
    }
    throw Error{
        ErrorCode::not_found,
        {.attempted = "find platform " + wanted.text() + " in",
         .subject = subject,
         .answer = available.empty() ? "the index states no platform" : "it has " + available,
         .advice = "choose one with --platform"}};
}

}  // namespace fairing::oci
