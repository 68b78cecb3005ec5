// The programs that show the public API, as users would write them (FAIRING_TEST_DATA/api, built by
// tools/test), run against real peers: what they call registry.example and docker.io is
// docker-registry behind TLS, and their cluster is the test's. They have these names from an
// /etc/hosts of their own.
#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <utility>

#include "../support/certificates.hpp"
#include "../support/example_program.hpp"
#include "../support/kube_testenv.hpp"
#include "../support/nginx.hpp"
#include "../support/operators.hpp"
#include "../support/seldon_double.hpp"
#include "../support/site.hpp"

using namespace fairing;
using support::contains;
using support::count;
using support::in_time;
using support::KubeTestenv;
using support::Launched;
using support::Nginx;
using support::run;
using support::Site;

namespace {

constexpr const char* address = "127.0.0.3";  // nobody else takes its port 443

/// The programs with the files that they package.
class Programs {
public:
    static std::unique_ptr<Programs> make() {
        const std::string folder = env("FAIRING_API_PROGRAMS", "");
        if (folder.empty() || support::missing("unshare")) {
            MESSAGE("skipped: FAIRING_API_PROGRAMS is not set: there are no programs of the API");
            return nullptr;
        }
        return std::unique_ptr<Programs>{new Programs{folder}};
    }

    /// In mounts of its own, where the known hosts are ours alone, and /var/cache is empty.
    [[nodiscard]] Launched launch(const std::string& name,
                                  const std::string& variables = {}) const {
        files_.file("hosts", hosts_);
        const support::ShellResult ran =
            run("cd " + files_.path().string() + " && unshare --mount sh -c '" +
                "mount --bind hosts /etc/hosts && mount --bind nsswitch /etc/nsswitch.conf && "
                "mount -t tmpfs none /var/cache && exec env " +
                variables + " timeout 300 " + folder_ + '/' + name + "' 2>" + (files_ / "said"));
        return {
            .exit_code = ran.exit_code, .output = ran.output, .said = read_file(files_ / "said")};
    }
    [[nodiscard]] const support::Workspace& files() const { return files_; }
    void add_host(const std::string& line) { hosts_ += line + '\n'; }

private:
    explicit Programs(std::string folder) : folder_(std::move(folder)) {
        files_.file("train.py",
                    "import os\nprint('epochs', os.environ.get('EPOCHS'), flush=True)\n");
        files_.file("nsswitch", "hosts: files\n");
        files_.file("data/houses.csv", "1\n");
        files_.file("mnist.py", "print('mnist')\n");
        files_.file("HousingServe.py",
                    "class HousingServe:\n    def predict(self, rows, names):\n"
                    "        return [[names[1], sum(row)] for row in rows]\n");
        files_.file("trained_ames_model.dat", "weights\n");
        write_file(files_ / "train.ipynb",
                   read_file(env("FAIRING_SOURCE_ROOT", ".") + "/examples/train.ipynb"));
    }

    std::string folder_, hosts_ = "127.0.0.1 localhost\n";
    support::Workspace files_ = {};
};

/// The registries and the cluster that the programs name.
class World {
public:
    /// Made once; nullptr, and the reason as a message, where something is missing.
    static World* get() {
        const Site* site = Site::get();
        auto programs = site == nullptr ? nullptr : Programs::make();
        KubeTestenv* kube = !programs || support::missing_nginx() ? nullptr : KubeTestenv::get();
        if (kube == nullptr) {
            return nullptr;
        }
        static World made{*site, std::move(programs), *kube};
        if (!made.front_->running()) {
            MESSAGE("skipped: no server can listen on port 443 of " << address);
            return nullptr;
        }
        return &made;
    }
    /// The same with what trains; nullptr also where that is missing.
    static const World* with_training() {
        const World* world = get();
        support::Operators* operators =
            world != nullptr ? support::Operators::get(world->kube) : nullptr;
        if (operators == nullptr) {
            return nullptr;
        }
        operators->start_training();
        return world;
    }
    World(World&&) = delete;
    World& operator=(World&&) = delete;
    ~World() = default;

    [[nodiscard]] Launched launch(const std::string& name, const std::string& more = {}) const {
        return programs->launch(name, "KUBECONFIG=" + kube.kubeconfig() +
                                          " SSL_CERT_FILE=" + certificates_.path("ca.pem") +
                                          " REGISTRY=registry.example/team FAIRING_CACHE=" +
                                          (programs->files() / "cache") + ' ' + more);
    }
    [[nodiscard]] std::size_t count(const std::string& path) const {
        return kube.api().get(path).body["items"].size();
    }
    void post(const std::string& path, const Json& object) const {
        const support::ApiAnswer made = kube.api().post(path, object);
        REQUIRE_MESSAGE(made.ok(), made.body.dump());
    }

    std::unique_ptr<Programs> programs;
    KubeTestenv& kube;

private:
    World(const Site& site, std::unique_ptr<Programs> given, KubeTestenv& testenv)
        : programs(std::move(given)), kube(testenv) {
        for (const char* base : {"library/python:3.11-slim", "library/debian:12-slim",
                                 "jupyter/scipy-notebook:python-3.11", "pytorch/pytorch:2.4.0",
                                 "seldonio/seldon-core-s2i-python3:1.18.0"}) {
            const auto copied =
                run("skopeo copy -q --src-tls-verify=false --dest-tls-verify=false docker://" +
                    site.base() + " docker://" + site.host() + '/' + base + " 2>&1");
            REQUIRE_MESSAGE(copied.exit_code == 0, copied.output);
        }
        std::string names;
        for (const std::string name : {"registry.example", "registry-1.docker.io"}) {
            programs->add_host(address + (' ' + name));
            names += (names.empty() ? "DNS:" : ",DNS:") + name;
        }
        const std::string folder = certificates_.directory.path().string();
        const auto signed_ = run(
            "cd " + folder +
            " && openssl req -newkey rsa:2048 -nodes -keyout world.key -out "
            "world.csr -subj /CN=world 2>&1 && echo subjectAltName=" +
            names +
            " >world && openssl x509 -req -in world.csr -CA ca.pem -CAkey ca.key -CAcreateserial "
            "-days 30 -extfile world -out world.pem 2>&1");
        REQUIRE_MESSAGE(signed_.exit_code == 0, signed_.output);
        const std::string port = site.host().substr(site.host().rfind(':') + 1);
        front_ = std::make_unique<Nginx>(
            "", std::string{"listen "} + address + ":443 ssl;\nssl_certificate " + folder +
                    "/world.pem;\nssl_certificate_key " + folder +
                    "/world.key;\nclient_max_body_size 0;\n" + Nginx::pass_to(std::stoi(port)));
        kube.mirrors().add("registry.example", "http://" + site.host());
        post("/api/v1/namespaces", {{"metadata", {{"name", "ml"}}}});
        REQUIRE(in_time(
            [&] { return kube.api().get("/api/v1/namespaces/ml/serviceaccounts/default").ok(); }));
    }

    support::Certificates certificates_ = {};
    std::unique_ptr<Nginx> front_ = {};
};

}  // namespace

TEST_CASE("API programs that need no peer: a layout, manifests, a transport of one's own") {
    const auto programs = Programs::make();
    if (!programs) {
        return;
    }
    const Launched built = programs->launch("05_build");
    CHECK(built.exit_code == 0);
    const std::string last =
        built.output.substr(built.output.rfind('\n', built.output.size() - 2) + 1);
    CHECK(contains(read_file(programs->files() / "build/image/index.json"),
                   last.substr(0, last.size() - 1)));

    const Launched rendered = programs->launch("06_render");
    CHECK(rendered.exit_code == 0);
    for (const char* kind : {"TFJob", "TrainJob"}) {
        CHECK(count(rendered.output, "\"kind\": \"" + std::string{kind} + '"') == 1);
    }
    CHECK(count(rendered.output, "\"kind\": \"Job\"") == 2);
    CHECK(count(rendered.output, "\"namespace\": \"prod\"") == 1);

    // Its transport answers every POST with 201, and begins no upload: the error is not caught.
    const Launched embedded = programs->launch("09_embed");
    CHECK(embedded.exit_code == 134);
    CHECK(contains(embedded.said, "registry.example/team/fairing-job: 201 Created"));

    // All others say that there is no registry; 08_serving does not catch it, and 04_ui shows it
    // nowhere.
    for (const std::string name :
         {"01_job", "02_function", "02b_functions", "03_notebook", "07_config", "08_serving"}) {
        CAPTURE(name);
        const Launched ran = programs->launch(name);
        CAPTURE(ran.said);
        CHECK(ran.exit_code == (name == "08_serving" ? 134 : 65));
        CHECK(contains(ran.said, "cannot read manifest docker.io/"));
    }
}

TEST_CASE("API 01_job and 07_config: a Python file as a Job") {
    const World* world = World::get();
    if (world == nullptr) {
        return;
    }
    world->kube.make_claim("ml", "datasets");
    for (const std::string name : {"01_job", "07_config"}) {
        CAPTURE(name);
        const Launched ran = world->launch(name);
        CAPTURE(ran.said);
        CHECK(ran.exit_code == 0);
        CHECK(ran.output == "epochs 10\n");
        CHECK(contains(ran.said, "image registry.example/team/fairing-job:"));
    }
    CHECK(in_time([&] { return world->count("/apis/batch/v1/namespaces/ml/jobs") == 0; }));

    const Launched lost = world->launch("07_config", "KUBECONFIG=/nowhere/kubeconfig");
    CHECK(lost.exit_code == 65);
    CHECK(contains(lost.said, "/nowhere/kubeconfig"));
}

TEST_CASE("API 04_ui: a run that is cancelled at once leaves nothing") {
    const World* world = World::get();
    if (world == nullptr) {
        return;
    }
    CHECK(world->launch("04_ui").exit_code == 0);
    CHECK(in_time([&] { return world->count("/api/v1/namespaces/ml/pods") == 0; }));
}

TEST_CASE("API 02_function and 02b_functions: C++ functions as a PyTorchJob and as Jobs") {
    const World* world = World::with_training();
    if (world == nullptr) {
        return;
    }
    const Launched ran = world->launch("02_function");
    CAPTURE(ran.said);
    CHECK(ran.exit_code == 0);
    // The master's end is that of the job; the workers are followed until then.
    CHECK(contains(ran.output, "rank 0 of 4\n"));
    CHECK(contains(ran.output, "--epochs\n"));
    const Launched several = world->launch("02b_functions");
    CAPTURE(several.said);
    CHECK(several.exit_code == 0);
    CHECK(count(several.said, "\nJob fairing-job-") == 2);
}

TEST_CASE("API 03_notebook: a job in an image without papermill says so") {
    const World* world = World::get();
    if (world == nullptr) {
        return;
    }
    const Launched ran = world->launch("03_notebook");
    CAPTURE(ran.said);
    CHECK(ran.exit_code == 65);
    CHECK(contains(ran.output, "there is no papermill here"));
    // Cleanup::never; those of other cases are on their way out.
    CHECK(in_time([&] { return world->count("/apis/batch/v1/namespaces/ml/jobs") == 1; }));
    CHECK(world->kube.kubectl("delete jobs --all --namespace ml").exit_code == 0);
}

TEST_CASE("API 08_serving: an endpoint is created, asked and removed") {
    const World* world = World::get();
    if (world == nullptr || support::machine_address().empty() || support::is_seldon_port_taken()) {
        return;
    }
    support::write_seldon_double(world->kube.programs() / "seldon-core-microservice");
    const Launched ran = world->launch("08_serving");
    CAPTURE(ran.said);
    CAPTURE(ran.output);
    CHECK(ran.exit_code == 0);
    CHECK(contains(ran.output,
                   ".ml.svc.cluster.local:5000/predict {\"data\":{\"ndarray\":[[\"area\",38]]}}"));
    CHECK(in_time([&] { return world->count("/apis/apps/v1/namespaces/ml/deployments") == 0; }));
}

TEST_CASE("API 10_policies: a builder of one's own, whose image no node can pull") {
    const World* world = World::with_training();
    if (world == nullptr) {
        return;
    }
    const std::string priorities = "/apis/scheduling.k8s.io/v1/priorityclasses",
                      node = "/api/v1/nodes/" + world->kube.kubelet().name();
    const auto label_node = [&](const Json& pool) {
        return world->kube.api().patch(node, {{"metadata", {{"labels", {{"pool", pool}}}}}}).ok();
    };
    world->post(priorities, {{"metadata", {{"name", "low"}}}, {"value", 1}});
    REQUIRE(label_node("spot-a"));
    const Launched ran = world->launch("10_policies");
    CAPTURE(ran.said);
    CHECK(ran.exit_code == 1);
    CHECK(contains(ran.said, "farm https://farm.example builds 1 files\n"));
    CHECK(contains(ran.said, "registry.example/farm/job:1@sha256:0"));
    CHECK(contains(ran.said, "InvalidImageName"));
    CHECK(label_node(nullptr));
    world->kube.api().remove(priorities + "/low");
}
