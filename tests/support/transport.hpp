// tests/support/transport.hpp - the library's own transport for tests against peers. Compiled once,
// in transport.cpp: httplib takes long.
#pragma once

#include <string>

#include "fairing/net/transport.hpp"

namespace support {

/// PEM files: who we are to a peer that asks.
struct ClientFiles {
    std::string certificate = {}, key = {};
};

/// `proxy` is "http://[user:password@]host:port", and stands before this machine too.
[[nodiscard]] fairing::net::AnyTransport make_transport(const std::string& ca_file = {},
                                                        const ClientFiles& client = {},
                                                        const std::string& proxy = {});

}  // namespace support
