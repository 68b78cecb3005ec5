// fairing/kube/pod_state.hpp - why a pod is not running, and how it ended: a pure function of its
// document.
//
// Kubernetes, core/v1 PodStatus and ContainerStatus; the waiting reasons are those of the kubelet's
// container runtime manager and image manager.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "document.hpp"

namespace fairing::kube {

enum class Phase { pending, running, succeeded, failed };

enum class Cause {
    none,
    starting,          ///< scheduled, pulled, created: on its way
    suspended,         ///< a queue or a person holds it back
    unschedulable,     ///< no node takes it, for now
    not_prepared,      ///< its node lacks something for it (a volume, the network), and tries again
    image_pull,        ///< a pull failed, and is tried again
    container_create,  ///< the runtime could not make the container, and tries again
    image_name,        ///< not a name of an image: never pulled
    image_never_pull,  ///< not on the node, and pulling is forbidden
    container_config,  ///< names a secret, config map or key that is not there
    init_failed,       ///< an init container ended badly
    restarting,        ///< crashed, and is started again
    container_failed,  ///< the container ended with a code that is not 0
    out_of_memory,     ///< OOMKilled
    evicted,           ///< the node took its room back
    deadline_exceeded,  ///< activeDeadlineSeconds passed
    backoff_limit,      ///< too many pods failed
    refused,            ///< the server takes no pod of it: quota, policy, service account
    deleted             ///< removed by somebody else
};

/// The one answer. `reason` is a sentence without a full stop, empty when all is well.
struct Diagnosis {
    Phase phase = Phase::pending;
    Cause cause = Cause::none;
    int exit_code = 0;  ///< of the container, when it ended
    std::string pod = {}, container = {};
    std::string reason = {};
};

/// Whether waiting can not help: nothing will run until somebody changes something. Pulls are
/// different, they are given a few attempts (Sightings).
[[nodiscard]] constexpr bool is_hopeless(Cause cause) noexcept {
    return cause == Cause::image_name || cause == Cause::image_never_pull ||
           cause == Cause::container_config || cause == Cause::refused;
}

namespace detail {

/// The waiting reasons that stand for a cause of their own. The rest ("ContainerCreating",
/// "PodInitializing") is starting.
struct WaitingReason {
    std::string_view name;
    Cause cause;
};
inline constexpr std::array<WaitingReason, 13> waiting_reasons{
    {{"ErrImagePull", Cause::image_pull},
     {"ImagePullBackOff", Cause::image_pull},
     {"RegistryUnavailable", Cause::image_pull},
     {"SignatureValidationFailed", Cause::image_pull},
     {"ImageInspectError", Cause::image_pull},
     {"InvalidImageName", Cause::image_name},
     {"ErrImageNeverPull", Cause::image_never_pull},
     {"CreateContainerConfigError", Cause::container_config},
     {"CreateContainerError", Cause::container_create},
     {"PreCreateHookError", Cause::container_create},
     {"PostStartHookError", Cause::container_create},
     {"RunContainerError", Cause::container_create},
     {"CrashLoopBackOff", Cause::restarting}}};

[[nodiscard]] constexpr Cause waiting_cause(std::string_view reason) noexcept {
    for (const WaitingReason& each : waiting_reasons) {
        if (each.name == reason) {
            return each.cause;
        }
    }
    return Cause::starting;
}

/// "NAME: MESSAGE", or the one that there is.
[[nodiscard]] inline std::string joined(const std::string& name, const std::string& message) {
    return name.empty() || message.empty() ? name + message : name + ": " + message;
}

[[nodiscard]] inline int container_exit_code(const Json& terminated) {
    return static_cast<int>(std::clamp<std::int64_t>(number(terminated, {"exitCode"}), 0, 255));
}

/// "container X of pod Y" (with "init " before it).
[[nodiscard]] inline std::string container_phrase(const Diagnosis& diagnosis, bool is_init) {
    return (is_init ? "init container " : "container ") + diagnosis.container + " of pod " +
           diagnosis.pod;
}

/// What a container's end says: nullopt when it did not end, or ended well.
[[nodiscard]] inline std::optional<Diagnosis> failed_container(const Json& status,
                                                               const std::string& pod,
                                                               bool is_init) {
    const Json& terminated = kube::member(status, {"state", "terminated"});
    const std::string why = text(terminated, {"reason"});
    if (!terminated.is_object() || (container_exit_code(terminated) == 0 && why != "OOMKilled")) {
        return std::nullopt;
    }
    Diagnosis result{.phase = Phase::failed,
                     .cause = is_init ? Cause::init_failed : Cause::container_failed,
                     .exit_code = container_exit_code(terminated),
                     .pod = pod,
                     .container = text(status, {"name"})};
    const std::string code = "exited with code " + std::to_string(result.exit_code);
    if (why == "OOMKilled") {
        result.cause = Cause::out_of_memory;
        result.exit_code = result.exit_code == 0 ? 137 : result.exit_code;
        result.reason = container_phrase(result, is_init) +
                        " was killed because it ran out of memory (OOMKilled); raise its limit "
                        "with --memory";
        return result;
    }
    const std::string words =
        joined(why == "Error" || why == "Completed" ? "" : why, text(terminated, {"message"}));
    result.reason =
        container_phrase(result, is_init) + ' ' + code + (words.empty() ? "" : " (" + words + ')');
    return result;
}

/// What keeps a container from starting: nullopt when nothing does.
[[nodiscard]] inline std::optional<Diagnosis> waiting_container(const Json& status,
                                                                const std::string& pod,
                                                                bool is_init) {
    const Json& waiting = kube::member(status, {"state", "waiting"});
    const std::string why = text(waiting, {"reason"});
    const Cause cause = waiting_cause(why);
    if (!waiting.is_object() || cause == Cause::starting) {
        return std::nullopt;
    }
    Diagnosis result{.cause = cause, .pod = pod, .container = text(status, {"name"})};
    std::string words = text(waiting, {"message"});
    if (cause == Cause::restarting) {
        const Json& last = kube::member(status, {"lastState", "terminated"});
        result.exit_code = container_exit_code(last);
        words = "its last exit code was " + std::to_string(result.exit_code);
    }
    const bool about_image = cause == Cause::image_pull || cause == Cause::image_name ||
                             cause == Cause::image_never_pull;
    if (about_image && words.find(text(status, {"image"})) == std::string::npos) {
        words = joined("image " + text(status, {"image"}), words);
    }
    result.reason = container_phrase(result, is_init) + " does not start: " + joined(why, words);
    return result;
}

/// The first answer of `judge` for the init containers, then the containers.
template <class Judge>
[[nodiscard]] std::optional<Diagnosis> first_container(const Json& pod, const Judge& judge) {
    const std::string name = text(pod, {"metadata", "name"});
    for (const char* group : {"initContainerStatuses", "containerStatuses"}) {
        for (const Json& status : list(pod, {"status", group})) {
            if (auto found = judge(status, name, group[0] == 'i')) {
                return found;
            }
        }
    }
    return std::nullopt;
}

[[nodiscard]] inline Diagnosis failed_pod(const Json& pod) {
    const std::string why = text(pod, {"status", "reason"});
    const std::string message = text(pod, {"status", "message"});
    const auto container = first_container(pod, failed_container);
    Diagnosis result = container.value_or(
        Diagnosis{.phase = Phase::failed, .pod = text(pod, {"metadata", "name"})});
    const Json& disruption = condition(pod, "DisruptionTarget");
    if (why == "Evicted" || (why.empty() && disruption.is_object())) {
        result.cause = Cause::evicted;
        result.reason =
            "pod " + result.pod + " was evicted" + (message.empty() ? "" : ": " + message) +
            (message.empty() && disruption.is_object()
                 ? ": " + joined(text(disruption, {"reason"}), text(disruption, {"message"}))
                 : "");
    } else if (why == "DeadlineExceeded") {
        result.cause = Cause::deadline_exceeded;
        result.reason = "pod " + result.pod + " was stopped: " + joined(why, message);
    } else if (!container) {
        result.cause = Cause::container_failed;
        result.reason = "pod " + result.pod + " failed" +
                        (why.empty() && message.empty() ? "" : ": " + joined(why, message));
    }
    return result;
}

}  // namespace detail

/// One pod: its phase, and what is in its way.
[[nodiscard]] inline Diagnosis diagnose_pod(const Json& pod) {
    const std::string phase = text(pod, {"status", "phase"});
    const std::string name = text(pod, {"metadata", "name"});
    if (phase == "Succeeded") {
        return {.phase = Phase::succeeded, .pod = name};
    }
    if (phase == "Failed") {
        return detail::failed_pod(pod);
    }
    if (auto waiting = detail::first_container(pod, detail::waiting_container)) {
        waiting->phase = phase == "Running" ? Phase::running : Phase::pending;
        return *waiting;
    }
    if (phase == "Running") {
        return {.phase = Phase::running, .pod = name};
    }
    const Json& unscheduled = condition(pod, "PodScheduled", "False");
    const std::string why = text(unscheduled, {"reason"});
    if (why == "SchedulingGated") {
        return {.cause = Cause::suspended,
                .pod = name,
                .reason = "pod " + name + " is held back by a scheduling gate"};
    }
    if (unscheduled.is_object()) {
        return {.cause = Cause::unschedulable,
                .pod = name,
                .reason = "no node takes pod " + name + ": " +
                          detail::joined(why, text(unscheduled, {"message"}))};
    }
    return {.cause = Cause::starting, .pod = name, .reason = "pod " + name + " is starting"};
}

namespace detail {

/// Which of the pods' answers speaks for all: what failed, then what is hopeless, then what waits.
[[nodiscard]] inline int weight(const Diagnosis& pod) noexcept {
    if (pod.phase == Phase::failed) {
        return 5;
    }
    if (is_hopeless(pod.cause)) {
        return 4;
    }
    if (pod.cause != Cause::none && pod.cause != Cause::starting) {
        return 3;
    }
    return pod.phase == Phase::running ? 2 : pod.phase == Phase::pending ? 1 : 0;
}

/// Of several pods that failed the first tells why; the others often follow from it.
[[nodiscard]] inline std::string end_time(const Json& pod) {
    std::string first;
    for (const Json& status : list(pod, {"status", "containerStatuses"})) {
        const std::string time = text(status, {"state", "terminated", "finishedAt"});
        first = first.empty() || (!time.empty() && time < first) ? time : first;
    }
    return first;
}

}  // namespace detail

/// The pod that speaks for all of them; {pending} when there is none.
[[nodiscard]] inline Diagnosis diagnose_pods(const std::vector<Json>& pods) {
    Diagnosis result;
    std::string ended;
    int heaviest = -1;
    for (const Json& pod : pods) {
        Diagnosis one = diagnose_pod(pod);
        const int weight = detail::weight(one);
        const std::string end = detail::end_time(pod);
        if (weight > heaviest ||
            (weight == heaviest && one.phase == Phase::failed && end < ended)) {
            heaviest = weight;
            ended = end;
            result = std::move(one);
        }
    }
    return result;
}

/// How often a pod was seen in a trouble that may pass: a failed pull is tried again, and given up
/// after three sightings. A sighting is a new version of the pod, or a look five seconds after the
/// last one.
class Sightings {
public:
    static constexpr int enough = 3;
    using Time = std::chrono::steady_clock::time_point;

    /// Looks at a pod; true when it is time to give up.
    [[nodiscard]] bool see(const Json& pod, Time now) {
        const Diagnosis diagnosis = diagnose_pod(pod);
        const std::string uid = text(pod, {"metadata", "uid"});
        if (is_hopeless(diagnosis.cause)) {
            return true;
        }
        if (diagnosis.cause != Cause::image_pull && diagnosis.cause != Cause::container_create) {
            if (diagnosis.phase != Phase::pending) {
                seen_.erase(uid);
            }
            return false;
        }
        Seen& seen = seen_[uid];
        const std::string version = text(pod, {"metadata", "resourceVersion"});
        if (seen.times == 0 || seen.version != version || now - seen.last >= pause) {
            seen = {.times = seen.times + 1, .version = version, .last = now};
        }
        return seen.times >= enough;
    }

private:
    static constexpr std::chrono::seconds pause{5};
    struct Seen {
        int times = 0;
        std::string version = {};
        Time last = {};
    };
    std::map<std::string, Seen> seen_ = {};
};

}  // namespace fairing::kube
