#include "fairing/cloud/aws/credential_process.hpp"

#include <doctest/doctest.h>

#include "../../support/cloud_site.hpp"

using namespace fairing;
using namespace fairing::cloud;
using namespace support;

TEST_CASE("a command line has a shell's quotes, and nothing else of a shell") {
    const auto words = [](const char* line) { return aws::detail::words_of(line, "it"); };
    using Words = std::vector<std::string>;
    CHECK(words(" a  b\tc ") == Words{"a", "b", "c"});
    CHECK(words(R"("/opt/my tool" --user='x y' "" z)") ==
          Words{"/opt/my tool", "--user=x y", "", "z"});
    CHECK(words(R"(a\ b "c\"d\\e\f" 'g\h')") == Words{"a b", R"(c"d\e\f)", R"(g\h)"});
    CHECK(words("$(id) ; `x` > *") == Words{"$(id)", ";", "`x`", ">", "*"});
    for (const char* wrong : {"", "  ", "a 'b", "a \"b"}) {
        CHECK(
            contains(error_of([&] { (void)words(wrong); }), "is no command, or has an open quote"));
    }
}

TEST_CASE("what a program prints is taken or refused, and never shown") {
    CloudSite site;
    const auto keys = [&](const std::string& text, int code = 0) {
        site.home.file("out", text);
        site.home.file("tool",
                       "#!/bin/sh\necho geheim >&2\ncat " + (site.home / "out") + "\nexit " +
                           std::to_string(code) + "\n",
                       0755);
        return aws::credentials_by_process(site.connection(), site.home / "tool", "profile p");
    };
    const auto found = keys(R"({"Version": 1, "AccessKeyId": "ID", "SecretAccessKey": "geheim",
                 "SessionToken": "t", "Expiration": "2026-01-01T01:00:00Z"})");
    CHECK(found.access_key_id == "ID");
    CHECK(found.session_token.reveal() == "t");
    CHECK(found.expires == site.now + std::chrono::hours{1});
    CHECK(found.source == "credential_process of profile p");
    struct Case {
        std::string text, expected;
        int code = 0;
    };
    for (const Case& each : std::vector<Case>{
             {"{\"geheim\"", "not valid JSON"},
             {"[\"geheim\"]", "does not say \"Version\": 1"},
             {R"({"Version": 2, "AccessKeyId": "geheim"})", "does not say \"Version\": 1"},
             {R"({"Version": 1, "AccessKeyId": "geheim"})", "it gave no keys"},
             {R"({"Version": 1, "AccessKeyId": "geheim", "SecretAccessKey": "geheim",
                  "Expiration": "2025-12-31T23:00:00Z"})",
              "it gave keys that have ended"},
             {"geheim", "it exited with 3; run it by hand to see why", 3}}) {
        const std::string error = error_of([&] { (void)keys(each.text, each.code); });
        CHECK_MESSAGE(contains(error, each.expected), error);
        CHECK_FALSE(contains(error + site.said(), "geheim"));
    }
    CHECK(contains(error_of([&] {
                       (void)aws::credentials_by_process(site.connection(), "/no/such/tool", "p");
                   }),
                   "/no/such/tool"));
}
