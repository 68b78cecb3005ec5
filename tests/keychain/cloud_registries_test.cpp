#include "fairing/keychain/cloud_registries.hpp"

#include <doctest/doctest.h>

#include "../support/cloud_site.hpp"

using namespace fairing;
using support::answer;
using support::contains;

namespace {

const std::string ecr = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";

std::string ecr_answer(const std::string& password) {
    return R"({"authorizationData": [{"expiresAt": 1767268800, "authorizationToken": ")" +
           codec::base64_encode("AWS:" + password) + "\"}]}";
}

}  // namespace

TEST_CASE("ECR's password is asked for once, with AWS's own credentials, until it ends") {
    support::CloudSite site;
    site.variables.insert({{"AWS_ACCESS_KEY_ID", "ID"}, {"AWS_SECRET_ACCESS_KEY", "geheim"}});
    const auto provider = cloud_registry_credentials(site.connection());
    CHECK(site.script.recorded().empty());
    site.script.expect("POST", "https://api.ecr.eu-west-1.amazonaws.com/",
                       answer(200, ecr_answer("one")));
    for (int i = 0; i < 2; ++i) {
        const auto found = provider({.host = ecr});
        REQUIRE(found);
        CHECK(found->user == "AWS");
        CHECK(found->password.reveal() == "one");
    }
    CHECK(site.script.recorded().at(0).body == R"({"registryIds":["123456789012"]})");
    site.now += std::chrono::hours{12};
    site.script.expect("POST", "", answer(200, ecr_answer("two")));
    CHECK(provider({.host = ecr})->password.reveal() == "two");
    CHECK(site.script.complaint() == "");
}

TEST_CASE("a refusal of ECR is a warning without the key") {
    support::CloudSite site;
    site.variables.insert({{"AWS_ACCESS_KEY_ID", "ID"}, {"AWS_SECRET_ACCESS_KEY", "geheim"}});
    const auto provider = cloud_registry_credentials(site.connection());
    site.script.expect("POST", "", answer(400, R"({"__type": "AccessDeniedException"})"));
    CHECK_FALSE(provider({.host = ecr}));
    CHECK(contains(site.said(), "AccessDeniedException; asking " + ecr + " without credentials"));
    CHECK_FALSE(contains(site.said(), "geheim"));
}

TEST_CASE("Google's registries take a token of the default credentials") {
    support::CloudSite site;
    site.home.file(".config/gcloud/application_default_credentials.json",
                   R"({"type": "authorized_user", "client_id": "i", "client_secret": "s",
                       "refresh_token": "r"})");
    const auto provider = cloud_registry_credentials(site.connection());
    site.script.expect("POST", "https://oauth2.googleapis.com/token",
                       answer(200, R"({"access_token": "tok", "expires_in": 3600})"));
    for (const char* host : {"gcr.io", "eu.gcr.io", "europe-west1-docker.pkg.dev"}) {
        const auto found = provider({.host = host});
        REQUIRE(found);
        CHECK(found->user == "oauth2accesstoken");
        CHECK(found->password.reveal() == "tok");
    }
    CHECK(site.script.complaint() == "");
}

TEST_CASE("Azure's registries take the service principal") {
    support::CloudSite site;
    const auto provider = cloud_registry_credentials(site.connection());
    CHECK_FALSE(provider({.host = "team.azurecr.io"}));
    site.variables.insert(
        {{"AZURE_TENANT_ID", "t"}, {"AZURE_CLIENT_ID", "id"}, {"AZURE_CLIENT_SECRET", "s"}});
    const auto found = provider({.host = "team.azurecr.io"});
    REQUIRE(found);
    CHECK(found->user == "id");
    CHECK(found->password.reveal() == "s");
}

TEST_CASE("public images are read without credentials, and other hosts are nobody's") {
    support::CloudSite site;
    const auto provider = cloud_registry_credentials(site.connection());
    site.metadata.expect_broken("GET", "");
    CHECK_FALSE(provider({.host = "gcr.io"}));
    for (const char* host :
         {"docker.io", "evilgcr.io", "gcr.io.evil.example", "azurecr.io", "localhost:5000", ""}) {
        CHECK_FALSE(provider({.host = host}));
    }
    CHECK_FALSE(provider({.service = Service::kubernetes, .host = "gcr.io"}));
    CHECK(site.metadata.complaint() == "");
}
