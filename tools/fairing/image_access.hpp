// tools/fairing/image_access.hpp - what subcommands that look at images share: how they reach them.
#pragma once

#include <CLI/CLI.hpp>
#include <fairing/stage/registry_access.hpp>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>

#include "console.hpp"
#include "options.hpp"

namespace command {

/// Where an image is, as --help says it.
inline constexpr const char* image_forms =
    "HOST/NAME[:TAG][@DIGEST], oci:DIR[:TAG][@DIGEST] or docker-archive:FILE[:NAME:TAG]";

struct ImageAccess {
    std::string config_file = {};
    fairing::RegistryAccess registry = {};

    void add_to(CLI::App& parser) {
        parser.add_option("--config-file", config_file,
                          "where \"registries\" stand (default: ./fairing.json, if there is one)");
        parser.add_option("--ca-file", registry.ca_file,
                          "PEM file of the certificate authorities to trust");
        parser.add_flag("--insecure", registry.insecure, "speak plain http to the registry");
    }
    [[nodiscard]] fairing::Session session(std::stop_token stop) const {
        fairing::Session session = console(std::move(stop), Verbosity::normal, nullptr);
        session.registries = registries_of(read_config(config_file));
        return session;
    }
    [[nodiscard]] std::unique_ptr<fairing::oci::Store> open(
        const fairing::oci::Reference& reference, const fairing::Session& session) const {
        return fairing::open_store(reference, session, registry);
    }
};

}  // namespace command
