// tools/fairing/build.cpp - fairing build: prepare and build; the image's reference, alone, on
// stdout.
#include <cstdio>

#include "launch.hpp"
#include "subcommands.hpp"

namespace command {

Action add_build(CLI::App& app) {
    CLI::App* parser = app.add_subcommand(
        "build", "Package ENTRY into an image and push it; prints its reference by digest.");
    auto options = std::make_shared<LaunchOptions>(*parser);
    return [options](std::vector<std::string> arguments) {
        options->arguments = std::move(arguments);
        const fairing::StopOnSignal signals;
        Launch launch{*options, signals};
        return launch.reported([&] {
            const fairing::Fairing pipeline{launch.preprocessor(), launch.builder()};
            const fairing::Image image = pipeline.build(launch.session());
            std::printf("%s\n", image.reference.c_str());
            return 0;
        });
    };
}

}  // namespace command
