// Fairing's tasks: what is to be done in one value, and a backend that chooses the rest. Without an
// argument a Python class is trained, then served and asked; ENTRY alone is trained: a Python file,
// a notebook, "file.py:function", or "function", which is one of this program.
//     REGISTRY=registry.example/team NAMESPACE=ml 14_tasks [ENTRY]
#include <fairing.hpp>

namespace {

int train(const fairing::Worker& self) {
    std::cout << "rank " << self.rank << " of " << self.world_size << '\n';
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    return fairing::run_main(argc, argv, {{"train", train}}, [&](const fairing::Session& session) {
        const std::string entry = argc > 1 ? argv[1] : "examples/Houses.py:Houses";
        const std::string base = fairing::env("BASE", "python:3.11-slim");
        const std::string registry = fairing::env("REGISTRY", "");
        const fairing::KubernetesOptions kubernetes{
            .namespace_ = fairing::env("NAMESPACE", "default"),
            .pod_spec_mutators = {fairing::resources({.cpu = 1, .memory_gb = 0.5})}};
        const fairing::Backend backend{.platform = fairing::Platform::kubeflow};

        const fairing::TrainJob training{.entry_point = entry == "function"
                                                            ? fairing::EntryPoint{train}
                                                            : fairing::EntryPoint{entry},
                                         .base_image = base,
                                         .registry = registry,
                                         .input_files = {"examples/data/"},
                                         .kubernetes = kubernetes,
                                         .backend = backend};
        training.submit(session);
        if (argc > 1) {
            return;
        }
        const fairing::PredictionEndpoint serving{
            .model_class = "Houses",
            .base_image = fairing::env("SERVING_BASE", base),
            .registry = registry,
            .input_files = {"examples/Houses.py", "examples/data/"},
            .kubernetes = kubernetes,
            .backend = backend};
        const fairing::Endpoint endpoint = serving.create(session);
        const fairing::RemoveOnExit guard{endpoint};
        const fairing::Json answer =
            endpoint.predict({{"data", {{"names", {"area_m2"}}, {"ndarray", {{82.0}, {154.1}}}}}});
        std::cout << answer["data"]["ndarray"].dump() << '\n';
    });
}
