// Distributed training by Kubeflow's training operator, as a TFJob: a chief, two workers, and a
// parameter server that averages their gradients. The chief writes the model to the volume CLAIM.
//     REGISTRY=registry.example/team NAMESPACE=ml CLAIM=models 09_tfjob
#include <fairing.hpp>

int main() {
    return fairing::run_main([](const fairing::Session& session) {
        const std::string claim = fairing::env("CLAIM", "models");
        const fairing::Fairing launcher{
            fairing::PythonPreprocessor{.executable = "examples/train_ranks.py",
                                        .input_files = {"examples/data/"}},
            fairing::AppendBuilder{.base_image = fairing::env("BASE", "python:3.11-slim"),
                                   .registry = fairing::env("REGISTRY", ""),
                                   .image_name = "houses"},
            fairing::TFJobDeployer{
                .kubernetes = {.namespace_ = fairing::env("NAMESPACE", "default"),
                               .pod_spec_mutators =
                                   {fairing::volume_mounts({.name = claim, .mount_path = "/mnt"}),
                                    fairing::add_env({{"MODEL", "/mnt/model.json"}})},
                               .cleanup = fairing::Cleanup::when_done},
                .worker_count = 2,
                .ps_count = 1,
                .chief_count = 1}};
        launcher.run(session);
    });
}
