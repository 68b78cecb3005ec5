// fairing/builders/engine.hpp - an image built by Docker or Podman out of a Dockerfile, over the
// engine's socket: no client program, no copy of the context.
//
// context ─ tar, as it is read ─ engine: build ─ name ─ push to the registry ─ digest
#pragma once

#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "../core/control.hpp"
#include "../core/error.hpp"
#include "../core/files.hpp"
#include "../core/stopwatch.hpp"
#include "../engine/address.hpp"
#include "../engine/engine.hpp"
#include "../oci/image.hpp"
#include "../oci/reference.hpp"
#include "../packaging/context.hpp"
#include "../packaging/context_tar.hpp"
#include "../registry/credentials.hpp"
#include "../registry/open.hpp"
#include "../stage/concepts.hpp"
#include "../stage/engine_access.hpp"
#include "../stage/fields.hpp"
#include "../stage/registry_access.hpp"
#include "dockerfile.hpp"
#include "dockerfile_build.hpp"
#include "engine/progress.hpp"
#include "target.hpp"

namespace fairing {

inline namespace FAIRING_ABI {

/// Builds the context with Docker's or Podman's engine and pushes the result, or leaves it there
/// (Location::engine). The Dockerfile is generated (builders/dockerfile.hpp) unless one is given:
/// it finds each file of the context at its destination ("app/train.py").
template <engine::Kind kind>
struct EngineBuilder {
    std::string base_image = {};  ///< empty: python:<minor version of the host's python3>-slim
    std::string registry = {};    ///< "registry.example:5000/team"
    std::string image_name = "fairing-job";
    std::string tag = {};       ///< empty: 12 digits, by all that makes the image
    std::string platform = {};  ///< empty: the engine's own
    bool push = true;
    bool insecure = false;  ///< Podman: plain http, or https with any certificate; Docker has
                            ///< settings of its own for that
    std::string dockerfile_path = {};  ///< empty: it is generated
    /// A folder of the image for the front of PATH; not for a Dockerfile of one's own.
    std::string executable_path_prefix = {};
    bool cache = true;  ///< take what the engine has built before
    /// A socket's path, tcp://HOST:PORT or context:NAME; empty: DOCKER_HOST and Docker's context
    /// (CONTAINER_HOST for Podman), then the usual sockets.
    std::string engine = {};

    /// Throws Error: usage for a missing registry, unsupported for what can not be written to a
    /// Dockerfile, unavailable when no engine listens, input for a step that fails, with the last
    /// that it said. A failed or stopped build leaves no container and no name behind.
    [[nodiscard]] Image build(const Context& context, const Session& session) const;

    /// What build() would give, by its tag, since nobody knows its digest yet. May read the base's
    /// registry; asks no engine.
    [[nodiscard]] Image foresee(const Context& context, const Session& session) const;
};

using DockerBuilder = EngineBuilder<engine::Kind::docker>;
using PodmanBuilder = EngineBuilder<engine::Kind::podman>;

}  // inline namespace FAIRING_ABI

template <engine::Kind kind>
inline constexpr auto fields<EngineBuilder<kind>> = std::tuple{
    field("base_image", &EngineBuilder<kind>::base_image,
          "image to build on: of a registry, oci:DIR or docker-archive:FILE (append only), or "
          "scratch (default: python:<yours>-slim)"),
    field("registry", &EngineBuilder<kind>::registry,
          "where the image goes: HOST[:PORT]/PATH; with append also oci:DIR, a directory, or "
          "docker-archive:FILE, which docker load takes"),
    field("image_name", &EngineBuilder<kind>::image_name,
          "name below the registry (default: fairing-job)"),
    field("tag", &EngineBuilder<kind>::tag, "tag of the image (default: from its content)"),
    field("platform", &EngineBuilder<kind>::platform,
          "what to build for: OS/ARCHITECTURE[/VARIANT]"),
    field("push", &EngineBuilder<kind>::push, "build, but send nothing"),
    field("insecure", &EngineBuilder<kind>::insecure,
          "speak plain http to the registry (those of this machine always may)"),
    field("dockerfile_path", &EngineBuilder<kind>::dockerfile_path,
          "Dockerfile to build by (default: one is generated)", "dockerfile"),
    field("executable_path_prefix", &EngineBuilder<kind>::executable_path_prefix,
          "folder of the image that stands first in PATH"),
    field("cache", &EngineBuilder<kind>::cache, "make every layer anew, and remember none"),
    field("engine", &EngineBuilder<kind>::engine,
          "socket of Docker or Podman, tcp://HOST:PORT, or context:NAME"),
};

namespace detail {

/// The same for both engines.
using EngineBuild = EngineBuilder<engine::Kind::any>;

/// Credentials as an engine takes them; an empty object for an anonymous client.
[[nodiscard]] inline Json engine_credentials(const Session& session,
                                             const oci::Reference& reference) {
    const auto login = registry_login(session, reference);
    Json result = Json::object();
    const auto add = [&result](const char* key, const std::string& value) {
        if (!value.empty()) {
            result[key] = value;
        }
    };
    if (login) {
        add("username", login->user);
        add("password", login->password.reveal());
        add("identitytoken", login->identity_token.reveal());
        add("registrytoken", login->bearer_token.reveal());
    }
    if (!result.empty()) {
        // Docker Hub is known to engines by the address of its first version.
        result["serveraddress"] =
            reference.host == "docker.io" ? "https://index.docker.io/v1/" : reference.host;
    }
    return result;
}

/// The name that an image is given in an engine. Unless kept, the image loses it again, and what
/// had it before has it back.
class EngineName {
public:
    EngineName(const engine::Engine& engine, const std::string& image, std::string repository,
               std::string tag, const std::stop_token& stop)
        : engine_(engine), repository_(std::move(repository)), tag_(std::move(tag)) {
        before_ = text_or(engine_.find_image(text(), stop), "Id");
        engine_.tag(image, repository_, tag_, stop);
    }
    EngineName(EngineName&&) = delete;
    EngineName& operator=(EngineName&&) = delete;
    ~EngineName() {
        try {
            if (!kept_ && before_.empty()) {
                engine_.remove_image(text());
            } else if (!kept_) {
                engine_.tag(before_, repository_, tag_);
            }
        } catch (const std::exception&) {
            // the engine is gone, or the image is in use
        }
    }
    [[nodiscard]] std::string text() const { return repository_ + ':' + tag_; }
    void keep() noexcept { kept_ = true; }

private:
    const engine::Engine& engine_;
    std::string repository_, tag_, before_ = {};
    bool kept_ = false;
};

/// Throws Error{unsupported} for what an engine can not push to.
template <engine::Kind kind>
[[nodiscard]] oci::Reference engine_target(const EngineBuilder<kind>& builder) {
    oci::Reference target = name_target({.registry = builder.registry,
                                         .image_name = builder.image_name,
                                         .tag = builder.tag,
                                         .push = builder.push});
    if (target.kind != oci::ReferenceKind::registry) {
        throw Error{ErrorCode::unsupported,
                    {.attempted = "build into",
                     .subject = builder.registry,
                     .answer = "a container engine pushes to registries only",
                     .advice = "name one, or use --builder append"}};
    }
    return target;
}

template <engine::Kind kind>
[[nodiscard]] DockerfileOptions dockerfile_options(const EngineBuilder<kind>& builder) {
    return {.base_image = builder.base_image,
            .dockerfile_path = builder.dockerfile_path,
            .executable_path_prefix = builder.executable_path_prefix,
            .platform = builder.platform,
            .access = {.insecure = builder.insecure}};
}

/// One build.
class EngineBuildRun {
public:
    EngineBuildRun(const EngineBuild& builder, engine::Kind kind, const Context& context,
                   const Session& session)
        : builder_(builder),
          context_(context),
          session_(session),
          control_(session.control()),
          target_(engine_target(builder)),
          address_(engine::require(builder.engine, kind, "build an image")),
          engine_(connect_engine(session, address_)) {}

    [[nodiscard]] Image build() {
        const std::string text = plan();
        const Stopwatch watch;
        packaging::ContextTar tar{context_, {{dockerfile_name, text}}, control_};
        const std::string id = build(tar, dockerfile::images_of(text));
        name_by_content(tar.digest(), text);
        const Json stored = engine_.find_image(id, session_.stop);
        EngineName name{engine_, id, repository(), target_.tag, session_.stop};
        Image image = describe(stored.is_null() ? id : text_or(stored, "Id", id), stored);
        image.context_digest = tar.digest();
        image.figures.bytes_read = tar.files_size();
        image.figures.build_seconds = watch.seconds();
        if (builder_.push) {
            const Stopwatch push_watch;
            image.digest = push();
            image.reference = target_.text() + '@' + image.digest;
            image.location = Location::registry;
            image.figures.push_seconds = push_watch.seconds();
        } else {
            control_.say(Level::info, address_.name + " has the image as " + name.text());
        }
        name.keep();
        return image;
    }

private:
    static constexpr const char* dockerfile_name = "Dockerfile";

    /// Fits the context; gives the Dockerfile.
    [[nodiscard]] std::string plan() {
        DockerfileBuild planned = plan_dockerfile(dockerfile_, context_, session_);
        context_ = std::move(planned.context);
        return std::move(planned.text);
    }

    /// Podman asks every registry for https, but for those of this machine, which always may do
    /// without, as with the other builders.
    [[nodiscard]] bool verified(const oci::Reference& reference) const {
        const registry::PlainHttp allowed =
            registry_options(session_, {.insecure = builder_.insecure}, reference.host).plain_http;
        return allowed != registry::PlainHttp::insecure &&
               !net::is_loopback(net::parse_url("http://" + reference.host));
    }

    [[nodiscard]] std::string build(packaging::ContextTar& tar,
                                    const std::vector<oci::Reference>& bases) {
        Json credentials = Json::object();
        bool all_verified = true;
        for (const oci::Reference& base : bases) {
            if (Json own = engine_credentials(session_, base); !own.empty()) {
                const std::string server = text_or(own, "serveraddress");
                credentials[server] = std::move(own);
            }
            all_verified = all_verified && verified(base);
        }
        control_.check("build image");
        EngineProgress progress{"build", control_};
        try {
            return engine_.build(
                {.size = tar.size(),
                 .write = [&tar](const net::BodySink& sink) { tar.write(sink); }},
                {.dockerfile = dockerfile_name,
                 .platform = builder_.platform,
                 .cache = builder_.cache,
                 .verify_registries = all_verified,
                 .credentials = credentials.empty() ? Secret{} : engine::header_of(credentials)},
                std::ref(progress), session_.stop);
        } catch (const Cancelled&) {
            throw;
        } catch (const Error& error) {
            throw progress.explained(error);
        }
    }

    [[nodiscard]] std::string push() const {
        EngineProgress progress{"push", control_};
        ensure_cloud_repository(cloud_connection(session_), target_.host, target_.repository);
        const Json credentials = engine_credentials(session_, target_);
        return engine_.push(
            repository(), target_.tag,
            {.verify_registries = verified(target_),
             .credentials = credentials.empty() ? Secret{} : engine::header_of(credentials)},
            std::ref(progress), session_.stop);
    }

    void name_by_content(const std::string& context_digest, const std::string& text) {
        if (target_.tag.empty()) {
            target_.tag = dockerfile_tag(dockerfile_, context_digest, text);
        }
    }

    [[nodiscard]] std::string repository() const {
        return builder_.registry.empty() ? builder_.image_name : target_.name();
    }

    /// As it lies in the engine: by its id.
    [[nodiscard]] Image describe(const std::string& id, const Json& stored) const {
        std::string platform;
        for (const char* part : {"Os", "Architecture", "Variant"}) {
            const std::string value = text_or(stored, part);
            platform += (platform.empty() || value.empty() ? "" : "/") + value;
        }
        Image image{.reference = id,
                    .digest = id,
                    .location = Location::engine,
                    .command = context_.command,
                    .environment = context_.environment,
                    .working_directory = context_.working_directory,
                    .platform = std::move(platform),
                    .tag = target_.tag,
                    .engine = address_.name};
        const Json config = stored.is_object() ? stored.value("Config", Json()) : Json();
        const auto list = [&config](const char* key) {
            const Json found = config.is_object() ? config.value(key, Json()) : Json();
            return found.is_array() ? found.get<std::vector<std::string>>()
                                    : std::vector<std::string>{};
        };
        if (image.command.empty()) {
            image.command = list("Entrypoint");
            for (std::string& word : list("Cmd")) {
                image.command.push_back(std::move(word));
            }
        }
        for (const std::string& entry : list("Env")) {
            const std::size_t equals = std::min(entry.find('='), entry.size());
            if (context_.search_paths.contains(entry.substr(0, equals))) {
                image.environment[entry.substr(0, equals)] = entry.substr(equals + 1);
            }
        }
        return image;
    }

    const EngineBuild& builder_;
    Context context_;
    const Session& session_;
    Control control_;
    oci::Reference target_;
    engine::Address address_;
    engine::Engine engine_;
    DockerfileOptions dockerfile_ = dockerfile_options(builder_);
};

}  // namespace detail

template <engine::Kind kind>
Image EngineBuilder<kind>::build(const Context& context, const Session& session) const {
    const detail::EngineBuild builder{.base_image = base_image,
                                      .registry = registry,
                                      .image_name = image_name,
                                      .tag = tag,
                                      .platform = platform,
                                      .push = push,
                                      .insecure = insecure,
                                      .dockerfile_path = dockerfile_path,
                                      .executable_path_prefix = executable_path_prefix,
                                      .cache = cache,
                                      .engine = engine};
    return detail::EngineBuildRun{builder, kind, context, session}.build();
}

template <engine::Kind kind>
Image EngineBuilder<kind>::foresee(const Context& context, const Session& session) const {
    Image image = detail::foresee_image(detail::dockerfile_options(*this),
                                        detail::engine_target(*this), context, session);
    if (registry.empty()) {
        image.reference = image_name + ':' + image.tag;
    }
    return image;
}

static_assert(Builder<DockerBuilder> && Builder<PodmanBuilder>);

}  // namespace fairing
