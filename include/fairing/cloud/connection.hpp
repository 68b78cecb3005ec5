// fairing/cloud/connection.hpp - what every service of a cloud is reached through, and what it says
// when it refuses.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "../core/clock.hpp"
#include "../core/control.hpp"
#include "../core/env.hpp"
#include "../core/error.hpp"
#include "../core/json_text.hpp"
#include "../net/exchange.hpp"
#include "xml.hpp"

namespace fairing::cloud {

inline namespace FAIRING_ABI {

/// A cheap value. The clock is that of `control`.
struct Connection {
    net::AnyTransport transport = {};
    /// For the metadata services of virtual machines and containers, which have link-local
    /// addresses: a transport that may go there. Empty: they are not asked.
    net::AnyTransport metadata = {};
    Control control = {};
    net::RetryPolicy retry = {};
    /// Of one request with all its attempts; zero means no limit.
    std::chrono::milliseconds deadline = {};
    /// Looks up an environment variable; empty: this process's.
    std::function<std::optional<std::string>(const char*)> variable = {};

    /// An environment variable; one that is empty is not set.
    [[nodiscard]] std::string env(const char* name) const {
        return (variable ? variable(name) : fairing::env(name)).value_or("");
    }
    /// `path` below the home directory; empty when there is no home directory.
    [[nodiscard]] std::filesystem::path in_home(const char* path) const {
        const std::string home = env("HOME");
        return home.empty() ? std::filesystem::path{} : std::filesystem::path{home} / path;
    }
    /// The answer, whatever its status. Redirects are not followed: they would take signatures and
    /// tokens along.
    [[nodiscard]] net::Answer send(net::Request request, const std::string& attempted,
                                   const std::string& subject,
                                   net::Repeat repeat = net::Repeat::automatic) const {
        return net::exchange(transport, std::move(request),
                             {.attempted = attempted,
                              .subject = subject,
                              .retry = retry,
                              .repeat = repeat,
                              .redirects = 0,
                              .deadline = deadline},
                             control);
    }
    /// The same connection for what must be done at the end: a stop does not end it, and ten
    /// seconds do.
    [[nodiscard]] Connection for_cleanup() const {
        Connection copy = *this;
        copy.control.stop = {};
        copy.deadline = std::chrono::seconds{10};
        return copy;
    }
    /// One answer of a metadata service within `limit`, connecting included; nullopt when nobody is
    /// there. It is asked once: a machine outside the cloud must not wait.
    [[nodiscard]] std::optional<net::Answer> ask_metadata(net::Request request,
                                                          std::chrono::milliseconds limit) const {
        if (!metadata || limit.count() <= 0) {
            return std::nullopt;
        }
        request.deadline = limit;
        request.max_body = std::uint64_t{1} << 20;
        try {
            return net::exchange(metadata, std::move(request),
                                 {.attempted = "ask",
                                  .subject = "the metadata service",
                                  .retry = {.attempts = 1},
                                  .redirects = 0},
                                 control);
        } catch (const Cancelled&) {
            throw;
        } catch (const Error&) {
            return std::nullopt;
        }
    }
};

}  // inline namespace FAIRING_ABI

/// How long a metadata service may take in all before it counts as absent.
inline constexpr std::chrono::milliseconds metadata_limit = std::chrono::milliseconds{1800};

[[nodiscard]] constexpr bool is_success(int status) noexcept {
    return status >= 200 && status < 300;
}

/// `time` in UTC as strftime() writes it; `format` asks for digits only, which no locale changes.
[[nodiscard]] inline std::string utc_text(std::chrono::system_clock::time_point time,
                                          const char* format) {
    const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    std::array<char, 64> text{};
    const std::size_t size = std::strftime(text.data(), text.size(), format, &parts);
    return std::string{text.data(), size};
}

/// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, 5.6.7).
[[nodiscard]] inline std::string http_date(std::chrono::system_clock::time_point time) {
    constexpr std::string_view days = "SunMonTueWedThuFriSat";
    constexpr std::string_view months = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const std::size_t day = std::stoul(utc_text(time, "%w"));
    const std::size_t month = std::stoul(utc_text(time, "%m")) - 1;
    return std::string{days.substr(3 * day, 3)} + utc_text(time, ", %d ") +
           std::string{months.substr(3 * month, 3)} + utc_text(time, " %Y %H:%M:%S GMT");
}

/// "2026-01-02T03:04:05Z", whatever stands behind the seconds; nullopt for anything else.
[[nodiscard]] inline std::optional<std::chrono::system_clock::time_point> parse_utc(
    const std::string& text) {
    std::tm parts{};
    return ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts) == nullptr
               ? std::nullopt
               : std::optional{clock_time(::timegm(&parts))};
}

/// Why a service refused, in its own words.
struct Refusal {
    std::string code = {};     ///< "NoSuchBucket", "invalid_grant"
    std::string message = {};  ///< a sentence; empty when there is none
};

/// What the body says, as XML (S3, STS, Azure) or as JSON in the forms of AWS, Google and OAuth.
/// Nothing else of the body is shown: it may repeat what we sent.
[[nodiscard]] inline Refusal refusal_of(const net::Response& answer) {
    Refusal refusal;
    const Json document =
        is_too_deep(answer.body) ? Json() : Json::parse(answer.body, nullptr, false);
    if (document.is_object()) {
        const Json& inner = document.contains("error") && document["error"].is_object()
                                ? document["error"]
                                : document;
        for (const char* key : {"__type", "status", "code", "error"}) {
            refusal.code = refusal.code.empty() ? text_or(inner, key) : refusal.code;
        }
        refusal.code = refusal.code.substr(refusal.code.find('#') + 1);
        for (const char* key : {"message", "Message", "error_description"}) {
            refusal.message = refusal.message.empty() ? text_or(inner, key) : refusal.message;
        }
    } else {
        refusal = {xml_text(answer.body, "Code").value_or(""),
                   xml_text(answer.body, "Message").value_or("")};
    }
    if (refusal.code.empty()) {
        refusal.code = net::header(answer.headers, "x-ms-error-code");
    }
    // Azure's sentences go on with a request id and a time.
    refusal.message = refusal.message.substr(0, refusal.message.find('\n'));
    return {net::printable(refusal.code, 100), net::printable(refusal.message, 500)};
}

/// The Error that an unwelcome answer is. A status that may pass is unavailable.
[[nodiscard]] inline Error refuse(const net::Answer& answer, std::string attempted,
                                  std::string subject, std::string advice = {}) {
    const Refusal refusal = refusal_of(answer);
    std::string text = net::status_text(answer.status);
    if (is_success(answer.status)) {
        text += ", and then";
    }
    for (const std::string& part : {refusal.code, refusal.message}) {
        text += part.empty() ? "" : (text.ends_with("then") ? " " : ": ") + part;
    }
    if (answer.attempts > 1) {
        subject += " after " + std::to_string(answer.attempts) + " attempts";
    }
    return Error{net::error_code(answer.status),
                 {.attempted = std::move(attempted),
                  .subject = std::move(subject),
                  .answer = std::move(text),
                  .advice = std::move(advice),
                  .http_status = answer.status}};
}

/// Throws what refuse() makes of an answer that is no success.
inline void need_success(const net::Answer& answer, const std::string& attempted,
                         const std::string& subject, const std::string& advice = {}) {
    if (!is_success(answer.status)) {
        throw refuse(answer, attempted, subject, advice);
    }
}

/// The endpoint without a slash at its end. Throws Error{usage} unless it is an http or https URL
/// without a query.
[[nodiscard]] inline std::string checked_endpoint(std::string endpoint) {
    while (endpoint.ends_with('/')) {
        endpoint.pop_back();
    }
    if (net::parse_url(endpoint).target.find('?') != std::string::npos) {
        throw Error{ErrorCode::usage,
                    {.attempted = "use endpoint",
                     .subject = net::redact_url(endpoint),
                     .answer = "it holds a query"}};
    }
    return endpoint;
}

/// Where tokens may be asked for: https, or this machine. Throws Error{denied}: what proves who we
/// are is not sent in the clear.
inline void check_token_url(const std::string& url) {
    const net::Url parsed = net::parse_url(url);
    if (!parsed.is_tls() && !net::is_loopback(parsed)) {
        throw Error{ErrorCode::denied,
                    {.attempted = "ask for a token at",
                     .subject = net::redact_url(url),
                     .answer = "it is not https"}};
    }
}

/// A form's body (application/x-www-form-urlencoded).
[[nodiscard]] inline std::string form_text(
    std::initializer_list<std::pair<const char*, std::string>> values) {
    std::string text;
    for (const auto& [key, value] : values) {
        text += (text.empty() ? "" : "&") + std::string{key} + '=' + net::percent_encode(value);
    }
    return text;
}

/// A POST of a form.
[[nodiscard]] inline net::Request form_request(
    std::string url, std::initializer_list<std::pair<const char*, std::string>> values) {
    return {.method = "POST",
            .url = std::move(url),
            .headers = {{"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"}},
            .body = net::Body::of(form_text(values)),
            .max_body = std::uint64_t{1} << 20};
}

}  // namespace fairing::cloud
