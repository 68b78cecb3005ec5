// fairing/pods/kubernetes_options.hpp - what every Kubernetes deployer takes: where to run, under
// which name, with what, and what is left behind.
#pragma once

#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "../stage/fields.hpp"
#include "credentials.hpp"
#include "environment.hpp"
#include "labels.hpp"
#include "mutator.hpp"
#include "placement.hpp"
#include "resources.hpp"
#include "volumes.hpp"

namespace fairing {

/// When the objects of a run are removed. `when_done`: once it was followed to its end, good or
/// bad. `always`: also when nobody follows it; the cluster removes it five minutes after its end. A
/// run that is stopped is removed in any case.
enum class Cleanup { never, when_done, always };

struct KubernetesOptions {
    std::string name = {};  ///< of the object; empty: the deployer's prefix and the run id
    std::string namespace_ =
        {};  ///< empty: the pod's own when in a cluster, else the context's, else "default"
    Labels labels = {};
    Labels annotations = {};
    std::vector<PodSpecMutator> pod_spec_mutators = {};  ///< after what the options below do
    std::optional<Cleanup> cleanup = {};                 ///< empty: the deployer's own habit
    bool stream_log = true;
    std::filesystem::path config_file = {};  ///< instead of KUBECONFIG and ~/.kube/config
    std::string context = {};                ///< of the kubeconfig; empty: its current one
    std::string run_id = {};  ///< label fairing-id; empty: derived when rendering, drawn when
                              ///< deploying
    Resources resources = {};
    Labels environment = {};
    std::vector<Volume> volumes = {};
    Labels node_selector = {};
    std::string service_account = {};
    std::vector<std::string> image_pull_secrets = {};
    bool docker_credentials = false;  ///< a secret of this machine's own, for the image's registry
    std::string priority_class = {};  ///< PriorityClass of the pods
    std::string queue = {};           ///< Kueue's LocalQueue
    std::string queue_priority = {};  ///< Kueue's WorkloadPriorityClass
    int start_timeout = 0;  ///< seconds after which a run that has not started fails; 0: it waits
    std::string profile = {};  ///< of Kubeflow: a namespace with a service account of its own
};

template <>
inline constexpr auto value_names<Cleanup> = std::array<std::pair<std::string_view, Cleanup>, 3>{
    {{"never", Cleanup::never}, {"when-done", Cleanup::when_done}, {"always", Cleanup::always}}};

template <>
inline constexpr auto fields<KubernetesOptions> = std::tuple{
    field("name", &KubernetesOptions::name, "name of what is created (default: from the run id)"),
    field("namespace", &KubernetesOptions::namespace_,
          "namespace (default: the context's, or the pod's own in a cluster)"),
    field("labels", &KubernetesOptions::labels, "label of everything that is created; repeatable",
          "label"),
    field("annotations", &KubernetesOptions::annotations, "annotation of the same; repeatable",
          "annotation"),
    field("cleanup", &KubernetesOptions::cleanup, "when the run's objects are removed"),
    field("stream_log", &KubernetesOptions::stream_log, "wait for the end without the log"),
    field("config_file", &KubernetesOptions::config_file,
          "kubeconfig file (default: KUBECONFIG, then ~/.kube/config)", "kubeconfig"),
    field("context", &KubernetesOptions::context, "context of the kubeconfig"),
    field("run_id", &KubernetesOptions::run_id,
          "name of this run: the same one is never submitted twice"),
    field("resources", &KubernetesOptions::resources, "limits of a pod"),
    field("environment", &KubernetesOptions::environment, "variable of the program; repeatable",
          "env"),
    field("volumes", &KubernetesOptions::volumes,
          "pvc|secret|config_map:NAME:PATH[:SUBPATH]; repeatable", "volume"),
    field("node_selector", &KubernetesOptions::node_selector,
          "only nodes with this label; repeatable"),
    field("service_account", &KubernetesOptions::service_account,
          "service account that the program runs as"),
    field("image_pull_secrets", &KubernetesOptions::image_pull_secrets,
          "secrets of the namespace that the image is pulled with"),
    field("docker_credentials", &KubernetesOptions::docker_credentials,
          "let the cluster pull with your own credentials for the image's registry"),
    field("priority_class", &KubernetesOptions::priority_class, "PriorityClass of the pods"),
    field("queue", &KubernetesOptions::queue, "Kueue queue"),
    field("queue_priority", &KubernetesOptions::queue_priority, "Kueue WorkloadPriorityClass"),
    field("start_timeout", &KubernetesOptions::start_timeout,
          "fail when nothing runs after so many seconds (default: wait)"),
    field("profile", &KubernetesOptions::profile,
          "profile of Kubeflow: its namespace, and its service account default-editor"),
};

/// The same with what a profile stands for. Throws Error{usage} when another namespace is named.
[[nodiscard]] inline KubernetesOptions with_profile(KubernetesOptions options) {
    if (options.profile.empty()) {
        return options;
    }
    if (!options.namespace_.empty() && options.namespace_ != options.profile) {
        throw Error{
            ErrorCode::usage,
            {.attempted = "use profile",
             .subject = options.profile,
             .answer = "it is a namespace itself, and " + options.namespace_ + " is another one",
             .advice = "leave out --namespace"}};
    }
    options.namespace_ = options.profile;
    if (options.service_account.empty()) {
        options.service_account = "default-editor";
    }
    return options;
}

/// The mutators of the plain options, then the caller's own.
[[nodiscard]] inline std::vector<PodSpecMutator> all_mutators(const KubernetesOptions& options) {
    std::vector<PodSpecMutator> mutators{resources(options.resources), add_env(options.environment),
                                         node_selector(options.node_selector)};
    for (const Volume& volume : options.volumes) {
        mutators.push_back(volume_mounts(volume.mount()));
    }
    if (!options.service_account.empty()) {
        mutators.push_back(service_account(options.service_account));
    }
    for (const std::string& secret : options.image_pull_secrets) {
        mutators.push_back(image_pull_secret(secret));
    }
    if (options.docker_credentials) {
        mutators.push_back(docker_credentials());
    }
    if (!options.priority_class.empty()) {
        mutators.push_back(priority_class(options.priority_class));
    }
    mutators.insert(mutators.end(), options.pod_spec_mutators.begin(),
                    options.pod_spec_mutators.end());
    return mutators;
}

}  // namespace fairing
