#include "fairing/registry/client.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <stop_token>

#include "../support/scripted_transport.hpp"
#include "../support/workspace.hpp"
#include "fairing/oci/reference.hpp"

using namespace fairing;
using namespace std::chrono_literals;
using support::error_of;
using test::Recorded;
using test::ScriptedTransport;

namespace {

const std::string content = "the bytes of a layer";
const oci::Descriptor blob{.media_type = "application/octet-stream",
                           .digest = oci::digest_of(content),
                           .size = content.size()};
const std::string encoded_digest = "sha256%3A" + oci::digest_hex(blob.digest);
const std::string base = "http://localhost:5000/v2/team/job/";
const std::string blob_url = base + "blobs/" + blob.digest;
const std::string uploads = base + "blobs/uploads/";
const std::string mount_url = uploads + "?mount=" + encoded_digest + "&from=base%2Fpython";
const std::string manifest_text =
    R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","layers":[]})";
const std::string manifest_digest = oci::digest_of(manifest_text);
const oci::RawManifest manifest{.media_type = std::string{oci::media_type::manifest},
                                .body = manifest_text};

net::Response begun(
    const std::string& location = "/v2/team/job/blobs/uploads/1?_state=a%2B%2F%3D") {
    return {.status = 202, .headers = {{"Location", location}}};
}
const std::string begun_url = uploads + "1?_state=a%2B%2F%3D";
const std::string put_url = begun_url + "&digest=" + encoded_digest;

net::Response refused(int status, const std::string& code, const std::string& detail = "null") {
    return {.status = status,
            .body = R"({"errors":[{"code":")" + code + R"(","message":"so it is","detail":)" +
                    detail + "}]}"};
}
net::Response served(const std::string& text, const std::string& type) {
    return {.status = 200, .headers = {{"Content-Type", type}}, .body = text};
}

struct Fixture {
    ScriptedTransport script = {};
    std::stop_source stop = {};
    std::string log = {};
    std::vector<Progress> progress = {};
    int made = 0;
    registry::Client client;

    explicit Fixture(const std::string& reference = "localhost:5000/team/job",
                     CredentialsProvider credentials = {},
                     registry::PlainHttp plain = registry::PlainHttp::loopback)
        : client(oci::parse_reference(reference),
                 {.transport = std::ref(script),
                  .credentials = std::move(credentials),
                  .plain_http = plain,
                  .retry = {.first_delay = 1ms},
                  .files = std::vector<std::filesystem::path>{}},
                 {.stop = stop.get_token(),
                  .log = [this](LogRecord record) { log += record.text + '\n'; },
                  .progress = [this](const Progress& value) { progress.push_back(value); }}) {}

    oci::Transfer push(const std::string& mount_from = {}) {
        return client.write_blob(blob, net::Body::of(content), mount_from);
    }
    /// The content as a blob that is made while it is sent.
    oci::Transfer push_new() {
        return client.write_new_blob(
            [this](const net::BodySink& sink) {
                ++made;
                if (sink) {
                    sink(std::as_bytes(std::span{content}).first(4));
                    sink(std::as_bytes(std::span{content}).subspan(4));
                }
                return blob;
            },
            [] { return net::Body::of(content); }, content.size());
    }
    Fixture& absent() {
        script.expect("HEAD", blob_url, {.status = 404});
        return *this;
    }
    [[nodiscard]] int count(const std::string& method) const {
        int number = 0;
        for (const Recorded& recorded : script.recorded()) {
            number += recorded.method == method;
        }
        return number;
    }
};

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("which scheme a registry is spoken to with") {
    const auto first_url = [](const std::string& reference, registry::PlainHttp plain) {
        Fixture fixture{reference, {}, plain};
        fixture.script.expect("GET", "", {.status = 404});
        CHECK_FALSE(fixture.client.find_manifest("latest"));
        return fixture.script.recorded()[0].url;
    };
    using registry::PlainHttp;
    CHECK(first_url("localhost:5000/a", PlainHttp::loopback) ==
          "http://localhost:5000/v2/a/manifests/latest");
    CHECK(first_url("127.0.0.1:5000/a", PlainHttp::loopback) ==
          "http://127.0.0.1:5000/v2/a/manifests/latest");
    CHECK(first_url("localhost:5000/a", PlainHttp::never) ==
          "https://localhost:5000/v2/a/manifests/latest");
    CHECK(first_url("r.example:5000/a", PlainHttp::loopback) ==
          "https://r.example:5000/v2/a/manifests/latest");
    CHECK(first_url("r.example:5000/a", PlainHttp::insecure) ==
          "http://r.example:5000/v2/a/manifests/latest");
    CHECK(first_url("python", PlainHttp::insecure) ==
          "https://registry-1.docker.io/v2/library/python/manifests/latest");
}

TEST_CASE("a manifest is read, and verified when asked for by digest") {
    Fixture fixture;
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
        Fixture fixture;
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
    Fixture odd;
    CHECK(
        contains(error_of([&] { (void)odd.client.find_manifest("a/../b"); }), "neither a tag nor"));
}

TEST_CASE("a blob is verified while it is read") {
    Fixture fixture;
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
        Fixture other;
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
    Fixture fixture{"localhost:5000/team/job", [](const CredentialRequest&) {
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
    Fixture fixture{"localhost:5000/team/job", [](const CredentialRequest&) {
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

TEST_CASE("fault 19: what is there is not sent") {
    Fixture fixture;
    fixture.script.expect("HEAD", blob_url, {.status = 200});
    CHECK(fixture.push("base/python") == oci::Transfer::present);
    CHECK(fixture.script.recorded().size() == 1);
    CHECK(fixture.progress.back().done == content.size());
}

TEST_CASE("fault 9, 19: one PUT to the Location, byte for byte; HEAD may be unknown") {
    for (const int head : {404, 405, 400}) {
        Fixture fixture;
        fixture.script.expect("HEAD", blob_url, {.status = head})
            .expect("POST", uploads, begun())
            .expect("PUT", put_url,
                    {.status = 201, .headers = {{"Docker-Content-Digest", blob.digest}}});
        CHECK(fixture.push() == oci::Transfer::uploaded);
        CHECK(fixture.script.complaint().empty());
        CHECK(fixture.script.recorded()[2].body == content);
        CHECK(fixture.script.recorded()[2].header("Content-Type") == "application/octet-stream");
        CHECK(fixture.progress.back().step == "push");
    }
    const auto put_to = [](const std::string& location) {
        Fixture fixture;
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
        Fixture fixture{reference};
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
    Fixture fixture{"localhost:5000/team/job", [](const CredentialRequest&) {
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

TEST_CASE("a new blob is sent while it is made: POST, one PATCH without a range, PUT") {
    Fixture fixture;
    const std::string second_url = uploads + "1?_state=second";
    fixture.script.expect("POST", uploads, begun())
        .expect("PATCH", begun_url, begun("/v2/team/job/blobs/uploads/1?_state=second"))
        .expect("PUT", second_url + "&digest=" + encoded_digest, {.status = 201});
    CHECK(fixture.push_new() == oci::Transfer::uploaded);
    CHECK(fixture.script.complaint().empty());
    CHECK(fixture.made == 1);
    const Recorded& patch = fixture.script.recorded()[1];
    CHECK(patch.body == content);
    CHECK(patch.header("Content-Range").empty());
    CHECK(patch.header("Content-Type") == "application/octet-stream");
    CHECK(fixture.script.recorded()[2].body.empty());
    CHECK(fixture.progress.back().done == content.size());
}

TEST_CASE("a new blob whose upload breaks is made once, and sent like any other") {
    Fixture fixture;
    fixture.script.expect("POST", uploads, begun())
        .expect_broken("PATCH", begun_url)
        .expect("DELETE", begun_url, {.status = 204})
        .expect("HEAD", blob_url, {.status = 404})
        .expect("POST", uploads, begun())
        .expect("PUT", put_url, {.status = 201});
    CHECK(fixture.push_new() == oci::Transfer::uploaded);
    CHECK(fixture.script.complaint().empty());
    CHECK(fixture.made == 1);
    CHECK(fixture.script.recorded()[5].body == content);

    Fixture refusing;  // begins with a refusal: made afterwards
    refusing.script.expect("POST", uploads, refused(503, "UNAVAILABLE"))
        .expect("HEAD", blob_url, {.status = 200});
    CHECK(refusing.push_new() == oci::Transfer::present);
    CHECK(refusing.made == 1);
}

TEST_CASE("a new blob when the token expires in its middle: sent again, not made again") {
    const char* const challenge = R"(Bearer realm="http://localhost:5001/token",service=r)";
    const net::Response unauthorized{.status = 401, .headers = {{"WWW-Authenticate", challenge}}};
    const std::string token_url =
        "http://localhost:5001/token?service=r&scope=repository%3Ateam%2Fjob%3Apull%2Cpush";
    Fixture fixture;
    fixture.script.expect("POST", uploads, unauthorized)
        .expect("GET", token_url, {.status = 200, .body = R"({"token":"one"})"})
        .expect("POST", uploads, begun())
        .expect("PATCH", begun_url, unauthorized)
        .expect("GET", token_url, {.status = 200, .body = R"({"token":"two"})"})
        .expect("PATCH", begun_url, begun())
        .expect("PUT", put_url, {.status = 201});
    CHECK(fixture.push_new() == oci::Transfer::uploaded);
    CHECK(fixture.script.complaint().empty());
    CHECK(fixture.made == 1);
    CHECK(fixture.script.recorded()[3].body == content);
    CHECK(fixture.script.recorded()[5].body == content);
}

TEST_CASE("what fails while a new blob is made comes out unchanged") {
    Fixture fixture;
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
    Fixture fixture;
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

TEST_CASE("a tag's digest, and whether a repository is new") {
    Fixture fixture;
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

TEST_CASE("fault 1: a broken upload begins again and succeeds") {
    Fixture fixture;
    fixture.absent()
        .script.expect("POST", uploads, begun())
        .expect_broken("PUT", put_url)
        .expect("DELETE", begun_url, {.status = 204})
        .expect("HEAD", blob_url, {.status = 404})
        .expect("POST", uploads, begun())
        .expect("PUT", put_url, {.status = 201});
    CHECK(fixture.push() == oci::Transfer::uploaded);
    CHECK(fixture.count("PUT") == 2);
    CHECK(fixture.script.recorded()[6].body == content);
    CHECK(fixture.script.complaint().empty());
}

TEST_CASE("a lost reply to the upload is noticed") {
    Fixture fixture;
    fixture.absent()
        .script.expect("POST", uploads, begun())
        .expect_broken("PUT", put_url)
        .expect("DELETE", begun_url, {.status = 404})
        .expect("HEAD", blob_url, {.status = 200});
    CHECK(fixture.push() == oci::Transfer::uploaded);
    CHECK(fixture.count("PUT") == 1);
}

TEST_CASE("fault 2, 28: an upload that breaks every time, or is refused every time") {
    Fixture broken;
    broken.absent();
    Fixture full;
    full.absent();
    for (int attempt = 1; attempt <= 5; ++attempt) {
        for (Fixture* fixture : {&broken, &full}) {
            if (attempt > 1) {
                fixture->absent();
            }
            fixture->script.expect("POST", uploads, begun());
        }
        broken.script.expect_broken("PUT", put_url).expect("DELETE", begun_url, {.status = 204});
        full.script.expect("PUT", put_url, refused(500, "UNKNOWN"))
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
    CHECK(full.script.complaint().empty());
}

TEST_CASE("fault 6: what is refused for good is sent once, and the upload is cancelled") {
    for (const int status : {400, 403, 413}) {
        Fixture fixture;
        fixture.absent()
            .script.expect("POST", uploads, begun())
            .expect("PUT", put_url, refused(status, "DENIED"))
            .expect("DELETE", begun_url, {.status = 204});
        const std::string what = error_of([&] { fixture.push(); });
        CHECK(contains(what, net::status_text(status) + ": DENIED: so it is"));
        CHECK_FALSE(contains(what, "attempts"));
        CHECK(fixture.script.complaint().empty());
    }
}

TEST_CASE("fault 5: 429 for ever is told with the registry's words") {
    Fixture fixture;
    fixture.absent();
    for (int attempt = 1; attempt <= 5; ++attempt) {
        if (attempt > 1) {
            fixture.absent();
        }
        fixture.script.expect("POST", uploads, refused(429, "TOOMANYREQUESTS"));
    }
    CHECK(contains(error_of([&] { fixture.push(); }),
                   "after 5 attempts: 429 Too Many Requests: TOOMANYREQUESTS: so it is"));
    CHECK(fixture.script.complaint().empty());
}

TEST_CASE("fault 7: an upload that the registry forgot begins again") {
    for (const int status : {404, 416}) {
        Fixture fixture;
        fixture.absent()
            .script.expect("POST", uploads, begun())
            .expect("PUT", put_url, refused(status, "BLOB_UPLOAD_UNKNOWN"))
            .expect("HEAD", blob_url, {.status = 404})
            .expect("POST", uploads, begun())
            .expect("PUT", put_url, {.status = 201});
        CHECK(fixture.push() == oci::Transfer::uploaded);
        CHECK(fixture.script.complaint().empty());
    }
}

TEST_CASE("fault 14: the token expires in the middle of an upload") {
    const char* const challenge = R"(Bearer realm="http://localhost:5001/token",service=r)";
    const net::Response unauthorized{.status = 401, .headers = {{"WWW-Authenticate", challenge}}};
    const std::string token_url =
        "http://localhost:5001/token?service=r&scope=repository%3Ateam%2Fjob%3Apull%2Cpush";
    Fixture fixture;
    fixture.script.expect("HEAD", blob_url, unauthorized)
        .expect("GET", token_url, {.status = 200, .body = R"({"token":"one"})"})
        .expect("HEAD", blob_url, {.status = 404})
        .expect("POST", uploads, begun())
        .expect("PUT", put_url, unauthorized)
        .expect("GET", token_url, {.status = 200, .body = R"({"token":"two"})"})
        .expect("PUT", put_url, {.status = 201});
    CHECK(fixture.push() == oci::Transfer::uploaded);
    CHECK(fixture.script.complaint().empty());
    CHECK(fixture.script.recorded()[4].header("Authorization") == "Bearer one");
    CHECK(fixture.script.recorded()[6].header("Authorization") == "Bearer two");
    CHECK(fixture.script.recorded()[6].body == content);
    CHECK(fixture.client.requests() == 7);

    Fixture again;
    again.script.expect("HEAD", blob_url, unauthorized)
        .expect("GET", token_url, {.status = 200, .body = R"({"token":"one"})"})
        .expect("HEAD", blob_url, {.status = 404})
        .expect("POST", uploads, begun())
        .expect("PUT", put_url, unauthorized)
        .expect("GET", token_url, {.status = 200, .body = R"({"token":"two"})"})
        .expect("PUT", put_url, unauthorized)
        .expect("DELETE", begun_url, {.status = 204});
    const std::string what = error_of([&] { again.push(); });
    CHECK(contains(what, "401 Unauthorized (unauthorized after a token refresh)"));
    CHECK(contains(what, "docker login localhost:5000"));
    CHECK(again.count("PUT") == 2);
    CHECK(again.script.complaint().empty());
}

TEST_CASE("fault 18: mount 201, 202, 404 and 401") {
    Fixture mounted;
    mounted.absent().script.expect("POST", mount_url, {.status = 201});
    CHECK(mounted.push("base/python") == oci::Transfer::mounted);
    CHECK(mounted.script.complaint().empty());

    Fixture accepted;
    accepted.absent()
        .script.expect("POST", mount_url, begun())
        .expect("PUT", put_url, {.status = 201});
    CHECK(accepted.push("base/python") == oci::Transfer::uploaded);
    CHECK(accepted.script.complaint().empty());

    Fixture unknown;
    unknown.absent()
        .script.expect("POST", mount_url, {.status = 404})
        .expect("POST", uploads, begun())
        .expect("PUT", put_url, {.status = 201});
    CHECK(unknown.push("base/python") == oci::Transfer::uploaded);
    CHECK(unknown.script.complaint().empty());

    Fixture denied;
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
                {.status = 200, .body = R"({"token":"t"})"})
        .expect("POST", uploads, begun())
        .expect("PUT", put_url, {.status = 201});
    CHECK(denied.push("base/python") == oci::Transfer::uploaded);
    CHECK(denied.script.complaint().empty());
}

TEST_CASE("a registry that stored something else is found out") {
    Fixture fixture;
    fixture.absent()
        .script.expect("POST", uploads, begun())
        .expect("PUT", put_url,
                {.status = 201,
                 .headers = {{"Docker-Content-Digest", "sha256:" + std::string(64, '0')}}});
    CHECK(contains(error_of([&] { fixture.push(); }), "digest mismatch"));
    CHECK(fixture.script.complaint().empty());
}

TEST_CASE("what the body itself throws comes out unchanged, and the upload is cancelled") {
    Fixture fixture;
    fixture.absent()
        .script.expect("POST", uploads, begun())
        .expect("DELETE", begun_url, {.status = 204});
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
    Fixture fixture;
    fixture.absent()
        .script.expect("POST", uploads, begun())
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

TEST_CASE("a manifest is pushed by tag and by digest") {
    Fixture fixture;
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
    Fixture fixture;
    fixture.script.expect(
        "PUT", "",
        {.status = 201, .headers = {{"Docker-Content-Digest", "sha256:" + std::string(64, '0')}}});
    CHECK(contains(error_of([&] { fixture.client.write_manifest(manifest, "v1"); }),
                   "digest mismatch"));
}

TEST_CASE("fault 26: a blob that the registry lost is an error of its own") {
    Fixture fixture;
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
    Fixture fixture;
    fixture.script.expect_broken("PUT", base + "manifests/v1")
        .expect("HEAD", base + "manifests/v1",
                {.status = 200, .headers = {{"Docker-Content-Digest", manifest_digest}}});
    fixture.client.write_manifest(manifest, "v1");
    CHECK(fixture.script.complaint().empty());

    Fixture other;
    other.script.expect_broken("PUT", base + "manifests/v1")
        .expect("HEAD", base + "manifests/v1",
                {.status = 200, .headers = {{"Docker-Content-Digest", blob.digest}}})
        .expect("PUT", base + "manifests/v1", {.status = 201});
    other.client.write_manifest(manifest, "v1");
    CHECK(other.script.complaint().empty());
}

TEST_CASE("descriptor and body must belong together") {
    Fixture fixture;
    CHECK_THROWS_AS(fixture.client.write_blob(blob, net::Body::of("short"), {}), Error);
    CHECK(fixture.script.recorded().empty());
}

TEST_CASE("an empty blob is a blob") {
    Fixture fixture;
    const oci::Descriptor empty{.media_type = "a/b", .digest = oci::digest_of(""), .size = 0};
    fixture.script.expect("HEAD", "", {.status = 404})
        .expect("POST", uploads, begun())
        .expect("PUT", "", {.status = 201})
        .expect("GET", "", {.status = 200});
    CHECK(fixture.client.write_blob(empty, net::Body::of(""), {}) == oci::Transfer::uploaded);
    fixture.client.read_blob(empty, [](std::span<const std::byte>) {});
    CHECK(fixture.script.complaint().empty());
}
