// The cluster that the other tests stand on: real etcd, API server, controllers and scheduler; logs
// go through the API server to the test kubelet.
#include <doctest/doctest.h>

#include <string>

#include "../support/kube_testenv.hpp"
#include "../support/process_table.hpp"

using fairing::Json;
using support::in_time;
using support::KubeTestenv;

namespace {

Json scripted_pod(const std::string& name, const Json& steps,
                  const std::string& restart = "Never") {
    return {{"apiVersion", "v1"},
            {"kind", "Pod"},
            {"metadata",
             {{"name", name},
              {"annotations", {{support::script_annotation, Json{{"*", steps}}.dump()}}}}},
            {"spec",
             {{"restartPolicy", restart},
              {"containers", Json::array({{{"name", "main"}, {"image", "none"}}})}}}};
}

std::string phase_of(const KubeTestenv& kube, const std::string& path) {
    return fairing::text_or(kube.api().get(path).body.value("status", Json::object()), "phase");
}

}  // namespace

TEST_CASE("the test kubelet: a Job becomes a pod, its log comes through the API server, it ends") {
    KubeTestenv* kube = KubeTestenv::get();
    if (kube == nullptr) {
        return;
    }
    const std::string space = kube->new_namespace();
    Json pod = scripted_pod("unused", Json::parse(R"([[{"say":"one\ntwo"},{"lines":2}]])"));
    pod["metadata"].erase("name");
    const Json job = {{"metadata", {{"name", "job"}}},
                      {"spec",
                       {{"backoffLimit", 0},
                        {"template", {{"metadata", pod["metadata"]}, {"spec", pod["spec"]}}}}}};
    REQUIRE(kube->api().post("/apis/batch/v1/namespaces/" + space + "/jobs", job).ok());
    CHECK(kube->kubectl("wait -n " + space + " --for=condition=Complete job/job --timeout=120s")
              .exit_code == 0);
    CHECK(kube->kubectl("logs -n " + space + " job/job").output == "one\ntwoline 0\nline 1\n");
}

TEST_CASE("the test kubelet: restarts keep the log of the run before; exit codes and reasons") {
    KubeTestenv* kube = KubeTestenv::get();
    if (kube == nullptr) {
        return;
    }
    const std::string pods = "/api/v1/namespaces/" + kube->new_namespace() + "/pods";
    const Json steps = Json::parse(
        R"([[{"say":"first\n"},{"exit":137,"reason":"OOMKilled"}], [{"say":"second"},{"exit":0}]])");
    REQUIRE(kube->api().post(pods, scripted_pod("crash", steps, "OnFailure")).ok());
    REQUIRE(in_time([&] { return phase_of(*kube, pods + "/crash") == "Succeeded"; }));
    const Json status = kube->api().get(pods + "/crash").body["status"]["containerStatuses"][0];
    CHECK(status["restartCount"] == 1);
    CHECK(status["lastState"]["terminated"]["reason"] == "OOMKilled");
    CHECK(kube->api().text(pods + "/crash/log?previous=true") == "first\n");
    CHECK(kube->api().text(pods + "/crash/log") == "second");
}

TEST_CASE("the test kubelet: images that can not be had, missing secrets, evictions") {
    KubeTestenv* kube = KubeTestenv::get();
    if (kube == nullptr) {
        return;
    }
    const std::string pods = "/api/v1/namespaces/" + kube->new_namespace() + "/pods";
    const auto waits_for = [&](const std::string& name, const std::string& reason) {
        return in_time([&] {
            const Json pod = kube->api().get(pods + '/' + name).body;
            const Json statuses = pod["status"].value("containerStatuses", Json::array());
            return !statuses.empty() && statuses[0]["state"].contains("waiting") &&
                   statuses[0]["state"]["waiting"]["reason"] == reason;
        });
    };
    const auto plain = [](const std::string& name, const std::string& image) {
        Json pod = scripted_pod(name, {});
        pod["metadata"].erase("annotations");
        pod["spec"]["containers"][0]["image"] = image;
        return pod;
    };
    const std::string nowhere = "localhost:" + std::to_string(fairing::test::free_port()) + "/x:y";
    REQUIRE(kube->api().post(pods, plain("no-image", nowhere)).ok());
    REQUIRE(kube->api().post(pods, plain("bad-name", "UPPER:not/a name")).ok());
    REQUIRE(
        kube->api()
            .post(pods, scripted_pod("evicted", Json::parse(R"([[{"evict":"low on memory"}]])")))
            .ok());
    CHECK(waits_for("no-image", "ImagePullBackOff"));
    CHECK(waits_for("bad-name", "InvalidImageName"));
    CHECK(in_time([&] { return phase_of(*kube, pods + "/evicted") == "Failed"; }));
    CHECK(kube->api().get(pods + "/evicted").body["status"]["reason"] == "Evicted");
    for (const std::string name : {"no-image", "bad-name", "evicted"}) {
        kube->api().remove(pods + '/' + name);
        CHECK(in_time([&] { return kube->api().get(pods + '/' + name).status == 404; }));
    }
}

TEST_CASE(
    "the test environment: the API server and etcd can be killed and come back as they were") {
    KubeTestenv* kube = KubeTestenv::get();
    if (kube == nullptr) {
        return;
    }
    const std::string space = kube->new_namespace();
    kube->stop("kube-apiserver");
    CHECK_THROWS_AS(static_cast<void>(kube->api().get("/version")), fairing::Error);
    kube->stop("etcd");
    kube->start("etcd");
    kube->start("kube-apiserver");
    CHECK(kube->api().get("/api/v1/namespaces/" + space).ok());
}

TEST_CASE("kube-testenv: up prints a kubeconfig and has a node, down leaves nothing") {
    const KubeTestenv* kube = KubeTestenv::get();
    const auto node = fairing::env("FAIRING_TEST_KUBELET");
    if (kube == nullptr || !node) {
        MESSAGE("skipped: no binaries, or FAIRING_TEST_KUBELET is not set");
        return;
    }
    const std::string tool = *fairing::env("FAIRING_SOURCE_ROOT") + "/tools/kube-testenv ";
    const std::string folder = (kube->folder() / "up").string();
    const support::ShellResult up =
        support::run(tool + "up --folder " + folder + " --kubelet " + *node);
    CHECK(up.exit_code == 0);
    CHECK(up.output == folder + "/kubeconfig\n");
    const support::ShellResult nodes = support::run(kube->kubectl_program() + " --kubeconfig " +
                                                    folder + "/kubeconfig get nodes 2>&1");
    CHECK_MESSAGE(nodes.output.find(" Ready ") != std::string::npos, nodes.output);
    CHECK(support::run(tool + "down --folder " + folder + " 2>&1").exit_code == 0);
    CHECK(!std::filesystem::exists(folder));
    CHECK(support::processes_with(folder + '/').empty());
}
