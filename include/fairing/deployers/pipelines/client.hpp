// fairing/deployers/pipelines/client.hpp - the API of Kubeflow Pipelines (v2beta1): at an endpoint
// of its own with a bearer token, or as a service of a cluster, through that one's API server.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>

#include "../../cloud/connection.hpp"
#include "../../core/credential.hpp"
#include "../../core/files.hpp"
#include "../../core/json_text.hpp"
#include "../../kube/client.hpp"
#include "../../kube/status_error.hpp"
#include "../../net/url.hpp"
#include "../../runs/connection.hpp"
#include "../../stage/cloud_access.hpp"
#include "options.hpp"

namespace fairing::pipelines {

/// One request: what it is, and for what.
struct Call {
    std::string method = "GET";
    std::string path = {};  ///< "/runs/ID", below /apis/v2beta1
    kube::Query query = {};
    std::string body = {};
    std::string attempted = {}, subject = {};
    net::Repeat repeat = net::Repeat::automatic;
};

/// Only what is called exactly so.
[[nodiscard]] inline std::string called(const std::string& display_name) {
    const Json predicate{
        {"operation", "EQUALS"}, {"key", "display_name"}, {"stringValue", display_name}};
    return Json{{"predicates", Json::array({predicate})}}.dump();
}

/// A cheap value.
class Client {
public:
    Client(const PipelineOptions& options, const KubernetesOptions& cluster, const Session& session)
        : connection_(cloud_connection(session)),
          options_(options),
          credentials_(session.credentials) {
        if (options_.endpoint.empty()) {
            options_.endpoint = connection_.env("KF_PIPELINES_ENDPOINT");
        }
        if (options_.endpoint.empty()) {
            cluster_.emplace(kubernetes::connect(cluster, session));
        } else {
            options_.endpoint = cloud::checked_endpoint(options_.endpoint);
        }
    }

    [[nodiscard]] const PipelineOptions& options() const noexcept { return options_; }
    [[nodiscard]] const Control& control() const noexcept { return connection_.control; }
    /// Null where the service has an endpoint: then no cluster is known.
    [[nodiscard]] const kube::Client* cluster() const noexcept {
        return cluster_ ? &*cluster_ : nullptr;
    }
    [[nodiscard]] Client with_stop(const std::stop_token& stop) const {
        Client copy = *this;
        copy.connection_.control.stop = stop;
        if (cluster_) {
            copy.cluster_.emplace(cluster_->with_stop(stop));
        }
        return copy;
    }
    /// Sleeps; throws Cancelled on a stop.
    void sleep(std::chrono::milliseconds pause, const std::string& attempted) const {
        control().sleep(pause);
        control().check(attempted);
    }

    [[nodiscard]] Json ask(const Call& call) const { return document(send(call), call); }
    /// nullopt for what is not there.
    [[nodiscard]] std::optional<Json> find(const Call& call) const {
        const net::Answer answer = send(call);
        return answer.status == 404 ? std::nullopt : std::optional{document(answer, call)};
    }
    /// Makes one thing, and never a second one: when the answer is lost, `made` looks for it first.
    [[nodiscard]] Json create(Call call, const std::function<std::optional<Json>()>& made) const {
        call.method = "POST";
        call.repeat = net::Repeat::never;
        for (int attempt = 1;; ++attempt) {
            std::optional<Error> failure;
            std::string retry_after;
            try {
                const net::Answer answer = send(call);
                if (!net::is_temporary(answer.status)) {
                    return document(answer, call);
                }
                retry_after = net::header(answer.headers, "Retry-After");
                failure = cloud::refuse(answer, call.attempted, call.subject);
            } catch (const Cancelled&) {
                throw;
            } catch (const Error& error) {
                if (error.code() != ErrorCode::unavailable && error.code() != ErrorCode::timeout) {
                    throw;
                }
                failure = error;
            }
            if (attempt >= connection_.retry.attempts) {
                throw *failure;
            }
            sleep(net::retry_delay(connection_.retry, attempt, retry_after, control().now()),
                  call.attempted + ' ' + call.subject);
            if (std::optional<Json> found = made()) {
                return *std::move(found);
            }
        }
    }

private:
    [[nodiscard]] net::Answer send(const Call& call) const {
        const std::string path = "/apis/v2beta1" + call.path;
        if (!cluster_) {
            net::Request request{.method = call.method,
                                 .url = options_.endpoint + path + kube::query_text(call.query),
                                 .headers = {{"Accept", "application/json"}},
                                 .max_body = std::uint64_t{64} << 20};
            if (!call.body.empty()) {
                request.headers.emplace("Content-Type", "application/json");
                request.body = net::Body::of(call.body);
            }
            if (const Secret token = this->token(); !token.empty()) {
                request.headers.emplace("Authorization", "Bearer " + token.reveal());
            }
            return connection_.send(std::move(request), call.attempted, call.subject, call.repeat);
        }
        net::Answer answer = cluster_->ask_service({.api_version = "v1",
                                                    .kind = "Service",
                                                    .namespace_ = options_.pipelines_namespace,
                                                    .name = "ml-pipeline"},
                                                   "http",
                                                   {.method = call.method,
                                                    .path = path,
                                                    .query = call.query,
                                                    .body = call.body,
                                                    .repeat = call.repeat});
        // The API server's own words.
        if (const Json status = kube::parse_status(answer.body);
            !cloud::is_success(answer.status) && status.is_object()) {
            throw Error{
                answer.status == 404 ? ErrorCode::unavailable : net::error_code(answer.status),
                {.attempted = call.attempted,
                 .subject = call.subject,
                 .answer = "Kubeflow Pipelines is not reached through the cluster: " +
                           net::printable(kube::text(status, {"message"}), 500),
                 .advice = "use --pipelines-namespace, or --pipelines-endpoint for its URL"}};
        }
        return answer;
    }

    /// A name that only a cluster's own DNS knows: what goes there in the clear stays there.
    [[nodiscard]] static bool is_inside(const std::string& host) {
        return host.find('.') == std::string::npos || host.ends_with(".svc") ||
               host.ends_with(".svc.cluster.local");
    }
    /// Read anew each time, for clusters renew the files. Throws Error{denied} rather than to send
    /// it in the clear.
    [[nodiscard]] Secret token() const {
        const net::Url url = net::parse_url(options_.endpoint);
        Secret token = find_token(url.host);
        if (!token.empty() && !is_inside(url.host)) {
            cloud::check_token_url(options_.endpoint);
        }
        return token;
    }
    [[nodiscard]] Secret find_token(const std::string& host) const {
        if (credentials_) {
            if (auto given = credentials_({.service = Service::pipelines, .host = host})) {
                return given->token;
            }
        }
        const auto read = [](const std::filesystem::path& file) {
            std::string text = read_file(file);
            text.erase(text.find_last_not_of(" \t\r\n") + 1);
            return Secret{std::move(text)};
        };
        if (!options_.token_file.empty()) {
            return read(options_.token_file);
        }
        if (std::string token = connection_.env("KF_PIPELINES_TOKEN"); !token.empty()) {
            return Secret{std::move(token)};
        }
        if (const std::string file = connection_.env("KF_PIPELINES_SA_TOKEN_PATH"); !file.empty()) {
            return read(file);
        }
        const std::filesystem::path mounted = "/var/run/secrets/kubeflow/pipelines/token";
        return std::filesystem::exists(mounted) ? read(mounted) : Secret{};
    }

    [[nodiscard]] Json document(const net::Answer& answer, const Call& call) const {
        const bool is_refused = answer.status == 401 || answer.status == 403;
        cloud::need_success(
            answer, call.attempted, call.subject,
            !is_refused ? ""
            : cluster_  ? "a Kubeflow with many users wants --pipelines-endpoint and a token"
                        : "give a token of the user by --token-file or KF_PIPELINES_TOKEN");
        Json value = answer.body.empty()
                         ? Json::object()
                         : parse_json(answer.body, "the answer about " + call.subject);
        if (!value.is_object()) {
            throw Error{ErrorCode::unavailable,
                        {.attempted = call.attempted,
                         .subject = call.subject,
                         .answer = "the answer is no JSON object",
                         .advice = "is the endpoint that of Kubeflow Pipelines?"}};
        }
        return value;
    }

    cloud::Connection connection_;
    PipelineOptions options_;
    CredentialsProvider credentials_;
    std::optional<kube::Client> cluster_ = {};
};

}  // namespace fairing::pipelines
