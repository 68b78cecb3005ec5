// fairing/core/supervisor.hpp - what runs between fork() and execve() (Linux): the process that
// starts a program, adopts every descendant of it, and ends them all when the program ends, when it
// is told to, or when we are gone.
//
// Everything here runs in the child of a process that may have threads: no allocation, no lock, no
// exception, only async-signal-safe calls and plain system calls. What needs memory is prepared
// before the fork (ChildPlan).
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <ctime>

#include "process_table.hpp"

namespace fairing::detail {

/// One datagram of the control socket. To the supervisor: terminate, `value` is the grace in
/// milliseconds. From it: ended, `value` is the program's wait status and every descendant is gone.
/// End of file either way: the peer died.
struct SupervisorMessage {
    enum class Kind : int { terminate, ended };
    Kind kind = Kind::terminate;
    int value = 0;
};

/// Why the program did not start; comes through a pipe that execve() closes.
struct StartFailure {
    enum class Step : int { fork, directory, program };
    Step step = Step::fork;
    int number = 0;  ///< errno
};

/// Made before the fork. The descriptors are 3 or higher and O_CLOEXEC; the strings end with a null
/// pointer.
struct ChildPlan {
    char* const* arguments = nullptr;
    char* const* environment = nullptr;
    const char* const* candidates = nullptr;  ///< paths where the program may be, in order
    const char* directory = nullptr;          ///< or null: ours
    char* const* const* if_we_die = nullptr;  ///< argument lists, the first of each a path
    int input = -1, output = -1, errors = -1;
    int control = -1, failure = -1;
    ProcessEntry* table = nullptr;
    std::size_t table_size = 0;
};

/// fork() without handlers where there is such a thing: the only kind that is safe in a forked
/// child.
inline pid_t plain_fork() noexcept {
#if defined(__GLIBC__)
#if __GLIBC_PREREQ(2, 34)
    return ::_Fork();
#else
    return ::fork();
#endif
#else
    return ::fork();
#endif
}

inline std::int64_t monotonic_milliseconds() noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1000000;
}

inline void reset_dispositions() noexcept {
    struct sigaction standard {};
    standard.sa_handler = SIG_DFL;
    for (int number = 1; number <= SIGRTMAX; ++number) {
        ::sigaction(number, &standard, nullptr);
    }
}

/// Applies close_range(2) from `first` to `last`; where a kernel or a filter refuses it, descriptor
/// by descriptor.
inline void close_between(unsigned first, unsigned last, unsigned flags) noexcept {
    constexpr unsigned cloexec = 4;  // CLOSE_RANGE_CLOEXEC
    if (first > last) {
        return;
    }
#ifdef SYS_close_range
    if (::syscall(SYS_close_range, first, last, flags) == 0) {
        return;
    }
#endif
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    const unsigned most =
        limit.rlim_cur > (1U << 20) ? 1U << 20 : static_cast<unsigned>(limit.rlim_cur);
    for (unsigned fd = first; fd <= last && fd < most; ++fd) {
        if (flags == cloexec) {
            ::fcntl(static_cast<int>(fd), F_SETFD, FD_CLOEXEC);
        } else {
            ::close(static_cast<int>(fd));
        }
    }
}

[[noreturn]] inline void fail_start(int pipe, StartFailure::Step step, int number) noexcept {
    const StartFailure failure{.step = step, .number = number};
    // The pipe is empty and this is shorter than PIPE_BUF: it is written whole, or the reader is
    // gone.
    [[maybe_unused]] const ssize_t put = ::write(pipe, &failure, sizeof failure);
    ::_exit(127);
}

/// Asks every descendant to end; each gets the signal once.
inline void terminate_descendants(const ChildPlan& plan, pid_t program) noexcept {
    std::size_t count = 0;
    const bool complete = for_each_process([&](pid_t pid, pid_t parent) {
        if (count < plan.table_size) {
            plan.table[count++] = {.pid = pid, .parent = parent};
        }
    });
    if (!complete) {
        ::kill(-program, SIGTERM);
        return;
    }
    // Descendants move to the front: first our children, then theirs, and so on.
    std::size_t ours = 0;
    const auto adopt_children_of = [&](pid_t parent) {
        for (std::size_t i = ours; i < count; ++i) {
            if (plan.table[i].parent == parent) {
                const ProcessEntry entry = plan.table[i];
                plan.table[i] = plan.table[ours];
                plan.table[ours++] = entry;
            }
        }
    };
    adopt_children_of(::getpid());
    for (std::size_t i = 0; i < ours; ++i) {
        adopt_children_of(plan.table[i].pid);
    }
    for (std::size_t i = 0; i < ours; ++i) {
        signal_entry(plan.table[i], SIGTERM);
    }
}

/// Collects the children that ended. The program's group is killed before its number becomes free
/// again. True when the program is among them; `status` is its wait status then.
inline bool reap(pid_t program, int& status) noexcept {
    bool ended = false;
    for (;;) {
        siginfo_t info{};
        if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) {
            return ended;
        }
        if (info.si_pid == program) {
            ::kill(-program, SIGKILL);
        }
        int ignored = 0;
        int& target = info.si_pid == program ? status : ignored;
        ended = ended || info.si_pid == program;
        ::waitpid(info.si_pid, &target, WNOHANG);
    }
}

/// Kills child after child until none is left: the orphans of a killed process become our children,
/// and only we reap those, so that no number can be another's. Gives up after ten seconds (a
/// process in the kernel's hands, or one of another user).
inline void kill_descendants(pid_t program, int& status) noexcept {
    const pid_t self = ::getpid();
    const std::int64_t deadline = monotonic_milliseconds() + 10000;
    do {
        for_each_process([self](pid_t pid, pid_t parent) {
            if (parent == self) {
                ::kill(pid, SIGKILL);
            }
        });
        reap(program, status);
        siginfo_t info{};
        if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 && errno == ECHILD) {
            return;
        }
        ::poll(nullptr, 0, 1);
    } while (monotonic_milliseconds() < deadline);
}

/// The grandchild: becomes the program, in its own session.
[[noreturn]] inline void become_program(const ChildPlan& plan, pid_t supervisor) noexcept {
    constexpr unsigned cloexec = 4;  // CLOSE_RANGE_CLOEXEC
    ::setsid();
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != supervisor) {
        ::_exit(127);
    }
    if (::dup2(plan.input, 0) < 0 || ::dup2(plan.output, 1) < 0 || ::dup2(plan.errors, 2) < 0) {
        fail_start(plan.failure, StartFailure::Step::fork, errno);
    }
    close_between(3, UINT_MAX, cloexec);
    if (plan.directory != nullptr && ::chdir(plan.directory) != 0) {
        fail_start(plan.failure, StartFailure::Step::directory, errno);
    }
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    int number = ENOENT;
    for (const char* const* path = plan.candidates; *path != nullptr; ++path) {
        ::execve(*path, plan.arguments, plan.environment);
        if (errno != ENOENT && errno != ENOTDIR) {
            number = errno;
            if (number != EACCES) {
                break;
            }
        }
    }
    fail_start(plan.failure, StartFailure::Step::program, number);
}

/// Runs what was left to do in case of our death, each for ten seconds at most.
inline void clean_up_for_the_dead(const ChildPlan& plan) noexcept {
    for (char* const* const* program = plan.if_we_die; *program != nullptr; ++program) {
        const pid_t child = plain_fork();
        if (child == 0) {
            sigset_t none;
            ::sigemptyset(&none);
            ::sigprocmask(SIG_SETMASK, &none, nullptr);
            ::execve(**program, *program, plan.environment);
            ::_exit(127);
        }
        const std::int64_t deadline = monotonic_milliseconds() + 10000;
        while (child > 0 && ::waitpid(child, nullptr, WNOHANG) == 0) {
            if (monotonic_milliseconds() > deadline) {
                ::kill(child, SIGKILL);
            }
            ::poll(nullptr, 0, 1);
        }
    }
}

/// The child: starts the program and stays until nothing of it is left. All signals are blocked on
/// entry, and stay so.
[[noreturn]] inline void supervise(const ChildPlan& plan) noexcept {
    ::setsid();
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    ::prctl(PR_SET_NAME, "fairing-run");
    reset_dispositions();
    sigset_t child_ended;
    ::sigemptyset(&child_ended);
    ::sigaddset(&child_ended, SIGCHLD);
    const int signals = ::signalfd(-1, &child_ended, SFD_CLOEXEC | SFD_NONBLOCK);
    const pid_t self = ::getpid();
    const pid_t program = signals < 0 ? -1 : plain_fork();
    if (program == 0) {
        become_program(plan, self);
    }
    if (program < 0) {
        fail_start(plan.failure, StartFailure::Step::fork, errno);
    }

    const int nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd < 3; ++fd) {
        ::dup2(nothing, fd);
    }
    const auto low = static_cast<unsigned>(plan.control < signals ? plan.control : signals);
    const auto high = static_cast<unsigned>(plan.control < signals ? signals : plan.control);
    close_between(3, low - 1, 0);
    close_between(low + 1, high - 1, 0);
    close_between(high + 1, UINT_MAX, 0);

    int status = SIGKILL;  // should the program outlive our patience
    bool orphaned = false;
    std::int64_t deadline = -1;
    for (;;) {
        int timeout = -1;
        if (deadline >= 0) {
            const std::int64_t left = deadline - monotonic_milliseconds();
            if (left <= 0) {
                break;
            }
            timeout = static_cast<int>(left);
        }
        std::array<pollfd, 2> events{{{.fd = plan.control, .events = POLLIN, .revents = 0},
                                      {.fd = signals, .events = POLLIN, .revents = 0}}};
        ::poll(events.data(), events.size(), timeout);
        signalfd_siginfo info{};
        while (::read(signals, &info, sizeof info) > 0) {
        }
        if (reap(program, status)) {
            break;
        }
        if (events[0].revents != 0) {
            SupervisorMessage message;
            const ssize_t got = ::recv(plan.control, &message, sizeof message, MSG_DONTWAIT);
            if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
                orphaned = true;  // nobody is left who could care
                break;
            }
            if (got == static_cast<ssize_t>(sizeof message)) {
                const std::int64_t end = monotonic_milliseconds() + message.value;
                if (deadline < 0) {
                    terminate_descendants(plan, program);
                }
                deadline = deadline < 0 || end < deadline ? end : deadline;
            }
        }
    }
    kill_descendants(program, status);
    const SupervisorMessage ended{.kind = SupervisorMessage::Kind::ended, .value = status};
    if (orphaned || ::send(plan.control, &ended, sizeof ended, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        clean_up_for_the_dead(plan);
    }
    ::_exit(0);
}

}  // namespace fairing::detail
