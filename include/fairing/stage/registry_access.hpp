// fairing/stage/registry_access.hpp - how a session reaches registries: its own transport, or ours,
// and what its table says of each of them.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "../core/files.hpp"
#include "../keychain/cloud_registries.hpp"
#include "../net/httplib_transport.hpp"
#include "../registry/client.hpp"
#include "../registry/mirrored_store.hpp"
#include "../registry/open.hpp"
#include "cloud_access.hpp"
#include "fields.hpp"
#include "registries.hpp"
#include "session.hpp"

namespace fairing {

/// What builders and deployers that read or write registries take.
struct RegistryAccess {
    bool insecure = false;  ///< plain http; registries of this machine may always be spoken to so
    std::string ca_file = {};  ///< PEM file of the certificate authorities to trust
    registry::Upload upload = registry::Upload::automatic;
};

template <>
inline constexpr auto value_names<registry::Upload> =
    std::array<std::pair<std::string_view, registry::Upload>, 3>{
        {{"auto", registry::Upload::automatic},
         {"single", registry::Upload::single},
         {"chunked", registry::Upload::chunked}}};

template <>
inline constexpr auto fields<RegistrySettings> = std::tuple{
    field("mirrors", &RegistrySettings::mirrors, "asked for base images before the registry"),
    field("insecure", &RegistrySettings::insecure, "speak plain http to it"),
    field("ca_file", &RegistrySettings::ca_file, "PEM file of the authorities to trust"),
    field("certificate", &RegistrySettings::certificate, "PEM file of the client certificate"),
    field("key", &RegistrySettings::key, "PEM file of its key"),
};

/// The table out of JSON: {"docker.io": {"mirrors": ["mirror.example:5000"]}, …}. Throws
/// Error{usage} that names the registry and what is wrong.
[[nodiscard]] inline Registries parse_registries(const Json& document) {
    if (!document.is_object()) {
        throw Error{ErrorCode::usage,
                    {.attempted = "read", .subject = "registries", .answer = "not a JSON object"}};
    }
    Registries registries;
    for (const auto& [host, settings] : document.items()) {
        registries[host] = stage_from<RegistrySettings>(settings, "registry " + host);
    }
    return registries;
}

/// Adds "HOST=MIRROR", what --mirror takes, in front of those that the table has.
inline void add_mirrors(Registries& registries, const std::vector<std::string>& pairs) {
    Registries added;
    for (const std::string& pair : pairs) {
        const std::size_t equals = pair.find('=');
        if (equals == std::string::npos || equals == 0 || equals + 1 == pair.size()) {
            throw Error{ErrorCode::usage,
                        {.attempted = "use mirror",
                         .subject = '"' + pair + '"',
                         .answer = "not of the form HOST=MIRROR",
                         .advice = "write for example docker.io=mirror.example:5000"}};
        }
        added[pair.substr(0, equals)].mirrors.push_back(pair.substr(equals + 1));
    }
    for (auto& [host, settings] : added) {
        std::vector<std::string>& mirrors = registries[host].mirrors;
        mirrors.insert(mirrors.begin(), settings.mirrors.begin(), settings.mirrors.end());
    }
}

namespace detail {

[[nodiscard]] inline RegistrySettings settings_for(const Session& session,
                                                   const std::string& host) {
    const auto found = session.registries.find(host == "index.docker.io" ? "docker.io" : host);
    return found == session.registries.end() ? RegistrySettings{} : found->second;
}

/// Reads the files whenever a connection is made: certificates are renewed.
[[nodiscard]] inline auto client_certificate(const RegistrySettings& settings)
    -> std::function<std::optional<net::ClientCertificate>(const std::stop_token&)> {
    if (settings.certificate.empty()) {
        return {};
    }
    return [chain = settings.certificate, key = settings.key](const std::stop_token&) {
        return std::optional{
            net::ClientCertificate{.chain = read_file(chain), .key = Secret{read_file(key)}}};
    };
}

/// Where `mirror` has what `reference` names.
[[nodiscard]] inline oci::Reference mirrored(const oci::Reference& reference,
                                             const std::string& mirror) {
    oci::Reference place = oci::parse_reference(mirror + '/' + reference.repository);
    if (!mirror.starts_with(place.host)) {
        throw Error{ErrorCode::usage,
                    {.attempted = "use mirror",
                     .subject = '"' + mirror + '"',
                     .answer = "it has no host",
                     .advice = "write HOST:PORT, HOST.DOMAIN or localhost, and a path behind it"}};
    }
    place.tag = reference.tag;
    place.digest = reference.digest;
    return place;
}

}  // namespace detail

/// Options of a client of the registry `host`: the session's transport if it has one, else a new
/// one of ours, with what the session's table says of it.
[[nodiscard]] inline registry::ClientOptions registry_options(const Session& session,
                                                              const RegistryAccess& access = {},
                                                              const std::string& host = {}) {
    const RegistrySettings settings = detail::settings_for(session, host);
    return {.transport =
                session.transport
                    ? session.transport
                    : net::default_transport(
                          {.ca_file = settings.ca_file.empty() ? access.ca_file : settings.ca_file,
                           .certificate = detail::client_certificate(settings),
                           .proxies = net::environment_proxies()}),
            .credentials = session.credentials,
            .plain_http = access.insecure || settings.insecure ? registry::PlainHttp::insecure
                                                               : registry::PlainHttp::loopback,
            .keychain = cloud_registry_credentials(cloud_connection(session)),
            .upload = access.upload};
}

/// The store that `reference` names, with the session's settings for its registry.
[[nodiscard]] inline std::unique_ptr<oci::Store> open_store(const oci::Reference& reference,
                                                            const Session& session,
                                                            const RegistryAccess& access = {}) {
    return registry::open_store(reference, registry_options(session, access, reference.host),
                                session.control());
}

/// `origin`, which `reference` names, read through the mirrors of its registry, when there are any.
[[nodiscard]] inline std::unique_ptr<oci::Store> through_mirrors(const oci::Reference& reference,
                                                                 std::unique_ptr<oci::Store> origin,
                                                                 const Session& session) {
    std::vector<registry::MirroredStore::Mirror> mirrors;
    if (reference.kind == oci::ReferenceKind::registry) {
        for (const std::string& each : detail::settings_for(session, reference.host).mirrors) {
            const oci::Reference place = detail::mirrored(reference, each);
            registry::ClientOptions options = registry_options(session, {}, place.host);
            options.retry.attempts = 2;
            mirrors.push_back(
                {.name = each, .store = registry::open_store(place, options, session.control())});
        }
    }
    if (mirrors.empty()) {
        return origin;
    }
    return std::make_unique<registry::MirroredStore>(std::move(mirrors), std::move(origin),
                                                     session.control());
}

}  // namespace fairing
