// fairing/codec/byte_order.hpp - bytes, and little-endian numbers that need not be aligned, in
// memory.
#pragma once

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

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
