// tools/fairing/run.cpp - fairing run: prepare, build, deploy, follow the log, exit as the workload
// did.
#include <cstdio>
#include <fairing/core/files.hpp>

#include "launch.hpp"
#include "objects.hpp"
#include "subcommands.hpp"

namespace command {

namespace {

int run(Launch& launch) {
    const fairing::Fairing pipeline{launch.preprocessor(), launch.builder(), launch.deployer()};
    const fairing::Workload workload = pipeline.run(launch.session());
    launch.report().ended(workload.status());
    const std::string url = fairing::Endpoint{workload}.url();
    launch.session().log({.text = workload.object().name +
                                  (url.empty() ? " succeeded after " : " is ready after ") +
                                  human_seconds(launch.report().elapsed())});
    if (!url.empty()) {
        std::printf("%s\n", url.c_str());
    }
    return 0;
}

/// What would be created; at "server" as the API server would store it.
int dry_run(Launch& launch, const std::string& where, const std::string& format) {
    const TimedDeployer deployer = launch.deployer();
    deployer.check();
    const fairing::Fairing pipeline{launch.preprocessor(), launch.builder(), deployer};
    const fairing::Image image = pipeline.build(launch.session());
    print_objects(where == "server" ? deployer.stage.dry_run(image, launch.session())
                                    : deployer.stage.manifests(image, launch.session()),
                  format);
    return 0;
}

}  // namespace

Action set_up_run(CLI::App& parser, const Words& words) {
    auto options = std::make_shared<LaunchOptions>(parser, words);
    auto where = std::make_shared<std::string>();
    parser
        .add_option("--dry-run", *where,
                    "client: print what would be created; server: as the server would store it. "
                    "Pushes and creates nothing")
        ->check(CLI::IsMember({"client", "server"}));
    auto format = add_output_option(parser);
    return [options, where, format](std::vector<std::string> arguments) {
        options->arguments = std::move(arguments);
        const fairing::StopOnSignal signals;
        // A local run needs no registry: the image lives in the engine that made it, or in a
        // directory for as long as the run does.
        std::optional<fairing::TemporaryDirectory> layout;
        if (!where->empty()) {
            options->set_default("--no-push", "true");
            options->is_rehearsal = true;
        } else if (options->is_local() && !options->has_registry()) {
            if (options->uses_engine()) {
                options->set_default("--no-push", "true");
            } else {
                layout.emplace();
                options->set_default("--registry", "oci:" + (layout->path() / "image").string());
            }
        }
        Launch launch{*options, signals};
        return launch.reported(
            [&] { return where->empty() ? run(launch) : dry_run(launch, *where, *format); });
    };
}

}  // namespace command
