// tools/fairing/status.cpp - fairing status: how a run is, and why.
#include <cstdio>
#include <fairing/run_main.hpp>

#include "cluster_options.hpp"
#include "objects.hpp"
#include "report.hpp"
#include "subcommands.hpp"

namespace command {

Action set_up_status(CLI::App& parser) {
    auto options = ClusterOptions::with_name(parser);
    auto format = add_output_option(parser, "text");
    return [options, format](const std::vector<std::string>& /*arguments*/) {
        const fairing::StopOnSignal signals;
        const fairing::Workload workload = options->workload(options->session(signals.token()));
        const fairing::Outcome outcome = workload.status(signals.token());
        const std::string url = outcome.state == fairing::State::ready
                                    ? fairing::Endpoint{workload}.url()
                                    : std::string{};
        if (*format == "json") {
            fairing::Json status = workload_json(workload.object(), outcome);
            if (!url.empty()) {
                status["url"] = url;
            }
            std::printf("%s\n", status.dump(2).c_str());
            return 0;
        }
        std::printf("%s %s: %s%s\n", workload.object().kind.c_str(), workload.object().name.c_str(),
                    state_name(outcome.state).c_str(),
                    outcome.reason.empty() ? "" : (": " + outcome.reason).c_str());
        if (!url.empty()) {
            std::printf("%s\n", url.c_str());
        }
        return 0;
    };
}

}  // namespace command
