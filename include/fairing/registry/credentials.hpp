// fairing/registry/credentials.hpp - who we are at a registry: what the program gives us, else
// Docker's config.json and containers-auth.json(5).
#pragma once

#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "../codec/base64.hpp"
#include "../core/control.hpp"
#include "../core/credential.hpp"
#include "../core/env.hpp"
#include "../core/files.hpp"
#include "../core/json_text.hpp"

namespace fairing::registry {

/// What to show a registry, and where it is from.
struct Login {
    std::string user = {};
    Secret password = {};
    Secret identity_token = {};  ///< a refresh token, to be exchanged for bearer tokens
    Secret bearer_token = {};    ///< sent as it is
    std::string source = {};     ///< for errors: a file, or "the program"
};

/// The files that may hold credentials, in the order in which they are asked; whether they exist
/// does not matter.
[[nodiscard]] inline std::vector<std::filesystem::path> credential_files() {
    std::vector<std::filesystem::path> files;
    const auto add = [&files](const std::optional<std::string>& base, const char* rest) {
        if (base && !base->empty()) {
            files.push_back(*rest == '\0' ? std::filesystem::path{*base}
                                          : std::filesystem::path{*base} / rest);
        }
    };
    const auto home = env("HOME");
    if (const auto docker = env("DOCKER_CONFIG"); docker && !docker->empty()) {
        add(docker, "config.json");
    } else {
        add(home, ".docker/config.json");
    }
    add(env("REGISTRY_AUTH_FILE"), "");
    add(env("XDG_RUNTIME_DIR"), "containers/auth.json");
    if (const auto config = env("XDG_CONFIG_HOME"); config && !config->empty()) {
        add(config, "containers/auth.json");
    } else {
        add(home, ".config/containers/auth.json");
    }
    return files;
}

namespace detail {

[[nodiscard]] inline Error bad_credential_file(const std::filesystem::path& file,
                                               std::string answer,
                                               ErrorCode code = ErrorCode::input) {
    return Error{code,
                 {.attempted = "read credentials from",
                  .subject = file.string(),
                  .answer = std::move(answer)}};
}

/// The document in `file`; nullopt when there is no such file. No error quotes its contents.
[[nodiscard]] inline std::optional<Json> read_credential_file(const std::filesystem::path& file) {
    constexpr std::size_t largest = std::size_t{1} << 20;
    std::string text;
    try {
        text = read_file(file, largest);
    } catch (const Error& error) {
        if (error.code() == ErrorCode::not_found) {
            return std::nullopt;
        }
        throw bad_credential_file(file, error.details().answer, error.code());
    }
    Json document = parse_json(text, file.string());
    if (!document.is_object()) {
        throw bad_credential_file(file, "it is not a JSON object");
    }
    return document;
}

/// A key of `auths` as "host/path": without scheme and without the /v1/ or /v2/ that old clients
/// wrote.
[[nodiscard]] inline std::string normal_key(std::string_view key) {
    for (const std::string_view scheme : {"https://", "http://"}) {
        if (key.starts_with(scheme)) {
            key.remove_prefix(scheme.size());
        }
    }
    if (key.ends_with('/')) {
        key.remove_suffix(1);
    }
    if (const std::size_t slash = key.find('/');
        slash != std::string_view::npos &&
        (key.substr(slash) == "/v1" || key.substr(slash) == "/v2")) {
        key = key.substr(0, slash);
    }
    return std::string{key};
}

/// The names under which a repository's credentials may be kept, the most particular first.
[[nodiscard]] inline std::vector<std::string> credential_names(const std::string& host,
                                                               const std::string& repository) {
    constexpr std::array<const char*, 3> hub = {"docker.io", "index.docker.io",
                                                "registry-1.docker.io"};
    std::vector<std::string> hosts = {host};
    for (const char* name : hub) {
        if (host == name) {
            hosts.assign(hub.begin(), hub.end());
            break;
        }
    }
    std::vector<std::string> names;
    for (std::string path = '/' + repository;;) {
        for (const std::string& name : hosts) {
            names.push_back(path == "/" ? name : name + path);
        }
        if (path.empty()) {
            return names;
        }
        path.resize(path == "/" ? 0 : path.rfind('/'));
    }
}

/// What one entry of `auths` says; nullopt when it says nothing, as when a helper keeps the secret.
[[nodiscard]] inline std::optional<Login> read_entry(const Json& entry,
                                                     const std::filesystem::path& file) {
    Login login{.user = text_or(entry, "username"),
                .password = Secret{text_or(entry, "password")},
                .identity_token = Secret{text_or(entry, "identitytoken")},
                .bearer_token = Secret{text_or(entry, "registrytoken")},
                .source = file.string()};
    if (const std::string auth = text_or(entry, "auth"); !auth.empty()) {
        std::string pair;
        try {
            pair = codec::base64_decode(auth);
        } catch (const Error&) {
            throw bad_credential_file(file, "an `auth` entry is not Base64");
        }
        pair.resize(std::min(pair.find_last_not_of('\0') + 1, pair.size()));
        const std::size_t colon = pair.find(':');
        if (colon == std::string::npos) {
            throw bad_credential_file(file, "an `auth` entry holds no colon");
        }
        login.user = pair.substr(0, colon);
        login.password = Secret{pair.substr(colon + 1)};
    }
    const bool empty = login.user.empty() && login.password.empty() &&
                       login.identity_token.empty() && login.bearer_token.empty();
    return empty ? std::nullopt : std::optional<Login>{login};
}

/// Whether `document` leaves the secret of this host to a helper program.
[[nodiscard]] inline std::string helper_for(const Json& document,
                                            const std::vector<std::string>& names) {
    const Json helpers = document.value("credHelpers", Json());
    if (helpers.is_object()) {
        for (const auto& [key, helper] : helpers.items()) {
            for (const std::string& name : names) {
                if (normal_key(key) == name && helper.is_string()) {
                    return helper.get<std::string>();
                }
            }
        }
    }
    return text_or(document, "credsStore");
}

}  // namespace detail

/// What `file` holds for the repository, the whole repository's entry before its host's; nullopt
/// when there is no file or no entry. A credential helper that would be asked for this host is
/// reported as a warning. Throws Error that names the file when it can not be read or understood.
[[nodiscard]] inline std::optional<Login> find_login(const std::filesystem::path& file,
                                                     const std::string& host,
                                                     const std::string& repository,
                                                     const Control& control) {
    const std::optional<Json> document = detail::read_credential_file(file);
    if (!document) {
        return std::nullopt;
    }
    const std::vector<std::string> names = detail::credential_names(host, repository);
    const Json entries = document->value("auths", Json());
    if (entries.is_object()) {
        for (const std::string& name : names) {
            for (const auto& [key, entry] : entries.items()) {
                if (detail::normal_key(key) != name) {
                    continue;
                }
                if (auto login = detail::read_entry(entry, file)) {
                    return login;
                }
            }
        }
    }
    if (const std::string helper = detail::helper_for(*document, names); !helper.empty()) {
        control.say(Level::warning, file.string() + " leaves the credentials for " + host +
                                        " to the helper docker-credential-" + helper +
                                        ", which is not asked; continuing without it");
    }
    return std::nullopt;
}

/// What `provider` gives, else what the first of `files` with an entry holds; nullopt means
/// anonymous. A Credential whose user is "<token>" carries an identity token as its password, as
/// credential helpers do.
[[nodiscard]] inline std::optional<Login> find_login(
    const CredentialsProvider& provider, const std::vector<std::filesystem::path>& files,
    const std::string& host, const std::string& repository, const Control& control) {
    if (provider) {
        if (auto given = provider({.service = Service::registry, .host = host})) {
            Login login{.user = given->user, .bearer_token = given->token, .source = "the program"};
            (given->user == "<token>" ? login.identity_token : login.password) = given->password;
            if (given->user == "<token>") {
                login.user.clear();
            }
            return login;
        }
    }
    for (const std::filesystem::path& file : files) {
        if (auto login = find_login(file, host, repository, control)) {
            return login;
        }
    }
    return std::nullopt;
}

}  // namespace fairing::registry
