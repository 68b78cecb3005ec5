// A Python function that every rank of a PyTorchJob calls: a master and two workers, which find
// each other by the variables that torch.distributed reads. GPUS is how many each of them gets.
//     REGISTRY=registry.example/team NAMESPACE=ml GPUS=1 10_pytorchjob
#include <fairing.hpp>

int main() {
    return fairing::run_main([](const fairing::Session& session) {
        const fairing::Fairing launcher{
            fairing::PythonFunctionPreprocessor{.function = "examples/train_ranks.py:train",
                                                .input_files = {"examples/data/"}},
            fairing::AppendBuilder{.base_image = fairing::env("BASE", "python:3.11-slim"),
                                   .registry = fairing::env("REGISTRY", "")},
            fairing::PyTorchJobDeployer{
                .kubernetes = {.namespace_ = fairing::env("NAMESPACE", "default"),
                               .pod_spec_mutators = {fairing::resources(
                                   {.gpu = std::stoi(fairing::env("GPUS", "0"))})},
                               .cleanup = fairing::Cleanup::when_done},
                .worker_count = 2}};
        launcher.run(session);
    });
}
