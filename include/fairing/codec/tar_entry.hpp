// fairing/codec/tar_entry.hpp - what a tar archive says of one file, and the layout of a header
// (POSIX.1-2017, pax).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace fairing::codec {

enum class TarKind { file, directory, symlink, hardlink, character_device, block_device, fifo };

/// One member of an archive; the bytes of a file follow it.
struct TarEntry {
    std::string path = {};  ///< relative; "/" between the parts, and none at the end
    TarKind kind = TarKind::file;
    unsigned mode = 0644;    ///< permission bits and set-id bits, 07777
    std::uint64_t size = 0;  ///< bytes that follow; 0 for all but files
    std::uint64_t user = 0;
    std::uint64_t group = 0;
    std::int64_t mtime = 0;  ///< seconds since 1970
    std::string link_target = {};
    std::uint32_t device_major = 0;
    std::uint32_t device_minor = 0;
    std::map<std::string, std::string> pax = {};  ///< records that no member above stands for

    bool operator==(const TarEntry&) const = default;
};

/// How many zero bytes follow a file of this size.
[[nodiscard]] constexpr std::size_t tar_padding(std::uint64_t size) {
    return static_cast<std::size_t>((512 - size % 512) % 512);
}

namespace detail {

using PaxRecords = std::map<std::string, std::string>;

inline constexpr std::size_t tar_block_size = 512;
using TarBlock = std::array<char, tar_block_size>;

/// Where a field of the header is.
struct TarField {
    std::size_t offset;
    std::size_t size;
};
inline constexpr TarField tar_name = {0, 100}, tar_mode = {100, 8}, tar_user = {108, 8},
                          tar_group = {116, 8}, tar_size = {124, 12}, tar_mtime = {136, 12},
                          tar_checksum = {148, 8}, tar_type = {156, 1}, tar_link = {157, 100},
                          tar_magic = {257, 8}, tar_device_major = {329, 8},
                          tar_device_minor = {337, 8}, tar_prefix = {345, 155};

/// "ustar", NUL, "00", and what GNU writes instead.
inline constexpr std::string_view tar_magic_posix{"ustar\00000", 8};
inline constexpr std::string_view tar_magic_gnu{"ustar  \0", 8};

[[nodiscard]] constexpr std::string_view tar_text(const TarBlock& block, TarField field) {
    return {block.data() + field.offset, field.size};
}

}  // namespace detail

}  // namespace fairing::codec
