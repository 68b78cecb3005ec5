// fairing/codec/compressor.hpp - the policy by which a layer is compressed.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "../core/error.hpp"

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

namespace detail {

/// Throws Error{usage} for a level that a compressor has not.
inline void check_level(const char* compressor, int level, int least, int most) {
    if (level < least || level > most) {
        throw Error{ErrorCode::usage,
                    {.attempted = std::string{"compress with "} + compressor,
                     .subject = "level " + std::to_string(level),
                     .answer = "there is no such level",
                     .advice = "choose " + std::to_string(least) + " to " + std::to_string(most)}};
    }
}

/// What a library says that should never fail.
[[nodiscard]] inline Error compressor_failure(const char* compressor, const char* answer) {
    return Error{ErrorCode::internal,
                 {.attempted = "compress with", .subject = compressor, .answer = answer}};
}

}  // namespace detail

}  // namespace fairing::codec
