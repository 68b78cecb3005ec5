#include "fairing/deployers/pipeline.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <span>

#include "../support/workspace.hpp"

using namespace fairing;
using support::contains;
using support::error_of;

namespace {

const Image sample_image{.reference = "r.example/team/job:1@sha256:" + std::string(64, '0'),
                         .command = {"python3", "/app/train.py"}};

/// Kubeflow Pipelines in memory, at an endpoint or behind the API server of a cluster.
struct PipelinesService {
    static constexpr const char* proxy =
        "https://k.example/api/v1/namespaces/kubeflow/services/ml-pipeline%3Ahttp/proxy";

    std::vector<std::string> states = {"PENDING", "RUNNING", "SUCCEEDED"};
    std::map<std::string, Json> runs = {}, experiments = {};
    std::vector<net::Request> requests = {};
    std::vector<std::string> asked = {};
    std::function<std::optional<net::Response>(const std::string& request)> fault = {};
    std::vector<std::string> said = {};
    support::Workspace place = {};

    [[nodiscard]] Session session() {
        return {.log = [this](const LogRecord& record) { said.push_back(record.text); },
                .transport = std::ref(*this)};
    }
    /// Asked at its endpoint.
    [[nodiscard]] PipelineDeployer deployer() const {
        PipelineDeployer made = in_cluster();
        made.pipelines.endpoint = "https://p.example/pipeline";
        return made;
    }
    [[nodiscard]] PipelineDeployer in_cluster() const {
        place.file("kubeconfig", R"({"current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": "https://k.example"}}],
            "contexts": [{"name": "c", "context": {"cluster": "c"}}]})");
        return {.kubernetes = {.config_file = place / "kubeconfig", .run_id = "abc"},
                .pipelines = {.poll_milliseconds = 1}};
    }
    [[nodiscard]] std::size_t count(const std::string& begin) const {
        return static_cast<std::size_t>(
            std::count_if(asked.begin(), asked.end(),
                          [&](const std::string& each) { return each.starts_with(begin); }));
    }

    net::Response send(const net::Request& request, const net::BodySink& sink,
                       std::stop_token /*stop*/) {
        requests.push_back(request);
        net::Response response = answer(request);
        if (sink && response.status == 200) {
            sink(std::as_bytes(std::span{response.body}));
            response.body.clear();
        }
        return response;
    }

private:
    [[nodiscard]] net::Response answer(const net::Request& request) {
        for (const std::string& root :
             {std::string{proxy}, std::string{"https://p.example/pipeline"}}) {
            if (!request.url.starts_with(root + "/apis/v2beta1/")) {
                continue;
            }
            const std::string call = request.method + ' ' + request.url.substr(root.size() + 14);
            asked.push_back(call);
            if (fault) {
                if (auto given = fault(call)) {
                    return *given;
                }
            }
            std::string body;
            if (request.body.write) {
                request.body.write([&body](std::span<const std::byte> bytes) {
                    body.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
                });
            }
            return answer(call, body.empty() ? Json() : Json::parse(body));
        }
        if (contains(request.url, "/pods?")) {
            return {.status = 200, .body = R"({"kind": "PodList", "apiVersion": "v1",
                "metadata": {"resourceVersion": "1"}, "items": []})"};
        }
        return {.status = 200, .body = R"({"kind": "APIResourceList",
            "groupVersion": "v1", "resources": [
            {"name": "services", "kind": "Service", "namespaced": true},
            {"name": "pods", "kind": "Pod", "namespaced": true}]})"};
    }
    [[nodiscard]] net::Response answer(const std::string& call, Json body) {
        const auto list = [&](const char* key, const std::map<std::string, Json>& all) {
            Json found = Json::array();
            for (const auto& [id, each] : all) {
                if (!contains(call, "filter=") ||
                    contains(call, net::percent_encode(
                                       '"' + each["display_name"].get<std::string>() + '"'))) {
                    found.push_back(each);
                }
            }
            return net::Response{.status = 200, .body = Json{{key, found}}.dump()};
        };
        const auto make = [&](const char* key, std::map<std::string, Json>& all) {
            const std::string id = "id-" + std::to_string(all.size() + 1);
            body[key] = id;
            all[id] = body;
            return net::Response{.status = 200, .body = body.dump()};
        };
        if (call == "POST runs") {
            return make("run_id", runs);
        }
        if (call == "POST experiments") {
            return make("experiment_id", experiments);
        }
        if (call.starts_with("GET experiments")) {
            return list("experiments", experiments);
        }
        if (call.starts_with("GET runs?")) {
            return list("runs", runs);
        }
        const std::string id = call.substr(call.find('/') + 1, 4);
        if (!runs.contains(id)) {
            return {.status = 404, .body = R"({"code": 5, "message": "no such run"})"};
        }
        if (call.starts_with("DELETE")) {
            runs.erase(id);
            return {.status = 200, .body = "{}"};
        }
        Json& run = runs[id];
        if (call.ends_with(":terminate")) {
            states = {"CANCELING", "CANCELED"};
        } else if (call.ends_with(":archive")) {
            run["storage_state"] = "ARCHIVED";
        } else {
            run["state"] = states.front();
            if (states.size() > 1) {
                states.erase(states.begin());
            }
            return {.status = 200, .body = run.dump()};
        }
        return {.status = 200, .body = "{}"};
    }
};

}  // namespace

TEST_CASE("a pipeline of one task: its container, and what a task can not express") {
    PipelinesService service;
    PipelineDeployer deployer = service.deployer();
    deployer.kubernetes.resources = {.cpu = 2, .memory_gb = 4, .gpu = 1};
    deployer.kubernetes.environment = {{"A", "b$c"}};
    deployer.kubernetes.labels = {{"team", "vision"}};
    deployer.kubernetes.volumes = {Volume{"pvc:data:/data"}};
    deployer.kubernetes.service_account = "runner";
    deployer.kubernetes.queue = "q";
    deployer.pipeline_root = "s3://b/r";
    deployer.retries = 2;
    const Json spec = deployer.manifests(sample_image, service.session()).at(0);
    CHECK(spec["schemaVersion"] == "2.1.0");
    CHECK(spec["pipelineInfo"]["name"] == "fairing-pipeline-abc");
    CHECK(spec["defaultPipelineRoot"] == "s3://b/r");
    CHECK(spec["components"]["comp-program"]["executorLabel"] == "exec-program");
    const Json& task = spec["root"]["dag"]["tasks"]["program"];
    CHECK(task["componentRef"]["name"] == "comp-program");
    CHECK(task["cachingOptions"] == Json::object());
    CHECK(task["retryPolicy"]["maxRetryCount"] == 2);
    CHECK(spec["deploymentSpec"]["executors"]["exec-program"]["container"] == Json::parse(R"({
        "image": ")" + sample_image.reference + R"(", "command": ["python3", "/app/train.py"],
        "env": [{"name": "FAIRING_RUNTIME", "value": "1"}, {"name": "A", "value": "b$$c"}],
        "resources": {"resourceCpuLimit": "2", "resourceMemoryLimit": "3.73Gi",
                      "accelerator": {"resourceType": "nvidia.com/gpu", "resourceCount": "1"}}})"));
    for (const char* left : {"volumes of its pods", "volumeMounts of its pods", "label team",
                             "no queue: it is left out"}) {
        CHECK_MESSAGE(std::any_of(service.said.begin(), service.said.end(),
                                  [&](const std::string& each) { return contains(each, left); }),
                      left);
    }
    CHECK(service.said.size() == 4);
    deployer.reuse_results = true;
    CHECK(deployer.manifests(
              sample_image,
              {})[0]["root"]["dag"]["tasks"]["program"]["cachingOptions"]["enableCache"] == true);
    CHECK(contains(
        error_of([&] { (void)deployer.manifests({.reference = sample_image.reference}, {}); }),
        "wants a command"));
    CHECK(service.requests.empty());
}

TEST_CASE("what can be known to be wrong") {
    const auto refused = [](PipelineDeployer deployer) {
        return error_of([&] { deployer.check(); });
    };
    CHECK(refused({}).empty());
    CHECK(contains(refused({.retries = -1}), "less than 0"));
    CHECK(contains(refused({.pipelines = {.poll_milliseconds = 0}}), "less than 1"));
    CHECK(contains(refused({.pipelines = {.endpoint = "https://x/?a=b"}}), "it holds a query"));
    CHECK(contains(refused({.pipelines = {.pipelines_namespace = "A"}}), "pipelines_namespace"));
    CHECK(contains(refused({.kubernetes = {.name = "A"}}), "not a name"));
}

TEST_CASE("a run is created once, followed to its end, and deleted") {
    PipelinesService service;
    PipelineDeployer deployer = service.deployer();
    deployer.experiment = "tuning";
    deployer.kubernetes.service_account = "runner";
    const Workload run = deployer.deploy(sample_image, service.session());
    CHECK(run.object().name == "fairing-pipeline-abc");
    const Json stored = service.runs.at("id-1");
    CHECK(stored["description"] == "fairing-id=abc");
    CHECK(stored["service_account"] == "runner");
    CHECK(stored["pipeline_spec"]["schemaVersion"] == "2.1.0");
    CHECK(service.experiments.at(stored["experiment_id"].get<std::string>()) ==
          Json{{"display_name", "tuning"}, {"experiment_id", "id-1"}});
    CHECK(service.count("GET experiments?filter=") == 1);
    CHECK(run.status().state == State::pending);
    CHECK(run.wait().state == State::succeeded);
    // The same once more finds it.
    CHECK(deployer.deploy(sample_image, service.session()).status().state == State::succeeded);
    CHECK(service.count("POST ") == 2);
    const auto runs = list_pipeline_runs(service.deployer(), service.session());
    REQUIRE(runs.size() == 1);
    CHECK(runs[0].run_id == "abc");
    CHECK(runs[0].state == State::succeeded);
    run.remove();
    CHECK(service.runs.empty());
    CHECK(run.status().state == State::removed);
    run.remove();
    CHECK(service.count("POST ") == 2);
}

TEST_CASE("a run that failed: one sentence, and the program's own code") {
    PipelinesService service;
    const Workload run = service.deployer().deploy(sample_image, service.session());
    service.states = {"RUNNING", "FAILED"};
    service.runs["id-1"]["error"] = {{"code", 13}, {"message", "the workflow failed"}};
    CHECK(run.wait().reason == "the run failed: the workflow failed");
    service.runs["id-1"]["run_details"]["task_details"] = Json::parse(R"x([
        {"display_name": "root", "state": "FAILED"},
        {"display_name": "program", "state": "FAILED",
         "error": {"message": "main: Error (exit code 3)"}}])x");
    const Outcome outcome = run.wait();
    CHECK(outcome.state == State::failed);
    CHECK(outcome.reason == "the run failed: task program: main: Error (exit code 3)");
    CHECK(outcome.exit_code == 3);
    for (const auto& each : {std::pair{"SKIPPED", State::failed},
                             {"PAUSED", State::pending},
                             {"CANCELED", State::failed},
                             {"CANCELING", State::running},
                             {"NEW", State::pending}}) {
        CAPTURE(each.first);
        CHECK(pipelines::outcome_of({{"state", each.first}}).state == each.second);
    }
}

TEST_CASE("a stop ends the following; remove terminates, and deletes or archives") {
    PipelinesService service;
    service.states = {"RUNNING"};
    PipelineDeployer deployer = service.deployer();
    deployer.archive = true;
    std::stop_source stopping;
    const Workload run = deployer.deploy(sample_image, service.session());
    service.fault = [&](const std::string& call) -> std::optional<net::Response> {
        if (call.starts_with("GET runs/") && service.count("GET runs/") == 3) {
            stopping.request_stop();
        }
        return std::nullopt;
    };
    CHECK_THROWS_AS((void)run.wait(stopping.get_token()), Cancelled);
    CHECK(run.status().state == State::running);
    run.remove();
    CHECK(service.count("POST runs/id-1:terminate") == 1);
    CHECK(service.runs.at("id-1")["storage_state"] == "ARCHIVED");
    run.remove();
    CHECK(service.count("POST runs/id-1:archive") == 1);
    // One that was archived is as good as removed.
    CHECK(contains(
        error_of([&] { (void)find_pipeline_run("abc", service.deployer(), service.session()); }),
        "no run of that name or run id"));
    CHECK(list_pipeline_runs(service.deployer(), service.session()).empty());
}

TEST_CASE("of many users the profile says whose the run is") {
    PipelinesService service;
    PipelineDeployer deployer = service.deployer();
    deployer.kubernetes.profile = "ann";
    const Workload run = deployer.deploy(sample_image, service.session());
    CHECK(run.object().namespace_ == "ann");
    CHECK(service.experiments.at("id-1")["namespace"] == "ann");
    CHECK(service.experiments.at("id-1")["display_name"] == "Default");
    CHECK(service.runs.at("id-1")["experiment_id"] == "id-1");
    CHECK(service.runs.at("id-1")["service_account"] == "default-editor");
    CHECK(std::any_of(service.asked.begin(), service.asked.end(), [](const std::string& each) {
        return each.starts_with("GET runs?") && contains(each, "&namespace=ann");
    }));
}

TEST_CASE("a lost answer makes no second run") {
    PipelinesService service;
    service.fault = [&](const std::string& call) -> std::optional<net::Response> {
        if (call == "POST runs" && service.runs.empty()) {
            service.runs["id-1"] = {{"run_id", "id-1"}, {"display_name", "fairing-pipeline-abc"}};
            return net::Response{.status = 503};
        }
        return std::nullopt;
    };
    const Workload run = service.deployer().deploy(sample_image, service.session());
    CHECK(run.object().name == "fairing-pipeline-abc");
    CHECK(service.count("POST runs") == 1);
    CHECK(service.runs.size() == 1);
}

TEST_CASE("a service out of reach for a while does not end the following; a refusal does") {
    PipelinesService service;
    const Workload run = service.deployer().deploy(sample_image, service.session());
    int left = 2;
    service.fault = [&](const std::string& call) -> std::optional<net::Response> {
        if (call.starts_with("GET runs/") && left-- > 0) {
            throw Error{ErrorCode::timeout, {.attempted = "reach", .answer = "no answer"}};
        }
        return std::nullopt;
    };
    CHECK(run.wait().state == State::succeeded);
    service.fault = [](const std::string&) {
        return std::optional{net::Response{.status = 403, .body = R"({"message": "not yours"})"}};
    };
    const std::string refusal = error_of([&] { (void)run.wait(); });
    CHECK(contains(refusal, "not yours"));
    CHECK(contains(refusal, "--token-file"));
}

TEST_CASE("tokens: a program's own, a file's; and none in the clear") {
    PipelinesService service;
    service.place.file("token", "t-2\n");
    PipelineDeployer deployer = service.deployer();
    Session session = service.session();
    const auto sent = [&] {
        service.requests.clear();
        (void)list_pipeline_runs(deployer, session);
        return net::header(service.requests.at(0).headers, "Authorization");
    };
    CHECK(sent().empty());
    deployer.pipelines.token_file = service.place / "token";
    CHECK(sent() == "Bearer t-2");
    session.credentials = [](const CredentialRequest& request) {
        CHECK(request.service == Service::pipelines);
        CHECK(request.host == "p.example");
        return std::optional{Credential{.token = Secret{"t-1"}}};
    };
    CHECK(sent() == "Bearer t-1");
    deployer.pipelines.endpoint = "http://p.example/pipeline";
    session.credentials = {};
    CHECK(contains(error_of([&] { (void)sent(); }), "it is not https"));
}

TEST_CASE("without an endpoint it is asked through the cluster, where pods have the log") {
    PipelinesService service;
    std::vector<std::string> lines;
    const PipelineDeployer deployer = service.in_cluster();
    const Workload run = deployer.deploy(sample_image, service.session());
    CHECK(run.follow([&](const OutputLine& line) { lines.push_back(line.text); }).state ==
          State::succeeded);
    CHECK(std::any_of(service.requests.begin(), service.requests.end(), [](const auto& each) {
        return contains(each.url,
                        "/api/v1/namespaces/kubeflow/pods?labelSelector=pipeline%2Frunid"
                        "%3Did-1");
    }));
    CHECK(find_pipeline_run("abc", deployer, service.session()).object().name ==
          "fairing-pipeline-abc");
    // The API server's own refusal is not the service's.
    service.fault = [](const std::string&) {
        return std::optional{net::Response{
            .status = 404,
            .body = R"({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404,
                        "message": "services \"ml-pipeline\" not found"})"}};
    };
    const std::string refusal = error_of([&] { (void)run.status(); });
    CHECK(contains(refusal, "services \"ml-pipeline\" not found"));
    CHECK(contains(refusal, "--pipelines-endpoint"));
}
