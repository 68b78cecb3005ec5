#include "fairing/pods/kubernetes_options.hpp"

#include <doctest/doctest.h>

#include "../support/mutated.hpp"
#include "../support/workspace.hpp"

using namespace fairing;

namespace {
struct Ship {
    KubernetesOptions kubernetes = {};
    int masts = 3;
};
}  // namespace

namespace fairing {
template <>
inline constexpr auto fields<Ship> = std::tuple_cat(fields_of_part(&Ship::kubernetes),
                                                    std::tuple{field("masts", &Ship::masts, "n")});
}  // namespace fairing

TEST_CASE("the options are flattened into the stage that has them") {
    const auto ship = stage_from<Ship>(Json::parse(R"({
        "namespace": "ml", "masts": 2, "labels": {"team": "vision"}, "cleanup": "never",
        "stream_log": false, "config_file": "/k", "start_timeout": 30,
        "resources": {"cpu": 1, "memory_gb": 5, "gpu_vendor": "amd"},
        "environment": {"A": "b"}, "volumes": ["pvc:data:/mnt", "secret:s:/s:k"],
        "image_pull_secrets": ["one", "two"]})"),
                                       "ship");
    CHECK(ship.masts == 2);
    CHECK(ship.kubernetes.namespace_ == "ml");
    CHECK(ship.kubernetes.labels.at("team") == "vision");
    CHECK(ship.kubernetes.cleanup == Cleanup::never);
    CHECK_FALSE(ship.kubernetes.stream_log);
    CHECK(ship.kubernetes.config_file == "/k");
    CHECK(ship.kubernetes.start_timeout == 30);
    CHECK(ship.kubernetes.resources.cpu == 1);
    CHECK(ship.kubernetes.resources.gpu_vendor == GpuVendor::amd);
    CHECK(ship.kubernetes.volumes.at(1).mount().sub_path == "k");
    CHECK(ship.kubernetes.image_pull_secrets.size() == 2);
}

TEST_CASE("a wrong value is named with what the key takes") {
    const auto refusal = [](const char* text) {
        return support::error_of([&] { (void)stage_from<Ship>(Json::parse(text), "ship"); });
    };
    CHECK(refusal(R"({"resources": {"cpu": "two"}})") ==
          "cannot read option cpu of resources of ship: it takes a number, not string");
    CHECK(support::contains(refusal(R"({"resources": {"cpus": 2}})"), "did you mean cpu?"));
    CHECK(support::contains(refusal(R"({"resources": 2})"), "not a JSON object"));
    CHECK(support::contains(refusal(R"({"cleanup": "soon"})"), "never, when-done, always"));
    CHECK(support::contains(refusal(R"({"namespce": "x"})"), "did you mean namespace?"));
    CHECK(support::contains(refusal(R"({"volumes": ["x"]})"), "cannot use volume"));
}

TEST_CASE("the plain options act before the caller's mutators") {
    KubernetesOptions options{.pod_spec_mutators = {add_env({{"A", "theirs"}})},
                              .resources = {.cpu = 2},
                              .environment = {{"A", "ours"}, {"B", "b"}},
                              .volumes = {"pvc:data:/mnt"},
                              .node_selector = {{"disk", "ssd"}},
                              .service_account = "trainer",
                              .image_pull_secrets = {"one"},
                              .priority_class = "low"};
    support::Mutated one;
    for (const PodSpecMutator& each : all_mutators(options)) {
        one.apply(each);
    }
    CHECK(one.container()["env"] ==
          Json::parse(R"([{"name": "A", "value": "theirs"}, {"name": "B", "value": "b"}])"));
    CHECK(one.container()["resources"]["limits"]["cpu"] == "2");
    CHECK(one.container()["volumeMounts"][0]["mountPath"] == "/mnt");
    CHECK(one.pod.json()["serviceAccountName"] == "trainer");
    CHECK(one.pod.json()["imagePullSecrets"][0]["name"] == "one");
    CHECK(one.pod.json()["nodeSelector"]["disk"] == "ssd");
    CHECK(one.pod.json()["priorityClassName"] == "low");
}
