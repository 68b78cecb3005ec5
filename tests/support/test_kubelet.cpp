// tests/support/test_kubelet.cpp - the test kubelet as a program, for `tools/kube-testenv up`:
// test-kubelet TESTENV.JSON. Ends by SIGTERM or SIGINT.
#include "test_kubelet.hpp"

#include <signal.h>

#include <iostream>

int main(int count, char** arguments) {
    if (count != 2) {
        std::cerr << "usage: test-kubelet TESTENV.JSON\n";
        return 64;
    }
    sigset_t ends;
    ::sigemptyset(&ends);
    ::sigaddset(&ends, SIGTERM);
    ::sigaddset(&ends, SIGINT);
    ::pthread_sigmask(SIG_BLOCK, &ends, nullptr);  // of all threads to come
    try {
        const fairing::Json state =
            fairing::parse_json(fairing::read_file(arguments[1]), arguments[1]);
        const std::string ca = state["ca"];
        const support::TestKubelet kubelet{
            {state["server"], state["tokens"]["admin"], support::make_transport(ca)},
            {.certificate = state["kubelet"]["certificate"],
             .key = state["kubelet"]["key"],
             .client_ca = ca},
            support::make_transport()};
        int number = 0;
        ::sigwait(&ends, &number);
    } catch (const std::exception& error) {
        std::cerr << "test-kubelet: " << error.what() << '\n';
        return 70;
    }
    return 0;
}
