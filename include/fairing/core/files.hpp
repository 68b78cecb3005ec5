// fairing/core/files.hpp - files and private temporary ones (POSIX): nothing half-written, nothing
// left behind.
#pragma once

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "env.hpp"
#include "error.hpp"

namespace fairing {

/// A file descriptor that closes itself.
class UniqueFd {
public:
    UniqueFd() = default;
    explicit UniqueFd(int fd) noexcept : fd_(fd) {}
    UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    UniqueFd& operator=(UniqueFd&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~UniqueFd() {
        if (fd_ >= 0) {
            ::close(fd_);
        }
    }
    [[nodiscard]] int get() const noexcept { return fd_; }
    explicit operator bool() const noexcept { return fd_ >= 0; }
    void reset() noexcept { UniqueFd{std::exchange(fd_, -1)}; }

private:
    int fd_ = -1;
};

/// Opens with O_CLOEXEC. Throws what system_error() makes of errno.
[[nodiscard]] inline UniqueFd open_file(const std::filesystem::path& path, int flags,
                                        mode_t mode = 0600) {
    int fd = -1;
    do {
        fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0) {
        throw system_error(errno, "open", path.string());
    }
    return UniqueFd{fd};
}

/// Reads up to buffer.size() bytes; fewer only at the end of the file.
[[nodiscard]] inline std::size_t read_some(int fd, std::span<std::byte> buffer,
                                           const std::string& subject) {
    std::size_t done = 0;
    while (done < buffer.size()) {
        const ssize_t got = ::read(fd, buffer.data() + done, buffer.size() - done);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            throw system_error(errno, "read", subject);
        }
        if (got == 0) {
            break;
        }
        done += static_cast<std::size_t>(got);
    }
    return done;
}

/// Writes all of `bytes`. ENOSPC and the like throw an Error that names `subject`.
inline void write_all(int fd, std::span<const std::byte> bytes, const std::string& subject) {
    while (!bytes.empty()) {
        const ssize_t put = ::write(fd, bytes.data(), bytes.size());
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put < 0) {
            throw system_error(errno, "write", subject, ErrorCode::internal);
        }
        bytes = bytes.subspan(static_cast<std::size_t>(put));
    }
}

/// The whole file as text. Throws Error{input} when it is longer than `limit` bytes.
[[nodiscard]] inline std::string read_file(const std::filesystem::path& path,
                                           std::size_t limit = std::size_t{64} << 20) {
    const UniqueFd file = open_file(path, O_RDONLY | O_NONBLOCK);
    std::string text;
    std::array<std::byte, 65536> buffer;
    while (const std::size_t got = read_some(file.get(), buffer, path.string())) {
        if (text.size() + got > limit) {
            throw Error{ErrorCode::input,
                        {.attempted = "read",
                         .subject = path.string(),
                         .answer = "longer than " + std::to_string(limit) + " bytes"}};
        }
        text.append(reinterpret_cast<const char*>(buffer.data()), got);
    }
    return text;
}

/// Where temporary files go: $TMPDIR or /tmp.
[[nodiscard]] inline std::filesystem::path temporary_root() { return env("TMPDIR", "/tmp"); }

/// A file without a name: it is gone with its last descriptor, however the program ends.
class TemporaryFile {
public:
    explicit TemporaryFile(const std::filesystem::path& directory = temporary_root()) {
#ifdef O_TMPFILE
        file_ = UniqueFd{::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)};
        if (file_) {
            linkable_ = true;
            return;
        }
#endif
        std::string name = (directory / "fairing-file-XXXXXX").string();
        file_ = UniqueFd{::mkostemp(name.data(), O_CLOEXEC)};
        if (!file_) {
            throw system_error(errno, "create a temporary file in", directory.string());
        }
        ::unlink(name.c_str());
    }
    [[nodiscard]] int fd() const noexcept { return file_.get(); }

    void append(std::span<const std::byte> bytes) {
        write_all(file_.get(), bytes, "a temporary file");
        size_ += bytes.size();
    }
    [[nodiscard]] std::uint64_t size() const noexcept { return size_; }

    /// Gives the file a name on the file system where it lies: whole, or not at all. False when
    /// that can not be done here; a name that is taken counts as done.
    [[nodiscard]] bool link_to(const std::filesystem::path& path) const noexcept {
        const std::string self = "/proc/self/fd/" + std::to_string(file_.get());
        return linkable_ &&
               (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) == 0 ||
                errno == EEXIST);
    }

    /// Every byte from `offset` on, in order; may be called again, and from several threads at
    /// once.
    void read(const std::function<void(std::span<const std::byte>)>& sink,
              std::uint64_t offset = 0) const {
        std::vector<std::byte> buffer(std::size_t{256} << 10);
        while (offset < size_) {
            const ssize_t got =
                ::pread(file_.get(), buffer.data(), buffer.size(), static_cast<off_t>(offset));
            if (got < 0 && errno == EINTR) {
                continue;
            }
            if (got <= 0) {
                throw system_error(got < 0 ? errno : EIO, "read back", "a temporary file",
                                   ErrorCode::internal);
            }
            sink(std::span{buffer}.first(static_cast<std::size_t>(got)));
            offset += static_cast<std::uint64_t>(got);
        }
    }

private:
    UniqueFd file_;
    std::uint64_t size_ = 0;
    bool linkable_ = false;
};

/// A private directory (0700), removed with everything in it by the destructor. What a killed
/// process left is removed by the next TemporaryDirectory: each holds a lock on itself for as long
/// as it lives.
class TemporaryDirectory {
public:
    explicit TemporaryDirectory(const std::filesystem::path& parent = temporary_root()) {
        sweep(parent);
        std::string name = (parent / "fairing-dir-XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr) {
            throw system_error(errno, "create a temporary directory in", parent.string());
        }
        path_ = name;
        lock_ = open_file(path_, O_RDONLY | O_DIRECTORY);
        ::flock(lock_.get(), LOCK_EX | LOCK_NB);
    }
    TemporaryDirectory(TemporaryDirectory&& other) noexcept
        : path_(std::exchange(other.path_, {})), lock_(std::move(other.lock_)) {}
    TemporaryDirectory& operator=(TemporaryDirectory&& other) noexcept {
        std::swap(path_, other.path_);
        std::swap(lock_, other.lock_);
        return *this;
    }
    ~TemporaryDirectory() {
        if (!path_.empty()) {
            remove_tree(path_);
        }
    }
    [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

    /// Removes a tree even where it holds directories without write permission. Never throws, never
    /// follows links.
    static void remove_tree(const std::filesystem::path& root) noexcept {
        std::error_code ignored;
        if (std::filesystem::remove_all(root, ignored) != static_cast<std::uintmax_t>(-1)) {
            return;
        }
        try {
            for (auto it = std::filesystem::recursive_directory_iterator{root, ignored};
                 it != std::filesystem::recursive_directory_iterator{}; it.increment(ignored)) {
                if (it->symlink_status(ignored).type() == std::filesystem::file_type::directory) {
                    ::chmod(it->path().c_str(), 0700);
                }
            }
        } catch (const std::exception&) {
            // out of memory: remove what can be removed
        }
        std::filesystem::remove_all(root, ignored);
    }

private:
    static void sweep(const std::filesystem::path& parent) noexcept {
        try {
            std::error_code ignored;
            for (const auto& entry : std::filesystem::directory_iterator{parent, ignored}) {
                struct stat status {};
                if (!entry.path().filename().string().starts_with("fairing-dir-") ||
                    ::lstat(entry.path().c_str(), &status) != 0 || !S_ISDIR(status.st_mode) ||
                    status.st_uid != ::geteuid() || ::time(nullptr) - status.st_mtime < 60) {
                    continue;
                }
                const UniqueFd lock{
                    ::open(entry.path().c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
                if (lock && ::flock(lock.get(), LOCK_EX | LOCK_NB) == 0) {
                    remove_tree(entry.path());
                }
            }
        } catch (const std::exception&) {
            // another time
        }
    }

    std::filesystem::path path_ = {};
    UniqueFd lock_ = {};
};

/// A file under a temporary name beside its final one; removed unless committed.
class PendingFile {
public:
    explicit PendingFile(std::filesystem::path path) : path_(std::move(path)) {
        name_ = path_.string() + ".XXXXXX";
        file_ = UniqueFd{::mkostemp(name_.data(), O_CLOEXEC)};
        if (!file_) {
            throw system_error(errno, "write", path_.string());
        }
    }
    PendingFile(PendingFile&&) = delete;
    PendingFile& operator=(PendingFile&&) = delete;
    ~PendingFile() {
        if (!name_.empty()) {
            ::unlink(name_.c_str());
        }
    }
    [[nodiscard]] int fd() const noexcept { return file_.get(); }
    /// Takes the final name: readers see the old file or the whole new one.
    void commit(mode_t mode = 0644) {
        if (::fchmod(file_.get(), mode) != 0 || ::rename(name_.c_str(), path_.c_str()) != 0) {
            throw system_error(errno, "write", path_.string());
        }
        name_.clear();
    }

private:
    std::filesystem::path path_;
    std::string name_ = {};
    UniqueFd file_ = {};
};

/// Replaces `path` by `bytes` in one step: readers see the old file or the new one, and a failure
/// leaves the old.
inline void write_file(const std::filesystem::path& path, std::span<const std::byte> bytes,
                       mode_t mode = 0644) {
    PendingFile pending{path};
    write_all(pending.fd(), bytes, path.string());
    pending.commit(mode);
}
inline void write_file(const std::filesystem::path& path, std::string_view text,
                       mode_t mode = 0644) {
    write_file(path, std::as_bytes(std::span{text}), mode);
}

}  // namespace fairing
