#include "fairing/core/signing.hpp"

#include <doctest/doctest.h>

#include "../support/rsa_key.hpp"

using namespace fairing;

TEST_CASE("openssl takes our signature, whatever the form of the key") {
    const support::RsaKey key;
    if (!key.made()) {
        MESSAGE("skipped: needs openssl");
        return;
    }
    for (const std::string& pem : {key.pem(), key.pem("-traditional")}) {
        const std::string signature = sign_rs256(Secret{pem}, "head.claims", "key.json");
        CHECK(signature.size() == 256);
        CHECK(key.verifies("head.claims", signature));
        CHECK_FALSE(key.verifies("head.others", signature));
    }
}

TEST_CASE("a key that is none is refused, without a word of it and without asking anybody") {
    const support::RsaKey key;
    std::vector<std::string> wrong = {
        "", "geheim", "-----BEGIN PRIVATE KEY-----\nZ2VoZWlt\n-----END PRIVATE KEY-----\n"};
    if (key.made()) {
        wrong.push_back(key.pem("-aes256 -passout pass:geheim"));
        wrong.push_back(key.pem("-pubout"));
        wrong.push_back(key.pem().substr(0, 600));
    }
    for (const std::string& pem : wrong) {
        CHECK(support::error_of([&] { (void)sign_rs256(Secret{pem}, "text", "key.json"); }) ==
              "cannot sign with the private key of key.json: it is no RSA key in PEM without a "
              "passphrase");
    }
}
