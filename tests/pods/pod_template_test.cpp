#include "fairing/pods/pod_template.hpp"

#include <doctest/doctest.h>

#include "../support/workspace.hpp"

using namespace fairing;

namespace {
Json template_of(const KubernetesOptions& options, std::vector<Json>& objects) {
    const std::string namespace_ = "ml", role = "Worker", workload = "n";
    const Session session;
    PodContext context{namespace_, role, nullptr, session, objects, workload};
    const Image image{.reference = "r.example/a:1@sha256:0",
                      .command = {"python3", "/app/train.py", "$(HOME)"}};
    return pod_template(image, {.container = "fairing-job"}, options,
                        {.run_id = "abc", .name = "n", .deployer = "job"}, context);
}
}  // namespace

TEST_CASE(
    "a pod runs the image's command in its directory, as root, and is told that it is the job") {
    std::vector<Json> objects;
    CHECK(template_of({}, objects) == Json::parse(R"json({
        "metadata": {"labels": {"fairing-deployer": "job", "fairing-id": "abc"},
                     "annotations": {"sidecar.istio.io/inject": "false"}},
        "spec": {"restartPolicy": "Never", "containers": [{
            "name": "fairing-job", "image": "r.example/a:1@sha256:0",
            "command": ["python3", "/app/train.py", "$$(HOME)"], "workingDir": "/app/",
            "env": [{"name": "FAIRING_RUNTIME", "value": "1"}],
            "securityContext": {"runAsUser": 0}}]}})json"));
}

TEST_CASE("a mutator sees where the pod will live, and may add objects") {
    std::vector<Json> objects;
    const KubernetesOptions options{
        .labels = {{"team", "vision"}},
        .pod_spec_mutators = {[](PodSpec& pod, PodContext& context) {
            pod.json()["nodeSelector"]["role"] = context.role;
            context.objects.push_back({{"apiVersion", "v1"},
                                       {"kind", "ConfigMap"},
                                       {"metadata", {{"name", "pool-" + context.namespace_}}}});
        }}};
    CHECK(template_of(options, objects)["spec"]["nodeSelector"]["role"] == "Worker");
    const auto all =
        adopted(objects, options, {.run_id = "abc", .name = "n", .deployer = "job"}, "ml");
    CHECK(all.at(0) == Json::parse(R"({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "pool-ml", "namespace": "ml",
                     "labels": {"fairing-deployer": "job", "fairing-id": "abc", "team": "vision"}}})"));
}

TEST_CASE("a mutator's mistakes are errors of ours") {
    std::vector<Json> objects;
    const RunIdentity identity{.run_id = "abc", .name = "n", .deployer = "job"};
    CHECK(support::contains(
        support::error_of([&] {
            (void)template_of({.pod_spec_mutators = {[](PodSpec& pod, PodContext&) {
                                   pod.json()["containers"]["x"] = 1;
                               }}},
                              objects);
        }),
        "cannot change the pod of n: a mutator took the document for another one"));
    CHECK(support::contains(
        support::error_of([&] { (void)adopted({Json::object()}, {}, identity, "ml"); }),
        "without apiVersion"));
    CHECK(support::contains(support::error_of([&] {
                                (void)adopted({Json::parse(R"({"apiVersion": "v1", "kind": "Secret",
                                                "metadata": {"name": "A"}})")},
                                              {}, identity, "ml");
                            }),
                            "cannot use Secret name \"A\""));
}

TEST_CASE("an image that no cluster can pull is refused by name") {
    CHECK_NOTHROW(check_pullable({.reference = "r.example/a:1"}));
    for (const Location where : {Location::layout, Location::engine, Location::nowhere}) {
        const std::string refusal = support::error_of(
            [&] { check_pullable({.reference = "oci:/x@sha256:0", .location = where}); });
        CHECK(support::contains(refusal, "the image oci:/x@sha256:0"));
        CHECK(support::contains(refusal, "--registry"));
    }
}
