#include "fairing/net/proxy.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

using namespace fairing;
using net::parse_url;
using net::ProxySettings;

namespace {

/// Whether the proxy stands before `url` with these exceptions.
bool used(const std::string& exceptions, const std::string& url) {
    const ProxySettings settings{
        .http = Secret{"http://p:1"}, .https = Secret{"http://p:2"}, .exceptions = exceptions};
    return !settings.proxy_for(parse_url(url)).empty();
}

}  // namespace

TEST_CASE("a proxy by the scheme of the peer, never for this machine") {
    const ProxySettings settings{.http = Secret{"p:1"}, .https = Secret{"http://me:x@p:2"}};
    CHECK(settings.proxy_for(parse_url("http://r.example/")).reveal() == "http://p:1");
    CHECK(settings.proxy_for(parse_url("https://r.example/")).reveal() == "http://me:x@p:2");
    for (const char* near : {"http://localhost:5000/", "https://127.0.0.1/", "http://[::1]/",
                             "http+unix://%2Frun%2Fdocker.sock/"}) {
        CHECK(settings.proxy_for(parse_url(near)).empty());
    }
    CHECK(ProxySettings{}.proxy_for(parse_url("https://r.example/")).empty());
}

TEST_CASE("NO_PROXY: names and what is below them, addresses, networks, ports") {
    const std::string name = "https://r.example.com:5000/";
    for (const char* entry :
         {"*", "r.example.com", "example.com", ".example.com", "*.example.com", "com",
          "EXAMPLE.com", "r.example.com:5000", "other, example.com ,x", "a,,example.com"}) {
        CAPTURE(entry);
        CHECK_FALSE(used(entry, name));
    }
    for (const char* entry : {"", ",", "ample.com", "r.example.com:443", "example.com.",
                              "10.0.0.0/8", ".r.example.com", "x.r.example.com", "r.example"}) {
        CAPTURE(entry);
        CHECK(used(entry, name));
    }
    CHECK_FALSE(used("10.1.2.3", "http://10.1.2.3/"));
    CHECK_FALSE(used("10.1.2.3:80", "http://10.1.2.3/"));
    CHECK_FALSE(used("10.0.0.0/8", "http://10.1.2.3/"));
    CHECK_FALSE(used("10.1.2.0/23", "http://10.1.3.255/"));
    CHECK_FALSE(used("0.0.0.0/0", "http://10.1.3.255/"));
    CHECK_FALSE(used("fd00::/8", "http://[fd00::1]/"));
    CHECK_FALSE(used("fd00::1", "http://[fd00:0::1]/"));
    CHECK_FALSE(used("[fd00::1]:80", "http://[fd00::1]/"));
    for (const char* entry : {"10.1.2.0/24", "10.1.2.3:443", "10.0.0.0/33", "10.0.0.0/", "/8",
                              "x/8", "10.0.0.0/x", "3", "fd00::/8"}) {
        CAPTURE(entry);
        CHECK(used(entry, "http://10.1.3.3/"));
    }
}

TEST_CASE("the environment, in both spellings; a CGI program is not told by its clients") {
    const auto set = [](const char* name, const char* value) {
        value == nullptr ? ::unsetenv(name) : ::setenv(name, value, 1);
    };
    for (const char* name : {"http_proxy", "https_proxy", "no_proxy", "REQUEST_METHOD"}) {
        REQUIRE(std::getenv(name) == nullptr);
        REQUIRE(std::getenv("HTTP_PROXY") == nullptr);
    }
    set("HTTP_PROXY", "large:1");
    set("https_proxy", "small:2");
    set("HTTPS_PROXY", "large:2");
    set("NO_PROXY", "a,b");
    CHECK(net::environment_proxies().http.reveal() == "large:1");
    CHECK(net::environment_proxies().https.reveal() == "small:2");
    CHECK(net::environment_proxies().exceptions == "a,b");
    set("REQUEST_METHOD", "GET");
    CHECK(net::environment_proxies().http.empty());
    for (const char* name :
         {"HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "NO_PROXY", "REQUEST_METHOD"}) {
        set(name, nullptr);
    }
    CHECK(net::environment_proxies().https.empty());
}
