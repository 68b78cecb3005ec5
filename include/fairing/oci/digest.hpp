// fairing/oci/digest.hpp - content digests (OCI image-spec, descriptor.md, "Digests"): sha256 only.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "../codec/sha256.hpp"
#include "../core/error.hpp"

namespace fairing::oci {

/// Whether `text` is "sha256:" and 64 lower-case hex digits.
[[nodiscard]] inline bool is_digest(std::string_view text) noexcept {
    constexpr std::string_view algorithm = "sha256:";
    return text.size() == algorithm.size() + 64 && text.starts_with(algorithm) &&
           std::all_of(text.begin() + algorithm.size(), text.end(),
                       [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

/// "sha256:…" of `bytes`.
[[nodiscard]] inline std::string digest_of(std::string_view bytes) {
    return "sha256:" + codec::sha256_hex(bytes);
}

/// The hex digits of a digest. Throws Error{input} when it is none that we know.
[[nodiscard]] inline std::string digest_hex(const std::string& digest) {
    if (!is_digest(digest)) {
        throw Error{ErrorCode::input,
                    {.attempted = "use digest",
                     .subject = digest,
                     .answer = "not of the form sha256:<64 lower-case hex digits>"}};
    }
    return digest.substr(digest.find(':') + 1);
}

/// Hashes what passes through and compares at the end: a blob is verified while it is read.
class Verifier {
public:
    Verifier(std::string digest, std::uint64_t size, std::string subject)
        : digest_(std::move(digest)), size_(size), subject_(std::move(subject)) {}

    /// Throws Error{integrity} as soon as there is more than was promised.
    void update(std::span<const std::byte> bytes) {
        hash_.update(bytes);
        seen_ += bytes.size();
        if (seen_ > size_) {
            fail("longer than the " + std::to_string(size_) + " bytes of its descriptor");
        }
    }
    /// Throws Error{integrity} when size or digest differ.
    void finish() {
        if (seen_ != size_) {
            fail(std::to_string(seen_) + " bytes where its descriptor says " +
                 std::to_string(size_));
        }
        const std::string got = "sha256:" + codec::hex(hash_.finish());
        if (got != digest_) {
            fail("digest mismatch: expected " + digest_ + ", got " + got);
        }
    }

private:
    [[noreturn]] void fail(std::string answer) const {
        throw Error{ErrorCode::integrity,
                    {.attempted = "read", .subject = subject_, .answer = std::move(answer)}};
    }

    std::string digest_;
    std::uint64_t size_ = 0, seen_ = 0;
    std::string subject_;
    codec::Sha256 hash_ = {};
};

}  // namespace fairing::oci
