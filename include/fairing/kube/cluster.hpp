// fairing/kube/cluster.hpp - what one connection to a Kubernetes API server needs, as a value.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../core/json.hpp"
#include "../core/secret.hpp"

namespace fairing::kube {

/// A program that prints credentials (client.authentication.k8s.io, ExecCredential).
struct ExecPlugin {
    std::string api_version = {};
    std::string command = {};  ///< a name, or a path that is absolute already
    std::vector<std::string> arguments = {};
    std::map<std::string, std::string> environment = {};
    std::string install_hint = {};
    /// `spec.cluster` of KUBERNETES_EXEC_INFO; null unless the kubeconfig asks for it.
    Json cluster_info = {};
};

/// Whom the user asks the server to act as: the Impersonate-* headers.
struct Impersonation {
    std::string user = {}, uid = {};
    std::vector<std::string> groups = {};
    std::vector<std::pair<std::string, std::string>> extra = {};  ///< key and value, in order
};

/// Whether the server's certificate is checked.
enum class ServerCheck { full, off };

/// One server and who we are there. Files are read already, but for the token's, which changes.
struct Cluster {
    std::string server = {};  ///< "https://host:6443" or with a path behind it; no slash at the end
    std::string certificate_authority = {};  ///< PEM; empty means the system's certificates
    ServerCheck check = ServerCheck::full;
    std::string tls_server_name = {};     ///< expected in the certificate instead of the host
    std::string proxy = {};               ///< "http://[user:password@]host:port"
    std::string client_certificate = {};  ///< PEM, with its chain
    Secret client_key = {};               ///< PEM
    Secret token = {};
    std::filesystem::path token_file = {};
    std::string user = {};  ///< for Basic authentication
    Secret password = {};
    std::optional<ExecPlugin> exec = {};
    Impersonation impersonation = {};
    std::string namespace_ = "default";
    std::string context = {};  ///< its name; "in-cluster" without a kubeconfig

    /// Whether what we send can be read on the way: then no credential goes out.
    [[nodiscard]] bool is_plain() const { return !server.starts_with("https://"); }
};

/// Whether there is anything that a plain http server must not see.
[[nodiscard]] inline bool has_credentials(const Cluster& cluster) {
    return !cluster.token.empty() || !cluster.token_file.empty() || !cluster.user.empty() ||
           !cluster.client_key.empty() || cluster.exec.has_value();
}

}  // namespace fairing::kube
