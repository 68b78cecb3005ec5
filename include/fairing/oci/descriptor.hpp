// fairing/oci/descriptor.hpp - a reference to content by digest (OCI image-spec, descriptor.md).
#pragma once

#include <cstdint>
#include <string>

#include "../core/error.hpp"
#include "../core/json_text.hpp"
#include "digest.hpp"

namespace fairing::oci {

struct Descriptor {
    std::string media_type = {};
    std::string digest = {};
    std::uint64_t size = 0;  ///< bytes

    [[nodiscard]] Json json() const {
        return {{"mediaType", media_type}, {"digest", digest}, {"size", size}};
    }
    /// Throws Error{input} that names `subject` when a required member is missing or malformed.
    [[nodiscard]] static Descriptor from(const Json& document, const std::string& subject) {
        Descriptor result{.media_type = text_or(document, "mediaType"),
                          .digest = text_or(document, "digest")};
        const bool sized = document.is_object() && document.contains("size") &&
                           document["size"].is_number_integer() && document["size"] >= 0;
        if (result.media_type.empty() || !is_digest(result.digest) || !sized) {
            throw Error{
                ErrorCode::input,
                {.attempted = "read",
                 .subject = subject,
                 .answer = "a descriptor without a valid mediaType, sha256 digest and size"}};
        }
        result.size = document["size"].get<std::uint64_t>();
        return result;
    }
    friend bool operator==(const Descriptor&, const Descriptor&) = default;
};

}  // namespace fairing::oci
