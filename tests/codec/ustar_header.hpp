// tests/codec/ustar_header.hpp - a header of a tar archive whose fields are set as they come, with
// a checksum that fits.
#pragma once

#include <array>
#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>

namespace codec_test {

class Header {
public:
    explicit Header(std::string_view name, char type = '0') : block_(512, '\0') {
        at(0, name).at(100, "0000644").at(108, "0000000").at(116, "0000000").at(124, "00000000000");
        at(136, "00000000000").at(156, {&type, 1}).at(257, {"ustar\00000", 8});
    }
    Header& at(std::size_t offset, std::string_view text) {
        block_.replace(offset, text.size(), text);
        return *this;
    }
    Header& size(std::size_t value) {
        std::array<char, 12> digits;
        std::snprintf(digits.data(), digits.size(), "%011zo", value);
        return at(124, digits.data());
    }
    [[nodiscard]] std::string block() const {
        unsigned sum = 0;
        for (std::size_t i = 0; i < block_.size(); ++i) {
            const char character = i >= 148 && i < 156 ? ' ' : block_[i];
            sum += static_cast<unsigned char>(character);
        }
        std::array<char, 8> digits;
        std::snprintf(digits.data(), digits.size(), "%06o", sum);
        std::string result = block_;
        return result.replace(148, 8, std::string{digits.data()} + std::string{"\0 ", 2});
    }

private:
    std::string block_;
};

}  // namespace codec_test
