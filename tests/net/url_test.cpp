#include "fairing/net/url.hpp"

#include <doctest/doctest.h>

using namespace fairing;
using net::parse_url;
using net::resolve;

TEST_CASE("a URL is taken apart and put together again") {
    const net::Url url = parse_url("HTTPS://Registry.Example:5000/v2/a%2Fb?x=%2B%2F%3D&y#part");
    CHECK(url.scheme == "https");
    CHECK(url.host == "registry.example");
    CHECK(url.port == 5000);
    CHECK(url.target == "/v2/a%2Fb?x=%2B%2F%3D&y");
    CHECK(url.text() == "https://registry.example:5000/v2/a%2Fb?x=%2B%2F%3D&y");
    CHECK(parse_url("http://host").text() == "http://host/");
    CHECK(parse_url("http://host:80/").authority() == "host");
    CHECK(parse_url("https://host:80/").authority() == "host:80");
    CHECK(parse_url("https://host?q=1").target == "/?q=1");
    CHECK(parse_url("http://[::1]:5000/x").host == "::1");
    CHECK(parse_url("http://[::1]:5000/x").text() == "http://[::1]:5000/x");
}

TEST_CASE("a socket in the file system is a URL") {
    const net::Url url = parse_url("http+unix://%2Fvar%2Frun%2Fdocker.sock/v1.41/info?a=b");
    CHECK(url.host == "/var/run/docker.sock");
    CHECK(url.target == "/v1.41/info?a=b");
    CHECK(url.text() == "http+unix://%2Fvar%2Frun%2Fdocker.sock/v1.41/info?a=b");
    CHECK_THROWS_AS((void)parse_url("http+unix://relative.sock/"), Error);
    CHECK_THROWS_AS((void)parse_url("http+unix://%2Fa%0/"), Error);
    CHECK_THROWS_AS((void)parse_url("http+unix://%2Fa%00b/"), Error);
}

TEST_CASE("what is no URL of ours is refused") {
    for (const char* text :
         {"", "host", "ftp://host/", "http:host", "http:///path", "http://host:0/",
          "http://host:65536/", "http://host:999999/", "http://host:99999999999999999999/",
          "http://host:5x/", "http://a b/", "http://host/a b", "http://host/a\r\nX: y",
          "http://host/\x80", "http://[::1/", "http://[zz]/", "http://[::1]x/", "http://ho$t/",
          "http://host/\\"}) {
        CAPTURE(text);
        CHECK_THROWS_AS((void)parse_url(text), Error);
    }
}

TEST_CASE("user information is refused and not shown") {
    try {
        (void)parse_url("https://user:geheim@host/");
        FAIL("accepted");
    } catch (const Error& error) {
        CHECK(std::string{error.what()}.find("geheim") == std::string::npos);
        CHECK(std::string{error.what()}.find("host") != std::string::npos);
    }
}

TEST_CASE("references are resolved as in RFC 3986, 5.4") {
    const net::Url base = parse_url("http://a/b/c/d;p?q");
    const auto at = [&](const char* reference) { return resolve(base, reference).text(); };
    CHECK(at("g") == "http://a/b/c/g");
    CHECK(at("./g") == "http://a/b/c/g");
    CHECK(at("g/") == "http://a/b/c/g/");
    CHECK(at("/g") == "http://a/g");
    CHECK(at("//g") == "http://g/");
    CHECK(at("?y") == "http://a/b/c/d;p?y");
    CHECK(at("g?y") == "http://a/b/c/g?y");
    CHECK(at("g;x?y#s") == "http://a/b/c/g;x?y");
    CHECK(at("") == "http://a/b/c/d;p?q");
    CHECK(at(".") == "http://a/b/c/");
    CHECK(at("..") == "http://a/b/");
    CHECK(at("../g") == "http://a/b/g");
    CHECK(at("../../../g") == "http://a/g");
    CHECK(at("/./g") == "http://a/g");
    CHECK(at("/../g") == "http://a/g");
    CHECK(at("g.") == "http://a/b/c/g.");
    CHECK(at("./../g") == "http://a/b/g");
    CHECK(at("g?y/./x") == "http://a/b/c/g?y/./x");
    CHECK(at("https://other:1/x?y") == "https://other:1/x?y");
    CHECK_THROWS_AS((void)at("http://other:999999/"), Error);
    CHECK_THROWS_AS((void)at("ftp://other/"), Error);
    CHECK_THROWS_AS((void)at("/x\r\nY: z"), Error);
}

TEST_CASE("fault 9: the query of a Location stays byte for byte") {
    const net::Url base = parse_url("https://registry:5000/v2/n/blobs/uploads/");
    const char* query = "?_state=a%2B%2F%3D+b==&&x=%2b&y&=z";
    CHECK(resolve(base, std::string{"/v2/u/1"} + query).target == std::string{"/v2/u/1"} + query);
    CHECK(resolve(base, std::string{"https://cdn/u"} + query).target == std::string{"/u"} + query);
    CHECK(resolve(base, std::string{"1"} + query).target ==
          std::string{"/v2/n/blobs/uploads/1"} + query);
}

TEST_CASE("origins differ by scheme, host and port") {
    const auto same = [](const char* a, const char* b) {
        return net::same_origin(parse_url(a), parse_url(b));
    };
    CHECK(same("https://Host/a", "https://host:443/b"));
    CHECK_FALSE(same("https://host/", "http://host:443/"));
    CHECK_FALSE(same("https://host/", "https://host:444/"));
    CHECK_FALSE(same("https://host/", "https://host.example/"));
}

TEST_CASE("loopback is by name or address, and nothing that only looks like it") {
    for (const char* text :
         {"http://localhost:5000/", "http://127.0.0.1/", "http://127.1.2.3/", "http://[::1]/"}) {
        CHECK(net::is_loopback(parse_url(text)));
    }
    for (const char* text : {"http://127.0.0.1.example/", "http://localhost.example/",
                             "http://10.0.0.1/", "http://127.example/"}) {
        CHECK_FALSE(net::is_loopback(parse_url(text)));
    }
}

TEST_CASE("percent encoding leaves only unreserved characters") {
    CHECK(net::percent_encode("aZ0-._~/:+ =\xc3") == "aZ0-._~%2F%3A%2B%20%3D%C3");
}
