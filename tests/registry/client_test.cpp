#include "fairing/registry/client.hpp"

#include <doctest/doctest.h>

#include <string>

#include "../support/scripted_repository.hpp"

using namespace fairing;
using namespace fairing::test::scripted;

TEST_CASE("which scheme a registry is spoken to with") {
    const auto first_url = [](const std::string& reference, registry::PlainHttp plain) {
        Repository fixture{reference, {}, plain};
        fixture.script.expect("GET", "", {.status = 404});
        CHECK_FALSE(fixture.client.find_manifest("latest"));
        return fixture.script.recorded()[0].url;
    };
    using registry::PlainHttp;
    CHECK(first_url("localhost:5000/a", PlainHttp::loopback) ==
          "http://localhost:5000/v2/a/manifests/latest");
    CHECK(first_url("127.0.0.1:5000/a", PlainHttp::loopback) ==
          "http://127.0.0.1:5000/v2/a/manifests/latest");
    CHECK(first_url("localhost:5000/a", PlainHttp::never) ==
          "https://localhost:5000/v2/a/manifests/latest");
    CHECK(first_url("r.example:5000/a", PlainHttp::loopback) ==
          "https://r.example:5000/v2/a/manifests/latest");
    CHECK(first_url("r.example:5000/a", PlainHttp::insecure) ==
          "http://r.example:5000/v2/a/manifests/latest");
    CHECK(first_url("python", PlainHttp::insecure) ==
          "https://registry-1.docker.io/v2/library/python/manifests/latest");
}
