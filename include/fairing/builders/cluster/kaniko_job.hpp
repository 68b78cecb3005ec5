// fairing/builders/cluster/kaniko_job.hpp - the pod in which Kaniko, or what takes its arguments,
// builds an image: documents, no I/O. The arguments are those of its living forks,
// github.com/osscontainertools/kaniko and github.com/chainguard-dev/kaniko.
#pragma once

#include <algorithm>
#include <array>
#include <cctype>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../../codec/base64.hpp"
#include "../../core/error.hpp"
#include "../../core/json.hpp"
#include "../../kube/document.hpp"
#include "../../oci/digest.hpp"
#include "../../packaging/text.hpp"
#include "../../pods/cloud_credentials.hpp"
#include "../../pods/credentials.hpp"
#include "../../pods/pod_spec.hpp"

namespace fairing::detail {

/// What one build tells Kaniko.
struct KanikoCall {
    std::string image = {};        ///< of Kaniko itself
    std::string context = {};      ///< URL
    std::string destination = {};  ///< "host/repository:tag"
    std::string platform = {};
    bool push = true, cache = false;
    std::vector<std::string> plain_hosts = {};    ///< http, or https with any certificate
    std::vector<std::string> private_hosts = {};  ///< whose authority is in ca.pem of the secret
    std::vector<std::string> more = {};
};

/// A termination message is where the cluster hands the digest on.
[[nodiscard]] inline std::vector<std::string> kaniko_arguments(const KanikoCall& call) {
    std::vector<std::string> arguments = {
        "--dockerfile=Dockerfile", "--context=" + call.context, "--destination=" + call.destination,
        "--digest-file=/dev/termination-log", "--log-format=text"};
    if (!call.push) {
        arguments.emplace_back("--no-push");
    }
    if (call.cache) {
        arguments.emplace_back("--cache=true");
    }
    if (!call.platform.empty()) {
        arguments.push_back("--custom-platform=" + call.platform);
    }
    for (const std::string& host : call.plain_hosts) {
        arguments.push_back("--insecure-registry=" + host);
        arguments.push_back("--skip-tls-verify-registry=" + host);
    }
    for (const std::string& host : call.private_hosts) {
        arguments.push_back("--registry-certificate=" + host + '=' + kaniko_docker + "ca.pem");
    }
    arguments.insert(arguments.end(), call.more.begin(), call.more.end());
    return arguments;
}

/// Throws Error{usage} for what is no option, or one that is ours to say.
inline void check_kaniko_arguments(const std::vector<std::string>& arguments) {
    constexpr std::array<std::string_view, 8> ours = {
        "dockerfile",  "context",    "destination",     "no-push",
        "digest-file", "log-format", "custom-platform", "tar-path"};
    for (const std::string& argument : arguments) {
        const std::string_view name = std::string_view{argument}
                                          .substr(0, argument.find('='))
                                          .substr(std::min<std::size_t>(2, argument.size()));
        const bool is_ours = std::find(ours.begin(), ours.end(), name) != ours.end();
        const bool is_plain = std::none_of(argument.begin(), argument.end(), [](char c) {
            return std::iscntrl(static_cast<unsigned char>(c)) != 0;
        });
        if (!argument.starts_with("--") || name.empty() || is_ours || !is_plain) {
            throw Error{ErrorCode::usage,
                        {.attempted = "give Kaniko the argument",
                         .subject = '"' + packaging::escaped(argument) + '"',
                         .answer = is_ours ? "the builder says that itself"
                                           : "it is not of the form --NAME or --NAME=VALUE"}};
        }
    }
}

/// Before anything is mounted, and before any mutator.
[[nodiscard]] inline PodSpec kaniko_pod(const KanikoCall& call) {
    Json arguments = Json::array();
    for (const std::string& argument : kaniko_arguments(call)) {
        arguments.push_back(literal_text(argument));
    }
    return PodSpec{
        Json{{"containers", Json::array({Json{{"name", "kaniko"},
                                              {"image", call.image},
                                              {"args", std::move(arguments)},
                                              {"securityContext", {{"runAsUser", 0}}}}})},
             {"restartPolicy", "Never"}}};
}

/// What proves to registries who we are, as a secret that Kaniko reads and the pod pulls with;
/// `ca` is the text of a file of authorities, or empty.
inline void add_registry_secret(PodSpec& pod, std::vector<Json>& objects, const std::string& name,
                                const Json& config, const std::string& ca) {
    Json items = Json::array({Json{{"key", ".dockerconfigjson"}, {"path", "config.json"}}});
    Json secret = docker_config_secret(name, config);
    if (!ca.empty()) {
        items.push_back({{"key", "ca.pem"}, {"path", "ca.pem"}});
        secret["data"]["ca.pem"] = codec::base64_encode(ca);
    }
    mount_source(pod, name, {{"secret", {{"secretName", name}, {"items", std::move(items)}}}},
                 kaniko_docker);
    pod.add_image_pull_secret(name);
    objects.push_back(std::move(secret));
}

/// The digest that a container which ended well left as its termination message, or "".
[[nodiscard]] inline std::string digest_in(const std::vector<Json>& pods) {
    for (const Json& pod : pods) {
        for (const Json& status : kube::list(pod, {"status", "containerStatuses"})) {
            std::string message = kube::text(status, {"state", "terminated", "message"});
            message.resize(message.find_last_not_of(" \r\n") + 1);
            if (kube::number(status, {"state", "terminated", "exitCode"}) == 0 &&
                oci::is_digest(message)) {
                return message;
            }
        }
    }
    return {};
}

}  // namespace fairing::detail
