// SIGINT at every step of `fairing run --deployer job`, on a real API server and a real registry:
// row 55. Proxies hold the request that a step is about, so that the signal comes just then.
#include <doctest/doctest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "../support/job_site.hpp"
#include "fairing/codec/base64.hpp"

using namespace fairing;
using support::Fault;
using support::in_time;
using support::JobSite;
using support::SeenRequest;

namespace {

using Held = Fault::Kind;

constexpr const char* runs_for_ever = R"([{"say":"on it\n"},{"hang":true}])";
constexpr const char* ends_at_once = R"([{"say":"done\n"}])";

/// Where the signal comes, and how the command ends then.
struct Step {
    const char* name;
    /// The request to the API server that is held: its method and parts of its target.
    Held held = Held::none;
    const char* method = "";
    std::vector<const char*> target = {};
    const char* to_registry = "";  ///< or one to the registry
    bool uploads = false;          ///< whether the registry waits for some then
    /// Or when this is true; `said` is all that the command has said.
    std::function<bool(const JobSite&, const std::string& said)> reached = {};
    const char* pod = runs_for_ever;
    std::vector<std::string> options = {};
    int exit_code = 130;
};

/// In the order of a run: the registry is empty until the image is pushed.
std::vector<Step> steps() {
    const auto says = [](std::string text) {
        return [text = std::move(text)](const JobSite&, const std::string& said) {
            return said.find(text) != std::string::npos;
        };
    };
    const auto starts = [](const JobSite& site, const std::string&) {
        const support::ApiAnswer pods = site.kube.api().get(site.pods());
        const Json::json_pointer reason{"/items/0/status/containerStatuses/0/state/waiting/reason"};
        return pods.body.contains(reason) && pods.body[reason] == "ContainerCreating";
    };
    return {
        {.name = "a layer goes to the registry", .to_registry = "_state=", .uploads = true},
        {.name = "the manifest goes to the registry",
         .to_registry = "PUT /v2/demo/fairing-job/manifests/"},
        {.name = "the Secret is not there yet",
         .held = Held::hold_request,
         .method = "POST",
         .target = {"/secrets"}},
        {.name = "the Secret is made after the command has gone",
         .held = Held::late_request,
         .method = "POST",
         .target = {"/secrets"}},
        {.name = "the Secret is there, and nobody says so",
         .held = Held::hold_reply,
         .method = "POST",
         .target = {"/secrets"}},
        {.name = "the plural of Job is asked",
         .held = Held::hold_request,
         .method = "GET",
         .target = {"/apis/batch/v1"}},
        {.name = "the Job is not there yet",
         .held = Held::hold_request,
         .method = "POST",
         .target = {"/jobs"}},
        {.name = "the Job is made after the command has gone",
         .held = Held::late_request,
         .method = "POST",
         .target = {"/jobs"}},
        {.name = "the Job is there, and nobody says so",
         .held = Held::hold_reply,
         .method = "POST",
         .target = {"/jobs"}},
        {.name = "the Job does not own the Secret yet",
         .held = Held::hold_request,
         .method = "PATCH",
         .target = {"/secrets/"}},
        {.name = "the Job owns the Secret, and nobody says so",
         .held = Held::hold_reply,
         .method = "PATCH",
         .target = {"/secrets/"}},
        {.name = "the watch of the Job is not open",
         .held = Held::hold_request,
         .method = "GET",
         .target = {"/jobs?", "watch=true"}},
        {.name = "the watch of the pods is not open",
         .held = Held::hold_request,
         .method = "GET",
         .target = {"/pods?", "watch=true"}},
        {.name = "the pod waits for a node",
         .reached = says("Unschedulable"),
         .options = {"--node-selector", "no=where"}},
        {.name = "the container starts",
         .reached = starts,
         .pod = R"([{"waiting":"ContainerCreating"}])"},
        {.name = "the log is not open",
         .held = Held::hold_request,
         .method = "GET",
         .target = {"/log?"}},
        {.name = "the log is followed", .reached = says("on it")},
        {.name = "the log is followed of a Job that is to be kept",
         .reached = says("on it"),
         .options = {"--cleanup", "never"}},
        {.name = "the run has ended, and its result is read",
         .held = Held::hold_request,
         .method = "GET",
         .target = {"/pods?", "limit="},
         .pod = ends_at_once},
        // What has ended well stays so; the command takes its time to clean up.
        {.name = "the Job is removed",
         .held = Held::hold_request,
         .method = "DELETE",
         .target = {"/jobs/"},
         .pod = ends_at_once,
         .exit_code = 0},
        {.name = "the Job is removed, and nobody says so",
         .held = Held::hold_reply,
         .method = "DELETE",
         .target = {"/jobs/"},
         .pod = ends_at_once,
         .exit_code = 0},
        {.name = "the Job takes its time to go",
         .held = Held::hold_request,
         .method = "GET",
         .target = {"/jobs/"},
         .pod = ends_at_once,
         .exit_code = 0},
    };
}

/// Uploads that the registry waits for; the folder of one that is over may stay.
std::size_t uploads_begun(const JobSite& site) {
    namespace fs = std::filesystem;
    const fs::path repositories = site.registry.data() / "docker/registry/v2/repositories";
    std::size_t count = 0;
    std::error_code gone;  // what the registry removes meanwhile
    for (fs::recursive_directory_iterator file{repositories, gone}, end; file != end;
         file.increment(gone)) {
        count += file->path().filename() == "startedat" ? 1 : 0;
    }
    return count;
}

/// One run of the command, with credentials for the registry, so that a Secret stands beside the
/// Job.
class InterruptedRun {
public:
    InterruptedRun(JobSite& site, const Step& step) : site_(site), step_(step) {
        const std::string auth = codec::base64_encode("me:s3cret");
        site.folder.file("docker/config.json",
                         Json{{"auths", {{site.host(), {{"auth", auth}}}}}}.dump());
        site.folder.folder("tmp");
        std::filesystem::remove(log());
        site.proxy.forget();
        site.proxy.set_policy([step, left = std::make_shared<int>(1)](const SeenRequest& request) {
            const bool is_meant =
                step.held != Held::none && request.method == step.method &&
                std::all_of(step.target.begin(), step.target.end(), [&](const char* part) {
                    return request.target.find(part) != std::string::npos;
                });
            return is_meant && (*left)-- > 0 ? Fault{.kind = step.held} : Fault{};
        });
        if (is_of_registry()) {
            site.wire.hold_at(step.to_registry);
        }
        process_.emplace(command(), log());
    }

    [[nodiscard]] bool reaches_its_step() {
        return in_time([&] { return process_->exit_code() || is_at_its_step(); }) &&
               !process_->exit_code();
    }
    /// The exit code; nullopt when it does not end soon.
    [[nodiscard]] std::optional<int> interrupt() {
        process_->signal(SIGINT);
        if (step_.exit_code == 0) {
            // Long enough for a command that would heed the signal.
            std::this_thread::sleep_for(std::chrono::milliseconds{500});
            site_.proxy.release();
        }
        static_cast<void>(in_time([&] { return process_->exit_code().has_value(); }));
        return process_->exit_code();
    }
    [[nodiscard]] std::string said() const {
        return std::filesystem::exists(log()) ? read_file(log()) : "";
    }
    [[nodiscard]] bool is_of_registry() const { return *step_.to_registry != '\0'; }
    [[nodiscard]] std::filesystem::path temporary() const { return site_.folder / "tmp"; }

private:
    [[nodiscard]] std::string log() const { return site_.folder / "log"; }
    [[nodiscard]] bool is_at_its_step() const {
        return is_of_registry() ? site_.wire.holds()
               : step_.reached  ? step_.reached(site_, said())
                                : site_.proxy.held() > 0;
    }
    [[nodiscard]] std::vector<std::string> command() const {
        const std::string entry = site_.program("print('unused')");
        std::vector<std::string> words = {"env",
                                          "TMPDIR=" + temporary().string(),
                                          "FAIRING_CACHE=" + (site_.folder / "cache"),
                                          "DOCKER_CONFIG=" + (site_.folder / "docker"),
                                          *env("FAIRING_COMMAND"),
                                          "run",
                                          entry,
                                          "--base-image",
                                          "scratch",
                                          "--registry",
                                          site_.host() + "/demo",
                                          "--docker-credentials",
                                          "--deployer",
                                          "job",
                                          "--kubeconfig",
                                          site_.folder / "kubeconfig",
                                          "--namespace",
                                          site_.space,
                                          "--annotation",
                                          JobSite::scripted(step_.pod)};
        words.insert(words.end(), step_.options.begin(), step_.options.end());
        return words;
    }

    JobSite& site_;
    const Step& step_;
    std::optional<fairing::test::ChildProcess> process_ = {};
};

}  // namespace

TEST_CASE("fault 55: an interrupt at any step leaves no Job, pod, Secret, upload or file") {
    const auto site = JobSite::make();
    if (!site) {
        return;
    }
    for (const Step& step : steps()) {
        CAPTURE(std::string{step.name});
        InterruptedRun run{*site, step};
        const bool is_there = run.reaches_its_step();
        REQUIRE_MESSAGE(is_there, run.said() << read_file(site->registry.log()));
        CHECK((uploads_begun(*site) > 0) == step.uploads);
        const std::optional<int> code = run.interrupt();
        const std::string said = run.said();
        CAPTURE(said);
        REQUIRE(code.has_value());
        CHECK(*code == step.exit_code);
        CHECK((said.find("stopped on request") != std::string::npos) == (*code == 130));
        if (step.held == Held::late_request) {
            CHECK(in_time([&] { return site->proxy.late() == 1; }));
        }
        CHECK(site->is_clean());
        CHECK(uploads_begun(*site) == 0);
        CHECK(std::filesystem::is_empty(run.temporary()));
        CHECK(site->proxy.seen().empty() == run.is_of_registry());
    }
}
