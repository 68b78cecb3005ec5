#include "fairing/registry/push.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "../support/scripted_repository.hpp"

using namespace fairing;
using namespace fairing::test::scripted;
using support::contains;
using support::error_of;
using test::Recorded;

TEST_CASE("fault 19: what is there is not sent") {
    Repository fixture;
    fixture.script.expect("HEAD", blob_url, {.status = 200});
    CHECK(fixture.push("base/python") == oci::Transfer::present);
    CHECK(fixture.script.recorded().size() == 1);
    CHECK(fixture.progress.back().done == content.size());
}

TEST_CASE("a new blob is sent while it is made: POST, one PATCH without a range, PUT") {
    Repository fixture;
    const std::string second_url = uploads + "1?_state=second";
    fixture.script.expect("POST", uploads, begun())
        .expect("PATCH", begun_url, begun("/v2/team/job/blobs/uploads/1?_state=second"))
        .expect("PUT", second_url + "&digest=" + encoded_digest, {.status = 201});
    fixture.pushes_new();
    const Recorded& patch = fixture.script.recorded()[1];
    CHECK(patch.body == content);
    CHECK(patch.header("Content-Range").empty());
    CHECK(patch.header("Content-Type") == "application/octet-stream");
    CHECK(fixture.script.recorded()[2].body.empty());
    CHECK(fixture.progress.back().done == content.size());
}

TEST_CASE("a new blob whose upload breaks is made once, and sent like any other") {
    Repository fixture;
    fixture.script.expect("POST", uploads, begun())
        .expect_broken("PATCH", begun_url)
        .expect("DELETE", begun_url, {.status = 204});
    fixture.takes();
    fixture.pushes_new();
    CHECK(fixture.script.recorded()[5].body == content);

    Repository refusing;  // begins with a refusal: made afterwards
    refusing.script.expect("POST", uploads, refused(503, "UNAVAILABLE"))
        .expect("HEAD", blob_url, {.status = 200});
    CHECK(refusing.push_new() == oci::Transfer::present);
    CHECK(refusing.made == 1);
}

TEST_CASE("a new blob when the token expires in its middle: sent again, not made again") {
    Repository fixture;
    fixture.script.expect("POST", uploads, unauthorized)
        .expect("GET", token_url, token_answer("one"))
        .expect("POST", uploads, begun())
        .expect("PATCH", begun_url, unauthorized)
        .expect("GET", token_url, token_answer("two"))
        .expect("PATCH", begun_url, begun())
        .expect("PUT", put_url, {.status = 201});
    fixture.pushes_new();
    CHECK(fixture.script.recorded()[3].body == content);
    CHECK(fixture.script.recorded()[5].body == content);
}

TEST_CASE("what fails while a new blob is made comes out unchanged") {
    Repository fixture;
    fixture.script.expect("POST", uploads, begun())
        .expect("PATCH", "", {.status = 202})
        .expect("DELETE", begun_url, {.status = 204});
    const oci::BlobMaker broken = [](const net::BodySink&) -> oci::Descriptor {
        throw Error{ErrorCode::input, {.attempted = "read", .answer = "it changed"}};
    };
    CHECK(contains(error_of([&] {
                       (void)fixture.client.write_new_blob(
                           broken, [] { return net::Body::of(content); }, 20);
                   }),
                   "it changed"));
}

TEST_CASE("a blob that is most likely absent is not looked for; a mount that fails looks") {
    Repository fixture;
    fixture.script.expect("POST", uploads, begun()).expect("PUT", put_url, {.status = 201});
    CHECK(fixture.client.write_absent_blob(blob, net::Body::of(content), {}) ==
          oci::Transfer::uploaded);
    fixture.script.expect("POST", mount_url, {.status = 201});
    CHECK(fixture.client.write_absent_blob(blob, net::Body::of(content), "base/python") ==
          oci::Transfer::mounted);
    fixture.script.expect("POST", mount_url, begun())
        .expect("DELETE", begun_url, {.status = 204})
        .expect("HEAD", blob_url, {.status = 200});
    CHECK(fixture.client.write_absent_blob(blob, net::Body::of(content), "base/python") ==
          oci::Transfer::present);
    CHECK(fixture.script.complaint().empty());
}

TEST_CASE("a manifest is pushed by tag and by digest") {
    Repository fixture;
    fixture.script.expect("PUT", base + "manifests/v1", {.status = 201})
        .expect("PUT", base + "manifests/" + manifest_digest,
                {.status = 201, .headers = {{"Docker-Content-Digest", manifest_digest}}});
    fixture.client.write_manifest(manifest, "v1");
    fixture.client.write_manifest(manifest, "");
    CHECK(fixture.script.recorded()[0].body == manifest_text);
    CHECK(fixture.script.recorded()[0].header("Content-Type") == manifest.media_type);
    CHECK(fixture.script.complaint().empty());
}

TEST_CASE("fault 20: a registry that stored another manifest") {
    Repository fixture;
    fixture.script.expect(
        "PUT", "",
        {.status = 201, .headers = {{"Docker-Content-Digest", "sha256:" + std::string(64, '0')}}});
    CHECK(contains(error_of([&] { fixture.client.write_manifest(manifest, "v1"); }),
                   "digest mismatch"));
}

TEST_CASE("fault 26: a blob that the registry lost is an error of its own") {
    Repository fixture;
    fixture.script.expect("PUT", "",
                          refused(400, "MANIFEST_BLOB_UNKNOWN", '"' + blob.digest + '"'));
    try {
        fixture.client.write_manifest(manifest, "v1");
        FAIL("accepted");
    } catch (const registry::MissingBlobs& error) {
        CHECK(error.digests() == std::vector<std::string>{blob.digest});
        CHECK(contains(error.what(), "localhost:5000/team/job:v1"));
    }
    CHECK(fixture.script.recorded().size() == 1);
}

TEST_CASE("fault 27: a lost reply to the manifest is found by HEAD") {
    Repository fixture;
    fixture.script.expect_broken("PUT", base + "manifests/v1")
        .expect("HEAD", base + "manifests/v1",
                {.status = 200, .headers = {{"Docker-Content-Digest", manifest_digest}}});
    fixture.client.write_manifest(manifest, "v1");
    CHECK(fixture.script.complaint().empty());

    Repository other;
    other.script.expect_broken("PUT", base + "manifests/v1")
        .expect("HEAD", base + "manifests/v1",
                {.status = 200, .headers = {{"Docker-Content-Digest", blob.digest}}})
        .expect("PUT", base + "manifests/v1", {.status = 201});
    other.client.write_manifest(manifest, "v1");
    CHECK(other.script.complaint().empty());
}

TEST_CASE("descriptor and body must belong together") {
    Repository fixture;
    CHECK_THROWS_AS(fixture.client.write_blob(blob, net::Body::of("short"), {}), Error);
    CHECK(fixture.script.recorded().empty());
}

TEST_CASE("fault 6: a new blob that is refused for good is not sent a second time") {
    for (const int status : {403, 413}) {
        Repository fixture;
        fixture.script.expect("POST", uploads, begun())
            .expect("PATCH", begun_url, refused(status, "DENIED"))
            .expect("DELETE", begun_url, {.status = 204});
        CHECK(contains(error_of([&] { fixture.push_new(); }), net::status_text(status)));
        CHECK(fixture.made == 1);
        fixture.recovers();
    }
}

TEST_CASE("Upload::single sends nothing before it is made") {
    Repository fixture{registry::Upload::single};
    fixture.script.expect("POST", uploads, begun()).expect("PUT", put_url, {.status = 201});
    CHECK(fixture.push_new() == oci::Transfer::uploaded);
    CHECK(fixture.script.complaint().empty());
    CHECK(fixture.script.recorded()[1].body == content);
}
