// tests/support/kube_testenv.hpp - a Kubernetes control plane and one node for the tests of a
// program: tools/kube-testenv prepares it, and the tests may stop and start its parts.
#pragma once

#include <doctest/doctest.h>
#include <signal.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <stop_token>
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

/// What a node is told about registries: those of one name are elsewhere.
class Mirrors {
public:
    void add(const std::string& host, const std::string& url) {
        const std::lock_guard lock{mutex_};
        urls_["https://" + host + '/'] = url + '/';
    }
    /// The transport of a node that knows that.
    [[nodiscard]] fairing::net::AnyTransport before(const fairing::net::AnyTransport& next) const {
        return Before{*this, next};
    }

private:
    struct Before {
        const Mirrors& mirrors;
        fairing::net::AnyTransport next;
        fairing::net::Response send(fairing::net::Request request,
                                    const fairing::net::BodySink& sink,
                                    const std::stop_token& stop) const {
            {
                const std::lock_guard lock{mirrors.mutex_};
                for (const auto& [from, to] : mirrors.urls_) {
                    if (request.url.starts_with(from)) {
                        request.url.replace(0, from.size(), to);
                    }
                }
            }
            return next.send(request, sink, stop);
        }
    };

    mutable std::mutex mutex_;
    std::map<std::string, std::string> urls_ = {};
};

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
    /// Of the node.
    [[nodiscard]] Mirrors& mirrors() noexcept { return mirrors_; }
    /// A folder of programs that pods find on their PATH.
    [[nodiscard]] std::filesystem::path programs() const { return folder_.path() / "bin"; }
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

    /// A claim to a volume, and the volume. (The test kubelet mounts nothing; see pod_runner.hpp.)
    void make_claim(const std::string& space, const std::string& name) const {
        const std::string volume = space + '-' + name;
        const fairing::Json size{{"storage", "1Gi"}};
        const fairing::Json modes = fairing::Json::array({"ReadWriteMany"});
        REQUIRE(api()
                    .post("/api/v1/persistentvolumes",
                          {{"metadata", {{"name", volume}}},
                           {"spec",
                            {{"capacity", size},
                             {"accessModes", modes},
                             {"claimRef", {{"namespace", space}, {"name", name}}},
                             {"hostPath", {{"path", "/tmp"}}}}}})
                    .ok());
        REQUIRE(api()
                    .post("/api/v1/namespaces/" + space + "/persistentvolumeclaims",
                          {{"metadata", {{"name", name}}},
                           {"spec",
                            {{"storageClassName", ""},
                             {"volumeName", volume},
                             {"accessModes", modes},
                             {"resources", {{"requests", size}}}}}})
                    .ok());
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
        std::filesystem::create_directory(result->programs());
        ::setenv("PATH", (result->programs().string() + ':' + fairing::env("PATH", "")).c_str(), 1);
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
            mirrors_.before(make_transport()));
    }

    Mirrors mirrors_ = {};
    fairing::TemporaryDirectory folder_ = fairing::TemporaryDirectory{};
    fairing::Json state_ = {};
    std::map<std::string, std::unique_ptr<fairing::test::ChildProcess>> running_ = {};
    std::optional<KubeApi> api_ = {};
    int namespaces_ = 0;
    std::unique_ptr<TestKubelet> kubelet_ = {};
};

}  // namespace support
