#include "fairing/registry/api.hpp"

#include <doctest/doctest.h>

#include "../support/scripted_transport.hpp"

using namespace fairing;

TEST_CASE("URLs and scopes of a repository") {
    const registry::Api api{oci::parse_reference("r.example:5000/team/job:v1"), {}};
    CHECK(api.url("manifests/v1") == "https://r.example:5000/v2/team/job/manifests/v1");
    CHECK(api.name() == "r.example:5000/team/job");
    CHECK(api.scopes(registry::Access::pull) ==
          std::vector<std::string>{"repository:team/job:pull"});
    CHECK(api.scopes(registry::Access::push, "base") ==
          std::vector<std::string>{"repository:team/job:pull,push", "repository:base:pull"});
    CHECK(api.requests() == 0);
    const registry::Api six{oci::parse_reference("[::1]:5000/a"), {}};
    CHECK(six.url("x") == "http://[::1]:5000/v2/a/x");
}

TEST_CASE("only a registry's repository has an API") {
    CHECK_THROWS_AS((registry::Api{oci::parse_reference("scratch"), {}}), Error);
    CHECK_THROWS_AS((registry::Api{oci::parse_reference("oci:dir"), {}}), Error);
}

TEST_CASE("without a transport the error says so") {
    registry::Api api{oci::parse_reference("r.example/a"), {}};
    try {
        (void)api.call({.url = api.url("x")}, {.attempted = "look", .subject = "there"}, {}, {});
        FAIL("answered");
    } catch (const Error& error) {
        CHECK(std::string{error.what()}.find("there is no transport") != std::string::npos);
    }
}

TEST_CASE("every request counts, redirects too") {
    test::ScriptedTransport script;
    registry::Api api{oci::parse_reference("localhost/a"), {.transport = std::ref(script)}};
    script.expect("GET", "", {.status = 302, .headers = {{"Location", "/b"}}})
        .expect("GET", "http://localhost/b", {.status = 200});
    CHECK(api.call({.url = api.url("x")}, {}, {}, {}).status == 200);
    CHECK(api.requests() == 2);
}

TEST_CASE("what a registry quotes of our credentials is not passed on") {
    test::ScriptedTransport script;
    registry::Api api{oci::parse_reference("localhost/a"),
                      {.transport = std::ref(script),
                       .credentials =
                           [](const CredentialRequest&) {
                               return Credential{.user = "me", .password = Secret{"geheim"}};
                           },
                       .files = std::vector<std::filesystem::path>{}}};
    const auto quoting = [](const test::Recorded& recorded) {
        return net::Response{.status = 403,
                             .body = R"({"errors":[{"code":"DENIED","message":"no: )" +
                                     recorded.header("Authorization") + ' ' +
                                     recorded.header("Authorization") + "\"}]}"};
    };
    script.expect("GET", "", {.status = 401, .headers = {{"WWW-Authenticate", "Basic realm=x"}}})
        .expect("GET", "", quoting)
        .expect("GET", "", quoting);
    for (int i = 0; i < 2; ++i) {
        const net::Answer answer = api.call({.url = api.url("x")}, {}, {}, {});
        CHECK(registry::registry_message(answer.body) == "DENIED: no: Basic *** Basic ***");
    }
}
