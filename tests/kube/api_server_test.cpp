#include "fairing/kube/api_server.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <vector>

#include "../support/scripted_transport.hpp"
#include "../support/workspace.hpp"

using namespace fairing;
using support::error_of;
using test::ScriptedTransport;

namespace {

kube::ApiServer server_of(ScriptedTransport& script, kube::Cluster cluster = {},
                          Control control = {}) {
    cluster.server = cluster.server.empty() ? "https://api" : cluster.server;
    cluster.context = "lab";
    return {cluster, std::ref(script), std::move(control)};
}

const kube::Call get_train_1{
    .path = "/jobs/train-1", .attempted = "get", .subject = "Job team/train-1"};
constexpr const char* train_1_url = "https://api/jobs/train-1";

}  // namespace

TEST_CASE("a 401 drops what can be renewed and tries once more; else it is told") {
    ScriptedTransport script;
    script.expect("GET", train_1_url, {.status = 401});
    CHECK(error_of([&] {
              static_cast<void>(server_of(script, {.token = Secret{"hidden"}}).ask(get_train_1));
          }) ==
          "cannot get Job team/train-1: 401 Unauthorized; check the credentials of context "
          "\"lab\"");
    CHECK(script.complaint() == "");
}

TEST_CASE("fault 54: a plain http server gets no credentials") {
    ScriptedTransport script;
    script.expect("GET", "http://api/jobs/train-1", {.status = 404});
    const kube::Cluster cluster{
        .server = "http://api", .token = Secret{"hidden"}, .impersonation = {.user = "x"}};
    CHECK(server_of(script, cluster).find(get_train_1) == std::nullopt);
    CHECK(script.recorded()[0].header("Authorization") == "");
    CHECK(script.recorded()[0].header("Impersonate-User") == "");
}

TEST_CASE("the server's warnings are passed on, and no redirect is followed") {
    ScriptedTransport script;
    script.expect("GET", train_1_url,
                  {.status = 200,
                   .headers = {{"Warning", "299 - \"batch/v1 is old\""}},
                   .body = R"({"kind": "Job"})"});
    script.expect("GET", train_1_url, {.status = 302, .headers = {{"Location", "https://evil/"}}});
    std::vector<std::string> log;
    const kube::ApiServer server = server_of(script, {}, {.log = [&log](const LogRecord& record) {
                                                 if (record.level == Level::warning) {
                                                     log.push_back(record.text);
                                                 }
                                             }});
    CHECK(server.ask(get_train_1) == Json{{"kind", "Job"}});
    CHECK(log == std::vector<std::string>{"the API server warns: batch/v1 is old"});
    CHECK_THROWS_AS(static_cast<void>(server.ask(get_train_1)), kube::StatusError);
    CHECK(script.complaint() == "");
}

TEST_CASE("an answer that is no object is refused") {
    for (const char* body : {"", "[]", "<html>", "null"}) {
        ScriptedTransport script;
        script.expect("GET", train_1_url, {.status = 200, .body = body});
        CHECK(error_of([&] { static_cast<void>(server_of(script).ask(get_train_1)); }) ==
              "cannot get Job team/train-1: the API server's answer is no JSON object");
    }
}
