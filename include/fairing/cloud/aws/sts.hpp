// fairing/cloud/aws/sts.hpp - who we are to AWS, and roles that are taken on for a while
// (docs.aws.amazon.com/STS/latest/APIReference).
#pragma once

#include <string>
#include <utility>

#include "client.hpp"

namespace fairing::cloud::aws {

namespace detail {

/// A request of the query protocol, unsigned.
[[nodiscard]] inline net::Request sts_request(
    const std::string& endpoint, std::initializer_list<std::pair<const char*, std::string>> form) {
    return form_request(endpoint + '/', form);
}

/// The credentials in the answer to AssumeRole and its kin.
[[nodiscard]] inline Credentials role_credentials(const std::string& body, const std::string& role,
                                                  std::string source) {
    const auto text = [&](const char* element) { return needed_xml_text(body, element, role); };
    Credentials result{.access_key_id = text("AccessKeyId"),
                       .secret_access_key = Secret{text("SecretAccessKey")},
                       .session_token = Secret{text("SessionToken")},
                       .source = std::move(source)};
    result.expires = parse_utc(text("Expiration"));
    return result;
}

[[nodiscard]] inline Client::Call sts_call(
    const Client& client, std::initializer_list<std::pair<const char*, std::string>> form,
    std::string attempted, std::string subject) {
    return {.service = "sts",
            .request = sts_request(client.endpoint("sts"), form),
            .attempted = std::move(attempted),
            .subject = std::move(subject),
            .repeat = net::Repeat::always,
            .payload = codec::sha256_hex(form_text(form))};
}

}  // namespace detail

inline namespace FAIRING_ABI {

struct CallerIdentity {
    std::string account = {};  ///< twelve digits
    std::string arn = {};
};

[[nodiscard]] inline CallerIdentity caller_identity(const Client& client) {
    const auto call =
        detail::sts_call(client, {{"Action", "GetCallerIdentity"}, {"Version", "2011-06-15"}},
                         "ask", "AWS who we are");
    const net::Answer answer = client.send(call);
    need_success(answer, call.attempted, call.subject);
    return {needed_xml_text(answer.body, "Account", "AWS STS"),
            needed_xml_text(answer.body, "Arn", "AWS STS")};
}

/// What `client`'s credentials allow to become.
[[nodiscard]] inline Credentials assume_role(const Client& client, const std::string& role,
                                             const std::string& session) {
    const auto call = detail::sts_call(client,
                                       {{"Action", "AssumeRole"},
                                        {"Version", "2011-06-15"},
                                        {"RoleArn", role},
                                        {"RoleSessionName", session}},
                                       "take on role", role);
    const net::Answer answer = client.send(call);
    need_success(answer, call.attempted, call.subject);
    return detail::role_credentials(answer.body, role, "role " + role);
}

/// The same by a token of another service, such as a Kubernetes service account's.
[[nodiscard]] inline Credentials assume_role_with_web_identity(const Connection& connection,
                                                               const std::string& endpoint,
                                                               const std::string& role,
                                                               const std::string& session,
                                                               const Secret& token) {
    check_token_url(endpoint);
    const net::Answer answer =
        connection.send(detail::sts_request(endpoint, {{"Action", "AssumeRoleWithWebIdentity"},
                                                       {"Version", "2011-06-15"},
                                                       {"RoleArn", role},
                                                       {"RoleSessionName", session},
                                                       {"WebIdentityToken", token.reveal()}}),
                        "take on role", role, net::Repeat::always);
    need_success(answer, "take on role", role);
    return detail::role_credentials(answer.body, role, "role " + role + " by web identity");
}

}  // inline namespace FAIRING_ABI

}  // namespace fairing::cloud::aws
