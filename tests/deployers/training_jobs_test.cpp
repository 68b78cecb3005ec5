#include "fairing/deployers/training_jobs.hpp"

#include <doctest/doctest.h>

#include "../support/workspace.hpp"
#include "fairing/core/json_text.hpp"

using namespace fairing;
using support::contains;
using support::error_of;

namespace {

const Image sample_image{.reference = "r.example/team/job:1@sha256:" + std::string(64, '0'),
                         .command = {"python3", "/app/train.py"},
                         .environment = {{"MODE", "a b"}}};
const KubernetesOptions abc{.namespace_ = "ml", .run_id = "abc"};

/// The object that a deployer makes, and what it said.
template <class Stage>
Json made(const Stage& deployer, std::vector<std::string>* said = nullptr) {
    const Session session{.log = [said](LogRecord record) {
        if (said != nullptr) {
            said->push_back(record.text);
        }
    }};
    return deployer.manifests(sample_image, session).back();
}

Json container_of(const Json& job, const char* replicas, const char* role) {
    return job["spec"][replicas][role]["template"]["spec"]["containers"][0];
}

}  // namespace

TEST_CASE("a TFJob is Fairing's: roles, container, labels, no GPUs for parameter servers") {
    KubernetesOptions options = abc;
    options.resources = {.cpu = 2, .gpu = 1};
    const Json job = made(
        TFJobDeployer{.kubernetes = options, .worker_count = 2, .ps_count = 1, .chief_count = 1});
    CHECK(job["apiVersion"] == "kubeflow.org/v1");
    CHECK(job["kind"] == "TFJob");
    CHECK(job["metadata"]["name"] == "fairing-tfjob-abc");
    CHECK(job["metadata"]["labels"]["fairing-deployer"] == "tfjob");
    const Json& roles = job["spec"]["tfReplicaSpecs"];
    CHECK(roles.size() == 3);
    CHECK(roles["Worker"]["replicas"] == 2);
    CHECK(roles["Worker"]["restartPolicy"] == "Never");
    CHECK_FALSE(roles["Worker"]["template"]["spec"].contains("restartPolicy"));
    CHECK(roles["Chief"]["template"]["metadata"]["labels"]["fairing-id"] == "abc");
    const Json worker = container_of(job, "tfReplicaSpecs", "Worker");
    CHECK(worker["name"] == "tensorflow");
    CHECK(worker["resources"]["limits"] == Json{{"cpu", "2"}, {"nvidia.com/gpu", "1"}});
    CHECK(container_of(job, "tfReplicaSpecs", "PS")["resources"]["limits"] == Json{{"cpu", "2"}});
    CHECK(job["spec"]["runPolicy"] == Json{{"cleanPodPolicy", "Running"}});
    options.resources = {.gpu = 1};
    CHECK_FALSE(container_of(made(TFJobDeployer{.kubernetes = options, .ps_count = 1}),
                             "tfReplicaSpecs", "PS")
                    .contains("resources"));
}

TEST_CASE("the kinds differ in data: fields, roles, containers") {
    const auto check = [](const Json& job, const char* kind, const char* replicas,
                          const char* container, const std::vector<std::string>& roles) {
        CAPTURE(kind);
        CHECK(job["kind"] == kind);
        std::vector<std::string> names;
        for (const auto& [role, spec] : job["spec"][replicas].items()) {
            names.push_back(role);
            CHECK(container_of(job, replicas, role.c_str())["name"] == container);
        }
        CHECK(names == roles);
    };
    check(made(PyTorchJobDeployer{.kubernetes = abc, .worker_count = 3}), "PyTorchJob",
          "pytorchReplicaSpecs", "pytorch", {"Master", "Worker"});
    check(made(XGBoostJobDeployer{.kubernetes = abc}), "XGBoostJob", "xgbReplicaSpecs", "xgboost",
          {"Master", "Worker"});
    check(made(PaddleJobDeployer{.kubernetes = abc}), "PaddleJob", "paddleReplicaSpecs", "paddle",
          {"Worker"});
    check(made(JAXJobDeployer{.kubernetes = abc}), "JAXJob", "jaxReplicaSpecs", "jax", {"Worker"});
    check(made(MPIJobDeployer{.kubernetes = abc}), "MPIJob", "mpiReplicaSpecs", "mpi",
          {"Launcher", "Worker"});
}

TEST_CASE("a policy, and what only one kind has, are where its schema has them") {
    const Json job = made(PyTorchJobDeployer{.kubernetes = abc,
                                             .master_count = 0,
                                             .worker_count = 2,
                                             .policy = {.restart_policy = RestartPolicy::exit_code,
                                                        .clean_pod_policy = CleanPodPolicy::none,
                                                        .backoff_limit = 3,
                                                        .suspend = true,
                                                        .gang_min_available = 2,
                                                        .gang_queue = "q"},
                                             .nproc_per_node = "2",
                                             .min_workers = 1,
                                             .max_workers = 4,
                                             .rdzv_backend = "c10d"});
    const Json wanted = Json::parse(R"({"cleanPodPolicy": "None", "backoffLimit": 3,
        "suspend": true, "schedulingPolicy": {"minAvailable": 2, "queue": "q"}})");
    CHECK(job["spec"]["runPolicy"] == wanted);
    CHECK(job["spec"]["nprocPerNode"] == "2");
    CHECK(job["spec"]["elasticPolicy"] ==
          Json{{"minReplicas", 1}, {"maxReplicas", 4}, {"rdzvBackend", "c10d"}});
    CHECK(job["spec"]["pytorchReplicaSpecs"]["Worker"]["restartPolicy"] == "ExitCode");
    KubernetesOptions always = abc;
    always.cleanup = Cleanup::always;
    CHECK(made(JAXJobDeployer{.kubernetes =
                                  always})["spec"]["runPolicy"]["ttlSecondsAfterFinished"] == 300);
}

TEST_CASE("an MPIJob starts the program on its workers, and tells it what sshd does not") {
    KubernetesOptions options = abc;
    options.resources = {.gpu = 1};
    const MPIJobDeployer deployer{.kubernetes = options, .worker_count = 3, .slots_per_worker = 2};
    const Json job = made(deployer);
    CHECK(job["apiVersion"] == "kubeflow.org/v2beta1");
    const Json launcher = container_of(job, "mpiReplicaSpecs", "Launcher");
    CHECK(launcher["command"] == Json{"mpirun", "-n", "6", "env", "FAIRING_RUNTIME=1", "MODE=a b",
                                      "python3", "/app/train.py"});
    CHECK_FALSE(launcher.contains("resources"));
    const Json worker = container_of(job, "mpiReplicaSpecs", "Worker");
    CHECK_FALSE(worker.contains("command"));
    CHECK(worker["resources"]["limits"]["nvidia.com/gpu"] == "1");
    CHECK(job["spec"]["slotsPerWorker"] == 2);
    const Json old = made(MPIJobDeployer{
        .kubernetes = abc, .launcher = {"horovodrun", "-np", "2"}, .mpi_version = "v1"});
    CHECK(old["apiVersion"] == "kubeflow.org/v1");
    CHECK(container_of(old, "mpiReplicaSpecs", "Launcher")["command"][0] == "horovodrun");
}

TEST_CASE("what a kind has not is said, and left out") {
    std::vector<std::string> said;
    const Json job = made(TrainingJobDeployer{.kind = training_kind("jaxjob"),
                                              .kubernetes = abc,
                                              .worker_count = 2,
                                              .ps_count = 1,
                                              .success_policy = "AllWorkers"},
                          &said);
    CHECK(said == std::vector<std::string>{"a JAXJob has no success_policy: it is left out",
                                           "a JAXJob has no ps_count: it is left out"});
    CHECK_FALSE(job["spec"].contains("successPolicy"));
    said.clear();
    static_cast<void>(made(MPIJobDeployer{.kubernetes = abc,
                                          .mpi_version = "v1",
                                          .mpi_implementation = "Intel",
                                          .run_launcher_as_worker = true},
                           &said));
    CHECK(said.size() == 2);
    said.clear();
    static_cast<void>(made(TFJobDeployer{.kubernetes = abc, .ps_count = 1}, &said));
    CHECK(said.empty());
}

TEST_CASE("what a webhook would refuse is refused here") {
    const auto refused = [](const auto& deployer) { return error_of([&] { deployer.check(); }); };
    CHECK(contains(refused(TFJobDeployer{.chief_count = 2}), "a TFJob takes 0 to 1"));
    CHECK(contains(refused(TFJobDeployer{.worker_count = 0}), "it would run nothing"));
    CHECK(contains(refused(PyTorchJobDeployer{.master_count = 2}), "takes 0 to 1"));
    CHECK(contains(refused(JAXJobDeployer{.worker_count = 0}), "takes 1 or more"));
    CHECK(contains(refused(PyTorchJobDeployer{.worker_count = 2, .min_workers = 3}), "not within"));
    CHECK(contains(refused(PyTorchJobDeployer{.nproc_per_node = "many"}), "unknown name"));
    CHECK(contains(refused(MPIJobDeployer{.policy = {.restart_policy = RestartPolicy::always}}),
                   "takes never or on-failure"));
    CHECK(contains(refused(TFJobDeployer{.kubernetes = {.name = "1st"}}),
                   "does not begin with a letter"));
    CHECK(contains(refused(TFJobDeployer{.kubernetes = {.name = std::string(55, 'a')}}),
                   "63 are allowed"));
    CHECK(contains(refused(TFJobDeployer{.policy = {.backoff_limit = -1}}), "less than 0"));
    CHECK(contains(refused(TFJobDeployer{.kubernetes = {.namespace_ = "a", .profile = "b"}}),
                   "use profile b"));
    CHECK_NOTHROW(TFJobDeployer{.kubernetes = {.profile = "b"}}.check());
    // A container of another name, which only the pods show.
    const TFJobDeployer renamed{
        .kubernetes = {.pod_spec_mutators = {[](PodSpec& pod, PodContext& /*context*/) {
                           pod.container()["name"] = "mine";
                       }}}};
    CHECK(contains(error_of([&] { static_cast<void>(made(renamed)); }),
                   "wants a container named tensorflow"));
}

TEST_CASE("a profile is a namespace with its service account") {
    const Json job = made(JAXJobDeployer{.kubernetes = {.run_id = "abc", .profile = "anna"}});
    CHECK(job["metadata"]["namespace"] == "anna");
    CHECK(job["spec"]["jaxReplicaSpecs"]["Worker"]["template"]["spec"]["serviceAccountName"] ==
          "default-editor");
}

TEST_CASE("a stored job is a subject: how many pods, and whether they are tried again") {
    Json job = made(TFJobDeployer{.kubernetes = abc,
                                  .worker_count = 2,
                                  .ps_count = 1,
                                  .policy = {.restart_policy = RestartPolicy::on_failure}});
    job["metadata"]["uid"] = "u1";
    const kubernetes::Subject subject = training_subject(job);
    CHECK(subject.expected_pods == 3);
    CHECK(subject.tries_again);
    CHECK(subject.run_id == "abc");
    CHECK_FALSE(subject.owns({{"metadata", {{"creationTimestamp", "2026-01-01T00:00:00Z"}}}}));
    // The launcher of an MPIJob is a Job's pod.
    Json mpi = made(MPIJobDeployer{.kubernetes = abc});
    mpi["metadata"]["uid"] = "u2";
    mpi["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z";
    CHECK(training_subject(mpi).owns(
        {{"metadata", {{"creationTimestamp", "2026-01-01T00:00:00Z"}}}}));
    CHECK_FALSE(training_subject(mpi).owns(
        {{"metadata", {{"creationTimestamp", "2025-12-31T23:59:59Z"}}}}));
    CHECK_FALSE(training_subject(mpi).tries_again);
}

TEST_CASE("conditions tell the state of every operator's jobs") {
    const auto with = [](const char* type, const char* message) {
        return Json{
            {"kind", "TFJob"},
            {"metadata", {{"name", "j"}}},
            {"status",
             {{"conditions",
               Json::array({{{"type", type}, {"status", "True"}, {"message", message}}})}}}};
    };
    const Json pod = Json::parse(R"({"metadata": {"name": "j-worker-0"},
                                     "status": {"phase": "Running"}})");
    CHECK(kube::diagnose_job(with("Succeeded", ""), {}).phase == kube::Phase::succeeded);
    CHECK(kube::diagnose_job(with("Running", ""), {}).phase == kube::Phase::running);
    const auto failed = kube::diagnose_job(with("Failed", "no quota"), {});
    CHECK(failed.phase == kube::Phase::failed);
    CHECK(failed.reason == "TFJob j failed: no quota");
    const auto late = kube::diagnose_job(
        with("Failed", "Job j has failed because it was active longer than specified deadline"),
        {});
    CHECK(late.cause == kube::Cause::deadline_exceeded);
    const auto again = kube::diagnose_job(with("Restarting", "worker failed"), {pod});
    CHECK(again.phase == kube::Phase::running);
    CHECK(again.cause == kube::Cause::restarting);
    Json suspended = with("Created", "");
    suspended["spec"]["runPolicy"]["suspend"] = true;
    CHECK(kube::diagnose_job(suspended, {}).cause == kube::Cause::suspended);
    const Json event = Json::parse(R"({"reason": "FailedCreatePod", "message": "no account",
                                       "lastTimestamp": "2026-01-01T00:00:00Z"})");
    CHECK(kube::diagnose_job(with("Created", ""), {}, {event}).cause == kube::Cause::refused);
}
