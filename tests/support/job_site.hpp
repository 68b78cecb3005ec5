// tests/support/job_site.hpp - what the tests of `fairing run` in a cluster stand on: a namespace
// of a real API server, a registry, the command, and proxies between them.
#pragma once

#include <doctest/doctest.h>

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>

#include "api_proxy.hpp"
#include "docker_registry.hpp"
#include "fairing/core/env.hpp"
#include "fairing/core/files.hpp"
#include "kube_testenv.hpp"
#include "shell.hpp"
#include "tcp_proxy.hpp"
#include "workspace.hpp"

namespace support {

/// The command speaks to the API server and to the registry through proxies only.
class JobSite {
public:
    /// nullptr, and the reason as a message, where something is missing.
    static std::unique_ptr<JobSite> make() {
        KubeTestenv* testenv = KubeTestenv::get();
        if (testenv == nullptr) {
            return nullptr;
        }
        if (!fairing::env("FAIRING_COMMAND") || !fairing::test::has_program("docker-registry")) {
            MESSAGE("skipped: FAIRING_COMMAND is not set, or docker-registry is not installed");
            return nullptr;
        }
        std::unique_ptr<JobSite> site{new JobSite{*testenv}};
        REQUIRE(site->registry.running());
        return site;
    }

    /// What the images' names begin with.
    [[nodiscard]] std::string host() const { return "localhost:" + std::to_string(wire.port()); }
    /// Both streams together.
    [[nodiscard]] ShellResult run(const std::string& entry, const std::string& options = {}) const {
        const std::string output = folder / "output";
        return support::run(command("run " + entry, options) + " --kubeconfig " +
                            (folder / "kubeconfig") + " >" + output + " 2>&1; code=$?; cat " +
                            output + "; exit $code");
    }
    /// Whether run() says so while it runs.
    [[nodiscard]] bool says(const std::string& text) const {
        const std::string output = folder / "output";
        return in_time([&] {
            return std::filesystem::exists(output) &&
                   fairing::read_file(output).find(text) != std::string::npos;
        });
    }
    /// The command line of a subcommand that makes an image.
    [[nodiscard]] std::string command(const std::string& subcommand,
                                      const std::string& options = {}) const {
        return "cd " + *fairing::env("FAIRING_SOURCE_ROOT") + " && timeout 120 " +
               *fairing::env("FAIRING_COMMAND") + ' ' + subcommand +
               " --base-image scratch --registry " + host() + "/demo --deployer " + deployer +
               (with_namespace ? " --namespace " + space + ' ' : " ") + options;
    }
    /// Those of an example that deploys here.
    [[nodiscard]] std::string variables() const {
        return "KUBECONFIG=" + (folder / "kubeconfig") + " NAMESPACE=" + space +
               " BASE=scratch REGISTRY=" + host() + "/demo";
    }
    /// A program, and the option that makes its pod play `steps` instead of running it.
    [[nodiscard]] ShellResult play(const std::string& steps,
                                   const std::string& options = {}) const {
        return run(program("print('unused')"), "--annotation '" + scripted(steps) + "' " + options);
    }
    /// The annotation that does so.
    [[nodiscard]] static std::string scripted(const std::string& steps) {
        return std::string{script_annotation} + "={\"*\":[" + steps + "]}";
    }
    [[nodiscard]] std::string program(const std::string& text) const {
        folder.file("program.py", text + '\n');
        return folder / "program.py";
    }
    [[nodiscard]] std::size_t count(const std::string& path) const {
        return kube.api().get(path).body["items"].size();
    }
    [[nodiscard]] std::string jobs() const {
        return "/apis/batch/v1/namespaces/" + space + "/jobs";
    }
    [[nodiscard]] std::string pods() const { return "/api/v1/namespaces/" + space + "/pods"; }
    /// Those of runs.
    [[nodiscard]] std::string secrets() const {
        return "/api/v1/namespaces/" + space + "/secrets?labelSelector=fairing-id";
    }
    /// Nothing of a run is left; pods go a moment after their Job.
    [[nodiscard]] bool is_clean() const {
        return in_time(
            [&] { return count(jobs()) == 0 && count(pods()) == 0 && count(secrets()) == 0; });
    }

    KubeTestenv& kube;
    std::string deployer = "job";
    bool with_namespace = true;
    std::string space;
    Workspace folder = {};
    DockerRegistry registry = DockerRegistry{};
    TcpProxy wire;
    ApiProxy proxy;

private:
    explicit JobSite(KubeTestenv& testenv)
        : kube(testenv),
          space(testenv.new_namespace()),
          wire(registry.port()),
          proxy(testenv.server(), testenv.token(), make_transport(testenv.ca())) {
        using fairing::Json;
        folder.file(
            "kubeconfig",
            Json{{"current-context", "one"},
                 {"clusters",
                  Json::array({{{"name", "c"}, {"cluster", {{"server", proxy.url()}}}}})},
                 {"contexts", Json::array({{{"name", "one"}, {"context", {{"cluster", "c"}}}}})}}
                .dump());
    }
};

}  // namespace support
