#include "fairing/net/sigpipe.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cerrno>

TEST_CASE("a write to a closed pipe is an error, and the signal mask comes back") {
    sigset_t before;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &before);
    REQUIRE(::sigismember(&before, SIGPIPE) == 0);
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    ::close(ends[0]);
    {
        const fairing::net::SigpipeBlock block;
        CHECK(::write(ends[1], "x", 1) == -1);
        CHECK(errno == EPIPE);
    }
    sigset_t after;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &after);
    CHECK(::sigismember(&after, SIGPIPE) == 0);
    sigset_t pending;
    ::sigpending(&pending);
    CHECK(::sigismember(&pending, SIGPIPE) == 0);
    ::close(ends[1]);
}
