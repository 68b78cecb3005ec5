#include "fairing/frameworks/lightgbm/runner.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <string>

#include "../../support/shell.hpp"
#include "../../support/workspace.hpp"
#include "fairing/core/files.hpp"
#include "fairing/core/json.hpp"

using namespace fairing;
using support::contains;

namespace {

/// A job's folder /app, and no programs but those that write down how they are called. What stands
/// in the folder `gs` is at gs:// and s3://.
class Pod {
public:
    Pod() {
        space_.file("app/.fairing/lightgbm.py", lightgbm::runner);
        space_.folder("gs");
        space_.folder("bin");
        for (const char* needed : {"cat", "cp"}) {
            space_.link(std::string{"bin/"} + needed, std::string{"/bin/"} + needed);
        }
        // The last two words of a copy are where from and where to.
        store("gsutil", "eval from=\\${$(($#-1))} to=\\${$#}");
        store("aws", "eval from=\\${$(($#-1))} to=\\${$#}");
        program("lightgbm", "cat lightgbm.conf; echo tree > model.txt; exit ${CODE:-0}");
    }
    void program(const std::string& name, const std::string& text) const {
        space_.file("bin/" + name, "#!/bin/sh\n" + text + "\n", 0755);
    }
    /// One that copies; `stat` and `describe` know a file, or say so in the words of Google's
    /// tools, and `ls` shows all that begins so, as aws does.
    void store(const std::string& name, const std::string& words) const {
        program(name, "echo " + name + " \"$@\" >> $CALLS\n" + words +
                          "\nplace=$GS/${to#*://}\ncase \"$*\" in\n"
                          "*\"stat \"*) test -f $place || "
                          "{ echo \"No URLs matched: $to\"; exit 1; }; exit;;\n"
                          "*\" describe \"*) test -f $place || "
                          "{ echo \"ERROR: $to not found: 404.\" >&2; exit 1; }; exit;;\n"
                          "*\" ls \"*) for each in $place*; do\n"
                          "  test -d $each && echo \"    PRE ${each##*/}/\"\n"
                          "  test -f $each && echo \"2026-01-01 00:00:00    9 ${each##*/}\"\n"
                          "done; exit;; esac\n"
                          "case $from in *://*) cp $GS/${from#*://} $to;; *) cp $from "
                          "$GS/${to#*://};; esac 2> /dev/null");
    }
    void remote(const std::string& name) const { space_.file("gs/" + name, name); }
    void without(const std::string& name) const {
        std::filesystem::remove(space_ / ("bin/" + name));
    }

    /// Both streams. `variables` stand before the command.
    [[nodiscard]] support::ShellResult run(Json plan, const std::string& variables = {}) const {
        plan.insert(default_plan().begin(), default_plan().end());
        space_.file("app/.fairing/lightgbm.json", plan.dump());
        return support::run("cd " + (space_ / "app") + " && env -u TF_CONFIG -u CLUSTER_SPEC -u " +
                            "GOOGLE_APPLICATION_CREDENTIALS PATH=" + (space_ / "bin") +
                            " GS=" + (space_ / "gs") + " CALLS=" + (space_ / "calls") + ' ' +
                            variables + ' ' + python_ + " .fairing/lightgbm.py 2>&1");
    }
    [[nodiscard]] std::string file(const std::string& name) const {
        return read_file(space_ / name);
    }

private:
    [[nodiscard]] static const Json& default_plan() {
        static const Json plan{{"parameters", Json::object()}, {"machines", 1},
                               {"fetch", Json::array()},       {"partitions", Json::array()},
                               {"store", Json::array()},       {"program", "lightgbm"}};
        return plan;
    }

    support::Workspace space_ = {};
    /// The interpreter itself: a wrapper of it would put its own programs before ours.
    std::string python_ =
        support::run("printf %s \"$(python3 -c 'import sys; print(sys.executable)')\"").output;
};

}  // namespace

TEST_CASE("what is remote is copied before, and results afterwards") {
    const Pod pod;
    pod.remote("b/data.csv");
    pod.remote("b/data.csv.weight");
    const Json plan{{"parameters", {{"data", "data.csv"}, {"output_model", "model.txt"}}},
                    {"fetch",
                     {{"gs://b/data.csv", "data.csv", false},
                      {"gs://b/data.csv.weight", "data.csv.weight", true},
                      {"gs://b/data.csv.init", "data.csv.init", true}}},
                    {"store", Json::array({{"model.txt", "gs://b/model.txt"},
                                           {"model.txt", "s3://b/copy.txt"}})}};
    const support::ShellResult done = pod.run(plan);
    CAPTURE(done.output);
    CHECK(done.exit_code == 0);
    CHECK(contains(done.output, "data=data.csv\noutput_model=model.txt\n"));
    CHECK(pod.file("app/data.csv.weight") == "b/data.csv.weight");
    CHECK(pod.file("gs/b/model.txt") == "tree\n");
    CHECK(pod.file("gs/b/copy.txt") == "tree\n");
    CHECK_FALSE(contains(pod.file("calls"), "cp gs://b/data.csv.init"));
    CHECK(contains(pod.file("calls"), "aws s3 cp --only-show-errors model.txt s3://b/copy.txt\n"));

    const support::ShellResult failed = pod.run(plan, "CODE=3");
    CHECK(failed.exit_code == 3);
    CHECK_FALSE(contains(failed.output, "copied model.txt"));
    pod.program("lightgbm", "kill -9 $$");
    CHECK(pod.run(Json::object()).exit_code == 137);
    pod.without("lightgbm");
    CHECK(pod.run({{"program", "no-such-program"}}).output ==
          "lightgbm: cannot start no-such-program: No such file or directory\n");
    const support::ShellResult missing =
        pod.run({{"fetch", {{"gs://b/none.csv", "none.csv", false}}}});
    CHECK(missing.exit_code == 65);
    CHECK(missing.output == "lightgbm: cannot copy gs://b/none.csv to none.csv\n");
}

TEST_CASE("an optional file is one of that very name: no longer name, and no folder") {
    const Pod pod;
    for (const char* name : {"data.csv", "data.csv.weight", "data.csv.weight.old",
                             "data.csv.init.old", "data.csv.query/part"}) {
        pod.remote(std::string{"b/"} + name);
    }
    const auto fetch = [&pod](const std::string& bucket) {
        Json files = Json::array({Json{bucket + "/data.csv", "data.csv", false}});
        for (const std::string side : {"data.csv.weight", "data.csv.init", "data.csv.query"}) {
            files.push_back({bucket + '/' + side, side, true});
        }
        const support::ShellResult done = pod.run({{"fetch", files}});
        CHECK(done.exit_code == 0);
        CHECK(done.output == "copied " + bucket + "/data.csv to data.csv\ncopied " + bucket +
                                 "/data.csv.weight to data.csv.weight\n");
    };
    fetch("s3://b");
    fetch("gs://b");
    pod.without("gsutil");
    pod.store("gcloud", "eval from=\\${$(($#-1))} to=\\${$#}");
    fetch("gs://b");
    CHECK(contains(pod.file("calls"), "gcloud storage objects describe gs://b/data.csv.init\n"));
}

TEST_CASE("a store that does not say whether it has an optional file ends the job") {
    const Pod pod;
    const auto look = [&pod](const std::string& url) {
        return pod.run({{"fetch", {{url, "a", true}}}});
    };
    pod.program("aws", "exit 1");
    CHECK(look("s3://b/a").exit_code == 0);
    struct Failure {
        std::string tool, script, said;
    };
    for (const Failure& each : std::vector<Failure>{
             {"aws", "exit 254", "aws ended with 254"},
             {"aws", "echo Unable to locate credentials >&2; exit 255",
              "Unable to locate credentials"},
             {"gsutil", "echo ServiceException: 401 Anonymous caller >&2; exit 1",
              "ServiceException: 401 Anonymous caller"},
             {"gsutil",
              "echo You are not authorized to read $2 - skipping; echo No URLs matched; exit 1",
              "You are not authorized to read gs://b/a - skipping No URLs matched"},
             {"gcloud", "echo HTTPError 403: denied, or it may not exist; exit 1",
              "HTTPError 403: denied, or it may not exist"}}) {
        CAPTURE(each.script);
        if (each.tool == "gcloud") {
            pod.without("gsutil");
        }
        pod.program(each.tool, each.script);
        const std::string url = each.tool == "aws" ? "s3://b/a" : "gs://b/a";
        const support::ShellResult failed = look(url);
        CHECK(failed.exit_code == 65);
        CHECK(failed.output == "lightgbm: cannot look for " + url + ": " + each.said + '\n');
    }
}

TEST_CASE("the key that the pod has is given to Google's tools, whichever there are") {
    const Pod pod;
    pod.remote("b/a");
    const Json plan{{"fetch", {{"gs://b/a", "a", false}}}};
    const std::string key = "GOOGLE_APPLICATION_CREDENTIALS=/etc/secrets/k.json";
    CHECK(pod.run(plan, key).exit_code == 0);
    CHECK(pod.file("calls") ==
          "gsutil -q -o Credentials:gs_service_key_file=/etc/secrets/k.json cp gs://b/a a\n");
    pod.without("gsutil");
    pod.store("gcloud",
              "echo $CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE >> $CALLS\n"
              "eval from=\\${$(($#-1))} to=\\${$#}");
    CHECK(pod.run(plan, key).exit_code == 0);
    CHECK(contains(pod.file("calls"),
                   "\ngcloud storage cp --quiet gs://b/a a\n/etc/secrets/k.json\n"));
}

TEST_CASE("each rank has its partition, the machine list and its own port") {
    const Pod pod;
    pod.remote("b/0");
    pod.remote("b/1");
    const Json plan{{"machines", 2},
                    {"parameters", {{"tree_learner", "voting"}}},
                    {"partitions",
                     {{{"data", "0"}, {"fetch", {{"gs://b/0", "0", false}}}},
                      {{"data", "1"}, {"fetch", {{"gs://b/1", "1", false}}}}}},
                    {"store", Json::array({{"model.txt", "gs://b/model.txt"}})}};
    const std::string cluster =
        R"("cluster":{"chief":["127.0.0.1:2222"],"worker":["localhost:2223"]})";
    const support::ShellResult worker =
        pod.run(plan, "TF_CONFIG='{" + cluster + R"(,"task":{"type":"worker","index":"0"}}')");
    CAPTURE(worker.output);
    CHECK(worker.exit_code == 0);
    CHECK(contains(worker.output, "machine 1 of 2\ncopied gs://b/1 to 1\n"));
    CHECK(contains(worker.output, "data=1\nlocal_listen_port=2223\n"));
    CHECK(pod.file("app/machines.txt") == "127.0.0.1 2222\n127.0.0.1 2223\n");
    CHECK_FALSE(contains(pod.file("calls"), "gs://b/model.txt"));  // the first machine stores it
    const support::ShellResult chief = pod.run(
        plan, "CLUSTER_SPEC='{" + cluster + R"(,"task":{"type":"chief","index":0}}' TF_CONFIG={})");
    CHECK(contains(chief.output, "machine 0 of 2\n"));
    CHECK(contains(pod.file("calls"), "cp model.txt gs://b/model.txt\n"));
}

TEST_CASE("a machine that no task names finds itself by its name or its address") {
    if (support::run("getent hosts $(hostname)").exit_code != 0) {
        MESSAGE("skipped: this machine's name has no address");
        return;
    }
    const Pod pod;
    const Json plan{{"machines", 2}};
    const auto found = [&](const std::string& own) {
        return pod
            .run(plan, R"(TF_CONFIG='{"cluster":{"worker":["127.0.0.9:1","'"$()" + own +
                           R"s()"':2222"]}}')s")
            .output;
    };
    CHECK(contains(found("hostname"), "machine 1 of 2"));
    CHECK(contains(found("getent ahostsv4 $(hostname) | sed 's/ .*//;q'"), "machine 1 of 2"));
    const support::ShellResult stranger =
        pod.run(plan, R"(TF_CONFIG='{"cluster":{"worker":["127.0.0.8:1","127.0.0.9:1"]}}')");
    CHECK(stranger.exit_code == 65);
    CHECK(contains(stranger.output, "is not one of 127.0.0.8, 127.0.0.9"));
    CHECK(contains(pod.run(plan).output, "neither TF_CONFIG nor CLUSTER_SPEC names them"));
    CHECK(contains(pod.run(plan, R"(TF_CONFIG='{"cluster":{"worker":["a:1"]}}')").output,
                   "2 machines are wanted, and 1 are there"));
}
