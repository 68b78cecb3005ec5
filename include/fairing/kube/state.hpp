// fairing/kube/state.hpp - why a run is not running, and how it ended: a pure function of the
// owner's, the pods' and the events' documents (Kubernetes, batch/v1 JobStatus).
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "document.hpp"
#include "pod_state.hpp"

namespace fairing::kube {

namespace detail {

/// When it was seen last, as the server writes it; texts of one form, which can be compared.
[[nodiscard]] inline std::string event_time(const Json& event) {
    return std::max(text(event, {"lastTimestamp"}),
                    std::max(text(event, {"eventTime"}), text(event, {"firstTimestamp"})));
}

}  // namespace detail

/// The newest refusal to make pods among the events of an owner, or "": FailedCreate of Kubernetes'
/// own controllers, FailedCreatePod of the training operator, ValidationError of the MPI operator.
[[nodiscard]] inline std::string refused_creation(const std::vector<Json>& events) {
    std::string message, newest;
    for (const Json& event : events) {
        const std::string time = detail::event_time(event);
        const std::string why = text(event, {"reason"});
        if ((why == "FailedCreate" || why == "FailedCreatePod" || why == "ValidationError") &&
            time >= newest) {
            newest = time;
            message = text(event, {"message"});
        }
    }
    return message;
}

/// What the node of a pod that does not start complains of: the newest event about that pod, when
/// it is a warning; else "". A volume whose Secret is missing shows nowhere else.
[[nodiscard]] inline std::string last_complaint(const std::vector<Json>& events,
                                                const std::string& pod) {
    std::string complaint, newest;
    for (const Json& event : events) {
        const std::string time = detail::event_time(event);
        if (text(event, {"involvedObject", "kind"}) == "Pod" &&
            text(event, {"involvedObject", "name"}) == pod && time >= newest) {
            newest = time;
            complaint = text(event, {"type"}) == "Warning"
                            ? detail::joined(text(event, {"reason"}), text(event, {"message"}))
                            : "";
        }
    }
    return complaint;
}

namespace detail {

/// "Job train-1"; one without a kind is a Job.
[[nodiscard]] inline std::string run_phrase(const Json& job) {
    const std::string kind = text(job, {"kind"});
    return (kind.empty() ? "Job" : kind) + ' ' + text(job, {"metadata", "name"});
}

[[nodiscard]] inline Diagnosis failed_job(const Json& failed, Diagnosis pods,
                                          const std::string& phrase) {
    const std::string why = text(failed, {"reason"});
    const std::string message = text(failed, {"message"});
    // The training operator says so in its message only.
    if (why == "DeadlineExceeded" ||
        message.find("active longer than specified deadline") != std::string::npos) {
        return {.phase = Phase::failed,
                .cause = Cause::deadline_exceeded,
                .exit_code = pods.exit_code,
                .pod = pods.pod,
                .reason = phrase + " was stopped: " + joined(why, message)};
    }
    if (pods.phase == Phase::failed) {
        return pods;
    }
    return {.phase = Phase::failed,
            .cause = why == "BackoffLimitExceeded" ? Cause::backoff_limit : Cause::container_failed,
            .reason = phrase + " failed: " + joined(why, message)};
}

/// The owner's own word on a run that has ended: batch/v1 and TrainJobs say Complete, the training
/// operator and the MPI operator Succeeded.
[[nodiscard]] inline bool has_succeeded(const Json& job) {
    return condition(job, "Complete").is_object() || condition(job, "Succeeded").is_object();
}

}  // namespace detail

/// A batch/v1 Job, a training job of Kubeflow or a TrainJob with its pods, and events that are
/// about the object or its pods.
[[nodiscard]] inline Diagnosis diagnose_job(const Json& job, const std::vector<Json>& pods,
                                            const std::vector<Json>& events = {}) {
    const std::string phrase = detail::run_phrase(job);
    if (detail::has_succeeded(job)) {
        return {.phase = Phase::succeeded};
    }
    Diagnosis result = diagnose_pods(pods);
    if (const Json& failed = condition(job, "Failed"); failed.is_object()) {
        return detail::failed_job(failed, std::move(result), phrase);
    }
    if (condition(job, "Suspended").is_object() || kube::member(job, {"spec", "suspend"}) == true ||
        kube::member(job, {"spec", "runPolicy", "suspend"}) == true) {
        return {.cause = Cause::suspended,
                .reason = phrase + " is suspended until a queue or a person resumes it"};
    }
    if (pods.empty()) {
        if (const std::string refusal = refused_creation(events); !refusal.empty()) {
            return {.cause = Cause::refused,
                    .reason = "the cluster takes no pod of " + phrase + ": " + refusal};
        }
        if (condition(job, "Running").is_object()) {
            return {.phase = Phase::running};  // its pods were not asked
        }
        return {.cause = Cause::starting, .reason = phrase + " has no pod yet"};
    }
    if (result.phase == Phase::failed || result.phase == Phase::succeeded) {
        // The object has the last word: it may start another pod, or has others to come.
        result.phase = Phase::running;
    }
    if (const Json& again = condition(job, "Restarting");
        again.is_object() && (result.cause == Cause::none || result.cause == Cause::starting)) {
        result.cause = Cause::restarting;
        result.reason = phrase + " restarts: " + text(again, {"message"});
    }
    if (result.cause == Cause::starting) {
        if (const std::string complaint = last_complaint(events, result.pod); !complaint.empty()) {
            result.cause = Cause::not_prepared;
            result.reason = "pod " + result.pod + " does not start: " + complaint;
        }
    }
    return result;
}

}  // namespace fairing::kube
