#include "fairing/deployers/serving/deployment_kind.hpp"

#include <doctest/doctest.h>

#include "../../support/workspace.hpp"

using namespace fairing;
using support::contains;

namespace {

Json deployment(const char* status, int generation = 1) {
    return {{"kind", "Deployment"},
            {"metadata", {{"name", "d"}, {"generation", generation}}},
            {"spec", {{"replicas", 2}}},
            {"status", Json::parse(status)}};
}
Json server_pod(const char* status) {
    return {{"metadata", {{"name", "p"}}}, {"status", Json::parse(status)}};
}
kube::Diagnosis judge(const char* status, const std::vector<Json>& pods,
                      const std::vector<Json>& events = {}) {
    return kubernetes::diagnose_deployment(deployment(status), pods, events);
}

}  // namespace

TEST_CASE("a Deployment is ready when all of the newest pods are; else the reason is named") {
    using kube::Phase;
    CHECK(judge(R"({"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2,
        "availableReplicas": 2})",
                {})
              .phase == Phase::succeeded);
    CHECK(
        judge(R"({"observedGeneration": 1, "replicas": 3, "updatedReplicas": 2,
        "availableReplicas": 2})",
              {server_pod(
                  R"({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]})")})
            .reason == "2 of 2 pods of Deployment d are ready");
    CHECK(judge("{}", {}).reason == "Deployment d has just been changed");
    CHECK(judge(R"({"observedGeneration": 1})", {}).reason == "Deployment d has no pod yet");

    const Json unready = server_pod(R"({"phase": "Running", "containerStatuses": [
        {"name": "model", "ready": false, "restartCount": 0, "state": {"running": {}}}]})");
    const Json event{{"type", "Warning"},
                     {"reason", "Unhealthy"},
                     {"message", "Readiness probe failed: no"},
                     {"involvedObject", {{"kind", "Pod"}, {"name", "p"}}}};
    const auto waiting = judge(R"({"observedGeneration": 1})", {unready}, {event});
    CHECK(waiting.phase == Phase::running);
    CHECK(waiting.reason ==
          "pod p runs, and is not ready yet: Unhealthy: Readiness probe failed: no");
    const auto late = judge(R"({"observedGeneration": 1, "conditions": [{"type": "Progressing",
        "status": "False", "reason": "ProgressDeadlineExceeded"}]})",
                            {unready}, {event});
    CHECK(late.phase == Phase::failed);
    CHECK(contains(late.reason, "not ready in time (ProgressDeadlineExceeded): pod p runs"));
    CHECK(late.pod == "p");

    const auto refused = judge(R"({"observedGeneration": 1, "conditions": [{"type":
        "ReplicaFailure", "status": "True", "message": "exceeded quota"}]})",
                               {});
    CHECK(refused.cause == kube::Cause::refused);
    CHECK(refused.reason == "the cluster takes no pod of Deployment d: exceeded quota");
}
