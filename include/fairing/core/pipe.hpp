// fairing/core/pipe.hpp - pipes to a program that is about to start, which no other one inherits.
#pragma once

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "error.hpp"
#include "files.hpp"

namespace fairing::detail {

/// The same descriptor with a number that no standard stream has.
[[nodiscard]] inline UniqueFd above_standard_streams(int fd) {
    UniqueFd given{fd};
    if (fd > 2) {
        return given;
    }
    UniqueFd moved{fd < 0 ? -1 : ::fcntl(fd, F_DUPFD_CLOEXEC, 3)};
    if (!moved) {
        throw system_error(errno, "run", "a program", ErrorCode::unavailable);
    }
    return moved;
}

/// The program's end, and ours. Data flows to us, and through sockets both ways.
struct Ends {
    UniqueFd ours, theirs;
};

[[nodiscard]] inline Ends ends_of(int made, const std::array<int, 2>& ends) {
    if (made != 0) {
        throw system_error(errno, "run", "a program", ErrorCode::unavailable);
    }
    const UniqueFd second{ends[1]};
    Ends result;
    result.ours = above_standard_streams(ends[0]);
    result.theirs = above_standard_streams(::fcntl(second.get(), F_DUPFD_CLOEXEC, 3));
    return result;
}

[[nodiscard]] inline Ends make_pipe() {
    std::array<int, 2> ends{-1, -1};
    return ends_of(::pipe2(ends.data(), O_CLOEXEC), ends);
}
/// They keep the bounds of messages.
[[nodiscard]] inline Ends make_sockets() {
    std::array<int, 2> ends{-1, -1};
    return ends_of(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), ends);
}

}  // namespace fairing::detail
