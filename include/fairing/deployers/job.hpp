// fairing/deployers/job.hpp - runs the image as a Kubernetes Job (batch/v1).
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "../kube/names.hpp"
#include "../kube/state.hpp"
#include "../pods/pod_template.hpp"
#include "../runs/plan.hpp"
#include "../stage/concepts.hpp"
#include "../stage/fields.hpp"

namespace fairing {

/// `indexed` gives every pod a number of its own (JOB_COMPLETION_INDEX) and a stable host name.
enum class CompletionMode { non_indexed, indexed };

/// `runs` pods at once, each to its own success; or `workers` that know each other: RANK,
/// WORLD_SIZE, MASTER_ADDR and MASTER_PORT in their environment, and a headless Service by which
/// they find rank 0. Nothing is tried again unless `backoff_limit` says so. The same run id is
/// never submitted twice: a second deploy() finds the first one's Job.
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
    int workers = 0;        ///< of one distributed training; 0: independent runs
    int main_port = 29500;  ///< on which rank 0 of several workers listens

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
              "how many pods may fail before the job does"),
        field("ttl_seconds_after_finished", &JobDeployer::ttl_seconds_after_finished,
              "the cluster removes the job so long after its end"),
        field("active_deadline_seconds", &JobDeployer::active_deadline_seconds,
              "the cluster stops the job after so long"),
        field("completion_mode", &JobDeployer::completion_mode, "whether the pods are numbered"),
        field("suspend", &JobDeployer::suspend, "create it, but let nothing run yet"),
        field("workers", &JobDeployer::workers, "how many workers train together"),
        field("main_port", &JobDeployer::main_port, "port of rank 0 (default: 29500)"),
    });

namespace detail {

[[nodiscard]] inline bool is_distributed(const JobDeployer& deployer) {
    return deployer.workers > 0;
}
[[nodiscard]] inline int pod_count(const JobDeployer& deployer) {
    return is_distributed(deployer) ? deployer.workers : deployer.runs;
}

inline void check_job_numbers(const JobDeployer& deployer) {
    using kubernetes::check_least;
    check_least("runs", deployer.runs, 1);
    check_least("workers", deployer.workers, 0);
    check_least("backoff_limit", deployer.backoff_limit, 0);
    check_least("ttl_seconds_after_finished", deployer.ttl_seconds_after_finished.value_or(0), 0);
    check_least("active_deadline_seconds", deployer.active_deadline_seconds.value_or(1), 1);
    check_least("main_port", deployer.main_port, 1);
    if (is_distributed(deployer) && deployer.runs != 1) {
        throw Error{ErrorCode::usage,
                    {.attempted = "use runs",
                     .subject = std::to_string(deployer.runs),
                     .answer = "there are workers too, which are one run together"}};
    }
    if (deployer.main_port > 65535) {
        throw Error{ErrorCode::usage,
                    {.attempted = "use main_port",
                     .subject = std::to_string(deployer.main_port),
                     .answer = "it is no port"}};
    }
}

/// Every pod of an indexed Job is named after it and its number, and that is a DNS label too; so is
/// the Service of several workers, whose name begins with a letter.
[[nodiscard]] inline RunIdentity job_identity(const JobDeployer& deployer,
                                              const std::string& run_id) {
    RunIdentity identity =
        run_identity(deployer.kubernetes, run_id, JobDeployer::name_prefix, "job");
    if (is_distributed(deployer) || deployer.completion_mode == CompletionMode::indexed) {
        kube::check_dns_label("name of the last pod",
                              identity.name + '-' + std::to_string(pod_count(deployer) - 1));
    }
    if (is_distributed(deployer)) {
        kube::check_dns_1035_label("name", identity.name);
    }
    return identity;
}

[[nodiscard]] inline Json job_spec(const JobDeployer& deployer, Json pods) {
    /// Long enough to read the logs, when nobody waits for the end.
    constexpr int always_ttl = 300;
    Json spec{{"parallelism", pod_count(deployer)},
              {"completions", pod_count(deployer)},
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
    if (is_distributed(deployer) || deployer.completion_mode == CompletionMode::indexed) {
        spec["completionMode"] = "Indexed";
    }
    if (deployer.suspend) {
        spec["suspend"] = true;
    }
    return spec;
}

/// What torch.distributed, and others, read: `env://`. Rank 0 is the pod NAME-0 of the Service.
inline void set_ranks(Json& pod_spec, const JobDeployer& deployer, const std::string& name) {
    PodSpec pod{std::move(pod_spec)};
    pod.json()["subdomain"] = name;
    pod.set_env("WORLD_SIZE", std::to_string(deployer.workers));
    pod.set_env("MASTER_ADDR", name + "-0." + name);
    pod.set_env("MASTER_PORT", std::to_string(deployer.main_port));
    pod.container()["env"].push_back(
        {{"name", "RANK"},
         {"valueFrom",
          {{"fieldRef",
            {{"fieldPath",
              "metadata.annotations['batch.kubernetes.io/job-completion-index']"}}}}}});
    pod_spec = std::move(pod.json());
}

/// A headless Service: a name for every pod, also before it is ready.
[[nodiscard]] inline Json workers_service(const JobDeployer& deployer,
                                          const RunIdentity& identity) {
    return {{"apiVersion", "v1"},
            {"kind", "Service"},
            {"metadata", {{"name", identity.name}}},
            {"spec",
             {{"clusterIP", "None"},
              {"publishNotReadyAddresses", true},
              {"selector", {{kube::run_label, identity.run_id}, {deployer_label, "job"}}},
              {"ports", Json::array({Json{{"name", "main"}, {"port", deployer.main_port}}})}}}};
}

/// The objects of the run, the Job last.
[[nodiscard]] inline std::vector<Json> job_objects(const JobDeployer& deployer, const Image& image,
                                                   const Session& session,
                                                   const std::string& run_id,
                                                   const kubernetes::Place& place) {
    const KubernetesOptions& options = deployer.kubernetes;
    if (!place.namespace_.empty()) {
        kube::check_dns_label("namespace", place.namespace_);
    }
    const RunIdentity identity = job_identity(deployer, run_id);
    Json metadata = run_metadata(options, identity, place.namespace_);
    const std::string role = is_distributed(deployer) ? "worker" : "";
    std::vector<Json> objects;
    PodContext context{place.namespace_, role, place.client, session, objects, identity.name};
    Json pods =
        pod_template(image, {.container = JobDeployer::container_name}, options, identity, context);
    if (is_distributed(deployer)) {
        set_ranks(pods["spec"], deployer, identity.name);
        objects.push_back(workers_service(deployer, identity));
    }
    objects = adopted(std::move(objects), options, identity, place.namespace_);
    objects.push_back({{"apiVersion", "batch/v1"},
                       {"kind", "Job"},
                       {"metadata", std::move(metadata)},
                       {"spec", job_spec(deployer, std::move(pods))}});
    return objects;
}

}  // namespace detail

inline void JobDeployer::check() const {
    JobDeployer job = *this;
    job.kubernetes = with_profile(kubernetes);
    detail::check_job_numbers(job);
    kubernetes::check_options(job.kubernetes);
    const std::string run_id = kubernetes::checked_run_id(job.kubernetes);
    static_cast<void>(run_metadata(job.kubernetes, detail::job_identity(job, run_id), {}));
}

namespace detail {

[[nodiscard]] inline kubernetes::Plan job_plan(const JobDeployer& deployer, const Image& image,
                                               const Session& session) {
    return kubernetes::plan_of(deployer, image, session, job_objects, kubernetes::job_subject);
}

}  // namespace detail

inline Workload JobDeployer::deploy(const Image& image, const Session& session) const {
    return kubernetes::start(detail::job_plan(*this, image, session), image, session);
}

inline std::vector<Json> JobDeployer::manifests(const Image& image, const Session& session) const {
    return kubernetes::render(detail::job_plan(*this, image, session), image);
}

inline std::vector<Json> JobDeployer::dry_run(const Image& image, const Session& session) const {
    return kubernetes::rehearse(detail::job_plan(*this, image, session), image, session);
}

static_assert(Deployer<JobDeployer> && Renderer<JobDeployer> && SelfChecking<JobDeployer>);

}  // namespace fairing
