// fairing/pods/cloud_credentials.hpp - how pods prove who they are to a cloud: secrets that are in
// the namespace already, or made with the workload.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "../cloud/ibm/cos.hpp"
#include "../codec/base64.hpp"
#include "../core/secret.hpp"
#include "../kube/client.hpp"
#include "../kube/document.hpp"
#include "../kube/names.hpp"
#include "mutator.hpp"
#include "volumes.hpp"

namespace fairing {

namespace detail {

/// What a mutator does when the object that it wants is not in the namespace.
enum class IfMissing { fail, warn };

/// Whether the object is there; true offline, and where we may not look: the kubelet will say.
[[nodiscard]] inline bool object_exists(const PodContext& context, const char* kind,
                                        const std::string& name) {
    if (context.client == nullptr) {
        return true;
    }
    try {
        return context.client->find({"v1", kind, context.namespace_, name}).has_value();
    } catch (const Error& error) {
        if (error.code() != ErrorCode::denied) {
            throw;
        }
        context.session.control().say(Level::debug, error.what());
        return true;
    }
}

inline void report_missing(const PodContext& context, IfMissing missing, const std::string& what,
                           const std::string& advice) {
    const Error error{ErrorCode::not_found,
                      {.attempted = "give the pod",
                       .subject = what,
                       .answer = "it is not in namespace " + context.namespace_,
                       .advice = advice}};
    if (missing == IfMissing::fail) {
        throw error;
    }
    context.session.control().say(Level::warning, error.what());
}

/// `apply` on the pod, when the secret is there.
[[nodiscard]] inline PodSpecMutator with_secret(
    std::string secret, IfMissing missing,
    std::function<void(PodSpec&, const std::string& secret)> apply) {
    kube::check_dns_subdomain("secret", secret);
    return [secret = std::move(secret), missing, apply = std::move(apply)](PodSpec& pod,
                                                                           PodContext& context) {
        if (object_exists(context, "Secret", secret)) {
            apply(pod, secret);
        } else {
            report_missing(context, missing, "secret " + secret,
                           "create it (kubectl create secret generic " + secret + " ...)");
        }
    };
}

/// Variables whose names are keys of the secret.
[[nodiscard]] inline PodSpecMutator secret_variables(std::string secret, IfMissing missing,
                                                     std::vector<std::string> names) {
    return with_secret(std::move(secret), missing,
                       [names = std::move(names)](PodSpec& pod, const std::string& name) {
                           for (const std::string& each : names) {
                               pod.set_env_from_secret(each, name, each);
                           }
                       });
}

/// Adds an object to create with the workload, unless another role's pod has added it.
inline void add_object(PodContext& context, const char* kind, const std::string& name,
                       Json members) {
    for (const Json& other : context.objects) {
        if (kube::text(other, {"metadata", "name"}) == name &&
            kube::text(other, {"kind"}) == kind) {
            return;
        }
    }
    members["apiVersion"] = "v1";
    members["kind"] = kind;
    members["metadata"] = Json{{"name", name}};
    context.objects.push_back(std::move(members));
}

/// Mounts a volume of that name over a folder.
inline void mount_source(PodSpec& pod, const std::string& name, Json source,
                         const std::string& path) {
    source["name"] = volume_name(name);
    pod.set_volume(source);
    pod.set_mount({{"name", volume_name(name)}, {"mountPath", path}, {"readOnly", true}});
}

/// Where Kaniko looks for config.json.
inline constexpr const char* kaniko_docker = "/kaniko/.docker/";

[[nodiscard]] inline PodSpecMutator gcp_credentials(std::string secret, IfMissing missing) {
    kube::check_dns_subdomain("secret", secret);
    return [secret = std::move(secret), missing](PodSpec& pod, PodContext& context) {
        constexpr const char* account = "default-editor";  // a Kubeflow profile's
        if (object_exists(context, "Secret", secret)) {
            mount_source(pod, secret, {{"secret", {{"secretName", secret}}}}, "/etc/secrets");
            pod.set_env("GOOGLE_APPLICATION_CREDENTIALS", "/etc/secrets/" + secret + ".json");
        } else if (object_exists(context, "ServiceAccount", account)) {
            if (!pod.json().contains("serviceAccountName")) {
                pod.json()["serviceAccountName"] = account;
            }
        } else {
            report_missing(context, missing, "secret " + secret + " or service account " + account,
                           "create the secret out of a service account's key");
        }
    };
}

/// config.json for Kaniko out of a secret of type kubernetes.io/dockerconfigjson.
[[nodiscard]] inline PodSpecMutator acr_config(std::string secret, IfMissing missing) {
    return with_secret(std::move(secret), missing, [](PodSpec& pod, const std::string& name) {
        const Json items =
            Json::array({Json{{"key", ".dockerconfigjson"}, {"path", "config.json"}}});
        mount_source(pod, name, {{"secret", {{"secretName", name}, {"items", items}}}},
                     kaniko_docker);
    });
}

inline const std::vector<std::string> aws_variables = {"AWS_ACCESS_KEY_ID",
                                                       "AWS_SECRET_ACCESS_KEY"};
inline const std::vector<std::string> azure_variables = {"AZ_CLIENT_ID", "AZ_CLIENT_SECRET",
                                                         "AZ_TENANT_ID", "AZ_SUBSCRIPTION_ID"};

}  // namespace detail

/// Makes a secret WORKLOAD-SUFFIX of `values` with the workload, and variables of the main
/// container out of it. Manifests show no value.
[[nodiscard]] inline PodSpecMutator secret_environment(std::string suffix,
                                                       std::map<std::string, Secret> values) {
    return [suffix = std::move(suffix), values = std::move(values)](PodSpec& pod,
                                                                    PodContext& context) {
        const std::string name = context.workload + '-' + suffix;
        Json data = Json::object();
        for (const auto& [key, value] : values) {
            pod.set_env_from_secret(key, name, key);
            data[key] = codec::base64_encode(value.reveal());
        }
        detail::add_object(context, "Secret", name, {{"type", "Opaque"}, {"data", data}});
    };
}

/// AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY out of a secret with these keys.
[[nodiscard]] inline PodSpecMutator aws_credentials(std::string secret = "aws-secret") {
    return detail::secret_variables(std::move(secret), detail::IfMissing::fail,
                                    detail::aws_variables);
}
[[nodiscard]] inline PodSpecMutator aws_credentials_if_exists(std::string secret = "aws-secret") {
    return detail::secret_variables(std::move(secret), detail::IfMissing::warn,
                                    detail::aws_variables);
}

/// Tells Kaniko to get passwords of ECR itself, by what aws_credentials() or the node gives it.
[[nodiscard]] inline PodSpecMutator ecr_config() {
    return [](PodSpec& pod, PodContext& context) {
        const std::string name = context.workload + "-ecr-config";
        detail::add_object(context, "ConfigMap", name,
                           {{"data", {{"config.json", R"({"credsStore": "ecr-login"})"}}}});
        detail::mount_source(pod, name, {{"configMap", {{"name", name}}}}, detail::kaniko_docker);
    };
}

/// The key of a Google service account, SECRET.json in the secret, at
/// GOOGLE_APPLICATION_CREDENTIALS; else the service account "default-editor" of the cluster.
[[nodiscard]] inline PodSpecMutator gcp_credentials(std::string secret = "user-gcp-sa") {
    return detail::gcp_credentials(std::move(secret), detail::IfMissing::fail);
}
[[nodiscard]] inline PodSpecMutator gcp_credentials_if_exists(std::string secret = "user-gcp-sa") {
    return detail::gcp_credentials(std::move(secret), detail::IfMissing::warn);
}

/// AZ_CLIENT_ID, AZ_CLIENT_SECRET, AZ_TENANT_ID and AZ_SUBSCRIPTION_ID out of a secret.
[[nodiscard]] inline PodSpecMutator azure_credentials(std::string secret = "azcreds") {
    return detail::secret_variables(std::move(secret), detail::IfMissing::fail,
                                    detail::azure_variables);
}
[[nodiscard]] inline PodSpecMutator azure_credentials_if_exists(std::string secret = "azcreds") {
    return detail::secret_variables(std::move(secret), detail::IfMissing::warn,
                                    detail::azure_variables);
}

/// Kaniko's config.json out of a secret of type kubernetes.io/dockerconfigjson.
[[nodiscard]] inline PodSpecMutator acr_config(std::string secret = "acrcreds") {
    return detail::acr_config(std::move(secret), detail::IfMissing::fail);
}
[[nodiscard]] inline PodSpecMutator acr_config_if_exists(std::string secret = "acrcreds") {
    return detail::acr_config(std::move(secret), detail::IfMissing::warn);
}

/// A share of Azure Files, mounted by the keys azurestorageaccountname and azurestorageaccountkey
/// of a secret.
struct AzureFiles {
    std::string secret = {};
    std::string share = "fairing-builds";
    std::string mount_path = "/mnt/azure/";
};

namespace detail {

[[nodiscard]] inline PodSpecMutator azure_files(const AzureFiles& files, IfMissing missing) {
    check_mount({.type = VolumeType::secret, .name = files.secret, .mount_path = files.mount_path});
    return with_secret(files.secret, missing, [files](PodSpec& pod, const std::string& secret) {
        mount_source(pod, secret,
                     {{"azureFile",
                       {{"secretName", secret}, {"shareName", files.share}, {"readOnly", true}}}},
                     files.mount_path);
    });
}

/// S3's variables out of a service credential of IBM Cloud, through a secret made with the
/// workload: other programs want the keys apart.
[[nodiscard]] inline PodSpecMutator cos_credentials(std::string secret, IfMissing missing) {
    kube::check_dns_subdomain("secret", secret);
    return [secret = std::move(secret), missing](PodSpec& pod, PodContext& context) {
        std::map<std::string, Secret> values;
        for (const std::string& name : aws_variables) {
            values[name] = {};
        }
        if (context.client != nullptr) {
            const auto found = context.client->find({"v1", "Secret", context.namespace_, secret});
            if (!found) {
                return report_missing(context, missing, "secret " + secret,
                                      "create it with the key cos_credentials");
            }
            const auto keys = cloud::ibm::parse_cos_credentials(
                codec::base64_decode(kube::text(*found, {"data", "cos_credentials"})),
                "secret " + secret);
            values = {{aws_variables[0], Secret{keys.access_key_id}},
                      {aws_variables[1], keys.secret_access_key}};
        }
        secret_environment("cos", std::move(values))(pod, context);
    };
}

}  // namespace detail

[[nodiscard]] inline PodSpecMutator azure_files(const AzureFiles& files) {
    return detail::azure_files(files, detail::IfMissing::fail);
}
[[nodiscard]] inline PodSpecMutator azure_files_if_exists(const AzureFiles& files) {
    return detail::azure_files(files, detail::IfMissing::warn);
}

/// AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY out of the cos_hmac_keys in the key cos_credentials
/// of a secret.
[[nodiscard]] inline PodSpecMutator cos_credentials(std::string secret = "ibm-cos-creds") {
    return detail::cos_credentials(std::move(secret), detail::IfMissing::fail);
}
[[nodiscard]] inline PodSpecMutator cos_credentials_if_exists(
    std::string secret = "ibm-cos-creds") {
    return detail::cos_credentials(std::move(secret), detail::IfMissing::warn);
}

}  // namespace fairing
