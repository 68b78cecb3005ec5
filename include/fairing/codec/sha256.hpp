// fairing/codec/sha256.hpp - SHA-256 (FIPS 180-4), with the processor's own instructions where it
// has them.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#if defined(__x86_64__)
#include <cpuid.h>
#include <smmintrin.h>
#include <tmmintrin.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <arm_neon.h>
#include <sys/auxv.h>
#endif

namespace fairing::codec {

/// How the compression function is computed. All give the same digest.
enum class Sha256Implementation { portable, x86_sha, arm_sha2 };

namespace detail {

using Sha256State = std::array<std::uint32_t, 8>;

/// Mixes `blocks` blocks of 64 bytes into the state.
using Sha256Compress = void (*)(Sha256State& state, const std::byte* data, std::size_t blocks);

/// FIPS 180-4, 5.3.3.
inline constexpr Sha256State sha256_initial = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                               0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

/// FIPS 180-4, 4.2.2.
alignas(16) inline constexpr std::array<std::uint32_t, 64> sha256_constants = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

inline void sha256_compress_portable(Sha256State& state, const std::byte* data,
                                     std::size_t blocks) {
    for (; blocks > 0; --blocks, data += 64) {
        std::array<std::uint32_t, 64> words;
        for (std::size_t i = 0; i < 16; ++i) {
            std::uint32_t word = 0;
            for (std::size_t j = 0; j < 4; ++j) {
                word = word << 8 | std::to_integer<std::uint32_t>(data[4 * i + j]);
            }
            words[i] = word;
        }
        for (std::size_t i = 16; i < 64; ++i) {
            const std::uint32_t near = words[i - 2], far = words[i - 15];
            words[i] = words[i - 16] + words[i - 7] +
                       (std::rotr(far, 7) ^ std::rotr(far, 18) ^ far >> 3) +
                       (std::rotr(near, 17) ^ std::rotr(near, 19) ^ near >> 10);
        }
        auto [a, b, c, d, e, f, g, h] = state;
        for (std::size_t i = 0; i < 64; ++i) {
            const std::uint32_t first = h +
                                        (std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25)) +
                                        ((e & f) ^ (~e & g)) + sha256_constants[i] + words[i];
            const std::uint32_t second = (std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22)) +
                                         ((a & b) ^ (a & c) ^ (b & c));
            h = g;
            g = f;
            f = e;
            e = d + first;
            d = c;
            c = b;
            b = a;
            a = first + second;
        }
        const Sha256State mixed = {a, b, c, d, e, f, g, h};
        for (std::size_t i = 0; i < 8; ++i) {
            state[i] += mixed[i];
        }
    }
}

#if defined(__x86_64__)

/// The SHA extensions are bit 29 of EBX in leaf 7; SSSE3 and SSE4.1 are bits 9 and 19 of ECX in
/// leaf 1.
inline bool sha256_x86_present() {
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0 || (ecx & 1U << 9) == 0 ||
        (ecx & 1U << 19) == 0) {
        return false;
    }
    return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && (ebx & 1U << 29) != 0;
}

// The three instructions by their builtins: <immintrin.h>, which names them, costs 0.3 s in every
// unit.
using Sha256Lanes = int __attribute__((vector_size(16)));

[[gnu::target("sha,sse4.1"), gnu::always_inline]] inline __m128i sha256_rnds2(__m128i cdgh,
                                                                              __m128i abef,
                                                                              __m128i sum) {
    return reinterpret_cast<__m128i>(__builtin_ia32_sha256rnds2(
        reinterpret_cast<Sha256Lanes>(cdgh), reinterpret_cast<Sha256Lanes>(abef),
        reinterpret_cast<Sha256Lanes>(sum)));
}
[[gnu::target("sha,sse4.1"), gnu::always_inline]] inline __m128i sha256_msg1(__m128i a, __m128i b) {
    return reinterpret_cast<__m128i>(__builtin_ia32_sha256msg1(reinterpret_cast<Sha256Lanes>(a),
                                                               reinterpret_cast<Sha256Lanes>(b)));
}
[[gnu::target("sha,sse4.1"), gnu::always_inline]] inline __m128i sha256_msg2(__m128i a, __m128i b) {
    return reinterpret_cast<__m128i>(__builtin_ia32_sha256msg2(reinterpret_cast<Sha256Lanes>(a),
                                                               reinterpret_cast<Sha256Lanes>(b)));
}

/// Rounds `4 * group` to `4 * group + 3`.
[[gnu::target("sha,sse4.1"), gnu::always_inline]] inline void sha256_x86_rounds(__m128i& abef,
                                                                                __m128i& cdgh,
                                                                                __m128i words,
                                                                                std::size_t group) {
    const auto* constants = reinterpret_cast<const __m128i*>(sha256_constants.data());
    const __m128i sum = _mm_add_epi32(words, _mm_load_si128(constants + group));
    cdgh = sha256_rnds2(cdgh, abef, sum);
    abef = sha256_rnds2(abef, cdgh, _mm_shuffle_epi32(sum, 0x0e));
}

/// The four words of the schedule after `oldest`, `older`, `newer`, `newest`.
[[gnu::target("sha,sse4.1"), gnu::always_inline]] inline __m128i sha256_x86_schedule(
    __m128i oldest, __m128i older, __m128i newer, __m128i newest) {
    const __m128i sum =
        _mm_add_epi32(sha256_msg1(oldest, older), _mm_alignr_epi8(newest, newer, 4));
    return sha256_msg2(sum, newest);
}

[[gnu::target("sha,sse4.1")]] inline void sha256_compress_x86(Sha256State& state,
                                                              const std::byte* data,
                                                              std::size_t blocks) {
    const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    auto* packed = reinterpret_cast<__m128i*>(state.data());
    // The instructions want the state as {a, b, e, f} and {c, d, g, h}, the first letter in the
    // highest lane.
    const __m128i badc = _mm_shuffle_epi32(_mm_loadu_si128(packed), 0xb1);
    const __m128i hgfe = _mm_shuffle_epi32(_mm_loadu_si128(packed + 1), 0x1b);
    __m128i abef = _mm_alignr_epi8(badc, hgfe, 8);
    __m128i cdgh = _mm_blend_epi16(hgfe, badc, 0xf0);
    for (; blocks > 0; --blocks, data += 64) {
        const __m128i abef_before = abef, cdgh_before = cdgh;
        const auto* input = reinterpret_cast<const __m128i*>(data);
        __m128i w0 = _mm_shuffle_epi8(_mm_loadu_si128(input), big_endian);
        __m128i w1 = _mm_shuffle_epi8(_mm_loadu_si128(input + 1), big_endian);
        __m128i w2 = _mm_shuffle_epi8(_mm_loadu_si128(input + 2), big_endian);
        __m128i w3 = _mm_shuffle_epi8(_mm_loadu_si128(input + 3), big_endian);
        sha256_x86_rounds(abef, cdgh, w0, 0);
        sha256_x86_rounds(abef, cdgh, w1, 1);
        sha256_x86_rounds(abef, cdgh, w2, 2);
        sha256_x86_rounds(abef, cdgh, w3, 3);
        for (std::size_t group = 4; group < 16; group += 4) {
            w0 = sha256_x86_schedule(w0, w1, w2, w3);
            sha256_x86_rounds(abef, cdgh, w0, group);
            w1 = sha256_x86_schedule(w1, w2, w3, w0);
            sha256_x86_rounds(abef, cdgh, w1, group + 1);
            w2 = sha256_x86_schedule(w2, w3, w0, w1);
            sha256_x86_rounds(abef, cdgh, w2, group + 2);
            w3 = sha256_x86_schedule(w3, w0, w1, w2);
            sha256_x86_rounds(abef, cdgh, w3, group + 3);
        }
        abef = _mm_add_epi32(abef, abef_before);
        cdgh = _mm_add_epi32(cdgh, cdgh_before);
    }
    const __m128i feba = _mm_shuffle_epi32(abef, 0x1b);
    const __m128i dchg = _mm_shuffle_epi32(cdgh, 0xb1);
    _mm_storeu_si128(packed, _mm_blend_epi16(feba, dchg, 0xf0));
    _mm_storeu_si128(packed + 1, _mm_alignr_epi8(dchg, feba, 8));
}

#elif defined(__aarch64__) && defined(__linux__)

/// HWCAP_SHA2 of the kernel's user interface.
inline bool sha256_arm_present() { return (getauxval(AT_HWCAP) & 1UL << 6) != 0; }

// Inline assembly and not intrinsics: clang 14 offers those only when the whole unit is compiled
// for them.

/// Rounds `4 * group` to `4 * group + 3`.
[[gnu::always_inline]] inline void sha256_arm_rounds(uint32x4_t& abcd, uint32x4_t& efgh,
                                                     uint32x4_t words, std::size_t group) {
    const uint32x4_t sum = vaddq_u32(words, vld1q_u32(sha256_constants.data() + 4 * group));
    const uint32x4_t abcd_before = abcd;
    asm(".arch_extension sha2\n\tsha256h %q0, %q1, %2.4s" : "+w"(abcd) : "w"(efgh), "w"(sum));
    asm(".arch_extension sha2\n\tsha256h2 %q0, %q1, %2.4s"
        : "+w"(efgh)
        : "w"(abcd_before), "w"(sum));
}

/// The four words of the schedule after `oldest`, `older`, `newer`, `newest`, in place of `oldest`.
[[gnu::always_inline]] inline void sha256_arm_schedule(uint32x4_t& oldest, uint32x4_t older,
                                                       uint32x4_t newer, uint32x4_t newest) {
    asm(".arch_extension sha2\n\tsha256su0 %0.4s, %1.4s" : "+w"(oldest) : "w"(older));
    asm(".arch_extension sha2\n\tsha256su1 %0.4s, %1.4s, %2.4s"
        : "+w"(oldest)
        : "w"(newer), "w"(newest));
}

inline uint32x4_t sha256_arm_load(const std::byte* data) {
    return vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(reinterpret_cast<const std::uint8_t*>(data))));
}

inline void sha256_compress_arm(Sha256State& state, const std::byte* data, std::size_t blocks) {
    uint32x4_t abcd = vld1q_u32(state.data()), efgh = vld1q_u32(state.data() + 4);
    for (; blocks > 0; --blocks, data += 64) {
        const uint32x4_t abcd_before = abcd, efgh_before = efgh;
        uint32x4_t w0 = sha256_arm_load(data), w1 = sha256_arm_load(data + 16);
        uint32x4_t w2 = sha256_arm_load(data + 32), w3 = sha256_arm_load(data + 48);
        for (std::size_t group = 0; group < 12; group += 4) {
            sha256_arm_rounds(abcd, efgh, w0, group);
            sha256_arm_schedule(w0, w1, w2, w3);
            sha256_arm_rounds(abcd, efgh, w1, group + 1);
            sha256_arm_schedule(w1, w2, w3, w0);
            sha256_arm_rounds(abcd, efgh, w2, group + 2);
            sha256_arm_schedule(w2, w3, w0, w1);
            sha256_arm_rounds(abcd, efgh, w3, group + 3);
            sha256_arm_schedule(w3, w0, w1, w2);
        }
        sha256_arm_rounds(abcd, efgh, w0, 12);
        sha256_arm_rounds(abcd, efgh, w1, 13);
        sha256_arm_rounds(abcd, efgh, w2, 14);
        sha256_arm_rounds(abcd, efgh, w3, 15);
        abcd = vaddq_u32(abcd, abcd_before);
        efgh = vaddq_u32(efgh, efgh_before);
    }
    vst1q_u32(state.data(), abcd);
    vst1q_u32(state.data() + 4, efgh);
}

#endif

inline Sha256Compress sha256_compress(Sha256Implementation implementation) {
    switch (implementation) {
#if defined(__x86_64__)
        case Sha256Implementation::x86_sha:
            return sha256_compress_x86;
#elif defined(__aarch64__) && defined(__linux__)
        case Sha256Implementation::arm_sha2:
            return sha256_compress_arm;
#endif
        default:
            return sha256_compress_portable;
    }
}

}  // namespace detail

/// What this machine can run, the fastest first, `portable` last.
[[nodiscard]] inline std::vector<Sha256Implementation> sha256_implementations() {
    std::vector<Sha256Implementation> present;
#if defined(__x86_64__)
    if (detail::sha256_x86_present()) {
        present.push_back(Sha256Implementation::x86_sha);
    }
#elif defined(__aarch64__) && defined(__linux__)
    if (detail::sha256_arm_present()) {
        present.push_back(Sha256Implementation::arm_sha2);
    }
#endif
    present.push_back(Sha256Implementation::portable);
    return present;
}

/// A digest of bytes that come in pieces. A copy continues on its own from the same state.
class Sha256 {
public:
    Sha256() : compress_(fastest()) {}

    /// Precondition: `implementation` is one of sha256_implementations().
    explicit Sha256(Sha256Implementation implementation)
        : compress_(detail::sha256_compress(implementation)) {}

    void update(std::span<const std::byte> bytes) {
        length_ += bytes.size();
        if (pending_size_ > 0) {
            const std::size_t taken = std::min(bytes.size(), pending_.size() - pending_size_);
            std::copy_n(bytes.begin(), taken, pending_.begin() + pending_size_);
            pending_size_ += taken;
            bytes = bytes.subspan(taken);
            if (pending_size_ < pending_.size()) {
                return;
            }
            compress_(state_, pending_.data(), 1);
            pending_size_ = 0;
        }
        const std::size_t blocks = bytes.size() / 64;
        if (blocks > 0) {
            compress_(state_, bytes.data(), blocks);
            bytes = bytes.subspan(64 * blocks);
        }
        std::copy(bytes.begin(), bytes.end(), pending_.begin());
        pending_size_ = bytes.size();
    }
    void update(std::string_view text) { update(std::as_bytes(std::span{text})); }

    /// The digest of everything so far. Afterwards the object is as new.
    [[nodiscard]] std::array<std::byte, 32> finish() {
        const std::uint64_t bits = 8 * length_;
        std::array<std::byte, 72> padding = {std::byte{0x80}};
        const std::size_t zeros_end = 1 + (119 - pending_size_) % 64;
        for (std::size_t i = 0; i < 8; ++i) {
            padding[zeros_end + i] = static_cast<std::byte>(bits >> (56 - 8 * i));
        }
        update(std::span{padding}.first(zeros_end + 8));
        std::array<std::byte, 32> digest;
        for (std::size_t i = 0; i < digest.size(); ++i) {
            digest[i] = static_cast<std::byte>(state_[i / 4] >> (24 - 8 * (i % 4)));
        }
        state_ = detail::sha256_initial;
        length_ = 0;
        pending_size_ = 0;
        return digest;
    }

private:
    static detail::Sha256Compress fastest() {
        static const detail::Sha256Compress chosen =
            detail::sha256_compress(sha256_implementations().front());
        return chosen;
    }

    detail::Sha256Compress compress_;
    detail::Sha256State state_ = detail::sha256_initial;
    std::uint64_t length_ = 0;
    std::array<std::byte, 64> pending_ = {};
    std::size_t pending_size_ = 0;
};

/// Two lower-case hexadecimal digits for each byte.
[[nodiscard]] inline std::string hex(std::span<const std::byte> bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    text.reserve(2 * bytes.size());
    for (const std::byte byte : bytes) {
        text += digits[std::to_integer<std::size_t>(byte >> 4)];
        text += digits[std::to_integer<std::size_t>(byte & std::byte{0x0f})];
    }
    return text;
}

/// The SHA-256 of `bytes`, as 64 lower-case hexadecimal digits.
[[nodiscard]] inline std::string sha256_hex(std::span<const std::byte> bytes) {
    Sha256 hash;
    hash.update(bytes);
    return hex(hash.finish());
}
[[nodiscard]] inline std::string sha256_hex(std::string_view text) {
    return sha256_hex(std::as_bytes(std::span{text}));
}

}  // namespace fairing::codec
