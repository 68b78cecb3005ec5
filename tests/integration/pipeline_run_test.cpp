// `fairing run --deployer pipeline`: images go to a real registry, runs to a server that is made of
// Kubeflow Pipelines' own packages (tests/support/pipelines_server.py): they judge what is sent.
#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "../support/docker_registry.hpp"
#include "../support/workspace.hpp"
#include "fairing/core/env.hpp"
#include "fairing/core/json_text.hpp"

using namespace fairing;
using support::contains;
using support::run;
using support::ShellResult;

namespace {

class Pipelines {
public:
    /// nullptr, and the reason as a message, where something is missing. A run goes through
    /// `states`, one each time that it is looked at.
    static std::unique_ptr<Pipelines> make(const std::string& states) {
        if (!env("FAIRING_COMMAND") || !fairing::test::has_program("docker-registry")) {
            MESSAGE("skipped: FAIRING_COMMAND is not set, or docker-registry is not installed");
            return nullptr;
        }
        if (!fairing::test::has_program("kfp-python")) {
            MESSAGE("skipped: there is no kfp (tools/dependencies cloud-peers)");
            return nullptr;
        }
        std::unique_ptr<Pipelines> made{new Pipelines{states}};
        REQUIRE(made->registry_.running());
        REQUIRE(made->starts());
        return made;
    }

    [[nodiscard]] ShellResult launch(const std::string& subcommand,
                                     const std::string& options = {}) const {
        return command(launching(subcommand) + options);
    }
    /// The same, interrupted when it says that the run has started.
    [[nodiscard]] ShellResult interrupt(const std::string& options) const {
        const std::string output = home_ / "output";
        return run(environment() + "; env --default-signal=INT " + *env("FAIRING_COMMAND") + ' ' +
                   launching("run") + options + " >" + output +
                   " 2>&1 & pid=$!; for i in $(seq 1200); do grep -q started " + output +
                   " && break; sleep 0.1; done; kill -INT $pid; wait $pid; echo code $?; cat " +
                   output);
    }
    /// Both streams together.
    [[nodiscard]] ShellResult command(const std::string& arguments) const {
        return run(environment() + " && timeout 120 " + *env("FAIRING_COMMAND") + ' ' + arguments +
                   " 2>&1");
    }
    /// Which runs the server has.
    [[nodiscard]] Json told() const {
        return parse_json(run("curl -s --noproxy '*' " + url() + "/test").output, "the server");
    }
    [[nodiscard]] const support::Workspace& home() const { return home_; }

private:
    explicit Pipelines(const std::string& states)
        : server_(
              {"env", "STATES=" + states, "TOKEN=t-1", "kfp-python",
               *env("FAIRING_SOURCE_ROOT") + "/tests/support/pipelines_server.py", home_ / "port"},
              home_ / "server.log") {
        home_.file("train.py", "print('unused')\n");
        home_.file("fairing.json",
                   R"({"deployer": {"name": "pipeline", "poll_milliseconds": 20}})");
    }
    [[nodiscard]] bool starts() const {
        for (int i = 0; i < 6000; ++i) {
            if (std::filesystem::exists(home_ / "port")) {
                return true;
            }
            std::this_thread::sleep_for(std::chrono::milliseconds{20});
        }
        return false;
    }
    /// The service and the token, and a home without any others.
    [[nodiscard]] std::string environment() const {
        const std::string home = home_.path().string();
        return "cd " + home + " && export HOME=" + home + " KF_PIPELINES_ENDPOINT=" + url() +
               " KF_PIPELINES_TOKEN=t-1";
    }
    [[nodiscard]] std::string launching(const std::string& subcommand) const {
        return subcommand + " train.py --base-image scratch --registry " + registry_.host() +
               "/team --deployer pipeline ";
    }
    [[nodiscard]] std::string url() const {
        return "http://127.0.0.1:" + read_file(home_ / "port");
    }

    support::Workspace home_ = {};
    support::DockerRegistry registry_ = support::DockerRegistry{};
    fairing::test::ChildProcess server_;
};

}  // namespace

TEST_CASE("a pipeline is taken by kfp, run, found again and deleted") {
    const auto site = Pipelines::make("PENDING,RUNNING,RUNNING,SUCCEEDED");
    if (!site) {
        return;
    }
    const ShellResult ran =
        site->launch("run",
                     "--run-id p1 --experiment tuning --cpu 2 --memory 4 --gpu 1 --env A=b "
                     "--retries 2 --pipeline-root s3://b/r --service-account runner "
                     "--reuse-results --node-selector disk=ssd");
    CAPTURE(ran.output);
    CHECK(ran.exit_code == 0);
    CHECK(contains(ran.output,
                   "a task of Kubeflow Pipelines can not express nodeSelector of its "
                   "pods: it is left out"));
    const Json stored = site->told()["runs"][0];
    CHECK(stored["state"] == "SUCCEEDED");
    CHECK(stored["service_account"] == "runner");
    CHECK(stored["runtime_config"]["pipeline_root"] == "s3://b/r");

    const ShellResult listed = site->command("list");
    CHECK_MESSAGE(contains(listed.output, "fairing-pipeline-p1"), listed.output);
    const ShellResult status = site->command("status p1");
    CHECK_MESSAGE(contains(status.output, "PipelineRun fairing-pipeline-p1: succeeded"),
                  status.output);
    CHECK(site->command("wait pipelines/p1").exit_code == 0);
    // The same run once more is the one that there is.
    CHECK(site->launch("run", "--run-id p1").exit_code == 0);
    CHECK(site->told()["runs"].size() == 1);
    CHECK(site->command("delete p1").exit_code == 0);
    CHECK(site->told()["runs"].empty());
    CHECK(contains(site->command("status p1").output, "no run of that name or run id"));
}

TEST_CASE("a run that fails ends with the program's code, and one sentence") {
    const auto site = Pipelines::make("RUNNING,FAILED");
    if (!site) {
        return;
    }
    const ShellResult ran = site->launch("run", "--cleanup when-done");
    CAPTURE(ran.output);
    CHECK(ran.exit_code == 3);
    CHECK(contains(ran.output, "the run failed: task program: main: Error (exit code 3)"));
    CHECK(site->told()["runs"].empty());
}

TEST_CASE("a run that is interrupted is terminated, and archived when that is asked for") {
    const auto site = Pipelines::make("RUNNING");
    if (!site) {
        return;
    }
    const ShellResult ran = site->interrupt("--archive");
    CAPTURE(ran.output);
    CHECK(contains(ran.output, "code 130"));
    const Json told = site->told();
    REQUIRE(told["runs"].size() == 1);
    CHECK(told["runs"][0]["state"] == "CANCELED");
    CHECK(told["runs"][0]["storage_state"] == "ARCHIVED");
}

TEST_CASE("kfp's own loader takes what is rendered; without the token nothing is made") {
    const auto site = Pipelines::make("RUNNING");
    if (!site) {
        return;
    }
    const ShellResult rendered = site->launch("render", "--output yaml --quiet");
    REQUIRE_MESSAGE(rendered.exit_code == 0, rendered.output);
    site->home().file("pipeline.yaml", rendered.output);
    const ShellResult loaded =
        run("kfp-python -c 'import kfp.components, sys; "
            "print(kfp.components.load_component_from_file(sys.argv[1]).pipeline_spec"
            ".pipeline_info.name)' " +
            (site->home() / "pipeline.yaml") + " 2>&1");
    CHECK_MESSAGE(contains(loaded.output, "fairing-pipeline-"), loaded.output);
    const std::string wrong = site->home() / "token";
    site->home().file("token", "t-2\n");
    const ShellResult ran = site->launch("run", "--token-file " + wrong);
    CAPTURE(ran.output);
    CHECK(ran.exit_code == 77);
    CHECK(contains(ran.output, "there is no user identity"));
    CHECK(site->told()["runs"].empty());
}
