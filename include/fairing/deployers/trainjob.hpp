// fairing/deployers/trainjob.hpp - runs the image as a TrainJob of Kubeflow Trainer 2
// (trainer.kubeflow.org/v1alpha1), on a training runtime of the cluster.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "../kube/document.hpp"
#include "../kube/names.hpp"
#include "../kube/state.hpp"
#include "../pods/leftovers.hpp"
#include "../pods/pod_template.hpp"
#include "../runs/plan.hpp"
#include "../stage/concepts.hpp"
#include "../stage/fields.hpp"

namespace fairing {

/// The runtime says what a node is; the image, its command, environment and resources replace the
/// runtime's, and what else the options ask of the pods goes into the field with which the
/// installed Trainer patches pods. What that field can not express is said in a warning.
struct TrainJobDeployer {
    static constexpr const char* name_prefix = "fairing-trainjob-";
    static constexpr const char* api_version = "trainer.kubeflow.org/v1alpha1";

    KubernetesOptions kubernetes = {};  ///< its cleanup is Cleanup::never when not set
    std::string runtime = "torch-distributed";
    int nodes = 1;
    std::string runtime_kind = "ClusterTrainingRuntime";  ///< or "TrainingRuntime"
    std::optional<int> processes_per_node = {};
    std::optional<int> active_deadline_seconds = {};  ///< Trainer 2.3
    bool suspend = false;
    /// "runtimePatches" (Trainer 2.2), "podTemplateOverrides" (2.1), "podSpecOverrides" (2.0);
    /// empty: what the cluster has, and the newest offline.
    std::string patches = {};

    /// As JobDeployer's.
    void check() const;
    [[nodiscard]] Workload deploy(const Image& image, const Session& session) const;
    [[nodiscard]] std::vector<Json> manifests(const Image& image, const Session& session) const;
    [[nodiscard]] std::vector<Json> dry_run(const Image& image, const Session& session) const;
};

template <>
inline constexpr auto fields<TrainJobDeployer> = std::tuple_cat(
    fields_of_part(&TrainJobDeployer::kubernetes),
    std::tuple{
        field("runtime", &TrainJobDeployer::runtime,
              "training runtime of the cluster (default: torch-distributed)"),
        field("nodes", &TrainJobDeployer::nodes, "how many workers train together", "workers"),
        field("runtime_kind", &TrainJobDeployer::runtime_kind,
              "ClusterTrainingRuntime (default) or TrainingRuntime"),
        field("processes_per_node", &TrainJobDeployer::processes_per_node,
              "processes of a node (default: the runtime's)"),
        field("active_deadline_seconds", &TrainJobDeployer::active_deadline_seconds,
              "the cluster stops the job after so long"),
        field("suspend", &TrainJobDeployer::suspend, "create it, but let nothing run yet"),
        field("patches", &TrainJobDeployer::patches,
              "how pods are patched: runtimePatches, podTemplateOverrides or podSpecOverrides "
              "(default: what the cluster has)"),
    });

namespace detail {

/// A form of the field that patches pods, and what it can say of them.
struct PatchForm {
    std::string_view field;
    bool has_metadata;
    std::initializer_list<std::string_view> pod;
    std::initializer_list<std::string_view> container;
};

/// The newest first.
[[nodiscard]] inline std::span<const PatchForm> patch_forms() {
    static const std::array<PatchForm, 3> forms{
        {{"runtimePatches",
          true,
          {"affinity", "imagePullSecrets", "nodeSelector", "schedulingGates", "securityContext",
           "serviceAccountName", "terminationGracePeriodSeconds", "tolerations", "volumes"},
          {"securityContext", "volumeMounts"}},
         {"podTemplateOverrides",
          true,
          {"affinity", "imagePullSecrets", "nodeSelector", "schedulingGates", "serviceAccountName",
           "tolerations", "volumes"},
          {"volumeMounts"}},
         {"podSpecOverrides",
          false,
          {"nodeSelector", "schedulingGates", "serviceAccountName", "tolerations", "volumes"},
          {"volumeMounts"}}}};
    return forms;
}

/// The properties of the TrainJob's spec in the schema that the cluster publishes; null when it
/// publishes none.
[[nodiscard]] inline Json trainjob_schema(const kube::Client& client) {
    const Json document =
        client.find_schema(TrainJobDeployer::api_version).value_or(Json::object());
    const Json& schemas = kube::member(document, {"components", "schemas"});
    for (const auto& [name, schema] : schemas.items()) {
        if (name.ends_with(".TrainJob")) {
            return kube::member(schema, {"properties", "spec", "properties"});
        }
    }
    return {};
}

[[nodiscard]] inline const PatchForm& patch_form(const TrainJobDeployer& job, const Json& schema) {
    for (const PatchForm& form : patch_forms()) {
        if (job.patches.empty() ? schema.contains(form.field) : job.patches == form.field) {
            return form;
        }
    }
    return patch_forms().front();
}

[[nodiscard]] inline RunIdentity trainjob_identity(const TrainJobDeployer& job,
                                                   const std::string& run_id) {
    RunIdentity identity =
        run_identity(job.kubernetes, run_id, TrainJobDeployer::name_prefix, "trainjob");
    kube::check_dns_1035_label("name", identity.name);
    // The JobSet that it becomes calls its pods so.
    kube::check_dns_1035_label("name of the last pod",
                               identity.name + "-node-0-" + std::to_string(job.nodes - 1));
    return identity;
}

/// Moves what `form` can say of the pods from `template_` to a patch of it.
[[nodiscard]] inline Json patch_of(const PatchForm& form, Json& template_) {
    const auto moved = [](Json& from, std::initializer_list<std::string_view> keys) {
        Json result = Json::object();
        for (const std::string_view each : keys) {
            const std::string key{each};
            if (from.contains(key)) {
                result[key] = std::move(from[key]);
                from.erase(key);
            }
        }
        return result;
    };
    Json container = moved(template_["spec"]["containers"][0], form.container);
    Json spec = moved(template_["spec"], form.pod);
    if (!container.empty()) {
        container["name"] = "node";
        spec["containers"] = Json::array({std::move(container)});
    }
    Json patch = Json::object();
    if (!spec.empty()) {
        patch["spec"] = std::move(spec);
    }
    if (form.has_metadata) {
        patch["metadata"] = std::move(template_["metadata"]);
        template_.erase("metadata");
    }
    return patch;
}

/// The patch as the form's list, for the job of the training nodes.
[[nodiscard]] inline Json patch_list(const PatchForm& form, Json patch) {
    if (form.field == "runtimePatches") {
        Json job{{"name", "node"}, {"template", {{"spec", {{"template", std::move(patch)}}}}}};
        return Json::array({Json{
            {"manager", "kubeflow.org/fairing"},
            {"trainingRuntimeSpec",
             {{"template", {{"spec", {{"replicatedJobs", Json::array({std::move(job)})}}}}}}}}});
    }
    if (!form.has_metadata && patch.contains("spec")) {
        patch = std::move(patch["spec"]);
    }
    patch["targetJobs"] = Json::array({Json{{"name", "node"}}});
    return Json::array({std::move(patch)});
}

[[nodiscard]] inline std::vector<Json> trainjob_objects(const TrainJobDeployer& job,
                                                        const Image& image, const Session& session,
                                                        const std::string& run_id,
                                                        const kubernetes::Place& place) {
    const RunIdentity identity = trainjob_identity(job, run_id);
    const std::string role = "node";
    std::vector<Json> objects;
    PodContext context{place.namespace_, role, place.client, session, objects, identity.name};
    Json pods =
        pod_template(image, {.container = "node", .role = role}, job.kubernetes, identity, context);
    Json& container = pods["spec"]["containers"][0];
    erase_image_settings(container, image);
    Json trainer{{"numNodes", job.nodes}};
    if (job.processes_per_node) {
        trainer["numProcPerNode"] = *job.processes_per_node;
    }
    for (const auto& [from, to] : {std::pair{"image", "image"},
                                   {"command", "command"},
                                   {"args", "args"},
                                   {"env", "env"},
                                   {"resources", "resourcesPerNode"}}) {
        if (container.contains(from)) {
            trainer[to] = std::move(container[from]);
            container.erase(from);
        }
    }
    const PatchForm& form = patch_form(job, place.client == nullptr || !job.patches.empty()
                                                ? Json()
                                                : trainjob_schema(*place.client));
    Json spec{
        {"runtimeRef",
         {{"apiGroup", "trainer.kubeflow.org"}, {"kind", job.runtime_kind}, {"name", job.runtime}}},
        {"trainer", std::move(trainer)}};
    if (Json patch = patch_of(form, pods); !patch.empty()) {
        spec[std::string{form.field}] = patch_list(form, std::move(patch));
    }
    say_leftovers(pods, "a TrainJob with " + std::string{form.field}, session);
    if (job.active_deadline_seconds) {
        spec["activeDeadlineSeconds"] = *job.active_deadline_seconds;
    }
    if (job.suspend) {
        spec["suspend"] = true;
    }
    objects = adopted(std::move(objects), job.kubernetes, identity, place.namespace_);
    objects.push_back({{"apiVersion", TrainJobDeployer::api_version},
                       {"kind", "TrainJob"},
                       {"metadata", run_metadata(job.kubernetes, identity, place.namespace_)},
                       {"spec", std::move(spec)}});
    return objects;
}

}  // namespace detail

/// A TrainJob as a subject to follow. Its pods are made by a JobSet of its name.
[[nodiscard]] inline kubernetes::Subject trainjob_subject(const Json& job) {
    const std::int64_t nodes = kube::number(job, {"spec", "trainer", "numNodes"});
    return {.key = kube::key_of(job),
            .uid = kube::uid_of(job),
            .run_id = kube::label_of(job, kube::run_label),
            .main = job,
            .expected_pods = static_cast<int>(std::clamp<std::int64_t>(nodes, 1, 100000)),
            .tries_again = true,  // as its runtime says, which is not ours to read
            .diagnose = kube::diagnose_job,
            .selector = "jobset.sigs.k8s.io/jobset-name=" + kube::name_of(job)};
}

inline void TrainJobDeployer::check() const {
    TrainJobDeployer job = *this;
    job.kubernetes = with_profile(kubernetes);
    kubernetes::check_options(job.kubernetes);
    kubernetes::check_least("nodes", nodes, 1);
    kubernetes::check_least("processes_per_node", processes_per_node.value_or(1), 1);
    kubernetes::check_least("active_deadline_seconds", active_deadline_seconds.value_or(1), 1);
    kube::check_dns_subdomain("runtime", runtime);
    const auto check_one_of = [](const char* what, const std::string& value,
                                 const std::vector<std::string>& names) {
        if (std::find(names.begin(), names.end(), value) == names.end()) {
            throw unknown_name("choose", what, value, names);
        }
    };
    check_one_of("runtime_kind", runtime_kind, {"ClusterTrainingRuntime", "TrainingRuntime"});
    if (!patches.empty()) {
        check_one_of("patches", patches,
                     {"runtimePatches", "podTemplateOverrides", "podSpecOverrides"});
    }
    for (const auto& [name, value] : job.kubernetes.environment) {
        if (name.starts_with("PET_")) {
            throw Error{ErrorCode::usage,
                        {.attempted = "use variable",
                         .subject = name,
                         .answer = "a TrainJob sets it itself",
                         .advice = "use --workers and --processes-per-node"}};
        }
    }
    const std::string run_id = kubernetes::checked_run_id(job.kubernetes);
    static_cast<void>(run_metadata(job.kubernetes, detail::trainjob_identity(job, run_id), {}));
}

namespace detail {

[[nodiscard]] inline kubernetes::Plan trainjob_plan(const TrainJobDeployer& deployer,
                                                    const Image& image, const Session& session) {
    return kubernetes::plan_of(deployer, image, session, trainjob_objects, trainjob_subject,
                               Cleanup::never);
}

}  // namespace detail

inline Workload TrainJobDeployer::deploy(const Image& image, const Session& session) const {
    return kubernetes::start(detail::trainjob_plan(*this, image, session), image, session);
}

inline std::vector<Json> TrainJobDeployer::manifests(const Image& image,
                                                     const Session& session) const {
    return kubernetes::render(detail::trainjob_plan(*this, image, session), image);
}

inline std::vector<Json> TrainJobDeployer::dry_run(const Image& image,
                                                   const Session& session) const {
    return kubernetes::rehearse(detail::trainjob_plan(*this, image, session), image, session);
}

static_assert(Deployer<TrainJobDeployer> && Renderer<TrainJobDeployer> &&
              SelfChecking<TrainJobDeployer>);

}  // namespace fairing
