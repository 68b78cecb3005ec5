// fairing/registry/login.hpp - what is shown to a registry or its token server, whoever it is from.
#pragma once

#include <string>
#include <utility>

#include "../core/secret.hpp"

namespace fairing::registry {

struct Login {
    std::string user = {};
    Secret password = {};
    Secret identity_token = {};  ///< a refresh token, to be exchanged for bearer tokens
    Secret bearer_token = {};    ///< sent as it is
    std::string source = {};     ///< for errors: a file, a helper, or "the program"

    [[nodiscard]] bool empty() const noexcept {
        return user.empty() && password.empty() && identity_token.empty() && bearer_token.empty();
    }
};

/// A user and a secret. Two users have no password but an identity token: "<token>", as credential
/// helpers write it, and the all-zero one of Azure, which may show it as a password too.
[[nodiscard]] inline Login login_of(std::string user, Secret secret, std::string source) {
    if (user == "<token>") {
        return {.identity_token = std::move(secret), .source = std::move(source)};
    }
    Login login{
        .user = std::move(user), .password = std::move(secret), .source = std::move(source)};
    if (login.user == "00000000-0000-0000-0000-000000000000") {
        login.identity_token = login.password;
    }
    return login;
}

}  // namespace fairing::registry
