// fairing/deployers/serving/inference_kind.hpp - an InferenceService as KServe, or KFServing before
// it, keeps it: whether it is ready, which share of the requests its newest model gets, its URLs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../../kube/client.hpp"
#include "../../kube/document.hpp"
#include "../../kube/state.hpp"
#include "../../net/url.hpp"
#include "diagnose_servers.hpp"
#include "endpoint_kind.hpp"
#include "predict_protocol.hpp"

namespace fairing::kubernetes {

namespace detail {

/// Which share of the requests the newest revision gets; nullopt where the status does not say.
[[nodiscard]] inline std::optional<std::int64_t> told_traffic(const Json& service) {
    if (const Json& legacy = kube::member(service, {"status", "canaryTraffic"});
        legacy.is_number_integer()) {
        return legacy.get<std::int64_t>();
    }
    const Json& traffic = kube::list(service, {"status", "components", "predictor", "traffic"});
    if (traffic.empty()) {
        return std::nullopt;
    }
    std::int64_t percent = 0;
    for (const Json& each : traffic) {
        if (kube::member(each, {"latestRevision"}) == true) {
            percent += kube::number(each, {"percent"});
        }
    }
    return percent;
}

/// Which share it is to get.
[[nodiscard]] inline std::int64_t wanted_traffic(const Json& service) {
    const bool is_legacy = kube::member(service, {"spec", "default"}).is_object();
    const Json& percent =
        is_legacy ? kube::member(service, {"spec", "canaryTrafficPercent"})
                  : kube::member(service, {"spec", "predictor", "canaryTrafficPercent"});
    return percent.is_number_integer() ? percent.get<std::int64_t>() : is_legacy ? 0 : 100;
}

/// "PredictorReady is False: RevisionFailed: …": the first condition that says no, the parts before
/// the whole.
[[nodiscard]] inline const Json& failing_condition(const Json& service) {
    const Json* found = &kube::condition(service, "Ready", "False");
    for (const Json& each : kube::list(service, {"status", "conditions"})) {
        if (kube::text(each, {"status"}) == "False" && kube::text(each, {"type"}) != "Ready") {
            return each;
        }
    }
    return *found;
}

}  // namespace detail

/// An InferenceService of either version with its pods; Phase::succeeded stands for ready.
[[nodiscard]] inline kube::Diagnosis diagnose_inference_service(const Json& service,
                                                                const std::vector<Json>& pods,
                                                                const std::vector<Json>& events) {
    const std::string what = "InferenceService " + kube::name_of(service);
    const std::int64_t seen = kube::number(service, {"status", "observedGeneration"});
    if (seen > 0 && seen < kube::number(service, {"metadata", "generation"})) {
        return {.cause = kube::Cause::starting, .reason = what + " has just been changed"};
    }
    const Json& model = kube::member(service, {"status", "modelStatus"});
    const std::string transition = kube::text(model, {"transitionStatus"});
    if (transition == "BlockedByFailedLoad" || transition == "InvalidSpec") {
        const Json& last = kube::member(model, {"lastFailureInfo"});
        kube::Diagnosis failed = diagnose_servers(pods, events);
        failed.phase = kube::Phase::failed;
        failed.reason =
            what + " can not load its model (" + transition + "): " +
            kube::detail::joined(kube::text(last, {"reason"}), kube::text(last, {"message"}));
        return failed;
    }
    const auto told = detail::told_traffic(service);
    const std::int64_t wanted = detail::wanted_traffic(service);
    if (kube::condition(service, "Ready").is_object()) {
        if (!told || *told == wanted) {
            return {.phase = kube::Phase::succeeded};
        }
        return {.phase = kube::Phase::running,
                .reason = "the newest revision of " + what + " gets " + std::to_string(*told) +
                          " % of the requests, and is to get " + std::to_string(wanted) + " %"};
    }
    kube::Diagnosis result = diagnose_servers(pods, events);
    const Json& failing = detail::failing_condition(service);
    if (failing.is_object()) {
        const std::string reason = kube::text(failing, {"reason"});
        const std::string said = what + ": " + kube::text(failing, {"type"}) + " is False: " +
                                 kube::detail::joined(reason, kube::text(failing, {"message"}));
        // These do not pass by waiting.
        const bool is_final = reason == "RevisionFailed" || reason == "ContainerMissing" ||
                              reason == "ProgressDeadlineExceeded" || reason == "InvalidSpec";
        result.phase = is_final ? kube::Phase::failed : result.phase;
        result.reason = said + (result.reason.empty() ? "" : "; " + result.reason);
    } else if (kube::list(service, {"status", "conditions"}).empty()) {
        result.reason = what + " has no status yet: its controller has not looked at it";
    } else if (result.reason.empty()) {
        result.reason = what + " is not Ready yet";
    }
    return result;
}

[[nodiscard]] inline std::string inference_pods(const Json& service) {
    const bool is_legacy = text_or(service, "apiVersion").starts_with("serving.kubeflow.org/");
    return (is_legacy ? "serving.kubeflow.org/inferenceservice="
                      : "serving.kserve.io/inferenceservice=") +
           kube::name_of(service);
}

[[nodiscard]] inline PredictTarget inference_target(const Json& service) {
    return annotated_target(service,
                            {.protocol = PredictProtocol::v1, .model = kube::name_of(service)});
}

/// The predictor's Service, which the API server reaches unless it is a name for Knative's; else
/// the URLs that KServe tells.
[[nodiscard]] inline EndpointAddress locate_inference_service(const kube::Client& client,
                                                              const Json& service) {
    const auto origin = [&service](kube::Path path) {
        const std::string url = kube::text(service, path);
        return url.empty() ? url : net::parse_url(url).origin();
    };
    EndpointAddress address;
    const auto predictor = client.find({.api_version = "v1",
                                        .kind = "Service",
                                        .namespace_ = kube::key_of(service).namespace_,
                                        .name = kube::name_of(service) + "-predictor"});
    if (predictor && kube::text(*predictor, {"spec", "type"}) != "ExternalName") {
        address = service_address(client, *predictor);
    }
    address.outside = origin({"status", "url"});
    if (std::string inside = origin({"status", "address", "url"}); !inside.empty()) {
        address.inside = std::move(inside);
    }
    if (address.url().empty()) {
        address.missing =
            "InferenceService " + kube::name_of(service) + " has been given no URL yet";
    }
    return address;
}

inline constexpr EndpointKind inference_service_kind{.api_version = "serving.kserve.io/v1beta1",
                                                     .kind = "InferenceService",
                                                     .diagnose = diagnose_inference_service,
                                                     .pod_selector = inference_pods,
                                                     .target = inference_target,
                                                     .locate = locate_inference_service};
inline constexpr EndpointKind legacy_inference_service_kind{
    .api_version = "serving.kubeflow.org/v1alpha2",
    .kind = "InferenceService",
    .diagnose = diagnose_inference_service,
    .pod_selector = inference_pods,
    .target = inference_target,
    .locate = locate_inference_service};

}  // namespace fairing::kubernetes
