// fairing/stage/registries.hpp - how single registries are reached: mirrors, certificates, plain
// http; what registries.conf is for other tools.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace fairing {

struct RegistrySettings {
    /// "HOST[:PORT][/PREFIX]", asked in this order before the registry itself, for base images.
    std::vector<std::string> mirrors = {};
    bool insecure = false;                   ///< plain http
    std::string ca_file = {};                ///< PEM file of the certificate authorities to trust
    std::string certificate = {}, key = {};  ///< PEM files: who we are to it
};

/// By host, as it stands in references: "registry.example:5000"; Docker Hub's is "docker.io".
using Registries = std::map<std::string, RegistrySettings>;

}  // namespace fairing
