// A training on Kubernetes, as a Job of two runs with limits, variables and a volume. The log of
// both comes here; when they have ended the Job is removed. The cluster is that of your kubeconfig.
//     REGISTRY=registry.example/team NAMESPACE=ml CLAIM=datasets 07_job
#include <fairing.hpp>

int main() {
    return fairing::run_main([](const fairing::Session& session) {
        fairing::KubernetesOptions kubernetes{
            .namespace_ = fairing::env("NAMESPACE", "default"),
            .labels = {{"team", "houses"}},
            .pod_spec_mutators = {fairing::resources({.cpu = 0.5, .memory_gb = 0.25}),
                                  fairing::add_env({{"EPOCHS", "5"}})}};
        if (const auto claim = fairing::env("CLAIM")) {
            kubernetes.pod_spec_mutators.push_back(
                fairing::volume_mounts({.name = *claim, .mount_path = "/mnt"}));
        }
        const fairing::Fairing launcher{
            fairing::PythonPreprocessor{.executable = "examples/train.py",
                                        .input_files = {"examples/data/"}},
            fairing::AppendBuilder{.base_image = fairing::env("BASE", "python:3.11-slim"),
                                   .registry = fairing::env("REGISTRY", "")},
            fairing::JobDeployer{.kubernetes = kubernetes, .runs = 2}};
        launcher.run(session);
    });
}
