// tests/support/builder_site.hpp - what the tests of building in a cluster stand on: a cluster and
// registries in memory, behind one transport.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "fairing/packaging/context.hpp"
#include "fairing/stage/session.hpp"
#include "memory_api.hpp"
#include "memory_registry.hpp"
#include "workspace.hpp"

namespace support {

struct BuilderSite {
    /// https://k.example is the cluster; every other host is the registry.
    struct Hosts {
        MemoryApi& api;
        MemoryRegistry& registry;
        fairing::net::Response send(const fairing::net::Request& request,
                                    const fairing::net::BodySink& sink,
                                    const std::stop_token& stopping) const {
            return request.url.starts_with("https://k.example")
                       ? api.send(request, sink, stopping)
                       : registry.send(request, sink, stopping);
        }
    };

    Workspace space = {};
    MemoryApi api = {};
    MemoryRegistry registry = {};
    std::vector<fairing::LogRecord> said = {};
    std::stop_source stop = {};
    fairing::Context context = {.command = {"python3", "/app/train.py"},
                                .environment = {{"FAIRING_RUNTIME", "1"}}};

    BuilderSite() {
        space.file("train.py", "print(1)\n");
        context.files.push_back(
            {.source = space / "train.py", .destination = "/app/train.py", .size = 9});
        space.file("kubeconfig", R"({"current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": "https://k.example"}}],
            "users": [{"name": "u", "user": {"token": "t"}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u",
                "namespace": "team"}}]})");
    }

    /// Somebody at every registry but anonymous.example.
    [[nodiscard]] fairing::Session session() {
        return {.stop = stop.get_token(),
                .log = [this](const fairing::LogRecord& record) { said.push_back(record); },
                .transport = Hosts{api, registry},
                .credentials = [](const fairing::CredentialRequest& request)
                    -> std::optional<fairing::Credential> {
                    if (request.host == "anonymous.example") {
                        return fairing::Credential{};
                    }
                    return fairing::Credential{.user = "me-at-" + request.host,
                                               .password = fairing::Secret{"s3cret"}};
                },
                .cache_directory = space.path() / "cache"};
    }
    /// Whether a line of at least that level holds `part`.
    [[nodiscard]] bool has_said(const std::string& part,
                                fairing::Level least = fairing::Level::info) const {
        for (const fairing::LogRecord& record : said) {
            if (record.level >= least && record.text.find(part) != std::string::npos) {
                return true;
            }
        }
        return false;
    }
    /// The tags of a repository.
    [[nodiscard]] std::vector<std::string> tags(const std::string& repository) {
        std::vector<std::string> found;
        for (const auto& [name, manifest] : registry.repositories[repository].manifests) {
            if (!fairing::oci::is_digest(name)) {
                found.push_back(name);
            }
        }
        return found;
    }
};

}  // namespace support
