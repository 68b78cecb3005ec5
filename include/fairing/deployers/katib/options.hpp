// fairing/deployers/katib/options.hpp - what an Experiment of Katib is made of: the deployer's
// members, and their table.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "../../core/json.hpp"
#include "../../pods/kubernetes_options.hpp"
#include "../../stage/fields.hpp"
#include "../../stage/image.hpp"
#include "../../stage/session.hpp"
#include "../../stage/workload.hpp"
#include "parameter.hpp"

namespace fairing {

enum class ObjectiveType { minimize, maximize };
/// What stays of an Experiment that has ended, so that it can go on.
enum class ResumePolicy { never, long_running, from_volume };
/// Where a trial's metrics are found: in lines "NAME=VALUE" that it prints, in a file of such
/// lines, in a folder of TensorFlow's events, at a port; or the trial hands them to Katib itself.
enum class MetricsCollector { standard_output, file, tensorflow_event, prometheus, push };

template <>
inline constexpr auto value_names<ObjectiveType> =
    std::array<std::pair<std::string_view, ObjectiveType>, 2>{
        {{"minimize", ObjectiveType::minimize}, {"maximize", ObjectiveType::maximize}}};
template <>
inline constexpr auto value_names<ResumePolicy> =
    std::array<std::pair<std::string_view, ResumePolicy>, 3>{
        {{"never", ResumePolicy::never},
         {"long-running", ResumePolicy::long_running},
         {"from-volume", ResumePolicy::from_volume}}};
template <>
inline constexpr auto value_names<MetricsCollector> =
    std::array<std::pair<std::string_view, MetricsCollector>, 5>{
        {{"stdout", MetricsCollector::standard_output},
         {"file", MetricsCollector::file},
         {"tensorflow-event", MetricsCollector::tensorflow_event},
         {"prometheus", MetricsCollector::prometheus},
         {"push", MetricsCollector::push}}};

/// Each trial is told its parameters as arguments, --NAME=VALUE, and in its environment,
/// FAIRING_PARAMETER_NAME; `${trialParameters.NAME}` stands for one in the command too. When the
/// Experiment has ended, its best trial is said.
struct ExperimentDeployer {
    static constexpr const char* name_prefix = "fairing-experiment-";
    static constexpr const char* api_version = "kubeflow.org/v1beta1";
    static constexpr const char* container_name = "trial";  ///< of a trial that is a Job

    KubernetesOptions kubernetes = {};  ///< its cleanup is Cleanup::never when not set
    std::string objective = {};         ///< name of the metric
    std::optional<ObjectiveType> objective_type = {};  ///< there is no default that is not a guess
    std::optional<double> goal = {};                   ///< the Experiment ends when it is reached
    std::vector<std::string> additional_metrics = {};  ///< collected, and not judged
    std::string algorithm = "random";
    Labels algorithm_settings = {};
    std::string early_stopping = {};  ///< "medianstop"; empty: trials run to their ends
    Labels early_stopping_settings = {};
    std::vector<SearchParameter> parameters = {};
    bool parameters_as_arguments = true;
    int max_trials = 12;
    std::optional<int> parallel_trials = {};    ///< 3, or max_trials when that is less
    std::optional<int> max_failed_trials = {};  ///< the same
    MetricsCollector metrics_collector = MetricsCollector::standard_output;
    std::string metrics_path = {};    ///< of the file or folder, or of the URL; empty: Katib's own
    std::string metrics_filter = {};  ///< a regular expression with two groups: name and value
    int metrics_port = 8080;
    ResumePolicy resume_policy = ResumePolicy::never;
    bool retain_trials = true;  ///< else a trial's pods, and its log, go with its end
    /// What a trial is: "job", "tfjob", "pytorchjob" or "xgboostjob", and its replicas.
    std::string trial = "job";
    std::optional<int> worker_count = {}, ps_count = {}, chief_count = {}, master_count = {};

    /// Throws Error{usage} for what Kubernetes, or Katib's webhook, would refuse.
    void check() const;
    /// As JobDeployer's.
    [[nodiscard]] Workload deploy(const Image& image, const Session& session) const;
    [[nodiscard]] std::vector<Json> manifests(const Image& image, const Session& session) const;
    [[nodiscard]] std::vector<Json> dry_run(const Image& image, const Session& session) const;
};

template <>
inline constexpr auto fields<ExperimentDeployer> = std::tuple_cat(
    fields_of_part(&ExperimentDeployer::kubernetes),
    std::tuple{
        field("objective", &ExperimentDeployer::objective, "metric that the trials are judged by"),
        field("objective_type", &ExperimentDeployer::objective_type, "which values are good"),
        field("goal", &ExperimentDeployer::goal, "value of the metric that is good enough"),
        field("additional_metrics", &ExperimentDeployer::additional_metrics,
              "metrics that are collected too"),
        field(
            "algorithm", &ExperimentDeployer::algorithm,
            "how Katib searches: random (default), grid, bayesianoptimization, tpe, hyperband, …"),
        field("algorithm_settings", &ExperimentDeployer::algorithm_settings,
              "setting of the algorithm; repeatable", "algorithm-setting"),
        field("early_stopping", &ExperimentDeployer::early_stopping,
              "how trials are stopped early: medianstop (default: not at all)"),
        field("early_stopping_settings", &ExperimentDeployer::early_stopping_settings,
              "setting of the same; repeatable", "early-stopping-setting"),
        field("parameters", &ExperimentDeployer::parameters,
              "what is searched: lr=double:0.01..0.1[/STEP][:DISTRIBUTION], units=int:16..128, "
              "optimizer=categorical:sgd,adam, batch=discrete:16,32; repeatable",
              "search"),
        field("parameters_as_arguments", &ExperimentDeployer::parameters_as_arguments,
              "tell the program its parameters by its environment only"),
        field("max_trials", &ExperimentDeployer::max_trials, "how many trials (default: 12)"),
        field("parallel_trials", &ExperimentDeployer::parallel_trials,
              "how many of them at once (default: 3)"),
        field("max_failed_trials", &ExperimentDeployer::max_failed_trials,
              "how many may fail before the experiment does (default: 3)"),
        field("metrics_collector", &ExperimentDeployer::metrics_collector,
              "where a trial's metrics are found"),
        field("metrics_path", &ExperimentDeployer::metrics_path,
              "file, folder or URL's path of the metrics (default: Katib's own)"),
        field("metrics_filter", &ExperimentDeployer::metrics_filter,
              "regular expression of a metric's line, with groups for name and value"),
        field("metrics_port", &ExperimentDeployer::metrics_port,
              "port of the metrics for prometheus (default: 8080)"),
        field("resume_policy", &ExperimentDeployer::resume_policy,
              "what stays of an experiment that has ended"),
        field("retain_trials", &ExperimentDeployer::retain_trials,
              "let Katib remove each trial's pods at its end, and their logs with them"),
        field("trial", &ExperimentDeployer::trial,
              "what a trial is: job (default), tfjob, pytorchjob or xgboostjob"),
        field("worker_count", &ExperimentDeployer::worker_count, "workers of a trial", "workers"),
        field("ps_count", &ExperimentDeployer::ps_count, "parameter servers of a TFJob", "ps"),
        field("chief_count", &ExperimentDeployer::chief_count, "chief of a TFJob: 0 or 1", "chief"),
        field("master_count", &ExperimentDeployer::master_count,
              "master of a PyTorchJob or XGBoostJob: 0 or 1", "master"),
    });

}  // namespace fairing
