// fairing/pods/placement.hpp - where pods run, and as whom: node selectors, tolerations, priority,
// service account.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../kube/names.hpp"
#include "labels.hpp"
#include "mutator.hpp"

namespace fairing {

/// Only nodes with these labels.
[[nodiscard]] inline PodSpecMutator node_selector(Labels labels) {
    for (const auto& [key, value] : labels) {
        kube::check_label(key, value);
    }
    return [labels = std::move(labels)](PodSpec& pod, PodContext& /*context*/) {
        for (const auto& [key, value] : labels) {
            pod.json()["nodeSelector"][key] = value;
        }
    };
}

/// A taint that does not keep the pods off a node.
struct Toleration {
    std::string key = {};     ///< empty: every taint
    std::string value = {};   ///< empty: whatever its value is
    std::string effect = {};  ///< "NoSchedule", "PreferNoSchedule", "NoExecute"; empty: all of them
    std::optional<std::int64_t> seconds = {};  ///< how long a NoExecute taint is endured
};

[[nodiscard]] inline PodSpecMutator tolerations(std::vector<Toleration> wanted) {
    return [wanted = std::move(wanted)](PodSpec& pod, PodContext& /*context*/) {
        for (const Toleration& each : wanted) {
            Json entry{{"operator", each.value.empty() ? "Exists" : "Equal"}};
            const auto set = [&entry](const char* key, const std::string& value) {
                if (!value.empty()) {
                    entry[key] = value;
                }
            };
            set("key", each.key);
            set("value", each.value);
            set("effect", each.effect);
            if (each.seconds) {
                entry["tolerationSeconds"] = *each.seconds;
            }
            pod.json()["tolerations"].push_back(entry);
        }
    };
}

/// The service account that the pods run as.
[[nodiscard]] inline PodSpecMutator service_account(std::string name) {
    kube::check_dns_subdomain("service account", name);
    return [name = std::move(name)](PodSpec& pod, PodContext& /*context*/) {
        pod.json()["serviceAccountName"] = name;
    };
}

/// A PriorityClass of the cluster.
[[nodiscard]] inline PodSpecMutator priority_class(std::string name) {
    kube::check_dns_subdomain("priority class", name);
    return [name = std::move(name)](PodSpec& pod, PodContext& /*context*/) {
        pod.json()["priorityClassName"] = name;
    };
}

}  // namespace fairing
