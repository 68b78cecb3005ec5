// fairing/codec/base64.hpp - Base64 with the standard alphabet (RFC 4648, section 4), and the form
// for URLs that JSON Web Tokens are written in (section 5).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "../core/error.hpp"

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

/// With '-' and '_' for '+' and '/', and without padding.
[[nodiscard]] inline std::string base64url_encode(std::string_view bytes) {
    std::string text = base64_encode(bytes);
    for (char& c : text) {
        c = c == '+' ? '-' : c == '/' ? '_' : c;
    }
    text.resize(text.find_last_not_of('=') + 1);
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
