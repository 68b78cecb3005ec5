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
    std::map<std::string, Json> job_config = {};  ///< Job; the options above count more, if given

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
              "member of the Job; image, name and scale_tier count more; repeatable"),
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
    bool keep_failed = false;                         ///< as VertexServingDeployer's

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
        field("keep_failed", &AiPlatformServingDeployer::keep_failed,
              "leave what was made for a deployment that failed"),
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

/// What a version says of itself (projects.models.versions, State).
[[nodiscard]] inline Outcome ai_platform_version_state(const Json& made) {
    const std::string state = text_or(made, "state");
    if (state == "FAILED") {
        return {.state = State::failed,
                .reason = "the model was not deployed: " +
                          net::printable(text_or(made, "errorMessage"), 1000)};
    }
    return {.state = state == "CREATING" ? State::pending : State::ready};
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
    const Json input{{"region", deployer.google.region},
                     {"masterConfig", {{"containerCommand", image.command}}}};
    Json ours{{"jobId", id},
              {"labels", google::labels_of(deployer.google, run_id, "gcp")},
              {"trainingInput", {{"masterConfig", {{"imageUri", google::image_uri(image)}}}}}};
    if (!deployer.scale_tier.empty()) {
        ours["trainingInput"]["scaleTier"] = deployer.scale_tier;
    }
    return google::merged(google::merged({{"trainingInput", input}}, Json(deployer.job_config)),
                          ours);
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
    const auto workload = [&](const google::Client& with) {
        return Workload{std::make_shared<google::JobWorkload>(
            with, google::Job{
                      .object = {.api_version = "ml.googleapis.com/v1", .kind = "Job", .name = id},
                      .url = jobs + '/' + id,
                      .log = google::job_log(google, project, id),
                      .states = detail::ai_platform_states})};
    };
    const google::Creation job{
        .url = jobs,
        .body = body,
        .attempted = "create job",
        .subject = id,
        .made =
            [&](const google::Client& with) {
                return with.find(jobs + '/' + id, "look for job", id);
            },
        .undo = [&](const google::Client& with, const Json& /*made*/) { workload(with).remove(); }};
    if (google.run_id.empty() || !job.made(client)) {
        static_cast<void>(client.create(job));
    }
    return workload(client);
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
    const auto removal = [root](std::string url, std::string subject) {
        return [root, url = std::move(url), subject = std::move(subject)](
                   const google::Client& with) { with.remove(url, root, subject); };
    };
    const auto creation = [&](const std::string& collection, const Json& body,
                              const std::string& what, const std::string& name) {
        const std::string url = collection + '/' + name;
        return google::Creation{
            .url = collection,
            .body = body,
            .attempted = "create " + what,
            .subject = name,
            .made =
                [=](const google::Client& with) {
                    return with.find(url, "look for " + what, name);
                },
            .undo = [remove = removal(url, name)](const google::Client& with,
                                                  const Json& /*made*/) { remove(with); }};
    };
    try {
        const google::Creation new_model = creation(models, model, "model", model_name);
        if (!new_model.made(client)) {
            static_cast<void>(client.create(new_model));
            undo.add(removal(model_url, model_name));
        }
        const std::string version_url = model_url + "/versions/" + made_name;
        const google::Creation new_version =
            creation(model_url + "/versions", made, "version", made_name);
        std::optional<Json> operation =
            google.run_id.empty() ? std::nullopt : new_version.made(client);
        if (!operation) {
            operation = client.create(new_version);
        }
        undo.add(removal(version_url, made_name));
        const bool is_operation =
            text_or(*operation, "name").find("operations/") != std::string::npos;
        return Endpoint{std::make_shared<google::EndpointWorkload>(
            client, google::Served{.object = {.api_version = "ml.googleapis.com/v1",
                                              .kind = "Version",
                                              .name = model_name + '/' + made_name},
                                   .url = version_url,
                                   .predict_url = version_url + ":predict",
                                   .operation_root = root,
                                   .operation = is_operation ? *operation : Json{{"done", true}},
                                   .state = detail::ai_platform_version_state,
                                   .log = {.endpoint = google.logging_endpoint,
                                           .project = client.project(),
                                           .filter = google::log_filter(
                                               "cloudml_model_version",
                                               {{"resource.labels.model_id", model_name},
                                                {"resource.labels.version_id", made_name}}),
                                           .subject = "version " + made_name},
                                   .undo = undo.keep(),
                                   .keep_failed = keep_failed})};
    } catch (const Cancelled&) {
        throw;
    } catch (const Error&) {
        if (keep_failed && !undo.keep().empty()) {
            session.control().say(Level::warning, "what was made for " + made_name + " stays");
        }
        throw;
    }
}

static_assert(Deployer<AiPlatformDeployer> && SelfChecking<AiPlatformDeployer> &&
              Deployer<AiPlatformServingDeployer> && Renderer<AiPlatformServingDeployer>);

}  // namespace fairing
