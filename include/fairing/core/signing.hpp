// fairing/core/signing.hpp - RSA signatures (RS256: RFC 7518, section 3.3): the only header that
// includes OpenSSL, and only with FAIRING_TLS.
#pragma once

#include <string>
#include <string_view>

#include "error.hpp"
#include "secret.hpp"
#include "version.hpp"

#if FAIRING_TLS
#include <openssl/decoder.h>
#include <openssl/evp.h>

#include <cstddef>
#include <memory>
#endif

namespace fairing {

inline namespace FAIRING_ABI {

/// The RSASSA-PKCS1-v1_5 signature of SHA-256 over `text`, as bytes, by the private key in `pem`
/// (PKCS 8 or PKCS 1, without a passphrase). Throws Error{input} that names `subject` and never
/// quotes the key.
[[nodiscard]] inline std::string sign_rs256(const Secret& pem, std::string_view text,
                                            const std::string& subject) {
#if FAIRING_TLS
    const auto refuse = [&subject](const char* answer) {
        return Error{
            ErrorCode::input,
            {.attempted = "sign with the private key of", .subject = subject, .answer = answer}};
    };
    const auto* data = reinterpret_cast<const unsigned char*>(pem.reveal().data());
    std::size_t size = pem.reveal().size();
    EVP_PKEY* read = nullptr;
    const std::unique_ptr<OSSL_DECODER_CTX, decltype(&OSSL_DECODER_CTX_free)> decoder{
        OSSL_DECODER_CTX_new_for_pkey(&read, "PEM", nullptr, "RSA", EVP_PKEY_KEYPAIR, nullptr,
                                      nullptr),
        &OSSL_DECODER_CTX_free};
    // An encrypted key would ask for its passphrase on the terminal; the empty one is wrong.
    if (decoder) {
        OSSL_DECODER_CTX_set_passphrase(decoder.get(), reinterpret_cast<const unsigned char*>(""),
                                        0);
    }
    const bool decoded =
        decoder && OSSL_DECODER_from_data(decoder.get(), &data, &size) == 1 && read != nullptr;
    const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key{read, &EVP_PKEY_free};
    if (!decoded) {
        throw refuse("it is no RSA key in PEM without a passphrase");
    }
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context{EVP_MD_CTX_new(),
                                                                          &EVP_MD_CTX_free};
    const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
    std::string signature;
    size = 0;
    if (!context ||
        EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key.get()) != 1 ||
        EVP_DigestSign(context.get(), nullptr, &size, bytes, text.size()) != 1) {
        throw refuse("OpenSSL does not sign with it");
    }
    signature.resize(size);
    if (EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                       bytes, text.size()) != 1) {
        throw refuse("OpenSSL does not sign with it");
    }
    signature.resize(size);
    return signature;
#else
    static_cast<void>(pem);
    static_cast<void>(text);
    throw Error{ErrorCode::unsupported,
                {.attempted = "sign with the private key of",
                 .subject = subject,
                 .answer = "this program was built without OpenSSL (FAIRING_TLS=0)"}};
#endif
}

}  // inline namespace FAIRING_ABI

}  // namespace fairing
