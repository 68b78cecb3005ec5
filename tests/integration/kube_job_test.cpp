// `fairing run --deployer job` against a real API server: a Job becomes a pod, the training runs as
// a process of the test kubelet, and its log, end and failures come back.
#include <doctest/doctest.h>

#include <atomic>
#include <filesystem>
#include <string>
#include <vector>

#include "../support/job_site.hpp"
#include "fairing/tasks.hpp"

using namespace fairing;
using support::Fault;
using support::has;
using support::in_time;
using support::JobSite;
using support::SeenRequest;
using support::ShellResult;

namespace {

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
        example + " --base-image scratch --registry " + site->host() +
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
    // 30 s where nothing else runs.
    CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds{90});
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
    const ShellResult nowhere = site->run(example, "--node-selector no=where --start-timeout 10");
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
                  "--runs 2 --completion-mode indexed --name several --cleanup never");
    CAPTURE(ran.output);
    CHECK(ran.exit_code == 0);
    CHECK(has(ran, "0 | I am 0\n"));
    CHECK(has(ran, "1 | I am 1\n"));
    // One of them, later.
    const ShellResult one =
        support::run(*env("FAIRING_COMMAND") + " logs several --pod 1 --kubeconfig " +
                     (site->folder / "kubeconfig") + " --namespace " + site->space + " 2>&1");
    CAPTURE(one.output);
    CHECK(one.exit_code == 0);
    CHECK(has(one, "1 | I am 1\n"));
    CHECK_FALSE(has(one, "I am 0"));
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

TEST_CASE("every option makes an object that the API server takes") {
    const auto site = JobSite::make();
    if (!site) {
        return;
    }
    site->folder.file("docker/config.json",
                      Json{{"auths", {{site->host(), {{"auth", "bWU6czNjcmV0"}}}}}}.dump());
    // It is strict: a field that it does not know is an error, not dropped.
    const ShellResult ran = support::run(
        "export DOCKER_CONFIG=" + (site->folder / "docker") + "; cd " +
        *env("FAIRING_SOURCE_ROOT") + " && " + *env("FAIRING_COMMAND") + " run " + example +
        " --base-image scratch --registry " + site->host() + "/demo --deployer job --kubeconfig " +
        (site->folder / "kubeconfig") + " --namespace " + site->space +
        " --dry-run server --output json --name n --run-id r --label team=vision --annotation a=b"
        " --cpu 0.5 --memory 1 --gpu 1 --gpu-vendor amd --env A=b --volume pvc:data:/mnt"
        " --volume secret:keys:/keys:one --volume config_map:settings:/settings"
        " --node-selector disk=ssd --service-account trainer --image-pull-secrets one"
        " --docker-credentials --priority-class low --queue q --queue-priority high --runs 2"
        " --backoff-limit 1 --ttl-seconds-after-finished 60 --active-deadline-seconds 3600"
        " --completion-mode indexed --suspend --cleanup always 2>&1");
    CAPTURE(ran.output);
    CHECK(ran.exit_code == 0);
    for (const char* part : {"\"Secret\"", "\"Job\"", "\"amd.com/gpu\"", "\"Indexed\"",
                             "\"kueue.x-k8s.io/queue-name\": \"q\"", "\"n-docker\""}) {
        CHECK_MESSAGE(has(ran, part), part);
    }
    CHECK_FALSE(has(ran, "bWU6czNjcmV0"));
    CHECK(site->count(site->jobs()) == 0);
}

TEST_CASE("fault 56: names and labels that Kubernetes refuses are refused before any request") {
    const auto site = JobSite::make();
    if (!site) {
        return;
    }
    const std::string longest(63, 'a');
    const std::string too_long(64, 'a');
    const std::string smuggled = "a\r\nX: y";
    /// What the real server says to a Job with this change, and to the name or label alone.
    const auto server_says = [&](const Json& change) {
        Json job = Json::parse(R"({"metadata": {"name": "a"}, "spec": {"template": {"spec": {
            "restartPolicy": "Never", "containers": [{"name": "main", "image": "none"}]}}}})");
        job.merge_patch(change);
        return site->kube.api().post(site->jobs() + "?dryRun=All", job).status;
    };
    const auto named = [](const std::string& name) { return Json{{"metadata", {{"name", name}}}}; };
    const auto labelled = [](const std::string& key, const std::string& value) {
        return Json{{"metadata", {{"labels", {{key, value}}}}}};
    };
    REQUIRE(server_says(Json::object()) == 201);
    Json indexed = named(longest);
    indexed["spec"] = {{"completionMode", "Indexed"}, {"completions", 1}, {"parallelism", 1}};
    const Json account{{"spec", {{"template", {{"spec", {{"serviceAccountName", "a b"}}}}}}}};

    struct Refused {
        std::string options, said;
        Json change;
    };
    const std::vector<Refused> refused = {
        {"--name " + too_long, "64 characters", named(too_long)},
        {"--name Upper", "cannot use name \"Upper\"", named("Upper")},
        {"--name '" + smuggled + '\'', R"(cannot use name "a\x0d\x0aX: y")", named(smuggled)},
        {"--name=-a", "cannot use name \"-a\"", named("-a")},
        {"--name " + longest + " --completion-mode indexed", "65 characters", indexed},
        {"--run-id Upper", "cannot use run id \"Upper\"", named("fairing-job-Upper")},
        {"--label 'team=a b'", "cannot use label team", labelled("team", "a b")},
        {"--label team=" + too_long, "64 characters", labelled("team", too_long)},
        {"--label 'team=" + smuggled + '\'', "cannot use label team", labelled("team", smuggled)},
        {"--label 'a b=c'", "cannot use label \"a b\"", labelled("a b", "c")},
        {"--service-account 'a b'", "cannot use service account", account},
    };
    const int connections = site->wire.connections();
    for (const Refused& each : refused) {
        CAPTURE(each.options);
        const ShellResult ran = site->run(site->program("print('unused')"), each.options);
        CAPTURE(ran.output);
        CHECK(ran.exit_code == 64);
        CHECK(has(ran, each.said));
        CHECK(server_says(each.change) == 422);
    }
    CHECK(site->proxy.seen().empty());
    CHECK(site->wire.connections() == connections);  // and no image was built in vain

    // What we take, the server takes.
    for (const std::string& options :
         {"--name " + longest, "--name " + longest.substr(2) + " --completion-mode indexed",
          std::string{"--name 0 --label team=A_b.c --label a.example/b="}}) {
        const ShellResult ran = site->run(example, options + " --dry-run server");
        CAPTURE(ran.output);
        CHECK(ran.exit_code == 0);
    }
    CHECK(site->count(site->jobs()) == 0);
}

TEST_CASE("the task: a training through a backend, to its end; the code of one that fails") {
    const auto site = JobSite::make();
    if (!site) {
        return;
    }
    site->folder.file("data/rows.csv", "1\n2\n3\n");
    std::string said;
    const Session session{.output = [&said](const OutputLine& line) { said += line.text + '\n'; }};
    TrainJob job{.entry_point = site->program("print(sum(map(int, open('rows/rows.csv'))))"),
                 .base_image = "scratch",
                 .registry = site->host() + "/demo",
                 .input_files = {site->folder / "data"},
                 .output_map = {{site->folder / "data", "/app/rows"}},
                 .kubernetes = {.namespace_ = site->space,
                                .cleanup = Cleanup::never,
                                .config_file = site->folder / "kubeconfig"},
                 .backend = {.platform = Platform::kubeflow_aws}};
    const Workload done = job.submit(session);
    CHECK(said == "6\n");
    CHECK(done.status().state == State::succeeded);
    done.remove();
    CHECK(site->is_clean());

    job.entry_point = site->program("import sys\nprint('no data')\nsys.exit(7)");
    job.kubernetes.cleanup = {};
    try {
        job.submit(session);
        FAIL("it did not fail");
    } catch (const WorkloadError& error) {
        CHECK(error.outcome().exit_code == 7);
        CHECK(error.outcome().tail == std::vector<std::string>{"no data"});
    }
    CHECK(site->is_clean());
}
