#include "fairing/deployers/local/launch.hpp"

#include <doctest/doctest.h>

#include <fstream>

#include "../../support/hand_made_image.hpp"
#include "../../support/memory_store.hpp"
#include "../../support/process_table.hpp"
#include "../../support/scripted_transport.hpp"
#include "../../support/workspace.hpp"

using namespace fairing;
using namespace std::chrono_literals;
using support::HandMade;
using support::TarArchive;

namespace {

std::size_t temporary_directories() {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator{temporary_root()}) {
        count += entry.path().filename().string().starts_with("fairing-dir-") ? 1 : 0;
    }
    return count;
}

/// $TMPDIR of its own, so that what is left behind can be seen.
struct Fixture {
    support::Workspace space = {};
    std::optional<std::string> before = env("TMPDIR");
    support::MemoryStore store = {};
    support::Log log = {};
    local::Options options{.isolation = Isolation::process, .grace = 300ms};
    Session session = {};
    std::size_t descriptors = support::open_descriptors();

    Fixture() {
        ::setenv("TMPDIR", space.path().c_str(), 1);
        session.log = log.control().log;
    }
    Fixture(Fixture&&) = delete;
    Fixture& operator=(Fixture&&) = delete;
    ~Fixture() {
        CHECK(temporary_directories() == 0);
        CHECK(support::open_descriptors() == descriptors);
        CHECK(support::children().empty());
        if (before) {
            ::setenv("TMPDIR", before->c_str(), 1);
        } else {
            ::unsetenv("TMPDIR");
        }
    }
    Workload launch(const HandMade& image) {
        return local::launch(options, image.write(store, "oci:/nowhere"), store, session);
    }
};

HandMade script(const std::string& text) {
    return {.own = {TarArchive{}.file("app/run.sh", text, 0755)}, .command = {"sh", "/app/run.sh"}};
}

std::vector<std::string> lines_of(const Workload& workload) {
    std::vector<std::string> lines;
    workload.follow([&lines](OutputLine line) { lines.push_back(std::move(line.text)); });
    return lines;
}

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("process: our layers alone, the prefix mapped, the environment of the job") {
    Fixture f;
    HandMade image = script(
        "pwd; cat /app/../app/data.txt 2>&1; cat data.txt; echo $SEED $FAIRING_RUNTIME "
        "$PYTHONUNBUFFERED; ls; echo to-stderr >&2; echo made > made.txt; exit 3");
    image.own.push_back(TarArchive{}.file("app/data.txt", "data\n"));
    image.base = {TarArchive{}.file("app/of_the_base.txt", "x")};
    image.environment = {{"SEED", "7"}};
    const Workload workload = f.launch(image);
    CHECK(workload.object().kind == "Process");
    CHECK(workload.object().api_version == "fairing/v1");
    const std::string name = workload.object().name;
    CHECK(name.size() == std::string{"fairing-job-"}.size() + 12);
    CHECK(name.find_first_not_of("0123456789abcdef", 12) == std::string::npos);
    Lines lines = lines_of(workload);
    REQUIRE(lines.size() == 7);
    CHECK(lines[0].starts_with(f.space.path().string() + "/fairing-dir-"));
    CHECK(lines[0].ends_with("/root/app"));
    lines.erase(lines.begin());
    CHECK(support::contains(lines[0],
                            "No such file"));  // only arguments are mapped, not what a program does
    CHECK(lines[1] == "data");
    CHECK(lines[2] == "7 1 1");
    CHECK(lines[3] == "data.txt");
    CHECK(lines[4] == "run.sh");
    CHECK(lines[5] == "to-stderr");
    const Outcome outcome = workload.status();
    CHECK(outcome.state == State::failed);
    CHECK(outcome.exit_code == 3);
    CHECK(outcome.reason == "exited with 3");
    CHECK(outcome.tail.size() == 7);
}

TEST_CASE(
    "process: an image that was found by its reference says by its label which layers are ours") {
    Fixture f;
    HandMade made = script("ls");
    made.base = {TarArchive{}.file("app/of_the_base.txt", "x")};
    Image image = made.write(f.store, "oci:/nowhere");
    image.layers.clear();
    image.digest.clear();
    CHECK(lines_of(local::launch(f.options, image, f.store, f.session)) == Lines{"run.sh"});
}

TEST_CASE("process: signals, success, no working directory in the layers, an executable of ours") {
    Fixture f;
    const Outcome killed = f.launch(script("kill -9 $$")).wait();
    CHECK(killed.exit_code == 137);
    CHECK(killed.reason == "killed by signal 9 (SIGKILL)");
    CHECK(f.launch(script("exit 0")).wait().state == State::succeeded);
    CHECK(f.launch({.command = {"sh", "-c", "pwd"}}).wait().state == State::succeeded);
    HandMade direct = script("#!/bin/sh\necho direct $1\n");
    direct.command = {"/app/run.sh", "/app/run.sh"};
    const Lines lines = lines_of(f.launch(direct));
    REQUIRE(lines.size() == 1);
    CHECK(support::contains(lines[0], "/root/app/run.sh"));
    HandMade rooted = script("");
    rooted.working_directory = "/";
    rooted.command = {"/bin/sh", "-c", "ls"};
    CHECK(lines_of(f.launch(rooted)) == Lines{"app"});
}

TEST_CASE("process: python runs unbuffered, and its lines come as it prints them") {
    if (!find_program("python3")) {
        MESSAGE("skipped: no python3");
        return;
    }
    Fixture f;
    const Workload workload = f.launch(
        {.own = {TarArchive{}.file("app/train.py",
                                   "import sys, time\nprint('epoch 1')\nprint(sys.argv[0])\n"
                                   "time.sleep(1000)\n")},
         .command = {"python3", "/app/train.py"}});
    struct Seen {};
    CHECK_THROWS_AS(workload.follow([](OutputLine line) {
        CHECK(line.text == "epoch 1");
        throw Seen{};
    }),
                    Seen);
    CHECK(workload.status().state == State::running);
}

TEST_CASE(
    "process: remove, the session's stop and the last handle leave no process, whatever it does "
    "against it") {
    const std::string mark = support::unique_mark("launch");
    HandMade stubborn = script(
        "trap '' TERM; setsid --fork sh -c 'trap \"\" TERM; echo orphan; sleep 1000; :' $1; "
        "while :; do sleep 0.05; done");
    stubborn.command.push_back(mark);
    const auto wait_for_orphan = [](const Workload& workload) {
        CHECK(support::eventually([&] { return !workload.status().tail.empty(); }));
    };
    {
        Fixture f;
        const Workload workload = f.launch(stubborn);
        wait_for_orphan(workload);
        workload.remove();
        CHECK(support::processes_with(mark).empty());
        CHECK(temporary_directories() == 0);
        CHECK(workload.status().state == State::removed);
    }
    {
        Fixture f;
        std::stop_source source;
        f.session.stop = source.get_token();
        const Workload workload = f.launch(stubborn);
        wait_for_orphan(workload);
        source.request_stop();
        CHECK_THROWS_AS(workload.follow({}, source.get_token()), Cancelled);
        CHECK(workload.wait().state == State::failed);
        CHECK(support::processes_with(mark).empty());
    }
    {
        Fixture f;
        wait_for_orphan(f.launch(stubborn));
        CHECK(support::processes_with(mark).empty());
    }
}

TEST_CASE("process: much output with nobody listening does not hold it up") {
    Fixture f;
    const Workload workload =
        f.launch(script("seq 1 100000; head -c 3145728 /dev/zero | tr '\\0' x; exit 5"));
    CHECK(support::eventually([&] { return workload.status().state == State::failed; }));
    const Lines lines = lines_of(workload);
    CHECK(lines.size() == 100003);
    CHECK(lines[99999] == "100000");
    CHECK(workload.status().exit_code == 5);
}

TEST_CASE("errors leave nothing behind: no program, no layer, a broken one, a stop") {
    Fixture f;
    CHECK_THROWS_WITH_AS(static_cast<void>(f.launch({.command = {"python4-that-is-not-there"}})),
                         doctest::Contains("python4-that-is-not-there"), Error);
    CHECK_THROWS_WITH_AS(static_cast<void>(f.launch({})), doctest::Contains("no command"), Error);
    Image image = script("true").write(f.store, "oci:/nowhere");
    f.store.blobs[image.layers.front().digest] = "changed";
    CHECK_THROWS_WITH_AS(static_cast<void>(local::launch(f.options, image, f.store, f.session)),
                         doctest::Contains(image.layers.front().digest.c_str()), Error);
    image.digest = "sha256:" + std::string(64, '0');
    CHECK_THROWS_AS(static_cast<void>(local::launch(f.options, image, f.store, f.session)), Error);
    std::stop_source source;
    source.request_stop();
    f.session.stop = source.get_token();
    CHECK_THROWS_AS(static_cast<void>(f.launch(script("true"))), Cancelled);
}

TEST_CASE("automatic: a runtime is taken only when the image holds the program") {
    Fixture f;
    // A stand-in for a runtime: it proves that it was called, and with what.
    f.space.file(
        "runtime",
        "#!/bin/sh\nwhile [ $# -gt 0 ]; do case $1 in --pid-file) echo 1 > \"$2\";; --bundle) "
        "bundle=$2;; esac; shift; done\n[ -z \"$bundle\" ] || { echo called; "
        "ls $bundle/rootfs/usr/bin; exit 9; }\n",
        0755);
    f.options.isolation = Isolation::automatic;
    f.options.runtime = f.space / "runtime";
    HandMade image = script("echo plain");
    {
        const Workload workload = f.launch(image);
        CHECK(workload.object().kind == "Process");
        CHECK(lines_of(workload) == Lines{"plain"});
        REQUIRE(f.log.lines.size() == 1);
        CHECK(support::contains(f.log.lines.front(), "does not hold sh"));
    }
    image.base = {TarArchive{}
                      .file("usr/bin/dash", "x", 0755)
                      .link("usr/bin/sh", "dash")
                      .link("bin", "usr/bin")};
    {
        const Workload workload = f.launch(image);
        CHECK(workload.object().kind == "Container");
        CHECK(lines_of(workload) == Lines{"called", "dash", "sh"});
        CHECK(workload.status().reason == "exited with 9");
    }
    image.base.push_back(TarArchive{}.file("usr/bin/.wh.dash", ""));  // a later layer took it away
    CHECK(f.launch(image).object().kind == "Process");
    image.base.pop_back();
    image.platform.architecture = "pdp11";
    f.options.isolation = Isolation::container;
    CHECK_THROWS_WITH_AS(static_cast<void>(f.launch(image)), doctest::Contains("pdp11"), Error);
    f.options.isolation = Isolation::process;
    CHECK(f.launch(image).object().kind == "Process");
}

TEST_CASE("container without anything that runs one is an error with a way out") {
    Fixture f;
    const std::optional<std::string> path = env("PATH");
    const std::optional<std::string> host = env("DOCKER_HOST");
    ::setenv("PATH", "/nowhere", 1);
    ::setenv("DOCKER_HOST", "unix:///nowhere/engine.sock", 1);
    f.options.isolation = Isolation::container;
    const std::string error =
        support::error_of([&] { static_cast<void>(f.launch(script("true"))); });
    ::setenv("PATH", path->c_str(), 1);
    f.options.isolation = Isolation::automatic;
    ::setenv("PATH", "/bin:/usr/bin/nowhere", 1);
    ::setenv("DOCKER_HOST", "tcp://elsewhere:1", 1);
    HandMade image = script("true");
    if (!local::find_runtime({})) {
        CHECK(f.launch(image).object().kind == "Process");
    }
    ::setenv("PATH", path->c_str(), 1);
    if (host) {
        ::setenv("DOCKER_HOST", host->c_str(), 1);
    } else {
        ::unsetenv("DOCKER_HOST");
    }
    CHECK(support::contains(error, "no crun or runc"));
    CHECK(support::contains(error, "/nowhere/engine.sock"));
    CHECK(support::contains(error, "--isolation process"));
}

TEST_CASE("engine: the image is loaded when it is not there, runs, and both go") {
    Fixture f;
    test::ScriptedTransport script_;
    HandMade made = script("true");
    made.environment = {{"SEED", "1"}};
    const Image image = made.write(f.store, "oci:/nowhere");
    const std::string id = oci::image_id(
        oci::load_image(f.store, image.digest, oci::host_platform(), image.reference).image);
    const std::string v = "http+unix://%2Fe.sock/v1.41";
    std::string escaped = id;
    escaped.replace(escaped.find(':'), 1, "%3A");
    script_
        .expect("GET", "http+unix://%2Fe.sock/version",
                {.status = 200, .body = R"({"ApiVersion":"1.41"})"})
        .expect("GET", v + "/images/" + escaped + "/json", {.status = 404})
        .expect("POST", v + "/images/load?quiet=1",
                {.status = 200, .body = "{\"stream\":\"Loaded\"}\n"})
        .expect("POST", "", {.status = 201, .body = R"({"Id":"c1"})"})
        .expect("POST", v + "/containers/c1/start", {.status = 204})
        .expect("GET", v + "/containers/c1/logs?follow=1&stdout=1&stderr=1",
                {.status = 200,
                 .body = std::string{"\x01\0\0\0\0\0\0\x09one\ntwo\nt\x02\0\0\0\0\0\0\x02"
                                     "e\n",
                                     27}})
        .expect("POST", v + "/containers/c1/wait", {.status = 200, .body = R"({"StatusCode":137})"})
        // Podman's following may end before the log does.
        .expect("GET", v + "/containers/c1/logs?stdout=1&stderr=1",
                {.status = 200,
                 .body = std::string{"\x01\0\0\0\0\0\0\x0eone\ntwo\nthree\n\x02\0\0\0\0\0\0\x02"
                                     "e\n",
                                     32}})
        .expect("DELETE", v + "/containers/c1?force=1&v=1", {.status = 204})
        .expect("DELETE", v + "/images/" + escaped, {.status = 200, .body = "[]"});
    const std::string path = *env("PATH");
    ::setenv("PATH", "/nowhere", 1);
    f.options.isolation = Isolation::container;
    f.options.engine = "/e.sock";
    {
        f.session.transport = std::ref(script_);
        const Workload workload = local::launch(f.options, image, f.store, f.session);
        ::setenv("PATH", path.c_str(), 1);
        CHECK(lines_of(workload) == Lines{"one", "two", "e", "three"});
        CHECK(workload.status().exit_code == 137);
        CHECK(workload.status().reason == "exited with 137, as if killed by signal 9 (SIGKILL)");
        CHECK(workload.object().kind == "Container");
    }
    CHECK(script_.complaint().empty());
    const Json settings = Json::parse(script_.recorded()[3].body);
    CHECK(settings.at("Image") == id);
    CHECK(settings.at("Entrypoint") == Json::array({"sh"}));
    CHECK(settings.at("Cmd") == Json::array({"/app/run.sh"}));
    CHECK(settings.at("Env") == Json::array({"FAIRING_RUNTIME=1", "PYTHONUNBUFFERED=1", "SEED=1"}));
    CHECK(settings.at("HostConfig").at("NetworkMode") == "host");
}

TEST_CASE("engine: a log that goes on after the end of its container is read to its end") {
    Fixture f;
    test::ScriptedTransport script_;
    const std::string v = "http+unix://%2Fe.sock/v1.41";
    const std::string frames{"\x01\0\0\0\0\0\0\x04one\n\x01\0\0\0\0\0\0\x04two\n", 24};
    std::atomic<bool> looked = false;
    script_
        .expect("GET", "http+unix://%2Fe.sock/version",
                {.status = 200, .body = R"({"ApiVersion":"1.41"})"})
        .expect("POST", "", {.status = 201, .body = R"({"Id":"c1"})"})
        .expect("POST", v + "/containers/c1/start", {.status = 204})
        .expect("GET", v + "/containers/c1/logs?follow=1&stdout=1&stderr=1",
                [&looked](const test::Recorded&) -> net::Response {
                    while (!looked) {
                        std::this_thread::sleep_for(10ms);
                    }
                    throw Cancelled{ErrorCode::cancelled, {.attempted = "reach"}};
                })
        .expect("GET", v + "/containers/c1/json",
                [&looked](const test::Recorded&) {
                    looked = true;
                    return net::Response{.status = 200, .body = R"({"State":{"Running":false}})"};
                })
        .expect("POST", v + "/containers/c1/wait", {.status = 200, .body = R"({"StatusCode":0})"})
        .expect("GET", v + "/containers/c1/logs?stdout=1&stderr=1", {.status = 200, .body = frames})
        .expect("DELETE", v + "/containers/c1?force=1&v=1", {.status = 204});
    Image image;
    image.location = Location::engine;
    image.reference = "job:tag";
    image.engine = "/e.sock";
    image.command = {"true"};
    f.session.transport = std::ref(script_);
    CHECK(lines_of(local::launch_in_engine(f.options, image, f.session)) == Lines{"one", "two"});
    CHECK(script_.complaint().empty());
}

TEST_CASE(
    "engine: what fails after the container was made removes it, and an image of others stays") {
    Fixture f;
    test::ScriptedTransport script_;
    const std::string v = "http+unix://%2Fe.sock/v1.41";
    script_
        .expect("GET", "http+unix://%2Fe.sock/version",
                {.status = 200, .body = R"({"ApiVersion":"1.41"})"})
        .expect("POST", "", {.status = 201, .body = R"({"Id":"c1"})"})
        .expect("POST", v + "/containers/c1/start",
                {.status = 400, .body = R"({"message":"no such program"})"})
        .expect("DELETE", v + "/containers/c1?force=1&v=1", {.status = 204});
    Image image;
    image.location = Location::engine;
    image.reference = "job:tag";
    image.command = {"nothing"};
    f.options.engine = "/e.sock";
    f.session.transport = std::ref(script_);
    CHECK_THROWS_WITH_AS(static_cast<void>(local::launch_in_engine(f.options, image, f.session)),
                         doctest::Contains("no such program"), Error);
    CHECK(script_.complaint().empty());
}
