// fairing/builders/cluster.hpp - an image built in a Kubernetes cluster, by a Job that runs Kaniko:
// no engine is needed here, and none there.
//
// context + Dockerfile ─ context source ─ Job ─ log, digest ─ registry
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "../codec/gzip.hpp"
#include "../core/control.hpp"
#include "../core/error.hpp"
#include "../core/files.hpp"
#include "../core/stopwatch.hpp"
#include "../kube/client.hpp"
#include "../oci/image.hpp"
#include "../oci/platform.hpp"
#include "../oci/reference.hpp"
#include "../packaging/context.hpp"
#include "../packaging/context_tar.hpp"
#include "../packaging/layer_writer.hpp"
#include "../pods/kubernetes_options.hpp"
#include "../pods/pod_template.hpp"
#include "../pods/run_identity.hpp"
#include "../runs/plan.hpp"
#include "../stage/cloud_access.hpp"
#include "../stage/concepts.hpp"
#include "../stage/fields.hpp"
#include "../stage/registry_access.hpp"
#include "append.hpp"
#include "cluster/builder_job.hpp"
#include "cluster/kaniko_job.hpp"
#include "context_sources/choice.hpp"
#include "context_sources/registry.hpp"
#include "dockerfile_build.hpp"
#include "target.hpp"

namespace fairing {

inline namespace FAIRING_ABI {

/// Builds the context in a cluster, and pushes from there. The Dockerfile is generated
/// (builders/dockerfile.hpp) unless one is given. What the build needs of its own - a Job, a Secret
/// with the credentials for the registries of the target and of the bases, the context in a store -
/// is removed when it ends, also by an error or a stop.
struct ClusterBuilder {
    static constexpr const char* name_prefix = detail::builder_prefix;

    std::string base_image = {};  ///< empty: python:<minor version of the host's python3>-slim
    std::string registry = {};    ///< "registry.example:5000/team", as the cluster reaches it too
    std::string image_name = "fairing-job";
    std::string tag = {};       ///< empty: 12 digits, by all that makes the image
    std::string platform = {};  ///< empty: that of the node
    bool push = true;
    bool insecure = false;     ///< plain http, or https with any certificate, for `registry`
    std::string ca_file = {};  ///< PEM file of the certificate authorities to trust
    std::string dockerfile_path = {};  ///< empty: it is generated
    /// A folder of the image for the front of PATH; not for a Dockerfile of one's own.
    std::string executable_path_prefix = {};
    bool cache = false;  ///< layers of RUN are kept in, and taken from, REGISTRY/IMAGE_NAME/cache
    /// What takes Kaniko's arguments. Google's own image is no longer maintained; this is of a fork
    /// that is.
    std::string kaniko_image =
        "ghcr.io/osscontainertools/kaniko:v1.28.2@"
        "sha256:4ea0e7301e3f6806de15150e4982c73018351e28c1dca6947bd3b4afb5ae3c60";
    std::vector<std::string> kaniko_arguments = {};  ///< more ones: "--single-snapshot"
    ContextSourceOptions context_source = {};
    /// A ContextSource of one's own, instead of `context_source`.
    std::function<UploadedContext(const ContextUpload&)> upload_context = {};
    /// Where, and with what. Its cleanup is Cleanup::when_done when not set; `never` leaves the Job
    /// of a build that ended. Its run_id names the build; empty: drawn.
    KubernetesOptions kubernetes = {};

    /// Throws Error{usage} or Error{unsupported} for what can not be built. build() calls it before
    /// anything is asked or uploaded.
    void check() const;

    /// Throws Error: as check() does, unsupported for what can not be written to a Dockerfile,
    /// StatusError for what the API server refuses, input for a build that fails, with the last
    /// that it said, and unavailable for one that does not start.
    [[nodiscard]] Image build(const Context& context, const Session& session) const;

    /// What build() would give, by its tag, since nobody knows its digest yet. May read the base's
    /// registry; asks nobody else.
    [[nodiscard]] Image foresee(const Context& context, const Session& session) const;
};

}  // inline namespace FAIRING_ABI

template <>
inline constexpr auto fields<ClusterBuilder> = std::tuple{
    field("base_image", &ClusterBuilder::base_image,
          "image to build on: of a registry, oci:DIR or docker-archive:FILE (append only), or "
          "scratch (default: python:<yours>-slim)"),
    field("registry", &ClusterBuilder::registry,
          "where the image goes: HOST[:PORT]/PATH; with append also oci:DIR, a directory, or "
          "docker-archive:FILE, which docker load takes"),
    field("image_name", &ClusterBuilder::image_name,
          "name below the registry (default: fairing-job)"),
    field("tag", &ClusterBuilder::tag, "tag of the image (default: from its content)"),
    field("platform", &ClusterBuilder::platform, "what to build for: OS/ARCHITECTURE[/VARIANT]"),
    field("push", &ClusterBuilder::push, "build, but send nothing"),
    field("insecure", &ClusterBuilder::insecure,
          "speak plain http to the registry (those of this machine always may)"),
    field("ca_file", &ClusterBuilder::ca_file, "PEM file of the certificate authorities to trust"),
    field("dockerfile_path", &ClusterBuilder::dockerfile_path,
          "Dockerfile to build by (default: one is generated)", "dockerfile"),
    field("executable_path_prefix", &ClusterBuilder::executable_path_prefix,
          "folder of the image that stands first in PATH"),
    field("cache", &ClusterBuilder::cache, "keep layers in the registry, and take them from there"),
    field("kaniko_image", &ClusterBuilder::kaniko_image,
          "image of the builder, which takes Kaniko's arguments (default: a fork of Kaniko)"),
    field("kaniko_arguments", &ClusterBuilder::kaniko_arguments, "more arguments for it"),
    field("context_source", &ClusterBuilder::context_source, "where its files come from"),
    part_field("namespace", &ClusterBuilder::kubernetes, &KubernetesOptions::namespace_,
               "namespace (default: the context's, or the pod's own in a cluster)"),
    part_field("config_file", &ClusterBuilder::kubernetes, &KubernetesOptions::config_file,
               "kubeconfig file (default: KUBECONFIG, then ~/.kube/config)", "kubeconfig"),
    part_field("context", &ClusterBuilder::kubernetes, &KubernetesOptions::context,
               "context of the kubeconfig"),
    part_field("profile", &ClusterBuilder::kubernetes, &KubernetesOptions::profile,
               "profile of Kubeflow: its namespace, and its service account default-editor"),
    part_field("service_account", &ClusterBuilder::kubernetes, &KubernetesOptions::service_account,
               "service account that the program runs as"),
    part_field("image_pull_secrets", &ClusterBuilder::kubernetes,
               &KubernetesOptions::image_pull_secrets,
               "secrets of the namespace that the image is pulled with"),
    part_field("labels", &ClusterBuilder::kubernetes, &KubernetesOptions::labels,
               "label of everything that is created; repeatable", "label"),
    part_field("annotations", &ClusterBuilder::kubernetes, &KubernetesOptions::annotations,
               "annotation of the same; repeatable", "annotation"),
    // The program's are not the builder's.
    part_field("cleanup", &ClusterBuilder::kubernetes, &KubernetesOptions::cleanup,
               "when the Job of the build is removed", "builder-cleanup"),
    part_field("start_timeout", &ClusterBuilder::kubernetes, &KubernetesOptions::start_timeout,
               "fail when the build does not start after so many seconds (default: wait)",
               "builder-start-timeout"),
    part_field("resources", &ClusterBuilder::kubernetes, &KubernetesOptions::resources, "limits",
               only_in_a_file),
    part_field("environment", &ClusterBuilder::kubernetes, &KubernetesOptions::environment,
               "variables", only_in_a_file),
    part_field("volumes", &ClusterBuilder::kubernetes, &KubernetesOptions::volumes, "volumes",
               only_in_a_file),
    part_field("node_selector", &ClusterBuilder::kubernetes, &KubernetesOptions::node_selector,
               "nodes", only_in_a_file),
    part_field("priority_class", &ClusterBuilder::kubernetes, &KubernetesOptions::priority_class,
               "PriorityClass", only_in_a_file),
    part_field("queue", &ClusterBuilder::kubernetes, &KubernetesOptions::queue, "Kueue queue",
               only_in_a_file),
};

namespace detail {

[[nodiscard]] inline DockerfileOptions dockerfile_options(const ClusterBuilder& builder) {
    return {.base_image = builder.base_image,
            .dockerfile_path = builder.dockerfile_path,
            .executable_path_prefix = builder.executable_path_prefix,
            .platform = builder.platform,
            .arguments = builder.kaniko_arguments,
            .access = {.insecure = builder.insecure, .ca_file = builder.ca_file}};
}

[[nodiscard]] inline oci::Reference target_of(const ClusterBuilder& builder) {
    return name_target({.registry = builder.registry,
                        .image_name = builder.image_name,
                        .tag = builder.tag,
                        .push = builder.push});
}

[[nodiscard]] inline bool uses_registry(const ClusterBuilder& builder) {
    return !builder.upload_context && builder.context_source.name == ContextStore::registry;
}

/// With the labels by which Fairing's builds are known.
[[nodiscard]] inline KubernetesOptions builder_options(const ClusterBuilder& builder,
                                                       const std::string& id) {
    KubernetesOptions options = with_profile(builder.kubernetes);
    options.labels["fairing-builder"] = "kaniko";
    options.labels["fairing-build-id"] = id;
    return options;
}

/// One build.
class ClusterBuildRun {
public:
    ClusterBuildRun(const ClusterBuilder& builder, const Context& context, const Session& session)
        : builder_(builder),
          context_(context),
          session_(session.ordered()),
          control_(session_.control()),
          id_(builder.kubernetes.run_id.empty() ? draw_run_id() : builder.kubernetes.run_id),
          options_(builder_options(builder, id_)),
          target_(target_of(builder)) {}

    [[nodiscard]] Image build() {
        const DockerfileBuild plan =
            plan_dockerfile(dockerfile_options(builder_), context_, session_);
        const kube::Client client = kubernetes::connect(options_, session_);
        static_cast<void>(client.discover("batch/v1", "Job"));  // before anything is uploaded
        const Stopwatch watch;
        const UploadedContext uploaded = upload(plan, client);
        name_by_content(plan);
        const std::vector<oci::Reference> bases = dockerfile::images_of(plan.text);
        const std::vector<Json> objects = builder_objects(
            options_, id_, call(bases, uploaded), uploaded,
            [&](PodSpec& pod, std::vector<Json>& beside, const std::string& name) {
                add_credentials(pod, beside, name, bases);
            },
            {.namespace_ = client.cluster().namespace_, .client = &client}, session_);
        BuilderJob job{client, kubernetes::submit(client, objects, id_), options_};
        image_.digest = job.follow();
        image_.figures.build_seconds = watch.seconds();
        describe(plan.context);
        if (builder_.push && (image_.digest.empty() || image_.command.empty())) {
            ask_registry();
        }
        image_.location = builder_.push ? Location::registry : Location::nowhere;
        image_.reference += image_.digest.empty() ? "" : '@' + image_.digest;
        return std::move(image_);
    }

private:
    void name_by_content(const DockerfileBuild& plan) {
        if (target_.tag.empty()) {
            target_.tag =
                dockerfile_tag(dockerfile_options(builder_), image_.context_digest, plan.text);
        }
    }

    /// Also computes the context's digest.
    [[nodiscard]] UploadedContext upload(const DockerfileBuild& plan, const kube::Client& client) {
        if (uses_registry(builder_)) {
            const AppendBuilder carrier{.base_image = builder_.context_source.image.empty()
                                                          ? "busybox:1.37.0"
                                                          : builder_.context_source.image,
                                        .registry = builder_.registry,
                                        .image_name = builder_.image_name,
                                        .platform = builder_.platform,
                                        .insecure = builder_.insecure,
                                        .ca_file = builder_.ca_file};
            PushedContext pushed = push_context(carrier, plan.context, plan.text, id_, session_);
            image_.context_digest = std::move(pushed.context_digest);
            image_.figures = pushed.figures;
            return std::move(pushed.context);
        }
        BuildFiles files{plan.context, plan.text, {}};
        const packaging::LayerBlob archive = packaging::write_layer(
            files.files(), codec::GzipCompressor{.level = 1}, {.item = "build context"}, control_);
        files.add(files.files(), archive.contents);
        image_.context_digest = files.finish();
        image_.figures.bytes_read = archive.bytes_read;
        image_.figures.bytes_compressed = archive.bytes_compressed;
        image_.figures.bytes_uploaded = archive.size;
        const cloud::Content content =
            cloud::Content::of_file("/proc/self/fd/" + std::to_string(archive.file.fd()));
        const cloud::Connection connection = cloud_connection(session_);
        if (builder_.push) {
            ensure_cloud_repository(connection, target_.host, target_.repository);
        }
        const ContextUpload upload{.archive = content,
                                   .hash = id_,
                                   .connection = connection,
                                   .client = &client,
                                   .namespace_ = client.cluster().namespace_};
        return builder_.upload_context ? builder_.upload_context(upload)
                                       : upload_to_store(builder_.context_source, upload);
    }

    /// `insecure` is meant for the target's registry.
    [[nodiscard]] bool is_plain(const oci::Reference& reference) const {
        return net::is_loopback(net::parse_url("http://" + reference.host)) ||
               (builder_.insecure && reference.host == target_.host) ||
               settings_for(session_, reference.host).insecure;
    }
    /// Whom the pod speaks to, the target's registry first.
    [[nodiscard]] std::vector<oci::Reference> peers(std::vector<oci::Reference> bases) const {
        if (builder_.push) {
            bases.insert(bases.begin(), target_);
        }
        return bases;
    }

    [[nodiscard]] KanikoCall call(const std::vector<oci::Reference>& bases,
                                  const UploadedContext& uploaded) const {
        KanikoCall result{.image = builder_.kaniko_image,
                          .context = uploaded.url(),
                          .destination = target_.text(),
                          .platform = builder_.platform,
                          .push = builder_.push,
                          .cache = builder_.cache,
                          .more = uploaded.arguments()};
        const auto add = [](std::vector<std::string>& hosts, const std::string& host) {
            if (std::find(hosts.begin(), hosts.end(), host) == hosts.end()) {
                hosts.push_back(host);
            }
        };
        for (const oci::Reference& peer : peers(bases)) {
            if (is_plain(peer)) {
                add(result.plain_hosts, peer.host);
            } else if (!builder_.ca_file.empty()) {
                add(result.private_hosts, peer.host);
            }
        }
        result.more.insert(result.more.end(), builder_.kaniko_arguments.begin(),
                           builder_.kaniko_arguments.end());
        return result;
    }

    /// Only for these registries, and none when we are nobody there. The host's is its first
    /// peer's; who is somebody else at another repository has an entry of it: Kaniko looks there
    /// first.
    void add_credentials(PodSpec& pod, std::vector<Json>& objects, const std::string& name,
                         const std::vector<oci::Reference>& bases) const {
        Json config{{"auths", Json::object()}};
        std::vector<std::string> hosts;
        for (const oci::Reference& peer : peers(bases)) {
            const auto login = registry_login(session_, peer);
            const bool is_first = std::find(hosts.begin(), hosts.end(), peer.host) == hosts.end();
            hosts.push_back(peer.host);
            if (login && !login->empty()) {
                Json own = config;
                add_login(own, peer.host, *login);
                if (is_first) {
                    config = std::move(own);
                } else if (own != config) {
                    add_login(config, (peer.host == "docker.io" ? "index." : "") + peer.name(),
                              *login);
                }
            }
        }
        const std::string ca = builder_.ca_file.empty() ? "" : read_file(builder_.ca_file);
        if (!config["auths"].empty() || !ca.empty()) {
            add_registry_secret(pod, objects, name, config, ca);
        }
    }

    /// All but the digest.
    void describe(const Context& context) {
        image_.command = context.command;
        image_.environment = context.environment;
        image_.working_directory = context.working_directory;
        image_.platform = builder_.platform;
        image_.tag = target_.tag;
        image_.reference =
            builder_.registry.empty() ? builder_.image_name + ':' + target_.tag : target_.text();
    }
    /// What the build did not say: the digest of the tag, and the program of a Dockerfile.
    void ask_registry() {
        const std::unique_ptr<oci::Store> store = open_store(
            target_, session_, {.insecure = builder_.insecure, .ca_file = builder_.ca_file});
        const oci::StoredImage stored =
            oci::load_image(*store, image_.digest.empty() ? target_.tag : image_.digest,
                            oci::parse_platform(builder_.platform), target_.text());
        if (image_.digest.empty()) {
            image_.digest = stored.manifest.digest;
        }
        for (const char* key : {"Entrypoint", "Cmd"}) {
            const Json words = stored.image.setting(key);
            if (context_.command.empty() && words.is_array()) {
                for (const Json& word : words) {
                    image_.command.push_back(word.is_string() ? word.get<std::string>() : "");
                }
            }
        }
    }

    const ClusterBuilder& builder_;
    const Context& context_;
    Session session_;
    Control control_;
    std::string id_;
    KubernetesOptions options_;
    oci::Reference target_;
    Image image_ = {};
};

}  // namespace detail

inline void ClusterBuilder::check() const {
    const oci::Reference target = detail::target_of(*this);
    if (target.kind != oci::ReferenceKind::registry) {
        throw Error{ErrorCode::unsupported,
                    {.attempted = "build into",
                     .subject = registry,
                     .answer = "a cluster pushes to registries only",
                     .advice = "name one that it reaches, or use --builder append"}};
    }
    if (registry.empty() && detail::uses_registry(*this)) {
        throw Error{ErrorCode::usage,
                    {.attempted = "bring the context to the cluster",
                     .answer = "no registry is given, through which it would go",
                     .advice = "name one with --registry HOST/PATH, or choose a store with "
                               "--context-source"}};
    }
    if (oci::parse_reference(kaniko_image).kind != oci::ReferenceKind::registry) {
        throw Error{ErrorCode::usage,
                    {.attempted = "run in the cluster",
                     .subject = kaniko_image,
                     .answer = "no cluster can pull it"}};
    }
    if (!platform.empty()) {
        static_cast<void>(oci::parse_platform(platform));
    }
    detail::check_kaniko_arguments(kaniko_arguments);
    if (!upload_context) {
        detail::check_context_source(context_source);
    }
    const std::string id = kubernetes::checked_run_id(kubernetes);
    const KubernetesOptions options = detail::builder_options(*this, id);
    kubernetes::check_options(options);
    static_cast<void>(run_metadata(options, detail::builder_identity(options, id), {}));
}

inline Image ClusterBuilder::foresee(const Context& context, const Session& session) const {
    check();
    Image image = detail::foresee_image(detail::dockerfile_options(*this), detail::target_of(*this),
                                        context, session);
    if (registry.empty()) {
        image.reference = image_name + ':' + image.tag;
    }
    return image;
}

inline Image ClusterBuilder::build(const Context& context, const Session& session) const {
    check();
    return detail::ClusterBuildRun{*this, context, session}.build();
}

static_assert(Builder<ClusterBuilder> && SelfChecking<ClusterBuilder>);

}  // namespace fairing
