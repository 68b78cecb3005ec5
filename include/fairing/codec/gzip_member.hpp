// fairing/codec/gzip_member.hpp - what stands around the deflate blocks of a gzip member (RFC
// 1952).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "byte_order.hpp"

namespace fairing::codec::detail {

/// A header without a name and a time, of an unknown operating system: equal input, equal bytes.
inline void begin_gzip_member(std::vector<std::byte>& out) {
    constexpr std::array<unsigned char, 10> header = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff};
    append_bytes(std::as_bytes(std::span{header}), out);
}

/// An empty block that ends the stream, and the trailer. What stands before ends at a byte border.
inline void end_gzip_member(std::uint32_t crc, std::uint64_t size, std::vector<std::byte>& out) {
    // The last block, of the fixed code (RFC 1951, section 3.2.6), and its end-of-block symbol.
    append_little(std::uint16_t{0b011}, out);
    append_little(crc, out);
    append_little(static_cast<std::uint32_t>(size), out);
}

}  // namespace fairing::codec::detail
