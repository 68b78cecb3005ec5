#include "fairing/builders/cluster/kaniko_job.hpp"

#include <doctest/doctest.h>

#include "../../support/workspace.hpp"

using namespace fairing;

TEST_CASE("plain and private registries by their hosts") {
    const std::vector<std::string> arguments =
        detail::kaniko_arguments({.context = "gs://b/k",
                                  .destination = "localhost:5000/x:1",
                                  .plain_hosts = {"localhost:5000"},
                                  .private_hosts = {"r.example"}});
    CHECK(arguments == std::vector<std::string>{
                           "--dockerfile=Dockerfile", "--context=gs://b/k",
                           "--destination=localhost:5000/x:1", "--digest-file=/dev/termination-log",
                           "--log-format=text", "--insecure-registry=localhost:5000",
                           "--skip-tls-verify-registry=localhost:5000",
                           "--registry-certificate=r.example=/kaniko/.docker/ca.pem"});
}

TEST_CASE("a secret with authorities of one's own") {
    PodSpec pod;
    std::vector<Json> objects;
    detail::add_registry_secret(pod, objects, "s", {{"auths", Json::object()}}, "PEM");
    REQUIRE(objects.size() == 1);
    CHECK(codec::base64_decode(objects[0]["data"]["ca.pem"].get<std::string>()) == "PEM");
    CHECK(pod.json()["volumes"][0]["secret"]["items"][1]["path"] == "ca.pem");
    CHECK(pod.json()["imagePullSecrets"][0]["name"] == "s");
}

TEST_CASE("free arguments are options, and none of ours") {
    for (const std::string good : {"--single-snapshot", "--build-arg=A=b c", "--label=x=$(y)"}) {
        CHECK_NOTHROW(detail::check_kaniko_arguments({good}));
    }
    for (const std::string bad : {"", "-", "--", "--=x", "destination", "-d", "--context=x",
                                  "--no-push", "--tar-path=/x", "--label=a\nb"}) {
        CAPTURE(bad);
        CHECK_FALSE(support::error_of([&] { detail::check_kaniko_arguments({bad}); }).empty());
    }
}

TEST_CASE("a digest is a container's that ended well, and nothing but a digest") {
    const std::string digest = "sha256:" + std::string(64, 'a');
    const auto found = [](int exit_code, const std::string& message) {
        return detail::digest_in(
            {Json::object(),
             {{"status",
               {{"containerStatuses",
                 Json::array({Json{
                     {"state",
                      {{"terminated", {{"exitCode", exit_code}, {"message", message}}}}}}})}}}}});
    };
    CHECK(found(0, digest) == digest);
    CHECK(found(0, digest + "\r\n") == digest);
    CHECK(found(1, digest).empty());
    for (const std::string& bad : {std::string{}, std::string{"sha256:abc"}, digest + " x",
                                   "x" + digest, digest + '\n' + digest}) {
        CHECK(found(0, bad).empty());
    }
    CHECK(detail::digest_in({}).empty());
}
