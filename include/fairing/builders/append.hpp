// fairing/builders/append.hpp - an image made by appending layers to a base: no daemon, no
// Dockerfile, no root.
//
// base ─ manifest and config are read, its layers are mounted or copied, never unpacked
// context ─ layer plan ─ one tar+gzip blob per layer ─ pushed beside the base's
#pragma once

#include <chrono>
#include <cstdint>
#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../codec/gzip.hpp"
#include "../core/control.hpp"
#include "../core/parallel.hpp"
#include "../core/process.hpp"
#include "../oci/append.hpp"
#include "../oci/reference.hpp"
#include "../packaging/context.hpp"
#include "../packaging/context_digest.hpp"
#include "../packaging/layer_plan.hpp"
#include "../packaging/layer_writer.hpp"
#include "../packaging/text.hpp"
#include "../registry/open.hpp"
#include "../stage/concepts.hpp"
#include "../stage/fields.hpp"
#include "../stage/registry_access.hpp"
#include "base_fit.hpp"

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
    int compression = 6;       ///< 1 (fast) to 9 (small)

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
    field("compression", &AppendBuilder::compression, "1 (fast) to 9 (small); default: 6"),
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
                                    const Control& control) {
    Base base{.reference = oci::parse_reference(name)};
    if (target.kind == oci::ReferenceKind::registry &&
        target.api_host() != base.reference.api_host()) {
        options.plain_http = registry::PlainHttp::loopback;
    }
    if (base.reference.kind == oci::ReferenceKind::scratch) {
        base.image = oci::scratch(oci::parse_platform(platform));
        return base;
    }
    base.store = registry::open_store(base.reference, options, control);
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

[[nodiscard]] inline double seconds_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// The layers of the finished image, the base's first, and what ours are made of.
struct Layers {
    std::vector<Layer> all = {};
    std::vector<packaging::LayerBlob> blobs = {};  ///< of the last ones in `all`
    std::vector<oci::NewLayer> additions = {};
    std::string context_digest = {};  ///< "sha256:…"
    BuildFigures figures = {};
};

[[nodiscard]] inline Layers make_layers(const Context& context, const oci::Image& base,
                                        const codec::GzipCompressor& compressor,
                                        const Control& control) {
    Layers layers;
    const std::vector<std::string> base_diff_ids = base.diff_ids();
    for (const oci::Descriptor& layer : base.layers()) {
        layers.all.push_back({.digest = layer.digest,
                              .diff_id = base_diff_ids[layers.all.size()],
                              .media_type = layer.media_type,
                              .size = layer.size,
                              .origin = Origin::base});
    }
    packaging::ContextDigest digest;
    for (const packaging::LayerGroup& group : packaging::plan(context.files)) {
        const auto start = std::chrono::steady_clock::now();
        packaging::LayerBlob blob =
            packaging::write_layer(group.files, compressor, {.item = group.name}, control);
        digest.add(group.files, blob.contents);
        layers.all.push_back({.digest = blob.digest,
                              .diff_id = blob.diff_id,
                              .media_type = oci::layer_media_type(base),
                              .size = blob.size,
                              .uncompressed_size = blob.uncompressed_size,
                              .seconds = seconds_since(start)});
        layers.additions.push_back({.descriptor = {.media_type = layers.all.back().media_type,
                                                   .digest = blob.digest,
                                                   .size = blob.size},
                                    .diff_id = blob.diff_id,
                                    .comment = group.name});
        layers.figures.bytes_read += blob.bytes_read;
        layers.figures.bytes_compressed += blob.size;
        layers.blobs.push_back(std::move(blob));
    }
    layers.context_digest = digest.finish(context);
    return layers;
}

/// Makes every blob of `layers` be in `target`: the base's mounted or copied, ours uploaded. Fills
/// in how.
inline void push_layers(Layers& layers, const Base& base, const oci::Reference& target_name,
                        oci::Store& target, const Control& control) {
    constexpr std::size_t uploads_at_once = 4;
    const std::size_t base_layers = layers.all.size() - layers.blobs.size();
    const bool same_host = base.reference.kind == oci::ReferenceKind::registry &&
                           target_name.kind == oci::ReferenceKind::registry &&
                           base.reference.api_host() == target_name.api_host() &&
                           base.reference.repository != target_name.repository;
    const std::string mount_from = same_host ? base.reference.repository : "";
    parallel_for(layers.all.size(), uploads_at_once, [&](std::size_t index) {
        control.check("push image");
        const auto start = std::chrono::steady_clock::now();
        Layer& layer = layers.all[index];
        const oci::Descriptor blob{
            .media_type = layer.media_type, .digest = layer.digest, .size = layer.size};
        net::Body body{.size = blob.size};
        if (index >= base_layers) {
            const packaging::LayerBlob& own = layers.blobs[index - base_layers];
            body.write = [&own](const net::BodySink& sink) { own.file.read(sink); };
            layer.transfer = target.write_blob(blob, body, {});
        } else if (!oci::media_type::is_foreign(layer.media_type)) {
            body.write = [&](const net::BodySink& sink) { base.store->read_blob(blob, sink); };
            layer.transfer = target.write_blob(blob, body, mount_from);
        }
        layer.seconds += seconds_since(start);
    });
    for (const Layer& layer : layers.all) {
        layers.figures.bytes_uploaded += layer.transfer == Transfer::uploaded ? layer.size : 0;
    }
}

/// Blobs first, then the config, then the manifest, so that the tag never points at half an image.
inline void push_image(Layers& layers, const oci::Image& image, const Base& base,
                       const oci::Reference& target_name, const registry::ClientOptions& options,
                       const Control& control) {
    const auto start = std::chrono::steady_clock::now();
    const std::unique_ptr<oci::Store> target = registry::open_store(target_name, options, control);
    push_layers(layers, base, target_name, *target, control);
    target->write_blob(oci::Descriptor::from(image.manifest.at("config"), "the new config"),
                       net::Body::of(image.config.dump()), {});
    control.check("push image");
    target->write_manifest(oci::serialize(image), target_name.tag);
    layers.figures.push_seconds = seconds_since(start);
    layers.figures.requests = target->requests() + (base.store ? base.store->requests() : 0);
}

}  // namespace detail

inline Image AppendBuilder::build(const Context& given, const Session& session) const {
    const auto start = std::chrono::steady_clock::now();
    const Control control = session.control();
    oci::Reference target = detail::check_and_name(*this);
    const registry::ClientOptions options =
        registry_options(session, {.insecure = insecure, .ca_file = ca_file});
    const detail::Base base =
        detail::open_base(base_image.empty() ? detail::default_base_image(session) : base_image,
                          platform, target, options, control);
    const Context context = fit_to_base(given, base.image, base.store.get(), base.reference.text(),
                                        base.manifest.digest, session.cache_directory, control);
    detail::Layers layers =
        detail::make_layers(context, base.image, {.level = compression}, control);
    if (target.tag.empty()) {
        target.tag = packaging::context_tag(layers.context_digest);
    }
    const bool named_base = base.reference.kind == oci::ReferenceKind::registry;
    const oci::Image appended =
        oci::append(base.image, layers.additions,
                    {.command = context.command,
                     .user = "0",
                     .working_directory = context.working_directory,
                     .environment = context.environment,
                     .created = detail::created_time(packaging::source_date_epoch()),
                     .base_name = named_base ? base.reference.text() : "",
                     .base_digest = base.manifest.digest});
    layers.figures.build_seconds = detail::seconds_since(start);
    if (push) {
        detail::push_image(layers, appended, base, target, options, control);
    }
    const bool in_layout = target.kind == oci::ReferenceKind::layout;
    const std::string digest = oci::serialize(appended).descriptor().digest;
    return {.reference = (in_layout          ? target.name()
                          : registry.empty() ? image_name + ':' + target.tag
                                             : target.text()) +
                         '@' + digest,
            .digest = digest,
            .location = !push       ? Location::nowhere
                        : in_layout ? Location::layout
                                    : Location::registry,
            .layers = std::move(layers.all),
            .command = context.command,
            .environment = context.environment,
            .working_directory = context.working_directory,
            .platform = appended.platform().text(),
            .tag = target.tag,
            .context_digest = layers.context_digest,
            .figures = layers.figures};
}

static_assert(Builder<AppendBuilder>);

}  // namespace fairing
