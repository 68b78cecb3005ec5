#include "fairing/kube/client.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <vector>

#include "../support/scripted_transport.hpp"
#include "../support/workspace.hpp"

using namespace fairing;
using support::error_of;
using test::Recorded;
using test::ScriptedTransport;

namespace {

constexpr const char* jobs_url = "https://api/apis/batch/v1/namespaces/team/jobs";
constexpr const char* create_url =
    "https://api/apis/batch/v1/namespaces/team/jobs?fieldManager=fairing&fieldValidation=Strict";

net::Response json_answer(int status, const Json& body, net::Headers headers = {}) {
    return {.status = status, .headers = std::move(headers), .body = body.dump()};
}

Json job(const std::string& run, const std::string& uid = "") {
    Json object = {
        {"apiVersion", "batch/v1"},
        {"kind", "Job"},
        {"metadata",
         {{"name", "train-1"}, {"namespace", "team"}, {"labels", {{"fairing-id", run}}}}}};
    if (!uid.empty()) {
        object["metadata"]["uid"] = uid;
    }
    return object;
}

Json refusal(int code, const std::string& reason, const std::string& message) {
    return {{"kind", "Status"}, {"code", code}, {"reason", reason}, {"message", message}};
}

ScriptedTransport& expect_discovery(ScriptedTransport& script) {
    return script.expect(
        "GET", "https://api/apis/batch/v1",
        json_answer(200, {{"kind", "APIResourceList"},
                          {"resources",
                           {{{"name", "jobs"},
                             {"kind", "Job"},
                             {"namespaced", true},
                             {"verbs", {"create", "get"}}},
                            {{"name", "jobs/status"}, {"kind", "Job"}, {"namespaced", true}}}}}));
}

kube::Client client_of(ScriptedTransport& script, kube::Cluster cluster = {}) {
    cluster.server = cluster.server.empty() ? "https://api" : cluster.server;
    cluster.context = "lab";
    return {cluster,
            std::ref(script),
            {},
            {.retry = {.attempts = 3, .first_delay = std::chrono::milliseconds{1}, .jitter = 0}}};
}

const kube::ObjectKey train_1{
    .api_version = "batch/v1", .kind = "Job", .namespace_ = "team", .name = "train-1"};

}  // namespace

TEST_CASE("a kind is discovered once, and an object is created with what every write states") {
    ScriptedTransport script;
    expect_discovery(script);
    script.expect("POST", create_url, json_answer(201, job("r1", "u1")));
    script.expect("GET", std::string{jobs_url} + "/train-1", json_answer(200, job("r1", "u1")));
    const kube::Client client = client_of(script, {.token = Secret{"hidden"}});
    CHECK(kube::uid_of(client.create(job("r1"))) == "u1");
    CHECK(kube::uid_of(client.get(train_1)) == "u1");
    CHECK(script.complaint() == "");
    CHECK(Json::parse(script.recorded()[1].body) == job("r1"));
    CHECK(script.recorded()[1].header("Content-Type") == "application/json");
    CHECK(script.recorded()[1].header("Authorization") == "Bearer hidden");
    CHECK(client.discover("batch/v1", "Job").verbs == std::vector<std::string>{"create", "get"});
}

TEST_CASE("a text that is not UTF-8 is refused by its place, and nothing is sent") {
    ScriptedTransport script;
    expect_discovery(script);
    const kube::Client client = client_of(script);
    Json object = job("abc");
    object["spec"]["args"] = {"caf\xe9"};
    CHECK(error_of([&] { client.create(object); }) ==
          "cannot create Job team/train-1: the JSON's \"/spec/args/0\" is not UTF-8");
    for (const auto& send : std::vector<std::function<void()>>{
             [&] { client.replace(object); },
             [&] { client.patch(kube::key_of(object), kube::PatchType::merge, object); }}) {
        CHECK(support::contains(error_of(send), "\"/spec/args/0\" is not UTF-8"));
    }
    CHECK(script.complaint().empty());
}

TEST_CASE("fault 47: after a lost reply the object is looked for, and never made twice") {
    ScriptedTransport script;
    expect_discovery(script);
    script.expect_broken("POST", create_url);
    script.expect("GET", std::string{jobs_url} + "/train-1", json_answer(200, job("r1", "u1")));
    CHECK(kube::uid_of(client_of(script).create(job("r1"))) == "u1");
    CHECK(script.complaint() == "");
}

TEST_CASE("fault 47: a request that was lost on its way is sent again") {
    ScriptedTransport script;
    expect_discovery(script);
    script.expect_broken("POST", create_url);
    script.expect("GET", std::string{jobs_url} + "/train-1",
                  json_answer(404, refusal(404, "NotFound", "not found")));
    script.expect("POST", create_url, json_answer(201, job("r1", "u1")));
    CHECK(kube::uid_of(client_of(script).create(job("r1"))) == "u1");
    CHECK(script.complaint() == "");
}

TEST_CASE("without a run label a lost reply is an error: nobody could tell") {
    ScriptedTransport script;
    expect_discovery(script);
    script.expect_broken("POST", create_url);
    Json object = job("r1");
    object["metadata"].erase("labels");
    CHECK_THROWS_AS(client_of(script).create(object), Error);
    CHECK(script.complaint() == "");
}

TEST_CASE("fault 48: a conflict is ours by the run label, else it is told once") {
    ScriptedTransport script;
    expect_discovery(script);
    const Json exists = refusal(409, "AlreadyExists", "jobs.batch \"train-1\" already exists");
    script.expect("POST", create_url, json_answer(409, exists));
    script.expect("GET", std::string{jobs_url} + "/train-1", json_answer(200, job("r1", "u1")));
    const kube::Client client = client_of(script);
    CHECK(kube::uid_of(client.create(job("r1"))) == "u1");
    script.expect("POST", create_url, json_answer(409, exists));
    script.expect("GET", std::string{jobs_url} + "/train-1", json_answer(200, job("other", "u2")));
    try {
        client.create(job("r1"));
        FAIL("no error");
    } catch (const kube::StatusError& error) {
        CHECK(error.code() == ErrorCode::conflict);
        CHECK(error.reason() == "AlreadyExists");
        CHECK(
            std::string{error.what()} ==
            "cannot create Job team/train-1: 409 Conflict: jobs.batch \"train-1\" already exists");
    }
    Json leaving = job("r1", "u3");
    leaving["metadata"]["deletionTimestamp"] = "2024-01-01T00:00:00Z";
    script.expect("POST", create_url, json_answer(409, exists));
    script.expect("GET", std::string{jobs_url} + "/train-1", json_answer(200, leaving));
    CHECK_THROWS_AS(client.create(job("r1")), kube::StatusError);
    CHECK(script.complaint() == "");
}

TEST_CASE("fault 48: causes are printed, and neither 422 nor 403 is repeated") {
    ScriptedTransport script;
    expect_discovery(script);
    Json invalid = refusal(422, "Invalid", "Job is invalid");
    invalid["details"] = {{"causes",
                           {{{"field", "spec.template"},
                             {"reason", "FieldValueRequired"},
                             {"message", "Required"}}}}};
    script.expect("POST", create_url, json_answer(422, invalid));
    const kube::Client client = client_of(script);
    CHECK(error_of([&] { client.create(job("r1")); }) ==
          "cannot create Job team/train-1: 422 Unprocessable Content: Job is invalid; "
          "spec.template: Required");
    script.expect("POST", create_url, json_answer(403, refusal(403, "Forbidden", "no such right")));
    CHECK(error_of([&] { client.create(job("r1")); }) ==
          "cannot create Job team/train-1: 403 Forbidden: no such right; ask for this permission, "
          "or choose another --namespace or --context");
    CHECK(script.complaint() == "");
}

TEST_CASE("fault 49: 429 with Retry-After is repeated, 500 without it is not") {
    ScriptedTransport script;
    expect_discovery(script);
    const net::Headers wait = {{"Retry-After", "1"}};
    const Json busy = refusal(429, "TooManyRequests", "busy");
    script.expect("POST", create_url, json_answer(429, busy, wait));
    script.expect("GET", std::string{jobs_url} + "/train-1", {.status = 404});
    script.expect("POST", create_url, json_answer(201, job("r1", "u1")));
    const kube::Client client = client_of(script);
    CHECK(kube::uid_of(client.create(job("r1"))) == "u1");
    script.expect("POST", create_url, json_answer(500, refusal(500, "InternalError", "oops")));
    CHECK(error_of([&] { client.create(job("r1")); }) ==
          "cannot create Job team/train-1: 500 Internal Server Error: oops");
    CHECK(script.complaint() == "");
}

TEST_CASE("a dry run stores nothing, so it looks for nothing") {
    ScriptedTransport script;
    expect_discovery(script);
    const std::string url = std::string{create_url} + "&dryRun=All";
    script.expect_broken("POST", url);
    script.expect("POST", url, json_answer(201, job("r1")));
    CHECK(kube::name_of(client_of(script).create(job("r1"), {.dry_run = kube::DryRun::server})) ==
          "train-1");
    CHECK(script.complaint() == "");
}

TEST_CASE("lists come in pages, and are read anew when one expires") {
    ScriptedTransport script;
    expect_discovery(script);
    const auto page = [](std::vector<std::string> names, const std::string& next) {
        Json items = Json::array();
        for (const std::string& name : names) {
            items.push_back({{"metadata", {{"name", name}}}});
        }
        return json_answer(200, {{"kind", "JobList"},
                                 {"metadata", {{"resourceVersion", "7"}, {"continue", next}}},
                                 {"items", items}});
    };
    const std::string url = std::string{jobs_url} + "?labelSelector=a%3Db&limit=2";
    script.expect("GET", url, page({"a", "b"}, "x/1"));
    script.expect("GET", url + "&continue=x%2F1", json_answer(410, refusal(410, "Expired", "old")));
    script.expect("GET", url, page({"a", "b"}, "x/2"));
    script.expect("GET", url + "&continue=x%2F2", page({"c"}, ""));
    const kube::ObjectList list =
        client_of(script).list("batch/v1", "Job", "team", {.label_selector = "a=b", .page = 2});
    REQUIRE(list.items.size() == 3);
    CHECK(list.resource_version == "7");
    CHECK(kube::key_of(list.items[2]) ==
          kube::ObjectKey{.api_version = "batch/v1", .kind = "Job", .name = "c"});
    CHECK(script.complaint() == "");
}

TEST_CASE("a deletion states policy and uid, and twice is no error") {
    ScriptedTransport script;
    expect_discovery(script);
    const std::string url = std::string{jobs_url} + "/train-1";
    script.expect("GET", url, json_answer(200, job("r1", "u1")));
    script.expect("DELETE", url, json_answer(200, {{"kind", "Status"}}));
    script.expect("GET", url, {.status = 404});
    script.expect("DELETE", url, {.status = 404});
    script.expect("DELETE", url, json_answer(409, refusal(409, "Conflict", "the UID differs")));
    script.expect("GET", url, json_answer(200, job("r1", "u2")));
    const kube::Client client = client_of(script);
    CHECK(client.remove(train_1));
    CHECK_FALSE(client.remove(train_1));
    CHECK_FALSE(client.remove(train_1, {.uid = "u1"}));
    CHECK_FALSE(client.remove(train_1, {.uid = "u1"}));
    CHECK(script.complaint() == "");
    CHECK(Json::parse(script.recorded()[2].body) == Json{{"apiVersion", "v1"},
                                                         {"kind", "DeleteOptions"},
                                                         {"propagationPolicy", "Background"},
                                                         {"preconditions", {{"uid", "u1"}}}});
}

TEST_CASE("patches of each kind, replacement and the status") {
    ScriptedTransport script;
    expect_discovery(script);
    const std::string url = std::string{jobs_url} + "/train-1";
    const std::string writes = "?fieldManager=fairing&fieldValidation=Strict";
    script.expect("PATCH", url + writes, json_answer(200, job("r1")));
    script.expect("PATCH", url + "/status" + writes, json_answer(200, job("r1")));
    script.expect("PATCH", url + writes + "&force=true", json_answer(200, job("r1")));
    script.expect("PUT", url + writes, json_answer(200, job("r1")));
    script.expect("GET", url + "/status", json_answer(200, job("r1")));
    const kube::Client client = client_of(script);
    client.patch(train_1, kube::PatchType::merge, {{"spec", nullptr}});
    client.patch(train_1, kube::PatchType::strategic_merge, Json::object(),
                 {.subresource = "status"});
    client.patch(train_1, kube::PatchType::server_side_apply, job("r1"),
                 {.conflicts = kube::Conflicts::take_over});
    client.replace(job("r1"));
    static_cast<void>(client.get(train_1, "status"));
    CHECK(script.complaint() == "");
    CHECK(script.recorded()[1].header("Content-Type") == "application/merge-patch+json");
    CHECK(script.recorded()[2].header("Content-Type") == "application/strategic-merge-patch+json");
    CHECK(script.recorded()[3].header("Content-Type") == "application/apply-patch+yaml");
}

TEST_CASE("a kind that the cluster does not know is named") {
    ScriptedTransport script;
    script.expect("GET", "https://api/apis/kubeflow.org/v1", {.status = 404});
    CHECK(error_of(
              [&] { static_cast<void>(client_of(script).discover("kubeflow.org/v1", "TFJob")); }) ==
          "cannot use kubeflow.org/v1 TFJob: the cluster does not know it: it does not serve "
          "kubeflow.org/v1; install the Kubeflow Training Operator, or mpi-operator");
}
