#include "fairing/registry/uploads_ahead.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <string>
#include <thread>

#include "../support/scripted_repository.hpp"

using namespace fairing;
using namespace fairing::test::scripted;
using test::Recorded;

namespace {

oci::Transfer write_absent(Repository& fixture, const std::string& mount_from = {}) {
    return fixture.client.write_absent_blob(blob, net::Body::of(content), mount_from);
}

}  // namespace

TEST_CASE("an upload that was begun ahead takes the blob, the next begins its own") {
    Repository fixture;
    fixture.script.expect("POST", uploads, begun())
        .expect("PUT", put_url, {.status = 201})
        .expect("POST", uploads, begun())
        .expect("PUT", put_url, {.status = 201});
    fixture.client.expect_blobs(1);
    CHECK(write_absent(fixture) == oci::Transfer::uploaded);
    CHECK(write_absent(fixture) == oci::Transfer::uploaded);
    CHECK(fixture.script.complaint().empty());
    CHECK(fixture.script.recorded()[1].body == content);
}

TEST_CASE("what was begun ahead for nothing is cancelled") {
    test::ScriptedTransport script;
    script.expect("POST", uploads, begun()).expect("DELETE", begun_url, {.status = 404});
    {
        registry::Client client{
            oci::parse_reference("localhost:5000/team/job"),
            {.transport = std::ref(script), .files = std::vector<std::filesystem::path>{}},
            {}};
        client.expect_blobs(1);
    }
    CHECK(script.complaint().empty());
}

TEST_CASE("a registry that refused the upload ahead says why to the one who has the blob") {
    for (const bool breaks : {false, true}) {
        CAPTURE(breaks);
        Repository fixture;
        if (breaks) {
            fixture.script.expect_broken("POST", uploads);
        } else {
            fixture.script.expect("POST", uploads, refused(403, "DENIED"));
        }
        fixture.script.expect("POST", uploads, refused(403, "DENIED"));
        fixture.client.expect_blobs(1);
        CHECK(support::contains(support::error_of([&] { write_absent(fixture); }), "so it is"));
        CHECK(fixture.script.complaint().empty());
    }
}

TEST_CASE("an upload ahead that the registry has forgotten meanwhile begins again") {
    Repository fixture;
    fixture.script.expect("POST", uploads, begun())
        .expect("PUT", put_url, refused(404, "BLOB_UPLOAD_UNKNOWN"))
        .expect("HEAD", blob_url, {.status = 404})
        .expect("POST", uploads, begun())
        .expect("PUT", put_url, {.status = 201});
    fixture.client.expect_blobs(1);
    CHECK(write_absent(fixture) == oci::Transfer::uploaded);
    CHECK(fixture.script.complaint().empty());
}

TEST_CASE("a mount takes no upload that was begun ahead") {
    Repository fixture;
    std::atomic<bool> is_begun = false;
    fixture.script
        .expect("POST", uploads,
                [&](const Recorded& /*request*/) {
                    is_begun = true;
                    return begun();
                })
        .expect("POST", mount_url, {.status = 201})
        .expect("PUT", put_url, {.status = 201});
    fixture.client.expect_blobs(1);
    while (!is_begun) {
        std::this_thread::yield();
    }
    CHECK(write_absent(fixture, "base/python") == oci::Transfer::mounted);
    CHECK(write_absent(fixture) == oci::Transfer::uploaded);
    CHECK(fixture.script.complaint().empty());
}
