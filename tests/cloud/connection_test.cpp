#include "fairing/cloud/connection.hpp"

#include <doctest/doctest.h>

#include "../support/cloud_site.hpp"

using namespace fairing;
using support::answer;
using support::contains;
using support::error_of;

TEST_CASE("times as the clouds write them, and back") {
    const auto time = std::chrono::system_clock::from_time_t(784111777);
    CHECK(cloud::http_date(time) == "Sun, 06 Nov 1994 08:49:37 GMT");
    CHECK(net::parse_http_date(cloud::http_date(time)) == time);
    CHECK(cloud::parse_utc(cloud::utc_text(time, "%Y-%m-%dT%H:%M:%SZ")) == time);
    CHECK(cloud::parse_utc("1994-11-06T08:49:37.123Z") == time);
    CHECK_FALSE(cloud::parse_utc("tomorrow"));
    CHECK_FALSE(cloud::parse_utc(""));
}

TEST_CASE("why a service refuses, in every form that there is") {
    const auto text = [](const std::string& body) {
        const cloud::Refusal refusal = cloud::refusal_of(answer(400, body));
        return refusal.code + '|' + refusal.message;
    };
    CHECK(text(R"({"__type": "com.amazonaws#Denied", "Message": "no"})") == "Denied|no");
    CHECK(text(R"({"error": {"code": 403, "status": "DENIED", "message": "no"}})") == "DENIED|no");
    CHECK(text(R"({"error": "invalid_grant", "error_description": "no"})") == "invalid_grant|no");
    CHECK(text("<html>") == "|");
    CHECK(text(std::string(100000, '[')) == "|");
    CHECK(cloud::refusal_of(answer(404, "", {{"x-ms-error-code", "Gone"}})).code == "Gone");
}

TEST_CASE("redirects are not followed, for they would take signatures along") {
    support::CloudSite site;
    site.script.expect("GET", "https://a.example/",
                       answer(302, "", {{"Location", "https://evil.example/"}}));
    CHECK(site.connection().send({.url = "https://a.example/"}, "get", "it").status == 302);
    CHECK(site.script.complaint() == "");
}

TEST_CASE("endpoints and places of tokens") {
    CHECK(cloud::checked_endpoint("http://minio:9000//") == "http://minio:9000");
    CHECK(error_of([] { (void)cloud::checked_endpoint("http://x/?a=geheim"); }) ==
          "cannot use endpoint http://x/?a=***: it holds a query");
    CHECK(contains(error_of([] { (void)cloud::checked_endpoint("minio"); }), "cannot use URL"));
    cloud::check_token_url("https://a.example/");
    cloud::check_token_url("http://127.0.0.1:1/");
    CHECK(contains(error_of([] { cloud::check_token_url("http://a.example/"); }), "not https"));
}

TEST_CASE("at the end a stop does not count, and ten seconds do") {
    support::CloudSite site;
    std::stop_source stop;
    stop.request_stop();
    cloud::Connection connection = site.connection();
    connection.control.stop = stop.get_token();
    CHECK_THROWS_AS((void)connection.send({.url = "https://a.example/"}, "get", "it"), Cancelled);
    site.script.expect("GET", "https://a.example/", answer(200));
    CHECK(connection.for_cleanup().send({.url = "https://a.example/"}, "get", "it").status == 200);
    CHECK(connection.for_cleanup().deadline == std::chrono::seconds{10});
}
