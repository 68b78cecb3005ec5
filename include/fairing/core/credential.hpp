// fairing/core/credential.hpp - how a program hands us credentials of its own.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "secret.hpp"

namespace fairing {

enum class Service { registry, kubernetes, aws, google, azure, pipelines };

/// Who asks: a service, and the host as it is written in references ("registry.example:5000").
struct CredentialRequest {
    Service service = Service::registry;
    std::string host = {};
};

/// A user and password, or a token.
struct Credential {
    std::string user = {};
    Secret password = {};
    Secret token = {};
};

/// nullopt goes on to the built-in chain.
using CredentialsProvider = std::function<std::optional<Credential>(const CredentialRequest&)>;

}  // namespace fairing
