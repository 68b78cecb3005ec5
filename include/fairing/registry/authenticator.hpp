// fairing/registry/authenticator.hpp - the Authorization header for one registry: Basic, or bearer
// tokens from the token server that the registry names (distribution "Token Authentication
// Specification" and its OAuth2 form).
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../codec/base64.hpp"
#include "../core/control.hpp"
#include "../core/json_text.hpp"
#include "../net/exchange.hpp"
#include "challenge.hpp"
#include "credentials.hpp"

namespace fairing::registry {

/// Answers the challenges of one registry. Tokens are kept per scope. May be used from several
/// threads at once.
class Authenticator {
public:
    struct Options {
        net::AnyTransport transport = {};
        CredentialSources credentials = {};
        net::RetryPolicy retry = {};
    };

    /// `host` as it is written in references; `registry` is where its API is.
    Authenticator(std::string host, std::string repository, net::Url registry, Options options)
        : host_(std::move(host)),
          repository_(std::move(repository)),
          registry_(std::move(registry)),
          options_(std::move(options)) {}

    /// The value of Authorization for requests that need `scopes`; empty as long as the registry
    /// has not asked.
    [[nodiscard]] std::string authorization(const std::vector<std::string>& scopes,
                                            const Control& control) {
        const std::lock_guard lock{mutex_};
        if (!challenge_) {
            return {};
        }
        if (challenge_->scheme == "basic") {
            return basic();
        }
        const auto held = tokens_.find(scopes);
        if (held != tokens_.end() && control.now() < held->second.expires) {
            return "Bearer " + held->second.value.reveal();
        }
        return fetch(scopes, control);
    }

    /// What to send instead of `refused`, after a 401 with these headers. Throws Error{denied} when
    /// there is nothing better, Error{input} for challenges that can not be read.
    [[nodiscard]] std::string refresh(const std::vector<std::string>& scopes,
                                      const std::string& refused, const net::Headers& headers,
                                      const Control& control) {
        const std::lock_guard lock{mutex_};
        const std::optional<Challenge> challenge = choose_challenge(parse_challenges(headers));
        if (!challenge) {
            throw denied("it asks for no authentication that we know (Bearer, Basic)");
        }
        challenge_ = challenge;
        const bool is_basic = challenge_->scheme == "basic";
        const auto held = tokens_.find(scopes);
        if (!is_basic && held != tokens_.end() &&
            "Bearer " + held->second.value.reveal() != refused) {
            return "Bearer " + held->second.value.reveal();  // another thread was quicker
        }
        if (!login_known_ || !refused.empty()) {  // a helper may have a newer one by now
            login_ = find_login(options_.credentials, host_, repository_, control);
            login_known_ = true;
        }
        if (is_basic) {
            std::string value = basic();
            if (value.empty() || value == refused) {
                throw denied(value.empty() ? "it asks for a user and password, and there are none"
                                           : "user and password were refused");
            }
            return value;
        }
        tokens_.erase(scopes);
        return fetch(scopes, control);
    }

    /// What the user can do about a refusal.
    [[nodiscard]] std::string advice() const {
        const std::lock_guard lock{mutex_};
        return login_ ? "check the credentials for " + host_ + " in " + login_->source
                      : "no credentials for " + host_ + " were found: log in with `docker login " +
                            host_ + "` or `podman login " + host_ + '`';
    }

private:
    struct Token {
        Secret value = {};
        std::chrono::system_clock::time_point expires = {};
    };

    [[nodiscard]] Error denied(std::string answer) const {
        return Error{
            ErrorCode::denied,
            {.attempted = "authenticate at",
             .subject = host_,
             .answer = std::move(answer),
             .advice = login_ ? "check the credentials for " + host_ + " in " + login_->source
                              : "log in with `docker login " + host_ + '`'}};
    }
    [[nodiscard]] Error bad_realm(std::string answer) const {
        return Error{
            ErrorCode::denied,
            {.attempted = "get a token for", .subject = host_, .answer = std::move(answer)}};
    }

    [[nodiscard]] static std::string basic_value(const std::string& user, const Secret& password) {
        return "Basic " + codec::base64_encode(user + ':' + password.reveal());
    }
    [[nodiscard]] std::string basic() const {
        return login_ && !login_->user.empty() ? basic_value(login_->user, login_->password)
                                               : std::string{};
    }

    /// Where tokens come from; never anything that a registry must not make us contact.
    [[nodiscard]] net::Url realm() const {
        const std::string text = challenge_->parameter("realm");
        if (text.empty()) {
            throw bad_realm("its challenge names no realm");
        }
        net::Url url;
        try {
            url = net::parse_url(text);
        } catch (const Error& error) {
            throw bad_realm("its realm is refused: " + error.details().answer);
        }
        if (url.is_unix() || (registry_.is_tls() && !url.is_tls())) {
            throw bad_realm("its realm is not https: " + net::redact_url(text));
        }
        if (!url.is_tls() && url.host != registry_.host && !net::is_loopback(url)) {
            throw bad_realm("its realm is plain http on another host: " + net::redact_url(text));
        }
        if (net::is_refused_address(url.host)) {
            throw bad_realm("its realm is at the refused address " + url.host);
        }
        return url;
    }

    /// A new token for `scopes`, as the value of Authorization.
    std::string fetch(const std::vector<std::string>& scopes, const Control& control) {
        if (login_ && !login_->bearer_token.empty()) {
            return "Bearer " + login_->bearer_token.reveal();
        }
        const net::Url from = realm();
        const std::string subject = host_ + " from " + net::redact_url(from.text());
        const net::ExchangeOptions options{.attempted = "get a token for",
                                           .subject = subject,
                                           .retry = options_.retry,
                                           .repeat = net::Repeat::always};
        std::optional<net::Answer> answer;
        if (login_ && !login_->identity_token.empty()) {
            answer =
                net::exchange(options_.transport, post_request(from, scopes), options, control);
            // 404 and 405: it knows no POST; some that do not say 401.
            const bool by_password = answer->status == 401 && !login_->user.empty();
            if (answer->status == 404 || answer->status == 405 || by_password) {
                answer.reset();
            }
        }
        if (!answer) {
            answer = net::exchange(options_.transport, get_request(from, scopes), options, control);
        }
        if (answer->status < 200 || answer->status > 299) {
            throw Error{
                net::error_code(answer->status),
                {.attempted = "get a token for",
                 .subject = subject,
                 .answer = net::status_text(answer->status),
                 .advice = login_ ? "check the credentials for " + host_ + " in " + login_->source
                                  : "log in with `docker login " + host_ + '`',
                 .http_status = answer->status}};
        }
        Token token = read_token(answer->body, subject, control);
        std::string value = "Bearer " + token.value.reveal();
        tokens_[scopes] = std::move(token);
        return value;
    }

    [[nodiscard]] net::Request base_request(const net::Url& from) const {
        return {.url = from.text(),
                .headers = {{"Accept", "application/json"}},
                .deadline = std::chrono::seconds{60},
                .max_body = std::uint64_t{1} << 20};
    }
    [[nodiscard]] net::Request get_request(const net::Url& from,
                                           const std::vector<std::string>& scopes) const {
        net::Request request = base_request(from);
        char separator = from.target.find('?') == std::string::npos ? '?' : '&';
        const auto add = [&](const char* name, const std::string& value) {
            request.url += separator + (name + ('=' + net::percent_encode(value)));
            separator = '&';
        };
        if (const std::string service = challenge_->parameter("service"); !service.empty()) {
            add("service", service);
        }
        for (const std::string& scope : scopes) {
            add("scope", scope);
        }
        if (const std::string value = basic(); !value.empty()) {
            request.headers.emplace("Authorization", value);
        } else if (login_ && !login_->identity_token.empty()) {
            request.headers.emplace("Authorization",
                                    basic_value("<token>", login_->identity_token));
        }
        return request;
    }
    [[nodiscard]] net::Request post_request(const net::Url& from,
                                            const std::vector<std::string>& scopes) const {
        std::string all;
        for (const std::string& scope : scopes) {
            all += (all.empty() ? "" : " ") + scope;
        }
        net::Request request = base_request(from);
        request.method = "POST";
        request.headers.emplace("Content-Type", "application/x-www-form-urlencoded");
        request.body = net::Body::of("grant_type=refresh_token&client_id=fairing&service=" +
                                     net::percent_encode(challenge_->parameter("service")) +
                                     "&scope=" + net::percent_encode(all) + "&refresh_token=" +
                                     net::percent_encode(login_->identity_token.reveal()));
        return request;
    }

    [[nodiscard]] Token read_token(const std::string& body, const std::string& subject,
                                   const Control& control) const {
        const Json document = parse_json(body, "the token for " + subject);
        std::string value = text_or(document, "token");
        if (value.empty()) {
            value = text_or(document, "access_token");
        }
        if (value.empty() || !net::is_header_value(value)) {
            throw bad_realm("the answer of " + net::redact_url(challenge_->parameter("realm")) +
                            " holds no token");
        }
        std::int64_t seconds = 60;
        if (document.contains("expires_in") && document["expires_in"].is_number_integer()) {
            seconds =
                std::clamp<std::int64_t>(document["expires_in"].get<std::int64_t>(), 60, 86400);
        }
        // A little early, so that it does not expire under way.
        return {.value = Secret{std::move(value)},
                .expires = control.now() + std::chrono::seconds{seconds - seconds / 10}};
    }

    const std::string host_, repository_;
    const net::Url registry_;
    const Options options_;
    mutable std::mutex mutex_;
    std::optional<Challenge> challenge_ = {};
    std::optional<Login> login_ = {};
    bool login_known_ = false;
    std::map<std::vector<std::string>, Token> tokens_ = {};
};

}  // namespace fairing::registry
