// fairing/net/sigpipe.hpp - a closed connection is an error code, not the end of the program.
#pragma once

#include <pthread.h>
#include <signal.h>
#include <time.h>

namespace fairing::net {

/// Blocks SIGPIPE in this thread; one that our writes caused meanwhile is taken away again. The
/// disposition of the process is not touched.
class SigpipeBlock {
public:
    SigpipeBlock() noexcept {
        sigset_t pending;
        ::sigemptyset(&pending);
        ::sigpending(&pending);
        was_pending_ = ::sigismember(&pending, SIGPIPE) == 1;
        ::sigemptyset(&pipe_);
        ::sigaddset(&pipe_, SIGPIPE);
        ::pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
    }
    SigpipeBlock(const SigpipeBlock&) = delete;
    SigpipeBlock& operator=(const SigpipeBlock&) = delete;
    ~SigpipeBlock() {
        const timespec no_time{};
        while (!was_pending_ && ::sigtimedwait(&pipe_, nullptr, &no_time) == SIGPIPE) {
        }
        ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }

private:
    sigset_t pipe_{}, before_{};
    bool was_pending_ = false;
};

}  // namespace fairing::net
