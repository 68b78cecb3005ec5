// fairing/cloud/aws/ecr.hpp - AWS's container registry: its password, and repositories
// (docs.aws.amazon.com/AmazonECR/latest/APIReference).
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "../../codec/base64.hpp"
#include "../../core/clock.hpp"
#include "client.hpp"

namespace fairing::cloud::aws {

/// A registry as its host names it: "ACCOUNT.dkr.ecr.REGION.amazonaws.com".
struct EcrHost {
    std::string account = {}, region = {};
};

/// nullopt for any other host.
[[nodiscard]] inline std::optional<EcrHost> parse_ecr_host(std::string_view host) {
    if (host.ends_with(".cn")) {
        host.remove_suffix(3);
    }
    constexpr std::string_view domain = ".amazonaws.com";
    const std::size_t dot = host.find('.');
    if (dot != 12 || !host.ends_with(domain) ||
        host.substr(0, dot).find_first_not_of("0123456789") != std::string_view::npos) {
        return std::nullopt;
    }
    std::string_view rest = host.substr(dot);
    for (const std::string_view service : {".dkr.ecr.", ".dkr.ecr-fips."}) {
        if (!rest.starts_with(service) || rest.size() < service.size() + domain.size()) {
            continue;
        }
        const std::string_view region =
            rest.substr(service.size(), rest.size() - service.size() - domain.size());
        if (!region.empty() && region.find('.') == std::string_view::npos) {
            return EcrHost{std::string{host.substr(0, dot)}, std::string{region}};
        }
    }
    return std::nullopt;
}

/// A user and password for a registry, good for twelve hours.
struct EcrAuthorization {
    std::string user = {};
    Secret password = {};
    std::optional<std::chrono::system_clock::time_point> expires = {};
};

namespace detail {

[[nodiscard]] inline net::Answer call_ecr(const Client& client, const char* operation,
                                          const Json& arguments, const std::string& attempted,
                                          const std::string& subject) {
    const std::string body = arguments.dump();
    return client.send(
        {.service = "ecr",
         .request = {.method = "POST",
                     .url = client.endpoint("ecr") + '/',
                     .headers = {{"Content-Type", "application/x-amz-json-1.1"},
                                 {"X-Amz-Target",
                                  std::string{"AmazonEC2ContainerRegistry_V20150921."} +
                                      operation}},
                     .body = net::Body::of(body)},
         .attempted = attempted,
         .subject = subject,
         .repeat = net::Repeat::always,
         .payload = codec::sha256_hex(body)});
}

}  // namespace detail

inline namespace FAIRING_ABI {

/// What the client's account and region give. `account` is that of the registry; empty: one's own.
[[nodiscard]] inline EcrAuthorization ecr_authorization(const Client& client,
                                                        const std::string& account = {}) {
    const std::string attempted = "get a password for";
    const std::string subject = "ECR in " + client.region();
    const Json arguments =
        account.empty() ? Json::object() : Json{{"registryIds", Json::array({account})}};
    const net::Answer answer =
        detail::call_ecr(client, "GetAuthorizationToken", arguments, attempted, subject);
    need_success(answer, attempted, subject);
    const Json document = parse_json(answer.body, "the answer of ECR");
    const Json list = document.is_object() ? document.value("authorizationData", Json()) : Json();
    const Json first = list.is_array() && !list.empty() ? list[0] : Json();
    const std::string pair = codec::base64_decode(text_or(first, "authorizationToken"));
    const std::size_t colon = pair.find(':');
    if (colon == std::string::npos) {
        throw Error{ErrorCode::unavailable,
                    {.attempted = attempted, .subject = subject, .answer = "it gave none"}};
    }
    EcrAuthorization result{.user = pair.substr(0, colon),
                            .password = Secret{pair.substr(colon + 1)}};
    if (first.contains("expiresAt") && first["expiresAt"].is_number()) {
        const double seconds = first["expiresAt"].get<double>();
        result.expires = clock_time(static_cast<std::int64_t>(std::clamp(seconds, 0.0, 1e10)));
    }
    return result;
}

/// Creates `repository` unless it is there. True when it was created.
inline bool ensure_ecr_repository(const Client& client, const std::string& repository,
                                  const std::string& account = {}) {
    const std::string subject = repository + " of ECR in " + client.region();
    const auto call = [&](const char* operation, Json arguments, const std::string& attempted) {
        if (!account.empty()) {
            arguments["registryId"] = account;
        }
        return detail::call_ecr(client, operation, arguments, attempted, subject);
    };
    const net::Answer found =
        call("DescribeRepositories", {{"repositoryNames", Json::array({repository})}},
             "look for repository");
    if (is_success(found.status)) {
        return false;
    }
    if (refusal_of(found).code != "RepositoryNotFoundException") {
        throw refuse(found, "look for repository", subject);
    }
    const net::Answer made =
        call("CreateRepository", {{"repositoryName", repository}}, "create repository");
    if (refusal_of(made).code == "RepositoryAlreadyExistsException") {
        return made.attempts > 1;  // by us, and the answer was lost, or by somebody else
    }
    need_success(made, "create repository", subject);
    return true;
}

}  // inline namespace FAIRING_ABI

}  // namespace fairing::cloud::aws
