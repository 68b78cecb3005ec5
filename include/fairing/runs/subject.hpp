// fairing/runs/subject.hpp - which run is meant, and how its object and pods are
// read.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "../core/control.hpp"
#include "../core/error.hpp"
#include "../kube/client.hpp"
#include "../kube/document.hpp"
#include "../kube/object.hpp"
#include "../kube/state.hpp"

namespace fairing::kubernetes {

/// One run: its main object, and what tells its pods from others.
struct Subject {
    using Diagnose = std::function<kube::Diagnosis(const Json& owner, const std::vector<Json>& pods,
                                                   const std::vector<Json>& events)>;

    kube::ObjectKey key = {};
    std::string uid = {};
    std::string run_id = {};
    Json main = {};  ///< as it was created or found; a watch starts at its version
    int expected_pods = 1;
    bool tries_again = false;  ///< whether a pod that failed need not be the end
    Diagnose diagnose = {};
    std::string selector = {};  ///< of the pods; empty: by the run's label
    /// What is said of an object that has ended, beside how.
    std::vector<LogRecord> (*findings)(const Json& owner) = nullptr;

    [[nodiscard]] std::string pod_selector() const {
        return selector.empty() ? std::string{kube::run_label} + '=' + run_id : selector;
    }
    /// Whether a pod is one of this object, and not of an earlier one of the same run id. Some
    /// operators make pods through objects of their own (a launcher's Job, a JobSet, trials): such
    /// a pod is ours when it is younger than the run.
    [[nodiscard]] bool owns(const Json& pod) const {
        const bool has_go_between =
            key.kind == "MPIJob" || key.kind == "TrainJob" || key.kind == "Experiment";
        if (has_go_between && kube::text(pod, {"metadata", "creationTimestamp"}) >=
                                  kube::text(main, {"metadata", "creationTimestamp"})) {
            return true;
        }
        for (const Json& owner : kube::list(pod, {"metadata", "ownerReferences"})) {
            if (kube::text(owner, {"uid"}) == uid) {
                return true;
            }
        }
        return false;
    }
};

/// The events about the object itself, or about one of its pods. Who may not read events is not
/// told them.
[[nodiscard]] inline std::vector<Json> events_of(const kube::Client& client, const Subject& subject,
                                                 const std::string& pod = {}) {
    const std::string about = pod.empty() ? "involvedObject.uid=" + subject.uid
                                          : "involvedObject.kind=Pod,involvedObject.name=" + pod;
    try {
        return client.list("v1", "Event", subject.key.namespace_, {.field_selector = about}).items;
    } catch (const kube::StatusError&) {
        return {};
    }
}

/// The pods of the run, by asking.
[[nodiscard]] inline std::vector<Json> pods_of(const kube::Client& client, const Subject& subject) {
    std::vector<Json> pods;
    for (Json& pod :
         client
             .list("v1", "Pod", subject.key.namespace_, {.label_selector = subject.pod_selector()})
             .items) {
        if (subject.owns(pod)) {
            pods.push_back(std::move(pod));
        }
    }
    return pods;
}

/// Whether events may tell why it does not start.
[[nodiscard]] inline bool wants_events(const kube::Diagnosis& diagnosis) {
    return diagnosis.cause == kube::Cause::starting || diagnosis.cause == kube::Cause::not_prepared;
}

/// The state now, by asking.
[[nodiscard]] inline kube::Diagnosis look(const kube::Client& client, const Subject& subject,
                                          const Json& owner) {
    const std::vector<Json> pods = pods_of(client, subject);
    kube::Diagnosis diagnosis = subject.diagnose(owner, pods, {});
    return wants_events(diagnosis)
               ? subject.diagnose(owner, pods, events_of(client, subject, diagnosis.pod))
               : diagnosis;
}

/// A Job as a subject to follow: one that was created, or found.
[[nodiscard]] inline Subject job_subject(const Json& job) {
    return {.key = kube::key_of(job),
            .uid = kube::uid_of(job),
            .run_id = kube::label_of(job, kube::run_label),
            .main = job,
            .expected_pods = std::max(1, static_cast<int>(std::min<std::int64_t>(
                                             kube::number(job, {"spec", "completions"}), 100000))),
            .tries_again = kube::number(job, {"spec", "backoffLimit"}) > 0,
            .diagnose = kube::diagnose_job};
}

}  // namespace fairing::kubernetes
