// fairing/deployers/find_workload.hpp - what an earlier run left in a cluster, by its name or its
// run id.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <exception>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "../kube/client.hpp"
#include "../kube/names.hpp"
#include "../runs/cluster_workload.hpp"
#include "../runs/connection.hpp"
#include "../stage/fields.hpp"
#include "../stage/workload.hpp"
#include "experiment.hpp"
#include "job.hpp"
#include "serving/canary.hpp"
#include "serving/deployment_kind.hpp"
#include "serving/endpoint_workload.hpp"
#include "serving/inference_kind.hpp"
#include "training/objects.hpp"
#include "trainjob.hpp"

namespace fairing {

/// Where to look.
struct FindOptions {
    std::string namespace_ = {};  ///< empty: the pod's own, the context's, or "default"
    std::filesystem::path config_file = {};
    std::string context = {};
    bool stream_log = true;
    std::string pod = {};      ///< only this one's log: by its label ("worker-0"), number or name
    std::string profile = {};  ///< its namespace
    int predict_timeout = 60;  ///< seconds that an endpoint may take to answer
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
inline constexpr std::array<WorkloadKind, 10> workload_kinds{
    {{"batch/v1", "Job", job_subject},
     {"kubeflow.org/v1", "TFJob", training_subject},
     {"kubeflow.org/v1", "PyTorchJob", training_subject},
     {"kubeflow.org/v1", "XGBoostJob", training_subject},
     {"kubeflow.org/v1", "PaddleJob", training_subject},
     {"kubeflow.org/v1", "JAXJob", training_subject},
     {"kubeflow.org/v1", "MPIJob", training_subject},
     {"kubeflow.org/v2beta1", "MPIJob", training_subject},
     {"trainer.kubeflow.org/v1alpha1", "TrainJob", trainjob_subject},
     {"kubeflow.org/v1beta1", "Experiment", experiment_subject}}};

/// The same for what serves requests.
inline constexpr std::array<EndpointKind, 3> endpoint_kinds{
    {deployment_kind, inference_service_kind, legacy_inference_service_kind}};

[[nodiscard]] inline kube::Client connect(const FindOptions& options, const Session& session) {
    return connect(with_profile({.namespace_ = options.namespace_,
                                 .config_file = options.config_file,
                                 .context = options.context,
                                 .profile = options.profile}),
                   session);
}

/// What we created in the namespace, of every kind that the cluster knows and lets us see. Throws
/// what the server says when there is nothing, and something was forbidden.
[[nodiscard]] inline std::vector<Json> list_ours(const kube::Client& client) {
    std::vector<Json> found;
    std::exception_ptr denial;
    const auto add = [&](const char* api_version, const char* kind) {
        try {
            for (Json& object :
                 client
                     .list(api_version, kind, client.cluster().namespace_,
                           {.label_selector = std::string{kube::run_label} + ',' + deployer_label})
                     .items) {
                found.push_back(std::move(object));
            }
        } catch (const Error& error) {
            if (error.code() == ErrorCode::denied) {
                denial = denial ? denial : std::current_exception();
            } else if (error.code() != ErrorCode::unsupported) {
                throw;
            }
        }
    };
    for (const WorkloadKind& kind : workload_kinds) {
        add(kind.api_version, kind.kind);
    }
    for (const EndpointKind& kind : endpoint_kinds) {
        add(kind.api_version, kind.kind);
    }
    if (found.empty() && denial) {
        std::rethrow_exception(denial);
    }
    return found;
}

/// The row of `kinds` that an object belongs to; null when it is of none.
template <class Kinds>
[[nodiscard]] auto kind_of(const Kinds& kinds, const Json& object) -> decltype(&*kinds.begin()) {
    for (const auto& kind : kinds) {
        if (text_or(object, "apiVersion") == kind.api_version &&
            text_or(object, "kind") == kind.kind) {
            return &kind;
        }
    }
    return nullptr;
}

[[nodiscard]] inline Workload workload_of(const kube::Client& client, const Json& object,
                                          const FindOptions& options,
                                          const net::AnyTransport& transport) {
    if (const EndpointKind* kind = kind_of(endpoint_kinds, object)) {
        // Whoever reads the log of a server reads on.
        return Workload{std::make_shared<EndpointWorkload>(
            client, *kind, object, std::vector<kube::ObjectKey>{},
            EndpointHabits{.stream_log = options.stream_log,
                           .predict_timeout = std::chrono::seconds{options.predict_timeout},
                           .only_pod = options.pod,
                           .end = EndpointEnd::removed,
                           .transport = transport})};
    }
    return Workload{std::make_shared<ClusterWorkload>(
        client, kind_of(workload_kinds, object)->subject(object), std::vector<kube::ObjectKey>{},
        WorkloadHabits{.stream_log = options.stream_log, .only_pod = options.pod})};
}

/// The state that the object's own status tells: enough for a list, its pods are not asked.
[[nodiscard]] inline Outcome own_state(const Json& object) {
    if (const EndpointKind* kind = kind_of(endpoint_kinds, object)) {
        return endpoint_outcome(kind->diagnose(object, {}, {}));
    }
    const WorkloadKind* kind = kind_of(workload_kinds, object);
    kube::Diagnosis diagnosis = kind->subject(object).diagnose(object, {}, {});
    if (diagnosis.phase == kube::Phase::pending && kube::number(object, {"status", "active"}) > 0) {
        diagnosis.phase = kube::Phase::running;
        diagnosis.reason.clear();
    }
    return outcome_of(diagnosis);
}

}  // namespace kubernetes

/// What we created in the namespace and is still there, the oldest first.
[[nodiscard]] inline std::vector<RunSummary> list_workloads(const FindOptions& options,
                                                            const Session& session) {
    const kube::Client client = kubernetes::connect(options, session);
    std::vector<RunSummary> runs;
    for (const Json& object : kubernetes::list_ours(client)) {
        const Outcome outcome = kubernetes::own_state(object);
        runs.push_back({.object = {.api_version = text_or(object, "apiVersion"),
                                   .kind = text_or(object, "kind"),
                                   .namespace_ = kube::key_of(object).namespace_,
                                   .name = kube::name_of(object)},
                        .run_id = kube::label_of(object, kube::run_label),
                        .created = kube::text(object, {"metadata", "creationTimestamp"}),
                        .state = outcome.state,
                        .reason = outcome.reason});
    }
    std::stable_sort(runs.begin(), runs.end(), [](const RunSummary& a, const RunSummary& b) {
        return a.created < b.created;
    });
    return runs;
}

/// The workload of that name or run id. Its follow() removes nothing; of an endpoint it gives the
/// log until that is removed, and wait() returns when it is ready. Throws Error: not_found when
/// there is none that we created.
[[nodiscard]] inline Workload find_workload(const std::string& name, const FindOptions& options,
                                            const Session& session) {
    kube::check_dns_label("name", name);
    const kube::Client client = kubernetes::connect(options, session);
    const std::vector<Json> ours = kubernetes::list_ours(client);
    for (const Json& object : ours) {
        if (kube::name_of(object) == name) {
            return kubernetes::workload_of(client, object, options, session.transport);
        }
    }
    for (const Json& object : ours) {
        if (kube::label_of(object, kube::run_label) == name) {
            return kubernetes::workload_of(client, object, options, session.transport);
        }
    }
    throw Error{ErrorCode::not_found,
                {.attempted = "find",
                 .subject = name,
                 .answer = "the namespace " + client.cluster().namespace_ +
                           " holds no run of that name or run id",
                 .advice = "fairing list shows what there is; --namespace names another place"}};
}

/// Gives the newest model of an InferenceService that we created another share of the requests: 100
/// makes it the only one, 0 goes back to the one before.
[[nodiscard]] inline Endpoint shift_traffic(const std::string& name, int percent,
                                            const FindOptions& options, const Session& session) {
    const ObjectName found = find_workload(name, options, session).object();
    const kube::Client client = kubernetes::connect(options, session);
    if (found.kind != kubernetes::inference_service_kind.kind) {
        throw Error{ErrorCode::usage,
                    {.attempted = "divide the requests to",
                     .subject = found.kind + ' ' + found.name,
                     .answer = "it is no InferenceService"}};
    }
    const kube::ObjectKey key{.api_version = found.api_version,
                              .kind = found.kind,
                              .namespace_ = found.namespace_,
                              .name = found.name};
    const Json stored = kubernetes::edit(client, key, [percent](Json service) {
        return kubernetes::with_traffic(std::move(service), percent);
    });
    return Endpoint{kubernetes::workload_of(client, stored, options, session.transport)};
}

}  // namespace fairing
