#include "fairing/deployers/experiment.hpp"

#include <doctest/doctest.h>

#include "../support/workspace.hpp"

using namespace fairing;
using support::contains;
using support::error_of;

namespace {

const Image sample_image{.reference = "r.example/team/job:1@sha256:" + std::string(64, '0'),
                         .command = {"python3", "/app/train.py"}};

ExperimentDeployer sample(std::vector<SearchParameter> parameters = {"lr=double:0.01..0.1"}) {
    return {.kubernetes = {.run_id = "abc"},
            .objective = "accuracy",
            .objective_type = ObjectiveType::maximize,
            .parameters = std::move(parameters)};
}

Json spec_of(const ExperimentDeployer& deployer, const Image& image = sample_image,
             const Session& session = {}) {
    const Json object = deployer.manifests(image, session).back();
    CHECK(object["apiVersion"] == "kubeflow.org/v1beta1");
    CHECK(object["kind"] == "Experiment");
    return object["spec"];
}

/// The main container of the trial's pods.
Json container_of(const Json& spec) {
    return spec["trialTemplate"]["trialSpec"]["spec"]["template"]["spec"]["containers"][0];
}

/// The command of a trial's program, whose own is `command`.
Json command_of(std::vector<std::string> command, const ExperimentDeployer& deployer = sample()) {
    const Image image{.reference = sample_image.reference, .command = std::move(command)};
    return container_of(spec_of(deployer, image))["command"];
}

Json experiment(const char* status) {
    Json object = sample().manifests(sample_image, {}).back();
    object["metadata"]["uid"] = "u";
    object["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z";
    object["status"] = Json::parse(status);
    return object;
}

}  // namespace

TEST_CASE("an Experiment: what is searched, how it is judged, and its trials") {
    ExperimentDeployer deployer = sample({"lr=double:0.01..0.1", "optimizer=categorical:sgd,adam"});
    deployer.kubernetes.labels = {{"team", "vision"}};
    deployer.kubernetes.queue = "q";
    deployer.goal = 0.5;
    deployer.additional_metrics = {"loss"};
    deployer.algorithm = "tpe";
    deployer.algorithm_settings = {{"n_startup_trials", "5"}};
    deployer.early_stopping = "medianstop";
    deployer.max_trials = 2;
    const Json spec = spec_of(deployer);
    CHECK(spec["objective"] == Json::parse(R"({"type": "maximize", "goal": 0.5,
        "objectiveMetricName": "accuracy", "additionalMetricNames": ["loss"]})"));
    CHECK(spec["algorithm"] == Json::parse(R"({"algorithmName": "tpe",
        "algorithmSettings": [{"name": "n_startup_trials", "value": "5"}]})"));
    CHECK(spec["earlyStopping"] == Json{{"algorithmName", "medianstop"}});
    CHECK(spec["maxTrialCount"] == 2);
    CHECK(spec["parallelTrialCount"] == 2);
    CHECK(spec["maxFailedTrialCount"] == 2);
    CHECK(spec["resumePolicy"] == "Never");
    CHECK(spec["metricsCollectorSpec"] == Json{{"collector", {{"kind", "StdOut"}}}});
    CHECK(spec["parameters"][1]["feasibleSpace"]["list"] == Json{"sgd", "adam"});

    const Json& trial = spec["trialTemplate"];
    CHECK(trial["primaryContainerName"] == "trial");
    CHECK(trial["retain"] == true);
    CHECK(trial["trialParameters"][1] == Json{{"name", "optimizer"}, {"reference", "optimizer"}});
    // A run of its own it is not; its pods belong to the run.
    const Json& job = trial["trialSpec"];
    CHECK(job["kind"] == "Job");
    CHECK(job["metadata"]["labels"] ==
          Json{{"katib.kubeflow.org/experiment", "fairing-experiment-abc"},
               {"kueue.x-k8s.io/queue-name", "q"},
               {"team", "vision"}});
    CHECK_FALSE(job["metadata"].contains("name"));
    CHECK(job["spec"]["backoffLimit"] == 0);
    const Json& pods = job["spec"]["template"];
    CHECK(pods["metadata"]["labels"]["fairing-id"] == "abc");
    CHECK(pods["metadata"]["annotations"]["kubectl.kubernetes.io/default-container"] ==
          "metrics-logger-and-collector");
    const Json container = container_of(spec);
    CHECK(container["command"] == Json{"python3", "/app/train.py", "--lr=${trialParameters.lr}",
                                       "--optimizer=${trialParameters.optimizer}"});
    CHECK(container["env"].back() ==
          Json{{"name", "FAIRING_PARAMETER_OPTIMIZER"}, {"value", "${trialParameters.optimizer}"}});
}

TEST_CASE("Katib makes a shell's line of the command: words that are none are quoted") {
    CHECK(command_of({"python3", "a b.py", "it's $(x)"}) ==
          Json{"sh", "-c", R"(python3 'a b.py' 'it'\''s $$(x)' --lr=${trialParameters.lr})"});
    CHECK(command_of({"run"}, sample({"o=categorical:sgd,a b"})) ==
          Json{"sh", "-c", "run '--o=${trialParameters.o}'"});
    // Collectors that start no shell leave the words as they are.
    ExperimentDeployer pushing = sample({"o=categorical:sgd,a b"});
    pushing.metrics_collector = MetricsCollector::push;
    CHECK(command_of({"a b", "$x"}, pushing) == Json{"a b", "$$x", "--o=${trialParameters.o}"});
}

TEST_CASE("parameters go where the command has their placeholders, or to the environment alone") {
    ExperimentDeployer deployer = sample();
    deployer.parameters_as_arguments = false;
    deployer.kubernetes.environment = {{"RATE", "x${trialParameters.lr}"}};
    CHECK(command_of({"train", "--rate", "${trialParameters.lr}"}, deployer) ==
          Json{"train", "--rate", "${trialParameters.lr}"});
    const Json environment = container_of(spec_of(deployer))["env"];
    CHECK(environment[1] == Json{{"name", "RATE"}, {"value", "x${trialParameters.lr}"}});
    CHECK(contains(error_of([&] {
                       (void)command_of({"t", "${trialParameters.rl}"});
                   }),
                   "unknown name \"rl\"; there is lr"));
    // The image's own program takes arguments.
    const Json own = container_of(spec_of(sample(), {.reference = sample_image.reference}));
    CHECK_FALSE(own.contains("command"));
    CHECK(own["args"] == Json::array({"--lr=${trialParameters.lr}"}));
}

TEST_CASE("where the metrics are found") {
    const auto collector = [](MetricsCollector kind, std::string path = {},
                              std::string filter = {}) {
        ExperimentDeployer deployer = sample();
        deployer.metrics_collector = kind;
        deployer.metrics_path = std::move(path);
        deployer.metrics_filter = std::move(filter);
        const Json spec = spec_of(deployer);
        // Only the output on stdout is taken away from the program's own container.
        CHECK(spec["trialTemplate"]["trialSpec"]["spec"]["template"]["metadata"]["annotations"]
                  .contains("kubectl.kubernetes.io/default-container") ==
              (kind == MetricsCollector::standard_output));
        return spec["metricsCollectorSpec"];
    };
    CHECK(collector(MetricsCollector::standard_output, "", R"((\w+) is (.+))")["source"] ==
          Json{{"filter", {{"metricsFormat", {R"((\w+) is (.+))"}}}}});
    CHECK(collector(MetricsCollector::file, "/m.log") == Json::parse(R"({"collector": {"kind":
        "File"}, "source": {"fileSystemPath": {"kind": "File", "format": "TEXT", "path":
        "/m.log"}}})"));
    CHECK(collector(MetricsCollector::tensorflow_event) == Json::parse(R"({"collector": {"kind":
        "TensorFlowEvent"}, "source": {"fileSystemPath": {"kind": "Directory", "path":
        "/var/log/katib/tfevent/"}}})"));
    CHECK(collector(MetricsCollector::prometheus) == Json::parse(R"({"collector": {"kind":
        "PrometheusMetric"}, "source": {"httpGet": {"port": 8080, "path": "/metrics"}}})"));
    CHECK(collector(MetricsCollector::push) == Json{{"collector", {{"kind", "Push"}}}});
}

TEST_CASE("a trial may be a training job, and says what it has not") {
    std::vector<std::string> said;
    const Session session{.log = [&said](LogRecord record) { said.push_back(record.text); }};
    ExperimentDeployer deployer = sample();
    deployer.trial = "pytorchjob";
    deployer.worker_count = 2;
    deployer.ps_count = 1;
    const Json trial = spec_of(deployer, sample_image, session)["trialTemplate"];
    CHECK(trial["primaryContainerName"] == "pytorch");
    CHECK(trial["trialSpec"]["kind"] == "PyTorchJob");
    const Json& replicas = trial["trialSpec"]["spec"]["pytorchReplicaSpecs"];
    CHECK(replicas["Worker"]["replicas"] == 2);
    for (const char* role : {"Master", "Worker"}) {
        CHECK(replicas[role]["template"]["spec"]["containers"][0]["command"].back() ==
              "--lr=${trialParameters.lr}");
    }
    CHECK(said == std::vector<std::string>{"a PyTorchJob has no ps_count: it is left out"});
    said.clear();
    deployer.trial = "job";
    static_cast<void>(spec_of(deployer, sample_image, session));
    CHECK(said.size() == 2);
    deployer.trial = "mpijob";
    CHECK(contains(error_of([&] { deployer.check(); }), "unknown name \"mpijob\""));
    deployer.trial = "xgboostjob";
    deployer.master_count = 0;
    CHECK(contains(error_of([&] { deployer.check(); }), "a XGBoostJob takes 1"));
}

TEST_CASE("what Katib's webhook would refuse is refused here") {
    const auto refused = [](const std::function<void(ExperimentDeployer&)>& spoil) {
        ExperimentDeployer deployer = sample();
        spoil(deployer);
        return error_of([&] { deployer.check(); });
    };
    using E = ExperimentDeployer;
    CHECK(refused([](E&) {}).empty());
    CHECK(contains(refused([](E& e) { e.objective.clear(); }), "name the metric"));
    CHECK(contains(refused([](E& e) { e.objective_type.reset(); }), "--objective-type"));
    CHECK(contains(refused([](E& e) { e.additional_metrics = {"accuracy"}; }), "itself"));
    CHECK(contains(refused([](E& e) { e.algorithm.clear(); }), "it is empty"));
    CHECK(contains(refused([](E& e) { e.parameters.clear(); }), "search nothing"));
    CHECK(contains(refused([](E& e) {
                       e.parameters = {"a-b=int:1..2", "a.B=int:1..2"};
                   }),
                   "the variable FAIRING_PARAMETER_A_B"));
    CHECK(contains(refused([](E& e) { e.algorithm = "grid"; }), "wants a step"));
    CHECK(contains(refused([](E& e) { e.max_trials = 0; }), "less than 1"));
    CHECK(contains(refused([](E& e) { e.parallel_trials = 0; }), "less than 1"));
    CHECK(contains(refused([](E& e) { e.max_failed_trials = -1; }), "less than 0"));
    CHECK(contains(refused([](E& e) { e.parallel_trials = 13; }), "no more than 12 trials"));
    CHECK(contains(refused([](E& e) { e.max_failed_trials = 13; }), "no more than 12 trials"));
    CHECK(contains(refused([](E& e) { e.kubernetes.name = "1st"; }), "begin with a letter"));
    CHECK(contains(refused([](E& e) { e.kubernetes.name = std::string(41, 'a'); }), "takes 40"));
    CHECK(contains(refused([](E& e) { e.metrics_path = "/x"; }), "reads none"));
    CHECK(contains(refused([](E& e) { e.metrics_filter = "(a)"; }), "no two groups"));
    CHECK(contains(refused([](E& e) {
                       e.metrics_collector = MetricsCollector::file;
                       e.metrics_path = "x";
                   }),
                   "does not begin with /"));
    CHECK(contains(refused([](E& e) {
                       e.metrics_collector = MetricsCollector::prometheus;
                       e.metrics_filter = "(a) (b)";
                   }),
                   "reads no lines"));
    CHECK(contains(refused([](E& e) { e.metrics_port = 0; }), "less than 1"));
}

TEST_CASE("a stored Experiment is a subject whose pods its trials make") {
    const kubernetes::Subject subject = experiment_subject(experiment("{}"));
    CHECK(subject.expected_pods == 2);
    CHECK(subject.pod_selector() == "fairing-id=abc");
    CHECK(subject.owns({{"metadata", {{"creationTimestamp", "2026-01-01T00:00:01Z"}}}}));
    const auto phase = [&](const char* status) {
        return subject.diagnose(experiment(status), {}, {}).phase;
    };
    CHECK(phase("{}") == kube::Phase::pending);
    CHECK(phase(R"({"conditions": [{"type": "Created", "status": "True"}]})") ==
          kube::Phase::pending);
    CHECK(phase(R"({"conditions": [{"type": "Running", "status": "True"}]})") ==
          kube::Phase::running);
    CHECK(phase(R"({"conditions": [{"type": "Running", "status": "False"},
                                   {"type": "Succeeded", "status": "True"}]})") ==
          kube::Phase::succeeded);
    const Json pod = Json::parse(R"({"metadata": {"name": "t-1"}, "status": {"phase": "Failed",
        "containerStatuses": [{"name": "trial", "state": {"terminated": {"exitCode": 3}}}]}})");
    // A trial that fails is not the end.
    CHECK(subject.diagnose(experiment("{}"), {pod}, {}).phase == kube::Phase::running);
    const kube::Diagnosis failed =
        subject.diagnose(experiment(R"({"conditions": [{"type": "Failed", "status": "True",
            "message": "max failed trials reached"}]})"),
                         {pod}, {});
    CHECK(failed.phase == kube::Phase::failed);
    CHECK(failed.exit_code == 3);
    CHECK(failed.reason ==
          "Experiment fairing-experiment-abc failed: max failed trials reached; container trial of "
          "pod t-1 exited with code 3");
}

TEST_CASE("what an Experiment has found") {
    const auto found = [](const char* status) {
        return experiment_subject(experiment("{}")).findings(experiment(status)).at(0);
    };
    const LogRecord best = found(R"({"trials": 4, "currentOptimalTrial": {"bestTrialName": "t-2",
        "parameterAssignments": [{"name": "lr", "value": "0.02"}, {"name": "o", "value": "sgd"}],
        "observation": {"metrics": [{"name": "accuracy", "min": "0.5", "max": "0.9"},
                                    {"name": "loss", "latest": "0.1"}]}}})");
    CHECK(best.level == Level::info);
    CHECK(best.text ==
          "the best of 4 trials is t-2: accuracy=0.9, loss=0.1 with --lr=0.02 --o=sgd");
    const LogRecord nothing = found("{}");
    CHECK(nothing.level == Level::warning);
    CHECK(contains(nothing.text, "has told the metric accuracy"));
}
