// fairing/builders/dockerfile_context.hpp - what a builder hands to somebody who builds by
// Dockerfiles: the text, given or generated, and the context as it goes onto the base.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "../codec/sha256.hpp"
#include "../core/error.hpp"
#include "../core/files.hpp"
#include "../oci/image.hpp"
#include "../oci/platform.hpp"
#include "../oci/reference.hpp"
#include "../packaging/context.hpp"
#include "../packaging/context_digest.hpp"
#include "../stage/registry_access.hpp"
#include "../stage/session.hpp"
#include "append.hpp"
#include "base_fit.hpp"
#include "dockerfile.hpp"

namespace fairing::detail {

/// The options of such builders that say what to build.
struct DockerfileOptions {
    std::string base_image = {};       ///< empty: default_base_image()
    std::string dockerfile_path = {};  ///< empty: it is generated
    std::string platform = {};
    bool insecure = false;
};

struct PreparedDockerfile {
    Context context = {};
    std::string dockerfile = {};
    bool generated = true;
};

/// A program of ours is checked against its base, which is read for that alone.
[[nodiscard]] inline Context fit_to_named_base(const Context& context,
                                               const oci::Reference& reference,
                                               const DockerfileOptions& options,
                                               const Session& session) {
    if (context.needs.programs.empty() || reference.kind == oci::ReferenceKind::scratch) {
        return context;
    }
    const std::unique_ptr<oci::Store> store =
        open_store(reference, session, {.insecure = options.insecure});
    const oci::StoredImage base = oci::load_image(
        *store, reference.wanted(), oci::parse_platform(options.platform), reference.text());
    return fit_to_base(context, base.image, store.get(), reference.text(), base.manifest.digest,
                       session.cache_directory, session.control());
}

/// Throws Error: unsupported for a base that is in no registry and for what can not be written to
/// a Dockerfile, not_found for one that is not there.
[[nodiscard]] inline PreparedDockerfile prepare_dockerfile(const DockerfileOptions& options,
                                                           const Context& context,
                                                           const Session& session) {
    if (!options.dockerfile_path.empty()) {
        return {.context = context,
                .dockerfile = read_file(options.dockerfile_path, std::size_t{1} << 20),
                .generated = false};
    }
    const std::string base =
        options.base_image.empty() ? default_base_image(session) : options.base_image;
    const oci::Reference reference = oci::parse_reference(base);
    if (reference.kind != oci::ReferenceKind::registry &&
        reference.kind != oci::ReferenceKind::scratch) {
        throw Error{ErrorCode::unsupported,
                    {.attempted = "build by a Dockerfile on",
                     .subject = base,
                     .answer = "its base comes from a registry",
                     .advice = "push it to one, or use --builder append"}};
    }
    PreparedDockerfile prepared{.context = fit_to_named_base(context, reference, options, session)};
    prepared.dockerfile = dockerfile::generate(prepared.context, base);
    return prepared;
}

/// The tag of an image by its content: of a generated Dockerfile it is the context's, as with every
/// builder; one of the user's is a part of what the image is.
[[nodiscard]] inline std::string image_tag(const PreparedDockerfile& prepared,
                                           const std::string& context_digest) {
    return prepared.generated
               ? packaging::context_tag(context_digest)
               : codec::sha256_hex(std::string_view{context_digest + '\n' + prepared.dockerfile})
                     .substr(0, 12);
}

}  // namespace fairing::detail
