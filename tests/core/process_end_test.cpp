#include "fairing/core/process_end.hpp"

#include <doctest/doctest.h>

#include <csignal>

using namespace fairing;

TEST_CASE("a success has no reason, an exit code is said as it is") {
    CHECK(ProcessEnd{}.reason().empty());
    CHECK(ProcessEnd{.exit_code = 1}.reason() == "exited with 1");
    CHECK(ProcessEnd{.exit_code = 255}.reason() == "exited with 255");
    // A program that ends by itself with such a code was not killed.
    CHECK(ProcessEnd{.exit_code = 137}.reason() == "exited with 137");
}

TEST_CASE("a signal is said with its name") {
    CHECK(ProcessEnd{.exit_code = 137, .signal = 9}.reason() == "killed by signal 9 (SIGKILL)");
    CHECK(ProcessEnd{.exit_code = 139, .signal = 11}.reason() == "killed by signal 11 (SIGSEGV)");
    // Whatever the code says: the signal counts.
    CHECK(ProcessEnd{.signal = 15}.reason() == "killed by signal 15 (SIGTERM)");
    CHECK(signal_text(1) == "signal 1 (SIGHUP)");
    CHECK(signal_text(2) == "signal 2 (SIGINT)");
    CHECK(signal_text(6) == "signal 6 (SIGABRT)");
    CHECK(signal_text(SIGXCPU) == "signal " + std::to_string(SIGXCPU) + " (SIGXCPU)");
}

TEST_CASE("a signal without a name that everybody knows is said by its number") {
    for (const int number : {0, SIGUSR1, SIGRTMIN, 64, 1000, -1}) {
        CHECK(signal_text(number) == "signal " + std::to_string(number));
    }
    CHECK(ProcessEnd{.exit_code = 192, .signal = 64}.reason() == "killed by signal 64");
}
