#include "fairing/runs/run_watch.hpp"

#include <doctest/doctest.h>

#include <thread>

#include "../support/memory_api.hpp"
#include "../support/workspace.hpp"

using namespace fairing;

namespace {

/// A Job in a server in memory, with what was said about it.
struct RunningJob {
    support::MemoryApi api = {};
    std::mutex mutex = {};
    std::vector<std::string> said = {};
    kubernetes::Subject subject = {};

    explicit RunningJob(Json spec = Json::object()) {
        const Json job =
            api.put({{"apiVersion", "batch/v1"},
                     {"kind", "Job"},
                     {"metadata",
                      {{"name", "j"}, {"namespace", "team"}, {"labels", {{"fairing-id", "abc"}}}}},
                     {"spec", std::move(spec)}});
        subject = {.key = kube::key_of(job),
                   .uid = kube::uid_of(job),
                   .run_id = "abc",
                   .main = job,
                   .diagnose = kube::diagnose_job};
    }
    [[nodiscard]] kube::Client client() {
        return {{.server = "https://k.example", .namespace_ = "team"},
                std::ref(api),
                {.log = [this](LogRecord record) {
                    const std::lock_guard lock{mutex};
                    said.push_back(record.text);
                }}};
    }
    Json put_pod(const char* status, const char* name = "p") {
        return api.put({{"apiVersion", "v1"},
                        {"kind", "Pod"},
                        {"metadata",
                         {{"name", name},
                          {"namespace", "team"},
                          {"labels", {{"fairing-id", "abc"}}},
                          {"ownerReferences", Json::array({Json{{"uid", subject.uid}}})}}},
                        {"spec", {{"containers", Json::array({Json{{"name", "m"}}})}}},
                        {"status", Json::parse(status)}});
    }
    void put_condition(const char* type, const char* reason) {
        Json job = *api.get("Job", "j");
        job["status"]["conditions"] =
            Json::array({Json{{"type", type}, {"status", "True"}, {"reason", reason}}});
        api.put(job);
    }
    Outcome follow(kubernetes::FollowOptions options = {}, const std::stop_token& stop = {}) {
        kubernetes::RunWatch watch{client(), subject, std::move(options)};
        return watch.follow(stop);
    }
    [[nodiscard]] bool has_said(const std::string& part) {
        const std::lock_guard lock{mutex};
        return std::any_of(said.begin(), said.end(),
                           [&](const std::string& each) { return support::contains(each, part); });
    }
};

constexpr const char* pulling = R"({"phase": "Pending", "containerStatuses": [{"name": "m",
    "image": "r.example/a:1", "state": {"waiting": {"reason": "ErrImagePull",
    "message": "not found"}}}]})";
constexpr const char* running = R"({"phase": "Running", "containerStatuses": [{"name": "m",
    "state": {"running": {}}}]})";

}  // namespace

TEST_CASE("an image that can not be pulled is given up after three sightings") {
    RunningJob run;
    for (int i = 0; i < 3; ++i) {
        run.put_pod(pulling);
    }
    const Outcome outcome = run.follow();
    CHECK(outcome.state == State::failed);
    CHECK(outcome.reason ==
          "container m of pod p does not start: ErrImagePull: image r.example/a:1: not found");
}

TEST_CASE("a name that is no image's is given up at once") {
    RunningJob run;
    run.put_pod(R"({"phase": "Pending", "containerStatuses": [{"name": "m",
        "state": {"waiting": {"reason": "InvalidImageName", "message": "x"}}}]})");
    CHECK(support::contains(run.follow().reason, "InvalidImageName"));
}

TEST_CASE("a refusal to make pods is found among the events") {
    RunningJob run;
    run.api.put({{"apiVersion", "v1"},
                 {"kind", "Event"},
                 {"metadata", {{"name", "e"}, {"namespace", "team"}}},
                 {"involvedObject", {{"uid", run.subject.uid}}},
                 {"reason", "FailedCreate"},
                 {"lastTimestamp", "2026-01-01T00:00:00Z"},
                 {"message", "exceeded quota: small"}});
    const Outcome outcome = run.follow();
    CHECK(outcome.state == State::failed);
    CHECK(outcome.reason == "the cluster takes no pod of Job j: exceeded quota: small");
}

TEST_CASE("an unschedulable pod is explained while it waits, and with a limit fails") {
    RunningJob run;
    run.put_pod(R"({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False",
        "reason": "Unschedulable", "message": "0/1 nodes are available"}]})");
    const Outcome outcome = run.follow({.start_timeout = std::chrono::seconds{1}});
    CHECK(outcome.state == State::failed);
    CHECK(outcome.reason ==
          "nothing has started within 1 s: no node takes pod p: Unschedulable: 0/1 nodes are "
          "available");
    CHECK(run.has_said("no node takes pod p: Unschedulable: 0/1 nodes are available"));
}

TEST_CASE("a volume that is missing is explained by an event, and with a limit fails") {
    RunningJob run;
    run.put_pod(R"({"phase": "Pending"})");
    run.api.put({{"apiVersion", "v1"},
                 {"kind", "Event"},
                 {"metadata", {{"name", "e"}, {"namespace", "team"}}},
                 {"involvedObject", {{"kind", "Pod"}, {"name", "p"}}},
                 {"type", "Warning"},
                 {"reason", "FailedMount"},
                 {"message", "secret \"s\" not found"}});
    const std::string why = "pod p does not start: FailedMount: secret \"s\" not found";
    const Outcome outcome = run.follow({.start_timeout = std::chrono::seconds{6}});
    CHECK(outcome.state == State::failed);
    CHECK(outcome.reason == "nothing has started within 6 s: " + why);
    CHECK(run.has_said(why));
}

TEST_CASE("the log of one pod alone, which must be one of the run's") {
    RunningJob run;
    run.subject.expected_pods = 2;
    for (const char* name : {"p", "q"}) {
        run.api.set_log(name, {std::string{"I am "} + name});
        run.put_pod(R"({"phase": "Succeeded", "containerStatuses": [{"name": "m",
            "state": {"terminated": {"exitCode": 0}}}]})",
                    name);
    }
    run.put_condition("Complete", "");
    std::vector<std::string> lines;
    const OutputSink sink = [&](const OutputLine& line) { lines.push_back(line.text); };
    CHECK(run.follow({.sink = sink, .only = "q"}).state == State::succeeded);
    CHECK(lines == std::vector<std::string>{"q | I am q"});
    CHECK(support::error_of([&] { (void)run.follow({.sink = sink, .only = "7"}); }) ==
          "cannot show the log of pod \"7\": Job team/j has these: p, q");
}

TEST_CASE("a Job that somebody removes ends the following") {
    RunningJob run;
    run.put_pod(running);
    std::thread other{[&] {
        CHECK(run.api.await_request("GET /apis/batch/v1/namespaces/team/jobs?"));
        run.api.remove("Job", "j");
    }};
    const Outcome outcome = run.follow();
    other.join();
    CHECK(outcome.state == State::failed);
    CHECK(outcome.reason == "Job team/j was deleted while it ran");
}

TEST_CASE("a pod that somebody removes is named when the Job fails of it") {
    RunningJob run;
    run.put_pod(running);
    std::thread other{[&] {
        // The pod must have been seen before it goes.
        CHECK(run.api.await_request("GET /api/v1/namespaces/team/pods?"));
        run.api.remove("Pod", "p");
        CHECK(run.api.await_told("Pod"));
        run.put_condition("Failed", "BackoffLimitExceeded");
    }};
    const Outcome outcome = run.follow();
    other.join();
    CHECK(outcome.reason == "pod p was deleted while it ran (Job j failed: BackoffLimitExceeded)");
}

TEST_CASE("the pods of an earlier run with the same id do not count") {
    RunningJob run;
    Json stranger = run.put_pod(pulling, "stranger");
    stranger["metadata"]["ownerReferences"][0]["uid"] = "other";
    run.api.put(stranger);
    run.put_condition("Complete", "");
    CHECK(run.follow().state == State::succeeded);
}

TEST_CASE("a stop ends the following and nothing else") {
    RunningJob run;
    run.put_pod(running);
    std::stop_source stop;
    std::thread other{[&] {
        CHECK(run.api.await_request("GET /api/v1/namespaces/team/pods?"));
        stop.request_stop();
    }};
    CHECK_THROWS_AS((void)run.follow({}, stop.get_token()), Cancelled);
    other.join();
    CHECK(run.api.size() == 2);
}

TEST_CASE("a watch that is forbidden is an error on the caller's thread") {
    RunningJob run;
    run.api.intercept([](const std::string& request) -> std::optional<net::Response> {
        return request.starts_with("GET /api/v1/namespaces/team/pods")
                   ? std::optional{net::Response{
                         .status = 403,
                         .body = R"({"kind": "Status", "reason": "Forbidden", "message": "no pods",
                                     "code": 403})"}}
                   : std::nullopt;
    });
    CHECK(support::contains(support::error_of([&] { (void)run.follow(); }), "no pods"));
}

TEST_CASE("what the sink throws leaves follow()") {
    RunningJob run;
    run.api.set_log("p", {"a line"});
    run.put_pod(R"({"phase": "Succeeded", "containerStatuses": [{"name": "m",
        "state": {"terminated": {"exitCode": 0}}}]})");
    run.put_condition("Complete", "");
    struct Full {};
    CHECK_THROWS_AS((void)run.follow({.sink = [](const OutputLine&) { throw Full{}; }}), Full);
}
