// fairing/codec/tar_header.hpp - one header of a tar archive, read: its names and its numbers
// (POSIX.1-2017, pax; base-256 numbers as the manual of GNU tar describes them).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "../core/error.hpp"
#include "tar_entry.hpp"
#include "utf8.hpp"

namespace fairing::codec::detail {

/// `after` is the path of the entry before, if there is one.
[[noreturn]] inline void malformed_tar(const std::string& after, const std::string& reason,
                                       ErrorCode code = ErrorCode::integrity) {
    throw Error{
        code,
        {.attempted = "read",
         .subject = after.empty() ? "a tar archive" : "a tar archive after " + in_quotes(after),
         .answer = reason}};
}

/// A view. Throws as malformed_tar() does; `what` is the name of a number for that.
class TarHeader {
public:
    TarHeader(const TarBlock& block, const std::string& after) : block_(block), after_(after) {}

    /// Whether it is half an end marker.
    [[nodiscard]] bool is_zero() const {
        return std::all_of(block_.begin(), block_.end(), [](char c) { return c == '\0'; });
    }
    [[nodiscard]] char type() const { return tar_text(block_, tar_type).front(); }

    /// The sum of all bytes, its own field taken for spaces; some old writers summed signed
    /// characters.
    void check_checksum() const {
        std::int64_t plain = 0, with_sign = 0;
        for (std::size_t i = 0; i < block_.size(); ++i) {
            const bool own =
                i >= tar_checksum.offset && i < tar_checksum.offset + tar_checksum.size;
            const char character = own ? ' ' : block_[i];
            plain += static_cast<unsigned char>(character);
            with_sign += static_cast<signed char>(character);
        }
        const std::int64_t stated = number(tar_checksum, "checksum");
        if (stated != plain && stated != with_sign) {
            malformed_tar(after_, "a header does not match its checksum");
        }
    }

    [[nodiscard]] std::string text(TarField field) const {
        const std::string_view padded = tar_text(block_, field);
        return std::string{padded.substr(0, padded.find('\0'))};
    }

    /// The prefix is POSIX's; GNU keeps other things there.
    [[nodiscard]] std::string name() const {
        std::string name = text(tar_name);
        if (tar_text(block_, tar_magic).substr(0, 6) == tar_magic_posix.substr(0, 6)) {
            const std::string prefix = text(tar_prefix);
            name = prefix.empty() ? name : prefix + '/' + name;
        }
        return name;
    }

    /// Octal digits with spaces or NULs around them (none: 0), or GNU's base 256, of which the
    /// first bit is set.
    [[nodiscard]] std::int64_t number(TarField field, const std::string& what) const {
        std::string_view text = tar_text(block_, field);
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
                malformed_tar(after_, "a " + what + " that is not a number");
            }
            value = value << 3 | (digit - '0');  // at most twelve digits
        }
        return value;
    }

    [[nodiscard]] std::uint64_t unsigned_number(TarField field, const std::string& what) const {
        const std::int64_t value = number(field, what);
        if (value < 0) {
            malformed_tar(after_, "a negative " + what);
        }
        return static_cast<std::uint64_t>(value);
    }

    [[nodiscard]] std::uint32_t device(TarField field) const {
        const std::uint64_t value = unsigned_number(field, "device number");
        if (value > std::numeric_limits<std::uint32_t>::max()) {
            malformed_tar(after_, "a device number that is too large");
        }
        return static_cast<std::uint32_t>(value);
    }

private:
    /// Two's complement, of 63 or 95 bits, the highest first.
    [[nodiscard]] std::int64_t base_256(std::string_view text, const std::string& what) const {
        const bool is_negative = (static_cast<unsigned char>(text.front()) & 0x40) != 0;
        const std::uint64_t sign = is_negative ? ~std::uint64_t{0} : 0;
        std::uint64_t value = sign << 6 | (static_cast<unsigned char>(text.front()) & 0x3fU);
        for (const char character : text.substr(1)) {
            // The byte that falls out and the next one's first bit must only repeat the sign.
            if (value >> 55 != sign >> 55) {
                malformed_tar(after_, "a " + what + " that is too large");
            }
            value = value << 8 | static_cast<unsigned char>(character);
        }
        return static_cast<std::int64_t>(value);
    }

    const TarBlock& block_;
    const std::string& after_;
};

}  // namespace fairing::codec::detail
