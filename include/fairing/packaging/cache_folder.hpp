// fairing/packaging/cache_folder.hpp - a private folder of small and large entries that may vanish
// at any time (XDG Base Directory Specification).
//
// Entries are whole or absent: each is written beside its place and renamed into it. Whatever goes
// wrong in here costs time, never a build: reads give nothing, writes do nothing.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <ctime>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "../core/env.hpp"
#include "../core/error.hpp"
#include "../core/files.hpp"

namespace fairing::packaging {

/// $FAIRING_CACHE, else $XDG_CACHE_HOME/fairing, else ~/.cache/fairing; empty when there is no
/// home.
[[nodiscard]] inline std::filesystem::path default_cache_directory() {
    if (const std::string own = env("FAIRING_CACHE", ""); !own.empty()) {
        return std::filesystem::absolute(own);
    }
    if (const std::string base = env("XDG_CACHE_HOME", ""); base.starts_with('/')) {
        return std::filesystem::path{base} / "fairing";
    }
    const std::string home = env("HOME", "");
    return home.starts_with('/') ? std::filesystem::path{home} / ".cache" / "fairing"
                                 : std::filesystem::path{};
}

/// How much lies in a cache.
struct CacheSize {
    std::uint64_t entries = 0, bytes = 0;
};

class CacheFolder {
public:
    /// Of a cache directory only the folder "layers" is ours; it is made, for us alone (0700). An
    /// empty path, or a folder that others may write to, makes a cache that keeps nothing.
    explicit CacheFolder(const std::filesystem::path& directory) {
        if (directory.empty()) {
            return;
        }
        const std::filesystem::path folder = directory / "layers";
        std::error_code ignored;
        std::filesystem::create_directories(directory.parent_path(), ignored);
        ::mkdir(directory.c_str(), 0700);
        ::mkdir(folder.c_str(), 0700);
        struct stat status {};
        if (::lstat(folder.c_str(), &status) == 0 && S_ISDIR(status.st_mode) &&
            status.st_uid == ::geteuid() && (status.st_mode & 0077) == 0 &&
            ::access(folder.c_str(), W_OK | X_OK) == 0) {
            folder_ = folder;
        }
    }
    [[nodiscard]] bool enabled() const noexcept { return !folder_.empty(); }
    [[nodiscard]] const std::filesystem::path& path() const noexcept { return folder_; }
    [[nodiscard]] std::filesystem::path path(std::string_view name) const { return folder_ / name; }

    /// The whole entry, which counts as used.
    [[nodiscard]] std::optional<std::string> read(std::string_view name) const {
        try {
            if (enabled()) {
                std::string text = read_file(path(name), largest_record);
                touch(name);
                return text;
            }
        } catch (const Error&) {
            // absent, or as good as
        }
        return std::nullopt;
    }
    bool write(std::string_view name, std::string_view text) const noexcept {
        try {
            if (enabled()) {
                write_file(path(name), text, 0600);
                return true;
            }
        } catch (const std::exception&) {
            // full, or gone: then it is not kept
        }
        return false;
    }
    /// Keeps a file under a name. It stays readable by its descriptor.
    bool keep(std::string_view name, const TemporaryFile& file) const noexcept {
        try {
            if (!enabled() || file.link_to(path(name))) {
                return enabled();
            }
            std::string copy = path(name).string() + ".XXXXXX";
            const UniqueFd out{::mkostemp(copy.data(), O_CLOEXEC)};
            if (!out) {
                return false;
            }
            try {
                file.read(
                    [&](std::span<const std::byte> bytes) { write_all(out.get(), bytes, copy); });
            } catch (const std::exception&) {
                ::unlink(copy.c_str());
                return false;
            }
            return ::rename(copy.c_str(), path(name).c_str()) == 0;
        } catch (const std::exception&) {
            return false;
        }
    }
    /// An entry of that size, open for reading; it counts as used.
    [[nodiscard]] UniqueFd open(std::string_view name, std::uint64_t size) const {
        UniqueFd file;
        if (enabled()) {
            file = UniqueFd{::open(path(name).c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC)};
        }
        struct stat status {};
        if (!file || ::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode) ||
            static_cast<std::uint64_t>(status.st_size) != size) {
            return {};
        }
        touch(name);
        return file;
    }
    void remove(std::string_view name) const noexcept {
        try {
            if (enabled()) {
                ::unlink(path(name).c_str());
            }
        } catch (const std::exception&) {
            // another time
        }
    }

    [[nodiscard]] CacheSize size() const {
        CacheSize result;
        for (const Entry& entry : entries()) {
            ++result.entries;
            result.bytes += entry.size;
        }
        return result;
    }
    /// Removes what was not used for longest, until at most `limit` bytes are left.
    void shrink(std::uint64_t limit) const {
        std::vector<Entry> all = entries();
        std::uint64_t total = 0;
        for (const Entry& entry : all) {
            total += entry.size;
        }
        if (total <= limit) {
            return;
        }
        std::sort(all.begin(), all.end(),
                  [](const Entry& a, const Entry& b) { return a.used < b.used; });
        for (const Entry& entry : all) {
            if (total <= limit) {
                break;
            }
            remove(entry.name);
            total -= entry.size;
        }
    }

private:
    static constexpr std::size_t largest_record = std::size_t{256} << 20;

    struct Entry {
        std::string name = {};
        std::uint64_t size = 0;
        std::int64_t used = 0;  ///< nanoseconds since 1970
    };

    /// mtime is when an entry was last used: a file system may not tell the time of reads.
    void touch(std::string_view name) const {
        ::utimensat(AT_FDCWD, path(name).c_str(), nullptr, AT_SYMLINK_NOFOLLOW);
    }
    [[nodiscard]] std::vector<Entry> entries() const {
        std::vector<Entry> result;
        std::error_code failure;
        if (!enabled()) {
            return result;
        }
        for (auto it = std::filesystem::directory_iterator{folder_, failure};
             !failure && it != std::filesystem::directory_iterator{}; it.increment(failure)) {
            struct stat status {};
            if (::lstat(it->path().c_str(), &status) == 0 && S_ISREG(status.st_mode)) {
                result.push_back({.name = it->path().filename().string(),
                                  .size = static_cast<std::uint64_t>(status.st_size),
                                  .used = std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 +
                                          status.st_mtim.tv_nsec});
            }
        }
        return result;
    }

    std::filesystem::path folder_ = {};
};

}  // namespace fairing::packaging
