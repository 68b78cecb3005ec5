// fairing/deployers/serving/deployment_kind.hpp - a Deployment (apps/v1) that serves requests:
// whether it is ready, and the Service before it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "../../kube/client.hpp"
#include "../../kube/document.hpp"
#include "../../kube/names.hpp"
#include "../../kube/state.hpp"
#include "diagnose_servers.hpp"
#include "endpoint_kind.hpp"
#include "predict_protocol.hpp"

namespace fairing::kubernetes {

/// An apps/v1 Deployment of ours with its pods; Phase::succeeded stands for ready.
[[nodiscard]] inline kube::Diagnosis diagnose_deployment(const Json& deployment,
                                                         const std::vector<Json>& pods,
                                                         const std::vector<Json>& events) {
    const std::string what = "Deployment " + kube::name_of(deployment);
    const auto status = [&](const char* key) { return kube::number(deployment, {"status", key}); };
    const std::int64_t wanted = kube::number(deployment, {"spec", "replicas"});
    const bool is_seen =
        status("observedGeneration") >= kube::number(deployment, {"metadata", "generation"});
    if (is_seen && status("updatedReplicas") >= wanted && status("availableReplicas") >= wanted &&
        status("replicas") <= wanted) {
        return {.phase = kube::Phase::succeeded};
    }
    kube::Diagnosis result = diagnose_servers(pods, events);
    if (!is_seen) {
        return {.cause = kube::Cause::starting, .reason = what + " has just been changed"};
    }
    if (result.phase == kube::Phase::failed) {
        return result;
    }
    if (const Json& late = kube::condition(deployment, "Progressing", "False");
        kube::text(late, {"reason"}) == "ProgressDeadlineExceeded") {
        result.phase = kube::Phase::failed;
        result.reason = what + " is not ready in time (ProgressDeadlineExceeded)" +
                        (result.reason.empty() ? "" : ": " + result.reason);
    } else if (const Json& refusal = kube::condition(deployment, "ReplicaFailure");
               refusal.is_object()) {
        result = {.cause = kube::Cause::refused,
                  .reason = "the cluster takes no pod of " + what + ": " +
                            kube::text(refusal, {"message"})};
    } else if (pods.empty()) {
        result.cause = kube::Cause::starting;
        result.reason = what + " has no pod yet";
    } else if (result.reason.empty()) {
        result.reason = std::to_string(status("availableReplicas")) + " of " +
                        std::to_string(wanted) + " pods of " + what + " are ready";
    }
    return result;
}

/// "fairing-deployer=serving,fairing-id=…".
[[nodiscard]] inline std::string deployment_pods(const Json& deployment) {
    std::string selector;
    for (const auto& [key, value] :
         kube::member(deployment, {"spec", "selector", "matchLabels"}).items()) {
        selector += (selector.empty() ? "" : ",") + key + '=' + value.get<std::string>();
    }
    return selector;
}

[[nodiscard]] inline PredictTarget deployment_target(const Json& deployment) {
    return annotated_target(deployment, {});
}

/// By the Service of the same run.
[[nodiscard]] inline EndpointAddress locate_deployment(const kube::Client& client,
                                                       const Json& deployment) {
    const std::string run_id = kube::label_of(deployment, kube::run_label);
    const auto services =
        client.list("v1", "Service", kube::key_of(deployment).namespace_,
                    {.label_selector = std::string{kube::run_label} + '=' + run_id});
    if (services.items.empty()) {
        return {.missing = "the Service of run " + run_id + " is not there"};
    }
    return service_address(client, services.items.front());
}

inline constexpr EndpointKind deployment_kind{.api_version = "apps/v1",
                                              .kind = "Deployment",
                                              .diagnose = diagnose_deployment,
                                              .pod_selector = deployment_pods,
                                              .target = deployment_target,
                                              .locate = locate_deployment};

}  // namespace fairing::kubernetes
