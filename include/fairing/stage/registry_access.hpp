// fairing/stage/registry_access.hpp - how a session reaches registries: its own transport, or ours.
#pragma once

#include <string>

#include "../net/httplib_transport.hpp"
#include "../registry/client.hpp"
#include "session.hpp"

namespace fairing {

/// What builders and deployers that read or write registries take.
struct RegistryAccess {
    bool insecure = false;     ///< plain http, or https with any certificate
    std::string ca_file = {};  ///< PEM file of further certificate authorities
};

/// Options of a registry client for this session: its transport if it has one, else a new one of
/// ours.
[[nodiscard]] inline registry::ClientOptions registry_options(const Session& session,
                                                              const RegistryAccess& access = {}) {
    return {.transport = session.transport
                             ? session.transport
                             : net::default_transport(
                                   {.ca_file = access.ca_file,
                                    .verification = access.insecure ? net::Verification::off
                                                                    : net::Verification::full}),
            .credentials = session.credentials,
            .plain_http = access.insecure ? registry::PlainHttp::allowed
                                          : registry::PlainHttp::loopback_only};
}

}  // namespace fairing
