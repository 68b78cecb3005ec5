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
        // Numbers are compared as such: comparing a Json with an int costs a second to compile.
        const Json size = document.is_object() ? document.value("size", Json()) : Json();
        const bool sized = size.is_number_integer() && size.get<std::int64_t>() >= 0;
        if (result.media_type.empty() || !is_digest(result.digest) || !sized) {
            throw Error{
                ErrorCode::input,
                {.attempted = "read",
                 .subject = subject,
                 .answer = "a descriptor without a valid mediaType, sha256 digest and size"}};
        }
        result.size = size.get<std::uint64_t>();
        return result;
    }
    friend bool operator==(const Descriptor&, const Descriptor&) = default;
};

}  // namespace fairing::oci
