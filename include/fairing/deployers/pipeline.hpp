// fairing/deployers/pipeline.hpp - runs the image as a pipeline of one task in Kubeflow Pipelines
// (API v2beta1, schema 2.1.0).
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "../core/json_text.hpp"
#include "../kube/document.hpp"
#include "../kube/names.hpp"
#include "../pods/leftovers.hpp"
#include "../pods/pod_template.hpp"
#include "../runs/plan.hpp"
#include "../stage/concepts.hpp"
#include "../stage/fields.hpp"
#include "pipelines/client.hpp"
#include "pipelines/options.hpp"
#include "pipelines/run_workload.hpp"
#include "pipelines/spec.hpp"

namespace fairing {

/// What the options ask of the pods and a task can not express is said in a warning. The log is
/// read from the cluster, which is known when there is no endpoint. The same run id is never
/// submitted twice.
struct PipelineDeployer {
    static constexpr const char* name_prefix = "fairing-pipeline-";

    /// Its profile says whose the run is in a Kubeflow with many users, its namespace where the
    /// pods are (that of the service when neither is given); its cleanup is Cleanup::never when not
    /// set.
    KubernetesOptions kubernetes = {};
    PipelineOptions pipelines = {};
    std::string experiment = {};  ///< made when missing; empty: the service's own habit
    std::string pipeline_root = {};
    int retries = 0;
    bool reuse_results = false;  ///< of an equal run before, instead of running
    bool archive = false;        ///< removing archives the run instead of deleting it

    /// Throws Error{usage} for what can be known to be wrong without I/O.
    void check() const;
    /// Throws Error; a lost answer does not make a second run.
    [[nodiscard]] Workload deploy(const Image& image, const Session& session) const;
    /// The pipeline itself, which Kubeflow's own tools take too.
    [[nodiscard]] std::vector<Json> manifests(const Image& image, const Session& session) const;
};

template <>
inline constexpr auto fields<PipelineDeployer> = std::tuple_cat(
    fields_of_part(&PipelineDeployer::kubernetes), fields_of_part(&PipelineDeployer::pipelines),
    std::tuple{
        field("experiment", &PipelineDeployer::experiment,
              "experiment of Kubeflow Pipelines that the run belongs to; made when missing"),
        field("pipeline_root", &PipelineDeployer::pipeline_root,
              "where artifacts of the pipeline go (default: as the service is configured)"),
        field("retries", &PipelineDeployer::retries,
              "how often the task is tried again (default: 0)"),
        field("reuse_results", &PipelineDeployer::reuse_results,
              "take the results of an equal run before, when there is one"),
        field("archive", &PipelineDeployer::archive,
              "archive the run instead of deleting it, when it is removed"),
    });

namespace detail {

/// By which our runs are known, for they have no labels.
inline constexpr const char* pipeline_mark = "fairing-id=";

[[nodiscard]] inline RunIdentity pipeline_identity(const PipelineDeployer& deployer,
                                                   const std::string& run_id) {
    return run_identity(deployer.kubernetes, run_id, PipelineDeployer::name_prefix, "pipeline");
}

/// Says what was asked for and can not be expressed.
[[nodiscard]] inline Json pipeline_of(const PipelineDeployer& deployer, const Image& image,
                                      const Session& session, const std::string& run_id,
                                      const kube::Client* client) {
    const KubernetesOptions& options = deployer.kubernetes;
    const RunIdentity identity = pipeline_identity(deployer, run_id);
    const std::string role;
    std::vector<Json> objects;
    PodContext context{options.namespace_, role, client, session, objects, identity.name};
    Json pods = pod_template(image, {.container = "main"}, options, identity, context);
    erase_image_settings(pods["spec"]["containers"][0], image);
    Json container = pipelines::task_container(pods);
    pods["spec"].erase("serviceAccountName");  // the run's own
    say_leftovers(pods, "a task of Kubeflow Pipelines", session);
    for (const Json& object : objects) {
        session.control().say(Level::warning, "Kubeflow Pipelines creates no " +
                                                  kube::text(object, {"kind"}) +
                                                  " beside a task: it is left out");
    }
    for (const auto& [option, is_given] : {std::pair{"queue", !options.queue.empty()},
                                           {"queue_priority", !options.queue_priority.empty()},
                                           {"start_timeout", options.start_timeout > 0}}) {
        if (is_given) {
            session.control().say(
                Level::warning,
                std::string{"a run of Kubeflow Pipelines has no "} + option + ": it is left out");
        }
    }
    return pipelines::pipeline_spec(std::move(container),
                                    {.pipeline = identity.name,
                                     .root = deployer.pipeline_root,
                                     .retries = deployer.retries,
                                     .reuses_results = deployer.reuse_results});
}

/// The id of the experiment of that name, which is made when there is none.
[[nodiscard]] inline std::string experiment_id(const pipelines::Client& client,
                                               const std::string& name,
                                               const std::string& profile) {
    const auto find = [&]() -> std::optional<Json> {
        const Json found =
            client.ask({.path = "/experiments",
                        .query = {{"filter", pipelines::called(name)}, {"namespace", profile}},
                        .attempted = "look for experiment",
                        .subject = name});
        const Json& list = kube::list(found, {"experiments"});
        return list.empty() ? std::nullopt : std::optional{list.front()};
    };
    std::optional<Json> experiment = find();
    if (!experiment) {
        Json body{{"display_name", name}};
        if (!profile.empty()) {
            body["namespace"] = profile;
        }
        experiment = client.create({.path = "/experiments",
                                    .body = dump_json(body, "create experiment", name),
                                    .attempted = "create experiment",
                                    .subject = name},
                                   find);
    }
    return text_or(*experiment, "experiment_id");
}

/// The newest run of that name that was not archived.
[[nodiscard]] inline std::optional<Json> find_run(const pipelines::Client& client,
                                                  const std::string& name,
                                                  const std::string& profile) {
    const Json found = client.ask({.path = "/runs",
                                   .query = {{"filter", pipelines::called(name)},
                                             {"namespace", profile},
                                             {"sort_by", "created_at desc"}},
                                   .attempted = "look for run",
                                   .subject = name});
    for (const Json& run : kube::list(found, {"runs"})) {
        if (text_or(run, "storage_state") != "ARCHIVED") {
            return run;
        }
    }
    return std::nullopt;
}

[[nodiscard]] inline Workload pipeline_workload(const pipelines::Client& client, const Json& run,
                                                pipelines::RunHabits habits) {
    return Workload{std::make_shared<pipelines::RunWorkload>(client, run, std::move(habits))};
}

}  // namespace detail

/// The run of that name or run id, whoever started it. Its follow() removes nothing. Throws
/// Error{not_found} when there is none.
[[nodiscard]] inline Workload find_pipeline_run(const std::string& name, PipelineDeployer deployer,
                                                const Session& session) {
    deployer.kubernetes = with_profile(std::move(deployer.kubernetes));
    const std::string& profile = deployer.kubernetes.profile;
    const pipelines::Client client{deployer.pipelines, deployer.kubernetes, session.ordered()};
    std::optional<Json> run = detail::find_run(client, name, profile);
    if (!run) {
        run = detail::find_run(client, PipelineDeployer::name_prefix + name, profile);
    }
    if (!run) {
        throw Error{ErrorCode::not_found,
                    {.attempted = "find",
                     .subject = name,
                     .answer = "Kubeflow Pipelines has no run of that name or run id"}};
    }
    return detail::pipeline_workload(client, *run,
                                     {.stream_log = deployer.kubernetes.stream_log,
                                      .archives = deployer.archive,
                                      .namespace_ = deployer.kubernetes.namespace_});
}

/// The runs that we created and are still there, the oldest first.
[[nodiscard]] inline std::vector<RunSummary> list_pipeline_runs(PipelineDeployer deployer,
                                                                const Session& session) {
    deployer.kubernetes = with_profile(std::move(deployer.kubernetes));
    const pipelines::Client client{deployer.pipelines, deployer.kubernetes, session};
    std::vector<RunSummary> runs;
    std::string token;
    do {
        const Json page = client.ask({.path = "/runs",
                                      .query = {{"namespace", deployer.kubernetes.profile},
                                                {"page_size", "200"},
                                                {"page_token", token}},
                                      .attempted = "list",
                                      .subject = "the runs of Kubeflow Pipelines"});
        for (const Json& run : kube::list(page, {"runs"})) {
            const std::string description = text_or(run, "description");
            if (!description.starts_with(detail::pipeline_mark) ||
                text_or(run, "storage_state") == "ARCHIVED") {
                continue;
            }
            const Outcome outcome = pipelines::outcome_of(run);
            runs.push_back({.object = {.api_version = "v2beta1",
                                       .kind = "PipelineRun",
                                       .namespace_ = deployer.kubernetes.namespace_,
                                       .name = text_or(run, "display_name")},
                            .run_id = description.substr(std::string{detail::pipeline_mark}.size()),
                            .created = text_or(run, "created_at"),
                            .state = outcome.state,
                            .reason = outcome.reason});
        }
        token = text_or(page, "next_page_token");
    } while (!token.empty());
    std::stable_sort(runs.begin(), runs.end(), [](const RunSummary& a, const RunSummary& b) {
        return a.created < b.created;
    });
    return runs;
}

inline void PipelineDeployer::check() const {
    const KubernetesOptions options = with_profile(kubernetes);
    kubernetes::check_options(options);
    kubernetes::check_least("retries", retries, 0);
    kubernetes::check_least("poll_milliseconds", pipelines.poll_milliseconds, 1);
    kube::check_dns_label("pipelines_namespace", pipelines.pipelines_namespace);
    if (!pipelines.endpoint.empty()) {
        static_cast<void>(cloud::checked_endpoint(pipelines.endpoint));
    }
    const RunIdentity identity =
        detail::pipeline_identity(*this, kubernetes::checked_run_id(options));
    static_cast<void>(run_metadata(options, identity, {}));
}

inline std::vector<Json> PipelineDeployer::manifests(const Image& image,
                                                     const Session& session) const {
    check();
    PipelineDeployer deployer = *this;
    deployer.kubernetes = with_profile(kubernetes);
    return {detail::pipeline_of(
        deployer, image, session,
        kubernetes.run_id.empty() ? derive_run_id(image) : kubernetes.run_id, nullptr)};
}

inline Workload PipelineDeployer::deploy(const Image& image, const Session& session) const {
    check();
    check_pullable(image);
    PipelineDeployer deployer = *this;
    deployer.kubernetes = with_profile(kubernetes);
    const std::string& profile = deployer.kubernetes.profile;
    const pipelines::Client client{pipelines, deployer.kubernetes, session.ordered()};
    const std::string run_id = kubernetes.run_id.empty() ? draw_run_id() : kubernetes.run_id;
    const Json spec = detail::pipeline_of(deployer, image, session, run_id, client.cluster());
    const std::string name = text_or(spec["pipelineInfo"], "name");
    const auto find = [&] { return detail::find_run(client, name, profile); };
    std::optional<Json> run = kubernetes.run_id.empty() ? std::nullopt : find();
    if (!run) {
        Json body{{"display_name", name},
                  {"description", detail::pipeline_mark + run_id},
                  {"pipeline_spec", spec},
                  {"runtime_config", Json::object()}};
        // Of many users the experiment says whose the run is.
        if (!experiment.empty() || !profile.empty()) {
            body["experiment_id"] =
                detail::experiment_id(client, experiment.empty() ? "Default" : experiment, profile);
        }
        if (!pipeline_root.empty()) {
            body["runtime_config"]["pipeline_root"] = pipeline_root;
        }
        if (!deployer.kubernetes.service_account.empty()) {
            body["service_account"] = deployer.kubernetes.service_account;
        }
        run = client.create({.path = "/runs",
                             .body = dump_json(body, "create run", name),
                             .attempted = "create run",
                             .subject = name},
                            find);
    }
    return detail::pipeline_workload(client, *run,
                                     {.cleanup = kubernetes.cleanup.value_or(Cleanup::never),
                                      .stream_log = kubernetes.stream_log,
                                      .archives = archive,
                                      .namespace_ = deployer.kubernetes.namespace_});
}

static_assert(Deployer<PipelineDeployer> && Renderer<PipelineDeployer> &&
              SelfChecking<PipelineDeployer>);

}  // namespace fairing
