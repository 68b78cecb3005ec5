#include "fairing/core/pipe.hpp"

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <array>
#include <span>
#include <string>
#include <string_view>

#include "../support/process_table.hpp"

using namespace fairing;
using namespace fairing::detail;

namespace {

void send(const UniqueFd& fd, std::string_view text) {
    REQUIRE(::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
}
/// What one read gives; "" at the end of the file.
std::string receive(const UniqueFd& fd) {
    std::array<char, 64> buffer{};
    const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
    REQUIRE(got >= 0);
    return {buffer.data(), static_cast<std::size_t>(got)};
}
bool is_private(const UniqueFd& fd) {
    return fd.get() > 2 && (::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC) != 0;
}

/// Closes standard input for a scope.
class NoInput {
public:
    NoInput() : kept_(::fcntl(0, F_DUPFD_CLOEXEC, 3)) { ::close(0); }
    NoInput(NoInput&&) = delete;
    NoInput& operator=(NoInput&&) = delete;
    ~NoInput() {
        if (kept_) {
            ::dup2(kept_.get(), 0);
        }
    }

private:
    UniqueFd kept_;
};

/// Lets this process open no descriptor from `first` on, for a scope.
class FewDescriptors {
public:
    explicit FewDescriptors(rlim_t first) {
        ::getrlimit(RLIMIT_NOFILE, &before_);
        const rlimit few{.rlim_cur = first, .rlim_max = before_.rlim_max};
        REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
    }
    FewDescriptors(FewDescriptors&&) = delete;
    FewDescriptors& operator=(FewDescriptors&&) = delete;
    ~FewDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

private:
    rlimit before_{};
};

}  // namespace

TEST_CASE("a pipe leads to us, and ends when the other end is closed") {
    Ends pipe = make_pipe();
    CHECK(is_private(pipe.ours));
    CHECK(is_private(pipe.theirs));
    send(pipe.theirs, "one");
    send(pipe.theirs, "two");
    CHECK(receive(pipe.ours) == "onetwo");
    send(pipe.theirs, "rest");
    pipe.theirs.reset();
    CHECK(receive(pipe.ours) == "rest");
    CHECK(receive(pipe.ours).empty());
}

TEST_CASE("sockets lead both ways, keep the bounds of messages, and end when one is closed") {
    Ends sockets = make_sockets();
    CHECK(is_private(sockets.ours));
    CHECK(is_private(sockets.theirs));
    send(sockets.ours, "one");
    send(sockets.ours, "two");
    CHECK(receive(sockets.theirs) == "one");
    CHECK(receive(sockets.theirs) == "two");
    send(sockets.theirs, "back");
    CHECK(receive(sockets.ours) == "back");
    SUBCASE("ours") {
        sockets.ours.reset();
        CHECK(receive(sockets.theirs).empty());
    }
    SUBCASE("theirs") {
        sockets.theirs.reset();
        CHECK(receive(sockets.ours).empty());
    }
}

TEST_CASE("no end has the number of a standard stream, even where those are closed") {
    const std::size_t before = support::open_descriptors();
    {
        const NoInput closed;
        const Ends pipe = make_pipe(), sockets = make_sockets();
        for (const UniqueFd* end : {&pipe.ours, &pipe.theirs, &sockets.ours, &sockets.theirs}) {
            CHECK(is_private(*end));
        }
        send(pipe.theirs, "x");
        CHECK(receive(pipe.ours) == "x");
        CHECK(::fcntl(0, F_GETFD) == -1);  // and nothing is left at its place
    }
    CHECK(support::open_descriptors() == before);
    // One that is high enough is given back as it is.
    const int high = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    CHECK(above_standard_streams(high).get() == high);
}

TEST_CASE("where there are too few descriptors it is an error, and none is left open") {
    const UniqueFd lowest = open_file("/dev/null", O_RDONLY);
    const std::size_t before = support::open_descriptors();
    for (const auto& make : {make_pipe, make_sockets}) {
        std::size_t failures = 0;
        for (rlim_t room = 0; room < 100; ++room) {
            bool made = true;
            try {
                const FewDescriptors few{static_cast<rlim_t>(lowest.get()) + 1 + room};
                static_cast<void>(make());
            } catch (const Error& error) {
                CHECK(error.code() == ErrorCode::unavailable);
                CHECK(std::string{error.what()} == "cannot run a program: Too many open files");
                made = false;
            }
            REQUIRE(support::open_descriptors() == before);
            if (made) {
                break;
            }
            ++failures;
        }
        CHECK(failures >= 3);  // neither end, one end, no second one above the others
        CHECK(failures < 100);
    }
}
