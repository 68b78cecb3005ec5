// fairing/builders/append.hpp - an image made by appending layers to a base: no daemon, no
// Dockerfile, no root.
//
// base ─ manifest and config are read, its layers are mounted or copied, never unpacked
// context ─ layer plan ─ one compressed tar per layer ─ pushed beside the base's
//
// What the layer cache knows is not made again, and what the registry has is not sent again.
#pragma once

#include <future>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "../core/control.hpp"
#include "../core/parallel.hpp"
#include "../core/stopwatch.hpp"
#include "../oci/append.hpp"
#include "../oci/platforms.hpp"
#include "../oci/reference.hpp"
#include "../packaging/context.hpp"
#include "../packaging/layer_cache.hpp"
#include "../registry/lost_blobs.hpp"
#include "../registry/open.hpp"
#include "../stage/concepts.hpp"
#include "../stage/fields.hpp"
#include "../stage/registry_access.hpp"
#include "append/appended_image.hpp"
#include "append/engine_load.hpp"
#include "append/image_layers.hpp"
#include "append/layer_compressor.hpp"
#include "base_fit.hpp"
#include "base_image.hpp"
#include "target.hpp"

namespace fairing {

inline namespace FAIRING_ABI {

/// Appends the context to `base_image` and pushes the result. An image layout ("oci:DIR") or an
/// archive ("docker-archive:FILE") is as good as a registry, for the base and for the target.
struct AppendBuilder {
    std::string base_image = {};  ///< empty: python:<minor version of the host's python3>-slim
    std::string registry =
        {};  ///< "registry.example:5000/team" or "oci:DIR" or "docker-archive:FILE"
    std::string image_name = "fairing-job";
    std::string tag = {};        ///< empty: the first 12 digits of the context's digest
    std::string platform = {};   ///< of an index; empty: linux on this machine's architecture
    bool all_platforms = false;  ///< append to each Linux image of the base's index
    bool push = true;
    bool insecure =
        false;  ///< plain http, or https with any certificate, for `registry` and the base's
    std::string ca_file = {};  ///< PEM file of the certificate authorities to trust
    int compression = 1;       ///< 1 (fast) to 9 (small)
    bool cache = true;         ///< use session.cache_directory, or default_cache_directory()
    LayerCompressor compressor = LayerCompressor::gzip;
    registry::Upload upload = registry::Upload::automatic;
    bool load = false;        ///< into a container engine of this machine, and push nothing
    std::string engine = {};  ///< for `load`: what engine::find() takes; empty: Docker's, Podman's

    /// Throws Error: usage for a missing registry, not_found or unsupported for the base or the
    /// compressor, integrity, denied, unavailable for a registry that does not take the image. The
    /// tag never points at half an image. With `all_platforms` the image is an index, and a file
    /// of the context that is a program for one processor is unsupported.
    [[nodiscard]] Image build(const Context& context, const Session& session) const;
};

}  // inline namespace FAIRING_ABI

template <>
inline constexpr auto fields<AppendBuilder> = std::tuple{
    field("base_image", &AppendBuilder::base_image,
          "image to build on: of a registry, oci:DIR or docker-archive:FILE (append only), or "
          "scratch (default: python:<yours>-slim)"),
    field("registry", &AppendBuilder::registry,
          "where the image goes: HOST[:PORT]/PATH; with append also oci:DIR, a directory, or "
          "docker-archive:FILE, which docker load takes"),
    field("image_name", &AppendBuilder::image_name,
          "name below the registry (default: fairing-job)"),
    field("tag", &AppendBuilder::tag, "tag of the image (default: from its content)"),
    field("platform", &AppendBuilder::platform, "what to build for: OS/ARCHITECTURE[/VARIANT]"),
    field("all_platforms", &AppendBuilder::all_platforms,
          "append to every Linux image of a multi-platform base, and push an index"),
    field("push", &AppendBuilder::push, "build, but send nothing"),
    field("insecure", &AppendBuilder::insecure,
          "speak plain http to the registry (those of this machine always may)"),
    field("ca_file", &AppendBuilder::ca_file, "PEM file of the certificate authorities to trust"),
    field("compression", &AppendBuilder::compression, "1 (fast) to 9 (small); default: 1"),
    field("cache", &AppendBuilder::cache, "make every layer anew, and remember none"),
    field("compressor", &AppendBuilder::compressor, detail::compressors_there),
    field("upload", &AppendBuilder::upload,
          "how blobs are sent: while they are made, in one piece when they are, or in chunks"),
    field("load", &AppendBuilder::load,
          "put the image into this machine's Docker or Podman instead of a registry"),
    field("engine", &AppendBuilder::engine,
          "socket of Docker or Podman, tcp://HOST:PORT, or context:NAME"),
};

namespace detail {

/// Throws Error{usage} for what contradicts itself.
[[nodiscard]] inline oci::Reference check_and_name(const AppendBuilder& builder) {
    oci::Reference target = name_target({.registry = builder.registry,
                                         .image_name = builder.image_name,
                                         .tag = builder.tag,
                                         .push = builder.push});
    if (builder.compression < 1 || builder.compression > 9) {
        throw Error{ErrorCode::usage,
                    {.attempted = "use compression level",
                     .subject = std::to_string(builder.compression),
                     .answer = "it goes from 1 (fast) to 9 (small)"}};
    }
    const bool to_archive = target.kind == oci::ReferenceKind::archive;
    if (builder.all_platforms && (to_archive || !builder.platform.empty())) {
        throw Error{ErrorCode::usage,
                    {.attempted = "use --all-platforms",
                     .answer = to_archive ? "a docker-archive holds the image of one platform"
                                          : "--platform chooses one",
                     .advice = to_archive ? "choose one with --platform, or write to oci:DIR"
                                          : "leave out one of the two"}};
    }
    return target;
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
        const registry::ClientOptions options = registry_options(
            session,
            {.insecure = builder.insecure, .ca_file = builder.ca_file, .upload = builder.upload},
            name_.host);
        if (builder.push) {
            if (name_.kind == oci::ReferenceKind::registry) {
                ensure_cloud_repository(cloud_connection(session), name_.host, name_.repository);
            }
            target_ = registry::open_store(name_, options, control_);
        }
        base_reading_ = std::async(std::launch::async, [this, options, session, name = name_] {
            return open_base({.image = builder_.base_image,
                              .platform = builder_.platform,
                              .all_platforms = builder_.all_platforms,
                              .ca_file = builder_.ca_file},
                             name, options, session, cache_);
        });
    }

    [[nodiscard]] Image build() {
        const Stopwatch watch;
        if (builder_.all_platforms || !context_->search_paths.empty() ||
            !context_->needs.programs.empty()) {
            fit_context();
        }
        if (work_.suffix() != codec::GzipCompressor::suffix) {
            // Before anything is made and sent: a base of Docker's refuses it.
            wait_for_base();
            for (const oci::StoredImage& stored : base_.images()) {
                static_cast<void>(oci::layer_media_type(stored.image, work_.suffix()));
            }
        }
        work_.plan(context_->files);
        if (target_) {
            target_->expect_blobs(work_.blobs_to_come());
        }
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
        } else {
            cache_.shrink();
        }
        return result();
    }

    /// Ours, after build().
    [[nodiscard]] const std::vector<OwnLayer>& own_layers() const { return work_.layers(); }

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
        const oci::StoredImage& first = base_.images().front();
        if (base_.images().size() > 1) {
            check_portable(*context_, base_.images(), base_.reference.text());
            fitted_ = *context_;  // and its search paths, which differ from image to image
            fitted_.environment = environment_on(first.image, fitted_);
        } else {
            fitted_ = fit_to_base(*context_, first.image, base_.store.get(), base_.reference.text(),
                                  first.manifest.digest, cache_directory_, control_);
        }
        context_ = &fitted_;
    }

    void take_base() {
        wait_for_base();
        base_layers_ = layers_of(base_.images());
        if (name_.kind == oci::ReferenceKind::registry &&
            base_.reference.kind == oci::ReferenceKind::registry &&
            base_.reference.api_host() == name_.api_host() &&
            base_.reference.repository != name_.repository) {
            work_.mount_from(base_.reference.repository);
        }
        std::future<void> following = work_.follow();
        if (target_) {
            work_.push_base(base_layers_, base_.store.get());
        }
        if (following.valid()) {
            following.get();
        }
    }
    /// A registry takes blobs in any order, so the configs need not wait until the layers are
    /// there. When nothing was made, the tag may well be what it is going to be.
    void push_config_early() {
        if (!target_ || name_.kind != oci::ReferenceKind::registry) {
            return;
        }
        compose();
        parallel_for(work_.all_known() ? 2 : 1, 2, [this](std::size_t part) {
            if (part == 0) {
                push_configs();
            } else {
                tagged_ = target_->find_digest(name_.tag);
            }
        });
    }

    /// The image's documents, out of the base and what the layers are.
    void compose() {
        summary_ = summarize(*context_, work_.layers());
        if (tag_by_content_) {
            name_.tag = packaging::context_tag(summary_.context_digest);
        }
        documents_ =
            appended(base_, summary_.additions, *context_, work_.suffix(), builder_.all_platforms);
    }

    void push_configs() {
        for (const oci::Image& image : documents_.images) {
            const auto config =
                oci::Descriptor::from(image.manifest.at("config"), "the new config");
            if (configs_pushed_.contains(config.digest)) {
                continue;
            }
            const net::Body body = net::Body::of(image.config.dump());
            if (work_.all_known() && work_.may_be_there(config.digest)) {
                target_->write_blob(config, body, {});
            } else {  // beside new layers that are small, an upload has been begun for it
                target_->write_absent_blob(config, body, {});
            }
            configs_pushed_.insert(config.digest);
        }
    }
    /// The blobs are there; now the configs, then the manifests, so that the tag never points at
    /// half an image.
    void push_documents() {
        push_configs();
        control_.check("push image");
        // The cache learns of the blobs while the registry works.
        std::future<void> kept =
            std::async(std::launch::async | std::launch::deferred,  // without a thread: in get()
                       [this, layers = all_layers(), configs = configs_pushed_] {
                           work_.remember_push(layers, configs);
                           cache_.shrink();
                       });
        if (tagged_ != documents_.root.descriptor().digest) {
            registry::write_in_spite_of_losses(
                [this] { write_manifests(); },
                [this](const registry::LostBlobs& lost) { push_again(lost); });
        }
        kept.get();
    }
    void write_manifests() {
        if (builder_.all_platforms) {
            for (const oci::Image& image : documents_.images) {
                target_->write_child(oci::serialize(image));
            }
        }
        const bool named_by_us =
            name_.kind == oci::ReferenceKind::archive && (tag_by_content_ || !builder_.tag.empty());
        target_->write_manifest(documents_.root,
                                named_by_us ? builder_.image_name + ':' + name_.tag : name_.tag);
    }
    void push_again(const registry::LostBlobs& lost) {
        std::vector<Layer> layers;
        for (const Layer& layer : base_layers_) {
            if (lost.may_hold(layer.digest)) {
                layers.push_back(layer);
            }
        }
        work_.push_base(layers, base_.store.get());
        work_.push_again([&lost](const std::string& digest) { return lost.may_hold(digest); });
        std::erase_if(configs_pushed_,
                      [&lost](const std::string& digest) { return lost.may_hold(digest); });
        push_configs();
    }

    [[nodiscard]] std::vector<Layer> all_layers() const {
        std::vector<Layer> layers = base_layers_;
        for (const OwnLayer& own : work_.layers()) {
            layers.push_back(own.layer);
            layers.back().media_type =
                oci::layer_media_type(base_.images().front().image, work_.suffix());
        }
        return layers;
    }

    [[nodiscard]] Image result() {
        std::vector<Layer> layers = all_layers();
        for (const Layer& layer : layers) {
            summary_.figures.bytes_uploaded +=
                layer.transfer == Transfer::uploaded ? layer.size : 0;
        }
        const bool is_local = name_.kind != oci::ReferenceKind::registry;
        const std::string digest = documents_.root.descriptor().digest;
        return {.reference = (is_local                    ? name_.name()
                              : builder_.registry.empty() ? builder_.image_name + ':' + name_.tag
                                                          : name_.text()) +
                             '@' + digest,
                .digest = digest,
                .location = !target_   ? Location::nowhere
                            : is_local ? Location::layout
                                       : Location::registry,
                .layers = std::move(layers),
                .command = context_->command,
                .environment = context_->environment,
                .working_directory = context_->working_directory,
                .platform = documents_.platforms(),
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
    AppendedImage documents_ = {};
    std::set<std::string> configs_pushed_ = {};
    std::string tagged_ = {};              ///< the digest that the tag has, where it was asked for
    std::future<Base> base_reading_ = {};  // last: waited for before the rest goes
};

}  // inline namespace FAIRING_ABI

/// Builds into a layout of its own, and loads that.
[[nodiscard]] inline Image append_and_load(const AppendBuilder& builder, const Context& context,
                                           const Session& session) {
    AppendBuilder named = builder;
    named.push = false;  // a registry is part of the name here
    const oci::Reference name = check_and_name(named);
    if (name.kind != oci::ReferenceKind::registry || builder.all_platforms) {
        throw Error{ErrorCode::usage,
                    {.attempted = "use --load",
                     .answer = builder.all_platforms ? "an engine takes the image of one platform"
                                                     : "the image goes to " + builder.registry,
                     .advice = builder.all_platforms ? "choose one with --platform"
                                                     : "leave out --load or --registry"}};
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
    const Session ordered = session.ordered();  // several threads have something to say
    return load ? detail::append_and_load(*this, context, ordered)
                : detail::AppendRun{*this, context, ordered}.build();
}

static_assert(Builder<AppendBuilder>);

}  // namespace fairing
