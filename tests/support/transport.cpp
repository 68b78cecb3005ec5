// tests/support/transport.cpp - the one unit of the tests against peers that compiles httplib.
#include "transport.hpp"

#include <optional>
#include <stop_token>

#include "fairing/core/files.hpp"
#include "fairing/net/httplib_transport.hpp"

namespace support {

fairing::net::AnyTransport make_transport(const std::string& ca_file, const ClientFiles& client,
                                          const std::string& proxy) {
    using fairing::net::ClientCertificate;
    fairing::net::HttplibOptions options{.ca_file = ca_file, .proxy = fairing::Secret{proxy}};
    if (!client.certificate.empty()) {
        options.certificate = [client](const std::stop_token&) -> std::optional<ClientCertificate> {
            return ClientCertificate{fairing::read_file(client.certificate),
                                     fairing::Secret{fairing::read_file(client.key)}};
        };
    }
    return fairing::net::default_transport(std::move(options));
}

}  // namespace support
