// fairing/pods/mutator.hpp - how a pod is changed before it is created: a function over its
// specification.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "../core/json.hpp"
#include "../stage/session.hpp"
#include "pod_spec.hpp"

namespace fairing {

namespace kube {
class Client;
}

/// Where a pod will live. Valid during the call. `client` is null when manifests are rendered
/// offline: then a mutator reads and asks nothing, and shows what it would create.
struct PodContext {
    const std::string& namespace_;  ///< empty when it is not known offline
    const std::string& role;        ///< "", "Worker", "PS", …: a mutator is called once per role
    const kube::Client* client;
    const Session& session;
    std::vector<Json>& objects;  ///< more objects to create with the workload and remove with it
    /// Begin of their names: the name of the object that owns the pods, and more for a canary's.
    const std::string& workload;
};

/// Called in the order of KubernetesOptions::pod_spec_mutators, each on what the one before left.
using PodSpecMutator = std::function<void(PodSpec&, PodContext&)>;

}  // namespace fairing
