// tools/fairing/objects.cpp - see objects.hpp.
#include "objects.hpp"

#include <cstdio>
#include <fairing/core/yaml.hpp>

namespace command {

std::shared_ptr<std::string> add_output_option(CLI::App& parser, const std::string& format) {
    const bool is_there = FAIRING_YAML || format != "yaml";
    auto chosen = std::make_shared<std::string>(is_there ? format : "json");
    parser.add_option("--output", *chosen, format + " or json")
        ->check(CLI::IsMember({format, std::string{"json"}}))
        ->capture_default_str();
    return chosen;
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
