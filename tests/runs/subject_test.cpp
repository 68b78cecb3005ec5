#include "fairing/runs/subject.hpp"

#include <doctest/doctest.h>

#include "../support/memory_api.hpp"

using namespace fairing;

namespace {
Json run_pod(const char* name, const char* owner, const char* phase) {
    return {{"apiVersion", "v1"},
            {"kind", "Pod"},
            {"metadata",
             {{"name", name},
              {"namespace", "team"},
              {"labels", {{"fairing-id", "abc"}}},
              {"ownerReferences", Json::array({Json{{"uid", owner}}})}}},
            {"status", {{"phase", phase}}}};
}
const kubernetes::Subject subject{
    .key = {.api_version = "batch/v1", .kind = "Job", .namespace_ = "team", .name = "j"},
    .uid = "u1",
    .run_id = "abc",
    .diagnose = kube::diagnose_job};
}  // namespace

TEST_CASE("pods are told from others by the run's label and by their owner") {
    CHECK(subject.pod_selector() == "fairing-id=abc");
    CHECK(subject.owns(run_pod("p", "u1", "Running")));
    CHECK_FALSE(subject.owns(run_pod("p", "u2", "Running")));
    CHECK_FALSE(subject.owns(Json::object()));
}

TEST_CASE("a look asks for the pods, and for the events when there is none") {
    support::MemoryApi api;
    const kube::Client client{{.server = "https://k.example"}, std::ref(api), {}};
    const Json job{{"metadata", {{"name", "j"}}}};
    api.put({{"apiVersion", "v1"},
             {"kind", "Event"},
             {"metadata", {{"name", "e"}, {"namespace", "team"}}},
             {"involvedObject", {{"uid", "u1"}}},
             {"reason", "FailedCreate"},
             {"message", "quota"}});
    api.put(run_pod("stranger", "u2", "Failed"));
    CHECK(kubernetes::look(client, subject, job).cause == kube::Cause::refused);
    api.put(run_pod("p", "u1", "Running"));
    CHECK(kubernetes::look(client, subject, job).phase == kube::Phase::running);
    // A pod that does not start may be explained by its own events.
    api.put({{"apiVersion", "v1"},
             {"kind", "Event"},
             {"metadata", {{"name", "m"}, {"namespace", "team"}}},
             {"involvedObject", {{"kind", "Pod"}, {"name", "p"}}},
             {"type", "Warning"},
             {"reason", "FailedMount"},
             {"message", "secret \"s\" not found"}});
    api.put(run_pod("p", "u1", "Pending"));
    CHECK(kubernetes::look(client, subject, job).reason ==
          "pod p does not start: FailedMount: secret \"s\" not found");
    // Who may not read events is not told them.
    api.intercept([](const std::string& request) -> std::optional<net::Response> {
        return request.find("/events") == std::string::npos
                   ? std::nullopt
                   : std::optional{net::Response{.status = 403, .body = "{}"}};
    });
    CHECK(kubernetes::events_of(client, subject).empty());
}
