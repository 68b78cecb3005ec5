// fairing/codec/tar_reader.hpp - a reader of tar archives that come in pieces: ustar, pax, and what
// GNU tar writes.
//
// POSIX.1-2017, pax; the GNU forms (long names, base-256 numbers) as the manual of GNU tar
// describes them.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "../core/error.hpp"
#include "compressor.hpp"
#include "pax.hpp"
#include "tar_entry.hpp"
#include "tar_header.hpp"
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

    [[noreturn]] void malformed(const std::string& reason,
                                ErrorCode code = ErrorCode::integrity) const {
        detail::malformed_tar(entry_.path, reason, code);
    }
    [[nodiscard]] detail::TarHeader header() const { return {block_, entry_.path}; }

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
        if (header().is_zero()) {
            check_nothing_pending();
            state_ = saw_zero_block_ ? State::end : State::header;
            saw_zero_block_ = true;
            return;
        }
        if (saw_zero_block_) {
            malformed("an entry follows half an end marker");
        }
        header().check_checksum();
        type_ = header().type();
        if (type_ == 'x' || type_ == 'g' || type_ == 'L' || type_ == 'K') {
            const std::uint64_t size = header().unsigned_number(detail::tar_size, "size");
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

    void read_entry() {
        const detail::TarHeader header = this->header();
        TarEntry entry;
        entry.mode =
            static_cast<unsigned>(header.unsigned_number(detail::tar_mode, "mode") & 07777);
        entry.size = header.unsigned_number(detail::tar_size, "size");
        entry.user = header.unsigned_number(detail::tar_user, "user");
        entry.group = header.unsigned_number(detail::tar_group, "group");
        entry.mtime = header.number(detail::tar_mtime, "time");
        entry.path = long_name_ ? *long_name_ : header.name();
        entry.link_target = long_link_ ? *long_link_ : header.text(detail::tar_link);
        apply_records(entry);
        for (auto& [key, value] : records_) {
            if (!value.empty() && !detail::is_tar_member(key)) {
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
        static constexpr std::array<std::pair<char, TarKind>, 9> kinds{
            {{'0', TarKind::file},
             {'\0', TarKind::file},
             {'7', TarKind::file},
             {'1', TarKind::hardlink},
             {'2', TarKind::symlink},
             {'3', TarKind::character_device},
             {'4', TarKind::block_device},
             {'5', TarKind::directory},
             {'6', TarKind::fifo}}};
        const auto* const known = std::find_if(
            kinds.begin(), kinds.end(), [this](const auto& each) { return each.first == type_; });
        if (known == kinds.end()) {
            malformed("an entry of the unknown type " + in_quotes({&type_, 1}),
                      ErrorCode::unsupported);
        }
        // Before POSIX, a directory was a file with a "/" at the end of its name.
        entry.kind =
            type_ == '\0' && entry.path.ends_with('/') ? TarKind::directory : known->second;
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
            entry.device_major = header().device(detail::tar_device_major);
            entry.device_minor = header().device(detail::tar_device_minor);
        }
    }

    // Extended headers --------------------------------------------------------------------------

    void apply_metadata() {
        if (type_ == 'L' || type_ == 'K') {
            std::string text = metadata_.substr(0, metadata_.find('\0'));
            (type_ == 'L' ? long_name_ : long_link_) = std::move(text);
        } else if (type_ == 'x') {
            records_ = detail::parse_pax(metadata_, entry_.path);
        } else {
            merge_global(detail::parse_pax(metadata_, entry_.path));
        }
        metadata_.clear();
    }

    /// Keeps what has a member, so that a large header costs nothing for each of many entries.
    void merge_global(const detail::PaxRecords& records) {
        for (const auto& [key, value] : records) {
            if (value.size() > global_limit) {
                malformed("a global pax record of " + std::to_string(value.size()) + " bytes");
            }
            if (detail::is_tar_member(key)) {
                global_records_.insert_or_assign(key, value);
            }
        }
    }

    void apply_records(TarEntry& entry) const {
        // An empty value takes a global one back; what the header says then holds.
        const auto take = [&](const std::string& key) -> std::optional<std::string> {
            const bool is_local = records_.find(key) != records_.end();
            const detail::PaxRecords& records = is_local ? records_ : global_records_;
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
            entry.size = detail::pax_number(*size, entry_.path);
        }
        if (const auto user = take("uid")) {
            entry.user = detail::pax_number(*user, entry_.path);
        }
        if (const auto group = take("gid")) {
            entry.group = detail::pax_number(*group, entry_.path);
        }
        if (const auto time = take("mtime")) {
            entry.mtime = detail::pax_time(*time, entry_.path);
        }
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
    detail::PaxRecords records_ = {};
    detail::PaxRecords global_records_ = {};
    std::optional<std::string> long_name_ = {};
    std::optional<std::string> long_link_ = {};
    TarEntry entry_ = {};
};

}  // namespace fairing::codec
