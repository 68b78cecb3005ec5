// fairing/deployers/training_jobs.hpp - distributed training by Kubeflow's operators: TFJob,
// PyTorchJob, XGBoostJob, PaddleJob and JAXJob of the training operator, MPIJob of the MPI
// operator.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../stage/concepts.hpp"
#include "training/kinds.hpp"
#include "training/objects.hpp"

namespace fairing {

namespace detail {

[[nodiscard]] inline kubernetes::Plan training_plan(const TrainingJobDeployer& deployer,
                                                    const Image& image, const Session& session) {
    return kubernetes::plan_of(deployer, image, session, training_objects, training_subject,
                               Cleanup::never);
}

}  // namespace detail

inline void TrainingJobDeployer::check() const {
    TrainingJobDeployer job = *this;
    job.kubernetes = with_profile(kubernetes);
    kubernetes::check_options(job.kubernetes);
    job.kind = detail::resolved_kind(job, nullptr);
    detail::check_values(job);
    detail::check_counts(job);
    const std::string run_id = kubernetes::checked_run_id(job.kubernetes);
    static_cast<void>(run_metadata(job.kubernetes, detail::training_identity(job, run_id), {}));
}

inline Workload TrainingJobDeployer::deploy(const Image& image, const Session& session) const {
    return kubernetes::start(detail::training_plan(*this, image, session), image, session);
}

inline std::vector<Json> TrainingJobDeployer::manifests(const Image& image,
                                                        const Session& session) const {
    return kubernetes::render(detail::training_plan(*this, image, session), image);
}

inline std::vector<Json> TrainingJobDeployer::dry_run(const Image& image,
                                                      const Session& session) const {
    return kubernetes::rehearse(detail::training_plan(*this, image, session), image, session);
}

/// TensorFlow: `chief_count` is 0 or 1; parameter servers get no GPUs.
struct TFJobDeployer {
    KubernetesOptions kubernetes = {};  ///< its cleanup is Cleanup::never when not set
    int worker_count = 1, ps_count = 0, chief_count = 0, evaluator_count = 0;
    RunPolicy policy = {};
    std::string success_policy = {};  ///< "AllWorkers"; empty: the chief, else worker 0, tells
    bool enable_dynamic_worker = false;

    [[nodiscard]] TrainingJobDeployer job() const {
        return {.kind = training_kind("tfjob"),
                .kubernetes = kubernetes,
                .worker_count = worker_count,
                .ps_count = ps_count,
                .chief_count = chief_count,
                .evaluator_count = evaluator_count,
                .policy = policy,
                .success_policy = success_policy,
                .enable_dynamic_worker = enable_dynamic_worker};
    }
    void check() const { job().check(); }
    [[nodiscard]] Workload deploy(const Image& image, const Session& session) const {
        return job().deploy(image, session);
    }
    [[nodiscard]] std::vector<Json> manifests(const Image& image, const Session& session) const {
        return job().manifests(image, session);
    }
    [[nodiscard]] std::vector<Json> dry_run(const Image& image, const Session& session) const {
        return job().dry_run(image, session);
    }
};

/// PyTorch: one master or none, and workers. With `min_workers` or `max_workers` it is elastic:
/// give it no master then.
struct PyTorchJobDeployer {
    KubernetesOptions kubernetes = {};  ///< its cleanup is Cleanup::never when not set
    int master_count = 1, worker_count = 1;
    RunPolicy policy = {};
    std::string nproc_per_node = {};  ///< "auto", "gpu", "cpu" or a number
    std::optional<int> min_workers = {}, max_workers = {}, max_restarts = {};
    std::string rdzv_backend = {};

    [[nodiscard]] TrainingJobDeployer job() const {
        return {.kind = training_kind("pytorchjob"),
                .kubernetes = kubernetes,
                .worker_count = worker_count,
                .master_count = master_count,
                .policy = policy,
                .nproc_per_node = nproc_per_node,
                .min_workers = min_workers,
                .max_workers = max_workers,
                .max_restarts = max_restarts,
                .rdzv_backend = rdzv_backend};
    }
    void check() const { job().check(); }
    [[nodiscard]] Workload deploy(const Image& image, const Session& session) const {
        return job().deploy(image, session);
    }
    [[nodiscard]] std::vector<Json> manifests(const Image& image, const Session& session) const {
        return job().manifests(image, session);
    }
    [[nodiscard]] std::vector<Json> dry_run(const Image& image, const Session& session) const {
        return job().dry_run(image, session);
    }
};

/// XGBoost: always one master.
struct XGBoostJobDeployer {
    KubernetesOptions kubernetes = {};  ///< its cleanup is Cleanup::never when not set
    int worker_count = 1;
    RunPolicy policy = {};

    [[nodiscard]] TrainingJobDeployer job() const {
        return {.kind = training_kind("xgboostjob"),
                .kubernetes = kubernetes,
                .worker_count = worker_count,
                .policy = policy};
    }
    void check() const { job().check(); }
    [[nodiscard]] Workload deploy(const Image& image, const Session& session) const {
        return job().deploy(image, session);
    }
    [[nodiscard]] std::vector<Json> manifests(const Image& image, const Session& session) const {
        return job().manifests(image, session);
    }
    [[nodiscard]] std::vector<Json> dry_run(const Image& image, const Session& session) const {
        return job().dry_run(image, session);
    }
};

/// PaddlePaddle: workers alone train collectively, a master makes them use parameter servers.
struct PaddleJobDeployer {
    KubernetesOptions kubernetes = {};  ///< its cleanup is Cleanup::never when not set
    int master_count = 0, worker_count = 1;
    RunPolicy policy = {};
    std::optional<int> min_workers = {}, max_workers = {}, max_restarts = {};

    [[nodiscard]] TrainingJobDeployer job() const {
        return {.kind = training_kind("paddlejob"),
                .kubernetes = kubernetes,
                .worker_count = worker_count,
                .master_count = master_count,
                .policy = policy,
                .min_workers = min_workers,
                .max_workers = max_workers,
                .max_restarts = max_restarts};
    }
    void check() const { job().check(); }
    [[nodiscard]] Workload deploy(const Image& image, const Session& session) const {
        return job().deploy(image, session);
    }
    [[nodiscard]] std::vector<Json> manifests(const Image& image, const Session& session) const {
        return job().manifests(image, session);
    }
    [[nodiscard]] std::vector<Json> dry_run(const Image& image, const Session& session) const {
        return job().dry_run(image, session);
    }
};

/// JAX: workers alone.
struct JAXJobDeployer {
    KubernetesOptions kubernetes = {};  ///< its cleanup is Cleanup::never when not set
    int worker_count = 1;
    RunPolicy policy = {};

    [[nodiscard]] TrainingJobDeployer job() const {
        return {.kind = training_kind("jaxjob"),
                .kubernetes = kubernetes,
                .worker_count = worker_count,
                .policy = policy};
    }
    void check() const { job().check(); }
    [[nodiscard]] Workload deploy(const Image& image, const Session& session) const {
        return job().deploy(image, session);
    }
    [[nodiscard]] std::vector<Json> manifests(const Image& image, const Session& session) const {
        return job().manifests(image, session);
    }
    [[nodiscard]] std::vector<Json> dry_run(const Image& image, const Session& session) const {
        return job().dry_run(image, session);
    }
};

/// MPI: a launcher that starts the program on the workers, which wait for it (mpirun -n unless
/// `launcher` says otherwise).
struct MPIJobDeployer {
    KubernetesOptions kubernetes = {};  ///< its cleanup is Cleanup::never when not set
    int worker_count = 1;
    RunPolicy policy = {};
    int slots_per_worker = 1;
    std::vector<std::string> launcher = {};
    std::string mpi_version = {};         ///< "v1", "v2beta1"; empty: what the cluster has
    std::string mpi_implementation = {};  ///< v2beta1: "OpenMPI", "Intel", "MPICH"
    bool run_launcher_as_worker = false;  ///< v2beta1

    [[nodiscard]] TrainingJobDeployer job() const {
        return {.kind = training_kind("mpijob"),
                .kubernetes = kubernetes,
                .worker_count = worker_count,
                .policy = policy,
                .mpi_version = mpi_version,
                .slots_per_worker = slots_per_worker,
                .launcher = launcher,
                .mpi_implementation = mpi_implementation,
                .run_launcher_as_worker = run_launcher_as_worker};
    }
    void check() const { job().check(); }
    [[nodiscard]] Workload deploy(const Image& image, const Session& session) const {
        return job().deploy(image, session);
    }
    [[nodiscard]] std::vector<Json> manifests(const Image& image, const Session& session) const {
        return job().manifests(image, session);
    }
    [[nodiscard]] std::vector<Json> dry_run(const Image& image, const Session& session) const {
        return job().dry_run(image, session);
    }
};

static_assert(Deployer<TrainingJobDeployer> && Renderer<TFJobDeployer> &&
              SelfChecking<PyTorchJobDeployer> && DryRunner<MPIJobDeployer>);

}  // namespace fairing
