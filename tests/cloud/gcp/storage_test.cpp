#include "fairing/cloud/gcp/storage.hpp"

#include <doctest/doctest.h>

#include "../../support/cloud_site.hpp"

using namespace fairing;
using namespace fairing::cloud;
using support::answer;
using support::contains;
using support::error_of;

namespace {

constexpr std::uint64_t chunk = 256 << 10;
const std::string session = "https://storage.googleapis.com/session?upload_id=geheim";

struct StorageSite : support::CloudSite {
    [[nodiscard]] gcp::Bucket bucket() {
        return {connection(),
                {[] { return AccessToken{.value = Secret{"tok"}}; }, {}},
                "b",
                {.chunk_size = chunk}};
    }
    void begins() {
        script.expect("POST",
                      "https://storage.googleapis.com/upload/storage/v1/b/b/o?uploadType=resumable&"
                      "name=builds%2Fx",
                      answer(200, "", {{"Location", session}}));
    }
    void chunk_answered(int status, const std::string& range = {}) {
        script.expect(
            "PUT", session,
            answer(status, "", range.empty() ? net::Headers{} : net::Headers{{"Range", range}}));
    }
    [[nodiscard]] std::vector<std::string> ranges() const {
        std::vector<std::string> found;
        for (const test::Recorded& each : script.recorded()) {
            if (each.method == "PUT") {
                found.push_back(each.header("Content-Range"));
            }
        }
        return found;
    }
};

const Content content = Content::of(std::string(chunk + 10, 'x'));

}  // namespace

TEST_CASE("an object goes in chunks") {
    StorageSite site;
    site.begins();
    site.chunk_answered(308, "bytes=0-262143");
    site.chunk_answered(200);
    site.bucket().put("builds/x", content);
    CHECK(site.ranges() ==
          std::vector<std::string>{"bytes 0-262143/262154", "bytes 262144-262153/262154"});
    CHECK(site.script.recorded().at(1).header("Authorization") == "Bearer tok");
    CHECK(site.script.recorded().at(2).body == std::string(10, 'x'));
    site.begins();
    site.chunk_answered(200);
    site.bucket().put("builds/x", Content::of(""));
    CHECK(site.ranges().back() == "bytes */0");
}

TEST_CASE("a broken upload goes on where the service is") {
    StorageSite site;
    site.begins();
    site.script.expect_broken("PUT", session);
    site.chunk_answered(308, "bytes=0-99");
    SUBCASE("with the rest") {
        site.chunk_answered(503);
        site.chunk_answered(308, "bytes=0-199");
        site.chunk_answered(201);
        site.bucket().put("builds/x", content);
        CHECK(site.ranges() == std::vector<std::string>{"bytes 0-262143/262154", "bytes */262154",
                                                        "bytes 100-262153/262154", "bytes */262154",
                                                        "bytes 200-262153/262154"});
    }
    SUBCASE("or is complete already, and only the answer was lost") {
        site.script.expect_broken("PUT", session);
        site.chunk_answered(200);
        site.bucket().put("builds/x", content);
    }
    CHECK(site.script.complaint() == "");
}

TEST_CASE("an upload that can not go on is cancelled, and its session not shown") {
    StorageSite site;
    site.begins();
    std::string expected;
    SUBCASE("because the service refuses") {
        site.chunk_answered(403);
        expected = "cannot upload gs://b/builds/x: 403 Forbidden";
    }
    SUBCASE("because it has another number of bytes in the end") {
        site.script.expect("PUT", session, answer(200, R"({"size": "5"})"));
        expected = "cannot upload gs://b/builds/x: the service has 5 bytes of 262154";
    }
    SUBCASE("because it never takes a byte") {
        for (int i = 0; i < 4; ++i) {
            site.chunk_answered(308);
            site.chunk_answered(308);
        }
        site.chunk_answered(308);
        expected = "cannot upload gs://b/builds/x: 308 Permanent Redirect";
    }
    site.script.expect("DELETE", session, answer(499));
    CHECK(error_of([&] { site.bucket().put("builds/x", content); }) == expected);
    CHECK(site.script.complaint() == "");
    CHECK_FALSE(contains(site.said(), "geheim"));
    CHECK_FALSE(contains(site.said(), "tok\n"));
}

TEST_CASE("buckets are made when they are missing") {
    StorageSite site;
    const std::string url = "https://storage.googleapis.com/storage/v1/b";
    site.script.expect("GET", url + "/b", answer(404));
    site.script.expect("POST", url + "?project=p", answer(200, "{}"));
    CHECK(site.bucket().ensure("p"));
    site.script.expect("GET", url + "/b", answer(404));
    site.script.expect("POST", "", answer(409, R"({"error": {"message": "taken"}})"));
    CHECK(contains(error_of([&] { site.bucket().ensure("p"); }),
                   "409 Conflict: taken; it belongs to another project"));
    site.script.expect("DELETE", url + "/b/o/builds%2Fx", answer(404));
    site.bucket().remove("builds/x");
    CHECK(site.script.complaint() == "");
}

TEST_CASE("a token goes nowhere in the clear but to this machine") {
    StorageSite site;
    const auto made = [&](const char* endpoint) {
        return gcp::Bucket{
            site.connection(), {[] { return AccessToken{}; }, {}}, "b", {.endpoint = endpoint}};
    };
    CHECK(contains(error_of([&] { made("http://gcs.example"); }), "it is not https"));
    (void)made("http://127.0.0.1:4443");
    site.script.expect("POST", "", answer(200, "", {{"Location", "http://evil.example/"}}));
    CHECK(contains(error_of([&] { site.bucket().put("builds/x", content); }), "it is not https"));
    CHECK(site.script.complaint() == "");
}
