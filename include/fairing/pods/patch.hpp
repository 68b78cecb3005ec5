// fairing/pods/patch.hpp - any change of a pod's specification, as a JSON patch (RFC 6902).
#pragma once

#include <utility>

#include "../core/error.hpp"
#include "mutator.hpp"

namespace fairing {

/// Applies `json_patch` to the core/v1 PodSpec:
///   mutate({{{"op", "add"}, {"path", "/hostNetwork"}, {"value", true}}})
/// Throws Error{usage}, when the pod is made, for a patch that does not fit.
[[nodiscard]] inline PodSpecMutator mutate(Json json_patch) {
    return [json_patch = std::move(json_patch)](PodSpec& pod, PodContext& /*context*/) {
        try {
            pod.json() = pod.json().patch(json_patch);
        } catch (const Json::exception& error) {
            throw Error{ErrorCode::usage,
                        {.attempted = "patch the pod",
                         .answer = error.what(),
                         .advice = "paths begin at the pod's spec: /containers/0/env/-"}};
        }
    };
}

}  // namespace fairing
