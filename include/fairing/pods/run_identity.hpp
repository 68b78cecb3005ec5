// fairing/pods/run_identity.hpp - what the objects of one run are called, and the labels by which
// they are found again.
#pragma once

#include <array>
#include <cstddef>
#include <random>
#include <span>
#include <string>
#include <utility>

#include "../codec/sha256.hpp"
#include "../kube/names.hpp"
#include "../kube/object.hpp"
#include "../stage/image.hpp"
#include "kubernetes_options.hpp"

namespace fairing {

inline constexpr const char* deployer_label = "fairing-deployer";

/// Chosen here and not by the server, so that a lost reply never makes a second object, and so that
/// equal run ids give equal bytes.
struct RunIdentity {
    std::string run_id = {};
    std::string name = {};      ///< of the main object
    std::string deployer = {};  ///< "job", "tfjob", …
};

/// 12 hex digits that nobody had before.
[[nodiscard]] inline std::string draw_run_id() {
    std::random_device source;
    std::array<std::byte, 6> bytes{};
    for (std::byte& each : bytes) {
        each = static_cast<std::byte>(source() & 255U);
    }
    return codec::hex(std::span{bytes});
}

/// 12 hex digits out of the image: what a rendering has for a run id.
[[nodiscard]] inline std::string derive_run_id(const Image& image) {
    return codec::sha256_hex(image.reference).substr(0, 12);
}

/// Throws Error{usage} for a name or a run id that Kubernetes would refuse. `prefix` is
/// "fairing-job-", ….
[[nodiscard]] inline RunIdentity run_identity(const KubernetesOptions& options,
                                              const std::string& run_id, const std::string& prefix,
                                              std::string deployer) {
    kube::check_dns_label("run id", run_id);
    RunIdentity identity{.run_id = run_id,
                         .name = options.name.empty() ? prefix + run_id : options.name,
                         .deployer = std::move(deployer)};
    kube::check_dns_label("name", identity.name);
    return identity;
}

/// Labels of everything that belongs to the run: the user's, then ours, which can not be replaced.
[[nodiscard]] inline Labels run_labels(const KubernetesOptions& options,
                                       const RunIdentity& identity) {
    Labels labels = options.labels;
    for (const auto& [key, value] : labels) {
        kube::check_label(key, value);
    }
    labels[kube::run_label] = identity.run_id;
    labels[deployer_label] = identity.deployer;
    return labels;
}

/// Annotations of the same: the user's, and no Istio proxy beside the program, which would keep a
/// pod from ending.
[[nodiscard]] inline Labels run_annotations(const KubernetesOptions& options) {
    Labels annotations{{"sidecar.istio.io/inject", "false"}};
    for (const auto& [key, value] : options.annotations) {
        kube::check_key("annotation", key);
        annotations[key] = value;
    }
    return annotations;
}

/// What the main object of a run is called, and where: its metadata, with the labels that Kueue
/// reads. `namespace_` is empty while it is not known.
[[nodiscard]] inline Json run_metadata(const KubernetesOptions& options,
                                       const RunIdentity& identity, const std::string& namespace_) {
    Labels labels = run_labels(options, identity);
    const auto add = [&labels](const char* key, const std::string& value) {
        if (!value.empty()) {
            kube::check_label(key, value);
            labels[key] = value;
        }
    };
    add("kueue.x-k8s.io/queue-name", options.queue);
    add("kueue.x-k8s.io/priority-class", options.queue_priority);
    Json metadata{
        {"name", identity.name}, {"labels", labels}, {"annotations", run_annotations(options)}};
    if (!namespace_.empty()) {
        metadata["namespace"] = namespace_;
    }
    return metadata;
}

}  // namespace fairing
