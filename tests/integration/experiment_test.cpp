// Experiments with `fairing run`, against a real API server with Katib's real CRDs: the test plays
// Katib's controllers, and the trials' Jobs are processes of the test kubelet.
#include <doctest/doctest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "../support/job_site.hpp"
#include "fairing/kube/document.hpp"

using namespace fairing;
using support::in_time;
using support::JobSite;
using support::ShellResult;

namespace {

constexpr const char* experiment_crd =
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/experiments.kubeflow.org";

/// Once; false, with a message, when there are none.
bool install_crds(support::KubeTestenv& kube) {
    if (kube.api().get(experiment_crd).ok()) {
        return true;
    }
    const ShellResult found =
        support::run(*env("FAIRING_SOURCE_ROOT") + "/tools/kube-testenv crds --name katib");
    if (found.exit_code != 0) {
        MESSAGE("skipped: there are no CRDs of Katib");
        return false;
    }
    const std::string folder = found.output.substr(0, found.output.find('\n'));
    const ShellResult made = kube.kubectl("create -f " + folder);
    REQUIRE_MESSAGE(made.exit_code == 0, made.output);
    // A CRD without any condition yet is an error of kubectl's.
    REQUIRE(in_time([&] {
        return kube.kubectl("wait --for=condition=Established -f " + folder).exit_code == 0;
    }));
    return true;
}

/// Katib: makes a trial of each of `values`, a Job of each trial, and reads its metrics.
class Katib {
public:
    struct Trial {
        std::string name = {};
        std::vector<std::pair<std::string, std::string>> values = {};
    };

    Katib(const JobSite& site, std::string experiment, std::vector<Trial> trials)
        : site_(site),
          experiments_("/apis/kubeflow.org/v1beta1/namespaces/" + site.space + "/experiments/"),
          experiment_(std::move(experiment)),
          trials_(std::move(trials)),
          thread_([this] { play(); }) {}
    Katib(const Katib&) = delete;
    Katib& operator=(const Katib&) = delete;
    ~Katib() { thread_.join(); }

private:
    [[nodiscard]] const support::KubeApi& api() const { return site_.kube.api(); }

    void play() {
        Json experiment;
        if (!in_time([&] {
                experiment = api().get(experiments_ + experiment_).body;
                return experiment.contains("spec");
            })) {
            return;
        }
        tell("Created", {});
        tell("Running", {});
        Json best;
        std::string best_value;
        bool has_failed = false;
        for (const Trial& trial : trials_) {
            start(experiment, trial);
        }
        for (const Trial& trial : trials_) {
            const std::string value = end_of(trial);
            has_failed = has_failed || value.empty();
            if (value > best_value) {
                best_value = value;
                best = optimal(trial, value);
            }
        }
        Json status{{"trials", trials_.size()}};
        if (!best.is_null()) {
            status["currentOptimalTrial"] = best;
        }
        has_failed ? tell("Failed", status) : tell("Succeeded", status);
    }

    [[nodiscard]] static Json owned_by(const Json& owner) {
        return Json::array({{{"apiVersion", owner["apiVersion"]},
                             {"kind", owner["kind"]},
                             {"name", owner["metadata"]["name"]},
                             {"uid", owner["metadata"]["uid"]}}});
    }

    /// As the controller and the webhook of the pods do it (pkg/controller.v1beta1/experiment/
    /// manifest; pkg/webhook/v1beta1/pod).
    void start(const Json& experiment, const Trial& trial) {
        const Json& template_ = experiment["spec"]["trialTemplate"];
        std::string text = template_["trialSpec"].dump();
        for (const auto& [name, value] : trial.values) {
            const std::string mark = "${trialParameters." + name + '}';
            for (std::size_t at = text.find(mark); at != std::string::npos; at = text.find(mark)) {
                text.replace(at, mark.size(), value);
            }
        }
        Json stored =
            api()
                .post("/apis/kubeflow.org/v1beta1/namespaces/" + site_.space + "/trials",
                      {{"apiVersion", "kubeflow.org/v1beta1"},
                       {"kind", "Trial"},
                       {"metadata",
                        {{"name", trial.name}, {"ownerReferences", owned_by(experiment)}}},
                       {"spec", {{"runSpec", Json::parse(text)}}}})
                .body;
        Json job = stored["spec"]["runSpec"];
        job["metadata"]["name"] = trial.name;
        job["metadata"]["ownerReferences"] = owned_by(stored);
        Json& pod = job["spec"]["template"];
        pod["metadata"]["labels"]["katib.kubeflow.org/trial"] = trial.name;
        // The test kubelet's pods have no root of their own: it knows paths that are words.
        Json& words = pod["spec"]["containers"][0]["command"];
        if (words[0] == "sh") {
            std::string line = words[2];
            words[2] = line.replace(line.find("/app/"), 5, "");
        }
        const support::ApiAnswer made = api().post(site_.jobs(), job);
        CHECK_MESSAGE(made.ok(), made.body.dump());
    }

    /// The metric that it printed; empty when it failed.
    [[nodiscard]] std::string end_of(const Trial& trial) {
        Json job;
        in_time([&] {
            job = api().get(site_.jobs() + '/' + trial.name).body;
            return kube::condition(job, "Complete").is_object() ||
                   kube::condition(job, "Failed").is_object();
        });
        if (!kube::condition(job, "Complete").is_object()) {
            return {};
        }
        const Json pods =
            api()
                .get(site_.pods() + "?labelSelector=batch.kubernetes.io/job-name=" + trial.name)
                .body["items"];
        const std::string log = api().text(site_.pods() + '/' +
                                           pods[0]["metadata"]["name"].get<std::string>() + "/log");
        const std::string metric = "accuracy=";
        const std::size_t at = log.find(metric);
        return at == std::string::npos ? "0" : log.substr(at + metric.size(), 4);
    }

    [[nodiscard]] static Json optimal(const Trial& trial, const std::string& value) {
        Json assignments = Json::array();
        for (const auto& [name, assigned] : trial.values) {
            assignments.push_back({{"name", name}, {"value", assigned}});
        }
        return {
            {"bestTrialName", trial.name},
            {"parameterAssignments", assignments},
            {"observation",
             {{"metrics",
               Json::array(
                   {{{"name", "accuracy"}, {"min", value}, {"max", value}, {"latest", value}}})}}}};
    }

    void tell(const std::string& condition, Json status) {
        status["conditions"] = Json::array(
            {{{"type", condition},
              {"status", "True"},
              {"reason", "Experiment" + condition},
              {"message", condition == "Failed"
                              ? "Experiment has failed because max failed count has reached"
                              : "Experiment has " + condition}}});
        api().patch(experiments_ + experiment_ + "/status", {{"status", status}});
    }

    const JobSite& site_;
    std::string experiments_, experiment_;
    std::vector<Trial> trials_;
    std::thread thread_;
};

/// A namespace whose pods get collectors; null, with a message, where something is missing.
std::unique_ptr<JobSite> make_site() {
    auto site = JobSite::make();
    if (!site || !install_crds(site->kube)) {
        return nullptr;
    }
    site->deployer = "experiment";
    REQUIRE(
        site->kube.api()
            .patch(
                "/api/v1/namespaces/" + site->space,
                {{"metadata",
                  {{"labels", {{"katib.kubeflow.org/metrics-collector-injection", "enabled"}}}}}})
            .ok());
    return site;
}

constexpr const char* searched =
    "--objective accuracy --objective-type maximize --search lr=double:0.1..0.9 "
    "--search 'kind=categorical:a,b c' ";

/// Prints its parameters as it was told them, twice, and its metric.
std::string program(const JobSite& site) {
    return site.program(R"(import os, sys
variables = [os.environ['FAIRING_PARAMETER_' + name] for name in ('LR', 'KIND')]
print('told', sys.argv[1:], variables, flush=True)
if variables[1] == 'broken':
    sys.exit(3)
print('accuracy=' + variables[0] + '0'))");
}

ShellResult command(const JobSite& site, const std::string& line) {
    return support::run(*env("FAIRING_COMMAND") + ' ' + line + " --namespace " + site.space +
                        " --kubeconfig " + (site.folder / "kubeconfig") + " 2>&1");
}

std::size_t count(const JobSite& site, const std::string& plural) {
    return site.count("/apis/kubeflow.org/v1beta1/namespaces/" + site.space + '/' + plural);
}

}  // namespace

TEST_CASE("a cluster without Katib is one error, before anything is created") {
    const auto site = JobSite::make();
    if (!site || site->kube.api().get(experiment_crd).ok()) {
        return;
    }
    site->deployer = "experiment";
    const ShellResult ran = site->run(program(*site), searched);
    CAPTURE(ran.output);
    CHECK(ran.exit_code == 65);
    CHECK(has(ran, "install Katib"));
    CHECK(site->proxy.count("POST", "/apis/") == 0);
}

TEST_CASE("an Experiment: its trials are followed, the best is told, nothing is left") {
    const auto site = make_site();
    if (!site) {
        return;
    }
    const std::string name = "fairing-experiment-e1";
    ShellResult ran;
    {
        const Katib katib{*site,
                          name,
                          {{name + "-aaaa", {{"lr", "0.2"}, {"kind", "a"}}},
                           {name + "-bbbb", {{"lr", "0.7"}, {"kind", "b c"}}},
                           {name + "-cccc", {{"lr", "0.4"}, {"kind", "a"}}}}};
        ran = site->run(program(*site),
                        searched + std::string{"--run-id e1 --max-trials 3 --cleanup never"});
    }
    CAPTURE(ran.output);
    CHECK(ran.exit_code == 0);
    CHECK(has(ran, name + "-aaaa | told ['--lr=0.2', '--kind=a'] ['0.2', 'a']"));
    CHECK(has(ran, name + "-bbbb | told ['--lr=0.7', '--kind=b c'] ['0.7', 'b c']"));
    CHECK(has(ran, name + "-cccc | accuracy=0.40"));
    CHECK(has(ran,
              "the best of 3 trials is " + name + "-bbbb: accuracy=0.70 with --lr=0.7 --kind=b c"));
    CHECK_FALSE(has(ran, "collects no metrics"));

    // It is found again, by its run id, as one run.
    const ShellResult listed = command(*site, "list");
    CAPTURE(listed.output);
    CHECK(has(listed, name));
    CHECK_FALSE(has(listed, name + "-aaaa"));
    CHECK(has(command(*site, "status e1"), "succeeded"));
    const ShellResult log = command(*site, "logs e1 --pod " + name + "-cccc");
    CHECK_MESSAGE(has(log, "accuracy=0.40"), log.output);
    CHECK_FALSE(has(log, name + "-bbbb |"));
    const ShellResult waited = command(*site, "wait e1");
    CHECK_MESSAGE(waited.exit_code == 0, waited.output);
    CHECK(command(*site, "delete e1").exit_code == 0);
    CHECK(site->is_clean());
    CHECK(in_time([&] { return count(*site, "experiments") == 0 && count(*site, "trials") == 0; }));
}

TEST_CASE("an Experiment whose trials fail says why, and with the trial's code") {
    const auto site = make_site();
    if (!site) {
        return;
    }
    const std::string name = "fairing-experiment-e2";
    ShellResult ran;
    {
        const Katib katib{*site, name, {{name + "-aaaa", {{"lr", "0.2"}, {"kind", "broken"}}}}};
        ran = site->run(program(*site), searched + std::string{"--run-id e2 --max-failed-trials 0 "
                                                               "--cleanup when-done"});
    }
    CAPTURE(ran.output);
    CHECK(ran.exit_code == 3);
    CHECK(has(ran, "Experiment " + name +
                       " failed: Experiment has failed because max failed count has reached; "
                       "container trial of pod " +
                       name + "-aaaa"));
    CHECK(has(ran, "no trial of Experiment " + name + " has told the metric accuracy"));
    CHECK(site->is_clean());
    CHECK(in_time([&] { return count(*site, "experiments") == 0; }));
}

TEST_CASE("what Katib would refuse is refused before any request") {
    const auto site = make_site();
    if (!site) {
        return;
    }
    for (const std::string options :
         {"", "--objective loss --objective-type minimize",
          "--objective loss --objective-type minimize --search lr=double:1..0",
          "--objective loss --objective-type minimize --search lr=double:0..1 "
          "--algorithm grid",
          "--objective loss --objective-type minimize --search lr=double:0..1 --trial mpijob"}) {
        const ShellResult ran = site->run(program(*site), options);
        CAPTURE(options);
        CHECK_MESSAGE(ran.exit_code == 64, ran.output);
    }
    CHECK(site->proxy.seen().empty());
}

TEST_CASE("the server takes every option; a namespace without collectors is told") {
    const auto site = make_site();
    if (!site) {
        return;
    }
    REQUIRE(
        site->kube.api()
            .patch("/api/v1/namespaces/" + site->space,
                   {{"metadata",
                     {{"labels", {{"katib.kubeflow.org/metrics-collector-injection", nullptr}}}}}})
            .ok());
    for (const std::string trial : {"job", "tfjob --chief 1 --ps 1", "pytorchjob --workers 2"}) {
        const ShellResult ran = site->run(
            program(*site),
            searched +
                std::string{"--dry-run server --output json --goal 0.99 --additional-metrics "
                            "loss --algorithm tpe --algorithm-setting random_state=1 "
                            "--early-stopping medianstop --parallel-trials 2 --max-trials 4 "
                            "--max-failed-trials 1 --metrics-collector file --metrics-path "
                            "/tmp/m.log --resume-policy from-volume --no-retain-trials "
                            "--cpu 1 --volume pvc:data:/data --queue q --trial "} +
                trial);
        CAPTURE(ran.output);
        CHECK(ran.exit_code == 0);
        CHECK(has(ran, "\"goal\": 0.99"));
        CHECK(has(ran, "Katib collects no metrics in the namespace " + site->space));
        CHECK_FALSE(has(ran, "left out"));
    }
}
