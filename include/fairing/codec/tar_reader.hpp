// fairing/codec/tar_reader.hpp - a reader of tar archives that come in pieces: ustar, pax, and what
// GNU tar writes.
//
// POSIX.1-2017, pax; the GNU forms (long names, base-256 numbers) as the manual of GNU tar
// describes them.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "../core/error.hpp"
#include "compressor.hpp"
#include "tar_entry.hpp"
#include "utf8.hpp"

namespace fairing::codec {

/// Calls `on_entry` for each entry, then `on_data` with its bytes in pieces, in the order of the
/// archive. Does not touch the file system: paths and targets are what the archive says, may be
/// absolute and may hold "..", and are for the caller to judge; they hold no NUL, and no "/" at the
/// end.
///
/// Throws Error{integrity} with the reason for a malformed archive and Error{unsupported} for
/// sparse files and unknown kinds of entries; it is good for nothing then. Memory is bounded: pax
/// records and long names of more than 1 MiB are refused.
class TarReader {
public:
    using EntrySink = std::function<void(const TarEntry&)>;

    TarReader(EntrySink on_entry, ByteSink on_data)
        : on_entry_(std::move(on_entry)), on_data_(std::move(on_data)) {}

    /// Takes the next piece of the archive, of any size. What follows the end marker is ignored.
    void write(std::span<const std::byte> input) {
        while (!input.empty() && state_ != State::end) {
            input = input.subspan(state_ == State::header ? take_header(input) : take_body(input));
        }
    }

    /// To be called at the end of the input. Throws when it is cut off; an archive may lack its end
    /// marker, as it may for GNU tar, but not end within an entry.
    void finish() {
        if (state_ == State::end) {
            return;
        }
        if (state_ != State::header || block_size_ > 0) {
            malformed("the archive is cut off");
        }
        check_nothing_pending();
    }

private:
    enum class State { header, data, metadata, padding, end };

    static constexpr std::size_t metadata_limit = std::size_t{1} << 20;
    static constexpr std::size_t global_limit = std::size_t{16} << 10;

    using Records = std::map<std::string, std::string, std::less<>>;

    [[noreturn]] void malformed(const std::string& reason,
                                ErrorCode code = ErrorCode::integrity) const {
        throw Error{code,
                    {.attempted = "read",
                     .subject = entry_.path.empty() ? "a tar archive"
                                                    : "a tar archive after " + escaped(entry_.path),
                     .answer = reason}};
    }

    // Blocks ------------------------------------------------------------------------------------

    std::size_t take_header(std::span<const std::byte> input) {
        const std::size_t size = std::min(input.size(), block_.size() - block_size_);
        std::copy_n(reinterpret_cast<const char*>(input.data()), size, block_.data() + block_size_);
        block_size_ += size;
        if (block_size_ == block_.size()) {
            block_size_ = 0;
            read_header();
        }
        return size;
    }

    std::size_t take_body(std::span<const std::byte> input) {
        const std::uint64_t wanted = state_ == State::padding ? padding_ : left_;
        const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(input.size(), wanted));
        const auto piece = input.first(size);
        if (state_ == State::padding) {
            padding_ -= size;
        } else {
            left_ -= size;
            if (state_ == State::data) {
                on_data_(piece);
            } else {
                metadata_.append(reinterpret_cast<const char*>(piece.data()), size);
            }
        }
        advance();
        return size;
    }

    void begin_body(State state, std::uint64_t size) {
        state_ = state;
        left_ = size;
        padding_ = tar_padding(size);
        metadata_.clear();
        advance();
    }

    /// To the next state, when this one has what it wants.
    void advance() {
        if ((state_ == State::data || state_ == State::metadata) && left_ == 0) {
            if (state_ == State::metadata) {
                apply_metadata();
            }
            state_ = State::padding;
        }
        if (state_ == State::padding && padding_ == 0) {
            state_ = State::header;
        }
    }

    // Headers -----------------------------------------------------------------------------------

    void read_header() {
        if (std::all_of(block_.begin(), block_.end(), [](char c) { return c == '\0'; })) {
            check_nothing_pending();
            state_ = saw_zero_block_ ? State::end : State::header;
            saw_zero_block_ = true;
            return;
        }
        if (saw_zero_block_) {
            malformed("an entry follows half an end marker");
        }
        check_checksum();
        type_ = detail::tar_text(block_, detail::tar_type).front();
        if (type_ == 'x' || type_ == 'g' || type_ == 'L' || type_ == 'K') {
            const std::uint64_t size = unsigned_field(detail::tar_size, "size");
            if (size > metadata_limit) {
                malformed("an extended header of " + std::to_string(size) + " bytes");
            }
            begin_body(State::metadata, size);
            return;
        }
        read_entry();
        on_entry_(entry_);
        begin_body(State::data, entry_.size);
    }

    /// The sum of all bytes, its own field taken for spaces; some old writers summed signed
    /// characters.
    void check_checksum() const {
        std::int64_t plain = 0, with_sign = 0;
        for (std::size_t i = 0; i < block_.size(); ++i) {
            const bool own = i >= detail::tar_checksum.offset &&
                             i < detail::tar_checksum.offset + detail::tar_checksum.size;
            const char character = own ? ' ' : block_[i];
            plain += static_cast<unsigned char>(character);
            with_sign += static_cast<signed char>(character);
        }
        const std::int64_t stated = number_field(detail::tar_checksum, "checksum");
        if (stated != plain && stated != with_sign) {
            malformed("a header does not match its checksum");
        }
    }

    void read_entry() {
        TarEntry entry;
        entry.mode = static_cast<unsigned>(unsigned_field(detail::tar_mode, "mode") & 07777);
        entry.size = unsigned_field(detail::tar_size, "size");
        entry.user = unsigned_field(detail::tar_user, "user");
        entry.group = unsigned_field(detail::tar_group, "group");
        entry.mtime = number_field(detail::tar_mtime, "time");
        entry.path = long_name_ ? *long_name_ : name_field();
        entry.link_target = long_link_ ? *long_link_ : text_field(detail::tar_link);
        apply_records(entry);
        for (auto& [key, value] : records_) {
            if (!value.empty() && !is_member(key)) {
                entry.pax.emplace(key, std::move(value));
            }
        }
        if (entry.path.find('\0') != std::string::npos ||
            entry.link_target.find('\0') != std::string::npos) {
            malformed("a name with a NUL");
        }
        set_kind(entry);
        // "/" alone keeps its one: it is absolute, not empty.
        entry.path.resize(std::max<std::size_t>(entry.path.find_last_not_of('/') + 1,
                                                entry.path.starts_with('/') ? 1 : 0));
        if (entry.path.empty()) {
            malformed("an entry without a name");
        }
        records_.clear();
        long_name_.reset();
        long_link_.reset();
        entry_ = std::move(entry);
    }

    void set_kind(TarEntry& entry) const {
        switch (type_) {
            case '0':
            case '\0':
            case '7':
                // Before POSIX, a directory was a file with a "/" at the end of its name.
                entry.kind =
                    type_ == '\0' && entry.path.ends_with('/') ? TarKind::directory : TarKind::file;
                break;
            case '1':
                entry.kind = TarKind::hardlink;
                break;
            case '2':
                entry.kind = TarKind::symlink;
                break;
            case '3':
                entry.kind = TarKind::character_device;
                break;
            case '4':
                entry.kind = TarKind::block_device;
                break;
            case '5':
                entry.kind = TarKind::directory;
                break;
            case '6':
                entry.kind = TarKind::fifo;
                break;
            default:
                malformed("an entry of the unknown type " + escaped({&type_, 1}),
                          ErrorCode::unsupported);
        }
        const bool is_link = entry.kind == TarKind::symlink || entry.kind == TarKind::hardlink;
        if (is_link && entry.link_target.empty()) {
            malformed("a link without a target");
        }
        if (!is_link) {
            entry.link_target.clear();
        }
        if (entry.kind != TarKind::file) {
            entry.size = 0;  // some writers put the size of the target there, and no bytes follow
        }
        if (entry.kind == TarKind::character_device || entry.kind == TarKind::block_device) {
            entry.device_major = device_field(detail::tar_device_major);
            entry.device_minor = device_field(detail::tar_device_minor);
        }
    }

    [[nodiscard]] std::string text_field(detail::TarField field) const {
        const std::string_view text = detail::tar_text(block_, field);
        return std::string{text.substr(0, text.find('\0'))};
    }

    /// The prefix is POSIX's; GNU keeps other things there.
    [[nodiscard]] std::string name_field() const {
        std::string name = text_field(detail::tar_name);
        if (detail::tar_text(block_, detail::tar_magic).substr(0, 6) ==
            detail::tar_magic_posix.substr(0, 6)) {
            const std::string prefix = text_field(detail::tar_prefix);
            name = prefix.empty() ? name : prefix + '/' + name;
        }
        return name;
    }

    // Numbers -----------------------------------------------------------------------------------

    /// Octal digits with spaces or NULs around them (none: 0), or GNU's base 256, of which the
    /// first bit is set.
    [[nodiscard]] std::int64_t number_field(detail::TarField field, const std::string& what) const {
        std::string_view text = detail::tar_text(block_, field);
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
                malformed("a " + what + " that is not a number");
            }
            value = value << 3 | (digit - '0');  // at most twelve digits
        }
        return value;
    }

    /// Two's complement, of 63 or 95 bits, the highest first.
    [[nodiscard]] std::int64_t base_256(std::string_view text, const std::string& what) const {
        const bool is_negative = (static_cast<unsigned char>(text.front()) & 0x40) != 0;
        const std::uint64_t sign = is_negative ? ~std::uint64_t{0} : 0;
        std::uint64_t value = sign << 6 | (static_cast<unsigned char>(text.front()) & 0x3fU);
        for (const char character : text.substr(1)) {
            // The byte that falls out and the next one's first bit must only repeat the sign.
            if (value >> 55 != sign >> 55) {
                malformed("a " + what + " that is too large");
            }
            value = value << 8 | static_cast<unsigned char>(character);
        }
        return static_cast<std::int64_t>(value);
    }

    [[nodiscard]] std::uint64_t unsigned_field(detail::TarField field,
                                               const std::string& what) const {
        const std::int64_t value = number_field(field, what);
        if (value < 0) {
            malformed("a negative " + what);
        }
        return static_cast<std::uint64_t>(value);
    }

    [[nodiscard]] std::uint32_t device_field(detail::TarField field) const {
        const std::uint64_t value = unsigned_field(field, "device number");
        if (value > std::numeric_limits<std::uint32_t>::max()) {
            malformed("a device number that is too large");
        }
        return static_cast<std::uint32_t>(value);
    }

    // Extended headers --------------------------------------------------------------------------

    void apply_metadata() {
        if (type_ == 'L' || type_ == 'K') {
            std::string text = metadata_.substr(0, metadata_.find('\0'));
            (type_ == 'L' ? long_name_ : long_link_) = std::move(text);
        } else if (type_ == 'x') {
            records_ = parse_records();
        } else {
            merge_global(parse_records());
        }
        metadata_.clear();
    }

    /// "LENGTH KEY=VALUE\n" and so on.
    [[nodiscard]] Records parse_records() const {
        Records records;
        for (std::string_view rest = metadata_; !rest.empty();) {
            std::size_t length = 0;
            const auto [end, error] =
                std::from_chars(rest.data(), rest.data() + rest.size(), length);
            const auto digits = static_cast<std::size_t>(end - rest.data());
            if (error != std::errc{} || length > rest.size() || digits + 1 >= length ||
                rest[digits] != ' ' || rest[length - 1] != '\n') {
                malformed("a pax record with a wrong length");
            }
            const std::string_view record = rest.substr(digits + 1, length - digits - 2);
            const std::size_t equals = record.find('=');
            if (equals == std::string_view::npos || equals == 0 ||
                record.substr(0, equals).find('\0') != std::string_view::npos) {
                malformed("a pax record without a key");
            }
            if (record.starts_with("GNU.sparse.")) {
                malformed("a sparse file", ErrorCode::unsupported);
            }
            records.insert_or_assign(std::string{record.substr(0, equals)},
                                     std::string{record.substr(equals + 1)});
            rest.remove_prefix(length);
        }
        return records;
    }

    /// The records that a member of TarEntry stands for.
    [[nodiscard]] static bool is_member(std::string_view key) {
        return key == "path" || key == "linkpath" || key == "size" || key == "uid" ||
               key == "gid" || key == "mtime";
    }

    /// Keeps what has a member, so that a large header costs nothing for each of many entries.
    void merge_global(const Records& records) {
        for (const auto& [key, value] : records) {
            if (value.size() > global_limit) {
                malformed("a global pax record of " + std::to_string(value.size()) + " bytes");
            }
            if (is_member(key)) {
                global_records_.insert_or_assign(key, value);
            }
        }
    }

    void apply_records(TarEntry& entry) const {
        // An empty value takes a global one back; what the header says then holds.
        const auto take = [&](std::string_view key) -> std::optional<std::string> {
            const bool is_local = records_.find(key) != records_.end();
            const Records& records = is_local ? records_ : global_records_;
            const auto record = records.find(key);
            return record == records.end() || record->second.empty()
                       ? std::nullopt
                       : std::optional{record->second};
        };
        if (auto path = take("path")) {
            entry.path = std::move(*path);
        }
        if (auto target = take("linkpath")) {
            entry.link_target = std::move(*target);
        }
        if (const auto size = take("size")) {
            entry.size = record_number(*size);
        }
        if (const auto user = take("uid")) {
            entry.user = record_number(*user);
        }
        if (const auto group = take("gid")) {
            entry.group = record_number(*group);
        }
        if (const auto time = take("mtime")) {
            entry.mtime = record_time(*time);
        }
    }

    [[nodiscard]] std::uint64_t record_number(std::string_view text) const {
        std::int64_t value = 0;
        const char* const end = text.data() + text.size();
        const auto [stop, error] = std::from_chars(text.data(), end, value);
        if (error != std::errc{} || stop != end || value < 0 || text.starts_with('-')) {
            malformed("a pax record that is not a number");
        }
        return static_cast<std::uint64_t>(value);
    }

    /// Seconds with or without a fraction, rounded down.
    [[nodiscard]] std::int64_t record_time(std::string_view text) const {
        std::int64_t seconds = 0;
        const char* const end = text.data() + text.size();
        const auto [stop, error] = std::from_chars(text.data(), end, seconds);
        const std::string_view fraction{stop, static_cast<std::size_t>(end - stop)};
        const bool has_fraction = fraction.find_first_not_of('0', 1) < fraction.size();
        if (error != std::errc{} || (!fraction.empty() && !fraction.starts_with('.')) ||
            fraction.find_first_not_of("0123456789", 1) < fraction.size()) {
            malformed("a pax record that is not a time");
        }
        const bool below = text.starts_with('-') && has_fraction;
        if (below && seconds == std::numeric_limits<std::int64_t>::min()) {
            malformed("a pax record that is not a time");
        }
        return seconds - (below ? 1 : 0);
    }

    void check_nothing_pending() const {
        if (!records_.empty() || long_name_ || long_link_) {
            malformed("an extended header without an entry");
        }
    }

    EntrySink on_entry_;
    ByteSink on_data_;
    State state_ = State::header;
    detail::TarBlock block_ = {};
    std::size_t block_size_ = 0;
    bool saw_zero_block_ = false;
    char type_ = '\0';
    std::uint64_t left_ = 0;
    std::uint64_t padding_ = 0;
    std::string metadata_ = {};
    Records records_ = {};
    Records global_records_ = {};
    std::optional<std::string> long_name_ = {};
    std::optional<std::string> long_link_ = {};
    TarEntry entry_ = {};
};

}  // namespace fairing::codec
