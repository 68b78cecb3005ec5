#include "fairing/net/deep_thread.hpp"

#include <doctest/doctest.h>
#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <thread>

using namespace fairing;
using namespace std::chrono_literals;

namespace {

/// Needs about `left` KiB of stack.
int deep(int left) {
    volatile char page[1024];
    page[0] = static_cast<char>(left);
    return left == 0 ? page[0] : deep(left - 1) + (page[0] != 0 ? 1 : 0);
}

}  // namespace

TEST_CASE("there is much more stack than in an ordinary thread") {
    int result = 0;
    net::DeepThread thread;
    thread.start([&] { result = deep(20000); });
    thread.finish();
    CHECK(result > 0);
}

TEST_CASE("what the work throws reaches the caller") {
    net::DeepThread thread;
    thread.start([] { throw Error{ErrorCode::internal, {.attempted = "do", .subject = "it"}}; });
    CHECK(thread.wait({}, {}));
    CHECK_THROWS_AS(thread.finish(), Error);
    thread.finish();  // once
}

TEST_CASE("waiting ends with the work, a deadline or a stop") {
    std::atomic<bool> release = false;
    const auto hold = [&] {
        while (!release) {
            std::this_thread::sleep_for(1ms);
        }
    };
    net::DeepThread thread;
    thread.start(hold);
    CHECK_FALSE(thread.wait({}, std::chrono::steady_clock::now() + 20ms));
    std::stop_source stop;
    stop.request_stop();
    CHECK_FALSE(thread.wait(stop.get_token(), {}));
    release = true;
    CHECK(thread.wait({}, {}));
    CHECK(thread.wait(stop.get_token(), std::chrono::steady_clock::now()));
}

TEST_CASE("one thread does one piece of work after the other") {
    net::DeepThread thread;
    CHECK(thread.wait({}, {}));  // nothing is to be done
    std::thread::id first, second;
    thread.start([&] { first = std::this_thread::get_id(); });
    thread.finish();
    thread.start([&] {
        second = std::this_thread::get_id();
        throw Error{ErrorCode::internal, {.attempted = "do", .subject = "it"}};
    });
    CHECK_THROWS_AS(thread.finish(), Error);
    thread.start([] {});
    thread.finish();
    CHECK(first == second);
    CHECK(first != std::this_thread::get_id());
}

TEST_CASE("a signal that the program comes to wait for does not meet the thread") {
    sigset_t in_thread, before, after;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &before);
    net::DeepThread thread;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &after);
    for (int piece = 0; piece < 2; ++piece) {
        thread.start([&] { ::pthread_sigmask(SIG_SETMASK, nullptr, &in_thread); });
        thread.finish();
        for (const int signal : {SIGINT, SIGTERM, SIGUSR1, SIGCHLD, SIGPIPE}) {
            CAPTURE(signal);
            CHECK(::sigismember(&in_thread, signal) == 1);
            CHECK(::sigismember(&after, signal) == ::sigismember(&before, signal));
        }
    }
}

TEST_CASE("what is being done is done when the thread goes") {
    bool done = false;
    {
        net::DeepThread thread;
        thread.start([&] {
            std::this_thread::sleep_for(5ms);
            done = true;
        });
    }
    CHECK(done);
}
