// fairing/deployers/find_vertex_endpoint.hpp - an endpoint of Vertex AI by its resource name,
// whoever made it, and how its models share the requests.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "google/endpoint_workload.hpp"
#include "google/traffic.hpp"
#include "google/vertex_endpoint.hpp"
#include "google/vertex_names.hpp"

namespace fairing {

/// The endpoint of this resource name (projects/P/locations/R/endpoints/ID), wherever it was made;
/// the options as find_vertex_job()'s. Its follow() removes nothing and gives the log until it is
/// removed; wait() returns when a model is deployed. remove() undeploys and deletes what fairing
/// made: its models, then the endpoint, unless others have models on it.
[[nodiscard]] inline Endpoint find_vertex_endpoint(
    const std::string& resource_name, const GoogleOptions& options, const Session& session,
    std::chrono::seconds predict_timeout = std::chrono::seconds{60}) {
    const detail::VertexName name = detail::parse_vertex_name(resource_name, "endpoints");
    const google::Client client = detail::client_for(name, options, session);
    google::Served served =
        detail::served_by(client, resource_name, name.project, detail::endpoint_log(resource_name));
    served.state = [](const Json& endpoint) {
        return kube::list(endpoint, {"deployedModels"}).empty()
                   ? Outcome{.state = State::failed, .reason = "no model is deployed to it"}
                   : Outcome{.state = State::ready};
    };
    served.is_found = true;
    served.predict_timeout = predict_timeout;
    served.undo.emplace_back(
        [root = served.operation_root, resource_name](const google::Client& with) {
            detail::remove_ours(with, root, resource_name);
        });
    served.operation = {{"done", true}};
    const std::optional<Json> endpoint = client.find(served.url, "look at", resource_name);
    served.may_cancel = endpoint && detail::is_ours(*endpoint);
    if (endpoint && kube::list(*endpoint, {"deployedModels"}).empty()) {
        for (Json& running : detail::running_operations(client, served.url, resource_name)) {
            served.operation = std::move(running);
        }
    }
    return detail::need_there(
        Endpoint{std::make_shared<google::EndpointWorkload>(client, std::move(served))}, session);
}

/// Gives the newest model of the endpoint of this resource name another share of its requests, as
/// shift_traffic() does in a cluster: 100 makes it the only one, 0 goes back to those before.
[[nodiscard]] inline Endpoint shift_vertex_traffic(const std::string& resource_name, int percent,
                                                   const GoogleOptions& options,
                                                   const Session& session) {
    google::check_least("traffic", percent, 0);
    if (percent > 100) {
        throw google::bad_option("traffic", std::to_string(percent), "it is more than 100");
    }
    const detail::VertexName name = detail::parse_vertex_name(resource_name, "endpoints");
    const google::Client client = detail::client_for(name, options, session);
    const std::string url = detail::vertex_endpoint(client.options()) + "/v1/" + resource_name;
    const google::TrafficSplit split = google::traffic_with_newest(
        client.get(url, "divide the requests to", resource_name), percent);
    if (split.empty()) {
        throw Error{ErrorCode::input,
                    {.attempted = "divide the requests to",
                     .subject = resource_name,
                     .answer = "it has no models that could share them"}};
    }
    static_cast<void>(client.patch(url + "?updateMask=trafficSplit", {{"trafficSplit", split}},
                                   "divide the requests to", resource_name));
    return find_vertex_endpoint(resource_name, options, session);
}

}  // namespace fairing
