// tools/fairing/render.cpp - fairing render: what run would create, pushing and creating nothing.
#include "launch.hpp"
#include "objects.hpp"
#include "subcommands.hpp"

namespace command {

Action add_render(CLI::App& app) {
    CLI::App* parser = app.add_subcommand(
        "render",
        "Print what run would create. May read the base's registry; pushes and contacts nothing "
        "else. For the local deployer: the OCI runtime spec of the container.");
    auto options = std::make_shared<LaunchOptions>(*parser);
    auto format = add_output_option(*parser);
    return [options, format](std::vector<std::string> arguments) {
        options->arguments = std::move(arguments);
        options->set_default("--no-push", "true");
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
