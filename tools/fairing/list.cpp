// tools/fairing/list.cpp - fairing list: what our runs left in a namespace.
#include <algorithm>
#include <array>
#include <cstdio>
#include <fairing/run_main.hpp>
#include <fairing/stage/workload.hpp>
#include <string>
#include <vector>

#include "cluster_options.hpp"
#include "objects.hpp"
#include "report.hpp"
#include "subcommands.hpp"

namespace command {

namespace {

using Row = std::array<std::string, 4>;

void print_table(const std::vector<fairing::RunSummary>& runs) {
    std::vector<Row> rows{{"NAME", "KIND", "STATE", "CREATED"}};
    for (const fairing::RunSummary& run : runs) {
        rows.push_back({run.object.name, run.object.kind, state_name(run.state), run.created});
    }
    std::array<std::size_t, 4> widths{};
    for (const Row& row : rows) {
        for (std::size_t i = 0; i < row.size(); ++i) {
            widths.at(i) = std::max(widths.at(i), row.at(i).size());
        }
    }
    for (const Row& row : rows) {
        std::string line;
        for (std::size_t i = 0; i < row.size(); ++i) {
            line += row.at(i) + std::string(widths.at(i) - row.at(i).size() + 2, ' ');
        }
        std::printf("%s\n", line.substr(0, line.find_last_not_of(' ') + 1).c_str());
    }
}

void print_json(const std::vector<fairing::RunSummary>& runs) {
    fairing::Json list = fairing::Json::array();
    for (const fairing::RunSummary& run : runs) {
        fairing::Json one = workload_json(run.object, {.state = run.state, .reason = run.reason});
        one["run_id"] = run.run_id;
        one["created"] = run.created;
        list.push_back(std::move(one));
    }
    std::printf("%s\n", list.dump(2).c_str());
}

}  // namespace

Action set_up_list(CLI::App& parser) {
    auto options = std::make_shared<ClusterOptions>(parser);
    auto format = add_output_option(parser, "text");
    return [options, format](const std::vector<std::string>& /*arguments*/) {
        const fairing::StopOnSignal signals;
        const auto runs = options->list(options->session(signals.token()));
        *format == "json" ? print_json(runs) : print_table(runs);
        return 0;
    };
}

}  // namespace command
