// A Python file and its data become an image, which runs here: no registry, no daemon, no network.
// With REGISTRY=registry.example:5000/team and BASE=python:3.11-slim the same program pushes a real
// image, and runs that.
#include <fairing.hpp>

int main() {
    return fairing::run_main([](const fairing::Session& session) {
        const fairing::Fairing launcher{
            fairing::PythonPreprocessor{.executable = "examples/train.py",
                                        .input_files = {"examples/data/"}},
            fairing::AppendBuilder{.base_image = fairing::env("BASE", "scratch"),
                                   .registry = fairing::env("REGISTRY", "oci:build/example-image")},
            fairing::LocalDeployer{}};
        launcher.run(session);
    });
}
