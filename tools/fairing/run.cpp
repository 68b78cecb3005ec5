// tools/fairing/run.cpp - fairing run: prepare, build, deploy, follow the log, exit as the workload
// did.
#include <fairing/core/files.hpp>

#include "launch.hpp"
#include "subcommands.hpp"

namespace command {

Action add_run(CLI::App& app) {
    CLI::App* parser = app.add_subcommand(
        "run", "Package ENTRY into an image, run it, follow its log; exits with its own code.");
    auto options = std::make_shared<LaunchOptions>(*parser);
    return [options](std::vector<std::string> arguments) {
        options->arguments = std::move(arguments);
        const fairing::StopOnSignal signals;
        // A local run needs no registry: the image lives in a directory for as long as the run
        // does.
        std::optional<fairing::TemporaryDirectory> layout;
        if (options->is_local() && !options->has_registry()) {
            layout.emplace();
            options->set_default("--registry", "oci:" + (layout->path() / "image").string());
        }
        Launch launch{*options, signals};
        return launch.reported([&] {
            const fairing::Fairing pipeline{launch.preprocessor(), launch.builder(),
                                            launch.deployer()};
            const fairing::Workload workload = pipeline.run(launch.session());
            launch.report().ended(workload.status());
            launch.session().log({.text = workload.object().name + " succeeded after " +
                                          human_seconds(launch.report().elapsed())});
            return 0;
        });
    };
}

}  // namespace command
