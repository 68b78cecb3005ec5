#include "fairing/pods/credentials.hpp"

#include <doctest/doctest.h>

#include "../support/mutated.hpp"
#include "../support/workspace.hpp"
#include "fairing/kube/client.hpp"

using namespace fairing;

namespace {

/// The mutator as a deployer with a client calls it.
std::vector<Json> objects_of(const PodSpecMutator& mutator, const Session& session, PodSpec& pod) {
    const std::string namespace_ = "ml", role, workload = "job-1";
    const kube::Client client{{.server = "https://k.example"}, session.transport, {}};
    std::vector<Json> objects;
    PodContext context{namespace_, role, &client, session, objects, workload};
    mutator(pod, context);
    mutator(pod, context);  // another role
    return objects;
}

Session session_with(const std::string& user, const std::string& password) {
    return {.credentials = [=](const CredentialRequest&) {
        return std::optional{Credential{.user = user, .password = Secret{password}}};
    }};
}

}  // namespace

TEST_CASE("a secret of the cluster is named once") {
    support::Mutated one;
    one.apply(image_pull_secret("regcred")).apply(image_pull_secret("regcred"));
    CHECK(one.pod.json()["imagePullSecrets"] == Json::parse(R"([{"name": "regcred"}])"));
    CHECK(support::contains(support::error_of([] { (void)image_pull_secret("A b"); }),
                            "cannot use image pull secret"));
}

TEST_CASE("only the entry of the image's own registry goes into the secret") {
    const support::Workspace place;
    place.file("config.json", R"({"auths": {"r.example:5000": {"auth": "dTpw"},
                                            "other.example": {"auth": "eDp5"}}})");
    PodSpec pod;
    pod.container()["image"] = "r.example:5000/team/job:1";
    const auto objects =
        objects_of(docker_credentials({.files = {place / "config.json"}}), {}, pod);
    REQUIRE(objects.size() == 1);
    CHECK(objects[0]["type"] == "kubernetes.io/dockerconfigjson");
    CHECK(objects[0]["metadata"]["name"] == "job-1-docker");
    CHECK(codec::base64_decode(objects[0]["data"][".dockerconfigjson"].get<std::string>()) ==
          R"({"auths":{"r.example:5000":{"auth":"dTpw"}}})");
    CHECK(pod.json()["imagePullSecrets"] == Json::parse(R"([{"name": "job-1-docker"}])"));
}

TEST_CASE("the program's own credentials come first, and Docker Hub has a key of its own") {
    PodSpec pod;
    pod.container()["image"] = "docker.io/library/python:3.11";
    const auto objects = objects_of(docker_credentials(), session_with("u", "p"), pod);
    CHECK(codec::base64_decode(objects[0]["data"][".dockerconfigjson"].get<std::string>()) ==
          R"({"auths":{"https://index.docker.io/v1/":{"auth":"dTpw"}}})");
}

TEST_CASE("without credentials it is an error that says what to do, and names no other host") {
    const support::Workspace place;
    place.file("config.json", R"({"auths": {"other.example": {"auth": "eDp5"}}})");
    PodSpec pod;
    pod.container()["image"] = "r.example/team/job:1";
    CHECK(support::error_of([&] {
              (void)objects_of(docker_credentials({.files = {place / "config.json"}}), {}, pod);
          }) ==
          "cannot give the cluster credentials for r.example: this machine has none; log in "
          "(docker login r.example), or name a secret of the cluster with --image-pull-secrets");

    support::Log log;
    const Session session{.log = log.control().log};
    CHECK(objects_of(docker_credentials_if_exists({.files = {place / "config.json"}}), session, pod)
              .empty());
    CHECK_FALSE(pod.json().contains("imagePullSecrets"));
    CHECK(log.lines.size() == 2);  // for two roles
}

TEST_CASE("offline no file is read, and what is shown hides its content") {
    support::Mutated one;
    one.pod.container()["image"] = "r.example/team/job:1";
    one.apply(docker_credentials({.files = {"/nowhere"}}));
    REQUIRE(one.objects.size() == 1);
    Json secret = one.objects[0];
    CHECK(codec::base64_decode(secret["data"][".dockerconfigjson"].get<std::string>()) == "{}");
    secret["data"] = {{".dockerconfigjson", "c2VjcmV0"}, {"password", "c2VjcmV0"}};
    secret["stringData"] = {{"key", "secret"}};
    const Json shown = redacted(secret);
    CHECK(shown["data"] ==
          Json::parse(R"({".dockerconfigjson": "e30=", "password": "cmVkYWN0ZWQ="})"));
    CHECK(shown["stringData"]["key"] == "redacted");
    CHECK(redacted(Json{{"kind", "ConfigMap"}, {"data", {{"a", "b"}}}})["data"]["a"] == "b");
}
