// The deployers to Google Cloud through the command: images go to a real registry, jobs and
// endpoints to a scripted Google on a port of this machine, with the project and the token of its
// metadata server.
#include <doctest/doctest.h>

#include <signal.h>

#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "../support/docker_registry.hpp"
#include "../support/example_program.hpp"
#include "../support/google_server.hpp"
#include "../support/workspace.hpp"
#include "fairing/core/env.hpp"
#include "fairing/core/files.hpp"

using namespace fairing;
using support::contains;
using support::GoogleServer;
using support::run;
using support::ShellResult;

namespace {

class GoogleCommand {
public:
    /// nullptr, and the reason as a message, where something is missing.
    static std::unique_ptr<GoogleCommand> make() {
        if (!env("FAIRING_COMMAND") || !fairing::test::has_program("docker-registry")) {
            MESSAGE("skipped: FAIRING_COMMAND is not set, or docker-registry is not installed");
            return nullptr;
        }
        std::unique_ptr<GoogleCommand> made{new GoogleCommand};
        REQUIRE(made->registry_.running());
        return made;
    }

    /// `fairing SUBCOMMAND train.py … --deployer NAME`, both streams together. `prefix` stands
    /// before the command.
    [[nodiscard]] ShellResult launch(const std::string& subcommand, const std::string& deployer,
                                     const std::string& prefix = {}) const {
        return fairing(subcommand + " train.py --base-image scratch --registry " +
                           registry_.host() + "/team --deployer " + deployer,
                       prefix);
    }
    [[nodiscard]] ShellResult fairing(const std::string& arguments,
                                      const std::string& prefix = {}) const {
        return run("cd " + home_.path().string() + " && env " + identity() + ' ' + prefix + ' ' +
                   *env("FAIRING_COMMAND") + ' ' + arguments + " 2>&1");
    }
    /// Those of an example that goes to this Google.
    [[nodiscard]] std::string variables() const {
        return identity() + " BASE=scratch REGISTRY=" + registry_.host() +
               "/team VERTEX_ENDPOINT=" + listener_->url("") +
               " LOGGING_ENDPOINT=" + listener_->url("");
    }
    /// Where Google is, and how often to look at it.
    [[nodiscard]] std::string options() const {
        return " --endpoint " + listener_->url("") + " --logging-endpoint " + listener_->url("") +
               " --poll-milliseconds 20 ";
    }
    /// The resource of this collection that is there; "" for none.
    [[nodiscard]] std::string resource(const std::string& collection) const {
        for (const auto& [name, value] : server.resources) {
            if (contains(name, '/' + collection + '/') && !contains(name, "/operations/")) {
                return name;
            }
        }
        return {};
    }
    /// The command is interrupted at the first such request. Needs the prefix `interruptible`.
    void interrupt_at(const std::string& method, const std::string& part) {
        server.on_request = [this](const support::GoogleRequest& request) {
            if (request.method == "GET") {
                server.go_on();
            }
        };
        // Afterwards: else what looks for it may come before it.
        server.on_obeyed = [this, method, part](const std::string& asked,
                                                const std::string& target) {
            if (asked == method && contains(target, part) && !is_interrupted_.exchange(true)) {
                ::kill(std::stoi(read_file(home_ / "pid")), SIGINT);
            }
        };
    }
    static constexpr const char* interruptible = R"(sh -c 'echo $$ > pid; exec "$@"' sh)";

    void config(const std::string& deployer) const {
        home_.file("google.json", Json{{"deployer",
                                        {{"name", deployer},
                                         {"endpoint", listener_->url("")},
                                         {"logging_endpoint", listener_->url("")}}}}
                                      .dump());
    }

    GoogleServer server = {};

private:
    /// That of a machine of Google's, in variables.
    [[nodiscard]] std::string identity() const {
        return "-u GOOGLE_APPLICATION_CREDENTIALS -u GOOGLE_CLOUD_PROJECT HOME=" +
               home_.path().string() +
               " GCE_METADATA_HOST=127.0.0.1:" + std::to_string(listener_->port());
    }
    GoogleCommand() { home_.file("train.py", "print('hello')\n"); }

    support::Workspace home_ = {};
    std::atomic<bool> is_interrupted_ = false;
    support::DockerRegistry registry_ = support::DockerRegistry{};
    std::unique_ptr<test::HttpServer> listener_ = server.listen();
};

std::size_t times(const std::string& text, const std::string& part) {
    std::size_t found = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
        ++found;
    }
    return found;
}

}  // namespace

TEST_CASE("a job of Vertex AI runs, and its lines are shown once") {
    const auto google = GoogleCommand::make();
    if (!google) {
        return;
    }
    google->server.entries.emplace(1, GoogleServer::entry("a", "01", "epoch 1"));
    google->server.entries.emplace(2, GoogleServer::entry("a", "01", "epoch 1"));
    google->server.entries.emplace(5, GoogleServer::entry("b", "00", "epoch 2"));
    const ShellResult ran = google->launch(
        "run", "vertex" + google->options() +
                   "--machine-type n1-standard-8 --accelerator-type NVIDIA_L4 --strategy spot "
                   "--workers 2 --label team=houses --env DEPTH=3 "
                   "--job-config 'jobSpec={\"enableWebAccess\": true}'");
    CAPTURE(ran.output);
    REQUIRE(ran.exit_code == 0);
    CHECK(times(ran.output, "epoch 1") == 1);
    CHECK(times(ran.output, "epoch 2") == 1);
    CHECK(contains(ran.output, "CustomJob projects/proj-1/locations/us-central1/customJobs/"));
    CHECK(contains(ran.output, " succeeded after "));
    const Json job = google->server.resources.at(google->resource("customJobs"));
    const Json& spec = job["jobSpec"];
    CHECK(job["labels"]["team"] == "houses");
    CHECK(spec["enableWebAccess"] == true);
    CHECK(spec["scheduling"]["strategy"] == "SPOT");
    CHECK(spec["workerPoolSpecs"][1]["replicaCount"] == 2);
    CHECK(spec["workerPoolSpecs"][0]["machineSpec"]["acceleratorType"] == "NVIDIA_L4");
    const auto container = spec["workerPoolSpecs"][0]["containerSpec"];
    CHECK(contains(container["imageUri"].get<std::string>(), "/team/fairing-job@sha256:"));
    CHECK(contains(container["command"].dump(), "/app/train.py"));

    // what render shows is what was sent, but for the run id
    const ShellResult shown = google->launch("render", "vertex --output json --workers 2");
    CAPTURE(shown.output);
    CHECK(shown.exit_code == 0);
    CHECK(contains(shown.output, "\"workerPoolSpecs\""));

    google->config("vertex");
    const std::string name = google->resource("customJobs");
    const ShellResult status = google->fairing("status " + name + " --config google.json");
    CHECK(status.output == "CustomJob " + name + ": succeeded\n");
    CHECK(google->fairing("status " + name + "9 --config google.json").exit_code == 65);
}

TEST_CASE("Fairing's gcp/hello-world-gpu-pytorch.py: a job of Vertex AI with a GPU") {
    const auto google = GoogleCommand::make();
    if (!google || support::missing_examples()) {
        return;
    }
    google->server.entries.emplace(1, GoogleServer::entry("a", "01", "epoch 1"));
    const support::Launched ran = support::launch_example("15_vertex", google->variables());
    CAPTURE(ran.said);
    REQUIRE(ran.exit_code == 0);
    CHECK(ran.output == "epoch 1\n");
    const Json pool = google->server.resources.at(
        google->resource("customJobs"))["jobSpec"]["workerPoolSpecs"][0];
    CHECK(pool["machineSpec"]["acceleratorType"] == "NVIDIA_TESLA_T4");
    CHECK(contains(pool["containerSpec"]["command"].dump(), "/app/examples/train.py"));
}

TEST_CASE("a job of Vertex AI that fails is told in one sentence") {
    const auto google = GoogleCommand::make();
    if (!google) {
        return;
    }
    google->server.states = {"JOB_STATE_RUNNING", "JOB_STATE_FAILED"};
    google->server.failure = "The replica workerpool0-0 exited with a non-zero status of 7.";
    const ShellResult ran = google->launch("run", "vertex" + google->options());
    CAPTURE(ran.output);
    CHECK(ran.exit_code == 7);
    CHECK(
        contains(ran.output,
                 "the job failed: The replica workerpool0-0 exited with a non-zero status of 7."));

    google->server.metadata_token = "stolen";
    const ShellResult refused = google->launch("run", "vertex" + google->options());
    CHECK(refused.exit_code == 77);
    CHECK(contains(refused.output, "401 Unauthorized: UNAUTHENTICATED"));
    CHECK_FALSE(contains(refused.output, "stolen"));
}

TEST_CASE("an interrupted run cancels its job, whatever it was about") {
    using Place = std::pair<const char*, const char*>;
    for (const auto& [method, part] : {Place{"POST", "/customJobs"}, Place{"GET", "/customJobs/"},
                                       Place{"POST", "entries:list"}}) {
        const auto google = GoogleCommand::make();
        if (!google) {
            return;
        }
        google->server.states = {"JOB_STATE_RUNNING"};
        google->interrupt_at(method, part);
        const ShellResult ran =
            google->launch("run", "vertex" + google->options(), GoogleCommand::interruptible);
        CAPTURE(ran.output);
        CHECK(ran.exit_code == 130);
        CHECK(google->server.count("POST", ":cancel") == 1);
        CHECK(google->server.resources.at(google->resource("customJobs"))["state"] ==
              "JOB_STATE_CANCELLED");
    }
}

TEST_CASE("an interrupted deployment leaves neither model nor endpoint") {
    for (const char* part : {"models:upload", ":deployModel", "/operations/deploy"}) {
        const auto google = GoogleCommand::make();
        if (!google) {
            return;
        }
        google->server.operation_looks = 3;
        google->interrupt_at(*part == '/' ? "GET" : "POST", part);
        const ShellResult ran = google->launch("run", "vertex-serving" + google->options(),
                                               GoogleCommand::interruptible);
        CAPTURE(ran.output);
        CHECK(ran.exit_code == 130);
        CHECK(google->resource("models") + google->resource("endpoints") == "");
    }
}

TEST_CASE("a model is served by Vertex AI") {
    const auto google = GoogleCommand::make();
    if (!google) {
        return;
    }
    const ShellResult ran =
        google->launch("run", "vertex-serving" + google->options() + "--name houses");
    CAPTURE(ran.output);
    REQUIRE(ran.exit_code == 0);
    const std::string endpoint = google->resource("endpoints");
    CHECK(contains(ran.output, "/v1/" + endpoint + ":predict\n"));
    CHECK(google->server.resources.at(endpoint)["deployedModels"].size() == 1);

    google->server.operation_failures = {
        {"deploy", {{"code", 9}, {"message", "The container does not answer."}}}};
    google->server.entries.emplace(0, GoogleServer::endpoint_entry("a", "01", "no such file"));
    const ShellResult failed =
        google->launch("run", "vertex-serving" + google->options() + "--name broken");
    CHECK(failed.exit_code == 1);
    CHECK(contains(failed.output, "the model was not deployed: The container does not answer."));
    CHECK(times(failed.output, "no such file") > 0);
    CHECK(google->resource("endpoints") == endpoint);

    google->server.operation_failures.clear();
    google->server.operation_looks = 1000000;
    const ShellResult late = google->launch(
        "run", "vertex-serving" + google->options() + "--name late --start-timeout 1");
    CHECK(late.exit_code == 69);
    CHECK(contains(late.output, "cannot upload model late: it takes too long"));
    CHECK(google->resource("endpoints") == endpoint);
}

TEST_CASE("the command finds an endpoint of Vertex AI again, asks it and removes it") {
    const auto google = GoogleCommand::make();
    if (!google) {
        return;
    }
    REQUIRE(google->launch("run", "vertex-serving" + google->options()).exit_code == 0);
    const std::string endpoint = google->resource("endpoints");
    const auto ask = [&](const std::string& subcommand, const std::string& more = {}) {
        return google->fairing(subcommand + ' ' + endpoint + google->options() + more);
    };
    const ShellResult status = ask("status");
    CHECK(contains(status.output, "Endpoint " + endpoint + ": ready\nhttp://"));
    CHECK(contains(status.output, "/v1/" + endpoint + ":predict\n"));
    CHECK(ask("wait").exit_code == 0);
    CHECK(ask("predict", "--data '[[1], [2]]'").output == "{\"predictions\":[2.0,4.0]}\n");
    const ShellResult alone = ask("traffic", "10");
    CHECK(alone.exit_code == 65);
    CHECK(contains(alone.output, "it has no models that could share them"));
    CHECK(ask("delete").exit_code == 0);
    CHECK(google->resource("models") + google->resource("endpoints") == "");
    const ShellResult gone = ask("logs");
    CHECK(gone.exit_code == 65);
    CHECK(contains(gone.output, "cannot find " + endpoint + ": it is not there"));
}

TEST_CASE("AI Platform v1 wants a gateway") {
    const auto google = GoogleCommand::make();
    if (!google) {
        return;
    }
    for (const char* deployer : {"gcp", "gcpserving"}) {
        const ShellResult refused = google->launch("run", deployer);
        CHECK(refused.exit_code == 65);
        CHECK(contains(refused.output, "Google shut it down on 31 January 2025"));
    }
    google->server.states = {"QUEUED", "RUNNING", "SUCCEEDED"};
    google->server.entries.emplace(1, GoogleServer::entry("a", "01", "epoch 1"));
    const ShellResult ran =
        google->launch("run", "gcp" + google->options() + "--scale-tier BASIC_GPU");
    CAPTURE(ran.output);
    CHECK(ran.exit_code == 0);
    CHECK(times(ran.output, "epoch 1") == 1);
    CHECK(google->launch("run", "gcpserving" + google->options() + "--version-name v1").exit_code ==
          0);
}
