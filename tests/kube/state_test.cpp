#include "fairing/kube/state.hpp"

#include <doctest/doctest.h>

#include "../support/pod_documents.hpp"

using namespace fairing;
using kube::Cause;
using kube::Phase;

using test::ended_pod;
using test::pod_document;

namespace {

Json job_document(const char* status, const char* spec = "{}") {
    return {{"metadata", {{"name", "j"}}},
            {"spec", Json::parse(spec)},
            {"status", Json::parse(status)}};
}

constexpr const char* failed_by_limit =
    R"({"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded",
        "message": "Job has reached the specified backoff limit"}]})";

}  // namespace

TEST_CASE("a Job's own conditions have the last word, and its pods tell why") {
    CHECK(kube::diagnose_job(
              job_document(R"({"conditions": [{"type": "Complete", "status": "True"}]})"),
              {ended_pod(1, "Error")})
              .phase == Phase::succeeded);
    const auto failed = kube::diagnose_job(job_document(failed_by_limit), {ended_pod(7, "Error")});
    CHECK(failed.phase == Phase::failed);
    CHECK(failed.exit_code == 7);
    CHECK(failed.reason == "container fairing-job of pod p exited with code 7");
    const auto podless = kube::diagnose_job(job_document(failed_by_limit), {});
    CHECK(podless.cause == Cause::backoff_limit);
    CHECK(podless.reason ==
          "Job j failed: BackoffLimitExceeded: Job has reached the specified backoff limit");
    const auto late = kube::diagnose_job(
        job_document(
            R"({"conditions": [{"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}]})"),
        {ended_pod(137, "Error")});
    CHECK(late.cause == Cause::deadline_exceeded);
    CHECK(late.reason == "Job j was stopped: DeadlineExceeded");
    const auto retried = kube::diagnose_job(job_document("{}"), {ended_pod(7, "Error")});
    CHECK(retried.phase == Phase::running);
}

TEST_CASE("a Job without pods is refused, suspended or just new") {
    CHECK(kube::diagnose_job(job_document("{}"), {}).cause == Cause::starting);
    CHECK(kube::diagnose_job(job_document("{}", R"({"suspend": true})"), {}).cause ==
          Cause::suspended);
    const std::vector<Json> events = {
        {{"reason", "FailedCreate"}, {"message", "old"}, {"lastTimestamp", "2026-01-01T00:00:01Z"}},
        {{"reason", "FailedCreate"},
         {"message", "pods \"j-\" is forbidden: exceeded quota: q"},
         {"lastTimestamp", "2026-01-01T00:00:02Z"}},
        {{"reason", "Other"}, {"message", "x"}, {"lastTimestamp", "2026-01-01T00:00:03Z"}}};
    const auto refused = kube::diagnose_job(job_document("{}"), {}, events);
    CHECK(refused.cause == Cause::refused);
    CHECK(kube::is_hopeless(refused.cause));
    CHECK(refused.reason ==
          "the cluster takes no pod of Job j: pods \"j-\" is forbidden: exceeded quota: q");
    const auto running =
        kube::diagnose_job(job_document("{}"), {pod_document(R"({"phase": "Running"})")}, events);
    CHECK(running.phase == Phase::running);
}

TEST_CASE("a pod that does not start is explained by the newest event about it") {
    const auto event = [](const char* kind, const char* name, const char* type, int second,
                          const char* reason) {
        return Json{{"involvedObject", {{"kind", kind}, {"name", name}}},
                    {"type", type},
                    {"reason", reason},
                    {"message", "m"},
                    {"lastTimestamp", "2026-01-01T00:00:0" + std::to_string(second) + "Z"}};
    };
    std::vector<Json> events = {
        event("Pod", "p", "Normal", 1, "Scheduled"), event("Pod", "p", "Warning", 3, "FailedMount"),
        event("Pod", "p", "Warning", 2, "Older"), event("Pod", "other", "Warning", 4, "NotOurs"),
        event("Job", "p", "Warning", 4, "NotThePod")};
    const std::vector<Json> pods = {pod_document(R"({"phase": "Pending"})")};
    const auto waiting = kube::diagnose_job(job_document("{}"), pods, events);
    CHECK(waiting.phase == Phase::pending);
    CHECK(waiting.cause == Cause::not_prepared);
    CHECK_FALSE(kube::is_hopeless(waiting.cause));
    CHECK(waiting.reason == "pod p does not start: FailedMount: m");
    // What came after it tells that it has passed, and what runs has no complaint.
    events.push_back(event("Pod", "p", "Normal", 5, "Pulling"));
    CHECK(kube::diagnose_job(job_document("{}"), pods, events).cause == Cause::starting);
    events.push_back(event("Pod", "p", "Warning", 6, "FailedMount"));
    CHECK(kube::diagnose_job(job_document("{}"), {pod_document(R"({"phase": "Running"})")}, events)
              .reason.empty());
}

TEST_CASE("documents of a strange shape are no crash") {
    for (const char* text :
         {"null", "[]", "7", R"({"status": 1})", R"({"status": {"phase": 3}})",
          R"({"status": {"phase": "Failed", "containerStatuses": [1, {"state": 2}]}})",
          R"({"status": {"conditions": {"a": 1}, "containerStatuses": "x"}})"}) {
        CAPTURE(text);
        const Json document = Json::parse(text);
        CHECK_NOTHROW(static_cast<void>(kube::diagnose_pod(document)));
        CHECK_NOTHROW(static_cast<void>(kube::diagnose_job(document, {document}, {document})));
    }
}
