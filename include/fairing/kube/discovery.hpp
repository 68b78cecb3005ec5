// fairing/kube/discovery.hpp - which plural, scope and verbs a kind has: an API server's own words
// (APIResourceList), asked once for each group version.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../core/error.hpp"
#include "../core/json_text.hpp"
#include "object.hpp"

namespace fairing::kube {

/// The kinds in an APIResourceList, without subresources. Throws Error{integrity} when it is none.
[[nodiscard]] inline std::vector<Resource> parse_resources(const Json& list,
                                                           const std::string& api_version) {
    if (text_or(list, "kind") != "APIResourceList" || !list.contains("resources") ||
        !list["resources"].is_array()) {
        throw Error{ErrorCode::integrity,
                    {.attempted = "discover",
                     .subject = api_version,
                     .answer = "the answer is no APIResourceList"}};
    }
    std::vector<Resource> resources;
    for (const Json& entry : list["resources"]) {
        Resource resource{.api_version = api_version,
                          .kind = text_or(entry, "kind"),
                          .plural = text_or(entry, "name")};
        if (resource.kind.empty() || resource.plural.empty() ||
            resource.plural.find('/') != std::string::npos) {
            continue;
        }
        resource.is_namespaced = entry.value("namespaced", Json(false)) == Json(true);
        for (const Json& verb : entry.value("verbs", Json::array())) {
            if (verb.is_string()) {
                resource.verbs.push_back(verb.get<std::string>());
            }
        }
        resources.push_back(std::move(resource));
    }
    return resources;
}

/// Remembers what was discovered. May be used from several threads at once.
class Discovery {
public:
    /// Asks the server for the APIResourceList of a group version; nullopt when it has none.
    using Ask = std::function<std::optional<Json>(const std::string& api_version)>;

    /// Throws Error{unsupported} that names the kind when the server does not know it: its operator
    /// may not be installed. That is not remembered.
    [[nodiscard]] Resource find(const std::string& api_version, const std::string& kind,
                                const Ask& ask) {
        const std::lock_guard lock{mutex_};  // held while asking: each group version is asked once
        auto known = resources_.find(api_version);
        if (known == resources_.end()) {
            const std::optional<Json> list = ask(api_version);
            if (!list) {
                throw unknown(api_version, kind, "it does not serve " + api_version);
            }
            known = resources_.emplace(api_version, parse_resources(*list, api_version)).first;
        }
        const auto found =
            std::find_if(known->second.begin(), known->second.end(),
                         [&kind](const Resource& resource) { return resource.kind == kind; });
        if (found == known->second.end()) {
            resources_.erase(known);
            throw unknown(api_version, kind, "its " + api_version + " has no such kind");
        }
        return *found;
    }

private:
    /// Who defines the kinds of a group, or of one version of it; `api_version` is "GROUP/VERSION".
    [[nodiscard]] static std::string installer(const std::string& api_version) {
        static const std::map<std::string, const char*> known{
            {"kubeflow.org/v1beta1", "Katib"},
            {"kubeflow.org", "the Kubeflow Training Operator, or mpi-operator"},
            {"trainer.kubeflow.org", "Kubeflow Trainer"},
            {"serving.kserve.io", "KServe"},
            {"serving.kubeflow.org", "KFServing (KServe, with --api v1beta1, follows it)"},
            {"jobset.x-k8s.io", "JobSet"},
            {"kueue.x-k8s.io", "Kueue"}};
        auto found = known.find(api_version);
        if (found == known.end()) {
            found = known.find(api_version.substr(0, api_version.find('/')));
        }
        return found == known.end() ? "the operator that defines it" : found->second;
    }

    [[nodiscard]] static Error unknown(const std::string& api_version, const std::string& kind,
                                       std::string answer) {
        return Error{ErrorCode::unsupported,
                     {.attempted = "use",
                      .subject = api_version + ' ' + kind,
                      .answer = "the cluster does not know it: " + std::move(answer),
                      .advice = api_version.find('.') == std::string::npos
                                    ? ""
                                    : "install " + installer(api_version)}};
    }

    std::mutex mutex_;
    std::map<std::string, std::vector<Resource>> resources_;
};

}  // namespace fairing::kube
