#include "fairing/cloud/aws/sso.hpp"

#include <doctest/doctest.h>

#include "../../support/cloud_site.hpp"

using namespace fairing;
using namespace fairing::cloud;
using namespace support;

namespace {

const aws::SsoLogin login{.start_url = "https://d.awsapps.com/start",
                          .region = "eu-west-1",
                          .account = "123456789012",
                          .role = "Reader"};

std::string cached(const std::string& start_url, const std::string& end,
                   const std::string& token = "geheim") {
    return Json{{"startUrl", start_url}, {"expiresAt", end}, {"accessToken", token}}.dump();
}

/// What is wrong with a login; "" when nothing is.
std::string failure(CloudSite& site, const aws::SsoLogin& given = login) {
    return error_of([&] { (void)aws::credentials_by_sso(site.connection(), given, "p"); });
}

}  // namespace

TEST_CASE("the login that still holds is used, whatever its file is called") {
    CloudSite site;
    const std::string none = "there is none that still holds; run aws sso login --profile p";
    CHECK(contains(failure(site), none));
    const std::string cache = ".aws/sso/cache/";
    site.home.file(cache + "a.json", cached(login.start_url, "2025-12-31T23:59:59Z"));
    site.home.file(cache + "b.json", cached("https://other/start", "2027-01-01T00:00:00Z"));
    site.home.file(cache + "d.txt", cached(login.start_url, "2027-01-01T00:00:00Z"));
    CHECK(contains(failure(site), none));
    // Whichever the directory gives first: none of these is in the way of the one that holds.
    std::vector<std::string> unread;
    for (int i = 0; i < 8; ++i) {
        const std::string name = cache + "c" + std::to_string(i) + ".json";
        site.home.file(name, i % 2 == 0 ? "{\"geheim" : std::string((1 << 20) + 1, ' '));
        unread.push_back("cannot read " + site.home / name + ": " +
                         (i % 2 == 0 ? "not valid JSON" : "longer than 1048576 bytes"));
    }
    const std::string said = failure(site);
    for (const std::string& each : unread) {
        CHECK(contains(said, each));
    }
    CHECK(contains(said, "none that still holds (cannot read "));
    CHECK_FALSE(contains(said, "geheim"));
    site.home.file(cache + "e.json", cached(login.start_url, "2026-01-01T00:00:01UTC"));
    site.script.expect("GET",
                       "https://portal.sso.eu-west-1.amazonaws.com/federation/credentials?"
                       "role_name=Reader&account_id=123456789012",
                       answer(200, R"({"roleCredentials": {"accessKeyId": "ID",
                           "secretAccessKey": "s", "sessionToken": "t"}})"));
    const auto found = aws::credentials_by_sso(site.connection(), login, "p");
    CHECK(found.access_key_id == "ID");
    CHECK(found.session_token.reveal() == "t");
    CHECK_FALSE(found.expires);
    CHECK(site.script.recorded().at(0).header("x-amz-sso_bearer_token") == "geheim");

    site.script.expect("GET", "", answer(401, R"({"message": "Session token not found"})"));
    const std::string refused = failure(site);
    CHECK(contains(refused, "cannot get the keys of role Reader: 401 Unauthorized"));
    CHECK(contains(refused, "run aws sso login --profile p"));
    site.script.expect("GET", "", answer(403, R"({"message": "No access"})"));
    CHECK(contains(failure(site), "403 Forbidden: No access"));
    site.script.expect("GET", "", answer(200, "{}"));
    CHECK(contains(failure(site), "AWS gave no keys for it"));
    CHECK_FALSE(contains(refused + site.said(), "geheim"));
    CHECK(site.script.complaint() == "");
}

TEST_CASE("a login that is half described") {
    CloudSite site;
    aws::SsoLogin half = login;
    half.role = "";
    CHECK(contains(failure(site, half), "are not all set"));
    half = login;
    half.region = "evil.example/";
    CHECK(contains(failure(site, half), "cannot use region"));
}
