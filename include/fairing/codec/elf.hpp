// fairing/codec/elf.hpp - what an ELF file needs to run (System V gABI, chapters 4 and 5; LSB,
// "Symbol Versioning").
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../core/error.hpp"

namespace fairing::codec {

/// The bytes of a file, read where they are needed: libraries of a gigabyte are common.
struct ElfSource {
    std::uint64_t size = 0;
    /// Exactly that many bytes; only called within `size`.
    std::function<std::string(std::uint64_t offset, std::size_t size)> read = {};
    std::string name = {};  ///< for messages
};

/// A version of a library's symbols that a file must find: "libc.so.6", "GLIBC_2.34".
struct ElfVersionNeed {
    std::string library = {}, version = {};
};

struct ElfFile {
    int bits = 64;
    std::uint16_t machine = 0;     ///< e_machine
    std::string interpreter = {};  ///< of a program: its dynamic linker; "" when it is static
    std::string soname = {}, rpath = {}, runpath = {};
    std::vector<std::string> needed = {};
    std::vector<ElfVersionNeed> version_needs = {};  ///< without the weak ones
    std::vector<std::string> versions = {};          ///< that it defines

    /// As GOARCH and OCI name it: "amd64"; "machine 40" when there is no name.
    [[nodiscard]] std::string architecture() const {
        static constexpr std::array<std::pair<unsigned, const char*>, 7> names{{{3, "386"},
                                                                                {21, "ppc64le"},
                                                                                {22, "s390x"},
                                                                                {40, "arm"},
                                                                                {62, "amd64"},
                                                                                {183, "arm64"},
                                                                                {243, "riscv64"}}};
        for (const auto& [number, name] : names) {
            if (number == machine) {
                return name;
            }
        }
        return "machine " + std::to_string(machine);
    }
};

/// Whether a file that begins so is ELF.
[[nodiscard]] inline bool is_elf(std::string_view start) { return start.starts_with("\177ELF"); }

namespace detail {

class ElfReader {
public:
    explicit ElfReader(const ElfSource& source) : source_(source) {
        const std::string identity = bytes(0, 16);
        if (!is_elf(identity)) {
            fail("it is no ELF file");
        }
        file_.bits = identity[4] == 1 ? 32 : 64;
        little_ = identity[5] == 1;
        if ((identity[4] != 1 && identity[4] != 2) || (identity[5] != 1 && identity[5] != 2)) {
            fail("its ELF header is damaged");
        }
        file_.machine = static_cast<std::uint16_t>(number(18, 2));
        read_segments();
        read_dynamic();
    }
    [[nodiscard]] ElfFile take() { return std::move(file_); }

private:
    struct Load {
        std::uint64_t address = 0, offset = 0, size = 0;
    };
    /// Tags of the dynamic section that stand for one value.
    struct Dynamic {
        std::uint64_t strings = 0, strings_size = 0, needs = 0, need_count = 0, defines = 0,
                      define_count = 0;
        std::vector<std::pair<std::uint64_t, std::uint64_t>> names = {};  // tag, offset
    };

    [[noreturn]] void fail(std::string answer) const {
        throw Error{
            ErrorCode::input,
            {.attempted = "read program", .subject = source_.name, .answer = std::move(answer)}};
    }

    [[nodiscard]] std::string bytes(std::uint64_t offset, std::uint64_t size) const {
        constexpr std::uint64_t limit = std::uint64_t{256} << 20;
        if (size > limit || offset > source_.size || size > source_.size - offset) {
            fail("it is cut off, or its ELF headers are damaged");
        }
        return source_.read(offset, static_cast<std::size_t>(size));
    }
    [[nodiscard]] std::uint64_t decode(std::string_view text, std::size_t at,
                                       std::size_t width) const {
        std::uint64_t value = 0;
        for (std::size_t i = 0; i < width; ++i) {
            const std::size_t place = little_ ? width - 1 - i : i;
            value = value << 8 | static_cast<unsigned char>(text[at + place]);
        }
        return value;
    }
    [[nodiscard]] std::uint64_t number(std::uint64_t offset, std::size_t width) const {
        return decode(bytes(offset, width), 0, width);
    }
    [[nodiscard]] std::size_t word() const { return file_.bits == 64 ? 8 : 4; }

    void read_segments() {
        const bool wide = file_.bits == 64;
        const std::uint64_t table = number(wide ? 32 : 28, word());
        const std::uint64_t entry = number(wide ? 54 : 42, 2), count = number(wide ? 56 : 44, 2);
        if (count > 0 && entry < (wide ? 56U : 32U)) {
            fail("its ELF headers are damaged");
        }
        for (std::uint64_t i = 0; i < count; ++i) {
            const std::string header = bytes(table + i * entry, entry);
            const std::uint64_t type = decode(header, 0, 4);
            const Load place{.address = decode(header, wide ? 16 : 8, word()),
                             .offset = decode(header, wide ? 8 : 4, word()),
                             .size = decode(header, wide ? 32 : 16, word())};
            if (type == 1) {
                loads_.push_back(place);
            } else if (type == 2) {
                dynamic_ = place;
            } else if (type == 3) {
                file_.interpreter = bytes(place.offset, place.size);
                file_.interpreter.resize(
                    std::min(file_.interpreter.find('\0'), file_.interpreter.size()));
            }
        }
    }

    /// Where an address is in the file.
    [[nodiscard]] std::uint64_t offset_of(std::uint64_t address) const {
        for (const Load& load : loads_) {
            if (address >= load.address && address - load.address < load.size) {
                return address - load.address + load.offset;
            }
        }
        fail("its dynamic section points outside of it");
    }

    void read_dynamic() {
        if (!dynamic_) {
            return;
        }
        const std::string table = bytes(dynamic_->offset, dynamic_->size);
        Dynamic found;
        for (std::size_t at = 0; at + 2 * word() <= table.size(); at += 2 * word()) {
            const std::uint64_t tag = decode(table, at, word());
            if (tag == 0) {
                break;
            }
            take_tag(found, tag, decode(table, at + word(), word()));
        }
        if (found.strings == 0) {
            return;
        }
        strings_ = bytes(offset_of(found.strings), found.strings_size);
        for (const auto& [tag, offset] : found.names) {
            std::string text = name(offset);
            if (tag == 1) {
                file_.needed.push_back(std::move(text));
            } else {
                (tag == 14   ? file_.soname
                 : tag == 15 ? file_.rpath
                             : file_.runpath) = std::move(text);
            }
        }
        read_version_needs(found);
        read_versions(found);
    }

    static void take_tag(Dynamic& found, std::uint64_t tag, std::uint64_t value) {
        switch (tag) {
            case 5:
                found.strings = value;
                break;
            case 10:
                found.strings_size = value;
                break;
            case 1:   // DT_NEEDED
            case 14:  // DT_SONAME
            case 15:  // DT_RPATH
            case 29:  // DT_RUNPATH
                found.names.emplace_back(tag, value);
                break;
            case 0x6ffffffe:
                found.needs = value;
                break;
            case 0x6fffffff:
                found.need_count = value;
                break;
            case 0x6ffffffc:
                found.defines = value;
                break;
            case 0x6ffffffd:
                found.define_count = value;
                break;
            default:
                break;
        }
    }

    [[nodiscard]] std::string name(std::uint64_t offset) const {
        if (offset >= strings_.size()) {
            fail("a name in its dynamic section is outside of its strings");
        }
        return strings_.c_str() + offset;
    }

    void read_version_needs(const Dynamic& found) {
        constexpr std::uint64_t weak = 2;
        std::uint64_t at = found.needs == 0 ? 0 : offset_of(found.needs);
        for (std::uint64_t i = 0; at != 0 && i < found.need_count; ++i) {
            const std::string need = bytes(at, 16);
            const std::string library = name(decode(need, 4, 4));
            std::uint64_t version = at + decode(need, 8, 4);
            for (std::uint64_t j = 0; j < decode(need, 2, 2); ++j) {
                const std::string entry = bytes(version, 16);
                if ((decode(entry, 4, 2) & weak) == 0) {
                    file_.version_needs.push_back(
                        {.library = library, .version = name(decode(entry, 8, 4))});
                }
                version += decode(entry, 12, 4);
            }
            const std::uint64_t next = decode(need, 12, 4);
            at = next == 0 ? 0 : at + next;
        }
    }

    void read_versions(const Dynamic& found) {
        std::uint64_t at = found.defines == 0 ? 0 : offset_of(found.defines);
        for (std::uint64_t i = 0; at != 0 && i < found.define_count; ++i) {
            const std::string definition = bytes(at, 20);
            file_.versions.push_back(name(number(at + decode(definition, 12, 4), 4)));
            const std::uint64_t next = decode(definition, 16, 4);
            at = next == 0 ? 0 : at + next;
        }
    }

    const ElfSource& source_;
    bool little_ = true;
    std::vector<Load> loads_ = {};
    std::optional<Load> dynamic_ = {};
    std::string strings_ = {};
    ElfFile file_ = {};
};

}  // namespace detail

/// Throws Error{input} for what is no ELF file, or a damaged one.
[[nodiscard]] inline ElfFile read_elf(const ElfSource& source) {
    return detail::ElfReader{source}.take();
}

/// The same for bytes in memory.
[[nodiscard]] inline ElfFile read_elf(std::string_view bytes, std::string name) {
    return read_elf({.size = bytes.size(),
                     .read =
                         [bytes](std::uint64_t offset, std::size_t size) {
                             return std::string{
                                 bytes.substr(static_cast<std::size_t>(offset), size)};
                         },
                     .name = std::move(name)});
}

/// The 34 of "GLIBC_2.34", the version of glibc that such a symbol came with; nullopt for others.
[[nodiscard]] inline std::optional<int> glibc_minor(std::string_view version) {
    if (version == "GLIBC_ABI_DT_RELR") {
        return 36;
    }
    constexpr std::string_view prefix = "GLIBC_2.";
    if (!version.starts_with(prefix)) {
        return std::nullopt;
    }
    int minor = 0;
    for (const char c : version.substr(prefix.size())) {
        if (c < '0' || c > '9') {
            break;  // 2.2.5
        }
        minor = std::min(minor * 10 + (c - '0'), 9999);
    }
    return minor;
}

}  // namespace fairing::codec
