// fairing/kube/kubeconfig.hpp - which cluster, and who we are there: what a kubeconfig says, or the
// service account of the pod that we run in.
#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../core/env.hpp"
#include "../core/error.hpp"
#include "../core/files.hpp"
#include "../core/json_text.hpp"
#include "../core/version.hpp"
#include "../net/url.hpp"
#include "cluster.hpp"
#include "kubeconfig_document.hpp"

namespace fairing::kube {

struct KubeconfigOptions {
    std::filesystem::path file = {};  ///< instead of KUBECONFIG and ~/.kube/config
    std::string context = {};         ///< instead of current-context
    /// Where a pod finds its own credentials.
    std::filesystem::path service_account = "/var/run/secrets/kubernetes.io/serviceaccount";
};

namespace detail {

[[nodiscard]] inline bool is_pem(const std::string& text, std::string_view label) {
    const std::size_t begin = text.find("-----BEGIN ");
    return begin != std::string::npos && text.find(label, begin) != std::string::npos;
}

inline void read_server(Cluster& cluster, const Entry& entry) {
    cluster.server = entry.text("server");
    if (cluster.server.empty()) {
        throw bad_kubeconfig(entry.title(), "it has no server");
    }
    try {
        const net::Url url = net::parse_url(cluster.server);
        if (url.is_unix() || url.target.find('?') != std::string::npos) {
            throw bad_kubeconfig(entry.title(), "server is not an http or https URL of a host");
        }
        cluster.server = url.text();
    } catch (const Error& error) {
        throw bad_kubeconfig(entry.title(), "server: " + error.details().answer);
    }
    while (cluster.server.ends_with('/')) {
        cluster.server.pop_back();
    }
    cluster.certificate_authority =
        entry.data_or_file("certificate-authority-data", "certificate-authority");
    if (!cluster.certificate_authority.empty() &&
        !is_pem(cluster.certificate_authority, "CERTIFICATE-----")) {
        throw bad_kubeconfig(entry.title(), "certificate-authority holds no PEM certificate");
    }
    if (entry.flag("insecure-skip-tls-verify")) {
        cluster.check = ServerCheck::off;
        if (!cluster.certificate_authority.empty()) {
            throw bad_kubeconfig(
                entry.title(), "certificate-authority and insecure-skip-tls-verify exclude another",
                "remove one of them");
        }
    }
    cluster.tls_server_name = entry.text("tls-server-name");
    cluster.proxy = entry.text("proxy-url");
    if (!cluster.proxy.empty() && !cluster.proxy.starts_with("http://")) {
        throw bad_kubeconfig(entry.title(), "proxy-url is not an http:// URL",
                             "proxies over https and socks5 are not supported");
    }
}

[[nodiscard]] inline ExecPlugin read_exec(const Entry& user, const Entry& cluster) {
    const Json& content = user.content()["exec"];
    if (!content.is_object()) {
        throw bad_kubeconfig(user.title(), "exec is not a map");
    }
    const Entry exec{"exec of user", user.title(), content};
    ExecPlugin plugin{.api_version = exec.text("apiVersion"), .command = exec.text("command")};
    if (plugin.api_version != "client.authentication.k8s.io/v1" &&
        plugin.api_version != "client.authentication.k8s.io/v1beta1") {
        throw bad_kubeconfig(user.title(),
                             plugin.api_version.empty()
                                 ? "exec has no apiVersion"
                                 : "exec has an apiVersion that we do not speak, " +
                                       net::printable(plugin.api_version, 100),
                             "use client.authentication.k8s.io/v1");
    }
    if (plugin.command.empty()) {
        throw bad_kubeconfig(user.title(), "exec has no command");
    }
    if (const std::string mode = exec.text("interactiveMode"); mode == "Always") {
        throw bad_kubeconfig(user.title(), "exec wants a terminal (interactiveMode Always)",
                             "use a plugin that works without one");
    }
    plugin.arguments = exec.texts("args");
    plugin.install_hint = exec.text("installHint");
    if (exec.has("env")) {
        for (const Json& variable : content["env"]) {
            if (!variable.is_object()) {
                throw bad_kubeconfig(user.title(), "env of exec is not a list of names and values");
            }
            const Entry reader{"env of", user.title(), variable};
            plugin.environment.insert_or_assign(reader.text("name"), reader.text("value"));
        }
    }
    if (exec.flag("provideClusterInfo")) {
        plugin.cluster_info = cluster.content();
        // What the plugin's API calls `config` lies in an extension of the cluster's.
        plugin.cluster_info.erase("extensions");
        for (const Json& extension : cluster.content().value("extensions", Json::array())) {
            if (text_or(extension, "name") == "client.authentication.k8s.io/exec") {
                plugin.cluster_info["config"] = extension.value("extension", Json());
            }
        }
    }
    return plugin;
}

inline void read_certificate(Cluster& result, const Entry& user) {
    result.client_certificate = user.data_or_file("client-certificate-data", "client-certificate");
    result.client_key = Secret{user.data_or_file("client-key-data", "client-key")};
    if (result.client_certificate.empty() && result.client_key.empty()) {
        return;
    }
    if (result.client_key.empty()) {
        throw bad_kubeconfig(user.title(), "client-certificate is there, client-key is missing");
    }
    if (result.client_certificate.empty()) {
        throw bad_kubeconfig(user.title(), "client-key is there, client-certificate is missing");
    }
    if (!is_pem(result.client_certificate, "CERTIFICATE-----")) {
        throw bad_kubeconfig(user.title(), "client-certificate holds no PEM certificate");
    }
    if (!is_pem(result.client_key.reveal(), "PRIVATE KEY-----")) {
        throw bad_kubeconfig(user.title(), "client-key holds no PEM private key");
    }
}

inline void read_impersonation(Impersonation& impersonation, const Entry& user) {
    impersonation.user = user.text("as");
    impersonation.uid = user.text("as-uid");
    impersonation.groups = user.texts("as-groups");
    if (user.has("as-user-extra")) {
        for (const auto& [key, values] : user.content()["as-user-extra"].items()) {
            for (const Json& value : values) {
                impersonation.extra.emplace_back(key, user.text_of(value, "as-user-extra"));
            }
        }
    }
    const bool more =
        !impersonation.uid.empty() || !impersonation.groups.empty() || !impersonation.extra.empty();
    if (impersonation.user.empty() && more) {
        throw bad_kubeconfig(user.title(), "as-uid, as-groups or as-user-extra without as");
    }
}

inline void read_user(Cluster& result, const Entry& user, const Entry& cluster) {
    if (user.has("auth-provider")) {
        throw bad_kubeconfig(user.title(), "auth-provider was removed from Kubernetes",
                             "use an exec plugin");
    }
    read_certificate(result, user);
    result.token = Secret{user.text("token")};
    if (result.token.empty()) {
        result.token_file = user.text("tokenFile");
    }
    result.user = user.text("username");
    result.password = Secret{user.text("password")};
    const bool has_token = !result.token.empty() || !result.token_file.empty();
    if (has_token && !result.user.empty()) {
        throw bad_kubeconfig(user.title(), "token and username exclude another");
    }
    if (user.has("exec") && !has_token && result.user.empty()) {
        result.exec = read_exec(user, cluster);
    }
    read_impersonation(result.impersonation, user);
}

/// Where kubeconfig files are looked for, in order. One that was asked for has to be there.
[[nodiscard]] inline std::vector<std::filesystem::path> kubeconfig_paths() {
    std::vector<std::filesystem::path> paths;
    const std::string list = env("KUBECONFIG", "");
    for (std::size_t start = 0; start < list.size();) {
        const std::size_t end = std::min(list.find(':', start), list.size());
        if (end > start) {
            paths.push_back(std::filesystem::absolute(list.substr(start, end - start)));
        }
        start = end + 1;
    }
    if (const auto home = env("HOME"); paths.empty() && home && !home->empty()) {
        paths.push_back(std::filesystem::path{*home} / ".kube/config");
    }
    return paths;
}

[[nodiscard]] inline std::string file_text(const std::filesystem::path& path) {
    try {
        return read_file(path, std::size_t{16} << 20);
    } catch (const Error& error) {
        throw Error{error.code(), bad_kubeconfig(path.string(), error.details().answer).details()};
    }
}

}  // namespace detail

inline namespace FAIRING_ABI {

/// What `context` of a merged kubeconfig says, with the files that it names read.
[[nodiscard]] inline Cluster select_cluster(const Json& merged, const std::string& context = {}) {
    const Json config = minify_kubeconfig(merged, context);
    const Json& cluster_entry = config["clusters"][0];
    const detail::Entry cluster{"cluster", text_or(cluster_entry, "name"),
                                cluster_entry["cluster"]};
    const detail::Entry chosen{"context", text_or(config, "current-context"),
                               config["contexts"][0]["context"]};
    Cluster result{.context = text_or(config, "current-context")};
    detail::read_server(result, cluster);
    if (const std::string name = chosen.text("namespace"); !name.empty()) {
        result.namespace_ = name;
    }
    if (!config["users"].empty()) {
        const Json& user = config["users"][0];
        detail::read_user(result, {"user", text_or(user, "name"), user["user"]}, cluster);
    }
    return result;
}

/// The service account of the pod that we run in; nullopt outside a pod. Throws Error{input} that
/// names what a pod should have and this one has not.
[[nodiscard]] inline std::optional<Cluster> in_cluster(
    const std::filesystem::path& service_account) {
    const std::string host = env("KUBERNETES_SERVICE_HOST", "");
    const std::string port = env("KUBERNETES_SERVICE_PORT", "443");
    if (host.empty()) {
        return std::nullopt;
    }
    Cluster cluster{.context = "in-cluster"};
    cluster.server =
        "https://" + (host.find(':') == std::string::npos ? host : '[' + host + ']') + ':' + port;
    cluster.token_file = service_account / "token";
    for (const char* name : {"token", "ca.crt"}) {
        if (!std::filesystem::exists(service_account / name)) {
            throw Error{ErrorCode::not_found,
                        {.attempted = "use the service account of this pod",
                         .answer = (service_account / name).string() + " is missing",
                         .advice = "set automountServiceAccountToken, or give --kubeconfig"}};
        }
    }
    cluster.certificate_authority = detail::file_text(service_account / "ca.crt");
    if (std::filesystem::exists(service_account / "namespace")) {
        std::string name = detail::file_text(service_account / "namespace");
        std::erase_if(name, [](char c) { return c == '\n' || c == ' ' || c == '\r'; });
        cluster.namespace_ = name.empty() ? cluster.namespace_ : name;
    }
    return cluster;
}

/// All kubeconfig files that count, merged; nullopt when there is none and none was asked for.
[[nodiscard]] inline std::optional<Json> load_kubeconfig(const KubeconfigOptions& options = {}) {
    std::vector<KubeconfigFile> files;
    const auto add = [&files](const std::filesystem::path& path) {
        files.push_back({path, parse_kubeconfig(detail::file_text(path), path.string())});
    };
    if (!options.file.empty()) {
        add(std::filesystem::absolute(options.file));
    } else {
        for (const std::filesystem::path& path : detail::kubeconfig_paths()) {
            if (std::filesystem::exists(path)) {
                add(path);
            }
        }
    }
    return files.empty() ? std::nullopt : std::optional<Json>{merge_kubeconfigs(files)};
}

/// The cluster that `options` name: of the given file, else of the list KUBECONFIG, else of
/// ~/.kube/config, else the one that this pod runs in. Errors name the missing piece; no secret is
/// in them.
[[nodiscard]] inline Cluster load_cluster(const KubeconfigOptions& options = {}) {
    if (const std::optional<Json> merged = load_kubeconfig(options)) {
        return select_cluster(*merged, options.context);
    }
    if (auto cluster = in_cluster(options.service_account)) {
        return *std::move(cluster);
    }
    std::string looked;
    for (const std::filesystem::path& path : detail::kubeconfig_paths()) {
        looked += (looked.empty() ? "" : ", ") + path.string();
    }
    throw Error{ErrorCode::not_found,
                {.attempted = "find a Kubernetes cluster",
                 .answer = "there is no kubeconfig (looked for " +
                           (looked.empty() ? std::string{"none: HOME is not set"} : looked) +
                           "), and this is no pod",
                 .advice = "give --kubeconfig FILE, or set KUBECONFIG"}};
}

}  // inline namespace FAIRING_ABI

}  // namespace fairing::kube
