#include "fairing/registry/authenticator.hpp"

#include <doctest/doctest.h>

#include <functional>

#include "../support/scripted_transport.hpp"

using namespace fairing;
using namespace std::chrono_literals;
using registry::Authenticator;
using test::ScriptedTransport;

namespace {

const std::vector<std::string> pull = {"repository:team/job:pull"};
const std::vector<std::string> mount = {"repository:team/job:pull,push", "repository:base:pull"};

struct Fixture {
    ScriptedTransport script = {};
    std::chrono::system_clock::time_point now = std::chrono::system_clock::from_time_t(1000);
    Control control = {};
    Authenticator authenticator;

    explicit Fixture(CredentialsProvider credentials = {},
                     const std::string& registry = "https://r.example/")
        : authenticator("r.example", "team/job", net::parse_url(registry),
                        {.transport = std::ref(script),
                         .credentials = {.program = std::move(credentials)},
                         .retry = {.attempts = 2, .first_delay = 1ms}}) {
        control.clock = [this] { return now; };
    }
    std::string challenged(const std::string& challenge,
                           const std::vector<std::string>& scopes = pull,
                           const std::string& refused = {}) {
        return authenticator.refresh(scopes, refused, {{"Www-Authenticate", challenge}}, control);
    }
    std::string failure(const std::string& challenge) {
        try {
            (void)challenged(challenge);
        } catch (const Error& error) {
            return error.what();
        }
        return "no error";
    }
};

CredentialsProvider user(const std::string& name) {
    return [name](const CredentialRequest&) {
        return Credential{.user = name, .password = Secret{"geheim"}};
    };
}

const char* const bearer = R"(Bearer realm="https://auth.example/token",service="r example")";
const char* const pull_url =
    "https://auth.example/token?service=r%20example&scope=repository%3Ateam%2Fjob%3Apull";

net::Response token(const std::string& body) { return {.status = 200, .body = body}; }

}  // namespace

TEST_CASE("nothing is sent before the registry asks") {
    Fixture fixture{user("me")};
    CHECK(fixture.authenticator.authorization(pull, fixture.control).empty());
    CHECK(fixture.script.recorded().empty());
}

TEST_CASE("Basic is remembered, and refused once only") {
    Fixture fixture{user("me")};
    const std::string value = "Basic bWU6Z2VoZWlt";
    CHECK(fixture.challenged("Basic realm=x") == value);
    CHECK(fixture.authenticator.authorization(mount, fixture.control) == value);
    CHECK_THROWS_AS((void)fixture.challenged("Basic realm=x", pull, value), Error);
    CHECK(fixture.script.recorded().empty());
    Fixture anonymous;
    CHECK(anonymous.failure("Basic realm=x")
              .find("there are none; log in with `docker login r.example`") != std::string::npos);
}

TEST_CASE("tokens: anonymous and with a user, kept per scope until they expire") {
    Fixture fixture;
    fixture.script.expect("GET", pull_url, token(R"({"token":"one"})"))
        .expect("GET",
                "https://auth.example/"
                "token?service=r%20example&scope=repository%3Ateam%2Fjob%3Apull%2Cpush"
                "&scope=repository%3Abase%3Apull",
                token(R"({"access_token":"two","expires_in":5})"))
        .expect("GET", pull_url, token(R"({"token":"three","expires_in":1000})"));
    CHECK(fixture.challenged(bearer) == "Bearer one");
    CHECK(fixture.authenticator.authorization(mount, fixture.control) == "Bearer two");
    CHECK(fixture.authenticator.authorization(pull, fixture.control) == "Bearer one");
    fixture.now += 50s;  // expires_in is 60 at least, and it is renewed a tenth early
    CHECK(fixture.authenticator.authorization(mount, fixture.control) == "Bearer two");
    fixture.now += 5s;
    CHECK(fixture.authenticator.authorization(pull, fixture.control) == "Bearer three");
    CHECK(fixture.script.complaint().empty());
    CHECK(fixture.script.recorded()[0].header("Authorization").empty());

    Fixture named{user("me")};
    named.script.expect("GET", pull_url, token(R"({"token":"t"})"));
    CHECK(named.challenged(bearer) == "Bearer t");
    CHECK(named.script.recorded()[0].header("Authorization") == "Basic bWU6Z2VoZWlt");
}

TEST_CASE("a realm with a query keeps it") {
    Fixture fixture;
    fixture.script.expect("GET",
                          "https://auth.example/token?a=%2b&scope=repository%3Ateam%2Fjob%3Apull",
                          token(R"({"token":"t"})"));
    CHECK(fixture.challenged(R"(Bearer realm="https://auth.example/token?a=%2b")") == "Bearer t");
}

TEST_CASE("fault 14: a refused token is replaced; what another thread fetched meanwhile is used") {
    Fixture fixture;
    fixture.script.expect("GET", pull_url, token(R"({"token":"one"})"))
        .expect("GET", pull_url, token(R"({"token":"two"})"));
    CHECK(fixture.challenged(bearer) == "Bearer one");
    CHECK(fixture.challenged(bearer, pull, "Bearer zero") == "Bearer one");
    CHECK(fixture.challenged(bearer, pull, "Bearer one") == "Bearer two");
    CHECK(fixture.script.complaint().empty());
}

TEST_CASE("fault 17: an identity token is posted, and shown by GET where that is not known") {
    Fixture fixture{[](const CredentialRequest&) {
        return Credential{.user = "<token>", .password = Secret{"id/+"}};
    }};
    fixture.script.expect("POST", "https://auth.example/token", token(R"({"access_token":"one"})"))
        .expect("POST", "https://auth.example/token", {.status = 404})
        .expect("GET",
                "https://auth.example/"
                "token?service=r%20example&scope=repository%3Ateam%2Fjob%3Apull%2Cpush"
                "&scope=repository%3Abase%3Apull",
                token(R"({"token":"two"})"));
    CHECK(fixture.challenged(bearer) == "Bearer one");
    CHECK(fixture.script.recorded()[0].body ==
          "grant_type=refresh_token&client_id=fairing&service=r%20example&scope=repository%3Ateam%"
          "2Fjob%3Apull"
          "&refresh_token=id%2F%2B");
    CHECK(fixture.script.recorded()[0].header("Content-Type") ==
          "application/x-www-form-urlencoded");
    CHECK(fixture.authenticator.authorization(mount, fixture.control) == "Bearer two");
    CHECK(fixture.script.complaint().empty());
}

TEST_CASE("fault 17: a token server that says 401 to POST gets user and password by GET") {
    const std::string zeros = "00000000-0000-0000-0000-000000000000";
    Fixture fixture{[&](const CredentialRequest&) {
        return Credential{.user = zeros, .password = Secret{"refresh"}};
    }};
    fixture.script.expect("POST", "https://auth.example/token", {.status = 401})
        .expect("GET", pull_url, token(R"({"token":"one"})"));
    CHECK(fixture.challenged(bearer) == "Bearer one");
    CHECK(fixture.script.recorded()[0].body.ends_with("&refresh_token=refresh"));
    CHECK(fixture.script.recorded()[1].header("Authorization") ==
          "Basic " + codec::base64_encode(zeros + ":refresh"));
    Fixture refused{[](const CredentialRequest&) {
        return Credential{.user = "<token>", .password = Secret{"geheim"}};
    }};
    refused.script.expect("POST", "https://auth.example/token", {.status = 401});
    CHECK(refused.failure(bearer).find("401 Unauthorized") != std::string::npos);
    CHECK(refused.script.complaint().empty());
}

TEST_CASE("a password that is refused is looked for once more: it may be short-lived") {
    int asked = 0;
    Fixture fixture{[&](const CredentialRequest& request) {
        CHECK(request.host == "r.example");
        return Credential{.user = "AWS", .password = Secret{"p" + std::to_string(++asked)}};
    }};
    const std::string first = fixture.challenged("Basic realm=x");
    CHECK(first == "Basic " + codec::base64_encode("AWS:p1"));
    CHECK(fixture.challenged("Basic realm=x", pull, first) ==
          "Basic " + codec::base64_encode("AWS:p2"));
    CHECK(asked == 2);
}

TEST_CASE("a bearer token of the program is sent as it is") {
    Fixture fixture{[](const CredentialRequest&) { return Credential{.token = Secret{"own"}}; }};
    CHECK(fixture.challenged(bearer) == "Bearer own");
    CHECK(fixture.script.recorded().empty());
}

TEST_CASE("fault 15, 11: realms to which nothing is sent") {
    for (const std::string realm :
         {"", "http://auth.example/token", "https://me:geheim@auth.example/token",
          "ftp://auth.example/", "https://169.254.169.254/token",
          "https://[::ffff:169.254.169.254]/token", "https://0.0.0.0/",
          "http+unix://%2Frun%2Fdocker.sock/", "https://auth.example:999999/", "/token"}) {
        CAPTURE(realm);
        Fixture fixture{user("me")};
        const std::string what = fixture.failure("Bearer realm=\"" + realm + '"');
        CHECK(what.find("cannot get a token for r.example") == 0);
        CHECK(what.find("geheim") == std::string::npos);
        CHECK(fixture.script.recorded().empty());
    }
    Fixture plain{user("me"), "http://127.0.0.1:5000/"};
    CHECK(plain.failure(R"(Bearer realm="http://auth.example/token")")
              .find("plain http on another host") != std::string::npos);
    plain.script.expect("GET", "", token(R"({"token":"t"})"));
    CHECK(plain.challenged(R"(Bearer realm="http://localhost:5001/token")") == "Bearer t");
}

TEST_CASE("fault 15: answers that are no tokens") {
    for (const char* body :
         {"{}", R"({"token":""})", R"({"token":5})", "[]", "no json", R"({"token":"a\r\nX: y"})"}) {
        Fixture fixture{user("me")};
        fixture.script.expect("GET", pull_url, token(body));
        CHECK(fixture.failure(bearer) != "no error");
    }
    Fixture refused{user("me")};
    refused.script.expect("GET", pull_url, {.status = 401});
    CHECK(refused.failure(bearer) ==
          "cannot get a token for r.example from https://auth.example/token: 401 Unauthorized; "
          "check the credentials for r.example in the program");
    Fixture broken;
    broken.script.expect_broken("GET", pull_url).expect_broken("GET", pull_url);
    CHECK(broken.failure(bearer).find("after 2 attempts") != std::string::npos);
}

TEST_CASE("a scheme that we do not speak is named as such") {
    Fixture fixture;
    CHECK(fixture.failure("Negotiate").find("no authentication that we know") != std::string::npos);
    CHECK(fixture.failure("Bearer realm=\"x").find("unterminated") != std::string::npos);
}
