#include "fairing/deployers/serving/inference_kind.hpp"

#include <doctest/doctest.h>

#include "../../support/workspace.hpp"

using namespace fairing;
using support::contains;

namespace {

Json told(const char* given, const char* status) {
    return {{"apiVersion", "serving.kserve.io/v1beta1"},
            {"metadata", {{"name", "s"}, {"generation", 2}}},
            {"spec", Json::parse(given)},
            {"status", Json::parse(status)}};
}
kube::Diagnosis judge(const char* given, const char* status) {
    return kubernetes::diagnose_inference_service(told(given, status), {}, {});
}
constexpr const char* plain = R"({"predictor": {}})";

}  // namespace

TEST_CASE("Ready, and with the share of requests that was asked for; else what stands against it") {
    using kube::Phase;
    CHECK(judge(plain, R"({"conditions": [{"type": "Ready", "status": "True"}]})").phase ==
          Phase::succeeded);
    CHECK(contains(judge(plain, "{}").reason, "its controller has not looked at it"));
    CHECK(contains(judge(plain, R"({"observedGeneration": 1, "conditions": [{"type": "Ready",
        "status": "True"}]})")
                       .reason,
                   "has just been changed"));
    const char* ten = R"({"conditions": [{"type": "Ready", "status": "True"}], "components":
        {"predictor": {"traffic": [{"latestRevision": true, "percent": 10},
        {"revisionName": "a", "percent": 90}]}}})";
    const auto partly = judge(plain, ten);
    CHECK(partly.phase == Phase::running);
    CHECK(contains(partly.reason, "gets 10 % of the requests, and is to get 100 %"));
    CHECK(judge(R"({"predictor": {"canaryTrafficPercent": 10}})", ten).phase == Phase::succeeded);
    const char* legacy = R"({"canaryTraffic": 10, "conditions": [{"type": "Ready",
        "status": "True"}]})";
    CHECK(judge(R"({"default": {}, "canaryTrafficPercent": 10})", legacy).phase ==
          Phase::succeeded);
    CHECK(judge(R"({"default": {}})", legacy).phase == Phase::running);

    const auto failing = judge(plain, R"({"conditions": [
        {"type": "IngressReady", "status": "Unknown"},
        {"type": "PredictorReady", "status": "False", "reason": "RevisionFailed", "message": "m"},
        {"type": "Ready", "status": "False", "reason": "x"}]})");
    CHECK(failing.phase == Phase::failed);
    CHECK(failing.reason == "InferenceService s: PredictorReady is False: RevisionFailed: m");
    const auto passing = judge(plain, R"({"conditions": [{"type": "Ready", "status": "False",
        "reason": "MinimumReplicasUnavailable"}]})");
    CHECK(passing.phase != Phase::failed);
    CHECK(contains(passing.reason, "Ready is False: MinimumReplicasUnavailable"));
    CHECK(
        contains(judge(plain, R"({"conditions": [{"type": "Ready", "status": "Unknown"}]})").reason,
                 "is not Ready yet"));
    const auto unloadable = judge(plain, R"({"modelStatus": {"transitionStatus": "InvalidSpec",
        "lastFailureInfo": {"reason": "NoSupportingRuntime", "message": "none"}}})");
    CHECK(unloadable.phase == Phase::failed);
    CHECK(contains(unloadable.reason, "(InvalidSpec): NoSupportingRuntime: none"));
}
