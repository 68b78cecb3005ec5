#include "fairing/deployers/trainjob.hpp"

#include <doctest/doctest.h>

#include "../support/workspace.hpp"

using namespace fairing;
using support::contains;
using support::error_of;

namespace {

const Image sample_image{.reference = "r.example/team/job:1@sha256:" + std::string(64, '0'),
                         .command = {"python3", "/app/train.py"}};

/// The spec that a deployer makes, and what it said.
Json spec_of(const TrainJobDeployer& deployer, std::vector<std::string>& said) {
    const Session session{.log = [&said](LogRecord record) { said.push_back(record.text); }};
    const Json job = deployer.manifests(sample_image, session).back();
    CHECK(job["apiVersion"] == "trainer.kubeflow.org/v1alpha1");
    CHECK(job["kind"] == "TrainJob");
    return job["spec"];
}

TrainJobDeployer sample(std::string patches = {}) {
    return {.kubernetes = {.labels = {{"team", "vision"}},
                           .run_id = "abc",
                           .resources = {.cpu = 2},
                           .environment = {{"A", "b"}},
                           .volumes = {Volume{"pvc:data:/data"}},
                           .node_selector = {{"disk", "ssd"}},
                           .service_account = "builder",
                           .image_pull_secrets = {"pull"},
                           .priority_class = "high"},
            .nodes = 3,
            .patches = std::move(patches)};
}

}  // namespace

TEST_CASE("a TrainJob: the trainer's own fields, and the newest patches offline") {
    std::vector<std::string> said;
    const Json spec = spec_of(sample(), said);
    CHECK(spec["runtimeRef"]["name"] == "torch-distributed");
    CHECK(spec["runtimeRef"]["kind"] == "ClusterTrainingRuntime");
    const Json& trainer = spec["trainer"];
    CHECK(trainer["image"] == sample_image.reference);
    CHECK(trainer["command"] == Json{"python3", "/app/train.py"});
    CHECK(trainer["numNodes"] == 3);
    CHECK(trainer["resourcesPerNode"]["limits"]["cpu"] == "2");
    CHECK(trainer["env"].back() == Json{{"name", "A"}, {"value", "b"}});
    const Json& job =
        spec["runtimePatches"][0]["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"][0];
    CHECK(job["name"] == "node");
    const Json& pods = job["template"]["spec"]["template"];
    CHECK(pods["metadata"]["labels"]["team"] == "vision");
    CHECK(pods["spec"]["nodeSelector"]["disk"] == "ssd");
    CHECK(pods["spec"]["serviceAccountName"] == "builder");
    CHECK(pods["spec"]["imagePullSecrets"][0]["name"] == "pull");
    CHECK(pods["spec"]["containers"][0]["volumeMounts"][0]["mountPath"] == "/data");
    CHECK(said == std::vector<std::string>{"a TrainJob with runtimePatches can not express "
                                           "priorityClassName of its pods: it is left out"});
}

TEST_CASE("the older forms of the patches, and what they can not express") {
    std::vector<std::string> said;
    const Json middle = spec_of(sample("podTemplateOverrides"), said)["podTemplateOverrides"][0];
    CHECK(middle["targetJobs"][0]["name"] == "node");
    CHECK(middle["metadata"]["labels"]["team"] == "vision");
    CHECK(middle["spec"]["nodeSelector"]["disk"] == "ssd");
    CHECK(said.size() == 1);
    said.clear();
    const Json old = spec_of(sample("podSpecOverrides"), said)["podSpecOverrides"][0];
    CHECK(old["targetJobs"][0]["name"] == "node");
    CHECK(old["nodeSelector"]["disk"] == "ssd");
    CHECK(said.size() == 3);  // the priority class, the secret and the label
}

TEST_CASE("the form is the one that the cluster's schema names") {
    const auto chosen = [](const char* schema) {
        return std::string{detail::patch_form({}, Json::parse(schema)).field};
    };
    CHECK(chosen(R"({"podSpecOverrides": {}})") == "podSpecOverrides");
    CHECK(chosen(R"({"podTemplateOverrides": {}, "trainer": {}})") == "podTemplateOverrides");
    CHECK(chosen("{}") == "runtimePatches");
    CHECK(chosen("null") == "runtimePatches");
}

TEST_CASE("what Trainer would refuse is refused here") {
    const auto refused = [](const TrainJobDeployer& deployer) {
        return error_of([&] { deployer.check(); });
    };
    CHECK(contains(refused({.nodes = 0}), "less than 1"));
    CHECK(contains(refused({.kubernetes = {.name = "1st"}}), "begin with a letter"));
    CHECK(contains(refused({.kubernetes = {.name = std::string(60, 'a')}}), "63 are allowed"));
    CHECK(contains(refused({.kubernetes = {.environment = {{"PET_NNODES", "2"}}}}),
                   "a TrainJob sets it itself"));
    CHECK(contains(refused({.runtime_kind = "Runtime"}), "unknown name"));
    CHECK(contains(refused({.patches = "overrides"}), "unknown name"));
    CHECK(contains(refused({.runtime = "Torch"}), "not a name that Kubernetes takes"));
}

TEST_CASE("a stored TrainJob is a subject whose pods a JobSet makes") {
    const kubernetes::Subject subject = trainjob_subject(Json::parse(R"({
        "apiVersion": "trainer.kubeflow.org/v1alpha1", "kind": "TrainJob",
        "metadata": {"name": "t", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"trainer": {"numNodes": 2}}})"));
    CHECK(subject.expected_pods == 2);
    CHECK(subject.pod_selector() == "jobset.sigs.k8s.io/jobset-name=t");
    CHECK(subject.owns({{"metadata", {{"creationTimestamp", "2026-01-01T00:00:01Z"}}}}));
}
