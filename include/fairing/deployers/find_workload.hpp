// fairing/deployers/find_workload.hpp - what an earlier run left in a cluster, by its name or its
// run id.
#pragma once

#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "../kube/client.hpp"
#include "../kube/names.hpp"
#include "../stage/fields.hpp"
#include "../stage/workload.hpp"
#include "job.hpp"
#include "kubernetes/cluster_workload.hpp"
#include "kubernetes/connection.hpp"
#include "trainjob.hpp"
#include "training/objects.hpp"

namespace fairing {

/// Where to look.
struct FindOptions {
    std::string namespace_ = {};  ///< empty: the pod's own, the context's, or "default"
    std::filesystem::path config_file = {};
    std::string context = {};
    bool stream_log = true;
    std::string pod = {};  ///< only this one's log: by its label ("worker-0"), number or name
    std::string profile = {};  ///< its namespace
};

template <>
inline constexpr auto fields<FindOptions> = std::tuple{
    field("namespace", &FindOptions::namespace_,
          "namespace (default: the context's, or the pod's own in a cluster)"),
    field("config_file", &FindOptions::config_file,
          "kubeconfig file (default: KUBECONFIG, then ~/.kube/config)", "kubeconfig"),
    field("context", &FindOptions::context, "context of the kubeconfig"),
    field("profile", &FindOptions::profile, "profile of Kubeflow: its namespace"),
};

namespace kubernetes {

/// A kind of object that our deployers create as the main one.
struct WorkloadKind {
    const char* api_version;
    const char* kind;
    Subject (*subject)(const Json& object);
};
inline constexpr std::array<WorkloadKind, 9> workload_kinds{
    {{"batch/v1", "Job", job_subject},
     {"kubeflow.org/v1", "TFJob", training_subject},
     {"kubeflow.org/v1", "PyTorchJob", training_subject},
     {"kubeflow.org/v1", "XGBoostJob", training_subject},
     {"kubeflow.org/v1", "PaddleJob", training_subject},
     {"kubeflow.org/v1", "JAXJob", training_subject},
     {"kubeflow.org/v1", "MPIJob", training_subject},
     {"kubeflow.org/v2beta1", "MPIJob", training_subject},
     {"trainer.kubeflow.org/v1alpha1", "TrainJob", trainjob_subject}}};

[[nodiscard]] inline kube::Client connect(const FindOptions& options, const Session& session) {
    return connect(with_profile({.namespace_ = options.namespace_,
                                 .config_file = options.config_file,
                                 .context = options.context,
                                 .profile = options.profile}),
                   session);
}

[[nodiscard]] inline Workload workload_of(const kube::Client& client, Subject subject,
                                          const FindOptions& options) {
    return Workload{std::make_shared<ClusterWorkload>(
        client, std::move(subject), std::vector<kube::ObjectKey>{},
        WorkloadHabits{.stream_log = options.stream_log, .only_pod = options.pod})};
}

}  // namespace kubernetes

/// One of our runs as a list shows it.
struct RunSummary {
    ObjectName object = {};
    std::string run_id = {};
    std::string created = {};  ///< RFC 3339
    State state = State::none;
    std::string reason = {};
};

/// What we created in the namespace and is still there, the oldest first.
[[nodiscard]] inline std::vector<RunSummary> list_workloads(const FindOptions& options,
                                                            const Session& session) {
    const kube::Client client = kubernetes::connect(options, session);
    std::vector<RunSummary> runs;
    for (const kubernetes::WorkloadKind& kind : kubernetes::workload_kinds) {
        for (const Json& object :
             client
                 .list(kind.api_version, kind.kind, client.cluster().namespace_,
                       {.label_selector = std::string{kube::run_label} + ',' + deployer_label})
                 .items) {
            const kubernetes::Subject subject = kind.subject(object);
            // The Job's own status is enough for a list; its pods are not asked.
            kube::Diagnosis diagnosis = subject.diagnose(object, {}, {});
            if (diagnosis.phase == kube::Phase::pending &&
                kube::number(object, {"status", "active"}) > 0) {
                diagnosis.phase = kube::Phase::running;
                diagnosis.reason.clear();
            }
            const Outcome outcome = kubernetes::outcome_of(diagnosis);
            runs.push_back({.object = {.api_version = kind.api_version,
                                       .kind = kind.kind,
                                       .namespace_ = subject.key.namespace_,
                                       .name = subject.key.name},
                            .run_id = subject.run_id,
                            .created = kube::text(object, {"metadata", "creationTimestamp"}),
                            .state = outcome.state,
                            .reason = outcome.reason});
        }
    }
    std::stable_sort(runs.begin(), runs.end(), [](const RunSummary& a, const RunSummary& b) {
        return a.created < b.created;
    });
    return runs;
}

/// The workload of that name or run id. Its follow() removes nothing. Throws Error: not_found when
/// there is none that we created.
[[nodiscard]] inline Workload find_workload(const std::string& name, const FindOptions& options,
                                            const Session& session) {
    kube::check_dns_label("name", name);
    const kube::Client client = kubernetes::connect(options, session);
    const std::string& namespace_ = client.cluster().namespace_;
    for (const kubernetes::WorkloadKind& kind : kubernetes::workload_kinds) {
        const auto found = client.find({.api_version = kind.api_version,
                                        .kind = kind.kind,
                                        .namespace_ = namespace_,
                                        .name = name});
        if (found && !kube::label_of(*found, kube::run_label).empty()) {
            return kubernetes::workload_of(client, kind.subject(*found), options);
        }
        const auto of_run =
            client.list(kind.api_version, kind.kind, namespace_,
                        {.label_selector = std::string{kube::run_label} + '=' + name});
        if (!of_run.items.empty()) {
            return kubernetes::workload_of(client, kind.subject(of_run.items.front()), options);
        }
    }
    throw Error{ErrorCode::not_found,
                {.attempted = "find",
                 .subject = name,
                 .answer = "the namespace " + namespace_ + " holds no run of that name or run id",
                 .advice = "fairing list shows what there is; --namespace names another place"}};
}

}  // namespace fairing
