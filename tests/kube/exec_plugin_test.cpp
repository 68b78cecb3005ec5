#include "fairing/kube/exec_plugin.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <string>

using namespace fairing;

TEST_CASE("what a plugin is told, and what it answers (credentials_test.cpp runs them)") {
    const kube::ExecPlugin plugin{.api_version = "client.authentication.k8s.io/v1beta1",
                                  .command = "p"};
    CHECK(Json::parse(kube::exec_info(plugin)) ==
          Json{{"apiVersion", "client.authentication.k8s.io/v1beta1"},
               {"kind", "ExecCredential"},
               {"spec", {{"interactive", false}}}});
    const auto now = std::chrono::system_clock::time_point{std::chrono::seconds{1704067200}};
    const kube::ExecCredential credential = kube::parse_exec_credential(
        R"({"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1beta1",
            "status":{"token":"t","expirationTimestamp":"2024-01-01T02:00:00+01:00"}})",
        plugin, now);
    CHECK(credential.token.reveal() == "t");
    CHECK(credential.expires == now + std::chrono::hours{1});
    CHECK_THROWS_AS(
        static_cast<void>(kube::parse_exec_credential(std::string(999, '['), plugin, now)), Error);
}
