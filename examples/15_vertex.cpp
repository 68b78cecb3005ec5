// A training on Google Cloud, as a custom job of Vertex AI with a GPU. The project and who you are
// come from `gcloud auth application-default login`, or from the machine's own service account.
//     REGISTRY=europe-docker.pkg.dev/PROJECT/jobs REGION=europe-west4 15_vertex
#include <fairing.hpp>

int main() {
    return fairing::run_main([](const fairing::Session& session) {
        const fairing::Fairing launcher{
            fairing::PythonPreprocessor{.executable = "examples/train.py",
                                        .input_files = {"examples/data/"}},
            fairing::AppendBuilder{.base_image = fairing::env("BASE", "python:3.11-slim"),
                                   .registry = fairing::env("REGISTRY", "")},
            fairing::VertexDeployer{
                .google = {.region = fairing::env("REGION", "us-central1"),
                           .endpoint = fairing::env("VERTEX_ENDPOINT", ""),
                           .logging_endpoint = fairing::env("LOGGING_ENDPOINT", "")},
                .machine = {.machine_type = "n1-standard-8",
                            .accelerator_type = "NVIDIA_TESLA_T4",
                            .accelerator_count = 1}}};
        launcher.run(session);
    });
}
