// fairing/runs/connection.hpp - from a deployer's options to a client of its
// cluster.
#pragma once

#include <string>
#include <utility>

#include "../kube/connect.hpp"
#include "../kube/kubeconfig.hpp"
#include "../pods/kubernetes_options.hpp"
#include "../stage/session.hpp"

namespace fairing::kubernetes {

/// Contacts nothing yet. The namespace of the options, when there is one, is the client's default.
[[nodiscard]] inline kube::Client connect(const KubernetesOptions& options,
                                          const Session& session) {
    kube::Cluster cluster =
        kube::load_cluster({.file = options.config_file, .context = options.context});
    if (!options.namespace_.empty()) {
        cluster.namespace_ = options.namespace_;
    }
    kube::check_dns_label("namespace", cluster.namespace_);
    // A workload speaks from several threads.
    return kube::connect(std::move(cluster), session.ordered().control(), session.transport);
}

}  // namespace fairing::kubernetes
