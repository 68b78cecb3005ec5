// fairing/builders/append.hpp - an image made by appending layers to a base: no daemon, no
// Dockerfile, no root.
//
// base ─ manifest and config are read, its layers are mounted or copied, never unpacked
// context ─ layer plan ─ one tar+gzip blob per layer ─ pushed beside the base's
//
// What the layer cache knows is not made again, and what the registry has is not sent again.
#pragma once

#include <cstdint>
#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../core/control.hpp"
#include "../core/parallel.hpp"
#include "../core/process.hpp"
#include "../oci/append.hpp"
#include "../oci/reference.hpp"
#include "../packaging/cached_store.hpp"
#include "../packaging/context.hpp"
#include "../packaging/context_digest.hpp"
#include "../packaging/layer_cache.hpp"
#include "../packaging/text.hpp"
#include "../registry/open.hpp"
#include "../stage/concepts.hpp"
#include "../stage/fields.hpp"
#include "../stage/registry_access.hpp"
#include "image_layers.hpp"

namespace fairing {

/// Appends the context to `base_image` and pushes the result. An image layout ("oci:DIR") is as
/// good as a registry, for the base and for the target.
struct AppendBuilder {
    std::string base_image = {};  ///< empty: python:<minor version of the host's python3>-slim
    std::string registry = {};    ///< "registry.example:5000/team" or "oci:DIR"
    std::string image_name = "fairing-job";
    std::string tag = {};       ///< empty: the first 12 digits of the context's digest
    std::string platform = {};  ///< of an index; empty: linux on this machine's architecture
    bool push = true;
    bool insecure =
        false;  ///< plain http, or https with any certificate, for `registry` and the base's
    std::string ca_file = {};  ///< PEM file of the certificate authorities to trust
    int compression = 1;       ///< 1 (fast) to 9 (small)
    bool cache = true;         ///< use session.cache_directory, or default_cache_directory()

    /// Throws Error: usage for a missing registry, not_found or unsupported for the base,
    /// integrity, denied, unavailable for a registry that does not take the image. The tag never
    /// points at half an image.
    [[nodiscard]] Image build(const Context& context, const Session& session) const;
};

template <>
inline constexpr auto fields<AppendBuilder> = std::tuple{
    field("base_image", &AppendBuilder::base_image,
          "image to append to, oci:DIR, or scratch (default: python:<yours>-slim)"),
    field("registry", &AppendBuilder::registry,
          "where the image goes: HOST[:PORT]/PATH, or oci:DIR for a directory"),
    field("image_name", &AppendBuilder::image_name,
          "name below the registry (default: fairing-job)"),
    field("tag", &AppendBuilder::tag, "tag of the image (default: from its content)"),
    field("platform", &AppendBuilder::platform,
          "which image of a multi-platform base: OS/ARCHITECTURE[/VARIANT]"),
    field("push", &AppendBuilder::push, "build, but send nothing"),
    field("insecure", &AppendBuilder::insecure,
          "speak plain http to the registry (those of this machine always may)"),
    field("ca_file", &AppendBuilder::ca_file, "PEM file of the certificate authorities to trust"),
    field("compression", &AppendBuilder::compression, "1 (fast) to 9 (small); default: 1"),
    field("cache", &AppendBuilder::cache, "make every layer anew, and remember none"),
};

namespace detail {

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

/// The base as documents, and where its layers are.
struct Base {
    oci::Reference reference = {};
    oci::Image image = {};
    oci::Descriptor manifest = {};
    std::unique_ptr<oci::Store> store = {};  ///< null for scratch
};

/// `insecure` is meant for the target's registry: a base of another one is not read in the clear.
[[nodiscard]] inline Base open_base(const std::string& name, const std::string& platform,
                                    const oci::Reference& target, registry::ClientOptions options,
                                    const packaging::LayerCache& cache, const Control& control) {
    Base base{.reference = oci::parse_reference(name)};
    if (target.kind == oci::ReferenceKind::registry &&
        target.api_host() != base.reference.api_host()) {
        options.plain_http = registry::PlainHttp::loopback;
    }
    if (base.reference.kind == oci::ReferenceKind::scratch) {
        base.image = oci::scratch(oci::parse_platform(platform));
        return base;
    }
    base.store = std::make_unique<packaging::CachedStore>(
        registry::open_store(base.reference, options, control), cache);
    oci::StoredImage stored =
        oci::load_image(*base.store, base.reference.wanted(), oci::parse_platform(platform), name);
    base.image = std::move(stored.image);
    base.manifest = std::move(stored.manifest);
    if (!platform.empty() && !oci::parse_platform(platform).accepts(base.image.platform())) {
        throw Error{ErrorCode::unsupported,
                    {.attempted = "use base image",
                     .subject = name,
                     .answer = "it is for " + base.image.platform().text() + ", not " + platform}};
    }
    return base;
}

/// The target: "registry/image_name", or the layout itself.
[[nodiscard]] inline oci::Reference check_and_name(const AppendBuilder& builder) {
    if (builder.registry.empty() && builder.push) {
        throw Error{ErrorCode::usage,
                    {.attempted = "push the image",
                     .answer = "no registry is given",
                     .advice = "name one with --registry HOST/PATH, or a directory with "
                               "--registry oci:DIR, or build with --no-push"}};
    }
    if (!oci::is_repository(builder.image_name)) {
        throw Error{ErrorCode::usage,
                    {.attempted = "use image name",
                     .subject = '"' + packaging::escaped(builder.image_name) + '"',
                     .answer = "not of lower-case letters, digits and single separators"}};
    }
    oci::Reference target = oci::parse_reference(
        builder.registry.starts_with("oci:") ? builder.registry
        : builder.registry.empty()           ? "localhost/" + builder.image_name
                                             : builder.registry + '/' + builder.image_name);
    if (builder.compression < 1 || builder.compression > 9) {
        throw Error{ErrorCode::usage,
                    {.attempted = "use compression level",
                     .subject = std::to_string(builder.compression),
                     .answer = "it goes from 1 (fast) to 9 (small)"}};
    }
    if (!builder.tag.empty() && !oci::is_tag(builder.tag)) {
        throw Error{ErrorCode::usage,
                    {.attempted = "use tag",
                     .subject = '"' + packaging::escaped(builder.tag) + '"',
                     .answer = "not of the form [A-Za-z0-9_][A-Za-z0-9._-]{0,127}"}};
    }
    if (!target.digest.empty() ||
        (!builder.tag.empty() && !target.tag.empty() && builder.registry.starts_with("oci:"))) {
        throw Error{ErrorCode::usage,
                    {.attempted = "use registry",
                     .subject = builder.registry,
                     .answer = "it names a digest, or a second tag"}};
    }
    if (!builder.registry.starts_with("oci:") || !builder.tag.empty()) {
        target.tag = builder.tag;  // what parse_reference() adds is "latest"
    }
    return target;
}

/// RFC 3339 in UTC of SOURCE_DATE_EPOCH, which is 0 unless set (reproducible-builds.org).
[[nodiscard]] inline std::string created_time(std::int64_t seconds) {
    const auto time = static_cast<std::time_t>(seconds);
    std::tm parts{};
    ::gmtime_r(&time, &parts);
    char text[32];
    return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

[[nodiscard]] inline std::vector<Layer> layers_of(const oci::Image& base) {
    std::vector<Layer> layers;
    const std::vector<std::string> diff_ids = base.diff_ids();
    for (const oci::Descriptor& layer : base.layers()) {
        layers.push_back({.digest = layer.digest,
                          .diff_id = diff_ids[layers.size()],
                          .media_type = layer.media_type,
                          .size = layer.size,
                          .origin = Origin::base});
    }
    return layers;
}

[[nodiscard]] inline LayerRoute route_between(const Base& base, const oci::Reference& name,
                                              oci::Store* target) {
    LayerRoute route{.target = target, .base = base.store.get()};
    if (name.kind == oci::ReferenceKind::registry && target != nullptr) {
        route.target_host = name.api_host();
        route.target_repository = name.repository;
        const bool mountable = base.reference.kind == oci::ReferenceKind::registry &&
                               base.reference.api_host() == name.api_host() &&
                               base.reference.repository != name.repository;
        route.base_repository = mountable ? base.reference.repository : "";
    }
    return route;
}

/// What `layers` cost, and what they say about the context.
struct LayerSummary {
    std::vector<oci::NewLayer> additions = {};
    std::string context_digest = {};  ///< "sha256:…"
    BuildFigures figures = {};
};

[[nodiscard]] inline LayerSummary summarize(const Context& context,
                                            const std::vector<OwnLayer>& layers) {
    LayerSummary summary;
    packaging::ContextDigest digest;
    for (const OwnLayer& own : layers) {
        digest.add(own.group.files, own.contents);
        summary.additions.push_back({.descriptor = {.media_type = own.layer.media_type,
                                                    .digest = own.layer.digest,
                                                    .size = own.layer.size},
                                     .diff_id = own.layer.diff_id,
                                     .comment = own.group.name});
        summary.figures.bytes_read += own.bytes_read;
        summary.figures.bytes_compressed += own.bytes_compressed;
    }
    summary.context_digest = digest.finish(context);
    return summary;
}

/// The blobs are there; now the config, then the manifest, so that the tag never points at half an
/// image.
inline void push_documents(const oci::Image& image, oci::Store& target, const std::string& tag,
                           const Control& control) {
    target.write_blob(oci::Descriptor::from(image.manifest.at("config"), "the new config"),
                      net::Body::of(image.config.dump()), {});
    control.check("push image");
    target.write_manifest(oci::serialize(image), tag);
}

[[nodiscard]] inline packaging::LayerCache open_cache(const AppendBuilder& builder,
                                                      const Session& session) {
    if (!builder.cache) {
        return packaging::LayerCache{};
    }
    return packaging::LayerCache{session.cache_directory.empty()
                                     ? packaging::default_cache_directory()
                                     : session.cache_directory};
}

}  // namespace detail

inline Image AppendBuilder::build(const Context& context, const Session& session) const {
    const detail::Stopwatch watch;
    const Control control = session.control();
    oci::Reference target_name = detail::check_and_name(*this);
    const registry::ClientOptions options =
        registry_options(session, {.insecure = insecure, .ca_file = ca_file});
    const packaging::LayerCache known = detail::open_cache(*this, session);
    detail::LayerWork work{known, compression, control};
    detail::Base base;
    parallel_for(2, 2, [&](std::size_t part) {  // neither needs the other
        if (part == 0) {
            base = detail::open_base(
                base_image.empty() ? detail::default_base_image(session) : base_image, platform,
                target_name, options, known, control);
        } else {
            work.plan(context.files);
        }
    });
    const std::unique_ptr<oci::Store> target =
        push ? registry::open_store(target_name, options, control) : nullptr;
    std::vector<Layer> layers = detail::layers_of(base.image);
    work.run(layers, oci::layer_media_type(base.image),
             detail::route_between(base, target_name, target.get()));
    detail::LayerSummary summary = detail::summarize(context, work.layers());
    for (const detail::OwnLayer& own : work.layers()) {
        layers.push_back(own.layer);
    }
    for (const Layer& layer : layers) {
        summary.figures.bytes_uploaded += layer.transfer == Transfer::uploaded ? layer.size : 0;
    }
    if (target_name.tag.empty()) {
        target_name.tag = packaging::context_tag(summary.context_digest);
    }
    const bool named_base = base.reference.kind == oci::ReferenceKind::registry;
    const oci::Image appended =
        oci::append(base.image, summary.additions,
                    {.command = context.command,
                     .user = "0",
                     .working_directory = context.working_directory,
                     .environment = context.environment,
                     .created = detail::created_time(packaging::source_date_epoch()),
                     .base_name = named_base ? base.reference.text() : "",
                     .base_digest = base.manifest.digest});
    summary.figures.build_seconds = watch.seconds();
    if (push) {
        const detail::Stopwatch push_watch;
        detail::push_documents(appended, *target, target_name.tag, control);
        work.remember_push();
        summary.figures.push_seconds = push_watch.seconds();
        summary.figures.requests = target->requests() + (base.store ? base.store->requests() : 0);
    }
    known.shrink();
    const bool in_layout = target_name.kind == oci::ReferenceKind::layout;
    const std::string digest = oci::serialize(appended).descriptor().digest;
    return {.reference = (in_layout          ? target_name.name()
                          : registry.empty() ? image_name + ':' + target_name.tag
                                             : target_name.text()) +
                         '@' + digest,
            .digest = digest,
            .location = !push       ? Location::nowhere
                        : in_layout ? Location::layout
                                    : Location::registry,
            .layers = std::move(layers),
            .command = context.command,
            .environment = context.environment,
            .working_directory = context.working_directory,
            .platform = appended.platform().text(),
            .tag = target_name.tag,
            .context_digest = summary.context_digest,
            .figures = summary.figures};
}

static_assert(Builder<AppendBuilder>);

}  // namespace fairing
