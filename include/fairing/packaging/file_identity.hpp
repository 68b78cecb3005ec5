// fairing/packaging/file_identity.hpp - by what a file system tells whether a file is still the
// same (POSIX stat).
#pragma once

#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cstdint>
#include <ctime>
#include <vector>

#include "context.hpp"

namespace fairing::packaging {

/// Nanoseconds since 1970 by the clock that stamps files.
[[nodiscard]] inline std::int64_t file_clock() noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

/// Every write to a file, and every change of its name, mode or times, sets its ctime, which no
/// program can set at will. So equal identities mean equal bytes, but for writes within the same
/// tick of the clock: those is_settled() is for.
struct FileIdentity {
    std::uint64_t device = 0, inode = 0, size = 0;
    std::int64_t modified = 0, changed = 0;  ///< nanoseconds since 1970
    std::uint64_t mode = 0;

    [[nodiscard]] static FileIdentity of(const struct stat& status) noexcept {
        const auto nanoseconds = [](const timespec& time) {
            return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
        };
        return {.device = status.st_dev,
                .inode = status.st_ino,
                .size = static_cast<std::uint64_t>(status.st_size),
                .modified = nanoseconds(status.st_mtim),
                .changed = nanoseconds(status.st_ctim),
                .mode = status.st_mode};
    }
    friend bool operator==(const FileIdentity&, const FileIdentity&) = default;

    /// Whether any write after `looked_at` (of file_clock(), before the file was read) gave the
    /// file another identity. Not so when its times are that recent, or in the future; a file
    /// system whose ctime has no fraction of a millisecond may count in two seconds.
    [[nodiscard]] bool is_settled(std::int64_t looked_at) const noexcept {
        const bool fine = changed % 1'000'000 != 0;
        const std::int64_t tick = fine ? 100'000'000 : 2'100'000'000;
        return std::max(modified, changed) < looked_at - tick;
    }
};

/// Whether this file system's times and inodes can be believed: one of another machine goes by
/// another clock, and may tell us what it was a moment ago.
[[nodiscard]] inline bool is_local_file_system(const char* path) noexcept {
    struct statfs status {};
    if (::statfs(path, &status) != 0) {
        return false;
    }
    switch (static_cast<std::uint32_t>(status.f_type)) {
        case 0x6969:      // NFS
        case 0x517b:      // SMB
        case 0xfe534d42:  // SMB2
        case 0xff534d42:  // CIFS
        case 0x65735546:  // FUSE
        case 0x01021997:  // 9P
        case 0x00c36400:  // Ceph
        case 0x5346414f:  // AFS
        case 0x0bd00bd0:  // Lustre
            return false;
        default:
            return true;
    }
}

}  // namespace fairing::packaging
