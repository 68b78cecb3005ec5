// tools/fairing/render.cpp - fairing render: what run would create, pushing and creating nothing.
#include "launch.hpp"
#include "objects.hpp"
#include "subcommands.hpp"

namespace command {

Action set_up_render(CLI::App& parser, const Words& words) {
    auto options = std::make_shared<LaunchOptions>(parser, words);
    auto format = add_output_option(parser);
    return [options, format](std::vector<std::string> arguments) {
        options->arguments = std::move(arguments);
        options->set_default("--no-push", "true");
        options->is_rehearsal = true;
        options->foreign = LaunchOptions::Foreign::note;  // one call for every deployer
        const fairing::StopOnSignal signals;
        Launch launch{*options, signals};
        return launch.reported([&] {
            const TimedDeployer deployer = launch.deployer();
            deployer.check();
            const fairing::Fairing pipeline{launch.preprocessor(), launch.builder(), deployer};
            print_objects(
                deployer.stage.manifests(pipeline.build(launch.session()), launch.session()),
                *format);
            return 0;
        });
    };
}

}  // namespace command
