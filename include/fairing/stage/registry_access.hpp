// fairing/stage/registry_access.hpp - how a session reaches registries: its own transport, or ours.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "../net/httplib_transport.hpp"
#include "../registry/client.hpp"
#include "fields.hpp"
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

/// Options of a registry client for this session: its transport if it has one, else a new one of
/// ours.
[[nodiscard]] inline registry::ClientOptions registry_options(const Session& session,
                                                              const RegistryAccess& access = {}) {
    return {.transport = session.transport
                             ? session.transport
                             : net::default_transport({.ca_file = access.ca_file,
                                                       .proxies = net::environment_proxies()}),
            .credentials = session.credentials,
            .plain_http =
                access.insecure ? registry::PlainHttp::insecure : registry::PlainHttp::loopback,
            .upload = access.upload};
}

}  // namespace fairing
