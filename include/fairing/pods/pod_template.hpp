// fairing/pods/pod_template.hpp - the pods of a workload: an image, then every mutator's change.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "../core/error.hpp"
#include "../stage/image.hpp"
#include "kubernetes_options.hpp"
#include "run_identity.hpp"

namespace fairing {

/// Which pods: the main container's name ("fairing-job", "tensorflow", …) and the role of the
/// replica.
struct PodRole {
    std::string container = {};
    std::string role = {};
};

/// Throws Error{usage} for an image that no cluster can pull.
inline void check_pullable(const Image& image) {
    if (image.location == Location::registry && !image.reference.starts_with("oci:")) {
        return;
    }
    const std::string where = image.location == Location::engine ? "it is in this machine's engine"
                              : image.location == Location::nowhere
                                  ? "it was built, but is stored nowhere"
                                  : "it is in a directory of this machine";
    throw Error{ErrorCode::usage,
                {.attempted = "run in a cluster",
                 .subject = "the image " + image.reference,
                 .answer = where + ", where no cluster can pull it",
                 .advice = "build it with --registry HOST/PATH, and push it"}};
}

/// The main container of `image`, as root like the image itself, before any mutator.
[[nodiscard]] inline PodSpec pod_of(const Image& image, const std::string& container) {
    Json command = Json::array();
    for (const std::string& word : image.command) {
        command.push_back(literal_text(word));
    }
    Json main{{"name", container},
              {"image", image.reference},
              {"command", std::move(command)},
              {"env", Json::array({Json{{"name", "FAIRING_RUNTIME"}, {"value", "1"}}})},
              {"securityContext", {{"runAsUser", 0}}}};
    if (!image.working_directory.empty()) {
        main["workingDir"] = image.working_directory;
    }
    return PodSpec{
        Json{{"containers", Json::array({std::move(main)})}, {"restartPolicy", "Never"}}};
}

/// core/v1 PodTemplateSpec of `pod` after the mutators, which are called in order; what they create
/// beside it is added to `context.objects`. Throws Error; a mutator's own exceptions pass.
[[nodiscard]] inline Json mutated_template(PodSpec pod, const KubernetesOptions& options,
                                           const RunIdentity& identity, PodContext& context) {
    try {
        for (const PodSpecMutator& mutator : all_mutators(options)) {
            mutator(pod, context);
        }
    } catch (const Json::exception& error) {
        throw Error{ErrorCode::usage,
                    {.attempted = "change the pod of",
                     .subject = identity.name,
                     .answer = std::string{"a mutator took the document for another one: "} +
                               error.what()}};
    }
    return {
        {"metadata",
         {{"labels", run_labels(options, identity)}, {"annotations", run_annotations(options)}}},
        {"spec", pod.json()}};
}

/// The pods of `image`.
[[nodiscard]] inline Json pod_template(const Image& image, const PodRole& role,
                                       const KubernetesOptions& options,
                                       const RunIdentity& identity, PodContext& context) {
    return mutated_template(pod_of(image, role.container), options, identity, context);
}

/// What mutators added, made part of the run: namespace and labels; a bad object is refused by
/// name.
[[nodiscard]] inline std::vector<Json> adopted(std::vector<Json> objects,
                                               const KubernetesOptions& options,
                                               const RunIdentity& identity,
                                               const std::string& namespace_) {
    for (Json& object : objects) {
        const std::string kind = kube::text(object, {"kind"});
        const std::string name = kube::text(object, {"metadata", "name"});
        if (kind.empty() || kube::text(object, {"apiVersion"}).empty()) {
            throw Error{ErrorCode::usage,
                        {.attempted = "create an object beside",
                         .subject = identity.name,
                         .answer = "a mutator added one without apiVersion, kind or name"}};
        }
        kube::check_dns_subdomain(kind + " name", name);
        if (!namespace_.empty() && !object["metadata"].contains("namespace")) {
            object["metadata"]["namespace"] = namespace_;
        }
        for (const auto& [key, value] : run_labels(options, identity)) {
            object["metadata"]["labels"][key] = value;
        }
    }
    return objects;
}

}  // namespace fairing
