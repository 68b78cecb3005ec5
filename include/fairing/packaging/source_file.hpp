// fairing/packaging/source_file.hpp - reads a file of a context, or finds that it is no longer what
// was collected (POSIX).
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "../core/error.hpp"
#include "../core/files.hpp"
#include "context.hpp"
#include "links.hpp"
#include "text.hpp"
#include "walk.hpp"

namespace fairing::packaging {

namespace detail {

[[noreturn]] inline void refuse_changed(const ContextFile& file, std::string_view how) {
    throw Error{ErrorCode::input,
                {.attempted = "package",
                 .subject = escaped(file.source.native()),
                 .answer = "changed while being packaged: " + std::string{how},
                 .advice = "build again when nothing writes to it"}};
}

}  // namespace detail

/// An open regular file. It is read exactly to the size that was collected. A file that is shorter,
/// longer, written to, replaced or removed until finish() is Error{input} "changed while being
/// packaged". Opening never blocks.
class SourceFile {
public:
    /// Throws Error{input} naming the kind when it is no regular file; else what system_error()
    /// makes of errno.
    explicit SourceFile(const ContextFile& file) : file_(file) {
        int fd = -1;
        do {
            fd = ::open(file.source.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        } while (fd < 0 && errno == EINTR);
        fd_ = UniqueFd{fd};
        if (!fd_) {
            explain_failure(errno);
        }
        if (::fstat(fd, &before_) != 0) {
            throw system_error(errno, "package", escaped(file.source.native()));
        }
        if (!S_ISREG(before_.st_mode)) {
            refuse_kind(before_.st_mode);
        }
        if (static_cast<std::uint64_t>(before_.st_size) != file.size) {
            detail::refuse_changed(file, std::to_string(before_.st_size) + " bytes, where it had " +
                                             std::to_string(file.size));
        }
    }

    /// As it was when it was opened.
    [[nodiscard]] const struct stat& status() const noexcept { return before_; }

    /// Fills `buffer` with the next bytes.
    void read(std::span<std::byte> buffer) {
        if (read_some(fd_.get(), buffer, escaped(file_.source.native())) != buffer.size()) {
            detail::refuse_changed(file_, "it became shorter");
        }
    }

    /// After the last byte.
    void finish() const {
        std::array<std::byte, 1> more;
        if (read_some(fd_.get(), more, escaped(file_.source.native())) != 0) {
            detail::refuse_changed(file_, "it became longer");
        }
        struct stat after {};
        if (::lstat(file_.source.c_str(), &after) != 0) {
            detail::refuse_changed(file_, "it is gone");
        }
        if (after.st_dev != before_.st_dev || after.st_ino != before_.st_ino) {
            detail::refuse_changed(file_, "another file took its place");
        }
        if (after.st_size != before_.st_size || after.st_mtim.tv_sec != before_.st_mtim.tv_sec ||
            after.st_mtim.tv_nsec != before_.st_mtim.tv_nsec) {
            detail::refuse_changed(file_, "it was written to");
        }
    }

private:
    [[noreturn]] void refuse_kind(mode_t mode) const {
        throw Error{ErrorCode::input,
                    {.attempted = "package",
                     .subject = escaped(file_.source.native()),
                     .answer = std::string{kind_of(mode)},
                     .advice = "leave it out, for example with a line in .dockerignore"}};
    }

    [[noreturn]] void explain_failure(int number) const {
        struct stat status {};
        if (number == ENOENT || number == ENOTDIR) {
            detail::refuse_changed(file_, "it is gone");
        }
        if (number == ELOOP && ::lstat(file_.source.c_str(), &status) == 0 &&
            S_ISLNK(status.st_mode)) {
            detail::refuse_changed(file_, "a symbolic link took its place");
        }
        if (number == ENXIO && ::lstat(file_.source.c_str(), &status) == 0) {
            refuse_kind(status.st_mode);
        }
        throw system_error(number, "package", escaped(file_.source.native()));
    }

    const ContextFile& file_;
    UniqueFd fd_ = {};
    struct stat before_ = {};
};

/// Throws Error{input} when a link no longer has the target that was collected.
inline void check_link_unchanged(const ContextFile& file) {
    std::string target;
    try {
        target = read_link(AT_FDCWD, file.source.c_str(), file.source.native());
    } catch (const Error& error) {
        detail::refuse_changed(file, error.details().answer);
    }
    if (target != file.link_target) {
        detail::refuse_changed(file, "it points elsewhere");
    }
}

}  // namespace fairing::packaging
