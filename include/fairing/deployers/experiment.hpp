// fairing/deployers/experiment.hpp - runs the image many times with other parameters each, as an
// Experiment of Katib (kubeflow.org/v1beta1), which looks for the best.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "../kube/document.hpp"
#include "../kube/state.hpp"
#include "../runs/plan.hpp"
#include "../stage/concepts.hpp"
#include "katib/objects.hpp"
#include "katib/options.hpp"

namespace fairing {

namespace detail {

/// Why an Experiment has ended is its own word; its trials' pods tell the rest.
[[nodiscard]] inline kube::Diagnosis diagnose_experiment(const Json& experiment,
                                                         const std::vector<Json>& pods,
                                                         const std::vector<Json>& events) {
    kube::Diagnosis result = kube::diagnose_job(experiment, pods, events);
    const Json& failed = kube::condition(experiment, "Failed");
    if (failed.is_object() && result.phase == kube::Phase::failed && !result.pod.empty()) {
        result.reason = "Experiment " + kube::name_of(experiment) +
                        " failed: " + kube::text(failed, {"message"}) + "; " + result.reason;
    }
    return result;
}

/// "loss=0.3, accuracy=0.9": each metric's best value, as Katib judges it.
[[nodiscard]] inline std::string metrics_text(const Json& experiment) {
    const bool is_least = kube::text(experiment, {"spec", "objective", "type"}) == "minimize";
    std::string all;
    for (const Json& metric :
         kube::list(experiment, {"status", "currentOptimalTrial", "observation", "metrics"})) {
        const std::string best = kube::text(metric, {is_least ? "min" : "max"});
        all += (all.empty() ? "" : ", ") + kube::text(metric, {"name"}) + '=' +
               (best.empty() ? kube::text(metric, {"latest"}) : best);
    }
    return all;
}

/// What an Experiment has found, when it has ended.
[[nodiscard]] inline std::vector<LogRecord> found_by_experiment(const Json& experiment) {
    const Json& best = kube::member(experiment, {"status", "currentOptimalTrial"});
    const std::string trial = kube::text(best, {"bestTrialName"});
    const std::string objective =
        kube::text(experiment, {"spec", "objective", "objectiveMetricName"});
    if (trial.empty()) {
        return {{.level = Level::warning,
                 .text = "no trial of Experiment " + kube::name_of(experiment) +
                         " has told the metric " + objective}};
    }
    std::string parameters;
    for (const Json& each : kube::list(best, {"parameterAssignments"})) {
        parameters += " --" + kube::text(each, {"name"}) + '=' + kube::text(each, {"value"});
    }
    return {
        {.text = "the best of " + std::to_string(kube::number(experiment, {"status", "trials"})) +
                 " trials is " + trial + ": " + metrics_text(experiment) + " with" + parameters}};
}

}  // namespace detail

/// An Experiment as a subject to follow. Its pods are made by its trials, and some may fail.
[[nodiscard]] inline kubernetes::Subject experiment_subject(const Json& experiment) {
    const bool is_one_pod =
        kube::number(experiment, {"spec", "maxTrialCount"}) == 1 &&
        kube::text(experiment, {"spec", "trialTemplate", "trialSpec", "kind"}) == "Job";
    return {.key = kube::key_of(experiment),
            .uid = kube::uid_of(experiment),
            .run_id = kube::label_of(experiment, kube::run_label),
            .main = experiment,
            .expected_pods = is_one_pod ? 1 : 2,
            .tries_again = true,
            .diagnose = detail::diagnose_experiment,
            .findings = detail::found_by_experiment};
}

inline void ExperimentDeployer::check() const {
    ExperimentDeployer experiment = *this;
    experiment.kubernetes = with_profile(kubernetes);
    kubernetes::check_options(experiment.kubernetes);
    detail::check_objective(experiment);
    detail::check_counts(experiment);
    detail::check_parameters(experiment);
    detail::check_collector(experiment);
    detail::check_trial(experiment);
    const std::string run_id = kubernetes::checked_run_id(experiment.kubernetes);
    static_cast<void>(
        run_metadata(experiment.kubernetes, detail::experiment_identity(experiment, run_id), {}));
}

namespace detail {

/// Lives as long as `image` and `session`.
[[nodiscard]] inline kubernetes::Plan experiment_plan(ExperimentDeployer experiment,
                                                      const Image& image, const Session& session) {
    experiment.check();
    experiment.kubernetes = with_profile(std::move(experiment.kubernetes));
    const KubernetesOptions options = experiment.kubernetes;
    return {.options = options,
            .objects =
                [experiment = std::move(experiment), &image, &session](
                    const std::string& run_id, const kubernetes::Place& place) {
                    return experiment_objects(experiment, image, session, run_id, place);
                },
            .subject = experiment_subject,
            .cleanup = Cleanup::never};
}

}  // namespace detail

inline Workload ExperimentDeployer::deploy(const Image& image, const Session& session) const {
    return kubernetes::start(detail::experiment_plan(*this, image, session), image, session);
}

inline std::vector<Json> ExperimentDeployer::manifests(const Image& image,
                                                       const Session& session) const {
    return kubernetes::render(detail::experiment_plan(*this, image, session), image);
}

inline std::vector<Json> ExperimentDeployer::dry_run(const Image& image,
                                                     const Session& session) const {
    return kubernetes::rehearse(detail::experiment_plan(*this, image, session), image, session);
}

static_assert(Deployer<ExperimentDeployer> && Renderer<ExperimentDeployer> &&
              SelfChecking<ExperimentDeployer>);

}  // namespace fairing
