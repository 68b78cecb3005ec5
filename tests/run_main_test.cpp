#include "fairing/run_main.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>

using namespace fairing;

namespace {

int with_error(ErrorCode code) {
    return run_main([code](const Session&) {
        throw Error{code, {.attempted = "test", .subject = "exit codes"}};
    });
}
int train(const Worker& worker) { return 10 + static_cast<int>(worker.arguments.size()); }
int broken(const Worker&) { throw std::runtime_error{"no data"}; }

struct InJob {
    InJob() { ::setenv("FAIRING_RUNTIME", "1", 1); }
    ~InJob() {
        ::unsetenv("FAIRING_RUNTIME");
        ::unsetenv("FAIRING_FUNCTION");
    }
    InJob(InJob&&) = delete;
};

}  // namespace

TEST_CASE("what launch returns is the exit code; nothing is 0") {
    CHECK(run_main([](const Session&) { return 5; }) == 5);
    CHECK(run_main([](const Session&) {}) == 0);
}

TEST_CASE("every kind of error has its exit code") {
    CHECK(with_error(ErrorCode::usage) == 64);
    CHECK(with_error(ErrorCode::input) == 65);
    CHECK(with_error(ErrorCode::unavailable) == 69);
    CHECK(with_error(ErrorCode::internal) == 70);
    CHECK(with_error(ErrorCode::denied) == 77);
    CHECK(with_error(ErrorCode::cancelled) == 130);
    CHECK(run_main([](const Session&) { throw std::runtime_error{"x"}; }) == 70);
    CHECK(run_main([](const Session&) { throw 1; }) == 70);
    CHECK(run_main([](const Session&) {
              throw WorkloadError{{.attempted = "run"}, {.state = State::failed, .exit_code = 9}};
          }) == 9);
    CHECK(run_main([](const Session&) {
              throw WorkloadError{{.attempted = "run"}, {.state = State::failed, .exit_code = 256}};
          }) == exit_code(ErrorCode::workload_failed));
}

TEST_CASE("SIGINT becomes a stop, and the signal mask is put back") {
    sigset_t before{}, after{};
    pthread_sigmask(SIG_SETMASK, nullptr, &before);
    CHECK(run_main([](const Session& session) {
              ::kill(::getpid(), SIGINT);
              while (!session.stop.stop_requested()) {
                  ::usleep(1000);
              }
              session.control().check("wait");
          }) == 130);
    pthread_sigmask(SIG_SETMASK, nullptr, &after);
    CHECK(sigismember(&before, SIGINT) == sigismember(&after, SIGINT));
}

TEST_CASE("in the job only the job function runs") {
    char program[] = "p", argument[] = "--epochs";
    char* argv[] = {program, argument, nullptr};
    bool launched = false;
    const auto launch = [&launched](const Session&) { launched = true; };
    CHECK(run_main(2, argv, train, launch) == 0);
    CHECK(launched);
    launched = false;
    const InJob job;
    CHECK(run_main(2, argv, train, launch) == 11);
    CHECK(run_main(2, argv, broken, launch) == 70);
    CHECK_FALSE(launched);
}

TEST_CASE("several functions are told apart by name") {
    char program[] = "p";
    char* argv[] = {program, nullptr};
    const JobFunctions functions{{"train", train}, {"noop", [](const Worker&) { return 0; }}};
    const auto launch = [](const Session&) {};
    const InJob job;
    ::setenv("FAIRING_FUNCTION", "train", 1);
    CHECK(run_main(1, argv, functions, launch) == 10);
    ::setenv("FAIRING_FUNCTION", "tran", 1);
    CHECK(run_main(1, argv, functions, launch) == 64);
}
