// fairing/stage/engine_access.hpp - how a session reaches a container engine: its own transport, or
// ours with the engine's certificates.
#pragma once

#include <optional>
#include <string>

#include "../core/files.hpp"
#include "../engine/address.hpp"
#include "../engine/engine.hpp"
#include "../net/httplib_transport.hpp"
#include "session.hpp"

namespace fairing {

/// Throws what Engine::connect() throws, and Error that names a certificate that can not be read.
[[nodiscard]] inline engine::Engine connect_engine(const Session& session,
                                                   const engine::Address& address) {
    if (session.transport) {
        return engine::Engine::connect(session.transport, address, session.stop);
    }
    net::HttplibOptions options{
        .ca_file = address.ca_file,
        .verification = address.verified ? net::Verification::full : net::Verification::off};
    if (!address.certificate_file.empty() && !address.key_file.empty()) {
        const net::ClientCertificate certificate{.chain = read_file(address.certificate_file),
                                                 .key = Secret{read_file(address.key_file)}};
        options.certificate = [certificate](const std::stop_token&) {
            return std::optional{certificate};
        };
    }
    return engine::Engine::connect(net::default_transport(std::move(options)), address,
                                   session.stop);
}

}  // namespace fairing
