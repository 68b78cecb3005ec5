// fairing/builders/target.hpp - where a builder's image goes, and what it is called there.
#pragma once

#include <string>

#include "../core/error.hpp"
#include "../oci/reference.hpp"
#include "../packaging/text.hpp"

namespace fairing::detail {

/// What all builders have in common.
struct TargetOptions {
    std::string registry = {};  ///< HOST[:PORT]/PATH, oci:DIR, docker-archive:FILE; empty: none
    std::string image_name = {};
    std::string tag = {};
    bool push = true;
};

/// "registry/image_name", or the layout or archive itself; without a tag where the content gives
/// it. Throws Error{usage} for what names nothing.
[[nodiscard]] inline oci::Reference name_target(const TargetOptions& options) {
    if (options.registry.empty() && options.push) {
        throw Error{ErrorCode::usage,
                    {.attempted = "push the image",
                     .answer = "no registry is given",
                     .advice = "name one with --registry HOST/PATH, or a directory with "
                               "--registry oci:DIR, or build with --no-push"}};
    }
    if (!oci::is_repository(options.image_name)) {
        throw Error{ErrorCode::usage,
                    {.attempted = "use image name",
                     .subject = '"' + packaging::escaped(options.image_name) + '"',
                     .answer = "not of lower-case letters, digits and single separators"}};
    }
    oci::Reference target = oci::parse_reference(
        oci::is_local_reference(options.registry) ? options.registry
        : options.registry.empty()                ? "localhost/" + options.image_name
                                                  : options.registry + '/' + options.image_name);
    if (!options.tag.empty() && !oci::is_tag(options.tag)) {
        throw Error{ErrorCode::usage,
                    {.attempted = "use tag",
                     .subject = '"' + packaging::escaped(options.tag) + '"',
                     .answer = "not of the form [A-Za-z0-9_][A-Za-z0-9._-]{0,127}"}};
    }
    if (!target.digest.empty() || (!options.tag.empty() && !target.tag.empty() &&
                                   oci::is_local_reference(options.registry))) {
        throw Error{ErrorCode::usage,
                    {.attempted = "use registry",
                     .subject = options.registry,
                     .answer = "it names a digest, or a second tag"}};
    }
    if (!oci::is_local_reference(options.registry) || !options.tag.empty()) {
        target.tag = options.tag;  // what parse_reference() adds is "latest"
    }
    return target;
}

}  // namespace fairing::detail
