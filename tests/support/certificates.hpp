// tests/support/certificates.hpp - an authority of a test's own, by the openssl program.
#pragma once

#include <cstdlib>
#include <string>

#include "fairing/core/files.hpp"

namespace support {

/// A CA and the certificates that it signed, made by the openssl program: good, expired, for
/// another host; and one for a client.
struct Certificates {
    fairing::TemporaryDirectory directory = fairing::TemporaryDirectory{};

    Certificates() {
        const std::string script =
            "cd '" + directory.path().string() +
            "' && exec >/dev/null 2>&1"
            " && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "
            "ca.key"
            " -out ca.pem -subj /CN=ca -days 30"
            " && openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem"
            " -out request.pem -subj /CN=peer"
            " && echo subjectAltName=IP:127.0.0.1,DNS:localhost >here"
            " && echo subjectAltName=DNS:elsewhere.example >elsewhere"
            " && sign() { openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key"
            " -CAcreateserial -days $1 -extfile $2 -out $3; }"
            " && sign 0 here expired.pem && sign 30 here good.pem && sign 30 elsewhere other.pem"
            " && openssl req -x509 -key key.pem -out self.pem -subj /CN=self -days 30"
            " -addext subjectAltName=IP:127.0.0.1"
            " && openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout client.key"
            " -out request.pem -subj /CN=client && openssl x509 -req -in request.pem -CA ca.pem"
            " -CAkey ca.key -CAcreateserial -days 30 -out client.pem";
        made = std::system(script.c_str()) == 0;
    }
    [[nodiscard]] std::string path(const std::string& name) const {
        return (directory.path() / name).string();
    }
    bool made = false;
};

}  // namespace support
