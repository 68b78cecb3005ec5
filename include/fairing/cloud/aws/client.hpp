// fairing/cloud/aws/client.hpp - signed requests to AWS's services, and to others that speak like
// them.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "../connection.hpp"
#include "../renewed.hpp"
#include "signature.hpp"

namespace fairing::cloud::aws {

inline namespace FAIRING_ABI {

/// Where a service of AWS is in a region: what AWS_ENDPOINT_URL_S3 (and so on) or AWS_ENDPOINT_URL
/// say, else AWS's own host.
[[nodiscard]] inline std::string service_endpoint(const Connection& connection,
                                                  const std::string& service,
                                                  const std::string& region) {
    std::string name = "AWS_ENDPOINT_URL_" + service;
    std::transform(name.begin() + 17, name.end(), name.begin() + 17,
                   [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
    for (const std::string& given :
         {connection.env(name.c_str()), connection.env("AWS_ENDPOINT_URL")}) {
        if (!given.empty()) {
            return checked_endpoint(given);
        }
    }
    const std::string host = service == "ecr" ? "api.ecr" : service;
    return "https://" + host + '.' + region +
           (region.starts_with("cn-") ? ".amazonaws.com.cn" : ".amazonaws.com");
}

/// Throws Error{usage} unless `region` may stand in the name of a host.
inline void check_region(const std::string& region) {
    if (region.empty() ||
        region.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") != std::string::npos) {
        throw Error{ErrorCode::usage,
                    {.attempted = "use region",
                     .subject = '"' + net::printable(region, 60) + '"',
                     .answer = region.empty() ? "it is not set" : "it is not the name of a region",
                     .advice = "set AWS_REGION, or the region of the profile"}};
    }
}

/// Signs and sends. When a service says that our clock is wrong, the request is signed once more
/// with the service's time, and so is every later one. Copies share that time and the credentials.
class Client {
public:
    Client(Connection connection, Renewed<Credentials> credentials, std::string region)
        : connection_(std::move(connection)),
          credentials_(std::move(credentials)),
          region_(std::move(region)) {
        check_region(region_);
    }

    struct Call {
        std::string service = {};  ///< as it is signed: "s3", "ecr", "sts"
        net::Request request = {};
        std::string attempted = {}, subject = {};  ///< for errors
        net::Repeat repeat = net::Repeat::automatic;
        std::string payload = empty_sha256;  ///< SHA-256 of the body
    };
    /// The answer, whatever its status.
    [[nodiscard]] net::Answer send(const Call& call) const {
        net::Answer answer = send_once(call);
        if (const auto difference = clock_difference(answer)) {
            connection_.control.say(
                Level::warning,
                "the clock of this machine is " + std::to_string(std::abs(difference->count())) +
                    " s " + (difference->count() > 0 ? "behind" : "ahead of") + " the one of " +
                    net::parse_url(call.request.url).host + "; signing with the latter");
            *skew_ = difference->count();
            answer = send_once(call);
        }
        return answer;
    }

    /// The same client for what must be done at the end: see Connection::for_cleanup().
    [[nodiscard]] Client for_cleanup() const {
        Client copy = *this;
        copy.connection_ = connection_.for_cleanup();
        return copy;
    }
    [[nodiscard]] const Connection& connection() const noexcept { return connection_; }
    [[nodiscard]] const std::string& region() const noexcept { return region_; }
    [[nodiscard]] std::string endpoint(const std::string& service) const {
        return service_endpoint(connection_, service, region_);
    }

private:
    [[nodiscard]] net::Answer send_once(const Call& call) const {
        net::Request request = call.request;
        const net::Url url = net::parse_url(request.url);
        const bool is_s3 = call.service == "s3";
        if (is_s3) {
            request.headers.emplace("X-Amz-Content-Sha256", call.payload);
        }
        request.headers.emplace("Host", url.authority());
        sign_headers(request, url.target, call.payload, credentials_.get(),
                     {.region = region_,
                      .service = call.service,
                      .time = connection_.control.now() + std::chrono::seconds{skew_->load()},
                      .path = is_s3 ? SignedPath::as_sent : SignedPath::encoded});
        request.headers.erase("Host");  // the transport's
        return connection_.send(std::move(request), call.attempted, call.subject, call.repeat);
    }

    /// How far the service's clock is ahead of what we signed with, when that is what it minds.
    [[nodiscard]] std::optional<std::chrono::seconds> clock_difference(
        const net::Answer& answer) const {
        if (answer.status != 403 && answer.status != 400) {
            return std::nullopt;
        }
        const auto [code, message] = refusal_of(answer);
        const auto theirs = net::parse_http_date(net::header(answer.headers, "Date"));
        if (!theirs) {
            return std::nullopt;
        }
        const auto difference =
            std::chrono::duration_cast<std::chrono::seconds>(*theirs - connection_.control.now());
        // Their own time would be refused again.
        const auto wrong_by = std::abs(difference.count() - skew_->load());
        // The answer to HEAD has no body that says why; a quarter of an hour is what they allow.
        const bool is_silent = answer.body.empty() && wrong_by > 840;
        const bool is_skew = is_silent || code == "RequestTimeTooSkewed" ||
                             code == "RequestExpired" || code == "RequestInTheFuture" ||
                             message.find("Signature expired") != std::string::npos ||
                             message.find("Signature not yet current") != std::string::npos;
        return is_skew && wrong_by >= 60 ? std::optional{difference} : std::nullopt;
    }

    Connection connection_;
    Renewed<Credentials> credentials_;
    std::string region_;
    std::shared_ptr<std::atomic<std::int64_t>> skew_ =
        std::make_shared<std::atomic<std::int64_t>>(0);  ///< seconds that the service is ahead
};

}  // inline namespace FAIRING_ABI

}  // namespace fairing::cloud::aws
