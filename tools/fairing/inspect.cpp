// tools/fairing/inspect.cpp - fairing inspect: the layers, sizes, command and base of an image.
#include <cstdio>
#include <fairing.hpp>
#include <memory>

#include "console.hpp"
#include "image_access.hpp"
#include "subcommands.hpp"

namespace command {

using fairing::Json;

namespace {

struct InspectOptions {
    std::string image = {}, platform = {}, format = "text";
    bool manifest = false, config = false, layers = false, referrers = false;
    ImageAccess access = {};
};

/// What a document states is printed to terminals: no control characters.
[[nodiscard]] std::string shown(const Json& object, const char* key) {
    return fairing::codec::visible(fairing::text_or(object, key));
}

/// One line for each descriptor: digest, size, type.
void print_descriptors(const Json& descriptors, const char* type, bool as_json) {
    if (as_json) {
        std::printf("%s\n", descriptors.dump(2).c_str());
        return;
    }
    for (const Json& each : descriptors) {
        const Json size = each.is_object() ? each.value("size", Json(0)) : Json(0);
        std::printf("%s  %s  %s\n", shown(each, "digest").c_str(),
                    human_bytes(size.is_number() ? size.get<std::uint64_t>() : 0).c_str(),
                    shown(each, type).c_str());
    }
}

/// The manifest or index as it is stored, byte for byte; of an index the image of `platform`, when
/// one is given.
[[nodiscard]] fairing::oci::RawManifest find_raw(fairing::oci::Store& store,
                                                 const std::string& wanted,
                                                 const InspectOptions& options) {
    fairing::oci::RawManifest raw = fairing::oci::detail::find_image(store, wanted, options.image);
    if (!options.platform.empty() && fairing::oci::media_type::is_index(raw.media_type)) {
        const auto chosen =
            fairing::oci::select(fairing::oci::parse_manifest(raw, options.image),
                                 fairing::oci::parse_platform(options.platform), options.image);
        raw = fairing::oci::detail::find_image(store, chosen.digest, options.image);
    }
    return raw;
}

/// True when one part was asked for, which is printed.
[[nodiscard]] bool print_part(fairing::oci::Store& store, const std::string& wanted,
                              const InspectOptions& options) {
    const bool as_json = options.format == "json";
    if (options.manifest) {
        const std::string body = find_raw(store, wanted, options).body;
        std::fwrite(body.data(), 1, body.size(), stdout);
        return true;
    }
    if (options.referrers) {
        const std::string digest = find_raw(store, wanted, options).descriptor().digest;
        print_descriptors(store.find_referrers(digest), "artifactType", as_json);
        return true;
    }
    if (!options.config && !options.layers) {
        return false;
    }
    const fairing::oci::Image image =
        fairing::oci::load_image(store, wanted, fairing::oci::parse_platform(options.platform),
                                 options.image)
            .image;
    if (options.layers) {
        print_descriptors(image.manifest.at("layers"), "mediaType", as_json);
        return true;
    }
    store.read_blob(fairing::oci::Descriptor::from(image.manifest.at("config"), options.image),
                    [](std::span<const std::byte> bytes) {
                        std::fwrite(bytes.data(), 1, bytes.size(), stdout);
                    });
    return true;
}

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

Action set_up_inspect(CLI::App& parser) {
    auto options = std::make_shared<InspectOptions>();
    parser.add_option("IMAGE", options->image, image_forms)->required();
    parser.add_option("--platform", options->platform, "OS/ARCHITECTURE of a multi-platform image");
    CLI::Option_group* parts = parser.add_option_group("one part of it alone");
    parts->add_flag("--manifest", options->manifest,
                    "the manifest as it is stored, byte for byte; an index, unless --platform");
    parts->add_flag("--config", options->config, "the config as it is stored, byte for byte");
    parts->add_flag("--layers", options->layers, "its layers: digest, size and type");
    parts->add_flag("--referrers", options->referrers,
                    "what refers to it, such as signatures: digest, size and type");
    parts->require_option(0, 1);
    options->access.add_to(parser);
    parser.add_option("--output", options->format, "text or json")
        ->check(CLI::IsMember({"text", "json"}))
        ->capture_default_str();
    return [options](const std::vector<std::string>&) {
        const fairing::StopOnSignal signals;
        const fairing::Session session = options->access.session(signals.token());
        const fairing::oci::Reference reference = fairing::oci::parse_reference(options->image);
        const auto store = options->access.open(reference, session);
        if (print_part(*store, reference.wanted(), *options)) {
            return 0;
        }
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
