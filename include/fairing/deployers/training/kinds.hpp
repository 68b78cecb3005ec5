// fairing/deployers/training/kinds.hpp - the training jobs of Kubeflow's training operator
// (kubeflow.org/v1) and MPI operator (v2beta1). They differ in data: a table of kinds, one of their
// roles, one of the fields that only some have.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "../../core/json.hpp"
#include "../../pods/kubernetes_options.hpp"
#include "../../stage/fields.hpp"
#include "../../stage/image.hpp"
#include "../../stage/session.hpp"
#include "../../stage/workload.hpp"
#include "run_policy.hpp"

namespace fairing {

struct TrainingKind;

/// Any of the kinds, which `kind` names; what the others have and this one has not is said in a
/// warning. Counts that are not set are the kind's own habit. TFJobDeployer and its siblings
/// (training_jobs.hpp) are this with a kind's own members.
struct TrainingJobDeployer {
    const TrainingKind* kind = nullptr;  ///< one of training_kinds
    KubernetesOptions kubernetes = {};   ///< its cleanup is Cleanup::never when not set
    std::optional<int> worker_count = {}, ps_count = {}, chief_count = {}, master_count = {},
                       evaluator_count = {};
    RunPolicy policy = {};
    std::string success_policy = {};       ///< TFJob: "AllWorkers" waits for every worker
    bool enable_dynamic_worker = false;    ///< TFJob: workers may come and go
    std::string nproc_per_node = {};       ///< PyTorchJob: "auto", "gpu", "cpu" or a number
    std::optional<int> min_workers = {};   ///< elastic PyTorchJob and PaddleJob
    std::optional<int> max_workers = {};   ///< the same
    std::optional<int> max_restarts = {};  ///< the same
    std::string rdzv_backend = {};         ///< elastic PyTorchJob: "c10d", "etcd", …
    std::string mpi_version = {};          ///< MPIJob: "v1", "v2beta1"; empty: what the cluster has
    std::optional<int> slots_per_worker = {};  ///< MPIJob: processes of a worker
    std::vector<std::string> launcher = {};    ///< MPIJob: empty: mpirun -n PROCESSES
    std::string mpi_implementation = {};       ///< MPIJob v2beta1: OpenMPI, Intel, MPICH
    bool run_launcher_as_worker = false;       ///< MPIJob v2beta1

    /// Throws Error{usage} for what the cluster, or a webhook there, would refuse.
    void check() const;
    /// As JobDeployer's.
    [[nodiscard]] Workload deploy(const Image& image, const Session& session) const;
    [[nodiscard]] std::vector<Json> manifests(const Image& image, const Session& session) const;
    [[nodiscard]] std::vector<Json> dry_run(const Image& image, const Session& session) const;
};

template <>
inline constexpr auto fields<TrainingJobDeployer> = std::tuple_cat(
    fields_of_part(&TrainingJobDeployer::kubernetes),
    std::tuple{
        field("worker_count", &TrainingJobDeployer::worker_count, "how many workers train together",
              "workers"),
        field("ps_count", &TrainingJobDeployer::ps_count, "parameter servers (default: none)",
              "ps"),
        field("chief_count", &TrainingJobDeployer::chief_count, "chief of a TFJob: 0 or 1",
              "chief"),
        field("master_count", &TrainingJobDeployer::master_count,
              "master of a PyTorchJob, XGBoostJob or PaddleJob: 0 or 1", "master"),
        field("evaluator_count", &TrainingJobDeployer::evaluator_count,
              "evaluators (default: none)", "evaluators"),
    },
    fields_of_part(&TrainingJobDeployer::policy),
    std::tuple{
        field("success_policy", &TrainingJobDeployer::success_policy,
              "TFJob: AllWorkers waits for every worker"),
        field("enable_dynamic_worker", &TrainingJobDeployer::enable_dynamic_worker,
              "TFJob: workers may come and go"),
        field("nproc_per_node", &TrainingJobDeployer::nproc_per_node,
              "processes of a node: auto, gpu, cpu or a number"),
        field("min_workers", &TrainingJobDeployer::min_workers,
              "elastic PyTorchJob or PaddleJob: least workers"),
        field("max_workers", &TrainingJobDeployer::max_workers, "the same: most workers"),
        field("max_restarts", &TrainingJobDeployer::max_restarts, "the same: most restarts"),
        field("rdzv_backend", &TrainingJobDeployer::rdzv_backend,
              "elastic PyTorchJob: how workers find each other (c10d, etcd)"),
        field("mpi_version", &TrainingJobDeployer::mpi_version,
              "MPIJob: v1 or v2beta1 (default: what the cluster has)"),
        field("slots_per_worker", &TrainingJobDeployer::slots_per_worker,
              "MPIJob: processes of a worker (default: 1)"),
        field("launcher", &TrainingJobDeployer::launcher,
              "MPIJob: what starts the program (default: mpirun -n PROCESSES)"),
        field("mpi_implementation", &TrainingJobDeployer::mpi_implementation,
              "MPIJob v2beta1: OpenMPI, Intel or MPICH"),
        field("run_launcher_as_worker", &TrainingJobDeployer::run_launcher_as_worker,
              "MPIJob v2beta1: the launcher works too"),
    });

/// One role of a kind's replicas.
struct TrainingRole {
    enum class Gpus { kept, removed };
    enum class Runs { program, launcher, own };  ///< own: what the operator gives it

    const char* name;
    std::optional<int> TrainingJobDeployer::*count;  ///< null: always one
    int preset, least, most;
    Gpus gpus = Gpus::kept;  ///< parameter servers and launchers compute nothing
    Runs runs = Runs::program;
};

struct TrainingKind {
    const char* deployer;  ///< "tfjob": its name, its label, and in its objects' names
    const char* api_version;
    const char* kind;
    const char* replicas;       ///< the field of the roles
    const char* container;      ///< the name that its webhook wants
    const char* rank_variable;  ///< for a kind whose operator tells no rank
    std::span<const TrainingRole> roles;
};

namespace detail {

inline constexpr int any_number = 1000000;
using Training = TrainingJobDeployer;
inline constexpr std::array<TrainingRole, 4> tf_roles{
    {{"Chief", &Training::chief_count, 0, 0, 1},
     {"Worker", &Training::worker_count, 1, 0, any_number},
     {"PS", &Training::ps_count, 0, 0, any_number, TrainingRole::Gpus::removed},
     {"Evaluator", &Training::evaluator_count, 0, 0, any_number}}};
inline constexpr std::array<TrainingRole, 2> pytorch_roles{
    {{"Master", &Training::master_count, 1, 0, 1},
     {"Worker", &Training::worker_count, 1, 0, any_number}}};
inline constexpr std::array<TrainingRole, 2> xgboost_roles{
    {{"Master", &Training::master_count, 1, 1, 1},
     {"Worker", &Training::worker_count, 1, 0, any_number}}};
inline constexpr std::array<TrainingRole, 2> paddle_roles{
    {{"Master", &Training::master_count, 0, 0, 1},
     {"Worker", &Training::worker_count, 1, 0, any_number}}};
inline constexpr std::array<TrainingRole, 1> jax_roles{
    {{"Worker", &Training::worker_count, 1, 1, any_number}}};
inline constexpr std::array<TrainingRole, 2> mpi_roles{
    {{"Launcher", nullptr, 1, 1, 1, TrainingRole::Gpus::removed, TrainingRole::Runs::launcher},
     {"Worker", &Training::worker_count, 1, 1, any_number, TrainingRole::Gpus::kept,
      TrainingRole::Runs::own}}};

}  // namespace detail

/// MPIJobs have one name and two versions, of which a cluster has one.
inline constexpr std::array<TrainingKind, 7> training_kinds{
    {{"tfjob", "kubeflow.org/v1", "TFJob", "tfReplicaSpecs", "tensorflow", "", detail::tf_roles},
     {"pytorchjob", "kubeflow.org/v1", "PyTorchJob", "pytorchReplicaSpecs", "pytorch", "",
      detail::pytorch_roles},
     {"xgboostjob", "kubeflow.org/v1", "XGBoostJob", "xgbReplicaSpecs", "xgboost", "",
      detail::xgboost_roles},
     {"paddlejob", "kubeflow.org/v1", "PaddleJob", "paddleReplicaSpecs", "paddle", "PADDLE_RANK",
      detail::paddle_roles},
     {"jaxjob", "kubeflow.org/v1", "JAXJob", "jaxReplicaSpecs", "jax", "", detail::jax_roles},
     {"mpijob", "kubeflow.org/v2beta1", "MPIJob", "mpiReplicaSpecs", "mpi", "", detail::mpi_roles},
     {"mpijob", "kubeflow.org/v1", "MPIJob", "mpiReplicaSpecs", "mpi", "", detail::mpi_roles}}};

/// The first kind of that name; null when there is none.
[[nodiscard]] constexpr const TrainingKind* training_kind(std::string_view deployer) noexcept {
    for (const TrainingKind& each : training_kinds) {
        if (each.deployer == deployer) {
            return &each;
        }
    }
    return nullptr;
}

namespace detail {

inline constexpr const TrainingKind* mpi_v2 = &training_kinds[5];
inline constexpr const TrainingKind* mpi_v1 = &training_kinds[6];

[[nodiscard]] inline Json json_of(const std::optional<int>& value) {
    return value ? Json(*value) : Json();
}
[[nodiscard]] inline Json json_of(const std::string& value) {
    return value.empty() ? Json() : Json(value);
}
[[nodiscard]] inline Json json_of(bool value) { return value ? Json(true) : Json(); }

/// An option that is a field of some kinds' spec; null when it is not set.
struct TrainingField {
    const char* option;
    const char* kinds;  ///< names between spaces; a version where only one has it; "": all
    const char* path;   ///< in the spec; "": it has other effects
    Json (*value)(const TrainingJobDeployer& job);
};
inline constexpr std::array<TrainingField, 20> training_fields{{
    {"backoff_limit", "", "/runPolicy/backoffLimit",
     [](const Training& job) { return json_of(job.policy.backoff_limit); }},
    {"active_deadline_seconds", "", "/runPolicy/activeDeadlineSeconds",
     [](const Training& job) { return json_of(job.policy.active_deadline_seconds); }},
    {"ttl_seconds_after_finished", "", "/runPolicy/ttlSecondsAfterFinished",
     [](const Training& job) { return json_of(job.policy.ttl_seconds_after_finished); }},
    {"suspend", "", "/runPolicy/suspend",
     [](const Training& job) { return json_of(job.policy.suspend); }},
    {"gang_min_available", "", "/runPolicy/schedulingPolicy/minAvailable",
     [](const Training& job) { return json_of(job.policy.gang_min_available); }},
    {"gang_queue", "", "/runPolicy/schedulingPolicy/queue",
     [](const Training& job) { return json_of(job.policy.gang_queue); }},
    {"gang_priority_class", "", "/runPolicy/schedulingPolicy/priorityClass",
     [](const Training& job) { return json_of(job.policy.gang_priority_class); }},
    {"gang_timeout_seconds", "", "/runPolicy/schedulingPolicy/scheduleTimeoutSeconds",
     [](const Training& job) { return json_of(job.policy.gang_timeout_seconds); }},
    {"success_policy", " tfjob ", "/successPolicy",
     [](const Training& job) { return json_of(job.success_policy); }},
    {"enable_dynamic_worker", " tfjob ", "/enableDynamicWorker",
     [](const Training& job) { return json_of(job.enable_dynamic_worker); }},
    {"nproc_per_node", " pytorchjob ", "/nprocPerNode",
     [](const Training& job) { return json_of(job.nproc_per_node); }},
    {"min_workers", " pytorchjob paddlejob ", "/elasticPolicy/minReplicas",
     [](const Training& job) { return json_of(job.min_workers); }},
    {"max_workers", " pytorchjob paddlejob ", "/elasticPolicy/maxReplicas",
     [](const Training& job) { return json_of(job.max_workers); }},
    {"max_restarts", " pytorchjob paddlejob ", "/elasticPolicy/maxRestarts",
     [](const Training& job) { return json_of(job.max_restarts); }},
    {"rdzv_backend", " pytorchjob ", "/elasticPolicy/rdzvBackend",
     [](const Training& job) { return json_of(job.rdzv_backend); }},
    {"slots_per_worker", " mpijob ", "/slotsPerWorker",
     [](const Training& job) { return json_of(job.slots_per_worker); }},
    {"mpi_implementation", " kubeflow.org/v2beta1 ", "/mpiImplementation",
     [](const Training& job) { return json_of(job.mpi_implementation); }},
    {"run_launcher_as_worker", " kubeflow.org/v2beta1 ", "/runLauncherAsWorker",
     [](const Training& job) { return json_of(job.run_launcher_as_worker); }},
    {"mpi_version", " mpijob ", "", [](const Training& job) { return json_of(job.mpi_version); }},
    {"launcher", " mpijob ", "",
     [](const Training& job) { return job.launcher.empty() ? Json() : Json(job.launcher); }},
}};

[[nodiscard]] inline bool has_field(const TrainingKind& kind, const TrainingField& field) {
    const std::string_view kinds = field.kinds;
    const auto names = [kinds](const char* name) {
        return kinds.find(' ' + std::string{name} + ' ') != std::string_view::npos;
    };
    return kinds.empty() || names(kind.deployer) || names(kind.api_version);
}

[[nodiscard]] inline bool is_elastic(const TrainingJobDeployer& job) {
    return job.min_workers || job.max_workers || job.max_restarts || !job.rdzv_backend.empty();
}

/// Whether the number of workers may change: an elastic policy means something to the kind.
[[nodiscard]] inline bool takes_elastic(const TrainingKind& kind) {
    const std::string_view name = kind.deployer;
    return name == "pytorchjob" || name == "paddlejob";
}

/// How many pods of a role. The workers of an elastic PyTorchJob find each other without a master.
[[nodiscard]] inline int count_of(const TrainingJobDeployer& job, const TrainingRole& role) {
    const bool is_elastic_master = std::string_view{job.kind->deployer} == "pytorchjob" &&
                                   role.count == &TrainingJobDeployer::master_count &&
                                   is_elastic(job);
    return role.count == nullptr ? role.preset
                                 : (job.*role.count).value_or(is_elastic_master ? 0 : role.preset);
}

[[nodiscard]] inline int worker_count(const TrainingJobDeployer& job) {
    for (const TrainingRole& role : job.kind->roles) {
        if (role.count == &TrainingJobDeployer::worker_count) {
            return count_of(job, role);
        }
    }
    return 0;
}

}  // namespace detail

}  // namespace fairing
