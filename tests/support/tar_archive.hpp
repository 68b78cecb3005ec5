// tests/support/tar_archive.hpp - tar archives made by hand, so that they can hold what no honest
// writer writes.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

namespace support {

/// Appends ustar members; names and links go in unchecked (100 bytes at most).
class TarArchive {
public:
    TarArchive& file(const std::string& path, std::string_view text, unsigned mode = 0644) {
        return add('0', path, mode, {}, text);
    }
    TarArchive& folder(const std::string& path, unsigned mode = 0755) {
        return add('5', path, mode, {}, {});
    }
    TarArchive& link(const std::string& path, const std::string& target) {
        return add('2', path, 0777, target, {});
    }
    TarArchive& hard_link(const std::string& path, const std::string& target) {
        return add('1', path, 0644, target, {});
    }
    TarArchive& special(char type, const std::string& path) {
        return add(type, path, 0644, {}, {});
    }
    TarArchive& owned_by(unsigned user, unsigned group) {
        user_ = user;
        group_ = group;
        return *this;
    }

    [[nodiscard]] std::string bytes() const { return text_ + std::string(1024, '\0'); }

private:
    TarArchive& add(char type, const std::string& path, unsigned mode, const std::string& target,
                    std::string_view content) {
        std::array<char, 512> block{};
        const auto text = [&block](std::size_t at, const std::string& value) {
            std::memcpy(block.data() + at, value.data(), std::min<std::size_t>(value.size(), 100));
        };
        const auto octal = [&block](std::size_t at, std::size_t digits, unsigned long value) {
            for (; digits > 0; --digits, value >>= 3U) {
                block[at + digits - 1] = static_cast<char>('0' + (value & 7U));
            }
        };
        text(0, path);
        octal(100, 7, mode);
        octal(108, 7, user_);
        octal(116, 7, group_);
        octal(124, 11, content.size());
        octal(136, 11, 1700000000);
        block[156] = type;
        text(157, target);
        std::memcpy(block.data() + 257, "ustar\00000", 8);
        std::memset(block.data() + 148, ' ', 8);
        unsigned long sum = 0;
        for (const char c : block) {
            sum += static_cast<unsigned char>(c);
        }
        octal(148, 6, sum);
        text_.append(block.data(), block.size());
        text_ += content;
        text_.append((512 - content.size() % 512) % 512, '\0');
        return *this;
    }

    std::string text_ = {};
    unsigned user_ = 0, group_ = 0;
};

}  // namespace support
