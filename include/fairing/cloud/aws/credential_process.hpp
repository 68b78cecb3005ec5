// fairing/cloud/aws/credential_process.hpp - keys from a program that a profile names
// (docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../../core/process.hpp"
#include "../connection.hpp"
#include "signature.hpp"

namespace fairing::cloud::aws {

namespace detail {

[[nodiscard]] inline Error no_keys(const std::string& source, std::string answer,
                                   std::string advice = {}) {
    return Error{ErrorCode::denied,
                 {.attempted = "use AWS credentials from",
                  .subject = source,
                  .answer = std::move(answer),
                  .advice = std::move(advice)}};
}

/// The words of a command line, with the quotes of a shell and nothing else of it. Throws
/// Error{denied} for a quote that stays open.
[[nodiscard]] inline std::vector<std::string> words_of(std::string_view line,
                                                       const std::string& source) {
    std::vector<std::string> words;
    bool is_in_word = false;
    char quote = '\0';
    for (std::size_t i = 0; i < line.size(); ++i) {
        const char c = line[i];
        if (quote == '\0' && (c == ' ' || c == '\t')) {
            is_in_word = false;
            continue;
        }
        if (!std::exchange(is_in_word, true)) {
            words.emplace_back();
        }
        const char next = i + 1 < line.size() ? line[i + 1] : '\0';
        if (c == '\\' && next != '\0' && quote != '\'' &&
            (quote == '\0' || next == '"' || next == '\\')) {
            words.back() += next;
            ++i;
        } else if (c == quote) {
            quote = '\0';
        } else if (quote == '\0' && (c == '"' || c == '\'')) {
            quote = c;
        } else {
            words.back() += c;
        }
    }
    if (quote != '\0' || words.empty()) {
        throw no_keys(source, "its credential_process is no command, or has an open quote");
    }
    return words;
}

}  // namespace detail

inline namespace FAIRING_ABI {

/// Runs the program, without a shell, and reads the JSON that it prints. Throws Error that names
/// it, never what it wrote.
[[nodiscard]] inline Credentials credentials_by_process(const Connection& connection,
                                                        std::string_view line,
                                                        const std::string& profile) {
    const std::string source = "credential_process of " + profile;
    const CommandResult result =
        run({.arguments = detail::words_of(line, source)}, {}, connection.control.stop);
    if (result.exit_code != 0) {
        throw detail::no_keys(source, "it " + result.reason(), "run it by hand to see why");
    }
    const Json document = parse_json(result.output, "what " + source + " printed");
    Credentials found{.access_key_id = text_or(document, "AccessKeyId"),
                      .secret_access_key = Secret{text_or(document, "SecretAccessKey")},
                      .session_token = Secret{text_or(document, "SessionToken")},
                      .expires = parse_utc(text_or(document, "Expiration")),
                      .source = source};
    if (!document.is_object() || document.value("Version", Json()) != 1) {
        throw detail::no_keys(source, "it does not say \"Version\": 1");
    }
    if (found.access_key_id.empty() || found.secret_access_key.empty()) {
        throw detail::no_keys(source, "it gave no keys");
    }
    if (found.expires && *found.expires <= connection.control.now()) {
        throw detail::no_keys(source, "it gave keys that have ended");
    }
    return found;
}

}  // inline namespace FAIRING_ABI

}  // namespace fairing::cloud::aws
