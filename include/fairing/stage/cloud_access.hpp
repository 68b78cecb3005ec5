// fairing/stage/cloud_access.hpp - how a session reaches clouds: its own transport, or ours.
#pragma once

#include "../cloud/connection.hpp"
#include "../net/httplib_transport.hpp"
#include "session.hpp"

namespace fairing {

/// The session's transport for everything when it has one, else new ones of ours. Only the one for
/// metadata services may go to link-local addresses.
[[nodiscard]] inline cloud::Connection cloud_connection(const Session& session) {
    return {.transport = session.transport ? session.transport : net::default_transport(),
            .metadata = session.transport
                            ? session.transport
                            : net::default_transport({.addresses = net::AddressGuard::off}),
            .control = session.control()};
}

}  // namespace fairing
