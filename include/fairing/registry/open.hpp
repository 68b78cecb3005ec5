// fairing/registry/open.hpp - the store that a reference names: a registry's repository, an image
// layout or an archive.
#pragma once

#include <memory>
#include <utility>

#include "../core/control.hpp"
#include "../core/error.hpp"
#include "../oci/archive.hpp"
#include "../oci/layout.hpp"
#include "../oci/reference.hpp"
#include "client.hpp"

namespace fairing::registry {

/// Throws Error{usage} for `scratch`, which holds nothing.
[[nodiscard]] inline std::unique_ptr<oci::Store> open_store(const oci::Reference& reference,
                                                            const ClientOptions& options,
                                                            const Control& control) {
    switch (reference.kind) {
        case oci::ReferenceKind::registry:
            return std::make_unique<Client>(reference, options, control);
        case oci::ReferenceKind::layout:
            return std::make_unique<oci::Layout>(reference.repository);
        case oci::ReferenceKind::archive:
            return std::make_unique<oci::Archive>(reference.repository);
        case oci::ReferenceKind::scratch:
            break;
    }
    throw Error{ErrorCode::usage,
                {.attempted = "open", .subject = "scratch", .answer = "it names no image"}};
}

}  // namespace fairing::registry
