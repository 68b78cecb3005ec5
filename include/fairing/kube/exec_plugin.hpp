// fairing/kube/exec_plugin.hpp - credentials from a program (client.authentication.k8s.io v1 and
// v1beta1): ExecCredential in by KUBERNETES_EXEC_INFO, ExecCredential out on stdout.
#pragma once

#include <chrono>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>

#include "../core/error.hpp"
#include "../core/json_text.hpp"
#include "../core/process.hpp"
#include "../core/secret.hpp"
#include "../net/redact.hpp"
#include "cluster.hpp"
#include "time.hpp"

namespace fairing::kube {

/// What a plugin gave.
struct ExecCredential {
    Secret token = {};
    std::string client_certificate = {};  ///< PEM
    Secret client_key = {};               ///< PEM
    std::optional<std::chrono::system_clock::time_point> expires = {};
};

/// The value of KUBERNETES_EXEC_INFO.
[[nodiscard]] inline std::string exec_info(const ExecPlugin& plugin) {
    Json spec = {{"interactive", false}};
    if (!plugin.cluster_info.is_null()) {
        spec["cluster"] = plugin.cluster_info;
    }
    return Json{
        {"apiVersion", plugin.api_version}, {"kind", "ExecCredential"}, {"spec", std::move(spec)}}
        .dump();
}

/// The credentials in what a plugin wrote. Throws Error{denied} that names the plugin and what is
/// wrong, never what it wrote.
[[nodiscard]] inline ExecCredential parse_exec_credential(
    const std::string& output, const ExecPlugin& plugin,
    std::chrono::system_clock::time_point now) {
    const auto refuse = [&plugin](std::string answer) {
        return Error{ErrorCode::denied,
                     {.attempted = "get credentials from exec plugin",
                      .subject = plugin.command,
                      .answer = std::move(answer)}};
    };
    const Json document = is_too_deep(output) ? Json() : Json::parse(output, nullptr, false);
    if (!document.is_object() || text_or(document, "kind") != "ExecCredential") {
        throw refuse("it printed no ExecCredential");
    }
    if (const std::string version = text_or(document, "apiVersion");
        version != plugin.api_version) {
        throw refuse("it answered in " + net::printable(version, 100) + ", the kubeconfig says " +
                     plugin.api_version);
    }
    if (!document.contains("status") || !document["status"].is_object()) {
        throw refuse("its ExecCredential has no status");
    }
    const Json& status = document["status"];
    ExecCredential credential{.token = Secret{text_or(status, "token")},
                              .client_certificate = text_or(status, "clientCertificateData"),
                              .client_key = Secret{text_or(status, "clientKeyData")}};
    if (credential.client_certificate.empty() != credential.client_key.empty()) {
        throw refuse(credential.client_key.empty()
                         ? "its status has a clientCertificateData without clientKeyData"
                         : "its status has a clientKeyData without clientCertificateData");
    }
    if (credential.token.empty() && credential.client_key.empty()) {
        throw refuse("its status has neither a token nor a client certificate");
    }
    if (const std::string expiry = text_or(status, "expirationTimestamp"); !expiry.empty()) {
        const auto parsed = parse_time(expiry);
        if (!parsed) {
            throw refuse("its expirationTimestamp is no time");
        }
        credential.expires = parsed->rounded();
        if (*credential.expires <= now) {
            throw refuse("it gave credentials that have expired at " + net::printable(expiry, 40));
        }
    }
    return credential;
}

/// Runs the plugin, without a shell and without a terminal. Throws Error{denied}, or Error{timeout}
/// after `time_limit`; it is dead then.
[[nodiscard]] inline ExecCredential run_exec_plugin(const ExecPlugin& plugin,
                                                    std::chrono::system_clock::time_point now,
                                                    std::chrono::milliseconds time_limit,
                                                    const std::stop_token& stop) {
    Command command{.arguments = {plugin.command}, .environment = plugin.environment};
    command.arguments.insert(command.arguments.end(), plugin.arguments.begin(),
                             plugin.arguments.end());
    command.environment.insert_or_assign("KUBERNETES_EXEC_INFO", exec_info(plugin));
    const auto refuse = [&plugin](ErrorCode code, std::string answer, std::string advice) {
        return Error{code,
                     {.attempted = "get credentials from exec plugin",
                      .subject = plugin.command,
                      .answer = std::move(answer),
                      .advice = std::move(advice)}};
    };
    CommandResult result;
    try {
        result = run(command, {.time_limit = time_limit}, stop);
    } catch (const Cancelled&) {
        throw;
    } catch (const Error& error) {
        throw refuse(error.code(), error.details().answer,
                     plugin.install_hint.empty() ? error.details().advice : plugin.install_hint);
    }
    if (result.exit_code != 0) {
        // What it wrote, on either stream, may hold a secret.
        throw refuse(ErrorCode::denied,
                     "it ended with exit code " + std::to_string(result.exit_code),
                     "run it by hand to see why");
    }
    return parse_exec_credential(result.output, plugin, now);
}

}  // namespace fairing::kube
