// tools/fairing/predict.cpp - fairing predict: one request to an endpoint, its answer on stdout;
// and fairing traffic: which share of the requests the newest model gets.
#include <cstdio>
#include <fairing/core/files.hpp>
#include <fairing/core/json_text.hpp>
#include <fairing/run_main.hpp>
#include <iostream>
#include <iterator>

#include "cluster_options.hpp"
#include "report.hpp"
#include "subcommands.hpp"

namespace command {

namespace {

/// The JSON itself, what stands in @FILE, or standard input for "-".
[[nodiscard]] fairing::Json read_data(const std::string& data) {
    if (data == "-") {
        const std::string text{std::istreambuf_iterator<char>{std::cin}, {}};
        return fairing::parse_json(text, "standard input");
    }
    if (data.starts_with('@')) {
        return fairing::parse_json(fairing::read_file(data.substr(1)), data.substr(1));
    }
    return fairing::parse_json(data, "--data");
}

}  // namespace

Action set_up_predict(CLI::App& parser) {
    auto options = ClusterOptions::with_name(parser);
    options->choose_timeout(parser);
    auto data = std::make_shared<std::string>("-");
    parser.add_option("--data", *data,
                      "JSON, @FILE, or - for standard input (default): a request of the server's "
                      "protocol, or rows alone: [[1, 37]]");
    return [options, data](const std::vector<std::string>& /*arguments*/) {
        const fairing::StopOnSignal signals;
        const fairing::Session session = options->session(signals.token());
        const fairing::Json input = read_data(*data);
        const fairing::Endpoint endpoint{options->workload(session)};
        std::printf("%s\n", endpoint.predict(input, session.stop).dump().c_str());
        return 0;
    };
}

Action set_up_traffic(CLI::App& parser) {
    auto options = ClusterOptions::with_name(parser);
    auto percent = std::make_shared<int>(100);
    parser.add_option("PERCENT", *percent)->required();
    return [options, percent](const std::vector<std::string>& /*arguments*/) {
        const fairing::StopOnSignal signals;
        const fairing::Session session = options->session(signals.token());
        const fairing::Workload endpoint = options->shift_traffic(*percent, session);
        fairing::Outcome outcome = endpoint.wait(session.stop);
        if (outcome.state != fairing::State::ready) {
            throw fairing::WorkloadError{"divide the requests to", endpoint.object(),
                                         std::move(outcome)};
        }
        session.log({.text = "the newest model of " + endpoint.object().name + " gets " +
                             std::to_string(*percent) + " % of the requests"});
        return 0;
    };
}

}  // namespace command
