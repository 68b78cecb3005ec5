#include "fairing/registry/uploads_ahead.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
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

/// The upload is begun, and `told` says that it is.
test::ScriptedTransport::Reply answer_and_tell(std::atomic<bool>& told) {
    return [&told](const Recorded& /*request*/) {
        told = true;
        return begun();
    };
}

void await(const std::atomic<bool>& told) {
    while (!told) {
        std::this_thread::yield();
    }
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
    std::atomic<bool> is_begun = false;
    script.expect("POST", uploads, answer_and_tell(is_begun))
        .expect("DELETE", begun_url, {.status = 404});
    {
        registry::Client client{
            oci::parse_reference("localhost:5000/team/job"),
            {.transport = std::ref(script), .files = std::vector<std::filesystem::path>{}},
            {}};
        client.expect_blobs(1);
        await(is_begun);
    }
    CHECK(script.complaint().empty());
}

TEST_CASE("several that were begun for nothing are cancelled beside each other") {
    static constexpr int count = 3;
    /// Answers a DELETE when all have come.
    struct Patient {
        std::atomic<int>& posts;
        std::atomic<int>& deletions;
        net::Response send(const net::Request& request, const net::BodySink& /*sink*/,
                           const std::stop_token& /*stop*/) const {
            if (request.method == "POST") {
                return begun("/v2/team/job/blobs/uploads/" + std::to_string(++posts));
            }
            ++deletions;
            const auto end = std::chrono::steady_clock::now() + std::chrono::minutes{1};
            while (deletions < count && std::chrono::steady_clock::now() < end) {
                std::this_thread::yield();
            }
            CHECK(deletions == count);
            return {.status = 204};
        }
    };
    std::atomic<int> posts = 0, deletions = 0;
    {
        registry::Client client{
            oci::parse_reference("localhost:5000/team/job"),
            {.transport = Patient{posts, deletions}, .files = std::vector<std::filesystem::path>{}},
            {}};
        client.expect_blobs(count);
        while (posts < count) {
            std::this_thread::yield();
        }
    }
    CHECK(deletions == count);
}

TEST_CASE("a registry that does not answer holds up nobody who needs no upload any more") {
    struct Silent {
        std::atomic<bool>& is_asked;
        net::Response send(const net::Request& /*request*/, const net::BodySink& /*sink*/,
                           const std::stop_token& stop) const {
            is_asked = true;
            while (!stop.stop_requested()) {
                std::this_thread::yield();
            }
            throw Cancelled{ErrorCode::cancelled, {.attempted = "reach", .answer = "stopped"}};
        }
    };
    std::atomic<bool> is_asked = false;
    registry::Client client{
        oci::parse_reference("localhost:5000/team/job"),
        {.transport = Silent{is_asked}, .files = std::vector<std::filesystem::path>{}},
        {}};
    client.expect_blobs(1);
    await(is_asked);
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
    for (const int status : {400, 403, 404, 416}) {
        Repository fixture;
        fixture.script.expect("POST", uploads, begun())
            .expect("PUT", put_url, refused(status, "BLOB_UPLOAD_UNKNOWN"))
            .expect("POST", uploads, begun())
            .expect("PUT", put_url, {.status = 201});
        fixture.client.expect_blobs(1);
        CHECK(write_absent(fixture) == oci::Transfer::uploaded);
        CHECK(fixture.script.complaint().empty());
    }
}

TEST_CASE("an upload ahead at a registry that has too much to do is tried again after a pause") {
    Repository fixture;
    fixture.script.expect("POST", uploads, begun())
        .expect("PUT", put_url, refused(429, "TOOMANYREQUESTS"))
        .expect("DELETE", begun_url, {.status = 204})
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
    fixture.script.expect("POST", uploads, answer_and_tell(is_begun))
        .expect("POST", mount_url, {.status = 201})
        .expect("PUT", put_url, {.status = 201});
    fixture.client.expect_blobs(1);
    await(is_begun);
    CHECK(write_absent(fixture, "base/python") == oci::Transfer::mounted);
    CHECK(write_absent(fixture) == oci::Transfer::uploaded);
    CHECK(fixture.script.complaint().empty());
}
