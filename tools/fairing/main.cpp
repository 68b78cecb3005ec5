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

using command::Words;

command::Action set_up_version(CLI::App& /*parser*/) {
    return [](const std::vector<std::string>& /*arguments*/) {
        std::printf("fairing %s\n", fairing::version);
        return 0;
    };
}

/// Of a subcommand that has few options, whatever the words.
template <command::Action (*set_up)(CLI::App& parser)>
command::Action with_all(CLI::App& parser, const Words& /*words*/) {
    return set_up(parser);
}

struct Subcommand {
    const char* name;
    const char* summary;
    command::Action (*set_up)(CLI::App& parser, const Words& words);
};

constexpr Subcommand subcommands[] = {
    {"run", "Package ENTRY into an image, run it, follow its log; exits with its own code.",
     command::set_up_run},
    {"build", "Package ENTRY into an image and push it; prints its reference by digest.",
     command::set_up_build},
    {"render",
     "Print what run would create. May read the base's registry; pushes and contacts nothing "
     "else. For the local deployer: the OCI runtime spec of the container.",
     command::set_up_render},
    {"list", "Show what fairing created in a namespace and is still there.",
     with_all<command::set_up_list>},
    {"status", "Tell how a run is, and why.", with_all<command::set_up_status>},
    {"logs", "Print the log of a run, and follow it to its end; removes nothing.",
     with_all<command::set_up_logs>},
    {"wait",
     "Wait for the end of a run, or until an endpoint is ready; exits with the run's own code,\n"
     "and removes nothing.",
     with_all<command::set_up_wait>},
    {"delete", "End a run, and remove it with its pods and all that was created for it.",
     with_all<command::set_up_delete>},
    {"predict", "Ask an endpoint: sends JSON, and prints the JSON that is answered.",
     with_all<command::set_up_predict>},
    {"traffic",
     "Give the newest model of an InferenceService, or of an endpoint of Vertex AI, PERCENT of "
     "the requests: 100 makes it the only one, 0 goes back to the one before. Waits until that "
     "is so.",
     with_all<command::set_up_traffic>},
    {"inspect",
     "Show the layers, sizes, command and base of an image in a registry, a layout or an "
     "archive.",
     with_all<command::set_up_inspect>},
    {"copy",
     "Copy an image, or an index with all its images, between registries, layouts and archives; "
     "prints the copy's reference by digest.",
     with_all<command::set_up_copy>},
    {"tags", "List the tags of a repository in a registry, one on a line.",
     with_all<command::set_up_tags>},
    {"attach",
     "Store a file beside an image as an artifact that refers to it (OCI 1.1), such as an SBOM; "
     "prints the artifact's reference.",
     with_all<command::set_up_attach>},
    {"cache",
     "What earlier builds left, so that the next one is fast ($FAIRING_CACHE, else\n"
     "$XDG_CACHE_HOME/fairing, else ~/.cache/fairing).",
     with_all<command::set_up_cache>},
    {"version", "Print the version.", with_all<set_up_version>},
};

/// The first word that is no option; null when there is none. A misspelt name is told so; CLI11
/// would say that a subcommand is required.
const Subcommand* find_subcommand(const Words& words) {
    const auto first = std::find_if(words.begin(), words.end(),
                                    [](const std::string& word) { return !word.starts_with('-'); });
    if (first == words.end()) {
        return nullptr;
    }
    std::vector<std::string> names;
    for (const Subcommand& each : subcommands) {
        if (*first == each.name) {
            return &each;
        }
        names.emplace_back(each.name);
    }
    throw fairing::unknown_name("find", "the subcommand", *first, names);
}

/// What nobody knows of a command line, with the nearest option; CLI11 would only repeat it.
fairing::Error unknown_arguments(const CLI::App& app, const Subcommand* chosen) {
    std::string subject = "fairing";
    std::vector<std::string> names;
    const auto add_options = [&names](const CLI::App& parser) {
        for (const CLI::Option* option : parser.get_options()) {
            for (const std::string& name : option->get_lnames()) {
                names.push_back("--" + name);
            }
        }
    };
    for (const CLI::App* parser : app.get_subcommands()) {
        subject += ' ' + parser->get_name();
        add_options(*parser);
    }
    if (chosen != nullptr) {
        CLI::App whole;
        static_cast<void>(chosen->set_up(whole, {}));
        add_options(whole);
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
                  ((is_option ? "there is no " : "too much: ") + fairing::codec::in_quotes(name)) +
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
    // Only the chosen one is given its options.
    const Subcommand* chosen = find_subcommand(own);
    command::Action action;
    for (const Subcommand& each : subcommands) {
        CLI::App* parser = app.add_subcommand(each.name, each.summary);
        if (&each == chosen) {
            action = each.set_up(*parser, own);
        }
    }
    try {
        std::reverse(own.begin(), own.end());  // as CLI11 wants it
        app.parse(own);
    } catch (const CLI::ExtrasError&) {
        throw unknown_arguments(app, chosen);
    } catch (const CLI::ParseError& error) {
        const int code = app.exit(error);
        return code == 0 ? 0 : fairing::exit_code(fairing::ErrorCode::usage);
    }
    for (const std::string& argument : arguments) {
        if (!fairing::codec::is_utf8(argument)) {
            throw fairing::Error{fairing::ErrorCode::input,
                                 {.attempted = "pass argument",
                                  .subject = fairing::codec::in_quotes(argument),
                                  .answer = "it is not UTF-8, which an image's command must be"}};
        }
    }
    return action(std::move(arguments));
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
