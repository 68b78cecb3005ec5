// fairing/deployers/google/vertex_endpoint.hpp - an endpoint of Vertex AI: what is on it and under
// way there, where its lines are, and how models and it go
// (cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.endpoints).
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../../kube/object.hpp"
#include "endpoint_workload.hpp"
#include "traffic.hpp"
#include "vertex_names.hpp"

namespace fairing::detail {

[[nodiscard]] inline bool is_deployed(const Json& endpoint, const std::string& model) {
    for (const Json& deployed : kube::list(endpoint, {"deployedModels"})) {
        if (text_or(deployed, "model") == model) {
            return true;
        }
    }
    return false;
}

/// Takes `model` off the endpoint; the models that stay share its traffic.
inline void undeploy(const google::Client& client, const std::string& root,
                     const std::string& endpoint, const std::string& model) {
    const std::optional<Json> found = client.find(root + endpoint, "look at", endpoint);
    if (!found) {
        return;
    }
    for (const Json& deployed : kube::list(*found, {"deployedModels"})) {
        if (text_or(deployed, "model") != model) {
            continue;
        }
        const std::string id = text_or(deployed, "id");
        Json body{{"deployedModelId", id}};
        if (const google::TrafficSplit rest = google::traffic_without(*found, id); !rest.empty()) {
            body["trafficSplit"] = rest;
        }
        const Json operation = client.create({.url = root + endpoint + ":undeployModel",
                                              .body = std::move(body),
                                              .attempted = "undeploy",
                                              .subject = model});
        const auto done = [&](const google::Client& with) -> std::optional<Json> {
            const std::optional<Json> now = with.find(root + endpoint, "look at", endpoint);
            return now && is_deployed(*now, model) ? std::nullopt : std::optional{Json::object()};
        };
        static_cast<void>(client.finish(operation, root, "undeploy", model, done));
    }
}

/// Deletes a resource by its name; one that is not there counts as deleted.
inline void delete_resource(const google::Client& client, const std::string& root,
                            const std::string& name) {
    client.remove(root + name, root, name);
}

/// Gives up the operation that makes `name`, and deletes what it made nevertheless: nothing under
/// way can be deleted.
inline void delete_made(const google::Client& client, const std::string& root,
                        const Json& operation, const std::string& name) {
    client.cancel(operation, root, name);
    const Json end = client.end_of(operation, root, "wait for", name);
    if (google::failure_of(end).empty()) {
        delete_resource(client, root, name);
    }
}

/// Deletes the endpoint unless somebody else's model is on it.
inline void delete_endpoint(const google::Client& client, const std::string& root,
                            const std::string& endpoint) {
    const std::optional<Json> found = client.find(root + endpoint, "look at", endpoint);
    if (found && kube::list(*found, {"deployedModels"}).empty()) {
        delete_resource(client, root, endpoint);
    }
}

/// The operations on `name` that are going on.
[[nodiscard]] inline std::vector<Json> running_operations(const google::Client& client,
                                                          const std::string& url,
                                                          const std::string& name) {
    std::vector<Json> running;
    const Json answer = client.get(url + "/operations", "look at the operations of", name);
    for (const Json& operation : kube::list(answer, {"operations"})) {
        if (!google::is_done(operation)) {
            running.push_back(operation);
        }
    }
    return running;
}

/// What an endpoint is to us, by its resource name; the rest is the caller's.
[[nodiscard]] inline google::Served served_by(const google::Client& client, const std::string& name,
                                              const std::string& project, std::string filter) {
    const std::string root = vertex_endpoint(client.options()) + "/v1/";
    return {.object = {.api_version = vertex_api, .kind = "Endpoint", .name = name},
            .url = root + name,
            .predict_url = root + name + ":predict",
            .operation_root = root,
            .log = {.endpoint = client.options().logging_endpoint,
                    .project = project,
                    .filter = std::move(filter),
                    .subject = "endpoint " + name}};
}

/// The lines of all models of an endpoint, or of one.
[[nodiscard]] inline std::string endpoint_log(const std::string& name,
                                              const std::string& deployed_id = {}) {
    const std::string type = "aiplatform.googleapis.com/Endpoint";
    const std::pair<const char*, std::string> endpoint{"resource.labels.endpoint_id",
                                                       name.substr(name.rfind('/') + 1)};
    return deployed_id.empty()
               ? google::log_filter(type, {endpoint})
               : google::log_filter(type, {endpoint, {"labels.deployed_model_id", deployed_id}});
}

[[nodiscard]] inline bool is_ours(const Json& resource) {
    return kube::member(resource, {"labels", kube::run_label}).is_string();
}

/// Removes what runs of ours have left on an endpoint and, when it is ours and empty then, itself.
inline void remove_ours(const google::Client& client, const std::string& root,
                        const std::string& name) {
    const std::optional<Json> endpoint = client.find(root + name, "look at", name);
    if (!endpoint) {
        return;
    }
    bool is_touched = is_ours(*endpoint);
    for (const Json& deployed : kube::list(*endpoint, {"deployedModels"})) {
        const std::string model = text_or(deployed, "model");
        const std::optional<Json> resource = client.find(root + model, "look at", model);
        if (resource && is_ours(*resource)) {
            is_touched = true;
            undeploy(client, root, name, model);
            delete_resource(client, root, model);
        }
    }
    if (!is_touched) {
        throw Error{ErrorCode::denied,
                    {.attempted = "remove",
                     .subject = name,
                     .answer = "fairing has made neither it nor a model on it"}};
    }
    if (is_ours(*endpoint)) {
        delete_endpoint(client, root, name);
    }
}

}  // namespace fairing::detail
