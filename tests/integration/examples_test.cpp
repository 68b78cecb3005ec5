// Fairing's own examples as programs of examples/: those that need no cluster, on a real base in a
// real registry, in containers of this machine. The rest of them: function_test.cpp,
// notebook_job_test.cpp and vertex_test.cpp; kube_examples_test.cpp, cluster_builder_test.cpp and
// serving_test.cpp for a cluster.
#include <doctest/doctest.h>

#include <string>

#include "../support/docker_site.hpp"
#include "../support/example_program.hpp"
#include "../support/podman_engine.hpp"

using namespace fairing;
using support::contains;
using support::count;
using support::launch_example;
using support::Launched;
using support::Site;

namespace {

/// The site, where what runs its images is there too.
const Site* example_site() {
    const Site* site = support::missing_examples() ? nullptr : Site::get();
    return site == nullptr || support::missing("crun") ? nullptr : site;
}

std::string into(const Site& site) {
    return "BASE=" + site.base() + " REGISTRY=" + site.host() + "/examples";
}

}  // namespace

TEST_CASE("Fairing's kubeflow-gke/main.py: a Python file, appended to a base and run") {
    const Site* site = example_site();
    if (site == nullptr) {
        return;
    }
    const Launched ran = launch_example("01_python", into(*site));
    CAPTURE(ran.said);
    CHECK(ran.exit_code == 0);
    CHECK(count(ran.output, " loss ") == 20);
    CHECK(contains(ran.output, "240 rows, features area_m2, rooms, age_years"));
    CHECK(ran.image().starts_with(site->host() + "/examples/fairing-job:"));
    CHECK(support::run("skopeo inspect --raw --tls-verify=false " + Site::docker_url(ran.image()))
              .exit_code == 0);
}

TEST_CASE("Fairing's notebook/hello-world.ipynb: the class of a file, whose train() is called") {
    const Site* site = example_site();
    if (site == nullptr) {
        return;
    }
    const Launched ran = launch_example("05_python_function", into(*site));
    CAPTURE(ran.said);
    CHECK(ran.exit_code == 0);
    CHECK(ran.output == "240 houses: price = 3.448 * area + 19.852\n");
}

TEST_CASE(
    "Fairing's kubernetes/main.py and kubeflow/main_ocp.py: built by append, docker and podman") {
    const auto* docker = support::missing_examples() ? nullptr : support::DockerSite::get();
    if (docker == nullptr || support::missing("crun") || support::missing("podman")) {
        return;
    }
    const support::PodmanEngine podman;
    if (!podman.running()) {
        MESSAGE("skipped: podman's service does not start here");
        return;
    }
    const std::string variables = into(docker->site()) + " DOCKER_HOST=unix://" +
                                  docker->engine().socket() + " CONTAINER_HOST=unix://" +
                                  podman.socket();
    std::string tag;
    for (const std::string builder : {"append", "docker", "podman"}) {
        CAPTURE(builder);
        const Launched ran = launch_example(
            "06_builders", variables, builder + " '{\"image_name\": \"by-" + builder + "\"}'");
        CAPTURE(ran.said);
        REQUIRE(ran.exit_code == 0);
        CHECK(count(ran.output, " loss ") == 20);
        const std::string start = docker->site().host() + "/examples/by-" + builder + ':';
        CHECK(ran.image().starts_with(start));
        // That of the Dockerfile with its context, whoever builds it; append has none.
        const std::string own = ran.image().substr(start.size(), 12);
        CHECK((own == tag) == (builder == "podman"));
        tag = own;
    }
    const Launched misspelt = launch_example("06_builders", variables, "dokcer");
    CHECK(misspelt.exit_code == 64);
    CHECK(contains(misspelt.said, "did you mean docker?"));
}
