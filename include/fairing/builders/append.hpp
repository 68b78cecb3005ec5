// fairing/builders/append.hpp - an image made by appending layers to a base: no daemon, no
// Dockerfile, no root.
//
// base ─ manifest and config are read, its layers are mounted or copied, never unpacked
// context ─ layer plan ─ one compressed tar per layer ─ pushed beside the base's
//
// What the layer cache knows is not made again, and what the registry has is not sent again.
#pragma once

#include <cstdint>
#include <ctime>
#include <future>
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
#include "base_fit.hpp"
#include "engine_load.hpp"
#include "image_layers.hpp"
#include "layer_compressor.hpp"

namespace fairing {

inline namespace FAIRING_ABI {

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
    LayerCompressor compressor = LayerCompressor::gzip;
    bool load = false;         ///< into a container engine of this machine, and push nothing
    std::string engine = {};   ///< for `load`: what engine::find() takes; empty: Docker's, Podman's

    /// Throws Error: usage for a missing registry, not_found or unsupported for the base or the
    /// compressor, integrity, denied, unavailable for a registry that does not take the image. The
    /// tag never points at half an image.
    [[nodiscard]] Image build(const Context& context, const Session& session) const;
};

}  // inline namespace FAIRING_ABI

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
    field("compressor", &AppendBuilder::compressor, detail::compressors_there),
    field("load", &AppendBuilder::load,
          "put the image into this machine's Docker or Podman instead of a registry"),
    field("engine", &AppendBuilder::engine,
          "socket of Docker or Podman, tcp://HOST:PORT, or context:NAME"),
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
        registry::open_store(base.reference, options, control), base.reference.name(), cache);
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
        summary.additions.push_back({.descriptor = {.media_type = {},  // the base's family
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

/// Empty when nothing is to be remembered.
[[nodiscard]] inline std::filesystem::path cache_directory(const AppendBuilder& builder,
                                                           const Session& session) {
    return !builder.cache                    ? std::filesystem::path{}
           : session.cache_directory.empty() ? packaging::default_cache_directory()
                                             : session.cache_directory;
}

inline namespace FAIRING_ABI {

/// One build. The base is read while the layers are planned, unless the context has to be fitted to
/// it, and its layers are taken over while ours are made.
class AppendRun {
public:
    AppendRun(const AppendBuilder& builder, const Context& context, const Session& session)
        : builder_(builder),
          context_(&context),
          cache_directory_(cache_directory(builder, session)),
          control_(session.control()),
          name_(check_and_name(builder)),
          tag_by_content_(name_.tag.empty()),
          cache_(cache_directory_),
          work_(cache_, make_compressor(builder.compressor, builder.compression), control_) {
        const registry::ClientOptions options =
            registry_options(session, {.insecure = builder.insecure, .ca_file = builder.ca_file});
        if (builder.push) {
            target_ = registry::open_store(name_, options, control_);
        }
        base_reading_ = std::async(std::launch::async, [this, options, session, name = name_] {
            return open_base(
                builder_.base_image.empty() ? default_base_image(session) : builder_.base_image,
                builder_.platform, name, options, cache_, control_);
        });
    }

    [[nodiscard]] Image build() {
        const Stopwatch watch;
        if (!context_->search_paths.empty() || !context_->needs.programs.empty()) {
            fit_context();
        }
        if (work_.suffix() != codec::GzipCompressor::suffix) {
            // Before anything is made and sent: a base of Docker's refuses it.
            wait_for_base();
            static_cast<void>(oci::layer_media_type(base_.image, work_.suffix()));
        }
        work_.plan(context_->files);
        work_.run(
            route(), [this] { take_base(); }, [this] { push_config_early(); });
        compose();
        summary_.figures.build_seconds = watch.seconds();
        if (target_) {
            const Stopwatch push_watch;
            push_documents();
            summary_.figures.push_seconds = push_watch.seconds();
            summary_.figures.requests =
                target_->requests() + (base_.store ? base_.store->requests() : 0);
        }
        cache_.shrink();
        return result();
    }

private:
    [[nodiscard]] LayerRoute route() const {
        LayerRoute route{.target = target_.get()};
        if (name_.kind == oci::ReferenceKind::registry && target_) {
            route.host = name_.api_host();
            route.repository = name_.repository;
        }
        return route;
    }

    void wait_for_base() {
        if (base_reading_.valid()) {
            base_ = base_reading_.get();
        }
    }

    void fit_context() {
        wait_for_base();
        fitted_ = fit_to_base(*context_, base_.image, base_.store.get(), base_.reference.text(),
                              base_.manifest.digest, cache_directory_, control_);
        context_ = &fitted_;
    }

    void take_base() {
        wait_for_base();
        base_layers_ = layers_of(base_.image);
        if (name_.kind == oci::ReferenceKind::registry &&
            base_.reference.kind == oci::ReferenceKind::registry &&
            base_.reference.api_host() == name_.api_host() &&
            base_.reference.repository != name_.repository) {
            work_.mount_from(base_.reference.repository);
        }
        work_.send([this] {
            if (target_) {
                work_.push_base(base_layers_, base_.store.get());
            }
        });
    }
    /// A registry takes blobs in any order, so the config need not wait until the layers are there.
    /// When nothing was made, the tag may well be what it is going to be.
    void push_config_early() {
        if (!target_ || name_.kind != oci::ReferenceKind::registry) {
            return;
        }
        compose();
        parallel_for(work_.all_known() ? 2 : 1, 2, [this](std::size_t part) {
            if (part == 0) {
                push_config();
            } else {
                tagged_ = target_->find_digest(name_.tag);
            }
        });
    }

    /// The image's documents, out of the base and what the layers are.
    void compose() {
        summary_ = summarize(*context_, work_.layers());
        for (oci::NewLayer& layer : summary_.additions) {
            layer.descriptor.media_type = oci::layer_media_type(base_.image, work_.suffix());
        }
        if (tag_by_content_) {
            name_.tag = packaging::context_tag(summary_.context_digest);
        }
        const bool named_base = base_.reference.kind == oci::ReferenceKind::registry;
        image_ = oci::append(base_.image, summary_.additions,
                             {.command = context_->command,
                              .user = "0",
                              .working_directory = context_->working_directory,
                              .environment = context_->environment,
                              .created = created_time(packaging::source_date_epoch()),
                              .base_name = named_base ? base_.reference.text() : "",
                              .base_digest = base_.manifest.digest});
    }

    void push_config() {
        const auto config = oci::Descriptor::from(image_.manifest.at("config"), "the new config");
        const net::Body body = net::Body::of(image_.config.dump());
        if (work_.may_be_there(config.digest)) {
            target_->write_blob(config, body, {});
        } else {
            target_->write_absent_blob(config, body, {});
        }
        config_pushed_ = config.digest;
    }
    /// The blobs are there; now the config, then the manifest, so that the tag never points at half
    /// an image.
    void push_documents() {
        const std::string config = text_or(image_.manifest.at("config"), "digest");
        if (config_pushed_ != config) {
            push_config();
        }
        control_.check("push image");
        const oci::RawManifest manifest = oci::serialize(image_);
        if (tagged_ != manifest.descriptor().digest) {
            target_->write_manifest(manifest, name_.tag);
        }
        work_.remember_push(all_layers(), config);
    }

    [[nodiscard]] std::vector<Layer> all_layers() const {
        std::vector<Layer> layers = base_layers_;
        for (const OwnLayer& own : work_.layers()) {
            layers.push_back(own.layer);
            layers.back().media_type = oci::layer_media_type(base_.image, work_.suffix());
        }
        return layers;
    }

    [[nodiscard]] Image result() {
        std::vector<Layer> layers = all_layers();
        for (const Layer& layer : layers) {
            summary_.figures.bytes_uploaded +=
                layer.transfer == Transfer::uploaded ? layer.size : 0;
        }
        const bool in_layout = name_.kind == oci::ReferenceKind::layout;
        const std::string digest = oci::serialize(image_).descriptor().digest;
        return {.reference = (in_layout                   ? name_.name()
                              : builder_.registry.empty() ? builder_.image_name + ':' + name_.tag
                                                          : name_.text()) +
                             '@' + digest,
                .digest = digest,
                .location = !target_    ? Location::nowhere
                            : in_layout ? Location::layout
                                        : Location::registry,
                .layers = std::move(layers),
                .command = context_->command,
                .environment = context_->environment,
                .working_directory = context_->working_directory,
                .platform = image_.platform().text(),
                .tag = name_.tag,
                .context_digest = summary_.context_digest,
                .figures = summary_.figures};
    }

    const AppendBuilder& builder_;
    const Context* context_;  ///< the caller's, or fitted_
    Context fitted_ = {};
    std::filesystem::path cache_directory_;
    Control control_;
    oci::Reference name_;
    bool tag_by_content_;
    packaging::LayerCache cache_;
    LayerWork work_;
    std::unique_ptr<oci::Store> target_ = {};
    Base base_ = {};
    std::vector<Layer> base_layers_ = {};
    LayerSummary summary_ = {};
    oci::Image image_ = {};
    std::string config_pushed_ = {};       ///< its digest
    std::string tagged_ = {};              ///< the digest that the tag has, where it was asked for
    std::future<Base> base_reading_ = {};  // last: waited for before the rest goes
};

}  // inline namespace FAIRING_ABI

}  // namespace detail

namespace detail {

/// Builds into a layout of its own, and loads that.
[[nodiscard]] inline Image append_and_load(const AppendBuilder& builder, const Context& context,
                                           const Session& session) {
    AppendBuilder named = builder;
    named.push = false;  // a registry is part of the name here
    const oci::Reference name = check_and_name(named);
    if (name.kind != oci::ReferenceKind::registry) {
        throw Error{ErrorCode::usage,
                    {.attempted = "load the image into an engine, and write it to",
                     .subject = builder.registry,
                     .answer = "it goes to one place",
                     .advice = "leave out --load or --registry"}};
    }
    const engine::Address address =
        engine::require(builder.engine, engine::Kind::any, "load an image");
    const engine::Engine engine = connect_engine(session, address);
    const TemporaryDirectory folder;
    const std::filesystem::path layout = folder.path() / "image";
    AppendBuilder into_layout = builder;
    into_layout.load = false;
    into_layout.push = true;
    into_layout.registry = "oci:" + layout.string();
    Image image = AppendRun{into_layout, context, session}.build();
    oci::Layout store{layout};
    return load_into_engine(std::move(image), store, address, engine,
                            builder.registry.empty() ? builder.image_name : name.name(), session);
}

}  // namespace detail

inline Image AppendBuilder::build(const Context& context, const Session& session) const {
    return load ? detail::append_and_load(*this, context, session)
                : detail::AppendRun{*this, context, session}.build();
}

static_assert(Builder<AppendBuilder>);

}  // namespace fairing
