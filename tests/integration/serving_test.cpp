// Endpoints against a real API server: Deployments become pods of the test kubelet, which run a
// model server of plain Python that speaks Seldon's protocol and both of KServe's; it is asked
// through the API server's service proxy. The CRDs of KServe and KFServing are the real ones; their
// controllers are not here, and the tests play them by writing the status.
#include <doctest/doctest.h>
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "../support/example_program.hpp"
#include "../support/job_site.hpp"
#include "../support/seldon_double.hpp"
#include "fairing/core/yaml.hpp"
#include "fairing/deployers/find_workload.hpp"
#include "fairing/tasks.hpp"

using namespace fairing;
using support::contains;
using support::in_time;
using support::JobSite;
using support::KubeTestenv;
using support::ShellResult;

namespace {

constexpr const char* model_server = R"(
import http.server, json, os, socket, sys, time

class Server(http.server.ThreadingHTTPServer):
    def server_bind(self):  # several replicas are processes of one machine here
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        super().server_bind()

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def say(self, status, body, kind="application/json"):
        data = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        self.say(200 if self.path == "/ready" else 404, "{}")

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        parts = self.path.strip("/").replace(":", "/").split("/")
        model = parts[2] if len(parts) > 2 else "houses"
        if model == "slow":
            time.sleep(8)
        if model == "html":
            return self.say(200, "<html>not a model</html>", "text/html")
        if model == "broken":
            return self.say(500, json.dumps({"error": "the weights are damaged"}))
        if model == "loading":
            return self.say(503, json.dumps({"error": "Model loading is not ready"}))
        if model != "houses":
            return self.say(404, json.dumps({"error": f"Model with name {model} does not exist."}))
        if self.path == "/predict":
            data = request["data"]
            if "tensor" in data:
                rows, columns = data["tensor"]["shape"]
                values = data["tensor"]["values"]
                sums = [sum(values[i * columns:(i + 1) * columns]) for i in range(rows)]
                answer = {"data": {"tensor": {"shape": [rows, 1], "values": sums}}}
            else:
                answer = {"data": {"ndarray": [[sum(row)] for row in data["ndarray"]]}}
        elif parts[0] == "v1":
            answer = {"predictions": [sum(row) for row in request["instances"]]}
        else:
            tensor = request["inputs"][0]
            rows, columns = tensor["shape"]
            sums = [sum(tensor["data"][i * columns:(i + 1) * columns]) for i in range(rows)]
            answer = {"model_name": model, "outputs": [
                {"name": "sum", "shape": [rows], "datatype": tensor["datatype"], "data": sums}]}
        self.say(200, json.dumps(answer))

print("loading the model", flush=True)
time.sleep(float(os.environ.get("LOADING", "0")))
print("serving on port", os.environ["PORT"], flush=True)
Server(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
)";

/// A JobSite whose pods have an address that the API server's proxy takes.
class ServingSite {
public:
    static std::unique_ptr<ServingSite> make() {
        if (support::machine_address().empty()) {
            MESSAGE("skipped: this machine has no address but its loopback");
            return nullptr;
        }
        auto site = JobSite::make();
        return site ? std::unique_ptr<ServingSite>{new ServingSite{std::move(site)}} : nullptr;
    }

    JobSite& site() const { return *site_; }
    KubeTestenv& kube() const { return site_->kube; }
    const std::string& port() const { return port_; }

    /// Any subcommand but run; both streams together.
    [[nodiscard]] ShellResult fairing(const std::string& arguments) const {
        return support::run("cd " + *env("FAIRING_SOURCE_ROOT") + " && timeout 120 " +
                            *env("FAIRING_COMMAND") + ' ' + arguments + " --kubeconfig " +
                            (site_->folder / "kubeconfig") + " --namespace " + site_->space +
                            " 2>&1");
    }
    /// The same as a command that runs beside a test.
    [[nodiscard]] std::vector<std::string> words(std::vector<std::string> arguments) const {
        arguments.insert(arguments.begin(), *env("FAIRING_COMMAND"));
        arguments.insert(arguments.end(), {"--kubeconfig", site_->folder / "kubeconfig",
                                           "--namespace", site_->space});
        return arguments;
    }
    /// Waits until the command that runs has looked at that object once more, from begin to end.
    [[nodiscard]] bool is_looked_at(const std::string& object) const {
        const std::size_t before = site_->proxy.count("GET", object);
        return in_time([&] { return site_->proxy.count("GET", object) >= before + 2; });
    }
    [[nodiscard]] ShellResult launch(const std::string& subcommand, const std::string& program,
                                     const std::string& options) const {
        return fairing(subcommand + ' ' + site_->program(program) +
                       " --base-image scratch --registry " + site_->host() + "/demo " + options);
    }
    /// Those of an example that deploys here.
    [[nodiscard]] std::string variables() const { return site_->variables() + " PORT=" + port_; }
    /// The model server as an endpoint.
    [[nodiscard]] ShellResult serve(const std::string& options) const {
        return launch(
            "run", model_server,
            "--deployer serving --port " + port_ + " --env PORT=" + port_ + ' ' + options);
    }
    [[nodiscard]] std::string path(const std::string& group, const std::string& plural) const {
        return (group == "v1" ? "/api/v1" : "/apis/" + group) + "/namespaces/" + site_->space +
               '/' + plural;
    }
    [[nodiscard]] std::size_t count(const std::string& group, const std::string& plural) const {
        return site_->count(path(group, plural) + "?labelSelector=fairing-id");
    }
    [[nodiscard]] Json object(const std::string& group, const std::string& plural,
                              const std::string& name) const {
        return kube().api().get(path(group, plural) + '/' + name).body;
    }
    [[nodiscard]] bool is_gone() const {
        return in_time([&] {
            return count("apps/v1", "deployments") == 0 && count("v1", "services") == 0 &&
                   count("v1", "pods") == 0;
        });
    }
    [[nodiscard]] Endpoint find(const std::string& name, int timeout = 60) const {
        return Endpoint{find_workload(name,
                                      {.namespace_ = site_->space,
                                       .config_file = site_->folder / "kubeconfig",
                                       .predict_timeout = timeout},
                                      Session{})};
    }
    void annotate(const std::string& name, const std::string& key, const std::string& value) const {
        REQUIRE(kube()
                    .api()
                    .patch(path("apps/v1", "deployments") + '/' + name,
                           {{"metadata", {{"annotations", {{key, value}}}}}})
                    .ok());
    }

private:
    explicit ServingSite(std::unique_ptr<JobSite> site) : site_(std::move(site)) {}

    std::unique_ptr<JobSite> site_;
    std::string port_ = std::to_string(fairing::test::free_port());
};

constexpr const char* crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// The CRD of v1beta1 that KFServing has as one of v1, which servers take: what is new there is
/// that the keys of lists have defaults.
void give_defaults(Json& schema) {
    if (schema.is_object() && schema.contains("x-kubernetes-list-map-keys")) {
        Json& protocol = schema["items"]["properties"]["protocol"];
        if (protocol.is_object()) {
            protocol["default"] = "TCP";
        }
    }
    if (schema.is_structured()) {
        for (Json& each : schema) {
            give_defaults(each);
        }
    }
}
Json as_v1(Json crd) {
    Json spec = crd["spec"];
    Json& newest = spec["versions"][0];
    newest["schema"] = spec["validation"];
    newest["subresources"] = spec.value("subresources", Json::object());
    give_defaults(newest["schema"]);
    for (const char* old : {"validation", "subresources", "version", "additionalPrinterColumns"}) {
        spec.erase(old);
    }
    crd["apiVersion"] = "apiextensions.k8s.io/v1";
    crd["spec"] = spec;
    return crd;
}

/// The real CRD of "kserve" or "kfserving", once, from the test data or the Go module; false, with
/// a message, when there is none.
bool install_crd(KubeTestenv& kube, const std::string& project, const std::string& folder) {
    const std::string group = project == "kserve" ? "serving.kserve.io" : "serving.kubeflow.org";
    const std::string name = "inferenceservices." + group;
    if (kube.api().get(crds + ('/' + name)).ok()) {
        return true;
    }
    std::string place = env("FAIRING_TEST_DATA", "") + "/crds/" + folder;
    if (!std::filesystem::is_directory(place)) {
        const ShellResult found = support::run(*env("FAIRING_SOURCE_ROOT") +
                                               "/tools/kube-testenv crds --name " + project);
        if (found.exit_code != 0) {
            MESSAGE("skipped: there are no CRDs of " << project);
            return false;
        }
        place = found.output.substr(0, found.output.find('\n'));
    }
    const std::string file = place + '/' + group + "_inferenceservices.yaml";
    Json crd = parse_yaml(read_file(file), file);
    if (crd["apiVersion"] == "apiextensions.k8s.io/v1beta1") {
        crd = as_v1(std::move(crd));
    }
    crd.erase("status");
    const support::ApiAnswer made = kube.api().post(crds, crd);
    REQUIRE_MESSAGE(made.ok(), made.body.dump());
    REQUIRE(in_time([&] {
        return kube::condition(kube.api().get(crds + ('/' + name)).body, "Established").is_object();
    }));
    return in_time([&] {
        const std::string version = crd["spec"]["versions"][0]["name"];
        return contains(kube.api().text("/apis/" + group + '/' + version), "InferenceService");
    });
}

constexpr const char* kserve = "serving.kserve.io/v1beta1";

/// Plays KServe's controller: writes the status of an InferenceService.
void tell(const ServingSite& site, const std::string& name, const Json& status) {
    const support::ApiAnswer told = site.kube().api().patch(
        site.path(kserve, "inferenceservices") + '/' + name + "/status", {{"status", status}});
    REQUIRE_MESSAGE(told.ok(), told.body.dump());
}
Json ready_status(const std::string& ready, int newest) {
    return {{"conditions", Json::array({{{"type", "Ready"}, {"status", ready}}})},
            {"url", "http://houses.team.example.com"},
            {"components",
             {{"predictor",
               {{"traffic", Json::array({{{"latestRevision", true}, {"percent", newest}},
                                         {{"revisionName", "houses-predictor-00001"},
                                          {"percent", 100 - newest}}})}}}}}};
}

}  // namespace

TEST_CASE("an endpoint is run, asked in Seldon's forms, listed, read and deleted") {
    const auto site = ServingSite::make();
    if (!site) {
        return;
    }
    const ShellResult ran = site->serve("--replicas 2 --readiness-path /ready --run-id one");
    CAPTURE(ran.output);
    REQUIRE(ran.exit_code == 0);
    CHECK(contains(ran.output, "fairing-deployer-one is ready after"));
    const std::string url = "http://fairing-service-one." + site->site().space +
                            ".svc.cluster.local:" + site->port() + "/predict";
    CHECK(contains(ran.output, '\n' + url + '\n'));

    const std::string ask = "predict fairing-deployer-one --data ";
    CHECK(site->fairing(ask + R"('{"data":{"names":["rooms","area"],"ndarray":[[1,37],[2,3]]}}')")
              .output == "{\"data\":{\"ndarray\":[[38],[5]]}}\n");
    CHECK(site->fairing(ask + R"('{"data":{"tensor":{"shape":[2,2],"values":[1,2,3,4.5]}}}')")
              .output == "{\"data\":{\"tensor\":{\"shape\":[2,1],\"values\":[3,7.5]}}}\n");
    site->site().folder.file("rows.json", "[[1, 2, 3]]");
    CHECK(site->fairing(ask + '@' + (site->site().folder / "rows.json")).output ==
          "{\"data\":{\"ndarray\":[[6]]}}\n");
    CHECK(support::run("echo '[[4]]' | " + *env("FAIRING_COMMAND") + " predict one --kubeconfig " +
                       (site->site().folder / "kubeconfig") + " --namespace " + site->site().space)
              .output == "{\"data\":{\"ndarray\":[[4]]}}\n");
    CHECK(site->site().proxy.count("POST", "/services/fairing-service-one%3A") == 4);

    // The same run id finds what there is.
    CHECK(site->serve("--replicas 2 --readiness-path /ready --run-id one").exit_code == 0);
    CHECK(site->count("apps/v1", "deployments") == 1);

    const ShellResult status = site->fairing("status one");
    CHECK(contains(status.output, "Deployment fairing-deployer-one: ready\n" + url + '\n'));
    const ShellResult list = site->fairing("list");
    CHECK(contains(list.output, "fairing-deployer-one  Deployment  ready"));
    CHECK(site->fairing("wait one").exit_code == 0);
    const std::string output = site->site().folder / "logs";
    test::ChildProcess logs{site->words({"logs", "one"}), output};
    CHECK(in_time([&] { return contains(read_file(output), "serving on port " + site->port()); }));
    CHECK_FALSE(logs.exit_code());  // it follows until the endpoint is gone

    const ShellResult removed = site->fairing("delete one");
    CHECK(removed.exit_code == 0);
    CHECK(site->is_gone());
    CHECK(in_time([&] { return logs.exit_code().has_value(); }));
    CHECK(contains(site->fairing(ask + "1").output, "holds no run of that name or run id"));
}

TEST_CASE("the task: a Python class behind Seldon's command") {
    const auto site = ServingSite::make();
    if (!site) {
        return;
    }
    if (support::is_seldon_port_taken()) {
        return;
    }
    const support::Workspace& folder = site->site().folder;
    folder.file("HousingServe.py",
                "class HousingServe:\n    def predict(self, rows, names):\n"
                "        return [[names[0], sum(row)] for row in rows]\n");
    support::write_seldon_double(folder / "seldon-core-microservice");
    const PredictionEndpoint task{
        .model_class = "HousingServe",
        .base_image = "scratch",
        .registry = site->site().host() + "/demo",
        .input_files = {folder / "HousingServe.py", folder / "seldon-core-microservice"},
        .kubernetes = {.namespace_ = site->site().space,
                       .config_file = folder / "kubeconfig",
                       .environment = {{"PATH", "/app:" + env("PATH", "")}}}};
    std::string said;
    Endpoint endpoint;
    try {
        endpoint =
            task.create({.output = [&said](const OutputLine& line) { said += line.text + '\n'; }});
    } catch (const WorkloadError& error) {
        FAIL(std::string{error.what()} << '\n' << said);
    }
    const Json answer = endpoint.predict(
        {{"data", {{"names", {"rooms", "area"}}, {"ndarray", Json::array({{1, 37}})}}}});
    CHECK(answer["data"]["ndarray"][0] == Json({"rooms", 38}));
    CHECK(contains(endpoint.url(), ".svc.cluster.local:5000/predict"));
    const Workload plain = endpoint;
    CHECK(plain.wait().state == State::ready);
    plain.remove();
    CHECK(site->is_gone());
}

TEST_CASE("KServe's protocols, v1 and v2, and what a server may answer instead") {
    const auto site = ServingSite::make();
    if (!site) {
        return;
    }
    const ShellResult ran = site->serve("--protocol v1 --model-name houses --name houses");
    CAPTURE(ran.output);
    REQUIRE(ran.exit_code == 0);
    CHECK(contains(ran.output, "/v1/models/houses:predict\n"));
    const Endpoint endpoint = site->find("houses");
    CHECK(endpoint.url() == "http://houses." + site->site().space +
                                ".svc.cluster.local:" + site->port() + "/v1/models/houses:predict");
    CHECK(endpoint.status().state == State::ready);
    CHECK(endpoint.predict({{"instances", {{1, 2}, {3, 4}}}})["predictions"] == Json({3, 7}));

    const auto said = [&](const std::string& model, int timeout = 60) {
        site->annotate("houses", "fairing-model", model);
        try {
            return site->find("houses", timeout).predict(Json::array({Json::array({1})})).dump();
        } catch (const Error& error) {
            return std::to_string(static_cast<int>(error.code())) + ' ' + error.what();
        }
    };
    const auto code = [](ErrorCode value) { return std::to_string(static_cast<int>(value)) + ' '; };
    const std::string missing = said("missing");
    CHECK(missing.starts_with(code(ErrorCode::not_found)));
    CHECK(contains(missing, "404 Not Found: Model with name missing does not exist."));
    CHECK(contains(missing, "--model-name missing"));
    const std::string html = said("html");
    CHECK(html.starts_with(code(ErrorCode::integrity)));
    CHECK(contains(html, "no JSON: <html>not a model</html>"));
    CHECK(contains(said("broken"), "500 Internal Server Error: the weights are damaged"));
    const std::string loading = said("loading");
    CHECK(loading.starts_with(code(ErrorCode::unavailable)));
    CHECK(contains(loading, "not ready"));
    CHECK(said("slow", 1).starts_with(code(ErrorCode::timeout)));

    site->annotate("houses", "fairing-model", "houses");
    site->annotate("houses", "fairing-protocol", "v2");
    const Json answer = site->find("houses").predict({{1, 2}, {3, 4.5}});
    CHECK(answer["outputs"][0]["data"] == Json({3, 7.5}));
    CHECK(answer["outputs"][0]["datatype"] == "FP64");

    // No pod behind the Service: the API server itself says so.
    REQUIRE(
        site->kube()
            .api()
            .patch(site->path("apps/v1", "deployments") + "/houses", {{"spec", {{"replicas", 0}}}})
            .ok());
    REQUIRE(in_time([&] { return site->count("v1", "pods") == 0; }));
    std::string empty;
    CHECK(in_time([&] {  // the list of its pods follows them
        empty = said("houses");
        return contains(empty, "503 Service Unavailable: no endpoints available");
    }));
    CHECK(empty.starts_with(code(ErrorCode::unavailable)));
    endpoint.remove();
    CHECK(site->is_gone());
}

TEST_CASE("an address that arrives late, and a port of the nodes") {
    const auto site = ServingSite::make();
    if (!site) {
        return;
    }
    ShellResult ran;
    std::jthread launching{
        [&] { ran = site->serve("--name late --service-type LoadBalancer --run-id late"); }};
    const auto is_available = [&] {
        return kube::number(site->object("apps/v1", "deployments", "late"),
                            {"status", "availableReplicas"}) == 1;
    };
    REQUIRE(in_time(is_available));
    REQUIRE(site->is_looked_at("/services?"));  // its address, that is
    const ShellResult waiting = site->fairing("predict late --data [[1]]");
    CHECK(waiting.exit_code == 69);
    CHECK(contains(waiting.output, "of type LoadBalancer has no address yet"));
    CHECK(contains(site->fairing("status late").output, "late: running: Service"));
    // Here the load balancer is the test, and its address this machine's.
    const std::string address = support::machine_address();
    REQUIRE(site->kube()
                .api()
                .patch(site->path("v1", "services") + "/late/status",
                       {{"status",
                         {{"loadBalancer", {{"ingress", Json::array({{{"ip", address}}})}}}}}})
                .ok());
    launching.join();
    CAPTURE(ran.output);
    CHECK(ran.exit_code == 0);
    CHECK(contains(ran.output, "has no address yet"));
    CHECK(contains(ran.output, "\nhttp://" + address + ':' + site->port() + "/predict\n"));
    CHECK(site->find("late").predict({{1, 2}})["data"]["ndarray"] == Json({{3}}));
    CHECK(site->site().proxy.count("POST", "/services/late%3A") == 0);  // straight to the address
    site->find("late").remove();

    const ShellResult never = site->serve(
        "--name never --service-type LoadBalancer --address-timeout 1 --cleanup when-done");
    CAPTURE(never.output);
    CHECK(never.exit_code == 1);
    CHECK(contains(never.output, "has no address yet"));
    CHECK(contains(never.output, "nothing came within 1 s"));
    CHECK(site->is_gone());

    const ShellResult node = site->serve("--name node --service-type NodePort");
    CAPTURE(node.output);
    CHECK(node.exit_code == 0);
    const Json service = site->object("v1", "services", "node");
    CHECK(contains(node.output, "\nhttp://127.0.0.1:" +
                                    service["spec"]["ports"][0]["nodePort"].dump() + "/predict\n"));
    CHECK(site->find("node").predict({{1, 2}})["data"]["ndarray"] == Json({{3}}));
    site->find("node").remove();
    CHECK(site->is_gone());
}

TEST_CASE("what does not get ready fails early, by name, with the server's last words") {
    const auto site = ServingSite::make();
    if (!site) {
        return;
    }
    struct Failing {
        const char* program;
        std::string options;
        std::vector<std::string> said;
    };
    const std::string scripted =
        " --annotation '" +
        JobSite::scripted(R"([{"waiting":"InvalidImageName","message":"cannot parse"}])") + '\'';
    for (const Failing& each : std::vector<Failing>{
             {"import sys\nprint('no model here')\nsys.exit(3)",
              "",
              {"does not stay up, and was restarted", "times: its last exit code was 3",
               "no model here"}},
             {"import time\nprint('deaf', flush=True)\ntime.sleep(600)",
              "--progress-deadline 15 --probe-period 1",
              {"ProgressDeadlineExceeded", "Startup probe failed: dial tcp", "deaf"}},
             {"print('unused')", scripted, {"does not start: InvalidImageName", "cannot parse"}},
             {"print('unused')",
              "--node-selector no=where --start-timeout 10",
              {"it is not ready within 10 s: no node takes pod", "Unschedulable"}}}) {
        const ShellResult ran = site->launch(
            "run", each.program,
            "--deployer serving --cleanup when-done --port " + site->port() + ' ' + each.options);
        CAPTURE(ran.output);
        CHECK(ran.exit_code == 1);  // in time: it is 124 after two minutes
        for (const std::string& words : each.said) {
            CHECK_MESSAGE(contains(ran.output, words), words);
        }
        CHECK(site->is_gone());
    }

    REQUIRE(site->kube()
                .api()
                .post(site->path("v1", "resourcequotas"),
                      {{"metadata", {{"name", "none"}}}, {"spec", {{"hard", {{"pods", "0"}}}}}})
                .ok());
    const ShellResult refused = site->serve("--name refused");
    CAPTURE(refused.output);
    CHECK(refused.exit_code == 1);
    CHECK(contains(refused.output, "the cluster takes no pod of Deployment refused"));
    CHECK(contains(refused.output, "exceeded quota"));
    // Nothing is removed without --cleanup, so that it can be looked at.
    CHECK(contains(site->fairing("status refused").output, "exceeded quota"));
    CHECK(site->fairing("delete refused").exit_code == 0);
    CHECK(site->is_gone());
}

TEST_CASE("who stops while it waits, or has it deleted, leaves nothing, and is told") {
    const auto site = ServingSite::make();
    if (!site) {
        return;
    }
    const std::string deaf = "import time\ntime.sleep(600)";
    const std::string options = "--deployer serving --name deaf --port " + site->port();
    const auto has_pod = [&] { return site->count("v1", "pods") == 1; };
    ShellResult ran;
    std::jthread launching{[&] { ran = site->launch("run", deaf, options); }};
    REQUIRE(in_time(has_pod));
    REQUIRE(site->kube()
                .kubectl("delete deployment deaf --namespace " + site->site().space)
                .exit_code == 0);
    launching.join();
    CAPTURE(ran.output);
    CHECK(ran.exit_code == 1);
    CHECK(contains(ran.output, "deaf was deleted"));
    CHECK(site->is_gone());

    const std::string output = site->site().folder / "stopped";
    test::ChildProcess stopped{
        site->words({"run", site->site().program(deaf), "--base-image", "scratch", "--registry",
                     site->site().host() + "/demo", "--deployer", "serving", "--name", "deaf",
                     "--port", site->port()}),
        output};
    REQUIRE(in_time(has_pod));
    stopped.signal(SIGINT);
    CHECK(in_time([&] { return stopped.exit_code().has_value(); }));
    CHECK(contains(read_file(output), "stopped on request"));
    CHECK(site->is_gone());
}

TEST_CASE("what Kubernetes would refuse of an endpoint is refused before any request") {
    const auto site = ServingSite::make();
    if (!site) {
        return;
    }
    const auto server_says = [&](const std::string& name, int port) {
        return site->kube()
            .api()
            .post(site->path("v1", "services") + "?dryRun=All",
                  {{"metadata", {{"name", name}}},
                   {"spec", {{"ports", Json::array({{{"port", port}}})}}}})
            .status;
    };
    CHECK(server_says("a", 1) == 201);
    CHECK(server_says("0a", 1) == 422);
    CHECK(server_says("a", 70000) != 201);
    struct Refused {
        std::string options, said;
    };
    for (const Refused& each : std::vector<Refused>{
             {"--deployer serving --name 0a", "RFC 1035"},
             {"--deployer serving --port 70000", "it is more than 65534"},
             {"--deployer serving --replicas 0", "it is less than 1"},
             {"--deployer serving --readiness-path ready", "a path begins with '/'"},
             {"--deployer kfserving --name 0a", "RFC 1035"},
             {"--deployer kfserving --name " + std::string(60, 'a'), "70 characters"},
             {"--deployer kfserving --canary-traffic-percent 10", "name it with --name"}}) {
        CAPTURE(each.options);
        const ShellResult ran = site->launch("run", "print('unused')", each.options);
        CAPTURE(ran.output);
        CHECK(ran.exit_code == 64);
        CHECK(contains(ran.output, each.said));
    }
    CHECK(site->site().proxy.seen().empty());
}

TEST_CASE(
    "InferenceService: not installed, then ready, failing, a canary promoted and taken back") {
    const auto site = ServingSite::make();
    if (!site) {
        return;
    }
    const std::string model = "--deployer kfserving --framework sklearn --storage-uri s3://models/";
    if (!site->kube().api().get(crds + std::string{"/inferenceservices.serving.kserve.io"}).ok()) {
        const ShellResult absent = site->launch("run", "print(1)", model + "houses");
        CAPTURE(absent.output);
        CHECK(absent.exit_code == 65);
        CHECK(contains(absent.output, "the cluster does not know it"));
        CHECK(contains(absent.output, "install KServe"));
        CHECK(site->fairing("list").exit_code == 0);
    }
    if (!install_crd(site->kube(), "kserve", "kserve-v0.20.0")) {
        return;
    }
    // It is strict: a field that the CRD does not know is an error, not dropped.
    const std::string options =
        " --dry-run server --output json --name houses --label team=a --min-replicas 1"
        " --max-replicas 3 --cpu 1 --memory 2 --gpu 1 --env A=b --volume pvc:data:/mnt"
        " --node-selector disk=ssd --service-account s3 --image-pull-secrets one"
        " --priority-class low --deployment-mode Knative";
    for (const char* framework : {"sklearn", "xgboost", "lightgbm", "tensorflow", "pytorch", "onnx",
                                  "triton", "huggingface", "paddle", "pmml", "mlflow"}) {
        const ShellResult ran = site->launch(
            "run", "print(1)",
            std::string{"--deployer kfserving --storage-uri s3://models/houses --framework "} +
                framework + " --runtime mine --runtime-version 1.0 --protocol v2" + options);
        CAPTURE(ran.output);
        CHECK(ran.exit_code == 0);
        CHECK(contains(ran.output, "\"protocolVersion\": \"v2\""));
        CHECK_FALSE(contains(ran.output, "\"kserve-container\""));
    }
    const ShellResult custom = site->launch(
        "run", "print(1)",
        "--deployer kfserving --storage-uri pvc://data/m --readiness-path /ready --port 9000"
        " --serving-command 'python3 -m server' --runtime mine" +
            options);
    CAPTURE(custom.output);
    CHECK(custom.exit_code == 0);
    CHECK(contains(custom.output, "\"kserve-container\""));
    CHECK(contains(custom.output, "--runtime is left out"));

    // Ready, when the controller says so; the model server stands in for KServe's.
    REQUIRE(site->serve("--run-id server --protocol v1 --model-name houses").exit_code == 0);
    ShellResult ran;
    const auto launch_and_tell = [&](const std::string& given, const std::function<void()>& play) {
        std::jthread launching{[&] { ran = site->launch("run", "print(1)", given); }};
        REQUIRE(in_time(
            [&] { return site->object(kserve, "inferenceservices", "houses").contains("spec"); }));
        play();
        launching.join();
    };
    launch_and_tell(model + "one --name houses", [&] {
        tell(*site, "houses", ready_status("Unknown", 100));
        std::this_thread::sleep_for(std::chrono::seconds{1});
        tell(*site, "houses", ready_status("True", 100));
    });
    CAPTURE(ran.output);
    REQUIRE(ran.exit_code == 0);
    CHECK(contains(ran.output, "\nhttp://houses.team.example.com/v1/models/houses:predict\n"));
    CHECK(site->kube()
              .api()
              .post(site->path("v1", "services"),
                    {{"metadata", {{"name", "houses-predictor"}}},
                     {"spec",
                      {{"selector", {{"fairing-id", "server"}}},
                       {"ports", Json::array({{{"name", "http"},
                                               {"port", 80},
                                               {"targetPort", std::stoi(site->port())}}})}}}})
              .ok());
    CHECK(in_time([&] {
        return site->fairing("predict houses --data [[1,2]]").output == "{\"predictions\":[3]}\n";
    }));

    // A canary, with a part of the requests; then all of them.
    const auto percent = [&] {
        return site->object(kserve, "inferenceservices", "houses")["spec"]["predictor"].value(
            "canaryTrafficPercent", -1);
    };
    const auto uri = [&] {
        return site
            ->object(kserve, "inferenceservices",
                     "houses")["spec"]["predictor"]["model"]["storageUri"]
            .get<std::string>();
    };
    launch_and_tell(model + "two --name houses --canary-traffic-percent 10", [&] {
        REQUIRE(in_time([&] { return percent() == 10; }));
        REQUIRE(site->is_looked_at("/inferenceservices/houses"));  // Ready, as before
        tell(*site, "houses", ready_status("True", 10));
    });
    CAPTURE(ran.output);
    CHECK(ran.exit_code == 0);
    CHECK(contains(ran.output, "gets 100 % of the requests, and is to get 10 %"));
    CHECK(uri() == "s3://models/two");
    std::jthread controller{[&] {
        if (in_time([&] { return percent() == -1; })) {
            tell(*site, "houses", ready_status("True", 100));
        }
    }};
    const ShellResult promoted = site->fairing("traffic houses 100");
    controller.join();
    CAPTURE(promoted.output);
    CHECK(promoted.exit_code == 0);
    CHECK(contains(promoted.output, "gets 100 % of the requests"));

    // A canary that can not load its model: the error says why, and the one before serves on.
    launch_and_tell(
        model + "three --name houses --canary-traffic-percent 20 --cleanup when-done", [&] {
            REQUIRE(in_time([&] { return percent() == 20; }));
            Json status = ready_status("False", 100);
            status["conditions"].push_back({{"type", "PredictorReady"},
                                            {"status", "False"},
                                            {"reason", "RevisionFailed"},
                                            {"message", "Revision houses-predictor-00003 failed"}});
            tell(*site, "houses", status);
        });
    CAPTURE(ran.output);
    CHECK(ran.exit_code == 1);
    CHECK(contains(
        ran.output,
        "PredictorReady is False: RevisionFailed: Revision houses-predictor-00003 failed"));
    CHECK(uri() == "s3://models/two");
    CHECK(percent() == -1);

    // Back by hand.
    tell(*site, "houses", ready_status("True", 0));
    CHECK(site->fairing("traffic houses 0").exit_code == 0);
    CHECK(percent() == 0);
    CHECK(contains(site->fairing("traffic server 0").output, "it is no InferenceService"));

    Json failed = ready_status("False", 0);
    failed["modelStatus"] = {
        {"transitionStatus", "BlockedByFailedLoad"},
        {"lastFailureInfo", {{"reason", "ModelLoadFailed"}, {"message", "no such bucket"}}}};
    tell(*site, "houses", failed);
    CHECK(
        contains(site->fairing("status houses").output,
                 "can not load its model (BlockedByFailedLoad): ModelLoadFailed: no such bucket"));
    CHECK(site->fairing("delete houses").exit_code == 0);
    // The garbage collector looks for new kinds every 30 s.
    CHECK(in_time([&] { return site->count(kserve, "inferenceservices") == 0; }));
    site->find("server").remove();
    CHECK(site->is_gone());

    const ShellResult lonely =
        site->launch("run", "print(1)", model + "x --name nobody --canary-traffic-percent 10");
    CHECK(lonely.exit_code == 65);
    CHECK(contains(lonely.output, "cannot make a canary of InferenceService"));
}

TEST_CASE("InferenceServices of KFServing's v1alpha2, with what they can not say") {
    const auto site = ServingSite::make();
    if (!site || !install_crd(site->kube(), "kfserving", "legacy-kfserving-v0.4.1")) {
        return;
    }
    const std::string legacy = "--deployer kfserving --api v1alpha2 --name old ";
    for (const char* framework :
         {"tensorflow", "onnx", "pytorch", "sklearn", "triton", "xgboost"}) {
        const ShellResult ran = site->launch(
            "run", "print(1)",
            legacy +
                "--dry-run server --storage-uri gs://m/x --runtime-version 1 --min-replicas 1"
                " --max-replicas 2 --cpu 1 --memory 2 --service-account s --framework " +
                framework);
        CAPTURE(ran.output);
        CHECK(ran.exit_code == 0);
    }
    const ShellResult custom = site->launch(
        "run", "print(1)",
        legacy + "--dry-run server --env A=b --node-selector disk=ssd --volume pvc:data:/mnt");
    CAPTURE(custom.output);
    CHECK(custom.exit_code == 0);
    CHECK(contains(custom.output, "has no place for nodeSelector"));
    CHECK(contains(custom.output, "has no place for volumes"));
    const ShellResult unknown = site->launch("run", "print(1)", legacy + "--framework lightgbm");
    CHECK(unknown.exit_code == 64);

    const std::string group = "serving.kubeflow.org/v1alpha2";
    const std::string path = site->path(group, "inferenceservices") + "/old";
    const auto tell_legacy = [&](const Json& status) {
        return site->kube().api().patch(path + "/status", {{"status", status}}).ok();
    };
    const Json ready = Json::array({{{"type", "Ready"}, {"status", "True"}}});
    ShellResult ran;
    std::jthread launching{[&] {
        ran = site->launch("run", "print(1)",
                           legacy + "--framework sklearn --storage-uri gs://m/one");
    }};
    REQUIRE(in_time([&] {
        return tell_legacy(
            {{"conditions", ready}, {"url", "http://old.team.example.com/v1/models/old"}});
    }));
    launching.join();
    CAPTURE(ran.output);
    CHECK(ran.exit_code == 0);
    CHECK(contains(ran.output, "\nhttp://old.team.example.com/v1/models/old:predict\n"));

    std::jthread second{[&] {
        ran = site->launch("run", "print(1)",
                           legacy +
                               "--framework sklearn --storage-uri gs://m/two"
                               " --canary-traffic-percent 10");
    }};
    const auto spec = [&] { return site->kube().api().get(path).body["spec"]; };
    REQUIRE(in_time([&] { return spec().contains("canary"); }));
    REQUIRE(tell_legacy({{"canaryTraffic", 10}}));
    second.join();
    CAPTURE(ran.output);
    CHECK(ran.exit_code == 0);
    CHECK(spec()["canaryTrafficPercent"] == 10);
    REQUIRE(tell_legacy({{"canaryTraffic", 0}}));
    CHECK(site->fairing("traffic old 100").exit_code == 0);
    CHECK(spec()["default"]["predictor"]["sklearn"]["storageUri"] == "gs://m/two");
    CHECK_FALSE(spec().contains("canary"));
    CHECK(site->fairing("delete old").exit_code == 0);
}

TEST_CASE("Fairing's prediction/HousingServe.py: a class behind Seldon's server is asked") {
    const auto site = ServingSite::make();
    if (!site || support::missing_examples()) {
        return;
    }
    support::write_seldon_double(site->kube().programs() / "seldon-core-microservice");
    const support::Launched ran = support::launch_example("12_serving", site->variables());
    CAPTURE(ran.said);
    CHECK(ran.exit_code == 0);
    CHECK(contains(ran.output,
                   ".svc.cluster.local:" + site->port() + "/predict [[302.6],[551.1]]\n"));
    CHECK(site->is_gone());
}

TEST_CASE("Fairing's mnist/mnist_e2e_on_prem.ipynb: a server behind an InferenceService is asked") {
    const auto site = ServingSite::make();
    if (!site || support::missing_examples() ||
        !install_crd(site->kube(), "kserve", "kserve-v0.20.0")) {
        return;
    }
    support::Launched ran;
    std::jthread launching{
        [&] { ran = support::launch_example("13_kfserving", site->variables()); }};
    // KServe's controller: a pod of the container, a Service before it, and the status.
    const auto spec = [&] {
        return site->object(kserve, "inferenceservices", "houses").value("spec", Json::object());
    };
    REQUIRE(in_time([&] { return !spec().empty(); }));
    Json container = spec()["predictor"]["containers"][0];
    const int port = std::stoi(site->port());
    container["readinessProbe"] = {{"tcpSocket", {{"port", port}}}, {"periodSeconds", 1}};
    const Json metadata{{"name", "houses-predictor"}, {"labels", {{"app", "houses"}}}};
    const auto post = [&](const std::string& plural, const Json& object) {
        const support::ApiAnswer made = site->kube().api().post(site->path("v1", plural), object);
        REQUIRE_MESSAGE(made.ok(), made.body.dump());
    };
    post("pods", {{"metadata", metadata}, {"spec", {{"containers", Json::array({container})}}}});
    post("services",
         {{"metadata", metadata},
          {"spec",
           {{"selector", {{"app", "houses"}}},
            {"ports", Json::array({{{"name", "http"}, {"port", 80}, {"targetPort", port}}})}}}});
    REQUIRE(in_time([&] {
        return kube::condition(site->object("v1", "pods", "houses-predictor"), "Ready", "True")
            .is_object();
    }));
    tell(*site, "houses", ready_status("True", 100));
    launching.join();
    CAPTURE(ran.said);
    CHECK(ran.exit_code == 0);
    CHECK(ran.output == "http://houses.team.example.com/v1/models/houses:predict [302.6,551.1]\n");
    CHECK(in_time([&] { return site->count(kserve, "inferenceservices") == 0; }));
    site->kube().api().remove(site->path("v1", "pods") + "/houses-predictor");
}
