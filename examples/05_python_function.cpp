// A Python class as a job: its train() is called in the image, and what that returns is printed. A
// function of a file ("train.py:fit"), of a module, or of a pickle goes the same way.
#include <fairing.hpp>

int main() {
    return fairing::run_main([](const fairing::Session& session) {
        const fairing::Fairing launcher{
            fairing::PythonFunctionPreprocessor{.function = "examples/Houses.py:Houses",
                                                .input_files = {"examples/data/"}},
            fairing::AppendBuilder{
                .base_image = fairing::env("BASE", "scratch"),
                .registry = fairing::env("REGISTRY", "oci:build/python-function-image")},
            fairing::LocalDeployer{}};
        launcher.run(session);
    });
}
