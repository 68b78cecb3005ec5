#include "fairing/runs/cluster_workload.hpp"

#include <doctest/doctest.h>

#include <thread>

#include "../support/memory_api.hpp"
#include "../support/workspace.hpp"

using namespace fairing;

namespace {

struct StoredJob {
    support::MemoryApi api = {};
    std::vector<std::string> said = {};
    Json job =
        api.put({{"apiVersion", "batch/v1"},
                 {"kind", "Job"},
                 {"metadata",
                  {{"name", "j"}, {"namespace", "team"}, {"labels", {{"fairing-id", "abc"}}}}}});

    [[nodiscard]] Workload workload(kubernetes::WorkloadHabits habits = {},
                                    std::vector<kube::ObjectKey> beside = {}) {
        const kube::Client client{
            {.server = "https://k.example", .namespace_ = "team"},
            std::ref(api),
            {.log = [this](LogRecord record) { said.push_back(record.text); }},
            {.retry = {.attempts = 1}}};
        return Workload{std::make_shared<kubernetes::ClusterWorkload>(
            client,
            kubernetes::Subject{.key = kube::key_of(job),
                                .uid = kube::uid_of(job),
                                .run_id = "abc",
                                .main = job,
                                .diagnose = kube::diagnose_job},
            std::move(beside), habits)};
    }
    void complete() {
        job["status"]["conditions"] = Json::parse(R"([{"type": "Complete", "status": "True"}])");
        job = api.put(job);
    }
};

}  // namespace

TEST_CASE("a state is asked for, until it has ended or is gone") {
    StoredJob stored;
    const Workload workload = stored.workload();
    CHECK(workload.status().state == State::pending);
    stored.complete();
    CHECK(workload.status().state == State::succeeded);
    stored.api.remove("Job", "j");
    CHECK(workload.status().state == State::removed);
}

TEST_CASE("another object of the same name is another one") {
    StoredJob stored;
    const Workload workload = stored.workload();
    const Json first = stored.job;
    stored.api.remove("Job", "j");
    stored.api.put(first);  // has a uid of its own
    CHECK(workload.status().state == State::removed);
    workload.remove();
    CHECK(stored.api.get("Job", "j"));
}

TEST_CASE("what was followed is remembered, and removed when that was wanted") {
    StoredJob stored;
    stored.complete();
    bool is_kept = false;
    SUBCASE("kept") { is_kept = true; }
    SUBCASE("removed") {}
    const Workload workload = stored.workload(
        {.cleanup = is_kept ? Cleanup::never : Cleanup::when_done, .stream_log = false});
    CHECK(workload.wait().state == State::succeeded);
    CHECK(stored.api.size() == (is_kept ? 1 : 0));
    CHECK(workload.status().state == State::succeeded);
    CHECK(workload.wait().state == State::succeeded);
}

TEST_CASE("a failure to remove is said, and the outcome is told all the same") {
    StoredJob stored;
    stored.complete();
    stored.api.intercept([](const std::string& request) -> std::optional<net::Response> {
        return request.starts_with("DELETE")
                   ? std::optional{net::Response{.status = 403,
                                                 .body = R"({"kind": "Status", "code": 403,
                                                       "reason": "Forbidden", "message": "no"})"}}
                   : std::nullopt;
    });
    const Workload workload = stored.workload({.cleanup = Cleanup::when_done, .stream_log = false});
    CHECK(workload.wait().state == State::succeeded);
    REQUIRE_FALSE(stored.said.empty());
    CHECK(support::contains(stored.said.back(), "cannot delete Job team/j"));
    CHECK_THROWS_AS(workload.remove(), kube::StatusError);
}

TEST_CASE("only our own objects beside it are removed") {
    StoredJob stored;
    Json secret{
        {"apiVersion", "v1"},
        {"kind", "Secret"},
        {"metadata", {{"name", "s"}, {"namespace", "team"}, {"labels", {{"fairing-id", "abc"}}}}}};
    const Json ours = stored.api.put(secret);
    secret["metadata"]["name"] = "theirs";
    secret["metadata"]["labels"]["fairing-id"] = "other";
    const Json theirs = stored.api.put(secret);
    stored.workload({}, {kube::key_of(ours), kube::key_of(theirs)}).remove();
    CHECK_FALSE(stored.api.get("Secret", "s"));
    CHECK(stored.api.get("Secret", "theirs"));
}

TEST_CASE("a stop while removing is obeyed") {
    StoredJob stored;
    std::stop_source stop;
    stop.request_stop();
    CHECK_THROWS_AS(stored.workload().remove(stop.get_token()), Cancelled);
}
