// tests/support/context_site.hpp - what the tests of context sources share: scripted clouds, a
// cluster in memory, and the pod that builds.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cloud_site.hpp"
#include "fairing/builders/context_sources/context_source.hpp"
#include "fairing/codec/base64.hpp"
#include "fairing/kube/client.hpp"
#include "memory_api.hpp"

namespace support {

struct ContextSite : CloudSite {
    MemoryApi api = {};
    std::string hash = "abc123";
    fairing::cloud::Content archive = fairing::cloud::Content::of("tar");
    fairing::PodSpec pod = {};
    std::vector<fairing::Json> objects = {};

    [[nodiscard]] fairing::kube::Client client() {
        return {{.server = "https://k.example", .namespace_ = "team"}, std::ref(api), {}};
    }
    /// What `source` uploads for a build in this cluster.
    template <fairing::ContextSource Source>
    [[nodiscard]] fairing::UploadedContext upload(const Source& source) {
        const fairing::cloud::Connection own = connection();
        const fairing::kube::Client cluster = client();
        return source.upload({archive, hash, own, &cluster, "team"});
    }
    /// Prepares the pod twice, as for two roles.
    void prepare(const fairing::PodSpecMutator& mutator) {
        const std::string namespace_ = "team", role, workload = "build-1";
        const fairing::kube::Client cluster = client();
        const fairing::Session session{.log = connection().control.log};
        fairing::PodContext context{namespace_, role, &cluster, session, objects, workload};
        mutator(pod, context);
        mutator(pod, context);
    }
    void prepare(const fairing::UploadedContext& uploaded) {
        prepare([&uploaded](fairing::PodSpec& spec, fairing::PodContext& context) {
            uploaded.prepare(spec, context);
        });
    }
    /// A variable's value; "SECRET/KEY" when it is in a secret.
    [[nodiscard]] std::string variable(const std::string& name) {
        for (const fairing::Json& each : pod.container().value("env", fairing::Json::array())) {
            if (each["name"] != name) {
                continue;
            }
            if (each.contains("value")) {
                return each["value"];
            }
            const fairing::Json& from = each["valueFrom"]["secretKeyRef"];
            return from["name"].get<std::string>() + '/' + from["key"].get<std::string>();
        }
        return "(none)";
    }
    /// What a secret that the pod comes with holds under `key`.
    [[nodiscard]] std::string secret(const std::string& name, const std::string& key) const {
        for (const fairing::Json& object : objects) {
            if (object["metadata"]["name"] == name && object["data"].contains(key)) {
                return fairing::codec::base64_decode(object["data"][key].get<std::string>());
            }
        }
        return "(none)";
    }
    void put(const char* kind, const std::string& name, const fairing::Json& data = {}) {
        api.put({{"apiVersion", "v1"},
                 {"kind", kind},
                 {"metadata", {{"name", name}, {"namespace", "team"}}},
                 {"data", data}});
    }
};

}  // namespace support
