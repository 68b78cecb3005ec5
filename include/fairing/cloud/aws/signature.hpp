// fairing/cloud/aws/signature.hpp - signatures of requests to AWS and to whatever speaks S3: AWS
// Signature Version 4
// (docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html).
#pragma once

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../../codec/hmac.hpp"
#include "../../core/secret.hpp"
#include "../../net/message.hpp"
#include "../../net/url.hpp"
#include "../connection.hpp"

namespace fairing::cloud::aws {

struct Credentials {
    std::string access_key_id = {};
    Secret secret_access_key = {};
    Secret session_token = {};
    std::optional<std::chrono::system_clock::time_point> expires = {};
    std::string source = {};  ///< for the log: "the environment", "profile dev of ~/.aws/config"
};

/// `encoded`: the path is normalised and percent-encoded as it is given, which for a path that is
/// encoded already is once more; what every service wants but S3. `as_sent`: S3.
enum class SignedPath { encoded, as_sent };

/// Most services sign the session token, a few want it added afterwards.
enum class SignedToken { yes, no };

inline constexpr const char* empty_sha256 =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

struct SignatureScope {
    std::string region = {}, service = {};
    std::chrono::system_clock::time_point time = {};
    SignedPath path = SignedPath::encoded;
    SignedToken token = SignedToken::yes;
};

/// A signature, and what it was made of.
struct Signature {
    std::string canonical_request = {}, string_to_sign = {}, signature = {};
    std::string signed_headers = {};  ///< "host;x-amz-date"
    std::string credential = {};      ///< "KEY/DATE/REGION/SERVICE/aws4_request"
};

namespace detail {

inline constexpr const char* algorithm = "AWS4-HMAC-SHA256";

/// Without white space at its ends, and one space for several.
[[nodiscard]] inline std::string collapsed(std::string_view value) {
    std::string result;
    for (const char c : value) {
        const bool space = c == ' ' || c == '\t' || c == '\r' || c == '\n';
        if (!space) {
            result += c;
        } else if (!result.empty() && result.back() != ' ') {
            result += ' ';
        }
    }
    return result.ends_with(' ') ? result.substr(0, result.size() - 1) : result;
}

/// "//a/./b/../c" as "/a/c".
[[nodiscard]] inline std::string normalized(std::string_view path) {
    std::string single;
    for (const char c : path) {
        if (c != '/' || !single.ends_with('/')) {
            single += c;
        }
    }
    const std::string result = net::detail::remove_dot_segments(single);
    return result.empty() ? "/" : result;
}

/// Percent-encoded, with the slashes left.
[[nodiscard]] inline std::string encoded_path(std::string_view path) {
    std::string result;
    while (!path.empty()) {
        const std::size_t slash = std::min(path.find('/'), path.size());
        result += net::percent_encode(path.substr(0, slash));
        path.remove_prefix(slash);
        if (!path.empty()) {
            result += '/';
            path.remove_prefix(1);
        }
    }
    return result;
}

/// The parameters by name and then by value, encoded alike whatever they were.
[[nodiscard]] inline std::string canonical_query(std::string_view query) {
    const auto again = [query](std::string_view part) {
        return net::percent_encode(net::detail::percent_decode(part, query));
    };
    std::vector<std::pair<std::string, std::string>> parameters;
    while (!query.empty()) {
        const std::string_view one = query.substr(0, query.find('&'));
        query.remove_prefix(std::min(one.size() + 1, query.size()));
        const std::size_t equals = std::min(one.find('='), one.size());
        if (!one.empty()) {
            parameters.emplace_back(again(one.substr(0, equals)),
                                    again(one.substr(std::min(equals + 1, one.size()))));
        }
    }
    std::sort(parameters.begin(), parameters.end());
    std::string result;
    for (const auto& [name, value] : parameters) {
        result += (result.empty() ? "" : "&") + name + '=' + value;
    }
    return result;
}

/// What must be signed of the headers: lower-case name -> values, joined by commas.
[[nodiscard]] inline std::map<std::string, std::string> canonical_headers(
    const net::Headers& headers) {
    std::map<std::string, std::string> result;
    for (const auto& [name, value] : headers) {
        std::string lower = name;
        std::transform(lower.begin(), lower.end(), lower.begin(), net::detail::lower);
        const auto [place, is_new] = result.emplace(lower, collapsed(value));
        if (!is_new) {
            place->second += ',' + collapsed(value);
        }
    }
    return result;
}

[[nodiscard]] inline std::string signed_names(const std::map<std::string, std::string>& headers) {
    std::string names;
    for (const auto& [name, value] : headers) {
        names += (names.empty() ? "" : ";") + name;
    }
    return names;
}

}  // namespace detail

/// The signature of a request whose path and query are `target`; all of `headers` are signed, Host
/// and the time belong to them. `payload` is the SHA-256 of the body in hex, or
/// "UNSIGNED-PAYLOAD".
[[nodiscard]] inline Signature sign(const std::string& method, std::string_view target,
                                    const net::Headers& headers, const std::string& payload,
                                    const Credentials& credentials, const SignatureScope& scope) {
    const std::size_t question = std::min(target.find('?'), target.size());
    const std::string_view path = target.substr(0, question);
    const std::string_view query = target.substr(std::min(question + 1, target.size()));
    const auto canonical = detail::canonical_headers(headers);
    Signature result;
    result.signed_headers = detail::signed_names(canonical);
    result.canonical_request =
        method + '\n' +
        (scope.path == SignedPath::as_sent ? std::string{path}
                                           : detail::encoded_path(detail::normalized(path))) +
        '\n' + detail::canonical_query(query) + '\n';
    for (const auto& [name, value] : canonical) {
        result.canonical_request += name + ':' + value + '\n';
    }
    result.canonical_request += '\n' + result.signed_headers + '\n' + payload;

    const std::string date = utc_text(scope.time, "%Y%m%d");
    const std::string credential_scope =
        date + '/' + scope.region + '/' + scope.service + "/aws4_request";
    result.credential = credentials.access_key_id + '/' + credential_scope;
    result.string_to_sign = std::string{detail::algorithm} + '\n' +
                            utc_text(scope.time, "%Y%m%dT%H%M%SZ") + '\n' + credential_scope +
                            '\n' + codec::sha256_hex(result.canonical_request);
    std::string key = "AWS4" + credentials.secret_access_key.reveal();
    for (const std::string& part :
         {date, scope.region, scope.service, std::string{"aws4_request"}}) {
        key = codec::hmac_sha256(key, part);
    }
    result.signature = codec::hmac_sha256_hex(key, result.string_to_sign);
    return result;
}

/// Signs by an Authorization header, which is added with X-Amz-Date and what else belongs to it.
/// `target` is given when the request's URL is not yet one (in tests of foreign requests).
inline Signature sign_headers(net::Request& request, std::string_view target,
                              const std::string& payload, const Credentials& credentials,
                              const SignatureScope& scope) {
    request.headers.emplace("X-Amz-Date", utc_text(scope.time, "%Y%m%dT%H%M%SZ"));
    const std::string& token = credentials.session_token.reveal();
    if (!token.empty() && scope.token == SignedToken::yes) {
        request.headers.emplace("X-Amz-Security-Token", token);
    }
    Signature made = sign(request.method, target, request.headers, payload, credentials, scope);
    if (!token.empty() && scope.token == SignedToken::no) {
        request.headers.emplace("X-Amz-Security-Token", token);
    }
    request.headers.emplace("Authorization", std::string{detail::algorithm} +
                                                 " Credential=" + made.credential +
                                                 ", SignedHeaders=" + made.signed_headers +
                                                 ", Signature=" + made.signature);
    return made;
}

/// The query that signs a request instead of a header: whoever has the URL may send the request
/// until `lifetime` is over. Gives the signature; `target` gets the parameters.
inline Signature sign_query(const std::string& method, std::string& target,
                            const net::Headers& headers, const std::string& payload,
                            const Credentials& credentials, const SignatureScope& scope,
                            std::chrono::seconds lifetime) {
    const auto add = [&target](const char* name, const std::string& value) {
        target += (target.find('?') == std::string::npos ? '?' : '&');
        target += std::string{name} + '=' + net::percent_encode(value);
    };
    add("X-Amz-Algorithm", detail::algorithm);
    add("X-Amz-Credential", credentials.access_key_id + '/' + utc_text(scope.time, "%Y%m%d") + '/' +
                                scope.region + '/' + scope.service + "/aws4_request");
    add("X-Amz-Date", utc_text(scope.time, "%Y%m%dT%H%M%SZ"));
    add("X-Amz-SignedHeaders", detail::signed_names(detail::canonical_headers(headers)));
    add("X-Amz-Expires", std::to_string(lifetime.count()));
    const std::string& token = credentials.session_token.reveal();
    if (!token.empty() && scope.token == SignedToken::yes) {
        add("X-Amz-Security-Token", token);
    }
    Signature made = sign(method, target, headers, payload, credentials, scope);
    if (!token.empty() && scope.token == SignedToken::no) {
        add("X-Amz-Security-Token", token);
    }
    add("X-Amz-Signature", made.signature);
    return made;
}

}  // namespace fairing::cloud::aws
