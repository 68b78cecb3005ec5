// A notebook's code as a job: magics and the cells that plot are left out, and no Python is needed
// to convert it.
#include <fairing.hpp>

int main() {
    return fairing::run_main([](const fairing::Session& session) {
        const fairing::Fairing launcher{
            fairing::NotebookPreprocessor{.notebook_file = "examples/train.ipynb",
                                          .input_files = {"examples/data/"},
                                          .skip_tags = {"plot"}},
            fairing::AppendBuilder{
                .base_image = fairing::env("BASE", "scratch"),
                .registry = fairing::env("REGISTRY", "oci:build/notebook-image")},
            fairing::LocalDeployer{}};
        launcher.run(session);
    });
}
