// fairing/deployers/katib/objects.hpp - an Experiment as the objects of a cluster
// (kubeflow.org/v1beta1 ExperimentSpec).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../../kube/document.hpp"
#include "../../kube/log_lines.hpp"
#include "../../pods/pod_template.hpp"
#include "../../runs/plan.hpp"
#include "../training/objects.hpp"
#include "checks.hpp"
#include "options.hpp"
#include "parameter.hpp"
#include "trial.hpp"

namespace fairing::detail {

[[nodiscard]] inline Json named_values(const Labels& settings) {
    Json list = Json::array();
    for (const auto& [name, value] : settings) {
        list.push_back({{"name", name}, {"value", value}});
    }
    return list;
}

[[nodiscard]] inline Json objective_spec(const ExperimentDeployer& experiment) {
    Json spec{
        {"type", experiment.objective_type == ObjectiveType::minimize ? "minimize" : "maximize"},
        {"objectiveMetricName", experiment.objective}};
    if (experiment.goal) {
        spec["goal"] = *experiment.goal;
    }
    if (!experiment.additional_metrics.empty()) {
        spec["additionalMetricNames"] = experiment.additional_metrics;
    }
    return spec;
}

[[nodiscard]] inline Json algorithm_spec(const std::string& name, const Labels& settings) {
    Json spec{{"algorithmName", name}};
    if (!settings.empty()) {
        spec["algorithmSettings"] = named_values(settings);
    }
    return spec;
}

[[nodiscard]] inline Json collector_spec(const ExperimentDeployer& experiment) {
    const auto path_or = [&experiment](const char* preset) {
        return experiment.metrics_path.empty() ? std::string{preset} : experiment.metrics_path;
    };
    Json source = Json::object();
    const char* kind = "StdOut";
    switch (experiment.metrics_collector) {
        case MetricsCollector::standard_output:
            break;
        case MetricsCollector::file:
            kind = "File";
            source["fileSystemPath"] = {{"kind", "File"},
                                        {"format", "TEXT"},
                                        {"path", path_or("/var/log/katib/metrics.log")}};
            break;
        case MetricsCollector::tensorflow_event:
            kind = "TensorFlowEvent";
            source["fileSystemPath"] = {{"kind", "Directory"},
                                        {"path", path_or("/var/log/katib/tfevent/")}};
            break;
        case MetricsCollector::prometheus:
            kind = "PrometheusMetric";
            source["httpGet"] = {{"port", experiment.metrics_port}, {"path", path_or("/metrics")}};
            break;
        case MetricsCollector::push:
            kind = "Push";
            break;
    }
    if (!experiment.metrics_filter.empty()) {
        source["filter"] = {{"metricsFormat", {experiment.metrics_filter}}};
    }
    Json spec{{"collector", {{"kind", kind}}}};
    if (!source.empty()) {
        spec["source"] = std::move(source);
    }
    return spec;
}

/// What was asked for and this kind of trial has not.
inline void say_counts(const ExperimentDeployer& experiment, const Session& session) {
    if (experiment.trial == "job") {
        for (const auto& [option, count] : {std::pair{"worker_count", experiment.worker_count},
                                            std::pair{"ps_count", experiment.ps_count},
                                            std::pair{"chief_count", experiment.chief_count},
                                            std::pair{"master_count", experiment.master_count}}) {
            if (count.value_or(0) > 0) {
                session.control().say(Level::warning, std::string{"a trial that is a Job has no "} +
                                                          option + ": it is left out");
            }
        }
        return;
    }
    for (const std::string& note : training_notes(training_trial(experiment))) {
        session.control().say(Level::warning, note);
    }
}

/// What Katib makes each trial of. It has no name; nor has it the labels by which runs are listed,
/// which its pods have: a Job without any labels would get those.
[[nodiscard]] inline Json trial_spec(ExperimentDeployer experiment, const Image& image,
                                     const Session& session, const RunIdentity& identity,
                                     const kubernetes::Place& place, std::vector<Json>& objects) {
    const MetricsCollector collector = experiment.metrics_collector;
    Json metadata = run_metadata(experiment.kubernetes, identity, {});
    metadata.erase("name");
    metadata["labels"].erase(kube::run_label);
    metadata["labels"].erase(deployer_label);
    metadata["labels"]["katib.kubeflow.org/experiment"] = identity.name;
    KubernetesOptions& options = experiment.kubernetes;
    options.cleanup.reset();
    if (collector == MetricsCollector::standard_output) {
        // Which has taken the program's output, and repeats it.
        options.annotations.emplace("kubectl.kubernetes.io/default-container",
                                    kube::katib_collector);
    }
    options.pod_spec_mutators.push_back(katib::tell_parameters(
        experiment.parameters, {.has_arguments = experiment.parameters_as_arguments,
                                .is_wrapped = collector != MetricsCollector::prometheus &&
                                              collector != MetricsCollector::push}));
    if (experiment.trial != "job") {
        const TrainingJobDeployer job = training_trial(experiment);
        return {{"apiVersion", job.kind->api_version},
                {"kind", job.kind->kind},
                {"metadata", std::move(metadata)},
                {"spec", training_body(job, image, session, identity, place, objects)}};
    }
    PodContext context{place.namespace_, "", place.client, session, objects, identity.name};
    Json pods = pod_template(image, {.container = ExperimentDeployer::container_name}, options,
                             identity, context);
    return {{"apiVersion", "batch/v1"},
            {"kind", "Job"},
            {"metadata", std::move(metadata)},
            {"spec", {{"backoffLimit", 0}, {"template", std::move(pods)}}}};
}

[[nodiscard]] inline Json trial_template(const ExperimentDeployer& experiment, Json trial) {
    katib::check_placeholders(trial, experiment.parameters);
    Json parameters = Json::array();
    for (const SearchParameter& each : experiment.parameters) {
        parameters.push_back({{"name", each.name}, {"reference", each.name}});
    }
    const TrainingKind* kind = training_kind(experiment.trial);
    Json result{{"primaryContainerName",
                 kind == nullptr ? ExperimentDeployer::container_name : kind->container},
                {"trialParameters", std::move(parameters)},
                {"trialSpec", std::move(trial)}};
    if (experiment.retain_trials) {
        result["retain"] = true;
    }
    return result;
}

/// Katib's webhook gives no collector to pods of a namespace that does not ask for it.
inline void check_injection(const ExperimentDeployer& experiment, const Session& session,
                            const kubernetes::Place& place) {
    constexpr const char* label = "katib.kubeflow.org/metrics-collector-injection";
    if (place.client == nullptr || experiment.metrics_collector == MetricsCollector::push) {
        return;
    }
    try {
        const std::optional<Json> space = place.client->find(
            {.api_version = "v1", .kind = "Namespace", .name = place.namespace_});
        if (space && kube::label_of(*space, label) != "enabled") {
            session.control().say(Level::warning, "Katib collects no metrics in the namespace " +
                                                      place.namespace_ + ": it wants the label " +
                                                      label + "=enabled there");
        }
    } catch (const kube::StatusError&) {
        // Whoever may not look at namespaces is not told.
    }
}

[[nodiscard]] inline std::vector<Json> experiment_objects(const ExperimentDeployer& experiment,
                                                          const Image& image,
                                                          const Session& session,
                                                          const std::string& run_id,
                                                          const kubernetes::Place& place) {
    constexpr std::array<const char*, 3> resume{"Never", "LongRunning", "FromVolume"};
    check_injection(experiment, session, place);
    say_counts(experiment, session);
    const RunIdentity identity = experiment_identity(experiment, run_id);
    std::vector<Json> objects;
    Json parameters = Json::array();
    for (const SearchParameter& each : experiment.parameters) {
        parameters.push_back(each.json());
    }
    Json trial = trial_spec(experiment, image, session, identity, place, objects);
    Json spec{{"objective", objective_spec(experiment)},
              {"algorithm", algorithm_spec(experiment.algorithm, experiment.algorithm_settings)},
              {"parameters", std::move(parameters)},
              {"maxTrialCount", experiment.max_trials},
              {"parallelTrialCount", parallel_trials(experiment)},
              {"maxFailedTrialCount", max_failed_trials(experiment)},
              {"metricsCollectorSpec", collector_spec(experiment)},
              {"resumePolicy", resume.at(static_cast<std::size_t>(experiment.resume_policy))},
              {"trialTemplate", trial_template(experiment, std::move(trial))}};
    if (!experiment.early_stopping.empty()) {
        spec["earlyStopping"] =
            algorithm_spec(experiment.early_stopping, experiment.early_stopping_settings);
    }
    objects = adopted(std::move(objects), experiment.kubernetes, identity, place.namespace_);
    objects.push_back(
        {{"apiVersion", ExperimentDeployer::api_version},
         {"kind", "Experiment"},
         {"metadata", run_metadata(experiment.kubernetes, identity, place.namespace_)},
         {"spec", std::move(spec)}});
    return objects;
}

}  // namespace fairing::detail
