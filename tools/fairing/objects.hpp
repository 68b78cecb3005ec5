// tools/fairing/objects.hpp - printing JSON documents as the user wants them.
#pragma once

#include <CLI/CLI.hpp>
#include <fairing/core/json.hpp>
#include <memory>
#include <string>
#include <vector>

namespace command {

/// Adds --output FORMAT|json, by default FORMAT, or json where there is no YAML; what it points to
/// has the choice once the command line is parsed.
[[nodiscard]] std::shared_ptr<std::string> add_output_option(CLI::App& parser,
                                                             const std::string& format = "yaml");

/// To stdout, in this order.
void print_objects(const std::vector<fairing::Json>& objects, const std::string& format);

}  // namespace command
