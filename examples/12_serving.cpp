// A Python class as an endpoint: Seldon's server, which BASE brings, loads it; one is asked for a
// prediction, and removed.
//     BASE=seldonio/seldon-core-s2i-python3:1.18.0 REGISTRY=registry.example/team 12_serving
#include <fairing.hpp>

int main() {
    return fairing::run_main([](const fairing::Session& session) {
        const fairing::Fairing launcher{
            fairing::PythonPreprocessor{.executable = "examples/Houses.py",
                                        .input_files = {"examples/data/"},
                                        .output_map = {{"examples/Houses.py", "Houses.py"}}},
            fairing::AppendBuilder{.base_image = fairing::env("BASE", ""),
                                   .registry = fairing::env("REGISTRY", "")},
            fairing::ServingDeployer{
                .kubernetes = {.namespace_ = fairing::env("NAMESPACE", "default")},
                .serving_class = "Houses",
                .port = std::stoi(fairing::env("PORT", "5000"))}};
        const fairing::Endpoint endpoint = launcher.run(session);
        const fairing::RemoveOnExit guard{endpoint};
        const fairing::Json answer =
            endpoint.predict({{"data", {{"names", {"area_m2"}}, {"ndarray", {{82.0}, {154.1}}}}}});
        std::cout << endpoint.url() << ' ' << answer["data"]["ndarray"].dump() << '\n';
    });
}
