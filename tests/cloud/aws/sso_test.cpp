#include "fairing/cloud/aws/sso.hpp"

#include <doctest/doctest.h>

#include "../../support/cloud_site.hpp"

using namespace fairing;
using namespace fairing::cloud;
using support::answer;
using support::contains;
using support::error_of;

namespace {

const aws::SsoLogin login{.start_url = "https://d.awsapps.com/start",
                          .region = "eu-west-1",
                          .account = "123456789012",
                          .role = "Reader"};

std::string cached(const std::string& start_url, const std::string& end,
                   const std::string& token = "geheim") {
    return Json{{"startUrl", start_url}, {"expiresAt", end}, {"accessToken", token}}.dump();
}

}  // namespace

TEST_CASE("the login that still holds is used, whatever its file is called") {
    support::CloudSite site;
    const auto find = [&] { return aws::credentials_by_sso(site.connection(), login, "p"); };
    const auto failure = [&] { return error_of([&] { (void)find(); }); };
    const std::string none = "there is none that still holds; run aws sso login --profile p";
    CHECK(contains(failure(), none));
    const std::string cache = ".aws/sso/cache/";
    site.home.file(cache + "a.json", cached(login.start_url, "2025-12-31T23:59:59Z"));
    site.home.file(cache + "b.json", cached("https://other/start", "2027-01-01T00:00:00Z"));
    site.home.file(cache + "c.json", "{\"geheim");
    site.home.file(cache + "d.txt", cached(login.start_url, "2027-01-01T00:00:00Z"));
    CHECK(contains(failure(), none));
    site.home.file(cache + "e.json", cached(login.start_url, "2026-01-01T00:00:01UTC"));
    site.script.expect("GET",
                       "https://portal.sso.eu-west-1.amazonaws.com/federation/credentials?"
                       "role_name=Reader&account_id=123456789012",
                       answer(200, R"({"roleCredentials": {"accessKeyId": "ID",
                           "secretAccessKey": "s", "sessionToken": "t"}})"));
    const auto found = find();
    CHECK(found.access_key_id == "ID");
    CHECK(found.session_token.reveal() == "t");
    CHECK_FALSE(found.expires);
    CHECK(site.script.recorded().at(0).header("x-amz-sso_bearer_token") == "geheim");

    site.script.expect("GET", "", answer(401, R"({"message": "Session token not found"})"));
    const std::string refused = failure();
    CHECK(contains(refused, "cannot get the keys of role Reader: 401 Unauthorized"));
    CHECK(contains(refused, "run aws sso login --profile p"));
    site.script.expect("GET", "", answer(403, R"({"message": "No access"})"));
    CHECK(contains(failure(), "403 Forbidden: No access"));
    site.script.expect("GET", "", answer(200, "{}"));
    CHECK(contains(failure(), "AWS gave no keys for it"));
    CHECK_FALSE(contains(refused + site.said(), "geheim"));
    CHECK(site.script.complaint() == "");
}

TEST_CASE("a login that is half described") {
    support::CloudSite site;
    aws::SsoLogin half = login;
    half.role = "";
    CHECK(contains(error_of([&] { (void)aws::credentials_by_sso(site.connection(), half, "p"); }),
                   "are not all set"));
    half = login;
    half.region = "evil.example/";
    CHECK(contains(error_of([&] { (void)aws::credentials_by_sso(site.connection(), half, "p"); }),
                   "cannot use region"));
}
