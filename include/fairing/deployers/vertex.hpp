// fairing/deployers/vertex.hpp - runs the image as a custom job of Vertex AI
// (cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.customJobs).
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "../pods/pod_template.hpp"
#include "../stage/concepts.hpp"
#include "../stage/fields.hpp"
#include "google/job_workload.hpp"
#include "google/machine.hpp"
#include "google/options.hpp"
#include "google/vertex_names.hpp"

namespace fairing {

/// On what terms machines are had: reserved, spare ones that can be taken away, or as soon as there
/// are enough of them.
enum class VertexStrategy { standard, spot, flex_start };

template <>
inline constexpr auto value_names<VertexStrategy> =
    std::array<std::pair<std::string_view, VertexStrategy>, 3>{
        {{"standard", VertexStrategy::standard},
         {"spot", VertexStrategy::spot},
         {"flex_start", VertexStrategy::flex_start}}};

/// One replica trains; worker_count more are the second pool, parameter servers the third,
/// evaluators the fourth, and Vertex AI tells each its place in CLUSTER_SPEC and TF_CONFIG. All
/// have the same machine, parameter servers without accelerators; job_config changes what it
/// likes. remove() cancels the job.
struct VertexDeployer {
    static constexpr const char* name_prefix = "fairing-job-";

    GoogleOptions google = {};
    google::Machine machine = {.machine_type = "n1-standard-4"};
    int worker_count = 0;
    int parameter_server_count = 0;
    int evaluator_count = 0;
    VertexStrategy strategy = VertexStrategy::standard;
    int timeout_seconds = 0;   ///< 0: Google's own, 7 days
    int max_wait_seconds = 0;  ///< for machines; 0: Google's own, a day
    bool restart_on_worker_restart = false;
    bool disable_retries = false;
    std::string service_account = {};
    std::string network = {};                ///< projects/NUMBER/global/networks/NAME
    std::string base_output_directory = {};  ///< gs://…
    Labels environment = {};
    std::map<std::string, Json> job_config = {};  ///< CustomJob, over what is made here

    /// Throws Error{usage} for what can be known to be wrong without I/O.
    void check() const;
    /// Throws Error; a lost answer does not make a second job.
    [[nodiscard]] Workload deploy(const Image& image, const Session& session) const;
    /// The body of the request.
    [[nodiscard]] std::vector<Json> manifests(const Image& image, const Session& session) const;
};

template <>
inline constexpr auto fields<VertexDeployer> = std::tuple_cat(
    fields_of_part(&VertexDeployer::google), fields_of_part(&VertexDeployer::machine),
    std::tuple{
        field("worker_count", &VertexDeployer::worker_count,
              "workers beside the first replica (default: none)", "workers"),
        field("parameter_server_count", &VertexDeployer::parameter_server_count,
              "parameter servers (default: none)", "ps"),
        field("evaluator_count", &VertexDeployer::evaluator_count, "evaluators (default: none)",
              "evaluators"),
        field("strategy", &VertexDeployer::strategy, "on what terms machines are had"),
        field("timeout_seconds", &VertexDeployer::timeout_seconds,
              "Vertex AI ends the job after so long (default: 7 days)"),
        field("max_wait_seconds", &VertexDeployer::max_wait_seconds,
              "how long to wait for machines with flex_start (default: a day)"),
        field("restart_on_worker_restart", &VertexDeployer::restart_on_worker_restart,
              "restart the whole job when one worker is restarted"),
        field("disable_retries", &VertexDeployer::disable_retries,
              "do not restart the job after errors of Vertex AI itself"),
        field("service_account", &VertexDeployer::service_account,
              "service account that the program runs as"),
        field("network", &VertexDeployer::network,
              "VPC network to peer with: projects/NUMBER/global/networks/NAME"),
        field("base_output_directory", &VertexDeployer::base_output_directory,
              "gs:// folder for AIP_MODEL_DIR and its siblings"),
        field("environment", &VertexDeployer::environment, "variable of the program; repeatable",
              "env"),
        field("job_config", &VertexDeployer::job_config,
              "member of the CustomJob, over what is made from the other options; repeatable"),
    });

namespace detail {

inline constexpr std::array<google::JobState, 11> vertex_states{
    {{"JOB_STATE_QUEUED", State::pending},
     {"JOB_STATE_PENDING", State::pending},
     {"JOB_STATE_RUNNING", State::running},
     {"JOB_STATE_SUCCEEDED", State::succeeded},
     {"JOB_STATE_FAILED", State::failed, "the job failed"},
     {"JOB_STATE_CANCELLING", State::running},
     {"JOB_STATE_CANCELLED", State::failed, "the job was cancelled"},
     {"JOB_STATE_PAUSED", State::pending},
     {"JOB_STATE_EXPIRED", State::failed, "the job ran or waited longer than it may"},
     {"JOB_STATE_UPDATING", State::running},
     {"JOB_STATE_PARTIALLY_SUCCEEDED", State::failed, "some of the job's results are missing"}}};

[[nodiscard]] inline Json worker_pool(const VertexDeployer& job, const Image& image, int replicas,
                                      bool has_accelerators) {
    Labels environment = image.environment;
    for (const auto& [name, value] : job.environment) {
        environment[name] = value;
    }
    Json container{{"imageUri", google::image_uri(image)}, {"command", image.command}};
    if (!environment.empty()) {
        container["env"] = google::environment_of(environment);
    }
    google::Machine machine = job.machine;
    if (!has_accelerators) {
        machine.accelerator_type.clear();
    }
    return {{"machineSpec", google::machine_spec(machine)},
            {"replicaCount", replicas},
            {"containerSpec", std::move(container)}};
}

[[nodiscard]] inline Json worker_pools(const VertexDeployer& job, const Image& image) {
    Json pools = Json::array({worker_pool(job, image, 1, true)});
    const std::array<std::pair<int, bool>, 3> others{{{job.worker_count, true},
                                                      {job.parameter_server_count, false},
                                                      {job.evaluator_count, true}}};
    for (const auto& [replicas, has_accelerators] : others) {
        // A pool is known by its place: one that is not there is empty.
        pools.push_back(replicas == 0 ? Json::object()
                                      : worker_pool(job, image, replicas, has_accelerators));
    }
    while (pools.back().empty()) {
        pools.erase(pools.end() - 1);
    }
    return pools;
}

[[nodiscard]] inline Json vertex_scheduling(const VertexDeployer& job) {
    Json scheduling = Json::object();
    if (job.strategy != VertexStrategy::standard) {
        scheduling["strategy"] = job.strategy == VertexStrategy::spot ? "SPOT" : "FLEX_START";
    }
    if (job.timeout_seconds > 0) {
        scheduling["timeout"] = std::to_string(job.timeout_seconds) + 's';
    }
    if (job.max_wait_seconds > 0) {
        scheduling["maxWaitDuration"] = std::to_string(job.max_wait_seconds) + 's';
    }
    if (job.restart_on_worker_restart) {
        scheduling["restartJobOnWorkerRestart"] = true;
    }
    if (job.disable_retries) {
        scheduling["disableRetries"] = true;
    }
    return scheduling;
}

[[nodiscard]] inline Json custom_job(const VertexDeployer& job, const Image& image,
                                     const std::string& run_id) {
    Json spec{{"workerPoolSpecs", worker_pools(job, image)}};
    if (Json scheduling = vertex_scheduling(job); !scheduling.empty()) {
        spec["scheduling"] = std::move(scheduling);
    }
    for (const auto& [key, value] :
         {std::pair{"serviceAccount", &job.service_account}, std::pair{"network", &job.network}}) {
        if (!value->empty()) {
            spec[key] = *value;
        }
    }
    if (!job.base_output_directory.empty()) {
        spec["baseOutputDirectory"] = {{"outputUriPrefix", job.base_output_directory}};
    }
    const std::string name =
        job.google.name.empty() ? VertexDeployer::name_prefix + run_id : job.google.name;
    return google::merged({{"displayName", name},
                           {"labels", google::labels_of(job.google, run_id, "vertex")},
                           {"jobSpec", std::move(spec)}},
                          Json(job.job_config));
}

/// A custom job by its resource name: projects/…/locations/…/customJobs/…. `project` is the log's.
[[nodiscard]] inline Workload vertex_workload(const google::Client& client, const std::string& name,
                                              const std::string& project) {
    return Workload{std::make_shared<google::JobWorkload>(
        client,
        google::Job{
            .object = {.api_version = vertex_api, .kind = "CustomJob", .name = name},
            .url = vertex_endpoint(client.options()) + "/v1/" + name,
            .log = google::job_log(client.options(), project, name.substr(name.rfind('/') + 1)),
            .states = vertex_states})};
}

}  // namespace detail

/// The custom job of this resource name (projects/P/locations/R/customJobs/ID), wherever it was
/// started. The options say how it is reached; their project and region are the name's.
[[nodiscard]] inline Workload find_vertex_job(const std::string& resource_name,
                                              const GoogleOptions& options,
                                              const Session& session) {
    const detail::VertexName name = detail::parse_vertex_name(resource_name, "customJobs");
    return detail::need_there(detail::vertex_workload(detail::client_for(name, options, session),
                                                      resource_name, name.project),
                              session);
}

inline void VertexDeployer::check() const {
    google::check_options(google);
    google::check_machine(machine);
    google::check_least("worker_count", worker_count, 0);
    google::check_least("parameter_server_count", parameter_server_count, 0);
    google::check_least("evaluator_count", evaluator_count, 0);
    google::check_least("timeout_seconds", timeout_seconds, 0);
    google::check_least("max_wait_seconds", max_wait_seconds, 0);
    if (machine.machine_type.empty()) {
        throw google::bad_option("machine_type", "\"\"", "a custom job needs one");
    }
    if (!network.empty() && (!network.starts_with("projects/") ||
                             network.find("/global/networks/") == std::string::npos)) {
        throw google::bad_option("network", network,
                                 "it is not projects/NUMBER/global/networks/NAME");
    }
    if (!base_output_directory.empty() && !base_output_directory.starts_with("gs://")) {
        throw google::bad_option("base_output_directory", base_output_directory,
                                 "it does not begin with gs://");
    }
    if (max_wait_seconds > 0 && strategy == VertexStrategy::standard) {
        throw google::bad_option("max_wait_seconds", std::to_string(max_wait_seconds),
                                 "the strategy standard does not wait",
                                 "use --strategy flex_start");
    }
    if (disable_retries && restart_on_worker_restart) {
        throw google::bad_option("disable_retries", "true",
                                 "it contradicts restart_on_worker_restart");
    }
}

inline std::vector<Json> VertexDeployer::manifests(const Image& image,
                                                   const Session& /*session*/) const {
    check();
    return {detail::custom_job(*this, image,
                               google.run_id.empty() ? derive_run_id(image) : google.run_id)};
}

inline Workload VertexDeployer::deploy(const Image& image, const Session& session) const {
    check();
    check_pullable(image);
    const google::Client client{google, session};
    const std::string run_id = google.run_id.empty() ? draw_run_id() : google.run_id;
    const std::string url = detail::vertex_endpoint(google) + "/v1/" +
                            detail::vertex_place(client.project(), google) + "/customJobs";
    const auto workload = [project = client.project()](const google::Client& with,
                                                       const Json& job) {
        const std::string name = text_or(job, "name");
        static_cast<void>(detail::parse_vertex_name(name, "customJobs"));
        return detail::vertex_workload(with, name, project);
    };
    google::Creation job{.url = url,
                         .body = detail::custom_job(*this, image, run_id),
                         .attempted = "create custom job"};
    job.subject = text_or(job.body, "displayName");
    job.made = [&](const google::Client& with) -> std::optional<Json> {
        const Json found =
            with.get(url + "?filter=" +
                         net::percent_encode(std::string{"labels."} + kube::run_label + '=' +
                                             google::filter_string(run_id)),
                     "look for", "custom job " + run_id);
        const Json& jobs = kube::list(found, {"customJobs"});
        return jobs.empty() ? std::nullopt : std::optional{jobs.front()};
    };
    job.undo = [&](const google::Client& with, const Json& made) { workload(with, made).remove(); };
    const std::optional<Json> before = google.run_id.empty() ? std::nullopt : job.made(client);
    return workload(client, before ? *before : client.create(job));
}

static_assert(Deployer<VertexDeployer> && Renderer<VertexDeployer> && SelfChecking<VertexDeployer>);

}  // namespace fairing
