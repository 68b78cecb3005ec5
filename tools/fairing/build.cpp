// tools/fairing/build.cpp - fairing build: prepare and build; the image's reference, alone, on
// stdout.
#include <cstdio>

#include "launch.hpp"
#include "subcommands.hpp"

namespace command {

Action set_up_build(CLI::App& parser, const Words& words) {
    auto options = std::make_shared<LaunchOptions>(parser, words);
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
