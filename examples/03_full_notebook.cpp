// The whole of a notebook, by papermill, with parameters: what each cell prints is in the log, what
// it draws too is in the output notebook. BASE is an image with papermill and ipykernel; on scratch
// this machine's own are used.
#include <fairing.hpp>

int main() {
    return fairing::run_main([](const fairing::Session& session) {
        const fairing::Fairing launcher{
            fairing::FullNotebookPreprocessor{.notebook_file = "examples/train.ipynb",
                                              .output_file = fairing::env("OUTPUT", "ran.ipynb"),
                                              .parameters = {{"rate", 0.05}, {"epochs", 7}},
                                              .input_files = {"examples/data/"}},
            fairing::AppendBuilder{
                .base_image = fairing::env("BASE", "scratch"),
                .registry = fairing::env("REGISTRY", "oci:build/full-notebook-image")},
            fairing::LocalDeployer{}};
        launcher.run(session);
    });
}
