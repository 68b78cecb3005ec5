// fairing/registry/credentials.hpp - who we are at a registry: what the program gives us, else
// Docker's config.json and containers-auth.json(5), and the helpers that they name.
#pragma once

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../codec/base64.hpp"
#include "../core/control.hpp"
#include "../core/credential.hpp"
#include "../core/env.hpp"
#include "../core/files.hpp"
#include "../core/json_text.hpp"
#include "credential_helper.hpp"
#include "login.hpp"

namespace fairing::registry {

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

/// Docker Hub has several names.
inline constexpr std::array<const char*, 3> hub_names = {"docker.io", "index.docker.io",
                                                         "registry-1.docker.io"};
[[nodiscard]] inline bool is_hub(const std::string& host) {
    return std::find(hub_names.begin(), hub_names.end(), host) != hub_names.end();
}

/// The names under which a repository's credentials may be kept, the most particular first.
[[nodiscard]] inline std::vector<std::string> credential_names(const std::string& host,
                                                               const std::string& repository) {
    std::vector<std::string> hosts = {host};
    if (is_hub(host)) {
        hosts.assign(hub_names.begin(), hub_names.end());
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
    std::string user = text_or(entry, "username");
    Secret password{text_or(entry, "password")};
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
        user = pair.substr(0, colon);
        password = Secret{pair.substr(colon + 1)};
    }
    Login login = login_of(std::move(user), std::move(password), file.string());
    if (Secret token{text_or(entry, "identitytoken")}; !token.empty()) {
        login.identity_token = std::move(token);
    }
    login.bearer_token = Secret{text_or(entry, "registrytoken")};
    return login.empty() ? std::nullopt : std::optional<Login>{std::move(login)};
}

/// The first of `names` that has an entry in `auths`.
[[nodiscard]] inline std::optional<Login> find_entry(const Json& document,
                                                     const std::vector<std::string>& names,
                                                     const std::filesystem::path& file) {
    const Json entries = document.value("auths", Json());
    for (const std::string& name : entries.is_object() ? names : std::vector<std::string>{}) {
        for (const auto& [key, entry] : entries.items()) {
            if (normal_key(key) != name) {
                continue;
            }
            if (auto login = read_entry(entry, file)) {
                return login;
            }
        }
    }
    return std::nullopt;
}

/// The helper program that keeps the secret of this host; empty when there is none, also where an
/// empty name in `credHelpers` takes the host out of the store.
[[nodiscard]] inline std::string helper_for(const Json& document,
                                            const std::vector<std::string>& names) {
    const Json helpers = document.value("credHelpers", Json());
    for (const std::string& name : helpers.is_object() ? names : std::vector<std::string>{}) {
        for (const auto& [key, helper] : helpers.items()) {
            if (normal_key(key) == name && helper.is_string()) {
                return helper.get<std::string>();
            }
        }
    }
    return text_or(document, "credsStore");
}

}  // namespace detail

/// What `file` and the helper that it names hold for the repository: the helper of the host, then
/// the store of all hosts, then the entries, the whole repository's before its host's; nullopt when
/// there is no file or no entry. Throws Error that names the file when it, or the helper, can not
/// be read or understood.
[[nodiscard]] inline std::optional<Login> find_login(const std::filesystem::path& file,
                                                     const std::string& host,
                                                     const std::string& repository,
                                                     const Control& control) {
    const std::optional<Json> document = detail::read_credential_file(file);
    if (!document) {
        return std::nullopt;
    }
    const std::vector<std::string> names = detail::credential_names(host, repository);
    if (const std::string helper = detail::helper_for(*document, names); !helper.empty()) {
        const std::string server = detail::is_hub(host) ? "https://index.docker.io/v1/" : host;
        if (auto login = CredentialHelper{.name = helper, .file = file}.get(server, control)) {
            return login;
        }
    }
    return detail::find_entry(*document, names, file);
}

/// Who is asked for a login, one after the other.
struct CredentialSources {
    CredentialsProvider program = {};
    std::vector<std::filesystem::path> files = {};
    CredentialsProvider keychain = {};  ///< for hosts whose cloud gives short-lived credentials
};

/// What the first of the sources that has an answer gives; nullopt means anonymous.
[[nodiscard]] inline std::optional<Login> find_login(const CredentialSources& sources,
                                                     const std::string& host,
                                                     const std::string& repository,
                                                     const Control& control) {
    const auto ask = [&host](const CredentialsProvider& provider,
                             const char* source) -> std::optional<Login> {
        const auto given =
            provider ? provider({.service = Service::registry, .host = host}) : std::nullopt;
        if (!given) {
            return std::nullopt;
        }
        Login login = login_of(given->user, given->password, source);
        login.bearer_token = given->token;
        return login;
    };
    if (auto login = ask(sources.program, "the program")) {
        return login;
    }
    for (const std::filesystem::path& file : sources.files) {
        if (auto login = find_login(file, host, repository, control)) {
            return login;
        }
    }
    return ask(sources.keychain, "the cloud's own");
}

}  // namespace fairing::registry
