// fairing/cloud/aws/credentials.hpp - who we are to AWS, found as its own tools find it: the
// environment, the files in ~/.aws with the logins and programs that they name, a web identity, a
// container's endpoint, the instance's metadata
// (docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html).
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "../../core/files.hpp"
#include "../ini.hpp"
#include "credential_process.hpp"
#include "sso.hpp"
#include "sts.hpp"

namespace fairing::cloud::aws {

inline namespace FAIRING_ABI {

struct CredentialOptions {
    std::string profile = {};  ///< empty: AWS_PROFILE, else "default"
    std::string region = {};   ///< empty: AWS_REGION, AWS_DEFAULT_REGION, else the profile's
    std::string metadata_endpoint = "http://169.254.169.254";
    std::string container_endpoint = "http://169.254.170.2";
};

/// Finds credentials and the region. Each source that has nothing is passed over; one that is
/// broken is an error that names it, never its content.
class CredentialChain {
public:
    explicit CredentialChain(Connection connection, CredentialOptions options = {})
        : connection_(std::move(connection)), options_(std::move(options)) {
        passed_ = !options_.profile.empty();
        if (!passed_) {
            options_.profile = connection_.env("AWS_PROFILE");
        }
        named_ = !options_.profile.empty();
        if (!named_) {
            options_.profile = "default";
        }
        const auto path = [this](const char* variable, const char* standard) {
            const std::string given = connection_.env(variable);
            return given.empty() ? connection_.in_home(standard) : std::filesystem::path{given};
        };
        credentials_file_ = path("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials");
        config_file_ = path("AWS_CONFIG_FILE", ".aws/config");
    }

    /// Throws Error{denied} that lists where we looked when there are none.
    [[nodiscard]] Credentials find() const {
        for (const auto source :
             {&CredentialChain::from_environment, &CredentialChain::from_files,
              &CredentialChain::from_web_identity, &CredentialChain::from_container,
              &CredentialChain::from_instance}) {
            if (auto found = (this->*source)()) {
                connection_.control.say(Level::debug, "AWS credentials from " + found->source);
                return *std::move(found);
            }
        }
        throw Error{
            ErrorCode::denied,
            {.attempted = "find credentials for",
             .subject = "AWS",
             .answer = "none in the environment, profile " + options_.profile + " of " +
                       credentials_file_.string() + " and " + config_file_.string() +
                       ", a web identity, a container's endpoint or the instance's metadata",
             .advice = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"}};
    }
    /// The same, fetched anew before they end.
    [[nodiscard]] Renewed<Credentials> renewed() const {
        return {[chain = *this] { return chain.find(); }, connection_.control.clock};
    }

    /// Empty when nothing says it.
    [[nodiscard]] std::string region() const {
        for (const std::string& given :
             {options_.region, connection_.env("AWS_REGION"), connection_.env("AWS_DEFAULT_REGION"),
              setting(read_ini(config_file_), config_section(options_.profile), "region")}) {
            if (!given.empty()) {
                return given;
            }
        }
        return {};
    }

private:
    using Found = std::optional<Credentials>;

    [[nodiscard]] static std::string config_section(const std::string& profile) {
        return profile == "default" ? profile : "profile " + profile;
    }
    [[nodiscard]] std::string session_name() const {
        const std::string given = connection_.env("AWS_ROLE_SESSION_NAME");
        return given.empty() ? "fairing" : given;
    }
    [[nodiscard]] std::string sts_endpoint() const {
        const std::string here = region();
        return service_endpoint(connection_, "sts", here.empty() ? "us-east-1" : here);
    }

    [[nodiscard]] Found from_environment() const {
        if (passed_) {
            return std::nullopt;
        }
        const std::string key = connection_.env("AWS_ACCESS_KEY_ID");
        const std::string secret = connection_.env("AWS_SECRET_ACCESS_KEY");
        if (key.empty() != secret.empty()) {
            throw detail::no_keys("the environment",
                                  "only one of AWS_ACCESS_KEY_ID and "
                                  "AWS_SECRET_ACCESS_KEY is set");
        }
        return key.empty()
                   ? Found{}
                   : Credentials{.access_key_id = key,
                                 .secret_access_key = Secret{secret},
                                 .session_token = Secret{connection_.env("AWS_SESSION_TOKEN")},
                                 .source = "the environment"};
    }

    [[nodiscard]] Found from_files() const {
        const Ini credentials = read_ini(credentials_file_);
        const Ini config = read_ini(config_file_);
        if (Found found = of_profile(options_.profile, credentials, config, 0)) {
            return found;
        }
        if (named_ && !credentials.contains(options_.profile) &&
            !config.contains(config_section(options_.profile))) {
            throw detail::no_keys("profile " + options_.profile,
                                  "neither " + credentials_file_.string() + " nor " +
                                      config_file_.string() + " has it");
        }
        return std::nullopt;
    }

    [[nodiscard]] Found of_profile(const std::string& profile, const Ini& credentials,
                                   const Ini& config, int depth) const {
        const auto value = [&](const char* key) {
            const std::string own = setting(credentials, profile, key);
            return own.empty() ? setting(config, config_section(profile), key) : own;
        };
        const std::string source = "profile " + profile;
        const std::string role = value("role_arn");
        const std::string parent = value("source_profile");
        const std::string key = value("aws_access_key_id");
        const std::string secret = value("aws_secret_access_key");
        if (!role.empty() && !parent.empty() && !(parent == profile && depth > 0)) {
            if (depth > 4) {
                throw detail::no_keys(source, "its source profiles go round in a circle");
            }
            // A profile that is its own source has the keys itself.
            Found base = parent == profile ? Found{static_keys(key, secret, value, source)}
                                           : of_profile(parent, credentials, config, depth + 1);
            if (!base) {
                throw detail::no_keys(source,
                                      "its source profile " + parent + " has no credentials");
            }
            const std::string here = region();
            const Client client{connection_,
                                {[base = *base] { return base; }, connection_.control.clock},
                                here.empty() ? "us-east-1" : here};
            return assume_role(client, role, session_name());
        }
        if (!role.empty() && !value("web_identity_token_file").empty()) {
            return by_token_file(value("web_identity_token_file"), role);
        }
        if (!key.empty() || !secret.empty()) {
            return static_keys(key, secret, value, source);
        }
        if (!(value("sso_session") + value("sso_start_url") + value("sso_account_id")).empty()) {
            const std::string session = "sso-session " + value("sso_session");
            const auto shared = [&](const char* name) {
                const std::string own = value(name);
                return own.empty() ? setting(config, session, name) : own;
            };
            return credentials_by_sso(connection_,
                                      {.start_url = shared("sso_start_url"),
                                       .region = shared("sso_region"),
                                       .account = value("sso_account_id"),
                                       .role = value("sso_role_name")},
                                      profile);
        }
        if (const std::string line = value("credential_process"); !line.empty()) {
            return credentials_by_process(connection_, line, source);
        }
        return std::nullopt;
    }

    template <class Value>
    [[nodiscard]] static Credentials static_keys(const std::string& key, const std::string& secret,
                                                 const Value& value, const std::string& source) {
        if (key.empty() || secret.empty()) {
            throw detail::no_keys(source,
                                  "aws_access_key_id and aws_secret_access_key are not both set");
        }
        return {.access_key_id = key,
                .secret_access_key = Secret{secret},
                .session_token = Secret{value("aws_session_token")},
                .source = source};
    }

    [[nodiscard]] Found from_web_identity() const {
        const std::string file = connection_.env("AWS_WEB_IDENTITY_TOKEN_FILE");
        const std::string role = connection_.env("AWS_ROLE_ARN");
        return file.empty() || role.empty() ? Found{} : by_token_file(file, role);
    }
    [[nodiscard]] Credentials by_token_file(const std::string& file,
                                            const std::string& role) const {
        std::string token = read_file(file, std::size_t{1} << 16);
        token.resize(token.find_last_not_of(" \r\n") + 1);
        return assume_role_with_web_identity(connection_, sts_endpoint(), role, session_name(),
                                             Secret{token});
    }

    /// ECS and EKS: the relative form has a fixed host, the full one is https, this machine, or one
    /// of the two addresses that AWS uses.
    [[nodiscard]] Found from_container() const {
        std::string url = connection_.env("AWS_CONTAINER_CREDENTIALS_FULL_URI");
        if (const std::string relative = connection_.env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
            !relative.empty()) {
            url = options_.container_endpoint + relative;
        } else if (!url.empty()) {
            const net::Url parsed = net::parse_url(url);
            const bool of_aws = parsed.host == "169.254.170.2" || parsed.host == "169.254.170.23" ||
                                parsed.host == "fd00:ec2::23";
            if (!parsed.is_tls() && !net::is_loopback(parsed) && !of_aws) {
                throw detail::no_keys("AWS_CONTAINER_CREDENTIALS_FULL_URI",
                                      "its host may not be asked without TLS");
            }
        }
        if (url.empty()) {
            return std::nullopt;
        }
        net::Request request{.url = url};
        std::string token = connection_.env("AWS_CONTAINER_AUTHORIZATION_TOKEN");
        if (const std::string file = connection_.env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
            !file.empty()) {
            token = read_file(file, std::size_t{1} << 16);
            token.resize(token.find_last_not_of(" \r\n") + 1);
        }
        if (!token.empty()) {
            request.headers.emplace("Authorization", token);
        }
        const auto answer = connection_.ask_metadata(std::move(request), std::chrono::seconds{5});
        if (!answer || answer->status != 200) {
            throw detail::no_keys("the container's endpoint",
                                  answer ? net::status_text(answer->status) : "it does not answer");
        }
        return of_document(answer->body, "the container's endpoint");
    }

    /// IMDSv2: everything together within `metadata_limit`.
    [[nodiscard]] Found from_instance() const {
        if (connection_.env("AWS_EC2_METADATA_DISABLED") == "true") {
            return std::nullopt;
        }
        const auto end = std::chrono::steady_clock::now() + metadata_limit;
        const auto ask = [&](net::Request request) {
            return connection_.ask_metadata(std::move(request),
                                            std::chrono::duration_cast<std::chrono::milliseconds>(
                                                end - std::chrono::steady_clock::now()));
        };
        const auto token = ask({.method = "PUT",
                                .url = options_.metadata_endpoint + "/latest/api/token",
                                .headers = {{"X-aws-ec2-metadata-token-ttl-seconds", "21600"}}});
        if (!token || token->status != 200) {
            return std::nullopt;
        }
        const std::string folder =
            options_.metadata_endpoint + "/latest/meta-data/iam/security-credentials/";
        const net::Headers headers = {{"X-aws-ec2-metadata-token", token->body}};
        const auto role = ask({.url = folder, .headers = headers});
        if (!role || role->status != 200) {
            return std::nullopt;  // an instance without a role
        }
        const std::string name = role->body.substr(0, role->body.find('\n'));
        const auto answer = ask({.url = folder + net::percent_encode(name), .headers = headers});
        if (!answer || answer->status != 200) {
            throw detail::no_keys("the instance's metadata",
                                  answer ? net::status_text(answer->status) : "it does not answer");
        }
        return of_document(answer->body, "the instance's metadata");
    }

    [[nodiscard]] static Credentials of_document(const std::string& text,
                                                 const std::string& source) {
        const Json document = parse_json(text, source);
        Credentials found{.access_key_id = text_or(document, "AccessKeyId"),
                          .secret_access_key = Secret{text_or(document, "SecretAccessKey")},
                          .session_token = Secret{text_or(document, "Token")},
                          .expires = parse_utc(text_or(document, "Expiration")),
                          .source = source};
        if (found.access_key_id.empty() || found.secret_access_key.empty()) {
            throw detail::no_keys(source, "it gave no keys");
        }
        return found;
    }

    Connection connection_;
    CredentialOptions options_;
    bool passed_ = false;  ///< the program names the profile: then the environment does not count
    bool named_ = false;   ///< somebody names the profile: then it must be there
    std::filesystem::path credentials_file_, config_file_;
};

}  // inline namespace FAIRING_ABI

}  // namespace fairing::cloud::aws
