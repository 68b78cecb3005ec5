#include "fairing/cloud/gcp/credentials.hpp"

#include <doctest/doctest.h>

#include "../../support/cloud_site.hpp"
#include "../../support/rsa_key.hpp"

using namespace fairing;
using namespace fairing::cloud;
using support::answer;
using support::contains;
using support::error_of;

namespace {

const std::string metadata_url = "http://169.254.169.254/computeMetadata/v1/";
const std::string user_file = ".config/gcloud/application_default_credentials.json";
const std::string user = R"({"type": "authorized_user", "client_id": "id",
    "client_secret": "geheim1", "refresh_token": "geheim2", "quota_project_id": "quota"})";

struct GoogleSite : support::CloudSite {
    [[nodiscard]] AccessToken token() { return gcp::CredentialChain{connection()}.token(); }
    [[nodiscard]] std::string project() { return gcp::CredentialChain{connection()}.project(); }
    [[nodiscard]] std::string failure() {
        return error_of([&] { (void)token(); });
    }
    void name_file(const std::string& text) {
        home.file("key.json", text);
        variables["GOOGLE_APPLICATION_CREDENTIALS"] = home / "key.json";
    }
};

std::string service_account(const std::string& key,
                            const std::string& url = "https://oauth2.googleapis.com/token") {
    return Json{{"type", "service_account"}, {"client_email", "me@p.example"},
                {"private_key_id", "k1"},    {"private_key", key},
                {"project_id", "account"},   {"token_uri", url}}
        .dump();
}

std::string url_decoded(std::string text) {
    std::replace(text.begin(), text.end(), '-', '+');
    std::replace(text.begin(), text.end(), '_', '/');
    return codec::base64_decode(text);
}

}  // namespace

TEST_CASE("a service account signs what it claims") {
    const support::RsaKey key;
    if (!key.made()) {
        MESSAGE("skipped: needs openssl");
        return;
    }
    GoogleSite site;
    site.name_file(service_account(key.pem()));
    site.script.expect("POST", "https://oauth2.googleapis.com/token",
                       answer(200, R"({"access_token": "tok", "expires_in": 3599})"));
    const AccessToken token = site.token();
    CHECK(token.value.reveal() == "tok");
    CHECK(token.expires == site.now + std::chrono::seconds{3599});
    const std::string body = site.script.recorded().at(0).body;
    const std::string begin =
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";
    REQUIRE(body.starts_with(begin));
    const std::string jwt = body.substr(begin.size());
    const std::size_t first = jwt.find('.'), second = jwt.rfind('.');
    CHECK(Json::parse(url_decoded(jwt.substr(0, first))) ==
          Json::parse(R"({"alg": "RS256", "typ": "JWT", "kid": "k1"})"));
    CHECK(Json::parse(url_decoded(jwt.substr(first + 1, second - first - 1))) ==
          Json::parse(R"({"iss": "me@p.example", "aud": "https://oauth2.googleapis.com/token",
                          "scope": "https://www.googleapis.com/auth/cloud-platform",
                          "iat": 1767225600, "exp": 1767229200})"));
    CHECK(key.verifies(jwt.substr(0, second), url_decoded(jwt.substr(second + 1))));
    CHECK(site.project() == "account");
}

TEST_CASE("a bad file is named, and no word of its key is shown") {
    GoogleSite site;
    const std::string key = "-----BEGIN PRIVATE KEY-----\ngeheim\n-----END PRIVATE KEY-----\n";
    const std::vector<std::pair<std::string, std::string>> cases = {
        {service_account(key), "it is no RSA key in PEM"},
        {service_account(key).substr(0, 120), "not valid JSON"},
        {R"({"type": "service_account", "private_key": "geheim"})", "it has no token_uri"},
        {R"({"type": "external_account", "secret": "geheim"})", "it has no token_url"},
        {R"({"type": "gdch_service_account", "secret": "geheim"})",
         "gdch_service_account are not supported"},
        {R"(["geheim"])", "it has no type"},
        {service_account(key, "http://evil.example/"), "it is not https"}};
    for (const auto& [text, expected] : cases) {
        site.name_file(text);
        const std::string error = site.failure();
        CHECK_MESSAGE(contains(error, expected), error);
        CHECK_FALSE(contains(error, "geheim"));
    }
    site.variables["GOOGLE_APPLICATION_CREDENTIALS"] = site.home / "gone.json";
    CHECK(contains(site.failure(), "gone.json: No such file"));
    CHECK(site.script.recorded().empty());
}

TEST_CASE("an authorized user's refresh token is exchanged") {
    GoogleSite site;
    site.home.file(user_file, user);
    site.script.expect("POST", "https://oauth2.googleapis.com/token",
                       answer(200, R"({"access_token": "tok"})"));
    CHECK(site.token().value.reveal() == "tok");
    CHECK(site.script.recorded().at(0).body ==
          "grant_type=refresh_token&client_id=id&client_secret=geheim1&refresh_token=geheim2");
    site.script.expect(
        "POST", "", answer(400, R"({"error": "invalid_grant", "error_description": "Revoked."})"));
    const std::string error = site.failure();
    CHECK(contains(error, "400 Bad Request: invalid_grant: Revoked."));
    CHECK_FALSE(contains(error, "geheim"));
    CHECK_FALSE(contains(site.said(), "geheim"));
    CHECK(site.project() == "quota");
}

TEST_CASE("another cloud's workload exchanges its token, and becomes a service account") {
    GoogleSite site;
    site.home.file("jwt", "geheim.jwt");
    Json file{{"type", "external_account"},
              {"audience", "//iam.googleapis.com/projects/1/providers/p"},
              {"subject_token_type", "urn:ietf:params:oauth:token-type:jwt"},
              {"token_url", "https://sts.googleapis.com/v1/token"},
              {"credential_source", {{"file", site.home / "jwt"}}}};
    site.name_file(file.dump());
    const auto exchanged = answer(200, R"({"access_token": "federated", "expires_in": 3600})");
    site.script.expect("POST", "https://sts.googleapis.com/v1/token", exchanged);
    CHECK(site.token().value.reveal() == "federated");
    const std::string body = site.script.recorded().at(0).body;
    CHECK(body.starts_with(
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&audience="));
    CHECK(body.ends_with("&subject_token=geheim.jwt"));

    const std::string account =
        "https://iamcredentials.googleapis.com/v1/projects/-/"
        "serviceAccounts/a@p.example:generateAccessToken";
    file["service_account_impersonation_url"] = account;
    site.name_file(file.dump());
    site.script.expect("POST", "https://sts.googleapis.com/v1/token", exchanged);
    site.script.expect(
        "POST", account,
        answer(200, R"({"accessToken": "other", "expireTime": "2026-01-01T01:00:00Z"})"));
    const AccessToken other = site.token();
    CHECK(other.value.reveal() == "other");
    CHECK(other.expires == site.now + std::chrono::hours{1});
    CHECK(site.script.recorded().at(2).header("Authorization") == "Bearer federated");

    site.script.expect("POST", "", answer(400, R"({"error": "invalid_grant"})"));
    const std::string error = site.failure();
    CHECK(contains(error, "400 Bad Request: invalid_grant"));
    CHECK_FALSE(contains(error + site.said(), "geheim"));
    CHECK(site.script.complaint() == "");
}

TEST_CASE("a user may act as a service account") {
    GoogleSite site;
    const std::string account =
        "https://iamcredentials.googleapis.com/v1/projects/-/"
        "serviceAccounts/a@p.example:generateAccessToken";
    site.name_file(Json{{"type", "impersonated_service_account"},
                        {"service_account_impersonation_url", account},
                        {"source_credentials", Json::parse(user)}}
                       .dump());
    site.script.expect("POST", "https://oauth2.googleapis.com/token",
                       answer(200, R"({"access_token": "mine", "expires_in": 60})"));
    site.script.expect("POST", account, answer(200, R"({"accessToken": "other"})"));
    CHECK(site.token().value.reveal() == "other");
    site.script.expect("POST", "", answer(200, R"({"access_token": "mine", "expires_in": 60})"));
    site.script.expect("POST", account,
                       answer(403, R"({"error": {"status": "PERMISSION_DENIED"}})"));
    CHECK(contains(site.failure(),
                   "cannot become a@p.example:generateAccessToken: 403 Forbidden: "
                   "PERMISSION_DENIED"));
}

TEST_CASE("a metadata server says that it is one") {
    GoogleSite site;
    const std::string path = metadata_url + "instance/service-accounts/default/token";
    SUBCASE("and is believed") {
        site.metadata.expect("GET", path,
                             answer(200, R"({"access_token": "tok", "expires_in": 60})",
                                    {{"metadata-flavor", "Google"}}));
        CHECK(site.token().value.reveal() == "tok");
        CHECK(site.metadata.recorded().at(0).header("Metadata-Flavor") == "Google");
        site.metadata.expect("GET", metadata_url + "project/project-id",
                             answer(200, "machine", {{"Metadata-Flavor", "Google"}}));
        CHECK(site.project() == "machine");
    }
    SUBCASE("or is not") {
        site.metadata.expect("GET", path, answer(200, R"({"access_token": "evil"})"));
        CHECK(contains(site.failure(), "does not carry Metadata-Flavor: Google"));
    }
    SUBCASE("or is absent, which is found out once") {
        site.metadata.expect_broken("GET", path);
        CHECK(contains(site.failure(), "run gcloud auth application-default login"));
    }
    CHECK(site.metadata.complaint() == "");
}

TEST_CASE("the project is what the environment says, or gcloud's setting") {
    GoogleSite site;
    site.home.file(".config/gcloud/active_config", "work\n");
    site.home.file(".config/gcloud/configurations/config_work", "[core]\nproject = active\n");
    CHECK(site.project() == "active");
    site.variables["GOOGLE_CLOUD_PROJECT"] = "mine";
    CHECK(site.project() == "mine");
}
