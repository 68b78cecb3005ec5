#include "fairing/pods/pod_spec.hpp"

#include <doctest/doctest.h>

using namespace fairing;

TEST_CASE("a variable, a volume, a mount and a pull secret are set once each") {
    PodSpec pod;
    pod.set_env("A", "1");
    pod.set_env("B", "2");
    pod.set_env("A", "3");
    CHECK(pod.container()["env"] == Json::parse(R"([{"name": "A", "value": "3"},
                                                    {"name": "B", "value": "2"}])"));
    pod.set_volume({{"name", "v"}, {"emptyDir", Json::object()}});
    pod.set_volume({{"name", "v"}, {"secret", {{"secretName", "s"}}}});
    CHECK(pod.json()["volumes"] ==
          Json::parse(R"([{"name": "v", "secret": {"secretName": "s"}}])"));
    pod.set_mount({{"name", "v"}, {"mountPath", "/a"}});
    pod.set_mount({{"name", "w"}, {"mountPath", "/a"}});
    CHECK(pod.container()["volumeMounts"] == Json::parse(R"([{"name": "w", "mountPath": "/a"}])"));
    pod.add_image_pull_secret("s");
    pod.add_image_pull_secret("s");
    CHECK(pod.json()["imagePullSecrets"] == Json::parse(R"([{"name": "s"}])"));
}

TEST_CASE("text that Kubernetes would expand is made to mean itself") {
    CHECK(literal_text("plain") == "plain");
    CHECK(literal_text("$(HOME) $$") == "$$(HOME) $$$$");
}
