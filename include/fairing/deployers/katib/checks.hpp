// fairing/deployers/katib/checks.hpp - what Katib's webhook would refuse of an Experiment (katib,
// pkg/webhook/v1beta1/experiment/validator), refused here.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "../../kube/names.hpp"
#include "../../pods/run_identity.hpp"
#include "../../runs/plan.hpp"
#include "../training/objects.hpp"
#include "options.hpp"
#include "parameter.hpp"
#include "trial.hpp"

namespace fairing::detail {

[[nodiscard]] inline int parallel_trials(const ExperimentDeployer& experiment) {
    return experiment.parallel_trials.value_or(std::min(3, experiment.max_trials));
}
[[nodiscard]] inline int max_failed_trials(const ExperimentDeployer& experiment) {
    return experiment.max_failed_trials.value_or(std::min(3, experiment.max_trials));
}

[[nodiscard]] inline Error experiment_error(const std::string& what, const std::string& value,
                                            std::string answer, std::string advice = {}) {
    return Error{ErrorCode::usage,
                 {.attempted = "use " + what,
                  .subject = kube::detail::quoted(value),
                  .answer = std::move(answer),
                  .advice = std::move(advice)}};
}

/// Trials, and Katib's own pods and Services, are called after it: so it is short.
[[nodiscard]] inline RunIdentity experiment_identity(const ExperimentDeployer& experiment,
                                                     const std::string& run_id) {
    constexpr std::size_t longest = 40;
    RunIdentity identity =
        run_identity(experiment.kubernetes, run_id, ExperimentDeployer::name_prefix, "experiment");
    kube::check_dns_1035_label("name", identity.name);
    if (identity.name.size() > longest) {
        throw experiment_error("name", identity.name,
                               "it has " + std::to_string(identity.name.size()) +
                                   " characters, and an Experiment takes 40");
    }
    return identity;
}

[[nodiscard]] inline TrainingJobDeployer training_trial(const ExperimentDeployer& experiment) {
    return {.kind = training_kind(experiment.trial),
            .kubernetes = experiment.kubernetes,
            .worker_count = experiment.worker_count,
            .ps_count = experiment.ps_count,
            .chief_count = experiment.chief_count,
            .master_count = experiment.master_count};
}

inline void check_counts(const ExperimentDeployer& experiment) {
    using kubernetes::check_least;
    const std::string most = std::to_string(experiment.max_trials);
    check_least("max_trials", experiment.max_trials, 1);
    check_least("parallel_trials", parallel_trials(experiment), 1);
    check_least("max_failed_trials", max_failed_trials(experiment), 0);
    for (const auto& [name, count] :
         {std::pair{"parallel_trials", parallel_trials(experiment)},
          std::pair{"max_failed_trials", max_failed_trials(experiment)}}) {
        if (count > experiment.max_trials) {
            throw experiment_error(name, std::to_string(count),
                                   "there are no more than " + most + " trials");
        }
    }
}

inline void check_objective(const ExperimentDeployer& experiment) {
    const std::vector<std::string>& others = experiment.additional_metrics;
    if (experiment.objective.empty()) {
        throw experiment_error("objective", "", "it is empty",
                               "name the metric that the program prints: --objective accuracy");
    }
    if (!experiment.objective_type) {
        throw experiment_error("objective", experiment.objective,
                               "nothing says which values of it are good",
                               "use --objective-type minimize or maximize");
    }
    if (std::find(others.begin(), others.end(), experiment.objective) != others.end()) {
        throw experiment_error("additional_metrics", experiment.objective,
                               "it is the objective itself");
    }
    if (experiment.algorithm.empty()) {
        throw experiment_error("algorithm", "", "it is empty");
    }
}

inline void check_collector(const ExperimentDeployer& experiment) {
    const MetricsCollector collector = experiment.metrics_collector;
    const std::string& path = experiment.metrics_path;
    if (!path.empty() &&
        (collector == MetricsCollector::standard_output || collector == MetricsCollector::push)) {
        throw experiment_error("metrics_path", path, "this metrics collector reads none");
    }
    if (!path.empty() && path.front() != '/') {
        throw experiment_error("metrics_path", path, "it does not begin with /");
    }
    kubernetes::check_least("metrics_port", experiment.metrics_port, 1);
    if (experiment.metrics_filter.empty()) {
        return;
    }
    const std::string& filter = experiment.metrics_filter;
    if (collector != MetricsCollector::standard_output && collector != MetricsCollector::file) {
        throw experiment_error("metrics_filter", filter, "this metrics collector reads no lines");
    }
    std::size_t at = 0;
    for (const char parenthesis : {'(', ')', '(', ')'}) {
        at = filter.find(parenthesis, at);
        if (at == std::string::npos) {
            throw experiment_error("metrics_filter", filter,
                                   "it has no two groups, for a metric's name and its value");
        }
        ++at;
    }
}

inline void check_parameters(const ExperimentDeployer& experiment) {
    if (experiment.parameters.empty()) {
        throw experiment_error("an Experiment without", "parameters", "it would search nothing",
                               "use --search lr=double:0.01..0.1");
    }
    std::vector<std::string> variables;
    for (const SearchParameter& each : experiment.parameters) {
        each.check(experiment.algorithm);
        const std::string variable = katib::variable_of(each.name);
        if (std::find(variables.begin(), variables.end(), variable) != variables.end()) {
            throw experiment_error("parameter", each.name,
                                   "there is another one of the variable " + variable);
        }
        variables.push_back(variable);
    }
}

/// The kinds of which Katib knows when a trial has ended, and which of its pods tells the metrics.
inline void check_trial(const ExperimentDeployer& experiment) {
    const std::vector<std::string> kinds{"job", "tfjob", "pytorchjob", "xgboostjob"};
    if (std::find(kinds.begin(), kinds.end(), experiment.trial) == kinds.end()) {
        throw unknown_name("choose", "trial", experiment.trial, kinds);
    }
    if (experiment.trial != "job") {
        check_counts(training_trial(experiment));
    }
}

}  // namespace fairing::detail
