// fairing/codec/crc32.hpp - the CRC-32 of gzip (RFC 1952, section 8), with carry-less
// multiplication where there is one.
//
// Polynomials over GF(2) are held bit-reflected, as the CRC itself: bit 31 is the coefficient of
// x^0.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "byte_order.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#include <smmintrin.h>
#include <wmmintrin.h>
#endif

namespace fairing::codec {

/// How the CRC is computed. All give the same value.
enum class Crc32Implementation { portable, x86_carryless };

namespace detail {

inline constexpr std::uint32_t crc32_polynomial = 0xedb88320;

/// value * x.
constexpr std::uint32_t crc32_shift(std::uint32_t value) {
    return value >> 1 ^ ((value & 1) != 0 ? crc32_polynomial : 0);
}

/// left * right.
constexpr std::uint32_t crc32_multiply(std::uint32_t left, std::uint32_t right) {
    std::uint32_t product = 0;
    for (; left != 0; left <<= 1, right = crc32_shift(right)) {
        product ^= (left & 1U << 31) != 0 ? right : 0;
    }
    return product;
}

/// x to the power of `exponent`.
constexpr std::uint32_t crc32_power(std::uint64_t exponent) {
    std::uint32_t result = 1U << 31;
    for (std::uint32_t square = 1U << 30; exponent != 0; exponent >>= 1) {
        result = (exponent & 1) != 0 ? crc32_multiply(result, square) : result;
        square = crc32_multiply(square, square);
    }
    return result;
}

/// Row n holds the CRC of each byte followed by n zero bytes.
inline constexpr auto crc32_tables = [] {
    std::array<std::array<std::uint32_t, 256>, 8> tables = {};
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
        std::uint32_t value = byte;
        for (int bit = 0; bit < 8; ++bit) {
            value = crc32_shift(value);
        }
        tables[0][byte] = value;
    }
    for (std::size_t row = 1; row < tables.size(); ++row) {
        for (std::size_t byte = 0; byte < 256; ++byte) {
            const std::uint32_t before = tables[row - 1][byte];
            tables[row][byte] = before >> 8 ^ tables[0][before & 0xff];
        }
    }
    return tables;
}();

/// Works on the inverted CRC, as the other one.
inline std::uint32_t crc32_update_portable(std::uint32_t state, std::span<const std::byte> bytes) {
    const auto& table = crc32_tables;
    for (; bytes.size() >= 8; bytes = bytes.subspan(8)) {
        const std::uint64_t word = load_little<std::uint64_t>(bytes.data()) ^ state;
        state = table[7][word & 0xff] ^ table[6][word >> 8 & 0xff] ^ table[5][word >> 16 & 0xff] ^
                table[4][word >> 24 & 0xff] ^ table[3][word >> 32 & 0xff] ^
                table[2][word >> 40 & 0xff] ^ table[1][word >> 48 & 0xff] ^ table[0][word >> 56];
    }
    for (const std::byte byte : bytes) {
        state = state >> 8 ^ table[0][(state ^ std::to_integer<std::uint32_t>(byte)) & 0xff];
    }
    return state;
}

#if defined(__x86_64__)

/// PCLMULQDQ is bit 1 of ECX in leaf 1.
inline bool crc32_carryless_present() {
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & 1U << 1) != 0;
}

/// What moves 128 bits by `distance` bits: the factors for their low and high half. The product of
/// two reflected polynomials comes out one bit low, hence the shift to the left.
constexpr std::uint64_t crc32_fold_low(std::uint64_t distance) {
    return std::uint64_t{crc32_power(distance + 32)} << 1;
}
constexpr std::uint64_t crc32_fold_high(std::uint64_t distance) {
    return std::uint64_t{crc32_power(distance - 32)} << 1;
}

[[gnu::target("pclmul,sse2"), gnu::always_inline]] inline __m128i crc32_fold(__m128i value,
                                                                             __m128i factors,
                                                                             __m128i next) {
    const __m128i low = _mm_clmulepi64_si128(value, factors, 0x00);
    const __m128i high = _mm_clmulepi64_si128(value, factors, 0x11);
    return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

/// Folds all that comes in units of 16 bytes into 16 bytes with the same remainder; the tables do
/// the rest.
[[gnu::target("pclmul,sse2")]] inline std::uint32_t crc32_update_carryless(
    std::uint32_t state, std::span<const std::byte> bytes) {
    if (bytes.size() < 128) {
        return crc32_update_portable(state, bytes);
    }
    constexpr std::uint64_t far_low = crc32_fold_low(512), far_high = crc32_fold_high(512);
    constexpr std::uint64_t near_low = crc32_fold_low(128), near_high = crc32_fold_high(128);
    const __m128i by_64 =
        _mm_set_epi64x(static_cast<long long>(far_high), static_cast<long long>(far_low));
    const __m128i by_16 =
        _mm_set_epi64x(static_cast<long long>(near_high), static_cast<long long>(near_low));
    const auto* input = reinterpret_cast<const __m128i*>(bytes.data());
    __m128i lane0 =
        _mm_xor_si128(_mm_loadu_si128(input), _mm_cvtsi32_si128(static_cast<int>(state)));
    __m128i lane1 = _mm_loadu_si128(input + 1);
    __m128i lane2 = _mm_loadu_si128(input + 2);
    __m128i lane3 = _mm_loadu_si128(input + 3);
    std::size_t left = bytes.size() - 64;
    for (input += 4; left >= 64; left -= 64, input += 4) {
        lane0 = crc32_fold(lane0, by_64, _mm_loadu_si128(input));
        lane1 = crc32_fold(lane1, by_64, _mm_loadu_si128(input + 1));
        lane2 = crc32_fold(lane2, by_64, _mm_loadu_si128(input + 2));
        lane3 = crc32_fold(lane3, by_64, _mm_loadu_si128(input + 3));
    }
    __m128i folded = crc32_fold(lane0, by_16, lane1);
    folded = crc32_fold(folded, by_16, lane2);
    folded = crc32_fold(folded, by_16, lane3);
    for (; left >= 16; left -= 16, ++input) {
        folded = crc32_fold(folded, by_16, _mm_loadu_si128(input));
    }
    std::array<std::byte, 16> remainder;
    _mm_storeu_si128(reinterpret_cast<__m128i*>(remainder.data()), folded);
    return crc32_update_portable(crc32_update_portable(0, remainder), bytes.last(left));
}

#endif

}  // namespace detail

/// What this machine can run, the fastest first, `portable` last.
[[nodiscard]] inline std::vector<Crc32Implementation> crc32_implementations() {
    std::vector<Crc32Implementation> present;
#if defined(__x86_64__)
    if (detail::crc32_carryless_present()) {
        present.push_back(Crc32Implementation::x86_carryless);
    }
#endif
    present.push_back(Crc32Implementation::portable);
    return present;
}

/// The CRC of `bytes` after others whose CRC is `previous` (0 for none).
/// Precondition: `implementation` is one of crc32_implementations().
[[nodiscard]] inline std::uint32_t crc32(std::span<const std::byte> bytes, std::uint32_t previous,
                                         Crc32Implementation implementation) {
#if defined(__x86_64__)
    if (implementation == Crc32Implementation::x86_carryless) {
        return ~detail::crc32_update_carryless(~previous, bytes);
    }
#endif
    static_cast<void>(implementation);
    return ~detail::crc32_update_portable(~previous, bytes);
}

/// The same with the fastest implementation.
[[nodiscard]] inline std::uint32_t crc32(std::span<const std::byte> bytes,
                                         std::uint32_t previous = 0) {
    static const Crc32Implementation fastest = crc32_implementations().front();
    return crc32(bytes, previous, fastest);
}

/// The CRC of A followed by B, out of the CRC of each and the length of B in bytes.
[[nodiscard]] constexpr std::uint32_t combine_crc32(std::uint32_t a, std::uint32_t b,
                                                    std::uint64_t length_b) {
    // x has the order 2^32 - 1, so the exponent may be reduced before it is multiplied by 8.
    return detail::crc32_multiply(a, detail::crc32_power(length_b % 0xffffffff * 8)) ^ b;
}

}  // namespace fairing::codec
