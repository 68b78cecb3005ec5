// fairing/core/process_table.hpp - the processes of this machine as /proc shows them (Linux,
// proc(5)), for a child of a process that may have threads: no allocation, no lock, no exception,
// only async-signal-safe calls and plain system calls.
#pragma once

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace fairing::detail {

struct ProcessEntry {
    pid_t pid, parent;
};

/// The number at `text`, which is moved behind it; -1 when there is none.
inline pid_t read_number(const char*& text) noexcept {
    if (*text < '0' || *text > '9') {
        return -1;
    }
    pid_t value = 0;
    for (; *text >= '0' && *text <= '9'; ++text) {
        value = value * 10 + (*text - '0');
    }
    return value;
}

/// The parent of a process out of /proc/PID/stat (proc(5)); -1 when it is gone.
inline pid_t parent_of(pid_t pid) noexcept {
    std::array<char, 32> path{};
    std::size_t at = path.size() - 6;
    std::memcpy(path.data() + at, "/stat", 6);
    for (pid_t rest = pid; rest > 0; rest /= 10) {
        path[--at] = static_cast<char>('0' + rest % 10);
    }
    at -= 6;
    std::memcpy(path.data() + at, "/proc/", 6);
    const int fd = ::open(path.data() + at, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    std::array<char, 512> text{};
    const ssize_t got = ::read(fd, text.data(), text.size() - 1);
    ::close(fd);
    // "PID (name) S PARENT …": the name may hold anything, so from its last parenthesis on.
    for (ssize_t i = got - 1; i >= 0; --i) {
        if (text[static_cast<std::size_t>(i)] == ')' && i + 4 < got) {
            const char* number = text.data() + i + 4;
            return read_number(number);
        }
    }
    return -1;
}

/// Calls visit(pid, parent) for every process that /proc shows. False when there is no /proc.
template <class Visit>
bool for_each_process(const Visit& visit) noexcept {
    const int directory = ::open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) {
        return false;
    }
    constexpr std::size_t record_length_at = 16,
                          name_at = 19;  // of struct linux_dirent64, getdents64(2)
    alignas(8) std::array<char, 16384> buffer;
    for (;;) {
        const long got = ::syscall(SYS_getdents64, directory, buffer.data(), buffer.size());
        if (got <= 0) {
            ::close(directory);
            return got == 0;
        }
        for (std::size_t at = 0; at < static_cast<std::size_t>(got);) {
            std::uint16_t length = 0;
            std::memcpy(&length, buffer.data() + at + record_length_at, sizeof length);
            const char* name = buffer.data() + at + name_at;
            const pid_t pid = read_number(name);
            if (pid > 0 && *name == '\0') {
                if (const pid_t parent = parent_of(pid); parent >= 0) {
                    visit(pid, parent);
                }
            }
            at += length;
        }
    }
}

/// Signals one process of the table unless its number was given to another one meanwhile.
inline void signal_entry(const ProcessEntry& entry, int number) noexcept {
#if defined(SYS_pidfd_open) && defined(SYS_pidfd_send_signal)
    const int handle = static_cast<int>(::syscall(SYS_pidfd_open, entry.pid, 0));
    if (handle >= 0) {
        if (parent_of(entry.pid) == entry.parent) {
            ::syscall(SYS_pidfd_send_signal, handle, number, nullptr, 0);
        }
        ::close(handle);
        return;
    }
    if (errno == ESRCH) {
        return;
    }
#endif
    ::kill(entry.pid, number);
}

}  // namespace fairing::detail
