// fairing/cloud/aws/sso.hpp - a role's keys by the login that `aws sso login` has left in
// ~/.aws/sso/cache (docs.aws.amazon.com/singlesignon/latest/PortalAPIReference).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <system_error>

#include "../../core/clock.hpp"
#include "../../core/files.hpp"
#include "client.hpp"
#include "credential_process.hpp"

namespace fairing::cloud::aws {

/// What a profile says of its login.
struct SsoLogin {
    std::string start_url = {}, region = {}, account = {}, role = {};
};

namespace detail {

/// The login's token. Files are found by what they hold: their names are digests. Throws
/// Error{denied} when there is none that still holds, and names the files that can not be read.
[[nodiscard]] inline Secret sso_token(const Connection& connection, const std::string& start_url,
                                      const std::string& source, const std::string& advice) {
    std::string unread;
    std::error_code failure;
    std::filesystem::directory_iterator entry{connection.in_home(".aws/sso/cache"), failure};
    for (; entry != std::filesystem::directory_iterator{}; entry.increment(failure)) {
        const std::filesystem::path path = entry->path();
        if (path.extension() != ".json" || !entry->is_regular_file(failure)) {
            continue;
        }
        try {
            const Json cached = parse_json(read_file(path, std::size_t{1} << 20), path.string());
            const auto end = parse_utc(text_or(cached, "expiresAt"));
            if (text_or(cached, "startUrl") == start_url && end &&
                *end > connection.control.now() && !text_or(cached, "accessToken").empty()) {
                return Secret{text_or(cached, "accessToken")};
            }
        } catch (const Error& error) {
            unread += std::string{unread.empty() ? "" : ", "} + error.what();
        }
    }
    throw no_keys(source,
                  "there is none that still holds" + (unread.empty() ? "" : " (" + unread + ')'),
                  advice);
}

}  // namespace detail

inline namespace FAIRING_ABI {

/// Throws Error{denied} that says how to log in when nobody is.
[[nodiscard]] inline Credentials credentials_by_sso(const Connection& connection,
                                                    const SsoLogin& login,
                                                    const std::string& profile) {
    const std::string source = "the login of profile " + profile;
    const std::string advice = "run aws sso login --profile " + profile;
    for (const std::string& each : {login.start_url, login.region, login.account, login.role}) {
        if (each.empty()) {
            throw detail::no_keys(source,
                                  "sso_start_url, sso_region, sso_account_id and sso_role_name "
                                  "are not all set");
        }
    }
    check_region(login.region);
    const Secret token = detail::sso_token(connection, login.start_url, source, advice);
    const std::string endpoint = service_endpoint(connection, "portal.sso", login.region);
    check_token_url(endpoint);
    const net::Answer answer = connection.send(
        {.url = endpoint + "/federation/credentials?role_name=" + net::percent_encode(login.role) +
                "&account_id=" + net::percent_encode(login.account),
         .headers = {{"x-amz-sso_bearer_token", token.reveal()}},
         .max_body = std::uint64_t{1} << 20},
        "get the keys of role", login.role);
    need_success(answer, "get the keys of role", login.role, answer.status == 401 ? advice : "");
    const Json document = parse_json(answer.body, "the keys of role " + login.role);
    const Json keys = document.is_object() ? document.value("roleCredentials", Json()) : Json();
    Credentials found{.access_key_id = text_or(keys, "accessKeyId"),
                      .secret_access_key = Secret{text_or(keys, "secretAccessKey")},
                      .session_token = Secret{text_or(keys, "sessionToken")},
                      .source = source};
    if (found.access_key_id.empty() || found.secret_access_key.empty()) {
        throw detail::no_keys(source, "AWS gave no keys for it");
    }
    if (const Json end = keys.value("expiration", Json()); end.is_number_integer()) {
        found.expires = clock_time(end.get<std::int64_t>() / 1000);
    }
    return found;
}

}  // inline namespace FAIRING_ABI

}  // namespace fairing::cloud::aws
