// tools/fairing/main.cpp - the fairing command: training code to a running job.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <fairing/codec/utf8.hpp>
#include <fairing/core/version.hpp>
#include <fairing/run_main.hpp>
#include <string>
#include <vector>

#include "subcommands.hpp"

namespace {

constexpr const char* description =
    "fairing turns training code into a running job: it packages code and its data into\n"
    "a container image without Docker, runs it, and streams the log back.\n\n"
    "  fairing run train.py --base-image scratch --deployer local          on this machine\n"
    "  fairing run train.ipynb --skip-tag plots                            a notebook's code\n"
    "  fairing run train.py:fit                                            one function of it\n"
    "  fairing run build/train --base-image debian:12-slim                 a program of C++\n"
    "  fairing run train.py --registry registry.example/team --deployer job   in a cluster\n"
    "  fairing run serve.py --registry registry.example/team --deployer serving   an endpoint\n"
    "  fairing build train.py --input data/ --registry registry.example/team\n\n"
    "What stands behind -- goes to the program:  fairing run train.py -- --epochs 10";

constexpr const char* footer =
    "Exit codes: 0 done; the workload's own code when it failed; 64 usage, 65 bad input,\n"
    "69 a registry, cluster or engine is unavailable, 70 a fault of ours, 77 no permission, 130 "
    "interrupted.\n"
    "Defaults for the stages' options can stand in ./fairing.json; see the README.";

/// A misspelt subcommand is told so; CLI11 would say that one is required.
void check_subcommand(const CLI::App& app, const std::vector<std::string>& arguments) {
    if (arguments.empty() || arguments.front().starts_with('-')) {
        return;
    }
    std::vector<std::string> names;
    for (const CLI::App* each : app.get_subcommands({})) {
        names.push_back(each->get_name());
    }
    if (std::find(names.begin(), names.end(), arguments.front()) == names.end()) {
        throw fairing::unknown_name("find", "the subcommand", arguments.front(), names);
    }
}

/// What nobody knows of a command line, with the nearest option; CLI11 would only repeat it.
fairing::Error unknown_arguments(const CLI::App& app) {
    std::string subject = "fairing";
    std::vector<std::string> names;
    for (const CLI::App* parser : app.get_subcommands()) {
        subject += ' ' + parser->get_name();
        for (const CLI::Option* option : parser->get_options()) {
            for (const std::string& name : option->get_lnames()) {
                names.push_back("--" + name);
            }
        }
    }
    std::string answer;
    for (const std::string& argument : app.remaining(true)) {
        const std::string name = argument.substr(0, argument.find('='));
        const bool is_option = name.starts_with('-');
        if (!is_option && !answer.empty()) {
            continue;  // the value of an unknown option
        }
        const std::string near = is_option ? fairing::nearest_name(name, names) : "";
        answer += (answer.empty() ? "" : ", ") +
                  ((is_option ? "there is no " : "too much: ") + fairing::codec::escaped(name)) +
                  (near.empty() ? "" : " (did you mean " + near + "?)");
    }
    return {fairing::ErrorCode::usage,
            {.attempted = "understand the arguments of",
             .subject = subject,
             .answer = answer,
             .advice = subject + " --help lists what there is"}};
}

int run(int argc, char** argv) {
    CLI::App app{description, "fairing"};
    app.footer(footer);
    app.require_subcommand(1);
    app.set_version_flag("--version", std::string{"fairing "} + fairing::version);

    std::vector<std::pair<CLI::App*, command::Action>> subcommands;
    const auto add = [&](command::Action (*make)(CLI::App&)) {
        command::Action action = make(app);
        subcommands.emplace_back(app.get_subcommands({}).back(), std::move(action));
    };
    add(command::add_run);
    add(command::add_build);
    add(command::add_render);
    add(command::add_list);
    add(command::add_status);
    add(command::add_logs);
    add(command::add_wait);
    add(command::add_delete);
    add(command::add_predict);
    add(command::add_traffic);
    add(command::add_inspect);
    add(command::add_copy);
    add(command::add_tags);
    add(command::add_attach);
    add(command::add_cache);
    CLI::App* version = app.add_subcommand("version", "Print the version.");

    // Everything behind the first "--" is the program's, whatever it looks like.
    std::vector<std::string> own;
    std::vector<std::string> arguments;
    for (int i = 1; i < argc; ++i) {
        if (std::string_view{argv[i]} == "--") {
            arguments.assign(argv + i + 1, argv + argc);
            break;
        }
        own.emplace_back(argv[i]);
    }
    if (own.empty()) {
        own.emplace_back("--help");
    }
    check_subcommand(app, own);
    try {
        std::reverse(own.begin(), own.end());  // as CLI11 wants it
        app.parse(own);
    } catch (const CLI::ExtrasError&) {
        throw unknown_arguments(app);
    } catch (const CLI::ParseError& error) {
        const int code = app.exit(error);
        return code == 0 ? 0 : fairing::exit_code(fairing::ErrorCode::usage);
    }
    if (version->parsed()) {
        std::printf("fairing %s\n", fairing::version);
        return 0;
    }
    for (const std::string& argument : arguments) {
        if (!fairing::codec::is_utf8(argument)) {
            throw fairing::Error{fairing::ErrorCode::input,
                                 {.attempted = "pass argument",
                                  .subject = '"' + fairing::codec::escaped(argument) + '"',
                                  .answer = "it is not UTF-8, which an image's command must be"}};
        }
    }
    for (const auto& [parser, action] : subcommands) {
        if (parser->parsed()) {
            return action(std::move(arguments));
        }
    }
    return fairing::exit_code(fairing::ErrorCode::usage);
}

/// What was printed must have arrived: a full disk or a closed pipe is no success.
int flushed(int code) {
    if (code == 0 && (std::fflush(stdout) != 0 || std::ferror(stdout) != 0)) {
        throw fairing::system_error(errno, "write", "standard output",
                                    fairing::ErrorCode::unavailable);
    }
    return code;
}

}  // namespace

int main(int argc, char** argv) {
    // A closed pipe is an error of the write, so that everything is cleaned up; children get the
    // default back.
    std::signal(SIGPIPE, SIG_IGN);
    return fairing::guarded([&] { return flushed(run(argc, argv)); });
}
