// fairing/kube/api_server.hpp - one request to a Kubernetes API server and its answer: whom we are
// there, what is repeated, and what the server refuses or warns of.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "../core/control.hpp"
#include "../net/exchange.hpp"
#include "cluster.hpp"
#include "credentials.hpp"
#include "object.hpp"
#include "status_error.hpp"

namespace fairing::kube {

struct ClientOptions {
    net::RetryPolicy retry = {};
    std::chrono::milliseconds deadline = std::chrono::seconds{60};  ///< of one request
    std::string field_manager = "fairing";
};

/// One request in our words.
struct Call {
    std::string method = "GET";
    std::string path = {};
    Query query = {};
    std::string body = {};
    std::string content_type = "application/json";
    std::string attempted = {}, subject = {};
    net::Repeat repeat = net::Repeat::automatic;
    int attempts = 0;                         ///< of ours so far, for the error
    std::chrono::milliseconds deadline = {};  ///< zero: that of the options
};

/// A server as we reach it. Cheap to copy; copies share the credentials. All members may be called
/// from any thread; a stop of the Control ends whatever a member waits for.
class ApiServer {
public:
    ApiServer(Cluster cluster, net::AnyTransport transport, Control control,
              ClientOptions options = {}, std::shared_ptr<Credentials> credentials = {})
        : shared_(std::make_shared<Shared>(std::move(cluster), std::move(transport),
                                           std::move(options), std::move(credentials),
                                           control.clock)),
          control_(std::move(control)) {}

    /// The same server, for requests that stop and speak as `control` says.
    [[nodiscard]] ApiServer with(Control control) const {
        ApiServer copy = *this;
        copy.control_ = std::move(control);
        return copy;
    }
    [[nodiscard]] const Cluster& cluster() const noexcept { return shared_->cluster; }
    [[nodiscard]] const Control& control() const noexcept { return control_; }
    [[nodiscard]] const ClientOptions& options() const noexcept { return shared_->options; }

    /// Any answer; after a 401 one more attempt with fresh credentials.
    [[nodiscard]] net::Answer send(const Call& call) const {
        net::Answer answer =
            net::exchange(shared_->transport, request_of(call), exchange_options(call), control_);
        if (answer.status == 401 && shared_->credentials->drop()) {
            answer = net::exchange(shared_->transport, request_of(call), exchange_options(call),
                                   control_);
        }
        warn(answer);
        return answer;
    }
    /// The object that a successful answer holds; throws StatusError for any other answer.
    [[nodiscard]] Json ask(const Call& call) const { return document(call, send(call)); }
    /// The same; nullopt for a 404.
    [[nodiscard]] std::optional<Json> find(const Call& call) const {
        const net::Answer answer = send(call);
        return answer.status == 404 ? std::nullopt : std::optional<Json>{document(call, answer)};
    }
    /// The bytes of the answer into `sink`. Is not repeated, but for a 401. `idle` is how long it
    /// may be silent.
    void stream(Call call, const net::BodySink& sink, std::chrono::milliseconds idle) const {
        call.repeat = net::Repeat::never;
        for (const bool is_last : {false, true}) {
            net::Request request = request_of(call);
            request.deadline = {};
            request.idle_timeout = idle;
            const net::Answer answer = net::exchange(shared_->transport, std::move(request),
                                                     exchange_options(call), control_, sink);
            if (answer.status == 401 && !is_last && shared_->credentials->drop()) {
                continue;
            }
            if (answer.status != 200) {
                throw failure(call, answer);
            }
            warn(answer);
            return;
        }
    }
    /// The object in a successful answer.
    [[nodiscard]] Json document(const Call& call, const net::Answer& answer) const {
        if (answer.status < 200 || answer.status > 299) {
            throw failure(call, answer);
        }
        const auto refuse = [&call] {
            return Error{ErrorCode::integrity,
                         {.attempted = call.attempted,
                          .subject = call.subject,
                          .answer = "the API server's answer is no JSON object"}};
        };
        if (is_too_deep(answer.body)) {
            throw refuse();
        }
        Json object = Json::parse(answer.body, nullptr, false);
        if (!object.is_object()) {
            throw refuse();
        }
        return object;
    }

private:
    struct Shared {
        Shared(Cluster which, net::AnyTransport door, ClientOptions settings,
               std::shared_ptr<Credentials> given, Clock clock)
            : cluster(std::move(which)),
              transport(std::move(door)),
              options(std::move(settings)),
              credentials(given ? std::move(given)
                                : std::make_shared<Credentials>(
                                      cluster, CredentialsOptions{.clock = std::move(clock)})) {}
        const Cluster cluster;
        const net::AnyTransport transport;
        const ClientOptions options;
        const std::shared_ptr<Credentials> credentials;
    };

    [[nodiscard]] net::Request request_of(const Call& call) const {
        net::Request request{
            .method = call.method,
            .url = shared_->cluster.server + call.path + query_text(call.query),
            .headers = {{"Accept", "application/json"}},
            .deadline = call.deadline.count() > 0 ? call.deadline : shared_->options.deadline,
            .idle_timeout = std::max(call.deadline, net::Request{}.idle_timeout),
            .max_body = std::uint64_t{256} << 20};
        if (!call.body.empty()) {
            request.headers.emplace("Content-Type", call.content_type);
            request.body = net::Body::of(call.body);
        }
        shared_->credentials->add_to(request.headers, control_.stop);
        return request;
    }
    [[nodiscard]] net::ExchangeOptions exchange_options(const Call& call) const {
        return {.attempted = call.attempted,
                .subject = call.subject,
                .retry = shared_->options.retry,
                .repeat = call.repeat,
                .redirects = 0};
    }
    /// The server's own warnings (RFC 7234, 5.5): `299 - "text"`.
    void warn(const net::Answer& answer) const {
        for (const auto& [name, value] : answer.headers) {
            if (net::header({{name, value}}, "Warning").empty()) {
                continue;
            }
            const std::size_t open = value.find('"');
            const std::size_t close = value.rfind('"');
            if (open != std::string::npos && close > open) {
                control_.say(Level::warning,
                             "the API server warns: " +
                                 net::printable(value.substr(open + 1, close - open - 1)));
            }
        }
    }
    [[nodiscard]] StatusError failure(const Call& call, const net::Answer& answer) const {
        std::string subject = call.subject;
        if (const int count = std::max(call.attempts, answer.attempts); count > 1) {
            subject += " after " + std::to_string(count) + " attempts";
        }
        return status_error(answer.status, answer.body, call.attempted, std::move(subject),
                            shared_->cluster.context);
    }

    std::shared_ptr<const Shared> shared_;
    Control control_;
};

}  // namespace fairing::kube
