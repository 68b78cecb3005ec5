// The stages by name, with their fields as JSON, as Fairing's config has them; here the builder:
//     06_builders [append | docker | podman | cluster] [MORE-FIELDS]
// append needs nothing but a registry, or a folder. docker and podman ask the engine of DOCKER_HOST
// or CONTAINER_HOST. cluster builds in a pod, from where the image is pushed.
#include <fairing.hpp>

int main(int argc, char** argv) {
    return fairing::run_main([&](const fairing::Session& session) {
        const std::string builder = argc > 1 ? argv[1] : "append";
        fairing::Json fields = {{"registry", fairing::env("REGISTRY", "oci:build/built-image")},
                                {"base_image", fairing::env("BASE", "scratch")}};
        fields.update(fairing::parse_json(argc > 2 ? argv[2] : "{}", "MORE-FIELDS"));
        fairing::Config config;
        config
            .set_preprocessor("python", {{"executable", "examples/train.py"},
                                         {"input_files", {"examples/data/"}}})
            .set_builder(builder, fields)
            .set_deployer("local");
        config.run(session);
    });
}
