#include "fairing/stage/registry_access.hpp"

#include <doctest/doctest.h>

#include "../support/memory_registry.hpp"
#include "../support/workspace.hpp"

using namespace fairing;

namespace {

/// Two registries behind one transport: the mirror's host has "mirror" in its name.
struct TwoRegistries {
    support::MemoryRegistry mirror = {}, origin = {};
    std::vector<std::string> urls = {};

    net::Response send(const net::Request& request, const net::BodySink& sink,
                       std::stop_token stop) {
        urls.push_back(request.url);
        return (request.url.find("mirror") != std::string::npos ? mirror : origin)
            .send(request, sink, std::move(stop));
    }
};

}  // namespace

TEST_CASE("the table out of JSON; what is wrong in it is named") {
    const Registries table =
        parse_registries(Json::parse(R"({"r.example:5000": {"insecure": true, "ca_file": "a.pem"},
                        "docker.io": {"mirrors": ["m.example", "n.example/hub"]}})"));
    CHECK(table.at("r.example:5000").insecure);
    CHECK(table.at("r.example:5000").ca_file == "a.pem");
    CHECK(table.at("docker.io").mirrors == std::vector<std::string>{"m.example", "n.example/hub"});
    CHECK_THROWS_WITH_AS(static_cast<void>(parse_registries({{"r.example", {{"mirror", "m"}}}})),
                         doctest::Contains("did you mean mirrors?"), Error);
    CHECK_THROWS_WITH_AS(static_cast<void>(parse_registries({{"r.example", {{"insecure", 1}}}})),
                         doctest::Contains("registry r.example"), Error);
    CHECK_THROWS_AS(static_cast<void>(parse_registries(Json::array())), Error);
}

TEST_CASE("--mirror comes before what the table has, in its order") {
    Registries table{{"docker.io", {.mirrors = {"last.example"}}}};
    add_mirrors(table,
                {"docker.io=one.example", "docker.io=two.example:5000/hub", "r.example=x.y"});
    CHECK(table.at("docker.io").mirrors ==
          std::vector<std::string>{"one.example", "two.example:5000/hub", "last.example"});
    CHECK(table.at("r.example").mirrors == std::vector<std::string>{"x.y"});
    for (const char* wrong : {"docker.io", "=x", "docker.io=", ""}) {
        CAPTURE(wrong);
        CHECK_THROWS_WITH_AS(add_mirrors(table, {wrong}), doctest::Contains("HOST=MIRROR"), Error);
    }
}

TEST_CASE("a registry of the table may be spoken to in the clear, and only that one") {
    const Session session{.registries = {{"plain.example", {.insecure = true}}}};
    CHECK(registry_options(session, {}, "plain.example").plain_http ==
          registry::PlainHttp::insecure);
    CHECK(registry_options(session, {}, "other.example").plain_http ==
          registry::PlainHttp::loopback);
    CHECK(registry_options(session, {.insecure = true}, "other.example").plain_http ==
          registry::PlainHttp::insecure);
}

TEST_CASE("the client certificate is read when it is wanted, and what is missing is named") {
    const support::Workspace space;
    space.file("chain.pem", "the chain");
    space.file("key.pem", "the key");
    const auto certificate = fairing::detail::client_certificate(
        {.certificate = space / "chain.pem", .key = space / "key.pem"});
    CHECK(certificate({})->chain == "the chain");
    CHECK(certificate({})->key.reveal() == "the key");
    std::filesystem::remove(space / "key.pem");
    CHECK_THROWS_WITH_AS(static_cast<void>(certificate({})), doctest::Contains("key.pem"), Error);
    CHECK_FALSE(static_cast<bool>(fairing::detail::client_certificate({})));
}

TEST_CASE("a base is read from its mirror, by the mirror's path and never with the origin's host") {
    TwoRegistries both;
    both.mirror.repositories["hub/library/python"].manifests["3.11"] = {
        .media_type = std::string{oci::media_type::index}, .body = R"({"manifests":[]})"};
    both.origin.repositories["library/python"].manifests["3.12"] = {
        .media_type = std::string{oci::media_type::index},
        .body = R"({"manifests":[],"annotations":{}})"};
    Session session{.transport = std::ref(both)};
    add_mirrors(session.registries, {"docker.io=mirror.example:5000/hub"});
    const oci::Reference reference = oci::parse_reference("python:3.11");
    const auto store = through_mirrors(reference, open_store(reference, session), session);
    CHECK(store->find_manifest("3.11")->body == R"({"manifests":[]})");
    CHECK(both.urls == std::vector<std::string>{
                           "https://mirror.example:5000/v2/hub/library/python/manifests/3.11"});
    CHECK(store->find_manifest("3.12")->body.ends_with("{}}"));
    CHECK(both.urls.back() == "https://registry-1.docker.io/v2/library/python/manifests/3.12");
}

TEST_CASE("a mirror is a host") {
    const Session session{.registries = {{"docker.io", {.mirrors = {"mirror"}}}}};
    const oci::Reference reference = oci::parse_reference("python");
    CHECK_THROWS_WITH_AS(
        static_cast<void>(through_mirrors(reference, open_store(reference, session), session)),
        doctest::Contains("it has no host"), Error);
}

namespace {

/// AWS's registry and its service that gives passwords, which answer as they do.
struct EcrDouble {
    std::vector<std::string> asked = {};

    net::Response send(const net::Request& request, const net::BodySink& /*sink*/,
                       const std::stop_token& /*stop*/) {
        asked.push_back(request.method + ' ' + request.url);
        if (request.url == "https://api.ecr.eu-west-1.amazonaws.com/") {
            return {.status = 200,
                    .body = Json{{"authorizationData",
                                  Json::array({Json{
                                      {"authorizationToken", codec::base64_encode("AWS:pass")}}})}}
                                .dump()};
        }
        const std::string given = net::header(request.headers, "Authorization");
        if (given != "Basic " + codec::base64_encode("AWS:pass")) {
            return {.status = 401,
                    .headers = {{"WWW-Authenticate", "Basic realm=\"https://ecr/\""}}};
        }
        return {.status = 404};
    }
};

}  // namespace

TEST_CASE("a registry of a cloud is entered with the cloud's own credentials") {
    EcrDouble ecr;
    ::setenv("AWS_ACCESS_KEY_ID", "ID", 1);
    ::setenv("AWS_SECRET_ACCESS_KEY", "geheim", 1);
    const Session session{.transport = std::ref(ecr)};
    registry::ClientOptions options = registry_options(session);
    options.files = std::vector<std::filesystem::path>{};
    const auto store = registry::open_store(
        oci::parse_reference("123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/job:1"), options,
        {});
    CHECK_FALSE(store->find_manifest("1"));
    CHECK(ecr.asked.size() == 3);  // who asks is told to say so, gets the password, is heard
    CHECK(std::count(ecr.asked.begin(), ecr.asked.end(),
                     "POST https://api.ecr.eu-west-1.amazonaws.com/") == 1);
    ::unsetenv("AWS_ACCESS_KEY_ID");
    ::unsetenv("AWS_SECRET_ACCESS_KEY");
}
