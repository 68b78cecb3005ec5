#include "fairing/registry/pull.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "../support/scripted_repository.hpp"

using namespace fairing;
using namespace fairing::test::scripted;
using support::contains;
using support::error_of;

TEST_CASE("a manifest is read, and verified when asked for by digest") {
    Repository fixture;
    fixture.script
        .expect("GET", base + "manifests/v1",
                {.status = 200,
                 .headers = {{"Content-Type", manifest.media_type + "; charset=utf-8"},
                             {"Docker-Content-Digest", manifest_digest}},
                 .body = manifest_text})
        .expect("GET", base + "manifests/" + manifest_digest,
                served(manifest_text, manifest.media_type))
        .expect("GET", base + "manifests/none", {.status = 404});
    const auto by_tag = fixture.client.find_manifest("v1");
    REQUIRE(by_tag);
    CHECK(by_tag->body == manifest_text);
    CHECK(by_tag->media_type == manifest.media_type);
    CHECK(fixture.client.find_manifest(manifest_digest));
    CHECK_FALSE(fixture.client.find_manifest("none"));
    CHECK(fixture.script.recorded()[0].header("Accept") == oci::media_type::accept);
    CHECK(fixture.client.requests() == 3);
}

TEST_CASE("fault 20, 22: manifests that are refused, without a second attempt") {
    const std::string other = "sha256:" + std::string(64, '0');
    const auto refusal = [](const net::Response& response, const std::string& wanted = "v1") {
        Repository fixture;
        fixture.script.expect("GET", "", response);
        const std::string what = error_of([&] { (void)fixture.client.find_manifest(wanted); });
        CHECK(contains(what, "localhost:5000/team/job"));
        CHECK(fixture.script.recorded().size() == 1);
        return what;
    };
    CHECK(contains(refusal(served(manifest_text, manifest.media_type), other),
                   "digest mismatch: expected " + other + ", got " + manifest_digest));
    net::Response lying = served(manifest_text, manifest.media_type);
    lying.headers.emplace("Docker-Content-Digest", other);
    CHECK(contains(refusal(lying), "digest mismatch: expected " + other));
    CHECK(contains(refusal(served(manifest_text, std::string{oci::media_type::docker_manifest})),
                   "served as application/vnd.docker.distribution.manifest.v2+json"));
    CHECK(contains(
        refusal(served(R"({"schemaVersion":2,"manifests":[],"layers":[]})", manifest.media_type)),
        "ambiguous"));
    CHECK(contains(refusal(served(R"({"schemaVersion":1})",
                                  "application/vnd.docker.distribution.manifest.v1+prettyjws")),
                   "schema 1"));
    CHECK(contains(refusal(served("geheim", manifest.media_type)), "not valid JSON"));
    CHECK(contains(refusal(refused(403, "DENIED")), "403 Forbidden: DENIED: so it is"));
    Repository odd;
    CHECK(
        contains(error_of([&] { (void)odd.client.find_manifest("a/../b"); }), "neither a tag nor"));
}

TEST_CASE("a blob is verified while it is read") {
    Repository fixture;
    fixture.script.expect("GET", blob_url, {.status = 200, .body = content});
    std::string got;
    const net::BodySink sink = [&](std::span<const std::byte> bytes) {
        got.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    };
    fixture.client.read_blob(blob, sink);
    CHECK(got == content);
    REQUIRE(!fixture.progress.empty());
    CHECK(fixture.progress.back().step == "pull");
    CHECK(fixture.progress.back().item == blob.digest);
    CHECK(fixture.progress.back().done == content.size());

    const auto fails = [&](const net::Response& response) {
        Repository other;
        other.script.expect("GET", blob_url, response);
        const std::string what = error_of([&] { other.client.read_blob(blob, sink); });
        CHECK(other.script.recorded().size() == 1);
        return what;
    };
    CHECK(contains(fails({.status = 200, .body = "THE BYTES OF A LAYER"}),
                   "digest mismatch: expected"));
    CHECK(contains(fails({.status = 200, .body = "the bytes"}),
                   "9 bytes where its descriptor says 20"));
    CHECK(contains(fails({.status = 200, .body = content + "!"}), "longer than"));
    CHECK(contains(fails(refused(404, "BLOB_UNKNOWN")), "404 Not Found: BLOB_UNKNOWN: so it is"));
}

TEST_CASE("fault 13: a blob on another host is read without credentials") {
    Repository fixture{"localhost:5000/team/job", [](const CredentialRequest&) {
                           return Credential{.user = "me", .password = Secret{"geheim"}};
                       }};
    fixture.script
        .expect("GET", blob_url,
                {.status = 401, .headers = {{"WWW-Authenticate", "Basic realm=x"}}})
        .expect("GET", blob_url,
                {.status = 307, .headers = {{"Location", "http://localhost:5001/b?sig=x"}}})
        .expect("GET", "http://localhost:5001/b?sig=x", {.status = 200, .body = content});
    fixture.client.read_blob(blob, [](std::span<const std::byte>) {});
    CHECK(fixture.script.recorded()[1].header("Authorization") == "Basic bWU6Z2VoZWlt");
    CHECK(fixture.script.recorded()[2].header("Authorization").empty());
    CHECK(fixture.script.complaint().empty());
}

TEST_CASE("fault 13: a 401 of another host is not answered with credentials") {
    Repository fixture{"localhost:5000/team/job", [](const CredentialRequest&) {
                           return Credential{.user = "me", .password = Secret{"geheim"}};
                       }};
    fixture.script
        .expect("GET", blob_url,
                {.status = 307, .headers = {{"Location", "http://localhost:5001/b"}}})
        .expect("GET", "http://localhost:5001/b",
                {.status = 401, .headers = {{"WWW-Authenticate", "Basic realm=x"}}});
    CHECK(contains(
        error_of([&] { fixture.client.read_blob(blob, [](std::span<const std::byte>) {}); }),
        "401 Unauthorized"));
    CHECK(fixture.script.recorded().size() == 2);
}

TEST_CASE("a tag's digest, and whether a repository is new") {
    Repository fixture;
    fixture.script
        .expect("HEAD", base + "manifests/v1",
                {.status = 200, .headers = {{"Docker-Content-Digest", manifest_digest}}})
        .expect("HEAD", base + "manifests/v2", {.status = 404})
        .expect("HEAD", base + "manifests/v3", {.status = 200})
        .expect("GET", base + "tags/list?n=1", {.status = 404})
        .expect("GET", base + "tags/list?n=1", {.status = 200});
    CHECK(fixture.client.find_digest("v1") == manifest_digest);
    CHECK(fixture.client.find_digest("v2").empty());
    CHECK(fixture.client.find_digest("v3").empty());
    CHECK(fixture.client.is_new());
    CHECK_FALSE(fixture.client.is_new());
    fixture.script.expect("HEAD", base + "manifests/v4", refused(403, "DENIED"))
        .expect_broken("GET", base + "tags/list?n=1");
    CHECK(fixture.client.find_digest("v4").empty());
    CHECK_FALSE(fixture.client.is_new());
}

TEST_CASE("a download that breaks goes on where it broke") {
    // What is sent, and after how many bytes it breaks.
    struct Step {
        net::Response response = {};
        std::size_t breaks_after = 1000;
    };
    struct Breaking {
        std::vector<Step> steps = {};
        std::vector<std::string> ranges = {};

        net::Response send(const net::Request& request, const net::BodySink& sink,
                           std::stop_token) {
            ranges.push_back(net::header(request.headers, "Range"));
            Step step = steps.front();
            steps.erase(steps.begin());
            const net::Response head{.status = step.response.status,
                                     .headers = step.response.headers};
            request.on_head(head);
            if (head.status < 300) {
                const auto bytes = std::as_bytes(std::span{step.response.body});
                sink(bytes.first(std::min(step.breaks_after, bytes.size())));
            }
            if (step.breaks_after < step.response.body.size()) {
                throw Error{ErrorCode::unavailable, {.attempted = "reach", .answer = "reset"}};
            }
            return head;
        }
    };
    const auto part = [](std::size_t begin) {
        return net::Response{
            .status = 206,
            .headers = {{"Content-Range", "bytes " + std::to_string(begin) + "-19/20"}},
            .body = content.substr(begin)};
    };
    const net::Response all{.status = 200, .body = content};
    const auto read = [](std::vector<Step> steps, std::vector<std::string> ranges) {
        Breaking transport{.steps = std::move(steps)};
        registry::Client client{oci::parse_reference("localhost:5000/team/job"),
                                {.transport = std::ref(transport),
                                 .retry = {.first_delay = std::chrono::milliseconds{1}},
                                 .files = std::vector<std::filesystem::path>{}},
                                {}};
        std::string got;
        client.read_blob(blob, [&](std::span<const std::byte> bytes) {
            got.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        });
        CHECK(got == content);
        CHECK(transport.ranges == ranges);
    };
    read({{all, 5}, {part(5), 6}, {part(11)}}, {"", "bytes=5-", "bytes=11-"});
    read({{all, 5}, {all, 9}, {all}}, {"", "bytes=5-", "bytes=9-"});  // it knows no ranges
    read({{all, 5}, {{.status = 416}}, {all}}, {"", "bytes=5-", ""});
    read({{all, 5}, {part(3)}}, {"", "bytes=5-"});
    read({{all, 5}, {part(7)}, {all}}, {"", "bytes=5-", ""});  // a gap is not believed
    read({{all, 5}, {{.status = 206, .body = content}}, {all}}, {"", "bytes=5-", ""});
    read({{all, 5}, {{.status = 503}}, {part(5)}}, {"", "bytes=5-", "bytes=5-"});
}
