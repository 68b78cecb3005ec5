// fairing/codec/utf8.hpp - whether a text is UTF-8 (RFC 3629), and how one that need not be is
// shown to a person.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace fairing::codec {

/// The size of the character that `text` begins with: 1 to 4, or 0 when it is not valid UTF-8 (too
/// long a form, a surrogate, beyond U+10FFFF, cut off) or `text` is empty.
[[nodiscard]] inline std::size_t utf8_character(std::string_view text) {
    if (text.empty()) {
        return 0;
    }
    const auto first = static_cast<unsigned char>(text.front());
    const std::size_t size = first < 0x80   ? 1
                             : first < 0xc2 ? 0
                             : first < 0xe0 ? 2
                             : first < 0xf0 ? 3
                             : first < 0xf5 ? 4
                                            : 0;
    if (size <= 1) {
        return size;
    }
    if (text.size() < size) {
        return 0;
    }
    std::uint32_t value = first & (0xffU >> (size + 1));
    for (std::size_t i = 1; i < size; ++i) {
        const auto next = static_cast<unsigned char>(text[i]);
        if ((next & 0xc0) != 0x80) {
            return 0;
        }
        value = value << 6 | (next & 0x3f);
    }
    const bool is_surrogate = value >= 0xd800 && value <= 0xdfff;
    const std::uint32_t least = size == 2 ? 0x80 : size == 3 ? 0x800 : 0x10000;
    return value < least || value > 0x10ffff || is_surrogate ? 0 : size;
}

[[nodiscard]] inline bool is_utf8(std::string_view text) {
    while (const std::size_t size = utf8_character(text)) {
        text.remove_prefix(size);
    }
    return text.empty();
}

/// Whether the character is one that moves a cursor or rings a bell: C0, DEL.
[[nodiscard]] constexpr bool is_control(char character) {
    const auto code = static_cast<unsigned char>(character);
    return code < 0x20 || code == 0x7f;
}

/// `text` with each control character, backslash, quote and byte that is not UTF-8 as an escape
/// (\xNN); cut with "..." after `limit` bytes. For messages.
[[nodiscard]] inline std::string escaped(std::string_view text,
                                         std::size_t limit = std::string_view::npos) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string shown;
    while (!text.empty()) {
        if (shown.size() >= limit) {
            shown += "...";
            break;
        }
        const std::size_t size = utf8_character(text);
        const char first = text.front();
        if (size == 0 || is_control(first)) {
            const auto code = static_cast<unsigned char>(first);
            shown += "\\x";
            shown += digits[code >> 4];
            shown += digits[code & 15];
            text.remove_prefix(1);
            continue;
        }
        shown += first == '"' || first == '\\' ? "\\" : "";
        shown += text.substr(0, size);
        text.remove_prefix(size);
    }
    return shown;
}

/// The same between double quotes.
[[nodiscard]] inline std::string in_quotes(std::string_view text, std::size_t limit = 300) {
    return '"' + escaped(text, limit) + '"';
}

/// `text` for a terminal: what could move its cursor or change its state is an escape (\xNN), as is
/// each byte that is not UTF-8. Tabs stay; a carriage return at the end goes.
[[nodiscard]] inline std::string visible(std::string_view text) {
    constexpr std::string_view digits = "0123456789abcdef";
    if (text.ends_with('\r')) {
        text.remove_suffix(1);
    }
    std::string shown;
    while (!text.empty()) {
        const std::size_t size = utf8_character(text);
        const bool is_c1 =
            size == 2 && text[0] == '\xc2' && static_cast<unsigned char>(text[1]) < 0xa0;
        if (size != 0 && !is_c1 && (text[0] == '\t' || !is_control(text[0]))) {
            shown += text.substr(0, size);
            text.remove_prefix(size);
            continue;
        }
        for (const char byte : text.substr(0, size == 0 ? 1 : size)) {
            const auto code = static_cast<unsigned char>(byte);
            shown += "\\x";
            shown += digits[code >> 4];
            shown += digits[code & 15];
        }
        text.remove_prefix(size == 0 ? 1 : size);
    }
    return shown;
}

}  // namespace fairing::codec
