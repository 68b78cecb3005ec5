#include "fairing/deployers/serving/diagnose_servers.hpp"

#include <doctest/doctest.h>

#include "../../support/workspace.hpp"

using namespace fairing;
using support::contains;

TEST_CASE("a server that does not stay up is given up, and its end is told") {
    const auto crashed = [](const char* reason) {
        return Json{{"metadata", {{"name", "p"}}},
                    {"status",
                     Json::parse(std::string{R"({"phase": "Running", "containerStatuses": [{"name":
            "model", "ready": false, "restartCount": 3, "state": {"waiting": {"reason":
            "CrashLoopBackOff"}}, "lastState": {"terminated": {"exitCode": 3, "reason": ")"} +
                                 reason + "\"}}}]}")}};
    };
    const auto restarted = kubernetes::diagnose_servers({crashed("Error")}, {});
    CHECK(restarted.phase == kube::Phase::failed);
    CHECK(restarted.container == "model");
    CHECK(contains(restarted.reason, "was restarted 3 times: its last exit code was 3"));
    CHECK(contains(kubernetes::diagnose_servers({crashed("OOMKilled")}, {}).reason,
                   "ran out of memory"));
}
