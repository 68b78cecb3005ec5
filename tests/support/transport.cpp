// tests/support/transport.cpp - the one unit of the cluster's tests that compiles httplib.
#include "fairing/net/httplib_transport.hpp"
#include "kube_api.hpp"

namespace support {

fairing::net::AnyTransport make_transport(const std::string& ca_file) {
    return fairing::net::default_transport({.ca_file = ca_file});
}

}  // namespace support
