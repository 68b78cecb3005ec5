// Pods that really can not run, on a real API server: the test kubelet finds it out by itself, and
// plays nothing. Row 52.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../support/job_site.hpp"
#include "fairing/deployers/job.hpp"
#include "fairing/pods/patch.hpp"

using namespace fairing;
using support::in_time;
using support::JobSite;

namespace {

/// How a run ended, and what was heard of it.
struct Ended {
    Outcome outcome = {};
    std::vector<std::string> lines = {}, warnings = {};
    std::chrono::steady_clock::duration time = {};

    [[nodiscard]] bool says(const std::string& part) const {
        return outcome.reason.find(part) != std::string::npos;
    }
    [[nodiscard]] bool has_line(const std::string& line) const {
        return std::find(lines.begin(), lines.end(), line) != lines.end();
    }
    [[nodiscard]] bool has_warning(const std::string& part) const {
        return std::any_of(warnings.begin(), warnings.end(), [&](const std::string& each) {
            return each.find(part) != std::string::npos;
        });
    }
};

/// An image in a registry whose pods are changed by a JSON patch before they are made.
class PatchedJob {
public:
    PatchedJob(JobSite& site, const std::string& program)
        : site_(site), entry_(site.program(program)) {
        const support::ShellResult built = support::run(
            "cd " + site.folder.path().string() + " && " + *env("FAIRING_COMMAND") +
            " build program.py --quiet --base-image scratch --registry " + site.host() + "/demo");
        REQUIRE(built.exit_code == 0);
        image_ = {.reference = built.output.substr(0, built.output.find('\n')),
                  .command = {"python3", "/app/program.py"},
                  .working_directory = "/app/"};
    }
    [[nodiscard]] const std::string& reference() const { return image_.reference; }

    [[nodiscard]] Ended run(const Json& patch, int start_timeout = 0) const {
        Ended ended;
        std::mutex mutex;
        const Session session{.log =
                                  [&](const LogRecord& record) {
                                      const std::lock_guard lock{mutex};
                                      if (record.level == Level::warning) {
                                          ended.warnings.push_back(record.text);
                                      }
                                  },
                              .transport = support::make_transport()};
        const JobDeployer deployer{.kubernetes = {.namespace_ = site_.space,
                                                  .pod_spec_mutators = {mutate(patch)},
                                                  .config_file = site_.folder / "kubeconfig",
                                                  .start_timeout = start_timeout}};
        const auto begin = std::chrono::steady_clock::now();
        const Workload workload = deployer.deploy(image_, session);
        ended.outcome = workload.follow([&](const OutputLine& line) {
            const std::lock_guard lock{mutex};
            ended.lines.push_back(line.text);
        });
        ended.time = std::chrono::steady_clock::now() - begin;
        return ended;
    }

private:
    JobSite& site_;
    std::string entry_;
    Image image_ = {};
};

Json added(const char* path, Json value) {
    return {{"op", "add"}, {"path", path}, {"value", std::move(value)}};
}
/// A variable of the main container out of a Secret or a ConfigMap.
Json variable_from(const char* kind, const char* name, const char* key, bool optional = false) {
    return added("/containers/0/env/-",
                 {{"name", "WORD"},
                  {"valueFrom", {{kind, {{"name", name}, {"key", key}, {"optional", optional}}}}}});
}

}  // namespace

TEST_CASE("fault 52: an init container that fails is named, with its log and exit code") {
    const auto site = JobSite::make();
    if (!site) {
        return;
    }
    const PatchedJob job{*site, "print('trains')"};
    const auto init_container = [&](const std::string& code) {
        return added("/initContainers", Json::array({{{"name", "prepare"},
                                                      {"image", job.reference()},
                                                      {"command", {"python3", "-c", code}}}}));
    };
    const Ended failed =
        job.run(Json::array({init_container("print('no data here'); raise SystemExit(3)")}));
    CAPTURE(failed.outcome.reason);
    CHECK(failed.outcome.state == State::failed);
    CHECK(failed.outcome.exit_code == 3);
    CHECK(failed.says("init container prepare of pod fairing-job-"));
    CHECK(failed.says("exited with code 3"));
    CHECK(failed.has_line("no data here"));
    CHECK_FALSE(failed.has_line("trains"));
    CHECK(site->is_clean());

    const Ended good = job.run(Json::array({init_container("print('all there')")}));
    CHECK(good.outcome.state == State::succeeded);
    CHECK(good.lines == std::vector<std::string>{"all there", "trains"});
    CHECK(site->is_clean());
}

TEST_CASE("fault 52: a Secret, ConfigMap or key that is not there is named at once") {
    const auto site = JobSite::make();
    if (!site) {
        return;
    }
    const std::string core = "/api/v1/namespaces/" + site->space;
    REQUIRE(site->kube.api()
                .post(core + "/secrets", {{"metadata", {{"name", "there"}}},
                                          {"stringData", {{"word", "abracadabra"}}}})
                .ok());
    const PatchedJob job{*site, "import os\nprint('the word is', os.environ.get('WORD'))"};
    struct Missing {
        Json change;
        std::string said;
    };
    const std::vector<Missing> missing = {
        {variable_from("secretKeyRef", "absent", "word"), "secret \"absent\" not found"},
        {variable_from("secretKeyRef", "there", "key"),
         "couldn't find key key in Secret " + site->space + "/there"},
        {variable_from("configMapKeyRef", "absent", "word"), "configmap \"absent\" not found"},
        {added("/containers/0/envFrom", Json::array({{{"secretRef", {{"name", "absent"}}}}})),
         "secret \"absent\" not found"},
    };
    for (const Missing& each : missing) {
        const Ended ended = job.run(Json::array({each.change}));
        CAPTURE(ended.outcome.reason);
        CHECK(ended.outcome.state == State::failed);
        CHECK(ended.says("CreateContainerConfigError: " + each.said));
        CHECK(ended.lines.empty());
        CHECK(ended.time < std::chrono::seconds{90});
        CHECK(site->is_clean());
    }
    // What is there is used, and what is optional may be missing.
    CHECK(job.run(Json::array({variable_from("secretKeyRef", "there", "word")})).lines ==
          std::vector<std::string>{"the word is abracadabra"});
    CHECK(job.run(Json::array({variable_from("secretKeyRef", "absent", "word", true)})).lines ==
          std::vector<std::string>{"the word is None"});
    CHECK(site->is_clean());
}

TEST_CASE("fault 52: a volume whose Secret is not there is explained by the node's own words") {
    const auto site = JobSite::make();
    if (!site) {
        return;
    }
    const PatchedJob job{*site, "print('trains')"};
    const Json volume = added(
        "/volumes", Json::array({{{"name", "keys"}, {"secret", {{"secretName", "absent"}}}}}));
    const std::string why =
        "FailedMount: MountVolume.SetUp failed for volume \"keys\" : secret \"absent\" not found";
    const Ended ended = job.run(Json::array({volume}), 10);
    CAPTURE(ended.outcome.reason);
    CHECK(ended.outcome.state == State::failed);
    CHECK(ended.says("nothing has started within 10 s: pod fairing-job-"));
    CHECK(ended.says(why));
    CHECK(ended.has_warning(why));
    CHECK(site->is_clean());

    // A node waits for it, and so do we.
    std::jthread giver{[&] {
        if (in_time([&] { return site->count(site->pods()) == 1; })) {
            std::this_thread::sleep_for(std::chrono::seconds{2});
            site->kube.api().post("/api/v1/namespaces/" + site->space + "/secrets",
                                  {{"metadata", {{"name", "absent"}}}});
        }
    }};
    CHECK(job.run(Json::array({volume})).lines == std::vector<std::string>{"trains"});
    CHECK(site->is_clean());
}
