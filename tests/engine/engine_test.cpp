#include "fairing/engine/engine.hpp"

#include <doctest/doctest.h>

#include "../support/scripted_transport.hpp"
#include "../support/workspace.hpp"

using namespace fairing;
using engine::Engine;
using test::ScriptedTransport;

namespace {

const std::string base = "http+unix://%2Frun%2Fe.sock";

engine::Engine connected(ScriptedTransport& script, const char* version = "1.41") {
    script.expect("GET", base + "/version",
                  {.status = 200, .body = R"({"ApiVersion":")" + std::string{version} + "\"}"});
    return Engine::connect(std::ref(script), "/run/e.sock");
}

}  // namespace

TEST_CASE("the version is the newest that both sides speak") {
    for (const auto& [theirs, spoken] :
         std::vector<std::pair<const char*, std::string>>{{"1.41", "1.41"},
                                                          {"1.24", "1.24"},
                                                          {"1.47", "1.41"},
                                                          {"1.30", "1.30"},
                                                          {"2.0", "1.41"}}) {
        ScriptedTransport script;
        CHECK(connected(script, theirs).version() == spoken);
    }
    for (const char* theirs : {"1.23", "0.9", "", "one", "1.x"}) {
        ScriptedTransport script;
        CHECK_THROWS_WITH_AS(connected(script, theirs), doctest::Contains("/run/e.sock"), Error);
    }
}

TEST_CASE("row 60: a missing socket is named, with what to do") {
    ScriptedTransport script;
    script.expect_broken("GET", base + "/version", "No such file or directory");
    const std::string error = support::error_of(
        [&] { static_cast<void>(Engine::connect(std::ref(script), "/run/e.sock")); });
    CHECK(error ==
          "cannot ask for the version of the container engine at /run/e.sock: No such file or "
          "directory; "
          "check that Docker or Podman runs, or name its socket in DOCKER_HOST");
}

TEST_CASE("create, start, logs, wait, stop, kill, remove") {
    ScriptedTransport script;
    const Engine engine = connected(script);
    const std::string v = base + "/v1.41";
    script.expect("GET", v + "/_ping", {.status = 200, .body = "OK"})
        .expect("POST", v + "/containers/create?name=job%20one",
                {.status = 201, .body = R"({"Id":"abc"})"})
        .expect("POST", v + "/containers/abc/start", {.status = 204})
        .expect("GET", v + "/containers/abc/logs?follow=1&stdout=1&stderr=1",
                {.status = 200,
                 .body = std::string{"\x01\0\0\0\0\0\0\x03hi\n\x02\0\0\0\0\0\0\x01!", 20}})
        .expect("POST", v + "/containers/abc/wait",
                {.status = 200, .body = R"({"StatusCode":3,"Error":{"Message":"oom"}})"})
        .expect("POST", v + "/containers/abc/stop?t=3", {.status = 304})
        .expect("POST", v + "/containers/abc/kill?signal=SIGKILL", {.status = 204})
        .expect("DELETE", v + "/containers/abc?force=1&v=1",
                {.status = 404, .body = R"({"message":"no such"})"});
    engine.ping();
    CHECK(engine.create("job one", {{"Image", "x"}}) == "abc");
    engine.start("abc");
    std::string output;
    std::string errors;
    engine.follow_logs("abc", [&](Stream stream, std::span<const std::byte> bytes) {
        (stream == Stream::output ? output : errors)
            .append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    });
    CHECK(output == "hi\n");
    CHECK(errors == "!");
    const engine::ContainerEnd end = engine.wait("abc");
    CHECK(end.exit_code == 3);
    CHECK(end.error == "oom");
    engine.stop("abc", std::chrono::seconds{3});
    engine.kill("abc");
    engine.remove("abc");
    CHECK(script.complaint().empty());
    CHECK(script.recorded()[2].body == R"({"Image":"x"})");
}

TEST_CASE("an answer that is not what was asked for is a failure") {
    ScriptedTransport script;
    const Engine engine = connected(script);
    script.expect("POST", "", {.status = 500, .body = "<html>"})
        .expect("POST", "", {.status = 201, .body = "{}"})
        .expect("POST", "", {.status = 200, .body = "[]"})
        .expect("POST", "", {.status = 200, .body = "not json"});
    CHECK_THROWS_AS(engine.start("abc"), Error);
    CHECK_THROWS_AS(static_cast<void>(engine.create("a", Json::object())), Error);
    CHECK_THROWS_AS(static_cast<void>(engine.wait("a")), Error);
    CHECK_THROWS_AS(static_cast<void>(engine.wait("a")), Error);
}

TEST_CASE("build gives the image's id, out of what either engine says") {
    for (const std::string stream :
         {"{\"stream\":\"Step 1/1 : FROM x\"}\n{\"aux\":{\"ID\":\"sha256:abc\"}}\n"
          "{\"stream\":\"Successfully built abcdef\\n\"}\n",
          "{\"stream\":\"Successfully built sha256:abc\\n\"}\r\n"}) {
        ScriptedTransport script;
        const Engine engine = connected(script);
        script.expect("POST",
                      base +
                          "/v1.41/build?rm=1&forcerm=1&dockerfile=Dockerfile&nocache=1&platform="
                          "linux%2Farm64&tlsVerify=false",
                      {.status = 200, .body = stream});
        int events = 0;
        CHECK(engine.build(net::Body::of("tar"),
                           {.platform = "linux/arm64",
                            .cache = false,
                            .verify_registries = false,
                            .credentials = engine::header_of({{"a", "?>"}})},
                           [&events](const Json&) { ++events; }) == "sha256:abc");
        CHECK(events >= 1);
        CHECK(script.complaint().empty());
        const test::Recorded& sent = script.recorded().back();
        CHECK(sent.body == "tar");
        CHECK(sent.header("Content-Type") == "application/x-tar");
        CHECK(sent.header("X-Registry-Config") == "eyJhIjoiPz4ifQ==");
    }
}

TEST_CASE("row 60: a build without an image in the end failed, whatever it said before") {
    const auto building = [](const std::string& stream) {
        ScriptedTransport script;
        const Engine engine = connected(script);
        script.expect("POST", "", {.status = 200, .body = stream});
        try {
            static_cast<void>(engine.build(net::Body::of("tar"), {}, {}));
        } catch (const Error& error) {
            CHECK(script.recorded().back().header("X-Registry-Config").empty());
            return std::pair{error.code(), std::string{error.what()}};
        }
        return std::pair{ErrorCode::internal, std::string{"no error"}};
    };
    CHECK(support::contains(building("{\"stream\":\"Step 1/2 : FROM x\"}\n").second,
                            "its answer ended before the image was there"));
    CHECK(building("{\"aux\":{\"ID\":\"sha256:a\"}}\n{\"error\":\"disk full\"}\n") ==
          std::pair{ErrorCode::unavailable,
                    std::string{"cannot build an image with the container engine at /run/e.sock: "
                                "disk full"}});
    CHECK(building("{\"aux\":{\"ID\":\"sha256:a\"}}\n{\"stre").first == ErrorCode::unavailable);
    CHECK(
        building("{\"errorDetail\":{\"code\":1,\"message\":\"step\"},\"error\":\"step\"}").first ==
        ErrorCode::input);
    CHECK(building("{\"error\":\"building at STEP \\\"RUN false\\\": exit status 1\\n\"}") ==
          std::pair{ErrorCode::input,
                    std::string{"cannot build an image with the container engine at /run/e.sock: "
                                "building at STEP \"RUN false\": exit status 1"}});
    CHECK(building("{\"error\":\"unauthorized: authentication required\"}").first ==
          ErrorCode::denied);
    CHECK(building("{\"error\":\"manifest unknown\"}").first == ErrorCode::not_found);
    CHECK(building("").first == ErrorCode::unavailable);
}

TEST_CASE("push gives the digest, out of what either engine says; without one it failed") {
    const std::string digest = "sha256:" + std::string(64, 'a');
    const auto pushing = [&](const std::string& stream, const Secret& credentials = {}) {
        ScriptedTransport script;
        const Engine engine = connected(script);
        script.expect("POST", base + "/v1.41/images/localhost%3A5/team/job/push?tag=v1",
                      {.status = 200, .body = stream});
        std::string pushed;
        std::string result = support::error_of([&] {
            pushed = engine.push("localhost:5/team/job", "v1", {.credentials = credentials}, {});
        });
        CHECK(pushed == (result.empty() ? digest : ""));
        CHECK(script.recorded().back().header("X-Registry-Auth") ==
              (credentials.empty() ? "e30=" : credentials.reveal()));
        return result;
    };
    CHECK(pushing("{\"aux\":{\"Tag\":\"v1\",\"Digest\":\"" + digest + "\"}}\n").empty());
    CHECK(pushing("{\"status\":\"v1: digest: " + digest + " size: 7\"}\n", Secret{"eHk="}).empty());
    CHECK(support::contains(pushing("{\"status\":\"v2: digest: " + digest + " size: 7\"}\n"),
                            "its answer ended before the image was pushed"));
    CHECK(
        support::contains(pushing("{\"aux\":{\"Digest\":\"sha256:short\"}}"), "before the image"));
    CHECK(support::contains(pushing("{\"aux\":{\"Digest\":\"" + digest +
                                    "\"}}\n{\"errorDetail\":{\"message\":\"denied\"}}"),
                            "denied"));
}

TEST_CASE("what a container has written, and whether it runs") {
    ScriptedTransport script;
    const Engine engine = connected(script);
    const std::string v = base + "/v1.41/containers/abc";
    script
        .expect("GET", v + "/logs?stdout=1&stderr=1",
                {.status = 200, .body = std::string{"\x01\0\0\0\0\0\0\x03hi\n", 11}})
        .expect("GET", v + "/json", {.status = 200, .body = R"({"State":{"Running":true}})"})
        .expect("GET", v + "/json", {.status = 200, .body = R"({"State":{"Running":false}})"})
        .expect("GET", v + "/json", {.status = 200, .body = "{}"});
    std::string output;
    engine.read_logs("abc", [&](Stream, std::span<const std::byte> bytes) {
        output.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    });
    CHECK(output == "hi\n");
    CHECK(engine.is_running("abc"));
    CHECK_FALSE(engine.is_running("abc"));
    CHECK_FALSE(engine.is_running("abc"));
}

TEST_CASE("tag, and what an engine knows of an image") {
    ScriptedTransport script;
    const Engine engine = connected(script);
    const std::string v = base + "/v1.41";
    script
        .expect("POST", v + "/images/sha256%3Aabc/tag?repo=localhost%3A5%2Fjob&tag=v1",
                {.status = 201})
        .expect("GET", v + "/images/localhost%3A5/job%3Av1/json",
                {.status = 200, .body = R"({"Id":"sha256:abc"})"})
        .expect("GET", v + "/images/none/json", {.status = 404, .body = R"({"message":"no"})"})
        .expect("GET", v + "/images/none/json", {.status = 500});
    engine.tag("sha256:abc", "localhost:5/job", "v1");
    CHECK(text_or(engine.find_image("localhost:5/job:v1"), "Id") == "sha256:abc");
    CHECK(engine.find_image("none").is_null());
    CHECK_THROWS_AS(static_cast<void>(engine.has_image("none")), Error);
}

TEST_CASE("pull ends with a look for the image") {
    const std::string reference = "localhost:5000/team/job@sha256:abc";
    const std::string v = base + "/v1.41";
    for (const int status : {200, 404}) {
        ScriptedTransport script;
        const Engine engine = connected(script);
        script
            .expect("POST",
                    v + "/images/create?fromImage=localhost%3A5000%2Fteam%2Fjob%40sha256%3Aabc",
                    {.status = 200, .body = "{\"status\":\"Pulling\"}\n"})
            .expect("GET", v + "/images/localhost%3A5000/team/job%40sha256%3Aabc/json",
                    {.status = status, .body = "{}"});
        CHECK(support::error_of([&] { engine.pull(reference); }).empty() == (status == 200));
        CHECK(script.complaint().empty());
    }
}
