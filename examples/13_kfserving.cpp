// The same model behind KServe, as an InferenceService of one's own server; with FRAMEWORK=sklearn
// and MODEL=s3://models/houses KServe's server loads the model, and the image is not used.
//     REGISTRY=registry.example/team NAMESPACE=ml 13_kfserving
#include <fairing.hpp>

int main() {
    return fairing::run_main([](const fairing::Session& session) {
        const fairing::Fairing launcher{
            fairing::PythonPreprocessor{.executable = "examples/serve.py",
                                        .input_files = {"examples/Houses.py", "examples/data/"}},
            fairing::AppendBuilder{.base_image = fairing::env("BASE", "python:3.11-slim"),
                                   .registry = fairing::env("REGISTRY", "")},
            fairing::InferenceServiceDeployer{
                .kubernetes = {.name = "houses",
                               .namespace_ = fairing::env("NAMESPACE", "default"),
                               .environment = {{"PORT", fairing::env("PORT", "8080")}}},
                .framework = fairing::env("FRAMEWORK", ""),
                .storage_uri = fairing::env("MODEL", ""),
                .port = std::stoi(fairing::env("PORT", "8080"))}};
        const fairing::Endpoint endpoint = launcher.run(session);
        const fairing::RemoveOnExit guard{endpoint};
        const fairing::Json answer = endpoint.predict({{"instances", {{82.0}, {154.1}}}});
        std::cout << endpoint.url() << ' ' << answer["predictions"].dump() << '\n';
    });
}
