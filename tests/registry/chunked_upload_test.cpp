#include "fairing/registry/chunked_upload.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "../support/scripted_repository.hpp"

using namespace fairing;
using namespace fairing::test::scripted;
using registry::Upload;
using support::contains;
using support::error_of;
using test::Recorded;

namespace {

/// Where chunk number `i` is sent.
std::string place(int i) { return uploads + "1?_state=" + std::to_string(i); }

/// The registry has `bytes` now, and is at place(i).
net::Response received(int i, std::size_t bytes, int status = 202) {
    return {.status = status,
            .headers = {{"Location", place(i)},
                        {"Range", "0-" + std::to_string(bytes == 0 ? 0 : bytes - 1)}}};
}

/// Chunks of 8 bytes for a blob of 20, in a script.
struct Chunked : Repository {
    Chunked() : Repository(Upload::chunked) {}

    Chunked& begin() {
        script.expect("POST", uploads, begun(place(0)));
        return *this;
    }
    Chunked& chunk(int i, const net::Response& answer) {
        script.expect("PATCH", place(i), answer);
        return *this;
    }
    Chunked& finish(int i) {
        script.expect("PUT", place(i) + "&digest=" + encoded_digest, {.status = 201});
        return *this;
    }
    Chunked& all() {
        begin().chunk(0, received(1, 8)).chunk(1, received(2, 16)).chunk(2, received(3, 20));
        return finish(3);
    }
    [[nodiscard]] std::vector<std::string> ranges() const {
        std::vector<std::string> result;
        for (const Recorded& recorded : script.recorded()) {
            if (recorded.method == "PATCH") {
                result.push_back(recorded.header("Content-Range") + ' ' + recorded.body);
            }
        }
        return result;
    }
};

const std::vector<std::string> three = {"0-7 the byte", "8-15 s of a l", "16-19 ayer"};

}  // namespace

TEST_CASE("what a registry says that it has") {
    CHECK(registry::received_bytes("0-99") == 100);
    CHECK(registry::received_bytes("bytes=0-0") == 1);
    for (const char* text : {"", "0", "0-", "1-5", "0-x", "0-5 ", "0--1", "-5", "bytes 0-5",
                             "0-99999999999999999999"}) {
        CAPTURE(text);
        CHECK_FALSE(registry::received_bytes(text));
    }
}

TEST_CASE("chunks: a blob that is known, one that is being made, and one that fits") {
    Chunked known;
    known.absent();
    known.all();
    known.pushes();
    CHECK(known.ranges() == three);
    CHECK(known.script.recorded().back().body.empty());
    REQUIRE(known.progress.size() == 3);
    CHECK(known.progress[0].done == 8);
    CHECK(known.progress[2].done == 20);

    Chunked fresh;
    fresh.all();
    CHECK(fresh.push_new() == oci::Transfer::uploaded);
    CHECK(fresh.script.complaint().empty());
    CHECK(fresh.ranges() == three);
    CHECK(fresh.made == 1);

    Chunked small;
    small.script.expect("POST", uploads, begun()).expect("PUT", "", {.status = 201});
    const oci::Descriptor two{.media_type = "a/b", .digest = oci::digest_of("{}"), .size = 2};
    CHECK(small.client.write_absent_blob(two, net::Body::of("{}"), {}) == oci::Transfer::uploaded);
    CHECK(small.script.complaint().empty());
}

TEST_CASE("OCI-Chunk-Min-Length is obeyed up to a limit, nonsense is not") {
    const auto sends = [](const std::string& least) {
        Chunked fixture;
        net::Response answer = begun(place(0));
        answer.headers.emplace("OCI-Chunk-Min-Length", least);
        fixture.absent().script.expect("POST", uploads, answer);
        if (least == "15") {
            fixture.chunk(0, received(1, 15)).chunk(1, received(2, 20));
        } else {
            fixture.chunk(0, received(1, 8)).chunk(1, received(2, 16)).chunk(2, received(3, 20));
        }
        fixture.finish(least == "15" ? 2 : 3);
        fixture.pushes();
        return fixture.ranges().front();
    };
    CHECK(sends("15") == "0-14 the bytes of a ");
    CHECK(sends("3") == three[0]);
    CHECK(sends("many") == three[0]);

    Chunked greedy;
    net::Response answer = begun(place(0));
    answer.headers.emplace("OCI-Chunk-Min-Length", "99999999999");
    greedy.absent().script.expect("POST", uploads, answer).expect("DELETE", place(0), {});
    CHECK(contains(error_of([&] { greedy.push(); }),
                   "takes no chunks of less than 99999999999 bytes; use --upload single"));
    CHECK(greedy.script.complaint().empty());
}

TEST_CASE("fault 7: after 416 the registry is asked where it is, and the upload goes on there") {
    for (const bool fresh : {false, true}) {
        Chunked fixture;
        if (!fresh) {
            fixture.absent();
        }
        fixture.begin().chunk(0, received(1, 8)).chunk(1, {.status = 416});
        fixture.script.expect("GET", place(1), received(7, 11, 204));
        fixture.chunk(7, received(8, 16)).chunk(8, received(9, 20)).finish(9);
        CHECK((fresh ? fixture.push_new() : fixture.push()) == oci::Transfer::uploaded);
        CHECK(fixture.script.complaint().empty());
        CHECK(fixture.ranges() ==
              std::vector<std::string>{three[0], three[1], "11-15 f a l", three[2]});
        CHECK(fixture.made == (fresh ? 1 : 0));
    }
}

TEST_CASE("fault 7: a broken chunk goes on; what arrived although its reply was lost is not sent") {
    Chunked fixture;
    fixture.absent();
    fixture.begin()
        .script.expect_broken("PATCH", place(0))
        .expect("GET", place(0), received(0, 0, 204));
    fixture.chunk(0, received(1, 8)).script.expect_broken("PATCH", place(1));
    fixture.script.expect("GET", place(1), received(2, 16, 204));
    fixture.chunk(2, received(3, 20)).finish(3);
    fixture.pushes();
    CHECK(fixture.ranges() == std::vector<std::string>{three[0], three[0], three[1], three[2]});
}

TEST_CASE("fault 7, 8: an upload that is forgotten or at another place begins again from POST") {
    // What the registry says when it is asked where it is.
    for (const net::Response& status :
         {net::Response{.status = 404}, received(1, 20, 204), received(1, 4, 204),
          net::Response{.status = 204}, net::Response{.status = 400}}) {
        Chunked fixture;
        fixture.absent();
        fixture.begin().chunk(0, received(1, 8)).script.expect_broken("PATCH", place(1));
        fixture.script.expect("GET", place(1), status);
        if (status.status != 404) {
            fixture.script.expect("DELETE", place(1), {.status = 204});
        }
        fixture.absent();
        fixture.all();
        fixture.pushes();
        CHECK(fixture.ranges().size() == 5);
    }
    Chunked gone;
    gone.absent();
    gone.begin().chunk(0, {.status = 404}).absent();
    gone.all();
    gone.pushes();
}

TEST_CASE("fault 8: a Range shorter than what was sent begins again, and never goes on") {
    Chunked fixture;
    fixture.absent();
    fixture.begin().chunk(0, received(1, 8)).chunk(1, received(2, 12));
    fixture.script.expect("DELETE", place(1), {.status = 204});
    fixture.absent();
    fixture.all();
    fixture.pushes();

    Chunked always;
    for (int attempt = 1; attempt <= 5; ++attempt) {
        always.absent();
        always.begin().chunk(0, received(1, 3));
        always.script.expect("DELETE", place(0), {.status = 204});
    }
    CHECK(error_of([&] { always.push(); }) ==
          "cannot upload blob " + blob.digest +
              " to localhost:5000/team/job after 5 attempts: the registry says that it has 0-2 of "
              "8 bytes");
    CHECK(always.script.complaint().empty());
}

TEST_CASE("chunks: a refusal is final, what is broken for ever is told once") {
    for (const int status : {400, 403, 413}) {
        Chunked fixture;
        fixture.absent();
        fixture.begin().chunk(0, received(1, 8)).chunk(1, refused(status, "DENIED"));
        fixture.script.expect("DELETE", place(1), {.status = 204});
        CHECK(contains(error_of([&] { fixture.push(); }),
                       net::status_text(status) + ": DENIED: so it is"));
        CHECK(fixture.script.complaint().empty());
    }
    Chunked broken;
    broken.absent();
    broken.begin().script.expect_broken("PATCH", place(0));
    for (int attempt = 2; attempt <= 5; ++attempt) {
        broken.script.expect_broken("GET", place(0));
    }
    broken.script.expect("DELETE", place(0), {.status = 204});
    CHECK(contains(error_of([&] { broken.push(); }), "after 5 attempts: connection reset"));
    CHECK(broken.script.complaint().empty());
    broken.absent();
    broken.all();
    CHECK(broken.push() == oci::Transfer::uploaded);
}

TEST_CASE("chunks: what the body throws comes out unchanged, a stop cancels the upload") {
    Chunked fixture;
    fixture.absent();
    fixture.begin().chunk(0, received(1, 8));
    fixture.script.expect("DELETE", place(1), {.status = 204});
    const net::Body body{
        .size = content.size(), .write = [](const net::BodySink& sink) {
            sink(std::as_bytes(std::span{content}).first(10));
            throw Error{ErrorCode::unavailable, {.attempted = "read", .answer = "changed"}};
        }};
    CHECK(error_of([&] { fixture.client.write_blob(blob, body, {}); }) == "cannot read: changed");
    CHECK(fixture.script.complaint().empty());

    Chunked stopped;
    stopped.absent();
    stopped.begin().chunk(0, received(1, 8));
    stopped.script
        .expect("PATCH", place(1),
                [&](const Recorded&) {
                    stopped.stop.request_stop();
                    return received(2, 16);
                })
        .expect("DELETE", place(2), {.status = 204});
    CHECK_THROWS_AS(stopped.push(), Cancelled);
    CHECK(stopped.script.complaint().empty());
}

TEST_CASE("fault 14: the token expires between two chunks") {
    Chunked fixture;
    fixture.absent();
    fixture.begin().chunk(0, received(1, 8)).chunk(1, unauthorized);
    fixture.script.expect("GET", "", token_answer("t"));
    fixture.chunk(1, received(2, 16)).chunk(2, received(3, 20)).finish(3);
    fixture.pushes();
    CHECK(fixture.ranges() == std::vector<std::string>{three[0], three[1], three[1], three[2]});
}
