// LightGBM's own config as a job. What the command line says stands over examples/lightgbm.conf, as
// for LightGBM itself; with more than one machine it is a TFJob in which each of them is a rank.
//     11_lightgbm output_model=gs://models/houses.txt
//     11_lightgbm output_model=gs://models/houses.txt num_machines=3 tree_learner=feature
// BASE is an image with python3 and the program LIGHTGBM.
#include <fairing.hpp>

int main(int argc, char** argv) {
    return fairing::run_main([&](const fairing::Session& session) {
        fairing::lightgbm::Parameters parameters;
        for (const std::string& parameter : std::vector<std::string>(argv + 1, argv + argc)) {
            const std::size_t equals = parameter.find('=');
            parameters[parameter.substr(0, equals)] = parameter.substr(equals + 1);
        }
        const fairing::LightGBM training{
            .config_file = "examples/lightgbm.conf",
            .parameters = parameters,
            .base_image = fairing::env("BASE", ""),
            .registry = fairing::env("REGISTRY", ""),
            .kubernetes = {.namespace_ = fairing::env("NAMESPACE", "default"),
                           .pod_spec_mutators = {fairing::resources({.cpu = 1, .memory_gb = 0.5})},
                           .cleanup = fairing::Cleanup::when_done},
            .program = fairing::env("LIGHTGBM", "lightgbm")};
        training.run(session);
    });
}
