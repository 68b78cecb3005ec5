// fairing/codec/bit_reader.hpp - bits out of bytes that come in pieces, the lowest bit of each byte
// first (RFC 1951, 3.1.1).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace fairing::codec::detail {

struct BitReader {
    std::span<const std::byte> input = {};
    std::uint64_t held = 0;  ///< taken from the input, the next one lowest
    unsigned count = 0;      ///< of them

    /// Takes whole bytes while they fit.
    void refill() {
        while (count < 56 && !input.empty()) {
            held |= std::to_integer<std::uint64_t>(input.front()) << count;
            count += 8;
            input = input.subspan(1);
        }
    }
    /// Whether `size` bits, at most 48, are there; takes input for them.
    bool available(unsigned size) {
        if (count < size) {
            refill();
        }
        return count >= size;
    }
    [[nodiscard]] std::uint32_t peek(unsigned offset, unsigned size) const {
        return static_cast<std::uint32_t>(held >> offset & ((std::uint64_t{1} << size) - 1));
    }
    void drop(unsigned size) {
        held >>= size;
        count -= size;
    }
    std::uint32_t take(unsigned size) {
        const std::uint32_t value = peek(0, size);
        drop(size);
        return value;
    }
};

}  // namespace fairing::codec::detail
