// The main job against real peers: fairing builds examples/train.py on a real base in a real
// registry, and skopeo, umoci, docker and podman take the result. tools/test says where the command
// and the base image are.
#include <doctest/doctest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>

#include "../support/child_process.hpp"
#include "../support/docker_site.hpp"
#include "../support/readers.hpp"
#include "../support/shell.hpp"
#include "../support/site.hpp"
#include "../support/workspace.hpp"
#include "fairing/core/env.hpp"
#include "fairing/core/json_text.hpp"

using namespace fairing;
using support::count;
using support::missing;
using support::run;
using support::ShellResult;
using support::Site;
using support::text_of;

TEST_CASE("one line on stdout, the base's type, its layers first and unchanged") {
    const Site* site = Site::get();
    if (site == nullptr) {
        return;
    }
    const std::string reference = site->build();
    CHECK(reference.starts_with(site->host() + "/demo/fairing-job:"));
    CHECK(reference.find("@sha256:") != std::string::npos);

    const auto inspect = [](const std::string& options, const std::string& url) {
        const ShellResult result =
            run("skopeo inspect --tls-verify=false " + options + ' ' + url + " 2>&1");
        REQUIRE_MESSAGE(result.exit_code == 0, result.output);
        return parse_json(result.output, "skopeo's answer");
    };
    const Json manifest = inspect("--raw", Site::docker_url(reference));
    const Json base = inspect("--raw", "docker://" + site->base());
    CHECK(text_or(manifest, "mediaType") ==
          text_or(base, "mediaType", "application/vnd.oci.image.manifest.v1+json"));
    REQUIRE(manifest["layers"].size() == base["layers"].size() + 1);
    for (std::size_t i = 0; i < base["layers"].size(); ++i) {
        CHECK(manifest["layers"][i] == base["layers"][i]);
    }
    const Json config = inspect("--config --raw", Site::docker_url(reference));
    CHECK(config["config"]["Cmd"] == Json{"python3", "/app/examples/train.py"});
    CHECK(config["rootfs"]["diff_ids"].size() == manifest["layers"].size());
    CHECK(inspect("", Site::docker_url(reference))["Architecture"] == config["architecture"]);

    if (const auto data = env("FAIRING_TEST_DATA")) {
        const std::string schemas = *data + "/vectors/oci";
        write_file(site->file("manifest.json"), manifest.dump());
        write_file(site->file("config.json"), config.dump());
        for (const std::string kind : {"manifest", "config"}) {
            const std::string schema =
                kind == "manifest" ? "image-manifest-schema.json" : "config-schema.json";
            const ShellResult judged =
                run("/usr/bin/python3 " + site->source() + "/tests/support/validate.py " + schemas +
                    ' ' + schema + ' ' + site->file(kind + ".json") + " 2>&1");
            if (judged.exit_code == 2) {
                MESSAGE("skipped: " << judged.output);
                return;
            }
            CHECK_MESSAGE(judged.exit_code == 0, judged.output);
        }
    }
}

TEST_CASE("a second build sends nothing") {
    const Site* site = Site::get();
    if (site == nullptr) {
        return;
    }
    const std::string first = site->build();
    const std::string before = site->registry_log();
    const std::string second = site->build("--report " + site->file("report.json"));
    CHECK(first == second);
    const std::string log = site->registry_log().substr(before.size());
    CHECK(count(log, "\"PUT /v2/") == 0);
    CHECK(count(log, "/manifests/") >= 1);
    CHECK(count(log, "\"POST /v2/") == 0);
    CHECK(count(log, "\"PATCH /v2/") == 0);
    const Json report = parse_json(text_of(site->file("report.json")), "the report");
    CHECK(report["bytes"]["uploaded"] == 0);
    for (const Json& layer : report["layers"]) {
        CHECK(layer["transfer"] == "present");
    }
    CHECK(report["image"] == second);
}

TEST_CASE("a base in another repository of the registry is mounted, not copied") {
    const Site* site = Site::get();
    if (site == nullptr) {
        return;
    }
    static_cast<void>(site->build("--image-name fresh --report " + site->file("mounted.json")));
    const Json report = parse_json(text_of(site->file("mounted.json")), "the report");
    CHECK(report["layers"][0]["transfer"] == "mounted");
    CHECK(report["layers"].back()["transfer"] == "uploaded");
}

TEST_CASE("builds on one and on two processors are byte-identical") {
    const Site* site = Site::get();
    if (site == nullptr) {
        return;
    }
    support::Workspace space;
    std::string text;
    for (int i = 0; text.size() < 5'000'000; ++i) {
        text += "line " + std::to_string(i * 7919 % 10007) + ',';
    }
    space.file("big.csv", text);
    space.file("train.py", "print('x')\n");
    const std::string rest =
        " build train.py --input big.csv --base-image scratch --quiet --registry oci:";
    const ShellResult one =
        run("cd " + space.path().string() + " && taskset -c 0 " + site->command() + rest + "one");
    const ShellResult two =
        run("cd " + space.path().string() + " && " + site->command() + rest + "two");
    REQUIRE(one.exit_code == 0);
    CHECK(one.output.substr(one.output.find('@')) == two.output.substr(two.output.find('@')));
    CHECK(run("diff -r " + (space / "one/blobs") + ' ' + (space / "two/blobs")).exit_code == 0);
}

TEST_CASE("row 34: skopeo copies the result and umoci unpacks it") {
    const Site* site = Site::get();
    if (site == nullptr || missing("umoci")) {
        return;
    }
    const std::string reference = site->build();
    const std::string layout = site->file("copied");
    const ShellResult copied = run("skopeo copy -q --src-tls-verify=false " +
                                   Site::docker_url(reference) + " oci:" + layout + ":x 2>&1");
    REQUIRE_MESSAGE(copied.exit_code == 0, copied.output);
    const ShellResult unpacked =
        run("umoci unpack --image " + layout + ":x " + site->file("bundle") + " 2>&1");
    REQUIRE_MESSAGE(unpacked.exit_code == 0, unpacked.output);
    const std::string root = site->file("bundle") + "/rootfs";
    CHECK(run("diff -r " + site->source() + "/examples/data " + root + "/app/examples/data")
              .exit_code == 0);
    CHECK(std::filesystem::exists(root + "/usr/bin/python3"));
}

TEST_CASE(
    "row 34: docker pulls and runs the result; row 45: folders of the base keep their modes") {
    const support::DockerSite* docker = support::DockerSite::get();
    if (docker == nullptr || missing("umoci")) {
        return;
    }
    const Site* site = &docker->site();
    const support::DockerEngine& engine = docker->engine();
    const support::Workspace space;
    const ShellResult ran = engine.docker("run --rm --network host " + site->build());
    CAPTURE(ran.output);
    CHECK(ran.exit_code == 0);
    CHECK(count(ran.output, "loss") == 20);
    CHECK(ran.output.find("model written to model.txt") != std::string::npos);

    // A base whose /app is private and /tmp sticky: appending to /app changes neither.
    const support::Workspace build;
    write_file(build / "Dockerfile",
               "FROM " + site->base() + "\nRUN mkdir -m 0700 /app && chmod 1777 /tmp\n");
    const std::string strict = site->host() + "/strict:latest";
    const ShellResult made =
        engine.docker("build -q --network host -t " + strict + ' ' + build.path().string() +
                      " && " + engine.client() + " push -q " + strict);
    REQUIRE_MESSAGE(made.exit_code == 0, made.output);
    const std::string reference = site->build("--image-name strict-job", strict);
    // Judged by umoci: dockerd's overlay driver makes the missing parents of a layer 0755 by
    // itself.
    const ShellResult modes =
        run("skopeo copy -q --src-tls-verify=false " + Site::docker_url(reference) +
            " oci:" + (space / "strict") + ":x && umoci unpack --image " + (space / "strict") +
            ":x " + (space / "bundle") + " >/dev/null 2>&1 && stat -c %a " +
            (space / "bundle/rootfs/app") + ' ' + (space / "bundle/rootfs/tmp"));
    CHECK(modes.output == "700\n1777\n");
    // That base is Docker's v2s2; the result is too.
    const ShellResult raw =
        run("skopeo inspect --raw --tls-verify=false " + Site::docker_url(reference));
    CHECK(raw.output.find("application/vnd.docker.distribution.manifest.v2+json") !=
          std::string::npos);
    CHECK(raw.output.find("vnd.oci.") == std::string::npos);
}

TEST_CASE("row 34: podman pulls and runs the result") {
    const Site* site = Site::get();
    if (site == nullptr || missing("podman")) {
        return;
    }
    const support::Podman podman;
    const ShellResult ran = podman.run_image(site->build());
    CAPTURE(ran.output);
    CHECK(ran.exit_code == 0);
    CHECK(count(ran.output, "loss") == 20);
}

TEST_CASE("fairing run on a real base: in a container, with its own python3") {
    const Site* site = Site::get();
    if (site == nullptr || missing("crun")) {
        return;
    }
    const ShellResult ran =
        site->fairing("run examples/train.py --input examples/data --base-image " + site->base() +
                      " --registry " + site->host() + "/demo --isolation container --report " +
                      site->file("run.json") + " -- --epochs 4");
    CAPTURE(site->errors());
    CHECK(ran.exit_code == 0);
    CHECK(count(ran.output, "loss") == 4);
    const Json report = parse_json(text_of(site->file("run.json")), "the report");
    CHECK(report["workload"]["state"] == "succeeded");
    CHECK(report["workload"]["kind"] == "Container");
    CHECK(report["seconds"]["first_log"].is_number());
}

TEST_CASE("fairing run on scratch: the program's exit code is fairing's") {
    const Site* site = Site::get();
    if (site == nullptr) {
        return;
    }
    const ShellResult ran = site->fairing(
        "run examples/train.py --input examples/data --base-image scratch --deployer local");
    CHECK(ran.exit_code == 0);
    CHECK(count(ran.output, "loss") == 20);

    write_file(site->file("three.py"), "import sys\nprint('before')\nsys.exit(3)\n");
    const ShellResult three =
        run("cd " + std::filesystem::path{site->file("x")}.parent_path().string() + " && " +
            site->command() + " run three.py --base-image scratch --report three.json 2>&1");
    CHECK(three.exit_code == 3);
    CHECK(three.output.find("before") != std::string::npos);
    CHECK(three.output.find("exited with 3") != std::string::npos);
    CHECK(parse_json(text_of(site->file("three.json")), "the report")["workload"]["exit_code"] ==
          3);
}

TEST_CASE("Ctrl-C ends fairing and the program, and leaves nothing") {
    const Site* site = Site::get();
    if (site == nullptr) {
        return;
    }
    for (const std::string isolation : {"process", "container"}) {
        if (isolation == "container" && missing("crun")) {
            continue;
        }
        CAPTURE(isolation);
        const support::Workspace space;
        const support::Workspace temporary;
        space.file(
            "sleeper.py",
            "import subprocess, time\nsubprocess.Popen(['sleep', '4711'], start_new_session=True)\n"
            "print('ready', flush=True)\ntime.sleep(4711)\n");
        const std::string base = isolation == "process" ? "scratch" : site->base();
        const ShellResult ran =
            run("cd " + space.path().string() + " && export TMPDIR=" + temporary.path().string() +
                "; " + "env --default-signal=INT " + site->command() +
                " run sleeper.py --base-image " + base + " --isolation " + isolation +
                " > out 2>&1 & pid=$!; for i in $(seq 1800); do grep -q ready " + (space / "out") +
                " && break; sleep 0.1; done; kill -INT $pid; wait $pid; echo code $?");
        CAPTURE(text_of(space / "out"));
        CHECK(ran.output.find("code 130") != std::string::npos);
        CHECK(run("pgrep -f 'sleep 471[1]'").exit_code != 0);
        CHECK(run("pgrep -f '[s]leeper.py'").exit_code != 0);
        CHECK(std::filesystem::is_empty(temporary.path()));
        CHECK(run("crun list 2>/dev/null | grep fairing").exit_code != 0);
    }
}

TEST_CASE("bad calls exit as sysexits says, with one sentence") {
    const Site* site = Site::get();
    if (site == nullptr) {
        return;
    }
    struct Call {
        const char* arguments;
        int code;
        const char* sentence;
    };
    for (const Call& call : {
             Call{"build examples/train.py --base-image scratch", 64, "--registry oci:DIR"},
             Call{"build examples/absent.py --base-image scratch --registry oci:/tmp/x", 65,
                  "examples/absent.py"},
             Call{"build examples/train.py --base-imge scratch", 64, "base-imge"},
             Call{"run README.md --base-image scratch", 64, "README.md"},
             Call{"build examples/train.py --compression 99 --base-image scratch --registry "
                  "oci:/tmp/x",
                  64, "99"},
             Call{"inspect oci:/nowhere", 65, "/nowhere"},
             Call{"frobnicate", 64, "frobnicate"},
         }) {
        CAPTURE(call.arguments);
        const ShellResult result = site->fairing(call.arguments);
        CAPTURE(site->errors());
        CHECK(result.exit_code == call.code);
        CHECK((site->errors() + result.output).find(call.sentence) != std::string::npos);
    }
    const ShellResult absent = site->fairing("inspect " + site->host() + "/demo/absent:v1");
    CHECK(absent.exit_code == 65);
    CHECK(site->errors().find("there is no manifest v1") != std::string::npos);
}

TEST_CASE("fairing.json gives defaults, the command line has the last word") {
    const Site* site = Site::get();
    if (site == nullptr) {
        return;
    }
    const support::Workspace space;
    space.file("train.py", "print('from json')\n");
    space.file("fairing.json",
               R"({"builder": {"base_image": "scratch", "registry": "oci:here", "tag": "v1"},)"
               R"( "deployer": {"name": "local", "isolation": "process"}})");
    const std::string go = "cd " + space.path().string() + " && " + site->command();
    CHECK(run(go + " run train.py --quiet 2>&1").output == "from json\n");
    CHECK(run(go + " inspect oci:here:v1 2>&1").exit_code == 0);
    CHECK(run(go + " build train.py --tag v2 --quiet && " + site->command() +
              " inspect oci:" + (space / "here:v2"))
              .exit_code == 0);
    space.file("fairing.json", R"({"builder": {"base_imge": "scratch"}})");
    const ShellResult wrong = run(go + " run train.py 2>&1");
    CHECK(wrong.exit_code == 64);
    CHECK(wrong.output.find("did you mean base_image?") != std::string::npos);
}

TEST_CASE("render prints the runtime spec and creates nothing") {
    const Site* site = Site::get();
    if (site == nullptr) {
        return;
    }
    const ShellResult rendered =
        site->fairing("render examples/train.py --base-image " + site->base() + " --output json");
    CAPTURE(site->errors());
    REQUIRE(rendered.exit_code == 0);
    const Json spec = parse_json(rendered.output, "the spec");
    CHECK(spec["process"]["args"] == Json{"python3", "/app/examples/train.py"});
    CHECK(spec["process"]["cwd"] == "/app/");
    const ShellResult again =
        site->fairing("render examples/train.py --base-image " + site->base() + " --output json");
    CHECK(again.output == rendered.output);
}
