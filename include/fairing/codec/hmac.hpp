// fairing/codec/hmac.hpp - HMAC (RFC 2104) over SHA-256: what requests to the clouds are signed
// with.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "sha256.hpp"

namespace fairing::codec {

/// The 32 bytes of the code of `text` under `key`.
[[nodiscard]] inline std::string hmac_sha256(std::string_view key, std::string_view text) {
    constexpr std::size_t block = 64;
    const auto bytes = [](const auto& digest) {
        return std::string{reinterpret_cast<const char*>(digest.data()), digest.size()};
    };
    Sha256 hash;
    std::string padded{key};
    if (padded.size() > block) {
        hash.update(key);
        padded = bytes(hash.finish());
    }
    padded.resize(block, '\0');
    const auto keyed = [&](char pad, std::string_view rest) {
        std::string head = padded;
        for (char& c : head) {
            c = static_cast<char>(c ^ pad);
        }
        hash.update(head);
        hash.update(rest);
        return bytes(hash.finish());
    };
    return keyed('\x5c', keyed('\x36', text));
}

/// The same as 64 lower-case hexadecimal digits.
[[nodiscard]] inline std::string hmac_sha256_hex(std::string_view key, std::string_view text) {
    const std::string code = hmac_sha256(key, text);
    return hex(std::as_bytes(std::span{code}));
}

}  // namespace fairing::codec
