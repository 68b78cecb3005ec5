// fairing/pods/credentials.hpp - how the cluster proves who it is to a registry: secrets that are
// there, or one made out of this machine's own credentials.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "../codec/base64.hpp"
#include "../kube/document.hpp"
#include "../kube/names.hpp"
#include "../oci/reference.hpp"
#include "../registry/credentials.hpp"
#include "mutator.hpp"

namespace fairing {

/// A secret of type kubernetes.io/dockerconfigjson that is in the namespace already.
[[nodiscard]] inline PodSpecMutator image_pull_secret(std::string name) {
    kube::check_dns_subdomain("image pull secret", name);
    return [name = std::move(name)](PodSpec& pod, PodContext& /*context*/) {
        pod.add_image_pull_secret(name);
    };
}

struct DockerCredentials {
    std::string host = {};  ///< "registry.example:5000"; empty: the registry of the pod's image
    /// Asked in this order; empty: Docker's and Podman's own files.
    std::vector<std::filesystem::path> files = {};
};

/// What proves who we are at `host`, into a config.json of Docker's.
inline void add_login(Json& config, const std::string& host, const registry::Login& login) {
    // Docker Hub has a key of its own in these files.
    const bool is_hub = host == "docker.io" || host == "registry-1.docker.io";
    Json& entry = config["auths"][is_hub ? "https://index.docker.io/v1/" : host];
    if (!login.password.empty()) {
        entry["auth"] = codec::base64_encode(login.user + ':' + login.password.reveal());
    }
    if (!login.identity_token.empty()) {
        entry["identitytoken"] = login.identity_token.reveal();
    }
    if (!login.bearer_token.empty()) {
        entry["registrytoken"] = login.bearer_token.reveal();
    }
}

/// A secret of type kubernetes.io/dockerconfigjson: pods pull with it, and Kaniko reads it.
[[nodiscard]] inline Json docker_config_secret(const std::string& name, const Json& config) {
    return {{"apiVersion", "v1"},
            {"kind", "Secret"},
            {"metadata", {{"name", name}}},
            {"type", "kubernetes.io/dockerconfigjson"},
            {"data", {{".dockerconfigjson", codec::base64_encode(config.dump())}}}};
}

namespace detail {

[[nodiscard]] inline Json docker_config(const DockerCredentials& wanted, const std::string& host,
                                        const std::string& repository, const Session& session) {
    const auto files = wanted.files.empty() ? registry::credential_files() : wanted.files;
    const auto login = registry::find_login({.program = session.credentials, .files = files}, host,
                                            repository, session.control());
    if (!login || login->password.empty()) {
        throw Error{ErrorCode::input,
                    {.attempted = "give the cluster credentials for",
                     .subject = host,
                     .answer = login ? "this machine has a token for it, and no user and password"
                                     : "this machine has none",
                     .advice = "log in (docker login " + host +
                               "), or name a secret of the cluster with --image-pull-secrets"}};
    }
    Json config;
    add_login(config, host, {.user = login->user, .password = login->password});
    return config;
}

}  // namespace detail

/// Makes a secret of this machine's credentials for one registry, and only for that one, and lets
/// the pods pull with it. Offline it is shown without its content, and no file is read.
[[nodiscard]] inline PodSpecMutator docker_credentials(DockerCredentials wanted = {}) {
    return [wanted = std::move(wanted)](PodSpec& pod, PodContext& context) {
        const std::string image = kube::text(pod.container(), {"image"});
        const auto reference = oci::parse_reference(image);
        const std::string host = wanted.host.empty() ? reference.host : wanted.host;
        const std::string name = context.workload + "-docker";
        const Json config =
            context.client == nullptr
                ? Json::object()
                : detail::docker_config(wanted, host, reference.repository, context.session);
        pod.add_image_pull_secret(name);
        for (const Json& other : context.objects) {
            if (kube::text(other, {"metadata", "name"}) == name) {
                return;  // made for another role
            }
        }
        context.objects.push_back(docker_config_secret(name, config));
    };
}

/// The same; that this machine has none is a warning.
[[nodiscard]] inline PodSpecMutator docker_credentials_if_exists(DockerCredentials wanted = {}) {
    return [add = docker_credentials(std::move(wanted))](PodSpec& pod, PodContext& context) {
        try {
            add(pod, context);
        } catch (const Error& error) {
            if (error.code() != ErrorCode::input) {
                throw;
            }
            context.session.control().say(Level::warning, error.what());
        }
    };
}

/// The same object without what it hides: the values of a Secret are replaced, nothing else is.
[[nodiscard]] inline Json redacted(Json object) {
    if (kube::text(object, {"kind"}) != "Secret") {
        return object;
    }
    for (const char* part : {"data", "stringData"}) {
        if (!object.contains(part) || !object[part].is_object()) {
            continue;
        }
        for (auto& [key, value] : object[part].items()) {
            // The server reads these two as JSON.
            const bool is_json = key == ".dockerconfigjson" || key == ".dockercfg";
            const std::string text = is_json ? "{}" : "redacted";
            value = part == std::string_view{"data"} ? codec::base64_encode(text) : text;
        }
    }
    return object;
}

}  // namespace fairing
