#include "fairing/engine/connection.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "../support/scripted_transport.hpp"
#include "../support/workspace.hpp"

using namespace fairing;
using engine::Connection;
using test::ScriptedTransport;

namespace {

const std::string url = "http+unix://%2Frun%2Fe.sock";

Connection connection_of(ScriptedTransport& script) {
    return {std::ref(script), {.name = "/run/e.sock", .url = url}};
}
void start(const Connection& connection, const std::stop_token& stop = {}) {
    connection.send({.method = "POST", .url = url + "/containers/abc/start"},
                    "start a container with", {}, stop);
}

}  // namespace

TEST_CASE("an engine that wants TLS, or whose certificate is refused, is named, with what to do") {
    for (const auto& [code, advice] : std::vector<std::pair<ErrorCode, const char*>>{
             {ErrorCode::integrity, "DOCKER_TLS_VERIFY"}, {ErrorCode::denied, "ca.pem"}}) {
        ScriptedTransport script;
        script.expect("GET", "http://far:2375/version",
                      [code = code](const test::Recorded&) -> net::Response {
                          throw Error{code, {.attempted = "reach", .answer = "no"}};
                      });
        try {
            const Connection connection{std::ref(script),
                                        {.name = "tcp://far:2375", .url = "http://far:2375"}};
            connection.send({.method = "GET", .url = "http://far:2375/version"},
                            "ask for the version of", {}, {});
            FAIL("no error");
        } catch (const Error& error) {
            CHECK(error.code() == code);
            CHECK(error.details().subject == "tcp://far:2375");
            CHECK(support::contains(error.details().advice, advice));
        }
    }
}

TEST_CASE("what the engine answers is in the error, on one line, and of a kind") {
    for (const auto& [status, code] :
         std::vector<std::pair<int, ErrorCode>>{{400, ErrorCode::input},
                                                {403, ErrorCode::denied},
                                                {404, ErrorCode::not_found},
                                                {409, ErrorCode::conflict},
                                                {500, ErrorCode::unavailable}}) {
        ScriptedTransport script;
        script.expect("POST", "", {.status = status, .body = "{\"message\":\"driver\\nfailed\"}"});
        try {
            start(connection_of(script));
            FAIL("no error");
        } catch (const Error& error) {
            CHECK(error.code() == code);
            CHECK(error.details().http_status == status);
            CHECK(error.details().answer == std::to_string(status) + " driver failed");
        }
    }
}

TEST_CASE("row 60: an error at the end of a stream, broken JSON and an empty stream are failures") {
    const auto loading = [](const std::string& stream) {
        ScriptedTransport script;
        script.expect("POST", url + "/images/load", {.status = 200, .body = stream});
        return support::error_of([&] {
            connection_of(script).stream({.method = "POST", .url = url + "/images/load"},
                                         "load an image into", {}, {});
        });
    };
    CHECK(loading("{\"stream\":\"Loaded image\"}\r\n").empty());
    CHECK(loading("{\"stream\":\"Loaded image\"}").empty());
    CHECK(loading("{\"stream\":\"a\"}\n{\"errorDetail\":{\"message\":\"no space\"},\"error\":\"no "
                  "space\"}\n") ==
          "cannot load an image into the container engine at /run/e.sock: no space");
    CHECK(support::contains(loading("{\"errorDetail\":{\"message\":\"detail\"}}"), "detail"));
    CHECK(support::contains(loading("{\"stream\":\"a\"}\n{\"str"), "not JSON"));
    CHECK(support::contains(loading("[1]\n"), "not JSON"));
    CHECK(support::contains(loading(""), "empty"));
    CHECK(support::contains(loading("\n \r\n"), "empty"));
}

TEST_CASE("a stop is not an engine's fault") {
    ScriptedTransport script;
    std::stop_source source;
    source.request_stop();
    CHECK_THROWS_AS(start(connection_of(script), source.get_token()), Cancelled);
}
