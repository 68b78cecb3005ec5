// fairing/backends.hpp - Fairing's backends: the builder and the deployers that a platform takes.
#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>

#include "builders/append.hpp"
#include "builders/cluster.hpp"
#include "builders/dockerfile.hpp"
#include "builders/engine.hpp"
#include "cloud/gcp/credentials.hpp"
#include "core/env.hpp"
#include "deployers/job.hpp"
#include "deployers/serving.hpp"
#include "engine/address.hpp"
#include "keychain/cloud_registries.hpp"
#include "pods/cloud_credentials.hpp"
#include "stage/any.hpp"
#include "stage/cloud_access.hpp"
#include "stage/engine_access.hpp"
#include "stage/registry_access.hpp"

namespace fairing {

/// Where jobs run. With Kubeflow the namespace is "kubeflow" when none is named and this is no pod.
enum class Platform {
    kubernetes,
    gke,
    aws,
    azure,
    ibm_cloud,
    kubeflow,
    kubeflow_gke,
    kubeflow_aws,
    kubeflow_azure
};

namespace detail {

/// What a cloud has of its own; null and none stand for nothing.
struct CloudRules {
    ContextStore store = ContextStore::registry;  ///< of the files of a build in the cluster
    PodSpecMutator (*credentials)() = nullptr;    ///< of pods that build or train
    CloudRegistry registry = CloudRegistry::none;
    PodSpecMutator (*registry_access)() = nullptr;  ///< by what the cluster has, for Kaniko
};
inline constexpr CloudRules no_cloud{};
inline constexpr CloudRules gcp_rules{.store = ContextStore::gcs,
                                      .credentials = [] { return gcp_credentials_if_exists(); },
                                      .registry = CloudRegistry::google};
inline constexpr CloudRules aws_rules{.store = ContextStore::s3,
                                      .credentials = [] { return aws_credentials_if_exists(); },
                                      .registry = CloudRegistry::ecr,
                                      .registry_access = ecr_config};
inline constexpr CloudRules azure_rules{.store = ContextStore::azure_files,
                                        .registry = CloudRegistry::azure,
                                        .registry_access = [] { return fairing::acr_config(); }};
inline constexpr CloudRules ibm_rules{.store = ContextStore::cos};

struct PlatformRules {
    Platform platform;
    const CloudRules& cloud;
    const char* namespace_ = "";
};
inline constexpr std::array<PlatformRules, 9> platform_rules{
    {{Platform::kubernetes, no_cloud},
     {Platform::gke, gcp_rules},
     {Platform::aws, aws_rules},
     {Platform::azure, azure_rules},
     {Platform::ibm_cloud, ibm_rules},
     {Platform::kubeflow, no_cloud, "kubeflow"},
     {Platform::kubeflow_gke, gcp_rules, "kubeflow"},
     {Platform::kubeflow_aws, aws_rules, "kubeflow"},
     {Platform::kubeflow_azure, azure_rules, "kubeflow"}}};

[[nodiscard]] constexpr const PlatformRules& rules_of(Platform platform) {
    for (const PlatformRules& rules : platform_rules) {
        if (rules.platform == platform) {
            return rules;
        }
    }
    return platform_rules.front();
}

[[nodiscard]] inline bool is_in_pod() { return !env("KUBERNETES_SERVICE_HOST", "").empty(); }

/// Whether a Docker engine is here, and answers.
[[nodiscard]] inline bool docker_answers(const Session& session) {
    try {
        const auto address = engine::find({}, engine::Kind::docker);
        if (address) {
            static_cast<void>(connect_engine(session, *address));
        }
        return address.has_value();
    } catch (const Cancelled&) {
        throw;
    } catch (const Error& error) {
        session.control().say(Level::info, error.what());
        return false;
    }
}

/// Of a job's options, what a build for it takes: where it runs, and as whom.
[[nodiscard]] inline KubernetesOptions build_options(const KubernetesOptions& job) {
    return {.namespace_ = job.namespace_,
            .labels = job.labels,
            .annotations = job.annotations,
            .pod_spec_mutators = job.pod_spec_mutators,
            .config_file = job.config_file,
            .context = job.context,
            .service_account = job.service_account,
            .image_pull_secrets = job.image_pull_secrets,
            .profile = job.profile};
}

}  // namespace detail

/// A platform, and what jobs, endpoints and builds (BackendBuilder) on it have in common.
struct Backend {
    Platform platform = Platform::kubernetes;
    /// How a build in the cluster gets its files; empty: through the platform's own store.
    std::optional<ContextSourceOptions> context_source = {};
    std::string kaniko_image = {};  ///< of such a build; empty: ClusterBuilder's own

    /// Pods have the platform's credentials when the namespace has some.
    [[nodiscard]] JobDeployer training_deployer(KubernetesOptions kubernetes = {}) const {
        if (const auto credentials = detail::rules_of(platform).cloud.credentials) {
            kubernetes.pod_spec_mutators.push_back(credentials());
        }
        return {.kubernetes = placed(std::move(kubernetes))};
    }
    [[nodiscard]] ServingDeployer serving_deployer(
        std::string serving_class, KubernetesOptions kubernetes = {},
        ServiceType service_type = ServiceType::cluster_ip) const {
        return {.kubernetes = placed(std::move(kubernetes)),
                .serving_class = std::move(serving_class),
                .service_type = service_type};
    }

    /// gcr.io/PROJECT/fairing-job on Google Cloud, which may ask the metadata server; else empty.
    /// Throws Error{usage} when nothing names the project.
    [[nodiscard]] std::string default_registry(const Session& session = {}) const {
        if (detail::rules_of(platform).cloud.registry != detail::CloudRegistry::google) {
            return {};
        }
        std::string project = cloud::gcp::CredentialChain{cloud_connection(session)}.project();
        // A project of a domain, example.com:houses, is a path to the registry.
        std::replace(project.begin(), project.end(), ':', '/');
        return "gcr.io/" + project + "/fairing-job";
    }

    /// With the platform's namespace, where it has one.
    [[nodiscard]] KubernetesOptions placed(KubernetesOptions kubernetes) const {
        if (kubernetes.namespace_.empty() && kubernetes.profile.empty() && !detail::is_in_pod()) {
            kubernetes.namespace_ = detail::rules_of(platform).namespace_;
        }
        return kubernetes;
    }
};

/// Chooses a builder when it sees what there is to build.
struct BackendBuilder {
    Backend backend = {};
    std::string base_image = {};  ///< empty: python:<minor version of the host's python3>-slim
    std::string registry = {};    ///< empty: the backend's default
    std::string image_name = "fairing-job";
    std::string platform = {};  ///< as the chosen builder's
    bool insecure = false;  ///< plain http, or https with any certificate, for `registry`; Docker
                            ///< has settings of its own for both
    std::string ca_file = {};  ///< PEM file to trust
    /// Of the job: a build in the cluster takes its place, its names and its pod_spec_mutators.
    KubernetesOptions kubernetes = {};

    /// Without a requirements.txt to install: by appending. Else in the cluster, when this is a pod
    /// or no Docker answers here; else by Docker. Throws Error{usage} for no registry, and for one
    /// that is not Azure's on Azure.
    [[nodiscard]] AnyBuilder choose(const Context& context, const Session& session) const;

    /// Throws what choose() and the chosen builder throw.
    [[nodiscard]] Image build(const Context& context, const Session& session) const {
        return choose(context, session).build(context, session);
    }
};

namespace detail {

/// `builder` with its registry known, for a build in the cluster.
[[nodiscard]] inline ClusterBuilder cluster_builder(const BackendBuilder& builder,
                                                    const oci::Reference& target,
                                                    const Session& session) {
    const CloudRules& cloud = rules_of(builder.backend.platform).cloud;
    ClusterBuilder result{.base_image = builder.base_image,
                          .registry = builder.registry,
                          .image_name = builder.image_name,
                          .platform = builder.platform,
                          .insecure = builder.insecure,
                          .ca_file = builder.ca_file,
                          .context_source = builder.backend.context_source.value_or(
                              ContextSourceOptions{.name = cloud.store}),
                          .kubernetes = builder.backend.placed(build_options(builder.kubernetes))};
    if (!builder.backend.kaniko_image.empty()) {
        result.kaniko_image = builder.backend.kaniko_image;
    }
    auto& mutators = result.kubernetes.pod_spec_mutators;
    // A cloud's own store gives them to its pod itself.
    if (cloud.credentials != nullptr && result.context_source.name != cloud.store) {
        mutators.push_back(cloud.credentials());
    }
    // Whoever is known to the registry here is so there.
    if (cloud.registry_access != nullptr && cloud_registry_of(target.host) == cloud.registry &&
        registry_login(session, target).value_or(registry::Login{}).empty()) {
        mutators.push_back(cloud.registry_access());
    }
    return result;
}

}  // namespace detail

inline AnyBuilder BackendBuilder::choose(const Context& context, const Session& session) const {
    const Control control = session.control();
    BackendBuilder named = *this;
    if (registry.empty()) {
        named.registry = backend.default_registry(session);
        if (!named.registry.empty()) {
            control.say(Level::info, "the registry is " + named.registry);
        }
    }
    const AppendBuilder append{.base_image = base_image,
                               .registry = named.registry,
                               .image_name = image_name,
                               .platform = platform,
                               .insecure = insecure,
                               .ca_file = ca_file};
    const oci::Reference target = detail::check_and_name(append);
    if (detail::rules_of(backend.platform).cloud.registry == detail::CloudRegistry::azure &&
        detail::cloud_registry_of(target.host) != detail::CloudRegistry::azure) {
        throw Error{ErrorCode::usage,
                    {.attempted = "build for Azure into",
                     .subject = named.registry,
                     .answer = "it is no Azure Container Registry",
                     .advice = "name one, such as team.azurecr.io"}};
    }
    if (!dockerfile::installs_packages(context)) {
        return append;
    }
    if (detail::is_in_pod() || !detail::docker_answers(session)) {
        control.say(Level::info, "requirements.txt is to be installed: building in the cluster");
        return detail::cluster_builder(named, target, session);
    }
    control.say(Level::info, "requirements.txt is to be installed: building with Docker");
    if (!ca_file.empty()) {
        control.say(Level::warning,
                    "Docker trusts what its own settings say (/etc/docker/certs.d): " + ca_file +
                        " is left out");
    }
    return DockerBuilder{.base_image = base_image,
                         .registry = named.registry,
                         .image_name = image_name,
                         .platform = platform,
                         .insecure = insecure};
}

static_assert(Builder<BackendBuilder>);

}  // namespace fairing
