// fairing/builders/base_image.hpp - the image that another one is built on: which it is, its
// documents, and where its layers are.
#pragma once

#include <cstddef>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "../core/control.hpp"
#include "../core/error.hpp"
#include "../core/process.hpp"
#include "../oci/append.hpp"
#include "../oci/platform.hpp"
#include "../oci/platforms.hpp"
#include "../oci/reference.hpp"
#include "../oci/store.hpp"
#include "../packaging/cached_store.hpp"
#include "../packaging/layer_cache.hpp"
#include "../registry/open.hpp"
#include "../stage/image.hpp"
#include "../stage/registry_access.hpp"
#include "../stage/session.hpp"

namespace fairing::detail {

/// "python:3.11-slim" for a host whose python3 is 3.11, so that what runs here runs there.
[[nodiscard]] inline std::string default_base_image(const Session& session) {
    std::string version;
    if (find_program("python3")) {
        version = run({.arguments = {"python3", "-c",
                                     "import sys; print('%d.%d' % sys.version_info[:2], end='')"}},
                      {}, session.stop)
                      .output;
    }
    if (version.empty() || !oci::is_tag(version)) {
        throw Error{ErrorCode::usage,
                    {.attempted = "choose a base image",
                     .answer = "there is no python3 here whose version it could have",
                     .advice = "name one with --base-image"}};
    }
    return "python:" + version + "-slim";
}

/// Which base, and which of its images.
struct BaseOptions {
    std::string image = {};     ///< empty: default_base_image()
    std::string platform = {};  ///< of an index; empty: linux on this machine's architecture
    bool all_platforms = false;
    std::string ca_file = {};
};

/// The base as documents, and where its layers are.
struct Base {
    oci::Reference reference = {};
    oci::StoredIndex index = {};             ///< without a document when the base is one image
    std::unique_ptr<oci::Store> store = {};  ///< null for scratch

    [[nodiscard]] const std::vector<oci::StoredImage>& images() const { return index.images; }
};

[[nodiscard]] inline oci::StoredImage load_one(oci::Store& store, const oci::Reference& reference,
                                               const std::string& platform) {
    const std::string name = reference.text();
    oci::StoredImage stored =
        oci::load_image(store, reference.wanted(), oci::parse_platform(platform), name);
    if (!platform.empty() && !oci::parse_platform(platform).accepts(stored.image.platform())) {
        throw Error{
            ErrorCode::unsupported,
            {.attempted = "use base image",
             .subject = name,
             .answer = "it is for " + stored.image.platform().text() + ", not " + platform}};
    }
    return stored;
}

/// `target_options` are for the target's registry: a base of another one is not read in the clear
/// because of them.
[[nodiscard]] inline Base open_base(const BaseOptions& options, const oci::Reference& target,
                                    const registry::ClientOptions& target_options,
                                    const Session& session, const packaging::LayerCache& cache) {
    Base base{.reference = oci::parse_reference(options.image.empty() ? default_base_image(session)
                                                                      : options.image)};
    if (base.reference.kind == oci::ReferenceKind::scratch) {
        if (options.all_platforms) {
            throw Error{ErrorCode::usage,
                        {.attempted = "use all platforms of",
                         .subject = "scratch",
                         .answer = "it is of no platform",
                         .advice = "name one with --platform"}};
        }
        base.index.images.push_back({.image = oci::scratch(oci::parse_platform(options.platform))});
        return base;
    }
    const bool same_registry = target.kind == oci::ReferenceKind::registry &&
                               target.api_host() == base.reference.api_host();
    const registry::ClientOptions own_options =
        same_registry
            ? target_options
            : registry_options(session, {.ca_file = options.ca_file}, base.reference.host);
    const Control control = session.control();
    base.store = std::make_unique<packaging::CachedStore>(
        through_mirrors(base.reference, registry::open_store(base.reference, own_options, control),
                        session),
        base.reference.name(), cache);
    if (!options.all_platforms) {
        base.index.images.push_back(load_one(*base.store, base.reference, options.platform));
        return base;
    }
    base.index = oci::load_index(*base.store, base.reference.wanted(), base.reference.text());
    for (const std::string& platform : base.index.left_out) {
        control.say(Level::info, "left out of the index: " + platform + ", which is not Linux");
    }
    return base;
}

/// Of all images, what several have in common once.
[[nodiscard]] inline std::vector<Layer> layers_of(const std::vector<oci::StoredImage>& bases) {
    std::vector<Layer> layers;
    std::set<std::string> seen;
    for (const oci::StoredImage& base : bases) {
        const std::vector<std::string> diff_ids = base.image.diff_ids();
        const std::vector<oci::Descriptor> own = base.image.layers();
        for (std::size_t i = 0; i < own.size(); ++i) {
            if (!seen.contains(own[i].digest)) {
                layers.push_back({.digest = own[i].digest,
                                  .diff_id = diff_ids[i],
                                  .media_type = own[i].media_type,
                                  .size = own[i].size,
                                  .origin = Origin::base});
            }
        }
        for (const oci::Descriptor& layer : own) {
            seen.insert(layer.digest);
        }
    }
    return layers;
}

}  // namespace fairing::detail
