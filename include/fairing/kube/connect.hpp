// fairing/kube/connect.hpp - a client for the cluster that a kubeconfig names, over our own
// transport.
#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <utility>

#include "../core/control.hpp"
#include "../core/version.hpp"
#include "../net/httplib_transport.hpp"
#include "client.hpp"
#include "cluster.hpp"
#include "credentials.hpp"
#include "kubeconfig.hpp"

namespace fairing::kube {

inline namespace FAIRING_ABI {

/// TLS, client certificate and proxy as `cluster` wants them. A certificate that a plugin renews is
/// used from the next request on.
[[nodiscard]] inline net::AnyTransport cluster_transport(
    const Cluster& cluster, const std::shared_ptr<Credentials>& credentials) {
    return net::default_transport(
        {.ca_pem = cluster.certificate_authority,
         .verification =
             cluster.check == ServerCheck::full ? net::Verification::full : net::Verification::off,
         .tls_server_name = cluster.tls_server_name,
         .certificate =
             [credentials](const std::stop_token& stop) { return credentials->certificate(stop); },
         .proxy = Secret{cluster.proxy}});
}

/// Over `transport` when there is one: who gives one answers for TLS and the proxy.
[[nodiscard]] inline Client connect(Cluster cluster, Control control,
                                    net::AnyTransport transport = {}, ClientOptions options = {}) {
    auto credentials =
        std::make_shared<Credentials>(cluster, CredentialsOptions{.clock = control.clock});
    if (!transport) {
        transport = cluster_transport(cluster, credentials);
    }
    if (cluster.is_plain() && has_credentials(cluster)) {
        control.say(Level::warning, "the API server " + cluster.server +
                                        " is reached without TLS: no credentials are sent");
    }
    return Client{std::move(cluster), std::move(transport), std::move(control), std::move(options),
                  std::move(credentials)};
}

/// The same for the cluster that `options` name; contacts nothing yet.
[[nodiscard]] inline Client connect(const KubeconfigOptions& options, Control control,
                                    net::AnyTransport transport = {}) {
    return connect(load_cluster(options), std::move(control), std::move(transport));
}

}  // inline namespace FAIRING_ABI

}  // namespace fairing::kube
