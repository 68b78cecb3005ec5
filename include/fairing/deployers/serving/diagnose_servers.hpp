// fairing/deployers/serving/diagnose_servers.hpp - why the pods of an endpoint are not ready: a
// pure function of their documents and their events'.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "../../kube/document.hpp"
#include "../../kube/object.hpp"
#include "../../kube/state.hpp"

namespace fairing::kubernetes {

/// The first pod that runs and is not ready; "" when there is none.
[[nodiscard]] inline std::string unready_pod(const std::vector<Json>& pods) {
    for (const Json& pod : pods) {
        if (kube::text(pod, {"status", "phase"}) == "Running" &&
            !kube::condition(pod, "Ready").is_object()) {
            return kube::name_of(pod);
        }
    }
    return {};
}

/// What keeps the pods of an endpoint from being ready: which one, and why. A server that was
/// started over and over, and is not up, is given up.
[[nodiscard]] inline kube::Diagnosis diagnose_servers(const std::vector<Json>& pods,
                                                      const std::vector<Json>& events) {
    constexpr std::int64_t most_restarts = 3;
    for (const Json& pod : pods) {
        for (const Json& status : kube::list(pod, {"status", "containerStatuses"})) {
            const std::int64_t restarts = kube::number(status, {"restartCount"});
            if (restarts < most_restarts || kube::member(status, {"ready"}) == true) {
                continue;
            }
            kube::Diagnosis result{.phase = kube::Phase::failed,
                                   .cause = kube::Cause::restarting,
                                   .pod = kube::name_of(pod),
                                   .container = kube::text(status, {"name"})};
            const std::string last =
                kube::text(status, {"lastState", "terminated", "reason"}) == "OOMKilled"
                    ? "it ran out of memory (OOMKilled); raise its limit with --memory"
                    : "its last exit code was " +
                          std::to_string(
                              kube::number(status, {"lastState", "terminated", "exitCode"}));
            result.reason = "container " + result.container + " of pod " + result.pod +
                            " does not stay up, and was restarted " + std::to_string(restarts) +
                            " times: " + last;
            return result;
        }
    }
    kube::Diagnosis result = kube::diagnose_pods(pods);
    if (result.phase == kube::Phase::failed || result.phase == kube::Phase::succeeded) {
        result.phase = kube::Phase::pending;  // its controller starts another one
    }
    const std::string unready = unready_pod(pods);
    const bool is_starting = result.cause == kube::Cause::starting;
    if (result.cause == kube::Cause::none && !unready.empty()) {
        result.pod = unready;
        result.reason = "pod " + unready + " runs, and is not ready yet";
    }
    if (is_starting || (result.cause == kube::Cause::none && !unready.empty())) {
        const std::string complaint = kube::last_complaint(events, result.pod);
        result.reason += complaint.empty() ? "" : ": " + complaint;
    }
    return result;
}

}  // namespace fairing::kubernetes
