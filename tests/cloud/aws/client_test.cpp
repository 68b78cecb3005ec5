#include "fairing/cloud/aws/client.hpp"

#include <doctest/doctest.h>

#include "../../support/cloud_site.hpp"

using namespace fairing;
using namespace fairing::cloud;
using namespace support;

namespace {

const std::string url = "https://service.example/thing";

aws::Client::Call put(const std::string& service = "s3") {
    return {.service = service,
            .request = {.method = "PUT", .url = url, .body = net::Body::of("abc")},
            .attempted = "put",
            .subject = "thing"};
}

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
    site.script.expect("PUT", url, keep(skewed));
    SUBCASE("and then it is right, also for what comes later") {
        site.script.expect("PUT", url, keep(answer(200)));
        site.script.expect("PUT", url, keep(answer(200)));
        const aws::Client client = site.client();
        CHECK(client.send(put()).status == 200);
        CHECK(client.send(put()).status == 200);
        CHECK(times ==
              std::vector<std::string>{"20260101T000000Z", "20260101T020000Z", "20260101T020000Z"});
        CHECK(contains(site.said(), "7200 s behind the one of service.example"));
    }
    SUBCASE("but a second refusal is final") {
        site.script.expect("PUT", url, keep(skewed));
        CHECK(site.client().send(put()).status == 403);
    }
    CHECK(site.script.complaint() == "");
    CHECK_FALSE(contains(site.said(), aws_secret));
}

TEST_CASE("any other 403 is not repeated") {
    AwsSite site;
    site.script.expect("PUT", url,
                       answer(403, xml_error("SignatureDoesNotMatch"),
                              {{"Date", "Thu, 01 Jan 2026 00:00:01 GMT"}}));
    CHECK(site.client().send(put()).status == 403);
    // HEAD's answer says nothing, and a clock that is so wrong is the reason.
    site.script.expect("PUT", url, answer(403, "", {{"Date", "Thu, 01 Jan 2026 01:00:00 GMT"}}));
    site.script.expect("PUT", url, answer(403));
    CHECK(site.client().send(put()).status == 403);
    CHECK(site.script.complaint() == "");
}

TEST_CASE("every request is signed for its service; only S3 is told the body's digest apart") {
    AwsSite site;
    for (const std::string service : {"s3", "ecr"}) {
        site.script.expect("PUT", url, answer(200));
        (void)site.client().send(put(service));
        const test::Recorded& sent = site.script.recorded().back();
        CHECK(contains(sent.header("Authorization"),
                       "Credential=AKID/20260101/eu-west-1/" + service + "/aws4_request"));
        CHECK(sent.header("X-Amz-Content-Sha256").empty() == (service != "s3"));
        CHECK(sent.header("Host").empty());
    }
}

TEST_CASE("where a service is: the region's, China's, or what the environment says") {
    AwsSite site;
    CHECK(site.client().endpoint("sts") == "https://sts.eu-west-1.amazonaws.com");
    site.region = "cn-north-1";
    CHECK(site.client().endpoint("sts") == "https://sts.cn-north-1.amazonaws.com.cn");
    site.variables["AWS_ENDPOINT_URL"] = "http://127.0.0.1:5000/";
    CHECK(site.client().endpoint("sts") == "http://127.0.0.1:5000");
    site.variables["AWS_ENDPOINT_URL_STS"] = "https://sts.example";
    CHECK(site.client().endpoint("sts") == "https://sts.example");
    CHECK(contains(error_of([] { aws::check_region("eu.evil.example/"); }), "cannot use region"));
}
