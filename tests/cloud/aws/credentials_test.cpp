#include "fairing/cloud/aws/credentials.hpp"

#include <doctest/doctest.h>

#include "../../support/cloud_site.hpp"

using namespace fairing;
using namespace fairing::cloud;
using namespace support;

namespace {

const std::string imds = "http://169.254.169.254/latest/";
const std::string keys =
    R"({"Code": "Success", "AccessKeyId": "ID", "SecretAccessKey": "geheim", "Token": "t",
        "Expiration": "2026-01-01T06:00:00Z"})";

std::string role_answer(const std::string& id) {
    return "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>" + id +
           "</AccessKeyId><SecretAccessKey>geheim</SecretAccessKey><SessionToken>t</SessionToken>"
           "<Expiration>2026-01-01T01:00:00.000Z</Expiration></Credentials></AssumeRoleResult>"
           "</AssumeRoleResponse>";
}

struct ChainSite : CloudSite {
    [[nodiscard]] aws::Credentials find(aws::CredentialOptions options = {}) {
        return aws::CredentialChain{connection(), std::move(options)}.find();
    }
    [[nodiscard]] std::string failure(aws::CredentialOptions options = {}) {
        return error_of([&] { (void)find(std::move(options)); });
    }
    void no_instance() { metadata.expect_broken("PUT", imds + "api/token"); }
};

}  // namespace

TEST_CASE("the environment comes first") {
    ChainSite site;
    site.variables.insert({{"AWS_ACCESS_KEY_ID", "ID"},
                           {"AWS_SECRET_ACCESS_KEY", "geheim"},
                           {"AWS_SESSION_TOKEN", "t"}});
    site.home.file(".aws/credentials",
                   "[default]\naws_access_key_id = F\naws_secret_access_key = f\n");
    CHECK(site.find().access_key_id == "ID");
    CHECK(site.find().session_token.reveal() == "t");
    CHECK_FALSE(site.find().expires);
    // A profile that the program names is meant.
    CHECK(site.find({.profile = "default"}).access_key_id == "F");
    site.variables.erase("AWS_SECRET_ACCESS_KEY");
    CHECK(contains(site.failure(), "only one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"));
}

TEST_CASE("profiles stand in two files") {
    ChainSite site;
    site.home.file(".aws/credentials",
                   "# mine\n[dev]\naws_access_key_id=D\naws_secret_access_key = geheim\n"
                   "[half]\naws_access_key_id = H\n");
    site.home.file(".aws/config",
                   "[default]\nregion = eu-west-1\n[profile dev]\nregion=us-west-2\n"
                   "s3 =\n  addressing_style = path\n[profile sso]\nsso_session = x\n");
    const auto found = site.find({.profile = "dev"});
    CHECK(found.access_key_id == "D");
    CHECK(found.secret_access_key.reveal() == "geheim");
    CHECK(aws::CredentialChain{site.connection(), {.profile = "dev"}}.region() == "us-west-2");
    CHECK(aws::CredentialChain{site.connection()}.region() == "eu-west-1");
    CHECK(contains(site.failure({.profile = "half"}), "are not both set"));
    CHECK(contains(site.failure({.profile = "sso"}),
                   "sso_account_id and sso_role_name are not all set"));
    CHECK(contains(site.failure({.profile = "gone"}), "profile gone: neither "));
    site.variables["AWS_REGION"] = "ap-south-1";
    CHECK(aws::CredentialChain{site.connection()}.region() == "ap-south-1");
}

TEST_CASE("a role is taken on with the keys of its source profile") {
    ChainSite site;
    site.home.file(".aws/config",
                   "[profile role]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = base\n"
                   "[profile base]\naws_access_key_id = B\naws_secret_access_key = b\n"
                   "[profile a]\nrole_arn = x\nsource_profile = b\n"
                   "[profile b]\nrole_arn = y\nsource_profile = a\n");
    site.script.expect("POST", "https://sts.us-east-1.amazonaws.com/",
                       answer(200, role_answer("R")));
    const auto found = site.find({.profile = "role"});
    CHECK(found.access_key_id == "R");
    CHECK(found.expires == site.now + std::chrono::hours{1});
    CHECK(contains(site.script.recorded().at(0).header("Authorization"), "Credential=B/"));
    CHECK(contains(site.failure({.profile = "a"}), "go round in a circle"));
}

TEST_CASE("a profile's program and its login give keys, and a role's source may be one") {
    ChainSite site;
    site.home.file("keys",
                   "#!/bin/sh\necho '{\"Version\": 1, \"AccessKeyId\": \"'$1'\", "
                   "\"SecretAccessKey\": \"geheim\"}'\n",
                   0755);
    site.home.file(".aws/config",
                   "[profile tool]\ncredential_process = \"" + (site.home / "keys") +
                       "\" 'P Q'\n[profile role]\nrole_arn = arn\nsource_profile = tool\n"
                       "[profile login]\nsso_session = s\nsso_account_id = 1\n"
                       "sso_role_name = r/1\n[sso-session s]\nsso_region = eu-west-1\n"
                       "sso_start_url = https://d.awsapps.com/start\n");
    CHECK(site.find({.profile = "tool"}).access_key_id == "P Q");
    site.script.expect("POST", "", answer(200, role_answer("R")));
    CHECK(site.find({.profile = "role"}).access_key_id == "R");
    CHECK(contains(site.failure({.profile = "login"}),
                   "cannot use AWS credentials from the login of profile login: there is none that "
                   "still holds; run aws sso login --profile login"));
    site.home.file(".aws/sso/cache/x.json",
                   R"({"startUrl": "https://d.awsapps.com/start", "accessToken": "geheim",
                       "expiresAt": "2026-01-01T08:00:00Z"})");
    site.script.expect("GET",
                       "https://portal.sso.eu-west-1.amazonaws.com/federation/credentials?"
                       "role_name=r%2F1&account_id=1",
                       answer(200, R"({"roleCredentials": {"accessKeyId": "L",
                                       "secretAccessKey": "s", "expiration": 1767229200000}})"));
    const auto found = site.find({.profile = "login"});
    CHECK(found.access_key_id == "L");
    CHECK(found.expires == site.now + std::chrono::hours{1});
    CHECK(site.script.complaint() == "");
}

TEST_CASE("a web identity is exchanged for a role's keys, unsigned") {
    ChainSite site;
    site.home.file("token", "jwt.of.pod\n");
    site.variables.insert({{"AWS_WEB_IDENTITY_TOKEN_FILE", site.home / "token"},
                           {"AWS_ROLE_ARN", "arn:aws:iam::1:role/r"},
                           {"AWS_REGION", "eu-west-1"}});
    site.script.expect("POST", "https://sts.eu-west-1.amazonaws.com/",
                       answer(200, role_answer("W")));
    CHECK(site.find().access_key_id == "W");
    CHECK(site.script.recorded().at(0).header("Authorization") == "");
    CHECK(contains(site.script.recorded().at(0).body, "&WebIdentityToken=jwt.of.pod"));
    site.script.expect("POST", "", answer(403, "<Error><Code>AccessDenied</Code></Error>"));
    const std::string error = site.failure();
    CHECK(
        contains(error, "cannot take on role arn:aws:iam::1:role/r: 403 Forbidden: AccessDenied"));
    CHECK_FALSE(contains(error, "jwt.of.pod"));
}

TEST_CASE("a container's endpoint") {
    ChainSite site;
    site.variables.insert({{"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/x"},
                           {"AWS_CONTAINER_AUTHORIZATION_TOKEN", "tok"}});
    site.metadata.expect("GET", "http://169.254.170.2/v2/x", answer(200, keys));
    const auto found = site.find();
    CHECK(found.access_key_id == "ID");
    CHECK(found.expires == site.now + std::chrono::hours{6});
    CHECK(site.metadata.recorded().at(0).header("Authorization") == "tok");
    site.metadata.expect("GET", "", answer(200, "{\"AccessKeyId\": \"geheim"));
    CHECK(contains(site.failure(), "not valid JSON"));
    CHECK_FALSE(contains(site.said(), "geheim"));
    site.variables.erase("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    site.variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "http://evil.example/";
    CHECK(contains(site.failure(), "its host may not be asked without TLS"));
    site.variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "http://169.254.170.23/v1/credentials";
    site.metadata.expect("GET", "http://169.254.170.23/v1/credentials", answer(200, keys));
    CHECK(site.find().access_key_id == "ID");
}

TEST_CASE("an instance's metadata is asked with a token of its own, and once") {
    ChainSite site;
    const std::string role = imds + "meta-data/iam/security-credentials/";
    site.metadata.expect("PUT", imds + "api/token", answer(200, "imds-token"));
    SUBCASE("and gives the role's keys") {
        site.metadata.expect("GET", role, answer(200, "my-role\n"));
        site.metadata.expect("GET", role + "my-role", answer(200, keys));
        CHECK(site.find().access_key_id == "ID");
        CHECK(site.metadata.recorded().at(2).header("X-aws-ec2-metadata-token") == "imds-token");
    }
    SUBCASE("and an instance without a role has none") {
        site.metadata.expect("GET", role, answer(404));
        CHECK(contains(site.failure(), "cannot find credentials for AWS: none in the environment"));
    }
    SUBCASE("and what it refuses is said") {
        site.metadata.expect("GET", role, answer(200, "my-role"));
        site.metadata.expect("GET", role + "my-role", answer(500));
        CHECK(contains(site.failure(), "the instance's metadata: 500 Internal Server Error"));
    }
    CHECK(site.metadata.complaint() == "");
}

TEST_CASE("nobody at the metadata's address is asked once, without a pause") {
    ChainSite site;
    site.no_instance();
    CHECK(contains(site.failure(), "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"));
    site.variables["AWS_EC2_METADATA_DISABLED"] = "true";
    CHECK(contains(site.failure(), "none in the environment"));
    CHECK(site.metadata.complaint() == "");
}

TEST_CASE("credentials are asked for again before they end") {
    ChainSite site;
    site.variables["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = "/x";
    site.metadata.expect("GET", "", answer(200, keys));
    const auto renewed = aws::CredentialChain{site.connection()}.renewed();
    (void)renewed.get();
    (void)renewed.get();
    site.now += std::chrono::hours{5} + std::chrono::minutes{56};
    site.metadata.expect("GET", "", answer(200, R"({"AccessKeyId": "N", "SecretAccessKey": "s"})"));
    CHECK(renewed.get().access_key_id == "N");
    CHECK(site.metadata.complaint() == "");
}
