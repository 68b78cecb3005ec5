#include "fairing/cloud/aws/ecr.hpp"

#include <doctest/doctest.h>

#include "../../support/cloud_site.hpp"

using namespace fairing;
using namespace fairing::cloud;
using namespace support;

TEST_CASE("ECR gives a password, and makes a repository that is missing") {
    AwsSite site;
    const std::string url = "https://api.ecr.eu-west-1.amazonaws.com/";
    site.script.expect(
        "POST", url,
        answer(200, R"({"authorizationData": [{"authorizationToken": ")" +
                        codec::base64_encode("AWS:p:w") + R"(", "expiresAt": 1.7672256E9}]})"));
    const auto given = aws::ecr_authorization(site.client(), "123456789012");
    CHECK(given.user == "AWS");
    CHECK(given.password.reveal() == "p:w");
    CHECK(given.expires == site.now);
    const test::Recorded& sent = site.script.recorded().at(0);
    CHECK(sent.header("X-Amz-Target") ==
          "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken");
    CHECK(sent.body == R"({"registryIds":["123456789012"]})");

    site.script.expect("POST", url, answer(400, R"({"__type": "RepositoryNotFoundException"})"));
    site.script.expect("POST", url, answer(200, "{}"));
    CHECK(aws::ensure_ecr_repository(site.client(), "team/job"));
    CHECK(site.script.recorded().at(2).body == R"({"repositoryName":"team/job"})");
    site.script.expect("POST", url, answer(200, "{}"));
    CHECK_FALSE(aws::ensure_ecr_repository(site.client(), "team/job"));
    site.script.expect("POST", url,
                       answer(400, R"({"__type": "AccessDeniedException", "message": "no ecr"})"));
    CHECK(contains(error_of([&] { aws::ensure_ecr_repository(site.client(), "team/job"); }),
                   "AccessDeniedException: no ecr"));
    CHECK(site.script.complaint() == "");
}

TEST_CASE("which hosts are ECR's") {
    const auto found = aws::parse_ecr_host("123456789012.dkr.ecr.eu-west-1.amazonaws.com");
    REQUIRE(found);
    CHECK(found->account == "123456789012");
    CHECK(found->region == "eu-west-1");
    CHECK(aws::parse_ecr_host("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn")->region ==
          "cn-north-1");
    for (const char* other :
         {"", "public.ecr.aws", "123456789012.dkr.ecr.eu.west.amazonaws.com",
          "123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.example",
          "evil.dkr.ecr.eu-west-1.amazonaws.com", "123456789012.dkr.ecr.amazonaws.com"}) {
        CHECK_FALSE(aws::parse_ecr_host(other));
    }
}
