// The builders that need an engine, with real ones: dockerd and podman's service build the example
// on a real base, push it to real registries, and take what the builder append makes. What is
// missing is skipped.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <set>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "../support/docker_site.hpp"
#include "../support/podman_engine.hpp"
#include "../support/variables.hpp"
#include "../support/workspace.hpp"
#include "fairing/backends.hpp"
#include "fairing/deployers/local.hpp"
#include "fairing/pods/pod_template.hpp"

using namespace fairing;
using namespace std::chrono_literals;
using support::DockerSite;
using support::ShellResult;

namespace {

/// An engine, and the builder that is for it.
struct Target {
    std::string builder = {}, socket = {};

    [[nodiscard]] std::string options() const {
        return " --builder " + builder + " --engine " + socket + ' ';
    }
    [[nodiscard]] engine::Engine connect() const {
        return engine::Engine::connect(net::default_transport(), std::filesystem::path{socket});
    }
    [[nodiscard]] Image build(DockerBuilder stage, const Context& context,
                              const Session& session = {}) const {
        stage.engine = socket;
        if (builder == "docker") {
            return stage.build(context, session);
        }
        return PodmanBuilder{.base_image = stage.base_image,
                             .registry = stage.registry,
                             .push = stage.push,
                             .dockerfile_path = stage.dockerfile_path,
                             .engine = socket}
            .build(context, session);
    }
};

/// The site's dockerd, and podman's service where it starts; podman is made once.
std::vector<Target> targets(const DockerSite& site) {
    static const std::unique_ptr<support::PodmanEngine> podman = [] {
        return fairing::test::has_program("podman") && ::geteuid() == 0
                   ? std::make_unique<support::PodmanEngine>()
                   : nullptr;
    }();
    std::vector<Target> result{{"docker", site.engine().socket()}};
    if (podman && podman->running()) {
        result.push_back({"podman", podman->socket()});
    } else {
        MESSAGE("skipped: podman's service does not start here");
    }
    return result;
}

const std::string example = "examples/train.py --input examples/data ";

/// A file of the context, written into `space`.
void add_file(Context& context, const support::Workspace& space, const std::string& name,
              const std::string& text, const std::string& folder = "/app/") {
    space.file(name, text);
    context.files.push_back(
        {.source = space / name, .destination = folder + name, .size = text.size()});
    std::sort(context.files.begin(), context.files.end(),
              [](const auto& a, const auto& b) { return a.destination < b.destination; });
}

std::string output_of(const Workload& workload) {
    std::string output;
    const Outcome end =
        workload.follow([&output](const OutputLine& line) { output += line.text + '\n'; });
    CHECK(end.state == State::succeeded);
    return output;
}

/// Containers and unfinished names that a build left in the engine.
std::string left_in(const Target& target) {
    const std::string client = target.builder == "docker"
                                   ? "docker -H unix://" + target.socket
                                   : "podman --remote --url unix://" + target.socket;
    return support::run(client + " ps -aq; " + client + " images -q fairing-failed").output;
}

}  // namespace

TEST_CASE("append, docker and podman make images of one context that print the same") {
    const DockerSite* site = DockerSite::get();
    if (site == nullptr) {
        return;
    }
    const ShellResult appended = site->run_job(example);
    REQUIRE(appended.exit_code == 0);
    CHECK(support::count(appended.output, "epoch") == 20);
    std::set<std::string> tags;
    for (const Target& target : targets(*site)) {
        CAPTURE(target.builder);
        const std::string reference = site->site().build_job(example + target.options() +
                                                             "--image-name by-" + target.builder);
        const std::string start = site->site().host() + "/demo/by-" + target.builder + ':';
        REQUIRE(reference.starts_with(start));
        tags.insert(reference.substr(start.size(), 12));
        const ShellResult built = site->engine().run_image(reference);
        CHECK(built.exit_code == 0);
        CHECK(built.output == appended.output);
        CHECK(support::contains(site->site().errors(), "FROM " + site->site().base()));
        // A local run needs no registry.
        const ShellResult run = site->site().fairing("run " + example + target.options() +
                                                     "--base-image " + site->site().base());
        CHECK(run.exit_code == 0);
        CHECK(run.output == appended.output);
    }
    CHECK(tags.size() == 1);  // that of Dockerfile and context, whoever builds them
}

TEST_CASE("--load puts an appended image into either engine, without a registry") {
    const DockerSite* site = DockerSite::get();
    if (site == nullptr) {
        return;
    }
    const std::string expected = site->run_job(example).output;
    for (const Target& target : targets(*site)) {
        CAPTURE(target.builder);
        const std::string loading =
            example + " --load --engine " + target.socket + " --base-image " + site->site().base();
        const ShellResult built = site->site().fairing("build " + loading);
        CHECK(built.exit_code == 0);
        CHECK(built.output.starts_with("sha256:"));
        CHECK(target.connect().has_image(built.output.substr(0, built.output.size() - 1)));
        const ShellResult run = site->site().fairing("run " + loading);
        CHECK(run.exit_code == 0);
        CHECK(run.output == expected);
        const support::Workspace space;
        Context context{.command = {"python3", "-c", "print('loaded')"}};
        add_file(context, space, "file", "x");
        const Image image = AppendBuilder{.base_image = site->site().base(),
                                          .image_name = "loaded",
                                          .load = true,
                                          .engine = target.socket}
                                .build(context, {});
        CHECK(target.connect().has_image("loaded:" + image.tag));
        CHECK(output_of(LocalDeployer{}.deploy(image, {})) == "loaded\n");
        CHECK_THROWS_WITH_AS(check_pullable(image), doctest::Contains("no cluster can pull"),
                             Error);
    }
}

TEST_CASE("registries with users: the base is pulled and the image pushed as the user") {
    const DockerSite* site = DockerSite::get();
    if (site == nullptr) {
        return;
    }
    const support::DockerRegistry guarded{support::DockerRegistry::Users::htpasswd};
    REQUIRE(guarded.running());
    REQUIRE(support::run("skopeo copy -q --src-tls-verify=false --dest-tls-verify=false "
                         "--dest-creds me:s3cret docker://" +
                         site->site().base() + " docker://" + guarded.host() + "/base:latest")
                .exit_code == 0);
    const support::Workspace space;
    for (const Target& target : targets(*site)) {
        CAPTURE(target.builder);
        const std::string command = "build " + example + target.options() + "--base-image " +
                                    guarded.host() + "/base:latest --registry " + guarded.host() +
                                    "/team";
        const auto build_as = [&](const std::string& user) {
            space.file("config.json", "{\"auths\":{\"" + guarded.host() + "\":{\"auth\":\"" +
                                          codec::base64_encode(user) + "\"}}}");
            return site->site().fairing(command, "env DOCKER_CONFIG=" + space.path().string());
        };
        const ShellResult refused = build_as("me:wr0ng");
        CHECK(refused.exit_code != 0);
        CHECK_FALSE(support::contains(site->site().errors(), "wr0ng"));
        const ShellResult built = build_as("me:s3cret");
        CHECK_MESSAGE(built.exit_code == 0, site->site().errors());
        const std::string reference = built.output.substr(0, built.output.find('\n'));
        CHECK(support::run("skopeo inspect --raw --tls-verify=false --creds me:s3cret " +
                           support::Site::docker_url(reference))
                  .exit_code == 0);
    }
}

TEST_CASE("a step that fails is an error with its last words, and leaves nothing; so does a stop") {
    const DockerSite* site = DockerSite::get();
    if (site == nullptr) {
        return;
    }
    const support::Workspace space;
    const std::string from = "FROM " + site->site().base() + "\nRUN echo no such luck; ";
    space.file("failing", from + "exit 3\n");
    space.file("endless", from + "sleep 300\n");
    for (const Target& target : targets(*site)) {
        CAPTURE(target.builder);
        const ShellResult failed =
            site->site().fairing("build examples/train.py --no-push --image-name fairing-failed" +
                                 target.options() + "--dockerfile " + space / "failing");
        CHECK(failed.exit_code == 65);
        CHECK(failed.output.empty());
        CHECK(support::contains(site->site().errors(), "its last words: no such luck"));

        std::stop_source source;
        std::atomic<bool> said = false;
        Session session{.stop = source.get_token(), .log = [&said](const LogRecord& record) {
                            said = said || support::contains(record.text, "no such luck");
                        }};
        const std::jthread stopper{[&](const std::stop_token& done) {
            for (int i = 0; i < 3000 && !said && !done.stop_requested(); ++i) {
                std::this_thread::sleep_for(100ms);
            }
            source.request_stop();
        }};
        CHECK_THROWS_AS(
            static_cast<void>(target.build({.push = false, .dockerfile_path = space / "endless"},
                                           Context{}, session)),
            Cancelled);
        CHECK(said);
        std::string left;
        for (int i = 0; i < 1200 && !(left = left_in(target)).empty(); ++i) {
            std::this_thread::sleep_for(100ms);
        }
        CHECK(left.empty());
    }
}

TEST_CASE("row 46: hostile names, values and words reach neither a shell nor the Dockerfile") {
    const DockerSite* site = DockerSite::get();
    if (site == nullptr) {
        return;
    }
    const support::Workspace space;
    Context context;
    const std::vector<std::string> names = {"$(touch pwned)", "-flag", "a\"b'c", "two words",
                                            "`id`.py"};
    for (const std::string& name : names) {
        add_file(context, space, name, "x");
    }
    context.environment = {{"VALUE", "\"$(touch /pwned)\" `id` ${HOME} \\ 'x' #\\"}};
    context.search_paths = {{"PYTHONPATH", "/app/$HOME"}};
    context.command = {"python3", "-c",
                       "import os, sys\nprint(sorted(os.listdir('.')))\n"
                       "print(os.environ['VALUE'])\nprint(os.environ['PYTHONPATH'])\n"
                       "print(sys.argv[1:])",
                       "$(touch /pwned)\n\"", "-flag"};
    std::string listed;
    for (const std::string name : {"$(touch pwned)", "-flag", "`id`.py", "a\"b\\'c", "two words"}) {
        listed += (listed.empty() ? "'" : ", '") + name + '\'';
    }
    const std::string expected = '[' + listed + "]\n" + context.environment.at("VALUE") +
                                 "\n/app/$HOME\n['$(touch /pwned)\\n\"', '-flag']\n";
    for (const Target& target : targets(*site)) {
        CAPTURE(target.builder);
        const Image image =
            target.build({.base_image = site->site().base(), .push = false}, context);
        CHECK(output_of(LocalDeployer{}.deploy(image, {})) == expected);
        Context refused = context;
        refused.working_directory = "/$(touch /pwned)";
        CHECK_THROWS_WITH_AS(static_cast<void>(target.build(
                                 {.base_image = site->site().base(), .push = false}, refused)),
                             doctest::Contains("write to a Dockerfile"), Error);
    }
}

TEST_CASE("requirements are installed before the code is copied, and files land elsewhere, too") {
    const DockerSite* site = DockerSite::get();
    if (site == nullptr) {
        return;
    }
    const support::Workspace space;
    // The base has no pip: this one says what it was asked for and installs a module.
    Context base;
    add_file(base, space, "__main__.py",
             "import sys\nprint(sys.argv[1:], open(sys.argv[-1]).read())\n"
             "open('/usr/lib/python3/dist-packages/wanted.py', 'a').write('times = 1\\n')\n",
             "/usr/lib/python3/dist-packages/pip/");
    Context context{.command = {"python3", "/app/train.py"}};
    add_file(context, space, "requirements.txt", "numpy\n");
    add_file(context, space, "train.py", "import wanted\nprint(open('/etc/job.conf').read())\n");
    add_file(context, space, "job.conf", "one", "/etc/");
    for (const Target& target : targets(*site)) {
        CAPTURE(target.builder);
        const Image with_pip =
            target.build({.base_image = site->site().base(), .push = false}, base);
        const std::string name = "localhost/with-pip";
        target.connect().tag(with_pip.reference, name, "1");
        std::vector<std::string> said;
        const Session session{
            .log = [&said](LogRecord record) { said.push_back(std::move(record.text)); }};
        const auto build = [&] {
            said.clear();
            return target.build({.base_image = name + ":1", .push = false}, context, session);
        };
        const auto runs_pip = [&said] {
            return std::any_of(said.begin(), said.end(), [](const std::string& line) {
                return support::contains(line, "'/app/requirements.txt'] numpy");
            });
        };
        CHECK(output_of(LocalDeployer{}.deploy(build(), {})) == "one\n");
        CHECK(runs_pip());
        // An edit of the code takes the step as it is.
        add_file(context, space, "added.py", "pass\n");
        CHECK(output_of(LocalDeployer{}.deploy(build(), {})) == "one\n");
        CHECK_FALSE(runs_pip());
        std::erase_if(context.files,
                      [](const ContextFile& file) { return file.destination == "/app/added.py"; });
        if (target.builder != "docker") {
            continue;
        }
        // A backend finds this engine, and leaves to it what appending can not do.
        said.clear();
        const support::Variables found{{{"DOCKER_HOST", "unix://" + target.socket}}};
        const BackendBuilder backend{.base_image = name + ":1",
                                     .registry = site->site().host() + "/demo",
                                     .image_name = "by-backend"};
        const Image chosen = backend.build(context, session);
        CHECK(chosen.reference.starts_with(site->site().host() + "/demo/by-backend:"));
        CHECK(site->engine().run_image(chosen.reference).output == "one\n");
    }
}

TEST_CASE("an engine elsewhere: TLS by DOCKER_HOST and by a context, and neither without the key") {
    if (DockerSite::get() == nullptr || !fairing::test::has_program("openssl")) {
        MESSAGE("skipped: needs dockerd and openssl");
        return;
    }
    const support::Workspace space;
    const std::string folder = space.path().string();
    const std::string context = folder + "/config/contexts/";
    const std::string id = codec::sha256_hex(std::string_view{"far"});
    const std::string tls = context + "tls/" + id + "/docker";
    REQUIRE(
        support::run(
            "mkdir -p " + tls + " && cd " + tls +
            " && exec 2>&1 && openssl req -x509 -newkey rsa:2048 -nodes -keyout ca-key.pem -out "
            "ca.pem -subj /CN=ca -days 2 && for who in server client; do openssl req -newkey "
            "rsa:2048 -nodes -keyout $who-key.pem -out $who.csr -subj /CN=$who && printf "
            "'subjectAltName=DNS:localhost,IP:127.0.0.1\\nextendedKeyUsage=serverAuth,"
            "clientAuth\\n' > ext && openssl x509 -req -in $who.csr -CA ca.pem -CAkey "
            "ca-key.pem -CAcreateserial -out $who.pem -days 2 -extfile ext || exit 1; done; cp "
            "client.pem cert.pem; cp client-key.pem key.pem")
            .exit_code == 0);
    const std::string host = "tcp://localhost:" + std::to_string(fairing::test::free_port());
    space.folder("docker");
    const support::DockerEngine far{
        space / "docker", "-H " + host + " --tlsverify --tlscacert " + tls + "/ca.pem --tlscert " +
                              tls + "/server.pem --tlskey " + tls + "/server-key.pem"};
    if (!far.running()) {
        MESSAGE("skipped: a second dockerd does not start here");
        return;
    }
    space.file("config/contexts/meta/" + id + "/meta.json",
               Json{{"Name", "far"}, {"Endpoints", {{"docker", {{"Host", host}}}}}}.dump());
    const DockerSite& site = *DockerSite::get();
    const std::string build =
        "build " + example + "--builder docker --no-push --base-image scratch ";
    const std::string by_host = "env DOCKER_HOST=" + host + " DOCKER_CONFIG=" + folder;
    const ShellResult first =
        site.site().fairing(build, by_host + " DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH=" + tls);
    CHECK_MESSAGE(first.exit_code == 0, site.site().errors());
    const ShellResult second =
        site.site().fairing(build, "env DOCKER_CONTEXT=far DOCKER_CONFIG=" + folder + "/config");
    CHECK_MESSAGE(second.exit_code == 0, site.site().errors());
    CHECK(second.output == first.output);
    CHECK(support::contains(site.site().errors(), "context:far has the image as fairing-job:"));
    std::filesystem::remove(tls + "/key.pem");
    CHECK(site.site()
              .fairing(build, by_host + " DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH=" + tls)
              .exit_code == 69);
    CHECK(site.site().fairing(build, by_host).exit_code == 69);
    CHECK_MESSAGE(support::contains(site.site().errors(), host), site.site().errors());
}
