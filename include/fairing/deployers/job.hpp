// fairing/deployers/job.hpp - runs the image as a Kubernetes Job (batch/v1).
#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "../kube/client.hpp"
#include "../kube/state.hpp"
#include "../pods/pod_template.hpp"
#include "../stage/concepts.hpp"
#include "../stage/fields.hpp"
#include "kubernetes/cluster_workload.hpp"
#include "kubernetes/connection.hpp"
#include "kubernetes/submission.hpp"

namespace fairing {

/// `indexed` gives every pod a number of its own (JOB_COMPLETION_INDEX) and a stable host name.
enum class CompletionMode { non_indexed, indexed };

/// `runs` pods at once, each to its own success. Nothing is tried again unless `backoff_limit` says
/// so. The same run id is never submitted twice: a second deploy() finds the first one's Job.
struct JobDeployer {
    static constexpr const char* name_prefix = "fairing-job-";
    static constexpr const char* container_name = "fairing-job";

    KubernetesOptions kubernetes = {};  ///< its cleanup is Cleanup::when_done when not set
    int runs = 1;
    int backoff_limit = 0;
    std::optional<int> ttl_seconds_after_finished = {};
    std::optional<int> active_deadline_seconds = {};
    CompletionMode completion_mode = CompletionMode::non_indexed;
    bool suspend = false;

    /// Throws Error{usage} for what Kubernetes would refuse: names, labels, numbers. deploy() calls
    /// it, and so does a pipeline before it builds the image.
    void check() const;

    /// Returns when the Job is stored; follow() the handle for the rest. Throws Error: as check()
    /// does, and for an image that no cluster can pull, before any request; StatusError for what
    /// the server refuses. What was created before a failure is removed.
    [[nodiscard]] Workload deploy(const Image& image, const Session& session) const;

    /// What deploy() would create, without I/O; the Job comes last. Equal run ids give equal bytes.
    /// Secrets are shown without their content.
    [[nodiscard]] std::vector<Json> manifests(const Image& image, const Session& session) const;

    /// What the server would store (a dry run there): it checks and admits every object.
    [[nodiscard]] std::vector<Json> dry_run(const Image& image, const Session& session) const;
};

template <>
inline constexpr auto value_names<CompletionMode> =
    std::array<std::pair<std::string_view, CompletionMode>, 2>{
        {{"non-indexed", CompletionMode::non_indexed}, {"indexed", CompletionMode::indexed}}};

template <>
inline constexpr auto fields<JobDeployer> = std::tuple_cat(
    fields_of_part(&JobDeployer::kubernetes),
    std::tuple{
        field("runs", &JobDeployer::runs, "how many pods run the program (default: 1)"),
        field("backoff_limit", &JobDeployer::backoff_limit,
              "how many pods may fail before the Job does (default: 0)"),
        field("ttl_seconds_after_finished", &JobDeployer::ttl_seconds_after_finished,
              "the cluster removes the Job so long after its end"),
        field("active_deadline_seconds", &JobDeployer::active_deadline_seconds,
              "the cluster stops the Job after so long"),
        field("completion_mode", &JobDeployer::completion_mode, "whether the pods are numbered"),
        field("suspend", &JobDeployer::suspend, "create it, but let nothing run yet"),
    });

namespace detail {

/// The namespace, empty while it is not known, and the client, null offline.
struct JobPlace {
    std::string namespace_ = {};
    const kube::Client* client = nullptr;
};

/// An image that was built and not pushed is rendered as what would be pushed.
inline void check_rendered(const Image& image) {
    if (image.location != Location::nowhere) {
        check_pullable(image);
    }
}

inline void check_job_numbers(const JobDeployer& deployer) {
    const auto at_least = [](const char* what, int value, int least) {
        if (value < least) {
            throw Error{ErrorCode::usage,
                        {.attempted = std::string{"use "} + what,
                         .subject = std::to_string(value),
                         .answer = "it is less than " + std::to_string(least)}};
        }
    };
    at_least("runs", deployer.runs, 1);
    at_least("backoff_limit", deployer.backoff_limit, 0);
    at_least("ttl_seconds_after_finished", deployer.ttl_seconds_after_finished.value_or(0), 0);
    at_least("active_deadline_seconds", deployer.active_deadline_seconds.value_or(1), 1);
    at_least("start_timeout", deployer.kubernetes.start_timeout, 0);
}

/// Every pod of an indexed Job is named after it and its number, and that is a DNS label too.
[[nodiscard]] inline RunIdentity job_identity(const JobDeployer& deployer,
                                              const std::string& run_id) {
    RunIdentity identity =
        run_identity(deployer.kubernetes, run_id, JobDeployer::name_prefix, "job");
    if (deployer.completion_mode == CompletionMode::indexed) {
        kube::check_dns_label("name of the last pod",
                              identity.name + '-' + std::to_string(deployer.runs - 1));
    }
    return identity;
}

[[nodiscard]] inline Json job_metadata(const JobDeployer& deployer, const RunIdentity& identity,
                                       const std::string& namespace_) {
    const KubernetesOptions& options = deployer.kubernetes;
    Labels labels = run_labels(options, identity);
    const auto add = [&labels](const char* key, const std::string& value) {
        if (!value.empty()) {
            kube::check_label(key, value);
            labels[key] = value;
        }
    };
    add("kueue.x-k8s.io/queue-name", options.queue);
    add("kueue.x-k8s.io/priority-class", options.queue_priority);
    Json metadata{
        {"name", identity.name}, {"labels", labels}, {"annotations", run_annotations(options)}};
    if (!namespace_.empty()) {
        metadata["namespace"] = namespace_;
    }
    return metadata;
}

[[nodiscard]] inline Json job_spec(const JobDeployer& deployer, Json pods) {
    /// Long enough to read the logs, when nobody waits for the end.
    constexpr int always_ttl = 300;
    Json spec{{"parallelism", deployer.runs},
              {"completions", deployer.runs},
              {"backoffLimit", deployer.backoff_limit},
              {"template", std::move(pods)}};
    if (deployer.ttl_seconds_after_finished) {
        spec["ttlSecondsAfterFinished"] = *deployer.ttl_seconds_after_finished;
    } else if (deployer.kubernetes.cleanup == Cleanup::always) {
        spec["ttlSecondsAfterFinished"] = always_ttl;
    }
    if (deployer.active_deadline_seconds) {
        spec["activeDeadlineSeconds"] = *deployer.active_deadline_seconds;
    }
    if (deployer.completion_mode == CompletionMode::indexed) {
        spec["completionMode"] = "Indexed";
    }
    if (deployer.suspend) {
        spec["suspend"] = true;
    }
    return spec;
}

/// The objects of the run, the Job last.
[[nodiscard]] inline std::vector<Json> job_objects(const JobDeployer& deployer, const Image& image,
                                                   const Session& session,
                                                   const std::string& run_id,
                                                   const JobPlace& place) {
    const KubernetesOptions& options = deployer.kubernetes;
    if (!place.namespace_.empty()) {
        kube::check_dns_label("namespace", place.namespace_);
    }
    const RunIdentity identity = job_identity(deployer, run_id);
    Json metadata = job_metadata(deployer, identity, place.namespace_);
    const std::string role;
    std::vector<Json> objects;
    PodContext context{place.namespace_, role, place.client, session, objects, identity.name};
    Json pods =
        pod_template(image, {.container = JobDeployer::container_name}, options, identity, context);
    objects = adopted(std::move(objects), options, identity, place.namespace_);
    objects.push_back({{"apiVersion", "batch/v1"},
                       {"kind", "Job"},
                       {"metadata", std::move(metadata)},
                       {"spec", job_spec(deployer, std::move(pods))}});
    return objects;
}

}  // namespace detail

/// A Job as a subject to follow: one that was created, or found.
[[nodiscard]] inline kubernetes::Subject job_subject(const Json& job) {
    return {.key = kube::key_of(job),
            .uid = kube::uid_of(job),
            .run_id = kube::label_of(job, kube::run_label),
            .main = job,
            .expected_pods = std::max(1, static_cast<int>(std::min<std::int64_t>(
                                             kube::number(job, {"spec", "completions"}), 100000))),
            .diagnose = kube::diagnose_job};
}

inline void JobDeployer::check() const {
    detail::check_job_numbers(*this);
    if (!kubernetes.namespace_.empty()) {
        kube::check_dns_label("namespace", kubernetes.namespace_);
    }
    // As long as the one that is drawn when there is none.
    const std::string run_id = kubernetes.run_id.empty() ? "012345678901" : kubernetes.run_id;
    static_cast<void>(detail::job_metadata(*this, detail::job_identity(*this, run_id), {}));
    static_cast<void>(all_mutators(kubernetes));
}

inline Workload JobDeployer::deploy(const Image& image, const Session& session) const {
    check_pullable(image);
    const std::string run_id = kubernetes.run_id.empty() ? draw_run_id() : kubernetes.run_id;
    check();
    const kube::Client client = kubernetes::connect(kubernetes, session);
    const std::vector<Json> objects =
        detail::job_objects(*this, image, session, run_id,
                            {.namespace_ = client.cluster().namespace_, .client = &client});
    kubernetes::Submitted submitted = kubernetes::submit(client, objects, run_id);
    return Workload{std::make_shared<kubernetes::ClusterWorkload>(
        client, job_subject(submitted.main), std::move(submitted.beside),
        kubernetes::WorkloadHabits{
            .cleanup = kubernetes.cleanup.value_or(Cleanup::when_done),
            .stream_log = kubernetes.stream_log,
            .start_timeout = std::chrono::seconds{kubernetes.start_timeout}})};
}

inline std::vector<Json> JobDeployer::manifests(const Image& image, const Session& session) const {
    detail::check_rendered(image);
    check();
    const std::string run_id = kubernetes.run_id.empty() ? derive_run_id(image) : kubernetes.run_id;
    std::vector<Json> objects =
        detail::job_objects(*this, image, session, run_id, {.namespace_ = kubernetes.namespace_});
    for (Json& object : objects) {
        object = redacted(std::move(object));
    }
    return objects;
}

inline std::vector<Json> JobDeployer::dry_run(const Image& image, const Session& session) const {
    detail::check_rendered(image);
    check();
    const std::string run_id = kubernetes.run_id.empty() ? derive_run_id(image) : kubernetes.run_id;
    const kube::Client client = kubernetes::connect(kubernetes, session);
    std::vector<Json> stored = kubernetes::dry_run(
        client,
        detail::job_objects(*this, image, session, run_id,
                            {.namespace_ = client.cluster().namespace_, .client = &client}));
    for (Json& object : stored) {
        object = redacted(std::move(object));
    }
    return stored;
}

static_assert(Deployer<JobDeployer> && Renderer<JobDeployer> && SelfChecking<JobDeployer>);

}  // namespace fairing
