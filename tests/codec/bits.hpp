// tests/codec/bits.hpp - a deflate stream put together by hand, bit by bit (RFC 1951, 3.1.1).
#pragma once

#include <string>
#include <string_view>

namespace codec_test {

/// Bits in the order in which they are in the stream.
class Bits {
public:
    /// A number, the lowest bit first.
    Bits& value(unsigned bits, unsigned count) {
        for (unsigned i = 0; i < count; ++i) {
            bit(bits >> i & 1);
        }
        return *this;
    }
    /// A prefix code, the first bit first.
    Bits& code(std::string_view bits) {
        for (const char character : bits) {
            bit(character == '1' ? 1 : 0);
        }
        return *this;
    }
    [[nodiscard]] const std::string& bytes() const { return bytes_; }

private:
    void bit(unsigned value) {
        if (used_ == 0) {
            bytes_ += '\0';
        }
        bytes_.back() =
            static_cast<char>(static_cast<unsigned char>(bytes_.back()) | value << used_);
        used_ = (used_ + 1) % 8;
    }
    std::string bytes_ = {};
    unsigned used_ = 0;
};

}  // namespace codec_test
