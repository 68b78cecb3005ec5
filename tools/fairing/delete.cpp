// tools/fairing/delete.cpp - fairing delete: ends a run, and removes all that was created for it.
#include <fairing/run_main.hpp>

#include "cluster_options.hpp"
#include "subcommands.hpp"

namespace command {

Action set_up_delete(CLI::App& parser) {
    auto options = ClusterOptions::with_name(parser);
    return [options](const std::vector<std::string>& /*arguments*/) {
        const fairing::StopOnSignal signals;
        const fairing::Session session = options->session(signals.token());
        const fairing::Workload workload = options->workload(session);
        workload.remove(session.stop);
        session.log({.text = workload.object().name + " deleted"});
        return 0;
    };
}

}  // namespace command
