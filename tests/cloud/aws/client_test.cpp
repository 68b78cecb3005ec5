#include "fairing/cloud/aws/client.hpp"

#include <doctest/doctest.h>

#include "../../support/cloud_site.hpp"
#include "fairing/cloud/aws/ecr.hpp"
#include "fairing/cloud/aws/s3.hpp"
#include "fairing/cloud/aws/sts.hpp"
#include "fairing/cloud/ibm/cos.hpp"

using namespace fairing;
using namespace fairing::cloud;
using support::answer;
using support::contains;
using support::error_of;

namespace {

const std::string secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

struct AwsSite : support::CloudSite {
    std::string region = "eu-west-1";

    [[nodiscard]] aws::Client client() {
        return {connection(),
                {[] {
                     return aws::Credentials{.access_key_id = "AKID",
                                             .secret_access_key = Secret{secret}};
                 },
                 connection().control.clock},
                region};
    }
    [[nodiscard]] aws::S3Bucket bucket(std::uint64_t part_size = 4) {
        return {client(), "bucket", {.endpoint = "http://s3.local:9000/", .part_size = part_size}};
    }
};

std::string xml_error(const std::string& code, const std::string& message = "no") {
    return "<?xml version=\"1.0\"?><Error><Code>" + code + "</Code><Message>" + message +
           "</Message><StringToSign>AWS4</StringToSign></Error>";
}

const std::string key_url = "http://s3.local:9000/bucket/builds/a%20b";
const std::string upload_url = key_url + "?uploadId=id%2F1";
const std::string begun =
    "<InitiateMultipartUploadResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
    "<UploadId>id/1</UploadId></InitiateMultipartUploadResult>";

}  // namespace

TEST_CASE("a wrong clock is corrected once, and said") {
    AwsSite site;
    const net::Response skewed = answer(403, xml_error("RequestTimeTooSkewed", "The difference"),
                                        {{"Date", "Thu, 01 Jan 2026 02:00:00 GMT"}});
    std::vector<std::string> times;
    const auto keep = [&](net::Response response) {
        return [&times, response](const test::Recorded& got) {
            times.push_back(got.header("X-Amz-Date"));
            return response;
        };
    };
    site.script.expect("PUT", key_url, keep(skewed));
    SUBCASE("and then it is right, also for what comes later") {
        site.script.expect("PUT", key_url, keep(answer(200)));
        site.script.expect("DELETE", key_url, keep(answer(204)));
        const auto bucket = site.bucket();
        bucket.put("builds/a b", Content::of("abc"));
        bucket.remove("builds/a b");
        CHECK(times ==
              std::vector<std::string>{"20260101T000000Z", "20260101T020000Z", "20260101T020000Z"});
        CHECK(contains(site.said(), "7200 s behind the one of s3.local"));
    }
    SUBCASE("but a second refusal is final, in the service's words") {
        site.script.expect("PUT", key_url, keep(skewed));
        CHECK(error_of([&] { site.bucket().put("builds/a b", Content::of("abc")); }) ==
              "cannot upload s3://bucket/builds/a b: 403 Forbidden: RequestTimeTooSkewed: The "
              "difference");
    }
    CHECK(site.script.complaint() == "");
    CHECK_FALSE(contains(site.said(), secret));
}

TEST_CASE("any other 403 is not repeated, and shows nothing but code and message") {
    AwsSite site;
    site.script.expect("PUT", key_url,
                       answer(403, xml_error("SignatureDoesNotMatch"),
                              {{"Date", "Thu, 01 Jan 2026 00:00:01 GMT"}}));
    const std::string error =
        error_of([&] { site.bucket().put("builds/a b", Content::of("abc")); });
    CHECK(contains(error, "403 Forbidden: SignatureDoesNotMatch: no"));
    CHECK_FALSE(contains(error, "AWS4"));
}

TEST_CASE("a small object goes in one signed request") {
    AwsSite site;
    site.script.expect("PUT", key_url, answer(200));
    site.bucket().put("builds/a b", Content::of("abc"));
    const test::Recorded& sent = site.script.recorded().at(0);
    CHECK(sent.body == "abc");
    CHECK(sent.header("x-amz-content-sha256") == codec::sha256_hex("abc"));
    CHECK(contains(sent.header("Authorization"),
                   "Credential=AKID/20260101/eu-west-1/s3/aws4_request, "
                   "SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date, Signature="));
}

TEST_CASE("a large object goes in parts") {
    AwsSite site;
    site.script.expect("POST", key_url + "?uploads=", answer(200, begun));
    site.script.expect("PUT", upload_url + "&partNumber=1", answer(200, "", {{"ETag", "\"e1\""}}));
    SUBCASE("and each that fails is sent again") {
        site.script.expect_broken("PUT", upload_url + "&partNumber=2");
        site.script.expect("PUT", upload_url + "&partNumber=2",
                           answer(200, "", {{"ETag", "\"e2\""}}));
        site.script.expect("POST", upload_url, answer(200, "<CompleteMultipartUploadResult/>"));
        site.bucket().put("builds/a b", Content::of("abcdefg"));
        CHECK(site.script.recorded().at(3).body == "efg");
        CHECK(site.script.recorded().at(4).body ==
              "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>&quot;e1&quot;</ETag>"
              "</Part><Part><PartNumber>2</PartNumber><ETag>&quot;e2&quot;</ETag></Part>"
              "</CompleteMultipartUpload>");
    }
    SUBCASE("one that fails five times ends and aborts the upload") {
        for (int i = 0; i < 5; ++i) {
            site.script.expect("PUT", upload_url + "&partNumber=2",
                               answer(500, xml_error("InternalError")));
        }
        site.script.expect("DELETE", upload_url, answer(204));
        CHECK(error_of([&] { site.bucket().put("builds/a b", Content::of("abcdefg")); }) ==
              "cannot upload part 2 of s3://bucket/builds/a b after 5 attempts: 500 Internal "
              "Server Error: InternalError: no");
    }
    CHECK(site.script.complaint() == "");
}

TEST_CASE("an upload that S3 answers with 200 and an error is a failure, and aborted") {
    AwsSite site;
    site.script.expect("POST", key_url + "?uploads=", answer(200, begun));
    for (const char* number : {"1", "2"}) {
        site.script.expect("PUT", upload_url + "&partNumber=" + number, answer(200));
    }
    site.script.expect("POST", upload_url, answer(200, xml_error("InternalError", "try later")));
    site.script.expect("DELETE", upload_url, answer(403, xml_error("AccessDenied")));
    CHECK(error_of([&] { site.bucket().put("builds/a b", Content::of("abcdefg")); }) ==
          "cannot finish the upload of s3://bucket/builds/a b: 200 OK, and then InternalError: try "
          "later");
    CHECK(contains(site.said(), "AccessDenied: no; its parts cost until"));
    CHECK(site.script.complaint() == "");
}

TEST_CASE("a stop aborts the upload all the same") {
    AwsSite site;
    std::stop_source stop;
    site.script.expect("POST", key_url + "?uploads=", answer(200, begun));
    site.script.expect("PUT", upload_url + "&partNumber=1", [&](const test::Recorded&) {
        stop.request_stop();
        return answer(200);
    });
    site.script.expect("DELETE", upload_url, answer(204));
    Connection connection = site.connection();
    connection.control.stop = stop.get_token();
    const aws::Client client{connection, {[] { return aws::Credentials{}; }, {}}, "eu-west-1"};
    const aws::S3Bucket bucket{
        client, "bucket", {.endpoint = "http://s3.local:9000", .part_size = 4}};
    CHECK_THROWS_AS(bucket.put("builds/a b", Content::of("abcdefg")), Cancelled);
    CHECK(site.script.complaint() == "");
}

TEST_CASE("a finished upload whose answer was lost is found") {
    AwsSite site;
    site.script.expect("POST", key_url + "?uploads=", answer(200, begun));
    for (const char* number : {"1", "2"}) {
        site.script.expect("PUT", upload_url + "&partNumber=" + number, answer(200));
    }
    site.script.expect_broken("POST", upload_url);
    site.script.expect("POST", upload_url, answer(404, xml_error("NoSuchUpload")));
    SUBCASE("when the object has its length") {
        site.script.expect("HEAD", key_url, answer(200, "", {{"Content-Length", "7"}}));
        site.bucket().put("builds/a b", Content::of("abcdefg"));
    }
    SUBCASE("and else the upload failed") {
        site.script.expect("HEAD", key_url, answer(200, "", {{"Content-Length", "6"}}));
        site.script.expect("DELETE", upload_url, answer(404));
        CHECK(contains(error_of([&] { site.bucket().put("builds/a b", Content::of("abcdefg")); }),
                       "NoSuchUpload"));
    }
    CHECK(site.script.complaint() == "");
}

TEST_CASE("a bucket is made when it is missing, with its region where it has to be named") {
    AwsSite site;
    const std::string url = "http://s3.local:9000/bucket";
    site.script.expect("HEAD", url, answer(404));
    site.script.expect("PUT", url, answer(200));
    CHECK(site.bucket().ensure());
    CHECK(contains(site.script.recorded().at(1).body,
                   "<LocationConstraint>eu-west-1</LocationConstraint>"));
    site.region = "us-east-1";
    site.script.expect("HEAD", url, answer(404));
    site.script.expect("PUT", url, answer(409, xml_error("BucketAlreadyOwnedByYou")));
    CHECK_FALSE(site.bucket().ensure());
    CHECK(site.script.recorded().at(3).body.empty());
    site.script.expect("HEAD", url, answer(403));
    CHECK(contains(error_of([&] { site.bucket().ensure(); }), "it belongs to somebody else"));
}

TEST_CASE("at AWS the bucket is in the host, unless it holds a dot; elsewhere in the path") {
    AwsSite site;
    site.script.expect("DELETE", "https://bucket.s3.eu-west-1.amazonaws.com/k", answer(204));
    aws::S3Bucket{site.client(), "bucket"}.remove("k");
    site.script.expect("DELETE", "https://s3.eu-west-1.amazonaws.com/a.b/k", answer(204));
    aws::S3Bucket{site.client(), "a.b"}.remove("k");
    site.variables["AWS_ENDPOINT_URL_S3"] = "http://minio:9000";
    site.script.expect("DELETE", "http://minio:9000/bucket/k", answer(404));
    aws::S3Bucket{site.client(), "bucket"}.remove("k");
    site.script.expect("DELETE", "http://bucket.minio:9000/k", answer(204));
    aws::S3Bucket{site.client(), "bucket", {.address = aws::BucketAddress::host}}.remove("k");
    CHECK(site.script.complaint() == "");
    for (const char* name : {"", "ab", "a/b", "Abc", "evil.example#", "a..b", "-abc"}) {
        CHECK(contains(error_of([&] { aws::S3Bucket(site.client(), name); }), "cannot use bucket"));
    }
    CHECK(contains(error_of([&] { aws::check_region("eu.evil.example/"); }), "cannot use region"));
}

TEST_CASE("STS says who we are") {
    AwsSite site;
    site.script.expect(
        "POST", "https://sts.eu-west-1.amazonaws.com/",
        answer(200,
               "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"
               "<GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/a</Arn>"
               "<Account>123456789012</Account></GetCallerIdentityResult>"
               "</GetCallerIdentityResponse>"));
    const auto identity = aws::caller_identity(site.client());
    CHECK(identity.account == "123456789012");
    CHECK(identity.arn == "arn:aws:iam::123456789012:user/a");
    CHECK(site.script.recorded().at(0).body == "Action=GetCallerIdentity&Version=2011-06-15");
    site.script.expect("POST", "", answer(200, "<html>"));
    CHECK(contains(error_of([&] { (void)aws::caller_identity(site.client()); }),
                   "it holds no Account"));
}

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

TEST_CASE("IBM's keys are read from a service credential") {
    const auto found = ibm::parse_cos_credentials(
        R"({"cos_hmac_keys": {"access_key_id": "a", "secret_access_key": "s"}})", "ibm-cos-creds");
    CHECK(found.access_key_id == "a");
    CHECK(found.secret_access_key.reveal() == "s");
    CHECK(contains(error_of([] { (void)ibm::parse_cos_credentials("{\"apikey\": \"k3y\"}", "x"); }),
                   "it holds no cos_hmac_keys"));
    CHECK(ibm::cos_endpoint("us-south") ==
          "https://s3.us-south.cloud-object-storage.appdomain.cloud");
}
