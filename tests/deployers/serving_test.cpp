#include "fairing/deployers/serving.hpp"

#include <doctest/doctest.h>

#include "../support/openapi.hpp"
#include "../support/workspace.hpp"

using namespace fairing;
using support::contains;
using support::error_of;

namespace {

const Image served_image{.reference = "r.example/team/m:1@sha256:" + std::string(64, '0'),
                         .command = {"python3", "/app/serve.py"}};

}  // namespace

TEST_CASE("Fairing's Seldon server: a Service, and a Deployment that comes last") {
    const ServingDeployer serving{
        .kubernetes = {.namespace_ = "ml", .labels = {{"team", "vision"}}, .run_id = "abc"},
        .serving_class = "HousingServe"};
    const std::vector<Json> objects = serving.manifests(served_image, {});
    REQUIRE(objects.size() == 2);
    CHECK(objects[0] == Json::parse(R"({"apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "fairing-service-abc", "namespace": "ml", "annotations": {},
            "labels": {"fairing-deployer": "serving", "fairing-id": "abc", "team": "vision"}},
        "spec": {"type": "ClusterIP",
            "selector": {"fairing-deployer": "serving", "fairing-id": "abc"},
            "ports": [{"name": "http", "port": 5000, "targetPort": 5000}]}})"));
    Json wanted = Json::parse(R"({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "fairing-deployer-abc", "namespace": "ml",
            "labels": {"fairing-deployer": "serving", "fairing-id": "abc", "team": "vision"},
            "annotations": {"sidecar.istio.io/inject": "false", "fairing-protocol": "seldon",
                "fairing-model": "model"}},
        "spec": {"replicas": 1, "progressDeadlineSeconds": 600,
            "selector": {"matchLabels": {"fairing-deployer": "serving", "fairing-id": "abc"}},
            "template": {
                "metadata": {"labels": {"fairing-deployer": "serving", "fairing-id": "abc",
                    "team": "vision"}, "annotations": {"sidecar.istio.io/inject": "false"}},
                "spec": {"restartPolicy": "Always", "containers": [{
                    "name": "model", "image": "IMAGE", "workingDir": "/app/",
                    "command": ["seldon-core-microservice", "HousingServe", "REST",
                        "--service-type=MODEL", "--persistence=0"],
                    "ports": [{"name": "http", "containerPort": 5000}],
                    "securityContext": {"runAsUser": 0},
                    "env": [{"name": "FAIRING_RUNTIME", "value": "1"},
                        {"name": "PREDICTIVE_UNIT_SERVICE_PORT", "value": "5000"},
                        {"name": "PREDICTIVE_UNIT_HTTP_SERVICE_PORT", "value": "5000"},
                        {"name": "PREDICTIVE_UNIT_GRPC_SERVICE_PORT", "value": "5001"}],
                    "startupProbe": {"tcpSocket": {"port": 5000}, "periodSeconds": 5,
                        "timeoutSeconds": 5, "failureThreshold": 120},
                    "readinessProbe": {"tcpSocket": {"port": 5000}, "periodSeconds": 5,
                        "timeoutSeconds": 5, "failureThreshold": 3},
                    "livenessProbe": {"tcpSocket": {"port": 5000}, "periodSeconds": 5,
                        "timeoutSeconds": 5, "failureThreshold": 3}}]}}}})");
    wanted["spec"]["template"]["spec"]["containers"][0]["image"] = served_image.reference;
    CHECK(objects[1] == wanted);
    CHECK(serving.manifests(served_image, {})[1].dump() == objects[1].dump());
    if (const auto schema = support::OpenApi::find()) {
        for (const Json& object : objects) {
            CHECK(schema->findings(object).empty());
        }
    }
}

TEST_CASE("every option of an endpoint has its place") {
    std::vector<std::string> said;
    const ServingDeployer serving{
        .kubernetes = {.name = "houses",
                       .pod_spec_mutators = {[](PodSpec& pod, PodContext&) {
                           pod.container()["livenessProbe"]["failureThreshold"] = 9;
                       }},
                       .cleanup = Cleanup::always,
                       .run_id = "abc",
                       .environment = {{"PREDICTIVE_UNIT_HTTP_SERVICE_PORT", "1"}}},
        .serving_class = "Unused",
        .service_type = ServiceType::load_balancer,
        .serving_command = {"serve", "--port", "80"},
        .replicas = 3,
        .port = 80,
        .readiness_path = "/v2/health/ready",
        .liveness_path = "/v2/health/live",
        .probe_period = 7,
        .progress_deadline = 50,
        .protocol = PredictProtocol::v2,
        .model_name = "m"};
    const auto objects = serving.manifests(
        served_image, {.log = [&said](LogRecord record) { said.push_back(record.text); }});
    CHECK(objects[0]["metadata"]["name"] == "houses");
    CHECK(objects[0]["spec"]["type"] == "LoadBalancer");
    CHECK(objects[1]["metadata"]["name"] == "houses");
    CHECK(objects[1]["metadata"]["annotations"]["fairing-protocol"] == "v2");
    CHECK(objects[1]["metadata"]["annotations"]["fairing-model"] == "m");
    const Json& container = objects[1]["spec"]["template"]["spec"]["containers"][0];
    CHECK(container["command"] == Json({"serve", "--port", "80"}));
    CHECK(container["readinessProbe"]["httpGet"]["path"] == "/v2/health/ready");
    CHECK(container["startupProbe"]["failureThreshold"] == 8);
    CHECK(container["livenessProbe"]["httpGet"]["path"] == "/v2/health/live");
    CHECK(container["livenessProbe"]["failureThreshold"] == 9);  // the caller comes last
    REQUIRE(said.size() == 1);
    CHECK(contains(said[0], "an endpoint has no end of its own"));
    const Json own = ServingDeployer{}.manifests(served_image, {})[1];
    CHECK(own["spec"]["template"]["spec"]["containers"][0]["command"] ==
          Json({"python3", "/app/serve.py"}));
    const ServingDeployer seldon{.kubernetes = serving.kubernetes, .serving_class = "A"};
    CHECK(seldon.manifests(served_image, {})[1]["spec"]["template"]["spec"]["containers"][0]["env"]
              .dump()
              .find(R"({"name":"PREDICTIVE_UNIT_HTTP_SERVICE_PORT","value":"1"})") !=
          std::string::npos);
}

TEST_CASE("what Kubernetes would refuse is refused here") {
    const auto said = [](const ServingDeployer& serving) {
        return error_of([&] { serving.check(); });
    };
    CHECK(said({}) == "");
    CHECK(contains(said({.kubernetes = {.name = "0a"}}), "RFC 1035"));
    CHECK(contains(said({.kubernetes = {.run_id = std::string(48, 'a')}}), "65 characters"));
    CHECK(contains(said({.replicas = 0}), "cannot use replicas 0: it is less than 1"));
    CHECK(contains(said({.port = 65535}), "it is more than 65534"));
    CHECK(contains(said({.probe_period = 0}), "probe_period"));
    CHECK(contains(said({.probe_period = 9, .progress_deadline = 8}), "progress_deadline"));
    CHECK(contains(said({.liveness_path = "x"}), "a path begins with '/'"));
}
