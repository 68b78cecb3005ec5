#include "fairing/core/process_table.hpp"

#include <doctest/doctest.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <string>

#include "fairing/core/pipe.hpp"

using namespace fairing::detail;

namespace {

/// A child of ours that waits to be killed, under a name that looks like more of /proc/PID/stat.
class Child {
public:
    Child() {
        Ends named = make_pipe();
        pid_ = ::fork();
        REQUIRE(pid_ >= 0);
        if (pid_ == 0) {
            ::prctl(PR_SET_NAME, "a) R 1 (b");
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            [[maybe_unused]] const ssize_t put = ::write(named.theirs.get(), "x", 1);
            for (;;) {
                ::pause();
            }
        }
        char ready = 0;
        REQUIRE(::read(named.ours.get(), &ready, 1) == 1);
    }
    Child(Child&&) = delete;
    Child& operator=(Child&&) = delete;
    ~Child() {
        if (!is_collected_) {
            ::kill(pid_, SIGKILL);
            collect();
        }
    }
    [[nodiscard]] pid_t pid() const { return pid_; }
    /// Waits for its end; the signal that it was.
    int collect() {
        int status = 0;
        is_collected_ = true;
        return ::waitpid(pid_, &status, 0) == pid_ ? WTERMSIG(status) : 0;
    }

private:
    pid_t pid_ = -1;
    bool is_collected_ = false;
};

}  // namespace

TEST_CASE("a number is read as far as it goes") {
    const auto read = [](const char* text) {
        const char* end = text;
        const pid_t number = read_number(end);
        return std::to_string(number) + '|' + end;
    };
    CHECK(read("123") == "123|");
    CHECK(read("0 x") == "0| x");
    CHECK(read("12self") == "12|self");
    CHECK(read("self") == "-1|self");
    CHECK(read("-1") == "-1|-1");
    CHECK(read("") == "-1|");
}

TEST_CASE("parents, whatever a process calls itself; of what is gone there is none") {
    CHECK(parent_of(::getpid()) == ::getppid());
    pid_t gone = -1;
    {
        const Child child;
        CHECK(parent_of(child.pid()) == ::getpid());
        gone = child.pid();
    }
    CHECK(parent_of(gone) == -1);
    CHECK(parent_of(0) == -1);
    CHECK(parent_of(-1) == -1);
}

TEST_CASE("every process is shown with its parent, us and our children among them") {
    const Child child;
    int us = 0, children = 0, others = 0;
    CHECK(for_each_process([&](pid_t pid, pid_t parent) {
        us += pid == ::getpid() && parent == ::getppid() ? 1 : 0;
        children += pid == child.pid() && parent == ::getpid() ? 1 : 0;
        others += pid == ::getpid() || pid == child.pid() ? 0 : 1;
    }));
    CHECK(us == 1);
    CHECK(children == 1);
    CHECK(others >= 1);
}

TEST_CASE("a signal is for the process of the table, and not for another one of its number") {
    const int handle = static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0));
    if (handle < 0) {
        MESSAGE("skipped: this kernel has no pidfd_open()");
        return;
    }
    ::close(handle);
    Child child;
    signal_entry({.pid = child.pid(), .parent = ::getppid()}, SIGKILL);
    signal_entry({.pid = child.pid(), .parent = ::getpid()}, SIGUSR1);
    CHECK(child.collect() == SIGUSR1);
    signal_entry({.pid = child.pid(), .parent = ::getpid()}, SIGUSR1);  // nobody's any more
}
