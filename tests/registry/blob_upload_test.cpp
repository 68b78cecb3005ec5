#include "fairing/registry/blob_upload.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <string>

#include "../support/scripted_repository.hpp"

using namespace fairing;
using namespace fairing::test::scripted;
using support::contains;
using support::error_of;
using test::Recorded;

TEST_CASE("fault 9, 19: one PUT to the Location, byte for byte; HEAD may be unknown") {
    for (const int head : {404, 405, 400}) {
        Repository fixture;
        fixture.script.expect("HEAD", blob_url, {.status = head})
            .expect("POST", uploads, begun())
            .expect("PUT", put_url,
                    {.status = 201, .headers = {{"Docker-Content-Digest", blob.digest}}});
        fixture.pushes();
        CHECK(fixture.script.recorded()[2].body == content);
        CHECK(fixture.script.recorded()[2].header("Content-Type") == "application/octet-stream");
        CHECK(fixture.progress.back().step == "push");
    }
    const auto put_to = [](const std::string& location) {
        Repository fixture;
        fixture.absent()
            .script.expect("POST", uploads, begun(location))
            .expect("PUT", "", {.status = 201});
        CHECK(fixture.push() == oci::Transfer::uploaded);
        return fixture.script.recorded()[2].url;
    };
    CHECK(put_to("https://cdn.example/u") == "https://cdn.example/u?digest=" + encoded_digest);
    CHECK(put_to("//localhost:5002/u?a=%2b") ==
          "http://localhost:5002/u?a=%2b&digest=" + encoded_digest);
    CHECK(put_to("7?x") == uploads + "7?x&digest=" + encoded_digest);
}

TEST_CASE("fault 9, 10, 11: a Location that is refused") {
    const auto fails = [](const std::string& reference, const net::Response& response) {
        Repository fixture{reference};
        fixture.script.expect("HEAD", "", {.status = 404}).expect("POST", "", response);
        const std::string what = error_of([&] { fixture.push(); });
        CHECK(fixture.script.recorded().size() == 2);
        return what;
    };
    CHECK(contains(fails("localhost:5000/a", {.status = 202}), "without a Location"));
    CHECK(contains(fails("r.example/a", begun("http://r.example/u")), "from https to http"));
    for (const char* host : {"169.254.169.254", "0.0.0.0", "[::]", "[::ffff:169.254.169.254]"}) {
        CHECK(contains(fails("r.example/a", begun(std::string{"https://"} + host + "/u")),
                       "refused address"));
    }
    CHECK(contains(fails("r.example/a", begun("https://u:geheim@r.example/u")),
                   "Location is refused"));
    CHECK(
        contains(fails("r.example/a", begun("https://r.example:999999/u")), "Location is refused"));
}

TEST_CASE("fault 10: no Authorization at another host's Location") {
    Repository fixture{"localhost:5000/team/job", [](const CredentialRequest&) {
                           return Credential{.user = "me", .password = Secret{"geheim"}};
                       }};
    fixture.script
        .expect("HEAD", blob_url,
                {.status = 401, .headers = {{"WWW-Authenticate", "Basic realm=x"}}})
        .expect("HEAD", blob_url, {.status = 404})
        .expect("POST", uploads, begun("http://localhost:5003/u"))
        .expect("PUT", "http://localhost:5003/u?digest=" + encoded_digest, {.status = 201});
    CHECK(fixture.push() == oci::Transfer::uploaded);
    CHECK(fixture.script.recorded()[2].header("Authorization") == "Basic bWU6Z2VoZWlt");
    CHECK(fixture.script.recorded()[3].header("Authorization").empty());
    CHECK_FALSE(contains(fixture.log, "geheim"));
    CHECK_FALSE(contains(fixture.log, "bWU6"));
}

TEST_CASE("fault 1: a broken upload begins again and succeeds") {
    Repository fixture;
    fixture.begins().expect_broken("PUT", put_url).expect("DELETE", begun_url, {.status = 204});
    fixture.takes();
    CHECK(fixture.push() == oci::Transfer::uploaded);
    CHECK(fixture.count("PUT") == 2);
    CHECK(fixture.script.recorded()[6].body == content);
    CHECK(fixture.script.complaint().empty());
}

TEST_CASE("fault 1: a lost reply to the upload is noticed") {
    Repository fixture;
    fixture.begins()
        .expect_broken("PUT", put_url)
        .expect("DELETE", begun_url, {.status = 404})
        .expect("HEAD", blob_url, {.status = 200});
    CHECK(fixture.push() == oci::Transfer::uploaded);
    CHECK(fixture.count("PUT") == 1);
}

TEST_CASE("fault 2, 28: an upload that breaks every time, or is refused every time") {
    Repository broken;
    Repository full;
    for (int attempt = 1; attempt <= 5; ++attempt) {
        broken.begins().expect_broken("PUT", put_url).expect("DELETE", begun_url, {.status = 204});
        full.begins()
            .expect("PUT", put_url, refused(500, "UNKNOWN"))
            .expect("DELETE", begun_url, {.status = 204});
    }
    CHECK(error_of([&] { broken.push(); }) ==
          "cannot upload blob " + blob.digest +
              " to localhost:5000/team/job after 5 attempts: connection reset "
              "(http://localhost:5000)");
    CHECK(broken.count("PUT") == 5);
    CHECK(broken.script.complaint().empty());
    CHECK(error_of([&] { full.push(); }) == "cannot upload blob " + blob.digest +
                                                " to localhost:5000/team/job after 5 attempts: "
                                                "500 Internal Server Error: UNKNOWN: so it is");
    CHECK(full.count("PUT") == 5);
    broken.recovers();
    full.recovers();
}

TEST_CASE("fault 6: what is refused for good is sent once, and the upload is cancelled") {
    for (const int status : {400, 403, 413}) {
        Repository fixture;
        fixture.begins()
            .expect("PUT", put_url, refused(status, "DENIED"))
            .expect("DELETE", begun_url, {.status = 204});
        const std::string what = error_of([&] { fixture.push(); });
        CHECK(contains(what, net::status_text(status) + ": DENIED: so it is"));
        CHECK_FALSE(contains(what, "attempts"));
        CHECK(contains(what, "--upload chunked") == (status == 413));
        fixture.recovers();
    }
}

TEST_CASE("fault 5: 429 for ever is told with the registry's words") {
    Repository fixture;
    for (int attempt = 1; attempt <= 5; ++attempt) {
        fixture.absent().script.expect("POST", uploads, refused(429, "TOOMANYREQUESTS"));
    }
    CHECK(contains(error_of([&] { fixture.push(); }),
                   "after 5 attempts: 429 Too Many Requests: TOOMANYREQUESTS: so it is"));
    fixture.recovers();
}

TEST_CASE("fault 7: an upload that the registry forgot begins again") {
    for (const int status : {404, 416}) {
        Repository fixture;
        fixture.begins().expect("PUT", put_url, refused(status, "BLOB_UPLOAD_UNKNOWN"));
        fixture.takes();
        fixture.pushes();
    }
}

TEST_CASE("fault 14: the token expires in the middle of an upload") {
    const auto until_then = [](Repository& fixture) -> test::ScriptedTransport& {
        fixture.script.expect("HEAD", blob_url, unauthorized)
            .expect("GET", token_url, token_answer("one"));
        return fixture.begins()
            .expect("PUT", put_url, unauthorized)
            .expect("GET", token_url, token_answer("two"));
    };
    Repository fixture;
    until_then(fixture).expect("PUT", put_url, {.status = 201});
    fixture.pushes();
    CHECK(fixture.script.recorded()[4].header("Authorization") == "Bearer one");
    CHECK(fixture.script.recorded()[6].header("Authorization") == "Bearer two");
    CHECK(fixture.script.recorded()[6].body == content);
    CHECK(fixture.client.requests() == 7);

    Repository again;
    until_then(again)
        .expect("PUT", put_url, unauthorized)
        .expect("DELETE", begun_url, {.status = 204});
    const std::string what = error_of([&] { again.push(); });
    CHECK(contains(what, "401 Unauthorized (unauthorized after a token refresh)"));
    CHECK(contains(what, "docker login localhost:5000"));
    CHECK(again.count("PUT") == 2);
    CHECK(again.script.complaint().empty());
}

TEST_CASE("fault 18: mount 201, 202, 404 and 401") {
    Repository mounted;
    mounted.absent().script.expect("POST", mount_url, {.status = 201});
    mounted.pushes("base/python", oci::Transfer::mounted);

    Repository accepted;
    accepted.absent()
        .script.expect("POST", mount_url, begun())
        .expect("PUT", put_url, {.status = 201});
    accepted.pushes("base/python");

    Repository unknown;
    unknown.absent()
        .script.expect("POST", mount_url, {.status = 404})
        .expect("POST", uploads, begun())
        .expect("PUT", put_url, {.status = 201});
    unknown.pushes("base/python");

    Repository denied;
    denied.absent()
        .script
        .expect(
            "POST", mount_url,
            {.status = 401,
             .headers = {{"WWW-Authenticate", R"(Bearer realm="http://localhost:5001/token")"}}})
        .expect("GET",
                "http://localhost:5001/token?scope=repository%3Ateam%2Fjob%3Apull%2Cpush"
                "&scope=repository%3Abase%2Fpython%3Apull",
                {.status = 403})
        .expect("GET", "http://localhost:5001/token?scope=repository%3Ateam%2Fjob%3Apull%2Cpush",
                token_answer("t"))
        .expect("POST", uploads, begun())
        .expect("PUT", put_url, {.status = 201});
    denied.pushes("base/python");
}

TEST_CASE("fault 20: a registry that stored something else is found out") {
    Repository fixture;
    fixture.begins().expect(
        "PUT", put_url,
        {.status = 201, .headers = {{"Docker-Content-Digest", "sha256:" + std::string(64, '0')}}});
    CHECK(contains(error_of([&] { fixture.push(); }), "digest mismatch"));
    CHECK(fixture.script.complaint().empty());
}

TEST_CASE("what the body itself throws comes out unchanged, and the upload is cancelled") {
    Repository fixture;
    fixture.begins().expect("DELETE", begun_url, {.status = 204});
    const net::Body body{.size = content.size(), .write = [](const net::BodySink&) {
                             throw Error{
                                 ErrorCode::unavailable,
                                 {.attempted = "read", .subject = "a.py", .answer = "changed"}};
                         }};
    CHECK(error_of([&] { fixture.client.write_blob(blob, body, {}); }) ==
          "cannot read a.py: changed");
    CHECK(fixture.script.complaint().empty());
}

TEST_CASE("a stop cancels the upload at the registry") {
    Repository fixture;
    fixture.begins()
        .expect(
            "PUT", put_url,
            [&](const Recorded&) -> net::Response {
                fixture.stop.request_stop();
                throw Cancelled{ErrorCode::cancelled, {.attempted = "reach", .answer = "stopped"}};
            })
        .expect("DELETE", begun_url, {.status = 204});
    CHECK_THROWS_AS(fixture.push(), Cancelled);
    CHECK(fixture.script.complaint().empty());
}

TEST_CASE("an empty blob is a blob") {
    Repository fixture;
    const oci::Descriptor empty{.media_type = "a/b", .digest = oci::digest_of(""), .size = 0};
    fixture.script.expect("HEAD", "", {.status = 404})
        .expect("POST", uploads, begun())
        .expect("PUT", "", {.status = 201})
        .expect("GET", "", {.status = 200});
    CHECK(fixture.client.write_blob(empty, net::Body::of(""), {}) == oci::Transfer::uploaded);
    fixture.client.read_blob(empty, [](std::span<const std::byte>) {});
    CHECK(fixture.script.complaint().empty());
}

TEST_CASE("fault 3: Retry-After of a refused upload is waited for") {
    Repository fixture;
    fixture.begins()
        .expect("PUT", put_url, {.status = 503, .headers = {{"Retry-After", "1"}}})
        .expect("DELETE", begun_url, {.status = 204});
    fixture.takes();
    const auto begin = std::chrono::steady_clock::now();
    CHECK(fixture.push() == oci::Transfer::uploaded);
    CHECK(std::chrono::steady_clock::now() - begin >= std::chrono::seconds{1});
    CHECK(fixture.count("PUT") == 2);
    CHECK(fixture.script.complaint().empty());
}
