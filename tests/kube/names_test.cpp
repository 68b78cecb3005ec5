#include "fairing/kube/names.hpp"

#include <doctest/doctest.h>

#include "../support/workspace.hpp"

using namespace fairing;

TEST_CASE("an RFC 1123 label has at most 63 characters") {
    CHECK(kube::is_dns_label(std::string(63, 'a')));
    CHECK_FALSE(kube::is_dns_label(std::string(64, 'a')));
    for (const char* good : {"a", "0", "a-b", "fairing-job-0123456789ab"}) {
        CAPTURE(good);
        CHECK(kube::is_dns_label(good));
    }
    for (const char* bad :
         {"", "-a", "a-", "Upper", "a_b", "a.b", "a b", "a\r\nX: y", "\xc3\xa4"}) {
        CAPTURE(bad);
        CHECK_FALSE(kube::is_dns_label(bad));
    }
}

TEST_CASE("an RFC 1035 label begins with a letter") {
    CHECK(kube::is_dns_1035_label("a1"));
    CHECK_FALSE(kube::is_dns_1035_label("1a"));
}

TEST_CASE("a subdomain is labels and dots, at most 253 characters") {
    CHECK(kube::is_dns_subdomain("my.secret-1"));
    CHECK(kube::is_dns_subdomain(std::string(253, 'a')));
    CHECK_FALSE(kube::is_dns_subdomain(std::string(254, 'a')));
    for (const char* bad : {"", ".", "a.", ".a", "a..b", "a.-b", "A"}) {
        CAPTURE(bad);
        CHECK_FALSE(kube::is_dns_subdomain(bad));
    }
}

TEST_CASE("labels and their keys") {
    for (const char* good : {"", "a", "A_b.c-9"}) {
        CHECK(kube::is_label_value(good));
    }
    CHECK(kube::is_label_value(std::string(63, 'x')));
    for (const std::string& bad : {std::string(64, 'x'), std::string{"-a"}, std::string{"a b"},
                                   std::string{"a\n"}, std::string{"a/b"}}) {
        CAPTURE(bad);
        CHECK_FALSE(kube::is_label_value(bad));
    }
    CHECK(kube::is_qualified_name("team"));
    CHECK(kube::is_qualified_name("example.com/Team_1"));
    for (const char* bad : {"", "/a", "a/", "A.example/x", "a/b/c", "a b"}) {
        CAPTURE(bad);
        CHECK_FALSE(kube::is_qualified_name(bad));
    }
}

TEST_CASE("a refusal quotes the name, without its control characters, and says what is allowed") {
    const std::string injected =
        support::error_of([] { kube::check_dns_label("Job name", "a\r\nX: y"); });
    CHECK(injected ==
          "cannot use Job name \"a\\x0d\\x0aX: y\": not a name that Kubernetes takes; use a-z, 0-9 "
          "and '-', a letter or digit at both ends (RFC 1123)");
    CHECK(support::contains(
        support::error_of([] { kube::check_dns_label("Job name", std::string(64, 'a')); }),
        "it has 64 characters, and 63 are allowed"));
    CHECK(support::contains(support::error_of([] { kube::check_label("team", "a b"); }),
                            "cannot use label team \"a b\""));
    CHECK(support::contains(support::error_of([] { kube::check_label("t m", "a"); }),
                            "cannot use label \"t m\""));
    CHECK(support::contains(support::error_of([] { kube::check_dns_subdomain("secret", "A"); }),
                            "RFC 1123 subdomain"));
    CHECK(support::error_of([] { kube::check_label("team", "vision"); }).empty());
}
