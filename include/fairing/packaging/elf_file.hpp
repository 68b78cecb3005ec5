// fairing/packaging/elf_file.hpp - ELF files of this machine, and which libraries no image takes.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <string>
#include <string_view>

#include "../codec/elf.hpp"
#include "../core/files.hpp"
#include "text.hpp"

namespace fairing::packaging {

[[nodiscard]] inline codec::ElfFile read_elf_file(const std::filesystem::path& path) {
    const std::string shown = escaped(path.native());
    const UniqueFd file = open_file(path, O_RDONLY | O_NONBLOCK);
    struct stat status {};
    if (::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
        throw Error{ErrorCode::input,
                    {.attempted = "read program", .subject = shown, .answer = "it is no file"}};
    }
    const auto read = [&](std::uint64_t offset, std::size_t size) {
        std::string bytes(size, '\0');
        for (std::size_t done = 0; done < size;) {
            const ssize_t got = ::pread(file.get(), bytes.data() + done, size - done,
                                        static_cast<off_t>(offset + done));
            if (got < 0 && errno == EINTR) {
                continue;
            }
            if (got <= 0) {
                throw system_error(got < 0 ? errno : EIO, "read program", shown);
            }
            done += static_cast<std::size_t>(got);
        }
        return bytes;
    };
    return codec::read_elf(
        {.size = static_cast<std::uint64_t>(status.st_size), .read = read, .name = shown});
}

/// glibc and its family, which belong to the base image and its kernel interface, and the libraries
/// of a GPU's driver, which belong to the machine that runs the job.
[[nodiscard]] inline bool is_library_of_the_base(std::string_view name) {
    constexpr std::array<std::string_view, 15> exact = {
        "libc.so.6",    "libm.so.6",         "libpthread.so.0",       "libdl.so.2",
        "librt.so.1",   "libutil.so.1",      "libresolv.so.2",        "libnsl.so.1",
        "libanl.so.1",  "libmvec.so.1",      "libBrokenLocale.so.1",  "libthread_db.so.1",
        "libcuda.so.1", "libnvidia-ml.so.1", "libc_malloc_debug.so.0"};
    return std::find(exact.begin(), exact.end(), name) != exact.end() ||
           name.starts_with("ld-linux") || name.starts_with("ld64.so") ||
           name.starts_with("libnss_") || name.starts_with("linux-vdso");
}

}  // namespace fairing::packaging
