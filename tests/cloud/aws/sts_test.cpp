#include "fairing/cloud/aws/sts.hpp"

#include <doctest/doctest.h>

#include "../../support/cloud_site.hpp"

using namespace fairing;
using namespace fairing::cloud;
using namespace support;

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
