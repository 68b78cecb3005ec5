// fairing/registry/credential_helper.hpp - a program that keeps secrets for Docker's config.json
// (docker-credential-helpers: `docker-credential-NAME get`).
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "../core/control.hpp"
#include "../core/error.hpp"
#include "../core/json_text.hpp"
#include "../core/process.hpp"
#include "login.hpp"

namespace fairing::registry {

struct CredentialHelper {
    std::string name = {};            ///< "ecr-login"
    std::filesystem::path file = {};  ///< that names it
    std::chrono::milliseconds time_limit = std::chrono::seconds{10};

    /// What it keeps for `server`; nullopt when it says that it keeps nothing. Throws Error{denied}
    /// or Error{timeout} for everything else that it does; it is dead then. Nothing that it wrote
    /// is in an error, since that may hold the secret.
    [[nodiscard]] std::optional<Login> get(const std::string& server,
                                           const Control& control) const {
        const bool plain = !name.empty() && name.front() != '.' &&
                           name.find_first_not_of(
                               "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUV"
                               "WXYZ0123456789._-") == std::string::npos;
        if (!plain) {
            throw refuse(ErrorCode::denied, server, "it is not the name of a helper", {});
        }
        const CommandResult result = ask(server, control);
        const std::string output = trimmed(result.output);
        if (result.exit_code != 0) {
            if (output == "credentials not found in native keychain") {
                return std::nullopt;
            }
            throw refuse(ErrorCode::denied, server,
                         "it ended with exit code " + std::to_string(result.exit_code),
                         "run `echo " + server + " | " + program() + " get` to see why");
        }
        const Json answer = Json::parse(output, nullptr, false);
        if (!answer.is_object()) {
            throw refuse(ErrorCode::denied, server, "it did not answer with a JSON object", {});
        }
        Login login = login_of(text_or(answer, "Username"), Secret{text_or(answer, "Secret")},
                               program() + ", which " + file.string() + " names");
        return login.empty() ? std::nullopt : std::optional<Login>{std::move(login)};
    }

private:
    [[nodiscard]] std::string program() const { return "docker-credential-" + name; }

    [[nodiscard]] Error refuse(ErrorCode code, const std::string& server, std::string answer,
                               std::string advice) const {
        return Error{
            code,
            {.attempted = "get credentials for",
             .subject = server + " from " + program() + ", which " + file.string() + " names",
             .answer = std::move(answer),
             .advice = std::move(advice)}};
    }
    [[nodiscard]] CommandResult ask(const std::string& server, const Control& control) const {
        try {
            return run({.arguments = {program(), "get"}},
                       {.input = server, .time_limit = time_limit}, control.stop);
        } catch (const Cancelled&) {
            throw;
        } catch (const Error& error) {
            const bool missing = error.code() == ErrorCode::not_found;
            throw refuse(
                error.code() == ErrorCode::timeout ? ErrorCode::timeout : ErrorCode::denied, server,
                missing ? "there is no such program" : error.details().answer,
                missing ? "install it, or take its name out of the file" : "");
        }
    }
    [[nodiscard]] static std::string trimmed(const std::string& text) {
        constexpr const char* space = " \t\r\n";
        const std::size_t begin = text.find_first_not_of(space);
        return begin == std::string::npos
                   ? std::string{}
                   : text.substr(begin, text.find_last_not_of(space) + 1 - begin);
    }
};

}  // namespace fairing::registry
