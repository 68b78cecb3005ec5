// fairing/packaging/text.hpp - names as text: UTF-8 (RFC 3629), lexical paths. No I/O.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "../codec/utf8.hpp"

namespace fairing::packaging {

/// What next_character() gives for a byte that begins no valid sequence.
inline constexpr char32_t invalid_character = 0xffffffff;

/// The character at `position`, which moves behind it. An invalid byte is `invalid_character`, one
/// byte long. Precondition: position < text.size().
[[nodiscard]] inline char32_t next_character(std::string_view text, std::size_t& position) {
    const auto byte = [&](std::size_t index) {
        return static_cast<char32_t>(static_cast<unsigned char>(text[index]));
    };
    const char32_t first = byte(position++);
    if (first < 0x80) {
        return first;
    }
    const std::size_t more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
    if (first < 0xc2 || first > 0xf4 || text.size() - position < more) {
        return invalid_character;
    }
    char32_t character = first & (0x3fU >> more);
    for (std::size_t i = 0; i < more; ++i) {
        const char32_t next = byte(position + i);
        if ((next & 0xc0) != 0x80) {
            return invalid_character;
        }
        character = character << 6 | (next & 0x3f);
    }
    const bool overlong = (more == 2 && character < 0x800) || (more == 3 && character < 0x10000);
    const bool surrogate = character >= 0xd800 && character <= 0xdfff;
    if (overlong || surrogate || character > 0x10ffff) {
        return invalid_character;
    }
    position += more;
    return character;
}

using codec::escaped;

/// The parts between slashes, the empty ones left out.
[[nodiscard]] inline std::vector<std::string_view> components(std::string_view path) {
    std::vector<std::string_view> parts;
    while (!path.empty()) {
        const std::string_view part = path.substr(0, path.find('/'));
        path.remove_prefix(part.size() < path.size() ? part.size() + 1 : part.size());
        if (!part.empty()) {
            parts.push_back(part);
        }
    }
    return parts;
}

/// The shortest path that means the same lexically: no "//", no ".", no inner "..", no slash at the
/// end. "" is ".".
[[nodiscard]] inline std::string clean(std::string_view path) {
    const bool rooted = path.starts_with('/');
    std::vector<std::string_view> kept;
    for (const std::string_view part : components(path)) {
        if (part == ".") {
            continue;
        }
        if (part == ".." && !kept.empty() && kept.back() != "..") {
            kept.pop_back();
        } else if (part != ".." || !rooted) {
            kept.push_back(part);
        }
    }
    std::string result = rooted ? "/" : "";
    for (const std::string_view part : kept) {
        result.append(result.empty() || result.back() == '/' ? "" : "/").append(part);
    }
    return result.empty() ? "." : result;
}

/// `folder`/`name`; one slash between them, and only `folder` when `name` is empty.
[[nodiscard]] inline std::string join(std::string_view folder, std::string_view name) {
    std::string result;
    result.reserve(folder.size() + 1 + name.size());
    result.append(folder);
    if (!name.empty() && !result.empty() && result.back() != '/') {
        result += '/';
    }
    return result.append(name);
}

/// What comes before the last slash: "/" for "/a", "" for "a".
[[nodiscard]] inline std::string_view parent(std::string_view path) {
    const std::size_t slash = path.rfind('/');
    return slash == std::string_view::npos ? "" : path.substr(0, slash == 0 ? 1 : slash);
}

/// What comes after the last slash.
[[nodiscard]] inline std::string_view last_component(std::string_view path) {
    return path.substr(path.rfind('/') + 1);
}

/// Whether `path` is `folder` or below it. Both are clean.
[[nodiscard]] inline bool is_within(std::string_view path, std::string_view folder) {
    return path.starts_with(folder) &&
           (path.size() == folder.size() || folder.ends_with('/') || path[folder.size()] == '/');
}

/// `path` seen from `folder`: "" for the folder itself. Precondition: is_within(path, folder).
[[nodiscard]] inline std::string_view relative_to(std::string_view path, std::string_view folder) {
    path.remove_prefix(folder.size());
    return path.substr(path.starts_with('/') ? 1 : 0);
}

}  // namespace fairing::packaging
