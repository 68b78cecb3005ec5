// `fairing run --deployer job` against a real API server: a Job becomes a pod, the training runs as
// a process of the test kubelet, and its log, end and failures come back.
#include <doctest/doctest.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <string>

#include "../support/api_proxy.hpp"
#include "../support/docker_registry.hpp"
#include "../support/kube_testenv.hpp"
#include "../support/workspace.hpp"

using namespace fairing;
using support::ApiProxy;
using support::Fault;
using support::in_time;
using support::KubeTestenv;
using support::SeenRequest;
using support::ShellResult;

namespace {

/// A namespace, an empty registry, the command, and a proxy that the command speaks to.
class JobSite {
public:
    /// nullptr, and the reason as a message, where something is missing.
    static std::unique_ptr<JobSite> make() {
        KubeTestenv* testenv = KubeTestenv::get();
        if (testenv == nullptr) {
            return nullptr;
        }
        if (!env("FAIRING_COMMAND") || !test::has_program("docker-registry")) {
            MESSAGE("skipped: FAIRING_COMMAND is not set, or docker-registry is not installed");
            return nullptr;
        }
        std::unique_ptr<JobSite> site{new JobSite{*testenv}};
        REQUIRE(site->registry.running());
        return site;
    }

    [[nodiscard]] std::string command_line(const std::string& entry,
                                           const std::string& options) const {
        return *env("FAIRING_COMMAND") + " run " + entry + " --base-image scratch --registry " +
               registry.host() + "/demo --deployer job --kubeconfig " + (folder / "kubeconfig") +
               " --namespace " + space + ' ' + options;
    }
    /// Both streams together.
    [[nodiscard]] ShellResult run(const std::string& entry, const std::string& options = {}) const {
        return support::run("cd " + *env("FAIRING_SOURCE_ROOT") + " && timeout 120 " +
                            command_line(entry, options) + " 2>&1");
    }
    /// A program, and the option that makes its pod play `steps` instead of running it.
    [[nodiscard]] ShellResult play(const std::string& steps,
                                   const std::string& options = {}) const {
        return run(program("print('unused')"), scripted(steps) + ' ' + options);
    }
    [[nodiscard]] static std::string scripted(const std::string& steps) {
        return std::string{"--annotation '"} + support::script_annotation + "={\"*\":[" + steps +
               "]}'";
    }
    [[nodiscard]] std::string program(const std::string& text) const {
        folder.file("program.py", text + '\n');
        return folder / "program.py";
    }
    [[nodiscard]] std::size_t count(const std::string& path) const {
        return kube.api().get(path).body["items"].size();
    }
    [[nodiscard]] std::string jobs() const {
        return "/apis/batch/v1/namespaces/" + space + "/jobs";
    }
    [[nodiscard]] std::string pods() const { return "/api/v1/namespaces/" + space + "/pods"; }
    /// Nothing of a run is left; pods go a moment after their Job.
    [[nodiscard]] bool is_clean() const {
        return in_time([&] { return count(jobs()) == 0 && count(pods()) == 0; });
    }

    KubeTestenv& kube;
    std::string space;
    support::Workspace folder = {};
    support::DockerRegistry registry = support::DockerRegistry{};
    ApiProxy proxy;

private:
    explicit JobSite(KubeTestenv& testenv)
        : kube(testenv),
          space(testenv.new_namespace()),
          proxy(testenv.server(), testenv.token(), support::make_transport(testenv.ca())) {
        folder.file(
            "kubeconfig",
            Json{{"current-context", "one"},
                 {"clusters",
                  Json::array({{{"name", "c"}, {"cluster", {{"server", proxy.url()}}}}})},
                 {"contexts", Json::array({{{"name", "one"}, {"context", {{"cluster", "c"}}}}})}}
                .dump());
    }
};

bool has(const ShellResult& result, const std::string& text) {
    return result.output.find(text) != std::string::npos;
}

/// Whether everything that `wanted` says is in `stored`; `path` is where it is not.
bool holds(const Json& stored, const Json& wanted, std::string& path) {
    if (wanted.is_object()) {
        for (const auto& [key, value] : wanted.items()) {
            path += '/' + key;
            if (!stored.is_object() || !stored.contains(key) || !holds(stored[key], value, path)) {
                return false;
            }
            path.resize(path.size() - key.size() - 1);
        }
        return true;
    }
    if (wanted.is_array()) {
        if (!stored.is_array() || stored.size() != wanted.size()) {
            return false;
        }
        for (std::size_t i = 0; i < wanted.size(); ++i) {
            if (!holds(stored[i], wanted[i], path)) {
                return false;
            }
        }
        return true;
    }
    return stored == wanted;
}

constexpr const char* example = "examples/train.py --input examples/data";

}  // namespace

TEST_CASE("the main job on Kubernetes: losses stream, exit code 0, nothing is left") {
    const auto site = JobSite::make();
    if (!site) {
        return;
    }
    const std::string direct = " --kubeconfig " + site->kube.kubeconfig();
    const ShellResult ran = support::run(
        "cd " + *env("FAIRING_SOURCE_ROOT") + " && " + *env("FAIRING_COMMAND") + " run " + example +
        " --base-image scratch --registry " + site->registry.host() +
        "/demo --deployer job --cleanup when-done --namespace " + site->space + direct + " 2>&1");
    CAPTURE(ran.output);
    CHECK(ran.exit_code == 0);
    CHECK(has(ran, "epoch   1  loss"));
    CHECK(has(ran, "epoch  20  loss"));
    CHECK(has(ran, "model written to model.txt"));
    CHECK(site->is_clean());
}

TEST_CASE("with --cleanup never the Job stays Complete, and is what render printed") {
    const auto site = JobSite::make();
    if (!site) {
        return;
    }
    const std::string options = "--cleanup never --run-id r1 --cpu 1 --env A=b";
    const ShellResult ran = site->run(example, options);
    CAPTURE(ran.output);
    REQUIRE(ran.exit_code == 0);
    CHECK(has({.output = site->kube.kubectl("get job -n " + site->space + " -l fairing-id").output},
              "Complete"));
    const ShellResult rendered = support::run(
        "cd " + *env("FAIRING_SOURCE_ROOT") + " && " + *env("FAIRING_COMMAND") + " render " +
        example + " --base-image scratch --registry " + site->registry.host() +
        "/demo --deployer job --output json --namespace " + site->space + ' ' + options);
    REQUIRE(rendered.exit_code == 0);
    Json wanted = parse_json(rendered.output, "render's output");
    if (wanted.is_array()) {
        wanted = wanted.back();
    } else if (wanted.contains("items")) {
        wanted = wanted["items"].back();
    }
    REQUIRE(wanted["kind"] == "Job");
    const Json stored = site->kube.api()
                            .get(site->jobs() + '/' + wanted["metadata"]["name"].get<std::string>())
                            .body;
    std::string path;
    CHECK_MESSAGE(holds(stored, wanted, path), path);

    // The same run id finds the Job that is there.
    CHECK(site->run(example, options).exit_code == 0);
    CHECK(site->count(site->jobs()) == 1);
}

TEST_CASE(
    "a training that exits with 7 makes the command exit with 7, and its last lines are shown") {
    const auto site = JobSite::make();
    if (!site) {
        return;
    }
    const ShellResult ran =
        site->run(site->program("import sys\nprint('last words')\nsys.exit(7)"));
    CAPTURE(ran.output);
    CHECK(ran.exit_code == 7);
    CHECK(has(ran, "last words"));
    CHECK(site->is_clean());
}

TEST_CASE(
    "fault 52: an image that can not be pulled fails within 30 s, with the registry's reason") {
    const auto site = JobSite::make();
    if (!site) {
        return;
    }
    // The image vanishes from the registry just before the Job is made.
    site->proxy.set_policy([&](const SeenRequest& request) {
        if (request.method == "POST" && request.target.find("/jobs") != std::string::npos) {
            std::filesystem::remove_all(site->registry.data() / "docker/registry/v2/repositories");
        }
        return Fault{};
    });
    const auto begin = std::chrono::steady_clock::now();
    const ShellResult ran = site->run(example);
    CAPTURE(ran.output);
    CHECK(ran.exit_code != 0);
    CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds{30});
    CHECK((has(ran, "ImagePullBackOff") || has(ran, "ErrImagePull")));
    CHECK(site->is_clean());
}

TEST_CASE("fault 52: what keeps a pod from running, or ends it, is named, and all is cleaned up") {
    const auto site = JobSite::make();
    if (!site) {
        return;
    }
    struct Played {
        const char* steps;
        const char* said;
    };
    for (const Played& each :
         {Played{R"([{"waiting":"InvalidImageName","message":"cannot parse"}])",
                 "InvalidImageName"},
          Played{R"([{"waiting":"CreateContainerConfigError","message":"secret \"k\" not found"}])",
                 "secret \"k\" not found"},
          Played{R"([{"say":"big\n"},{"exit":137,"reason":"OOMKilled"}])", "OOMKilled"},
          Played{R"([{"say":"big\n"},{"evict":"The node was low on memory"}])",
                 "The node was low on memory"}}) {
        const ShellResult ran = site->play(each.steps);
        CAPTURE(ran.output);
        CHECK(ran.exit_code != 0);
        CHECK_MESSAGE(has(ran, each.said), each.said);
        CHECK(site->is_clean());
    }
    const ShellResult nowhere = site->run(example, "--node-selector no=where --start-timeout 2");
    CAPTURE(nowhere.output);
    CHECK(nowhere.exit_code != 0);
    CHECK(has(nowhere, "Unschedulable"));
    CHECK(site->is_clean());
}

TEST_CASE("fault 52: a Job that is deleted under us is an error that says so") {
    const auto site = JobSite::make();
    if (!site) {
        return;
    }
    std::jthread remover{[&] {
        if (in_time([&] { return site->count(site->pods()) == 1; })) {
            const Json job = site->kube.api().get(site->jobs()).body["items"][0];
            site->kube.api().remove(site->jobs() + '/' + job["metadata"]["name"].get<std::string>(),
                                    {{"propagationPolicy", "Background"}});
        }
    }};
    const ShellResult ran = site->play(R"([{"say":"on it\n"},{"hang":true}])");
    CAPTURE(ran.output);
    CHECK(ran.exit_code != 0);
    CHECK(ran.exit_code != 124);
    CHECK(has(ran, "deleted"));
    CHECK(site->is_clean());
}

TEST_CASE("fault 55: an interrupt while the log is followed removes Job and pods") {
    const auto site = JobSite::make();
    if (!site) {
        return;
    }
    const std::string log = site->folder / "log";
    // A shell's background job ignores SIGINT unless told otherwise.
    const ShellResult ran =
        support::run("cd " + *env("FAIRING_SOURCE_ROOT") + " && env --default-signal=INT " +
                     site->command_line(site->program("print('unused')"),
                                        JobSite::scripted(R"([{"say":"on it\n"},{"hang":true}])")) +
                     " > " + log + " 2>&1 & pid=$!; for i in $(seq 600); do grep -q 'on it' " +
                     log + " && break; sleep 0.1; done; kill -INT $pid; wait $pid");
    CAPTURE(read_file(log));
    CHECK(ran.exit_code == 130);
    CHECK(site->is_clean());
}

TEST_CASE("submitting a Job adds at most 5 requests before the first watch event") {
    const auto site = JobSite::make();
    if (!site) {
        return;
    }
    std::atomic<bool> watches = false;
    std::atomic<int> before = 0;
    site->proxy.set_policy([&](const SeenRequest& request) {
        const bool is_watch = request.target.find("watch=") != std::string::npos;
        before += watches ? 0 : 1;  // the watch itself is counted, too
        watches = watches || is_watch;
        return Fault{};
    });
    const ShellResult ran = site->run(example);
    CAPTURE(ran.output);
    CHECK(ran.exit_code == 0);
    CHECK(watches);
    MESSAGE("requests up to the first watch: " << before.load());
    CHECK(before <= 5);
}

TEST_CASE("several pods: every line says whose it is") {
    const auto site = JobSite::make();
    if (!site) {
        return;
    }
    const ShellResult ran =
        site->run(site->program("import os\nprint('I am', os.environ['JOB_COMPLETION_INDEX'])"),
                  "--runs 2 --completion-mode indexed");
    CAPTURE(ran.output);
    CHECK(ran.exit_code == 0);
    CHECK(has(ran, "0 | I am 0\n"));
    CHECK(has(ran, "1 | I am 1\n"));
}

TEST_CASE("--dry-run server: the API server checks it, and stores nothing") {
    const auto site = JobSite::make();
    if (!site) {
        return;
    }
    const ShellResult ran = site->run(example, "--dry-run server");
    CAPTURE(ran.output);
    CHECK(ran.exit_code == 0);
    CHECK(has(ran, "kind: \"Job\""));
    CHECK(site->count(site->jobs()) == 0);
}
