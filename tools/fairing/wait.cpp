// tools/fairing/wait.cpp - fairing wait: until a run ends, or an endpoint is ready; exits as it
// did.
#include <fairing/run_main.hpp>

#include "cluster_options.hpp"
#include "report.hpp"
#include "subcommands.hpp"

namespace command {

Action set_up_wait(CLI::App& parser) {
    auto options = ClusterOptions::with_name(parser);
    return [options](const std::vector<std::string>& /*arguments*/) {
        const fairing::StopOnSignal signals;
        const fairing::Session session = options->session(signals.token());
        const fairing::Workload workload = options->workload(session);
        fairing::Outcome outcome = workload.wait(session.stop);
        const bool is_ready = outcome.state == fairing::State::ready;
        if (!is_ready && outcome.state != fairing::State::succeeded) {
            throw fairing::WorkloadError{"wait for the success of", workload.object(),
                                         std::move(outcome)};
        }
        session.log({.text = workload.object().name + (is_ready ? " is ready" : " succeeded")});
        return 0;
    };
}

}  // namespace command
