// fairing/deployers/inference_service.hpp - serves a model by KServe: an InferenceService of
// serving.kserve.io/v1beta1, or of KFServing's serving.kubeflow.org/v1alpha2.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "../kube/client.hpp"
#include "../pods/pod_template.hpp"
#include "../runs/plan.hpp"
#include "../stage/concepts.hpp"
#include "../stage/fields.hpp"
#include "serving/canary.hpp"
#include "serving/endpoint_plan.hpp"
#include "serving/endpoint_workload.hpp"
#include "serving/inference_kind.hpp"
#include "serving/predict_protocol.hpp"

namespace fairing {

/// v1beta1 is KServe's; v1alpha2 is KFServing's, which came before it.
enum class InferenceApi { v1beta1, v1alpha2 };

/// With a `framework` KServe's own server loads the model at `storage_uri`, and the image is not
/// used; without one the image serves. deploy() returns when the object is stored; follow() waits
/// until it is Ready. With `canary_traffic_percent` the InferenceService of that name, which must
/// be there, is edited: the new model gets that share of the requests (see also shift_traffic()).
struct InferenceServiceDeployer {
    static constexpr const char* name_prefix = "fairing-kfserving-";
    static constexpr const char* container_name = "kserve-container";
    static constexpr int default_start_timeout = 600;

    KubernetesOptions kubernetes = {};  ///< its cleanup is Cleanup::never when not set
    std::string framework = {};         ///< sklearn, xgboost, …; empty or "custom": the image
    std::string storage_uri = {};
    std::string runtime = {}, runtime_version = {};
    std::optional<PredictProtocol> protocol = {};  ///< empty: what the framework's server speaks
    std::optional<int> canary_traffic_percent = {};
    std::optional<int> min_replicas = {}, max_replicas = {};
    std::string deployment_mode = {};  ///< Standard or Knative; empty: as KServe is set up
    std::vector<std::string> serving_command = {};  ///< instead of the image's own
    int port = 8080;                                ///< of the image's server
    std::string readiness_path = {};                ///< of the image's server
    std::string model_name = {};  ///< in the paths of v1 and v2; empty: the object's name
    InferenceApi api = InferenceApi::v1beta1;

    /// Throws Error{usage} for what KServe's webhook, or Kubernetes, would refuse.
    void check() const;
    /// Throws Error: unsupported that names KServe when the cluster has not got it, not_found for a
    /// canary of nothing, and as JobDeployer does.
    [[nodiscard]] Endpoint deploy(const Image& image, const Session& session) const;
    [[nodiscard]] std::vector<Json> manifests(const Image& image, const Session& session) const;
    [[nodiscard]] std::vector<Json> dry_run(const Image& image, const Session& session) const;
};

template <>
inline constexpr auto value_names<InferenceApi> =
    std::array<std::pair<std::string_view, InferenceApi>, 2>{
        {{"v1beta1", InferenceApi::v1beta1}, {"v1alpha2", InferenceApi::v1alpha2}}};

template <>
inline constexpr auto fields<InferenceServiceDeployer> = std::tuple_cat(
    fields_of_part(&InferenceServiceDeployer::kubernetes),
    std::tuple{
        field("framework", &InferenceServiceDeployer::framework,
              "format of the model: sklearn, xgboost, lightgbm, tensorflow, pytorch, onnx, triton, "
              "huggingface, … (default: custom, the image serves)"),
        field("storage_uri", &InferenceServiceDeployer::storage_uri,
              "where the model lies: s3://, gs://, pvc://, hf://, oci://, …"),
        field("runtime", &InferenceServiceDeployer::runtime,
              "ServingRuntime (default: the one that fits the framework)"),
        field("runtime_version", &InferenceServiceDeployer::runtime_version,
              "version of the server's image"),
        field("protocol", &InferenceServiceDeployer::protocol, "what the server speaks"),
        field("canary_traffic_percent", &InferenceServiceDeployer::canary_traffic_percent,
              "edit the InferenceService --name: its new model gets this share of the requests"),
        field("min_replicas", &InferenceServiceDeployer::min_replicas, "pods at least"),
        field("max_replicas", &InferenceServiceDeployer::max_replicas, "pods at most"),
        field("deployment_mode", &InferenceServiceDeployer::deployment_mode,
              "Standard or Knative (default: as KServe is set up)"),
        field("serving_command", &InferenceServiceDeployer::serving_command,
              "command of the server, instead of Seldon's and the image's own"),
        field("port", &InferenceServiceDeployer::port,
              "port of the server (default: 5000, KServe: 8080)"),
        field("readiness_path", &InferenceServiceDeployer::readiness_path,
              "path that a ready server answers with 2xx (serving's default: its port is open)"),
        field("model_name", &InferenceServiceDeployer::model_name,
              "name of the model in the paths of v1 and v2"),
        field("api", &InferenceServiceDeployer::api, "version of the InferenceService"),
    });

namespace detail {

[[nodiscard]] inline bool is_legacy(const InferenceServiceDeployer& deployer) {
    return deployer.api == InferenceApi::v1alpha2;
}
[[nodiscard]] inline bool is_custom(const InferenceServiceDeployer& deployer) {
    return deployer.framework.empty() || deployer.framework == "custom";
}

[[nodiscard]] inline Error wrong_option(const char* option, const std::string& value,
                                        std::string answer, std::string advice = {}) {
    return Error{ErrorCode::usage,
                 {.attempted = std::string{"use "} + option,
                  .subject = kube::detail::quoted(value),
                  .answer = std::move(answer),
                  .advice = std::move(advice)}};
}

[[nodiscard]] inline bool is_one_of(std::string_view text, const std::vector<std::string>& names) {
    return std::find(names.begin(), names.end(), text) != names.end();
}

/// What a server of the framework speaks unless it is told otherwise.
[[nodiscard]] inline PredictProtocol protocol_of(const InferenceServiceDeployer& deployer) {
    const bool is_open = is_one_of(deployer.framework, {"triton", "onnx", "mlflow"});
    return deployer.protocol.value_or(is_open && !is_legacy(deployer) ? PredictProtocol::v2
                                                                      : PredictProtocol::v1);
}

/// Rules of KServe's storage: a local path, or a scheme that its initializer knows. One that it
/// does not know may be of a ClusterStorageContainer, but only of v1beta1.
[[nodiscard]] inline bool is_known_storage(const InferenceServiceDeployer& deployer) {
    const std::size_t colons = deployer.storage_uri.find("://");
    const std::string scheme = deployer.storage_uri.substr(0, colons);
    return colons == std::string::npos ||
           is_one_of(scheme, {"gs", "s3", "pvc", "file", "https", "http"}) ||
           (!is_legacy(deployer) && is_one_of(scheme, {"hdfs", "webhdfs", "oci", "hf"}));
}

inline void check_model(const InferenceServiceDeployer& deployer) {
    static const std::vector<std::string> legacy{"tensorflow", "onnx",    "pytorch", "sklearn",
                                                 "triton",     "xgboost", "custom"};
    if (is_legacy(deployer) && !deployer.framework.empty() &&
        !is_one_of(deployer.framework, legacy)) {
        throw unknown_name("use framework", "of v1alpha2", deployer.framework, legacy);
    }
    if (!is_custom(deployer) && !deployer.serving_command.empty()) {
        throw wrong_option("serving_command", deployer.serving_command.front(),
                           "KServe's own server serves " + deployer.framework,
                           "leave out --framework to let the image serve");
    }
    if (is_legacy(deployer) && !is_custom(deployer) && deployer.storage_uri.empty()) {
        throw wrong_option("framework", deployer.framework, "there is no model for it",
                           "name it with --storage-uri");
    }
    if (is_legacy(deployer) && !is_known_storage(deployer)) {
        throw wrong_option("storage_uri", deployer.storage_uri,
                           "KFServing knows gs://, s3://, pvc://, file:// and https://");
    }
    if (!is_custom(deployer) && deployer.protocol == PredictProtocol::seldon) {
        throw wrong_option("protocol", "seldon", "KServe's own servers speak v1 and v2");
    }
}

inline void check_canary(const InferenceServiceDeployer& deployer) {
    if (!deployer.canary_traffic_percent) {
        return;
    }
    kubernetes::check_range("canary_traffic_percent", *deployer.canary_traffic_percent, 0, 100);
    const std::string percent = std::to_string(*deployer.canary_traffic_percent);
    if (deployer.kubernetes.name.empty()) {
        throw wrong_option("canary_traffic_percent", percent,
                           "a canary is one of an InferenceService that is there",
                           "name it with --name");
    }
    if (is_one_of(deployer.deployment_mode, {"Standard", "RawDeployment"})) {
        throw wrong_option(
            "canary_traffic_percent", percent,
            "only Knative divides the requests, not the mode " + deployer.deployment_mode);
    }
}

/// KServe makes a Service of the name, and "-predictor" behind it.
[[nodiscard]] inline RunIdentity inference_identity(const InferenceServiceDeployer& deployer,
                                                    const std::string& run_id) {
    RunIdentity identity = run_identity(deployer.kubernetes, run_id,
                                        InferenceServiceDeployer::name_prefix, "kfserving");
    kube::check_dns_1035_label("name", identity.name);
    kube::check_dns_1035_label(
        "name of the predictor's Service",
        identity.name + (is_legacy(deployer) ? "-predictor-default" : "-predictor"));
    return identity;
}

/// The image's server as KServe takes it.
inline void make_predictor(const InferenceServiceDeployer& deployer, PodSpec& pod) {
    Json& container = pod.container();
    container["ports"] = Json::array({Json{{"containerPort", deployer.port}, {"protocol", "TCP"}}});
    if (!deployer.readiness_path.empty()) {
        container["readinessProbe"] = {
            {"httpGet", {{"path", deployer.readiness_path}, {"port", deployer.port}}}};
    }
    if (!deployer.storage_uri.empty()) {
        pod.set_env("STORAGE_URI", deployer.storage_uri);  // its model lies at /mnt/models then
    }
}

/// What of a container KServe's own server takes: not the image and its program.
[[nodiscard]] inline Json framework_container(const Json& container) {
    Json result = Json::object();
    for (const char* key : {"resources", "volumeMounts"}) {
        if (container.contains(key)) {
            result[key] = container[key];
        }
    }
    Json variables = Json::array();
    for (const Json& variable : kube::list(container, {"env"})) {
        if (kube::text(variable, {"name"}) != "FAIRING_RUNTIME") {
            variables.push_back(variable);
        }
    }
    if (!variables.empty()) {
        result["env"] = std::move(variables);
    }
    return result;
}

/// PredictorSpec of v1beta1, which is a PodSpec with more.
[[nodiscard]] inline Json predictor_of(const InferenceServiceDeployer& deployer, Json pod) {
    pod.erase("restartPolicy");
    if (!is_custom(deployer)) {
        Json model = framework_container(pod["containers"][0]);
        pod.erase("containers");
        model["modelFormat"] = {{"name", deployer.framework}};
        const auto set = [&model](const char* key, const std::string& value) {
            if (!value.empty()) {
                model[key] = value;
            }
        };
        set("storageUri", deployer.storage_uri);
        set("runtime", deployer.runtime);
        set("runtimeVersion", deployer.runtime_version);
        set("protocolVersion",
            deployer.protocol ? std::string{protocol_name(*deployer.protocol)} : "");
        pod["model"] = std::move(model);
    }
    return pod;
}

/// PredictorSpec of v1alpha2: the server alone; `left_out` is told of what it can not hold.
[[nodiscard]] inline Json legacy_predictor_of(
    const InferenceServiceDeployer& deployer, Json pod,
    const std::function<void(const std::string&)>& left_out) {
    Json container = std::move(pod["containers"][0]);
    if (container.contains("volumeMounts")) {
        container.erase("volumeMounts");  // and the volumes, below
    }
    Json predictor = Json::object();
    for (const auto& [key, value] : pod.items()) {
        if (key == "serviceAccountName") {
            predictor[key] = value;
        } else if (key != "containers" && key != "restartPolicy") {
            left_out(key);
        }
    }
    if (is_custom(deployer)) {
        predictor["custom"] = {{"container", std::move(container)}};
        return predictor;
    }
    const Json kept = framework_container(container);
    if (kept.contains("env")) {
        left_out("env");
    }
    Json model{{"storageUri", deployer.storage_uri}};
    if (kept.contains("resources")) {
        model["resources"] = kept["resources"];
    }
    if (!deployer.runtime_version.empty()) {
        model["runtimeVersion"] = deployer.runtime_version;
    }
    predictor[deployer.framework] = std::move(model);
    return predictor;
}

/// Options that stand for nothing in what is asked for.
[[nodiscard]] inline std::vector<std::string> inference_notes(
    const InferenceServiceDeployer& deployer) {
    std::vector<std::string> notes = kubernetes::endpoint_notes(deployer.kubernetes);
    const auto note = [&](bool is_given, const char* option, const char* why) {
        if (is_given) {
            notes.push_back(std::string{"--"} + option + " is left out: " + why);
        }
    };
    const bool custom = is_custom(deployer);
    const char* own_server = "the image's own server is what it is";
    const char* kserve_server = "KServe's own server is set up by its ServingRuntime";
    const char* legacy_api = "v1alpha2 has no place for it";
    note(custom && !deployer.runtime.empty(), "runtime", own_server);
    note(custom && !deployer.runtime_version.empty(), "runtime-version", own_server);
    note(!custom && !deployer.readiness_path.empty(), "readiness-path", kserve_server);
    note(!custom && deployer.port != InferenceServiceDeployer{}.port, "port", kserve_server);
    if (is_legacy(deployer)) {
        note(!custom && !deployer.runtime.empty(), "runtime", legacy_api);
        note(!deployer.deployment_mode.empty(), "deployment-mode", legacy_api);
        note(!custom && deployer.protocol == PredictProtocol::v2, "protocol", legacy_api);
    }
    if (!custom) {
        notes.push_back("the image is not used: KServe's own server loads the " +
                        deployer.framework + " model");
    } else if (!is_known_storage(deployer)) {
        notes.push_back("the storage of " + deployer.storage_uri +
                        " needs a ClusterStorageContainer of its own");
    }
    return notes;
}

[[nodiscard]] inline Json inference_spec(const InferenceServiceDeployer& deployer, Json pod,
                                         const Session& session) {
    Json predictor;
    if (is_legacy(deployer)) {
        predictor = legacy_predictor_of(deployer, std::move(pod), [&](const std::string& what) {
            session.control().say(Level::warning,
                                  "an InferenceService of v1alpha2 has no place for " + what +
                                      " of its pods: it is left out");
        });
    } else {
        predictor = predictor_of(deployer, std::move(pod));
    }
    if (deployer.min_replicas) {
        predictor["minReplicas"] = *deployer.min_replicas;
    }
    if (deployer.max_replicas) {
        predictor["maxReplicas"] = *deployer.max_replicas;
    }
    const std::optional<int>& canary = deployer.canary_traffic_percent;
    if (!is_legacy(deployer)) {
        if (canary) {
            predictor["canaryTrafficPercent"] = *canary;
        }
        return {{"predictor", std::move(predictor)}};
    }
    if (canary) {
        return {{"canary", {{"predictor", std::move(predictor)}}},
                {"canaryTrafficPercent", *canary}};
    }
    return {{"default", {{"predictor", std::move(predictor)}}}};
}

/// The objects of the run, the InferenceService last.
[[nodiscard]] inline std::vector<Json> inference_objects(const InferenceServiceDeployer& deployer,
                                                         const Image& image, const Session& session,
                                                         const std::string& run_id,
                                                         const kubernetes::Place& place) {
    kubernetes::say_notes(inference_notes(deployer), session);
    const RunIdentity identity = inference_identity(deployer, run_id);
    Image served = image;
    if (!deployer.serving_command.empty()) {
        served.command = deployer.serving_command;
    }
    KubernetesOptions options = deployer.kubernetes;
    if (is_custom(deployer)) {
        options.pod_spec_mutators.insert(
            options.pod_spec_mutators.begin(),
            [&deployer](PodSpec& pod, PodContext& /*context*/) { make_predictor(deployer, pod); });
    }
    const std::string role;
    const std::string& beside = place.beside.empty() ? identity.name : place.beside;
    std::vector<Json> objects;
    PodContext context{place.namespace_, role, place.client, session, objects, beside};
    Json pods = pod_template(served, {.container = InferenceServiceDeployer::container_name},
                             options, identity, context);
    objects = adopted(std::move(objects), options, identity, place.namespace_);
    Json metadata = run_metadata(options, identity, place.namespace_);
    Json& annotations = metadata["annotations"];
    annotations[kubernetes::protocol_annotation] = protocol_name(protocol_of(deployer));
    annotations[kubernetes::model_annotation] =
        deployer.model_name.empty() ? identity.name : deployer.model_name;
    if (!deployer.deployment_mode.empty() && !is_legacy(deployer)) {
        annotations["serving.kserve.io/deploymentMode"] = deployer.deployment_mode;
    }
    objects.push_back({{"apiVersion", is_legacy(deployer) ? "serving.kubeflow.org/v1alpha2"
                                                          : "serving.kserve.io/v1beta1"},
                       {"kind", "InferenceService"},
                       {"metadata", std::move(metadata)},
                       {"spec", inference_spec(deployer, std::move(pods["spec"]), session)}});
    return objects;
}

}  // namespace detail

inline void InferenceServiceDeployer::check() const {
    const KubernetesOptions options = with_profile(kubernetes);
    kubernetes::check_options(options);
    kubernetes::check_range("port", port, 1, 65535);
    kubernetes::check_range("min_replicas", min_replicas.value_or(0), 0, 10000);
    kubernetes::check_range("max_replicas", max_replicas.value_or(0), 0, 10000);
    kubernetes::check_probe_path("readiness_path", readiness_path);
    if (max_replicas.value_or(0) > 0 && min_replicas.value_or(0) > *max_replicas) {
        throw detail::wrong_option(
            "min_replicas", std::to_string(*min_replicas),
            "it is more than max_replicas, " + std::to_string(*max_replicas));
    }
    if (!deployment_mode.empty() &&
        !detail::is_one_of(deployment_mode,
                           {"Standard", "Knative", "RawDeployment", "Serverless"})) {
        throw detail::wrong_option(
            "deployment_mode", deployment_mode, "KServe has no such mode",
            "use Standard or Knative (RawDeployment or Serverless before KServe 0.17)");
    }
    detail::check_model(*this);
    detail::check_canary(*this);
    const std::string run_id = kubernetes::checked_run_id(options);
    static_cast<void>(run_metadata(options, detail::inference_identity(*this, run_id), {}));
}

namespace detail {

[[nodiscard]] inline kubernetes::Plan inference_plan(const InferenceServiceDeployer& deployer,
                                                     const Image& image, const Session& session) {
    return kubernetes::plan_of(deployer, image, session, inference_objects);
}

}  // namespace detail

inline Endpoint InferenceServiceDeployer::deploy(const Image& image, const Session& session) const {
    kubernetes::EndpointHabits habits = kubernetes::endpoint_habits(kubernetes, session);
    if (kubernetes.start_timeout == 0) {
        habits.start_timeout = std::chrono::seconds{default_start_timeout};
    }
    if (detail::is_custom(*this)) {
        check_pullable(image);
    }
    const kubernetes::Plan plan = detail::inference_plan(*this, image, session);
    const kubernetes::EndpointKind& kind = detail::is_legacy(*this)
                                               ? kubernetes::legacy_inference_service_kind
                                               : kubernetes::inference_service_kind;
    return canary_traffic_percent
               ? kubernetes::start_canary(plan, kind, std::move(habits), session)
               : kubernetes::start_endpoint(plan, kind, std::move(habits), session);
}

inline std::vector<Json> InferenceServiceDeployer::manifests(const Image& image,
                                                             const Session& session) const {
    return kubernetes::render(detail::inference_plan(*this, image, session), image);
}

inline std::vector<Json> InferenceServiceDeployer::dry_run(const Image& image,
                                                           const Session& session) const {
    return kubernetes::rehearse(detail::inference_plan(*this, image, session), image, session);
}

static_assert(Deployer<InferenceServiceDeployer> && Renderer<InferenceServiceDeployer> &&
              SelfChecking<InferenceServiceDeployer>);

}  // namespace fairing
