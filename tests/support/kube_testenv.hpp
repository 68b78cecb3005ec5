// tests/support/kube_testenv.hpp - a Kubernetes control plane and one node for the tests of a
// program: tools/kube-testenv prepares it, and the tests may stop and start its parts.
#pragma once

#include <doctest/doctest.h>
#include <signal.h>

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "child_process.hpp"
#include "fairing/core/env.hpp"
#include "fairing/core/files.hpp"
#include "kube_api.hpp"
#include "shell.hpp"
#include "test_kubelet.hpp"

namespace support {

/// Whether `condition` becomes true within a time that a loaded machine keeps.
template <class Condition>
bool in_time(const Condition& condition, std::chrono::seconds limit = std::chrono::seconds{120}) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) {
            return false;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds{20});
    }
    return true;
}

class KubeTestenv {
public:
    /// The one of this program; nullptr, and the reason as a message, where there is none. What an
    /// earlier test stopped runs again.
    static KubeTestenv* get() {
        static std::string reason;
        static const std::unique_ptr<KubeTestenv> environment = make(reason);
        if (!environment) {
            MESSAGE("skipped: " << reason);
            return nullptr;
        }
        environment->start_all();
        return environment.get();
    }

    [[nodiscard]] std::string server() const { return state_["server"]; }
    [[nodiscard]] int port() const {
        const std::string url = server();
        return std::stoi(url.substr(url.rfind(':') + 1));
    }
    [[nodiscard]] std::string ca() const { return state_["ca"]; }
    [[nodiscard]] std::string token() const { return state_["tokens"]["admin"]; }
    /// Of a user without any right.
    [[nodiscard]] std::string nobody_token() const { return state_["tokens"]["nobody"]; }
    [[nodiscard]] std::string kubeconfig() const { return state_["kubeconfig"]; }
    [[nodiscard]] std::filesystem::path folder() const { return folder_.path(); }
    [[nodiscard]] const KubeApi& api() const { return *api_; }
    [[nodiscard]] TestKubelet& kubelet() { return *kubelet_; }
    [[nodiscard]] std::string kubectl_program() const {
        return state_["assets"].get<std::string>() + "/kubectl";
    }
    [[nodiscard]] ShellResult kubectl(const std::string& arguments) const {
        return run(kubectl_program() + " --kubeconfig " + kubeconfig() + ' ' + arguments + " 2>&1");
    }

    /// A fresh one, in which pods can be made.
    [[nodiscard]] std::string new_namespace() {
        const std::string name = "test-" + std::to_string(++namespaces_);
        REQUIRE(api().post("/api/v1/namespaces", {{"metadata", {{"name", name}}}}).ok());
        REQUIRE(in_time([&] {
            return api().get("/api/v1/namespaces/" + name + "/serviceaccounts/default").ok();
        }));
        return name;
    }

    /// SIGKILL: "etcd", "kube-apiserver", …
    void stop(const std::string& name) { running_.erase(name); }
    /// Starts it on its old port and waits until it says that it is ready.
    void start(const std::string& name) {
        for (const fairing::Json& process : state_["processes"]) {
            if (process["name"] == name && !running_.contains(name)) {
                launch(process);
            }
        }
    }

private:
    KubeTestenv() = default;

    static std::unique_ptr<KubeTestenv> make(std::string& reason) {
        const std::string source = fairing::env("FAIRING_SOURCE_ROOT", "");
        if (source.empty()) {
            reason = "FAIRING_SOURCE_ROOT is not set";
            return nullptr;
        }
        const std::string tool = source + "/tools/kube-testenv";
        if (const ShellResult found = run(tool + " where 2>&1"); found.exit_code != 0) {
            reason = found.output;
            return nullptr;
        }
        std::unique_ptr<KubeTestenv> result{new KubeTestenv};
        const std::string folder = (result->folder_.path() / "kube").string();
        const ShellResult prepared = run(tool + " prepare --folder " + folder + " 2>&1");
        if (prepared.exit_code != 0) {
            throw std::runtime_error{prepared.output};
        }
        result->state_ =
            fairing::parse_json(fairing::read_file(folder + "/testenv.json"), "testenv.json");
        result->api_.emplace(result->server(), result->token(), make_transport(result->ca()));
        result->start_all();
        result->start_node();
        return result;
    }

    void start_all() {
        for (const fairing::Json& process : state_["processes"]) {
            if (!running_.contains(process["name"].get<std::string>())) {
                launch(process);
            }
        }
    }
    void launch(const fairing::Json& process) {
        const std::string name = process["name"];
        const std::string log = process["log"];
        running_.emplace(name, std::make_unique<fairing::test::ChildProcess>(
                                   process["command"].get<std::vector<std::string>>(), log));
        const std::string ready = process["ready"];
        const auto answers = [&] {
            try {
                // The token goes to etcd too, which is ours.
                const std::size_t path = ready.rfind('/');
                return KubeApi{ready.substr(0, path), token(), make_transport(ca())}
                           .text(ready.substr(path))
                           .find(name == "etcd" ? "true" : "ok") != std::string::npos;
            } catch (const fairing::Error&) {
                return false;
            }
        };
        if (!ready.empty() && !in_time(answers)) {
            throw std::runtime_error{name + " does not get ready:\n" +
                                     run("tail -n 20 " + log).output};
        }
    }
    void start_node() {
        const fairing::Json& kubelet = state_["kubelet"];
        kubelet_ = std::make_unique<TestKubelet>(
            *api_,
            TlsFiles{
                .certificate = kubelet["certificate"], .key = kubelet["key"], .client_ca = ca()},
            make_transport());
    }

    fairing::TemporaryDirectory folder_ = fairing::TemporaryDirectory{};
    fairing::Json state_ = {};
    std::map<std::string, std::unique_ptr<fairing::test::ChildProcess>> running_ = {};
    std::optional<KubeApi> api_ = {};
    int namespaces_ = 0;
    std::unique_ptr<TestKubelet> kubelet_ = {};
};

}  // namespace support
