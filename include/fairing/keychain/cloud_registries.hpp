// fairing/keychain/cloud_registries.hpp - credentials for the registries of clouds, by their hosts:
// Amazon ECR, Google's Artifact Registry and Container Registry, Azure Container Registry.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "../cloud/aws/credentials.hpp"
#include "../cloud/aws/ecr.hpp"
#include "../cloud/azure/account.hpp"
#include "../cloud/connection.hpp"
#include "../cloud/gcp/credentials.hpp"
#include "../cloud/renewed.hpp"
#include "../core/credential.hpp"

namespace fairing {

namespace detail {

/// Whose registry a host is.
enum class CloudRegistry { none, ecr, google, azure };

[[nodiscard]] inline CloudRegistry cloud_registry_of(std::string_view host) {
    if (cloud::aws::parse_ecr_host(host)) {
        return CloudRegistry::ecr;
    }
    if (host == "gcr.io" || host.ends_with(".gcr.io") || host.ends_with("-docker.pkg.dev")) {
        return CloudRegistry::google;
    }
    for (const char* domain : {".azurecr.io", ".azurecr.cn", ".azurecr.us"}) {
        if (host.ends_with(domain)) {
            return CloudRegistry::azure;
        }
    }
    return CloudRegistry::none;
}

/// Asks each cloud when its host is asked for, and remembers what is still good.
class CloudRegistries {
public:
    explicit CloudRegistries(cloud::Connection connection)
        : connection_(std::move(connection)),
          google_(cloud::gcp::CredentialChain{connection_}.renewed()) {}

    [[nodiscard]] std::optional<Credential> find(const std::string& host) {
        switch (cloud_registry_of(host)) {
            case CloudRegistry::ecr: {
                const auto authorization = ecr(host).get();
                return Credential{.user = authorization.user, .password = authorization.password};
            }
            case CloudRegistry::google:
                return Credential{.user = "oauth2accesstoken", .password = google_.get().value};
            case CloudRegistry::azure:
                if (const auto principal = cloud::azure::environment_principal(connection_)) {
                    return Credential{.user = principal->client_id,
                                      .password = principal->client_secret};
                }
                return std::nullopt;
            case CloudRegistry::none:
                break;
        }
        return std::nullopt;
    }

private:
    [[nodiscard]] cloud::Renewed<cloud::aws::EcrAuthorization> ecr(const std::string& host) {
        const std::lock_guard lock{mutex_};
        auto& known = ecr_[host];
        if (!known) {
            const auto fetch = [connection = connection_,
                                place = *cloud::aws::parse_ecr_host(host)] {
                const cloud::aws::Client client{
                    connection, cloud::aws::CredentialChain{connection}.renewed(), place.region};
                return cloud::aws::ecr_authorization(client, place.account);
            };
            known = {fetch, connection_.control.clock};
        }
        return known;
    }

    cloud::Connection connection_;
    cloud::Renewed<cloud::AccessToken> google_;
    std::mutex mutex_;
    std::map<std::string, cloud::Renewed<cloud::aws::EcrAuthorization>> ecr_;
};

}  // namespace detail

inline namespace FAIRING_ABI {

/// What proves who we are to the registry of a cloud, out of that cloud's own credentials: an ECR
/// password, a token of Google, a service principal of Azure (AZURE_CLIENT_ID and so on). nullopt
/// for any other host, and where there are no credentials: many images of these registries are
/// public. A cloud that refuses is a warning, and the registry is asked without credentials. Asks
/// nobody before a host is asked for. May be called from several threads; copies share what was
/// fetched.
[[nodiscard]] inline CredentialsProvider cloud_registry_credentials(
    const cloud::Connection& connection) {
    return [registries = std::make_shared<detail::CloudRegistries>(connection),
            control =
                connection.control](const CredentialRequest& request) -> std::optional<Credential> {
        if (request.service != Service::registry) {
            return std::nullopt;
        }
        try {
            return registries->find(request.host);
        } catch (const Cancelled&) {
            throw;
        } catch (const Error& error) {
            const bool none = error.details().attempted == "find credentials for";
            control.say(
                none ? Level::debug : Level::warning,
                std::string{error.what()} + "; asking " + request.host + " without credentials");
            return std::nullopt;
        }
    };
}

}  // inline namespace FAIRING_ABI

}  // namespace fairing
