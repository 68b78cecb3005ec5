// tools/fairing/objects.cpp - see objects.hpp.
#include "objects.hpp"

#include <cstdio>
#include <fairing/core/yaml.hpp>

namespace command {

std::shared_ptr<std::string> add_output_option(CLI::App& parser) {
    auto format = std::make_shared<std::string>(FAIRING_YAML ? "yaml" : "json");
    parser.add_option("--output", *format, "yaml or json")
        ->check(CLI::IsMember({"yaml", "json"}))
        ->capture_default_str();
    return format;
}

void print_objects(const std::vector<fairing::Json>& objects, const std::string& format) {
    std::string text;
    for (const fairing::Json& object : objects) {
        text += format == "yaml" ? (text.empty() ? "" : "---\n") + fairing::to_yaml(object)
                                 : object.dump(2) + '\n';
    }
    std::fwrite(text.data(), 1, text.size(), stdout);
}

}  // namespace command
