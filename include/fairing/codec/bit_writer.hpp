// fairing/codec/bit_writer.hpp - bits packed into bytes from the lowest up (RFC
// 1951, section 3.1.1).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "byte_order.hpp"

namespace fairing::codec::detail {

/// Where the next bits go: plain values, so that a loop keeps them in registers
/// (a store through a std::byte pointer may change any object whose address is
/// known).
class BitCursor {
public:
    BitCursor(std::byte* next, std::uint64_t pending, unsigned used)
        : next_(next), pending_(pending), used_(used) {}

    /// Precondition: count <= 56, no bit of `bits` from `count` on is set, and
    /// eight bytes are writable.
    [[gnu::always_inline]] void put(std::uint64_t bits, unsigned count) {
        pending_ |= bits << used_;
        store_little(pending_, next_);
        used_ += count;
        next_ += used_ / 8;
        pending_ >>= used_ & ~7U;
        used_ &= 7;
    }
    [[nodiscard]] std::byte* next() const { return next_; }
    [[nodiscard]] std::uint64_t pending() const { return pending_; }
    [[nodiscard]] unsigned used() const { return used_; }

private:
    std::byte* next_;
    std::uint64_t pending_;
    unsigned used_;
};

/// Appends to a vector, which is longer than what was written until finish().
/// Call reserve() before put().
class BitWriter {
public:
    explicit BitWriter(std::vector<std::byte>& out) : out_(out), position_(out.size()) {}

    /// Room for `bits` more bits.
    void reserve(std::uint64_t bits) {
        const std::size_t needed = position_ + static_cast<std::size_t>(bits / 8) + 16;
        if (out_.size() < needed) {
            out_.resize(needed);  // the vector itself grows in steps
        }
    }

    /// Precondition: count <= 56, no bit of `bits` from `count` on is set, and
    /// there is room.
    void put(std::uint64_t bits, unsigned count) {
        pending_ |= bits << used_;
        store_little(pending_, out_.data() + position_);
        used_ += count;
        position_ += used_ / 8;
        pending_ >>= used_ & ~7U;
        used_ &= 7;
    }

    /// For a loop that has reserved its room; to be given back with resume().
    [[nodiscard]] BitCursor cursor() const { return {out_.data() + position_, pending_, used_}; }
    void resume(const BitCursor& cursor) {
        position_ = static_cast<std::size_t>(cursor.next() - out_.data());
        pending_ = cursor.pending();
        used_ = cursor.used();
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

    /// Aligns and cuts the vector to what was written. The writer may be used
    /// again.
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
