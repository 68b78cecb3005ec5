#include "fairing/stage/engine_access.hpp"

#include <doctest/doctest.h>

#include "../support/scripted_transport.hpp"
#include "../support/workspace.hpp"

using namespace fairing;

TEST_CASE("a session's own transport is taken; ours names a certificate that can not be read") {
    test::ScriptedTransport script;
    script.expect("GET", "https://build.example:2376/version",
                  {.status = 200, .body = R"({"ApiVersion":"1.41"})"});
    const engine::Address address{.name = "tcp://build.example",
                                  .url = "https://build.example:2376",
                                  .certificate_file = "/no/such/cert.pem",
                                  .key_file = "/no/such/key.pem"};
    Session session{.transport = std::ref(script)};
    CHECK(connect_engine(session, address).name() == "tcp://build.example");
    CHECK(script.complaint().empty());
    session.transport = {};
    CHECK(support::contains(
        support::error_of([&] { static_cast<void>(connect_engine(session, address)); }),
        "/no/such/cert.pem"));
    const engine::Address nobody = engine::Address::of_socket("/no/such/e.sock");
    CHECK(support::contains(
        support::error_of([&] { static_cast<void>(connect_engine(session, nobody)); }),
        "the container engine at /no/such/e.sock"));
}
