// tools/fairing/render.cpp - fairing render: what run would create, pushing and creating nothing.
#include <cstdio>
#include <fairing/core/yaml.hpp>

#include "launch.hpp"
#include "subcommands.hpp"

namespace command {

namespace {

void print(const std::vector<fairing::Json>& objects, const std::string& format) {
    std::string text;
    for (const fairing::Json& object : objects) {
        text += format == "yaml" ? (text.empty() ? "" : "---\n") + fairing::to_yaml(object)
                                 : object.dump(2) + '\n';
    }
    std::fwrite(text.data(), 1, text.size(), stdout);
}

}  // namespace

Action add_render(CLI::App& app) {
    CLI::App* parser = app.add_subcommand(
        "render",
        "Print what run would create. May read the base's registry; pushes and contacts nothing "
        "else. For the local deployer: the OCI runtime spec of the container.");
    auto options = std::make_shared<LaunchOptions>(*parser);
    auto format = std::make_shared<std::string>(FAIRING_YAML ? "yaml" : "json");
    parser->add_option("--output", *format, "yaml or json")
        ->check(CLI::IsMember({"yaml", "json"}))
        ->capture_default_str();
    return [options, format](std::vector<std::string> arguments) {
        options->arguments = std::move(arguments);
        options->set_default("--no-push", "true");
        const fairing::StopOnSignal signals;
        Launch launch{*options, signals};
        return launch.reported([&] {
            const TimedDeployer deployer = launch.deployer();
            const fairing::Fairing pipeline{launch.preprocessor(), launch.builder(), deployer};
            print(deployer.stage.manifests(pipeline.build(launch.session()), launch.session()),
                  *format);
            return 0;
        });
    };
}

}  // namespace command
