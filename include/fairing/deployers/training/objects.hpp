// fairing/deployers/training/objects.hpp - a training job of Kubeflow as the objects of a cluster,
// and what its webhooks would refuse (training-operator, pkg/webhooks; mpi-operator,
// pkg/apis/kubeflow/validation), refused here.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../../kube/document.hpp"
#include "../../kube/names.hpp"
#include "../../kube/state.hpp"
#include "../../pods/pod_template.hpp"
#include "../../runs/plan.hpp"
#include "kinds.hpp"

namespace fairing {

namespace detail {

[[nodiscard]] inline Error training_error(const std::string& what, const std::string& value,
                                          std::string answer, std::string advice = {}) {
    return Error{ErrorCode::usage,
                 {.attempted = "use " + what,
                  .subject = value,
                  .answer = std::move(answer),
                  .advice = std::move(advice)}};
}

inline void check_counts(const TrainingJobDeployer& job) {
    const TrainingKind& kind = *job.kind;
    int all = 0;
    for (const TrainingRole& role : kind.roles) {
        const int count = count_of(job, role);
        if (count < role.least || count > role.most) {
            throw training_error(
                std::string{role.name} + " count", std::to_string(count),
                std::string{"a "} + kind.kind + " takes " + std::to_string(role.least) +
                    (role.most == any_number   ? " or more"
                     : role.least == role.most ? ""
                                               : " to " + std::to_string(role.most)));
        }
        all += count;
    }
    if (all == 0) {
        throw training_error("no replicas for", kind.kind, "it would run nothing",
                             "give it --workers");
    }
    const int workers = worker_count(job);
    if (is_elastic(job) && takes_elastic(kind)) {
        if (workers == 0) {
            throw training_error("an elastic policy for", kind.kind, "it has no workers");
        }
        if (job.min_workers.value_or(workers) > workers ||
            job.max_workers.value_or(workers) < workers || job.min_workers.value_or(1) < 1) {
            throw training_error("min_workers and max_workers",
                                 std::to_string(job.min_workers.value_or(workers)) + " to " +
                                     std::to_string(job.max_workers.value_or(workers)),
                                 "the " + std::to_string(workers) + " workers are not within");
        }
    }
}

inline void check_values(const TrainingJobDeployer& job) {
    using kubernetes::check_least;
    const RunPolicy& policy = job.policy;
    check_least("backoff_limit", policy.backoff_limit.value_or(0), 0);
    check_least("active_deadline_seconds", policy.active_deadline_seconds.value_or(1), 1);
    check_least("ttl_seconds_after_finished", policy.ttl_seconds_after_finished.value_or(0), 0);
    check_least("gang_min_available", policy.gang_min_available.value_or(1), 1);
    check_least("slots_per_worker", job.slots_per_worker.value_or(1), 1);
    const auto check_one_of = [](const char* what, const std::string& value,
                                 const std::vector<std::string>& names) {
        if (!value.empty() && std::find(names.begin(), names.end(), value) == names.end()) {
            throw unknown_name("choose", what, value, names);
        }
    };
    check_one_of("mpi_version", job.mpi_version, {"v1", "v2beta1"});
    check_one_of("mpi_implementation", job.mpi_implementation, {"OpenMPI", "Intel", "MPICH"});
    check_one_of("success_policy", job.success_policy, {"AllWorkers"});
    if (const std::string& nproc = job.nproc_per_node;
        !nproc.empty() && nproc.find_first_not_of("0123456789") != std::string::npos) {
        check_one_of("nproc_per_node", nproc, {"auto", "gpu", "cpu", "a number"});
    }
    if (job.kind == mpi_v2 && (policy.restart_policy == RestartPolicy::always ||
                               policy.restart_policy == RestartPolicy::exit_code)) {
        throw training_error("restart_policy of", "an MPIJob v2beta1",
                             "it takes never or on-failure");
    }
}

/// Pods and their Services are called NAME-ROLE-NUMBER, all of it one RFC 1035 label.
[[nodiscard]] inline RunIdentity training_identity(const TrainingJobDeployer& job,
                                                   const std::string& run_id) {
    const std::string deployer = job.kind->deployer;
    RunIdentity identity =
        run_identity(job.kubernetes, run_id, "fairing-" + deployer + '-', deployer);
    kube::check_dns_1035_label("name", identity.name);
    for (const TrainingRole& role : job.kind->roles) {
        if (const int count = count_of(job, role); count > 0) {
            std::string last = identity.name + '-' + role.name + '-' + std::to_string(count - 1);
            std::transform(last.begin(), last.end(), last.begin(), [](char c) {
                return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
            });
            kube::check_dns_1035_label("name of the last pod", last);
        }
    }
    return identity;
}

/// What was asked for and this kind has not.
[[nodiscard]] inline std::vector<std::string> training_notes(const TrainingJobDeployer& job) {
    std::vector<std::string> notes;
    const auto note = [&](const std::string& option) {
        notes.push_back(std::string{"a "} + job.kind->kind + " has no " + option +
                        ": it is left out");
    };
    for (const TrainingField& each : training_fields) {
        if (!has_field(*job.kind, each) && !each.value(job).is_null()) {
            note(each.option);
        }
    }
    for (const auto& [option, count] : {std::pair{"worker_count", &Training::worker_count},
                                        {"ps_count", &Training::ps_count},
                                        {"chief_count", &Training::chief_count},
                                        {"master_count", &Training::master_count},
                                        {"evaluator_count", &Training::evaluator_count}}) {
        const auto is_it = [member = count](const TrainingRole& role) {
            return role.count == member;
        };
        if ((job.*count).value_or(0) > 0 &&
            std::none_of(job.kind->roles.begin(), job.kind->roles.end(), is_it)) {
            note(option);
        }
    }
    return notes;
}

inline void remove_gpus(Json& container) {
    for (const char* part : {"limits", "requests"}) {
        Json& amounts = container["resources"][part];
        for (const char* gpu : {"nvidia.com/gpu", "amd.com/gpu"}) {
            if (amounts.is_object()) {
                amounts.erase(gpu);
            }
        }
        if (amounts.empty()) {
            container["resources"].erase(part);
        }
    }
    if (container["resources"].empty()) {
        container.erase("resources");
    }
}

/// What the ranks of an MPI run do not inherit is given to them by env(1): a rank on another node
/// is a child of its sshd, and not of the container.
[[nodiscard]] inline Json launcher_command(const TrainingJobDeployer& job, const Image& image,
                                           const Json& program) {
    const int workers = worker_count(job) + (job.run_launcher_as_worker ? 1 : 0);
    Json command = job.launcher;
    if (job.launcher.empty()) {
        command = {"mpirun", "-n", std::to_string(workers * job.slots_per_worker.value_or(1))};
    }
    Labels variables = image.environment;
    for (const auto& [name, value] : job.kubernetes.environment) {
        variables[name] = value;
    }
    variables["FAIRING_RUNTIME"] = "1";
    command.push_back("env");
    for (const auto& [name, value] : variables) {
        command.push_back(literal_text(name + '=' + value));
    }
    command.insert(command.end(), program.begin(), program.end());
    return command;
}

/// The replicas of one role.
[[nodiscard]] inline Json replica_spec(const TrainingJobDeployer& job, const TrainingRole& role,
                                       const Image& image, const RunIdentity& identity,
                                       PodContext& context) {
    const TrainingKind& kind = *job.kind;
    Json pods = pod_template(image, {.container = kind.container, .role = role.name},
                             job.kubernetes, identity, context);
    PodSpec pod{std::move(pods["spec"])};
    pod.json().erase("restartPolicy");  // the replicas' own rules
    Json& container = pod.container();
    if (role.gpus == TrainingRole::Gpus::removed) {
        remove_gpus(container);
    }
    if (role.runs == TrainingRole::Runs::own) {
        container.erase("command");
    } else if (role.runs == TrainingRole::Runs::launcher) {
        container["command"] = launcher_command(job, image, container["command"]);
        // Open MPI refuses root, as which images of ours run, unless told twice.
        pod.set_env("OMPI_ALLOW_RUN_AS_ROOT", "1");
        pod.set_env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
    } else if (*kind.rank_variable != '\0' && job.kind->roles.size() == 2 &&
               count_of(job, kind.roles[0]) == 0) {
        container["env"].push_back(
            {{"name", kind.rank_variable},
             {"valueFrom",
              {{"fieldRef",
                {{"fieldPath", "metadata.labels['training.kubeflow.org/replica-index']"}}}}}});
    }
    const Json& containers = pod.json()["containers"];
    if (std::none_of(containers.begin(), containers.end(), [&kind](const Json& each) {
            return kube::text(each, {"name"}) == kind.container &&
                   !kube::text(each, {"image"}).empty();
        })) {
        throw training_error("the pods of role", role.name,
                             std::string{"a "} + kind.kind + " wants a container named " +
                                 kind.container + ", with an image",
                             "a mutator renamed it");
    }
    pods["spec"] = std::move(pod.json());
    constexpr std::array<const char*, 4> policies{"Never", "OnFailure", "Always", "ExitCode"};
    return {{"replicas", count_of(job, role)},
            {"restartPolicy", policies.at(static_cast<std::size_t>(job.policy.restart_policy))},
            {"template", std::move(pods)}};
}

[[nodiscard]] inline Json training_spec(const TrainingJobDeployer& job) {
    /// As for a Job.
    constexpr int always_ttl = 300;
    constexpr std::array<const char*, 3> clean{"None", "Running", "All"};
    Json spec{
        {"runPolicy",
         {{"cleanPodPolicy", clean.at(static_cast<std::size_t>(job.policy.clean_pod_policy))}}}};
    if (job.kubernetes.cleanup == Cleanup::always) {
        spec["runPolicy"]["ttlSecondsAfterFinished"] = always_ttl;
    }
    // Else the launcher, a Job of the MPI operator's, would be tried six times more.
    if (job.kind == mpi_v2 && job.policy.restart_policy == RestartPolicy::never) {
        spec["runPolicy"]["backoffLimit"] = 0;
    }
    for (const TrainingField& each : training_fields) {
        Json value = each.value(job);
        if (*each.path != '\0' && has_field(*job.kind, each) && !value.is_null()) {
            spec[Json::json_pointer{each.path}] = std::move(value);
        }
    }
    return spec;
}

/// The version that was chosen, or that the cluster has; v2beta1 when nothing tells.
[[nodiscard]] inline const TrainingKind* resolved_kind(const TrainingJobDeployer& job,
                                                       const kube::Client* client) {
    if (job.kind != mpi_v2 && job.kind != mpi_v1) {
        return job.kind;
    }
    if (!job.mpi_version.empty()) {
        return job.mpi_version == "v1" ? mpi_v1 : mpi_v2;
    }
    for (const TrainingKind* each : {mpi_v2, mpi_v1}) {
        try {
            if (client != nullptr) {
                static_cast<void>(client->discover(each->api_version, each->kind));
                return each;
            }
        } catch (const Error& error) {
            if (error.code() != ErrorCode::unsupported) {
                throw;
            }
        }
    }
    return mpi_v2;
}

/// The spec with all replicas; what mutators make beside the pods is added to `objects`.
[[nodiscard]] inline Json training_body(const TrainingJobDeployer& job, const Image& image,
                                        const Session& session, const RunIdentity& identity,
                                        const kubernetes::Place& place,
                                        std::vector<Json>& objects) {
    Json spec = training_spec(job);
    for (const TrainingRole& role : job.kind->roles) {
        if (count_of(job, role) > 0) {
            const std::string name = role.name;
            PodContext context{place.namespace_, name,    place.client,
                               session,          objects, identity.name};
            spec[job.kind->replicas][name] = replica_spec(job, role, image, identity, context);
        }
    }
    return spec;
}

[[nodiscard]] inline std::vector<Json> training_objects(TrainingJobDeployer job, const Image& image,
                                                        const Session& session,
                                                        const std::string& run_id,
                                                        const kubernetes::Place& place) {
    job.kind = resolved_kind(job, place.client);
    for (const std::string& note : training_notes(job)) {
        session.control().say(Level::warning, note);
    }
    const RunIdentity identity = training_identity(job, run_id);
    std::vector<Json> objects;
    Json spec = training_body(job, image, session, identity, place, objects);
    objects = adopted(std::move(objects), job.kubernetes, identity, place.namespace_);
    objects.push_back({{"apiVersion", job.kind->api_version},
                       {"kind", job.kind->kind},
                       {"metadata", run_metadata(job.kubernetes, identity, place.namespace_)},
                       {"spec", std::move(spec)}});
    return objects;
}

}  // namespace detail

/// A training job of any of the kinds as a subject to follow: one that was created, or found.
[[nodiscard]] inline kubernetes::Subject training_subject(const Json& job) {
    kubernetes::Subject subject{.key = kube::key_of(job),
                                .uid = kube::uid_of(job),
                                .run_id = kube::label_of(job, kube::run_label),
                                .main = job,
                                .expected_pods = 0,
                                .diagnose = kube::diagnose_job};
    for (const TrainingKind& kind : training_kinds) {
        if (kind.kind != subject.key.kind || kind.api_version != subject.key.api_version) {
            continue;
        }
        for (const TrainingRole& role : kind.roles) {
            const Json& replicas = kube::member(job, {"spec", kind.replicas, role.name});
            subject.expected_pods += static_cast<int>(kube::number(replicas, {"replicas"}));
            const std::string restart = kube::text(replicas, {"restartPolicy"});
            subject.tries_again = subject.tries_again || (!restart.empty() && restart != "Never");
        }
    }
    return subject;
}

}  // namespace fairing
