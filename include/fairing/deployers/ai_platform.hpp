// fairing/deployers/ai_platform.hpp - AI Platform Training and Prediction v1, which Fairing's
// GCPJob and GCPServingDeployer spoke. Google shut it down on 31 January 2025: these are for
// gateways that still speak it.
#pragma once

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "../pods/pod_template.hpp"
#include "../stage/concepts.hpp"
#include "../stage/fields.hpp"
#include "google/endpoint_workload.hpp"
#include "google/job_workload.hpp"
#include "google/options.hpp"

namespace fairing {

/// Runs the image as a job (projects.jobs.create); its google.endpoint must be given. remove()
/// cancels it.
struct AiPlatformDeployer {
    static constexpr const char* name_prefix = "fairing_job_";

    GoogleOptions google = {};
    std::string scale_tier = {};                  ///< BASIC, STANDARD_1, BASIC_GPU, CUSTOM, …
    std::map<std::string, Json> job_config = {};  ///< Job, over what is made here

    /// Throws Error{unsupported} without an endpoint.
    void check() const;
    [[nodiscard]] Workload deploy(const Image& image, const Session& session) const;
    /// The body of the request.
    [[nodiscard]] std::vector<Json> manifests(const Image& image, const Session& session) const;
};

template <>
inline constexpr auto fields<AiPlatformDeployer> = std::tuple_cat(
    fields_of_part(&AiPlatformDeployer::google),
    std::tuple{
        field("scale_tier", &AiPlatformDeployer::scale_tier,
              "machines of AI Platform: BASIC, STANDARD_1, BASIC_GPU, CUSTOM"),
        field("job_config", &AiPlatformDeployer::job_config,
              "member of the Job, over what is made from the other options; repeatable"),
    });

/// Serves a version of a model; the model is made when it is missing, and the version on top. Its
/// google.endpoint must be given. remove() deletes what this run made.
struct AiPlatformServingDeployer {
    GoogleOptions google = {};      ///< its name is the model's
    std::string version_name = {};  ///< empty: v and the run id
    std::string model_dir = {};     ///< gs:// folder of a model for a runtime of Google's; empty:
                                    ///< the image serves
    std::string runtime_version = {};
    std::string python_version = {};
    std::string framework = {};  ///< SCIKIT_LEARN, XGBOOST, TENSORFLOW
    std::string machine_type = {};
    std::map<std::string, Json> version_config = {};  ///< Version, over what is made here

    /// Throws Error{unsupported} without an endpoint.
    void check() const;
    /// As VertexServingDeployer's.
    [[nodiscard]] Endpoint deploy(const Image& image, const Session& session) const;
    /// The bodies of the two requests: model and version.
    [[nodiscard]] std::vector<Json> manifests(const Image& image, const Session& session) const;
};

template <>
inline constexpr auto fields<AiPlatformServingDeployer> = std::tuple_cat(
    fields_of_part(&AiPlatformServingDeployer::google),
    std::tuple{
        field("version_name", &AiPlatformServingDeployer::version_name,
              "name of the version (default: from the run id)"),
        field("model_dir", &AiPlatformServingDeployer::model_dir,
              "gs:// folder of a model for a runtime of Google's (default: the image serves)"),
        field("runtime_version", &AiPlatformServingDeployer::runtime_version,
              "runtime of AI Platform, with model_dir: 2.11"),
        field("python_version", &AiPlatformServingDeployer::python_version,
              "Python of that runtime: 3.7", "runtime_python"),
        field("framework", &AiPlatformServingDeployer::framework,
              "SCIKIT_LEARN, XGBOOST or TENSORFLOW, with model_dir"),
        field("machine_type", &AiPlatformServingDeployer::machine_type,
              "machine: n1-standard-4, a2-highgpu-1g"),
        field("version_config", &AiPlatformServingDeployer::version_config,
              "member of the Version, over what is made from the other options; repeatable"),
    });

namespace detail {

inline constexpr std::array<google::JobState, 7> ai_platform_states{
    {{"QUEUED", State::pending},
     {"PREPARING", State::pending},
     {"RUNNING", State::running},
     {"SUCCEEDED", State::succeeded},
     {"FAILED", State::failed, "the job failed"},
     {"CANCELLING", State::running},
     {"CANCELLED", State::failed, "the job was cancelled"}}};

inline void check_ai_platform(const GoogleOptions& options, const char* successor) {
    if (options.endpoint.empty()) {
        throw Error{ErrorCode::unsupported,
                    {.attempted = "use",
                     .subject = "AI Platform v1",
                     .answer = "Google shut it down on 31 January 2025",
                     .advice = std::string{"use --deployer "} + successor +
                               ", or name a gateway that speaks it with --endpoint"}};
    }
    google::check_options(options);
}

/// Names of AI Platform are of letters, digits and underscores.
inline void check_ai_platform_name(const std::string& what, const std::string& name) {
    std::string small = name;
    std::transform(small.begin(), small.end(), small.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    google::check_characters(what, small, "_");
    if (small.empty() || small.front() < 'a' || small.size() > 128) {
        throw google::bad_option(what, name, "it does not begin with a letter, or is too long");
    }
}

[[nodiscard]] inline std::string ai_platform_id(const char* prefix, const std::string& name,
                                                std::string run_id) {
    std::replace(run_id.begin(), run_id.end(), '-', '_');
    return name.empty() ? prefix + run_id : name;
}

[[nodiscard]] inline Json ai_platform_job(const AiPlatformDeployer& deployer, const Image& image,
                                          const std::string& run_id) {
    const std::string id =
        ai_platform_id(AiPlatformDeployer::name_prefix, deployer.google.name, run_id);
    check_ai_platform_name("name", id);
    Json input{{"region", deployer.google.region},
               {"masterConfig",
                {{"imageUri", google::image_uri(image)}, {"containerCommand", image.command}}}};
    if (!deployer.scale_tier.empty()) {
        input["scaleTier"] = deployer.scale_tier;
    }
    Json job = google::merged({{"labels", google::labels_of(deployer.google, run_id, "gcp")},
                               {"trainingInput", std::move(input)}},
                              Json(deployer.job_config));
    job["jobId"] = id;
    return job;
}

[[nodiscard]] inline Json ai_platform_version(const AiPlatformServingDeployer& deployer,
                                              const Image& image, const std::string& run_id) {
    Json made{{"name", ai_platform_id("v", deployer.version_name, run_id)},
              {"labels", google::labels_of(deployer.google, run_id, "gcpserving")}};
    if (deployer.model_dir.empty()) {
        made["container"] = {{"image", google::image_uri(image)}, {"command", image.command}};
    }
    for (const auto& [key, value] : {std::pair{"deploymentUri", &deployer.model_dir},
                                     std::pair{"runtimeVersion", &deployer.runtime_version},
                                     std::pair{"pythonVersion", &deployer.python_version},
                                     std::pair{"framework", &deployer.framework},
                                     std::pair{"machineType", &deployer.machine_type}}) {
        if (!value->empty()) {
            made[key] = *value;
        }
    }
    return google::merged(std::move(made), Json(deployer.version_config));
}

[[nodiscard]] inline Json ai_platform_model(const AiPlatformServingDeployer& deployer,
                                            const std::string& run_id) {
    return {{"name", ai_platform_id("fairing_model_", deployer.google.name, run_id)},
            {"regions", {deployer.google.region}},
            {"labels", google::labels_of(deployer.google, run_id, "gcpserving")}};
}

}  // namespace detail

inline void AiPlatformDeployer::check() const {
    detail::check_ai_platform(google, "vertex");
    if (!google.name.empty()) {
        detail::check_ai_platform_name("name", google.name);
    }
}

inline std::vector<Json> AiPlatformDeployer::manifests(const Image& image,
                                                       const Session& /*session*/) const {
    check();
    return {detail::ai_platform_job(*this, image,
                                    google.run_id.empty() ? derive_run_id(image) : google.run_id)};
}

inline Workload AiPlatformDeployer::deploy(const Image& image, const Session& session) const {
    check();
    check_pullable(image);
    const google::Client client{google, session};
    const std::string project = client.project();
    const Json body = detail::ai_platform_job(
        *this, image, google.run_id.empty() ? draw_run_id() : google.run_id);
    const std::string id = text_or(body, "jobId");
    const std::string jobs =
        cloud::checked_endpoint(google.endpoint) + "/v1/projects/" + project + "/jobs";
    const auto find = [&] { return client.find(jobs + '/' + id, "look for job", id); };
    if (google.run_id.empty() || !find()) {
        static_cast<void>(client.create(jobs, body, "create job", id, find));
    }
    return Workload{std::make_shared<google::JobWorkload>(
        client,
        google::Job{.object = {.api_version = "ml.googleapis.com/v1", .kind = "Job", .name = id},
                    .url = jobs + '/' + id,
                    .log = {.endpoint = google.logging_endpoint, .project = project, .job_id = id},
                    .states = detail::ai_platform_states})};
}

inline void AiPlatformServingDeployer::check() const {
    detail::check_ai_platform(google, "vertex-serving");
    if (!google.name.empty()) {
        detail::check_ai_platform_name("name", google.name);
    }
    if (!version_name.empty()) {
        detail::check_ai_platform_name("version_name", version_name);
    }
    if (!model_dir.empty() && !model_dir.starts_with("gs://")) {
        throw google::bad_option("model_dir", model_dir, "it does not begin with gs://");
    }
    if (model_dir.empty() && !runtime_version.empty()) {
        throw google::bad_option("runtime_version", runtime_version, "there is no model_dir");
    }
}

inline std::vector<Json> AiPlatformServingDeployer::manifests(const Image& image,
                                                              const Session& /*session*/) const {
    check();
    const std::string run_id = google.run_id.empty() ? derive_run_id(image) : google.run_id;
    return {detail::ai_platform_model(*this, run_id),
            detail::ai_platform_version(*this, image, run_id)};
}

inline Endpoint AiPlatformServingDeployer::deploy(const Image& image,
                                                  const Session& session) const {
    check();
    if (model_dir.empty()) {
        check_pullable(image);
    }
    const google::Client client{google, session};
    const std::string run_id = google.run_id.empty() ? draw_run_id() : google.run_id;
    const std::string root = cloud::checked_endpoint(google.endpoint) + "/v1/";
    const std::string models = root + "projects/" + client.project() + "/models";
    const Json model = detail::ai_platform_model(*this, run_id);
    const std::string model_name = text_or(model, "name"), model_url = models + '/' + model_name;
    const Json made = detail::ai_platform_version(*this, image, run_id);
    const std::string made_name = text_or(made, "name");
    google::Undo undo{client};
    const auto remove = [root](const google::Client& with, const std::string& url,
                               const std::string& subject) {
        if (const std::optional<Json> operation = with.remove(url, subject)) {
            static_cast<void>(with.finish(*operation, root, "remove", subject));
        }
    };

    const auto find_model = [&] { return client.find(model_url, "look for model", model_name); };
    if (!find_model()) {
        static_cast<void>(client.create(models, model, "create model", model_name, find_model));
        undo.add([=](const google::Client& with) { remove(with, model_url, model_name); });
    }
    const std::string version_url = model_url + "/versions/" + made_name;
    const Json operation =
        client.create(model_url + "/versions", made, "create version", made_name);
    undo.add([=](const google::Client& with) { remove(with, version_url, made_name); });
    return Endpoint{std::make_shared<google::EndpointWorkload>(
        client, google::Served{.object = {.api_version = "ml.googleapis.com/v1",
                                          .kind = "Version",
                                          .name = model_name + '/' + made_name},
                               .predict_url = version_url + ":predict",
                               .operation_root = root,
                               .operation = operation,
                               .undo = undo.keep()})};
}

static_assert(Deployer<AiPlatformDeployer> && SelfChecking<AiPlatformDeployer> &&
              Deployer<AiPlatformServingDeployer> && Renderer<AiPlatformServingDeployer>);

}  // namespace fairing
