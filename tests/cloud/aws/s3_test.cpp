#include "fairing/cloud/aws/s3.hpp"

#include <doctest/doctest.h>

#include "../../support/cloud_site.hpp"

using namespace fairing;
using namespace fairing::cloud;
using namespace support;

namespace {

const std::string key_url = "http://s3.local:9000/bucket/builds/a%20b";
const std::string upload_url = key_url + "?uploadId=id%2F1";
const std::string begun =
    "<InitiateMultipartUploadResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
    "<UploadId>id/1</UploadId></InitiateMultipartUploadResult>";

/// A bucket that takes objects of more than four bytes in parts.
struct BucketSite : AwsSite {
    [[nodiscard]] aws::S3Bucket bucket() {
        return {client(), "bucket", {.endpoint = "http://s3.local:9000/", .part_size = 4}};
    }
    void begins() { script.expect("POST", key_url + "?uploads=", answer(200, begun)); }
    void part(int number, const net::Response& response) {
        script.expect("PUT", upload_url + "&partNumber=" + std::to_string(number), response);
    }
    /// Both parts of a large object are there.
    void takes_parts() {
        begins();
        part(1, answer(200));
        part(2, answer(200));
    }
    void put(const char* text) { bucket().put("builds/a b", Content::of(text)); }
    void put_large() { put("abcdefg"); }
    [[nodiscard]] std::string failure() {
        return error_of([this] { put_large(); });
    }
};

}  // namespace

TEST_CASE("a small object goes in one signed request") {
    BucketSite site;
    site.script.expect("PUT", key_url, answer(200));
    site.put("abc");
    const test::Recorded& sent = site.script.recorded().at(0);
    CHECK(sent.body == "abc");
    CHECK(sent.header("x-amz-content-sha256") == codec::sha256_hex("abc"));
    CHECK(contains(sent.header("Authorization"),
                   "Credential=AKID/20260101/eu-west-1/s3/aws4_request, "
                   "SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date, Signature="));
}

TEST_CASE("a large object goes in parts") {
    BucketSite site;
    site.begins();
    site.part(1, answer(200, "", {{"ETag", "\"e1\""}}));
    SUBCASE("and each that fails is sent again") {
        site.script.expect_broken("PUT", upload_url + "&partNumber=2");
        site.part(2, answer(200, "", {{"ETag", "\"e2\""}}));
        site.script.expect("POST", upload_url, answer(200, "<CompleteMultipartUploadResult/>"));
        site.put_large();
        CHECK(site.script.recorded().at(3).body == "efg");
        CHECK(site.script.recorded().at(4).body ==
              "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>&quot;e1&quot;</ETag>"
              "</Part><Part><PartNumber>2</PartNumber><ETag>&quot;e2&quot;</ETag></Part>"
              "</CompleteMultipartUpload>");
    }
    SUBCASE("one that fails five times ends and aborts the upload") {
        for (int i = 0; i < 5; ++i) {
            site.part(2, answer(500, xml_error("InternalError")));
        }
        site.script.expect("DELETE", upload_url, answer(204));
        CHECK(site.failure() ==
              "cannot upload part 2 of s3://bucket/builds/a b after 5 attempts: 500 Internal "
              "Server Error: InternalError: no");
    }
    CHECK(site.script.complaint() == "");
}

TEST_CASE("an upload that S3 answers with 200 and an error is a failure, and aborted") {
    BucketSite site;
    site.takes_parts();
    site.script.expect("POST", upload_url, answer(200, xml_error("InternalError", "try later")));
    site.script.expect("DELETE", upload_url, answer(403, xml_error("AccessDenied")));
    CHECK(site.failure() ==
          "cannot finish the upload of s3://bucket/builds/a b: 200 OK, and then InternalError: try "
          "later");
    CHECK(contains(site.said(), "AccessDenied: no; its parts cost until"));
    CHECK(site.script.complaint() == "");
}

TEST_CASE("a stop aborts the upload all the same") {
    BucketSite site;
    std::stop_source stop;
    site.begins();
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
    BucketSite site;
    site.takes_parts();
    site.script.expect_broken("POST", upload_url);
    site.script.expect("POST", upload_url, answer(404, xml_error("NoSuchUpload")));
    SUBCASE("when the object has its length") {
        site.script.expect("HEAD", key_url, answer(200, "", {{"Content-Length", "7"}}));
        site.put_large();
    }
    SUBCASE("and else the upload failed") {
        site.script.expect("HEAD", key_url, answer(200, "", {{"Content-Length", "6"}}));
        site.script.expect("DELETE", upload_url, answer(404));
        CHECK(contains(site.failure(), "NoSuchUpload"));
    }
    CHECK(site.script.complaint() == "");
}

TEST_CASE("a bucket is made when it is missing, with its region where it has to be named") {
    BucketSite site;
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
    BucketSite site;
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
}

TEST_CASE("what S3 refuses with is its code and message, and nothing else of its answer") {
    BucketSite site;
    site.script.expect("PUT", key_url, answer(403, xml_error("SignatureDoesNotMatch")));
    const std::string error = error_of([&] { site.put("abc"); });
    CHECK(contains(error, "403 Forbidden: SignatureDoesNotMatch: no"));
    CHECK_FALSE(contains(error, "AWS4"));
}
