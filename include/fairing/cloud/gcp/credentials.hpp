// fairing/cloud/gcp/credentials.hpp - who we are to Google Cloud: application default credentials
// (cloud.google.com/docs/authentication/application-default-credentials; RFC 7523 for service
// accounts, RFC 8693 for identities of others).
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "../../codec/base64.hpp"
#include "../../core/files.hpp"
#include "../../core/signing.hpp"
#include "../connection.hpp"
#include "../ini.hpp"
#include "../renewed.hpp"
#include "external_account.hpp"

namespace fairing::cloud::gcp {

inline namespace FAIRING_ABI {

struct CredentialOptions {
    std::filesystem::path file = {};  ///< empty: GOOGLE_APPLICATION_CREDENTIALS, else gcloud's own
    std::string scope = "https://www.googleapis.com/auth/cloud-platform";
    std::string token_url = "https://oauth2.googleapis.com/token";  ///< of authorized users
};

/// Finds a token: the file of a service account, an authorized user or a workload of another cloud,
/// else the metadata server. No error quotes a key or a token.
class CredentialChain {
public:
    explicit CredentialChain(Connection connection, CredentialOptions options = {})
        : connection_(std::move(connection)), options_(std::move(options)) {
        if (options_.file.empty()) {
            options_.file = connection_.env("GOOGLE_APPLICATION_CREDENTIALS");
        }
        named_ = !options_.file.empty();
        if (!named_ && !gcloud_folder().empty()) {
            options_.file = gcloud_folder() / "application_default_credentials.json";
        }
    }

    /// Throws Error: denied when there are none or the service says no, input for a broken file.
    [[nodiscard]] AccessToken token() const {
        if (const auto document = file_document()) {
            return token_of(*document);
        }
        if (auto token = metadata_token()) {
            return *std::move(token);
        }
        throw Error{
            ErrorCode::denied,
            {.attempted = "find credentials for",
             .subject = "Google Cloud",
             .answer = "neither " + options_.file.string() + " nor a metadata server is there",
             .advice = "run gcloud auth application-default login, or set "
                       "GOOGLE_APPLICATION_CREDENTIALS"}};
    }
    /// The same, fetched anew before it ends.
    [[nodiscard]] Renewed<AccessToken> renewed() const {
        return {[chain = *this] { return chain.token(); }, connection_.control.clock};
    }

    /// The project that things are made in: what the environment says, the service account's, the
    /// one of gcloud's settings, the machine's. Throws Error{usage} when nothing says it.
    [[nodiscard]] std::string project() const {
        for (const char* name : {"GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT"}) {
            if (std::string given = connection_.env(name); !given.empty()) {
                return given;
            }
        }
        if (const auto document = file_document()) {
            for (const char* key : {"project_id", "quota_project_id"}) {
                if (std::string given = text_or(*document, key); !given.empty()) {
                    return given;
                }
            }
        }
        if (std::string given = gcloud_project(); !given.empty()) {
            return given;
        }
        if (const auto answer = ask_metadata("project/project-id")) {
            return answer->body;
        }
        throw Error{ErrorCode::usage,
                    {.attempted = "find the project of",
                     .subject = "Google Cloud",
                     .answer = "nothing names it",
                     .advice = "set GOOGLE_CLOUD_PROJECT"}};
    }

private:
    [[nodiscard]] std::filesystem::path gcloud_folder() const {
        const std::string given = connection_.env("CLOUDSDK_CONFIG");
        return given.empty() ? connection_.in_home(".config/gcloud") : std::filesystem::path{given};
    }
    [[nodiscard]] std::string gcloud_project() const {
        const std::filesystem::path folder = gcloud_folder();
        if (folder.empty()) {
            return {};
        }
        std::string active = connection_.env("CLOUDSDK_ACTIVE_CONFIG_NAME");
        try {
            active = active.empty() ? read_file(folder / "active_config", 256) : active;
        } catch (const Error&) {
            active = "default";
        }
        active.resize(active.find_last_not_of(" \r\n") + 1);
        return setting(read_ini(folder / "configurations" / ("config_" + active)), "core",
                       "project");
    }

    [[nodiscard]] std::optional<Json> file_document() const {
        if (options_.file.empty()) {
            return std::nullopt;
        }
        try {
            return parse_json(read_file(options_.file, std::size_t{1} << 20),
                              options_.file.string());
        } catch (const Error& error) {
            if (error.code() == ErrorCode::not_found && !named_) {
                return std::nullopt;
            }
            throw;
        }
    }

    [[nodiscard]] Error broken(std::string answer, ErrorCode code = ErrorCode::input) const {
        return Error{code,
                     {.attempted = "use Google credentials in",
                      .subject = options_.file.string(),
                      .answer = std::move(answer)}};
    }

    [[nodiscard]] AccessToken token_of(const Json& document) const {
        const auto need = [&](const char* key) {
            std::string value = text_or(document, key);
            if (value.empty()) {
                throw broken(std::string{"it has no "} + key);
            }
            return value;
        };
        const std::string type = need("type");
        if (type == "service_account") {
            const std::string url = need("token_uri");
            check_token_url(url);
            const Secret key{need("private_key")};
            return ask(form_request(
                url, {{"grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"},
                      {"assertion", assertion(need("client_email"),
                                              text_or(document, "private_key_id"), url, key)}}));
        }
        if (type == "authorized_user") {
            return ask(
                form_request(options_.token_url, {{"grant_type", "refresh_token"},
                                                  {"client_id", need("client_id")},
                                                  {"client_secret", need("client_secret")},
                                                  {"refresh_token", need("refresh_token")}}));
        }
        if (type == "external_account") {
            const std::string url = need("token_url");
            check_token_url(url);
            const Secret theirs = subject_token(connection_, document, options_.file.string());
            AccessToken token = ask(form_request(
                url, {{"grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"},
                      {"audience", need("audience")},
                      {"scope", options_.scope},
                      {"requested_token_type", "urn:ietf:params:oauth:token-type:access_token"},
                      {"subject_token_type", need("subject_token_type")},
                      {"subject_token", theirs.reveal()}}));
            const std::string account = text_or(document, "service_account_impersonation_url");
            return account.empty() ? token : token_as(account, token);
        }
        if (type == "impersonated_service_account") {
            return token_as(need("service_account_impersonation_url"),
                            token_of(document.value("source_credentials", Json::object())));
        }
        throw broken("credentials of type " + net::printable(type, 60) + " are not supported",
                     ErrorCode::unsupported);
    }

    /// A service account's token, which the owner of `token` may have
    /// (cloud.google.com/iam/docs/reference/credentials/rest).
    [[nodiscard]] AccessToken token_as(const std::string& url, const AccessToken& token) const {
        check_token_url(url);
        const std::string attempted = "become";
        const std::string account = url.substr(url.rfind('/') + 1);
        const net::Answer answer = connection_.send(
            {.method = "POST",
             .url = url,
             .headers = {{"Content-Type", "application/json; charset=utf-8"},
                         {"Authorization", "Bearer " + token.value.reveal()}},
             .body = net::Body::of(Json{{"scope", {options_.scope}}, {"lifetime", "3600s"}}.dump()),
             .max_body = std::uint64_t{1} << 20},
            attempted, account, net::Repeat::always);
        need_success(answer, attempted, account);
        const Json document = parse_json(answer.body, "the token of " + account);
        AccessToken given{.value = Secret{text_or(document, "accessToken")},
                          .expires = parse_utc(text_or(document, "expireTime"))};
        if (given.value.empty()) {
            throw Error{ErrorCode::unavailable,
                        {.attempted = attempted,
                         .subject = account,
                         .answer = "the answer holds no token"}};
        }
        return given;
    }

    /// A signed statement of who we are, good for an hour (RFC 7523, section 3).
    [[nodiscard]] std::string assertion(const std::string& email, const std::string& key_id,
                                        const std::string& audience, const Secret& key) const {
        const auto now = std::chrono::duration_cast<std::chrono::seconds>(
                             connection_.control.now().time_since_epoch())
                             .count();
        Json head = {{"alg", "RS256"}, {"typ", "JWT"}};
        if (!key_id.empty()) {
            head["kid"] = key_id;
        }
        const Json claims = {{"iss", email},
                             {"scope", options_.scope},
                             {"aud", audience},
                             {"iat", now},
                             {"exp", now + 3600}};
        const std::string text =
            codec::base64url_encode(head.dump()) + '.' + codec::base64url_encode(claims.dump());
        return text + '.' + codec::base64url_encode(sign_rs256(key, text, options_.file.string()));
    }

    [[nodiscard]] AccessToken ask(net::Request request) const {
        const std::string subject = "Google Cloud";
        const net::Answer answer =
            connection_.send(std::move(request), "get a token for", subject, net::Repeat::always);
        if (answer.status == 400) {  // RFC 6749, 5.2: what is wrong is what we showed
            Error::Details details =
                refuse(answer, "get a token for", subject, "see " + options_.file.string())
                    .details();
            throw Error{ErrorCode::denied, std::move(details)};
        }
        need_success(answer, "get a token for", subject);
        return parsed(answer.body, subject);
    }

    [[nodiscard]] AccessToken parsed(const std::string& body, const std::string& subject) const {
        return parse_access_token(body, subject, connection_.control.now());
    }

    [[nodiscard]] std::optional<AccessToken> metadata_token() const {
        const auto answer = ask_metadata("instance/service-accounts/default/token");
        return answer ? std::optional{parsed(answer->body, "the metadata server")} : std::nullopt;
    }

    /// Throws Error{denied} when somebody answers who does not say that he is the metadata server:
    /// in a foreign network anybody may sit at its address.
    [[nodiscard]] std::optional<net::Answer> ask_metadata(const std::string& path) const {
        if (connection_.env("NO_GCE_CHECK") == "true") {
            return std::nullopt;
        }
        const std::string given = connection_.env("GCE_METADATA_HOST");
        const std::string host = given.empty() ? "169.254.169.254" : given;
        const auto answer =
            connection_.ask_metadata({.url = "http://" + host + "/computeMetadata/v1/" + path,
                                      .headers = {{"Metadata-Flavor", "Google"}}},
                                     metadata_limit);
        if (!answer) {
            return std::nullopt;
        }
        if (net::header(answer->headers, "Metadata-Flavor") != "Google") {
            throw Error{ErrorCode::denied,
                        {.attempted = "use the metadata server at",
                         .subject = host,
                         .answer = "its answer does not carry Metadata-Flavor: Google"}};
        }
        return answer->status == 200 ? answer : std::nullopt;
    }

    Connection connection_;
    CredentialOptions options_;
    bool named_ = false;  ///< somebody names the file: then it must be there
};

}  // inline namespace FAIRING_ABI

}  // namespace fairing::cloud::gcp
