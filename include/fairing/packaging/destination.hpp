// fairing/packaging/destination.hpp - where files land in an image, and which places no file may
// take. Pure.
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "../core/error.hpp"
#include "text.hpp"

namespace fairing::packaging {

namespace detail {

[[noreturn]] inline void refuse_destination(std::string_view destination, std::string_view source,
                                            std::string answer, std::string advice) {
    throw Error{ErrorCode::input,
                {.attempted = "package",
                 .subject = escaped(source) + " as " + escaped(destination),
                 .answer = std::move(answer),
                 .advice = std::move(advice)}};
}

}  // namespace detail

/// `path` as an absolute, clean path of the image; what is relative is below `prefix`. Throws
/// Error{input} when it is empty or holds "..". `source` is what the message names.
[[nodiscard]] inline std::string image_path(std::string_view path, std::string_view prefix,
                                            std::string_view source) {
    const auto parts = components(path);
    if (path.empty()) {
        detail::refuse_destination(path, source, "the destination is empty",
                                   "name an absolute path of the image, or one below the prefix");
    }
    if (std::find(parts.begin(), parts.end(), "..") != parts.end()) {
        detail::refuse_destination(path, source, "the destination holds \"..\"",
                                   "write it without");
    }
    return clean(path.starts_with('/') ? std::string{path} : join(prefix, path));
}

/// The path prefix, absolute and clean. Throws Error{input} when it is relative or holds "..".
[[nodiscard]] inline std::string image_prefix(std::string_view prefix) {
    if (!prefix.starts_with('/')) {
        throw Error{ErrorCode::input,
                    {.attempted = "use path prefix",
                     .subject = '"' + escaped(prefix) + '"',
                     .answer = "it is not absolute",
                     .advice = "write it with a slash in front, as in /app/"}};
    }
    return image_path(prefix, "/", "the path prefix");
}

/// Throws Error{input} that names both when a file can not land there: names that are no UTF-8 or
/// hold control characters, whiteouts (OCI image-spec, layer.md), the root, and the folders that
/// every system has at its top. Precondition: `destination` is absolute and clean.
inline void check_destination(std::string_view destination, std::string_view source) {
    constexpr std::array<std::string_view, 21> system = {
        "/",      "/bin",   "/boot",   "/dev",   "/etc", "/home", "/lib",
        "/lib32", "/lib64", "/libx32", "/media", "/mnt", "/opt",  "/proc",
        "/root",  "/run",   "/sbin",   "/srv",   "/sys", "/tmp",  "/usr"};
    if (std::find(system.begin(), system.end(), destination) != system.end() ||
        destination == "/var") {
        detail::refuse_destination(destination, source,
                                   "a file would replace that folder of the image and all in it",
                                   "name a path below it");
    }
    for (std::size_t position = 0; position < destination.size();) {
        const char32_t character = next_character(destination, position);
        if (character == invalid_character) {
            detail::refuse_destination(destination, source, "the name is not UTF-8",
                                       "rename the file");
        }
        if (character < 0x20 || character == 0x7f) {
            detail::refuse_destination(destination, source, "the name holds a control character",
                                       "rename the file");
        }
    }
    if (destination.find("/.wh.") != std::string_view::npos) {
        detail::refuse_destination(destination, source,
                                   "a name that begins with .wh. deletes files in an image",
                                   "rename the file");
    }
}

}  // namespace fairing::packaging
