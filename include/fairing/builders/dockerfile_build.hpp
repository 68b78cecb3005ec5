// fairing/builders/dockerfile_build.hpp - what a builder begins with that leaves the building to
// somebody else: the Dockerfile, and the context fitted to its base.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "../codec/sha256.hpp"
#include "../core/error.hpp"
#include "../core/files.hpp"
#include "../oci/image.hpp"
#include "../oci/platform.hpp"
#include "../oci/reference.hpp"
#include "../packaging/context.hpp"
#include "../packaging/context_tar.hpp"
#include "../stage/image.hpp"
#include "../stage/registry_access.hpp"
#include "base_fit.hpp"
#include "base_image.hpp"
#include "dockerfile.hpp"

namespace fairing::detail {

/// What such builders have in common.
struct DockerfileOptions {
    std::string base_image = {};       ///< empty: default_base_image()
    std::string dockerfile_path = {};  ///< empty: it is generated
    std::string executable_path_prefix = {};
    std::string platform = {};
    std::vector<std::string> arguments = {};  ///< more, for who builds
    RegistryAccess access = {};
};

struct DockerfileBuild {
    Context context = {};
    std::string text = {};  ///< of the Dockerfile
};

/// A program of ours is checked against its base, when that can be read here.
[[nodiscard]] inline Context fitted_context(const DockerfileOptions& options, Context context,
                                            const oci::Reference& base, const Session& session) {
    if (context.needs.programs.empty() || base.kind == oci::ReferenceKind::scratch) {
        return context;
    }
    const std::unique_ptr<oci::Store> store = open_store(base, session, options.access);
    const oci::StoredImage stored =
        oci::load_image(*store, base.wanted(), oci::parse_platform(options.platform), base.text());
    return fit_to_base(std::move(context), stored.image, store.get(), base.text(),
                       stored.manifest.digest, session.cache_directory, session.control());
}

/// Throws Error{unsupported} for a base that is in no registry, and for what can not be written to
/// a Dockerfile.
[[nodiscard]] inline DockerfileBuild plan_dockerfile(const DockerfileOptions& options,
                                                     Context context, const Session& session) {
    if (!options.dockerfile_path.empty()) {
        return {std::move(context), read_file(options.dockerfile_path, std::size_t{1} << 20)};
    }
    const std::string name =
        options.base_image.empty() ? default_base_image(session) : options.base_image;
    const oci::Reference base = oci::parse_reference(name);
    if (base.kind != oci::ReferenceKind::registry && base.kind != oci::ReferenceKind::scratch) {
        throw Error{ErrorCode::unsupported,
                    {.attempted = "build on",
                     .subject = name,
                     .answer = "whoever builds by a Dockerfile takes its bases from registries",
                     .advice = "push it to one, or use --builder append"}};
    }
    if (!options.executable_path_prefix.empty()) {
        std::string& path = context.search_paths["PATH"];
        path = options.executable_path_prefix + (path.empty() ? "" : ":") + path;
    }
    DockerfileBuild build{.context = fitted_context(options, std::move(context), base, session)};
    build.text = dockerfile::generate(build.context, name);
    return build;
}

/// The tag by content: by all that makes the image, but for who builds it. The base's name and what
/// the environment adds are in the Dockerfile's text.
[[nodiscard]] inline std::string dockerfile_tag(const DockerfileOptions& options,
                                                const std::string& context_digest,
                                                const std::string& text) {
    std::vector<std::string> parts = {text, options.platform};
    parts.insert(parts.end(), options.arguments.begin(), options.arguments.end());
    std::string all = context_digest;
    for (const std::string& part : parts) {
        all += '\n' + std::to_string(part.size()) + ':' + part;
    }
    return codec::sha256_hex(all).substr(0, 12);
}

/// What a build would give, by its tag, since nobody knows its digest yet. Reads the files, and the
/// base where plan_dockerfile() does. `target` is without a tag where the content gives it.
[[nodiscard]] inline Image foresee_image(const DockerfileOptions& options, oci::Reference target,
                                         const Context& context, const Session& session) {
    const DockerfileBuild plan = plan_dockerfile(options, context, session);
    packaging::ContextTar tar{plan.context, {}, session.control()};
    tar.write([](std::span<const std::byte>) {});
    if (target.tag.empty()) {
        target.tag = dockerfile_tag(options, tar.digest(), plan.text);
    }
    return {.reference = target.text(),
            .location = Location::nowhere,
            .command = plan.context.command,
            .environment = plan.context.environment,
            .working_directory = plan.context.working_directory,
            .platform = options.platform,
            .tag = target.tag,
            .context_digest = tar.digest()};
}

}  // namespace fairing::detail
