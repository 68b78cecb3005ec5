// tools/fairing/inspect.cpp - fairing inspect: the layers, sizes, command and base of an image.
#include <cstdio>
#include <fairing.hpp>
#include <memory>

#include "console.hpp"
#include "subcommands.hpp"

namespace command {

using fairing::Json;

namespace {

struct InspectOptions {
    std::string image = {}, platform = {}, ca_file = {}, format = "text";
    bool insecure = false;
};

[[nodiscard]] Json describe(const fairing::oci::Image& image, const std::string& digest,
                            const std::string& reference) {
    Json layers = Json::array();
    const auto descriptors = image.layers();
    const auto diff_ids = image.diff_ids();
    const std::size_t first_own = descriptors.size() - fairing::oci::own_layers(image);
    for (std::size_t i = 0; i < descriptors.size(); ++i) {
        layers.push_back({{"digest", descriptors[i].digest},
                          {"diff_id", diff_ids[i]},
                          {"media_type", descriptors[i].media_type},
                          {"size", descriptors[i].size},
                          {"origin", i < first_own ? "base" : "fairing"}});
    }
    const Json annotations = image.manifest.value("annotations", Json::object());
    return {{"reference", reference},
            {"digest", digest},
            {"media_type", image.media_type()},
            {"platform", image.platform().text()},
            {"layers", std::move(layers)},
            {"entrypoint", image.setting("Entrypoint")},
            {"command", image.setting("Cmd")},
            {"working_directory", image.setting("WorkingDir")},
            {"environment", image.setting("Env")},
            {"user", image.setting("User")},
            {"base", fairing::text_or(annotations, "org.opencontainers.image.base.name")}};
}

[[nodiscard]] std::string words(const Json& list) {
    std::string text;
    for (const Json& word : list.is_array() ? list : Json::array()) {
        text +=
            (text.empty() ? "" : " ") + (word.is_string() ? word.get<std::string>() : word.dump());
    }
    return text;
}

void print_text(const Json& image) {
    const auto line = [](const char* name, const std::string& value) {
        if (!value.empty()) {
            std::printf("%-12s %s\n", name, value.c_str());
        }
    };
    line("image", image["reference"]);
    line("digest", image["digest"]);
    line("type", image["media_type"]);
    line("platform", image["platform"]);
    line("base", image["base"]);
    line("entrypoint", words(image["entrypoint"]));
    line("command", words(image["command"]));
    line("directory", image["working_directory"].is_string()
                          ? image["working_directory"].get<std::string>()
                          : "");
    line("user", image["user"].is_string() ? image["user"].get<std::string>() : "");
    for (const Json& variable :
         image["environment"].is_array() ? image["environment"] : Json::array()) {
        line("environment", variable);
    }
    std::uint64_t total = 0;
    for (const Json& layer : image["layers"]) {
        const auto size = layer["size"].get<std::uint64_t>();
        total += size;
        line("layer", layer["digest"].get<std::string>() + "  " + human_bytes(size) + "  " +
                          layer["origin"].get<std::string>());
    }
    line("size", human_bytes(total) + " in " + std::to_string(image["layers"].size()) + " layers");
}

}  // namespace

Action add_inspect(CLI::App& app) {
    CLI::App* parser = app.add_subcommand(
        "inspect",
        "Show the layers, sizes, command and base of an image in a registry or oci:DIR.");
    auto options = std::make_shared<InspectOptions>();
    parser
        ->add_option("IMAGE", options->image, "HOST/NAME[:TAG][@DIGEST] or oci:DIR[:TAG][@DIGEST]")
        ->required();
    parser->add_option("--platform", options->platform,
                       "OS/ARCHITECTURE of a multi-platform image");
    parser->add_option("--ca-file", options->ca_file,
                       "PEM file of the certificate authorities to trust");
    parser->add_flag("--insecure", options->insecure, "speak plain http to the registry");
    parser->add_option("--output", options->format, "text or json")
        ->check(CLI::IsMember({"text", "json"}))
        ->capture_default_str();
    return [options](const std::vector<std::string>&) {
        const fairing::StopOnSignal signals;
        const fairing::Session session = console(signals.token(), Verbosity::normal, nullptr);
        const fairing::oci::Reference reference = fairing::oci::parse_reference(options->image);
        const auto store = fairing::registry::open_store(
            reference,
            fairing::registry_options(session,
                                      {.insecure = options->insecure, .ca_file = options->ca_file}),
            session.control());
        const fairing::oci::StoredImage stored = fairing::oci::load_image(
            *store, reference.wanted(), fairing::oci::parse_platform(options->platform),
            options->image);
        const Json image = describe(stored.image, stored.manifest.digest, options->image);
        if (options->format == "json") {
            std::printf("%s\n", image.dump(2).c_str());
        } else {
            print_text(image);
        }
        return 0;
    };
}

}  // namespace command
