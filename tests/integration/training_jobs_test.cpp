// Distributed training with `fairing run`, against a real API server with the real CRDs, and the
// real controllers and webhooks of Kubeflow's training operator and MPI operator: their pods are
// processes of the test kubelet. In this order: the last test takes the training operator's CRD of
// MPIJobs away.
#include <doctest/doctest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "../support/job_site.hpp"
#include "../support/operators.hpp"

using namespace fairing;
using support::has;
using support::in_time;
using support::JobSite;
using support::Operators;
using support::ShellResult;

namespace {

/// A namespace with the operators around it; null, with a message, where something is missing.
struct Site {
    std::unique_ptr<JobSite> jobs = {};
    Operators* operators = nullptr;

    explicit Site(const std::string& deployer) : jobs(JobSite::make()) {
        if (jobs) {
            jobs->deployer = deployer;
            operators = Operators::get(jobs->kube);
        }
    }
    explicit operator bool() const { return operators != nullptr; }

    /// Prints which rank it is, meets the others, and ends; a parameter server never does.
    [[nodiscard]] std::string ranks() const {
        return jobs->program(R"(import json, os, time
task = json.loads(os.environ.get('TF_CONFIG', '{}')).get('task', {})
names = ['RANK', 'PROCESS_ID', 'PADDLE_RANK', 'OMPI_COMM_WORLD_RANK']
rank = task.get('index') if task else next((os.environ[n] for n in names if n in os.environ), '?')
print('ran as rank', rank, task.get('type', ''), flush=True)
if task.get('type') == 'ps':
    time.sleep(3600)
folder = os.environ['MEET']
open(os.path.join(folder, str(os.getpid())), 'w').close()
while len(os.listdir(folder)) < int(os.environ['RANKS']):
    time.sleep(0.1)
time.sleep(2))");
    }
    /// The options with which `count` of them meet.
    [[nodiscard]] std::string meeting(int count) const {
        jobs->folder.folder("meet");
        return " --env MEET=" + (jobs->folder / "meet") + " --env RANKS=" + std::to_string(count);
    }
    [[nodiscard]] Json object(const std::string& plural, const std::string& name,
                              const std::string& version = "v1") const {
        return jobs->kube.api()
            .get("/apis/kubeflow.org/" + version + "/namespaces/" + jobs->space + '/' + plural +
                 '/' + name)
            .body;
    }
};

/// One kind, the options of a run of it, and its pods' labels.
struct Run {
    std::string deployer, options;
    int ranks;
    std::vector<std::string> pods;  ///< labels, or how they end
};

void check_run(const Site& site, const Run& run) {
    const ShellResult ran = site.jobs->run(
        site.ranks(), run.options + site.meeting(run.ranks) + " --cleanup when-done");
    CAPTURE(run.deployer);
    CAPTURE(ran.output);
    CHECK(ran.exit_code == 0);
    for (const std::string& pod : run.pods) {
        CHECK_MESSAGE(has(ran, pod + " | ran as rank"), pod);
    }
    CHECK(site.jobs->is_clean());
}

}  // namespace

TEST_CASE("an operator that is not installed is one error, before anything is created") {
    const Site site{"trainjob"};
    if (!site) {
        return;
    }
    const ShellResult ran = site.jobs->run(site.ranks(), site.meeting(1));
    CAPTURE(ran.output);
    CHECK(ran.exit_code == 65);
    CHECK(has(ran, "trainer.kubeflow.org/v1alpha1 TrainJob: the cluster does not know it"));
    CHECK(has(ran, "install"));
    CHECK(site.jobs->proxy.count("POST", "/apis/") == 0);
}

TEST_CASE("a profile is a namespace, and its pods run as default-editor") {
    const auto site = JobSite::make();
    if (!site) {
        return;
    }
    const std::string accounts = "/api/v1/namespaces/" + site->space + "/serviceaccounts";
    REQUIRE(site->kube.api().post(accounts, {{"metadata", {{"name", "default-editor"}}}}).ok());
    site->with_namespace = false;
    const ShellResult ran =
        site->play(R"({"say":"hello\n"})", "--cleanup never --run-id p1 --profile " + site->space);
    CAPTURE(ran.output);
    REQUIRE(ran.exit_code == 0);
    const Json pods = site->kube.api().get(site->pods()).body["items"];
    REQUIRE(pods.size() == 1);
    CHECK(pods[0]["spec"]["serviceAccountName"] == "default-editor");
    const ShellResult listed =
        support::run(*env("FAIRING_COMMAND") + " list --profile " + site->space + " --kubeconfig " +
                     (site->folder / "kubeconfig") + " 2>&1");
    CHECK_MESSAGE(has(listed, "fairing-job-p1"), listed.output);
}

TEST_CASE("every kind passes the real CRD's strict validation and the real webhooks") {
    const Site site{"tfjob"};
    if (!site) {
        return;
    }
    site.operators->start_training();
    const std::string common =
        "--dry-run server --output json --workers 3 --gpu 1 --cpu 2 --env A=b --label team=vision "
        "--node-selector disk=ssd --volume pvc:data:/data --service-account builder --queue q "
        "--restart-policy on-failure --clean-pod-policy all --backoff-limit 3 "
        "--active-deadline-seconds 600 --ttl-seconds-after-finished 60 --suspend "
        "--gang-min-available 2 --gang-queue g --gang-priority-class high "
        "--gang-timeout-seconds 30 ";
    for (const auto& [deployer, options] : std::vector<std::pair<std::string, std::string>>{
             {"tfjob",
              "--ps 2 --chief 1 --evaluators 1 --success-policy AllWorkers "
              "--enable-dynamic-worker"},
             {"pytorchjob", "--nproc-per-node 2"},
             {"pytorchjob", "--min-workers 1 --max-workers 4 --max-restarts 5 --rdzv-backend c10d"},
             {"xgboostjob", ""},
             {"paddlejob", "--master 1 --min-workers 1 --max-workers 4"},
             {"jaxjob", ""},
             {"mpijob", "--slots-per-worker 2"}}) {
        site.jobs->deployer = deployer;
        const ShellResult ran = site.jobs->run(site.ranks(), common + options);
        CAPTURE(deployer);
        CAPTURE(ran.output);
        CHECK(ran.exit_code == 0);
        CHECK_FALSE(has(ran, "left out"));
        CHECK(has(ran, "\"suspend\": true"));
    }
}

TEST_CASE("what the webhooks refuse is refused here, before any request") {
    const Site site{"tfjob"};
    if (!site) {
        return;
    }
    site.operators->start_training();
    // The real ones, as they see an object of ours that was spoilt.
    const auto rendered = [&](const std::string& deployer) {
        site.jobs->deployer = deployer;
        const ShellResult ran =
            support::run(site.jobs->command("render " + site.ranks(), "--output json --quiet"));
        REQUIRE(ran.exit_code == 0);
        return parse_json(ran.output, "render's output");
    };
    const auto answer = [&](const std::string& plural, const Json& object) {
        return site.jobs->kube.api().post(
            "/apis/kubeflow.org/v1/namespaces/" + site.jobs->space + '/' + plural + "?dryRun=All",
            object);
    };
    CHECK(answer("tfjobs", rendered("tfjob")).ok());
    Json chiefs = rendered("tfjob");
    chiefs["spec"]["tfReplicaSpecs"]["Worker"]["template"]["spec"]["containers"][0]["name"] = "x";
    CHECK(answer("tfjobs", chiefs).status == 403);
    Json masters = rendered("pytorchjob");
    masters["spec"]["pytorchReplicaSpecs"]["Master"]["replicas"] = 2;
    CHECK(answer("pytorchjobs", masters).status == 403);
    Json named = rendered("xgboostjob");
    named["metadata"]["name"] = "1st";
    CHECK(answer("xgboostjobs", named).status == 403);
    named["metadata"]["name"] = "first";
    named["spec"]["xgbReplicaSpecs"].erase("Master");
    CHECK(answer("xgboostjobs", named).status == 403);
    // Ours.
    for (const auto& [deployer, options] : std::vector<std::pair<std::string, std::string>>{
             {"pytorchjob", "--master 2"},
             {"pytorchjob", "--workers 2 --min-workers 3"},
             {"xgboostjob", "--master 0"},
             {"tfjob", "--chief 2"},
             {"tfjob", "--workers 0"},
             {"tfjob", "--name 1st"},
             {"jaxjob", "--name " + std::string(55, 'a')},
             {"mpijob", "--restart-policy always"},
             {"trainjob", "--env PET_NNODES=2"}}) {
        site.jobs->deployer = deployer;
        const ShellResult ran = site.jobs->run(site.ranks(), options);
        CAPTURE(options);
        CHECK_MESSAGE(ran.exit_code == 64, ran.output);
    }
    CHECK(site.jobs->proxy.seen().empty());
}

TEST_CASE("the training operator's kinds: all ranks are followed, nothing is left") {
    for (const Run& run :
         {Run{"tfjob",
              "--workers 2 --chief 1 --ps 1",
              3,
              {"chief-0", "worker-0", "worker-1", "ps-0"}},
          Run{"pytorchjob", "--workers 2", 3, {"master-0", "worker-0", "worker-1"}},
          Run{"pytorchjob",
              "--workers 2 --min-workers 1 --max-workers 3",
              2,
              {"worker-0", "worker-1"}},
          Run{"xgboostjob", "--workers 1", 2, {"master-0", "worker-0"}},
          Run{"paddlejob", "--workers 2", 2, {"worker-0", "worker-1"}},
          Run{"jaxjob", "--workers 2", 2, {"worker-0", "worker-1"}},
          Run{"mpijob",
              "--workers 2 --mpi-version v1 --launcher env "
              "--env OMPI_COMM_WORLD_RANK=0",
              1,
              {"-launcher"}}}) {
        const Site site{run.deployer};
        if (!site) {
            return;
        }
        site.operators->start_training();
        check_run(site, run);
    }
}

TEST_CASE("a TFJob whose worker 1 fails ends with that worker's code") {
    const Site site{"tfjob"};
    if (!site) {
        return;
    }
    site.operators->start_training();
    const ShellResult ran = site.jobs->run(site.jobs->program(R"(import json, os, sys, time
task = json.loads(os.environ['TF_CONFIG'])['task']
if task['index'] == 1:
    print('last words', flush=True)
    sys.exit(3)
time.sleep(3600))"),
                                           "--workers 2 --run-id f1");
    CAPTURE(ran.output);
    CHECK(ran.exit_code == 3);
    CHECK(has(ran, "worker-1 | last words"));
    CHECK(has(ran, "fairing-tfjob-f1-worker-1 exited with code 3"));
    // Fairing's own habit: it is left, and can be looked at.
    const ShellResult status =
        support::run(*env("FAIRING_COMMAND") + " status f1 --namespace " + site.jobs->space +
                     " --kubeconfig " + (site.jobs->folder / "kubeconfig") + " 2>&1");
    CHECK_MESSAGE(has(status, "failed"), status.output);
    CHECK(support::run(*env("FAIRING_COMMAND") + " delete f1 --namespace " + site.jobs->space +
                       " --kubeconfig " + (site.jobs->folder / "kubeconfig"))
              .exit_code == 0);
    CHECK(site.jobs->is_clean());
}

TEST_CASE("a PyTorchJob whose worker is preempted is followed over its restart") {
    const Site site{"pytorchjob"};
    if (!site) {
        return;
    }
    site.operators->start_training();
    site.jobs->folder.folder("marks");
    const std::string marks = site.jobs->folder / "marks";
    const std::string program = site.jobs->program(R"(import os, time
marks = os.environ['MARKS']
first, second = os.path.join(marks, 'first'), os.path.join(marks, 'second')
if os.environ['RANK'] == '0':
    while not os.path.exists(second):
        time.sleep(0.1)
elif os.path.exists(first):
    print('once more', flush=True)
else:
    print('a first time', flush=True)
    open(first, 'w').close()
    time.sleep(3600))");
    std::thread preemption{[&] {
        const std::string pod = site.jobs->pods() + "/fairing-pytorchjob-r1-worker-0";
        // What was not read before is lost with the pod.
        if (site.jobs->says("a first time")) {
            site.jobs->kube.api().remove(pod, {{"gracePeriodSeconds", 1}});
        }
        if (site.jobs->says("once more")) {
            site.jobs->folder.file("marks/second");
        }
    }};
    const ShellResult ran =
        site.jobs->run(program,
                       "--run-id r1 --restart-policy on-failure --cleanup when-done "
                       "--env MARKS=" +
                           marks);
    preemption.join();
    CAPTURE(ran.output);
    CHECK(ran.exit_code == 0);
    CHECK(has(ran, "worker-0 | a first time"));
    CHECK(has(ran, "worker-0 | once more"));
    CHECK(site.jobs->is_clean());
}

TEST_CASE("a TrainJob: patches as the installed CRD has them, nodes are followed to the end") {
    const Site site{"trainjob"};
    if (!site || !site.operators->install("trainer")) {
        return;
    }
    const std::string path =
        "/apis/trainer.kubeflow.org/v1alpha1/namespaces/" + site.jobs->space + "/trainjobs/";
    const std::string name = "fairing-trainjob-t1";
    // Trainer and JobSet: the nodes are an Indexed Job of theirs.
    std::thread trainer{[&] {
        const support::KubeApi& api = site.jobs->kube.api();
        Json trainjob;
        if (!in_time([&] {
                trainjob = api.get(path + name).body;
                return trainjob.contains("spec");
            })) {
            return;
        }
        const Json& spec = trainjob["spec"];
        Json patch = spec["runtimePatches"][0]["trainingRuntimeSpec"]["template"]["spec"]
                         ["replicatedJobs"][0]["template"]["spec"]["template"];
        patch["metadata"]["labels"]["jobset.sigs.k8s.io/jobset-name"] = name;
        patch["spec"]["restartPolicy"] = "Never";
        Json node{{"name", "node"}};
        for (const char* key : {"image", "command", "env"}) {
            node[key] = spec["trainer"][key];
        }
        patch["spec"]["containers"] = Json::array({node});
        const Json owner{{"apiVersion", trainjob["apiVersion"]},
                         {"kind", "TrainJob"},
                         {"name", name},
                         {"uid", trainjob["metadata"]["uid"]}};
        api.post(
            site.jobs->jobs(),
            {{"metadata", {{"name", name + "-node-0"}, {"ownerReferences", Json::array({owner})}}},
             {"spec",
              {{"completionMode", "Indexed"},
               {"completions", spec["trainer"]["numNodes"]},
               {"parallelism", spec["trainer"]["numNodes"]},
               {"template", patch}}}});
        in_time([&] {
            return api.get(site.jobs->jobs() + '/' + name + "-node-0")
                .body["status"]
                .contains("completionTime");
        });
        api.patch(
            path + name + "/status",
            {{"status",
              {{"conditions", Json::array({{{"type", "Complete"},
                                            {"status", "True"},
                                            {"reason", "JobsCompleted"},
                                            {"message", "jobset completed successfully"},
                                            {"lastTransitionTime", "2026-01-01T00:00:00Z"}}})}}}});
    }};
    const ShellResult ran = site.jobs->run(
        site.jobs->program("import os\nprint('node', os.environ['A'], flush=True)"),
        "--workers 2 --run-id t1 --env A=b --label team=vision --priority-class high");
    trainer.join();
    CAPTURE(ran.output);
    CHECK(ran.exit_code == 0);
    CHECK(has(ran, "worker-0 | node b"));
    CHECK(has(ran, "worker-1 | node b"));
    CHECK(has(ran, "can not express priorityClassName"));
}

TEST_CASE("one call renders every deployer, and says what that one can not express") {
    const Site site{"job"};
    if (!site) {
        return;
    }
    for (const auto& [deployer, kind, notes] :
         std::vector<std::tuple<std::string, std::string, std::vector<std::string>>>{
             {"job", "Job", {"--ps", "--slots-per-worker"}},
             {"tfjob", "TFJob", {"slots_per_worker"}},
             {"pytorchjob", "PyTorchJob", {"ps_count", "slots_per_worker"}},
             {"xgboostjob", "XGBoostJob", {"ps_count", "slots_per_worker"}},
             {"paddlejob", "PaddleJob", {"ps_count", "slots_per_worker"}},
             {"jaxjob", "JAXJob", {"ps_count", "slots_per_worker"}},
             {"mpijob", "MPIJob", {"ps_count"}},
             {"trainjob", "TrainJob", {"--ps", "--slots-per-worker"}},
             {"local", "ociVersion", {"--ps", "--workers", "--slots-per-worker"}}}) {
        site.jobs->deployer = deployer;
        site.jobs->with_namespace = deployer != "local";
        const ShellResult ran = support::run(
            site.jobs->command("render " + site.ranks(),
                               "--workers 2 --ps 1 --slots-per-worker 2 --output json 2>&1"));
        CAPTURE(deployer);
        CAPTURE(ran.output);
        CHECK(ran.exit_code == 0);
        CHECK(has(ran, kind));
        for (const std::string& note : notes) {
            CHECK_MESSAGE(has(ran, note + ": it is left out"), note);
        }
    }
}

TEST_CASE("an MPIJob v2beta1: the launcher's Job is followed, and its code is the run's") {
    const Site site{"mpijob"};
    if (!site) {
        return;
    }
    site.operators->start_mpi();
    const ShellResult checked =
        site.jobs->run(site.ranks(),
                       "--dry-run server --output json --workers 3 --slots-per-worker 2 --gpu 1 "
                       "--mpi-implementation MPICH --run-launcher-as-worker --queue q "
                       "--restart-policy on-failure --backoff-limit 2 --gang-min-available 2");
    CAPTURE(checked.output);
    CHECK(checked.exit_code == 0);
    CHECK(has(checked, "kubeflow.org/v2beta1"));
    CHECK(has(checked, "\"-n\""));
    // The launcher's pod is its Job's, with a name that this draws.
    check_run(site, {"mpijob", "--workers 2 --launcher env --env OMPI_COMM_WORLD_RANK=0", 1, {""}});
    const ShellResult failed =
        site.jobs->run(site.jobs->program("import sys\nsys.exit(5)"), "--workers 1 --launcher env");
    CHECK_MESSAGE(failed.exit_code == 5, failed.output);
}
