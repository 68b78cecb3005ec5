// fairing/cloud/azure/account.hpp - who we are to Azure, and requests to a storage account: a
// shared key, a shared access signature, or a token of a service principal
// (learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key).
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "../../codec/base64.hpp"
#include "../../codec/hmac.hpp"
#include "../connection.hpp"
#include "../renewed.hpp"

namespace fairing::cloud::azure {

/// An application of Microsoft Entra ID.
struct ServicePrincipal {
    std::string tenant = {}, client_id = {};
    Secret client_secret = {};
};

/// What may be shown to a storage account; the first that is set is used, in this order.
struct StorageCredential {
    Secret key = {};  ///< the account's, in Base64
    Secret sas = {};  ///< "sv=…&sig=…", with or without a question mark
    Renewed<AccessToken> token = {};
};

/// A storage account and where it is.
struct StorageAccount {
    std::string name = {};
    StorageCredential credential = {};
    std::string suffix = "core.windows.net";
    std::string blob_endpoint = {}, file_endpoint = {};  ///< empty: https://NAME.SERVICE.SUFFIX
};

inline namespace FAIRING_ABI {

/// What AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET say, or their AZ_… forms; nullopt
/// when one is missing.
[[nodiscard]] inline std::optional<ServicePrincipal> environment_principal(
    const Connection& connection) {
    for (const std::string prefix : {"AZURE_", "AZ_"}) {
        const auto value = [&](const char* name) {
            return connection.env((prefix + name).c_str());
        };
        ServicePrincipal found{.tenant = value("TENANT_ID"),
                               .client_id = value("CLIENT_ID"),
                               .client_secret = Secret{value("CLIENT_SECRET")}};
        if (!found.tenant.empty() && !found.client_id.empty() && !found.client_secret.empty()) {
            return found;
        }
    }
    return std::nullopt;
}

/// A token of the service principal for `scope`, fetched anew before it ends (OAuth 2.0 client
/// credentials; learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow).
[[nodiscard]] inline Renewed<AccessToken> principal_token(
    const Connection& connection, const ServicePrincipal& principal,
    const std::string& scope = "https://storage.azure.com/.default") {
    const auto fetch = [connection, principal, scope] {
        const std::string given = connection.env("AZURE_AUTHORITY_HOST");
        const std::string url =
            checked_endpoint(given.empty() ? "https://login.microsoftonline.com" : given) + '/' +
            net::percent_encode(principal.tenant) + "/oauth2/v2.0/token";
        check_token_url(url);
        const std::string subject = "service principal " + principal.client_id;
        const net::Answer answer =
            connection.send(form_request(url, {{"grant_type", "client_credentials"},
                                               {"client_id", principal.client_id},
                                               {"client_secret", principal.client_secret.reveal()},
                                               {"scope", scope}}),
                            "get a token for", subject, net::Repeat::always);
        if (answer.status == 400) {  // RFC 6749, 5.2
            throw Error{ErrorCode::denied, refuse(answer, "get a token for", subject).details()};
        }
        need_success(answer, "get a token for", subject);
        return parse_access_token(answer.body, subject, connection.control.now());
    };
    return {fetch, connection.control.clock};
}

/// "DefaultEndpointsProtocol=https;AccountName=…;AccountKey=…;EndpointSuffix=…", with BlobEndpoint,
/// FileEndpoint or SharedAccessSignature. Throws Error{input} that quotes nothing of it.
[[nodiscard]] inline StorageAccount parse_connection_string(std::string_view text) {
    std::map<std::string, std::string, std::less<>> parts;
    while (!text.empty()) {
        const std::string_view one = text.substr(0, text.find(';'));
        text.remove_prefix(std::min(one.size() + 1, text.size()));
        const std::size_t equals = std::min(one.find('='), one.size());
        parts[std::string{one.substr(0, equals)}] = one.substr(std::min(equals + 1, one.size()));
    }
    StorageAccount account{.name = parts["AccountName"],
                           .credential = {.key = Secret{parts["AccountKey"]},
                                          .sas = Secret{parts["SharedAccessSignature"]}},
                           .blob_endpoint = parts["BlobEndpoint"],
                           .file_endpoint = parts["FileEndpoint"]};
    if (!parts["EndpointSuffix"].empty()) {
        account.suffix = parts["EndpointSuffix"];
    }
    if (account.name.empty() && account.blob_endpoint.empty() && account.file_endpoint.empty()) {
        throw Error{ErrorCode::input,
                    {.attempted = "use",
                     .subject = "a connection string of Azure Storage",
                     .answer = "it holds neither AccountName nor an endpoint"}};
    }
    return account;
}

/// What the environment says: AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT with
/// AZURE_STORAGE_KEY, AZURE_STORAGE_SAS_TOKEN or a service principal. Throws Error{denied}.
[[nodiscard]] inline StorageAccount environment_account(const Connection& connection,
                                                        std::string name = {}) {
    if (const std::string text = connection.env("AZURE_STORAGE_CONNECTION_STRING"); !text.empty()) {
        return parse_connection_string(text);
    }
    StorageAccount account{
        .name = name.empty() ? connection.env("AZURE_STORAGE_ACCOUNT") : std::move(name),
        .credential = {.key = Secret{connection.env("AZURE_STORAGE_KEY")},
                       .sas = Secret{connection.env("AZURE_STORAGE_SAS_TOKEN")}}};
    if (account.credential.key.empty() && account.credential.sas.empty()) {
        if (const auto principal = environment_principal(connection)) {
            account.credential.token = principal_token(connection, *principal);
        }
    }
    const StorageCredential& credential = account.credential;
    if (account.name.empty() ||
        (credential.key.empty() && credential.sas.empty() && !credential.token)) {
        throw Error{ErrorCode::denied,
                    {.attempted = "find credentials for",
                     .subject = "Azure Storage",
                     .answer = account.name.empty() ? "no account is named" : "there are none",
                     .advice = "set AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT with "
                               "AZURE_STORAGE_KEY"}};
    }
    return account;
}

/// The signature of a request to `account` (Shared Key, Blob and File services). `path` is the
/// URL's, encoded; the header x-ms-date is there already.
[[nodiscard]] inline std::string shared_key_signature(const net::Request& request,
                                                      const net::Url& url,
                                                      const std::string& account,
                                                      const Secret& key) {
    std::string text = request.method + '\n';
    for (const char* name : {"Content-Encoding", "Content-Language", "Content-Length",
                             "Content-MD5", "Content-Type", "Date", "If-Modified-Since", "If-Match",
                             "If-None-Match", "If-Unmodified-Since", "Range"}) {
        const bool is_length = std::string_view{name} == "Content-Length";
        text += (is_length ? (request.body.size == 0 ? "" : std::to_string(request.body.size))
                           : net::header(request.headers, name)) +
                '\n';
    }
    std::map<std::string, std::string> own;
    for (const auto& [name, value] : request.headers) {
        std::string lower = name;
        std::transform(lower.begin(), lower.end(), lower.begin(), net::detail::lower);
        if (lower.starts_with("x-ms-")) {
            own[lower] = value;
        }
    }
    for (const auto& [name, value] : own) {
        text += name + ':' + value + '\n';
    }
    const std::size_t question = std::min(url.target.find('?'), url.target.size());
    text += '/' + account + url.target.substr(0, question);
    std::map<std::string, std::string> parameters;
    std::string_view query = url.target;
    query.remove_prefix(std::min(question + 1, query.size()));
    while (!query.empty()) {
        const std::string_view one = query.substr(0, query.find('&'));
        query.remove_prefix(std::min(one.size() + 1, query.size()));
        const std::size_t equals = std::min(one.find('='), one.size());
        parameters[std::string{one.substr(0, equals)}] =
            net::detail::percent_decode(one.substr(std::min(equals + 1, one.size())), "the query");
    }
    for (const auto& [name, value] : parameters) {
        text += '\n' + name + ':' + value;
    }
    return codec::base64_encode(codec::hmac_sha256(codec::base64_decode(key.reveal()), text));
}

/// Requests to one service of a storage account.
class StorageClient {
public:
    enum class Kind { blob, file };

    /// Throws Error: usage for a name that no account has, input for a key that is no Base64.
    StorageClient(Connection connection, StorageAccount account, Kind kind)
        : connection_(std::move(connection)), account_(std::move(account)), kind_(kind) {
        std::string given = kind_ == Kind::blob ? account_.blob_endpoint : account_.file_endpoint;
        if (given.empty()) {
            if (account_.name.size() < 3 || account_.name.size() > 24 ||
                account_.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789") !=
                    std::string::npos) {
                throw Error{ErrorCode::usage,
                            {.attempted = "use storage account",
                             .subject = '"' + net::printable(account_.name, 60) + '"',
                             .answer = "not a name that an account can have",
                             .advice = "use 3 to 24 of a-z and 0-9"}};
            }
            given = "https://" + account_.name + (kind_ == Kind::blob ? ".blob." : ".file.") +
                    account_.suffix;
        }
        endpoint_ = checked_endpoint(std::move(given));
        if (account_.credential.token) {
            check_token_url(endpoint_);
        }
        static_cast<void>(codec::base64_decode(account_.credential.key.reveal()));
    }

    [[nodiscard]] const StorageAccount& account() const noexcept { return account_; }
    [[nodiscard]] const std::string& endpoint() const noexcept { return endpoint_; }
    [[nodiscard]] const Connection& connection() const noexcept { return connection_; }

    /// Signs and sends to `target` below the endpoint; the answer, whatever its status.
    [[nodiscard]] net::Answer send(net::Request request, const std::string& target,
                                   const std::string& attempted, const std::string& subject) const {
        request.url = endpoint_ + target;
        request.headers.emplace("x-ms-version", "2021-12-02");
        request.headers.emplace("x-ms-date", http_date(connection_.control.now()));
        if (request.body.size > 0) {
            request.headers.emplace("Content-Type", "application/octet-stream");
        }
        const StorageCredential& credential = account_.credential;
        if (!credential.key.empty()) {
            request.headers.emplace("Authorization",
                                    "SharedKey " + account_.name + ':' +
                                        shared_key_signature(request, net::parse_url(request.url),
                                                             account_.name, credential.key));
        } else if (!credential.sas.empty()) {
            const std::string& sas = credential.sas.reveal();
            request.url += (target.find('?') == std::string::npos ? '?' : '&') +
                           (sas.starts_with('?') ? sas.substr(1) : sas);
        } else if (credential.token) {
            request.headers.emplace("Authorization",
                                    "Bearer " + credential.token.get().value.reveal());
            if (kind_ == Kind::file) {
                request.headers.emplace("x-ms-file-request-intent", "backup");
            }
        }
        return connection_.send(std::move(request), attempted, subject);
    }

    /// A PUT without a body that makes something. True when it was made, false when it was there.
    bool create(const std::string& target, net::Headers headers, const std::string& attempted,
                const std::string& subject) const {
        const net::Answer answer =
            send({.method = "PUT", .headers = std::move(headers)}, target, attempted, subject);
        const std::string code = net::header(answer.headers, "x-ms-error-code");
        const std::string name = code.empty() ? refusal_of(answer).code : code;
        if (answer.status == 409 && name.ends_with("AlreadyExists")) {
            return false;
        }
        need_success(answer, attempted, subject);
        return true;
    }

    /// Removes what is there; what is not counts as removed.
    void remove(const std::string& target, const std::string& subject) const {
        const net::Answer answer = send({.method = "DELETE"}, target, "remove", subject);
        if (answer.status != 404) {
            need_success(answer, "remove", subject);
        }
    }

    /// The same client for what must be done at the end: see Connection::for_cleanup().
    [[nodiscard]] StorageClient for_cleanup() const {
        StorageClient copy = *this;
        copy.connection_ = connection_.for_cleanup();
        return copy;
    }

private:
    Connection connection_;
    StorageAccount account_;
    Kind kind_;
    std::string endpoint_;
};

/// "a/b c" as "a/b%20c".
[[nodiscard]] inline std::string encoded_name(std::string_view name) {
    std::string result;
    for (std::size_t begin = 0; begin <= name.size();) {
        const std::size_t end = std::min(name.find('/', begin), name.size());
        result += (begin == 0 ? "" : "/") + net::percent_encode(name.substr(begin, end - begin));
        begin = end + 1;
    }
    return result;
}

}  // inline namespace FAIRING_ABI

}  // namespace fairing::cloud::azure
