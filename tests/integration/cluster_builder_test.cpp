// Images built in a cluster: a real API server and registry, the test kubelet, and in its pods
// Debian's buildah behind Kaniko's arguments (tests/support/kaniko_by_buildah). Kaniko itself is
// not run: no registry of modules or packages that the tests reach has it.
#include <doctest/doctest.h>

#include <memory>
#include <string>

#include "../support/docker_registry.hpp"
#include "../support/example_program.hpp"
#include "../support/kube_testenv.hpp"
#include "../support/shell.hpp"
#include "../support/site.hpp"
#include "../support/workspace.hpp"

using namespace fairing;
using support::contains;
using support::count;
using support::run;
using support::ShellResult;
using support::text_of;

namespace {

/// A namespace, and the image of the builder in the site's registry.
class ClusterSite {
public:
    static std::unique_ptr<ClusterSite> make() {
        const support::Site* site = support::Site::get();
        if (site == nullptr || support::missing("buildah") || support::missing("umoci")) {
            return nullptr;
        }
        support::KubeTestenv* kube = support::KubeTestenv::get();
        return kube == nullptr ? nullptr
                               : std::unique_ptr<ClusterSite>{new ClusterSite{*site, *kube}};
    }

    /// `fairing SUBCOMMAND ARGUMENTS`, built in the cluster and pushed to `host`.
    [[nodiscard]] std::string command(const std::string& subcommand, const std::string& arguments,
                                      const std::string& host = {}) const {
        return site.command() + ' ' + subcommand + ' ' + arguments + " --builder cluster" +
               " --base-image " + site.base() + " --registry " +
               (host.empty() ? site.host() : host) + "/demo --kaniko-image " + site.host() +
               "/kaniko:1 --context-image " + site.base() + " --kubeconfig " + kube.kubeconfig() +
               " --namespace " + space;
    }
    [[nodiscard]] ShellResult fairing(const std::string& subcommand, const std::string& arguments,
                                      const std::string& host = {}) const {
        return run("cd " + site.source() + " && " + command(subcommand, arguments, host) + " 2>" +
                   (folder / "errors"));
    }
    [[nodiscard]] std::string errors() const { return text_of(folder / "errors"); }
    /// A Dockerfile whose build runs that, as the option that names it.
    [[nodiscard]] std::string dockerfile(const std::string& shell) const {
        folder.file("Dockerfile",
                    "FROM " + site.base() + "\nRUN [\"sh\", \"-c\", \"" + shell + "\"]\n");
        return " --dockerfile " + (folder / "Dockerfile");
    }
    /// Nothing of a build is left in the cluster, nor its context in the registry.
    [[nodiscard]] bool is_clean() const {
        const std::string root = "/api/v1/namespaces/" + space;
        return support::in_time([&] {
                   return items("/apis/batch/v1/namespaces/" + space + "/jobs") == 0 &&
                          items(root + "/pods") == 0 &&
                          items(root + "/secrets?labelSelector=fairing-id") == 0;
               }) &&
               run("skopeo list-tags --tls-verify=false docker://" + site.host() +
                   "/demo/fairing-job 2>&1")
                       .output.find("fairing-context-") == std::string::npos;
    }
    [[nodiscard]] std::size_t items(const std::string& path) const {
        return kube.api().get(path).body["items"].size();
    }

    const support::Site& site;
    support::KubeTestenv& kube;
    std::string space;
    support::Workspace folder = {};

private:
    ClusterSite(const support::Site& registry, support::KubeTestenv& testenv)
        : site(registry), kube(testenv), space(testenv.new_namespace()) {
        const std::string layout = folder / "kaniko";
        const ShellResult made = run(
            "cd " + site.source() + " && " + site.command() +
            " build tests/support/kaniko_by_buildah --path-prefix /kaniko/ --base-image scratch"
            " --tag 1 --quiet --registry oci:" +
            layout + " && umoci config --image " + layout +
            ":1 --clear config.cmd --config.entrypoint /kaniko/tests/support/kaniko_by_buildah"
            " --config.env DOCKER_CONFIG=/kaniko/.docker && skopeo copy -q --dest-tls-verify=false"
            " oci:" +
            layout + ":1 docker://" + site.host() + "/kaniko:1 2>&1");
        REQUIRE_MESSAGE(made.exit_code == 0, made.output);
    }
};

}  // namespace

TEST_CASE(
    "Fairing's kubernetes-in-cluster-builder/main.py: the same context by append and by a cluster, "
    "the same losses; nothing is left") {
    const auto cluster = ClusterSite::make();
    if (!cluster || support::missing("crun") || support::missing_examples()) {
        return;
    }
    const std::string train = "examples/train.py --input examples/data";
    const ShellResult built = cluster->fairing("build", train);
    CAPTURE(cluster->errors());
    REQUIRE(built.exit_code == 0);
    CHECK(count(built.output, "\n") == 1);
    const std::string reference = built.output.substr(0, built.output.size() - 1);
    CHECK(reference.starts_with(cluster->site.host() + "/demo/fairing-job:"));
    CHECK(cluster->errors().find("COMMIT " + reference.substr(0, reference.find('@'))) !=
          std::string::npos);
    // The digest that the pod left is the registry's.
    CHECK(run("skopeo inspect --tls-verify=false --format '{{.Digest}}' docker://" +
              reference.substr(0, reference.find('@')))
              .output == reference.substr(reference.find('@') + 1) + '\n');
    CHECK(cluster->is_clean());

    const Json fields{{"namespace", cluster->space},
                      {"config_file", cluster->kube.kubeconfig()},
                      {"kaniko_image", cluster->site.host() + "/kaniko:1"},
                      {"context_source", {{"image", cluster->site.base()}}}};
    const std::string variables =
        "BASE=" + cluster->site.base() + " REGISTRY=" + cluster->site.host() + "/demo";
    const support::Launched ran =
        support::launch_example("06_builders", variables, "cluster '" + fields.dump() + '\'');
    CHECK_MESSAGE(ran.exit_code == 0, ran.said);
    CHECK(count(ran.output, "loss") == 20);
    CHECK(contains(ran.said, "COMMIT "));
    CHECK(cluster->is_clean());
    const support::Launched appended = support::launch_example("06_builders", variables);
    CHECK(ran.output == appended.output);
}

TEST_CASE("a RUN that fails: the log's last lines, exit code 65, and nothing is left") {
    const auto cluster = ClusterSite::make();
    if (!cluster) {
        return;
    }
    const ShellResult built = cluster->fairing(
        "build", "examples/train.py" + cluster->dockerfile("echo what went wrong; exit 7"));
    CAPTURE(cluster->errors());
    CHECK(built.exit_code == 65);
    CHECK(built.output.empty());
    const std::string errors = cluster->errors();
    const std::size_t last = errors.find("its last words: ");
    REQUIRE(last != std::string::npos);
    CHECK(errors.find("what went wrong", last) != std::string::npos);
    CHECK(cluster->is_clean());
}

TEST_CASE("Ctrl-C while it builds leaves no Job, no Secret, no context and no builder") {
    const auto cluster = ClusterSite::make();
    if (!cluster) {
        return;
    }
    const ShellResult ran =
        run("cd " + cluster->site.source() + " && env --default-signal=INT " +
            cluster->command(
                "build", "examples/train.py" + cluster->dockerfile("echo it builds; sleep 4713")) +
            " >" + (cluster->folder / "out") +
            " 2>&1 & pid=$!; for i in $(seq 1800); do grep -q "
            "'^it builds' " +
            (cluster->folder / "out") +
            " && break; sleep 0.1; done; kill -INT $pid; wait $pid; echo code $?");
    CAPTURE(text_of(cluster->folder / "out"));
    CHECK(ran.output.find("code 130") != std::string::npos);
    CHECK(cluster->is_clean());
    CHECK(support::in_time([] { return run("pgrep -f 'sleep 471[3]'").exit_code != 0; }));
}

TEST_CASE("a registry that asks who one is: only its credentials go to the cluster") {
    const auto cluster = ClusterSite::make();
    if (!cluster) {
        return;
    }
    const support::DockerRegistry closed{support::DockerRegistry::Users::htpasswd};
    REQUIRE(closed.running());
    cluster->folder.file("docker/config.json", R"({"auths": {")" + closed.host() +
                                                   R"(": {"auth": "bWU6czNjcmV0"},
        "elsewhere.example": {"auth": "eDp5"}}})");
    const std::string login = "DOCKER_CONFIG=" + (cluster->folder / "docker");
    const ShellResult built =
        run("cd " + cluster->site.source() + " && " + login + ' ' +
            cluster->command("build", "examples/train.py --builder-cleanup never", closed.host()) +
            " 2>" + (cluster->folder / "errors"));
    CAPTURE(cluster->errors());
    REQUIRE(built.exit_code == 0);
    CHECK(built.output.starts_with(closed.host() + "/demo/fairing-job:"));
    // The Job was kept, and its Secret with it.
    const Json secrets =
        cluster->kube.api()
            .get("/api/v1/namespaces/" + cluster->space + "/secrets?labelSelector=fairing-id")
            .body["items"];
    REQUIRE(secrets.size() == 1);
    CHECK(codec::base64_decode(secrets[0]["data"][".dockerconfigjson"].get<std::string>()) ==
          R"({"auths":{")" + closed.host() + R"(":{"auth":"bWU6czNjcmV0"}}})");
    const std::string jobs = "/apis/batch/v1/namespaces/" + cluster->space + "/jobs";
    const std::string name = cluster->kube.api().get(jobs).body["items"][0]["metadata"]["name"];
    CHECK(
        cluster->kube.api().remove(jobs + '/' + name, {{"propagationPolicy", "Background"}}).ok());
    CHECK(cluster->is_clean());  // the Job owns the Secret
}
