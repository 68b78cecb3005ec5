// tests/support/rsa_key.hpp - an RSA key made by the openssl program, and what it says about a
// signature.
#pragma once

#include <string>

#include "child_process.hpp"
#include "shell.hpp"
#include "workspace.hpp"

namespace support {

class RsaKey {
public:
    RsaKey() {
        made_ = run("openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out " +
                    (place_ / "key") + " 2>/dev/null || openssl genrsa -out " + (place_ / "key") +
                    " 2048 2>/dev/null; openssl pkey -in " + (place_ / "key") + " -pubout -out " +
                    (place_ / "public"))
                    .exit_code == 0;
    }
    /// False when there is no openssl.
    [[nodiscard]] bool made() const noexcept { return made_; }
    [[nodiscard]] std::string pem() const { return fairing::read_file(place_ / "key"); }
    /// The same key as openssl writes it with these options of `openssl pkey`.
    [[nodiscard]] std::string pem(const std::string& options) const {
        static_cast<void>(run("openssl pkey -in " + (place_ / "key") + " -out " +
                              (place_ / "other") + ' ' + options));
        return fairing::read_file(place_ / "other");
    }
    [[nodiscard]] bool verifies(const std::string& text, const std::string& signature) const {
        place_.file("text", text);
        place_.file("signature", signature);
        return run("openssl dgst -sha256 -verify " + (place_ / "public") + " -signature " +
                   (place_ / "signature") + ' ' + (place_ / "text") + " 2>/dev/null")
                   .exit_code == 0;
    }

private:
    Workspace place_ = {};
    bool made_ = false;
};

}  // namespace support
