// fairing/kube/pod_view.hpp - what a reader of logs needs to know of a pod: its containers, whether
// they have run and will run again, and its place among the others.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "../core/json_text.hpp"
#include "object.hpp"

namespace fairing::kube {

enum class ContainerStage { absent, waiting, running, terminated };

/// A container as the pod's status shows it.
struct ContainerView {
    ContainerStage stage = ContainerStage::absent;
    int restarts = 0;
    int exit_code = 0;          ///< of a terminated one
    bool has_previous = false;  ///< an instance before this one has ended

    /// Whether the node can have a log of it.
    [[nodiscard]] bool has_log() const noexcept {
        return stage == ContainerStage::running || stage == ContainerStage::terminated ||
               has_previous;
    }
};

namespace detail {

/// Member `key` of `object` when it is an object or an array; null otherwise.
[[nodiscard]] inline const Json& member(const Json& object, const char* key) {
    static const Json nothing;
    if (!object.is_object()) {
        return nothing;
    }
    const auto found = object.find(key);
    return found != object.end() && found->is_structured() ? *found : nothing;
}

[[nodiscard]] inline int number_or(const Json& object, const char* key, int fallback) {
    if (!object.is_object() || !object.contains(key) || !object[key].is_number_integer()) {
        return fallback;
    }
    return object[key].get<int>();
}

[[nodiscard]] inline bool is_before_main(const Json& container) {
    return text_or(container, "restartPolicy") != "Always";  // else a sidecar, which stays
}

}  // namespace detail

/// The containers whose logs tell the story: the init containers in their order, then the main one
/// (the annotation kubectl.kubernetes.io/default-container when there is such a one, else the
/// first).
[[nodiscard]] inline std::vector<std::string> told_containers(const Json& pod) {
    const Json& spec = detail::member(pod, "spec");
    std::vector<std::string> names;
    for (const Json& container : detail::member(spec, "initContainers")) {
        if (detail::is_before_main(container)) {
            names.push_back(text_or(container, "name"));
        }
    }
    std::string main = text_or(detail::member(detail::member(pod, "metadata"), "annotations"),
                               "kubectl.kubernetes.io/default-container");
    const Json& containers = detail::member(spec, "containers");
    const bool is_there =
        std::any_of(containers.begin(), containers.end(),
                    [&main](const Json& each) { return text_or(each, "name") == main; });
    if (!is_there) {
        main = containers.empty() ? std::string{} : text_or(containers[0], "name");
    }
    if (!main.empty()) {
        names.push_back(main);
    }
    return names;
}

/// The state of one container, an init container or not.
[[nodiscard]] inline ContainerView container_view(const Json& pod, const std::string& name) {
    const Json& status = detail::member(pod, "status");
    for (const char* list : {"initContainerStatuses", "containerStatuses"}) {
        for (const Json& entry : detail::member(status, list)) {
            if (text_or(entry, "name") != name) {
                continue;
            }
            const Json& state = detail::member(entry, "state");
            ContainerView view{.stage = ContainerStage::waiting,
                               .restarts = detail::number_or(entry, "restartCount", 0)};
            view.has_previous =
                detail::member(detail::member(entry, "lastState"), "terminated").is_object();
            if (const Json& ended = detail::member(state, "terminated"); ended.is_object()) {
                view.stage = ContainerStage::terminated;
                view.exit_code = detail::number_or(ended, "exitCode", 0);
            } else if (detail::member(state, "running").is_object()) {
                view.stage = ContainerStage::running;
            }
            return view;
        }
    }
    return {};
}

/// Whether no container of the pod runs or will run.
[[nodiscard]] inline bool is_over(const Json& pod) {
    const std::string phase = text_or(detail::member(pod, "status"), "phase");
    return phase == "Succeeded" || phase == "Failed";
}

/// Whether a container that has ended like this starts once more.
[[nodiscard]] inline bool runs_again(const Json& pod, const ContainerView& view) {
    if (is_over(pod) || !metadata_text(pod, "deletionTimestamp").empty()) {
        return false;
    }
    const std::string policy = text_or(detail::member(pod, "spec"), "restartPolicy", "Always");
    if (view.stage == ContainerStage::terminated && view.exit_code == 0) {
        return policy == "Always";
    }
    return policy != "Never";
}

/// Its number among the workload's pods; empty when it has none.
[[nodiscard]] inline std::string pod_index(const Json& pod) {
    for (const char* label :
         {"training.kubeflow.org/replica-index", "batch.kubernetes.io/job-completion-index"}) {
        if (std::string index = label_of(pod, label); !index.empty()) {
            return index;
        }
    }
    return text_or(detail::member(detail::member(pod, "metadata"), "annotations"),
                   "batch.kubernetes.io/job-completion-index");
}

/// What its lines are marked with: "worker-0", or its name; in an Experiment of Katib the trial's
/// name, and "TRIAL/worker-0".
[[nodiscard]] inline std::string pod_label(const Json& pod) {
    const std::string index = pod_index(pod);
    const std::string trial = label_of(pod, "katib.kubeflow.org/trial");
    if (index.empty()) {
        return trial.empty() ? name_of(pod) : trial;
    }
    const std::string role = label_of(pod, "training.kubeflow.org/replica-type");
    return (trial.empty() ? "" : trial + '/') + (role.empty() ? "worker" : role) + '-' + index;
}

/// Whether `choice` means this pod: its label, its number or its name; an empty one means every
/// pod.
[[nodiscard]] inline bool is_chosen(const Json& pod, std::string_view choice) {
    return choice.empty() || choice == pod_label(pod) || choice == pod_index(pod) ||
           choice == name_of(pod);
}

}  // namespace fairing::kube
