// tests/support/memory_site.hpp - a Kubernetes API server in memory, a kubeconfig that names it,
// and a session that speaks to it.
#pragma once

#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "fairing/pods/kubernetes_options.hpp"
#include "fairing/stage/session.hpp"
#include "memory_api.hpp"
#include "workspace.hpp"

namespace support {

struct MemorySite {
    Workspace place = {};
    MemoryApi api = {};
    std::vector<std::string> said = {}, output = {};
    std::stop_source stopping = {};

    MemorySite() {
        place.file("kubeconfig", R"({"current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": "https://k.example"}}],
            "users": [{"name": "u", "user": {"token": "t"}}],
            "contexts": [{"name": "c",
                          "context": {"cluster": "c", "user": "u", "namespace": "team"}}]})");
    }
    [[nodiscard]] fairing::KubernetesOptions options() const {
        return {.config_file = place / "kubeconfig", .run_id = "abc"};
    }
    [[nodiscard]] fairing::Session session() {
        return {.stop = stopping.get_token(),
                .log = [this](const fairing::LogRecord& record) { said.push_back(record.text); },
                .output = [this](const fairing::OutputLine& line) { output.push_back(line.text); },
                .transport = std::ref(api)};
    }
};

}  // namespace support
