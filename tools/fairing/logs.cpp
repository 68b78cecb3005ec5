// tools/fairing/logs.cpp - fairing logs: the log of a run, from its start to its end.
#include <fairing/run_main.hpp>

#include "cluster_options.hpp"
#include "report.hpp"
#include "subcommands.hpp"

namespace command {

Action set_up_logs(CLI::App& parser) {
    auto options = ClusterOptions::with_name(parser);
    options->choose_pod(parser);
    return [options](const std::vector<std::string>& /*arguments*/) {
        const fairing::StopOnSignal signals;
        const fairing::Session session = options->session(signals.token()).ordered();
        const fairing::Workload workload = options->workload(session);
        const fairing::Outcome outcome = workload.follow(session.output, session.stop);
        session.control().say(outcome.state == fairing::State::failed ? fairing::Level::warning
                                                                      : fairing::Level::info,
                              workload.object().name + ' ' + state_name(outcome.state) +
                                  (outcome.reason.empty() ? "" : ": " + outcome.reason));
        return 0;
    };
}

}  // namespace command
