// fairing.hpp - the whole library in one header: training code to a running job.
//
// Generated from include/ by tools/amalgamate.py; change the headers there. Needs C++20, <nlohmann/json.hpp> and
// <httplib.h> (cpp-httplib 0.41 or newer), and OpenSSL unless FAIRING_TLS is 0.
//
// Licensed under the Apache License, Version 2.0.
#pragma once

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <atomic>
#include <bit>
#include <bitset>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <climits>
#include <cmath>
#include <concepts>
#include <condition_variable>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <deque>
#include <dirent.h>
#include <exception>
#include <fcntl.h>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <iostream>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <netdb.h>
#include <netinet/in.h>
#include <nlohmann/json.hpp>
#include <optional>
#include <poll.h>
#include <pthread.h>
#include <random>
#include <set>
#include <signal.h>
#include <span>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <time.h>
#include <tuple>
#include <type_traits>
#include <unistd.h>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

// -------------------------------------------------------------------------------------------------------------
// fairing/core/json.hpp - the JSON value: the only header that includes nlohmann/json.
//
// Trap: `Json copy{other}` is an array of one with GCC and a copy with clang; write `Json copy =
// other`.

namespace fairing {

using Json = nlohmann::json;

}  // namespace fairing

// -------------------------------------------------------------------------------------------------------------
// fairing/core/error.hpp - everything the library throws, and the exit code that each kind
// deserves.

namespace fairing {

enum class ErrorCode {
    usage,            ///< the call itself is wrong
    input,            ///< a file, document or name that we were given is wrong
    not_found,        ///< what was named does not exist
    denied,           ///< no permission, here or at a peer
    conflict,         ///< something of that name is there already
    unavailable,      ///< a peer does not answer, or answers that it can not
    timeout,          ///< a deadline passed
    integrity,        ///< bytes are not what their digest says
    unsupported,      ///< understood, and not something we do
    cancelled,        ///< a stop was requested
    workload_failed,  ///< what we started ended badly
    internal          ///< ours
};

/// Everything the library throws. Copies are nothrow: the details are shared and immutable. what()
/// reads "cannot ATTEMPTED SUBJECT: ANSWER; ADVICE".
class Error : public std::runtime_error {
public:
    struct Details {
        std::string attempted = {};  ///< a verb phrase: "push layer"
        std::string subject = {};    ///< what it was done to
        std::string answer = {};     ///< what came back
        std::string advice = {};     ///< what to do about it
        std::optional<int> http_status = {};
        Json kubernetes_status = {};  ///< the `Status` object of a Kubernetes API server
    };

    Error(ErrorCode code, Details details)
        : std::runtime_error(sentence(details)),
          code_(code),
          details_(std::make_shared<const Details>(std::move(details))) {}

    [[nodiscard]] ErrorCode code() const noexcept { return code_; }
    [[nodiscard]] const Details& details() const noexcept { return *details_; }

private:
    static std::string sentence(const Details& details) {
        std::string text = "cannot " + details.attempted;
        if (!details.subject.empty()) {
            text += ' ' + details.subject;
        }
        if (!details.answer.empty()) {
            text += ": " + details.answer;
        }
        if (!details.advice.empty()) {
            text += "; " + details.advice;
        }
        return printable(text);
    }

    /// Foreign words may be among these: no control character reaches a terminal or a log, and no
    /// megabyte either. The details keep what was said.
    static std::string printable(const std::string& text) {
        constexpr std::size_t longest = 8192;
        constexpr const char* digits = "0123456789abcdef";
        std::string result;
        for (const char c : text) {
            const auto byte = static_cast<unsigned char>(c);
            if (result.size() >= longest) {
                return result + " ...";
            }
            if (c == '\n' || c == '\t' || c == '\r') {
                result += ' ';
            } else if (byte < 0x20 || byte == 0x7f) {
                result += "\\x";
                result += digits[byte >> 4];
                result += digits[byte & 15];
            } else {
                result += c;
            }
        }
        return result;
    }

    ErrorCode code_;
    std::shared_ptr<const Details> details_;
};

/// A stop was requested and obeyed.
class Cancelled : public Error {
public:
    using Error::Error;
};

/// What errno says, as an Error: ENOENT is not_found, EACCES and EPERM are denied, the rest
/// `otherwise`.
[[nodiscard]] inline Error system_error(int number, std::string attempted, std::string subject,
                                        ErrorCode otherwise = ErrorCode::input) {
    const ErrorCode code = number == ENOENT                      ? ErrorCode::not_found
                           : number == EACCES || number == EPERM ? ErrorCode::denied
                                                                 : otherwise;
    return Error{code,
                 {.attempted = std::move(attempted),
                  .subject = std::move(subject),
                  .answer = std::generic_category().message(number)}};
}

/// The exit code of a program that ends with this kind of error (sysexits.h, and 128 + SIGINT).
[[nodiscard]] constexpr int exit_code(ErrorCode code) noexcept {
    switch (code) {
        case ErrorCode::usage:
            return 64;
        case ErrorCode::input:
        case ErrorCode::not_found:
        case ErrorCode::unsupported:
            return 65;
        case ErrorCode::conflict:
        case ErrorCode::unavailable:
        case ErrorCode::timeout:
        case ErrorCode::integrity:
            return 69;
        case ErrorCode::denied:
            return 77;
        case ErrorCode::cancelled:
            return 130;
        case ErrorCode::workload_failed:
            return 1;
        case ErrorCode::internal:
            break;
    }
    return 70;
}

}  // namespace fairing

// -------------------------------------------------------------------------------------------------------------
// fairing/codec/byte_order.hpp - bytes, and little-endian numbers that need not be aligned, in
// memory.

namespace fairing::codec::detail {

template <std::unsigned_integral Number>
[[nodiscard]] constexpr Number reverse_bytes(Number value) {
    Number reversed = 0;
    for (std::size_t i = 0; i < sizeof(Number); ++i) {
        reversed = static_cast<Number>(reversed << 8 | (value >> (8 * i) & 0xff));
    }
    return reversed;
}

/// Precondition: sizeof(Number) bytes are readable at `bytes`.
template <std::unsigned_integral Number>
[[nodiscard]] inline Number load_little(const std::byte* bytes) {
    Number value;
    std::memcpy(&value, bytes, sizeof value);
    return std::endian::native == std::endian::little ? value : reverse_bytes(value);
}

/// Precondition: sizeof(Number) bytes are writable at `bytes`.
template <std::unsigned_integral Number>
inline void store_little(Number value, std::byte* bytes) {
    value = std::endian::native == std::endian::little ? value : reverse_bytes(value);
    std::memcpy(bytes, &value, sizeof value);
}

template <std::unsigned_integral Number>
inline void append_little(Number value, std::vector<std::byte>& out) {
    out.resize(out.size() + sizeof value);
    store_little(value, out.data() + out.size() - sizeof value);
}

inline void append_bytes(std::span<const std::byte> bytes, std::vector<std::byte>& out) {
    const std::size_t size = out.size();
    out.resize(size + bytes.size());
    std::copy(bytes.begin(), bytes.end(), out.data() + size);
}

}  // namespace fairing::codec::detail

// -------------------------------------------------------------------------------------------------------------
// fairing/codec/compressor.hpp - the policy by which a layer is compressed.

namespace fairing::codec {

/// Takes bytes as they come. The span is valid during the call only.
using ByteSink = std::function<void(std::span<const std::byte>)>;

/// A stream is begin, any number of blocks, end, each appended to `out`; a block depends on its
/// input alone, so it may be compressed on any thread and kept, and the concatenation is one valid
/// stream wherever the borders are.
///
/// `suffix` is what follows the "+" in a media type; `block_size()` is the input size that the
/// policy likes best (any other is correct); `end` gets the CRC-32 and the number of all input
/// bytes.
///
///     GzipCompressor gzip;
///     gzip.begin(out);
///     gzip.block(first, out);
///     gzip.block(second, out);
///     gzip.end(crc32(second, crc32(first)), first.size() + second.size(), out);
template <class T>
concept Compressor = std::copyable<T> &&
    requires(const T& compressor, std::span<const std::byte> input, std::vector<std::byte>& out,
             std::uint32_t crc, std::uint64_t size) {
    { T::suffix } -> std::convertible_to<std::string_view>;
    { compressor.block_size() } -> std::same_as<std::size_t>;
    { compressor.begin(out) } -> std::same_as<void>;
    { compressor.block(input, out) } -> std::same_as<void>;
    { compressor.end(crc, size, out) } -> std::same_as<void>;
};

}  // namespace fairing::codec

// -------------------------------------------------------------------------------------------------------------
// fairing/codec/crc32.hpp - the CRC-32 of gzip (RFC 1952, section 8), with carry-less
// multiplication where there is one.
//
// Polynomials over GF(2) are held bit-reflected, as the CRC itself: bit 31 is the coefficient of
// x^0.

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
[[nodiscard]] constexpr std::uint32_t crc32_combine(std::uint32_t a, std::uint32_t b,
                                                    std::uint64_t length_b) {
    // x has the order 2^32 - 1, so the exponent may be reduced before it is multiplied by 8.
    return detail::crc32_multiply(a, detail::crc32_power(length_b % 0xffffffff * 8)) ^ b;
}

}  // namespace fairing::codec

// -------------------------------------------------------------------------------------------------------------
// fairing/codec/bit_writer.hpp - bits packed into bytes from the lowest up (RFC 1951,
// section 3.1.1).

namespace fairing::codec::detail {

/// Appends to a vector, which is longer than what was written until finish(). Call reserve() before
/// put().
class BitWriter {
public:
    explicit BitWriter(std::vector<std::byte>& out) : out_(out), position_(out.size()) {}

    /// Room for `bits` more bits.
    void reserve(std::uint64_t bits) {
        const std::size_t needed = position_ + static_cast<std::size_t>(bits / 8) + 16;
        if (out_.size() < needed) {
            out_.resize(needed + needed / 4);
        }
    }

    /// Precondition: count <= 56, no bit of `bits` from `count` on is set, and there is room.
    void put(std::uint64_t bits, unsigned count) {
        pending_ |= bits << used_;
        store_little(pending_, out_.data() + position_);
        used_ += count;
        position_ += used_ / 8;
        pending_ >>= used_ & ~7U;
        used_ &= 7;
    }

    /// How many bits the current byte holds already, 0 to 7.
    [[nodiscard]] unsigned bits_in_byte() const { return used_; }

    /// Fills the current byte with zero bits.
    void align() {
        if (used_ > 0) {
            put(0, 8 - used_);
        }
    }

    /// Precondition: the position is at a byte border.
    void append(std::span<const std::byte> bytes) {
        reserve(8 * std::uint64_t{bytes.size()});
        std::copy(bytes.begin(), bytes.end(), out_.data() + position_);
        position_ += bytes.size();
    }

    /// Aligns and cuts the vector to what was written. The writer may be used again.
    void finish() {
        reserve(8);
        align();
        out_.resize(position_);
    }

private:
    std::vector<std::byte>& out_;
    std::size_t position_;
    std::uint64_t pending_ = 0;
    unsigned used_ = 0;
};

}  // namespace fairing::codec::detail

// -------------------------------------------------------------------------------------------------------------
// fairing/codec/deflate_tables.hpp - the alphabets of deflate (RFC 1951, sections 3.2.5 to 3.2.7).

namespace fairing::codec::detail {

inline constexpr std::size_t literal_symbols = 286;
inline constexpr std::size_t distance_symbols = 30;
inline constexpr std::size_t code_length_symbols = 19;
inline constexpr std::size_t end_of_block = 256;
inline constexpr std::size_t first_length_symbol = 257;

/// The least value of a symbol, and how many bits follow it to say how much more.
struct SymbolRange {
    std::uint16_t base = 0;
    std::uint8_t extra_bits = 0;
};

/// Lengths, from symbol 257 on.
inline constexpr auto length_ranges = [] {
    std::array<SymbolRange, literal_symbols - first_length_symbol> ranges = {};
    std::uint16_t base = 3;
    for (std::size_t i = 0; i < ranges.size(); ++i) {
        const auto extra = static_cast<std::uint8_t>(i < 8 ? 0 : i / 4 - 1);
        ranges[i] = {base, extra};
        base = static_cast<std::uint16_t>(base + (1 << extra));
    }
    ranges.back() = {258, 0};
    return ranges;
}();

inline constexpr auto distance_ranges = [] {
    std::array<SymbolRange, distance_symbols> ranges = {};
    std::uint16_t base = 1;
    for (std::size_t i = 0; i < ranges.size(); ++i) {
        const auto extra = static_cast<std::uint8_t>(i < 4 ? 0 : i / 2 - 1);
        ranges[i] = {base, extra};
        base = static_cast<std::uint16_t>(base + (1 << extra));
    }
    return ranges;
}();

/// The order in which the lengths of the code length code are written.
inline constexpr std::array<std::uint8_t, code_length_symbols> code_length_order = {
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};

/// The fixed code of literals and lengths; the last two symbols complete it and never occur.
inline constexpr auto fixed_literal_lengths = [] {
    std::array<std::uint8_t, 288> lengths = {};
    for (std::size_t i = 0; i < lengths.size(); ++i) {
        lengths[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
    }
    return lengths;
}();

/// The fixed code of distances; the last two symbols complete it and never occur.
inline constexpr auto fixed_distance_lengths = [] {
    std::array<std::uint8_t, 32> lengths = {};
    lengths.fill(5);
    return lengths;
}();

}  // namespace fairing::codec::detail

// -------------------------------------------------------------------------------------------------------------
// fairing/codec/huffman.hpp - prefix codes of limited length, as deflate writes them (RFC 1951,
// section 3.2.2).

namespace fairing::codec::detail {

/// No code of deflate is longer, and no alphabet larger.
inline constexpr unsigned huffman_longest = 15;
inline constexpr std::size_t huffman_symbols = 288;

/// The lengths of an optimal prefix code of at most `limit` bits (package-merge: Larmore and
/// Hirschberg, 1990). Unused symbols get length 0. At least two symbols get a code, used or not, so
/// that the code is complete.
///
/// Preconditions: lengths.size() == frequencies.size(), 2 to huffman_symbols, at most 2^limit;
/// limit <= 15; the sum of the frequencies is below 2^32.
inline void huffman_lengths(std::span<const std::uint32_t> frequencies, unsigned limit,
                            std::span<std::uint8_t> lengths) {
    struct Leaf {
        std::uint32_t weight;
        std::uint32_t symbol;
    };
    std::array<Leaf, huffman_symbols> leaves;
    std::size_t count = 0;
    std::fill(lengths.begin(), lengths.end(), std::uint8_t{0});
    for (std::uint32_t symbol = 0; symbol < frequencies.size(); ++symbol) {
        if (frequencies[symbol] > 0) {
            leaves[count++] = {frequencies[symbol], symbol};
        }
    }
    for (std::uint32_t symbol = 0; count < 2; ++symbol) {
        if (frequencies[symbol] == 0) {
            leaves[count++] = {1, symbol};
        }
    }
    std::sort(leaves.begin(), leaves.begin() + count, [](const Leaf& left, const Leaf& right) {
        return left.weight != right.weight ? left.weight < right.weight
                                           : left.symbol < right.symbol;
    });

    // Row n lists the cheapest items of level n: leaves, and pairs of neighbours of the row before.
    std::array<std::bitset<2 * huffman_symbols>, huffman_longest> is_leaf;
    std::array<std::uint64_t, 2 * huffman_symbols> weights, merged;
    std::size_t size = 0;
    for (unsigned level = 0; level < limit; ++level) {
        std::size_t leaf = 0, pair = 0, length = 0;
        while (leaf < count || pair + 1 < size) {
            const bool take_leaf =
                leaf < count &&
                (pair + 1 >= size || leaves[leaf].weight <= weights[pair] + weights[pair + 1]);
            is_leaf[level][length] = take_leaf;
            merged[length++] = take_leaf ? leaves[leaf].weight : weights[pair] + weights[pair + 1];
            leaf += take_leaf ? 1 : 0;
            pair += take_leaf ? 0 : 2;
        }
        std::swap(weights, merged);
        size = length;
    }

    // The first 2n - 2 items of the last row are the solution; a symbol is as long as it is often
    // in them.
    std::size_t taken = 2 * count - 2;
    for (unsigned level = limit; level-- > 0 && taken > 0;) {
        std::size_t taken_leaves = 0;
        for (std::size_t i = 0; i < taken; ++i) {
            taken_leaves += is_leaf[level][i] ? 1 : 0;
        }
        for (std::size_t i = 0; i < taken_leaves; ++i) {
            ++lengths[leaves[i].symbol];
        }
        taken = 2 * (taken - taken_leaves);
    }
}

/// The canonical codes of these lengths, their bits reversed as they go into the stream.
inline void huffman_codes(std::span<const std::uint8_t> lengths, std::span<std::uint16_t> codes) {
    std::array<std::uint16_t, huffman_longest + 2> next = {};
    for (const std::uint8_t length : lengths) {
        ++next[length + 1U];
    }
    next[1] = 0;
    for (std::size_t length = 2; length < next.size(); ++length) {
        next[length] = static_cast<std::uint16_t>((next[length] + next[length - 1]) << 1);
    }
    for (std::size_t symbol = 0; symbol < lengths.size(); ++symbol) {
        std::uint16_t reversed = 0;
        if (lengths[symbol] > 0) {
            std::uint16_t code = next[lengths[symbol]]++;
            for (unsigned bit = 0; bit < lengths[symbol]; ++bit, code >>= 1) {
                reversed = static_cast<std::uint16_t>(reversed << 1 | (code & 1));
            }
        }
        codes[symbol] = reversed;
    }
}

}  // namespace fairing::codec::detail

// -------------------------------------------------------------------------------------------------------------
// fairing/codec/match_finder.hpp - earlier occurrences of the next bytes, within deflate's window
// (RFC 1951, section 4).

namespace fairing::codec::detail {

inline constexpr std::size_t window_size = 32768;
inline constexpr std::size_t shortest_match = 3;
inline constexpr std::size_t longest_match = 258;

/// `length` bytes that stand `distance` bytes before too. Length 0: none.
struct Match {
    std::size_t length = 0;
    std::size_t distance = 0;
};

/// How many bytes are equal at `left` and `right`, at most `limit`. `limit` bytes are readable at
/// both.
[[nodiscard]] inline std::size_t common_prefix(const std::byte* left, const std::byte* right,
                                               std::size_t limit) {
    std::size_t length = 0;
    for (; length + 8 <= limit; length += 8) {
        const std::uint64_t difference =
            load_little<std::uint64_t>(left + length) ^ load_little<std::uint64_t>(right + length);
        if (difference != 0) {
            return length + static_cast<std::size_t>(std::countr_zero(difference)) / 8;
        }
    }
    while (length < limit && left[length] == right[length]) {
        ++length;
    }
    return length;
}

/// Hash chains over one input: one table of the last place of each three bytes, one of chains of
/// places that share four bytes. Positions are visited in rising order and may be left out; the
/// input stays where it is.
class MatchFinder {
public:
    /// Precondition: input.size() < 2^31.
    explicit MatchFinder(std::span<const std::byte> input)
        : input_(input),
          hash_bits_(std::clamp(static_cast<unsigned>(std::bit_width(input.size())), 8U, 16U)),
          chains_(std::size_t{1} << hash_bits_, nowhere),
          triples_(std::size_t{1} << (hash_bits_ - 2), nowhere),
          previous_(std::min(std::bit_ceil(input.size() + 1), window_size), nowhere) {}

    /// Notes `position` without a search.
    void insert(std::size_t position) {
        if (position + 4 <= input_.size()) {
            static_cast<void>(enter(position));
        }
    }

    /// The longest match at `position` that is longer than `shorter` and is met within `depth`
    /// steps, the nearest of that length; a match of `nice` bytes ends the search. Notes the
    /// position.
    [[nodiscard]] Match find(std::size_t position, std::size_t shorter, std::size_t nice,
                             unsigned depth) {
        if (position + 4 > input_.size()) {
            return {};
        }
        const std::byte* const here = input_.data() + position;
        const std::size_t limit = std::min(longest_match, input_.size() - position);
        const auto [triple, first] = enter(position);
        Match best = {.length = std::max(shorter, shortest_match - 1)};
        if (best.length >= limit) {
            return {};
        }
        if (best.length < shortest_match && is_near(triple, position, far_triple)) {
            const std::byte* const there = input_.data() + triple;
            if (((load_little<std::uint32_t>(there) ^ load_little<std::uint32_t>(here)) &
                 0xffffff) == 0) {
                best = {.length = shortest_match,
                        .distance = position - static_cast<std::size_t>(triple)};
            }
        }
        std::int32_t candidate = first;
        for (; depth > 0 && is_near(candidate, position, window_size); --depth) {
            const std::byte* const there = input_.data() + candidate;
            // A longer match has these four bytes too, and most candidates do not.
            const std::size_t tail = std::max(best.length, shortest_match) - 3;
            if (load_little<std::uint32_t>(there + tail) ==
                load_little<std::uint32_t>(here + tail)) {
                const std::size_t length = common_prefix(here, there, limit);
                if (length > best.length) {
                    best = {.length = length,
                            .distance = position - static_cast<std::size_t>(candidate)};
                    if (length >= nice || length == limit) {
                        break;
                    }
                }
            }
            const std::int32_t next = previous_[slot(static_cast<std::size_t>(candidate))];
            if (next >= candidate) {
                break;  // the slot belongs to a position a window later
            }
            candidate = next;
        }
        return best.distance > 0 ? best : Match{};
    }

private:
    static constexpr std::int32_t nowhere = -1;
    /// Three literals cost less than a match of three from farther away.
    static constexpr std::size_t far_triple = 4096;

    struct Entered {
        std::int32_t triple;
        std::int32_t chain;
    };

    [[nodiscard]] static bool is_near(std::int32_t candidate, std::size_t position,
                                      std::size_t distance) {
        return candidate >= 0 && position - static_cast<std::size_t>(candidate) <= distance;
    }
    [[nodiscard]] std::size_t slot(std::size_t position) const {
        return position & (previous_.size() - 1);
    }
    /// What the tables held for the bytes at `position`, which they now lead to. Four bytes are
    /// readable there.
    Entered enter(std::size_t position) {
        const auto bytes = load_little<std::uint32_t>(input_.data() + position);
        const auto number = static_cast<std::int32_t>(position);
        std::int32_t& chain = chains_[bytes * 0x9e3779b1U >> (32 - hash_bits_)];
        std::int32_t& triple = triples_[(bytes << 8) * 0x85ebca77U >> (34 - hash_bits_)];
        const Entered before = {.triple = triple, .chain = chain};
        previous_[slot(position)] = chain;
        chain = number;
        triple = number;
        return before;
    }

    std::span<const std::byte> input_;
    unsigned hash_bits_;
    std::vector<std::int32_t> chains_;
    std::vector<std::int32_t> triples_;
    std::vector<std::int32_t> previous_;
};

}  // namespace fairing::codec::detail

// -------------------------------------------------------------------------------------------------------------
// fairing/codec/deflate_block.hpp - one block of a deflate stream, in the smallest of its three
// forms (RFC 1951, 3.2.3).

namespace fairing::codec::detail {

/// Stored blocks (type 00) that hold `bytes`; afterwards the writer is at a byte border.
inline void write_stored(std::span<const std::byte> bytes, BitWriter& writer) {
    while (!bytes.empty()) {
        const auto piece = bytes.first(std::min<std::size_t>(bytes.size(), 65535));
        const auto size = static_cast<std::uint16_t>(piece.size());
        writer.reserve(64);
        writer.put(0, 3);
        writer.align();
        writer.put(size, 16);
        writer.put(static_cast<std::uint16_t>(~size), 16);
        writer.append(piece);
        bytes = bytes.subspan(piece.size());
    }
}

/// Collects literals and matches, and writes them as a block that is not the last one.
class DeflateBlock {
public:
    DeflateBlock() { tokens_.reserve(capacity); }

    void literal(std::byte value) {
        const auto symbol = std::to_integer<std::uint32_t>(value);
        tokens_.push_back(symbol);
        ++literal_frequencies_[symbol];
        ++input_size_;
    }
    void match(const Match& match) {
        tokens_.push_back(static_cast<std::uint32_t>(match.length << 16 | (match.distance - 1)));
        ++literal_frequencies_[length_symbol(match.length)];
        ++distance_frequencies_[distance_symbol(match.distance)];
        input_size_ += match.length;
    }
    [[nodiscard]] bool empty() const { return tokens_.empty(); }
    /// Enough for the code to fit its block and to be worth its description.
    [[nodiscard]] bool full() const { return tokens_.size() >= capacity; }
    /// How many bytes the tokens stand for.
    [[nodiscard]] std::size_t input_size() const { return input_size_; }

    /// Writes the block and forgets its tokens. `input` is what they stand for.
    void write(std::span<const std::byte> input, BitWriter& writer) {
        literal_frequencies_[end_of_block] = 1;
        static const Codes fixed = {fixed_literal_lengths, fixed_distance_lengths};
        const Codes dynamic = {literal_frequencies_, distance_frequencies_};
        const Description description{dynamic};
        const std::uint64_t fixed_bits = 3 + body_bits(fixed);
        const std::uint64_t dynamic_bits = 3 + description.bits() + body_bits(dynamic);
        const std::uint64_t stored_bits =
            (input.size() / 65535 + 1) * (3 + 7 + 32) + 8 * std::uint64_t{input.size()};
        if (stored_bits <= std::min(fixed_bits, dynamic_bits)) {
            write_stored(input, writer);
        } else if (fixed_bits <= dynamic_bits) {
            writer.reserve(fixed_bits);
            writer.put(0b010, 3);
            write_body(fixed, writer);
        } else {
            writer.reserve(dynamic_bits);
            writer.put(0b100, 3);
            description.write(writer);
            write_body(dynamic, writer);
        }
        tokens_.clear();
        literal_frequencies_ = {};
        distance_frequencies_ = {};
        input_size_ = 0;
    }

private:
    static constexpr std::size_t capacity = 16384;

    using LiteralFrequencies = std::array<std::uint32_t, literal_symbols>;
    using DistanceFrequencies = std::array<std::uint32_t, distance_symbols>;

    static constexpr auto length_symbols = [] {
        std::array<std::uint16_t, longest_match + 1> symbols = {};
        for (std::size_t i = 0; i < length_ranges.size(); ++i) {
            for (std::size_t length = length_ranges[i].base; length < symbols.size(); ++length) {
                symbols[length] = static_cast<std::uint16_t>(first_length_symbol + i);
            }
        }
        return symbols;
    }();
    static std::size_t length_symbol(std::size_t length) { return length_symbols[length]; }
    static std::size_t distance_symbol(std::size_t distance) {
        const std::size_t value = distance - 1;
        if (value < 4) {
            return value;
        }
        const auto width = static_cast<std::size_t>(std::bit_width(value));
        return 2 * (width - 1) + (value >> (width - 2) & 1);
    }

    /// A code for literals and lengths, and one for distances.
    struct Codes {
        std::array<std::uint8_t, 288> literal_lengths = {};
        std::array<std::uint8_t, 32> distance_lengths = {};
        std::array<std::uint16_t, 288> literal_codes = {};
        std::array<std::uint16_t, 32> distance_codes = {};

        Codes(const std::array<std::uint8_t, 288>& literals,
              const std::array<std::uint8_t, 32>& distances)
            : literal_lengths(literals), distance_lengths(distances) {
            assign_codes();
        }
        Codes(const LiteralFrequencies& literals, const DistanceFrequencies& distances) {
            huffman_lengths(literals, 15, std::span{literal_lengths}.first(literals.size()));
            huffman_lengths(distances, 15, std::span{distance_lengths}.first(distances.size()));
            assign_codes();
        }

    private:
        void assign_codes() {
            huffman_codes(literal_lengths, literal_codes);
            huffman_codes(distance_lengths, distance_codes);
        }
    };

    /// The lengths of two codes as a dynamic block opens with them (RFC 1951, section 3.2.7).
    class Description {
    public:
        explicit Description(const Codes& codes) {
            literal_count_ = used(codes.literal_lengths, first_length_symbol);
            distance_count_ = used(codes.distance_lengths, 1);
            std::array<std::uint8_t, literal_symbols + distance_symbols> lengths;
            auto end = std::copy_n(codes.literal_lengths.begin(), literal_count_, lengths.begin());
            end = std::copy_n(codes.distance_lengths.begin(), distance_count_, end);
            find_runs(std::span{lengths.begin(), end});
            std::array<std::uint32_t, code_length_symbols> frequencies = {};
            for (std::size_t i = 0; i < run_count_; ++i) {
                ++frequencies[runs_[i].symbol];
            }
            huffman_lengths(frequencies, 7, code_lengths_);
            huffman_codes(code_lengths_, codes_);
            while (code_lengths_[code_length_order[order_count_ - 1]] == 0) {
                --order_count_;
            }
        }

        [[nodiscard]] std::uint64_t bits() const {
            std::uint64_t sum = 5 + 5 + 4 + 3 * order_count_;
            for (std::size_t i = 0; i < run_count_; ++i) {
                sum += code_lengths_[runs_[i].symbol] + extra_bits(runs_[i].symbol);
            }
            return sum;
        }

        void write(BitWriter& writer) const {
            writer.put(literal_count_ - first_length_symbol, 5);
            writer.put(distance_count_ - 1, 5);
            writer.put(order_count_ - 4, 4);
            for (std::size_t i = 0; i < order_count_; ++i) {
                writer.put(code_lengths_[code_length_order[i]], 3);
            }
            for (std::size_t i = 0; i < run_count_; ++i) {
                writer.put(codes_[runs_[i].symbol], code_lengths_[runs_[i].symbol]);
                writer.put(runs_[i].extra, extra_bits(runs_[i].symbol));
            }
        }

    private:
        struct Run {
            std::uint8_t symbol = 0;
            std::uint8_t extra = 0;
        };

        static std::size_t used(std::span<const std::uint8_t> lengths, std::size_t least) {
            std::size_t count = lengths.size();
            while (count > least && lengths[count - 1] == 0) {
                --count;
            }
            return count;
        }
        static unsigned extra_bits(std::uint8_t symbol) {
            return symbol < 16 ? 0 : symbol == 16 ? 2 : symbol == 17 ? 3 : 7;
        }
        void add(std::size_t symbol, std::size_t extra) {
            runs_[run_count_++] = {static_cast<std::uint8_t>(symbol),
                                   static_cast<std::uint8_t>(extra)};
        }
        void find_runs(std::span<const std::uint8_t> lengths) {
            while (!lengths.empty()) {
                const std::uint8_t value = lengths.front();
                const auto end = std::find_if(lengths.begin(), lengths.end(),
                                              [&](std::uint8_t other) { return other != value; });
                auto left = static_cast<std::size_t>(end - lengths.begin());
                lengths = lengths.subspan(left);
                if (value != 0) {
                    add(value, 0);
                    --left;
                }
                while (left >= 3) {
                    const std::size_t run = std::min<std::size_t>(left, value != 0   ? 6
                                                                        : left >= 11 ? 138
                                                                                     : 10);
                    add(value != 0 ? 16 : run >= 11 ? 18 : 17, run >= 11 ? run - 11 : run - 3);
                    left -= run;
                }
                for (; left > 0; --left) {
                    add(value, 0);
                }
            }
        }

        std::size_t literal_count_ = 0;
        std::size_t distance_count_ = 0;
        std::size_t order_count_ = code_length_symbols;
        std::array<Run, literal_symbols + distance_symbols> runs_ = {};
        std::size_t run_count_ = 0;
        std::array<std::uint8_t, code_length_symbols> code_lengths_ = {};
        std::array<std::uint16_t, code_length_symbols> codes_ = {};
    };

    [[nodiscard]] std::uint64_t body_bits(const Codes& codes) const {
        std::uint64_t sum = 0;
        for (std::size_t i = 0; i < literal_symbols; ++i) {
            const unsigned extra =
                i < first_length_symbol ? 0U : length_ranges[i - first_length_symbol].extra_bits;
            sum += std::uint64_t{literal_frequencies_[i]} * (codes.literal_lengths[i] + extra);
        }
        for (std::size_t i = 0; i < distance_symbols; ++i) {
            const unsigned extra = distance_ranges[i].extra_bits;
            sum += std::uint64_t{distance_frequencies_[i]} * (codes.distance_lengths[i] + extra);
        }
        return sum;
    }

    void write_body(const Codes& codes, BitWriter& writer) const {
        for (const std::uint32_t token : tokens_) {
            const std::size_t length = token >> 16;
            if (length == 0) {
                writer.put(codes.literal_codes[token], codes.literal_lengths[token]);
                continue;
            }
            const std::size_t distance = (token & 0xffff) + 1;
            const std::size_t first = length_symbol(length), second = distance_symbol(distance);
            const SymbolRange& length_range = length_ranges[first - first_length_symbol];
            const SymbolRange& distance_range = distance_ranges[second];
            std::uint64_t bits = codes.literal_codes[first];
            unsigned count = codes.literal_lengths[first];
            bits |= std::uint64_t{length - length_range.base} << count;
            count += length_range.extra_bits;
            bits |= std::uint64_t{codes.distance_codes[second]} << count;
            count += codes.distance_lengths[second];
            bits |= std::uint64_t{distance - distance_range.base} << count;
            writer.put(bits, count + distance_range.extra_bits);
        }
        writer.put(codes.literal_codes[end_of_block], codes.literal_lengths[end_of_block]);
    }

    std::vector<std::uint32_t> tokens_;
    LiteralFrequencies literal_frequencies_ = {};
    DistanceFrequencies distance_frequencies_ = {};
    std::size_t input_size_ = 0;
};

}  // namespace fairing::codec::detail

// -------------------------------------------------------------------------------------------------------------
// fairing/codec/incompressible.hpp - a cheap guess at what deflate could not make smaller.

namespace fairing::codec::detail {

/// Looks at an input piece by piece, in order. Deterministic: no clock, no random numbers.
class RandomnessProbe {
public:
    explicit RandomnessProbe(std::span<const std::byte> input) : input_(input) {}

    /// Whether `size` bytes from `position` on have neither a skewed distribution nor repetitions,
    /// so that storing them loses at most a percent.
    [[nodiscard]] bool looks_random(std::size_t position, std::size_t size) {
        return size >= least_size && is_uniform(input_.subspan(position, size)) &&
               !has_repetitions(position, size);
    }

private:
    static constexpr std::size_t least_size = 16384;
    static constexpr unsigned table_bits = 12;

    /// The sum of the squared counts of a uniform source of n bytes is about n^2 / 256 + n; 4 %
    /// more are 0.06 bits of entropy in each byte.
    [[nodiscard]] static bool is_uniform(std::span<const std::byte> piece) {
        std::array<std::array<std::uint32_t, 256>, 4> counts = {};
        std::size_t i = 0;
        for (; i + 4 <= piece.size(); i += 4) {
            ++counts[0][std::to_integer<std::size_t>(piece[i])];
            ++counts[1][std::to_integer<std::size_t>(piece[i + 1])];
            ++counts[2][std::to_integer<std::size_t>(piece[i + 2])];
            ++counts[3][std::to_integer<std::size_t>(piece[i + 3])];
        }
        for (; i < piece.size(); ++i) {
            ++counts[0][std::to_integer<std::size_t>(piece[i])];
        }
        std::uint64_t squares = 0;
        for (std::size_t value = 0; value < 256; ++value) {
            const std::uint64_t count = std::uint64_t{counts[0][value]} + counts[1][value] +
                                        counts[2][value] + counts[3][value];
            squares += count * count;
        }
        const std::uint64_t size = piece.size();
        const std::uint64_t expected = size * size / 256 + size;
        return squares <= expected + expected / 25;
    }

    /// Remembers one place in 32, chosen by the bytes that stand there, so that both ends of a
    /// repetition choose alike.
    [[nodiscard]] bool has_repetitions(std::size_t position, std::size_t size) {
        if (places_.empty()) {
            places_.assign(std::size_t{1} << table_bits, nowhere);
        }
        std::size_t found = 0;
        for (std::size_t at = position; at + 8 <= position + size; ++at) {
            const auto bytes = load_little<std::uint64_t>(input_.data() + at);
            const std::uint64_t hash = bytes * 0x9e3779b97f4a7c15U;
            if (hash >> 59 != 0) {
                continue;
            }
            std::size_t& place = places_[hash >> (59 - table_bits)];
            if (place != nowhere && at - place <= window_size &&
                load_little<std::uint64_t>(input_.data() + place) == bytes) {
                ++found;
            }
            place = at;
        }
        return found * 32 * 8 > size / 100;
    }

    static constexpr std::size_t nowhere = ~std::size_t{0};

    std::span<const std::byte> input_;
    std::vector<std::size_t> places_ = {};
};

}  // namespace fairing::codec::detail

// -------------------------------------------------------------------------------------------------------------
// fairing/codec/deflate.hpp - a writer of deflate streams (RFC 1951): hash chains, lazy matching,
// dynamic codes.
//
// Bytes -> MatchFinder (earlier occurrences) -> DeflateBlock (literals and matches) -> BitWriter.

namespace fairing::codec {

/// What follows the blocks: an empty stored block that ends at a byte border, so that other blocks
/// may follow (nothing when the border is reached already), or the block that ends the stream.
enum class DeflateEnd { open, last };

struct DeflateOptions {
    int level = 6;  ///< 1 (fast) to 9 (small)
    DeflateEnd end = DeflateEnd::open;
};

namespace detail {

/// How hard a level searches: steps in a chain, the length that ends a search, and the length from
/// which the next position is not tried for a longer match.
struct DeflateEffort {
    unsigned depth;
    std::size_t nice;
    std::size_t lazy;
};
inline constexpr std::array<DeflateEffort, 9> deflate_efforts = {{{2, 16, 0},
                                                                  {6, 24, 0},
                                                                  {8, 32, 8},
                                                                  {12, 48, 16},
                                                                  {20, 64, 24},
                                                                  {40, 96, 48},
                                                                  {80, 160, 96},
                                                                  {250, 258, 258},
                                                                  {1000, 258, 258}}};

/// Appends blocks for an input of less than 2^31 bytes.
class Deflater {
public:
    Deflater(std::span<const std::byte> input, const DeflateEffort& effort, BitWriter& writer)
        : input_(input), effort_(effort), writer_(writer), finder_(input), probe_(input) {}

    void run() {
        while (position_ < input_.size()) {
            const std::size_t size = std::min(segment_size, input_.size() - position_);
            if (probe_.looks_random(position_, size)) {
                flush();
                write_stored(input_.subspan(position_, size), writer_);
                position_ += size;
                written_ = position_;
            } else {
                compress(position_ + size);
            }
        }
        flush();
    }

private:
    /// The longest stored block.
    static constexpr std::size_t segment_size = 65535;

    /// Turns the input into tokens up to `end`; the last match may reach beyond.
    void compress(std::size_t end) {
        while (position_ < end) {
            Match match = finder_.find(position_, 0, effort_.nice, effort_.depth);
            std::size_t entered = position_ + 1;
            while (match.length > 0 && match.length < effort_.lazy) {
                const unsigned depth = match.length >= 8 ? effort_.depth / 4 : effort_.depth / 2;
                const Match longer = finder_.find(entered++, match.length, effort_.nice, depth);
                if (longer.length == 0) {
                    break;
                }
                block_.literal(input_[position_++]);
                match = longer;
            }
            if (match.length == 0) {
                block_.literal(input_[position_++]);
            } else {
                block_.match(match);
                position_ += match.length;
                for (; entered < position_; ++entered) {
                    finder_.insert(entered);
                }
            }
            if (block_.full()) {
                flush();
            }
        }
    }

    void flush() {
        if (!block_.empty()) {
            block_.write(input_.subspan(written_, block_.input_size()), writer_);
            written_ = position_;
        }
    }

    std::span<const std::byte> input_;
    const DeflateEffort& effort_;
    BitWriter& writer_;
    MatchFinder finder_;
    RandomnessProbe probe_;
    DeflateBlock block_ = {};
    std::size_t position_ = 0;
    std::size_t written_ = 0;
};

}  // namespace detail

/// Appends whole blocks that hold `input` and refer to nothing before it; the end is at a byte
/// border. Blocks from several calls follow each other in any number, the `last` one at the end. A
/// function of input and options alone. Throws Error{usage} on a level that there is not.
inline void deflate(std::span<const std::byte> input, std::vector<std::byte>& out,
                    const DeflateOptions& options = {}) {
    if (options.level < 1 || options.level > static_cast<int>(detail::deflate_efforts.size())) {
        throw Error{ErrorCode::usage,
                    {.attempted = "compress with",
                     .subject = "level " + std::to_string(options.level),
                     .answer = "there is no such level",
                     .advice = "choose 1 to 9"}};
    }
    const auto& effort = detail::deflate_efforts[static_cast<std::size_t>(options.level - 1)];
    constexpr std::size_t longest_run = std::size_t{1} << 30;
    detail::BitWriter writer{out};
    while (!input.empty()) {
        const auto run = input.first(std::min(input.size(), longest_run));
        detail::Deflater{run, effort, writer}.run();
        input = input.subspan(run.size());
    }
    writer.reserve(64);
    if (options.end == DeflateEnd::last) {
        writer.put(0b011, 10);  // the end-of-block symbol of a fixed code, 0000000
    } else if (writer.bits_in_byte() > 0) {
        writer.put(0, 3);
        writer.align();
        writer.put(0xffff0000, 32);
    }
    writer.finish();
}

}  // namespace fairing::codec

// -------------------------------------------------------------------------------------------------------------
// fairing/codec/inflate_table.hpp - prefix codes as a table to look bits up in (RFC 1951,
// section 3.2.2).

namespace fairing::codec::detail {

/// What a code stands for: a range with so many extra bits (0 to 13), or one of these.
inline constexpr std::uint8_t inflate_literal = 16;
inline constexpr std::uint8_t inflate_end_of_block = 17;
inline constexpr std::uint8_t inflate_invalid = 18;
inline constexpr std::uint8_t inflate_subtable = 19;

struct InflateEntry {
    std::uint16_t value = 0;  ///< the literal, the base of the range, or where the subtable begins
    std::uint8_t bits = 0;    ///< of the whole code; of a subtable: how many bits index it
    std::uint8_t kind = inflate_invalid;
};

/// What a set of code lengths amounts to.
enum class CodeVerdict { complete, single, empty, incomplete, oversubscribed };

/// The codes of an alphabet of at most `symbols`, at most `longest` bits each: those of up to
/// `root_bits` are found by one look, the others by two.
template <unsigned root_bits, std::size_t symbols, unsigned longest>
class InflateTable {
public:
    /// Symbol n stands for entry_of(n). `single` is one code of one bit: the other bit is
    /// inflate_invalid; `empty` no code at all: any bit is. After `incomplete` and `oversubscribed`
    /// the table is useless.
    template <class EntryOf>
    CodeVerdict build(std::span<const std::uint8_t> lengths, const EntryOf& entry_of) {
        std::array<std::uint16_t, longest + 2> counts = {}, offsets = {};
        std::array<std::uint32_t, longest + 1> next = {};
        for (const std::uint8_t length : lengths) {
            ++counts[length];
        }
        counts[0] = 0;
        std::int32_t left = 1;
        unsigned used = 0;
        for (unsigned length = 1; length <= longest; ++length) {
            left = 2 * left - counts[length];
            if (left < 0) {
                return CodeVerdict::oversubscribed;
            }
            used = counts[length] > 0 ? length : used;
            next[length] = (next[length - 1] + counts[length - 1]) << 1;
            offsets[length + 1] = static_cast<std::uint16_t>(offsets[length] + counts[length]);
        }
        if (left > 0) {
            if (used > 1) {
                return CodeVerdict::incomplete;
            }
            entries_.fill({.bits = 1});
        }
        std::array<std::uint16_t, symbols> sorted;
        for (std::size_t symbol = 0; symbol < lengths.size(); ++symbol) {
            if (lengths[symbol] > 0) {
                sorted[offsets[lengths[symbol]]++] = static_cast<std::uint16_t>(symbol);
            }
        }
        end_ = root_size;
        prefix_ = root_size;
        std::size_t index = 0;
        for (unsigned length = 1; length <= used; ++length) {
            for (unsigned i = 0; i < counts[length]; ++i) {
                InflateEntry entry = entry_of(sorted[index++]);
                entry.bits = static_cast<std::uint8_t>(length);
                place(reversed(next[length]++, length), used, entry);
            }
        }
        return left == 0   ? CodeVerdict::complete
               : used == 1 ? CodeVerdict::single
                           : CodeVerdict::empty;
    }

    /// The entry for these bits, of which only the lowest `entry.bits` matter.
    [[nodiscard]] InflateEntry find(std::uint64_t bits) const {
        const InflateEntry entry = entries_[bits % root_size];
        if (entry.kind != inflate_subtable) {
            return entry;
        }
        const std::uint64_t index = bits >> root_bits & ((std::uint64_t{1} << entry.bits) - 1);
        return entries_[entry.value + index];
    }

private:
    static std::uint32_t reversed(std::uint32_t code, unsigned length) {
        std::uint32_t result = 0;
        for (unsigned bit = 0; bit < length; ++bit, code >>= 1) {
            result = result << 1 | (code & 1);
        }
        return result;
    }

    void place(std::size_t code, unsigned used, InflateEntry entry) {
        if (entry.bits <= root_bits) {
            for (std::size_t i = code; i < root_size; i += std::size_t{1} << entry.bits) {
                entries_[i] = entry;
            }
            return;
        }
        // Codes come in rising order, so those that share their first bits come one after the
        // other.
        const unsigned index_bits = used - root_bits;
        const std::size_t size = std::size_t{1} << index_bits;
        if (const std::size_t prefix = code % root_size; prefix != prefix_) {
            prefix_ = prefix;
            begin_ = end_;
            end_ += size;
            entries_[prefix] = {.value = static_cast<std::uint16_t>(begin_),
                                .bits = static_cast<std::uint8_t>(index_bits),
                                .kind = inflate_subtable};
        }
        for (std::size_t i = code / root_size; i < size;
             i += std::size_t{1} << (entry.bits - root_bits)) {
            entries_[begin_ + i] = entry;
        }
    }

    static constexpr std::size_t root_size = std::size_t{1} << root_bits;
    /// In a complete code at least two symbols share each subtable.
    static constexpr std::size_t capacity = root_size + (symbols / 2 << (longest - root_bits));

    std::array<InflateEntry, capacity> entries_ = {};
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    std::size_t prefix_ = 0;
};

}  // namespace fairing::codec::detail

// -------------------------------------------------------------------------------------------------------------
// fairing/codec/inflate.hpp - a reader of deflate streams (RFC 1951) that takes its input in pieces
// of any size.

namespace fairing::codec {

/// Gives what a deflate stream holds to a sink. Accepts exactly the streams that zlib accepts;
/// throws Error{integrity} with the reason on others, and is good for nothing but reset() then.
/// Keeps 32 KiB of history and the output of one step, whatever the stream says.
class Inflater {
public:
    explicit Inflater(ByteSink sink) : sink_(std::move(sink)), buffer_(buffer_size) {}

    /// Takes the next piece of the stream and gives the sink all that it decides. Returns how many
    /// bytes belonged to the stream: all of them, unless done().
    std::size_t write(std::span<const std::byte> input) {
        input_ = input;
        while (state_ != State::done && step()) {
        }
        if (state_ == State::done) {
            // Whole bytes that were read ahead came out of this input: every earlier one was
            // needed.
            input_ = input.subspan(input.size() - input_.size() - bit_count_ / 8);
            bits_ = 0;
            bit_count_ = 0;
        }
        flush();
        return input.size() - input_.size();
    }

    /// Whether the last block is complete.
    [[nodiscard]] bool done() const { return state_ == State::done; }

    /// Begins another stream, with the same sink.
    void reset() {
        state_ = State::block_header;
        bits_ = 0;
        bit_count_ = 0;
        is_last_ = false;
        position_ = 0;
        flushed_ = 0;
    }

private:
    enum class State {
        block_header,
        stored_size,
        stored,
        dynamic_header,
        code_length_lengths,
        code_lengths,
        symbols,
        done,
        failed
    };

    static constexpr std::size_t window = 32768;
    /// The longest match, and what its copy may write beyond.
    static constexpr std::size_t slack = 258 + 8;
    static constexpr std::size_t buffer_size = window + (std::size_t{128} << 10) + slack;
    /// The longest symbol with its distance has 48 bits, so eight bytes are always enough.
    static constexpr std::size_t fast_input = 16;

    [[noreturn]] void malformed(std::string reason) {
        state_ = State::failed;
        throw Error{ErrorCode::integrity,
                    {.attempted = "unpack",
                     .subject = "deflate data",
                     .answer = std::move(reason),
                     .advice = "the data is damaged"}};
    }

    /// Goes on until the state changes or the buffer is flushed; false when the input ends before
    /// that.
    bool step() {
        switch (state_) {
            case State::block_header:
                return read_block_header();
            case State::stored_size:
                return read_stored_size();
            case State::stored:
                return copy_stored();
            case State::dynamic_header:
                return read_dynamic_header();
            case State::code_length_lengths:
                return read_code_length_lengths();
            case State::code_lengths:
                return read_code_lengths();
            case State::symbols:
                return read_symbols();
            case State::done:
                return false;
            case State::failed:
                break;
        }
        malformed("it was found to be malformed before");
    }

    // Bits --------------------------------------------------------------------------------------

    /// Takes whole bytes while they fit.
    void refill() {
        while (bit_count_ < 56 && !input_.empty()) {
            bits_ |= std::to_integer<std::uint64_t>(input_.front()) << bit_count_;
            bit_count_ += 8;
            input_ = input_.subspan(1);
        }
    }
    /// Whether `count` bits, at most 48, are there; takes input for them.
    bool available(unsigned count) {
        if (bit_count_ < count) {
            refill();
        }
        return bit_count_ >= count;
    }
    [[nodiscard]] std::uint32_t peek(unsigned offset, unsigned count) const {
        return static_cast<std::uint32_t>(bits_ >> offset & ((std::uint64_t{1} << count) - 1));
    }
    void drop(unsigned count) {
        bits_ >>= count;
        bit_count_ -= count;
    }
    std::uint32_t take(unsigned count) {
        const std::uint32_t value = peek(0, count);
        drop(count);
        return value;
    }

    // Blocks ------------------------------------------------------------------------------------

    void end_block() { state_ = is_last_ ? State::done : State::block_header; }

    bool read_block_header() {
        if (!available(3)) {
            return false;
        }
        is_last_ = take(1) != 0;
        switch (take(2)) {
            case 0:
                drop(bit_count_ % 8);
                state_ = State::stored_size;
                return true;
            case 1:
                use_fixed_codes();
                state_ = State::symbols;
                return true;
            case 2:
                state_ = State::dynamic_header;
                return true;
            default:
                malformed("a block of the reserved type");
        }
    }

    bool read_stored_size() {
        if (!available(32)) {
            return false;
        }
        stored_left_ = take(16);
        if (take(16) != (~stored_left_ & 0xffff)) {
            malformed("a stored block with contradictory sizes");
        }
        state_ = State::stored;
        return true;
    }

    bool copy_stored() {
        while (stored_left_ > 0 && bit_count_ >= 8) {
            make_room();
            buffer_[position_++] = static_cast<std::byte>(take(8));
            --stored_left_;
        }
        while (stored_left_ > 0 && !input_.empty()) {
            make_room();
            const std::size_t size =
                std::min({stored_left_, input_.size(), buffer_.size() - slack - position_});
            std::memcpy(buffer_.data() + position_, input_.data(), size);
            position_ += size;
            stored_left_ -= size;
            input_ = input_.subspan(size);
        }
        if (stored_left_ > 0) {
            return false;
        }
        end_block();
        return true;
    }

    static detail::InflateEntry literal_entry(std::size_t symbol) {
        if (symbol < detail::end_of_block) {
            return {.value = static_cast<std::uint16_t>(symbol), .kind = detail::inflate_literal};
        }
        if (symbol == detail::end_of_block) {
            return {.kind = detail::inflate_end_of_block};
        }
        return range_entry(detail::length_ranges, symbol - detail::first_length_symbol);
    }
    static detail::InflateEntry distance_entry(std::size_t symbol) {
        return range_entry(detail::distance_ranges, symbol);
    }
    /// The last symbols of the fixed codes are outside the range: invalid.
    static detail::InflateEntry range_entry(std::span<const detail::SymbolRange> ranges,
                                            std::size_t index) {
        return index < ranges.size() ? detail::InflateEntry{.value = ranges[index].base,
                                                            .kind = ranges[index].extra_bits}
                                     : detail::InflateEntry{};
    }

    void use_fixed_codes() {
        if (!codes_are_fixed_) {
            literals_.build(detail::fixed_literal_lengths, literal_entry);
            distances_.build(detail::fixed_distance_lengths, distance_entry);
            codes_are_fixed_ = true;
        }
    }

    bool read_dynamic_header() {
        if (!available(14)) {
            return false;
        }
        literal_count_ = take(5) + detail::first_length_symbol;
        distance_count_ = take(5) + 1;
        code_length_count_ = take(4) + 4;
        if (literal_count_ > detail::literal_symbols ||
            distance_count_ > detail::distance_symbols) {
            malformed("a code for too many symbols");
        }
        lengths_ = {};
        length_index_ = 0;
        state_ = State::code_length_lengths;
        return true;
    }

    bool read_code_length_lengths() {
        for (; length_index_ < code_length_count_; ++length_index_) {
            if (!available(3)) {
                return false;
            }
            lengths_[detail::code_length_order[length_index_]] = static_cast<std::uint8_t>(take(3));
        }
        const auto verdict = code_lengths_.build(
            std::span{lengths_}.first(detail::code_length_symbols), [](std::size_t symbol) {
                return detail::InflateEntry{.value = static_cast<std::uint16_t>(symbol),
                                            .kind = detail::inflate_literal};
            });
        if (verdict != detail::CodeVerdict::complete) {
            malformed(verdict == detail::CodeVerdict::oversubscribed
                          ? "an over-subscribed code of code lengths"
                          : "an incomplete code of code lengths");
        }
        lengths_ = {};
        length_index_ = 0;
        state_ = State::code_lengths;
        return true;
    }

    bool read_code_lengths() {
        const std::size_t count = literal_count_ + distance_count_;
        while (length_index_ < count) {
            static_cast<void>(available(14));
            const detail::InflateEntry entry = code_lengths_.find(bits_);
            const unsigned extra = entry.value < 16    ? 0
                                   : entry.value == 16 ? 2
                                   : entry.value == 17 ? 3
                                                       : 7;
            if (bit_count_ < entry.bits + extra) {
                return false;
            }
            drop(entry.bits);
            if (entry.value < 16) {
                lengths_[length_index_++] = static_cast<std::uint8_t>(entry.value);
                continue;
            }
            const std::size_t repeats = take(extra) + (entry.value == 18 ? 11U : 3U);
            if (entry.value == 16 && length_index_ == 0) {
                malformed("a repeated code length without one before");
            }
            if (repeats > count - length_index_) {
                malformed("more code lengths than symbols");
            }
            const std::uint8_t length = entry.value == 16 ? lengths_[length_index_ - 1] : 0;
            std::fill_n(lengths_.begin() + static_cast<std::ptrdiff_t>(length_index_), repeats,
                        length);
            length_index_ += repeats;
        }
        build_dynamic_codes();
        state_ = State::symbols;
        return true;
    }

    void build_dynamic_codes() {
        using Verdict = detail::CodeVerdict;
        codes_are_fixed_ = false;
        if (lengths_[detail::end_of_block] == 0) {
            malformed("a code without an end of the block");
        }
        const auto lengths = std::span<const std::uint8_t>{lengths_};
        const Verdict literals = literals_.build(lengths.first(literal_count_), literal_entry);
        if (literals != Verdict::complete && literals != Verdict::single) {
            malformed(literals == Verdict::oversubscribed ? "an over-subscribed code of literals"
                                                          : "an incomplete code of literals");
        }
        const Verdict distances =
            distances_.build(lengths.subspan(literal_count_, distance_count_), distance_entry);
        if (distances == Verdict::oversubscribed || distances == Verdict::incomplete) {
            malformed(distances == Verdict::oversubscribed ? "an over-subscribed code of distances"
                                                           : "an incomplete code of distances");
        }
    }

    // Symbols -----------------------------------------------------------------------------------

    bool read_symbols() {
        while (state_ == State::symbols) {
            make_room();
            if (input_.size() >= fast_input) {
                read_symbols_fast();
            } else if (!read_symbol()) {
                return false;
            }
        }
        return true;
    }

    /// One symbol, or false and no change when its bits are not all there.
    bool read_symbol() {
        static_cast<void>(available(48));
        const detail::InflateEntry entry = literals_.find(bits_);
        if (bit_count_ < entry.bits) {
            return false;
        }
        if (entry.kind == detail::inflate_literal) {
            buffer_[position_++] = static_cast<std::byte>(entry.value);
            drop(entry.bits);
            return true;
        }
        if (entry.kind == detail::inflate_end_of_block) {
            drop(entry.bits);
            end_block();
            return true;
        }
        if (entry.kind == detail::inflate_invalid) {
            malformed("bits that stand for no symbol");
        }
        const unsigned length_bits = entry.bits + entry.kind;
        if (bit_count_ < length_bits) {
            return false;
        }
        const detail::InflateEntry distance = distances_.find(bits_ >> length_bits);
        if (bit_count_ < length_bits + distance.bits) {
            return false;
        }
        if (distance.kind == detail::inflate_invalid) {
            malformed("bits that stand for no distance");
        }
        const unsigned distance_bits = length_bits + distance.bits;
        if (bit_count_ < distance_bits + distance.kind) {
            return false;
        }
        copy_match(entry.value + peek(entry.bits, entry.kind),
                   distance.value + peek(distance_bits, distance.kind));
        drop(distance_bits + distance.kind);
        return true;
    }

    /// Symbols for as long as there is input and room for any of them, without a check of the bits.
    void read_symbols_fast() {
        const std::byte* input = input_.data();
        const std::byte* const input_end = input + (input_.size() - fast_input);
        const std::size_t room = buffer_.size() - slack;
        const auto fill = [&] {
            bits_ |= detail::load_little<std::uint64_t>(input) << bit_count_;
            input += (63 - bit_count_) / 8;
            bit_count_ |= 56;
        };
        while (input <= input_end && position_ < room) {
            fill();
            detail::InflateEntry entry = literals_.find(bits_);
            if (entry.kind == detail::inflate_literal) {
                buffer_[position_++] = static_cast<std::byte>(entry.value);
                drop(entry.bits);
                entry = literals_.find(bits_);
                if (entry.kind == detail::inflate_literal) {
                    buffer_[position_++] = static_cast<std::byte>(entry.value);
                    drop(entry.bits);
                    continue;
                }
                fill();
            }
            if (entry.kind >= detail::inflate_literal) {
                break;  // the end of the block, or an error: read_symbol() sees to it
            }
            const unsigned length_bits = entry.bits + entry.kind;
            const detail::InflateEntry distance = distances_.find(bits_ >> length_bits);
            if (distance.kind >= detail::inflate_literal) {
                break;
            }
            const unsigned distance_bits = length_bits + distance.bits;
            const std::size_t length = entry.value + peek(entry.bits, entry.kind);
            const std::size_t offset = distance.value + peek(distance_bits, distance.kind);
            drop(distance_bits + distance.kind);
            copy_match(length, offset);
        }
        bits_ &= (std::uint64_t{1} << bit_count_) - 1;
        input_ = input_.last(static_cast<std::size_t>(input_end - input) + fast_input);
        static_cast<void>(position_ < room && read_symbol());
    }

    void copy_match(std::size_t length, std::size_t distance) {
        if (distance > position_) {
            malformed("a distance to before the beginning");
        }
        std::byte* to = buffer_.data() + position_;
        const std::byte* from = to - distance;
        position_ += length;
        if (distance >= 8) {
            for (const std::byte* const end = to + length; to < end; to += 8, from += 8) {
                std::memcpy(to, from, 8);
            }
        } else if (distance == 1) {
            std::memset(to, std::to_integer<int>(*from), length);
        } else {
            for (std::size_t i = 0; i < length; ++i) {
                to[i] = from[i];
            }
        }
    }

    // Output ------------------------------------------------------------------------------------

    /// Room for one match; keeps the window.
    void make_room() {
        if (position_ < buffer_.size() - slack) {
            return;
        }
        flush();
        std::memmove(buffer_.data(), buffer_.data() + position_ - window, window);
        position_ = window;
        flushed_ = window;
    }

    void flush() {
        if (flushed_ < position_) {
            const auto output = std::span{buffer_}.subspan(flushed_, position_ - flushed_);
            flushed_ = position_;
            sink_(output);
        }
    }

    ByteSink sink_;
    State state_ = State::block_header;
    std::span<const std::byte> input_ = {};
    std::uint64_t bits_ = 0;
    unsigned bit_count_ = 0;
    bool is_last_ = false;

    std::size_t stored_left_ = 0;
    std::size_t literal_count_ = 0;
    std::size_t distance_count_ = 0;
    std::size_t code_length_count_ = 0;
    std::size_t length_index_ = 0;
    std::array<std::uint8_t, detail::literal_symbols + detail::distance_symbols> lengths_ = {};
    detail::InflateTable<7, detail::code_length_symbols, 7> code_lengths_ = {};
    detail::InflateTable<10, 288, 15> literals_ = {};
    detail::InflateTable<8, 32, 15> distances_ = {};
    bool codes_are_fixed_ = false;

    std::vector<std::byte> buffer_;
    std::size_t position_ = 0;
    std::size_t flushed_ = 0;
};

}  // namespace fairing::codec

// -------------------------------------------------------------------------------------------------------------
// fairing/codec/gzip.hpp - the gzip format (RFC 1952): the usual compressor of layers, and a
// reader.

namespace fairing::codec {

/// One member without a name and a time, of an unknown operating system: equal input, equal bytes.
struct GzipCompressor {
    int level = 6;  ///< 1 (fast) to 9 (small)

    static constexpr std::string_view suffix = "gzip";

    /// Large enough to lose little of what a common window would find, small enough to keep every
    /// core busy.
    [[nodiscard]] std::size_t block_size() const { return std::size_t{512} << 10; }

    void begin(std::vector<std::byte>& out) const {
        constexpr std::array<unsigned char, 10> header = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff};
        detail::append_bytes(std::as_bytes(std::span{header}), out);
    }
    void block(std::span<const std::byte> input, std::vector<std::byte>& out) const {
        deflate(input, out, {.level = level});
    }
    void end(std::uint32_t crc, std::uint64_t size, std::vector<std::byte>& out) const {
        deflate({}, out, {.level = level, .end = DeflateEnd::last});
        detail::append_little(crc, out);
        detail::append_little(static_cast<std::uint32_t>(size), out);
    }
};
static_assert(Compressor<GzipCompressor>);

/// Gives what a gzip file of any number of members holds to a sink. Verifies every checksum and
/// size; throws Error{integrity} with the reason, and is good for nothing then. What the sink got
/// before may be wrong.
class GunzipReader {
public:
    explicit GunzipReader(ByteSink sink)
        : sink_(std::move(sink)), inflater_([this](std::span<const std::byte> bytes) {
              crc_ = crc32(bytes, crc_);
              size_ += static_cast<std::uint32_t>(bytes.size());
              sink_(bytes);
          }) {}
    GunzipReader(const GunzipReader&) = delete;
    GunzipReader& operator=(const GunzipReader&) = delete;

    /// Takes the next piece of the file, of any size.
    void write(std::span<const std::byte> input) {
        while (!input.empty()) {
            if (state_ == State::body) {
                input = input.subspan(inflater_.write(input));
                if (inflater_.done()) {
                    enter(State::trailer);
                }
            } else {
                take(input.front());
                input = input.subspan(1);
            }
        }
    }

    /// To be called at the end of the file. Throws when it is cut off.
    void finish() {
        if (members_ == 0 || state_ != State::fixed_header || field_size_ > 0) {
            malformed("it is cut off");
        }
    }

private:
    enum class State { fixed_header, extra_size, extra, name, comment, header_crc, body, trailer };

    // Bits of the flags (RFC 1952, section 2.3.1).
    static constexpr unsigned has_header_crc = 2, has_extra = 4, has_name = 8, has_comment = 16;
    static constexpr unsigned reserved_flags = 0xe0;

    [[noreturn]] static void malformed(std::string reason) {
        throw Error{ErrorCode::integrity,
                    {.attempted = "unpack",
                     .subject = "gzip data",
                     .answer = std::move(reason),
                     .advice = "the data is damaged"}};
    }

    void enter(State state) {
        state_ = state;
        field_size_ = 0;
    }

    /// One byte of a header or trailer.
    void take(std::byte byte) {
        const std::size_t index = field_size_++;
        if (index < field_.size()) {
            field_[index] = byte;
        }
        if (state_ != State::header_crc && state_ != State::trailer) {
            crc_ = crc32({&byte, 1}, crc_);
        }
        switch (state_) {
            case State::fixed_header:
                return take_fixed_header();
            case State::extra_size:
                if (field_size_ == 2) {
                    extra_left_ = detail::load_little<std::uint16_t>(field_.data());
                    enter(extra_left_ > 0 ? State::extra : after(State::extra));
                    open_body();
                }
                return;
            case State::extra:
                if (field_size_ == extra_left_) {
                    enter(after(State::extra));
                    open_body();
                }
                return;
            case State::name:
            case State::comment:
                if (byte == std::byte{0}) {
                    enter(after(state_));
                    open_body();
                }
                return;
            case State::header_crc:
                return take_header_crc();
            case State::body:
                return;
            case State::trailer:
                return take_trailer();
        }
    }

    void take_fixed_header() {
        constexpr std::array<unsigned char, 3> magic = {0x1f, 0x8b, 8};
        const std::size_t index = field_size_ - 1;
        if (index < magic.size() && field_[index] != std::byte{magic[index]}) {
            malformed(members_ > 0 ? "something other follows its end"
                      : index < 2  ? "it does not begin like gzip"
                                   : "an unknown compression method");
        }
        if (field_size_ < 10) {
            return;
        }
        flags_ = std::to_integer<unsigned>(field_[3]);
        if ((flags_ & reserved_flags) != 0) {
            malformed("reserved flags in its header");
        }
        enter(after(State::fixed_header));
        open_body();
    }

    /// The next part of the header that the flags announce.
    [[nodiscard]] State after(State state) const {
        if (state < State::extra_size && (flags_ & has_extra) != 0) {
            return State::extra_size;
        }
        if (state < State::name && (flags_ & has_name) != 0) {
            return State::name;
        }
        if (state < State::comment && (flags_ & has_comment) != 0) {
            return State::comment;
        }
        return (flags_ & has_header_crc) != 0 ? State::header_crc : State::body;
    }

    void open_body() {
        if (state_ == State::body) {
            inflater_.reset();
            crc_ = 0;
            size_ = 0;
        }
    }

    void take_header_crc() {
        if (field_size_ < 2) {
            return;
        }
        if (detail::load_little<std::uint16_t>(field_.data()) != (crc_ & 0xffff)) {
            malformed("its header does not match the checksum");
        }
        enter(State::body);
        open_body();
    }

    void take_trailer() {
        if (field_size_ < 8) {
            return;
        }
        if (detail::load_little<std::uint32_t>(field_.data()) != crc_) {
            malformed("its content does not match the checksum");
        }
        if (detail::load_little<std::uint32_t>(field_.data() + 4) != size_) {
            malformed("its content does not match the size");
        }
        ++members_;
        crc_ = 0;
        enter(State::fixed_header);
    }

    ByteSink sink_;
    Inflater inflater_;
    State state_ = State::fixed_header;
    std::array<std::byte, 10> field_ = {};
    std::size_t field_size_ = 0;
    std::size_t extra_left_ = 0;
    unsigned flags_ = 0;
    std::uint32_t crc_ = 0;
    std::uint32_t size_ = 0;
    std::uint64_t members_ = 0;
};

/// `text` as one gzip file.
[[nodiscard]] inline std::string gzip(std::string_view text,
                                      const GzipCompressor& compressor = {}) {
    const auto input = std::as_bytes(std::span{text});
    std::vector<std::byte> out;
    compressor.begin(out);
    compressor.block(input, out);
    compressor.end(crc32(input), input.size(), out);
    return {reinterpret_cast<const char*>(out.data()), out.size()};
}

/// What the gzip file holds. Throws Error{integrity} when it is malformed or unpacks to more than
/// `limit` bytes, of which no more are kept.
[[nodiscard]] inline std::string gunzip(std::string_view file, std::size_t limit) {
    std::string text;
    GunzipReader reader{[&](std::span<const std::byte> bytes) {
        if (bytes.size() > limit - text.size()) {
            throw Error{ErrorCode::integrity,
                        {.attempted = "unpack",
                         .subject = "gzip data",
                         .answer = "it holds more than " + std::to_string(limit) + " bytes"}};
        }
        text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }};
    reader.write(std::as_bytes(std::span{file}));
    reader.finish();
    return text;
}

}  // namespace fairing::codec

// -------------------------------------------------------------------------------------------------------------
// fairing/core/version.hpp - the version, the configuration macros, and the name that they give our
// ABI.
//
// FAIRING_TLS   1 unless defined as 0: https through cpp-httplib and OpenSSL.
// FAIRING_YAML  0 unless defined as 1: YAML is read and written through yaml-cpp.
//
// Types that every configured function takes (Control, Session) live in the inline namespace
// FAIRING_ABI, so two translation units that were configured differently do not share a function by
// accident.

#define FAIRING_VERSION_MAJOR 0
#define FAIRING_VERSION_MINOR 1
#define FAIRING_VERSION_PATCH 0

#ifndef FAIRING_TLS
#define FAIRING_TLS 1
#endif
#ifndef FAIRING_YAML
#define FAIRING_YAML 0
#endif

#if FAIRING_TLS && FAIRING_YAML
#define FAIRING_ABI v0_tls_yaml
#elif FAIRING_TLS
#define FAIRING_ABI v0_tls
#elif FAIRING_YAML
#define FAIRING_ABI v0_yaml
#else
#define FAIRING_ABI v0
#endif

namespace fairing {

/// "0.1.0".
inline constexpr const char* version = "0.1.0";
static_assert(FAIRING_VERSION_MAJOR == 0 && FAIRING_VERSION_MINOR == 1 &&
              FAIRING_VERSION_PATCH == 0);

}  // namespace fairing

// -------------------------------------------------------------------------------------------------------------
// fairing/core/control.hpp - how a long operation is stopped and what it says meanwhile.

namespace fairing {

enum class Level { debug, info, warning, error };

/// What we say.
struct LogRecord {
    Level level = Level::info;
    std::string text = {};
};

/// What the workload says: one line, without its newline.
struct OutputLine {
    std::string pod = {}, container = {}, text = {};
};

/// How far one item of a step is, in bytes. The last call of an item has done == total.
struct Progress {
    std::string step = {}, item = {};
    std::uint64_t done = 0;
    std::optional<std::uint64_t> total = {};
};

/// Sinks are called one at a time, from any thread, with no lock of ours held. A throw stops the
/// run and leaves the blocking call on the caller's thread.
using LogSink = std::function<void(LogRecord)>;
using OutputSink = std::function<void(OutputLine)>;
using ProgressSink = std::function<void(const Progress&)>;
using Clock = std::function<std::chrono::system_clock::time_point()>;

/// The same sink, safe to call from several threads: calls are queued, and whoever finds the queue
/// idle delivers it, so that no lock is held while the sink runs. What the sink throws reaches that
/// thread.
template <class Value>
[[nodiscard]] std::function<void(Value)> serialized(std::function<void(Value)> sink) {
    if (!sink) {
        return {};
    }
    struct Queue {
        std::mutex mutex;
        std::deque<std::decay_t<Value>> waiting;
        bool delivering = false;
    };
    return [queue = std::make_shared<Queue>(), sink = std::move(sink)](Value value) {
        std::unique_lock lock{queue->mutex};
        queue->waiting.push_back(std::forward<Value>(value));
        if (queue->delivering) {
            return;
        }
        queue->delivering = true;
        while (!queue->waiting.empty()) {
            auto next = std::move(queue->waiting.front());
            queue->waiting.pop_front();
            lock.unlock();
            try {
                sink(std::move(next));
            } catch (...) {
                lock.lock();
                queue->delivering = false;
                throw;
            }
            lock.lock();
        }
        queue->delivering = false;
    };
}

inline namespace FAIRING_ABI {

/// The part of a Session that the lower levels use. A cheap value; {} is silent and can not be
/// stopped.
struct Control {
    std::stop_token stop = {};
    LogSink log = {};
    ProgressSink progress = {};
    Clock clock = {};

    void say(Level level, std::string text) const {
        if (log) {
            log({.level = level, .text = std::move(text)});
        }
    }
    void show(const Progress& value) const {
        if (progress) {
            progress(value);
        }
    }
    [[nodiscard]] std::chrono::system_clock::time_point now() const {
        return clock ? clock() : std::chrono::system_clock::now();
    }
    /// Throws Cancelled when a stop was requested; `attempted` is what was going on ("push image").
    void check(const std::string& attempted) const {
        if (stop.stop_requested()) {
            throw Cancelled{ErrorCode::cancelled,
                            {.attempted = attempted, .answer = "stopped on request"}};
        }
    }
    /// Sleeps, or returns early on a stop.
    void sleep(std::chrono::nanoseconds duration) const {
        std::mutex mutex;
        std::condition_variable_any woken;
        std::unique_lock lock{mutex};
        woken.wait_for(lock, stop, duration, [] { return false; });
    }
};

}  // inline namespace FAIRING_ABI

}  // namespace fairing

// -------------------------------------------------------------------------------------------------------------
// fairing/core/parallel.hpp - a few threads, joined before the call returns.

namespace fairing {

/// How many threads this machine runs at once, at least 1.
[[nodiscard]] inline std::size_t hardware_threads() noexcept {
    return std::max<std::size_t>(1, std::thread::hardware_concurrency());
}

/// Calls body(i) for every i below `count`, on at most `threads` threads, the caller's among them.
/// Indices are taken in order. After a throw no further index is taken; the exception of the lowest
/// index that threw is rethrown here, so that the outcome does not depend on timing more than it
/// must.
template <class Body>
void parallel_for(std::size_t count, std::size_t threads, const Body& body) {
    std::atomic<std::size_t> next{0};
    std::mutex mutex;
    std::exception_ptr failure;
    std::size_t failed_index = count;
    const auto work = [&] {
        for (std::size_t index = next++; index < count; index = next++) {
            try {
                body(index);
            } catch (...) {
                next = count;
                const std::lock_guard lock{mutex};
                if (index < failed_index) {
                    failed_index = index;
                    failure = std::current_exception();
                }
            }
        }
    };
    {
        std::vector<std::jthread> helpers;
        for (std::size_t i = 1; i < std::min(threads, count); ++i) {
            try {
                helpers.emplace_back(work);
            } catch (const std::system_error&) {
                break;  // no more threads here: those there are do it all
            }
        }
        work();
    }
    if (failure) {
        std::rethrow_exception(failure);
    }
}

}  // namespace fairing

// -------------------------------------------------------------------------------------------------------------
// fairing/core/env.hpp - environment variables, and the one that tells both ends of a program
// apart.

namespace fairing {

/// An environment variable; nullopt when it is not set, never a null pointer.
[[nodiscard]] inline std::optional<std::string> env(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::nullopt : std::optional<std::string>{value};
}

/// An environment variable, or `fallback` when it is not set.
[[nodiscard]] inline std::string env(const char* name, std::string fallback) {
    return env(name).value_or(std::move(fallback));
}

/// Whether this program runs as the job: FAIRING_RUNTIME is set in every image that we build.
[[nodiscard]] inline bool in_job() { return env("FAIRING_RUNTIME").has_value(); }

}  // namespace fairing

// -------------------------------------------------------------------------------------------------------------
// fairing/core/command.hpp - a program with its arguments and environment, and where it is
// (execve(2), environ(7)).

namespace fairing {

enum class BaseEnvironment { inherit, clean };

/// A program and how to start it. The first argument is its name, looked up in the PATH that it
/// will see, or a path.
struct Command {
    std::vector<std::string> arguments = {};
    std::map<std::string, std::string> environment = {};  ///< added to the base
    BaseEnvironment base = BaseEnvironment::inherit;
    std::filesystem::path directory = {};  ///< ours when empty
    std::vector<std::string> unset = {};   ///< taken out of the base
    /// Programs with their arguments, run one after the other should we die before the program has
    /// ended: what our destructors would have done. Those that are not found are left out.
    std::vector<std::vector<std::string>> if_we_die = {};
};

/// Where `name` is in `search_path` (a list like PATH, by default that of this process); a name
/// with a slash is itself. nullopt when there is no such executable file.
[[nodiscard]] inline std::optional<std::filesystem::path> find_program(
    const std::string& name,
    std::string search_path = env("PATH", "/usr/local/bin:/usr/bin:/bin")) {
    const auto runnable = [](const std::filesystem::path& path) {
        struct stat status {};
        return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
               ::access(path.c_str(), X_OK) == 0;
    };
    if (name.find('/') != std::string::npos) {
        return runnable(name) ? std::optional<std::filesystem::path>{name} : std::nullopt;
    }
    for (std::size_t start = 0; !name.empty() && start <= search_path.size();) {
        const std::size_t end = std::min(search_path.find(':', start), search_path.size());
        if (end > start) {
            std::filesystem::path path =
                std::filesystem::path{search_path.substr(start, end - start)} / name;
            if (runnable(path)) {
                return path;
            }
        }
        start = end + 1;
    }
    return std::nullopt;
}

namespace detail {

/// A Command as execve(2) wants it.
class PreparedCommand {
public:
    explicit PreparedCommand(const Command& command)
        : arguments_(command.arguments), last_(command.if_we_die) {
        if (arguments_.empty() || arguments_.front().empty()) {
            throw Error{ErrorCode::usage,
                        {.attempted = "run a program", .answer = "the command is empty"}};
        }
        std::map<std::string, std::string> variables = base(command);
        for (const auto& [name, value] : command.environment) {
            if (name.empty() || name.find('=') != std::string::npos) {
                throw Error{ErrorCode::input,
                            {.attempted = "run",
                             .subject = arguments_.front(),
                             .answer = "\"" + name + "\" is no name of an environment variable"}};
            }
            variables.insert_or_assign(name, value);
        }
        for (const auto& [name, value] : variables) {
            environment_.push_back(name + '=' + value);
        }
        for (const auto* list : {&arguments_, &environment_}) {
            for (const std::string& text : *list) {
                if (text.find('\0') != std::string::npos) {
                    throw Error{ErrorCode::input,
                                {.attempted = "run",
                                 .subject = arguments_.front(),
                                 .answer = "an argument or variable holds a NUL byte"}};
                }
            }
        }
        const auto path = variables.find("PATH");
        find_candidates(path == variables.end() ? "/usr/local/bin:/usr/bin:/bin" : path->second);
        argument_pointers_ = pointers(arguments_);
        environment_pointers_ = pointers(environment_);
        candidate_pointers_ = pointers(candidates_);
        for (std::vector<std::string>& program : last_) {
            if (const auto found =
                    find_program(program.empty() ? std::string{} : program.front())) {
                program.front() = found->string();
                last_pointers_.push_back(pointers(program));
                last_starts_.push_back(last_pointers_.back().data());
            }
        }
        last_starts_.push_back(nullptr);
    }
    PreparedCommand(PreparedCommand&&) = delete;
    PreparedCommand& operator=(PreparedCommand&&) = delete;
    ~PreparedCommand() = default;

    [[nodiscard]] char* const* arguments() const noexcept { return argument_pointers_.data(); }
    [[nodiscard]] char* const* environment() const noexcept { return environment_pointers_.data(); }
    [[nodiscard]] const char* const* candidates() const noexcept {
        return candidate_pointers_.data();
    }

    /// Argument lists, the first of each a path; a null pointer ends them.
    [[nodiscard]] char* const* const* if_we_die() const noexcept { return last_starts_.data(); }

private:
    static std::map<std::string, std::string> base(const Command& command) {
        std::map<std::string, std::string> variables;
        if (command.base == BaseEnvironment::inherit) {
            for (char** entry = ::environ; entry != nullptr && *entry != nullptr; ++entry) {
                const std::string_view text{*entry};
                if (const std::size_t equals = text.find('='); equals != std::string_view::npos) {
                    variables.try_emplace(std::string{text.substr(0, equals)},
                                          text.substr(equals + 1));
                }
            }
        }
        for (const std::string& name : command.unset) {
            variables.erase(name);
        }
        return variables;
    }

    void find_candidates(const std::string& search_path) {
        const std::string& name = arguments_.front();
        if (name.find('/') != std::string::npos) {
            candidates_.push_back(name);
            return;
        }
        for (std::size_t start = 0; start <= search_path.size();) {
            const std::size_t end = std::min(search_path.find(':', start), search_path.size());
            if (end > start) {
                candidates_.push_back(search_path.substr(start, end - start) + '/' + name);
            }
            start = end + 1;
        }
    }

    static std::vector<char*> pointers(std::vector<std::string>& texts) {
        std::vector<char*> result;
        result.reserve(texts.size() + 1);
        for (std::string& text : texts) {
            result.push_back(text.data());
        }
        result.push_back(nullptr);
        return result;
    }

    std::vector<std::string> arguments_, environment_ = {}, candidates_ = {};
    std::vector<char*> argument_pointers_ = {}, environment_pointers_ = {},
                       candidate_pointers_ = {};
    std::vector<std::vector<std::string>> last_;
    std::vector<std::vector<char*>> last_pointers_ = {};
    std::vector<char* const*> last_starts_ = {};
};

}  // namespace detail

}  // namespace fairing

// -------------------------------------------------------------------------------------------------------------
// fairing/core/files.hpp - files and private temporary ones (POSIX): nothing half-written, nothing
// left behind.

namespace fairing {

/// A file descriptor that closes itself.
class UniqueFd {
public:
    UniqueFd() = default;
    explicit UniqueFd(int fd) noexcept : fd_(fd) {}
    UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    UniqueFd& operator=(UniqueFd&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~UniqueFd() {
        if (fd_ >= 0) {
            ::close(fd_);
        }
    }
    [[nodiscard]] int get() const noexcept { return fd_; }
    explicit operator bool() const noexcept { return fd_ >= 0; }
    void reset() noexcept { UniqueFd{std::exchange(fd_, -1)}; }

private:
    int fd_ = -1;
};

/// Opens with O_CLOEXEC. Throws what system_error() makes of errno.
[[nodiscard]] inline UniqueFd open_file(const std::filesystem::path& path, int flags,
                                        mode_t mode = 0600) {
    int fd = -1;
    do {
        fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0) {
        throw system_error(errno, "open", path.string());
    }
    return UniqueFd{fd};
}

/// Reads up to buffer.size() bytes; fewer only at the end of the file.
[[nodiscard]] inline std::size_t read_some(int fd, std::span<std::byte> buffer,
                                           const std::string& subject) {
    std::size_t done = 0;
    while (done < buffer.size()) {
        const ssize_t got = ::read(fd, buffer.data() + done, buffer.size() - done);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            throw system_error(errno, "read", subject);
        }
        if (got == 0) {
            break;
        }
        done += static_cast<std::size_t>(got);
    }
    return done;
}

/// Writes all of `bytes`. ENOSPC and the like throw an Error that names `subject`.
inline void write_all(int fd, std::span<const std::byte> bytes, const std::string& subject) {
    while (!bytes.empty()) {
        const ssize_t put = ::write(fd, bytes.data(), bytes.size());
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put < 0) {
            throw system_error(errno, "write", subject, ErrorCode::internal);
        }
        bytes = bytes.subspan(static_cast<std::size_t>(put));
    }
}

/// The whole file as text. Throws Error{input} when it is longer than `limit` bytes.
[[nodiscard]] inline std::string read_file(const std::filesystem::path& path,
                                           std::size_t limit = std::size_t{64} << 20) {
    const UniqueFd file = open_file(path, O_RDONLY | O_NONBLOCK);
    std::string text;
    std::array<std::byte, 65536> buffer;
    while (const std::size_t got = read_some(file.get(), buffer, path.string())) {
        if (text.size() + got > limit) {
            throw Error{ErrorCode::input,
                        {.attempted = "read",
                         .subject = path.string(),
                         .answer = "longer than " + std::to_string(limit) + " bytes"}};
        }
        text.append(reinterpret_cast<const char*>(buffer.data()), got);
    }
    return text;
}

/// Where temporary files go: $TMPDIR or /tmp.
[[nodiscard]] inline std::filesystem::path temporary_root() { return env("TMPDIR", "/tmp"); }

/// A file without a name: it is gone with its last descriptor, however the program ends.
class TemporaryFile {
public:
    explicit TemporaryFile(const std::filesystem::path& directory = temporary_root()) {
        std::string name = (directory / "fairing-file-XXXXXX").string();
        file_ = UniqueFd{::mkostemp(name.data(), O_CLOEXEC)};
        if (!file_) {
            throw system_error(errno, "create a temporary file in", directory.string());
        }
        ::unlink(name.c_str());
    }
    [[nodiscard]] int fd() const noexcept { return file_.get(); }

    void append(std::span<const std::byte> bytes) {
        write_all(file_.get(), bytes, "a temporary file");
        size_ += bytes.size();
    }
    [[nodiscard]] std::uint64_t size() const noexcept { return size_; }

    /// Every byte from `offset` on, in order; may be called again, and from several threads at
    /// once.
    void read(const std::function<void(std::span<const std::byte>)>& sink,
              std::uint64_t offset = 0) const {
        std::vector<std::byte> buffer(std::size_t{256} << 10);
        while (offset < size_) {
            const ssize_t got =
                ::pread(file_.get(), buffer.data(), buffer.size(), static_cast<off_t>(offset));
            if (got < 0 && errno == EINTR) {
                continue;
            }
            if (got <= 0) {
                throw system_error(got < 0 ? errno : EIO, "read back", "a temporary file",
                                   ErrorCode::internal);
            }
            sink(std::span{buffer}.first(static_cast<std::size_t>(got)));
            offset += static_cast<std::uint64_t>(got);
        }
    }

private:
    UniqueFd file_;
    std::uint64_t size_ = 0;
};

/// A private directory (0700), removed with everything in it by the destructor. What a killed
/// process left is removed by the next TemporaryDirectory: each holds a lock on itself for as long
/// as it lives.
class TemporaryDirectory {
public:
    explicit TemporaryDirectory(const std::filesystem::path& parent = temporary_root()) {
        sweep(parent);
        std::string name = (parent / "fairing-dir-XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr) {
            throw system_error(errno, "create a temporary directory in", parent.string());
        }
        path_ = name;
        lock_ = open_file(path_, O_RDONLY | O_DIRECTORY);
        ::flock(lock_.get(), LOCK_EX | LOCK_NB);
    }
    TemporaryDirectory(TemporaryDirectory&& other) noexcept
        : path_(std::exchange(other.path_, {})), lock_(std::move(other.lock_)) {}
    TemporaryDirectory& operator=(TemporaryDirectory&& other) noexcept {
        std::swap(path_, other.path_);
        std::swap(lock_, other.lock_);
        return *this;
    }
    ~TemporaryDirectory() {
        if (!path_.empty()) {
            remove_tree(path_);
        }
    }
    [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

    /// Removes a tree even where it holds directories without write permission. Never throws, never
    /// follows links.
    static void remove_tree(const std::filesystem::path& root) noexcept {
        std::error_code ignored;
        if (std::filesystem::remove_all(root, ignored) != static_cast<std::uintmax_t>(-1)) {
            return;
        }
        try {
            for (auto it = std::filesystem::recursive_directory_iterator{root, ignored};
                 it != std::filesystem::recursive_directory_iterator{}; it.increment(ignored)) {
                if (it->symlink_status(ignored).type() == std::filesystem::file_type::directory) {
                    ::chmod(it->path().c_str(), 0700);
                }
            }
        } catch (const std::exception&) {
            // out of memory: remove what can be removed
        }
        std::filesystem::remove_all(root, ignored);
    }

private:
    static void sweep(const std::filesystem::path& parent) noexcept {
        try {
            std::error_code ignored;
            for (const auto& entry : std::filesystem::directory_iterator{parent, ignored}) {
                struct stat status {};
                if (!entry.path().filename().string().starts_with("fairing-dir-") ||
                    ::lstat(entry.path().c_str(), &status) != 0 || !S_ISDIR(status.st_mode) ||
                    status.st_uid != ::geteuid() || ::time(nullptr) - status.st_mtime < 60) {
                    continue;
                }
                const UniqueFd lock{
                    ::open(entry.path().c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
                if (lock && ::flock(lock.get(), LOCK_EX | LOCK_NB) == 0) {
                    remove_tree(entry.path());
                }
            }
        } catch (const std::exception&) {
            // another time
        }
    }

    std::filesystem::path path_ = {};
    UniqueFd lock_ = {};
};

/// Replaces `path` by `bytes` in one step: readers see the old file or the new one, and a failure
/// leaves the old.
inline void write_file(const std::filesystem::path& path, std::span<const std::byte> bytes,
                       mode_t mode = 0644) {
    std::string name = path.string() + ".XXXXXX";
    const UniqueFd file{::mkostemp(name.data(), O_CLOEXEC)};
    if (!file) {
        throw system_error(errno, "write", path.string());
    }
    try {
        write_all(file.get(), bytes, path.string());
        if (::fchmod(file.get(), mode) != 0 || ::rename(name.c_str(), path.c_str()) != 0) {
            throw system_error(errno, "write", path.string());
        }
    } catch (...) {
        ::unlink(name.c_str());
        throw;
    }
}
inline void write_file(const std::filesystem::path& path, std::string_view text,
                       mode_t mode = 0644) {
    write_file(path, std::as_bytes(std::span{text}), mode);
}

}  // namespace fairing

// -------------------------------------------------------------------------------------------------------------
// fairing/core/line_splitter.hpp - bytes in any portions, lines out.

namespace fairing {

/// Cuts a stream at '\n'. A line comes without its newline; one that is longer than the limit comes
/// in pieces of that size; the last one needs no newline. NUL, ESC and CR stay as they are.
class LineSplitter {
public:
    static constexpr std::size_t default_limit = std::size_t{1} << 20;

    explicit LineSplitter(std::size_t limit = default_limit) : limit_(limit) {}

    /// Gives every line that is complete now. When `sink` throws, the bytes behind that line are
    /// lost.
    void write(std::span<const std::byte> bytes, const std::function<void(std::string)>& sink) {
        std::string_view text{reinterpret_cast<const char*>(bytes.data()), bytes.size()};
        while (!text.empty()) {
            const std::size_t end = text.find('\n');
            append(text.substr(0, end), sink);
            if (end == std::string_view::npos) {
                return;
            }
            text.remove_prefix(end + 1);
            sink(std::exchange(pending_, {}));
        }
    }

    /// Gives what came after the last newline, if anything did.
    void finish(const std::function<void(std::string)>& sink) {
        if (!pending_.empty()) {
            sink(std::exchange(pending_, {}));
        }
    }

private:
    void append(std::string_view text, const std::function<void(std::string)>& sink) {
        while (pending_.size() + text.size() > limit_) {
            const std::size_t room = limit_ - pending_.size();
            pending_ += text.substr(0, room);
            text.remove_prefix(room);
            sink(std::exchange(pending_, {}));
        }
        pending_ += text;
    }

    std::size_t limit_;
    std::string pending_ = {};
};

}  // namespace fairing

// -------------------------------------------------------------------------------------------------------------
// fairing/core/supervisor.hpp - what runs between fork() and execve() (Linux): the process that
// starts a program, adopts every descendant of it, and ends them all when the program ends, when it
// is told to, or when we are gone.
//
// Everything here runs in the child of a process that may have threads: no allocation, no lock, no
// exception, only async-signal-safe calls and plain system calls. What needs memory is prepared
// before the fork (ChildPlan).

namespace fairing::detail {

/// One datagram of the control socket. To the supervisor: terminate, `value` is the grace in
/// milliseconds. From it: ended, `value` is the program's wait status and every descendant is gone.
/// End of file either way: the peer died.
struct SupervisorMessage {
    enum class Kind : int { terminate, ended };
    Kind kind = Kind::terminate;
    int value = 0;
};

/// Why the program did not start; comes through a pipe that execve() closes.
struct StartFailure {
    enum class Step : int { fork, directory, program };
    Step step = Step::fork;
    int number = 0;  ///< errno
};

struct ProcessEntry {
    pid_t pid, parent;
};

/// Made before the fork. The descriptors are 3 or higher and O_CLOEXEC; the strings end with a null
/// pointer.
struct ChildPlan {
    char* const* arguments = nullptr;
    char* const* environment = nullptr;
    const char* const* candidates = nullptr;  ///< paths where the program may be, in order
    const char* directory = nullptr;          ///< or null: ours
    char* const* const* if_we_die = nullptr;  ///< argument lists, the first of each a path
    int input = -1, output = -1, errors = -1;
    int control = -1, failure = -1;
    ProcessEntry* table = nullptr;
    std::size_t table_size = 0;
};

/// fork() without handlers where there is such a thing: the only kind that is safe in a forked
/// child.
inline pid_t plain_fork() noexcept {
#if defined(__GLIBC__)
#if __GLIBC_PREREQ(2, 34)
    return ::_Fork();
#else
    return ::fork();
#endif
#else
    return ::fork();
#endif
}

inline std::int64_t monotonic_milliseconds() noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1000000;
}

inline void reset_dispositions() noexcept {
    struct sigaction standard {};
    standard.sa_handler = SIG_DFL;
    for (int number = 1; number <= SIGRTMAX; ++number) {
        ::sigaction(number, &standard, nullptr);
    }
}

/// Applies close_range(2) from `first` to `last`; where a kernel or a filter refuses it, descriptor
/// by descriptor.
inline void close_between(unsigned first, unsigned last, unsigned flags) noexcept {
    constexpr unsigned cloexec = 4;  // CLOSE_RANGE_CLOEXEC
    if (first > last) {
        return;
    }
#ifdef SYS_close_range
    if (::syscall(SYS_close_range, first, last, flags) == 0) {
        return;
    }
#endif
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    const unsigned most =
        limit.rlim_cur > (1U << 20) ? 1U << 20 : static_cast<unsigned>(limit.rlim_cur);
    for (unsigned fd = first; fd <= last && fd < most; ++fd) {
        if (flags == cloexec) {
            ::fcntl(static_cast<int>(fd), F_SETFD, FD_CLOEXEC);
        } else {
            ::close(static_cast<int>(fd));
        }
    }
}

[[noreturn]] inline void fail_start(int pipe, StartFailure::Step step, int number) noexcept {
    const StartFailure failure{.step = step, .number = number};
    // The pipe is empty and this is shorter than PIPE_BUF: it is written whole, or the reader is
    // gone.
    [[maybe_unused]] const ssize_t put = ::write(pipe, &failure, sizeof failure);
    ::_exit(127);
}

/// The number at `text`, which is moved behind it; -1 when there is none.
inline pid_t read_number(const char*& text) noexcept {
    if (*text < '0' || *text > '9') {
        return -1;
    }
    pid_t value = 0;
    for (; *text >= '0' && *text <= '9'; ++text) {
        value = value * 10 + (*text - '0');
    }
    return value;
}

/// The parent of a process out of /proc/PID/stat (proc(5)); -1 when it is gone.
inline pid_t parent_of(pid_t pid) noexcept {
    std::array<char, 32> path{};
    std::size_t at = path.size() - 6;
    std::memcpy(path.data() + at, "/stat", 6);
    for (pid_t rest = pid; rest > 0; rest /= 10) {
        path[--at] = static_cast<char>('0' + rest % 10);
    }
    at -= 6;
    std::memcpy(path.data() + at, "/proc/", 6);
    const int fd = ::open(path.data() + at, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    std::array<char, 512> text{};
    const ssize_t got = ::read(fd, text.data(), text.size() - 1);
    ::close(fd);
    // "PID (name) S PARENT …": the name may hold anything, so from its last parenthesis on.
    for (ssize_t i = got - 1; i >= 0; --i) {
        if (text[static_cast<std::size_t>(i)] == ')' && i + 4 < got) {
            const char* number = text.data() + i + 4;
            return read_number(number);
        }
    }
    return -1;
}

/// Calls visit(pid, parent) for every process that /proc shows. False when there is no /proc.
template <class Visit>
bool for_each_process(const Visit& visit) noexcept {
    const int directory = ::open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) {
        return false;
    }
    constexpr std::size_t record_length_at = 16,
                          name_at = 19;  // of struct linux_dirent64, getdents64(2)
    alignas(8) std::array<char, 16384> buffer;
    for (;;) {
        const long got = ::syscall(SYS_getdents64, directory, buffer.data(), buffer.size());
        if (got <= 0) {
            ::close(directory);
            return got == 0;
        }
        for (std::size_t at = 0; at < static_cast<std::size_t>(got);) {
            std::uint16_t length = 0;
            std::memcpy(&length, buffer.data() + at + record_length_at, sizeof length);
            const char* name = buffer.data() + at + name_at;
            const pid_t pid = read_number(name);
            if (pid > 0 && *name == '\0') {
                if (const pid_t parent = parent_of(pid); parent >= 0) {
                    visit(pid, parent);
                }
            }
            at += length;
        }
    }
}

/// Signals one process of the table unless its number was given to another one meanwhile.
inline void signal_entry(const ProcessEntry& entry, int number) noexcept {
#if defined(SYS_pidfd_open) && defined(SYS_pidfd_send_signal)
    const int handle = static_cast<int>(::syscall(SYS_pidfd_open, entry.pid, 0));
    if (handle >= 0) {
        if (parent_of(entry.pid) == entry.parent) {
            ::syscall(SYS_pidfd_send_signal, handle, number, nullptr, 0);
        }
        ::close(handle);
        return;
    }
    if (errno == ESRCH) {
        return;
    }
#endif
    ::kill(entry.pid, number);
}

/// Asks every descendant to end; each gets the signal once.
inline void terminate_descendants(const ChildPlan& plan, pid_t program) noexcept {
    std::size_t count = 0;
    const bool complete = for_each_process([&](pid_t pid, pid_t parent) {
        if (count < plan.table_size) {
            plan.table[count++] = {.pid = pid, .parent = parent};
        }
    });
    if (!complete) {
        ::kill(-program, SIGTERM);
        return;
    }
    // Descendants move to the front: first our children, then theirs, and so on.
    std::size_t ours = 0;
    const auto adopt_children_of = [&](pid_t parent) {
        for (std::size_t i = ours; i < count; ++i) {
            if (plan.table[i].parent == parent) {
                const ProcessEntry entry = plan.table[i];
                plan.table[i] = plan.table[ours];
                plan.table[ours++] = entry;
            }
        }
    };
    adopt_children_of(::getpid());
    for (std::size_t i = 0; i < ours; ++i) {
        adopt_children_of(plan.table[i].pid);
    }
    for (std::size_t i = 0; i < ours; ++i) {
        signal_entry(plan.table[i], SIGTERM);
    }
}

/// Collects the children that ended. The program's group is killed before its number becomes free
/// again. True when the program is among them; `status` is its wait status then.
inline bool reap(pid_t program, int& status) noexcept {
    bool ended = false;
    for (;;) {
        siginfo_t info{};
        if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) {
            return ended;
        }
        if (info.si_pid == program) {
            ::kill(-program, SIGKILL);
        }
        int ignored = 0;
        int& target = info.si_pid == program ? status : ignored;
        ended = ended || info.si_pid == program;
        ::waitpid(info.si_pid, &target, WNOHANG);
    }
}

/// Kills child after child until none is left: the orphans of a killed process become our children,
/// and only we reap those, so that no number can be another's. Gives up after ten seconds (a
/// process in the kernel's hands, or one of another user).
inline void kill_descendants(pid_t program, int& status) noexcept {
    const pid_t self = ::getpid();
    const std::int64_t deadline = monotonic_milliseconds() + 10000;
    do {
        for_each_process([self](pid_t pid, pid_t parent) {
            if (parent == self) {
                ::kill(pid, SIGKILL);
            }
        });
        reap(program, status);
        siginfo_t info{};
        if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 && errno == ECHILD) {
            return;
        }
        ::poll(nullptr, 0, 1);
    } while (monotonic_milliseconds() < deadline);
}

/// The grandchild: becomes the program, in its own session.
[[noreturn]] inline void become_program(const ChildPlan& plan, pid_t supervisor) noexcept {
    constexpr unsigned cloexec = 4;  // CLOSE_RANGE_CLOEXEC
    ::setsid();
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != supervisor) {
        ::_exit(127);
    }
    if (::dup2(plan.input, 0) < 0 || ::dup2(plan.output, 1) < 0 || ::dup2(plan.errors, 2) < 0) {
        fail_start(plan.failure, StartFailure::Step::fork, errno);
    }
    close_between(3, UINT_MAX, cloexec);
    if (plan.directory != nullptr && ::chdir(plan.directory) != 0) {
        fail_start(plan.failure, StartFailure::Step::directory, errno);
    }
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    int number = ENOENT;
    for (const char* const* path = plan.candidates; *path != nullptr; ++path) {
        ::execve(*path, plan.arguments, plan.environment);
        if (errno != ENOENT && errno != ENOTDIR) {
            number = errno;
            if (number != EACCES) {
                break;
            }
        }
    }
    fail_start(plan.failure, StartFailure::Step::program, number);
}

/// Runs what was left to do in case of our death, each for ten seconds at most.
inline void clean_up_for_the_dead(const ChildPlan& plan) noexcept {
    for (char* const* const* program = plan.if_we_die; *program != nullptr; ++program) {
        const pid_t child = plain_fork();
        if (child == 0) {
            sigset_t none;
            ::sigemptyset(&none);
            ::sigprocmask(SIG_SETMASK, &none, nullptr);
            ::execve(**program, *program, plan.environment);
            ::_exit(127);
        }
        const std::int64_t deadline = monotonic_milliseconds() + 10000;
        while (child > 0 && ::waitpid(child, nullptr, WNOHANG) == 0) {
            if (monotonic_milliseconds() > deadline) {
                ::kill(child, SIGKILL);
            }
            ::poll(nullptr, 0, 1);
        }
    }
}

/// The child: starts the program and stays until nothing of it is left. All signals are blocked on
/// entry, and stay so.
[[noreturn]] inline void supervise(const ChildPlan& plan) noexcept {
    ::setsid();
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    ::prctl(PR_SET_NAME, "fairing-run");
    reset_dispositions();
    sigset_t child_ended;
    ::sigemptyset(&child_ended);
    ::sigaddset(&child_ended, SIGCHLD);
    const int signals = ::signalfd(-1, &child_ended, SFD_CLOEXEC | SFD_NONBLOCK);
    const pid_t self = ::getpid();
    const pid_t program = signals < 0 ? -1 : plain_fork();
    if (program == 0) {
        become_program(plan, self);
    }
    if (program < 0) {
        fail_start(plan.failure, StartFailure::Step::fork, errno);
    }

    const int nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd < 3; ++fd) {
        ::dup2(nothing, fd);
    }
    const auto low = static_cast<unsigned>(plan.control < signals ? plan.control : signals);
    const auto high = static_cast<unsigned>(plan.control < signals ? signals : plan.control);
    close_between(3, low - 1, 0);
    close_between(low + 1, high - 1, 0);
    close_between(high + 1, UINT_MAX, 0);

    int status = SIGKILL;  // should the program outlive our patience
    bool orphaned = false;
    std::int64_t deadline = -1;
    for (;;) {
        int timeout = -1;
        if (deadline >= 0) {
            const std::int64_t left = deadline - monotonic_milliseconds();
            if (left <= 0) {
                break;
            }
            timeout = static_cast<int>(left);
        }
        std::array<pollfd, 2> events{{{.fd = plan.control, .events = POLLIN, .revents = 0},
                                      {.fd = signals, .events = POLLIN, .revents = 0}}};
        ::poll(events.data(), events.size(), timeout);
        signalfd_siginfo info{};
        while (::read(signals, &info, sizeof info) > 0) {
        }
        if (reap(program, status)) {
            break;
        }
        if (events[0].revents != 0) {
            SupervisorMessage message;
            const ssize_t got = ::recv(plan.control, &message, sizeof message, MSG_DONTWAIT);
            if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
                orphaned = true;  // nobody is left who could care
                break;
            }
            if (got == static_cast<ssize_t>(sizeof message)) {
                const std::int64_t end = monotonic_milliseconds() + message.value;
                if (deadline < 0) {
                    terminate_descendants(plan, program);
                }
                deadline = deadline < 0 || end < deadline ? end : deadline;
            }
        }
    }
    kill_descendants(program, status);
    const SupervisorMessage ended{.kind = SupervisorMessage::Kind::ended, .value = status};
    if (orphaned || ::send(plan.control, &ended, sizeof ended, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        clean_up_for_the_dead(plan);
    }
    ::_exit(0);
}

}  // namespace fairing::detail

// -------------------------------------------------------------------------------------------------------------
// fairing/core/process.hpp - child processes without a shell (POSIX and Linux's subreapers): their
// lines, their end, and nothing of them left behind.

namespace fairing {

enum class Stream { output, errors };

/// The name of a signal with its number: "signal 9 (SIGKILL)".
[[nodiscard]] inline std::string signal_text(int number) {
    static constexpr std::array<std::pair<int, const char*>, 14> names{{{SIGHUP, "SIGHUP"},
                                                                        {SIGINT, "SIGINT"},
                                                                        {SIGQUIT, "SIGQUIT"},
                                                                        {SIGILL, "SIGILL"},
                                                                        {SIGTRAP, "SIGTRAP"},
                                                                        {SIGABRT, "SIGABRT"},
                                                                        {SIGBUS, "SIGBUS"},
                                                                        {SIGFPE, "SIGFPE"},
                                                                        {SIGKILL, "SIGKILL"},
                                                                        {SIGSEGV, "SIGSEGV"},
                                                                        {SIGPIPE, "SIGPIPE"},
                                                                        {SIGALRM, "SIGALRM"},
                                                                        {SIGTERM, "SIGTERM"},
                                                                        {SIGXCPU, "SIGXCPU"}}};
    const auto* const found = std::find_if(
        names.begin(), names.end(), [number](const auto& entry) { return entry.first == number; });
    return "signal " + std::to_string(number) +
           (found == names.end() ? std::string{} : std::string{" ("} + found->second + ')');
}

/// How a program ended.
struct ProcessEnd {
    int exit_code = 0;  ///< its own, or 128 + the signal that killed it
    int signal = 0;     ///< 0 when it ended by itself

    /// "exited with 3", "killed by signal 9 (SIGKILL)"; empty for success.
    [[nodiscard]] std::string reason() const {
        if (signal != 0) {
            return "killed by " + signal_text(signal);
        }
        return exit_code == 0 ? std::string{} : "exited with " + std::to_string(exit_code);
    }
};

namespace detail {

/// The same descriptor with a number that no standard stream has.
[[nodiscard]] inline UniqueFd above_standard_streams(int fd) {
    UniqueFd given{fd};
    if (fd > 2) {
        return given;
    }
    UniqueFd moved{fd < 0 ? -1 : ::fcntl(fd, F_DUPFD_CLOEXEC, 3)};
    if (!moved) {
        throw system_error(errno, "run", "a program", ErrorCode::unavailable);
    }
    return moved;
}

struct PipeEnds {
    UniqueFd reader, writer;
};

[[nodiscard]] inline PipeEnds make_pipe() {
    std::array<int, 2> ends{-1, -1};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
        throw system_error(errno, "run", "a program", ErrorCode::unavailable);
    }
    UniqueFd second{ends[1]};
    PipeEnds result;
    result.reader = above_standard_streams(ends[0]);
    result.writer = above_standard_streams(::fcntl(second.get(), F_DUPFD_CLOEXEC, 3));
    return result;
}

}  // namespace detail

/// A running program in a session of its own. A small supervisor process stands between it and us:
/// it adopts every descendant, also one that daemonizes, and kills them all when the program ends,
/// when this object goes, and when we die, however we die. Signal mask and dispositions of the
/// program are the standard ones, and it inherits no descriptor but its three streams. Not movable;
/// one thread at a time reads, terminate() may come from any.
class Process {
public:
    using ByteSink = std::function<void(Stream, std::span<const std::byte>)>;
    using LineSink = std::function<void(Stream, std::string)>;

    /// Starts it; `input` is what it reads on its standard input (kept in memory, never in a file
    /// with a name). Throws Error that names the program when it can not be started: not_found,
    /// denied, …
    explicit Process(const Command& command, std::string_view input = {}) {
        const detail::PreparedCommand prepared{command};
        const UniqueFd input_file = open_input(input);
        detail::PipeEnds output = detail::make_pipe();
        detail::PipeEnds errors = detail::make_pipe();
        detail::PipeEnds failure = detail::make_pipe();
        UniqueFd theirs;
        open_control(theirs);
        wake_ = detail::above_standard_streams(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
        constexpr std::size_t most_processes = 32768;
        const auto table = std::make_unique_for_overwrite<detail::ProcessEntry[]>(most_processes);
        const std::string directory = command.directory.string();
        supervisor_ = fork_supervisor({.arguments = prepared.arguments(),
                                       .environment = prepared.environment(),
                                       .candidates = prepared.candidates(),
                                       .directory = directory.empty() ? nullptr : directory.c_str(),
                                       .if_we_die = prepared.if_we_die(),
                                       .input = input_file.get(),
                                       .output = output.writer.get(),
                                       .errors = errors.writer.get(),
                                       .control = theirs.get(),
                                       .failure = failure.writer.get(),
                                       .table = table.get(),
                                       .table_size = most_processes},
                                      command.arguments.front());
        output.writer.reset();
        errors.writer.reset();
        failure.writer.reset();
        theirs.reset();
        detail::StartFailure reason;
        const std::size_t got =
            read_some(failure.reader.get(), std::as_writable_bytes(std::span{&reason, 1}),
                      command.arguments.front());
        if (got != 0) {
            release();
            throw start_error(command, reason);
        }
        output_ = std::move(output.reader);
        errors_ = std::move(errors.reader);
        for (const int fd : {output_.get(), errors_.get()}) {
            ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
        }
    }
    Process(Process&&) = delete;
    Process& operator=(Process&&) = delete;
    /// Kills what still runs and waits until it is gone.
    ~Process() { release(); }

    /// Gives every byte to `sink`, each stream in its order, on this thread, until the program has
    /// ended and nothing of it is left. Throws Cancelled on a stop, Error{timeout} when `deadline`
    /// passes first; both leave it running, as does a throw of the sink. After the end: gives the
    /// end again.
    ProcessEnd read(const ByteSink& sink, const std::stop_token& stop = {},
                    std::optional<std::chrono::steady_clock::time_point> deadline = {}) {
        const std::stop_callback on_stop{stop, [this] { wake(); }};
        while (output_ || errors_ || !end_) {
            if (stop.stop_requested()) {
                throw Cancelled{
                    ErrorCode::cancelled,
                    {.attempted = "wait for a program", .answer = "stopped on request"}};
            }
            const auto now = std::chrono::steady_clock::now();
            if (deadline && now >= *deadline) {
                throw Error{ErrorCode::timeout,
                            {.attempted = "wait for a program", .answer = "its time is over"}};
            }
            step(sink, earlier(deadline, give_up_), now);
        }
        return *end_;
    }

    /// The same by lines, as LineSplitter cuts them.
    ProcessEnd follow(const LineSink& sink, const std::stop_token& stop = {}) {
        const auto line_of = [&sink](Stream stream) {
            return [&sink, stream](std::string line) {
                if (sink) {
                    sink(stream, std::move(line));
                }
            };
        };
        const ProcessEnd end = read(
            [&](Stream stream, std::span<const std::byte> bytes) {
                (stream == Stream::output ? output_lines_ : error_lines_)
                    .write(bytes, line_of(stream));
            },
            stop);
        output_lines_.finish(line_of(Stream::output));
        error_lines_.finish(line_of(Stream::errors));
        return end;
    }

    /// Until the end; what it writes meanwhile is dropped.
    ProcessEnd wait(const std::stop_token& stop = {}) {
        return read([](Stream, std::span<const std::byte>) {}, stop);
    }

    /// Sends SIGTERM to every descendant now and SIGKILL after `grace`; does not wait. The first
    /// call decides who gets SIGTERM, the earliest deadline counts.
    void terminate(std::chrono::milliseconds grace) noexcept {
        const auto limited = std::clamp<std::chrono::milliseconds::rep>(grace.count(), 0, 86400000);
        const detail::SupervisorMessage message{.kind = detail::SupervisorMessage::Kind::terminate,
                                                .value = static_cast<int>(limited)};
        ::send(control_.get(), &message, sizeof message, MSG_NOSIGNAL | MSG_DONTWAIT);
    }

private:
    using TimePoint = std::chrono::steady_clock::time_point;

    static UniqueFd open_input(std::string_view input) {
        if (input.empty()) {
            return detail::above_standard_streams(::open("/dev/null", O_RDONLY | O_CLOEXEC));
        }
        UniqueFd file =
            detail::above_standard_streams(::memfd_create("fairing-input", MFD_CLOEXEC));
        write_all(file.get(), std::as_bytes(std::span{input}), "a program's input");
        ::lseek(file.get(), 0, SEEK_SET);
        return file;
    }

    void open_control(UniqueFd& theirs) {
        std::array<int, 2> ends{-1, -1};
        if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
            throw system_error(errno, "run", "a program", ErrorCode::unavailable);
        }
        const UniqueFd second{ends[1]};
        control_ = detail::above_standard_streams(ends[0]);
        theirs = detail::above_standard_streams(::fcntl(second.get(), F_DUPFD_CLOEXEC, 3));
    }

    /// Forks with all signals blocked, so that no handler of ours runs in the child.
    static pid_t fork_supervisor(const detail::ChildPlan& plan, const std::string& program) {
        sigset_t all;
        sigset_t before;
        ::sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, &before);
        const pid_t child = ::fork();
        if (child == 0) {
            detail::supervise(plan);
        }
        const int number = errno;
        ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
        if (child < 0) {
            throw system_error(number, "run", program, ErrorCode::unavailable);
        }
        return child;
    }

    static Error start_error(const Command& command, const detail::StartFailure& failure) {
        const std::string& program = command.arguments.front();
        const Error plain = system_error(failure.number, "run", program, ErrorCode::unavailable);
        Error::Details details = plain.details();
        if (failure.step == detail::StartFailure::Step::directory) {
            details.answer = command.directory.string() + ": " + details.answer;
        } else if (failure.step == detail::StartFailure::Step::program) {
            const bool there = program.find('/') != std::string::npos &&
                               ::access((command.directory / program).c_str(), F_OK) == 0;
            details.advice = failure.number != ENOENT
                                 ? "check that it is an executable for this machine"
                             : there ? "the interpreter or loader that it names is missing"
                                     : "install it, or give its path";
        }
        return Error{plain.code(), std::move(details)};
    }

    static std::optional<TimePoint> earlier(const std::optional<TimePoint>& a,
                                            const std::optional<TimePoint>& b) {
        return a && b ? std::min(*a, *b) : a ? a : b;
    }

    void wake() const noexcept {
        const std::uint64_t one = 1;
        [[maybe_unused]] const ssize_t put = ::write(wake_.get(), &one, sizeof one);
    }

    /// Waits for something to happen and handles it.
    void step(const ByteSink& sink, const std::optional<TimePoint>& until, TimePoint now) {
        std::array<pollfd, 4> events{
            {{.fd = output_.get(), .events = POLLIN, .revents = 0},
             {.fd = errors_.get(), .events = POLLIN, .revents = 0},
             {.fd = end_ ? -1 : control_.get(), .events = POLLIN, .revents = 0},
             {.fd = wake_.get(), .events = POLLIN, .revents = 0}}};
        int timeout = -1;
        if (until) {
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(*until - now).count();
            timeout = static_cast<int>(std::clamp<std::int64_t>(left, 0, 3600000));
        }
        ::poll(events.data(), events.size(), timeout);
        if (events[3].revents != 0) {
            std::uint64_t count = 0;
            [[maybe_unused]] const ssize_t got = ::read(wake_.get(), &count, sizeof count);
        }
        if (events[2].revents != 0) {
            receive_end();
        }
        if (events[0].revents != 0) {
            drain(output_, Stream::output, sink);
        }
        if (events[1].revents != 0) {
            drain(errors_, Stream::errors, sink);
        }
        if (give_up_ && now >= *give_up_ && (events[0].revents | events[1].revents) == 0) {
            // Somebody who is no descendant holds a stream open: what comes now is not the
            // program's.
            output_.reset();
            errors_.reset();
        }
    }

    void receive_end() {
        detail::SupervisorMessage message;
        const ssize_t got = ::recv(control_.get(), &message, sizeof message, MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        // Without a word from it the supervisor was killed, and the program with it.
        const int status = got == static_cast<ssize_t>(sizeof message) ? message.value : SIGKILL;
        end_ = WIFSIGNALED(status)
                   ? ProcessEnd{.exit_code = 128 + WTERMSIG(status), .signal = WTERMSIG(status)}
                   : ProcessEnd{.exit_code = WEXITSTATUS(status), .signal = 0};
        give_up_ = std::chrono::steady_clock::now() + std::chrono::seconds{1};
    }

    /// One read, so that neither stream starves the other.
    void drain(UniqueFd& stream, Stream which, const ByteSink& sink) {
        const ssize_t got = ::read(stream.get(), buffer_.data(), buffer_.size());
        if (got > 0) {
            sink(which, std::span{buffer_}.first(static_cast<std::size_t>(got)));
        } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
            stream.reset();
        }
    }

    /// Ends and collects everything; the supervisor itself gives up after ten seconds.
    void release() noexcept {
        if (supervisor_ <= 0) {
            return;
        }
        terminate(std::chrono::milliseconds{0});
        const std::int64_t deadline = detail::monotonic_milliseconds() + 12000;
        for (;;) {
            const std::int64_t left = deadline - detail::monotonic_milliseconds();
            detail::SupervisorMessage message;
            pollfd event{.fd = control_.get(), .events = POLLIN, .revents = 0};
            if (left <= 0) {
                break;
            }
            ::poll(&event, 1, static_cast<int>(left));
            const ssize_t got = ::recv(control_.get(), &message, sizeof message, MSG_DONTWAIT);
            if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
                while (::waitpid(supervisor_, nullptr, 0) < 0 && errno == EINTR) {
                }
                break;
            }
        }
        supervisor_ = -1;
        control_.reset();
    }

    pid_t supervisor_ = -1;
    UniqueFd control_ = {}, wake_ = {}, output_ = {}, errors_ = {};
    std::optional<ProcessEnd> end_ = {};
    std::optional<TimePoint> give_up_ = {};
    std::vector<std::byte> buffer_ = std::vector<std::byte>(std::size_t{64} << 10);
    LineSplitter output_lines_{}, error_lines_{};
};

struct RunOptions {
    std::string_view input = {};
    std::chrono::milliseconds time_limit = std::chrono::seconds{60};
    std::size_t output_limit = std::size_t{1} << 20;  ///< bytes of both streams together
};

/// How it ended and what it wrote.
struct CommandResult : ProcessEnd {
    std::string output = {}, errors = {};
};

/// Runs a short program to its end. Throws Error{timeout} or Error{input} when it takes or writes
/// more than it may, Cancelled on a stop; it is dead then. A program that fails is a result, not an
/// error.
[[nodiscard]] inline CommandResult run(const Command& command, const RunOptions& options = {},
                                       const std::stop_token& stop = {}) {
    Process process{command, options.input};
    CommandResult result;
    try {
        static_cast<ProcessEnd&>(result) = process.read(
            [&](Stream stream, std::span<const std::byte> bytes) {
                if (result.output.size() + result.errors.size() + bytes.size() >
                    options.output_limit) {
                    throw Error{ErrorCode::input,
                                {.attempted = "run",
                                 .subject = command.arguments.front(),
                                 .answer = "it wrote more than " +
                                           std::to_string(options.output_limit) + " bytes"}};
                }
                (stream == Stream::output ? result.output : result.errors)
                    .append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
            },
            stop, std::chrono::steady_clock::now() + options.time_limit);
    } catch (const Cancelled&) {
        throw Cancelled{ErrorCode::cancelled,
                        {.attempted = "run",
                         .subject = command.arguments.front(),
                         .answer = "stopped on request"}};
    } catch (const Error& error) {
        if (error.code() != ErrorCode::timeout) {
            throw;
        }
        throw Error{ErrorCode::timeout,
                    {.attempted = "run",
                     .subject = command.arguments.front(),
                     .answer = "it did not end within " +
                               std::to_string(options.time_limit.count()) + " ms"}};
    }
    return result;
}

}  // namespace fairing

// -------------------------------------------------------------------------------------------------------------
// fairing/codec/utf8.hpp - whether a text is UTF-8 (RFC 3629), and how one that need not be is
// shown to a person.

namespace fairing::codec {

/// The size of the character that `text` begins with: 1 to 4, or 0 when it is not valid UTF-8 (too
/// long a form, a surrogate, beyond U+10FFFF, cut off) or `text` is empty.
[[nodiscard]] inline std::size_t utf8_character(std::string_view text) {
    if (text.empty()) {
        return 0;
    }
    const auto first = static_cast<unsigned char>(text.front());
    const std::size_t size = first < 0x80   ? 1
                             : first < 0xc2 ? 0
                             : first < 0xe0 ? 2
                             : first < 0xf0 ? 3
                             : first < 0xf5 ? 4
                                            : 0;
    if (size <= 1) {
        return size;
    }
    if (text.size() < size) {
        return 0;
    }
    std::uint32_t value = first & (0xffU >> (size + 1));
    for (std::size_t i = 1; i < size; ++i) {
        const auto next = static_cast<unsigned char>(text[i]);
        if ((next & 0xc0) != 0x80) {
            return 0;
        }
        value = value << 6 | (next & 0x3f);
    }
    const bool is_surrogate = value >= 0xd800 && value <= 0xdfff;
    const std::uint32_t least = size == 2 ? 0x80 : size == 3 ? 0x800 : 0x10000;
    return value < least || value > 0x10ffff || is_surrogate ? 0 : size;
}

[[nodiscard]] inline bool is_utf8(std::string_view text) {
    while (const std::size_t size = utf8_character(text)) {
        text.remove_prefix(size);
    }
    return text.empty();
}

/// Whether the character is one that moves a cursor or rings a bell: C0, DEL.
[[nodiscard]] constexpr bool is_control(char character) {
    const auto code = static_cast<unsigned char>(character);
    return code < 0x20 || code == 0x7f;
}

/// `text` in double quotes, with each control character, backslash, quote and byte that is not
/// UTF-8 as an escape
/// (\xNN); cut with "..." after `limit` bytes. For messages.
[[nodiscard]] inline std::string escaped(std::string_view text, std::size_t limit = 300) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string shown = "\"";
    while (!text.empty()) {
        if (shown.size() > limit) {
            shown += "...";
            break;
        }
        const std::size_t size = utf8_character(text);
        const char first = text.front();
        if (size == 0 || is_control(first)) {
            const auto code = static_cast<unsigned char>(first);
            shown += "\\x";
            shown += digits[code >> 4];
            shown += digits[code & 15];
            text.remove_prefix(1);
            continue;
        }
        shown += first == '"' || first == '\\' ? "\\" : "";
        shown += text.substr(0, size);
        text.remove_prefix(size);
    }
    return shown + '"';
}

}  // namespace fairing::codec

// -------------------------------------------------------------------------------------------------------------
// fairing/core/json_text.hpp - reading JSON (RFC 8259) without surprises.

namespace fairing {

/// Member `key` of `object` as text, or `fallback` when the member is absent or not a string.
[[nodiscard]] inline std::string text_or(const Json& object, const char* key,
                                         std::string fallback = {}) {
    if (!object.is_object()) {
        return fallback;
    }
    const auto member = object.find(key);
    return member != object.end() && member->is_string() ? member->get<std::string>()
                                                         : std::move(fallback);
}

/// Whether arrays and objects are nested deeper than any document of ours: copying such a value
/// would use up the stack.
[[nodiscard]] inline bool is_too_deep(std::string_view text) noexcept {
    constexpr std::size_t deepest = 256;
    std::size_t depth = 0;
    bool in_string = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (in_string) {
            i += c == '\\' ? 1 : 0;
            in_string = c != '"';
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            if (++depth > deepest) {
                return true;
            }
        } else if ((c == ']' || c == '}') && depth > 0) {
            --depth;
        }
    }
    return false;
}

/// The document in `text`. Throws Error{input} that names `subject` and the byte where reading
/// stopped, and never quotes the text: it may hold credentials.
[[nodiscard]] inline Json parse_json(std::string_view text, const std::string& subject) {
    if (is_too_deep(text)) {
        throw Error{ErrorCode::input,
                    {.attempted = "read",
                     .subject = subject,
                     .answer = "its JSON is nested more than 256 levels deep"}};
    }
    try {
        return Json::parse(text);
    } catch (const Json::exception& error) {
        const auto* at = dynamic_cast<const Json::parse_error*>(&error);
        throw Error{ErrorCode::input,
                    {.attempted = "read",
                     .subject = subject,
                     .answer = "not valid JSON" +
                               (at != nullptr ? " at byte " + std::to_string(at->byte) : "")}};
    }
}

}  // namespace fairing

// -------------------------------------------------------------------------------------------------------------
// fairing/codec/sha256.hpp - SHA-256 (FIPS 180-4), with the processor's own instructions where it
// has them.

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

// -------------------------------------------------------------------------------------------------------------
// fairing/oci/digest.hpp - content digests (OCI image-spec, descriptor.md, "Digests"): sha256 only.

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

// -------------------------------------------------------------------------------------------------------------
// fairing/oci/descriptor.hpp - a reference to content by digest (OCI image-spec, descriptor.md).

namespace fairing::oci {

struct Descriptor {
    std::string media_type = {};
    std::string digest = {};
    std::uint64_t size = 0;  ///< bytes

    [[nodiscard]] Json json() const {
        return {{"mediaType", media_type}, {"digest", digest}, {"size", size}};
    }
    /// Throws Error{input} that names `subject` when a required member is missing or malformed.
    [[nodiscard]] static Descriptor from(const Json& document, const std::string& subject) {
        Descriptor result{.media_type = text_or(document, "mediaType"),
                          .digest = text_or(document, "digest")};
        // Numbers are compared as such: comparing a Json with an int costs a second to compile.
        const Json size = document.is_object() ? document.value("size", Json()) : Json();
        const bool sized = size.is_number_integer() && size.get<std::int64_t>() >= 0;
        if (result.media_type.empty() || !is_digest(result.digest) || !sized) {
            throw Error{
                ErrorCode::input,
                {.attempted = "read",
                 .subject = subject,
                 .answer = "a descriptor without a valid mediaType, sha256 digest and size"}};
        }
        result.size = size.get<std::uint64_t>();
        return result;
    }
    friend bool operator==(const Descriptor&, const Descriptor&) = default;
};

}  // namespace fairing::oci

// -------------------------------------------------------------------------------------------------------------
// fairing/oci/platform.hpp - os/architecture[/variant] (OCI image-spec, image-index.md,
// "platform").

namespace fairing::oci {

struct Platform {
    std::string os = "linux";
    std::string architecture = {};  ///< GOARCH: amd64, arm64, …
    std::string variant = {};       ///< "v8"; empty matches any

    [[nodiscard]] std::string text() const {
        return os + '/' + architecture + (variant.empty() ? "" : '/' + variant);
    }
    /// Whether content for `other` runs where this one was asked for.
    [[nodiscard]] bool accepts(const Platform& other) const {
        return os == other.os && architecture == other.architecture &&
               (variant.empty() || variant == other.variant);
    }
    /// From a `platform` object, or from an image config: both use the same member names.
    [[nodiscard]] static Platform from(const Json& document) {
        return {.os = text_or(document, "os"),
                .architecture = text_or(document, "architecture"),
                .variant = text_or(document, "variant")};
    }
};

/// Linux on this machine's processor.
[[nodiscard]] inline Platform host_platform() {
    utsname names{};
    ::uname(&names);
    const std::string machine = names.machine;
    return {.architecture = machine == "x86_64"    ? "amd64"
                            : machine == "aarch64" ? "arm64"
                            : machine == "i686"    ? "386"
                            : machine == "armv7l"  ? "arm"
                                                   : machine};
}

/// "linux/arm64/v8", or the host's for an empty text. Throws Error{usage}.
[[nodiscard]] inline Platform parse_platform(const std::string& text) {
    if (text.empty()) {
        return host_platform();
    }
    const std::size_t first = text.find('/');
    const std::size_t second = first == std::string::npos ? first : text.find('/', first + 1);
    Platform result{.os = text.substr(0, first)};
    if (first != std::string::npos) {
        result.architecture =
            text.substr(first + 1, second == std::string::npos ? second : second - first - 1);
    }
    if (second != std::string::npos) {
        result.variant = text.substr(second + 1);
    }
    if (result.os.empty() || result.architecture.empty() ||
        result.variant.find('/') != std::string::npos) {
        throw Error{ErrorCode::usage,
                    {.attempted = "use platform",
                     .subject = '"' + text + '"',
                     .answer = "not of the form OS/ARCHITECTURE[/VARIANT]",
                     .advice = "write for example linux/amd64"}};
    }
    return result;
}

}  // namespace fairing::oci

// -------------------------------------------------------------------------------------------------------------
// fairing/oci/index.hpp - several manifests under one name (OCI image-spec, image-index.md;
// Docker's manifest list).

namespace fairing::oci {

/// The first entry of the index for `wanted`. Throws Error{not_found} that lists the platforms that
/// are there.
[[nodiscard]] inline Descriptor select(const Json& index, const Platform& wanted,
                                       const std::string& subject) {
    const Json entries = index.value("manifests", Json::array());
    std::string available;
    for (const Json& entry : entries) {
        if (!entry.is_object()) {
            continue;
        }
        const Platform platform = Platform::from(entry.value("platform", Json::object()));
        if (wanted.accepts(platform)) {
            return Descriptor::from(entry, subject);
        }
        if (!platform.architecture.empty() && platform.architecture != "unknown") {
            available += (available.empty() ? "" : ", ") + platform.text();
        }
    }
    throw Error{
        ErrorCode::not_found,
        {.attempted = "find platform " + wanted.text() + " in",
         .subject = subject,
         .answer = available.empty() ? "the index states no platform" : "it has " + available,
         .advice = "choose one with --platform"}};
}

}  // namespace fairing::oci

// -------------------------------------------------------------------------------------------------------------
// fairing/oci/media_type.hpp - media types of the OCI image-spec and of Docker's image manifest
// version 2, schema 2.

namespace fairing::oci::media_type {

inline constexpr std::string_view index = "application/vnd.oci.image.index.v1+json";
inline constexpr std::string_view manifest = "application/vnd.oci.image.manifest.v1+json";
inline constexpr std::string_view config = "application/vnd.oci.image.config.v1+json";
inline constexpr std::string_view layer = "application/vnd.oci.image.layer.v1.tar";
inline constexpr std::string_view layer_gzip = "application/vnd.oci.image.layer.v1.tar+gzip";
inline constexpr std::string_view layer_zstd = "application/vnd.oci.image.layer.v1.tar+zstd";

inline constexpr std::string_view docker_list =
    "application/vnd.docker.distribution.manifest.list.v2+json";
inline constexpr std::string_view docker_manifest =
    "application/vnd.docker.distribution.manifest.v2+json";
inline constexpr std::string_view docker_config = "application/vnd.docker.container.image.v1+json";
inline constexpr std::string_view docker_layer_gzip =
    "application/vnd.docker.image.rootfs.diff.tar.gzip";

/// What a client accepts when it asks for a manifest.
inline constexpr std::string_view accept =
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.docker.distribution.manifest.v2+json";

[[nodiscard]] constexpr bool is_index(std::string_view type) noexcept {
    return type == index || type == docker_list;
}
[[nodiscard]] constexpr bool is_manifest(std::string_view type) noexcept {
    return type == manifest || type == docker_manifest;
}

/// Layers that registries do not hold: whoever pulls the image fetches them from the descriptor's
/// `urls`.
[[nodiscard]] constexpr bool is_foreign(std::string_view type) noexcept {
    return type.find(".nondistributable.") != std::string_view::npos ||
           type.find(".foreign.") != std::string_view::npos;
}

}  // namespace fairing::oci::media_type

// -------------------------------------------------------------------------------------------------------------
// fairing/net/message.hpp - an HTTP request and its answer (RFC 9110), as values.

namespace fairing::net {

using BodySink = std::function<void(std::span<const std::byte>)>;

/// A request body of known size that can be sent again: every call of `write` gives the same bytes.
struct Body {
    std::uint64_t size = 0;
    std::function<void(const BodySink&)> write = {};

    /// The bytes of `text`, copied once and shared by all copies of the body.
    [[nodiscard]] static Body of(std::string text) {
        const auto size = static_cast<std::uint64_t>(text.size());
        return {.size = size, .write = [text = std::move(text)](const BodySink& sink) {
                    sink(std::as_bytes(std::span{text}));
                }};
    }
};

using Headers = std::multimap<std::string, std::string>;

struct Request {
    std::string method = "GET";
    std::string url = {};  ///< http, https, or http+unix://%2Fpath%2Fto%2Fsocket/path
    Headers headers = {};
    Body body = {};
    /// The whole exchange; zero means no limit beyond `idle_timeout`.
    std::chrono::milliseconds deadline = {};
    /// Without one byte received or sent.
    std::chrono::milliseconds idle_timeout = std::chrono::seconds{60};
    /// A longer answer than this in Response::body is an Error; what goes to a sink is not counted.
    /// Of an answer that is no success only the first 64 KiB are kept: they are for the message.
    std::uint64_t max_body = std::uint64_t{4} << 20;
};

struct Response {
    int status = 0;
    Headers headers = {};
    std::string body = {};
};

/// The first header of that name, compared without case (RFC 9110, 5.1); empty when there is none.
[[nodiscard]] inline std::string header(const Headers& headers, const std::string& name) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    for (const auto& [key, value] : headers) {
        if (key.size() == name.size() &&
            std::equal(key.begin(), key.end(), name.begin(),
                       [&](char a, char b) { return lower(a) == lower(b); })) {
            return value;
        }
    }
    return {};
}

}  // namespace fairing::net

// -------------------------------------------------------------------------------------------------------------
// fairing/oci/store.hpp - where the manifests and blobs of one repository live: an image layout or
// a registry.

namespace fairing::oci {

/// A manifest or index, byte for byte as it was stored: its digest is that of `body`.
struct RawManifest {
    std::string media_type = {};
    std::string body = {};

    [[nodiscard]] Descriptor descriptor() const {
        return {.media_type = media_type, .digest = digest_of(body), .size = body.size()};
    }
};

/// How a blob came to be where it is.
enum class Transfer { none, present, mounted, uploaded };

/// One repository. Every member may be called from several threads at once.
class Store {
public:
    virtual ~Store() = default;

    /// The manifest of a tag, or of a digest; nullopt when there is none. Verified when asked for
    /// by digest.
    [[nodiscard]] virtual std::optional<RawManifest> find_manifest(
        const std::string& tag_or_digest) = 0;
    /// Streams a blob to `sink`, verified while it is read: Error{integrity} at the end or before,
    /// not_found.
    virtual void read_blob(const Descriptor& blob, const net::BodySink& sink) = 0;
    /// Makes the blob be here: present already, mounted out of repository `mount_from` of the same
    /// host (empty: do not try), or uploaded.
    virtual Transfer write_blob(const Descriptor& blob, const net::Body& body,
                                const std::string& mount_from) = 0;
    /// Stores the manifest and points `tag` at it; an empty tag stores it by digest only.
    virtual void write_manifest(const RawManifest& manifest, const std::string& tag) = 0;
    /// Requests sent so far; 0 for what needs none.
    [[nodiscard]] virtual std::uint64_t requests() const noexcept { return 0; }
};

}  // namespace fairing::oci

// -------------------------------------------------------------------------------------------------------------
// fairing/oci/image.hpp - one image as its two documents, manifest and config, checked against each
// other (OCI image-spec, manifest.md and config.md; Docker image manifest version 2, schema 2).

namespace fairing::oci {

/// Documents as they were stored: members that we do not know are kept.
struct Image {
    Json manifest = {};
    Json config = {};

    [[nodiscard]] std::string media_type() const { return text_or(manifest, "mediaType"); }
    [[nodiscard]] bool is_docker() const { return media_type() == media_type::docker_manifest; }
    [[nodiscard]] Platform platform() const { return Platform::from(config); }

    [[nodiscard]] std::vector<Descriptor> layers() const {
        std::vector<Descriptor> result;
        for (const Json& layer : manifest.at("layers")) {
            result.push_back(Descriptor::from(layer, "a layer of the image manifest"));
        }
        return result;
    }
    [[nodiscard]] std::vector<std::string> diff_ids() const {
        return config.at("rootfs").at("diff_ids").get<std::vector<std::string>>();
    }
    /// Member `key` of the config's `config` object, or null.
    [[nodiscard]] Json setting(const char* key) const {
        const Json settings = config.value("config", Json());
        return settings.is_object() && settings.contains(key) ? settings.at(key) : Json();
    }
};

/// Nothing at all, for `platform`: what FROM scratch means.
[[nodiscard]] inline Image scratch(const Platform& platform) {
    Image image;
    image.config = {{"architecture", platform.architecture},
                    {"os", platform.os},
                    {"config", Json::object()},
                    {"rootfs", {{"type", "layers"}, {"diff_ids", Json::array()}}},
                    {"history", Json::array()}};
    if (!platform.variant.empty()) {
        image.config["variant"] = platform.variant;
    }
    image.manifest = {
        {"schemaVersion", 2}, {"mediaType", media_type::manifest}, {"layers", Json::array()}};
    return image;
}

/// The document of a manifest or an index, refused by name when it is ambiguous: `manifests` beside
/// `layers`, schema 1, or a mediaType that is not the one it was served with.
[[nodiscard]] inline Json parse_manifest(const RawManifest& raw, const std::string& subject) {
    const auto refuse = [&subject](std::string answer, ErrorCode code = ErrorCode::unsupported) {
        return Error{code,
                     {.attempted = "use image", .subject = subject, .answer = std::move(answer)}};
    };
    Json document = parse_json(raw.body, "the manifest of " + subject);
    if (!document.is_object()) {
        throw refuse("its manifest is not a JSON object", ErrorCode::input);
    }
    const Json version = document.value("schemaVersion", Json());
    if (version.is_number_integer() && version.get<int>() == 1) {
        throw refuse("its manifest is of schema 1, which no current tool writes");
    }
    if (document.contains("manifests") && document.contains("layers")) {
        throw refuse("its manifest is ambiguous: it has both manifests and layers",
                     ErrorCode::integrity);
    }
    const std::string stated = text_or(document, "mediaType", raw.media_type);
    if (stated != raw.media_type) {
        throw refuse("served as " + raw.media_type + ", but its manifest says " + stated,
                     ErrorCode::integrity);
    }
    if (!media_type::is_index(stated) && !media_type::is_manifest(stated)) {
        throw refuse("media type " + stated + " is not that of an image");
    }
    const char* content = media_type::is_index(stated) ? "manifests" : "layers";
    if (!document.contains(content) || !document[content].is_array()) {
        throw refuse("a " + stated + " without " + content, ErrorCode::integrity);
    }
    return document;
}

/// Throws Error when manifest and config do not describe one image: an artifact's config, or layers
/// and diff_ids that differ in number.
inline void check_image(const Image& image, const std::string& subject) {
    const auto refuse = [&subject](std::string answer) {
        return Error{ErrorCode::unsupported,
                     {.attempted = "use image", .subject = subject, .answer = std::move(answer)}};
    };
    if (!image.config.is_object() || !image.config.contains("rootfs") ||
        !image.config["rootfs"].is_object() || !image.config["rootfs"].contains("diff_ids") ||
        !image.config["rootfs"]["diff_ids"].is_array()) {
        throw refuse("its config has no rootfs.diff_ids");
    }
    for (const Json& diff_id : image.config["rootfs"]["diff_ids"]) {
        if (!diff_id.is_string() || !is_digest(diff_id.get_ref<const std::string&>())) {
            throw refuse("its config has a diff_id that is not a sha256 digest");
        }
    }
    const std::size_t layers = image.layers().size();
    const std::size_t diff_ids = image.config["rootfs"]["diff_ids"].size();
    if (layers != diff_ids) {
        throw refuse("its manifest has " + std::to_string(layers) + " layers, its config " +
                     std::to_string(diff_ids) + " diff_ids");
    }
}

/// An image as it lies in a store, and the descriptor that names it there.
struct StoredImage {
    Image image = {};
    Descriptor manifest = {};
};

/// Reads manifest and config; an index is resolved for `platform`. Throws Error{not_found} when the
/// store has no such manifest. `subject` is the reference as the user wrote it.
[[nodiscard]] inline StoredImage load_image(Store& store, const std::string& tag_or_digest,
                                            const Platform& platform, const std::string& subject) {
    constexpr std::uint64_t largest_config = std::uint64_t{4} << 20;
    const auto find = [&](const std::string& wanted) {
        auto raw = store.find_manifest(wanted);
        if (!raw) {
            throw Error{ErrorCode::not_found,
                        {.attempted = "find image",
                         .subject = subject,
                         .answer = wanted.empty() ? "there is no image in it"
                                                  : "there is no manifest " + wanted,
                         .advice = "check its name and tag"}};
        }
        return *std::move(raw);
    };
    RawManifest raw = find(tag_or_digest);
    Json document = parse_manifest(raw, subject);
    if (media_type::is_index(raw.media_type)) {
        raw = find(select(document, platform, subject).digest);
        document = parse_manifest(raw, subject);
        if (media_type::is_index(raw.media_type)) {
            throw Error{ErrorCode::unsupported,
                        {.attempted = "use image",
                         .subject = subject,
                         .answer = "its index holds another index"}};
        }
    }
    StoredImage stored{.manifest = raw.descriptor()};
    stored.image.manifest = std::move(document);
    stored.image.manifest["mediaType"] = raw.media_type;
    const Descriptor config = Descriptor::from(stored.image.manifest.value("config", Json()),
                                               "the config descriptor of " + subject);
    if (config.media_type != media_type::config && config.media_type != media_type::docker_config) {
        throw Error{ErrorCode::unsupported,
                    {.attempted = "use image",
                     .subject = subject,
                     .answer = "its config is of type " + config.media_type +
                               ": an artifact, not an image"}};
    }
    if (config.size > largest_config) {
        throw Error{ErrorCode::unsupported,
                    {.attempted = "use image",
                     .subject = subject,
                     .answer = "its config is longer than 4 MiB"}};
    }
    std::string text;
    store.read_blob(config, [&text](std::span<const std::byte> bytes) {
        text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    });
    stored.image.config = parse_json(text, "the config of " + subject);
    check_image(stored.image, subject);
    return stored;
}

}  // namespace fairing::oci

// -------------------------------------------------------------------------------------------------------------
// fairing/oci/append.hpp - a base image with layers on top (OCI image-spec, config.md and
// manifest.md). Pure.

namespace fairing::oci {

/// The config label that says how many of the topmost layers are ours.
inline constexpr const char* layers_label = "fairing.layers";

/// A layer of ours: how it is stored, and the digest of its uncompressed tar.
struct NewLayer {
    Descriptor descriptor = {};
    std::string diff_id = {};
    std::string comment = {};  ///< for the history: "fairing: 3 files"
};

/// What an appended image overrides in the configuration of its base. Environment variables are
/// added to the base's, or take their place; a base's Entrypoint is always cleared, since the
/// command is the whole command.
struct Overrides {
    std::vector<std::string> command = {};
    std::string user = {};
    std::string working_directory = {};
    std::map<std::string, std::string> environment = {};
    std::string created =
        "1970-01-01T00:00:00Z";  ///< RFC 3339; constant, so that equal inputs give equal bytes
    std::string base_name = {};  ///< for the annotations of an OCI image; empty: none
    std::string base_digest = {};
};

/// How many of the topmost layers are ours.
[[nodiscard]] inline std::size_t own_layers(const Image& image) {
    const Json labels = image.setting("Labels");
    const std::string text = text_or(labels, layers_label);
    std::size_t count = 0;
    for (const char digit : text) {
        if (digit < '0' || digit > '9' || count > 10'000) {
            return 0;
        }
        count = count * 10 + static_cast<std::size_t>(digit - '0');
    }
    return std::min(count, image.layers().size());
}

/// The media type of a gzip layer of ours: the base's own family.
[[nodiscard]] inline std::string layer_media_type(const Image& base) {
    return std::string{base.is_docker() ? media_type::docker_layer_gzip : media_type::layer_gzip};
}

namespace detail {

inline void override_environment(Json& settings, const std::map<std::string, std::string>& added) {
    Json& list = settings["Env"];
    if (!list.is_array()) {
        list = Json::array();
    }
    for (const auto& [name, value] : added) {
        const std::string prefix = name + '=';
        const auto same = std::find_if(list.begin(), list.end(), [&prefix](const Json& entry) {
            return entry.is_string() && entry.get_ref<const std::string&>().starts_with(prefix);
        });
        if (same != list.end()) {
            *same = prefix + value;
        } else {
            list.push_back(prefix + value);
        }
    }
}

/// JSON holds nothing but UTF-8, and a process's strings end at their first NUL.
inline void check_text(const std::string& text, const char* where) {
    if (!codec::is_utf8(text) || text.find('\0') != std::string::npos) {
        throw Error{ErrorCode::input,
                    {.attempted = "put into an image",
                     .subject = '"' + codec::escaped(text) + '"',
                     .answer = std::string{where} + " must be UTF-8 without NUL"}};
    }
}

}  // namespace detail

/// The base with `layers` on top, in that order. Everything that the base's documents hold and we
/// do not know survives. The manifest's config descriptor is that of config.dump(): store exactly
/// these bytes.
[[nodiscard]] inline Image append(const Image& base, std::span<const NewLayer> layers,
                                  const Overrides& overrides) {
    Image image = base;
    const std::size_t ours = own_layers(base) + layers.size();

    for (const std::string& word : overrides.command) {
        detail::check_text(word, "the command");
    }
    for (const auto& [name, value] : overrides.environment) {
        detail::check_text(name + '=' + value, "the environment");
    }
    Json& settings = image.config["config"];
    if (!settings.is_object()) {
        settings = Json::object();
    }
    settings.erase("Entrypoint");
    settings["Cmd"] = overrides.command;
    settings["WorkingDir"] = overrides.working_directory;
    if (!overrides.user.empty()) {
        settings["User"] = overrides.user;
    }
    detail::override_environment(settings, overrides.environment);
    if (!settings["Labels"].is_object()) {
        settings["Labels"] = Json::object();
    }
    settings["Labels"][layers_label] = std::to_string(ours);
    image.config["created"] = overrides.created;

    const bool has_history = base.config.contains("history") && base.config["history"].is_array();
    for (const NewLayer& layer : layers) {
        image.config["rootfs"]["diff_ids"].push_back(layer.diff_id);
        if (has_history) {
            image.config["history"].push_back({{"created", overrides.created},
                                               {"created_by", "fairing"},
                                               {"comment", layer.comment}});
        }
        image.manifest["layers"].push_back(layer.descriptor.json());
    }

    const std::string config = image.config.dump();
    image.manifest["config"] =
        Descriptor{.media_type = std::string{base.is_docker() ? media_type::docker_config
                                                              : media_type::config},
                   .digest = digest_of(config),
                   .size = config.size()}
            .json();
    if (!base.is_docker() && !overrides.base_name.empty()) {
        if (image.manifest.contains("annotations") && !image.manifest["annotations"].is_object()) {
            image.manifest["annotations"] = Json::object();
        }
        image.manifest["annotations"]["org.opencontainers.image.base.name"] = overrides.base_name;
        image.manifest["annotations"]["org.opencontainers.image.base.digest"] =
            overrides.base_digest;
    }
    return image;
}

/// The manifest as it is stored.
[[nodiscard]] inline RawManifest serialize(const Image& image) {
    return {.media_type = image.media_type(), .body = image.manifest.dump()};
}

}  // namespace fairing::oci

// -------------------------------------------------------------------------------------------------------------
// fairing/oci/reference.hpp - names of images: registry references (OCI distribution-spec, "Pulling
// manifests", and Docker's short names), image layouts ("oci:DIR") and the empty base ("scratch").

namespace fairing::oci {

/// `scratch` names no bytes; `layout` is a directory of this machine.
enum class ReferenceKind { registry, layout, scratch };

struct Reference {
    ReferenceKind kind = ReferenceKind::registry;
    std::string host =
        {};  ///< as written, with port: "localhost:5000"; "docker.io" for Docker's short names
    std::string repository = {};  ///< "team/fairing-job"; of a layout its directory
    std::string tag = {};
    std::string digest = {};

    /// What a manifest is asked for by: the digest, else the tag.
    [[nodiscard]] const std::string& wanted() const noexcept {
        return digest.empty() ? tag : digest;
    }
    /// "host/repository" or "oci:DIR": the reference without tag and digest.
    [[nodiscard]] std::string name() const {
        switch (kind) {
            case ReferenceKind::scratch:
                return "scratch";
            case ReferenceKind::layout:
                return "oci:" + repository;
            case ReferenceKind::registry:
                break;
        }
        return host + '/' + repository;
    }
    [[nodiscard]] std::string text() const {
        std::string result = name();
        if (!tag.empty()) {
            result += ':' + tag;
        }
        if (!digest.empty()) {
            result += '@' + digest;
        }
        return result;
    }
    /// The host that speaks the registry API: Docker Hub's is not the one in its names.
    [[nodiscard]] std::string api_host() const {
        return host == "docker.io" || host == "index.docker.io" ? "registry-1.docker.io" : host;
    }
};

namespace detail {

[[nodiscard]] constexpr bool is_lower_alphanumeric(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/// One component of a repository name: [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*.
[[nodiscard]] constexpr bool is_name_component(std::string_view text) noexcept {
    if (text.empty() || !is_lower_alphanumeric(text.front()) ||
        !is_lower_alphanumeric(text.back())) {
        return false;
    }
    for (std::size_t i = 0; i < text.size();) {
        std::size_t end = i;
        while (end < text.size() && !is_lower_alphanumeric(text[end])) {
            ++end;
        }
        const std::string_view separator = text.substr(i, end - i);
        if (!separator.empty() && separator != "." && separator != "_" && separator != "__" &&
            separator.find_first_not_of('-') != std::string_view::npos) {
            return false;
        }
        i = end == i ? i + 1 : end;
    }
    return true;
}

/// host or host:port, or [IPv6]:port.
[[nodiscard]] constexpr bool is_host(std::string_view text) noexcept {
    std::string_view name = text;
    if (text.starts_with('[')) {
        const std::size_t close = text.find(']');
        if (close == std::string_view::npos || close < 3) {
            return false;
        }
        for (const char c : text.substr(1, close - 1)) {
            if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') ||
                  c == ':' || c == '.')) {
                return false;
            }
        }
        name = text.substr(close + 1);
        if (name.empty()) {
            return true;
        }
        if (name.front() != ':') {
            return false;
        }
    } else {
        const std::size_t colon = text.find(':');
        for (const char c : text.substr(0, colon)) {
            if (!is_lower_alphanumeric(c) && !(c >= 'A' && c <= 'Z') && c != '.' && c != '-') {
                return false;
            }
        }
        if (colon == 0 || text.empty() || text.front() == '-' || text.front() == '.') {
            return false;
        }
        if (colon == std::string_view::npos) {
            return true;
        }
        name = text.substr(colon);
    }
    const std::string_view port = name.substr(1);
    if (port.empty() || port.size() > 5 ||
        port.find_first_not_of("0123456789") != std::string_view::npos) {
        return false;
    }
    unsigned value = 0;
    for (const char digit : port) {
        value = value * 10 + static_cast<unsigned>(digit - '0');
    }
    return value > 0 && value <= 65535;
}

}  // namespace detail

/// [A-Za-z0-9_][A-Za-z0-9._-]{0,127} (distribution-spec).
[[nodiscard]] constexpr bool is_tag(std::string_view text) noexcept {
    if (text.empty() || text.size() > 128 || text.front() == '.' || text.front() == '-') {
        return false;
    }
    return std::all_of(text.begin(), text.end(), [](char c) {
        return detail::is_lower_alphanumeric(c) || (c >= 'A' && c <= 'Z') || c == '_' || c == '.' ||
               c == '-';
    });
}

/// Whether `text` is a repository name: components separated by slashes, at most 255 bytes in all.
[[nodiscard]] constexpr bool is_repository(std::string_view text) noexcept {
    if (text.empty() || text.size() > 255) {
        return false;
    }
    for (std::size_t start = 0;;) {
        const std::size_t end = std::min(text.find('/', start), text.size());
        if (!detail::is_name_component(text.substr(start, end - start))) {
            return false;
        }
        if (end == text.size()) {
            return true;
        }
        start = end + 1;
    }
}

/// "python:3.11", "registry.example:5000/team/job:tag@sha256:…", "oci:DIR[:tag][@sha256:…]" or
/// "scratch". Throws Error{input} that names the text and the part that is wrong. A registry
/// reference without tag and digest means the tag "latest".
[[nodiscard]] inline Reference parse_reference(const std::string& text) {
    const auto refuse = [&text](std::string answer) -> Error {
        std::string shown;
        for (const char c : text.substr(0, 300)) {
            shown += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
        }
        return Error{ErrorCode::input,
                     {.attempted = "use image reference",
                      .subject = '"' + shown + '"',
                      .answer = std::move(answer),
                      .advice = "write HOST[:PORT]/NAME[:TAG][@sha256:…], oci:DIR or scratch"}};
    };
    Reference result;
    if (text == "scratch") {
        result.kind = ReferenceKind::scratch;
        return result;
    }
    std::string rest = text;
    if (const std::size_t at = rest.rfind('@'); at != std::string::npos) {
        result.digest = rest.substr(at + 1);
        if (!is_digest(result.digest)) {
            throw refuse("what follows the @ is not a sha256 digest");
        }
        rest.resize(at);
    }
    const std::size_t slash = rest.rfind('/');
    const std::size_t colon = rest.rfind(':');
    constexpr std::string_view layout = "oci:";
    const bool is_layout = rest.starts_with(layout);
    if (colon != std::string::npos && (slash == std::string::npos || colon > slash) &&
        (!is_layout || colon >= layout.size())) {
        result.tag = rest.substr(colon + 1);
        if (!is_tag(result.tag)) {
            throw refuse("the tag is not of the form [A-Za-z0-9_][A-Za-z0-9._-]*");
        }
        rest.resize(colon);
    }
    if (is_layout) {
        result.kind = ReferenceKind::layout;
        result.repository = rest.substr(layout.size());
        if (result.repository.empty() || result.repository.find('\0') != std::string::npos) {
            throw refuse("no directory after oci:");
        }
        return result;
    }
    const std::size_t first = rest.find('/');
    const std::string head = rest.substr(0, first);
    const bool has_host = first != std::string::npos &&
                          (head.find_first_of(".:[") != std::string::npos || head == "localhost");
    result.host = has_host ? head : "docker.io";
    result.repository = has_host ? rest.substr(first + 1) : rest;
    if (!detail::is_host(result.host)) {
        throw refuse("the host is not a name or address with an optional port");
    }
    if (result.host == "docker.io" && result.repository.find('/') == std::string::npos) {
        result.repository = "library/" + result.repository;
    }
    if (!is_repository(result.repository)) {
        throw refuse("the repository is not of lower-case letters, digits and single separators");
    }
    if (result.wanted().empty()) {
        result.tag = "latest";
    }
    return result;
}

}  // namespace fairing::oci

// -------------------------------------------------------------------------------------------------------------
// fairing/packaging/context.hpp - what a preprocessor prepared: files, command, environment. Data, no I/O.

namespace fairing {

enum class FileKind { regular, symlink };

/// One file of the image. `destination` is absolute in the image and normalised ("/app/train.py").
struct ContextFile {
    std::filesystem::path source = {};  ///< where its bytes are, on this machine
    std::string destination = {};
    unsigned mode = 0644;  ///< permission bits only: no setuid, setgid or sticky bit
    FileKind kind = FileKind::regular;
    std::string link_target = {};  ///< of a symlink, as it is stored
    std::uint64_t size = 0;        ///< bytes when it was found; a change before it is read is an error
};

/// Everything that a builder needs. Files are in destination order, each destination once.
struct Context {
    std::vector<ContextFile> files = {};
    std::vector<std::string> command = {};
    std::map<std::string, std::string> environment = {};
    std::string working_directory = "/app/";
};

}  // namespace fairing

// -------------------------------------------------------------------------------------------------------------
// fairing/packaging/context_digest.hpp - one digest for all that a context is: files, command,
// environment. Pure.
//
// SHA-256 over: a version line; the number of files and for each, in path order, its path, mode,
// kind and content digest; the command; the environment in name order; the working directory.
// Numbers are 8 bytes, most significant first; a string is its length and its bytes; a list is its
// length and its members. So no two contexts encode alike.

namespace fairing::packaging {

/// SHA-256 of a file's bytes, or of a symbolic link's target.
using ContentDigest = std::array<std::byte, 32>;

/// Gathers the content digests, which the layer writer computes while it reads each file anyway,
/// layer by layer and in any order; nothing is read twice.
class ContextDigest {
public:
    /// `contents[i]` is that of `files[i]`.
    void add(std::span<const ContextFile> files, std::span<const ContentDigest> contents) {
        if (files.size() != contents.size()) {
            throw Error{ErrorCode::internal,
                        {.attempted = "digest the context",
                         .answer = std::to_string(contents.size()) + " content digests for " +
                                   std::to_string(files.size()) + " files"}};
        }
        for (std::size_t i = 0; i < files.size(); ++i) {
            contents_.emplace_back(files[i].destination, contents[i]);
        }
    }

    /// "sha256:…". Throws Error{internal} unless each file of the context was added once.
    [[nodiscard]] std::string finish(const Context& context) {
        std::sort(contents_.begin(), contents_.end());
        std::vector<const ContextFile*> files;
        for (const ContextFile& file : context.files) {
            files.push_back(&file);
        }
        std::sort(files.begin(), files.end(), [](const ContextFile* a, const ContextFile* b) {
            return a->destination < b->destination;
        });
        const bool complete = std::equal(
            files.begin(), files.end(), contents_.begin(), contents_.end(),
            [](const ContextFile* a, const auto& b) { return a->destination == b.first; });
        if (!complete) {
            throw Error{ErrorCode::internal,
                        {.attempted = "digest the context",
                         .answer = "the layers do not hold each of its files once"}};
        }
        text("fairing context 1");
        number(files.size());
        for (std::size_t i = 0; i < files.size(); ++i) {
            text(files[i]->destination);
            number(files[i]->mode & 0777U);
            number(files[i]->kind == FileKind::symlink ? 1 : 0);
            hash_.update(contents_[i].second);
        }
        number(context.command.size());
        for (const std::string& argument : context.command) {
            text(argument);
        }
        number(context.environment.size());
        for (const auto& [name, value] : context.environment) {
            text(name);
            text(value);
        }
        text(context.working_directory);
        return "sha256:" + codec::hex(hash_.finish());
    }

private:
    void number(std::uint64_t value) {
        std::array<std::byte, 8> bytes;
        for (std::size_t i = 0; i < bytes.size(); ++i) {
            bytes[i] = static_cast<std::byte>(value >> (56 - 8 * i));
        }
        hash_.update(bytes);
    }
    void text(std::string_view value) {
        number(value.size());
        hash_.update(value);
    }

    std::vector<std::pair<std::string, ContentDigest>> contents_ = {};
    codec::Sha256 hash_ = {};
};

/// The image tag that a context digest ("sha256:…") gives: its first 12 hex digits.
[[nodiscard]] inline std::string context_tag(std::string_view digest) {
    const std::size_t colon = digest.find(':');
    return std::string{digest.substr(colon == std::string_view::npos ? 0 : colon + 1, 12)};
}

}  // namespace fairing::packaging

// -------------------------------------------------------------------------------------------------------------
// fairing/packaging/text.hpp - names as text: UTF-8 (RFC 3629), escapes for messages, lexical
// paths. No I/O.

namespace fairing::packaging {

/// What next_character() gives for a byte that begins no valid sequence.
inline constexpr char32_t invalid_character = 0xffffffff;

/// The character at `position`, which moves behind it. An invalid byte is `invalid_character`, one
/// byte long. Precondition: position < text.size().
[[nodiscard]] inline char32_t next_character(std::string_view text, std::size_t& position) {
    const auto byte = [&](std::size_t index) {
        return static_cast<char32_t>(static_cast<unsigned char>(text[index]));
    };
    const char32_t first = byte(position++);
    if (first < 0x80) {
        return first;
    }
    const std::size_t more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
    if (first < 0xc2 || first > 0xf4 || text.size() - position < more) {
        return invalid_character;
    }
    char32_t character = first & (0x3fU >> more);
    for (std::size_t i = 0; i < more; ++i) {
        const char32_t next = byte(position + i);
        if ((next & 0xc0) != 0x80) {
            return invalid_character;
        }
        character = character << 6 | (next & 0x3f);
    }
    const bool overlong = (more == 2 && character < 0x800) || (more == 3 && character < 0x10000);
    const bool surrogate = character >= 0xd800 && character <= 0xdfff;
    if (overlong || surrogate || character > 0x10ffff) {
        return invalid_character;
    }
    position += more;
    return character;
}

/// The text, safe to print: control characters and invalid bytes become \xNN, a backslash becomes
/// \\.
[[nodiscard]] inline std::string escaped(std::string_view text) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string result;
    for (std::size_t position = 0; position < text.size();) {
        const std::size_t start = position;
        const char32_t character = next_character(text, position);
        if (character == U'\\') {
            result += "\\\\";
        } else if (character < 0x20 || character == 0x7f || character == invalid_character) {
            const auto byte = static_cast<unsigned char>(text[start]);
            result += {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
        } else {
            result += text.substr(start, position - start);
        }
    }
    return result;
}

/// The parts between slashes, the empty ones left out.
[[nodiscard]] inline std::vector<std::string_view> components(std::string_view path) {
    std::vector<std::string_view> parts;
    while (!path.empty()) {
        const std::string_view part = path.substr(0, path.find('/'));
        path.remove_prefix(part.size() < path.size() ? part.size() + 1 : part.size());
        if (!part.empty()) {
            parts.push_back(part);
        }
    }
    return parts;
}

/// The shortest path that means the same lexically: no "//", no ".", no inner "..", no slash at the
/// end. "" is ".".
[[nodiscard]] inline std::string clean(std::string_view path) {
    const bool rooted = path.starts_with('/');
    std::vector<std::string_view> kept;
    for (const std::string_view part : components(path)) {
        if (part == ".") {
            continue;
        }
        if (part == ".." && !kept.empty() && kept.back() != "..") {
            kept.pop_back();
        } else if (part != ".." || !rooted) {
            kept.push_back(part);
        }
    }
    std::string result = rooted ? "/" : "";
    for (const std::string_view part : kept) {
        result.append(result.empty() || result.back() == '/' ? "" : "/").append(part);
    }
    return result.empty() ? "." : result;
}

/// `folder`/`name`; one slash between them, and only `folder` when `name` is empty.
[[nodiscard]] inline std::string join(std::string_view folder, std::string_view name) {
    std::string result;
    result.reserve(folder.size() + 1 + name.size());
    result.append(folder);
    if (!name.empty() && !result.empty() && result.back() != '/') {
        result += '/';
    }
    return result.append(name);
}

/// What comes before the last slash: "/" for "/a", "" for "a".
[[nodiscard]] inline std::string_view parent(std::string_view path) {
    const std::size_t slash = path.rfind('/');
    return slash == std::string_view::npos ? "" : path.substr(0, slash == 0 ? 1 : slash);
}

/// What comes after the last slash.
[[nodiscard]] inline std::string_view last_component(std::string_view path) {
    return path.substr(path.rfind('/') + 1);
}

/// Whether `path` is `folder` or below it. Both are clean.
[[nodiscard]] inline bool is_within(std::string_view path, std::string_view folder) {
    return path.starts_with(folder) &&
           (path.size() == folder.size() || folder.ends_with('/') || path[folder.size()] == '/');
}

/// `path` seen from `folder`: "" for the folder itself. Precondition: is_within(path, folder).
[[nodiscard]] inline std::string_view relative_to(std::string_view path, std::string_view folder) {
    path.remove_prefix(folder.size());
    return path.substr(path.starts_with('/') ? 1 : 0);
}

}  // namespace fairing::packaging

// -------------------------------------------------------------------------------------------------------------
// fairing/packaging/layer_plan.hpp - which files share a layer: a pure function of paths, kinds and
// sizes.
//
// What changes together belongs together, and what is dear to send apart from what is edited. A
// file goes, by itself and whatever the others are, to
//
//  - dependencies 1-6: below site-packages, node_modules and the like, by package; native
//    libraries, by path
//  - huge files 1-5: 16 MiB and more, by path
//  - large files 1-4: 1 MiB and more, by path
//  - sources: everything else, on top
//
// where "by" means: a hash of it picks the number. There is no running total, so a file that comes,
// goes or grows changes its own layer only (two when it crosses a limit). Only what holds a file
// becomes a layer: 16 at most. A context below 1 MiB is one layer; when it outgrows that, as much
// is sent again, once.

namespace fairing::packaging {

/// The files of one layer, in the order of the context.
struct LayerGroup {
    std::string name = {};  ///< "sources", "dependencies 3": for people
    std::vector<ContextFile> files = {};
};

namespace detail {

inline constexpr std::uint64_t small_context = std::uint64_t{1} << 20;
inline constexpr std::uint64_t large_file = std::uint64_t{1} << 20;
inline constexpr std::uint64_t huge_file = std::uint64_t{16} << 20;

/// Layers come in this order, the lowest first.
enum class LayerClass { dependencies, huge, large, sources };

/// A class and a number within it.
using LayerKey = std::pair<LayerClass, std::uint64_t>;

/// FNV-1a, with its high bits folded in: short and the same everywhere.
[[nodiscard]] constexpr std::uint64_t path_hash(std::string_view text) {
    std::uint64_t hash = 0xcbf29ce484222325;
    for (const char c : text) {
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    }
    return hash ^ hash >> 32;
}

/// Up to the package in the innermost folder of dependencies (with its @scope), or "" when there is
/// none.
[[nodiscard]] inline std::string_view package_of(std::string_view path) {
    constexpr std::array<std::string_view, 7> folders = {
        "site-packages", "dist-packages", "node_modules", "vendor", "third_party", "venv", ".venv"};
    std::string_view package;
    const auto parts = components(path);
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
        if (std::find(folders.begin(), folders.end(), parts[i]) != folders.end()) {
            const bool scoped = parts[i + 1].starts_with('@') && i + 2 < parts.size();
            const std::string_view last = parts[scoped ? i + 2 : i + 1];
            package =
                path.substr(0, static_cast<std::size_t>(last.data() - path.data()) + last.size());
        }
    }
    return package;
}

[[nodiscard]] inline bool is_native_library(std::string_view path) {
    const std::string_view name = last_component(path);
    constexpr std::array<std::string_view, 7> endings = {".so",  ".a",   ".dylib", ".dll",
                                                         ".pyd", ".whl", ".jar"};
    return name.find(".so.") != std::string_view::npos ||
           std::any_of(endings.begin(), endings.end(),
                       [&](std::string_view ending) { return name.ends_with(ending); });
}

[[nodiscard]] inline LayerKey layer_of(const ContextFile& file) {
    const std::string_view path = file.destination;
    if (const std::string_view package = package_of(path); !package.empty()) {
        return {LayerClass::dependencies, path_hash(package) % 6};
    }
    if (file.kind == FileKind::regular && is_native_library(path)) {
        return {LayerClass::dependencies, path_hash(path) % 6};
    }
    if (file.kind == FileKind::regular && file.size >= huge_file) {
        return {LayerClass::huge, path_hash(path) % 5};
    }
    if (file.kind == FileKind::regular && file.size >= large_file) {
        return {LayerClass::large, path_hash(path) % 4};
    }
    return {LayerClass::sources, 0};
}

[[nodiscard]] inline std::string layer_name(const LayerKey& key) {
    const std::string number = ' ' + std::to_string(key.second + 1);
    switch (key.first) {
        case LayerClass::dependencies:
            return "dependencies" + number;
        case LayerClass::huge:
            return "huge files" + number;
        case LayerClass::large:
            return "large files" + number;
        case LayerClass::sources:
            break;
    }
    return "sources";
}

}  // namespace detail

/// The layers of these files, the lowest first, 16 at most; none when there is no file.
[[nodiscard]] inline std::vector<LayerGroup> plan(std::span<const ContextFile> files) {
    std::uint64_t total = 0;
    for (const ContextFile& file : files) {
        total += std::min(file.size, detail::small_context);  // no overflow
    }
    std::map<detail::LayerKey, LayerGroup> groups;
    for (const ContextFile& file : files) {
        const detail::LayerKey key = total < detail::small_context
                                         ? detail::LayerKey{detail::LayerClass::sources, 0}
                                         : detail::layer_of(file);
        groups[key].files.push_back(file);
    }
    std::vector<LayerGroup> layers;
    for (auto& [key, group] : groups) {
        group.name = detail::layer_name(key);
        layers.push_back(std::move(group));
    }
    return layers;
}

}  // namespace fairing::packaging

// -------------------------------------------------------------------------------------------------------------
// fairing/codec/tar_entry.hpp - what a tar archive says of one file, and the layout of a header
// (POSIX.1-2017, pax).

namespace fairing::codec {

enum class TarKind { file, directory, symlink, hardlink, character_device, block_device, fifo };

/// One member of an archive; the bytes of a file follow it.
struct TarEntry {
    std::string path = {};  ///< relative; "/" between the parts, and none at the end
    TarKind kind = TarKind::file;
    unsigned mode = 0644;    ///< permission bits and set-id bits, 07777
    std::uint64_t size = 0;  ///< bytes that follow; 0 for all but files
    std::uint64_t user = 0;
    std::uint64_t group = 0;
    std::int64_t mtime = 0;  ///< seconds since 1970
    std::string link_target = {};
    std::uint32_t device_major = 0;
    std::uint32_t device_minor = 0;
    std::map<std::string, std::string> pax = {};  ///< records that no member above stands for
};

/// How many zero bytes follow a file of this size.
[[nodiscard]] constexpr std::size_t tar_padding(std::uint64_t size) {
    return static_cast<std::size_t>((512 - size % 512) % 512);
}

namespace detail {

inline constexpr std::size_t tar_block_size = 512;
using TarBlock = std::array<char, tar_block_size>;

/// Where a field of the header is.
struct TarField {
    std::size_t offset;
    std::size_t size;
};
inline constexpr TarField tar_name = {0, 100}, tar_mode = {100, 8}, tar_user = {108, 8},
                          tar_group = {116, 8}, tar_size = {124, 12}, tar_mtime = {136, 12},
                          tar_checksum = {148, 8}, tar_type = {156, 1}, tar_link = {157, 100},
                          tar_magic = {257, 8}, tar_device_major = {329, 8},
                          tar_device_minor = {337, 8}, tar_prefix = {345, 155};

/// "ustar", NUL, "00", and what GNU writes instead.
inline constexpr std::string_view tar_magic_posix{"ustar\00000", 8};
inline constexpr std::string_view tar_magic_gnu{"ustar  \0", 8};

[[nodiscard]] constexpr std::string_view tar_text(const TarBlock& block, TarField field) {
    return {block.data() + field.offset, field.size};
}

}  // namespace detail

}  // namespace fairing::codec

// -------------------------------------------------------------------------------------------------------------
// fairing/codec/tar_reader.hpp - a reader of tar archives that come in pieces: ustar, pax, and what
// GNU tar writes.
//
// POSIX.1-2017, pax; the GNU forms (long names, base-256 numbers) as the manual of GNU tar
// describes them.

namespace fairing::codec {

/// Calls `on_entry` for each entry, then `on_data` with its bytes in pieces, in the order of the
/// archive. Does not touch the file system: paths and targets are what the archive says, may be
/// absolute and may hold "..", and are for the caller to judge; they hold no NUL, and no "/" at the
/// end.
///
/// Throws Error{integrity} with the reason for a malformed archive and Error{unsupported} for
/// sparse files and unknown kinds of entries; it is good for nothing then. Memory is bounded: pax
/// records and long names of more than 1 MiB are refused.
class TarReader {
public:
    using EntrySink = std::function<void(const TarEntry&)>;

    TarReader(EntrySink on_entry, ByteSink on_data)
        : on_entry_(std::move(on_entry)), on_data_(std::move(on_data)) {}

    /// Takes the next piece of the archive, of any size. What follows the end marker is ignored.
    void write(std::span<const std::byte> input) {
        while (!input.empty() && state_ != State::end) {
            input = input.subspan(state_ == State::header ? take_header(input) : take_body(input));
        }
    }

    /// To be called at the end of the input. Throws when it is cut off; an archive may lack its end
    /// marker, as it may for GNU tar, but not end within an entry.
    void finish() {
        if (state_ == State::end) {
            return;
        }
        if (state_ != State::header || block_size_ > 0) {
            malformed("the archive is cut off");
        }
        check_nothing_pending();
    }

private:
    enum class State { header, data, metadata, padding, end };

    static constexpr std::size_t metadata_limit = std::size_t{1} << 20;
    static constexpr std::size_t global_limit = std::size_t{16} << 10;

    using Records = std::map<std::string, std::string, std::less<>>;

    [[noreturn]] void malformed(const std::string& reason,
                                ErrorCode code = ErrorCode::integrity) const {
        throw Error{code,
                    {.attempted = "read",
                     .subject = entry_.path.empty() ? "a tar archive"
                                                    : "a tar archive after " + escaped(entry_.path),
                     .answer = reason}};
    }

    // Blocks ------------------------------------------------------------------------------------

    std::size_t take_header(std::span<const std::byte> input) {
        const std::size_t size = std::min(input.size(), block_.size() - block_size_);
        std::copy_n(reinterpret_cast<const char*>(input.data()), size, block_.data() + block_size_);
        block_size_ += size;
        if (block_size_ == block_.size()) {
            block_size_ = 0;
            read_header();
        }
        return size;
    }

    std::size_t take_body(std::span<const std::byte> input) {
        const std::uint64_t wanted = state_ == State::padding ? padding_ : left_;
        const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(input.size(), wanted));
        const auto piece = input.first(size);
        if (state_ == State::padding) {
            padding_ -= size;
        } else {
            left_ -= size;
            if (state_ == State::data) {
                on_data_(piece);
            } else {
                metadata_.append(reinterpret_cast<const char*>(piece.data()), size);
            }
        }
        advance();
        return size;
    }

    void begin_body(State state, std::uint64_t size) {
        state_ = state;
        left_ = size;
        padding_ = tar_padding(size);
        metadata_.clear();
        advance();
    }

    /// To the next state, when this one has what it wants.
    void advance() {
        if ((state_ == State::data || state_ == State::metadata) && left_ == 0) {
            if (state_ == State::metadata) {
                apply_metadata();
            }
            state_ = State::padding;
        }
        if (state_ == State::padding && padding_ == 0) {
            state_ = State::header;
        }
    }

    // Headers -----------------------------------------------------------------------------------

    void read_header() {
        if (std::all_of(block_.begin(), block_.end(), [](char c) { return c == '\0'; })) {
            check_nothing_pending();
            state_ = saw_zero_block_ ? State::end : State::header;
            saw_zero_block_ = true;
            return;
        }
        if (saw_zero_block_) {
            malformed("an entry follows half an end marker");
        }
        check_checksum();
        type_ = detail::tar_text(block_, detail::tar_type).front();
        if (type_ == 'x' || type_ == 'g' || type_ == 'L' || type_ == 'K') {
            const std::uint64_t size = unsigned_field(detail::tar_size, "size");
            if (size > metadata_limit) {
                malformed("an extended header of " + std::to_string(size) + " bytes");
            }
            begin_body(State::metadata, size);
            return;
        }
        read_entry();
        on_entry_(entry_);
        begin_body(State::data, entry_.size);
    }

    /// The sum of all bytes, its own field taken for spaces; some old writers summed signed
    /// characters.
    void check_checksum() const {
        std::int64_t plain = 0, with_sign = 0;
        for (std::size_t i = 0; i < block_.size(); ++i) {
            const bool own = i >= detail::tar_checksum.offset &&
                             i < detail::tar_checksum.offset + detail::tar_checksum.size;
            const char character = own ? ' ' : block_[i];
            plain += static_cast<unsigned char>(character);
            with_sign += static_cast<signed char>(character);
        }
        const std::int64_t stated = number_field(detail::tar_checksum, "checksum");
        if (stated != plain && stated != with_sign) {
            malformed("a header does not match its checksum");
        }
    }

    void read_entry() {
        TarEntry entry;
        entry.mode = static_cast<unsigned>(unsigned_field(detail::tar_mode, "mode") & 07777);
        entry.size = unsigned_field(detail::tar_size, "size");
        entry.user = unsigned_field(detail::tar_user, "user");
        entry.group = unsigned_field(detail::tar_group, "group");
        entry.mtime = number_field(detail::tar_mtime, "time");
        entry.path = long_name_ ? *long_name_ : name_field();
        entry.link_target = long_link_ ? *long_link_ : text_field(detail::tar_link);
        apply_records(entry);
        for (auto& [key, value] : records_) {
            if (!value.empty() && !is_member(key)) {
                entry.pax.emplace(key, std::move(value));
            }
        }
        if (entry.path.find('\0') != std::string::npos ||
            entry.link_target.find('\0') != std::string::npos) {
            malformed("a name with a NUL");
        }
        set_kind(entry);
        // "/" alone keeps its one: it is absolute, not empty.
        entry.path.resize(std::max<std::size_t>(entry.path.find_last_not_of('/') + 1,
                                                entry.path.starts_with('/') ? 1 : 0));
        if (entry.path.empty()) {
            malformed("an entry without a name");
        }
        records_.clear();
        long_name_.reset();
        long_link_.reset();
        entry_ = std::move(entry);
    }

    void set_kind(TarEntry& entry) const {
        switch (type_) {
            case '0':
            case '\0':
            case '7':
                // Before POSIX, a directory was a file with a "/" at the end of its name.
                entry.kind =
                    type_ == '\0' && entry.path.ends_with('/') ? TarKind::directory : TarKind::file;
                break;
            case '1':
                entry.kind = TarKind::hardlink;
                break;
            case '2':
                entry.kind = TarKind::symlink;
                break;
            case '3':
                entry.kind = TarKind::character_device;
                break;
            case '4':
                entry.kind = TarKind::block_device;
                break;
            case '5':
                entry.kind = TarKind::directory;
                break;
            case '6':
                entry.kind = TarKind::fifo;
                break;
            default:
                malformed("an entry of the unknown type " + escaped({&type_, 1}),
                          ErrorCode::unsupported);
        }
        const bool is_link = entry.kind == TarKind::symlink || entry.kind == TarKind::hardlink;
        if (is_link && entry.link_target.empty()) {
            malformed("a link without a target");
        }
        if (!is_link) {
            entry.link_target.clear();
        }
        if (entry.kind != TarKind::file) {
            entry.size = 0;  // some writers put the size of the target there, and no bytes follow
        }
        if (entry.kind == TarKind::character_device || entry.kind == TarKind::block_device) {
            entry.device_major = device_field(detail::tar_device_major);
            entry.device_minor = device_field(detail::tar_device_minor);
        }
    }

    [[nodiscard]] std::string text_field(detail::TarField field) const {
        const std::string_view text = detail::tar_text(block_, field);
        return std::string{text.substr(0, text.find('\0'))};
    }

    /// The prefix is POSIX's; GNU keeps other things there.
    [[nodiscard]] std::string name_field() const {
        std::string name = text_field(detail::tar_name);
        if (detail::tar_text(block_, detail::tar_magic).substr(0, 6) ==
            detail::tar_magic_posix.substr(0, 6)) {
            const std::string prefix = text_field(detail::tar_prefix);
            name = prefix.empty() ? name : prefix + '/' + name;
        }
        return name;
    }

    // Numbers -----------------------------------------------------------------------------------

    /// Octal digits with spaces or NULs around them (none: 0), or GNU's base 256, of which the
    /// first bit is set.
    [[nodiscard]] std::int64_t number_field(detail::TarField field, const std::string& what) const {
        std::string_view text = detail::tar_text(block_, field);
        const auto first = static_cast<unsigned char>(text.front());
        if ((first & 0x80) != 0) {
            return base_256(text, what);
        }
        text = text.substr(std::min(text.find_first_not_of(' '), text.size()));
        const std::size_t end =
            std::min(text.find_first_of(std::string_view{" \0", 2}), text.size());
        std::int64_t value = 0;
        for (const char digit : text.substr(0, end)) {
            if (digit < '0' || digit > '7') {
                malformed("a " + what + " that is not a number");
            }
            value = value << 3 | (digit - '0');  // at most twelve digits
        }
        return value;
    }

    /// Two's complement, of 63 or 95 bits, the highest first.
    [[nodiscard]] std::int64_t base_256(std::string_view text, const std::string& what) const {
        const bool is_negative = (static_cast<unsigned char>(text.front()) & 0x40) != 0;
        const std::uint64_t sign = is_negative ? ~std::uint64_t{0} : 0;
        std::uint64_t value = sign << 6 | (static_cast<unsigned char>(text.front()) & 0x3fU);
        for (const char character : text.substr(1)) {
            // The byte that falls out and the next one's first bit must only repeat the sign.
            if (value >> 55 != sign >> 55) {
                malformed("a " + what + " that is too large");
            }
            value = value << 8 | static_cast<unsigned char>(character);
        }
        return static_cast<std::int64_t>(value);
    }

    [[nodiscard]] std::uint64_t unsigned_field(detail::TarField field,
                                               const std::string& what) const {
        const std::int64_t value = number_field(field, what);
        if (value < 0) {
            malformed("a negative " + what);
        }
        return static_cast<std::uint64_t>(value);
    }

    [[nodiscard]] std::uint32_t device_field(detail::TarField field) const {
        const std::uint64_t value = unsigned_field(field, "device number");
        if (value > std::numeric_limits<std::uint32_t>::max()) {
            malformed("a device number that is too large");
        }
        return static_cast<std::uint32_t>(value);
    }

    // Extended headers --------------------------------------------------------------------------

    void apply_metadata() {
        if (type_ == 'L' || type_ == 'K') {
            std::string text = metadata_.substr(0, metadata_.find('\0'));
            (type_ == 'L' ? long_name_ : long_link_) = std::move(text);
        } else if (type_ == 'x') {
            records_ = parse_records();
        } else {
            merge_global(parse_records());
        }
        metadata_.clear();
    }

    /// "LENGTH KEY=VALUE\n" and so on.
    [[nodiscard]] Records parse_records() const {
        Records records;
        for (std::string_view rest = metadata_; !rest.empty();) {
            std::size_t length = 0;
            const auto [end, error] =
                std::from_chars(rest.data(), rest.data() + rest.size(), length);
            const auto digits = static_cast<std::size_t>(end - rest.data());
            if (error != std::errc{} || length > rest.size() || digits + 1 >= length ||
                rest[digits] != ' ' || rest[length - 1] != '\n') {
                malformed("a pax record with a wrong length");
            }
            const std::string_view record = rest.substr(digits + 1, length - digits - 2);
            const std::size_t equals = record.find('=');
            if (equals == std::string_view::npos || equals == 0 ||
                record.substr(0, equals).find('\0') != std::string_view::npos) {
                malformed("a pax record without a key");
            }
            if (record.starts_with("GNU.sparse.")) {
                malformed("a sparse file", ErrorCode::unsupported);
            }
            records.insert_or_assign(std::string{record.substr(0, equals)},
                                     std::string{record.substr(equals + 1)});
            rest.remove_prefix(length);
        }
        return records;
    }

    /// The records that a member of TarEntry stands for.
    [[nodiscard]] static bool is_member(std::string_view key) {
        return key == "path" || key == "linkpath" || key == "size" || key == "uid" ||
               key == "gid" || key == "mtime";
    }

    /// Keeps what has a member, so that a large header costs nothing for each of many entries.
    void merge_global(const Records& records) {
        for (const auto& [key, value] : records) {
            if (value.size() > global_limit) {
                malformed("a global pax record of " + std::to_string(value.size()) + " bytes");
            }
            if (is_member(key)) {
                global_records_.insert_or_assign(key, value);
            }
        }
    }

    void apply_records(TarEntry& entry) const {
        // An empty value takes a global one back; what the header says then holds.
        const auto take = [&](std::string_view key) -> std::optional<std::string> {
            const bool is_local = records_.find(key) != records_.end();
            const Records& records = is_local ? records_ : global_records_;
            const auto record = records.find(key);
            return record == records.end() || record->second.empty()
                       ? std::nullopt
                       : std::optional{record->second};
        };
        if (auto path = take("path")) {
            entry.path = std::move(*path);
        }
        if (auto target = take("linkpath")) {
            entry.link_target = std::move(*target);
        }
        if (const auto size = take("size")) {
            entry.size = record_number(*size);
        }
        if (const auto user = take("uid")) {
            entry.user = record_number(*user);
        }
        if (const auto group = take("gid")) {
            entry.group = record_number(*group);
        }
        if (const auto time = take("mtime")) {
            entry.mtime = record_time(*time);
        }
    }

    [[nodiscard]] std::uint64_t record_number(std::string_view text) const {
        std::int64_t value = 0;
        const char* const end = text.data() + text.size();
        const auto [stop, error] = std::from_chars(text.data(), end, value);
        if (error != std::errc{} || stop != end || value < 0 || text.starts_with('-')) {
            malformed("a pax record that is not a number");
        }
        return static_cast<std::uint64_t>(value);
    }

    /// Seconds with or without a fraction, rounded down.
    [[nodiscard]] std::int64_t record_time(std::string_view text) const {
        std::int64_t seconds = 0;
        const char* const end = text.data() + text.size();
        const auto [stop, error] = std::from_chars(text.data(), end, seconds);
        const std::string_view fraction{stop, static_cast<std::size_t>(end - stop)};
        const bool has_fraction = fraction.find_first_not_of('0', 1) < fraction.size();
        if (error != std::errc{} || (!fraction.empty() && !fraction.starts_with('.')) ||
            fraction.find_first_not_of("0123456789", 1) < fraction.size()) {
            malformed("a pax record that is not a time");
        }
        const bool below = text.starts_with('-') && has_fraction;
        if (below && seconds == std::numeric_limits<std::int64_t>::min()) {
            malformed("a pax record that is not a time");
        }
        return seconds - (below ? 1 : 0);
    }

    void check_nothing_pending() const {
        if (!records_.empty() || long_name_ || long_link_) {
            malformed("an extended header without an entry");
        }
    }

    EntrySink on_entry_;
    ByteSink on_data_;
    State state_ = State::header;
    detail::TarBlock block_ = {};
    std::size_t block_size_ = 0;
    bool saw_zero_block_ = false;
    char type_ = '\0';
    std::uint64_t left_ = 0;
    std::uint64_t padding_ = 0;
    std::string metadata_ = {};
    Records records_ = {};
    Records global_records_ = {};
    std::optional<std::string> long_name_ = {};
    std::optional<std::string> long_link_ = {};
    TarEntry entry_ = {};
};

}  // namespace fairing::codec

// -------------------------------------------------------------------------------------------------------------
// fairing/codec/tar_writer.hpp - headers of a tar archive: ustar where it suffices, a pax record
// before it elsewhere (POSIX.1-2017, pax, "ustar Interchange Format" and "pax Interchange Format").

namespace fairing::codec {

namespace detail {

using PaxRecords = std::map<std::string, std::string>;

[[noreturn]] inline void refuse_tar_entry(std::string_view name, std::string answer) {
    throw Error{ErrorCode::input,
                {.attempted = "pack", .subject = escaped(name), .answer = std::move(answer)}};
}

inline void check_tar_text(std::string_view name, std::string_view text, const std::string& what) {
    if (text.empty()) {
        refuse_tar_entry(name, what + " is empty");
    }
    if (!is_utf8(text)) {
        refuse_tar_entry(name, what + " is not UTF-8: " + escaped(text));
    }
    if (std::any_of(text.begin(), text.end(), is_control)) {
        refuse_tar_entry(name, what + " has a control character: " + escaped(text));
    }
}

/// Relative and normal: no empty part, no "." and no "..".
inline void check_tar_path(std::string_view name, std::string_view path, const std::string& what) {
    check_tar_text(name, path, what);
    if (path.starts_with('/')) {
        refuse_tar_entry(name, what + " is absolute");
    }
    for (std::size_t begin = 0; begin <= path.size();) {
        const std::size_t end = std::min(path.find('/', begin), path.size());
        const std::string_view part = path.substr(begin, end - begin);
        if (part.empty() || part == "." || part == "..") {
            refuse_tar_entry(name, what + " has the part " + escaped(part));
        }
        begin = end + 1;
    }
}

inline bool is_ascii(std::string_view text) {
    return std::all_of(text.begin(), text.end(),
                       [](char character) { return static_cast<unsigned char>(character) < 0x80; });
}

/// Where the prefix of a long path ends: at a "/", with at most 155 bytes before and 1 to 100
/// after. 0: nowhere.
inline std::size_t tar_prefix_size(std::string_view path) {
    const std::size_t end = std::min(path.size() - 1, tar_prefix.size + 1);
    const std::size_t slash = path.substr(0, end).rfind('/');
    return slash != std::string_view::npos && path.size() - slash - 1 <= tar_name.size ? slash : 0;
}

inline void set_tar_text(TarBlock& block, TarField field, std::string_view text) {
    std::copy(text.begin(), text.end(), block.begin() + field.offset);
}

/// Whether the number has few enough octal digits for the field, the last byte of which is NUL.
inline bool tar_number_fits(TarField field, std::uint64_t value) {
    return value >> (3 * (field.size - 1)) == 0;
}

inline void set_tar_number(TarBlock& block, TarField field, std::uint64_t value) {
    for (std::size_t i = field.size - 1; i-- > 0; value >>= 3) {
        block[field.offset + i] = static_cast<char>('0' + (value & 7));
    }
}

/// Computes the checksum, with its own field as spaces, and appends the header.
inline void append_tar_block(TarBlock& block, std::vector<std::byte>& out) {
    set_tar_text(block, tar_checksum, "        ");
    std::uint64_t sum = 0;
    for (const char character : block) {
        sum += static_cast<unsigned char>(character);
    }
    set_tar_number(block, {tar_checksum.offset, 7}, sum);
    block[tar_checksum.offset + 6] = '\0';
    append_bytes(std::as_bytes(std::span{block}), out);
}

/// "LENGTH KEY=VALUE\n", where the length counts its own digits.
inline std::string pax_record(const std::string& key, const std::string& value) {
    const std::size_t rest = key.size() + value.size() + 3;
    std::size_t length = rest;
    while (length != rest + std::to_string(length).size()) {
        length = rest + std::to_string(length).size();
    }
    return std::to_string(length) + ' ' + key + '=' + value + '\n';
}

/// An `x` header with these records, for the entry that follows. Its name is the same for all.
inline void append_pax_header(const PaxRecords& records, std::vector<std::byte>& out) {
    std::string text;
    for (const auto& [key, value] : records) {
        text += pax_record(key, value);
    }
    TarBlock block = {};
    set_tar_text(block, tar_name, "PaxHeaders/entry");
    set_tar_number(block, tar_mode, 0644);
    set_tar_number(block, tar_user, 0);
    set_tar_number(block, tar_group, 0);
    set_tar_number(block, tar_size, text.size());
    set_tar_number(block, tar_mtime, 0);
    set_tar_text(block, tar_type, "x");
    set_tar_text(block, tar_magic, tar_magic_posix);
    append_tar_block(block, out);
    append_bytes(std::as_bytes(std::span{text}), out);
    out.resize(out.size() + tar_padding(text.size()));
}

/// What goes into a name field when the whole is in a record: readers that do not know pax find
/// something.
inline std::string tar_stand_in(std::string_view path) {
    std::string text{path.substr(0, tar_name.size)};
    for (char& character : text) {
        character = is_ascii({&character, 1}) ? character : '_';
    }
    return text.substr(0, text.find_last_not_of('/') + 1);
}

inline void set_tar_path(TarBlock& block, std::string_view path, PaxRecords& records) {
    if (is_ascii(path) && path.size() <= tar_name.size) {
        set_tar_text(block, tar_name, path);
        return;
    }
    if (const std::size_t prefix = tar_prefix_size(path); is_ascii(path) && prefix > 0) {
        set_tar_text(block, tar_prefix, path.substr(0, prefix));
        set_tar_text(block, tar_name, path.substr(prefix + 1));
        return;
    }
    set_tar_text(block, tar_name, tar_stand_in(path));
    records["path"] = path;
}

inline void set_tar_link(TarBlock& block, std::string_view target, PaxRecords& records) {
    if (is_ascii(target) && target.size() <= tar_link.size) {
        set_tar_text(block, tar_link, target);
    } else {
        set_tar_text(block, tar_link, tar_stand_in(target));
        records["linkpath"] = target;
    }
}

inline void set_tar_number_or_record(TarBlock& block, TarField field, std::uint64_t value,
                                     const char* key, PaxRecords& records) {
    const bool fits = tar_number_fits(field, value);
    set_tar_number(block, field, fits ? value : 0);
    if (!fits) {
        records[key] = std::to_string(value);
    }
}

inline void set_tar_device(TarBlock& block, const TarEntry& entry) {
    if (!tar_number_fits(tar_device_major, entry.device_major) ||
        !tar_number_fits(tar_device_minor, entry.device_minor)) {
        refuse_tar_entry(entry.path, "its device number is too large");
    }
    set_tar_number(block, tar_device_major, entry.device_major);
    set_tar_number(block, tar_device_minor, entry.device_minor);
}

inline void check_pax_records(const TarEntry& entry) {
    static constexpr std::array<std::string_view, 6> of_members = {"path", "linkpath", "size",
                                                                   "uid",  "gid",      "mtime"};
    for (const auto& [key, value] : entry.pax) {
        const bool is_member =
            std::find(of_members.begin(), of_members.end(), key) != of_members.end();
        if (key.empty() || value.empty() || is_member || !is_utf8(key) ||
            key.find('=') != std::string::npos || std::any_of(key.begin(), key.end(), is_control)) {
            refuse_tar_entry(entry.path, "it has the pax record " + escaped(key) +
                                             ", which is empty, malformed or a member of TarEntry");
        }
    }
}

}  // namespace detail

/// Appends the header of `entry`, whole blocks; its bytes and tar_padding(size) zeros come next. A
/// function of the entry alone. Throws Error{input} with the escaped name for a path that is empty,
/// absolute, not normal, not UTF-8 or has a control character, for such a link target (which may be
/// absolute or have ".." in a symbolic link), and for what tar can not hold.
inline void append_tar_header(const TarEntry& entry, std::vector<std::byte>& out) {
    detail::check_tar_path(entry.path, entry.path, "its name");
    detail::check_pax_records(entry);
    detail::PaxRecords records = entry.pax;
    detail::TarBlock block = {};
    const bool is_directory = entry.kind == TarKind::directory;
    detail::set_tar_path(block, is_directory ? entry.path + '/' : entry.path, records);
    if (entry.kind == TarKind::symlink) {
        detail::check_tar_text(entry.path, entry.link_target, "its target");
        detail::set_tar_link(block, entry.link_target, records);
    } else if (entry.kind == TarKind::hardlink) {
        detail::check_tar_path(entry.path, entry.link_target, "its target");
        detail::set_tar_link(block, entry.link_target, records);
    }
    if (entry.kind != TarKind::file && entry.size != 0) {
        detail::refuse_tar_entry(entry.path, "only a file has a size");
    }
    detail::set_tar_number(block, detail::tar_mode, entry.mode & 07777);
    detail::set_tar_number_or_record(block, detail::tar_user, entry.user, "uid", records);
    detail::set_tar_number_or_record(block, detail::tar_group, entry.group, "gid", records);
    detail::set_tar_number_or_record(block, detail::tar_size, entry.size, "size", records);
    if (entry.mtime >= 0) {
        detail::set_tar_number_or_record(block, detail::tar_mtime,
                                         static_cast<std::uint64_t>(entry.mtime), "mtime", records);
    } else {
        detail::set_tar_number(block, detail::tar_mtime, 0);
        records["mtime"] = std::to_string(entry.mtime);
    }
    constexpr std::string_view types = "0521346";  // in the order of TarKind
    detail::set_tar_text(block, detail::tar_type,
                         types.substr(static_cast<std::size_t>(entry.kind), 1));
    detail::set_tar_text(block, detail::tar_magic, detail::tar_magic_posix);
    detail::set_tar_device(block, entry);
    if (!records.empty()) {
        detail::append_pax_header(records, out);
    }
    detail::append_tar_block(block, out);
}

/// Appends the end of the archive: two blocks of zeros.
inline void append_tar_end(std::vector<std::byte>& out) {
    out.resize(out.size() + 2 * detail::tar_block_size);
}

}  // namespace fairing::codec

// -------------------------------------------------------------------------------------------------------------
// fairing/codec/tar.hpp - tar archives (POSIX.1-2017, pax): entries, headers to write, a reader.


// -------------------------------------------------------------------------------------------------------------
// fairing/packaging/block_pipeline.hpp - blocks compressed on several threads and delivered in
// order.

namespace fairing::packaging {

/// The caller's thread submits blocks and gets the compressed stream through `sink`, in order and
/// on that thread; up to threads - 1 others compress. When all are busy the caller compresses too,
/// so at most 2 * threads blocks are in memory. The stream depends on the blocks alone. An object
/// that dies early joins its threads.
template <codec::Compressor C>
class BlockPipeline {
public:
    BlockPipeline(const C& compressor, std::size_t threads, codec::ByteSink sink)
        : compressor_(compressor),
          threads_(std::max<std::size_t>(1, threads)),
          sink_(std::move(sink)) {
        std::vector<std::byte> head;
        compressor_.begin(head);
        sink_(head);
    }
    BlockPipeline(const BlockPipeline&) = delete;
    BlockPipeline& operator=(const BlockPipeline&) = delete;
    ~BlockPipeline() = default;

    /// A block of `size` bytes of any content, to be filled and submitted.
    [[nodiscard]] std::vector<std::byte> buffer(std::size_t size) {
        std::vector<std::byte> block;
        if (!spare_.empty()) {
            block = std::move(spare_.back());
            spare_.pop_back();
        }
        block.resize(size);
        return block;
    }

    void submit(std::vector<std::byte> block) {
        {
            const std::lock_guard lock{mutex_};
            jobs_.push_back(std::make_unique<Job>(Job{.input = std::move(block)}));
        }
        if (jobs_.size() > 1 && helpers_.size() + 1 < threads_) {
            helpers_.emplace_back([this](const std::stop_token& stop) { help(stop); });
        }
        waiting_.notify_one();
        while (jobs_.size() >= 2 * threads_) {
            deliver();
        }
    }

    /// Delivers what is left, and the end of the stream.
    void finish() {
        while (!jobs_.empty()) {
            deliver();
        }
        std::vector<std::byte> tail;
        compressor_.end(crc_, size_, tail);
        sink_(tail);
    }

private:
    enum class State { waiting, running, done };
    struct Job {
        std::vector<std::byte> input = {}, output = {};
        std::uint32_t crc = 0;
        std::exception_ptr failure = {};
        State state = State::waiting;
    };

    void compress(Job& job) const noexcept {
        try {
            compressor_.block(job.input, job.output);
            job.crc = codec::crc32(job.input);
        } catch (...) {
            job.failure = std::current_exception();
        }
    }

    /// The first job that nobody works on, now ours; or null. Needs the lock.
    [[nodiscard]] Job* claim() {
        for (const auto& job : jobs_) {
            if (job->state == State::waiting) {
                job->state = State::running;
                return job.get();
            }
        }
        return nullptr;
    }

    void help(const std::stop_token& stop) {
        std::unique_lock lock{mutex_};
        while (true) {
            Job* job = nullptr;
            if (!waiting_.wait(lock, stop, [&] { return (job = claim()) != nullptr; })) {
                return;
            }
            lock.unlock();
            compress(*job);
            lock.lock();
            job->state = State::done;
            done_.notify_one();
        }
    }

    /// Waits for the first job, or does one that waits, and hands the first one's output on.
    void deliver() {
        std::unique_ptr<Job> first;
        {
            std::unique_lock lock{mutex_};
            while (jobs_.front()->state != State::done) {
                if (Job* job = claim()) {
                    lock.unlock();
                    compress(*job);
                    lock.lock();
                    job->state = State::done;
                } else {
                    done_.wait(lock, [&] { return jobs_.front()->state == State::done; });
                }
            }
            first = std::move(jobs_.front());
            jobs_.pop_front();
        }
        if (first->failure) {
            std::rethrow_exception(first->failure);
        }
        crc_ = codec::crc32_combine(crc_, first->crc, first->input.size());
        size_ += first->input.size();
        sink_(first->output);
        spare_.push_back(std::move(first->input));
    }

    C compressor_;
    std::size_t threads_;
    codec::ByteSink sink_;
    std::uint32_t crc_ = 0;
    std::uint64_t size_ = 0;
    std::vector<std::vector<std::byte>> spare_ = {};
    std::mutex mutex_ = {};
    std::condition_variable_any waiting_ = {};
    std::condition_variable done_ = {};
    std::deque<std::unique_ptr<Job>> jobs_ = {};  // only the caller's thread adds and removes
    std::vector<std::jthread> helpers_ = {};      // last: joined before the rest goes
};

}  // namespace fairing::packaging

// -------------------------------------------------------------------------------------------------------------
// fairing/packaging/links.hpp - symbolic links of a context: they stay inside it, end somewhere,
// and end in the image.

namespace fairing::packaging {

/// What becomes of a symbolic link.
enum class Symlinks {
    keep,   ///< it stays a link; one that leaves the context root, dangles or loops is an error
    follow  ///< what it points to is stored in its place
};

namespace detail {

[[noreturn]] inline void refuse_link(std::string_view link, std::string_view target,
                                     std::string_view fault) {
    throw Error{
        ErrorCode::input,
        {.attempted = "package",
         .subject = escaped(link),
         .answer = "a symbolic link to " + escaped(target) + ", which " + std::string{fault},
         .advice = "leave it out with a line in .dockerignore, or store what it points to "
                   "(--follow-symlinks, follow_symlinks)"}};
}

/// Linux gives up after as many links (path_resolution(7)).
inline constexpr int link_limit = 40;

/// What is at a place: nothing, a folder, a file, or a link with its target.
struct Place {
    enum class Kind { nothing, folder, file, link } kind = Kind::nothing;
    std::string target = {};
};

/// Follows `link` (relative to the root that `look` knows, clean) to its end. `look` is asked about
/// such paths.
inline void follow_link(std::string_view root, std::string_view link, std::string_view target,
                        std::string_view missing,
                        const std::function<Place(const std::string&)>& look) {
    const std::string shown = join(root, link);
    std::deque<std::string> waiting;
    for (const std::string_view part : components(link)) {
        waiting.emplace_back(part);
    }
    std::string place;
    for (int links = 0; !waiting.empty();) {
        const std::string part = std::move(waiting.front());
        waiting.pop_front();
        if (part == ".") {
            continue;
        }
        if (part == "..") {
            if (place.empty()) {
                refuse_link(shown, target, "leaves the context root " + escaped(root));
            }
            place = parent(place);
            continue;
        }
        std::string next = join(place, part);
        const Place found = look(next);
        if (found.kind == Place::Kind::link) {
            if (++links > link_limit) {
                refuse_link(shown, target, "leads back to itself");
            }
            if (found.target.starts_with('/')) {
                refuse_link(shown, target,
                            "is absolute and so leaves the context root " + escaped(root));
            }
            const auto parts = components(found.target);
            waiting.insert(waiting.begin(), parts.begin(), parts.end());
            continue;
        }
        if (found.kind == Place::Kind::nothing ||
            (found.kind == Place::Kind::file && !waiting.empty())) {
            refuse_link(shown, target, missing);
        }
        place = std::move(next);
    }
}

}  // namespace detail

/// The target of a symbolic link, as it is stored. Throws what system_error() makes of errno.
[[nodiscard]] inline std::string read_link(int folder, const char* name, std::string_view shown) {
    std::string target(256, '\0');
    while (true) {
        const ssize_t length = ::readlinkat(folder, name, target.data(), target.size());
        if (length < 0) {
            throw system_error(errno, "read the link", escaped(shown));
        }
        if (static_cast<std::size_t>(length) < target.size()) {
            target.resize(static_cast<std::size_t>(length));
            return target;
        }
        target.resize(2 * target.size());
    }
}

/// Throws Error{input} that names a link of this machine which leaves `root`, dangles or loops.
/// `path` is the link, absolute and below `root`; both are clean.
inline void check_link(const std::string& root, const std::string& path,
                       const std::string& target) {
    const auto look = [&](const std::string& below) -> detail::Place {
        using Kind = detail::Place::Kind;
        const std::string full = join(root, below);
        struct stat status {};
        if (::lstat(full.c_str(), &status) != 0) {
            if (errno != ENOENT && errno != ENOTDIR) {
                throw system_error(errno, "follow the link", escaped(path));
            }
            return {};
        }
        if (S_ISLNK(status.st_mode)) {
            return {.kind = Kind::link, .target = read_link(AT_FDCWD, full.c_str(), full)};
        }
        return {.kind = S_ISDIR(status.st_mode) ? Kind::folder : Kind::file};
    };
    detail::follow_link(root, relative_to(path, root), target, "does not exist", look);
}

}  // namespace fairing::packaging

// -------------------------------------------------------------------------------------------------------------
// fairing/packaging/destination.hpp - where files land in an image, and which places no file may
// take. Pure.

namespace fairing::packaging {

namespace detail {

[[noreturn]] inline void refuse_destination(std::string_view destination, std::string_view source,
                                            std::string answer, std::string advice) {
    throw Error{ErrorCode::input,
                {.attempted = "package",
                 .subject = escaped(source) + " as " + escaped(destination),
                 .answer = std::move(answer),
                 .advice = std::move(advice)}};
}

}  // namespace detail

/// `path` as an absolute, clean path of the image; what is relative is below `prefix`. Throws
/// Error{input} when it is empty or holds "..". `source` is what the message names.
[[nodiscard]] inline std::string image_path(std::string_view path, std::string_view prefix,
                                            std::string_view source) {
    const auto parts = components(path);
    if (path.empty()) {
        detail::refuse_destination(path, source, "the destination is empty",
                                   "name an absolute path of the image, or one below the prefix");
    }
    if (std::find(parts.begin(), parts.end(), "..") != parts.end()) {
        detail::refuse_destination(path, source, "the destination holds \"..\"",
                                   "write it without");
    }
    return clean(path.starts_with('/') ? std::string{path} : join(prefix, path));
}

/// The path prefix, absolute and clean. Throws Error{input} when it is relative or holds "..".
[[nodiscard]] inline std::string image_prefix(std::string_view prefix) {
    if (!prefix.starts_with('/')) {
        throw Error{ErrorCode::input,
                    {.attempted = "use path prefix",
                     .subject = '"' + escaped(prefix) + '"',
                     .answer = "it is not absolute",
                     .advice = "write it with a slash in front, as in /app/"}};
    }
    return image_path(prefix, "/", "the path prefix");
}

/// Throws Error{input} that names both when a file can not land there: names that are no UTF-8 or
/// hold control characters, whiteouts (OCI image-spec, layer.md), the root, and the folders that
/// every system has at its top. Precondition: `destination` is absolute and clean.
inline void check_destination(std::string_view destination, std::string_view source) {
    constexpr std::array<std::string_view, 21> system = {
        "/",      "/bin",   "/boot",   "/dev",   "/etc", "/home", "/lib",
        "/lib32", "/lib64", "/libx32", "/media", "/mnt", "/opt",  "/proc",
        "/root",  "/run",   "/sbin",   "/srv",   "/sys", "/tmp",  "/usr"};
    if (std::find(system.begin(), system.end(), destination) != system.end() ||
        destination == "/var") {
        detail::refuse_destination(destination, source,
                                   "a file would replace that folder of the image and all in it",
                                   "name a path below it");
    }
    for (std::size_t position = 0; position < destination.size();) {
        const char32_t character = next_character(destination, position);
        if (character == invalid_character) {
            detail::refuse_destination(destination, source, "the name is not UTF-8",
                                       "rename the file");
        }
        if (character < 0x20 || character == 0x7f) {
            detail::refuse_destination(destination, source, "the name holds a control character",
                                       "rename the file");
        }
    }
    if (destination.find("/.wh.") != std::string_view::npos) {
        detail::refuse_destination(destination, source,
                                   "a name that begins with .wh. deletes files in an image",
                                   "rename the file");
    }
}

}  // namespace fairing::packaging

// -------------------------------------------------------------------------------------------------------------
// fairing/packaging/glob.hpp - one wildcard pattern: * ? [a-z] [^a-z] ** and \ before a character
// that is meant literally (Go's path/filepath.Match; ** as in moby/patternmatcher). Pure.

namespace fairing::packaging {

/// How two details are read.
enum class GlobDialect {
    dockerignore,  ///< ** crosses folders; [!a] is a '!' or an 'a'
    shell          ///< for one component of a path: ** is *; [!a] is anything but 'a'
};

/// A pattern, compiled once. Matching takes time in proportion to pattern times path, whatever the
/// pattern.
class Glob {
public:
    /// Throws Error{input} when the pattern is malformed.
    Glob(std::string_view pattern, GlobDialect dialect) : pattern_(pattern), dialect_(dialect) {
        compile();
    }

    /// Whether all of `path` matches. Characters are those of UTF-8; an invalid byte counts as one.
    [[nodiscard]] bool matches(std::string_view path) const {
        switch (form_) {
            case Form::literal:
                return path == literal_;
            case Form::prefix:
                return path.starts_with(literal_);
            case Form::suffix:
                return path.ends_with(literal_) ||
                       (literal_.starts_with('/') && path == std::string_view{literal_}.substr(1));
            case Form::general:
                break;
        }
        return path.starts_with(literal_) && path.ends_with(tail_) && run(path);
    }

    /// Whether `text` holds a character that has a meaning in a pattern.
    [[nodiscard]] static bool is_pattern(std::string_view text) {
        return text.find_first_of("*?[\\") != std::string_view::npos;
    }

private:
    enum class Step : unsigned char {
        character,
        any,           // one character but '/'
        star,          // any number of those
        set,           // one character of a set
        folders,       // nothing, or what folders_rest takes
        folders_rest,  // anything that ends in '/'
        everything     // anything at all
    };
    struct Token {
        Step step = Step::character;
        bool negated = false;
        char32_t character = 0;
        std::vector<std::pair<char32_t, char32_t>> ranges = {};
    };
    enum class Form { literal, prefix, suffix, general };

    [[noreturn]] void fail(std::string answer) const {
        throw Error{ErrorCode::input,
                    {.attempted = "use pattern",
                     .subject = escaped(pattern_),
                     .answer = std::move(answer),
                     .advice = "put \\ before a character that is meant literally"}};
    }

    void compile() {
        bool only_text = true, open_start = false;
        std::string text;
        for (std::size_t position = 0; position < pattern_.size();) {
            const std::size_t start = position;
            const char32_t character = next_character(pattern_, position);
            if (character == U'*' && dialect_ == GlobDialect::dockerignore && at(position) == '*') {
                const bool slash = at(position + 1) == '/';
                position += slash ? 2 : 1;
                if (start == 0) {
                    open_start = true;
                    text = slash ? "/" : "";
                }
                if (position < pattern_.size()) {
                    tokens_.push_back({.step = Step::folders});
                    tokens_.push_back({.step = Step::folders_rest});
                    only_text = only_text && start == 0;
                } else if (only_text && !open_start) {
                    form_ = Form::prefix;
                    literal_ = text;
                    return;
                } else {
                    tokens_.push_back({.step = Step::everything});
                    only_text = only_text && start == 0;
                }
            } else if (character == U'*' || character == U'?') {
                tokens_.push_back({.step = character == U'*' ? Step::star : Step::any});
                only_text = false;
            } else if (character == U'[') {
                tokens_.push_back(set(position));
                only_text = false;
            } else if (character == U'\\') {
                if (position == pattern_.size()) {
                    fail("it ends with a \\");
                }
                tokens_.push_back({.character = next_character(pattern_, position)});
                only_text = false;
            } else {
                tokens_.push_back({.character = character});
                text += pattern_.substr(start, position - start);
            }
        }
        if (only_text) {
            form_ = open_start ? Form::suffix : Form::literal;
            literal_ = text;
            return;
        }
        form_ = Form::general;
        find_ends();
    }

    [[nodiscard]] char at(std::size_t position) const {
        return position < pattern_.size() ? pattern_[position] : '\0';
    }

    /// A set, from behind its '['.
    [[nodiscard]] Token set(std::size_t& position) const {
        Token token{.step = Step::set};
        if (at(position) == '^' || (at(position) == '!' && dialect_ == GlobDialect::shell)) {
            token.negated = true;
            ++position;
        }
        while (at(position) != ']' || token.ranges.empty()) {
            const char32_t low = set_member(position);
            char32_t high = low;
            if (at(position) == '-') {
                ++position;
                high = set_member(position);
            }
            if (high < low) {
                fail("a range in [] runs backwards");
            }
            token.ranges.emplace_back(low, high);
        }
        ++position;
        return token;
    }

    [[nodiscard]] char32_t set_member(std::size_t& position) const {
        if (at(position) == '-' || at(position) == ']') {
            fail("a '-' or ']' without \\ where [] needs a character");
        }
        if (at(position) == '\\') {
            ++position;
        }
        if (position >= pattern_.size()) {
            fail("a '[' without its ']'");
        }
        const char32_t member = next_character(pattern_, position);
        if (position >= pattern_.size()) {
            fail("a '[' without its ']'");
        }
        return member;
    }

    /// What every match begins and ends with, so that most paths are refused without running the
    /// pattern.
    void find_ends() {
        const auto is_ascii = [](const Token& token) {
            return token.step == Step::character && token.character < 0x80;
        };
        for (auto token = tokens_.begin(); token != tokens_.end() && is_ascii(*token); ++token) {
            literal_ += static_cast<char>(token->character);
        }
        for (auto token = tokens_.rbegin(); token != tokens_.rend() && is_ascii(*token); ++token) {
            tail_.insert(tail_.begin(), static_cast<char>(token->character));
        }
    }

    [[nodiscard]] static bool holds(const Token& set, char32_t character) {
        for (const auto& [low, high] : set.ranges) {
            if (character >= low && character <= high) {
                return !set.negated;
            }
        }
        return set.negated;
    }

    /// Follows all ways through the pattern at once: active[i] means that tokens before i have
    /// matched.
    [[nodiscard]] bool run(std::string_view path) const {
        std::vector<unsigned char> active(tokens_.size() + 1, 0), next(tokens_.size() + 1, 0);
        active[0] = 1;
        skip_optional(active);
        for (std::size_t position = 0; position < path.size();) {
            const char32_t character = next_character(path, position);
            next.assign(next.size(), 0);
            bool alive = false;
            for (std::size_t i = 0; i < tokens_.size(); ++i) {
                if (active[i] != 0) {
                    alive = advance(i, character, next) || alive;
                }
            }
            if (!alive) {
                return false;
            }
            skip_optional(next);
            active.swap(next);
        }
        return active.back() != 0;
    }

    void skip_optional(std::vector<unsigned char>& active) const {
        for (std::size_t i = 0; i < tokens_.size(); ++i) {
            const Step step = tokens_[i].step;
            if (active[i] == 0) {
                continue;
            }
            if (step == Step::star || step == Step::everything) {
                active[i + 1] = 1;
            } else if (step == Step::folders) {
                active[i + 1] = active[i + 2] = 1;
            }
        }
    }

    bool advance(std::size_t i, char32_t character, std::vector<unsigned char>& next) const {
        const Token& token = tokens_[i];
        switch (token.step) {
            case Step::character:
                return character == token.character && (next[i + 1] = 1);
            case Step::any:
                return character != U'/' && (next[i + 1] = 1);
            case Step::star:
                return character != U'/' && (next[i] = 1);
            case Step::set:
                return holds(token, character) && (next[i + 1] = 1);
            case Step::folders:
                return false;
            case Step::folders_rest:
                if (character == U'/') {
                    next[i + 1] = 1;
                }
                return (next[i] = 1);
            case Step::everything:
                return (next[i] = 1);
        }
        return false;
    }

    std::string pattern_;
    GlobDialect dialect_;
    Form form_ = Form::literal;
    std::string literal_ = {}, tail_ = {};
    std::vector<Token> tokens_ = {};
};

}  // namespace fairing::packaging

// -------------------------------------------------------------------------------------------------------------
// fairing/packaging/ignore.hpp - the rules of a .dockerignore file, as moby/patternmatcher judges
// them: anchored at the root, a rule matches a path or any folder above it, the last rule that
// matches decides, `!` takes again. Pure.

namespace fairing::packaging {

/// Paths are relative to the folder that the file lies in, without "./" or a slash in front.
class IgnoreRules {
public:
    /// For every rule, whether it matches a folder or one above it. Empty: no folder yet.
    using Matches = std::vector<bool>;

    enum class Verdict {
        taken,
        excluded,
        excluded_with_all_below  ///< no later `!` can take anything below it again
    };

    /// Takes everything.
    IgnoreRules() = default;

    /// One rule a line; blank lines and those that begin with # say nothing. Throws Error{input}
    /// that names the line.
    explicit IgnoreRules(std::string_view text) {
        constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
        if (text.starts_with(byte_order_mark)) {
            text.remove_prefix(byte_order_mark.size());
        }
        for (std::size_t number = 1; !text.empty(); ++number) {
            const std::string_view line = text.substr(0, text.find('\n'));
            text.remove_prefix(line.size() < text.size() ? line.size() + 1 : line.size());
            if (!line.starts_with('#')) {
                add(trimmed(line), number);
            }
        }
    }

    [[nodiscard]] bool empty() const noexcept { return rules_.empty(); }

    [[nodiscard]] bool excluded(std::string_view path) const {
        if (path.ends_with('/')) {
            path.remove_suffix(1);
        }
        return judge(path, above(path)) != Verdict::taken;
    }

    /// The matches of all folders above `path`.
    [[nodiscard]] Matches above(std::string_view path) const {
        Matches matches;
        for (std::size_t slash = path.find('/'); slash != std::string_view::npos;
             slash = path.find('/', slash + 1)) {
            matches = enter(path.substr(0, slash), matches);
        }
        return matches;
    }

    /// The matches of a folder, when those of the folders above it are known.
    [[nodiscard]] Matches enter(std::string_view folder, const Matches& above) const {
        Matches matches(rules_.size());
        for (std::size_t i = 0; i < rules_.size(); ++i) {
            matches[i] = (!above.empty() && above[i]) || rules_[i].glob.matches(folder);
        }
        return matches;
    }

    /// What becomes of a path below folders with these matches.
    [[nodiscard]] Verdict judge(std::string_view path, const Matches& above) const {
        bool taken_again = false;
        for (std::size_t i = rules_.size(); i-- > 0;) {
            if ((!above.empty() && above[i]) || rules_[i].glob.matches(path)) {
                return rules_[i].takes_again ? Verdict::taken
                       : taken_again         ? Verdict::excluded
                                             : Verdict::excluded_with_all_below;
            }
            taken_again = taken_again || rules_[i].takes_again;
        }
        return Verdict::taken;
    }

private:
    struct Rule {
        Glob glob;
        bool takes_again = false;
    };

    static std::string_view trimmed(std::string_view text) {
        constexpr std::string_view blank = " \t\r\v\f";
        const std::size_t first = text.find_first_not_of(blank);
        return first == std::string_view::npos
                   ? std::string_view{}
                   : text.substr(first, text.find_last_not_of(blank) - first + 1);
    }

    void add(std::string_view line, std::size_t number) {
        if (line.empty()) {
            return;
        }
        const bool takes_again = line.starts_with('!');
        std::string pattern{takes_again ? trimmed(line.substr(1)) : line};
        if (!pattern.empty()) {
            pattern = clean(pattern);
        }
        if (pattern.size() > 1 && pattern.front() == '/') {
            pattern.erase(0, 1);
        }
        try {
            if (pattern.empty() || (takes_again && pattern == "/")) {
                throw Error{ErrorCode::input,
                            {.attempted = "use", .answer = "a ! with no pattern"}};
            }
            rules_.push_back({Glob{pattern, GlobDialect::dockerignore}, takes_again});
        } catch (const Error& error) {
            throw Error{ErrorCode::input,
                        {.attempted = "use .dockerignore",
                         .subject = "line " + std::to_string(number) + " (" + escaped(line) + ')',
                         .answer = error.details().answer,
                         .advice = error.details().advice}};
        }
    }

    std::vector<Rule> rules_ = {};
};

}  // namespace fairing::packaging

// -------------------------------------------------------------------------------------------------------------
// fairing/packaging/secrets.hpp - names that usually hold secrets, and are left out of images
// unless asked for. Pure.

namespace fairing::packaging {

/// What becomes of a file that a rule of secret_rule() names.
enum class Secrets { leave_out, include };

/// The rule that a file or folder called `name` in a folder called `folder` ("" for none) falls
/// under, or nothing.
///
/// `id_*` means private keys as ssh-keygen names them: id_rsa, id_dsa, id_ecdsa, id_ed25519 with
/// anything behind, and any other id_ without a dot; never *.pub. So id_ed25519_work.bak is one,
/// id_mapping.csv is not.
[[nodiscard]] inline std::optional<std::string_view> secret_rule_of_name(std::string_view folder,
                                                                         std::string_view name) {
    constexpr std::array<std::string_view, 6> whole = {
        ".git", ".aws", ".ssh", ".kube", ".netrc", "application_default_credentials.json"};
    constexpr std::array<std::string_view, 4> keys = {"id_rsa", "id_dsa", "id_ecdsa", "id_ed25519"};
    if (const auto* rule = std::find(whole.begin(), whole.end(), name); rule != whole.end()) {
        return *rule;
    }
    if (name.starts_with(".env")) {
        return ".env*";
    }
    if (folder == ".docker" && name == "config.json") {
        return ".docker/config.json";
    }
    if (name.ends_with(".pem")) {
        return "*.pem";
    }
    if (name.starts_with("id_") && !name.ends_with(".pub") &&
        (name.find('.') == std::string_view::npos ||
         std::any_of(keys.begin(), keys.end(),
                     [&](std::string_view key) { return name.starts_with(key); }))) {
        return "id_*";
    }
    return std::nullopt;
}

/// The rule that a path falls under by its last component or by any folder in it, or nothing.
[[nodiscard]] inline std::optional<std::string_view> secret_rule(std::string_view path) {
    std::string_view folder;
    while (!path.empty()) {
        const std::string_view name = path.substr(0, path.find('/'));
        path.remove_prefix(name.size() < path.size() ? name.size() + 1 : name.size());
        if (const auto rule = secret_rule_of_name(folder, name)) {
            return rule;
        }
        folder = name;
    }
    return std::nullopt;
}

}  // namespace fairing::packaging

// -------------------------------------------------------------------------------------------------------------
// fairing/packaging/walk.hpp - what lies at and below a path of this machine, as entries of an
// image (POSIX).

namespace fairing::packaging {

/// The names in a folder, sorted by bytes, without "." and "..". Throws what system_error() makes
/// of errno.
[[nodiscard]] inline std::vector<std::string> list_folder(const UniqueFd& folder,
                                                          std::string_view shown) {
    const int copy = ::fcntl(folder.get(), F_DUPFD_CLOEXEC, 0);
    const std::unique_ptr<DIR, int (*)(DIR*)> stream{copy < 0 ? nullptr : ::fdopendir(copy),
                                                     ::closedir};
    if (!stream) {
        const Error error = system_error(errno, "list", escaped(shown));
        if (copy >= 0) {
            ::close(copy);
        }
        throw error;
    }
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = ::readdir(stream.get())) {
        const std::string_view name = entry->d_name;
        if (name != "." && name != "..") {
            names.emplace_back(name);
        }
    }
    if (errno != 0) {
        throw system_error(errno, "list", escaped(shown));
    }
    std::sort(names.begin(), names.end());
    return names;
}

/// What a file is when it is neither regular, nor a folder, nor a link: "a named pipe (FIFO)".
[[nodiscard]] inline std::string_view kind_of(mode_t mode) {
    return S_ISFIFO(mode)   ? "a named pipe (FIFO)"
           : S_ISSOCK(mode) ? "a socket"
           : S_ISCHR(mode)  ? "a character device"
           : S_ISBLK(mode)  ? "a block device"
           : S_ISDIR(mode)  ? "a folder"
           : S_ISLNK(mode)  ? "a symbolic link"
                            : "not a regular file";
}

/// What a walk goes by. The pointers outlive the walker.
struct WalkRules {
    std::string root = {};  ///< the context root: absolute, clean
    Symlinks symlinks = Symlinks::keep;
    Secrets secrets = Secrets::leave_out;
    const IgnoreRules* ignore = nullptr;               ///< for what lies below the root
    const std::set<std::string>* elsewhere = nullptr;  ///< paths that land where another walk says
};

/// Collects entries; one walker may take several paths.
class Walker {
public:
    Walker(WalkRules rules, const Control& control) : rules_(std::move(rules)), control_(control) {}

    /// Takes `source` (absolute, clean; a folder with all below it) to `destination`. Symbolic
    /// links stay below `boundary`. What .dockerignore excludes and what looks like a secret is
    /// counted, and left out.
    void take(const std::string& source, const std::string& destination,
              const std::string& boundary) {
        boundary_ = boundary;
        struct stat status {};
        if (::lstat(source.c_str(), &status) != 0) {
            throw system_error(errno, "package", escaped(source));
        }
        above_.clear();
        const auto below_root = relative(source);
        auto verdict = IgnoreRules::Verdict::taken;
        if (below_root && !below_root->empty()) {
            above_ = rules_.ignore->above(*below_root);
            verdict = rules_.ignore->judge(*below_root, above_);
        }
        if (rules_.secrets == Secrets::leave_out &&
            secret_rule(below_root ? *below_root : std::string_view{source})) {
            leave_out(source, *secret_rule(below_root ? *below_root : std::string_view{source}));
            return;
        }
        place(AT_FDCWD, source.c_str(), source, destination, status, verdict);
    }

    [[nodiscard]] std::vector<ContextFile>& files() noexcept { return files_; }
    /// "PATH (RULE)" of what was left out as a secret, in the order of the walk.
    [[nodiscard]] const std::vector<std::string>& secrets() const noexcept { return secrets_; }
    /// How many paths .dockerignore left out; a folder counts once.
    [[nodiscard]] std::size_t ignored() const noexcept { return ignored_; }

private:
    using Verdict = IgnoreRules::Verdict;

    /// The path as .dockerignore sees it, or nothing when it is not below the root.
    [[nodiscard]] std::optional<std::string_view> relative(std::string_view source) const {
        return is_within(source, rules_.root) ? std::optional{relative_to(source, rules_.root)}
                                              : std::nullopt;
    }

    void leave_out(std::string_view source, std::string_view rule) {
        const auto below_root = relative(source);
        secrets_.push_back(escaped(below_root ? *below_root : source) + " (" + std::string{rule} +
                           ')');
    }

    /// One path that was found; `name` is its name in the open `folder`.
    void place(int folder, const char* name, const std::string& source,
               const std::string& destination, const struct stat& status, Verdict verdict) {
        if (S_ISDIR(status.st_mode)) {
            if (verdict == Verdict::excluded_with_all_below) {
                ++ignored_;
            } else {
                walk(source, destination, status);
            }
            return;
        }
        if (verdict != Verdict::taken) {
            ++ignored_;
            return;
        }
        if (S_ISLNK(status.st_mode)) {
            take_link(folder, name, source, destination);
        } else {
            take_file(folder, name, source, destination, status);
        }
    }

    void take_file(int folder, const char* name, const std::string& source,
                   const std::string& destination, const struct stat& status) {
        if (!S_ISREG(status.st_mode)) {
            throw Error{ErrorCode::input,
                        {.attempted = "package",
                         .subject = escaped(source),
                         .answer = std::string{kind_of(status.st_mode)},
                         .advice = "leave it out, for example with a line in .dockerignore"}};
        }
        check_destination(destination, source);
        if ((status.st_mode & 0444) != 0444 && ::faccessat(folder, name, R_OK, AT_EACCESS) != 0) {
            throw system_error(errno, "read", escaped(source));
        }
        files_.push_back({.source = source,
                          .destination = destination,
                          .mode = status.st_mode & 0777,
                          .kind = FileKind::regular,
                          .size = static_cast<std::uint64_t>(status.st_size)});
    }

    void take_link(int folder, const char* name, const std::string& source,
                   const std::string& destination) {
        const std::string target = read_link(folder, name, source);
        if (rules_.symlinks == Symlinks::follow) {
            follow(source, target, destination);
            return;
        }
        check_destination(destination, source);
        check_link(boundary_, source, target);
        files_.push_back({.source = source,
                          .destination = destination,
                          .mode = 0777,
                          .kind = FileKind::symlink,
                          .link_target = target});
    }

    void follow(const std::string& link, const std::string& target,
                const std::string& destination) {
        const std::unique_ptr<char, void (*)(void*)> resolved{::realpath(link.c_str(), nullptr),
                                                              std::free};
        struct stat status {};
        if (!resolved || ::lstat(resolved.get(), &status) != 0) {
            detail::refuse_link(link, target,
                                errno == ELOOP    ? "leads back to itself"
                                : errno == ENOENT ? "does not exist"
                                                  : "can not be followed");
        }
        const std::string source = resolved.get();
        const auto rule = secret_rule(relative(source).value_or(source));
        if (rules_.secrets == Secrets::leave_out && rule) {
            leave_out(link, *rule);
            return;
        }
        if (!S_ISDIR(status.st_mode)) {
            take_file(AT_FDCWD, source.c_str(), source, destination, status);
            return;
        }
        const Identity folder{status.st_dev, status.st_ino};
        if (std::find(open_.begin(), open_.end(), folder) != open_.end()) {
            detail::refuse_link(link, target, "leads back to a folder that holds it");
        }
        const IgnoreRules::Matches outer = above_;
        above_ = rules_.ignore->above(relative(source).value_or(""));
        walk(source, destination, status);
        above_ = outer;
    }

    /// One descriptor is open at a time, however deep the tree.
    void walk(const std::string& source, const std::string& destination,
              const struct stat& status) {
        control_.check("package " + escaped(source));
        struct Child {
            std::string name = {};
            struct stat status = {};
            Verdict verdict = Verdict::taken;
        };
        std::vector<Child> folders;
        const auto below_root = relative(source);
        const IgnoreRules::Matches outer = above_;
        if (below_root && !below_root->empty()) {
            above_ = rules_.ignore->enter(*below_root, outer);
        }
        open_.emplace_back(status.st_dev, status.st_ino);
        {
            const UniqueFd folder = open_folder(source);
            for (std::string& name : list_folder(folder, source)) {
                const std::string path = join(source, name);
                const Verdict verdict = judge(path, source, name);
                if (verdict == Verdict::excluded_with_all_below) {
                    continue;
                }
                Child child{.verdict = verdict};
                if (::fstatat(folder.get(), name.c_str(), &child.status, AT_SYMLINK_NOFOLLOW) !=
                    0) {
                    throw system_error(errno, "package", escaped(path));
                }
                if (S_ISDIR(child.status.st_mode)) {
                    child.name = std::move(name);
                    folders.push_back(std::move(child));
                } else {
                    place(folder.get(), name.c_str(), path, join(destination, name), child.status,
                          verdict);
                }
            }
        }
        for (const Child& child : folders) {
            walk(join(source, child.name), join(destination, child.name), child.status);
        }
        open_.pop_back();
        above_ = outer;
    }

    /// Whether to look at a path at all; what is left out here is counted here.
    [[nodiscard]] Verdict judge(const std::string& path, std::string_view folder,
                                std::string_view name) {
        if (rules_.elsewhere != nullptr && rules_.elsewhere->contains(path)) {
            return Verdict::excluded_with_all_below;
        }
        Verdict verdict = Verdict::taken;
        if (const auto below_root = relative(path); below_root && !rules_.ignore->empty()) {
            verdict = rules_.ignore->judge(*below_root, above_);
        }
        if (verdict == Verdict::excluded_with_all_below) {
            ++ignored_;
        } else if (rules_.secrets == Secrets::leave_out) {
            if (const auto rule = secret_rule_of_name(last_component(folder), name)) {
                leave_out(path, *rule);
                return Verdict::excluded_with_all_below;
            }
        }
        return verdict;
    }

    [[nodiscard]] static UniqueFd open_folder(const std::string& path) {
        UniqueFd folder{
            ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)};
        if (!folder) {
            throw system_error(errno, "list", escaped(path));
        }
        return folder;
    }

    using Identity = std::pair<dev_t, ino_t>;

    WalkRules rules_;
    const Control& control_;
    std::string boundary_ = {};
    IgnoreRules::Matches above_ = {};
    std::vector<Identity> open_ = {};
    std::vector<ContextFile> files_ = {};
    std::vector<std::string> secrets_ = {};
    std::size_t ignored_ = 0;
};

}  // namespace fairing::packaging

// -------------------------------------------------------------------------------------------------------------
// fairing/packaging/source_file.hpp - reads a file of a context, or finds that it is no longer what
// was collected (POSIX).

namespace fairing::packaging {

namespace detail {

[[noreturn]] inline void refuse_changed(const ContextFile& file, std::string_view how) {
    throw Error{ErrorCode::input,
                {.attempted = "package",
                 .subject = escaped(file.source.native()),
                 .answer = "changed while being packaged: " + std::string{how},
                 .advice = "build again when nothing writes to it"}};
}

}  // namespace detail

/// An open regular file. It is read exactly to the size that was collected. A file that is shorter,
/// longer, written to, replaced or removed until finish() is Error{input} "changed while being
/// packaged". Opening never blocks.
class SourceFile {
public:
    /// Throws Error{input} naming the kind when it is no regular file; else what system_error()
    /// makes of errno.
    explicit SourceFile(const ContextFile& file) : file_(file) {
        int fd = -1;
        do {
            fd = ::open(file.source.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        } while (fd < 0 && errno == EINTR);
        fd_ = UniqueFd{fd};
        if (!fd_) {
            explain_failure(errno);
        }
        if (::fstat(fd, &before_) != 0) {
            throw system_error(errno, "package", escaped(file.source.native()));
        }
        if (!S_ISREG(before_.st_mode)) {
            refuse_kind(before_.st_mode);
        }
        if (static_cast<std::uint64_t>(before_.st_size) != file.size) {
            detail::refuse_changed(file, std::to_string(before_.st_size) + " bytes, where it had " +
                                             std::to_string(file.size));
        }
    }

    /// Fills `buffer` with the next bytes.
    void read(std::span<std::byte> buffer) {
        if (read_some(fd_.get(), buffer, escaped(file_.source.native())) != buffer.size()) {
            detail::refuse_changed(file_, "it became shorter");
        }
    }

    /// After the last byte.
    void finish() const {
        std::array<std::byte, 1> more;
        if (read_some(fd_.get(), more, escaped(file_.source.native())) != 0) {
            detail::refuse_changed(file_, "it became longer");
        }
        struct stat after {};
        if (::lstat(file_.source.c_str(), &after) != 0) {
            detail::refuse_changed(file_, "it is gone");
        }
        if (after.st_dev != before_.st_dev || after.st_ino != before_.st_ino) {
            detail::refuse_changed(file_, "another file took its place");
        }
        if (after.st_size != before_.st_size || after.st_mtim.tv_sec != before_.st_mtim.tv_sec ||
            after.st_mtim.tv_nsec != before_.st_mtim.tv_nsec) {
            detail::refuse_changed(file_, "it was written to");
        }
    }

private:
    [[noreturn]] void refuse_kind(mode_t mode) const {
        throw Error{ErrorCode::input,
                    {.attempted = "package",
                     .subject = escaped(file_.source.native()),
                     .answer = std::string{kind_of(mode)},
                     .advice = "leave it out, for example with a line in .dockerignore"}};
    }

    [[noreturn]] void explain_failure(int number) const {
        struct stat status {};
        if (number == ENOENT || number == ENOTDIR) {
            detail::refuse_changed(file_, "it is gone");
        }
        if (number == ELOOP && ::lstat(file_.source.c_str(), &status) == 0 &&
            S_ISLNK(status.st_mode)) {
            detail::refuse_changed(file_, "a symbolic link took its place");
        }
        if (number == ENXIO && ::lstat(file_.source.c_str(), &status) == 0) {
            refuse_kind(status.st_mode);
        }
        throw system_error(number, "package", escaped(file_.source.native()));
    }

    const ContextFile& file_;
    UniqueFd fd_ = {};
    struct stat before_ = {};
};

/// Throws Error{input} when a link no longer has the target that was collected.
inline void check_link_unchanged(const ContextFile& file) {
    std::string target;
    try {
        target = read_link(AT_FDCWD, file.source.c_str(), file.source.native());
    } catch (const Error& error) {
        detail::refuse_changed(file, error.details().answer);
    }
    if (target != file.link_target) {
        detail::refuse_changed(file, "it points elsewhere");
    }
}

}  // namespace fairing::packaging

// -------------------------------------------------------------------------------------------------------------
// fairing/packaging/layer_writer.hpp - files to one compressed layer (OCI image-spec, layer.md),
// the same bytes on every machine and for every number of threads.
//
// Entries are in path order, owned by 0:0, with one modification time; no folder is an entry, so
// that none of the base changes its mode or owner. Memory is bounded by blocks and threads,
// whatever the sizes.

namespace fairing::packaging {

/// SOURCE_DATE_EPOCH (seconds since 1970, reproducible-builds.org), or 0 when it is not set. Throws
/// Error{usage} when it is no such number or more than a tar header holds.
[[nodiscard]] inline std::int64_t source_date_epoch() {
    constexpr std::int64_t most = (std::int64_t{1} << 33) - 1;
    const std::string text = env("SOURCE_DATE_EPOCH", "0");
    std::int64_t seconds = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (failure != std::errc{} || end != text.data() + text.size() || seconds < 0 ||
        seconds > most) {
        throw Error{ErrorCode::usage,
                    {.attempted = "use SOURCE_DATE_EPOCH",
                     .subject = '"' + escaped(text) + '"',
                     .answer = "not a number of seconds from 0 to " + std::to_string(most),
                     .advice = "correct it, or unset it"}};
    }
    return seconds;
}

struct LayerOptions {
    std::string item = "layer";  ///< what Progress calls it
    std::size_t threads = 0;     ///< 0: as many as the machine runs at once
    std::int64_t modification_time =
        source_date_epoch();                         ///< of every entry, in seconds since 1970
    std::filesystem::path temporary_directory = {};  ///< empty: temporary_root()
};

/// A layer in a file without a name: it goes with this object.
struct LayerBlob {
    TemporaryFile file;
    std::string digest = {};   ///< "sha256:…" of the compressed bytes
    std::string diff_id = {};  ///< "sha256:…" of the tar
    std::uint64_t size = 0;    ///< of the compressed bytes
    std::uint64_t uncompressed_size = 0;
    std::uint64_t bytes_read = 0;              ///< from the files
    std::vector<ContentDigest> contents = {};  ///< one for each file, in their order
};

namespace detail {

/// A temporary file and the digest of what went into it.
class BlobFile {
public:
    explicit BlobFile(const std::filesystem::path& directory)
        : directory_(directory.empty() ? temporary_root() : directory), file_(directory_) {}

    /// Throws an Error that names the directory when it is full.
    void append(std::span<const std::byte> bytes) {
        hash_.update(bytes);
        try {
            file_.append(bytes);
        } catch (const Error& error) {
            throw Error{error.code(),
                        {.attempted = "write",
                         .subject = "a layer to a temporary file in " + directory_.string(),
                         .answer = error.details().answer,
                         .advice = "make room there, or set TMPDIR to where there is more"}};
        }
    }
    /// Once, at the end.
    [[nodiscard]] std::string digest() { return "sha256:" + codec::hex(hash_.finish()); }
    [[nodiscard]] TemporaryFile take() { return std::move(file_); }

private:
    std::filesystem::path directory_;
    TemporaryFile file_;
    codec::Sha256 hash_ = {};
};

/// The tar stream, cut into blocks.
template <codec::Compressor C>
class LayerStream {
public:
    LayerStream(const C& compressor, std::size_t threads, codec::ByteSink sink)
        : block_size_(std::max<std::size_t>(512, compressor.block_size())),
          pipeline_(compressor, threads, std::move(sink)),
          block_(pipeline_.buffer(block_size_)) {}

    /// Room for up to `size` bytes, at least one; what was filled is told with filled().
    [[nodiscard]] std::span<std::byte> room(std::uint64_t size) {
        const std::uint64_t left = block_.size() - used_;
        return std::span{block_}.subspan(used_, static_cast<std::size_t>(std::min(left, size)));
    }
    /// Returns whether a block went on its way.
    bool filled(std::size_t size) {
        used_ += size;
        total_ += size;
        if (used_ < block_.size()) {
            return false;
        }
        send();
        block_ = pipeline_.buffer(block_size_);
        return true;
    }
    void put(std::span<const std::byte> bytes) {
        while (!bytes.empty()) {
            const auto part = room(bytes.size());
            std::copy_n(bytes.begin(), part.size(), part.begin());
            bytes = bytes.subspan(part.size());
            filled(part.size());
        }
    }
    void finish() {
        if (used_ > 0) {
            block_.resize(used_);
            send();
        }
        pipeline_.finish();
    }
    [[nodiscard]] std::uint64_t total() const noexcept { return total_; }
    [[nodiscard]] std::string diff_id() { return "sha256:" + codec::hex(hash_.finish()); }

private:
    void send() {
        hash_.update(block_);
        pipeline_.submit(std::move(block_));
        used_ = 0;
    }

    std::size_t block_size_;
    BlockPipeline<C> pipeline_;
    std::vector<std::byte> block_;
    std::size_t used_ = 0;
    std::uint64_t total_ = 0;
    codec::Sha256 hash_ = {};
};

[[nodiscard]] inline codec::TarEntry tar_entry(const ContextFile& file, std::int64_t time) {
    codec::TarEntry entry;
    entry.path = relative_to(file.destination, "/");
    entry.kind = file.kind == FileKind::symlink ? codec::TarKind::symlink : codec::TarKind::file;
    entry.mode = file.mode & 0777U;
    entry.size = file.kind == FileKind::symlink ? 0 : file.size;
    entry.mtime = time;
    entry.link_target = file.link_target;
    return entry;
}

inline void check_order(std::span<const ContextFile> files) {
    for (std::size_t i = 0; i < files.size(); ++i) {
        if (!files[i].destination.starts_with('/') ||
            (i > 0 && files[i - 1].destination >= files[i].destination)) {
            throw Error{ErrorCode::usage,
                        {.attempted = "package",
                         .subject = escaped(files[i].destination),
                         .answer = "destinations are absolute, in order, and each is there once"}};
        }
    }
}

}  // namespace detail

/// Packs files (in destination order, each once) into one layer. Throws Error{input} "changed while
/// being packaged" for a file that is not what was collected or does not stay so, an Error that
/// names the directory when it is full, and Cancelled on a stop; then nothing is left. Progress:
/// step "build", in bytes of files.
template <codec::Compressor C>
[[nodiscard]] LayerBlob write_layer(std::span<const ContextFile> files, const C& compressor,
                                    const LayerOptions& options, const Control& control) {
    detail::check_order(files);
    Progress progress{.step = "build", .item = options.item, .total = 0};
    for (const ContextFile& file : files) {
        *progress.total += file.kind == FileKind::regular ? file.size : 0;
    }
    control.show(progress);
    const std::string attempted = "package " + options.item;
    const std::size_t threads = options.threads == 0 ? hardware_threads() : options.threads;
    detail::BlobFile output{options.temporary_directory};
    std::vector<ContentDigest> contents;
    contents.reserve(files.size());
    detail::LayerStream<C> stream{compressor, threads,
                                  [&](std::span<const std::byte> bytes) { output.append(bytes); }};
    std::vector<std::byte> header;
    for (const ContextFile& file : files) {
        control.check(attempted);
        header.clear();
        codec::append_tar_header(detail::tar_entry(file, options.modification_time), header);
        codec::Sha256 hash;
        if (file.kind == FileKind::symlink) {
            check_link_unchanged(file);
            stream.put(header);
            hash.update(file.link_target);
            contents.push_back(hash.finish());
            continue;
        }
        SourceFile source{file};
        stream.put(header);
        for (std::uint64_t left = file.size; left > 0;) {
            const auto part = stream.room(left);
            source.read(part);
            hash.update(part);
            left -= part.size();
            progress.done += part.size();
            if (stream.filled(part.size())) {
                control.check(attempted);
                control.show(progress);
            }
        }
        source.finish();
        contents.push_back(hash.finish());
        const std::vector<std::byte> padding(codec::tar_padding(file.size));
        stream.put(padding);
    }
    header.clear();
    codec::append_tar_end(header);
    stream.put(header);
    stream.finish();
    control.show(progress);
    LayerBlob blob{.file = output.take(),
                   .digest = output.digest(),
                   .diff_id = stream.diff_id(),
                   .uncompressed_size = stream.total(),
                   .bytes_read = progress.done,
                   .contents = std::move(contents)};
    blob.size = blob.file.size();
    return blob;
}

}  // namespace fairing::packaging

// -------------------------------------------------------------------------------------------------------------
// fairing/oci/layout.hpp - an image layout directory as a store (OCI image-spec, image-layout.md).

namespace fairing::oci {

/// The layout in `directory`, which is made when something is first written. Writers of several
/// processes may share it: blobs appear under their name only when they are whole, and index.json
/// changes under a lock, in one step.
class Layout final : public Store {
public:
    explicit Layout(std::filesystem::path directory) : directory_(std::move(directory)) {}

    /// By digest, or by the annotation org.opencontainers.image.ref.name; an empty name means the
    /// only manifest.
    [[nodiscard]] std::optional<RawManifest> find_manifest(
        const std::string& tag_or_digest) override {
        const Json entries = read_index().value("manifests", Json::array());
        for (const Json& entry : entries) {
            const bool named = tag_or_digest.empty() ? entries.size() == 1
                                                     : text_or(entry, "digest") == tag_or_digest ||
                                                           ref_name(entry) == tag_or_digest;
            if (named) {
                const Descriptor found = Descriptor::from(entry, index_path().string());
                return RawManifest{.media_type = found.media_type, .body = read_text(found)};
            }
        }
        if (tag_or_digest.empty() && !entries.empty()) {
            throw Error{
                ErrorCode::input,
                {.attempted = "choose an image in",
                 .subject = directory_.string(),
                 .answer = "it holds " + std::to_string(entries.size()) + ": " + names(entries),
                 .advice = "write oci:" + directory_.string() + ":NAME"}};
        }
        if (is_digest(tag_or_digest) && std::filesystem::exists(blob_path(tag_or_digest))) {
            return read_nested(tag_or_digest);  // an index of the layout points at it
        }
        return std::nullopt;
    }

    void read_blob(const Descriptor& blob, const net::BodySink& sink) override {
        const std::filesystem::path path = blob_path(blob.digest);
        const UniqueFd file = open_file(path, O_RDONLY);
        Verifier verifier{blob.digest, blob.size, path.string()};
        std::vector<std::byte> buffer(std::size_t{256} << 10);
        while (const std::size_t got = read_some(file.get(), buffer, path.string())) {
            const std::span<const std::byte> bytes = std::span{buffer}.first(got);
            verifier.update(bytes);
            sink(bytes);
        }
        verifier.finish();
    }

    Transfer write_blob(const Descriptor& blob, const net::Body& body,
                        const std::string& /*mount_from*/) override {
        create();
        const std::filesystem::path path = blob_path(blob.digest);
        std::error_code ignored;
        if (std::filesystem::file_size(path, ignored) == blob.size) {
            return Transfer::present;
        }
        PendingFile pending{path};
        Verifier verifier{blob.digest, blob.size, "blob " + blob.digest};
        body.write([&](std::span<const std::byte> bytes) {
            verifier.update(bytes);
            write_all(pending.fd(), bytes, path.string());
        });
        verifier.finish();
        pending.commit();
        return Transfer::uploaded;
    }

    void write_manifest(const RawManifest& manifest, const std::string& tag) override {
        const Descriptor descriptor = manifest.descriptor();
        write_blob(descriptor, net::Body::of(manifest.body), {});
        const UniqueFd lock = open_file(directory_ / "blobs", O_RDONLY | O_DIRECTORY);
        while (::flock(lock.get(), LOCK_EX) != 0) {
            if (errno != EINTR) {
                throw system_error(errno, "lock", directory_.string());
            }
        }
        Json index = read_index();
        Json kept = Json::array();
        for (Json& entry : index["manifests"]) {
            const bool replaced = tag.empty() ? text_or(entry, "digest") == descriptor.digest
                                              : ref_name(entry) == tag;
            if (!replaced) {
                kept.push_back(std::move(entry));
            }
        }
        Json entry = descriptor.json();
        if (!tag.empty()) {
            entry["annotations"]["org.opencontainers.image.ref.name"] = tag;
        }
        kept.push_back(std::move(entry));
        index["manifests"] = std::move(kept);
        write_file(index_path(), index.dump() + '\n');
    }

    [[nodiscard]] const std::filesystem::path& directory() const noexcept { return directory_; }

private:
    /// A file under a temporary name beside its final one; removed unless committed.
    class PendingFile {
    public:
        explicit PendingFile(std::filesystem::path path) : path_(std::move(path)) {
            name_ = path_.string() + ".XXXXXX";
            file_ = UniqueFd{::mkostemp(name_.data(), O_CLOEXEC)};
            if (!file_) {
                throw system_error(errno, "write", path_.string());
            }
        }
        PendingFile(PendingFile&&) = delete;
        PendingFile& operator=(PendingFile&&) = delete;
        ~PendingFile() {
            if (!name_.empty()) {
                ::unlink(name_.c_str());
            }
        }
        [[nodiscard]] int fd() const noexcept { return file_.get(); }
        void commit() {
            if (::fchmod(file_.get(), 0644) != 0 || ::rename(name_.c_str(), path_.c_str()) != 0) {
                throw system_error(errno, "write", path_.string());
            }
            name_.clear();
        }

    private:
        std::filesystem::path path_;
        std::string name_ = {};
        UniqueFd file_ = {};
    };

    [[nodiscard]] std::filesystem::path index_path() const { return directory_ / "index.json"; }
    [[nodiscard]] std::filesystem::path blob_path(const std::string& digest) const {
        return directory_ / "blobs" / "sha256" / digest_hex(digest);
    }
    [[nodiscard]] static std::string ref_name(const Json& entry) {
        return entry.is_object() ? text_or(entry.value("annotations", Json()),
                                           "org.opencontainers.image.ref.name")
                                 : std::string{};
    }
    [[nodiscard]] static std::string names(const Json& entries) {
        std::string result;
        for (const Json& entry : entries) {
            const std::string name = ref_name(entry);
            result += (result.empty() ? "" : ", ") +
                      (name.empty() ? text_or(entry, "digest", "(no digest)") : name);
        }
        return result;
    }

    [[nodiscard]] Json read_index() const {
        try {
            return read_index_file();
        } catch (const std::filesystem::filesystem_error& error) {
            throw system_error(error.code().value(), "read image layout", directory_.string());
        }
    }
    [[nodiscard]] Json read_index_file() const {
        if (!std::filesystem::exists(index_path())) {
            const bool other = std::filesystem::exists(directory_) &&
                               !std::filesystem::exists(directory_ / "blobs") &&
                               !std::filesystem::is_empty(directory_);
            if (other) {
                throw Error{ErrorCode::input,
                            {.attempted = "use image layout",
                             .subject = directory_.string(),
                             .answer = "it is there, but holds no index.json",
                             .advice = "name an empty or new directory after oci:"}};
            }
            return empty_index();
        }
        Json index = parse_json(read_file(index_path()), index_path().string());
        if (!index.is_object() || !index.value("manifests", Json()).is_array()) {
            throw Error{ErrorCode::input,
                        {.attempted = "read",
                         .subject = index_path().string(),
                         .answer = "not the index of an image layout"}};
        }
        return index;
    }
    [[nodiscard]] static Json empty_index() {
        return {
            {"schemaVersion", 2}, {"mediaType", media_type::index}, {"manifests", Json::array()}};
    }

    [[nodiscard]] std::string read_text(const Descriptor& blob) {
        std::string text;
        read_blob(blob, [&text](std::span<const std::byte> bytes) {
            text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        });
        return text;
    }
    [[nodiscard]] RawManifest read_nested(const std::string& digest) {
        const std::string body = read_file(blob_path(digest), std::size_t{4} << 20);
        if (digest_of(body) != digest) {
            throw Error{
                ErrorCode::integrity,
                {.attempted = "read",
                 .subject = blob_path(digest).string(),
                 .answer = "digest mismatch: expected " + digest + ", got " + digest_of(body)}};
        }
        const Json document = parse_json(body, blob_path(digest).string());
        return {.media_type = text_or(document, "mediaType", std::string{media_type::manifest}),
                .body = body};
    }

    /// Makes the directories and oci-layout. Refuses a directory that holds something else.
    void create() {
        static_cast<void>(read_index());
        std::error_code failure;
        std::filesystem::create_directories(directory_ / "blobs" / "sha256", failure);
        if (failure) {
            throw system_error(failure.value(), "create image layout", directory_.string());
        }
        const std::filesystem::path marker = directory_ / "oci-layout";
        if (!std::filesystem::exists(marker, failure)) {
            write_file(marker, std::string_view{"{\"imageLayoutVersion\":\"1.0.0\"}\n"});
        }
    }

    std::filesystem::path directory_;
};

}  // namespace fairing::oci

// -------------------------------------------------------------------------------------------------------------
// fairing/net/address.hpp - IP addresses that no peer may send us to: unspecified, link-local
// (where clouds keep their instance metadata and its credentials) and what maps to them.

namespace fairing::net {

namespace detail {

[[nodiscard]] constexpr bool is_refused_v4(std::uint32_t address) noexcept {
    return address >> 24 == 0 ||       // 0.0.0.0/8, "this host"
           address >> 16 == 0xa9fe ||  // 169.254.0.0/16, link-local
           address == 0x646464c8 ||    // 100.100.100.200, metadata of Alibaba Cloud
           address >> 28 == 0xe ||     // multicast
           address == 0xffffffff;      // broadcast
}

[[nodiscard]] inline bool is_refused_v6(const std::array<std::uint8_t, 16>& bytes) noexcept {
    constexpr std::array<std::uint8_t, 16> aws = {0xfd, 0x00, 0x0e, 0xc2, 0, 0, 0,    0,
                                                  0,    0,    0,    0,    0, 0, 0x02, 0x54};
    bool zeros_in_front = true;
    for (std::size_t i = 0; i < 10; ++i) {
        zeros_in_front = zeros_in_front && bytes[i] == 0;
    }
    const std::uint32_t last = static_cast<std::uint32_t>(bytes[12]) << 24 |
                               static_cast<std::uint32_t>(bytes[13]) << 16 |
                               static_cast<std::uint32_t>(bytes[14]) << 8 | bytes[15];
    const bool mapped = zeros_in_front && bytes[10] == 0xff && bytes[11] == 0xff;
    const bool compatible = zeros_in_front && bytes[10] == 0 && bytes[11] == 0;
    const bool translated =
        bytes[0] == 0 && bytes[1] == 0x64 && bytes[2] == 0xff && bytes[3] == 0x9b;
    if (compatible && last == 1) {
        return false;  // ::1
    }
    return ((mapped || compatible || translated) && is_refused_v4(last)) ||
           (bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80) ||  // fe80::/10, link-local
           bytes[0] == 0xff ||                                 // multicast
           bytes == aws;
}

}  // namespace detail

/// Whether `host` is an address, in any notation that the C library takes ("169.254.43518",
/// "0xa9fea9fe"), to which we do not connect. Names are not looked up: of a name the answer is
/// false.
[[nodiscard]] inline bool is_refused_address(const std::string& host) {
    in_addr v4{};
    if (::inet_aton(host.c_str(), &v4) != 0) {
        return detail::is_refused_v4(ntohl(v4.s_addr));
    }
    in6_addr v6{};
    if (::inet_pton(AF_INET6, host.substr(0, host.find('%')).c_str(), &v6) == 1) {
        std::array<std::uint8_t, 16> bytes{};
        std::memcpy(bytes.data(), &v6, bytes.size());
        return detail::is_refused_v6(bytes);
    }
    return false;
}

}  // namespace fairing::net

// -------------------------------------------------------------------------------------------------------------
// fairing/net/redact.hpp - URLs, headers and foreign text made safe for logs and errors, by
// allowlist.

namespace fairing::net {

/// `text` on one line and at most `limit` bytes: control characters become '?', what is cut off
/// becomes "…".
[[nodiscard]] inline std::string printable(std::string_view text, std::size_t limit = 300) {
    std::string shown;
    for (const char c : text.substr(0, limit)) {
        const auto byte = static_cast<unsigned char>(c);
        shown += byte < 0x20 || byte == 0x7f ? '?' : c;
    }
    return text.size() > limit ? shown + "…" : shown;
}

/// A URL without user information and fragment, and with the values of all query parameters hidden
/// but those that are known to hold no secret. The text need not be a valid URL.
[[nodiscard]] inline std::string redact_url(std::string_view url) {
    constexpr std::array<std::string_view, 8> shown = {"digest", "mount",   "from", "service",
                                                       "scope",  "version", "tag",  "platform"};
    url = url.substr(0, url.find('#'));
    const std::size_t question = url.find('?');
    const std::string_view path = url.substr(0, question);
    std::string result;
    const std::size_t scheme_end = path.find("//");
    const std::size_t authority = scheme_end == std::string_view::npos ? 0 : scheme_end + 2;
    const std::size_t authority_end = std::min(path.find('/', authority), path.size());
    const std::size_t user_end = path.substr(0, authority_end).rfind('@');
    if (user_end != std::string_view::npos && user_end >= authority) {
        result = std::string{path.substr(0, authority)} + "***@";
        result += path.substr(user_end + 1);
    } else {
        result = path;
    }
    if (question != std::string_view::npos) {
        std::string_view query = url.substr(question + 1);
        char separator = '?';
        while (!query.empty()) {
            const std::string_view parameter = query.substr(0, query.find('&'));
            query.remove_prefix(std::min(parameter.size() + 1, query.size()));
            const std::size_t equals = parameter.find('=');
            const std::string_view name = parameter.substr(0, equals);
            result += separator;
            separator = '&';
            if (std::find(shown.begin(), shown.end(), name) != shown.end()) {
                result += parameter;
            } else if (equals == std::string_view::npos) {
                result += "***";
            } else {
                result += std::string{name} + "=***";
            }
        }
    }
    return printable(result, 1000);
}

/// "name: value", or "name: ***" unless the header is known to hold no secret.
[[nodiscard]] inline std::string redact_header(std::string_view name, std::string_view value) {
    constexpr std::array<std::string_view, 19> shown = {"accept",
                                                        "connection",
                                                        "content-length",
                                                        "content-range",
                                                        "content-type",
                                                        "date",
                                                        "digest",
                                                        "etag",
                                                        "docker-content-digest",
                                                        "host",
                                                        "last-modified",
                                                        "docker-distribution-api-version",
                                                        "range",
                                                        "retry-after",
                                                        "server",
                                                        "transfer-encoding",
                                                        "user-agent",
                                                        "vary",
                                                        "docker-upload-uuid"};
    std::string lower{name};
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    std::string result = printable(name, 100) + ": ";
    if (std::find(shown.begin(), shown.end(), lower) != shown.end()) {
        return result + printable(value);
    }
    return result + (lower == "location" ? redact_url(value) : "***");
}

}  // namespace fairing::net

// -------------------------------------------------------------------------------------------------------------
// fairing/net/retry.hpp - how often, and after how long, a request is sent again (RFC 9110, 10.2.3:
// Retry-After).

namespace fairing::net {

/// Five attempts, 1 s × 2 ± 20 %, never more than 60 s apart.
struct RetryPolicy {
    int attempts = 5;  ///< in total; 1 means no second one
    std::chrono::milliseconds first_delay = std::chrono::seconds{1};
    double factor = 2;
    double jitter = 0.2;
    std::chrono::milliseconds longest_delay = std::chrono::seconds{60};
    /// Numbers in [0, 1) for the jitter; empty means random ones. Called from several threads.
    std::function<double()> random = {};
};

/// Whether an answer with this status may be different next time.
[[nodiscard]] constexpr bool is_temporary(int status) noexcept {
    return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 ||
           status == 504;
}

namespace detail {

/// Digits of a fixed-width number; -1 when there is anything else.
[[nodiscard]] constexpr int number(std::string_view digits) noexcept {
    int value = 0;
    for (const char digit : digits) {
        if (digit < '0' || digit > '9') {
            return -1;
        }
        value = value * 10 + (digit - '0');
    }
    return digits.empty() ? -1 : value;
}

}  // namespace detail

/// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, 5.6.7, IMF-fixdate); nullopt for anything else.
[[nodiscard]] inline std::optional<std::chrono::system_clock::time_point> parse_http_date(
    std::string_view text) {
    constexpr std::string_view months = "JanFebMarAprMayJunJulAugSepOctNovDec";
    if (text.size() != 29 || text.substr(3, 2) != ", " || text[7] != ' ' || text[11] != ' ' ||
        text[16] != ' ' || text[19] != ':' || text[22] != ':' || text.substr(25) != " GMT") {
        return std::nullopt;
    }
    const std::size_t month = months.find(text.substr(8, 3));
    std::tm parts{};
    parts.tm_mday = detail::number(text.substr(5, 2));
    parts.tm_year = detail::number(text.substr(12, 4)) - 1900;
    parts.tm_hour = detail::number(text.substr(17, 2));
    parts.tm_min = detail::number(text.substr(20, 2));
    parts.tm_sec = detail::number(text.substr(23, 2));
    if (month == std::string_view::npos || month % 3 != 0 || parts.tm_mday < 1 ||
        parts.tm_mday > 31 || parts.tm_year < 0 || parts.tm_hour < 0 || parts.tm_hour > 23 ||
        parts.tm_min < 0 || parts.tm_min > 59 || parts.tm_sec < 0 || parts.tm_sec > 60) {
        return std::nullopt;
    }
    parts.tm_mon = static_cast<int>(month / 3);
    return std::chrono::system_clock::from_time_t(::timegm(&parts));
}

/// How long Retry-After asks to wait; nullopt when it is empty, nonsense or not in the future.
[[nodiscard]] inline std::optional<std::chrono::milliseconds> parse_retry_after(
    std::string_view text, std::chrono::system_clock::time_point now) {
    using std::chrono::milliseconds;
    if (text.size() <= 9 && detail::number(text) > 0) {
        return milliseconds{std::chrono::seconds{detail::number(text)}};
    }
    if (const auto date = parse_http_date(text); date && *date > now) {
        return std::chrono::duration_cast<milliseconds>(*date - now);
    }
    return std::nullopt;
}

/// The pause after the failed attempt number `attempt` (from 1). `retry_after` is the header's
/// value or empty; `random` is in [0, 1). Retry-After wins over the back-off; both are capped.
[[nodiscard]] inline std::chrono::milliseconds retry_delay(
    const RetryPolicy& policy, int attempt, std::string_view retry_after,
    std::chrono::system_clock::time_point now, double random) {
    if (const auto asked = parse_retry_after(retry_after, now)) {
        return std::min(*asked, policy.longest_delay);
    }
    const double longest = static_cast<double>(policy.longest_delay.count());
    const double plain = std::min(longest, static_cast<double>(policy.first_delay.count()) *
                                               std::pow(policy.factor, attempt - 1));
    const double spread = plain * (1 + policy.jitter * (2 * random - 1));
    return std::chrono::milliseconds{std::llround(std::clamp(spread, 0.0, longest))};
}

/// The same, with a random number of the policy's own.
[[nodiscard]] inline std::chrono::milliseconds retry_delay(
    const RetryPolicy& policy, int attempt, std::string_view retry_after,
    std::chrono::system_clock::time_point now) {
    thread_local std::minstd_rand engine{std::random_device{}()};
    const double random =
        policy.random ? policy.random() : std::uniform_real_distribution<double>{}(engine);
    return retry_delay(policy, attempt, retry_after, now, random);
}

}  // namespace fairing::net

// -------------------------------------------------------------------------------------------------------------
// fairing/net/status.hpp - status codes in words, and as kinds of error (RFC 9110, section 15).

namespace fairing::net {

/// "401 Unauthorized"; the bare number for codes without a name here.
[[nodiscard]] inline std::string status_text(int status) {
    const char* name = nullptr;
    switch (status) {
        case 200:
            name = "OK";
            break;
        case 201:
            name = "Created";
            break;
        case 202:
            name = "Accepted";
            break;
        case 204:
            name = "No Content";
            break;
        case 301:
            name = "Moved Permanently";
            break;
        case 302:
            name = "Found";
            break;
        case 303:
            name = "See Other";
            break;
        case 307:
            name = "Temporary Redirect";
            break;
        case 308:
            name = "Permanent Redirect";
            break;
        case 400:
            name = "Bad Request";
            break;
        case 401:
            name = "Unauthorized";
            break;
        case 403:
            name = "Forbidden";
            break;
        case 404:
            name = "Not Found";
            break;
        case 405:
            name = "Method Not Allowed";
            break;
        case 408:
            name = "Request Timeout";
            break;
        case 409:
            name = "Conflict";
            break;
        case 413:
            name = "Content Too Large";
            break;
        case 416:
            name = "Range Not Satisfiable";
            break;
        case 422:
            name = "Unprocessable Content";
            break;
        case 429:
            name = "Too Many Requests";
            break;
        case 500:
            name = "Internal Server Error";
            break;
        case 501:
            name = "Not Implemented";
            break;
        case 502:
            name = "Bad Gateway";
            break;
        case 503:
            name = "Service Unavailable";
            break;
        case 504:
            name = "Gateway Timeout";
            break;
        default:
            break;
    }
    return name == nullptr ? std::to_string(status) : std::to_string(status) + ' ' + name;
}

/// The kind of Error that an unwelcome status is.
[[nodiscard]] constexpr ErrorCode error_code(int status) noexcept {
    switch (status) {
        case 401:
        case 403:
        case 407:
            return ErrorCode::denied;
        case 404:
        case 410:
            return ErrorCode::not_found;
        case 409:
        case 412:
            return ErrorCode::conflict;
        case 405:
        case 501:
            return ErrorCode::unsupported;
        case 400:
        case 413:
        case 414:
        case 416:
        case 422:
            return ErrorCode::input;
        default:
            return ErrorCode::unavailable;
    }
}

}  // namespace fairing::net

// -------------------------------------------------------------------------------------------------------------
// fairing/net/transport.hpp - the one door to the network: a concept, and its type-erased value.

namespace fairing::net {

/// Sends one request and gives the answer, whatever its status; throws Error when there is none.
/// Called from several threads at once. `sink`, when set, gets a 2xx body piece by piece. Follows
/// no redirect and repeats nothing. A stop closes the connection and throws Cancelled.
template <class T>
concept Transport = requires(T& transport, const Request& request, const BodySink& sink,
                             std::stop_token stop) {
    { transport.send(request, sink, stop) } -> std::same_as<Response>;
};

/// Any transport, by value; copies share it. `std::ref(transport)` lends one that the caller keeps.
class AnyTransport {
public:
    AnyTransport() = default;

    template <class T>
    requires(!std::same_as<T, AnyTransport>) && Transport<T> AnyTransport(T transport)
        : send_([shared = std::make_shared<T>(std::move(transport))](
                    const Request& request, const BodySink& sink, std::stop_token stop) {
              return shared->send(request, sink, std::move(stop));
          }) {}

    template <Transport T>
    AnyTransport(std::reference_wrapper<T> transport)
        : send_([transport](const Request& request, const BodySink& sink, std::stop_token stop) {
              return transport.get().send(request, sink, std::move(stop));
          }) {}

    [[nodiscard]] Response send(const Request& request, const BodySink& sink = {},
                                std::stop_token stop = {}) const {
        return send_(request, sink, std::move(stop));
    }
    explicit operator bool() const noexcept { return static_cast<bool>(send_); }

private:
    std::function<Response(const Request&, const BodySink&, std::stop_token)> send_ = {};
};
static_assert(Transport<AnyTransport>);

}  // namespace fairing::net

// -------------------------------------------------------------------------------------------------------------
// fairing/net/url.hpp - http, https and http+unix URLs (RFC 3986), kept byte for byte.

namespace fairing::net {

/// An absolute URL in parts. Of http+unix the host is the socket's path, and the port is 0.
struct Url {
    std::string scheme = {};   ///< "http", "https" or "http+unix"
    std::string host = {};     ///< lower-case; an IPv6 address without its brackets
    std::uint16_t port = 0;    ///< always stated, 80 and 443 too
    std::string target = "/";  ///< path and query exactly as they were written; no fragment

    [[nodiscard]] bool is_unix() const noexcept { return scheme == "http+unix"; }
    [[nodiscard]] bool is_tls() const noexcept { return scheme == "https"; }
    /// "host", "host:5000" or "[::1]:5000": the Host header; the port only when it is not the
    /// scheme's own.
    [[nodiscard]] std::string authority() const {
        if (is_unix()) {
            return "localhost";
        }
        std::string result = host.find(':') == std::string::npos ? host : '[' + host + ']';
        if (port != (is_tls() ? 443 : 80)) {
            result += ':' + std::to_string(port);
        }
        return result;
    }
    /// "https://host:5000": what credentials are bound to.
    [[nodiscard]] std::string origin() const;
    [[nodiscard]] std::string text() const { return origin() + target; }
};

/// `text` with everything but unreserved characters (RFC 3986, 2.3) as %XX: a path segment or a
/// query value.
[[nodiscard]] inline std::string percent_encode(std::string_view text) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string result;
    for (const char c : text) {
        const bool unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                                (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
                                c == '~';
        if (unreserved) {
            result += c;
        } else {
            const auto byte = static_cast<unsigned char>(c);
            result += {'%', digits[byte >> 4U], digits[byte & 15U]};
        }
    }
    return result;
}

inline std::string Url::origin() const {
    return scheme + "://" + (is_unix() ? percent_encode(host) : authority());
}

/// Scheme, host and port are equal (RFC 6454, section 4).
[[nodiscard]] inline bool same_origin(const Url& a, const Url& b) noexcept {
    return a.scheme == b.scheme && a.host == b.host && a.port == b.port;
}

/// Whether the host names this machine: localhost, 127.0.0.0/8 or ::1.
[[nodiscard]] inline bool is_loopback(const Url& url) noexcept {
    const std::string& host = url.host;
    return url.is_unix() || host == "localhost" || host == "::1" ||
           (host.starts_with("127.") &&
            host.find_first_not_of("0123456789.") == std::string::npos &&
            std::count(host.begin(), host.end(), '.') == 3);
}

namespace detail {

[[nodiscard]] inline Error bad_url(std::string_view text, std::string answer) {
    return Error{ErrorCode::input,
                 {.attempted = "use URL",
                  .subject = '"' + redact_url(text) + '"',
                  .answer = std::move(answer)}};
}

[[nodiscard]] constexpr bool is_url_character(char c) noexcept {
    return c > 0x20 && c < 0x7f && c != '"' && c != '<' && c != '>' && c != '\\';
}

[[nodiscard]] constexpr char lower(char c) noexcept {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

[[nodiscard]] constexpr int hex_value(char c) noexcept {
    return c >= '0' && c <= '9'                 ? c - '0'
           : lower(c) >= 'a' && lower(c) <= 'f' ? lower(c) - 'a' + 10
                                                : -1;
}

[[nodiscard]] inline std::string percent_decode(std::string_view text, std::string_view url) {
    std::string result;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            result += text[i];
            continue;
        }
        const int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
        const int low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
        if (high < 0 || low < 0 || high * 16 + low == 0) {
            throw bad_url(url, "a % that is not followed by two hex digits of a non-zero byte");
        }
        result += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return result;
}

/// The path of RFC 3986, 5.2.4: without "." and ".." segments.
[[nodiscard]] inline std::string remove_dot_segments(std::string_view path) {
    std::string result;
    while (!path.empty()) {
        if (path.starts_with("/./") || path == "/.") {
            path = path == "/." ? "/" : path.substr(2);
        } else if (path.starts_with("/../") || path == "/..") {
            path = path == "/.." ? "/" : path.substr(3);
            const std::size_t slash = result.rfind('/');
            result.resize(slash == std::string::npos ? 0 : slash);
        } else {
            const std::size_t next = path.find('/', 1);
            result += path.substr(0, next);
            path = next == std::string_view::npos ? std::string_view{} : path.substr(next);
        }
    }
    return result;
}

[[nodiscard]] inline std::uint16_t parse_port(std::string_view digits, std::string_view url) {
    unsigned value = 0;
    for (const char digit : digits) {
        if (digit < '0' || digit > '9' || value > 65535) {
            throw bad_url(url, "the port is not a number from 1 to 65535");
        }
        value = value * 10 + static_cast<unsigned>(digit - '0');
    }
    if (value == 0 || value > 65535) {
        throw bad_url(url, "the port is not a number from 1 to 65535");
    }
    return static_cast<std::uint16_t>(value);
}

/// Host and port of `authority` into `url`, whose scheme is set.
inline void parse_authority(Url& url, std::string_view authority, std::string_view text) {
    if (authority.find('@') != std::string_view::npos) {
        throw bad_url(text, "it holds a user or password, which does not belong into a URL");
    }
    if (url.is_unix()) {
        url.host = percent_decode(authority, text);
        if (!url.host.starts_with('/') || url.host.size() > 107) {
            throw bad_url(text, "the socket is not an absolute path of at most 107 bytes");
        }
        return;
    }
    std::string_view rest;
    if (authority.starts_with('[')) {
        const std::size_t close = authority.find(']');
        url.host = authority.substr(1, close == std::string_view::npos ? 0 : close - 1);
        if (url.host.find_first_not_of("0123456789abcdefABCDEF:.") != std::string::npos ||
            url.host.find(':') == std::string::npos) {
            throw bad_url(text, "the host in brackets is not an IPv6 address");
        }
        rest = authority.substr(close + 1);
    } else {
        const std::size_t colon = std::min(authority.find(':'), authority.size());
        url.host = authority.substr(0, colon);
        rest = authority.substr(colon);
        if (url.host.empty() || url.host.size() > 253 ||
            !std::all_of(url.host.begin(), url.host.end(), [](char c) {
                return (lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '.' || c == '_';
            })) {
            throw bad_url(text, "the host is not a name or an address");
        }
    }
    std::transform(url.host.begin(), url.host.end(), url.host.begin(), lower);
    url.port = url.is_tls() ? 443 : 80;
    if (!rest.empty()) {
        if (rest.front() != ':') {
            throw bad_url(text, "the host is followed by something that is not a port");
        }
        if (rest.size() > 1) {
            url.port = parse_port(rest.substr(1), text);
        }
    }
}

/// The scheme in front of the first colon, in lower case; empty when `text` has none (RFC
/// 3986, 3.1).
[[nodiscard]] inline std::string scheme_of(std::string_view text) {
    const std::size_t end = text.find_first_of(":/?#");
    if (end == std::string_view::npos || end == 0 || text[end] != ':') {
        return {};
    }
    std::string scheme{text.substr(0, end)};
    std::transform(scheme.begin(), scheme.end(), scheme.begin(), lower);
    const bool valid =
        scheme[0] >= 'a' && scheme[0] <= 'z' &&
        scheme.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789+-.") == std::string::npos;
    return valid ? scheme : std::string{};
}

}  // namespace detail

/// An absolute URL. Throws Error{input}, in which no secret of the URL is shown.
[[nodiscard]] inline Url parse_url(std::string_view text) {
    if (text.size() > 16384 || !std::all_of(text.begin(), text.end(), detail::is_url_character)) {
        throw detail::bad_url(text, "it is too long or holds characters that must be encoded");
    }
    Url url;
    url.scheme = detail::scheme_of(text);
    if (url.scheme != "http" && url.scheme != "https" && !url.is_unix()) {
        throw detail::bad_url(text, "it does not begin with http://, https:// or http+unix://");
    }
    std::string_view rest = text.substr(url.scheme.size() + 1);
    if (!rest.starts_with("//")) {
        throw detail::bad_url(text, "it has no host");
    }
    rest.remove_prefix(2);
    rest = rest.substr(0, rest.find('#'));
    const std::size_t end = std::min(rest.find_first_of("/?"), rest.size());
    detail::parse_authority(url, rest.substr(0, end), text);
    url.target = rest.substr(end);
    if (!url.target.starts_with('/')) {
        url.target.insert(0, "/");
    }
    return url;
}

/// What `reference` (a Location header) means in an answer to `base` (RFC 3986, 5.2.2). The query
/// is kept byte for byte. Throws Error{input} like parse_url().
[[nodiscard]] inline Url resolve(const Url& base, std::string_view reference) {
    if (!std::all_of(reference.begin(), reference.end(), detail::is_url_character)) {
        throw detail::bad_url(reference, "it holds characters that must be encoded");
    }
    reference = reference.substr(0, reference.find('#'));
    Url url = base;
    std::string_view base_path = base.target;
    base_path = base_path.substr(0, base_path.find('?'));
    if (!detail::scheme_of(reference).empty()) {
        url = parse_url(reference);
    } else if (reference.starts_with("//")) {
        url = parse_url(base.scheme + ':' + std::string{reference});
    } else if (reference.starts_with('?')) {
        url.target = std::string{base_path} + std::string{reference};
        return url;
    } else if (reference.empty()) {
        return url;
    } else if (reference.starts_with('/')) {
        url.target = reference;
    } else {
        url.target = std::string{base_path.substr(0, base_path.rfind('/') + 1)};
        url.target += reference;
    }
    const std::size_t question = std::min(url.target.find('?'), url.target.size());
    std::string path =
        detail::remove_dot_segments(std::string_view{url.target}.substr(0, question));
    if (!path.starts_with('/')) {
        path.insert(0, "/");
    }
    url.target = path + url.target.substr(question);
    return url;
}

}  // namespace fairing::net

// -------------------------------------------------------------------------------------------------------------
// fairing/net/validation.hpp - what may go onto the wire (RFC 9110, sections 5 and 9; RFC 9112,
// section 3): nothing with a line break in it, and no header that would contradict how the body is
// framed.

namespace fairing::net {

/// Whether `text` is a token: a method, or the name of a header.
[[nodiscard]] constexpr bool is_token(std::string_view text) noexcept {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view{"!#$%&'*+-.^_`|~"}.find(c) != std::string_view::npos;
    });
}

/// Whether `text` may be the value of a header: no control characters, no white space at either
/// end.
[[nodiscard]] constexpr bool is_header_value(std::string_view text) noexcept {
    if (!text.empty() && (text.front() == ' ' || text.front() == '\t' || text.back() == ' ' ||
                          text.back() == '\t')) {
        return false;
    }
    return std::all_of(text.begin(), text.end(), [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
    });
}

/// The URL of a request that may be sent. Throws Error{usage} that names the part that may not, and
/// Error{input} for a URL that is none. Values of headers are never quoted.
inline Url validate(const Request& request) {
    const auto refuse = [&request](std::string answer) {
        return Error{ErrorCode::usage,
                     {.attempted = "send request to",
                      .subject = redact_url(request.url),
                      .answer = std::move(answer)}};
    };
    const Url url = parse_url(request.url);
    if (!is_token(request.method) || request.method == "CONNECT") {
        throw refuse("\"" + printable(request.method, 40) + "\" is no method that we send");
    }
    for (const auto& [name, value] : request.headers) {
        if (!is_token(name)) {
            throw refuse("\"" + printable(name, 100) + "\" is not the name of a header");
        }
        if (!is_header_value(value)) {
            throw refuse("the value of header " + name + " holds control characters");
        }
        std::string lower = name;
        std::transform(lower.begin(), lower.end(), lower.begin(), detail::lower);
        if (lower == "transfer-encoding" || lower == "connection" || lower == "expect" ||
            (lower == "content-length" && value != std::to_string(request.body.size))) {
            throw refuse("header " + name + " is set by the transport");
        }
    }
    if (request.body.size > 0 && !request.body.write) {
        throw refuse("a body of " + std::to_string(request.body.size) +
                     " bytes that can not be written");
    }
    return url;
}

}  // namespace fairing::net

// -------------------------------------------------------------------------------------------------------------
// fairing/net/exchange.hpp - one request and its final answer: redirects followed safely (RFC
// 9110, 15.4), failures that may pass repeated.

namespace fairing::net {

/// Which requests may be sent a second time. `automatic`: those whose method is idempotent (RFC
/// 9110, 9.2.2).
enum class Repeat { automatic, always, never };

/// What happens when the connection breaks after the sink got bytes. `fail`: the error is final.
/// `skip`: the body is the same bytes every time (content addressed), so the request is repeated
/// and what the sink already has is dropped. The sink never sees a byte twice.
enum class Partial { fail, skip };

struct ExchangeOptions {
    std::string attempted = "send request to";  ///< for errors: a verb phrase
    std::string subject = {};                   ///< what it is done to; empty means the URL
    RetryPolicy retry = {};
    Repeat repeat = Repeat::automatic;
    Partial partial = Partial::fail;
    int redirects = 10;  ///< of GET and HEAD; 0 gives a redirect back to the caller
    /// All attempts and pauses together; zero means no limit.
    std::chrono::milliseconds deadline = {};
};

/// A Response, and how it was come by.
struct Answer : Response {
    std::string url = {};  ///< that answered: the last one of a chain of redirects
    int attempts = 1;
};

namespace detail {

/// One URL after the other until an answer is no redirect.
class RedirectChain {
public:
    RedirectChain(const AnyTransport& transport, const ExchangeOptions& options,
                  const Control& control)
        : transport_(transport), options_(options), control_(control) {}

    [[nodiscard]] Answer follow(Request request, const BodySink& sink) const {
        const bool may_redirect =
            options_.redirects > 0 && (request.method == "GET" || request.method == "HEAD");
        Url url = validate(request);
        std::set<std::string> seen = {url.text()};
        for (int hops = 0;; ++hops) {
            Answer answer;
            static_cast<Response&>(answer) = transport_.send(request, sink, control_.stop);
            answer.url = request.url;
            control_.say(Level::debug, request.method + ' ' + redact_url(request.url) + ": " +
                                           status_text(answer.status));
            const bool redirect = answer.status == 301 || answer.status == 302 ||
                                  answer.status == 303 || answer.status == 307 ||
                                  answer.status == 308;
            if (!redirect || !may_redirect) {
                return answer;
            }
            if (hops == options_.redirects) {
                throw refuse(url, "more than " + std::to_string(hops) + " redirects");
            }
            Url next = target(url, header(answer.headers, "Location"));
            if (!seen.insert(next.text()).second) {
                throw refuse(url, "a redirect loop");
            }
            if (!same_origin(url, next)) {
                drop_secrets(request.headers);
            }
            request.url = next.text();
            url = std::move(next);
        }
    }

private:
    [[nodiscard]] static Error refuse(const Url& url, std::string answer) {
        return Error{ErrorCode::denied,
                     {.attempted = "follow redirect from",
                      .subject = redact_url(url.text()),
                      .answer = std::move(answer)}};
    }

    [[nodiscard]] static Url target(const Url& from, const std::string& location) {
        if (location.empty()) {
            throw refuse(from, "a redirect without a Location");
        }
        Url next = resolve(from, location);
        if (next.is_unix() != from.is_unix()) {
            throw refuse(from, "refused to leave for " + redact_url(next.text()));
        }
        if (from.is_tls() && !next.is_tls()) {
            throw refuse(from, "refused to go from https to http, " + redact_url(next.text()));
        }
        if (is_refused_address(next.host)) {
            throw refuse(from, "refused address " + next.host);
        }
        return next;
    }

    /// Only what says how to answer goes to another origin.
    static void drop_secrets(Headers& headers) {
        for (auto it = headers.begin(); it != headers.end();) {
            std::string name = it->first;
            std::transform(name.begin(), name.end(), name.begin(), lower);
            const bool harmless = name == "accept" || name == "accept-language" ||
                                  name == "range" || name == "user-agent";
            it = harmless ? std::next(it) : headers.erase(it);
        }
    }

    const AnyTransport& transport_;
    const ExchangeOptions& options_;
    const Control& control_;
};

/// Passes on to a sink, and counts; after a broken attempt drops what was passed on before.
class CountedSink {
public:
    explicit CountedSink(const BodySink& sink) : sink_(sink) {}

    void restart() noexcept { position_ = 0; }
    [[nodiscard]] std::uint64_t delivered() const noexcept { return delivered_; }

    [[nodiscard]] BodySink sink() {
        if (!sink_) {
            return {};
        }
        return [this](std::span<const std::byte> bytes) {
            const std::uint64_t known =
                std::min<std::uint64_t>(delivered_ - std::min(delivered_, position_), bytes.size());
            position_ += bytes.size();
            bytes = bytes.subspan(static_cast<std::size_t>(known));
            if (!bytes.empty()) {
                delivered_ += bytes.size();
                try {
                    sink_(bytes);
                } catch (...) {
                    failure_ = std::current_exception();
                    throw;
                }
            }
        };
    }
    /// What the sink itself threw is no failure of the network.
    void rethrow_own() const {
        if (failure_) {
            std::rethrow_exception(failure_);
        }
    }

private:
    const BodySink& sink_;
    std::uint64_t delivered_ = 0, position_ = 0;
    std::exception_ptr failure_ = {};
};

/// `body`, with what its own `write` throws kept in `failure`. What the transport throws through it
/// is not.
[[nodiscard]] inline Body watch_body(const Body& body, std::exception_ptr& failure) {
    if (!body.write) {
        return body;
    }
    return {.size = body.size, .write = [write = body.write, &failure](const BodySink& out) {
                bool from_transport = false;
                try {
                    write([&](std::span<const std::byte> bytes) {
                        try {
                            out(bytes);
                        } catch (...) {
                            from_transport = true;
                            throw;
                        }
                    });
                } catch (...) {
                    if (!from_transport) {
                        failure = std::current_exception();
                    }
                    throw;
                }
            }};
}

}  // namespace detail

/// Whether the policy allows to send this request again.
[[nodiscard]] inline bool may_repeat(const Request& request, Repeat repeat) noexcept {
    const std::string& method = request.method;
    return repeat == Repeat::always || (repeat == Repeat::automatic &&
                                        (method == "GET" || method == "HEAD" || method == "PUT" ||
                                         method == "DELETE" || method == "OPTIONS"));
}

/// Sends `request` and gives its last answer, whatever its status. Redirects of GET and HEAD are
/// followed; what holds a secret does not go to another origin. Connection errors, timeouts and
/// temporary statuses are repeated as `options` say; request.deadline bounds each attempt. Throws
/// Error that names the operation, the peer, the cause and the number of attempts when there is no
/// answer; what `sink` and the body
/// throw passes through unchanged and is not repeated.
[[nodiscard]] inline Answer exchange(const AnyTransport& transport, Request request,
                                     const ExchangeOptions& options, const Control& control,
                                     const BodySink& sink = {}) {
    using std::chrono::milliseconds;
    using std::chrono::steady_clock;
    if (!transport) {
        throw Error{ErrorCode::usage,
                    {.attempted = options.attempted,
                     .subject = options.subject,
                     .answer = "there is no transport",
                     .advice = "pass net::default_transport()"}};
    }
    const auto begin = steady_clock::now();
    const milliseconds each = request.deadline;
    const auto left = [&]() -> std::optional<milliseconds> {
        if (options.deadline.count() == 0) {
            return std::nullopt;
        }
        return std::chrono::duration_cast<milliseconds>(begin + options.deadline -
                                                        steady_clock::now());
    };
    const bool repeatable = may_repeat(request, options.repeat);
    const std::string peer = redact_url(parse_url(request.url).origin());
    const auto failure = [&](const Error& cause, int attempts) {
        Error::Details details = cause.details();
        const std::string& cause_subject = cause.details().subject;
        details.attempted = options.attempted;
        details.subject = options.subject.empty() ? redact_url(request.url) : options.subject;
        if (attempts > 1) {
            details.subject += " after " + std::to_string(attempts) + " attempts";
        }
        details.answer += " (" + (cause_subject.empty() ? peer : cause_subject) + ')';
        return Error{cause.code(), std::move(details)};
    };
    const detail::RedirectChain chain{transport, options, control};
    detail::CountedSink counted{sink};
    std::exception_ptr body_failure;
    request.body = detail::watch_body(request.body, body_failure);
    for (int attempt = 1;; ++attempt) {
        control.check(options.attempted + (options.subject.empty() ? "" : ' ' + options.subject));
        std::string retry_after, why;
        if (const auto rest = left()) {
            request.deadline = each.count() == 0 ? *rest : std::min(each, *rest);
        }
        try {
            counted.restart();
            Answer answer = chain.follow(request, counted.sink());
            answer.attempts = attempt;
            if (!is_temporary(answer.status) || !repeatable || attempt >= options.retry.attempts) {
                return answer;
            }
            retry_after = header(answer.headers, "Retry-After");
            why = status_text(answer.status);
        } catch (const Cancelled&) {
            throw;
        } catch (const Error& error) {
            counted.rethrow_own();
            if (body_failure) {
                std::rethrow_exception(body_failure);
            }
            const bool temporary =
                error.code() == ErrorCode::unavailable || error.code() == ErrorCode::timeout;
            const bool lost = counted.delivered() > 0 && options.partial == Partial::fail;
            if (!temporary || !repeatable || lost || attempt >= options.retry.attempts) {
                throw failure(error, attempt);
            }
            why = error.details().answer;
        }
        const milliseconds pause = retry_delay(options.retry, attempt, retry_after, control.now());
        if (const auto rest = left(); rest && *rest <= pause) {
            throw failure(
                Error{ErrorCode::timeout,
                      {.attempted = options.attempted,
                       .answer = "no success within " + std::to_string(options.deadline.count()) +
                                 " ms, last: " + why}},
                attempt);
        }
        control.say(Level::debug, options.attempted + ": attempt " + std::to_string(attempt) +
                                      " failed (" + why + "), again in " +
                                      std::to_string(pause.count()) + " ms");
        control.sleep(pause);
    }
}

}  // namespace fairing::net

// -------------------------------------------------------------------------------------------------------------
// fairing/core/secret.hpp - a text that neither prints nor converts.

namespace fairing {

/// Has no operator<<, no conversion and no comparison: reveal() is the one way out, and easy to
/// search for.
class Secret {
public:
    Secret() = default;
    explicit Secret(std::string value) : value_(std::move(value)) {}
    [[nodiscard]] const std::string& reveal() const noexcept { return value_; }
    [[nodiscard]] bool empty() const noexcept { return value_.empty(); }

private:
    std::string value_ = {};
};

}  // namespace fairing

// -------------------------------------------------------------------------------------------------------------
// fairing/core/credential.hpp - how a program hands us credentials of its own.

namespace fairing {

enum class Service { registry, kubernetes, aws, google, azure };

/// Who asks: a service, and the host as it is written in references ("registry.example:5000").
struct CredentialRequest {
    Service service = Service::registry;
    std::string host = {};
};

/// A user and password, or a token.
struct Credential {
    std::string user = {};
    Secret password = {};
    Secret token = {};
};

/// nullopt goes on to the built-in chain.
using CredentialsProvider = std::function<std::optional<Credential>(const CredentialRequest&)>;

}  // namespace fairing

// -------------------------------------------------------------------------------------------------------------
// fairing/codec/base64.hpp - Base64 with the standard alphabet (RFC 4648, section 4).

namespace fairing::codec {

namespace detail {

inline constexpr std::string_view base64_alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
inline constexpr std::uint8_t base64_foreign = 0xff;

inline constexpr auto base64_values = [] {
    std::array<std::uint8_t, 256> values = {};
    values.fill(base64_foreign);
    for (std::size_t i = 0; i < base64_alphabet.size(); ++i) {
        values[static_cast<unsigned char>(base64_alphabet[i])] = static_cast<std::uint8_t>(i);
    }
    return values;
}();

}  // namespace detail

/// With padding, in one line.
[[nodiscard]] inline std::string base64_encode(std::string_view bytes) {
    std::string text;
    text.reserve((bytes.size() + 2) / 3 * 4);
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        const std::string_view group = bytes.substr(i, 3);
        std::uint32_t bits = 0;
        for (std::size_t j = 0; j < 3; ++j) {
            bits = bits << 8 | (j < group.size() ? static_cast<unsigned char>(group[j]) : 0U);
        }
        for (std::size_t j = 0; j < 4; ++j) {
            text += j <= group.size() ? detail::base64_alphabet[bits >> (18 - 6 * j) & 63] : '=';
        }
    }
    return text;
}

/// Padding may be there or not, whole. Throws Error{input} on anything else, and on bits that no
/// encoder leaves; the error never quotes the text: it is often a credential.
[[nodiscard]] inline std::string base64_decode(std::string_view text) {
    const auto refuse = [](std::string answer) {
        throw Error{ErrorCode::input,
                    {.attempted = "decode", .subject = "Base64 text", .answer = std::move(answer)}};
    };
    if (text.size() % 4 == 0 && text.ends_with('=')) {
        text.remove_suffix(text.ends_with("==") ? 2 : 1);
    }
    if (text.size() % 4 == 1) {
        refuse("its length is impossible");
    }
    std::string bytes;
    bytes.reserve(text.size() / 4 * 3 + 2);
    std::uint32_t bits = 0;
    unsigned count = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const std::uint8_t value = detail::base64_values[static_cast<unsigned char>(text[i])];
        if (value == detail::base64_foreign) {
            refuse("character " + std::to_string(i + 1) + " is not of the alphabet");
        }
        bits = (bits << 6 | value) & 0xffffff;
        count += 6;
        if (count >= 8) {
            count -= 8;
            bytes += static_cast<char>(bits >> count & 0xff);
        }
    }
    if ((bits & ((1U << count) - 1)) != 0) {
        refuse("its last character is cut off");
    }
    return bytes;
}

}  // namespace fairing::codec

// -------------------------------------------------------------------------------------------------------------
// fairing/registry/challenge.hpp - WWW-Authenticate (RFC 9110, section 11.6.1): what a registry
// wants to see first.

namespace fairing::registry {

struct Challenge {
    std::string scheme = {};                             ///< lower-case: "bearer", "basic"
    std::map<std::string, std::string> parameters = {};  ///< names in lower case
    std::string token68 = {};

    [[nodiscard]] std::string parameter(const std::string& name) const {
        const auto found = parameters.find(name);
        return found == parameters.end() ? std::string{} : found->second;
    }
};

namespace detail {

/// Reads one header value from left to right.
class ChallengeReader {
public:
    explicit ChallengeReader(std::string_view text) : rest_(text) {}

    void read_into(std::vector<Challenge>& challenges) {
        for (skip(" \t,"); !rest_.empty(); skip(" \t,")) {
            const std::string name = token();
            const bool spaced = skip(" \t") > 0;
            if (rest_.starts_with('=')) {  // a further parameter of the challenge before
                if (challenges.empty() || !challenges.back().token68.empty()) {
                    fail("a parameter without a scheme");
                }
                parameter(challenges.back(), name);
                continue;
            }
            challenges.push_back({.scheme = lower(name)});
            if (spaced && !rest_.empty() && rest_.front() != ',') {
                after_scheme(challenges.back());
            }
        }
    }

private:
    [[noreturn]] static void fail(std::string answer) {
        throw Error{ErrorCode::input,
                    {.attempted = "read header",
                     .subject = "WWW-Authenticate",
                     .answer = std::move(answer)}};
    }
    static std::string lower(std::string text) {
        std::transform(text.begin(), text.end(), text.begin(), net::detail::lower);
        return text;
    }
    std::size_t skip(std::string_view characters) {
        const std::size_t count = std::min(rest_.find_first_not_of(characters), rest_.size());
        rest_.remove_prefix(count);
        return count;
    }
    std::string token() {
        std::size_t size = 0;
        while (size < rest_.size() && net::is_token(rest_.substr(size, 1))) {
            ++size;
        }
        if (size == 0) {
            fail("a character that can not be there");
        }
        std::string result{rest_.substr(0, size)};
        rest_.remove_prefix(size);
        return result;
    }
    /// The first thing behind a scheme: a token68, or the first of its parameters.
    void after_scheme(Challenge& challenge) {
        constexpr std::string_view token68 =
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/";
        const std::size_t size = std::min(rest_.find_first_not_of(token68), rest_.size());
        std::size_t end = std::min(rest_.find_first_not_of('=', size), rest_.size());
        const std::size_t next = std::min(rest_.find_first_not_of(" \t", end), rest_.size());
        if (size > 0 && (next == rest_.size() || rest_[next] == ',')) {
            challenge.token68 = rest_.substr(0, end);
            rest_.remove_prefix(next);
            return;
        }
        const std::string name = token();
        skip(" \t");
        if (!rest_.starts_with('=')) {
            fail("a word that is neither a parameter nor a scheme");
        }
        parameter(challenge, name);
    }
    /// From the '=' on.
    void parameter(Challenge& challenge, const std::string& name) {
        rest_.remove_prefix(1);
        skip(" \t");
        const std::string value = rest_.starts_with('"') ? quoted() : token_value();
        if (!challenge.parameters.emplace(lower(name), value).second) {
            fail("a parameter that is there twice");
        }
        skip(" \t");
        if (!rest_.empty() && rest_.front() != ',') {
            fail("something between two parameters that is no comma");
        }
    }
    /// A token; URLs without quotes are taken as well, because some registries send them.
    std::string token_value() {
        const std::size_t size = std::min(rest_.find_first_of(" \t,\""), rest_.size());
        if (size == 0) {
            fail("a parameter without a value");
        }
        std::string result{rest_.substr(0, size)};
        rest_.remove_prefix(size);
        return result;
    }
    std::string quoted() {
        std::string result;
        for (std::size_t i = 1; i < rest_.size(); ++i) {
            if (rest_[i] == '"') {
                rest_.remove_prefix(i + 1);
                return result;
            }
            if (rest_[i] == '\\' && ++i == rest_.size()) {
                break;
            }
            result += rest_[i];
        }
        fail("an unterminated quote");
    }

    std::string_view rest_;
};

}  // namespace detail

/// Every challenge of every WWW-Authenticate header, in order. Throws Error{input} on what is
/// malformed.
[[nodiscard]] inline std::vector<Challenge> parse_challenges(const net::Headers& headers) {
    std::vector<Challenge> challenges;
    for (const auto& [name, value] : headers) {
        if (!net::header({{name, "x"}}, "WWW-Authenticate").empty()) {
            std::vector<Challenge> more;
            detail::ChallengeReader{value}.read_into(more);
            challenges.insert(challenges.end(), more.begin(), more.end());
        }
    }
    return challenges;
}

/// Bearer when it is offered, else Basic, else nothing that we can do.
[[nodiscard]] inline std::optional<Challenge> choose_challenge(
    const std::vector<Challenge>& challenges) {
    for (const std::string_view scheme : {"bearer", "basic"}) {
        for (const Challenge& challenge : challenges) {
            if (challenge.scheme == scheme) {
                return challenge;
            }
        }
    }
    return std::nullopt;
}

}  // namespace fairing::registry

// -------------------------------------------------------------------------------------------------------------
// fairing/registry/credentials.hpp - who we are at a registry: what the program gives us, else
// Docker's config.json and containers-auth.json(5).

namespace fairing::registry {

/// What to show a registry, and where it is from.
struct Login {
    std::string user = {};
    Secret password = {};
    Secret identity_token = {};  ///< a refresh token, to be exchanged for bearer tokens
    Secret bearer_token = {};    ///< sent as it is
    std::string source = {};     ///< for errors: a file, or "the program"
};

/// The files that may hold credentials, in the order in which they are asked; whether they exist
/// does not matter.
[[nodiscard]] inline std::vector<std::filesystem::path> credential_files() {
    std::vector<std::filesystem::path> files;
    const auto add = [&files](const std::optional<std::string>& base, const char* rest) {
        if (base && !base->empty()) {
            files.push_back(*rest == '\0' ? std::filesystem::path{*base}
                                          : std::filesystem::path{*base} / rest);
        }
    };
    const auto home = env("HOME");
    if (const auto docker = env("DOCKER_CONFIG"); docker && !docker->empty()) {
        add(docker, "config.json");
    } else {
        add(home, ".docker/config.json");
    }
    add(env("REGISTRY_AUTH_FILE"), "");
    add(env("XDG_RUNTIME_DIR"), "containers/auth.json");
    if (const auto config = env("XDG_CONFIG_HOME"); config && !config->empty()) {
        add(config, "containers/auth.json");
    } else {
        add(home, ".config/containers/auth.json");
    }
    return files;
}

namespace detail {

[[nodiscard]] inline Error bad_credential_file(const std::filesystem::path& file,
                                               std::string answer,
                                               ErrorCode code = ErrorCode::input) {
    return Error{code,
                 {.attempted = "read credentials from",
                  .subject = file.string(),
                  .answer = std::move(answer)}};
}

/// The document in `file`; nullopt when there is no such file. No error quotes its contents.
[[nodiscard]] inline std::optional<Json> read_credential_file(const std::filesystem::path& file) {
    constexpr std::size_t largest = std::size_t{1} << 20;
    std::string text;
    try {
        text = read_file(file, largest);
    } catch (const Error& error) {
        if (error.code() == ErrorCode::not_found) {
            return std::nullopt;
        }
        throw bad_credential_file(file, error.details().answer, error.code());
    }
    Json document = parse_json(text, file.string());
    if (!document.is_object()) {
        throw bad_credential_file(file, "it is not a JSON object");
    }
    return document;
}

/// A key of `auths` as "host/path": without scheme and without the /v1/ or /v2/ that old clients
/// wrote.
[[nodiscard]] inline std::string normal_key(std::string_view key) {
    for (const std::string_view scheme : {"https://", "http://"}) {
        if (key.starts_with(scheme)) {
            key.remove_prefix(scheme.size());
        }
    }
    if (key.ends_with('/')) {
        key.remove_suffix(1);
    }
    if (const std::size_t slash = key.find('/');
        slash != std::string_view::npos &&
        (key.substr(slash) == "/v1" || key.substr(slash) == "/v2")) {
        key = key.substr(0, slash);
    }
    return std::string{key};
}

/// The names under which a repository's credentials may be kept, the most particular first.
[[nodiscard]] inline std::vector<std::string> credential_names(const std::string& host,
                                                               const std::string& repository) {
    constexpr std::array<const char*, 3> hub = {"docker.io", "index.docker.io",
                                                "registry-1.docker.io"};
    std::vector<std::string> hosts = {host};
    for (const char* name : hub) {
        if (host == name) {
            hosts.assign(hub.begin(), hub.end());
            break;
        }
    }
    std::vector<std::string> names;
    for (std::string path = '/' + repository;;) {
        for (const std::string& name : hosts) {
            names.push_back(path == "/" ? name : name + path);
        }
        if (path.empty()) {
            return names;
        }
        path.resize(path == "/" ? 0 : path.rfind('/'));
    }
}

/// What one entry of `auths` says; nullopt when it says nothing, as when a helper keeps the secret.
[[nodiscard]] inline std::optional<Login> read_entry(const Json& entry,
                                                     const std::filesystem::path& file) {
    Login login{.user = text_or(entry, "username"),
                .password = Secret{text_or(entry, "password")},
                .identity_token = Secret{text_or(entry, "identitytoken")},
                .bearer_token = Secret{text_or(entry, "registrytoken")},
                .source = file.string()};
    if (const std::string auth = text_or(entry, "auth"); !auth.empty()) {
        std::string pair;
        try {
            pair = codec::base64_decode(auth);
        } catch (const Error&) {
            throw bad_credential_file(file, "an `auth` entry is not Base64");
        }
        pair.resize(std::min(pair.find_last_not_of('\0') + 1, pair.size()));
        const std::size_t colon = pair.find(':');
        if (colon == std::string::npos) {
            throw bad_credential_file(file, "an `auth` entry holds no colon");
        }
        login.user = pair.substr(0, colon);
        login.password = Secret{pair.substr(colon + 1)};
    }
    const bool empty = login.user.empty() && login.password.empty() &&
                       login.identity_token.empty() && login.bearer_token.empty();
    return empty ? std::nullopt : std::optional<Login>{login};
}

/// Whether `document` leaves the secret of this host to a helper program.
[[nodiscard]] inline std::string helper_for(const Json& document,
                                            const std::vector<std::string>& names) {
    const Json helpers = document.value("credHelpers", Json());
    if (helpers.is_object()) {
        for (const auto& [key, helper] : helpers.items()) {
            for (const std::string& name : names) {
                if (normal_key(key) == name && helper.is_string()) {
                    return helper.get<std::string>();
                }
            }
        }
    }
    return text_or(document, "credsStore");
}

}  // namespace detail

/// What `file` holds for the repository, the whole repository's entry before its host's; nullopt
/// when there is no file or no entry. A credential helper that would be asked for this host is
/// reported as a warning. Throws Error that names the file when it can not be read or understood.
[[nodiscard]] inline std::optional<Login> find_login(const std::filesystem::path& file,
                                                     const std::string& host,
                                                     const std::string& repository,
                                                     const Control& control) {
    const std::optional<Json> document = detail::read_credential_file(file);
    if (!document) {
        return std::nullopt;
    }
    const std::vector<std::string> names = detail::credential_names(host, repository);
    const Json entries = document->value("auths", Json());
    if (entries.is_object()) {
        for (const std::string& name : names) {
            for (const auto& [key, entry] : entries.items()) {
                if (detail::normal_key(key) != name) {
                    continue;
                }
                if (auto login = detail::read_entry(entry, file)) {
                    return login;
                }
            }
        }
    }
    if (const std::string helper = detail::helper_for(*document, names); !helper.empty()) {
        control.say(Level::warning, file.string() + " leaves the credentials for " + host +
                                        " to the helper docker-credential-" + helper +
                                        ", which is not asked; continuing without it");
    }
    return std::nullopt;
}

/// What `provider` gives, else what the first of `files` with an entry holds; nullopt means
/// anonymous. A Credential whose user is "<token>" carries an identity token as its password, as
/// credential helpers do.
[[nodiscard]] inline std::optional<Login> find_login(
    const CredentialsProvider& provider, const std::vector<std::filesystem::path>& files,
    const std::string& host, const std::string& repository, const Control& control) {
    if (provider) {
        if (auto given = provider({.service = Service::registry, .host = host})) {
            Login login{.user = given->user, .bearer_token = given->token, .source = "the program"};
            (given->user == "<token>" ? login.identity_token : login.password) = given->password;
            if (given->user == "<token>") {
                login.user.clear();
            }
            return login;
        }
    }
    for (const std::filesystem::path& file : files) {
        if (auto login = find_login(file, host, repository, control)) {
            return login;
        }
    }
    return std::nullopt;
}

}  // namespace fairing::registry

// -------------------------------------------------------------------------------------------------------------
// fairing/registry/authenticator.hpp - the Authorization header for one registry: Basic, or bearer
// tokens from the token server that the registry names (distribution "Token Authentication
// Specification" and its OAuth2 form).

namespace fairing::registry {

/// Answers the challenges of one registry. Tokens are kept per scope. May be used from several
/// threads at once.
class Authenticator {
public:
    struct Options {
        net::AnyTransport transport = {};
        CredentialsProvider credentials = {};
        std::vector<std::filesystem::path> credential_files = {};
        net::RetryPolicy retry = {};
    };

    /// `host` as it is written in references; `registry` is where its API is.
    Authenticator(std::string host, std::string repository, net::Url registry, Options options)
        : host_(std::move(host)),
          repository_(std::move(repository)),
          registry_(std::move(registry)),
          options_(std::move(options)) {}

    /// The value of Authorization for requests that need `scopes`; empty as long as the registry
    /// has not asked.
    [[nodiscard]] std::string authorization(const std::vector<std::string>& scopes,
                                            const Control& control) {
        const std::lock_guard lock{mutex_};
        if (!challenge_) {
            return {};
        }
        if (challenge_->scheme == "basic") {
            return basic();
        }
        const auto held = tokens_.find(scopes);
        if (held != tokens_.end() && control.now() < held->second.expires) {
            return "Bearer " + held->second.value.reveal();
        }
        return fetch(scopes, control);
    }

    /// What to send instead of `refused`, after a 401 with these headers. Throws Error{denied} when
    /// there is nothing better, Error{input} for challenges that can not be read.
    [[nodiscard]] std::string refresh(const std::vector<std::string>& scopes,
                                      const std::string& refused, const net::Headers& headers,
                                      const Control& control) {
        const std::lock_guard lock{mutex_};
        const std::optional<Challenge> challenge = choose_challenge(parse_challenges(headers));
        if (!challenge) {
            throw denied("it asks for no authentication that we know (Bearer, Basic)");
        }
        challenge_ = challenge;
        if (!login_known_) {
            login_ = find_login(options_.credentials, options_.credential_files, host_, repository_,
                                control);
            login_known_ = true;
        }
        if (challenge_->scheme == "basic") {
            std::string value = basic();
            if (value.empty() || value == refused) {
                throw denied(value.empty() ? "it asks for a user and password, and there are none"
                                           : "user and password were refused");
            }
            return value;
        }
        const auto held = tokens_.find(scopes);
        if (held != tokens_.end() && "Bearer " + held->second.value.reveal() != refused) {
            return "Bearer " + held->second.value.reveal();  // another thread was quicker
        }
        tokens_.erase(scopes);
        return fetch(scopes, control);
    }

    /// What the user can do about a refusal.
    [[nodiscard]] std::string advice() const {
        const std::lock_guard lock{mutex_};
        return login_ ? "check the credentials for " + host_ + " in " + login_->source
                      : "no credentials for " + host_ + " were found: log in with `docker login " +
                            host_ + "` or `podman login " + host_ + '`';
    }

private:
    struct Token {
        Secret value = {};
        std::chrono::system_clock::time_point expires = {};
    };

    [[nodiscard]] Error denied(std::string answer) const {
        return Error{
            ErrorCode::denied,
            {.attempted = "authenticate at",
             .subject = host_,
             .answer = std::move(answer),
             .advice = login_ ? "check the credentials for " + host_ + " in " + login_->source
                              : "log in with `docker login " + host_ + '`'}};
    }
    [[nodiscard]] Error bad_realm(std::string answer) const {
        return Error{
            ErrorCode::denied,
            {.attempted = "get a token for", .subject = host_, .answer = std::move(answer)}};
    }

    [[nodiscard]] static std::string basic_value(const std::string& user, const Secret& password) {
        return "Basic " + codec::base64_encode(user + ':' + password.reveal());
    }
    [[nodiscard]] std::string basic() const {
        return login_ && !login_->user.empty() ? basic_value(login_->user, login_->password)
                                               : std::string{};
    }

    /// Where tokens come from; never anything that a registry must not make us contact.
    [[nodiscard]] net::Url realm() const {
        const std::string text = challenge_->parameter("realm");
        if (text.empty()) {
            throw bad_realm("its challenge names no realm");
        }
        net::Url url;
        try {
            url = net::parse_url(text);
        } catch (const Error& error) {
            throw bad_realm("its realm is refused: " + error.details().answer);
        }
        if (url.is_unix() || (registry_.is_tls() && !url.is_tls())) {
            throw bad_realm("its realm is not https: " + net::redact_url(text));
        }
        if (!url.is_tls() && url.host != registry_.host && !net::is_loopback(url)) {
            throw bad_realm("its realm is plain http on another host: " + net::redact_url(text));
        }
        if (net::is_refused_address(url.host)) {
            throw bad_realm("its realm is at the refused address " + url.host);
        }
        return url;
    }

    /// A new token for `scopes`, as the value of Authorization.
    std::string fetch(const std::vector<std::string>& scopes, const Control& control) {
        if (login_ && !login_->bearer_token.empty()) {
            return "Bearer " + login_->bearer_token.reveal();
        }
        const net::Url from = realm();
        const std::string subject = host_ + " from " + net::redact_url(from.text());
        const net::ExchangeOptions options{.attempted = "get a token for",
                                           .subject = subject,
                                           .retry = options_.retry,
                                           .repeat = net::Repeat::always};
        std::optional<net::Answer> answer;
        if (login_ && !login_->identity_token.empty()) {
            answer =
                net::exchange(options_.transport, post_request(from, scopes), options, control);
            if (answer->status == 404 || answer->status == 405) {
                answer.reset();
            }
        }
        if (!answer) {
            answer = net::exchange(options_.transport, get_request(from, scopes), options, control);
        }
        if (answer->status < 200 || answer->status > 299) {
            throw Error{
                net::error_code(answer->status),
                {.attempted = "get a token for",
                 .subject = subject,
                 .answer = net::status_text(answer->status),
                 .advice = login_ ? "check the credentials for " + host_ + " in " + login_->source
                                  : "log in with `docker login " + host_ + '`',
                 .http_status = answer->status}};
        }
        Token token = read_token(answer->body, subject, control);
        std::string value = "Bearer " + token.value.reveal();
        tokens_[scopes] = std::move(token);
        return value;
    }

    [[nodiscard]] net::Request base_request(const net::Url& from) const {
        return {.url = from.text(),
                .headers = {{"Accept", "application/json"}},
                .deadline = std::chrono::seconds{60},
                .max_body = std::uint64_t{1} << 20};
    }
    [[nodiscard]] net::Request get_request(const net::Url& from,
                                           const std::vector<std::string>& scopes) const {
        net::Request request = base_request(from);
        char separator = from.target.find('?') == std::string::npos ? '?' : '&';
        const auto add = [&](const char* name, const std::string& value) {
            request.url += separator + (name + ('=' + net::percent_encode(value)));
            separator = '&';
        };
        if (const std::string service = challenge_->parameter("service"); !service.empty()) {
            add("service", service);
        }
        for (const std::string& scope : scopes) {
            add("scope", scope);
        }
        if (const std::string value = basic(); !value.empty()) {
            request.headers.emplace("Authorization", value);
        } else if (login_ && !login_->identity_token.empty()) {
            request.headers.emplace("Authorization",
                                    basic_value("<token>", login_->identity_token));
        }
        return request;
    }
    [[nodiscard]] net::Request post_request(const net::Url& from,
                                            const std::vector<std::string>& scopes) const {
        std::string all;
        for (const std::string& scope : scopes) {
            all += (all.empty() ? "" : " ") + scope;
        }
        net::Request request = base_request(from);
        request.method = "POST";
        request.headers.emplace("Content-Type", "application/x-www-form-urlencoded");
        request.body = net::Body::of("grant_type=refresh_token&client_id=fairing&service=" +
                                     net::percent_encode(challenge_->parameter("service")) +
                                     "&scope=" + net::percent_encode(all) + "&refresh_token=" +
                                     net::percent_encode(login_->identity_token.reveal()));
        return request;
    }

    [[nodiscard]] Token read_token(const std::string& body, const std::string& subject,
                                   const Control& control) const {
        const Json document = parse_json(body, "the token for " + subject);
        std::string value = text_or(document, "token");
        if (value.empty()) {
            value = text_or(document, "access_token");
        }
        if (value.empty() || !net::is_header_value(value)) {
            throw bad_realm("the answer of " + net::redact_url(challenge_->parameter("realm")) +
                            " holds no token");
        }
        std::int64_t seconds = 60;
        if (document.contains("expires_in") && document["expires_in"].is_number_integer()) {
            seconds =
                std::clamp<std::int64_t>(document["expires_in"].get<std::int64_t>(), 60, 86400);
        }
        // A little early, so that it does not expire under way.
        return {.value = Secret{std::move(value)},
                .expires = control.now() + std::chrono::seconds{seconds - seconds / 10}};
    }

    const std::string host_, repository_;
    const net::Url registry_;
    const Options options_;
    mutable std::mutex mutex_;
    std::optional<Challenge> challenge_ = {};
    std::optional<Login> login_ = {};
    bool login_known_ = false;
    std::map<std::vector<std::string>, Token> tokens_ = {};
};

}  // namespace fairing::registry

// -------------------------------------------------------------------------------------------------------------
// fairing/registry/registry_error.hpp - what a registry says when it refuses (OCI
// distribution-spec, "Error Codes").

namespace fairing::registry {

/// A manifest was refused because the registry does not have these blobs (any more): upload them
/// once more.
class MissingBlobs : public Error {
public:
    MissingBlobs(Details details, std::vector<std::string> digests)
        : Error(ErrorCode::not_found, std::move(details)), digests_(std::move(digests)) {}
    /// Empty when the registry did not say which.
    [[nodiscard]] const std::vector<std::string>& digests() const noexcept { return digests_; }

private:
    std::vector<std::string> digests_;
};

namespace detail {

/// The `errors` array of an answer's body; an empty array when there is none.
[[nodiscard]] inline Json error_list(const std::string& body) {
    const Json document = Json::parse(body, nullptr, false);
    if (document.is_object() && document.contains("errors") && document["errors"].is_array()) {
        return document["errors"];
    }
    return Json::array();
}

}  // namespace detail

/// "CODE: message; CODE: message" out of the body of a refusal; empty when it is not in the
/// registries' form.
[[nodiscard]] inline std::string registry_message(const std::string& body) {
    std::string text;
    for (const Json& error : detail::error_list(body)) {
        std::string one = text_or(error, "code");
        const std::string message = text_or(error, "message");
        one += (one.empty() || message.empty() ? "" : ": ") + message;
        text += (text.empty() || one.empty() ? "" : "; ") + one;
    }
    return net::printable(text, 500);
}

/// The digests of blobs that a refused manifest names and the registry does not have; nullopt when
/// it was refused for another reason.
[[nodiscard]] inline std::optional<std::vector<std::string>> missing_blobs(
    const std::string& body) {
    std::optional<std::vector<std::string>> digests;
    for (const Json& error : detail::error_list(body)) {
        const std::string code = text_or(error, "code");
        if (code != "MANIFEST_BLOB_UNKNOWN" && code != "BLOB_UNKNOWN") {
            continue;
        }
        digests = digests.value_or(std::vector<std::string>{});
        const Json detail = error.value("detail", Json());
        for (const std::string& named :
             {detail.is_string() ? detail.get<std::string>() : text_or(detail, "digest"),
              text_or(detail, "Digest")}) {
            if (oci::is_digest(named)) {
                digests->push_back(named);
            }
        }
    }
    return digests;
}

/// The Error that an unwelcome answer is.
[[nodiscard]] inline Error::Details refusal(const net::Answer& answer, std::string attempted,
                                            std::string subject, std::string advice,
                                            int attempts = 0) {
    const std::string message = registry_message(answer.body);
    if (const int count = std::max(attempts, answer.attempts); count > 1) {
        subject += " after " + std::to_string(count) + " attempts";
    }
    return {.attempted = std::move(attempted),
            .subject = std::move(subject),
            .answer = net::status_text(answer.status) + (message.empty() ? "" : ": " + message),
            .advice = std::move(advice),
            .http_status = answer.status};
}

}  // namespace fairing::registry

// -------------------------------------------------------------------------------------------------------------
// fairing/registry/api.hpp - authenticated requests to the API of one repository (OCI
// distribution-spec).

namespace fairing::registry {

/// When a registry is spoken to without TLS. `loopback`: when its host is this machine; `insecure`:
/// always, but never at Docker Hub; `never`: not on loopback either.
enum class PlainHttp { loopback, insecure, never };

struct ClientOptions {
    net::AnyTransport transport = {};
    CredentialsProvider credentials = {};
    PlainHttp plain_http = PlainHttp::loopback;
    net::RetryPolicy retry = {};
    /// Where credentials are looked for after `credentials`; nullopt means credential_files().
    std::optional<std::vector<std::filesystem::path>> files = {};
};

/// What a token must allow.
enum class Access { pull, push };

class Api {
public:
    Api(const oci::Reference& reference, const ClientOptions& options)
        : reference_(reference),
          base_(base_url(reference, options.plain_http)),
          retry_(options.retry),
          transport_(Counting{options.transport, count_}),
          connected_(static_cast<bool>(options.transport)),
          authenticator_(reference.host, reference.repository, base_,
                         {.transport = transport_,
                          .credentials = options.credentials,
                          .credential_files = options.files ? *options.files : credential_files(),
                          .retry = options.retry}) {}

    [[nodiscard]] std::string name() const { return reference_.name(); }
    [[nodiscard]] const net::RetryPolicy& retry() const noexcept { return retry_; }
    [[nodiscard]] std::uint64_t requests() const noexcept { return *count_; }

    /// "https://host/v2/NAME/" + `path`.
    [[nodiscard]] std::string url(const std::string& path) const {
        return base_.origin() + "/v2/" + reference_.repository + '/' + path;
    }

    /// Tokens for this repository, and for reading `other` when it is not empty.
    [[nodiscard]] std::vector<std::string> scopes(Access access,
                                                  const std::string& other = {}) const {
        std::vector<std::string> result = {"repository:" + reference_.repository +
                                           (access == Access::push ? ":pull,push" : ":pull")};
        if (!other.empty()) {
            result.push_back("repository:" + other + ":pull");
        }
        return result;
    }

    /// exchange() with Authorization, which goes to the registry's own origin only. A 401 leads to
    /// one new token and one replay; a second one is an Error{denied}.
    [[nodiscard]] net::Answer call(net::Request request, const net::ExchangeOptions& options,
                                   const std::vector<std::string>& scopes, const Control& control,
                                   const net::BodySink& sink = {}) {
        if (!connected_) {
            return net::exchange({}, std::move(request), options, control);  // says what is missing
        }
        if (!is_ours(request.url)) {
            return net::exchange(transport_, std::move(request), options, control, sink);
        }
        std::string shown = authenticator_.authorization(scopes, control);
        authorize(request, shown);
        net::Answer answer = net::exchange(transport_, request, options, control, sink);
        if (answer.status != 401 || !is_ours(answer.url)) {
            return answer;
        }
        const std::string again = authenticator_.refresh(scopes, shown, answer.headers, control);
        authorize(request, again);
        answer = net::exchange(transport_, std::move(request), options, control, sink);
        if (answer.status == 401 && is_ours(answer.url)) {
            Error::Details details = refusal(answer, options.attempted, options.subject, advice());
            if (!shown.empty()) {
                details.answer += " (unauthorized after a token refresh)";
            }
            throw Error{ErrorCode::denied, std::move(details)};
        }
        return answer;
    }

    /// Where an answer sends us for an upload. Throws Error{denied} for a place where we do not go.
    [[nodiscard]] std::string location(const net::Answer& answer,
                                       const net::ExchangeOptions& options) const {
        const auto refuse = [&options](std::string why) {
            return Error{ErrorCode::denied,
                         {.attempted = options.attempted,
                          .subject = options.subject,
                          .answer = std::move(why)}};
        };
        const std::string text = net::header(answer.headers, "Location");
        if (text.empty()) {
            throw refuse("the registry answered without a Location");
        }
        net::Url url;
        try {
            url = net::resolve(net::parse_url(answer.url), text);
        } catch (const Error& error) {
            throw refuse("the registry's Location is refused: " + error.details().answer);
        }
        if (url.is_unix() || (base_.is_tls() && !url.is_tls())) {
            throw refuse("the registry's Location goes from https to http: " +
                         net::redact_url(url.text()));
        }
        if (net::is_refused_address(url.host)) {
            throw refuse("the registry's Location is at the refused address " + url.host);
        }
        return url.text();
    }

    /// The Error that an unwelcome answer is.
    [[nodiscard]] Error failure(const net::Answer& answer, const net::ExchangeOptions& options,
                                int attempts = 0) const {
        const bool login = answer.status == 401 || answer.status == 403;
        return Error{net::error_code(answer.status),
                     refusal(answer, options.attempted, options.subject,
                             login ? advice() : std::string{}, attempts)};
    }
    [[nodiscard]] std::string advice() const { return authenticator_.advice(); }

private:
    /// Counts every request, redirects and tokens too.
    struct Counting {
        net::AnyTransport inner;
        std::shared_ptr<std::atomic<std::uint64_t>> count;

        net::Response send(const net::Request& request, const net::BodySink& sink,
                           std::stop_token stop) const {
            ++*count;
            return inner.send(request, sink, std::move(stop));
        }
    };

    [[nodiscard]] static net::Url base_url(const oci::Reference& reference, PlainHttp plain) {
        if (reference.kind != oci::ReferenceKind::registry ||
            !oci::is_repository(reference.repository)) {
            throw Error{ErrorCode::usage,
                        {.attempted = "open",
                         .subject = reference.text(),
                         .answer = "it is not in a registry"}};
        }
        net::Url url = net::parse_url("https://" + reference.api_host() + '/');
        const bool hub = reference.api_host() != reference.host;
        if ((plain == PlainHttp::insecure && !hub) ||
            (plain == PlainHttp::loopback && net::is_loopback(url))) {
            url = net::parse_url("http://" + reference.api_host() + '/');
        }
        return url;
    }
    [[nodiscard]] bool is_ours(const std::string& url) const {
        return net::same_origin(net::parse_url(url), base_);
    }
    static void authorize(net::Request& request, const std::string& value) {
        request.headers.erase("Authorization");
        if (!value.empty()) {
            request.headers.emplace("Authorization", value);
        }
    }

    const oci::Reference reference_;
    const net::Url base_;
    const net::RetryPolicy retry_;
    const std::shared_ptr<std::atomic<std::uint64_t>> count_ =
        std::make_shared<std::atomic<std::uint64_t>>(0);
    const net::AnyTransport transport_;
    const bool connected_;
    Authenticator authenticator_;
};

}  // namespace fairing::registry

// -------------------------------------------------------------------------------------------------------------
// fairing/registry/upload_session.hpp - an upload under way (OCI distribution-spec, "Pushing a blob
// monolithically").

namespace fairing::registry {

/// An upload that was begun. The registry is told to forget it unless it was finished; that takes
/// at most ten seconds, and no failure of it matters. (docker-registry 2.8 forgets only an upload
/// that has no bytes yet: the state in our Location is the one before them. It purges the others by
/// itself after a week.)
class UploadSession {
public:
    UploadSession(Api& api, const Control& control, std::string location)
        : api_(&api), control_(control), location_(std::move(location)) {
        control_.stop = {};
        control_.progress = {};
    }
    UploadSession(UploadSession&& other) noexcept
        : api_(other.api_),
          control_(std::move(other.control_)),
          location_(std::exchange(other.location_, {})),
          interrupted_(other.interrupted_) {}
    UploadSession& operator=(UploadSession&& other) noexcept {
        std::swap(api_, other.api_);
        std::swap(control_, other.control_);
        std::swap(location_, other.location_);
        std::swap(interrupted_, other.interrupted_);
        return *this;
    }
    ~UploadSession() {
        if (location_.empty()) {
            return;
        }
        if (interrupted_) {
            control_.sleep(std::chrono::milliseconds{250});
        }
        try {
            (void)api_->call(
                {.method = "DELETE", .url = location_, .deadline = std::chrono::seconds{10}},
                {.attempted = "cancel upload", .repeat = net::Repeat::never},
                api_->scopes(Access::push), control_);
        } catch (...) {
            // the registry removes it some day
        }
    }
    [[nodiscard]] const std::string& location() const noexcept { return location_; }
    void finished() noexcept { location_.clear(); }
    /// Bytes are under way. A registry that finds out only now that the connection broke would
    /// write its state anew after the DELETE, so that one comes a moment later.
    void sending() noexcept { interrupted_ = true; }
    void answered() noexcept { interrupted_ = false; }

private:
    Api* api_;
    Control control_;
    std::string location_;
    bool interrupted_ = false;
};

}  // namespace fairing::registry

// -------------------------------------------------------------------------------------------------------------
// fairing/registry/client.hpp - one repository of a registry as a store (OCI distribution-spec:
// pull and push).

namespace fairing::registry {

/// Errors name the repository, the registry's own words and the number of attempts. A stop cancels
/// the upload at the registry too. Progress is in bytes, with step "push" or "pull" and the digest
/// as its item.
class Client final : public oci::Store {
public:
    Client(const oci::Reference& reference, const ClientOptions& options, Control control)
        : api_(reference, options), control_(std::move(control)) {}

    [[nodiscard]] std::optional<oci::RawManifest> find_manifest(
        const std::string& tag_or_digest) override {
        const net::ExchangeOptions options{
            .attempted = "read manifest", .subject = with(tag_or_digest), .retry = api_.retry()};
        const net::Answer answer =
            api_.call({.url = manifest_url(tag_or_digest),
                       .headers = {{"Accept", std::string{oci::media_type::accept}}},
                       .deadline = small_deadline,
                       .max_body = largest_manifest},
                      options, api_.scopes(Access::pull), control_);
        if (answer.status == 404) {
            return std::nullopt;
        }
        if (answer.status != 200) {
            throw api_.failure(answer, options);
        }
        const std::string type = net::header(answer.headers, "Content-Type");
        oci::RawManifest manifest{.media_type = type.substr(0, type.find_first_of("; \t")),
                                  .body = answer.body};
        const std::string got = oci::digest_of(manifest.body);
        if (oci::is_digest(tag_or_digest)) {
            check_digest(tag_or_digest, got, options);
        }
        if (const std::string stated = net::header(answer.headers, "Docker-Content-Digest");
            oci::is_digest(stated)) {
            check_digest(stated, got, options);
        }
        (void)oci::parse_manifest(manifest, with(tag_or_digest));
        return manifest;
    }

    void read_blob(const oci::Descriptor& blob, const net::BodySink& sink) override {
        const net::ExchangeOptions options{.attempted = "read blob",
                                           .subject = blob.digest + " of " + api_.name(),
                                           .retry = api_.retry(),
                                           .partial = net::Partial::skip};
        oci::Verifier verifier{blob.digest, blob.size, options.subject};
        std::uint64_t done = 0;
        const net::Answer answer = api_.call(
            {.url = blob_url(blob), .deadline = deadline_of(blob), .max_body = largest_error},
            options, api_.scopes(Access::pull), control_, [&](std::span<const std::byte> bytes) {
                verifier.update(bytes);
                sink(bytes);
                done += bytes.size();
                if (done < blob.size) {
                    show("pull", blob, done);
                }
            });
        if (answer.status != 200) {
            throw api_.failure(answer, options);
        }
        verifier.finish();
        show("pull", blob, blob.size);
    }

    oci::Transfer write_blob(const oci::Descriptor& blob, const net::Body& body,
                             const std::string& mount_from) override {
        if (!oci::is_digest(blob.digest) || body.size != blob.size) {
            throw Error{ErrorCode::usage,
                        {.attempted = "upload blob",
                         .subject = blob.digest,
                         .answer = "descriptor and body do not belong together"}};
        }
        oci::Transfer transfer = oci::Transfer::present;
        if (!has_blob(blob, api_.retry())) {
            std::optional<UploadSession> session;
            const bool mounted = !mount_from.empty() && mount(blob, mount_from, session);
            transfer = mounted ? oci::Transfer::mounted : oci::Transfer::uploaded;
            if (!mounted) {
                upload(blob, body, std::move(session));
            }
        }
        show("push", blob, blob.size);
        return transfer;
    }

    /// Throws MissingBlobs when the registry lacks a blob of it.
    void write_manifest(const oci::RawManifest& manifest, const std::string& tag) override {
        const std::string digest = oci::digest_of(manifest.body);
        const std::string& name = tag.empty() ? digest : tag;
        const net::ExchangeOptions options{.attempted = "push manifest",
                                           .subject = with(name),
                                           .retry = api_.retry(),
                                           .repeat = net::Repeat::never};
        const net::Request request{.method = "PUT",
                                   .url = manifest_url(name),
                                   .headers = {{"Content-Type", manifest.media_type}},
                                   .body = net::Body::of(manifest.body),
                                   .deadline = commit_time,
                                   .idle_timeout = commit_time,
                                   .max_body = largest_error};
        repeat(options, [&](int attempt) -> std::optional<net::Answer> {
            if (attempt > 1 && holds_manifest(name, digest)) {
                return std::nullopt;  // only the reply was lost
            }
            net::Answer answer = api_.call(request, options, api_.scopes(Access::push), control_);
            if (answer.status < 200 || answer.status > 299) {
                if (auto missing = missing_blobs(answer.body)) {
                    throw MissingBlobs{
                        refusal(answer, options.attempted, options.subject,
                                "the registry lost a blob that it had: push once more", attempt),
                        *std::move(missing)};
                }
                return answer;
            }
            check_stated_digest(answer, digest, options);
            return std::nullopt;
        });
    }

    [[nodiscard]] std::uint64_t requests() const noexcept override { return api_.requests(); }

private:
    static constexpr std::chrono::milliseconds small_deadline = std::chrono::seconds{60};
    /// Registries check and move what they got before they answer.
    static constexpr std::chrono::milliseconds commit_time = std::chrono::minutes{5};
    static constexpr std::uint64_t largest_manifest = std::uint64_t{4} << 20;
    static constexpr std::uint64_t largest_error = std::uint64_t{64} << 10;

    /// At least 64 KiB per second.
    [[nodiscard]] static std::chrono::milliseconds deadline_of(const oci::Descriptor& blob) {
        return commit_time + std::chrono::seconds{blob.size >> 16};
    }
    [[nodiscard]] std::string with(const std::string& tag_or_digest) const {
        return api_.name() + (oci::is_digest(tag_or_digest) ? '@' : ':') + tag_or_digest;
    }
    [[nodiscard]] std::string manifest_url(const std::string& tag_or_digest) const {
        if (!oci::is_digest(tag_or_digest) && !oci::is_tag(tag_or_digest)) {
            throw Error{ErrorCode::input,
                        {.attempted = "use tag",
                         .subject = '"' + net::printable(tag_or_digest) + '"',
                         .answer = "it is neither a tag nor a sha256 digest"}};
        }
        return api_.url("manifests/" + tag_or_digest);
    }
    [[nodiscard]] std::string blob_url(const oci::Descriptor& blob) const {
        return api_.url("blobs/sha256:" + oci::digest_hex(blob.digest));
    }
    void show(const char* step, const oci::Descriptor& blob, std::uint64_t done) const {
        control_.show({.step = step, .item = blob.digest, .done = done, .total = blob.size});
    }

    static void check_digest(const std::string& expected, const std::string& got,
                             const net::ExchangeOptions& options) {
        if (expected != got) {
            throw Error{ErrorCode::integrity,
                        {.attempted = options.attempted,
                         .subject = options.subject,
                         .answer = "digest mismatch: expected " + expected + ", got " + got}};
        }
    }
    /// After a push: does the registry say that it stored something else?
    static void check_stated_digest(const net::Answer& answer, const std::string& digest,
                                    const net::ExchangeOptions& options) {
        const std::string stated = net::header(answer.headers, "Docker-Content-Digest");
        if (oci::is_digest(stated)) {
            check_digest(digest, stated, options);
        }
    }

    /// Calls `once` until it gives nullopt: done. An answer that it gives is a failure; what is
    /// temporary, and what broke, is tried again as the policy says. `also` is one more status that
    /// is.
    template <class Once>
    void repeat(const net::ExchangeOptions& options, const Once& once) {
        const int most = api_.retry().attempts;
        for (int attempt = 1;; ++attempt) {
            control_.check(options.attempted + ' ' + options.subject);
            std::string retry_after, why;
            try {
                const std::optional<net::Answer> answer = once(attempt);
                if (!answer) {
                    return;
                }
                if (!net::is_temporary(answer->status) || attempt >= most) {
                    throw_final(api_.failure(*answer, options, attempt));
                }
                retry_after = net::header(answer->headers, "Retry-After");
                why = net::status_text(answer->status);
            } catch (const Final& final_failure) {
                std::rethrow_exception(final_failure.cause);
            } catch (const Cancelled&) {
                throw;
            } catch (const Error& error) {
                const bool temporary =
                    error.code() == ErrorCode::unavailable || error.code() == ErrorCode::timeout;
                if (!temporary) {
                    throw;
                }
                if (attempt >= most) {
                    Error::Details details = error.details();
                    details.subject +=
                        attempt > 1 ? " after " + std::to_string(attempt) + " attempts" : "";
                    throw Error{error.code(), std::move(details)};
                }
                why = error.details().answer;
            }
            const auto pause = net::retry_delay(api_.retry(), attempt, retry_after, control_.now());
            control_.say(Level::debug, options.attempted + ' ' + options.subject + ": attempt " +
                                           std::to_string(attempt) + " failed (" + why +
                                           "), again in " + std::to_string(pause.count()) + " ms");
            control_.sleep(pause);
        }
    }
    /// Carries an exception through repeat() as it is.
    struct Final {
        std::exception_ptr cause;
    };
    [[noreturn]] static void throw_final(const Error& error) {
        throw Final{std::make_exception_ptr(error)};
    }

    [[nodiscard]] bool has_blob(const oci::Descriptor& blob, const net::RetryPolicy& retry) {
        const net::ExchangeOptions options{.attempted = "look for blob",
                                           .subject = blob.digest + " in " + api_.name(),
                                           .retry = retry};
        const net::Answer answer =
            api_.call({.method = "HEAD", .url = blob_url(blob), .deadline = small_deadline},
                      options, api_.scopes(Access::push), control_);
        if (answer.status == 403 || net::is_temporary(answer.status)) {
            throw api_.failure(answer, options);
        }
        return answer.status == 200;
    }
    [[nodiscard]] bool holds_manifest(const std::string& name, const std::string& digest) {
        try {
            const net::Answer answer =
                api_.call({.method = "HEAD",
                           .url = manifest_url(name),
                           .headers = {{"Accept", std::string{oci::media_type::accept}}},
                           .deadline = small_deadline},
                          {.attempted = "look for manifest",
                           .subject = with(name),
                           .repeat = net::Repeat::never},
                          api_.scopes(Access::push), control_);
            return answer.status == 200 &&
                   net::header(answer.headers, "Docker-Content-Digest") == digest;
        } catch (const Cancelled&) {
            throw;
        } catch (const Error&) {
            return false;
        }
    }

    /// True when the registry took the blob out of its repository `from`. When it began an upload
    /// instead, that is in `session`. Whatever else happens means a plain upload.
    [[nodiscard]] bool mount(const oci::Descriptor& blob, const std::string& from,
                             std::optional<UploadSession>& session) {
        const net::ExchangeOptions options{.attempted = "mount blob",
                                           .subject = blob.digest + " from " + from,
                                           .repeat = net::Repeat::never};
        try {
            const net::Answer answer = api_.call(
                {.method = "POST",
                 .url = api_.url("blobs/uploads/?mount=" + net::percent_encode(blob.digest) +
                                 "&from=" + net::percent_encode(from)),
                 .deadline = small_deadline},
                options, api_.scopes(Access::push, from), control_);
            if (answer.status == 202) {
                session.emplace(api_, control_, api_.location(answer, options));
            }
            return answer.status == 201;
        } catch (const Cancelled&) {
            throw;
        } catch (const Error& error) {
            control_.say(Level::debug, std::string{error.what()} + "; it is uploaded");
            return false;
        }
    }

    void upload(const oci::Descriptor& blob, const net::Body& body,
                std::optional<UploadSession> begun) {
        const net::ExchangeOptions options{.attempted = "upload blob",
                                           .subject = blob.digest + " to " + api_.name(),
                                           .retry = api_.retry(),
                                           .repeat = net::Repeat::never};
        repeat(options, [&](int attempt) -> std::optional<net::Answer> {
            if (attempt > 1 && arrived(blob)) {
                return std::nullopt;  // only the reply was lost
            }
            net::Answer refusal;
            std::optional<UploadSession> session = std::exchange(begun, std::nullopt);
            if (!session) {
                session = begin_upload(options, refusal);
                if (!session) {
                    return refusal;
                }
            }
            session->sending();
            net::Answer answer = put_blob(*session, blob, body, options);
            session->answered();
            if (answer.status < 200 || answer.status > 299) {
                if (answer.status == 404 ||
                    answer.status == 416) {  // the session is gone: begin again
                    session->finished();
                    throw Error{ErrorCode::unavailable,
                                {.attempted = options.attempted,
                                 .subject = options.subject,
                                 .answer = api_.failure(answer, options).details().answer}};
                }
                return answer;
            }
            session->finished();
            check_stated_digest(answer, blob.digest, options);
            return std::nullopt;
        });
    }
    [[nodiscard]] bool arrived(const oci::Descriptor& blob) {
        try {
            return has_blob(blob, {.attempts = 1});
        } catch (const Cancelled&) {
            throw;
        } catch (const Error&) {
            return false;
        }
    }
    /// nullopt leaves the registry's answer in `refusal`.
    [[nodiscard]] std::optional<UploadSession> begin_upload(const net::ExchangeOptions& options,
                                                            net::Answer& refusal) {
        net::Answer answer = api_.call(
            {.method = "POST", .url = api_.url("blobs/uploads/"), .deadline = small_deadline},
            options, api_.scopes(Access::push), control_);
        if (answer.status != 202) {
            refusal = std::move(answer);
            return std::nullopt;
        }
        return UploadSession{api_, control_, api_.location(answer, options)};
    }
    [[nodiscard]] net::Answer put_blob(const UploadSession& session, const oci::Descriptor& blob,
                                       const net::Body& body, const net::ExchangeOptions& options) {
        const char separator = session.location().find('?') == std::string::npos ? '?' : '&';
        const net::Body shown{.size = body.size, .write = [&](const net::BodySink& sink) {
                                  std::uint64_t done = 0;
                                  body.write([&](std::span<const std::byte> bytes) {
                                      sink(bytes);
                                      done += bytes.size();
                                      if (done < blob.size) {
                                          show("push", blob, done);
                                      }
                                  });
                              }};
        std::exception_ptr own;
        try {
            return api_.call({.method = "PUT",
                              .url = session.location() + separator +
                                     "digest=" + net::percent_encode(blob.digest),
                              .headers = {{"Content-Type", "application/octet-stream"}},
                              .body = net::detail::watch_body(shown, own),
                              .deadline = deadline_of(blob),
                              .idle_timeout = commit_time,
                              .max_body = largest_error},
                             options, api_.scopes(Access::push), control_);
        } catch (const Error&) {
            if (own) {
                throw Final{own};  // the body's own trouble is not the network's
            }
            throw;
        }
    }

    Api api_;
    Control control_;
};

}  // namespace fairing::registry

// -------------------------------------------------------------------------------------------------------------
// fairing/registry/open.hpp - the store that a reference names: a registry's repository or an image
// layout.

namespace fairing::registry {

/// Throws Error{usage} for `scratch`, which holds nothing.
[[nodiscard]] inline std::unique_ptr<oci::Store> open_store(const oci::Reference& reference,
                                                            const ClientOptions& options,
                                                            const Control& control) {
    switch (reference.kind) {
        case oci::ReferenceKind::registry:
            return std::make_unique<Client>(reference, options, control);
        case oci::ReferenceKind::layout:
            return std::make_unique<oci::Layout>(reference.repository);
        case oci::ReferenceKind::scratch:
            break;
    }
    throw Error{ErrorCode::usage,
                {.attempted = "open", .subject = "scratch", .answer = "it names no image"}};
}

}  // namespace fairing::registry

// -------------------------------------------------------------------------------------------------------------
// fairing/stage/image.hpp - what a builder made: an image by digest, and where it lies. Data, no
// I/O.

namespace fairing {

enum class Origin { base, cached, built };
using oci::Transfer;

struct Layer {
    std::string digest = {}, diff_id = {}, media_type = {};
    std::uint64_t size = 0, uncompressed_size =
                                0;  ///< bytes; of a base layer the second is 0, we never unpack it
    Origin origin = Origin::built;
    Transfer transfer = Transfer::none;
    double seconds = 0;  ///< to build and to transfer it
};

/// Where an image lies decides who can run it: a cluster pulls `registry` only.
enum class Location { registry, layout, engine, nowhere };

/// What the build cost, for reports.
struct BuildFigures {
    double build_seconds = 0, push_seconds = 0;
    std::uint64_t bytes_read = 0, bytes_compressed = 0, bytes_uploaded = 0, requests = 0;
};

struct Image {
    std::string reference = {};  ///< repo:tag@sha256:… or oci:DIR@sha256:…
    std::string digest = {};     ///< of the manifest
    Location location = Location::registry;
    std::vector<Layer> layers = {};
    std::vector<std::string> command = {};
    std::map<std::string, std::string> environment = {};
    std::string working_directory = "/app/";
    std::string platform = {};  ///< os/architecture[/variant]
    std::string tag = {};
    std::string context_digest = {};  ///< 64 hex digits: the same context, the same digest
    BuildFigures figures = {};
};

}  // namespace fairing

// -------------------------------------------------------------------------------------------------------------
// fairing/stage/session.hpp - what a call may use of the world around it.

namespace fairing {

inline namespace FAIRING_ABI {

/// A cheap value, passed by const reference; {} is silent, can not be stopped, and uses our own
/// transport.
struct Session {
    std::stop_token stop = {};
    LogSink log = {};        ///< what we say
    OutputSink output = {};  ///< what the workload says
    ProgressSink progress = {};
    Clock clock = {};
    net::AnyTransport transport = {};
    CredentialsProvider credentials = {};
    std::filesystem::path cache_directory = {};

    /// The part that the lower levels use.
    [[nodiscard]] Control control() const {
        return {.stop = stop, .log = log, .progress = progress, .clock = clock};
    }
    /// The same session with every sink called by one thread at a time.
    [[nodiscard]] Session ordered() const {
        Session copy = *this;
        copy.log = serialized(copy.log);
        copy.output = serialized(copy.output);
        copy.progress = serialized(copy.progress);
        return copy;
    }
};

/// Prints: the workload's lines to stdout, our log (info and above) to stderr.
[[nodiscard]] inline Session console_session(std::stop_token stop = {}) {
    return {.stop = std::move(stop),
            .log =
                [](const LogRecord& record) {
                    if (record.level != Level::debug) {
                        std::cerr << record.text << '\n';
                    }
                },
            .output = [](const OutputLine& line) { std::cout << line.text << std::endl; }};
}

}  // inline namespace FAIRING_ABI

}  // namespace fairing

// -------------------------------------------------------------------------------------------------------------
// fairing/stage/workload.hpp - a name for something that runs elsewhere: state, output, end,
// removal.

namespace fairing {

/// `none`: an empty handle.
enum class State { none, pending, running, ready, succeeded, failed, removed };

struct Outcome {
    State state = State::none;
    int exit_code = 0;                   ///< the workload's own
    std::string reason = {};             ///< one sentence; empty for success
    std::vector<std::string> tail = {};  ///< the last lines of its output
};

/// The workload ended badly. Its outcome holds the exit code, the reason and the last lines.
class WorkloadError : public Error {
public:
    WorkloadError(Details details, Outcome outcome)
        : Error(ErrorCode::workload_failed, std::move(details)),
          outcome_(std::make_shared<const Outcome>(std::move(outcome))) {}
    [[nodiscard]] const Outcome& outcome() const noexcept { return *outcome_; }

private:
    std::shared_ptr<const Outcome> outcome_;
};

struct ObjectName {
    std::string api_version = {}, kind = {}, namespace_ = {}, name = {};
};

/// What a deployer started. Copies name the same thing, every member may be called from any thread,
/// and the end of a handle ends nothing; remove() does, or a RemoveOnExit. (A local process is the
/// exception: it ends with its last handle.)
class Workload {
public:
    /// What a deployer implements.
    struct Model {
        virtual ~Model() = default;
        [[nodiscard]] virtual ObjectName name() const = 0;
        /// The state now; does not wait.
        [[nodiscard]] virtual Outcome poll(std::stop_token stop) = 0;
        /// Gives every line to `sink` until the end, or readiness. Throws Cancelled on a stop, and
        /// leaves it running.
        virtual Outcome follow(const OutputSink& sink, std::stop_token stop) = 0;
        /// Ends it and removes everything that was made for it; doing so twice is no error.
        virtual void remove(std::stop_token stop) = 0;
        [[nodiscard]] virtual std::string url() const { return {}; }
        // NOLINTNEXTLINE(performance-unnecessary-value-param): by value, as in its siblings
        virtual Json call(const Json& /*input*/, std::stop_token /*stop*/) { return {}; }
    };

    Workload() =
        default;  ///< what start() and run() give inside the job: every member does nothing
    explicit Workload(std::shared_ptr<Model> model) : model_(std::move(model)) {}
    explicit operator bool() const noexcept { return model_ != nullptr; }

    [[nodiscard]] ObjectName object() const { return model_ ? model_->name() : ObjectName{}; }
    [[nodiscard]] Outcome status(std::stop_token stop = {}) const {
        return model_ ? model_->poll(std::move(stop)) : Outcome{};
    }
    /// Until finished, or ready for what never finishes; never throws for a failed workload.
    Outcome wait(std::stop_token stop = {}) const { return follow({}, std::move(stop)); }
    Outcome follow(const OutputSink& sink, std::stop_token stop = {}) const {
        return model_ ? model_->follow(sink, std::move(stop)) : Outcome{};
    }
    void remove(std::stop_token stop = {}) const {
        if (model_) {
            model_->remove(std::move(stop));
        }
    }

protected:
    std::shared_ptr<Model> model_ = {};
};

/// A workload that answers. Adds members, no state: as a Workload nothing is lost.
class Endpoint : public Workload {
public:
    using Workload::Workload;
    [[nodiscard]] std::string url() const { return model_ ? model_->url() : std::string{}; }
    [[nodiscard]] Json predict(const Json& input, std::stop_token stop = {}) const {
        return model_ ? model_->call(input, std::move(stop)) : Json{};
    }
};

/// Removes a workload at the end of a scope, unless told to keep it.
class RemoveOnExit {
public:
    [[nodiscard]] explicit RemoveOnExit(Workload workload, LogSink log = {})
        : workload_(std::move(workload)), log_(std::move(log)) {}
    RemoveOnExit(RemoveOnExit&& other) noexcept
        : workload_(std::exchange(other.workload_, {})), log_(std::move(other.log_)) {}
    RemoveOnExit& operator=(RemoveOnExit&&) = delete;
    ~RemoveOnExit() {
        try {
            workload_.remove();
        } catch (const std::exception& error) {
            report(error.what());
        }
    }
    void keep() noexcept { workload_ = {}; }

private:
    void report(const char* reason) const noexcept {
        try {
            if (log_) {
                log_({.level = Level::warning, .text = reason});
            }
        } catch (...) {
            // a destructor has nowhere to put it
        }
    }

    Workload workload_;
    LogSink log_;
};

}  // namespace fairing

// -------------------------------------------------------------------------------------------------------------
// fairing/stage/concepts.hpp - the three stages and what each gives to the next: Context → Image →
// Workload.

namespace fairing {

/// Decides what is packaged and which command runs it. Reads files, writes none that it does not
/// own.
template <class T>
concept Preprocessor = requires(const T& stage, const Session& session) {
    { stage.prepare(session) } -> std::same_as<Context>;
};

/// Turns a context into an image that a deployer can name by digest.
template <class T>
concept Builder = requires(const T& stage, const Context& context, const Session& session) {
    { stage.build(context, session) } -> std::same_as<Image>;
};

/// Starts the image; the workload lives on when the handle goes, unless it is a process of this
/// machine.
template <class T>
concept Deployer = requires(const T& stage, const Image& image, const Session& session) {
    { stage.deploy(image, session) } -> std::derived_from<Workload>;
};

/// A deployer that can say beforehand, without I/O, what it would create.
template <class T>
concept Renderer = requires(const T& stage, const Image& image, const Session& session) {
    { stage.manifests(image, session) } -> std::same_as<std::vector<Json>>;
};

}  // namespace fairing

// -------------------------------------------------------------------------------------------------------------
// fairing/stage/fields.hpp - one table per stage: the name, meaning and place of every field. JSON
// options, the command line and --help are all derived from it, so that a field is written once.

namespace fairing {

/// One member of a stage. `name` is the JSON key: the member's name without a trailing underscore.
/// `option` is the name on the command line, where it is not "--" and the key with dashes.
template <class Stage, class Member>
struct Field {
    std::string_view name;
    Member Stage::*member;
    std::string_view help;
    std::string_view option = {};
};

/// For Field::option: the field is not on the command line.
inline constexpr std::string_view not_an_option = "-";

template <class Stage, class Member>
[[nodiscard]] constexpr Field<Stage, Member> field(std::string_view name, Member Stage::*member,
                                                   std::string_view help,
                                                   std::string_view option = {}) {
    return {.name = name, .member = member, .help = help, .option = option};
}

/// The table of a stage: a std::tuple of Field, specialised beside the stage.
template <class Stage>
inline constexpr std::nullptr_t fields = nullptr;

/// The names of an enumeration's values: an array of pairs, specialised beside the enumeration.
template <class Enumeration>
inline constexpr std::nullptr_t value_names = nullptr;

/// The one of `names` that is nearest to `text` by edit distance, or "" when none is near.
[[nodiscard]] inline std::string nearest_name(std::string_view text,
                                              const std::vector<std::string>& names) {
    std::string best;
    std::size_t best_distance = 1 + text.size() / 3;
    for (const std::string& name : names) {
        std::vector<std::size_t> row(name.size() + 1);
        for (std::size_t j = 0; j < row.size(); ++j) {
            row[j] = j;
        }
        for (std::size_t i = 1; i <= text.size(); ++i) {
            std::size_t diagonal = std::exchange(row[0], i);
            for (std::size_t j = 1; j < row.size(); ++j) {
                const std::size_t changed = diagonal + (text[i - 1] == name[j - 1] ? 0 : 1);
                diagonal = row[j];
                row[j] = std::min({row[j] + 1, row[j - 1] + 1, changed});
            }
        }
        if (row.back() <= best_distance) {
            best_distance = row.back();
            best = name;
        }
    }
    return best;
}

/// "unknown; it has a, b, c" with the nearest name first when one is near.
[[nodiscard]] inline Error unknown_name(std::string attempted, std::string subject,
                                        std::string_view given,
                                        const std::vector<std::string>& names) {
    std::string all;
    for (const std::string& name : names) {
        all += (all.empty() ? "" : ", ") + name;
    }
    const std::string near = nearest_name(given, names);
    return Error{
        ErrorCode::usage,
        {.attempted = std::move(attempted),
         .subject = std::move(subject),
         .answer = "unknown name \"" + std::string{given} + '"',
         .advice = (near.empty() ? "" : "did you mean " + near + "? ") + "there is " + all}};
}

namespace detail {

template <class T>
void read_value(const Json& value, T& target) {
    if constexpr (std::is_enum_v<T>) {
        std::vector<std::string> names;
        for (const auto& [name, one] : value_names<T>) {
            if (value.is_string() && value.get_ref<const std::string&>() == name) {
                target = one;
                return;
            }
            names.emplace_back(name);
        }
        throw unknown_name("choose", "a value",
                           value.is_string() ? value.get<std::string>() : value.dump(), names);
    } else if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
        const auto number = value.is_number_integer() ? value.get<std::int64_t>()
                                                      : std::numeric_limits<std::int64_t>::min();
        if (number < std::numeric_limits<T>::min() || number > std::numeric_limits<T>::max()) {
            throw Json::type_error::create(302, "not a whole number of this size", &value);
        }
        target = static_cast<T>(number);
    } else if constexpr (std::is_same_v<T, std::filesystem::path>) {
        target = value.get<std::string>();
    } else {
        target = value.get<T>();
    }
}

/// A list of texts; one text alone is a list of one. For types that are made from a text, such as
/// Input.
template <class T>
requires std::is_constructible_v<T, std::string>
void read_value(const Json& value, std::vector<T>& target) {
    target.clear();
    if (value.is_string()) {
        target.emplace_back(value.get<std::string>());
        return;
    }
    for (const std::string& text : value.get<std::vector<std::string>>()) {
        target.emplace_back(text);
    }
}

template <class T>
[[nodiscard]] constexpr std::string_view expected() {
    if constexpr (std::is_same_v<T, bool>) {
        return "true or false";
    } else if constexpr (std::is_integral_v<T>) {
        return "a whole number";
    } else if constexpr (std::is_same_v<T, std::map<std::string, std::string>>) {
        return "an object of texts";
    } else if constexpr (std::is_enum_v<T> || std::is_constructible_v<std::string, T> ||
                         std::is_same_v<T, std::filesystem::path>) {
        return "a text";
    } else {
        return "a list of texts";
    }
}

}  // namespace detail

/// The keys of a stage's JSON options.
template <class Stage>
[[nodiscard]] std::vector<std::string> field_names() {
    std::vector<std::string> names;
    std::apply([&names](const auto&... each) { (names.emplace_back(each.name), ...); },
               fields<Stage>);
    return names;
}

/// A stage with the members that `options` names; the rest keep their defaults. Throws Error{usage}
/// that lists the keys there are for an unknown key, and names the key and what it takes for a
/// value of another type.
template <class Stage>
[[nodiscard]] Stage stage_from(const Json& options, const std::string& stage_name) {
    Stage stage;
    if (!options.is_object()) {
        throw Error{ErrorCode::usage,
                    {.attempted = "read the options of",
                     .subject = stage_name,
                     .answer = "not a JSON object"}};
    }
    for (const auto& [key, value] : options.items()) {
        bool known = false;
        const auto read = [&, &key = key, &value = value](const auto& field) {
            if (field.name != key) {
                return;
            }
            known = true;
            auto& target = stage.*field.member;
            try {
                detail::read_value(value, target);
            } catch (const Json::exception&) {
                throw Error{
                    ErrorCode::usage,
                    {.attempted = "read option " + key + " of",
                     .subject = stage_name,
                     .answer = "it takes " +
                               std::string{
                                   detail::expected<std::remove_reference_t<decltype(target)>>()} +
                               ", not " + value.type_name()}};
            }
        };
        std::apply([&read](const auto&... each) { (read(each), ...); }, fields<Stage>);
        if (!known) {
            throw unknown_name("read the options of", stage_name, key, field_names<Stage>());
        }
    }
    return stage;
}

}  // namespace fairing

// -------------------------------------------------------------------------------------------------------------
// fairing/net/deep_thread.hpp - a thread with a large stack, which the caller waits for and can
// have interrupted.
//
// cpp-httplib matches the first line of an answer with std::regex, which recurses per character: a
// hostile peer that sends a long line overflows an ordinary stack. 64 MiB of address space is
// enough for the longest line that it reads.

namespace fairing::net {

/// Runs `work` in a thread of its own, joined by the destructor.
class DeepThread {
public:
    using Deadline = std::optional<std::chrono::steady_clock::time_point>;

    /// Throws Error{internal} when the system has no thread for us.
    explicit DeepThread(std::function<void()> work) : work_(std::move(work)) {
        constexpr std::size_t stack = std::size_t{64} << 20;
        pthread_attr_t attributes;
        ::pthread_attr_init(&attributes);
        ::pthread_attr_setstacksize(&attributes, stack);
        const int failure = ::pthread_create(&thread_, &attributes, &DeepThread::main, this);
        ::pthread_attr_destroy(&attributes);
        if (failure != 0) {
            throw system_error(failure, "start", "a thread", ErrorCode::internal);
        }
    }
    DeepThread(const DeepThread&) = delete;
    DeepThread& operator=(const DeepThread&) = delete;
    ~DeepThread() { join(); }

    /// Waits for the end of the work, but not longer than until a stop or the deadline. Whether it
    /// has ended.
    [[nodiscard]] bool wait(std::stop_token stop, Deadline deadline) {
        std::unique_lock lock{mutex_};
        const auto ended = [this] { return ended_; };
        return deadline ? changed_.wait_until(lock, stop, *deadline, ended)
                        : changed_.wait(lock, stop, ended);
    }
    /// Waits for the end, and throws what the work threw.
    void finish() {
        join();
        if (failure_) {
            std::rethrow_exception(std::exchange(failure_, nullptr));
        }
    }

private:
    static void* main(void* self) {
        static_cast<DeepThread*>(self)->run();
        return nullptr;
    }
    void run() {
        std::exception_ptr failure;
        try {
            work_();
        } catch (...) {
            failure = std::current_exception();
        }
        const std::lock_guard lock{mutex_};
        failure_ = failure;
        ended_ = true;
        changed_.notify_all();
    }
    void join() noexcept {
        if (!std::exchange(joined_, true)) {
            ::pthread_join(thread_, nullptr);
        }
    }

    std::function<void()> work_;
    std::mutex mutex_;
    std::condition_variable_any changed_;
    std::exception_ptr failure_ = {};
    bool ended_ = false, joined_ = false;
    pthread_t thread_{};
};

}  // namespace fairing::net

// -------------------------------------------------------------------------------------------------------------
// fairing/net/resolve_host.hpp - the addresses of a host, by the C library's resolver, without
// waiting for ever.

namespace fairing::net {

namespace detail {

struct Lookup {
    int error = 0;
    std::vector<std::string> addresses = {};
};

/// Numeric addresses of `host`, in the resolver's order, without repetition.
[[nodiscard]] inline Lookup look_up(const std::string& host, int flags) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = flags;
    addrinfo* list = nullptr;
    Lookup result;
    result.error = ::getaddrinfo(host.c_str(), nullptr, &hints, &list);
    for (const addrinfo* entry = result.error == 0 ? list : nullptr; entry != nullptr;
         entry = entry->ai_next) {
        std::array<char, NI_MAXHOST> text{};
        if (::getnameinfo(entry->ai_addr, entry->ai_addrlen, text.data(),
                          static_cast<socklen_t>(text.size()), nullptr, 0, NI_NUMERICHOST) == 0) {
            result.addresses.emplace_back(text.data());
        }
    }
    if (list != nullptr) {
        ::freeaddrinfo(list);
    }
    return result;
}

}  // namespace detail

/// At least one numeric address. Throws Error{not_found} for a name that does not exist,
/// Error{unavailable} when the resolver fails, Error{timeout} after `limit`, Cancelled on a stop. A
/// look-up that is given up ends by itself in a thread of its own: the resolver can not be
/// interrupted.
[[nodiscard]] inline std::vector<std::string> resolve_host(const std::string& host,
                                                           std::chrono::milliseconds limit,
                                                           const std::stop_token& stop) {
    const auto refuse = [&host](ErrorCode code, std::string answer) {
        return Error{
            code,
            {.attempted = "find the address of", .subject = host, .answer = std::move(answer)}};
    };
    detail::Lookup lookup = detail::look_up(host, AI_NUMERICHOST);
    if (lookup.error != 0) {
        struct Shared {
            std::mutex mutex;
            std::condition_variable_any changed;
            std::optional<detail::Lookup> result;
        };
        const auto shared = std::make_shared<Shared>();
        std::thread{[shared, host] {
            detail::Lookup found = detail::look_up(host, AI_ADDRCONFIG);
            if (found.error != 0) {
                found = detail::look_up(host, 0);  // localhost, on a machine without a network
            }
            const std::lock_guard lock{shared->mutex};
            shared->result = std::move(found);
            shared->changed.notify_all();
        }}.detach();
        std::unique_lock lock{shared->mutex};
        shared->changed.wait_for(lock, stop, limit, [&] { return shared->result.has_value(); });
        if (!shared->result) {
            if (stop.stop_requested()) {
                throw Cancelled{ErrorCode::cancelled,
                                {.attempted = "find the address of",
                                 .subject = host,
                                 .answer = "stopped on request"}};
            }
            throw refuse(ErrorCode::timeout, "no answer from the resolver");
        }
        lookup = *std::move(shared->result);
    }
    if (lookup.error != 0 || lookup.addresses.empty()) {
        const bool unknown = lookup.error == EAI_NONAME;
        throw refuse(unknown ? ErrorCode::not_found : ErrorCode::unavailable,
                     lookup.error == 0 ? "it has none" : ::gai_strerror(lookup.error));
    }
    return std::move(lookup.addresses);
}

}  // namespace fairing::net

// -------------------------------------------------------------------------------------------------------------
// fairing/net/sigpipe.hpp - a closed connection is an error code, not the end of the program.

namespace fairing::net {

/// Blocks SIGPIPE in this thread; one that our writes caused meanwhile is taken away again. The
/// disposition of the process is not touched.
class SigpipeBlock {
public:
    SigpipeBlock() noexcept {
        sigset_t pending;
        ::sigemptyset(&pending);
        ::sigpending(&pending);
        was_pending_ = ::sigismember(&pending, SIGPIPE) == 1;
        ::sigemptyset(&pipe_);
        ::sigaddset(&pipe_, SIGPIPE);
        ::pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
    }
    SigpipeBlock(const SigpipeBlock&) = delete;
    SigpipeBlock& operator=(const SigpipeBlock&) = delete;
    ~SigpipeBlock() {
        const timespec no_time{};
        while (!was_pending_ && ::sigtimedwait(&pipe_, nullptr, &no_time) == SIGPIPE) {
        }
        ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }

private:
    sigset_t pipe_{}, before_{};
    bool was_pending_ = false;
};

}  // namespace fairing::net

// -------------------------------------------------------------------------------------------------------------
// fairing/net/httplib_transport.hpp - our transport: HTTP/1.1 (RFC 9112) through cpp-httplib,
// guarded. The only header that includes httplib.
//
// Of cpp-httplib this uses the connection, TLS and the parser. Redirects, encodings and retries are
// ours, and so are the request line and the headers on the wire: cpp-httplib would write queries
// anew.

#if defined(CPPHTTPLIB_HTTPLIB_H) && FAIRING_TLS && !defined(CPPHTTPLIB_OPENSSL_SUPPORT)
#error \
    "httplib.h was included before fairing without CPPHTTPLIB_OPENSSL_SUPPORT: define it, or FAIRING_TLS=0"
#endif
#if !FAIRING_TLS && defined(CPPHTTPLIB_OPENSSL_SUPPORT)
#error \
    "FAIRING_TLS is 0, but CPPHTTPLIB_OPENSSL_SUPPORT is defined: make them agree in all translation units"
#endif
#if FAIRING_TLS && !defined(CPPHTTPLIB_OPENSSL_SUPPORT)
#define CPPHTTPLIB_OPENSSL_SUPPORT
#endif

#include <httplib.h>

// These came with 0.41 or shortly before; the version itself is a text, which only the compiler can
// compare.
#if !defined(CPPHTTPLIB_VERSION_NUM) || !defined(CPPHTTPLIB_EXPECT_100_THRESHOLD)
#error \
    "cpp-httplib is older than 0.41: it writes CR LF into headers (CVE-2026-21428) and sends credentials along \
redirects to other hosts; install 0.41 or newer"
#endif

namespace fairing::net {

namespace detail {

/// The minor number of "0.41.0"; 1000 from 1.0 on.
[[nodiscard]] constexpr int httplib_minor(std::string_view version) noexcept {
    if (!version.starts_with("0.")) {
        return 1000;
    }
    int minor = 0;
    for (std::size_t i = 2; i < version.size() && version[i] != '.'; ++i) {
        minor = minor * 10 + (version[i] - '0');
    }
    return minor;
}
static_assert(httplib_minor(CPPHTTPLIB_VERSION) >= 41,
              "cpp-httplib is older than 0.41: it writes CR LF into headers (CVE-2026-21428) and "
              "sends credentials "
              "along redirects to other hosts; install 0.41 or newer");

}  // namespace detail

inline namespace FAIRING_ABI {

/// Whether certificates of https peers are checked. `off` is for tests and broken networks only.
enum class Verification { full, off };

/// Whether link-local, unspecified and metadata addresses are refused after the look-up of a name,
/// before connecting. Only clients of a cloud's metadata service turn it off.
enum class AddressGuard { on, off };

struct HttplibOptions {
    std::string ca_file = {};  ///< PEM; trusted instead of the system's certificates
    Verification verification = Verification::full;
    AddressGuard addresses = AddressGuard::on;
    std::chrono::milliseconds connect_timeout = std::chrono::seconds{10};  ///< each address
    std::size_t idle_connections = 8;                                      ///< kept per origin
    std::chrono::milliseconds idle_lifetime = std::chrono::seconds{30};
};

}  // inline namespace FAIRING_ABI

namespace detail {
inline namespace FAIRING_ABI {

using SteadyTime = std::chrono::steady_clock::time_point;

/// One connection to one origin. The socket has a second descriptor, ours: shutting it down ends
/// whatever the connection waits for, and it can not be reused by somebody else meanwhile.
class Connection {
public:
    Connection(const Url& url, const HttplibOptions& options, const std::string& address)
        : url_(url) {
        if (url.is_unix()) {
            client_ = std::make_unique<httplib::ClientImpl>(url.host, 80);
            client_->set_address_family(AF_UNIX);
        } else if (url.is_tls()) {
            make_tls_client(options);
        } else {
            client_ = std::make_unique<httplib::ClientImpl>(url.host, url.port);
        }
        if (!url.is_unix()) {
            client_->set_hostname_addr_map({{url.host, address}});
            client_->set_tcp_nodelay(true);
        }
        client_->set_keep_alive(true);
        client_->set_follow_location(false);
        client_->set_decompress(false);
        client_->set_path_encode(false);
        set_timeout(options.connect_timeout, [this](time_t seconds, time_t microseconds) {
            client_->set_connection_timeout(seconds, microseconds);
        });
        client_->set_socket_options([this](int socket) { adopt(socket); });
        client_->set_header_writer([this](httplib::Stream& stream, httplib::Headers& headers) {
            return write_head(stream, headers);
        });
        client_->set_error_logger(
            [this](const httplib::Error&, const httplib::Request*) { last_errno_ = errno; });
    }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    /// Sends and receives. `head` is what goes before the body. The result says whether a whole
    /// answer came.
    bool send(httplib::Request& request, httplib::Response& response, httplib::Error& error,
              std::string head, std::chrono::milliseconds idle) {
        head_ = std::move(head);
        heads_written_ = 0;
        last_errno_ = 0;
        errno = 0;
        set_timeout(idle, [this](time_t seconds, time_t microseconds) {
            client_->set_read_timeout(seconds, microseconds);
            client_->set_write_timeout(seconds, microseconds);
        });
        return client_->send(request, response, error);
    }
    /// From any thread: whatever this connection does ends with an error.
    void abort() noexcept {
        const std::lock_guard lock{mutex_};
        aborted_ = true;
        if (socket_) {
            ::shutdown(socket_.get(), SHUT_RDWR);
        }
    }
    [[nodiscard]] bool head_written() const noexcept { return heads_written_ > 0; }
    [[nodiscard]] bool reusable() const { return !aborted_ && client_->is_socket_open() != 0; }
    [[nodiscard]] int last_errno() const noexcept { return last_errno_; }

    /// What OpenSSL has to say about a failed handshake; empty when the peer just went away.
    [[nodiscard]] std::string tls_reason() const {
#if FAIRING_TLS
        if (!tls_reason_.empty()) {
            return tls_reason_;
        }
        if (const std::uint64_t code = Backend::error(*client_); code != 0) {
            const std::string text =
                httplib::tls::error_string(code);  // "error:0A:SSL routines::x"
            const std::size_t colons = text.rfind("::");
            const std::string reason = colons == std::string::npos ? text : text.substr(colons + 2);
            return reason.starts_with("unexpected eof") ? "" : reason;
        }
#endif
        return {};
    }

private:
    void make_tls_client([[maybe_unused]] const HttplibOptions& options) {
#if FAIRING_TLS
        auto client = std::make_unique<httplib::SSLClient>(url_.host, url_.port);
        const bool verify = options.verification == Verification::full;
        client->enable_server_certificate_verification(verify);
        client->enable_server_hostname_verification(verify);
        if (!options.ca_file.empty()) {
            client->set_ca_cert_path(options.ca_file);
        }
        if (verify) {
            client->set_session_verifier([this](httplib::tls::session_t session) {
                if (const long code = httplib::tls::get_verify_result(session); code != 0) {
                    tls_reason_ = httplib::tls::verify_error_string(code);
                }
                return httplib::SSLVerifierResponse::NoDecisionMade;
            });
        }
        client_ = std::move(client);
#else
        throw Error{ErrorCode::unsupported,
                    {.attempted = "reach",
                     .subject = url_.origin(),
                     .answer = "this program was built without TLS (FAIRING_TLS=0)"}};
#endif
    }

    template <class Setter>
    static void set_timeout(std::chrono::milliseconds value, Setter setter) {
        constexpr std::chrono::milliseconds endless = std::chrono::hours{24 * 365};
        const auto chosen = value.count() > 0 ? std::min(value, endless) : endless;
        setter(static_cast<time_t>(chosen.count() / 1000),
               static_cast<time_t>(chosen.count() % 1000 * 1000));
    }

    /// Called with a new socket, before it connects.
    void adopt(int socket) {
        const std::lock_guard lock{mutex_};
        if (aborted_) {
            ::close(socket);
            throw Error{ErrorCode::cancelled,
                        {.attempted = "reach", .subject = url_.origin(), .answer = "given up"}};
        }
        socket_ = UniqueFd{::fcntl(socket, F_DUPFD_CLOEXEC, 3)};
    }

    /// Puts our own request line and headers where cpp-httplib collects its own.
    ssize_t write_head(httplib::Stream& stream, httplib::Headers& headers) {
        auto* buffer = dynamic_cast<httplib::detail::BufferStream*>(&stream);
        if (aborted_ || heads_written_++ > 0 || buffer == nullptr || !headers.contains("Host")) {
            return -1;  // cpp-httplib repeats a request by itself when TLS was closed: not here
        }
        const_cast<std::string&>(buffer->get_buffer()) = head_;
        return static_cast<ssize_t>(head_.size());
    }

#if FAIRING_TLS
    struct Backend : httplib::ClientImpl {
        static std::uint64_t error(const httplib::ClientImpl& client) {
            return client.*(&Backend::last_backend_error_);
        }
    };
#endif

    Url url_;
    std::unique_ptr<httplib::ClientImpl> client_;
    std::string head_ = {}, tls_reason_ = {};
    std::atomic<bool> aborted_ = false;
    int heads_written_ = 0, last_errno_ = 0;
    std::mutex mutex_;
    UniqueFd socket_;
};

/// How a call came to its end: by itself, or aborted by us.
enum class End { own, stopped, expired };

/// One request on one connection: what cpp-httplib calls back, and what its outcome means.
class Call {
public:
    Call(const Request& request, const Url& url, const BodySink& sink)
        : request_(request), url_(url), sink_(sink), active_(std::chrono::steady_clock::now()) {
        wire_.method = request.method;
        wire_.path = "/";
        wire_.headers.emplace("Host", url.authority());
        wire_.headers.emplace("Accept", "*/*");
        wire_.headers.emplace("Expect", "");  // none, and cpp-httplib does not add its own
        wire_.response_handler = [this](const httplib::Response& head) { return begin(head); };
        wire_.content_receiver = [this](const char* data, std::size_t size, std::size_t,
                                        std::size_t) { return receive(data, size); };
        if (request.body.size > 0) {
            wire_.content_length_ = static_cast<std::size_t>(request.body.size);
            wire_.content_provider_ = [this](std::size_t offset, std::size_t,
                                             httplib::DataSink& out) {
                return offset == 0 && write_body(out);
            };
        }
    }

    /// Whether a usable answer came.
    bool run(Connection& connection) {
        httplib::Error error = httplib::Error::Success;
        complete_ = connection.send(wire_, answer_, error, head(), request_.idle_timeout);
        error_ = error;
        return complete_;
    }
    /// The answer, or the Error that there is instead.
    [[nodiscard]] Response outcome(const Connection& connection, End end) {
        if (failure_) {
            std::rethrow_exception(failure_);
        }
        const bool early = !body_written_ && answer_.status >= 300 && answer_.status <= 599;
        if (complete_ || (end == End::own && (cut_ || early))) {
            return result();
        }
        if (end == End::stopped) {
            throw Cancelled{
                ErrorCode::cancelled,
                {.attempted = "reach", .subject = peer(), .answer = "stopped on request"}};
        }
        if (end == End::expired) {
            throw refuse(ErrorCode::timeout, "no complete answer within " +
                                                 std::to_string(request_.deadline.count()) + " ms");
        }
        throw broken(connection);
    }
    /// Whether nothing was sent because no connection could be made: another address may do.
    [[nodiscard]] bool unconnected(const Connection& connection) const noexcept {
        return !complete_ && !connection.head_written() &&
               (error_ == httplib::Error::Connection ||
                error_ == httplib::Error::ConnectionTimeout);
    }
    /// Whether the connection can carry another request.
    [[nodiscard]] bool clean() const noexcept { return complete_ && body_written_; }

private:
    /// Unwinds Body::write when the connection is gone.
    struct Gone {};

    [[nodiscard]] std::string peer() const { return redact_url(url_.origin()); }
    [[nodiscard]] Error refuse(ErrorCode code, std::string answer) const {
        return Error{code, {.attempted = "reach", .subject = peer(), .answer = std::move(answer)}};
    }

    /// The request line and the headers.
    [[nodiscard]] std::string head() const {
        std::string text = request_.method + ' ' + url_.target + " HTTP/1.1\r\n";
        const auto add = [&](const char* name, const std::string& value) {
            if (header(request_.headers, name).empty()) {
                text += std::string{name} + ": " + value + "\r\n";
            }
        };
        add("Host", url_.authority());
        add("User-Agent", std::string{"fairing/"} + version);
        add("Accept", "*/*");
        const std::string& method = request_.method;
        if (request_.body.size > 0 || method == "POST" || method == "PUT" || method == "PATCH") {
            add("Content-Length", std::to_string(request_.body.size));
        }
        for (const auto& [name, value] : request_.headers) {
            text += name;
            text += ": ";
            text += value;
            text += "\r\n";
        }
        return text + "\r\n";
    }

    bool write_body(httplib::DataSink& out) {
        std::uint64_t written = 0;
        body_written_ = false;
        try {
            request_.body.write([&](std::span<const std::byte> bytes) {
                written += bytes.size();
                if (written > request_.body.size) {
                    throw refuse(ErrorCode::internal,
                                 "a request body longer than it was said to be");
                }
                if (!bytes.empty() &&
                    !out.write(reinterpret_cast<const char*>(bytes.data()), bytes.size())) {
                    throw Gone{};
                }
                active_ = std::chrono::steady_clock::now();
            });
            if (written != request_.body.size) {
                throw refuse(ErrorCode::internal, "a request body shorter than it was said to be");
            }
        } catch (const Gone&) {
            return false;
        } catch (...) {
            failure_ = std::current_exception();
            return false;
        }
        body_written_ = true;
        return true;
    }

    /// The headers are here: is the body framed in exactly one way (RFC 9112, 6.3)?
    bool begin(const httplib::Response& head) {
        active_ = std::chrono::steady_clock::now();
        to_sink_ = sink_ && head.status >= 200 && head.status < 300;
        if (head.status == 304) {
            return true;
        }
        const auto lengths = head.headers.equal_range("Content-Length");
        const auto codings = head.headers.equal_range("Transfer-Encoding");
        const auto length_count = std::distance(lengths.first, lengths.second);
        const auto coding_count = std::distance(codings.first, codings.second);
        const char* wrong = nullptr;
        if (length_count + coding_count == 0) {
            wrong = "an answer with neither Content-Length nor Transfer-Encoding";
        } else if (length_count + coding_count > 1) {
            wrong = "an answer whose length is stated twice";
        } else if (coding_count == 1) {
            std::string coding = codings.first->second;
            std::transform(coding.begin(), coding.end(), coding.begin(), detail::lower);
            wrong = coding == "chunked" ? nullptr : "an answer with an unknown Transfer-Encoding";
        } else {
            const std::string& length = lengths.first->second;
            const bool number = !length.empty() && length.size() <= 18 &&
                                length.find_first_not_of("0123456789") == std::string::npos;
            wrong = number ? nullptr : "an answer whose Content-Length is not a number";
        }
        if (wrong != nullptr) {
            failure_ = std::make_exception_ptr(refuse(ErrorCode::integrity, wrong));
        }
        return wrong == nullptr;
    }

    bool receive(const char* data, std::size_t size) {
        active_ = std::chrono::steady_clock::now();
        try {
            if (to_sink_) {
                sink_(std::as_bytes(std::span{data, size}));
                return true;
            }
            constexpr std::uint64_t largest_error = std::uint64_t{64} << 10;
            const bool error_body = answer_.status >= 300;
            const std::uint64_t limit =
                error_body ? std::min(largest_error, request_.max_body) : request_.max_body;
            if (body_.size() + size <= limit) {
                body_.append(data, size);
                return true;
            }
            if (error_body) {
                body_.append(data, static_cast<std::size_t>(limit) - body_.size());
                cut_ = true;
                return false;
            }
            throw refuse(ErrorCode::integrity,
                         "an answer of more than " + std::to_string(limit) + " bytes");
        } catch (...) {
            failure_ = std::current_exception();
        }
        return false;
    }

    [[nodiscard]] Response result() {
        Response response{.status = answer_.status, .headers = {}, .body = std::move(body_)};
        for (const auto& [name, value] : answer_.headers) {
            response.headers.emplace(name, value);
        }
        return response;
    }

    [[nodiscard]] Error broken(const Connection& connection) const {
        using httplib::Error;
        if (error_ == Error::ConnectionTimeout) {
            return refuse(ErrorCode::timeout, "no connection in time");
        }
#if FAIRING_TLS
        constexpr const char* advice = "name the CA that signed its certificate with --ca-file";
        if (error_ == Error::SSLServerHostnameVerification) {
            return tls("the certificate is not for this host", "");
        }
        if (error_ == Error::SSLServerVerification) {
            return tls(connection.tls_reason(), advice);
        }
        if (error_ == Error::SSLConnection && !connection.tls_reason().empty()) {
            return tls(connection.tls_reason(), "");
        }
        if (error_ == Error::SSLConnection) {
            return refuse(ErrorCode::unavailable, "no TLS handshake: closed, reset or silent");
        }
        if (error_ == Error::SSLLoadingCerts) {
            return fairing::Error{ErrorCode::input,
                                  {.attempted = "reach",
                                   .subject = peer(),
                                   .answer = "the CA file can not be read as PEM certificates",
                                   .advice = "check --ca-file"}};
        }
#endif
        switch (connection.last_errno()) {
            case ECONNRESET:
            case EPIPE:
            case ECONNABORTED:
                return refuse(ErrorCode::unavailable, "connection reset");
            case ECONNREFUSED:
            case EHOSTUNREACH:
            case ENETUNREACH:
            case ENOENT:
            case EACCES:
                return refuse(ErrorCode::unavailable,
                              std::generic_category().message(connection.last_errno()));
            default:
                break;
        }
        if (error_ == Error::Connection) {
            return refuse(ErrorCode::unavailable, "connection refused");
        }
        const auto idle = std::chrono::steady_clock::now() - active_;
        if (request_.idle_timeout.count() > 0 &&
            idle >= request_.idle_timeout - request_.idle_timeout / 20) {
            return refuse(ErrorCode::timeout, "nothing was sent or received for " +
                                                  std::to_string(request_.idle_timeout.count()) +
                                                  " ms");
        }
        return refuse(ErrorCode::unavailable, "connection closed before the answer was complete");
    }
    [[nodiscard]] Error tls(std::string reason, std::string advice) const {
        return Error{ErrorCode::denied,
                     {.attempted = "reach",
                      .subject = peer(),
                      .answer = "TLS: " + std::move(reason),
                      .advice = std::move(advice)}};
    }

    const Request& request_;
    const Url& url_;
    const BodySink& sink_;
    SteadyTime active_;
    httplib::Request wire_ = {};
    httplib::Response answer_ = {};
    httplib::Error error_ = httplib::Error::Success;
    std::string body_ = {};
    std::exception_ptr failure_ = {};
    bool to_sink_ = false, complete_ = false, cut_ = false, body_written_ = true;
};

}  // inline namespace FAIRING_ABI
}  // namespace detail

inline namespace FAIRING_ABI {

/// Keeps connections alive per origin; send() may be called from several threads at once, each call
/// has a connection of its own. Body and sink are called in another thread while the caller waits.
/// Copies nothing into memory but answers without a sink. An answer of status 300 and above is cut
/// at 64 KiB instead of being an Error. A peer that answers before it has read the whole request
/// and then closes is heard where the system still has its answer: status and headers, without the
/// body.
class HttplibTransport {
public:
    explicit HttplibTransport(HttplibOptions options = {}) : options_(std::move(options)) {}
    HttplibTransport(HttplibTransport&& other) noexcept : options_(std::move(other.options_)) {}
    HttplibTransport& operator=(HttplibTransport&&) = delete;

    [[nodiscard]] Response send(const Request& request, const BodySink& sink,
                                const std::stop_token& stop) {
        const Url url = validate(request);
        check_stop(url, stop);
        std::optional<detail::SteadyTime> deadline;
        if (request.deadline.count() != 0) {
            deadline = std::chrono::steady_clock::now() + request.deadline;
        }
        if (std::unique_ptr<detail::Connection> kept = take(url.origin())) {
            detail::Call call{request, url, sink};
            return attempt(call, std::move(kept), url, stop, deadline).value();
        }
        const std::vector<std::string> addresses = allowed_addresses(url, request.deadline, stop);
        for (std::size_t i = 0;; ++i) {
            detail::Call call{request, url, sink};
            const Try kind = i + 1 < addresses.size() ? Try::more : Try::last;
            auto connection = std::make_unique<detail::Connection>(url, options_, addresses[i]);
            if (auto response = attempt(call, std::move(connection), url, stop, deadline, kind)) {
                return *std::move(response);
            }
        }
    }

private:
    enum class Try { more, last };
    struct Idle {
        std::unique_ptr<detail::Connection> connection = {};
        detail::SteadyTime since = {};
    };

    static void check_stop(const Url& url, const std::stop_token& stop) {
        if (stop.stop_requested()) {
            throw Cancelled{ErrorCode::cancelled,
                            {.attempted = "reach",
                             .subject = redact_url(url.origin()),
                             .answer = "stopped on request"}};
        }
    }

    /// nullopt only with Try::more: this address does not answer, another may.
    std::optional<Response> attempt(detail::Call& call,
                                    std::unique_ptr<detail::Connection> connection, const Url& url,
                                    const std::stop_token& stop,
                                    std::optional<detail::SteadyTime> deadline,
                                    Try kind = Try::last) {
        check_stop(url, stop);
        detail::End end = detail::End::own;
        try {
            DeepThread thread{[&] {
                const SigpipeBlock no_sigpipe;
                call.run(*connection);
            }};
            if (!thread.wait(stop, deadline)) {
                end = stop.stop_requested() ? detail::End::stopped : detail::End::expired;
                connection->abort();
            }
            thread.finish();
        } catch (const Error&) {
            if (end == detail::End::own) {
                throw;
            }  // else aborted before it was connected
        }
        if (kind == Try::more && call.unconnected(*connection) && end == detail::End::own) {
            return std::nullopt;
        }
        std::optional<Response> response = call.outcome(*connection, end);
        if (call.clean() && connection->reusable()) {
            keep(url.origin(), std::move(connection));
        }
        return response;
    }

    /// Where to connect to: {""} for a socket in the file system.
    [[nodiscard]] std::vector<std::string> allowed_addresses(const Url& url,
                                                             std::chrono::milliseconds deadline,
                                                             const std::stop_token& stop) const {
        if (url.is_unix()) {
            return {std::string{}};
        }
        constexpr std::chrono::milliseconds longest = std::chrono::seconds{30};
        std::vector<std::string> addresses = resolve_host(
            url.host, deadline.count() == 0 ? longest : std::min(deadline, longest), stop);
        const std::string first = addresses.front();
        if (options_.addresses == AddressGuard::on) {
            std::erase_if(addresses, is_refused_address);
        }
        if (addresses.empty()) {
            throw Error{ErrorCode::denied,
                        {.attempted = "reach",
                         .subject = redact_url(url.origin()),
                         .answer = "refused address " + first,
                         .advice = "link-local and unspecified addresses are never contacted"}};
        }
        return addresses;
    }

    [[nodiscard]] std::unique_ptr<detail::Connection> take(const std::string& origin) {
        const auto oldest = std::chrono::steady_clock::now() - options_.idle_lifetime;
        std::vector<Idle> expired;  // closed after the lock is gone
        const std::lock_guard lock{mutex_};
        std::vector<Idle>& idle = idle_[origin];
        while (!idle.empty()) {
            Idle newest = std::move(idle.back());
            idle.pop_back();
            if (newest.since > oldest) {
                return std::move(newest.connection);
            }
            expired.push_back(std::move(newest));
        }
        return nullptr;
    }
    void keep(const std::string& origin, std::unique_ptr<detail::Connection> connection) {
        const std::lock_guard lock{mutex_};
        std::vector<Idle>& idle = idle_[origin];
        if (idle.size() < options_.idle_connections) {
            idle.push_back({std::move(connection), std::chrono::steady_clock::now()});
        }
    }

    HttplibOptions options_;
    std::mutex mutex_;
    std::map<std::string, std::vector<Idle>> idle_;
};
static_assert(Transport<HttplibTransport>);

/// The transport that everything uses unless it is given another.
[[nodiscard]] inline AnyTransport default_transport(HttplibOptions options = {}) {
    return HttplibTransport{std::move(options)};
}

}  // inline namespace FAIRING_ABI

}  // namespace fairing::net

// -------------------------------------------------------------------------------------------------------------
// fairing/stage/registry_access.hpp - how a session reaches registries: its own transport, or ours.

namespace fairing {

/// What builders and deployers that read or write registries take.
struct RegistryAccess {
    bool insecure = false;  ///< plain http; registries of this machine may always be spoken to so
    std::string ca_file = {};  ///< PEM file of the certificate authorities to trust
};

/// Options of a registry client for this session: its transport if it has one, else a new one of
/// ours.
[[nodiscard]] inline registry::ClientOptions registry_options(const Session& session,
                                                              const RegistryAccess& access = {}) {
    return {.transport = session.transport ? session.transport
                                           : net::default_transport({.ca_file = access.ca_file}),
            .credentials = session.credentials,
            .plain_http =
                access.insecure ? registry::PlainHttp::insecure : registry::PlainHttp::loopback};
}

}  // namespace fairing

// -------------------------------------------------------------------------------------------------------------
// fairing/builders/append.hpp - an image made by appending layers to a base: no daemon, no
// Dockerfile, no root.
//
// base ─ manifest and config are read, its layers are mounted or copied, never unpacked
// context ─ layer plan ─ one tar+gzip blob per layer ─ pushed beside the base's

namespace fairing {

/// Appends the context to `base_image` and pushes the result. An image layout ("oci:DIR") is as
/// good as a registry, for the base and for the target.
struct AppendBuilder {
    std::string base_image = {};  ///< empty: python:<minor version of the host's python3>-slim
    std::string registry = {};    ///< "registry.example:5000/team" or "oci:DIR"
    std::string image_name = "fairing-job";
    std::string tag = {};       ///< empty: the first 12 digits of the context's digest
    std::string platform = {};  ///< of an index; empty: linux on this machine's architecture
    bool push = true;
    bool insecure =
        false;  ///< plain http, or https with any certificate, for `registry` and the base's
    std::string ca_file = {};  ///< PEM file of the certificate authorities to trust
    int compression = 6;       ///< 1 (fast) to 9 (small)

    /// Throws Error: usage for a missing registry, not_found or unsupported for the base,
    /// integrity, denied, unavailable for a registry that does not take the image. The tag never
    /// points at half an image.
    [[nodiscard]] Image build(const Context& context, const Session& session) const;
};

template <>
inline constexpr auto fields<AppendBuilder> = std::tuple{
    field("base_image", &AppendBuilder::base_image,
          "image to append to, oci:DIR, or scratch (default: python:<yours>-slim)"),
    field("registry", &AppendBuilder::registry,
          "where the image goes: HOST[:PORT]/PATH, or oci:DIR for a directory"),
    field("image_name", &AppendBuilder::image_name,
          "name below the registry (default: fairing-job)"),
    field("tag", &AppendBuilder::tag, "tag of the image (default: from its content)"),
    field("platform", &AppendBuilder::platform,
          "which image of a multi-platform base: OS/ARCHITECTURE[/VARIANT]"),
    field("push", &AppendBuilder::push, "build, but send nothing"),
    field("insecure", &AppendBuilder::insecure,
          "speak plain http to the registry (those of this machine always may)"),
    field("ca_file", &AppendBuilder::ca_file, "PEM file of the certificate authorities to trust"),
    field("compression", &AppendBuilder::compression, "1 (fast) to 9 (small); default: 6"),
};

namespace detail {

/// "python:3.11-slim" for a host whose python3 is 3.11, so that what runs here runs there.
[[nodiscard]] inline std::string default_base_image(const Session& session) {
    std::string version;
    if (find_program("python3")) {
        version = run({.arguments = {"python3", "-c",
                                     "import sys; print('%d.%d' % sys.version_info[:2], end='')"}},
                      {}, session.stop)
                      .output;
    }
    if (version.empty() || !oci::is_tag(version)) {
        throw Error{ErrorCode::usage,
                    {.attempted = "choose a base image",
                     .answer = "there is no python3 here whose version it could have",
                     .advice = "name one with --base-image"}};
    }
    return "python:" + version + "-slim";
}

/// The base as documents, and where its layers are.
struct Base {
    oci::Reference reference = {};
    oci::Image image = {};
    oci::Descriptor manifest = {};
    std::unique_ptr<oci::Store> store = {};  ///< null for scratch
};

/// `insecure` is meant for the target's registry: a base of another one is not read in the clear.
[[nodiscard]] inline Base open_base(const std::string& name, const std::string& platform,
                                    const oci::Reference& target, registry::ClientOptions options,
                                    const Control& control) {
    Base base{.reference = oci::parse_reference(name)};
    if (target.kind == oci::ReferenceKind::registry &&
        target.api_host() != base.reference.api_host()) {
        options.plain_http = registry::PlainHttp::loopback;
    }
    if (base.reference.kind == oci::ReferenceKind::scratch) {
        base.image = oci::scratch(oci::parse_platform(platform));
        return base;
    }
    base.store = registry::open_store(base.reference, options, control);
    oci::StoredImage stored =
        oci::load_image(*base.store, base.reference.wanted(), oci::parse_platform(platform), name);
    base.image = std::move(stored.image);
    base.manifest = std::move(stored.manifest);
    if (!platform.empty() && !oci::parse_platform(platform).accepts(base.image.platform())) {
        throw Error{ErrorCode::unsupported,
                    {.attempted = "use base image",
                     .subject = name,
                     .answer = "it is for " + base.image.platform().text() + ", not " + platform}};
    }
    return base;
}

/// The target: "registry/image_name", or the layout itself.
[[nodiscard]] inline oci::Reference check_and_name(const AppendBuilder& builder) {
    if (builder.registry.empty() && builder.push) {
        throw Error{ErrorCode::usage,
                    {.attempted = "push the image",
                     .answer = "no registry is given",
                     .advice = "name one with --registry HOST/PATH, or a directory with "
                               "--registry oci:DIR, or build with --no-push"}};
    }
    if (!oci::is_repository(builder.image_name)) {
        throw Error{ErrorCode::usage,
                    {.attempted = "use image name",
                     .subject = '"' + packaging::escaped(builder.image_name) + '"',
                     .answer = "not of lower-case letters, digits and single separators"}};
    }
    oci::Reference target = oci::parse_reference(
        builder.registry.starts_with("oci:") ? builder.registry
        : builder.registry.empty()           ? "localhost/" + builder.image_name
                                             : builder.registry + '/' + builder.image_name);
    if (builder.compression < 1 || builder.compression > 9) {
        throw Error{ErrorCode::usage,
                    {.attempted = "use compression level",
                     .subject = std::to_string(builder.compression),
                     .answer = "it goes from 1 (fast) to 9 (small)"}};
    }
    if (!builder.tag.empty() && !oci::is_tag(builder.tag)) {
        throw Error{ErrorCode::usage,
                    {.attempted = "use tag",
                     .subject = '"' + packaging::escaped(builder.tag) + '"',
                     .answer = "not of the form [A-Za-z0-9_][A-Za-z0-9._-]{0,127}"}};
    }
    if (!target.digest.empty() ||
        (!builder.tag.empty() && !target.tag.empty() && builder.registry.starts_with("oci:"))) {
        throw Error{ErrorCode::usage,
                    {.attempted = "use registry",
                     .subject = builder.registry,
                     .answer = "it names a digest, or a second tag"}};
    }
    if (!builder.registry.starts_with("oci:") || !builder.tag.empty()) {
        target.tag = builder.tag;  // what parse_reference() adds is "latest"
    }
    return target;
}

/// RFC 3339 in UTC of SOURCE_DATE_EPOCH, which is 0 unless set (reproducible-builds.org).
[[nodiscard]] inline std::string created_time(std::int64_t seconds) {
    const auto time = static_cast<std::time_t>(seconds);
    std::tm parts{};
    ::gmtime_r(&time, &parts);
    char text[32];
    return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

[[nodiscard]] inline double seconds_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// The layers of the finished image, the base's first, and what ours are made of.
struct Layers {
    std::vector<Layer> all = {};
    std::vector<packaging::LayerBlob> blobs = {};  ///< of the last ones in `all`
    std::vector<oci::NewLayer> additions = {};
    std::string context_digest = {};  ///< "sha256:…"
    BuildFigures figures = {};
};

[[nodiscard]] inline Layers make_layers(const Context& context, const oci::Image& base,
                                        const codec::GzipCompressor& compressor,
                                        const Control& control) {
    Layers layers;
    const std::vector<std::string> base_diff_ids = base.diff_ids();
    for (const oci::Descriptor& layer : base.layers()) {
        layers.all.push_back({.digest = layer.digest,
                              .diff_id = base_diff_ids[layers.all.size()],
                              .media_type = layer.media_type,
                              .size = layer.size,
                              .origin = Origin::base});
    }
    packaging::ContextDigest digest;
    for (const packaging::LayerGroup& group : packaging::plan(context.files)) {
        const auto start = std::chrono::steady_clock::now();
        packaging::LayerBlob blob =
            packaging::write_layer(group.files, compressor, {.item = group.name}, control);
        digest.add(group.files, blob.contents);
        layers.all.push_back({.digest = blob.digest,
                              .diff_id = blob.diff_id,
                              .media_type = oci::layer_media_type(base),
                              .size = blob.size,
                              .uncompressed_size = blob.uncompressed_size,
                              .seconds = seconds_since(start)});
        layers.additions.push_back({.descriptor = {.media_type = layers.all.back().media_type,
                                                   .digest = blob.digest,
                                                   .size = blob.size},
                                    .diff_id = blob.diff_id,
                                    .comment = group.name});
        layers.figures.bytes_read += blob.bytes_read;
        layers.figures.bytes_compressed += blob.size;
        layers.blobs.push_back(std::move(blob));
    }
    layers.context_digest = digest.finish(context);
    return layers;
}

/// Makes every blob of `layers` be in `target`: the base's mounted or copied, ours uploaded. Fills
/// in how.
inline void push_layers(Layers& layers, const Base& base, const oci::Reference& target_name,
                        oci::Store& target, const Control& control) {
    constexpr std::size_t uploads_at_once = 4;
    const std::size_t base_layers = layers.all.size() - layers.blobs.size();
    const bool same_host = base.reference.kind == oci::ReferenceKind::registry &&
                           target_name.kind == oci::ReferenceKind::registry &&
                           base.reference.api_host() == target_name.api_host() &&
                           base.reference.repository != target_name.repository;
    const std::string mount_from = same_host ? base.reference.repository : "";
    parallel_for(layers.all.size(), uploads_at_once, [&](std::size_t index) {
        control.check("push image");
        const auto start = std::chrono::steady_clock::now();
        Layer& layer = layers.all[index];
        const oci::Descriptor blob{
            .media_type = layer.media_type, .digest = layer.digest, .size = layer.size};
        net::Body body{.size = blob.size};
        if (index >= base_layers) {
            const packaging::LayerBlob& own = layers.blobs[index - base_layers];
            body.write = [&own](const net::BodySink& sink) { own.file.read(sink); };
            layer.transfer = target.write_blob(blob, body, {});
        } else if (!oci::media_type::is_foreign(layer.media_type)) {
            body.write = [&](const net::BodySink& sink) { base.store->read_blob(blob, sink); };
            layer.transfer = target.write_blob(blob, body, mount_from);
        }
        layer.seconds += seconds_since(start);
    });
    for (const Layer& layer : layers.all) {
        layers.figures.bytes_uploaded += layer.transfer == Transfer::uploaded ? layer.size : 0;
    }
}

/// Blobs first, then the config, then the manifest, so that the tag never points at half an image.
inline void push_image(Layers& layers, const oci::Image& image, const Base& base,
                       const oci::Reference& target_name, const registry::ClientOptions& options,
                       const Control& control) {
    const auto start = std::chrono::steady_clock::now();
    const std::unique_ptr<oci::Store> target = registry::open_store(target_name, options, control);
    push_layers(layers, base, target_name, *target, control);
    target->write_blob(oci::Descriptor::from(image.manifest.at("config"), "the new config"),
                       net::Body::of(image.config.dump()), {});
    control.check("push image");
    target->write_manifest(oci::serialize(image), target_name.tag);
    layers.figures.push_seconds = seconds_since(start);
    layers.figures.requests = target->requests() + (base.store ? base.store->requests() : 0);
}

}  // namespace detail

inline Image AppendBuilder::build(const Context& context, const Session& session) const {
    const auto start = std::chrono::steady_clock::now();
    const Control control = session.control();
    oci::Reference target = detail::check_and_name(*this);
    const registry::ClientOptions options =
        registry_options(session, {.insecure = insecure, .ca_file = ca_file});
    const detail::Base base =
        detail::open_base(base_image.empty() ? detail::default_base_image(session) : base_image,
                          platform, target, options, control);
    detail::Layers layers =
        detail::make_layers(context, base.image, {.level = compression}, control);
    if (target.tag.empty()) {
        target.tag = packaging::context_tag(layers.context_digest);
    }
    const bool named_base = base.reference.kind == oci::ReferenceKind::registry;
    const oci::Image appended =
        oci::append(base.image, layers.additions,
                    {.command = context.command,
                     .user = "0",
                     .working_directory = context.working_directory,
                     .environment = context.environment,
                     .created = detail::created_time(packaging::source_date_epoch()),
                     .base_name = named_base ? base.reference.text() : "",
                     .base_digest = base.manifest.digest});
    layers.figures.build_seconds = detail::seconds_since(start);
    if (push) {
        detail::push_image(layers, appended, base, target, options, control);
    }
    const bool in_layout = target.kind == oci::ReferenceKind::layout;
    const std::string digest = oci::serialize(appended).descriptor().digest;
    return {.reference = (in_layout          ? target.name()
                          : registry.empty() ? image_name + ':' + target.tag
                                             : target.text()) +
                         '@' + digest,
            .digest = digest,
            .location = !push       ? Location::nowhere
                        : in_layout ? Location::layout
                                    : Location::registry,
            .layers = std::move(layers.all),
            .command = context.command,
            .environment = context.environment,
            .working_directory = context.working_directory,
            .platform = appended.platform().text(),
            .tag = target.tag,
            .context_digest = layers.context_digest,
            .figures = layers.figures};
}

static_assert(Builder<AppendBuilder>);

}  // namespace fairing

// -------------------------------------------------------------------------------------------------------------
// fairing/engine/archive.hpp - an image as `docker save` writes it: what POST /images/load takes
// (Docker image-spec v1.2).

namespace fairing::engine {

/// The name by which an engine knows an image without a tag: the digest of its config.
[[nodiscard]] inline std::string image_id(const oci::Image& image) {
    return oci::Descriptor::from(image.manifest.at("config"), "the config of an image").digest;
}

/// The image as a tar archive, streamed out of `store`, which must outlive the body. Layers go in
/// as they are stored: engines detect gzip. A layer that occurs twice is sent once.
[[nodiscard]] inline net::Body docker_archive(oci::Store& store, const oci::Image& image) {
    struct Member {
        std::vector<std::byte> header;
        oci::Descriptor blob;
    };
    const auto header_of = [](std::string path, std::uint64_t size) {
        std::vector<std::byte> header;
        codec::append_tar_header({.path = std::move(path), .size = size}, header);
        return header;
    };
    std::vector<Member> members;
    std::uint64_t total = 0;
    const auto add = [&](std::string path, const oci::Descriptor& blob) {
        members.push_back({.header = header_of(std::move(path), blob.size), .blob = blob});
        total += members.back().header.size() + blob.size + codec::tar_padding(blob.size);
    };
    const auto config =
        oci::Descriptor::from(image.manifest.at("config"), "the config of an image");
    const std::string config_name = oci::digest_hex(config.digest) + ".json";
    add(config_name, config);
    Json names = Json::array();
    std::set<std::string> sent;
    for (const oci::Descriptor& layer : image.layers()) {
        const std::string name = oci::digest_hex(layer.digest) + ".tar";
        names.push_back(name);
        if (sent.insert(name).second) {
            add(name, layer);
        }
    }
    const Json manifest =
        Json::array({{{"Config", config_name}, {"RepoTags", nullptr}, {"Layers", names}}});
    const std::string manifest_text = manifest.dump();
    std::vector<std::byte> tail = header_of("manifest.json", manifest_text.size());
    const auto bytes = std::as_bytes(std::span{manifest_text});
    tail.insert(tail.end(), bytes.begin(), bytes.end());
    tail.resize(tail.size() + codec::tar_padding(manifest_text.size()));
    codec::append_tar_end(tail);
    total += tail.size();
    return {.size = total,
            .write = [&store, members = std::move(members),
                      tail = std::move(tail)](const net::BodySink& sink) {
                for (const Member& member : members) {
                    sink(member.header);
                    store.read_blob(member.blob, sink);
                    sink(std::vector<std::byte>(codec::tar_padding(member.blob.size)));
                }
                sink(tail);
            }};
}

}  // namespace fairing::engine

// -------------------------------------------------------------------------------------------------------------
// fairing/engine/frames.hpp - standard output and error in one stream, as a container engine sends
// them (Docker Engine API, "Attach to a container", stream format).

namespace fairing::engine {

/// Takes the stream in any portions: a header of 8 bytes (stream, three zeros, length big-endian),
/// then so many bytes.
class FrameReader {
public:
    using Sink = std::function<void(Stream, std::span<const std::byte>)>;

    explicit FrameReader(Sink sink) : sink_(std::move(sink)) {}

    /// Throws Error{integrity} for what is no frame.
    void write(std::span<const std::byte> bytes) {
        while (!bytes.empty()) {
            const bool in_header = header_size_ < header_.size();
            const std::size_t wanted = in_header ? header_.size() - header_size_ : left_;
            const std::span<const std::byte> part = bytes.first(std::min(wanted, bytes.size()));
            bytes = bytes.subspan(part.size());
            if (in_header) {
                std::copy(part.begin(), part.end(),
                          header_.begin() + static_cast<std::ptrdiff_t>(header_size_));
                header_size_ += part.size();
                if (header_size_ == header_.size()) {
                    open_frame();
                }
            } else {
                sink_(stream_, part);
                left_ -= part.size();
            }
            if (left_ == 0 && header_size_ == header_.size()) {
                header_size_ = 0;
            }
        }
    }

    /// Throws Error{integrity} when the stream ended within a frame.
    void finish() const {
        if (header_size_ != 0) {
            throw refuse("the stream ended within a frame");
        }
    }

private:
    static Error refuse(std::string answer) {
        return Error{ErrorCode::integrity,
                     {.attempted = "read the output of a container", .answer = std::move(answer)}};
    }

    void open_frame() {
        const auto number = [this](std::size_t at) {
            return std::to_integer<std::uint32_t>(header_[at]);
        };
        if (number(0) > 2 || number(1) != 0 || number(2) != 0 || number(3) != 0) {
            throw refuse("a frame with a malformed header");
        }
        stream_ = number(0) == 2 ? Stream::errors : Stream::output;
        left_ = number(4) << 24U | number(5) << 16U | number(6) << 8U | number(7);
    }

    Sink sink_;
    std::array<std::byte, 8> header_ = {};
    std::size_t header_size_ = 0;  ///< bytes of the header that are there; 0 between frames
    std::size_t left_ = 0;         ///< bytes of the frame that are not
    Stream stream_ = Stream::output;
};

}  // namespace fairing::engine

// -------------------------------------------------------------------------------------------------------------
// fairing/engine/engine.hpp - a container engine of this machine, Docker or Podman, over its Unix
// socket (Docker Engine API, v1.24 to v1.41).

namespace fairing::engine {

/// How a container ended.
struct ContainerEnd {
    int exit_code = 0;
    std::string error = {};  ///< what the engine says beyond the code
};

/// A connected engine; a cheap value. Every member may be called from several threads at once.
/// Errors name the socket; what the engine answers is in them.
class Engine {
public:
    /// Asks for the version and settles on one that both sides speak. Throws Error{unavailable}
    /// that names the socket when nobody listens there, Error{unsupported} for an engine that is
    /// too old.
    [[nodiscard]] static Engine connect(net::AnyTransport transport,
                                        const std::filesystem::path& socket,
                                        const std::stop_token& stop = {}) {
        Engine engine{std::move(transport), socket};
        const Json answer = engine.json({.method = "GET", .url = engine.base_ + "/version"},
                                        "ask for the version of", stop);
        const Version theirs = parse_version(text_or(answer, "ApiVersion"));
        if (theirs < oldest) {
            throw Error{ErrorCode::unsupported,
                        {.attempted = "use the container engine at",
                         .subject = socket.string(),
                         .answer = "it speaks API version \"" + text_or(answer, "ApiVersion") +
                                   "\", and we need 1.24",
                         .advice = "update Docker or Podman"}};
        }
        const Version least = parse_version(text_or(answer, "MinAPIVersion", "1.24"));
        const Version spoken = std::max(std::min(theirs, newest), least);
        engine.version_ = std::to_string(spoken.first) + '.' + std::to_string(spoken.second);
        engine.base_ += "/v" + engine.version_;
        return engine;
    }

    [[nodiscard]] const std::string& version() const noexcept { return version_; }
    [[nodiscard]] const std::filesystem::path& socket() const noexcept { return socket_; }

    void ping(const std::stop_token& stop = {}) const {
        send({.method = "GET", .url = base_ + "/_ping"}, "reach", {}, stop);
    }

    /// By id, or by any reference.
    [[nodiscard]] bool has_image(const std::string& image, const std::stop_token& stop = {}) const {
        const auto answer =
            exchange({.method = "GET", .url = base_ + "/images/" + path_of(image) + "/json"},
                     "look for image " + image + " in", {}, stop);
        if (answer.status == 404) {
            return false;
        }
        check(answer, "look for image " + image + " in");
        return true;
    }

    /// Loads a docker_archive(). Throws Error when the stream of answers holds one, is malformed,
    /// or ends early.
    void load(const net::Body& archive, const std::stop_token& stop = {}) const {
        stream({.method = "POST",
                .url = base_ + "/images/load?quiet=1",
                .headers = {{"Content-Type", "application/x-tar"}},
                .body = archive,
                .idle_timeout = std::chrono::minutes{10}},
               "load an image into", stop);
    }

    /// Makes the engine pull "host/repository@sha256:…", anonymously.
    void pull(const std::string& reference, const std::stop_token& stop = {}) const {
        const std::string attempted = "pull " + reference + " with";
        stream({.method = "POST",
                .url = base_ + "/images/create?fromImage=" + net::percent_encode(reference),
                .idle_timeout = std::chrono::minutes{10}},
               attempted, stop);
        if (!has_image(reference, stop)) {
            throw failure(ErrorCode::unavailable, attempted,
                          "its answer ended, and the image is not there");
        }
    }

    void remove_image(const std::string& image, const std::stop_token& stop = {}) const {
        remove("/images/" + path_of(image), "remove image " + image + " from", stop);
    }

    /// Creates a container and gives its id; `settings` is the body of POST /containers/create.
    [[nodiscard]] std::string create(const std::string& name, const Json& settings,
                                     const std::stop_token& stop = {}) const {
        const std::string attempted = "create container " + name + " with";
        const Json answer =
            json({.method = "POST",
                  .url = base_ + "/containers/create?name=" + net::percent_encode(name),
                  .headers = {{"Content-Type", "application/json"}},
                  .body = net::Body::of(settings.dump())},
                 attempted, stop);
        const std::string id = text_or(answer, "Id");
        if (id.empty()) {
            throw failure(ErrorCode::unavailable, attempted, "its answer names no container");
        }
        return id;
    }

    void start(const std::string& id, const std::stop_token& stop = {}) const {
        send({.method = "POST", .url = container(id) + "/start"}, "start a container with", {},
             stop);
    }

    /// Gives what the container writes, from its beginning to its end.
    void follow_logs(const std::string& id, const FrameReader::Sink& sink,
                     const std::stop_token& stop = {}) const {
        FrameReader reader{sink};
        send(
            {.method = "GET",
             .url = container(id) + "/logs?follow=1&stdout=1&stderr=1",
             .idle_timeout = silence},
            "read the output of a container of",
            [&reader](std::span<const std::byte> bytes) { reader.write(bytes); }, stop);
        reader.finish();
    }

    /// Waits for the container's end.
    [[nodiscard]] ContainerEnd wait(const std::string& id, const std::stop_token& stop = {}) const {
        const std::string attempted = "wait for a container of";
        const Json answer =
            json({.method = "POST", .url = container(id) + "/wait", .idle_timeout = silence},
                 attempted, stop);
        const Json code = answer.is_object() ? answer.value("StatusCode", Json()) : Json();
        if (!code.is_number_integer()) {
            throw failure(ErrorCode::unavailable, attempted, "its answer has no StatusCode");
        }
        return {.exit_code = code.get<int>(),
                .error = text_or(answer.value("Error", Json()), "Message")};
    }

    /// SIGTERM, and SIGKILL after `grace`; a container that does not run is no error.
    void stop(const std::string& id, std::chrono::seconds grace,
              const std::stop_token& stop = {}) const {
        send({.method = "POST",
              .url = container(id) + "/stop?t=" + std::to_string(grace.count()),
              .idle_timeout = grace + std::chrono::seconds{30}},
             "stop a container of", {}, stop);
    }

    /// Throws Error{conflict} when it does not run.
    void kill(const std::string& id, const std::string& signal = "SIGKILL",
              const std::stop_token& stop = {}) const {
        send({.method = "POST",
              .url = container(id) + "/kill?signal=" + net::percent_encode(signal)},
             "kill a container of", {}, stop);
    }

    /// Kills and removes it with its anonymous volumes; one that is not there is no error.
    void remove(const std::string& id, const std::stop_token& stop = {}) const {
        remove("/containers/" + net::percent_encode(id) + "?force=1&v=1", "remove a container of",
               stop);
    }

private:
    using Version = std::pair<int, int>;
    static constexpr Version oldest{1, 24}, newest{1, 41};
    /// How long a training may print nothing.
    static constexpr std::chrono::hours silence{480};

    Engine(net::AnyTransport transport, const std::filesystem::path& socket)
        : transport_(std::move(transport)),
          socket_(socket),
          base_("http+unix://" + net::percent_encode(socket.string())) {}

    static Version parse_version(const std::string& text) {
        Version result{0, 0};
        int* part = &result.first;
        for (const char c : text.substr(0, 9)) {
            if (c == '.' && part == &result.first) {
                part = &result.second;
            } else if (c >= '0' && c <= '9') {
                *part = *part * 10 + (c - '0');
            } else {
                return {0, 0};
            }
        }
        return result;
    }

    /// A reference with its slashes, which separate no parameters here.
    static std::string path_of(const std::string& image) {
        std::string result;
        for (std::size_t start = 0; start <= image.size();) {
            const std::size_t end = std::min(image.find('/', start), image.size());
            result +=
                (start == 0 ? "" : "/") + net::percent_encode(image.substr(start, end - start));
            start = end + 1;
        }
        return result;
    }

    [[nodiscard]] std::string container(const std::string& id) const {
        return base_ + "/containers/" + net::percent_encode(id);
    }

    [[nodiscard]] Error failure(ErrorCode code, const std::string& attempted,
                                std::string answer) const {
        return Error{code,
                     {.attempted = attempted + " the container engine at",
                      .subject = socket_.string(),
                      .answer = std::move(answer)}};
    }

    [[nodiscard]] net::Response exchange(const net::Request& request, const std::string& attempted,
                                         const net::BodySink& sink,
                                         const std::stop_token& stop) const {
        // What our own sink or body throws is about something else than the engine.
        bool own = false;
        const auto marked = [&own](const auto& function, const auto& argument) {
            try {
                function(argument);
            } catch (...) {
                own = true;
                throw;
            }
        };
        net::Request sent = request;
        if (request.body.write) {
            sent.body.write = [&](const net::BodySink& piece) {
                marked(request.body.write, piece);
            };
        }
        net::BodySink received;
        if (sink) {
            received = [&](std::span<const std::byte> bytes) { marked(sink, bytes); };
        }
        try {
            return transport_.send(sent, received, stop);
        } catch (const Cancelled&) {
            throw;
        } catch (const Error& error) {
            if (own ||
                (error.code() != ErrorCode::unavailable && error.code() != ErrorCode::not_found)) {
                throw;
            }
            Error::Details details =
                failure(ErrorCode::unavailable, attempted, error.details().answer).details();
            details.advice = "check that Docker or Podman runs, or name its socket in DOCKER_HOST";
            throw Error{ErrorCode::unavailable, std::move(details)};
        }
    }

    void check(const net::Response& answer, const std::string& attempted) const {
        if ((answer.status >= 200 && answer.status < 300) || answer.status == 304) {
            return;
        }
        const ErrorCode code = answer.status == 404                           ? ErrorCode::not_found
                               : answer.status == 401 || answer.status == 403 ? ErrorCode::denied
                               : answer.status == 409                         ? ErrorCode::conflict
                               : answer.status >= 400 && answer.status < 500
                                   ? ErrorCode::input
                                   : ErrorCode::unavailable;
        const Json document = Json::parse(answer.body, nullptr, false);
        std::string message = text_or(document, "message");
        for (char& c : message) {
            c = static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
        }
        Error::Details details =
            failure(code, attempted,
                    std::to_string(answer.status) + (message.empty() ? "" : ' ' + message))
                .details();
        details.http_status = answer.status;
        throw Error{code, std::move(details)};
    }

    net::Response send(const net::Request& request, const std::string& attempted,
                       const net::BodySink& sink, const std::stop_token& stop) const {
        net::Response answer = exchange(request, attempted, sink, stop);
        check(answer, attempted);
        return answer;
    }

    [[nodiscard]] Json json(const net::Request& request, const std::string& attempted,
                            const std::stop_token& stop) const {
        const net::Response answer = send(request, attempted, {}, stop);
        return parse_json(answer.body, "the answer of the container engine at " + socket_.string());
    }

    void remove(const std::string& target, const std::string& attempted,
                const std::stop_token& stop) const {
        const net::Response answer =
            exchange({.method = "DELETE", .url = base_ + target}, attempted, {}, stop);
        if (answer.status != 404) {
            check(answer, attempted);
        }
    }

    /// Reads one JSON object per line; one with an error is an Error.
    void stream(const net::Request& request, const std::string& attempted,
                const std::stop_token& stop) const {
        LineSplitter lines;
        bool answered = false;
        const auto on_line = [&](const std::string& line) {
            if (line.find_first_not_of(" \t\r") == std::string::npos) {
                return;
            }
            const Json event = Json::parse(line, nullptr, false);
            if (!event.is_object()) {
                throw failure(ErrorCode::unavailable, attempted,
                              "a line of its answer is not JSON");
            }
            answered = true;
            if (event.contains("error") || event.contains("errorDetail")) {
                const std::string detail = text_or(event.value("errorDetail", Json()), "message");
                throw failure(
                    ErrorCode::unavailable, attempted,
                    text_or(event, "error", detail.empty() ? "an error without a text" : detail));
            }
        };
        send(
            request, attempted,
            [&](std::span<const std::byte> bytes) { lines.write(bytes, on_line); }, stop);
        lines.finish(on_line);
        if (!answered) {
            throw failure(ErrorCode::unavailable, attempted, "its answer is empty");
        }
    }

    net::AnyTransport transport_;
    std::filesystem::path socket_;
    std::string base_;
    std::string version_ = {};
};

}  // namespace fairing::engine

// -------------------------------------------------------------------------------------------------------------
// fairing/engine/socket.hpp - where a container engine of this machine listens (Docker and Podman).

namespace fairing::engine {

/// The places to look, in order: $DOCKER_HOST alone when it is set, else Docker's and Podman's own.
/// Throws Error{unsupported} for a DOCKER_HOST that is no Unix socket.
[[nodiscard]] inline std::vector<std::filesystem::path> socket_candidates() {
    if (const std::string host = env("DOCKER_HOST", ""); !host.empty()) {
        constexpr std::string_view scheme = "unix://";
        if (!host.starts_with(scheme)) {
            throw Error{ErrorCode::unsupported,
                        {.attempted = "use the container engine of",
                         .subject = "DOCKER_HOST",
                         .answer = "it is not of the form unix:///PATH",
                         .advice = "unset it, or name a Unix socket"}};
        }
        return {host.substr(scheme.size())};
    }
    std::vector<std::filesystem::path> places{"/var/run/docker.sock"};
    const std::filesystem::path own = env("XDG_RUNTIME_DIR", "");
    if (!own.empty()) {
        places.push_back(own / "docker.sock");
    }
    places.emplace_back("/run/podman/podman.sock");
    if (!own.empty()) {
        places.push_back(own / "podman/podman.sock");
    }
    return places;
}

/// The first candidate that is a socket which we may use.
[[nodiscard]] inline std::optional<std::filesystem::path> find_socket() {
    for (std::filesystem::path& place : socket_candidates()) {
        struct stat status {};
        if (::stat(place.c_str(), &status) == 0 && S_ISSOCK(status.st_mode) &&
            ::access(place.c_str(), R_OK | W_OK) == 0) {
            return std::move(place);
        }
    }
    return std::nullopt;
}

}  // namespace fairing::engine

// -------------------------------------------------------------------------------------------------------------
// fairing/core/rooted_tree.hpp - a directory seen as "/" (POSIX openat(2) and its kin): no path, no
// link and no ".." leads out of it, whoever wrote them.

namespace fairing {

/// For a directory that nobody else changes meanwhile. Links are followed as chroot(2) would:
/// absolute ones begin at the root, and ".." stops there. Not for several threads at once.
class RootedTree {
public:
    /// Trees deeper than this are refused: what removes them needs a descriptor per level.
    static constexpr std::size_t deepest = 256;

    enum class Missing { create, absent };

    /// Where something is or shall be: a name in a directory. The root itself is the name "." and
    /// the path "".
    struct Place {
        std::shared_ptr<const UniqueFd> directory = {};
        std::string name = {};  ///< one component; may be a link, or not exist
        std::string path = {};  ///< from the root, free of links: "usr/bin/python3"

        [[nodiscard]] int fd() const noexcept { return directory->get(); }
    };

    explicit RootedTree(const std::filesystem::path& root)
        : root_(share(open_file(root, O_PATH | O_DIRECTORY))), current_(root_) {}

    /// The place that `path` names; links on the way are followed, the last component is not.
    /// Directories on the way are made (0755), or nullopt is given. Throws Error{input} for loops,
    /// ".." behind files, and depth.
    [[nodiscard]] std::optional<Place> place(std::string_view path, Missing missing) {
        std::deque<std::string> parts = components(path);
        if (parts.empty()) {
            return Place{.directory = root_, .name = ".", .path = {}};
        }
        const std::string name = std::move(parts.back());
        parts.pop_back();
        if (name == "..") {
            throw refuse(path, "it ends with \"..\"");
        }
        if (!enter(parts, path, missing)) {
            return std::nullopt;
        }
        return Place{.directory = current_, .name = name, .path = join(name)};
    }

    /// The place of what `path` names in the end, its last link followed too; nullopt when there is
    /// nothing.
    [[nodiscard]] std::optional<Place> resolve(std::string_view path) {
        std::string next{path};
        for (int links = 0; links < most_links; ++links) {
            std::optional<Place> found = place(next, Missing::absent);
            struct stat status {};
            if (!found || !look(*found, status)) {
                return std::nullopt;
            }
            if (!S_ISLNK(status.st_mode)) {
                return found;
            }
            const std::string target = read_link(found->fd(), found->name).value_or("");
            const std::size_t slash = found->path.rfind('/');
            next = target.starts_with('/') || slash == std::string::npos
                       ? target
                       : found->path.substr(0, slash + 1) + target;
            while (next.ends_with('/') && next.size() > 1) {
                next.pop_back();
            }
            if (next.empty() || next == ".." || next.ends_with("/..")) {
                return std::nullopt;
            }
        }
        throw refuse(path, "too many symbolic links");
    }

    /// lstat(2); false when there is nothing.
    [[nodiscard]] static bool look(const Place& place, struct stat& status) {
        return ::fstatat(place.fd(), place.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
    }

    /// Removes a file, or a directory with all that is in it; the absence of it is no error.
    void remove(const Place& place) {
        remove_from(place.fd(), place.name, place.path);
        forget();
    }

    /// The place of every entry of the directory at `place`, in no order.
    [[nodiscard]] static std::vector<Place> children(const Place& place) {
        const auto directory = share(UniqueFd{::openat(
            place.fd(), place.name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)});
        if (!*directory) {
            throw system_error(errno, "list", shown(place.path));
        }
        std::vector<Place> result;
        for (std::string& name : names_in(directory->get())) {
            std::string path = place.path.empty() ? name : place.path + '/' + name;
            result.push_back(
                {.directory = directory, .name = std::move(name), .path = std::move(path)});
        }
        return result;
    }

    /// The text with control characters made visible, for messages.
    [[nodiscard]] static std::string shown(std::string_view text) {
        std::string result = "\"";
        for (const char c : text.substr(0, 300)) {
            result += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
        }
        return result + '"';
    }

private:
    static constexpr int most_links = 40;  // as the kernel's

    static std::shared_ptr<const UniqueFd> share(UniqueFd fd) {
        return std::make_shared<const UniqueFd>(std::move(fd));
    }

    static std::vector<std::string> names_in(int directory) {
        std::vector<std::string> names;
        const int copy = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        const auto close = [](DIR* stream) { ::closedir(stream); };
        const std::unique_ptr<DIR, decltype(close)> stream{copy < 0 ? nullptr : ::fdopendir(copy),
                                                           close};
        if (!stream) {
            throw system_error(errno, "list", "a directory");
        }
        while (const dirent* entry = ::readdir(stream.get())) {
            if (const std::string_view name{entry->d_name}; name != "." && name != "..") {
                names.emplace_back(name);
            }
        }
        return names;
    }

    static void remove_from(int parent, const std::string& name, const std::string& path) {
        if (::unlinkat(parent, name.c_str(), 0) == 0 || errno == ENOENT) {
            return;
        }
        if (errno != EISDIR && errno != EPERM) {
            throw system_error(errno, "remove", shown(path));
        }
        const UniqueFd directory{
            ::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
        if (!directory) {
            throw system_error(errno, "remove", shown(path));
        }
        for (const std::string& child : names_in(directory.get())) {
            remove_from(directory.get(), child, path + '/' + child);
        }
        if (::unlinkat(parent, name.c_str(), AT_REMOVEDIR) != 0) {
            throw system_error(errno, "remove", shown(path));
        }
    }

    static std::deque<std::string> components(std::string_view path) {
        std::deque<std::string> parts;
        for (std::size_t start = 0; start < path.size();) {
            const std::size_t end = std::min(path.find('/', start), path.size());
            const std::string_view part = path.substr(start, end - start);
            if (!part.empty() && part != ".") {
                parts.emplace_back(part);
            }
            start = end + 1;
        }
        return parts;
    }

    static Error refuse(std::string_view path, std::string answer) {
        return Error{
            ErrorCode::input,
            {.attempted = "use path", .subject = shown(path), .answer = std::move(answer)}};
    }

    static std::optional<std::string> read_link(int directory, const std::string& name) {
        std::string target(PATH_MAX, '\0');
        const ssize_t got = ::readlinkat(directory, name.c_str(), target.data(), target.size());
        if (got < 0) {
            return std::nullopt;
        }
        target.resize(static_cast<std::size_t>(got));
        return target;
    }

    [[nodiscard]] int current() const noexcept { return current_->get(); }

    [[nodiscard]] std::string join(const std::string& name) const {
        std::string path;
        for (const std::string& part : names_) {
            path += part + '/';
        }
        return path + name;
    }

    void forget() noexcept {
        names_.clear();
        current_ = root_;
        entered_.clear();
    }

    /// Makes the directory of `parts` the current one. The last one is remembered: archives list
    /// neighbours together.
    bool enter(std::deque<std::string> parts, std::string_view path, Missing missing) {
        if (!entered_.empty() &&
            std::equal(parts.begin(), parts.end(), entered_.begin(), entered_.end())) {
            return true;
        }
        forget();
        const std::vector<std::string> wanted{parts.begin(), parts.end()};
        for (int links = 0; !parts.empty();) {
            const std::string part = std::move(parts.front());
            parts.pop_front();
            if (part == "..") {
                leave();
                continue;
            }
            if (names_.size() == deepest) {
                throw refuse(path, "deeper than " + std::to_string(deepest) + " directories");
            }
            if (descend(part, path, missing)) {
                continue;
            }
            const std::optional<std::string> target = read_link(current(), part);
            if (!target) {
                forget();
                return false;
            }
            if (++links > most_links) {
                throw refuse(path, "too many symbolic links");
            }
            if (target->starts_with('/')) {
                names_.clear();
                current_ = root_;
            }
            const std::deque<std::string> more = components(*target);
            parts.insert(parts.begin(), more.begin(), more.end());
        }
        entered_ = wanted;
        return true;
    }

    /// Goes down one level; false when there is a link, or nothing and nothing shall be made.
    bool descend(const std::string& part, std::string_view path, Missing missing) {
        constexpr int flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
        UniqueFd next{::openat(current(), part.c_str(), flags)};
        if (!next && errno == ENOENT && missing == Missing::create) {
            if (::mkdirat(current(), part.c_str(), 0755) != 0) {
                throw system_error(errno, "create directory", shown(join(part)));
            }
            next = UniqueFd{::openat(current(), part.c_str(), flags)};
        }
        if (next) {
            names_.push_back(part);
            current_ = share(std::move(next));
            return true;
        }
        if (errno != ENOTDIR && errno != ELOOP && errno != ENOENT) {
            throw system_error(errno, "open", shown(join(part)));
        }
        struct stat status {};
        if (::fstatat(current(), part.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
            !S_ISLNK(status.st_mode) && missing == Missing::create) {
            throw refuse(path, shown(join(part)) + " is not a directory");
        }
        return false;
    }

    /// "..": walks down again to the parent, so that depth costs no descriptors. The root is its
    /// own parent.
    void leave() {
        if (names_.empty()) {
            return;
        }
        names_.pop_back();
        current_ = root_;
        for (const std::string& name : names_) {
            UniqueFd next{
                ::openat(current(), name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
            if (!next) {
                throw system_error(errno, "open", shown(name));
            }
            current_ = share(std::move(next));
        }
    }

    std::shared_ptr<const UniqueFd> root_;
    std::shared_ptr<const UniqueFd> current_;
    std::vector<std::string> names_ = {};    ///< of the current directory, links resolved
    std::vector<std::string> entered_ = {};  ///< what led to it
};

}  // namespace fairing

// -------------------------------------------------------------------------------------------------------------
// fairing/oci/unpack.hpp - layers onto a directory (OCI image-spec, layer.md, "Applying
// Changesets"). Layers are foreign input: nothing in them reaches a file outside the directory.

namespace fairing::oci {

/// `ours`: everything belongs to this user, who can read all files and write all directories; no
/// setuid, setgid or sticky bits. `recorded`: owners and modes as in the layer, which takes root.
enum class Ownership { ours, recorded };

struct UnpackOptions {
    Ownership ownership = Ownership::ours;
};

enum class LayerCompression { none, gzip };

/// How a layer of that media type is compressed. Throws Error{unsupported} that names a type we can
/// not read.
[[nodiscard]] inline LayerCompression layer_compression(const Descriptor& layer) {
    const std::string_view type = layer.media_type;
    if (type.ends_with("+gzip") || type.ends_with(".gzip")) {
        return LayerCompression::gzip;
    }
    if (type.ends_with(".tar")) {
        return LayerCompression::none;
    }
    throw Error{ErrorCode::unsupported,
                {.attempted = "unpack layer",
                 .subject = layer.digest,
                 .answer = "its media type is " + layer.media_type,
                 .advice = type.ends_with("zstd") ? "use an image with gzip layers" : ""}};
}

/// Gives the tar archive of a layer, decompressed and verified against the descriptor.
inline void read_layer(Store& store, const Descriptor& layer, codec::TarReader& reader,
                       const Control& control) {
    Progress progress{.step = "unpack", .item = layer.digest, .total = layer.size};
    const auto pass = [&](auto&& write) {
        store.read_blob(layer, [&](std::span<const std::byte> bytes) {
            control.check("unpack layer " + layer.digest);
            write(bytes);
            progress.done += bytes.size();
            control.show(progress);
        });
    };
    if (layer_compression(layer) == LayerCompression::gzip) {
        codec::GunzipReader gunzip{
            [&reader](std::span<const std::byte> bytes) { reader.write(bytes); }};
        pass([&gunzip](std::span<const std::byte> bytes) { gunzip.write(bytes); });
        gunzip.finish();
    } else {
        pass([&reader](std::span<const std::byte> bytes) { reader.write(bytes); });
    }
    reader.finish();
}

/// Applies layer upon layer. Device nodes are left out, with a notice: a runtime makes those that a
/// container needs, and without a device cgroup any other is a door to this machine's disks.
/// Extended attributes are left out.
class Unpacker {
public:
    /// `directory` must exist, belong to us, and be changed by nobody else meanwhile.
    explicit Unpacker(const std::filesystem::path& directory, const UnpackOptions& options = {},
                      Control control = {})
        : tree_(directory), options_(options), control_(std::move(control)) {}

    /// Throws Error that names the layer and the entry; what was written until then stays.
    void apply(Store& store, const Descriptor& layer) {
        layer_ = layer.digest;
        written_.clear();
        skipped_devices_ = 0;
        file_.reset();
        codec::TarReader reader{[this](const codec::TarEntry& entry) { begin(entry); },
                                [this](std::span<const std::byte> bytes) { data(bytes); }};
        try {
            read_layer(store, layer, reader, control_);
            end_file();
        } catch (const Cancelled&) {
            throw;
        } catch (const Error& error) {
            const std::string text = error.what();
            if (text.find(layer_) != std::string::npos) {
                throw;
            }
            throw Error{error.code(),
                        {.attempted = "unpack layer", .subject = layer_, .answer = text}};
        }
        if (skipped_devices_ != 0) {
            control_.say(Level::info, "left out " + std::to_string(skipped_devices_) +
                                          " device nodes of layer " + layer.digest);
        }
    }

private:
    using Place = RootedTree::Place;
    using Missing = RootedTree::Missing;

    [[nodiscard]] Error failure(int number, const std::string& path) const {
        return system_error(
            number, "unpack", RootedTree::shown(path) + " of layer " + layer_,
            number == ENOSPC || number == EDQUOT ? ErrorCode::internal : ErrorCode::input);
    }
    [[nodiscard]] Error refusal(const std::string& path, std::string answer) const {
        return Error{ErrorCode::integrity,
                     {.attempted = "unpack",
                      .subject = RootedTree::shown(path) + " of layer " + layer_,
                      .answer = std::move(answer)}};
    }
    void check(int result, const std::string& path) const {
        if (result != 0) {
            throw failure(errno, path);
        }
    }

    static bool climbs(std::string_view path) {
        return path == ".." || path.starts_with("../") || path.ends_with("/..") ||
               path.find("/../") != std::string_view::npos;
    }

    [[nodiscard]] std::optional<Place> find(const std::string& path, Missing missing) {
        if (climbs(path)) {
            throw refusal(path, "a path with \"..\"");
        }
        try {
            return tree_.place(path, missing);
        } catch (const Error& error) {
            throw Error{error.code(),
                        {.attempted = "unpack",
                         .subject = RootedTree::shown(path) + " of layer " + layer_,
                         .answer = error.details().answer}};
        }
    }

    void begin(const codec::TarEntry& entry) {
        end_file();
        std::string path = entry.path;
        while (path.ends_with('/')) {
            path.pop_back();
        }
        const std::size_t slash = path.rfind('/');
        const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
        if (name.starts_with(".wh.")) {
            whiteout(slash == std::string::npos ? std::string{} : path.substr(0, slash), name);
            return;
        }
        const Place place = *find(path, Missing::create);
        if (place.path.empty()) {
            apply_root(entry, place);
        } else {
            create(entry, place);
        }
    }

    void apply_root(const codec::TarEntry& entry, const Place& root) const {
        if (entry.kind != codec::TarKind::directory) {
            throw refusal(entry.path, "it would replace the root");
        }
        if (options_.ownership == Ownership::recorded) {
            set_metadata(entry, root);
        }
    }

    void create(const codec::TarEntry& entry, const Place& place) {
        const char* name = place.name.c_str();
        Place source;
        if (entry.kind == codec::TarKind::hardlink) {
            source = hard_link_source(entry);
            if (source.path == place.path) {
                return;
            }
        }
        written_.insert(place.path);
        make_room(entry.kind, place);
        switch (entry.kind) {
            case codec::TarKind::directory:
                if (::mkdirat(place.fd(), name, 0700) != 0 && errno != EEXIST) {
                    throw failure(errno, entry.path);
                }
                break;
            case codec::TarKind::file:
                file_ = UniqueFd{::openat(
                    place.fd(), name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)};
                if (!file_) {
                    throw failure(errno, entry.path);
                }
                entry_ = entry;  // the rest is done behind its data
                return;
            case codec::TarKind::symlink:
                check(::symlinkat(entry.link_target.c_str(), place.fd(), name), entry.path);
                break;
            case codec::TarKind::hardlink:
                check(::linkat(source.fd(), source.name.c_str(), place.fd(), name, 0), entry.path);
                return;
            case codec::TarKind::fifo:
                check(::mkfifoat(place.fd(), name, 0600), entry.path);
                break;
            case codec::TarKind::character_device:
            case codec::TarKind::block_device:
                ++skipped_devices_;
                return;
        }
        set_metadata(entry, place);
    }

    [[nodiscard]] Place hard_link_source(const codec::TarEntry& entry) {
        std::optional<Place> source = find(entry.link_target, Missing::absent);
        struct stat status {};
        if (!source || !RootedTree::look(*source, status)) {
            throw refusal(entry.path, "a hard link to " + RootedTree::shown(entry.link_target) +
                                          ", which is not there");
        }
        if (S_ISDIR(status.st_mode)) {
            throw refusal(entry.path, "a hard link to a directory");
        }
        return *std::move(source);
    }

    /// A directory stays when a directory comes; everything else gives way.
    void make_room(codec::TarKind kind, const Place& place) {
        struct stat status {};
        if (RootedTree::look(place, status) &&
            !(S_ISDIR(status.st_mode) && kind == codec::TarKind::directory)) {
            tree_.remove(place);
        }
    }

    void data(std::span<const std::byte> bytes) {
        if (file_) {
            write_all(file_.get(), bytes, RootedTree::shown(entry_.path) + " of layer " + layer_);
        }
    }

    void end_file() {
        if (!file_) {
            return;
        }
        const UniqueFd file = std::move(file_);
        file_ = {};
        if (options_.ownership == Ownership::recorded) {
            check(::fchown(file.get(), static_cast<uid_t>(entry_.user),
                           static_cast<gid_t>(entry_.group)),
                  entry_.path);
        }
        check(::fchmod(file.get(), mode_of(entry_)), entry_.path);
        // Python's compiled files know the time of their source; to set it is worth a try.
        const struct timespec times[2] = {
            {.tv_sec = 0, .tv_nsec = UTIME_OMIT},
            {.tv_sec = static_cast<time_t>(entry_.mtime), .tv_nsec = 0}};
        static_cast<void>(::futimens(file.get(), times));
    }

    [[nodiscard]] mode_t mode_of(const codec::TarEntry& entry) const {
        if (options_.ownership == Ownership::recorded) {
            return static_cast<mode_t>(entry.mode & 07777);
        }
        const unsigned least = entry.kind == codec::TarKind::directory ? 0700 : 0400;
        return static_cast<mode_t>((entry.mode & 0777) | least);
    }

    void set_metadata(const codec::TarEntry& entry, const Place& place) const {
        if (options_.ownership == Ownership::recorded) {
            check(::fchownat(place.fd(), place.name.c_str(), static_cast<uid_t>(entry.user),
                             static_cast<gid_t>(entry.group), AT_SYMLINK_NOFOLLOW),
                  entry.path);
        }
        if (entry.kind != codec::TarKind::symlink) {
            check(::fchmodat(place.fd(), place.name.c_str(), mode_of(entry), 0), entry.path);
        }
    }

    /// ".wh.NAME" hides NAME of the layers below, ".wh..wh..opq" all of the directory; what this
    /// layer itself brings stays, wherever in the archive it stands.
    void whiteout(const std::string& directory, const std::string& name) {
        constexpr std::string_view opaque = ".wh..wh..opq";
        if (name == opaque) {
            const std::optional<Place> place = find(directory, Missing::absent);
            struct stat status {};
            if (place && RootedTree::look(*place, status) && S_ISDIR(status.st_mode)) {
                remove_children(*place);
            }
            return;
        }
        const std::string hidden = name.substr(4);
        if (hidden.starts_with(".wh.")) {
            return;  // aufs keeps notes of its own under such names
        }
        if (hidden.empty() || hidden == "." || hidden == "..") {
            throw refusal(directory + '/' + name, "a whiteout of nothing");
        }
        if (const std::optional<Place> place = find(directory + '/' + hidden, Missing::absent)) {
            remove_lower(*place);
        }
    }

    void remove_children(const Place& place) {
        for (const Place& child : RootedTree::children(place)) {
            remove_lower(child);
        }
    }

    /// Removes what the layers below brought.
    void remove_lower(const Place& place) {
        const auto next = written_.lower_bound(place.path + '/');
        const bool holds_ours = next != written_.end() && next->starts_with(place.path + '/');
        struct stat status {};
        if (!RootedTree::look(place, status)) {
            return;
        }
        if (!holds_ours && !written_.contains(place.path)) {
            tree_.remove(place);
        } else if (S_ISDIR(status.st_mode)) {
            remove_children(place);
        }
    }

    RootedTree tree_;
    UnpackOptions options_;
    Control control_;
    std::string layer_ = {};
    std::set<std::string> written_ = {};  ///< paths of this layer
    std::size_t skipped_devices_ = 0;
    UniqueFd file_ = {};  ///< the file whose data comes now
    codec::TarEntry entry_ = {};
};

/// Applies `layers` in order onto an existing directory.
inline void unpack(Store& store, std::span<const Descriptor> layers,
                   const std::filesystem::path& directory, const UnpackOptions& options = {},
                   const Control& control = {}) {
    Unpacker unpacker{directory, options, control};
    for (const Descriptor& layer : layers) {
        unpacker.apply(store, layer);
    }
}

}  // namespace fairing::oci

// -------------------------------------------------------------------------------------------------------------
// fairing/deployers/local/output_spool.hpp - the lines of a program, kept for as many readers as
// come, whenever they come.

namespace fairing::local {

/// One writer, any number of readers. The lines lie in a temporary file without a name, so that a
/// program never waits for a reader and its output takes no memory.
class OutputSpool {
public:
    static constexpr std::size_t tail_lines = 20;

    /// Throws Error when the temporary file can not grow.
    void add(const std::string& line) {
        const auto length = static_cast<std::uint32_t>(line.size());
        std::string record(sizeof length, '\0');
        std::memcpy(record.data(), &length, sizeof length);
        record += line;
        file_.append(std::as_bytes(std::span{record}));
        const std::lock_guard lock{mutex_};
        written_ = file_.size();
        tail_.push_back(line);
        if (tail_.size() > tail_lines) {
            tail_.pop_front();
        }
        changed_.notify_all();
    }

    /// No line comes any more.
    void close() {
        const std::lock_guard lock{mutex_};
        closed_ = true;
        changed_.notify_all();
    }

    /// The lines from `offset` on, which is moved behind them; waits for some. Empty: there are no
    /// more. nullopt: a stop.
    [[nodiscard]] std::optional<std::vector<std::string>> next(std::uint64_t& offset,
                                                               const std::stop_token& stop) {
        std::uint64_t end = 0;
        {
            std::unique_lock lock{mutex_};
            if (!changed_.wait(lock, stop, [&] { return closed_ || written_ > offset; })) {
                return std::nullopt;
            }
            end = written_;
        }
        std::vector<std::string> lines;
        constexpr std::uint64_t portion = std::uint64_t{256} << 10;
        const std::string bytes = read(offset, std::min(end - offset, portion));
        std::size_t at = 0;
        while (at + sizeof(std::uint32_t) <= bytes.size()) {
            std::uint32_t length = 0;
            std::memcpy(&length, bytes.data() + at, sizeof length);
            const std::size_t begin = at + sizeof length;
            if (begin + length > bytes.size()) {
                if (!lines.empty()) {
                    break;
                }
                lines.push_back(read(offset + begin, length));  // longer than a portion
            } else {
                lines.push_back(bytes.substr(begin, length));
            }
            at = begin + length;
        }
        offset += at;
        return lines;
    }

    /// The last lines so far.
    [[nodiscard]] std::vector<std::string> tail() const {
        const std::lock_guard lock{mutex_};
        return {tail_.begin(), tail_.end()};
    }

private:
    [[nodiscard]] std::string read(std::uint64_t offset, std::uint64_t size) const {
        std::string bytes(size, '\0');
        std::size_t done = 0;
        while (done < bytes.size()) {
            const ssize_t got = ::pread(file_.fd(), bytes.data() + done, bytes.size() - done,
                                        static_cast<off_t>(offset + done));
            if (got < 0 && errno == EINTR) {
                continue;
            }
            if (got <= 0) {
                throw system_error(got < 0 ? errno : EIO, "read back", "a program's output",
                                   ErrorCode::internal);
            }
            done += static_cast<std::size_t>(got);
        }
        return bytes;
    }

    TemporaryFile file_ = TemporaryFile{};
    mutable std::mutex mutex_;
    std::condition_variable_any changed_;
    std::uint64_t written_ = 0;
    bool closed_ = false;
    std::deque<std::string> tail_ = {};
};

}  // namespace fairing::local

// -------------------------------------------------------------------------------------------------------------
// fairing/deployers/local/local_workload.hpp - something that runs on this machine, as a Workload.

namespace fairing::local {

/// How a run ended.
struct RunEnd {
    int exit_code = 0;
    std::string reason = {};  ///< one sentence; empty for success
};

/// A process or a container. Its destructor ends it, if need be, and removes all that was made for
/// it.
struct Run {
    using LineSink = std::function<void(std::string)>;

    Run() = default;
    Run(Run&&) = delete;
    Run& operator=(Run&&) = delete;
    virtual ~Run() = default;
    /// Gives every line until the end. On a stop ends it, politely first, and still gives the lines
    /// that come.
    virtual RunEnd follow(const LineSink& sink, const std::stop_token& stop) = 0;
};

/// Reads the output from the start on, on a thread of its own, so that the program never waits for
/// a follower; every follower gets every line. A stop of `session_stop` ends the run, as do
/// remove() and the end of the last handle.
class LocalWorkload final : public Workload::Model {
public:
    static constexpr const char* container_name = "fairing-job";

    LocalWorkload(ObjectName name, std::unique_ptr<Run> run, const std::stop_token& session_stop)
        : name_(std::move(name)),
          run_(std::move(run)),
          on_session_stop_(session_stop, [this] { ending_.request_stop(); }),
          reader_([this] { read(); }) {}
    LocalWorkload(LocalWorkload&&) = delete;
    LocalWorkload& operator=(LocalWorkload&&) = delete;
    ~LocalWorkload() override {
        ending_.request_stop();
        reader_.join();
    }

    [[nodiscard]] ObjectName name() const override { return name_; }

    [[nodiscard]] Outcome poll(std::stop_token /*stop*/) override {
        const std::lock_guard lock{mutex_};
        Outcome outcome = outcome_;
        outcome.tail = spool_.tail();
        return outcome;
    }

    Outcome follow(const OutputSink& sink, std::stop_token stop) override {
        std::uint64_t offset = 0;
        for (;;) {
            const auto lines = spool_.next(offset, stop);
            if (!lines) {
                throw_cancelled();
            }
            if (lines->empty()) {
                break;
            }
            for (const std::string& line : *lines) {
                if (stop.stop_requested()) {
                    throw_cancelled();
                }
                if (sink) {
                    sink({.pod = name_.name, .container = container_name, .text = line});
                }
            }
        }
        const std::lock_guard lock{mutex_};
        if (failure_) {
            std::rethrow_exception(failure_);
        }
        Outcome outcome = outcome_;
        outcome.tail = spool_.tail();
        return outcome;
    }

    /// Waits until everything is gone, whatever `stop` says: half removed helps nobody.
    void remove(std::stop_token /*stop*/) override {
        ending_.request_stop();
        {
            std::unique_lock lock{mutex_};
            ended_.wait(lock, [this] { return has_ended_; });
        }
        release();
        const std::lock_guard lock{mutex_};
        outcome_.state = State::removed;
    }

private:
    [[noreturn]] void throw_cancelled() const {
        throw Cancelled{
            ErrorCode::cancelled,
            {.attempted = "follow", .subject = name_.name, .answer = "stopped on request"}};
    }

    /// Removes what was made for the run; whoever comes second waits until it is done.
    void release() {
        const std::lock_guard lock{releasing_};
        run_.reset();
    }

    void read() {
        Outcome outcome{.state = State::failed};
        std::exception_ptr failure;
        try {
            const RunEnd end = run_->follow([this](const std::string& line) { spool_.add(line); },
                                            ending_.get_token());
            outcome.state = end.exit_code == 0 ? State::succeeded : State::failed;
            outcome.exit_code = end.exit_code;
            outcome.reason = end.reason;
        } catch (const std::exception& error) {
            failure = std::current_exception();
            outcome.exit_code = 1;
            outcome.reason = error.what();
            release();  // nobody reads its output any more
        }
        {
            const std::lock_guard lock{mutex_};
            outcome_ = std::move(outcome);
            failure_ = std::move(failure);
            has_ended_ = true;
            ended_.notify_all();
        }
        spool_.close();
    }

    ObjectName name_;
    OutputSpool spool_ = {};
    std::mutex mutex_;
    std::condition_variable ended_;
    std::mutex releasing_;
    std::unique_ptr<Run> run_;
    Outcome outcome_{.state = State::running};
    std::exception_ptr failure_ = {};
    bool has_ended_ = false;
    std::stop_source ending_ = {};
    std::stop_callback<std::function<void()>> on_session_stop_;
    std::thread reader_;  // last: it uses all of the above
};

}  // namespace fairing::local

// -------------------------------------------------------------------------------------------------------------
// fairing/deployers/local/process_run.hpp - our layers in a private directory, run by this
// machine's own programs.

namespace fairing::local {

/// Follows a process and ends it on a stop: SIGTERM, `grace`, SIGKILL.
[[nodiscard]] inline ProcessEnd follow_process(Process& process, const Run::LineSink& sink,
                                               const std::stop_token& stop,
                                               std::chrono::milliseconds grace) {
    const auto on_line = [&sink](Stream, std::string line) { sink(std::move(line)); };
    try {
        return process.follow(on_line, stop);
    } catch (const Cancelled&) {
        process.terminate(grace);
        return process.follow(on_line);
    }
}

/// Says what a path of the image is on this machine: below `root`, when it lies under the path
/// prefix or is a file of our layers; itself otherwise.
class PathMap {
public:
    /// `prefix` is absolute; "/" stands for no prefix: every path begins with it, the interpreter's
    /// too.
    PathMap(std::filesystem::path root, std::string prefix)
        : root_(std::move(root)), tree_(root_), prefix_(std::move(prefix)) {
        while (prefix_.size() > 1 && prefix_.ends_with('/')) {
            prefix_.pop_back();
        }
    }

    [[nodiscard]] std::string operator()(const std::string& text) {
        const bool under_prefix =
            prefix_ != "/" && (text == prefix_ || text.starts_with(prefix_ + '/'));
        return text.starts_with('/') && (under_prefix || is_our_file(text)) ? root_.string() + text
                                                                            : text;
    }

    /// The same for every element of a list that is separated by colons: "/app/lib:/usr/lib".
    [[nodiscard]] std::string list(const std::string& text) {
        std::string result;
        for (std::size_t start = 0; start <= text.size();) {
            const std::size_t end = std::min(text.find(':', start), text.size());
            result += (start == 0 ? "" : ":") + (*this)(text.substr(start, end - start));
            start = end + 1;
        }
        return result;
    }

private:
    [[nodiscard]] bool is_our_file(const std::string& text) {
        try {
            const auto place = tree_.resolve(text);
            struct stat status {};
            return place && RootedTree::look(*place, status) && S_ISREG(status.st_mode);
        } catch (const Error&) {
            return false;  // not even a path
        }
    }

    std::filesystem::path root_;
    RootedTree tree_;
    std::string prefix_;
};

/// The command that runs `image` on this machine, its layers being unpacked in `root`. The
/// environment is this process's, then the image's, then what every job has.
[[nodiscard]] inline Command host_command(const Image& image, const std::filesystem::path& root) {
    PathMap map{root, image.working_directory};
    Command command{.directory = map(image.working_directory)};
    for (const std::string& argument : image.command) {
        command.arguments.push_back(map(argument));
    }
    for (const auto& [name, value] : image.environment) {
        command.environment.emplace(name, map.list(value));
    }
    command.environment.insert_or_assign("FAIRING_RUNTIME", std::string{"1"});
    command.environment.try_emplace("PYTHONUNBUFFERED",
                                    "1");  // so that lines come as they are printed
    return command;
}

/// A plain process; its directory lives as long as this does.
class ProcessRun final : public Run {
public:
    /// `directory` holds our layers below "root".
    ProcessRun(const Image& image, TemporaryDirectory directory, std::chrono::milliseconds grace)
        : directory_(std::move(directory)), grace_(grace), process_(prepare(image, directory_)) {}

    RunEnd follow(const LineSink& sink, const std::stop_token& stop) override {
        const ProcessEnd end = follow_process(process_, sink, stop, grace_);
        return {.exit_code = end.exit_code, .reason = end.reason()};
    }

private:
    static Command prepare(const Image& image, const TemporaryDirectory& directory) {
        const std::filesystem::path root = directory.path() / "root";
        Command command = host_command(image, root);
        if (image.working_directory.empty() || image.working_directory == "/") {
            command.directory = root;
        }
        command.if_we_die = {{"rm", "-rf", "--", directory.path().string()}};
        std::error_code failed;
        std::filesystem::create_directories(command.directory, failed);
        if (failed) {
            throw system_error(failed.value(), "create", command.directory.string());
        }
        return command;
    }

    TemporaryDirectory directory_;
    std::chrono::milliseconds grace_;
    Process process_;
};

}  // namespace fairing::local

// -------------------------------------------------------------------------------------------------------------
// fairing/deployers/local/runtime_spec.hpp - the config.json of a container (OCI
// runtime-spec 1.0.2). Pure.

namespace fairing::local {

/// What root inside is outside, for a runtime that this user starts without root.
struct UserMapping {
    unsigned user = 0, group = 0;
};

/// The image's environment and what every job has; `base` is that of the image's own configuration.
[[nodiscard]] inline std::map<std::string, std::string> job_environment(
    const Image& image, std::map<std::string, std::string> base = {}) {
    for (const auto& [name, value] : image.environment) {
        base.insert_or_assign(name, value);
    }
    base.insert_or_assign("FAIRING_RUNTIME", std::string{"1"});
    base.try_emplace("PYTHONUNBUFFERED", "1");  // so that lines come as they are printed
    base.try_emplace("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    return base;
}

namespace detail {

/// What every container has. Its network is this machine's, so there is no namespace for it; root
/// inside lacks the capabilities that reach out; there is no cgroup, so there are no limits.
inline constexpr const char* runtime_spec_defaults = R"({
    "ociVersion": "1.0.2",
    "hostname": "fairing-job",
    "process": {
        "terminal": false,
        "user": {"uid": 0, "gid": 0},
        "noNewPrivileges": true
    },
    "root": {"path": "rootfs", "readonly": false},
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
         "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
        {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
         "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
        {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
         "options": ["nosuid", "noexec", "nodev", "mode=1777"]},
        {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"]},
        {"destination": "/etc/resolv.conf", "type": "bind", "source": "/etc/resolv.conf", "options": ["bind", "ro"]},
        {"destination": "/etc/hosts", "type": "bind", "source": "/etc/hosts", "options": ["bind", "ro"]}
    ],
    "linux": {
        "namespaces": [{"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}],
        "maskedPaths": ["/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
                        "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware"],
        "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
    }
})";

/// As root: a sysfs of its own, and the terminals' group.
inline constexpr const char* runtime_spec_as_root = R"({
    "sys": {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
    "capabilities": ["CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL",
                     "CAP_NET_BIND_SERVICE", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID",
                     "CAP_SYS_CHROOT"]
})";

/// In a user namespace: a new sysfs would show the network namespace of its maker, so this
/// machine's is bound.
inline constexpr const char* runtime_spec_rootless = R"({
    "sys": {"destination": "/sys", "type": "none", "source": "/sys",
            "options": ["rbind", "nosuid", "noexec", "nodev", "ro"]},
    "mapping": [{"containerID": 0, "size": 1}]
})";

}  // namespace detail

/// A container with its own processes, mounts and host name, and with the network of this machine,
/// so that data and servers that are reachable here are reachable there. With `mapping` a user
/// namespace makes root inside this user.
[[nodiscard]] inline Json runtime_spec(const Image& image,
                                       const std::map<std::string, std::string>& environment,
                                       const std::optional<UserMapping>& mapping = {}) {
    Json spec = Json::parse(detail::runtime_spec_defaults);
    const Json as_root = Json::parse(detail::runtime_spec_as_root);
    Json& process = spec["process"];
    std::vector<std::string> variables;
    for (const auto& [name, value] : environment) {
        variables.push_back(name + '=' + value);
    }
    process["args"] = image.command;
    process["env"] = variables;
    process["cwd"] = image.working_directory;
    for (const char* set : {"bounding", "effective", "permitted"}) {
        process["capabilities"][set] = as_root.at("capabilities");
    }
    if (!mapping) {
        spec["mounts"].push_back(as_root.at("sys"));
        spec["mounts"][2]["options"].push_back("gid=5");
        return spec;
    }
    const Json rootless = Json::parse(detail::runtime_spec_rootless);
    spec["mounts"].push_back(rootless.at("sys"));
    Json& linux = spec["linux"];
    linux["namespaces"].push_back(Json::parse(R"({"type": "user"})"));
    linux["uidMappings"] = rootless.at("mapping");
    linux["uidMappings"][0]["hostID"] = mapping->user;
    linux["gidMappings"] = rootless.at("mapping");
    linux["gidMappings"][0]["hostID"] = mapping->group;
    return spec;
}

}  // namespace fairing::local

// -------------------------------------------------------------------------------------------------------------
// fairing/deployers/local/container_run.hpp - the image as a container, by an OCI runtime without a
// daemon (crun, runc).

namespace fairing::local {

/// A runtime and how it is called.
struct Runtime {
    std::filesystem::path program = {};

    [[nodiscard]] bool is_crun() const { return program.filename().string().find("crun") == 0; }
};

/// Whether crun would refuse this machine, whatever the container: cgroup version 1 with
/// controllers left to version 2.
[[nodiscard]] inline bool has_mixed_cgroups() {
    try {
        const std::string controllers = read_file("/sys/fs/cgroup/unified/cgroup.controllers");
        return controllers.find_first_not_of(" \n") != std::string::npos;
    } catch (const Error&) {
        return false;
    }
}

/// The named one, or the first of crun and runc that is on the PATH and works here. Throws
/// Error{not_found} for a named one that is missing.
[[nodiscard]] inline std::optional<Runtime> find_runtime(const std::string& name) {
    if (!name.empty()) {
        auto program = find_program(name);
        if (!program) {
            throw Error{ErrorCode::not_found,
                        {.attempted = "find container runtime",
                         .subject = name,
                         .answer = "no such program",
                         .advice = "install crun or runc, or leave the choice to us"}};
        }
        return Runtime{.program = *std::move(program)};
    }
    for (const char* candidate : {"crun", "runc"}) {
        Runtime runtime;
        if (auto program = find_program(candidate)) {
            runtime.program = *std::move(program);
            if (!runtime.is_crun() || !has_mixed_cgroups()) {
                return runtime;
            }
        }
    }
    return std::nullopt;
}

/// Where the program of a command is in an unpacked image, as execvp(3) inside would find it;
/// nullopt: nowhere.
[[nodiscard]] inline std::optional<std::string> find_in_image(const std::filesystem::path& root,
                                                              const std::string& program,
                                                              const std::string& working_directory,
                                                              const std::string& search_path) {
    RootedTree tree{root};
    const auto executable = [&tree](const std::string& path) -> std::optional<std::string> {
        try {
            const auto place = tree.resolve(path);
            struct stat status {};
            const bool found = place && RootedTree::look(*place, status) &&
                               S_ISREG(status.st_mode) && (status.st_mode & 0111) != 0;
            return found ? std::optional{'/' + place->path} : std::nullopt;
        } catch (const Error&) {
            return std::nullopt;
        }
    };
    if (program.find('/') != std::string::npos) {
        return executable(program.starts_with('/') ? program : working_directory + '/' + program);
    }
    for (std::size_t start = 0; !program.empty() && start <= search_path.size();) {
        const std::size_t end = std::min(search_path.find(':', start), search_path.size());
        if (end > start) {
            if (auto found = executable(search_path.substr(start, end - start) + '/' + program)) {
                return found;
            }
        }
        start = end + 1;
    }
    return std::nullopt;
}

/// A container and its bundle. The runtime's own state lies in the bundle too, and nothing outlives
/// this object.
class ContainerRun final : public Run {
public:
    /// `bundle` holds the image below "rootfs"; `spec` is its config.json. Throws Error when the
    /// runtime itself can not be run; what it says against the container is in the end's reason.
    ContainerRun(Runtime runtime, std::string name, TemporaryDirectory bundle, const Json& spec,
                 std::chrono::milliseconds grace)
        : runtime_(std::move(runtime)),
          name_(std::move(name)),
          bundle_(std::move(bundle)),
          grace_(grace) {
        write_bundle(spec);
        process_.emplace(Command{.arguments = arguments({"run", "--pid-file", path("pid"),
                                                         "--bundle", path("."), name_}),
                                 .if_we_die = {arguments({"delete", "--force", name_}),
                                               {"rm", "-rf", "--", bundle_.path().string()}}});
    }
    ~ContainerRun() override {
        process_.reset();
        try {
            static_cast<void>(fairing::run({.arguments = arguments({"delete", "--force", name_})},
                                           {.time_limit = std::chrono::seconds{10}}));
        } catch (const std::exception&) {
            // its processes are gone already; what is left is the runtime's note of them, in the
            // bundle
        }
    }

    RunEnd follow(const LineSink& sink, const std::stop_token& stop) override {
        const ProcessEnd end = follow_process(*process_, sink, stop, grace_);
        RunEnd result{.exit_code = end.exit_code, .reason = end.reason()};
        std::error_code ignored;
        if (!stop.stop_requested() && !std::filesystem::exists(path("pid"), ignored)) {
            result.exit_code = fairing::exit_code(ErrorCode::unavailable);  // the program has none
            result.reason = runtime_.program.filename().string() +
                            " could not start the container: " + complaint(end) +
                            "; --isolation process runs it without one";
        } else if (end.signal == 0 && end.exit_code > 128 && end.exit_code <= 128 + 64) {
            result.reason += ", as if killed by " + signal_text(end.exit_code - 128);
        }
        return result;
    }

private:
    [[nodiscard]] std::string path(const char* name) const {
        return (bundle_.path() / name).string();
    }

    [[nodiscard]] std::vector<std::string> arguments(std::vector<std::string> subcommand) const {
        std::vector<std::string> all{runtime_.program.string(), "--root", path("state"), "--log",
                                     path("log")};
        if (runtime_.is_crun()) {
            all.emplace_back("--cgroup-manager=disabled");
        }
        all.insert(all.end(), subcommand.begin(), subcommand.end());
        return all;
    }

    /// Leaves out what this machine does not have, and makes the directory that the program starts
    /// in.
    void write_bundle(Json spec) const {
        Json mounts = Json::array();
        for (const Json& mount : spec.at("mounts")) {
            if (mount.at("type") != "bind" ||
                std::filesystem::exists(mount.at("source").get<std::string>())) {
                mounts.push_back(mount);
            }
        }
        spec["mounts"] = std::move(mounts);
        RootedTree tree{bundle_.path() / "rootfs"};
        static_cast<void>(tree.place(spec.at("process").at("cwd").get<std::string>() + "/.keep",
                                     RootedTree::Missing::create));
        write_file(bundle_.path() / "config.json", spec.dump(2) + '\n', 0600);
    }

    /// The last thing that the runtime has to say.
    [[nodiscard]] std::string complaint(const ProcessEnd& end) const {
        try {
            std::string text = read_file(path("log"), std::size_t{1} << 20);
            while (text.ends_with('\n')) {
                text.pop_back();
            }
            text.erase(0, text.rfind('\n') + 1);
            if (!text.empty()) {
                return text;
            }
        } catch (const Error&) {
            // it wrote none
        }
        return end.reason();
    }

    Runtime runtime_;
    std::string name_;
    TemporaryDirectory bundle_;
    std::chrono::milliseconds grace_;
    std::optional<Process> process_ = {};
};

}  // namespace fairing::local

// -------------------------------------------------------------------------------------------------------------
// fairing/deployers/local/engine_run.hpp - the image as a container of this machine's Docker or
// Podman.

namespace fairing::local {

/// The body of POST /containers/create: the command as the whole command, on this machine's
/// network.
[[nodiscard]] inline Json container_settings(const std::string& image_id, const Image& image,
                                             const std::string& name) {
    Json variables = Json::array();
    std::map<std::string, std::string> environment = image.environment;
    environment.insert_or_assign("FAIRING_RUNTIME", std::string{"1"});
    environment.try_emplace("PYTHONUNBUFFERED", "1");
    for (const auto& [key, value] : environment) {
        variables.push_back(key + '=' + value);
    }
    Json settings = {{"Image", image_id},
                     {"Env", variables},
                     {"WorkingDir", image.working_directory},
                     {"Tty", false},
                     {"Labels", {{"fairing-id", name}, {"fairing-deployer", "local"}}},
                     {"HostConfig", {{"NetworkMode", "host"}}}};
    if (!image.command.empty()) {
        settings["Entrypoint"] = Json::array({image.command.front()});
        settings["Cmd"] = std::vector<std::string>(image.command.begin() + 1, image.command.end());
    }
    return settings;
}

/// A container of an engine. When this object goes, so does the container, and the image if we
/// brought it. (A violent death of ours leaves the container to the engine: it has the label
/// fairing-id.)
class EngineRun final : public Run {
public:
    /// Creates and starts it; `brought` is the id of an image to remove in the end, or empty.
    EngineRun(engine::Engine engine, const std::string& name, const Json& settings,
              std::string brought, std::chrono::milliseconds grace, const std::stop_token& stop)
        : engine_(std::move(engine)), brought_(std::move(brought)), grace_(grace), id_(name) {
        try {
            id_ = engine_.create(name, settings, stop);
            engine_.start(id_, stop);
        } catch (...) {
            clean_up();
            throw;
        }
    }
    ~EngineRun() override { clean_up(); }

    RunEnd follow(const LineSink& sink, const std::stop_token& stop) override {
        const std::jthread ender = end_on(stop);
        LineSplitter output;
        LineSplitter errors;
        engine_.follow_logs(id_, [&](Stream stream, std::span<const std::byte> bytes) {
            (stream == Stream::output ? output : errors).write(bytes, sink);
        });
        output.finish(sink);
        errors.finish(sink);
        const engine::ContainerEnd end = engine_.wait(id_);
        RunEnd result{.exit_code = end.exit_code};
        if (end.exit_code != 0) {
            result.reason = "exited with " + std::to_string(end.exit_code);
            if (end.exit_code > 128 && end.exit_code <= 128 + 64) {
                result.reason += ", as if killed by " + signal_text(end.exit_code - 128);
            }
            if (!end.error.empty()) {
                result.reason += ": " + end.error;
            }
        }
        return result;
    }

private:
    /// A thread that ends the container on a stop; the logs end then by themselves.
    [[nodiscard]] std::jthread end_on(const std::stop_token& stop) {
        return std::jthread{[this, stop](const std::stop_token& done) {
            std::mutex mutex;
            std::condition_variable_any woken;
            const std::stop_callback on_stop{stop, [&] {
                                                 const std::lock_guard lock{mutex};
                                                 woken.notify_all();
                                             }};
            std::unique_lock lock{mutex};
            woken.wait(lock, done, [&stop] { return stop.stop_requested(); });
            lock.unlock();
            if (stop.stop_requested()) {
                try {
                    engine_.stop(id_, std::chrono::ceil<std::chrono::seconds>(grace_), done);
                } catch (const std::exception&) {
                    kill();
                }
            }
        }};
    }

    void kill() noexcept {
        try {
            engine_.kill(id_);
        } catch (const std::exception&) {
            // it has ended meanwhile, or the engine has
        }
    }

    void clean_up() noexcept {
        try {
            engine_.remove(id_);
        } catch (const std::exception&) {
            // the engine is gone, and its containers with it
        }
        try {
            if (!brought_.empty()) {
                engine_.remove_image(brought_);
            }
        } catch (const std::exception&) {
            // somebody else uses it now
        }
    }

    engine::Engine engine_;
    std::string brought_;
    std::chrono::milliseconds grace_;
    std::string id_ = {};
};

}  // namespace fairing::local

// -------------------------------------------------------------------------------------------------------------
// fairing/deployers/local/launch.hpp - chooses how an image runs on this machine, unpacks it, and
// starts it.

namespace fairing {

enum class Isolation { automatic, container, process };

namespace local {

struct Options {
    Isolation isolation = Isolation::automatic;
    std::string runtime = {};
    std::string engine = {};
    std::chrono::milliseconds grace = std::chrono::seconds{3};
};

/// "fairing-job-" and 12 random hex digits.
[[nodiscard]] inline std::string random_name() {
    std::random_device device;
    std::string name = "fairing-job-";
    for (int i = 0; i < 12; ++i) {
        name += "0123456789abcdef"[device() % 16U];
    }
    return name;
}

namespace detail {

/// Variables of an image's configuration.
[[nodiscard]] inline std::map<std::string, std::string> environment_of(const oci::Image& image) {
    std::map<std::string, std::string> result;
    const Json list = image.setting("Env");
    for (const Json& entry : list.is_array() ? list : Json::array()) {
        if (entry.is_string()) {
            const std::string text = entry.get<std::string>();
            if (const std::size_t equals = text.find('='); equals != std::string::npos) {
                result.insert_or_assign(text.substr(0, equals), text.substr(equals + 1));
            }
        }
    }
    return result;
}

/// The layers that are ours, by the label of the configuration: those of a base that was ours, too.
[[nodiscard]] inline std::vector<oci::Descriptor> own_layers(const oci::Image& stored) {
    const std::vector<oci::Descriptor> all = stored.layers();
    const auto count = static_cast<std::ptrdiff_t>(oci::own_layers(stored));
    return {all.end() - count, all.end()};
}

[[nodiscard]] inline Workload handle(const char* kind, std::string name, std::unique_ptr<Run> run,
                                     const Session& session) {
    return Workload{std::make_shared<LocalWorkload>(
        ObjectName{.api_version = "fairing/v1", .kind = kind, .name = std::move(name)},
        std::move(run), session.stop)};
}

[[nodiscard]] inline std::optional<std::filesystem::path> engine_socket(const Options& options) {
    return options.engine.empty() ? engine::find_socket()
                                  : std::optional<std::filesystem::path>{options.engine};
}

/// Makes a directory `name` in `parent` and unpacks onto it.
inline void unpack_into(const TemporaryDirectory& parent, const char* name, oci::Store& store,
                        const std::vector<oci::Descriptor>& layers, oci::Ownership ownership,
                        const Control& control) {
    const std::filesystem::path directory = parent.path() / name;
    if (::mkdir(directory.c_str(), 0755) != 0) {
        throw system_error(errno, "create", directory.string(), ErrorCode::internal);
    }
    oci::unpack(store, layers, directory, {.ownership = ownership}, control);
}

}  // namespace detail

/// An image that lies in an engine already.
[[nodiscard]] inline Workload launch_in_engine(const Options& options, const Image& image,
                                               const net::AnyTransport& transport,
                                               const Session& session) {
    const auto socket = detail::engine_socket(options);
    if (!socket) {
        throw Error{ErrorCode::unavailable,
                    {.attempted = "run",
                     .subject = image.reference,
                     .answer = "it lies in a container engine, and there is no socket of one",
                     .advice = "start Docker or Podman, or name the socket with --engine"}};
    }
    const engine::Engine engine = engine::Engine::connect(transport, *socket, session.stop);
    std::string name = random_name();
    const Json settings = container_settings(image.reference, image, name);
    return detail::handle("Container", name,
                          std::make_unique<EngineRun>(engine, name, settings, std::string{},
                                                      options.grace, session.stop),
                          session);
}

/// Starts `image`, whose manifest and layers `store` holds. See LocalDeployer::deploy.
class Launcher {
public:
    Launcher(const Options& options, const Image& image, oci::Store& store,
             net::AnyTransport transport, const Session& session)
        : options_(options),
          image_(image),
          store_(store),
          transport_(std::move(transport)),
          session_(session),
          control_(session.control()),
          stored_(load()) {}

    [[nodiscard]] Workload launch() {
        if (image_.command.empty()) {
            throw Error{
                ErrorCode::usage,
                {.attempted = "run", .subject = image_.reference, .answer = "it has no command"}};
        }
        if (options_.isolation == Isolation::process) {
            return as_process();
        }
        const std::optional<Runtime> runtime = find_runtime(options_.runtime);
        const bool automatic = options_.isolation == Isolation::automatic;
        const auto socket = runtime ? std::nullopt : find_engine(automatic);
        if (!runtime && !socket) {
            if (!automatic) {
                throw no_container();
            }
            control_.say(Level::debug, "no container runtime here: running as a plain process");
            return as_process();
        }
        std::optional<TemporaryDirectory> bundle;
        if (runtime || automatic) {
            const auto ownership =
                ::geteuid() == 0 ? oci::Ownership::recorded : oci::Ownership::ours;
            bundle.emplace();
            detail::unpack_into(*bundle, "rootfs", store_, stored_.layers(), ownership, control_);
        }
        // Only the unpacked image can say whether it holds the program: links and whiteouts have
        // their say.
        if (automatic && !find_in_image(bundle->path() / "rootfs", image_.command.front(),
                                        image_.working_directory, environment().at("PATH"))) {
            control_.say(Level::info, "the image does not hold " + image_.command.front() +
                                          ": running it with this machine's, as a plain process");
            bundle.reset();
            return as_process();
        }
        check_platform();
        if (runtime) {
            return in_container(*runtime, *std::move(bundle));
        }
        bundle.reset();
        return in_engine(*socket);
    }

private:
    [[nodiscard]] oci::Image load() const {
        const std::string wanted =
            image_.digest.empty() ? oci::parse_reference(image_.reference).wanted() : image_.digest;
        return oci::load_image(store_, wanted, oci::host_platform(), image_.reference).image;
    }

    [[nodiscard]] std::map<std::string, std::string> environment() const {
        return job_environment(image_, detail::environment_of(stored_));
    }

    void check_platform() const {
        const oci::Platform theirs = stored_.platform();
        if (!oci::host_platform().accepts(theirs)) {
            throw Error{ErrorCode::unsupported,
                        {.attempted = "run",
                         .subject = image_.reference,
                         .answer = "it is for " + theirs.text() + ", and this machine is " +
                                   oci::host_platform().text()}};
        }
    }

    [[nodiscard]] std::optional<std::filesystem::path> find_engine(bool automatic) const {
        try {
            return detail::engine_socket(options_);
        } catch (const Error&) {
            if (!automatic) {
                throw;
            }
            return std::nullopt;  // a DOCKER_HOST elsewhere is no engine of this machine
        }
    }

    [[nodiscard]] Error no_container() const {
        std::string places;
        for (const std::filesystem::path& place : engine::socket_candidates()) {
            places += (places.empty() ? "" : ", ") + place.string();
        }
        const bool mixed = find_program("crun") && has_mixed_cgroups();
        return Error{
            ErrorCode::unavailable,
            {.attempted = "run in a container:",
             .subject = image_.reference,
             .answer =
                 (mixed
                      ? "crun does not work with this machine's mixed cgroups, and there is no runc"
                      : "there is no crun or runc") +
                 std::string{", and no engine listens at "} + places,
             .advice = "install runc, or use --isolation process"}};
    }

    [[nodiscard]] Workload as_process() {
        TemporaryDirectory directory;
        detail::unpack_into(directory, "root", store_, detail::own_layers(stored_),
                            oci::Ownership::ours, control_);
        control_.check("run " + image_.reference);
        return detail::handle(
            "Process", random_name(),
            std::make_unique<ProcessRun>(image_, std::move(directory), options_.grace), session_);
    }

    [[nodiscard]] Workload in_container(const Runtime& runtime, TemporaryDirectory bundle) {
        control_.check("run " + image_.reference);
        std::string name = random_name();
        const std::optional<UserMapping> mapping =
            ::geteuid() == 0
                ? std::nullopt
                : std::optional{UserMapping{.user = ::geteuid(), .group = ::getegid()}};
        auto run = std::make_unique<ContainerRun>(runtime, name, std::move(bundle),
                                                  runtime_spec(image_, environment(), mapping),
                                                  options_.grace);
        return detail::handle("Container", std::move(name), std::move(run), session_);
    }

    [[nodiscard]] Workload in_engine(const std::filesystem::path& socket) {
        const engine::Engine engine = engine::Engine::connect(transport_, socket, session_.stop);
        const std::string id = engine::image_id(stored_);
        std::string brought;
        if (!engine.has_image(id, session_.stop)) {
            engine.load(engine::docker_archive(store_, stored_), session_.stop);
            brought = id;
        }
        std::string name = random_name();
        const Json settings = container_settings(id, image_, name);
        return detail::handle(
            "Container", name,
            std::make_unique<EngineRun>(engine, name, settings, std::move(brought), options_.grace,
                                        session_.stop),
            session_);
    }

    const Options& options_;
    const Image& image_;
    oci::Store& store_;
    net::AnyTransport transport_;
    const Session& session_;
    Control control_;
    oci::Image stored_;
};

[[nodiscard]] inline Workload launch(const Options& options, const Image& image, oci::Store& store,
                                     const net::AnyTransport& transport, const Session& session) {
    return Launcher{options, image, store, transport, session}.launch();
}

}  // namespace local

}  // namespace fairing

// -------------------------------------------------------------------------------------------------------------
// fairing/deployers/local.hpp - runs the image on this machine: in a container when the image holds
// its own program, else as a plain process over our layers.

namespace fairing {

/// Runs the image here. `automatic` takes a container when the image holds the command's program
/// and there is a runtime (crun, runc) or an engine (Docker, Podman) for it; a plain process
/// otherwise. The process runs this machine's own interpreter over our layers alone, in a private
/// directory: paths in the command, the working directory and the environment that begin with the
/// path prefix are those of that directory. The container has the network of this machine. What the
/// program leaves in its directory lives as long as the handle.
struct LocalDeployer {
    Isolation isolation = Isolation::automatic;
    std::string runtime =
        {};  ///< crun, runc, or a path; empty: the first of the two that works here
    std::string engine =
        {};  ///< path of a Docker or Podman socket; empty: DOCKER_HOST, then the usual places
    int grace_seconds = 3;  ///< between SIGTERM and SIGKILL
    bool insecure = false;  ///< plain http; registries of this machine may always be spoken to so
    std::string ca_file = {};  ///< PEM file of the certificate authorities to trust

    /// Started when this returns. A stop of the session ends it, as does the end of the last
    /// handle. Throws Error: not_found for a program or image that is not there, unavailable when a
    /// container is asked for and nothing here runs one, unsupported for a platform or a layer that
    /// is not for this machine.
    [[nodiscard]] Workload deploy(const Image& image, const Session& session) const {
        if (grace_seconds < 0) {
            throw Error{ErrorCode::usage,
                        {.attempted = "use grace_seconds",
                         .subject = std::to_string(grace_seconds),
                         .answer = "it is negative"}};
        }
        const local::Options options{.isolation = isolation,
                                     .runtime = runtime,
                                     .engine = engine,
                                     .grace = std::chrono::seconds{grace_seconds}};
        const registry::ClientOptions access =
            registry_options(session, {.insecure = insecure, .ca_file = ca_file});
        if (image.location == Location::engine) {
            return local::launch_in_engine(options, image, access.transport, session);
        }
        if (image.location == Location::nowhere) {
            throw Error{ErrorCode::usage,
                        {.attempted = "run",
                         .subject = image.reference,
                         .answer = "it was built, but is stored nowhere",
                         .advice = "build it with --registry oci:DIR"}};
        }
        const std::unique_ptr<oci::Store> store =
            registry::open_store(oci::parse_reference(image.reference), access, session.control());
        return local::launch(options, image, *store, access.transport, session);
    }

    /// The runtime spec of the container, as root runs it. A plain process has no object, and is
    /// shown as the same.
    [[nodiscard]] std::vector<Json> manifests(const Image& image,
                                              const Session& /*session*/) const {
        return {local::runtime_spec(image, local::job_environment(image))};
    }
};

template <>
inline constexpr auto value_names<Isolation> =
    std::array<std::pair<std::string_view, Isolation>, 3>{{{"auto", Isolation::automatic},
                                                           {"container", Isolation::container},
                                                           {"process", Isolation::process}}};

template <>
inline constexpr auto fields<LocalDeployer> = std::tuple{
    field("isolation", &LocalDeployer::isolation,
          "container, process, or auto: a container when the image holds the command's program"),
    field("runtime", &LocalDeployer::runtime, "container runtime: crun, runc or a path"),
    field("engine", &LocalDeployer::engine,
          "socket of Docker or Podman, where there is no runtime"),
    field("grace_seconds", &LocalDeployer::grace_seconds,
          "seconds between SIGTERM and SIGKILL (default: 3)"),
    field("insecure", &LocalDeployer::insecure,
          "speak plain http to these registries (those of this machine always may)"),
    field("ca_file", &LocalDeployer::ca_file, "PEM file of the certificate authorities to trust"),
};

static_assert(Deployer<LocalDeployer> && Renderer<LocalDeployer>);

}  // namespace fairing

// -------------------------------------------------------------------------------------------------------------
// fairing/pipeline.hpp - the three stages in order: Fairing<Preprocessor, Builder, Deployer>.

namespace fairing {

/// Stands for "no third stage": a pipeline that ends with the image.
struct NoDeployer {};
static_assert(!Deployer<NoDeployer>);

/// Stateless: every call may run at once with another. Every call unwinds before an exception
/// leaves it, so that nothing stays behind even when nobody catches (an uncaught exception need not
/// unwind at all).
template <Preprocessor P, Builder B, class D = NoDeployer>
class Fairing {
public:
    Fairing(P preprocessor, B builder) requires std::same_as<D, NoDeployer>
        : preprocessor_(std::move(preprocessor)), builder_(std::move(builder)) {}
    Fairing(P preprocessor, B builder, D deployer) requires Deployer<D>
        : preprocessor_(std::move(preprocessor)),
          builder_(std::move(builder)),
          deployer_(std::move(deployer)) {}

    [[nodiscard]] Context prepare(const Session& session = {}) const {
        try {
            return preprocessor_.prepare(session.ordered());
        } catch (...) {
            throw;
        }
    }

    [[nodiscard]] Image build(const Session& session = {}) const {
        try {
            return build_ordered(session.ordered());
        } catch (...) {
            throw;
        }
    }

    /// What the deployer would create for `image`, without I/O.
    [[nodiscard]] std::vector<Json> manifests(
        const Image& image, const Session& session = {}) const requires Renderer<D> {
        return deployer_.manifests(image, session);
    }

    /// Starts and lets go: whatever was made before a failure is removed, what is returned lives on
    /// by itself. In the job itself: does nothing, returns an empty handle.
    [[nodiscard]] auto start(const Session& session = {}) const requires Deployer<D> {
        using Handle = decltype(deployer_.deploy(Image{}, session));
        if (skipped_in_job(session)) {
            return Handle{};
        }
        try {
            const Session ordered = session.ordered();
            return deployer_.deploy(build_ordered(ordered), ordered);
        } catch (...) {
            throw;
        }
    }

    /// Starts, follows to the end (or readiness) and gives every line to session.output. Throws
    /// WorkloadError when it failed; a stop, or any other error while following, removes it and is
    /// thrown on. In the job itself: does nothing, returns an empty handle.
    auto run(const Session& session = {}) const requires Deployer<D> {
        using Handle = decltype(deployer_.deploy(Image{}, session));
        if (skipped_in_job(session)) {
            return Handle{};
        }
        try {
            const Session ordered = session.ordered();
            Handle workload = deployer_.deploy(build_ordered(ordered), ordered);
            RemoveOnExit guard{workload, ordered.log};
            Outcome outcome = workload.follow(ordered.output, ordered.stop);
            guard.keep();
            if (outcome.state == State::failed) {
                Error::Details details{.attempted = "run",
                                       .subject = workload.object().name,
                                       .answer = outcome.reason};
                throw WorkloadError{std::move(details), std::move(outcome)};
            }
            return workload;
        } catch (...) {
            throw;
        }
    }

private:
    [[nodiscard]] Image build_ordered(const Session& session) const {
        const Context context = preprocessor_.prepare(session);
        session.control().check("build image");
        return builder_.build(context, session);
    }

    static bool skipped_in_job(const Session& session) {
        if (in_job()) {
            session.control().say(Level::warning,
                                  "FAIRING_RUNTIME is set: this is the job, nothing is launched");
            return true;
        }
        return false;
    }

    P preprocessor_;
    B builder_;
    [[no_unique_address]] D deployer_ = {};
};

template <class P, class B>
Fairing(P, B) -> Fairing<P, B, NoDeployer>;
template <class P, class B, class D>
Fairing(P, B, D) -> Fairing<P, B, D>;

}  // namespace fairing

// -------------------------------------------------------------------------------------------------------------
// fairing/packaging/arrange.hpp - files into destination order, and the conflicts between them (OCI
// image-spec, layer.md: no duplicate paths; what is no folder replaces a folder wholesale).

namespace fairing::packaging {

namespace detail {

/// Whether both name one file of this machine.
[[nodiscard]] inline bool same_source(const ContextFile& a, const ContextFile& b) {
    if (a.source == b.source) {
        return true;
    }
    struct stat first {
    }, second{};
    return a.kind == b.kind && ::lstat(a.source.c_str(), &first) == 0 &&
           ::lstat(b.source.c_str(), &second) == 0 && first.st_dev == second.st_dev &&
           first.st_ino == second.st_ino;
}

/// Keeps one of the entries that say the same; throws Error{conflict} on two that do not.
inline void remove_repeated(std::vector<ContextFile>& files) {
    const auto repeats = [](const ContextFile& kept, const ContextFile& next) {
        if (kept.destination != next.destination) {
            return false;
        }
        if (!same_source(kept, next)) {
            throw Error{
                ErrorCode::conflict,
                {.attempted = "package",
                 .subject = escaped(kept.source.native()) + " and " + escaped(next.source.native()),
                 .answer = "both would become " + escaped(kept.destination),
                 .advice = "give one of them another place with the output map "
                           "(--map SRC=DST), or leave it out"}};
        }
        return true;
    };
    files.erase(std::unique(files.begin(), files.end(), repeats), files.end());
}

class Arrangement {
public:
    explicit Arrangement(const std::vector<ContextFile>& files) {
        by_destination_.reserve(files.size());
        for (const ContextFile& file : files) {
            by_destination_.emplace(file.destination, &file);
        }
    }

    /// Throws Error{conflict} when a file takes the place of a folder that another file needs.
    void check_folders(const std::vector<ContextFile>& files) const {
        std::string_view checked = "/";
        for (const ContextFile& file : files) {
            const std::string_view folder = parent(file.destination);
            for (std::string_view above = folder; above != "/" && !is_within(checked, above);
                 above = parent(above)) {
                if (const auto found = by_destination_.find(above);
                    found != by_destination_.end()) {
                    throw Error{ErrorCode::conflict,
                                {.attempted = "package",
                                 .subject = escaped(file.source.native()) + " as " +
                                            escaped(file.destination),
                                 .answer = escaped(found->second->source.native()) +
                                           " already is the file " + escaped(above),
                                 .advice = "one of them needs another place in the image"}};
                }
            }
            checked = folder;
        }
    }

    /// Throws Error{input} when a link would end nowhere in the image.
    void check_links(const std::vector<ContextFile>& files) {
        for (const ContextFile& file : files) {
            if (file.kind == FileKind::symlink) {
                list_folders(files);
                follow_link("/", relative_to(file.destination, "/"), file.link_target,
                            "is not packaged at that place of the image",
                            [this](const std::string& path) { return look('/' + path); });
            }
        }
    }

private:
    void list_folders(const std::vector<ContextFile>& files) {
        if (!folders_.empty()) {
            return;
        }
        for (const ContextFile& file : files) {
            std::string_view folder = parent(file.destination);
            while (folders_.insert(folder).second && folder != "/") {
                folder = parent(folder);
            }
        }
    }

    [[nodiscard]] Place look(const std::string& path) const {
        if (const auto found = by_destination_.find(path); found != by_destination_.end()) {
            return found->second->kind == FileKind::symlink
                       ? Place{.kind = Place::Kind::link, .target = found->second->link_target}
                       : Place{.kind = Place::Kind::file};
        }
        return {.kind = folders_.contains(path) ? Place::Kind::folder : Place::Kind::nothing};
    }

    std::unordered_map<std::string_view, const ContextFile*> by_destination_ = {};
    std::unordered_set<std::string_view> folders_ = {};
};

}  // namespace detail

/// Sorts by destination (bytes) and drops what is named twice. Throws Error{conflict} that names
/// both files when two want one place or a file the place of a folder, and Error{input} when a link
/// would point to nothing in the image.
inline void arrange(std::vector<ContextFile>& files) {
    std::sort(files.begin(), files.end(), [](const ContextFile& a, const ContextFile& b) {
        return std::tie(a.destination, a.source.native()) <
               std::tie(b.destination, b.source.native());
    });
    detail::remove_repeated(files);
    detail::Arrangement arrangement{files};
    arrangement.check_folders(files);
    arrangement.check_links(files);
}

}  // namespace fairing::packaging

// -------------------------------------------------------------------------------------------------------------
// fairing/packaging/expand.hpp - the paths of this machine that a wildcard pattern names, as a
// shell would (POSIX).

namespace fairing::packaging {

namespace detail {

class Expansion {
public:
    Expansion(std::string_view pattern, const Control& control)
        : pattern_(pattern), control_(control) {
        for (const std::string_view part : components(pattern_)) {
            if (part == "**") {
                parts_.push_back({.form = Form::folders});
            } else if (Glob::is_pattern(part)) {
                parts_.push_back({.form = Form::wildcard,
                                  .text = std::string{part},
                                  .glob = {Glob{part, GlobDialect::shell}}});
            } else {
                parts_.push_back({.form = Form::name, .text = std::string{part}});
            }
        }
        expand("/", 0);
    }
    [[nodiscard]] std::vector<std::string> paths() const { return {found_.begin(), found_.end()}; }

private:
    enum class Form { name, wildcard, folders };
    struct Part {
        Form form = Form::name;
        std::string text = {};
        std::vector<Glob> glob = {};
    };

    void expand(const std::string& folder, std::size_t index) {
        if (index == parts_.size()) {
            found_.insert(folder);
            return;
        }
        const Part& part = parts_[index];
        if (part.form == Form::name) {
            struct stat status {};
            const std::string path = join(folder, part.text);
            if (::lstat(path.c_str(), &status) == 0) {
                expand(path, index + 1);
            }
            return;
        }
        control_.check("list " + escaped(pattern_));
        const std::vector<std::string> names = list(folder);
        const bool last = index + 1 == parts_.size();
        if (part.form == Form::folders && !last) {
            expand(folder, index + 1);
        }
        for (const std::string& name : names) {
            const std::string path = join(folder, name);
            if (part.form == Form::wildcard) {
                if ((!name.starts_with('.') || part.text.starts_with('.')) &&
                    part.glob.front().matches(name)) {
                    expand(path, index + 1);
                }
            } else if (name.starts_with('.') || found_.contains(path)) {
                continue;  // hidden, or taken as a whole already
            } else if (last) {
                found_.insert(path);
            } else if (is_folder(path)) {
                expand(path, index);
            }
        }
    }

    [[nodiscard]] static bool is_folder(const std::string& path) {
        struct stat status {};
        return ::lstat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
    }

    [[nodiscard]] static std::vector<std::string> list(const std::string& folder) {
        const UniqueFd open{
            ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC)};
        if (open) {
            return list_folder(open, folder);
        }
        if (errno == ENOTDIR || errno == ENOENT) {
            return {};
        }
        throw system_error(errno, "list", escaped(folder));
    }

    std::string pattern_;
    const Control& control_;
    std::vector<Part> parts_ = {};
    std::set<std::string> found_ = {};
};

}  // namespace detail

/// The paths that an absolute, clean pattern names, sorted by bytes. `*`, `?` and `[…]` stay inside
/// one component and match a leading dot only where the pattern has one; `**` is any number of
/// folders, none of them hidden or a symbolic link. A folder that matches stands for all below it.
/// Throws Error{input} on a malformed pattern.
[[nodiscard]] inline std::vector<std::string> expand(std::string_view pattern,
                                                     const Control& control) {
    return detail::Expansion{pattern, control}.paths();
}

}  // namespace fairing::packaging

// -------------------------------------------------------------------------------------------------------------
// fairing/packaging/collect.hpp - inputs of this machine (files, folders, globs) as the files of an
// image.
//
// Where things land: a path below the root at prefix/<path from the root>; a file outside the root
// at prefix/<its name>; a folder outside the root at prefix/<its name>/<path in it>. What the
// output map names lands where the map says and nowhere else, the more specific entry first.
// Folders as such are not stored, so an empty one vanishes.
//
// .dockerignore at the root is honoured for everything below the root. As in `docker build`, a
// named input of which it excludes all is an error, not a silent gap; add `!that/file` behind the
// rule to take it.

namespace fairing::packaging {

struct CollectOptions {
    /// Files, folders and globs, relative to the root or absolute. A path that exists is never read
    /// as a glob.
    std::vector<std::filesystem::path> inputs = {};
    /// Source (file or folder) to its place in the image: absolute, or below the prefix; with a
    /// slash at the end, a file keeps its name below it.
    std::map<std::string, std::string> output_map = {};
    std::string path_prefix = "/app/";
    std::filesystem::path root = {};  ///< the context root; empty: the working directory
    Symlinks symlinks = Symlinks::keep;
    Secrets secrets = Secrets::leave_out;
};

namespace detail {

/// `path` with all links resolved, or as it is when that is not possible.
[[nodiscard]] inline std::string real_path(const std::string& path) {
    const std::unique_ptr<char, void (*)(void*)> real{::realpath(path.c_str(), nullptr), std::free};
    return real ? real.get() : path;
}

/// The context root and the image, and the way from one to the other.
class Ground {
public:
    explicit Ground(const CollectOptions& options)
        : root_(absolute_root(options.root)), prefix_(image_prefix(options.path_prefix)) {
        for (const auto& [source, destination] : options.output_map) {
            const std::string path = locate(source);
            const bool into = destination.ends_with('/') && !is_folder(path);
            map_[path] = image_path(into ? join(destination, last_component(path)) : destination,
                                    prefix_, source);
        }
    }
    [[nodiscard]] const std::string& root() const noexcept { return root_; }
    /// Sources of the output map, absolute and clean, and where they land.
    [[nodiscard]] const std::map<std::string, std::string>& map() const noexcept { return map_; }

    /// A path of this machine, absolute and clean; below the root when it is so by whatever way.
    [[nodiscard]] std::string locate(std::string_view path) const {
        std::string found = clean(path.starts_with('/') ? std::string{path} : join(root_, path));
        if (is_within(found, root_)) {
            return found;
        }
        const std::string real = join(real_path(std::string{parent(found)}), last_component(found));
        const std::string real_root = real_path(root_);
        return is_within(real, real_root) ? join(root_, relative_to(real, real_root)) : found;
    }

    /// Whether the output map, and not the prefix, says where `path` lands.
    [[nodiscard]] bool mapped(std::string_view path) const { return owner(path) != nullptr; }

    /// Where a path that locate() gave lands.
    [[nodiscard]] std::string destination(std::string_view path) const {
        if (const auto* entry = owner(path)) {
            return join(entry->second, relative_to(path, entry->first));
        }
        return join(prefix_,
                    is_within(path, root_) ? relative_to(path, root_) : last_component(path));
    }

    /// What symbolic links of this input may not leave.
    [[nodiscard]] std::string boundary(const std::string& path) const {
        return is_within(path, root_) ? root_ : is_folder(path) ? path : std::string{parent(path)};
    }

    [[nodiscard]] static bool is_folder(const std::string& path) {
        struct stat status {};
        return ::lstat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
    }

private:
    using Entry = std::map<std::string, std::string>::value_type;

    static std::string absolute_root(const std::filesystem::path& root) {
        if (root.is_absolute()) {
            return clean(root.native());
        }
        std::error_code failure;
        const std::filesystem::path here = std::filesystem::current_path(failure);
        if (failure) {
            throw system_error(failure.value(), "find", "the working directory");
        }
        return clean(join(here.native(), root.native()));
    }

    /// The entry for `path` or the nearest folder above it, or none.
    [[nodiscard]] const Entry* owner(std::string_view path) const {
        for (std::string_view at = map_.empty() ? "/" : path; at != "/"; at = parent(at)) {
            if (const auto found = map_.find(std::string{at}); found != map_.end()) {
                return &*found;
            }
        }
        return nullptr;
    }

    std::string root_, prefix_;
    std::map<std::string, std::string> map_ = {};
};

class Collection {
public:
    Collection(const CollectOptions& options, const Control& control)
        : options_(options), control_(control), ground_(options), ignore_(ignore_rules()) {
        for (const auto& [source, destination] : ground_.map()) {
            mapped_.insert(source);
        }
        Walker walker{{.root = ground_.root(),
                       .symlinks = options.symlinks,
                       .secrets = options.secrets,
                       .ignore = &ignore_,
                       .elsewhere = &mapped_},
                      control};
        for (const auto& [source, destination] : ground_.map()) {
            take_named(walker, source, source);
        }
        for (const std::filesystem::path& input : options.inputs) {
            take(walker, input.native());
        }
        report_secrets(walker.secrets());
        files_ = std::move(walker.files());
        arrange(files_);
    }
    [[nodiscard]] std::vector<ContextFile>& files() noexcept { return files_; }

private:
    [[nodiscard]] IgnoreRules ignore_rules() const {
        constexpr std::size_t limit = std::size_t{1} << 20;
        try {
            return IgnoreRules{read_file(join(ground_.root(), ".dockerignore"), limit)};
        } catch (const Error& error) {
            if (error.code() == ErrorCode::not_found) {
                return {};
            }
            throw;
        }
    }

    void take(Walker& walker, const std::string& input) {
        struct stat status {};
        const std::string path = ground_.locate(input);
        if (input.empty() || input.find('\0') != std::string::npos) {
            throw Error{ErrorCode::input,
                        {.attempted = "package",
                         .subject = '"' + escaped(input) + '"',
                         .answer = "no name of a file",
                         .advice = "name a file, a folder or a glob; . is the context root"}};
        }
        if (::lstat(path.c_str(), &status) == 0 || !Glob::is_pattern(input)) {
            take_named(walker, path, input);
        } else {
            take_glob(walker, path, input);
        }
    }

    void take_named(Walker& walker, const std::string& path, const std::string& input) {
        const std::string_view judged = is_within(path, ground_.root())
                                            ? relative_to(path, ground_.root())
                                            : std::string_view{path};
        if (const auto rule = secret_rule(judged); rule && options_.secrets == Secrets::leave_out) {
            throw Error{ErrorCode::denied,
                        {.attempted = "package",
                         .subject = escaped(input),
                         .answer = "it looks like a secret (" + std::string{*rule} + ')',
                         .advice = "leave it out, or ask for it with --include-secrets "
                                   "(include_secrets)"}};
        }
        const std::size_t files = walker.files().size(), ignored = walker.ignored();
        take_path(walker, path);
        if (walker.files().size() == files && walker.ignored() > ignored) {
            refuse_ignored(input, judged);
        }
    }

    void take_glob(Walker& walker, const std::string& pattern, const std::string& input) {
        const auto paths = expand(pattern, control_);
        if (paths.empty()) {
            throw Error{ErrorCode::not_found,
                        {.attempted = "package",
                         .subject = escaped(input),
                         .answer = "no file matches below " + escaped(ground_.root())}};
        }
        const std::size_t files = walker.files().size(), ignored = walker.ignored();
        for (const std::string& path : paths) {
            take_path(walker, path);
        }
        if (walker.files().size() == files && walker.ignored() > ignored) {
            refuse_ignored(input, input);
        }
    }

    /// Each path once, and what the output map places only by its own entry.
    void take_path(Walker& walker, const std::string& path) {
        if (!taken_.insert(path).second || (ground_.mapped(path) && !mapped_.contains(path))) {
            return;
        }
        walker.take(path, ground_.destination(path), ground_.boundary(path));
    }

    [[noreturn]] void refuse_ignored(std::string_view input, std::string_view path) const {
        throw Error{ErrorCode::input,
                    {.attempted = "package",
                     .subject = escaped(input),
                     .answer = escaped(join(ground_.root(), ".dockerignore")) + " leaves it out",
                     .advice = "do not name it, or add the line !" + escaped(path) + " there"}};
    }

    void report_secrets(const std::vector<std::string>& names) const {
        if (names.empty()) {
            return;
        }
        std::string list;
        for (const std::string& name : std::set<std::string>{names.begin(), names.end()}) {
            list.append(list.empty() ? "" : ", ").append(name);
        }
        control_.say(Level::warning, "left out of the image because they look like secrets: " +
                                         list + "; --include-secrets (include_secrets) takes them");
    }

    const CollectOptions& options_;
    const Control& control_;
    Ground ground_;
    IgnoreRules ignore_;
    std::set<std::string> mapped_ = {}, taken_ = {};
    std::vector<ContextFile> files_ = {};
};

}  // namespace detail

/// The files of an image, sorted by destination (bytes), each destination once; modes are those of
/// the files, & 0777.
///
/// Symbolic links stay links (or see Symlinks). Hard links become files. Files that look like
/// secrets (secrets.hpp) are left out, and one warning lists them; one that is named itself is
/// Error{denied}. Named errors: a path that does not exist, a glob without a match, what can not be
/// read, a FIFO, socket or device, a link that leaves the root, dangles or loops, two sources for
/// one destination, a file in the place of a folder, a name that no layer can hold.
[[nodiscard]] inline std::vector<ContextFile> collect(const CollectOptions& options,
                                                      const Control& control) {
    return std::move(detail::Collection{options, control}.files());
}

/// Where an input of these options lands in the image: what a command names it by. Looks at
/// folders, not at files.
[[nodiscard]] inline std::string destination_of(const std::filesystem::path& input,
                                                const CollectOptions& options) {
    const detail::Ground ground{options};
    return ground.destination(ground.locate(input.native()));
}

}  // namespace fairing::packaging

// -------------------------------------------------------------------------------------------------------------
// fairing/preprocessors/input.hpp - one thing to package.

namespace fairing {

/// A file, folder or glob. Not a bare string: so {{"a", "b"}} is two inputs and not a pair of
/// iterators.
class Input {
public:
    Input(const char* path) : path_(path) {}
    Input(std::string path) : path_(std::move(path)) {}
    Input(std::filesystem::path path) : path_(std::move(path)) {}
    [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

private:
    std::filesystem::path path_;
};

}  // namespace fairing

// -------------------------------------------------------------------------------------------------------------
// fairing/preprocessors/python.hpp - Python files as they are, and the command that runs one of
// them.

namespace fairing {

/// Packages a program and its inputs; in the image `command` runs it. Paths are relative to the
/// working directory (packaging/collect.hpp says where they land and what is left out).
struct PythonPreprocessor {
    /// The file to run; an input without being named as one. Empty: the only input when that is a
    /// file, else the only .py file among the named files, else the only .py file in the folders
    /// and globs.
    std::string executable = {};
    std::vector<Input> input_files = {};             ///< files, folders, globs
    std::vector<std::string> command = {"python3"};  ///< what the executable's path is appended to
    std::string path_prefix = "/app/";  ///< where inputs land, and the working directory
    std::map<std::string, std::string> output_map =
        {};                        ///< file or folder to its own place in the image
    bool follow_symlinks = false;  ///< store what links point to, also when it lies outside
    bool include_secrets = false;  ///< take files that look like secrets as well

    /// Throws Error{input} that lists the candidates when it is not clear what to run, and what
    /// collect() throws.
    [[nodiscard]] Context prepare(const Session& session) const {
        packaging::CollectOptions options = collect_options();
        std::string program = named_program();
        if (!program.empty()) {
            options.inputs.emplace_back(program);
        }
        Context context;
        context.files = packaging::collect(options, session.control());
        context.command = command;
        context.command.push_back(program.empty() ? only_python_file(context.files)
                                                  : packaging::destination_of(program, options));
        context.environment = {{"FAIRING_RUNTIME", "1"}};
        context.working_directory = packaging::image_prefix(path_prefix);
        if (!context.working_directory.ends_with('/')) {
            context.working_directory += '/';
        }
        return context;
    }

private:
    // An aggregate has no private data; these functions are not for users.
    [[nodiscard]] packaging::CollectOptions collect_options() const {
        packaging::CollectOptions options{
            .output_map = output_map,
            .path_prefix = path_prefix,
            .symlinks = follow_symlinks ? packaging::Symlinks::follow : packaging::Symlinks::keep,
            .secrets =
                include_secrets ? packaging::Secrets::include : packaging::Secrets::leave_out};
        for (const Input& input : input_files) {
            options.inputs.push_back(input.path());
        }
        return options;
    }

    static bool is_file(const std::filesystem::path& path) {
        struct stat status {};
        return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode);
    }

    /// The executable, or what stands for it among the inputs that name a file; "" when only
    /// folders and globs can tell.
    [[nodiscard]] std::string named_program() const {
        if (!executable.empty()) {
            struct stat status {};
            if (::stat(executable.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) {
                throw Error{ErrorCode::input,
                            {.attempted = "run",
                             .subject = packaging::escaped(executable),
                             .answer = "it is a folder",
                             .advice = "name the file in it that is to run"}};
            }
            return executable;
        }
        std::vector<std::string> files, python;
        for (const Input& input : input_files) {
            if (is_file(input.path())) {
                files.push_back(input.path().string());
                if (input.path().extension() == ".py") {
                    python.push_back(files.back());
                }
            }
        }
        if (input_files.size() == 1 && files.size() == 1) {
            return files.front();
        }
        if (python.size() > 1) {
            refuse(python);
        }
        return python.empty() ? std::string{} : python.front();
    }

    [[nodiscard]] static std::string only_python_file(const std::vector<ContextFile>& files) {
        std::vector<std::string> python;
        for (const ContextFile& file : files) {
            if (file.destination.ends_with(".py")) {
                python.push_back(file.destination);
            }
        }
        if (python.size() != 1) {
            refuse(python);
        }
        return python.front();
    }

    [[noreturn]] static void refuse(const std::vector<std::string>& candidates) {
        constexpr std::size_t shown = 10;
        std::string list;
        for (std::size_t i = 0; i < std::min(shown, candidates.size()); ++i) {
            list += (i == 0 ? "" : ", ") + packaging::escaped(candidates[i]);
        }
        if (candidates.size() > shown) {
            list += " and " + std::to_string(candidates.size() - shown) + " more";
        }
        throw Error{ErrorCode::input,
                    {.attempted = "tell which file to run",
                     .answer = candidates.empty() ? "there is no Python file among the inputs"
                                                  : "it could be " + list,
                     .advice = "name it as the executable"}};
    }
};

template <>
inline constexpr auto fields<PythonPreprocessor> = std::tuple{
    field("executable", &PythonPreprocessor::executable, "the Python file to run", not_an_option),
    field("input_files", &PythonPreprocessor::input_files,
          "file, folder or glob to package as well; repeatable", "input"),
    field("command", &PythonPreprocessor::command, "what runs the file, split at blanks, without quoting (default: python3)"),
    field("path_prefix", &PythonPreprocessor::path_prefix,
          "where files land in the image, and the working directory (default: /app/)"),
    field("output_map", &PythonPreprocessor::output_map,
          "a file's or folder's own place in the image: SRC=DST; repeatable", "map"),
    field("follow_symlinks", &PythonPreprocessor::follow_symlinks,
          "store what links point to, also outside of the folder"),
    field("include_secrets", &PythonPreprocessor::include_secrets,
          "take files that look like secrets as well (.env, keys, .git, ...)"),
};

static_assert(Preprocessor<PythonPreprocessor>);

}  // namespace fairing

// -------------------------------------------------------------------------------------------------------------
// fairing/stage/any.hpp - stages chosen at run time: any preprocessor, builder or deployer, by
// value.

namespace fairing {

/// Any preprocessor, by value.
class AnyPreprocessor {
public:
    template <class T>
    requires(!std::same_as<T, AnyPreprocessor>) && Preprocessor<T> AnyPreprocessor(T stage)
        : prepare_([stage = std::move(stage)](const Session& session) {
              return stage.prepare(session);
          }) {}
    [[nodiscard]] Context prepare(const Session& session) const { return prepare_(session); }

private:
    std::function<Context(const Session&)> prepare_;
};

/// Any builder, by value.
class AnyBuilder {
public:
    template <class T>
    requires(!std::same_as<T, AnyBuilder>) && Builder<T> AnyBuilder(T stage)
        : build_([stage = std::move(stage)](const Context& context, const Session& session) {
              return stage.build(context, session);
          }) {}
    [[nodiscard]] Image build(const Context& context, const Session& session) const {
        return build_(context, session);
    }

private:
    std::function<Image(const Context&, const Session&)> build_;
};

/// Any deployer, by value. manifests() of one that renders nothing is an empty list.
class AnyDeployer {
public:
    template <class T>
    requires(!std::same_as<T, AnyDeployer>) && Deployer<T> AnyDeployer(T stage)
        : deploy_([stage](const Image& image, const Session& session) -> Workload {
              return stage.deploy(image, session);
          }) {
        if constexpr (Renderer<T>) {
            manifests_ = [stage = std::move(stage)](const Image& image, const Session& session) {
                return stage.manifests(image, session);
            };
        }
    }
    [[nodiscard]] Workload deploy(const Image& image, const Session& session) const {
        return deploy_(image, session);
    }
    [[nodiscard]] std::vector<Json> manifests(const Image& image, const Session& session) const {
        return manifests_ ? manifests_(image, session) : std::vector<Json>{};
    }

private:
    std::function<Workload(const Image&, const Session&)> deploy_;
    std::function<std::vector<Json>(const Image&, const Session&)> manifests_ = {};
};
static_assert(Preprocessor<AnyPreprocessor> && Builder<AnyBuilder> && Deployer<AnyDeployer> &&
              Renderer<AnyDeployer>);

}  // namespace fairing

// -------------------------------------------------------------------------------------------------------------
// fairing/config.hpp - the pipeline with its stages chosen by name at run time: fairing.json, the
// command line.

namespace fairing {

using AnyFairing = Fairing<AnyPreprocessor, AnyBuilder, AnyDeployer>;

/// The stages by name, with JSON options whose keys are the fields of the stage's table. A value,
/// no global:
///   Config{}.set_preprocessor("python", {{"executable", "train.py"}}).set_builder("append",
///   …).run(session)
/// An unknown name or key is an Error{usage} that lists those there are.
class Config {
public:
    Config() {
        add_preprocessor("python",
                         maker<AnyPreprocessor, PythonPreprocessor>("preprocessor python"));
        add_builder("append", maker<AnyBuilder, AppendBuilder>("builder append"));
        add_deployer("local", maker<AnyDeployer, LocalDeployer>("deployer local"));
        set_preprocessor("python").set_builder("append").set_deployer("local");
    }

    /// {"preprocessor": {"name": "python", …options}, "builder": {…}, "deployer": {…}}, each of
    /// them optional.
    explicit Config(const Json& document) : Config() {
        if (!document.is_object()) {
            throw Error{ErrorCode::input,
                        {.attempted = "read",
                         .subject = "the configuration",
                         .answer = "not a JSON object"}};
        }
        for (const auto& [key, value] : document.items()) {
            Json options = value;
            const std::string name = text_or(options, "name");
            if (options.is_object() && options.contains("name") && name.empty()) {
                throw Error{ErrorCode::usage,
                            {.attempted = "choose the " + key, .answer = "its name is not a text"}};
            }
            if (options.is_object()) {
                options.erase("name");
            }
            if (key == "preprocessor") {
                set_preprocessor(name.empty() ? "python" : name, std::move(options));
            } else if (key == "builder") {
                set_builder(name.empty() ? "append" : name, std::move(options));
            } else if (key == "deployer") {
                set_deployer(name.empty() ? "local" : name, std::move(options));
            } else {
                throw unknown_name("read", "the configuration", key,
                                   {"preprocessor", "builder", "deployer"});
            }
        }
    }
    [[nodiscard]] static Config from_file(const std::filesystem::path& file) {
        return Config{parse_json(read_file(file), file.string())};
    }

    Config& set_preprocessor(const std::string& name, const Json& options = Json::object()) {
        return set_preprocessor(find(preprocessors_, "preprocessor", name)(options));
    }
    Config& set_builder(const std::string& name, const Json& options = Json::object()) {
        return set_builder(find(builders_, "builder", name)(options));
    }
    Config& set_deployer(const std::string& name, const Json& options = Json::object()) {
        return set_deployer(find(deployers_, "deployer", name)(options));
    }
    Config& set_preprocessor(AnyPreprocessor stage) {
        preprocessor_ = std::move(stage);
        return *this;
    }
    Config& set_builder(AnyBuilder stage) {
        builder_ = std::move(stage);
        return *this;
    }
    Config& set_deployer(AnyDeployer stage) {
        deployer_ = std::move(stage);
        return *this;
    }

    /// Makes a stage of one's own known by a name.
    Config& add_preprocessor(std::string name, std::function<AnyPreprocessor(const Json&)> make) {
        preprocessors_[std::move(name)] = std::move(make);
        return *this;
    }
    Config& add_builder(std::string name, std::function<AnyBuilder(const Json&)> make) {
        builders_[std::move(name)] = std::move(make);
        return *this;
    }
    Config& add_deployer(std::string name, std::function<AnyDeployer(const Json&)> make) {
        deployers_[std::move(name)] = std::move(make);
        return *this;
    }

    [[nodiscard]] const AnyPreprocessor& preprocessor() const { return *preprocessor_; }
    [[nodiscard]] const AnyBuilder& builder() const { return *builder_; }
    [[nodiscard]] const AnyDeployer& deployer() const { return *deployer_; }

    [[nodiscard]] AnyFairing fairing() const { return {preprocessor(), builder(), deployer()}; }
    Workload run(const Session& session = {}) const { return fairing().run(session); }

private:
    template <class Stage>
    using Makers = std::map<std::string, std::function<Stage(const Json&)>>;

    template <class Any, class Stage>
    [[nodiscard]] static std::function<Any(const Json&)> maker(std::string name) {
        return [name = std::move(name)](const Json& options) -> Any {
            return stage_from<Stage>(options, name);
        };
    }
    template <class Stage>
    [[nodiscard]] static const std::function<Stage(const Json&)>& find(const Makers<Stage>& makers,
                                                                       const std::string& kind,
                                                                       const std::string& name) {
        const auto found = makers.find(name);
        if (found == makers.end()) {
            std::vector<std::string> names;
            for (const auto& [known, unused] : makers) {
                names.push_back(known);
            }
            throw unknown_name("choose the " + kind, name, name, names);
        }
        return found->second;
    }

    Makers<AnyPreprocessor> preprocessors_ = {};
    Makers<AnyBuilder> builders_ = {};
    Makers<AnyDeployer> deployers_ = {};
    std::optional<AnyPreprocessor> preprocessor_ = {};  // never empty after construction
    std::optional<AnyBuilder> builder_ = {};
    std::optional<AnyDeployer> deployer_ = {};
};

}  // namespace fairing

// -------------------------------------------------------------------------------------------------------------
// fairing/stage/worker.hpp - which of the job's processes this one is, from the variables that each
// launcher sets.

namespace fairing {

/// What a job function learns of its place. Alone: rank 0 of 1.
struct Worker {
    std::vector<std::string> arguments = {};
    int rank = 0, world_size = 1;
    std::string role = {};          ///< as the operator names it: "worker", "chief", "ps", …
    std::string main_address = {};  ///< of rank 0, when it is known
    std::uint16_t main_port = 0;
};

namespace detail {

template <class Number>
[[nodiscard]] std::optional<Number> number_from(const std::string& text) {
    Number value{};
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    return failure == std::errc{} && end == text.data() + text.size() && !text.empty()
               ? std::optional<Number>{value}
               : std::nullopt;
}

[[nodiscard]] inline std::optional<int> number_in(std::initializer_list<const char*> variables) {
    for (const char* variable : variables) {
        if (const auto value = number_from<int>(env(variable, "")); value && *value >= 0) {
            return value;
        }
    }
    return std::nullopt;
}

inline void set_main_address(Worker& worker, const std::string& host_and_port) {
    const std::size_t colon = host_and_port.rfind(':');
    worker.main_address = host_and_port.substr(0, colon);
    if (colon != std::string::npos) {
        worker.main_port = number_from<std::uint16_t>(host_and_port.substr(colon + 1)).value_or(0);
    }
}

/// TF_CONFIG (TensorFlow's cluster description): ranks count the chief or master, then the workers,
/// then the parameter servers, then evaluators, each in the order of its list.
inline bool read_tf_config(Worker& worker) {
    const Json config = Json::parse(env("TF_CONFIG", ""), nullptr, false);
    if (!config.is_object() || !config.value("cluster", Json()).is_object() ||
        !config.value("task", Json()).is_object()) {
        return false;
    }
    const Json& task = config["task"];
    if (!task.value("type", Json()).is_string() ||
        !task.value("index", Json()).is_number_integer()) {
        return false;
    }
    worker.role = task["type"];
    worker.world_size = 0;
    for (const char* role : {"chief", "master", "worker", "ps", "evaluator"}) {
        const Json hosts = config["cluster"].value(role, Json::array());
        if (worker.world_size == 0 && !hosts.empty() && hosts[0].is_string()) {
            set_main_address(worker, hosts[0]);
        }
        if (worker.role == role) {
            worker.rank = worker.world_size + task["index"].get<int>();
        }
        worker.world_size += static_cast<int>(hosts.size());
    }
    worker.world_size = std::max(worker.world_size, 1);
    return true;
}

}  // namespace detail

/// This process's place: RANK and WORLD_SIZE with MASTER_ADDR and MASTER_PORT (PyTorchJob and
/// others), else TF_CONFIG, else Open MPI's and PMI's variables, else DMLC_* , else
/// JOB_COMPLETION_INDEX of an Indexed Job.
[[nodiscard]] inline Worker worker_from_environment() {
    Worker worker;
    worker.main_address = env("MASTER_ADDR", env("DMLC_PS_ROOT_URI", ""));
    worker.main_port =
        detail::number_from<std::uint16_t>(env("MASTER_PORT", env("DMLC_PS_ROOT_PORT", "")))
            .value_or(0);
    worker.role = env("DMLC_ROLE", "");
    const auto rank = detail::number_in({"RANK"});
    if (!rank && detail::read_tf_config(worker)) {
        return worker;
    }
    const auto other = detail::number_in({"OMPI_COMM_WORLD_RANK", "PMI_RANK", "DMLC_WORKER_ID",
                                          "DMLC_TASK_ID", "JOB_COMPLETION_INDEX"});
    worker.rank = rank.value_or(other.value_or(0));
    worker.world_size =
        detail::number_in({"WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "DMLC_NUM_WORKER"})
            .value_or(worker.rank + 1);
    return worker;
}

}  // namespace fairing

// -------------------------------------------------------------------------------------------------------------
// fairing/run_main.hpp - the main function of a launcher, and of a program that is launcher and job
// at once.

namespace fairing {

/// A function pointer and not a std::function: captures do not travel to the job.
using JobFunction = int (*)(const Worker&);
using JobFunctions = std::map<std::string, JobFunction>;

/// Turns SIGINT, SIGTERM and SIGHUP into a stop for as long as it lives; a second one ends the
/// program at once. Nothing else in the library touches signals. Make it before the first thread:
/// it blocks them in the calling thread, and threads inherit that. No disposition is changed, so a
/// signal that was ignored stays ignored.
class StopOnSignal {
public:
    StopOnSignal() {
        sigemptyset(&signals_);
        for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
            struct sigaction current {};
            ::sigaction(number, nullptr, &current);
            // An ignored signal, such as SIGINT of a background job, would be delivered to
            // sigwait().
            if (current.sa_handler != SIG_IGN) {
                sigaddset(&signals_, number);
                wake_ = number;
            }
        }
        pthread_sigmask(SIG_BLOCK, &signals_, &previous_);
        if (wake_ != 0) {
            waiter_ = std::thread{[this] { wait(); }};
        }
    }
    StopOnSignal(StopOnSignal&&) = delete;
    StopOnSignal& operator=(StopOnSignal&&) = delete;
    ~StopOnSignal() {
        ended_ = true;
        if (waiter_.joinable()) {
            pthread_kill(waiter_.native_handle(), wake_);
            waiter_.join();
        }
        pthread_sigmask(SIG_SETMASK, &previous_, nullptr);
    }
    [[nodiscard]] std::stop_token token() const noexcept { return stop_.get_token(); }

private:
    void wait() {
        for (int received = 0; sigwait(&signals_, &received) == 0 && !ended_;) {
            if (!stop_.request_stop()) {
                std::_Exit(128 + received);
            }
        }
    }

    sigset_t signals_ = {}, previous_ = {};
    std::stop_source stop_ = {};
    std::atomic<bool> ended_ = false;
    int wake_ = 0;  // one of signals_
    std::thread waiter_ = {};
};

/// Calls `body` and gives its exit code: the one place where an exception becomes a sentence on
/// stderr and an exit code (core/error.hpp; a failed workload's own code).
template <class Body>
int guarded(Body&& body) noexcept {
    try {
        return std::forward<Body>(body)();
    } catch (const WorkloadError& error) {
        std::cerr << "fairing: " << error.what() << '\n';
        const int code = error.outcome().exit_code;
        return code != 0 ? code : exit_code(error.code());
    } catch (const Error& error) {
        std::cerr << "fairing: " << error.what() << '\n';
        return exit_code(error.code());
    } catch (const std::exception& error) {
        std::cerr << "fairing: " << error.what() << '\n';
        return exit_code(ErrorCode::internal);
    } catch (...) {
        std::cerr << "fairing: an exception of unknown type\n";
        return exit_code(ErrorCode::internal);
    }
}

/// Runs `launch` on a console session that SIGINT and SIGTERM stop. What it returns, if anything,
/// is the exit code.
template <std::invocable<const Session&> Launch>
int run_main(Launch&& launch) noexcept {
    return guarded([&] {
        const StopOnSignal signals;
        const Session session = console_session(signals.token());
        if constexpr (std::same_as<std::invoke_result_t<Launch, const Session&>, int>) {
            return std::invoke(launch, session);
        } else {
            std::invoke(launch, session);
            return 0;
        }
    });
}

/// The same program at both ends: in the job only the function that FAIRING_FUNCTION names runs,
/// with this program's arguments; elsewhere only `launch`.
template <std::invocable<const Session&> Launch>
int run_main(int argc, char** argv, const JobFunctions& functions, Launch&& launch) noexcept {
    if (!in_job()) {
        return run_main(std::forward<Launch>(launch));
    }
    return guarded([&] {
        const std::string name = env("FAIRING_FUNCTION", "");
        const auto function = functions.find(name);
        if (function == functions.end()) {
            std::vector<std::string> names;
            for (const auto& [known, unused] : functions) {
                names.push_back(known);
            }
            throw unknown_name("call", "the job function of FAIRING_FUNCTION", name, names);
        }
        Worker worker = worker_from_environment();
        worker.arguments.assign(argv + (argc > 0 ? 1 : 0), argv + argc);
        return function->second(worker);
    });
}
template <std::invocable<const Session&> Launch>
int run_main(int argc, char** argv, JobFunction function, Launch&& launch) noexcept {
    return run_main(argc, argv, JobFunctions{{"", function}}, std::forward<Launch>(launch));
}

}  // namespace fairing

// -------------------------------------------------------------------------------------------------------------
// fairing/core/yaml.hpp - JSON documents as YAML: the only header that includes yaml-cpp, and only
// with FAIRING_YAML.

#if FAIRING_YAML
#include <yaml-cpp/yaml.h>

#endif

namespace fairing {

#if FAIRING_YAML

namespace detail {

/// Whether every reader takes `key` for a text when it stands without quotes: YAML 1.1 knows many
/// words for true and false.
[[nodiscard]] inline bool is_plain_key(std::string key) {
    constexpr std::array<std::string_view, 9> words = {"y",   "n",    "yes",   "no",  "on",
                                                       "off", "true", "false", "null"};
    if (key.empty() || std::isalpha(static_cast<unsigned char>(key.front())) == 0) {
        return false;
    }
    for (char& c : key) {
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    }
    return std::find(words.begin(), words.end(), key) == words.end();
}

inline void emit(YAML::Emitter& out, const Json& value) {
    switch (value.type()) {
        case Json::value_t::object:
            out << (value.empty() ? YAML::Flow : YAML::Block) << YAML::BeginMap;
            for (const auto& [key, member] : value.items()) {
                out << YAML::Key;
                if (!is_plain_key(key)) {
                    out << YAML::DoubleQuoted;
                }
                out << key << YAML::Value;
                emit(out, member);
            }
            out << YAML::EndMap;
            return;
        case Json::value_t::array:
            out << (value.empty() ? YAML::Flow : YAML::Block) << YAML::BeginSeq;
            for (const Json& element : value) {
                emit(out, element);
            }
            out << YAML::EndSeq;
            return;
        case Json::value_t::string:
            // Always quoted: no text is ever taken for a number, a boolean or null by another
            // reader.
            out << YAML::DoubleQuoted << value.get_ref<const std::string&>();
            return;
        case Json::value_t::null:
            out << YAML::Null;
            return;
        default:
            out << value.dump();  // booleans and numbers are written alike in both languages
    }
}

}  // namespace detail

#endif

inline namespace FAIRING_ABI {

#if FAIRING_YAML

/// `document` as one YAML document (YAML 1.2), ended by a newline.
[[nodiscard]] inline std::string to_yaml(const Json& document) {
    YAML::Emitter out;
    detail::emit(out, document);
    return std::string{out.c_str(), out.size()} + '\n';
}

#else

[[nodiscard]] inline std::string to_yaml(const Json& /*document*/) {
    throw Error{ErrorCode::unsupported,
                {.attempted = "write YAML",
                 .answer = "this program was built without yaml-cpp (FAIRING_YAML)",
                 .advice = "ask for JSON"}};
}

#endif

}  // inline namespace FAIRING_ABI

}  // namespace fairing
