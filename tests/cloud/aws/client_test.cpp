#include "fairing/cloud/aws/client.hpp"

#include <doctest/doctest.h>

#include "../../support/aws_site.hpp"

using namespace fairing;
using namespace fairing::cloud;
using support::answer;
using support::aws_secret;
using support::AwsSite;
using support::contains;
using support::error_of;
using support::key_url;
using support::xml_error;

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
    CHECK_FALSE(contains(site.said(), aws_secret));
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
