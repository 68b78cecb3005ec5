// fairing/deployers/training/run_policy.hpp - what every training job of Kubeflow takes beside its
// replicas: when it ends, what is restarted, what is cleaned up (kubeflow.org/v1 RunPolicy).
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include "../../stage/fields.hpp"

namespace fairing {

/// What happens to a pod that failed. `exit_code`: codes from 128 are tried again, those below are
/// final.
enum class RestartPolicy { never, on_failure, always, exit_code };

/// Which pods the operator deletes once the job has ended. `running`, our default, ends what would
/// go on for ever (parameter servers) and keeps the logs of the others.
enum class CleanPodPolicy { none, running, all };

struct RunPolicy {
    RestartPolicy restart_policy = RestartPolicy::never;  ///< of every replica
    CleanPodPolicy clean_pod_policy = CleanPodPolicy::running;
    std::optional<int> backoff_limit = {};
    std::optional<int> active_deadline_seconds = {};
    std::optional<int> ttl_seconds_after_finished = {};
    bool suspend = false;
    std::optional<int> gang_min_available = {};  ///< pods that start together, or not at all
    std::string gang_queue = {};
    std::string gang_priority_class = {};
    std::optional<int> gang_timeout_seconds = {};
};

template <>
inline constexpr auto value_names<RestartPolicy> =
    std::array<std::pair<std::string_view, RestartPolicy>, 4>{
        {{"never", RestartPolicy::never},
         {"on-failure", RestartPolicy::on_failure},
         {"always", RestartPolicy::always},
         {"exit-code", RestartPolicy::exit_code}}};
template <>
inline constexpr auto value_names<CleanPodPolicy> =
    std::array<std::pair<std::string_view, CleanPodPolicy>, 3>{
        {{"none", CleanPodPolicy::none},
         {"running", CleanPodPolicy::running},
         {"all", CleanPodPolicy::all}}};

template <>
inline constexpr auto fields<RunPolicy> = std::tuple{
    field("restart_policy", &RunPolicy::restart_policy, "what happens to a pod that failed"),
    field("clean_pod_policy", &RunPolicy::clean_pod_policy,
          "which pods are deleted once the job has ended"),
    field("backoff_limit", &RunPolicy::backoff_limit, "how many pods may fail before the job does"),
    field("active_deadline_seconds", &RunPolicy::active_deadline_seconds,
          "the cluster stops the job after so long"),
    field("ttl_seconds_after_finished", &RunPolicy::ttl_seconds_after_finished,
          "the cluster removes the job so long after its end"),
    field("suspend", &RunPolicy::suspend, "create it, but let nothing run yet"),
    field("gang_min_available", &RunPolicy::gang_min_available,
          "gang scheduling: so many pods start together, or none"),
    field("gang_queue", &RunPolicy::gang_queue, "gang scheduling: the scheduler's queue"),
    field("gang_priority_class", &RunPolicy::gang_priority_class,
          "gang scheduling: PriorityClass of the group"),
    field("gang_timeout_seconds", &RunPolicy::gang_timeout_seconds,
          "gang scheduling: how long the group may wait"),
};

}  // namespace fairing
