#include "fairing/deployers/inference_service.hpp"

#include <doctest/doctest.h>

#include "../support/workspace.hpp"
#include "fairing/pods/cloud_credentials.hpp"

using namespace fairing;
using support::contains;
using support::error_of;

namespace {

const Image model_image{.reference = "r.example/team/m:1@sha256:" + std::string(64, '0'),
                        .command = {"python3", "/app/serve.py"}};

struct Rendered {
    Json service = {};
    std::string said = {};
};
Rendered rendered(InferenceServiceDeployer serving) {
    Rendered result;
    serving.kubernetes.run_id = "abc";
    result.service =
        serving
            .manifests(model_image,
                       {.log = [&](LogRecord record) { result.said += record.text + '\n'; }})
            .back();
    return result;
}
Json spec(const InferenceServiceDeployer& serving) { return rendered(serving).service["spec"]; }

}  // namespace

TEST_CASE("a framework's model for KServe, without the image") {
    const Rendered result = rendered({.kubernetes = {.labels = {{"team", "a"}},
                                                     .resources = {.cpu = 1},
                                                     .environment = {{"A", "b"}},
                                                     .volumes = {"pvc:data:/mnt"},
                                                     .service_account = "s3"},
                                      .framework = "sklearn",
                                      .storage_uri = "s3://m/houses",
                                      .runtime = "mine",
                                      .runtime_version = "1.0",
                                      .protocol = PredictProtocol::v2,
                                      .min_replicas = 0,
                                      .max_replicas = 3,
                                      .deployment_mode = "Knative"});
    CHECK(result.service == Json::parse(R"({"apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "fairing-kfserving-abc",
            "labels": {"fairing-deployer": "kfserving", "fairing-id": "abc", "team": "a"},
            "annotations": {"sidecar.istio.io/inject": "false", "fairing-protocol": "v2",
                "fairing-model": "fairing-kfserving-abc",
                "serving.kserve.io/deploymentMode": "Knative"}},
        "spec": {"predictor": {"serviceAccountName": "s3", "minReplicas": 0, "maxReplicas": 3,
            "volumes": [{"name": "fairing-volume-data",
                "persistentVolumeClaim": {"claimName": "data"}}],
            "model": {"modelFormat": {"name": "sklearn"}, "storageUri": "s3://m/houses",
                "runtime": "mine", "runtimeVersion": "1.0", "protocolVersion": "v2",
                "env": [{"name": "A", "value": "b"}],
                "resources": {"limits": {"cpu": "1"}},
                "volumeMounts": [{"name": "fairing-volume-data", "mountPath": "/mnt"}]}}}})"));
    CHECK(contains(result.said, "the image is not used"));
    // What the server of the framework speaks by itself.
    const auto protocol = [](const char* framework) {
        return rendered({.framework = framework, .storage_uri = "s3://m"})
            .service["metadata"]["annotations"]["fairing-protocol"];
    };
    CHECK(protocol("xgboost") == "v1");
    CHECK(protocol("triton") == "v2");
}

TEST_CASE("the image as a server of KServe") {
    const Rendered result = rendered({.storage_uri = "pvc://data/m",
                                      .runtime = "mine",
                                      .canary_traffic_percent = {},
                                      .serving_command = {"serve"},
                                      .port = 9000,
                                      .readiness_path = "/ready",
                                      .model_name = "houses"});
    CHECK(result.service["metadata"]["annotations"]["fairing-model"] == "houses");
    Json wanted = Json::parse(R"({"predictor": {"containers": [{"name": "kserve-container",
        "image": "IMAGE", "command": ["serve"], "workingDir": "/app/",
        "securityContext": {"runAsUser": 0},
        "ports": [{"containerPort": 9000, "protocol": "TCP"}],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 9000}},
        "env": [{"name": "FAIRING_RUNTIME", "value": "1"},
            {"name": "STORAGE_URI", "value": "pvc://data/m"}]}]}})");
    wanted["predictor"]["containers"][0]["image"] = model_image.reference;
    CHECK(result.service["spec"] == wanted);
    CHECK(result.said == "--runtime is left out: the image's own server is what it is\n");
    CHECK(contains(rendered({.storage_uri = "ftp://x"}).said, "ClusterStorageContainer"));
}

TEST_CASE("KFServing's v1alpha2, and what it has no place for") {
    const Rendered result = rendered({.kubernetes = {.name = "old",
                                                     .resources = {.cpu = 1},
                                                     .environment = {{"A", "b"}},
                                                     .node_selector = {{"disk", "ssd"}},
                                                     .service_account = "s"},
                                      .framework = "sklearn",
                                      .storage_uri = "gs://m",
                                      .runtime_version = "1",
                                      .min_replicas = 1,
                                      .deployment_mode = "Knative",
                                      .api = InferenceApi::v1alpha2});
    CHECK(result.service["apiVersion"] == "serving.kubeflow.org/v1alpha2");
    CHECK(result.service["spec"] == Json::parse(R"({"default": {"predictor": {
        "serviceAccountName": "s", "minReplicas": 1, "sklearn": {"storageUri": "gs://m",
        "runtimeVersion": "1", "resources": {"limits": {"cpu": "1"}}}}}})"));
    for (const char* part : {"no place for nodeSelector", "no place for env",
                             "--deployment-mode is left out: v1alpha2 has no place for it"}) {
        CHECK_MESSAGE(contains(result.said, part), result.said);
    }
    CHECK(
        spec({.api =
                  InferenceApi::v1alpha2})["default"]["predictor"]["custom"]["container"]["name"] ==
        "kserve-container");
    const Json canary = spec({.kubernetes = {.name = "old"},
                              .framework = "onnx",
                              .storage_uri = "gs://m",
                              .canary_traffic_percent = 10,
                              .api = InferenceApi::v1alpha2});
    CHECK(canary["canaryTrafficPercent"] == 10);
    CHECK(canary["canary"]["predictor"].contains("onnx"));
}

TEST_CASE("what KServe's webhook would refuse is refused here") {
    const auto said = [](const InferenceServiceDeployer& serving) {
        return error_of([&] { serving.check(); });
    };
    CHECK(said({}) == "");
    CHECK(said({.kubernetes = {.name = std::string(53, 'a')}}) == "");
    CHECK(contains(said({.kubernetes = {.name = std::string(54, 'a')}}), "64 characters"));
    CHECK(contains(said({.kubernetes = {.name = "1a"}}), "RFC 1035"));
    CHECK(contains(said({.min_replicas = 3, .max_replicas = 2}), "more than max_replicas"));
    CHECK(said({.min_replicas = 3, .max_replicas = 0}) == "");
    CHECK(contains(said({.min_replicas = -1}), "less than 0"));
    CHECK(contains(said({.deployment_mode = "Fast"}), "KServe has no such mode"));
    CHECK(contains(said({.framework = "sklearn", .protocol = PredictProtocol::seldon}),
                   "speak v1 and v2"));
    CHECK(contains(said({.framework = "sklearn", .serving_command = {"x"}}), "--framework"));
    CHECK(contains(said({.canary_traffic_percent = 10}), "name it with --name"));
    CHECK(contains(said({.kubernetes = {.name = "a"}, .canary_traffic_percent = 101}),
                   "more than 100"));
    CHECK(contains(said({.kubernetes = {.name = "a"},
                         .canary_traffic_percent = 1,
                         .deployment_mode = "Standard"}),
                   "only Knative"));
    const InferenceApi legacy = InferenceApi::v1alpha2;
    CHECK(contains(said({.framework = "lightgbm", .api = legacy}), "unknown name"));
    CHECK(contains(said({.framework = "sklearn", .api = legacy}), "--storage-uri"));
    CHECK(contains(said({.framework = "sklearn", .storage_uri = "hf://m", .api = legacy}),
                   "KFServing knows"));
}

TEST_CASE("what a canary needs beside it has names of its own") {
    const InferenceServiceDeployer serving{
        .kubernetes = {.name = "houses",
                       .pod_spec_mutators = {secret_environment("key", {{"A", Secret{"b"}}})}}};
    const auto names = [&](const std::string& beside) {
        const std::vector<Json> objects =
            detail::inference_objects(serving, model_image, {}, "abc", {.beside = beside});
        return kube::name_of(objects.front()) + ' ' + kube::name_of(objects.back());
    };
    CHECK(names("") == "houses-key houses");
    CHECK(names("houses-1") == "houses-1-key houses");
}
