// fairing/codec/tar_writer.hpp - headers of a tar archive: ustar where it suffices, a pax record
// before it elsewhere (POSIX.1-2017, pax, "ustar Interchange Format" and "pax Interchange Format").
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../core/error.hpp"
#include "byte_order.hpp"
#include "tar_entry.hpp"
#include "utf8.hpp"

namespace fairing::codec {

namespace detail {

[[noreturn]] inline void refuse_tar_entry(std::string_view name, std::string answer) {
    throw Error{ErrorCode::input,
                {.attempted = "pack", .subject = in_quotes(name), .answer = std::move(answer)}};
}

inline void check_tar_text(std::string_view name, std::string_view text, const std::string& what) {
    if (text.empty()) {
        refuse_tar_entry(name, what + " is empty");
    }
    if (!is_utf8(text)) {
        refuse_tar_entry(name, what + " is not UTF-8: " + in_quotes(text));
    }
    if (std::any_of(text.begin(), text.end(), is_control)) {
        refuse_tar_entry(name, what + " has a control character: " + in_quotes(text));
    }
}

/// Relative and normal: no empty part, no "." and no "..".
inline void check_tar_path(std::string_view name, std::string_view path, const std::string& what) {
    check_tar_text(name, path, what);
    if (path.starts_with('/')) {
        refuse_tar_entry(name, what + " is absolute");
    }
    for (std::size_t begin = 0; begin <= path.size();) {
        const std::size_t end = std::min(path.find('/', begin), path.size());
        const std::string_view part = path.substr(begin, end - begin);
        if (part.empty() || part == "." || part == "..") {
            refuse_tar_entry(name, what + " has the part " + in_quotes(part));
        }
        begin = end + 1;
    }
}

inline bool is_ascii(std::string_view text) {
    return std::all_of(text.begin(), text.end(),
                       [](char character) { return static_cast<unsigned char>(character) < 0x80; });
}

/// Where the prefix of a long path ends: at a "/", with at most 155 bytes before and 1 to 100
/// after. 0: nowhere.
inline std::size_t tar_prefix_size(std::string_view path) {
    const std::size_t end = std::min(path.size() - 1, tar_prefix.size + 1);
    const std::size_t slash = path.substr(0, end).rfind('/');
    return slash != std::string_view::npos && path.size() - slash - 1 <= tar_name.size ? slash : 0;
}

inline void set_tar_text(TarBlock& block, TarField field, std::string_view text) {
    std::copy(text.begin(), text.end(), block.begin() + field.offset);
}

/// Whether the number has few enough octal digits for the field, the last byte of which is NUL.
inline bool tar_number_fits(TarField field, std::uint64_t value) {
    return value >> (3 * (field.size - 1)) == 0;
}

inline void set_tar_number(TarBlock& block, TarField field, std::uint64_t value) {
    for (std::size_t i = field.size - 1; i-- > 0; value >>= 3) {
        block[field.offset + i] = static_cast<char>('0' + (value & 7));
    }
}

/// Computes the checksum, with its own field as spaces, and appends the header.
inline void append_tar_block(TarBlock& block, std::vector<std::byte>& out) {
    set_tar_text(block, tar_checksum, "        ");
    std::uint64_t sum = 0;
    for (const char character : block) {
        sum += static_cast<unsigned char>(character);
    }
    set_tar_number(block, {tar_checksum.offset, 7}, sum);
    block[tar_checksum.offset + 6] = '\0';
    append_bytes(std::as_bytes(std::span{block}), out);
}

/// "LENGTH KEY=VALUE\n", where the length counts its own digits.
inline std::string pax_record(const std::string& key, const std::string& value) {
    const std::size_t rest = key.size() + value.size() + 3;
    std::size_t length = rest;
    while (length != rest + std::to_string(length).size()) {
        length = rest + std::to_string(length).size();
    }
    return std::to_string(length) + ' ' + key + '=' + value + '\n';
}

/// An `x` header with these records, for the entry that follows. Its name is the same for all.
inline void append_pax_header(const PaxRecords& records, std::vector<std::byte>& out) {
    std::string text;
    for (const auto& [key, value] : records) {
        text += pax_record(key, value);
    }
    TarBlock block = {};
    set_tar_text(block, tar_name, "PaxHeaders/entry");
    set_tar_number(block, tar_mode, 0644);
    set_tar_number(block, tar_user, 0);
    set_tar_number(block, tar_group, 0);
    set_tar_number(block, tar_size, text.size());
    set_tar_number(block, tar_mtime, 0);
    set_tar_text(block, tar_type, "x");
    set_tar_text(block, tar_magic, tar_magic_posix);
    append_tar_block(block, out);
    append_bytes(std::as_bytes(std::span{text}), out);
    out.resize(out.size() + tar_padding(text.size()));
}

/// What goes into a name field when the whole is in a record: readers that do not know pax find
/// something.
inline std::string tar_stand_in(std::string_view path) {
    std::string text{path.substr(0, tar_name.size)};
    for (char& character : text) {
        character = is_ascii({&character, 1}) ? character : '_';
    }
    return text.substr(0, text.find_last_not_of('/') + 1);
}

inline void set_tar_path(TarBlock& block, std::string_view path, PaxRecords& records) {
    if (is_ascii(path) && path.size() <= tar_name.size) {
        set_tar_text(block, tar_name, path);
        return;
    }
    if (const std::size_t prefix = tar_prefix_size(path); is_ascii(path) && prefix > 0) {
        set_tar_text(block, tar_prefix, path.substr(0, prefix));
        set_tar_text(block, tar_name, path.substr(prefix + 1));
        return;
    }
    set_tar_text(block, tar_name, tar_stand_in(path));
    records["path"] = path;
}

inline void set_tar_link(TarBlock& block, std::string_view target, PaxRecords& records) {
    if (is_ascii(target) && target.size() <= tar_link.size) {
        set_tar_text(block, tar_link, target);
    } else {
        set_tar_text(block, tar_link, tar_stand_in(target));
        records["linkpath"] = target;
    }
}

inline void set_tar_number_or_record(TarBlock& block, TarField field, std::uint64_t value,
                                     const char* key, PaxRecords& records) {
    const bool fits = tar_number_fits(field, value);
    set_tar_number(block, field, fits ? value : 0);
    if (!fits) {
        records[key] = std::to_string(value);
    }
}

inline void set_tar_device(TarBlock& block, const TarEntry& entry) {
    if (!tar_number_fits(tar_device_major, entry.device_major) ||
        !tar_number_fits(tar_device_minor, entry.device_minor)) {
        refuse_tar_entry(entry.path, "its device number is too large");
    }
    set_tar_number(block, tar_device_major, entry.device_major);
    set_tar_number(block, tar_device_minor, entry.device_minor);
}

inline void check_pax_records(const TarEntry& entry) {
    static constexpr std::array<std::string_view, 6> of_members = {"path", "linkpath", "size",
                                                                   "uid",  "gid",      "mtime"};
    for (const auto& [key, value] : entry.pax) {
        const bool is_member =
            std::find(of_members.begin(), of_members.end(), key) != of_members.end();
        if (key.empty() || value.empty() || is_member || !is_utf8(key) ||
            key.find('=') != std::string::npos || std::any_of(key.begin(), key.end(), is_control)) {
            refuse_tar_entry(entry.path, "it has the pax record " + in_quotes(key) +
                                             ", which is empty, malformed or a member of TarEntry");
        }
    }
}

}  // namespace detail

/// Appends the header of `entry`, whole blocks; its bytes and tar_padding(size) zeros come next. A
/// function of the entry alone. Throws Error{input} with the escaped name for a path that is empty,
/// absolute, not normal, not UTF-8 or has a control character, for such a link target (which may be
/// absolute or have ".." in a symbolic link), and for what tar can not hold.
inline void append_tar_header(const TarEntry& entry, std::vector<std::byte>& out) {
    detail::check_tar_path(entry.path, entry.path, "its name");
    detail::check_pax_records(entry);
    detail::PaxRecords records = entry.pax;
    detail::TarBlock block = {};
    const bool is_directory = entry.kind == TarKind::directory;
    detail::set_tar_path(block, is_directory ? entry.path + '/' : entry.path, records);
    if (entry.kind == TarKind::symlink) {
        detail::check_tar_text(entry.path, entry.link_target, "its target");
        detail::set_tar_link(block, entry.link_target, records);
    } else if (entry.kind == TarKind::hardlink) {
        detail::check_tar_path(entry.path, entry.link_target, "its target");
        detail::set_tar_link(block, entry.link_target, records);
    }
    if (entry.kind != TarKind::file && entry.size != 0) {
        detail::refuse_tar_entry(entry.path, "only a file has a size");
    }
    detail::set_tar_number(block, detail::tar_mode, entry.mode & 07777);
    detail::set_tar_number_or_record(block, detail::tar_user, entry.user, "uid", records);
    detail::set_tar_number_or_record(block, detail::tar_group, entry.group, "gid", records);
    detail::set_tar_number_or_record(block, detail::tar_size, entry.size, "size", records);
    if (entry.mtime >= 0) {
        detail::set_tar_number_or_record(block, detail::tar_mtime,
                                         static_cast<std::uint64_t>(entry.mtime), "mtime", records);
    } else {
        detail::set_tar_number(block, detail::tar_mtime, 0);
        records["mtime"] = std::to_string(entry.mtime);
    }
    constexpr std::string_view types = "0521346";  // in the order of TarKind
    detail::set_tar_text(block, detail::tar_type,
                         types.substr(static_cast<std::size_t>(entry.kind), 1));
    detail::set_tar_text(block, detail::tar_magic, detail::tar_magic_posix);
    detail::set_tar_device(block, entry);
    if (!records.empty()) {
        detail::append_pax_header(records, out);
    }
    detail::append_tar_block(block, out);
}

/// Appends the end of the archive: two blocks of zeros.
inline void append_tar_end(std::vector<std::byte>& out) {
    out.resize(out.size() + 2 * detail::tar_block_size);
}

}  // namespace fairing::codec
