// fairing/deployers/vertex_serving.hpp - serves the image as a model of Vertex AI: upload,
// endpoint, deployment
// (cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.endpoints).
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "google/endpoint_workload.hpp"
#include "google/traffic.hpp"
#include "vertex.hpp"

namespace fairing {

/// The model is uploaded under the run's name and deployed to an endpoint, which is found by its
/// display name or made. remove() undeploys and deletes what this run made.
struct VertexServingDeployer {
    static constexpr const char* name_prefix = "fairing-service-";

    GoogleOptions google = {};
    google::Machine machine = {.machine_type = "n1-standard-2"};
    std::string endpoint_name = {};  ///< display name; empty: the run's
    std::string artifact_uri = {};   ///< gs:// folder of the trained model: AIP_STORAGE_URI
    int container_port = 0;          ///< 0: Google's own, 8080
    std::string predict_route = {};  ///< empty: Google's own
    std::string health_route = {};   ///< empty: Google's own
    int min_replica_count = 1;
    int max_replica_count = 0;  ///< 0: as many as at least
    int traffic_percent = 100;  ///< of the endpoint; the models that are there share the rest
    std::string service_account = {};
    Labels environment = {};
    std::map<std::string, Json> model_config = {};   ///< Model, over what is made here
    std::map<std::string, Json> deploy_config = {};  ///< DeployedModel, over what is made here

    /// As VertexDeployer's.
    void check() const;
    /// The deployment has begun when this returns; follow() and wait() end when the model answers.
    /// What was made before a failure is removed.
    [[nodiscard]] Endpoint deploy(const Image& image, const Session& session) const;
    /// The bodies of the three requests: model, endpoint, deployment.
    [[nodiscard]] std::vector<Json> manifests(const Image& image, const Session& session) const;
};

template <>
inline constexpr auto fields<VertexServingDeployer> = std::tuple_cat(
    fields_of_part(&VertexServingDeployer::google), fields_of_part(&VertexServingDeployer::machine),
    std::tuple{
        field("endpoint_name", &VertexServingDeployer::endpoint_name,
              "display name of the endpoint, found or made (default: the model's)"),
        field("artifact_uri", &VertexServingDeployer::artifact_uri,
              "gs:// folder of the trained model, which the program finds in AIP_STORAGE_URI"),
        field("container_port", &VertexServingDeployer::container_port,
              "port that the program listens on (default: 8080)"),
        field("predict_route", &VertexServingDeployer::predict_route,
              "path of the program that predicts (default: Vertex AI's own)"),
        field("health_route", &VertexServingDeployer::health_route,
              "path of the program that says whether it is ready (default: Vertex AI's own)"),
        field("min_replica_count", &VertexServingDeployer::min_replica_count,
              "replicas at least (default: 1)"),
        field("max_replica_count", &VertexServingDeployer::max_replica_count,
              "replicas at most (default: as many as at least)"),
        field("traffic_percent", &VertexServingDeployer::traffic_percent,
              "share of the endpoint's traffic; models that are there keep the rest (default: "
              "100)"),
        field("service_account", &VertexServingDeployer::service_account,
              "service account that the program runs as"),
        field("environment", &VertexServingDeployer::environment,
              "variable of the program; repeatable", "env"),
        field("model_config", &VertexServingDeployer::model_config,
              "member of the Model, over what is made from the other options; repeatable"),
        field("deploy_config", &VertexServingDeployer::deploy_config,
              "member of the DeployedModel, over what is made from the other options; repeatable"),
    });

namespace detail {

/// What one run makes, and where.
class VertexServing {
public:
    VertexServing(const VertexServingDeployer& options, std::string run_id)
        : options_(options),
          run_id_(std::move(run_id)),
          name_(options.google.name.empty() ? VertexServingDeployer::name_prefix + run_id_
                                            : options.google.name),
          model_id_(VertexServingDeployer::name_prefix + run_id_) {}

    [[nodiscard]] Json model_request(const Image& image) const {
        Labels environment = image.environment;
        for (const auto& [key, value] : options_.environment) {
            environment[key] = value;
        }
        Json container{{"imageUri", google::image_uri(image)}, {"command", image.command}};
        if (!environment.empty()) {
            container["env"] = google::environment_of(environment);
        }
        if (options_.container_port > 0) {
            container["ports"] = Json::array({{{"containerPort", options_.container_port}}});
        }
        set(container, "predictRoute", options_.predict_route);
        set(container, "healthRoute", options_.health_route);
        Json model{
            {"displayName", name_}, {"labels", labels()}, {"containerSpec", std::move(container)}};
        set(model, "artifactUri", options_.artifact_uri);
        return {{"modelId", model_id_},
                {"model", google::merged(std::move(model), Json(options_.model_config))}};
    }
    [[nodiscard]] std::string endpoint_name() const {
        return options_.endpoint_name.empty() ? name_ : options_.endpoint_name;
    }
    [[nodiscard]] Json endpoint_request() const {
        return {{"displayName", endpoint_name()}, {"labels", labels()}};
    }
    /// `model` is its resource name, `others` the endpoint's traffic split so far.
    [[nodiscard]] Json deploy_request(const std::string& model,
                                      const google::TrafficSplit& others) const {
        Json deployed{{"model", model},
                      {"displayName", name_},
                      {"dedicatedResources",
                       {{"machineSpec", google::machine_spec(options_.machine)},
                        {"minReplicaCount", options_.min_replica_count},
                        {"maxReplicaCount",
                         std::max(options_.min_replica_count, options_.max_replica_count)}}}};
        set(deployed, "serviceAccount", options_.service_account);
        google::TrafficSplit split = google::shared_traffic(others, 100 - options_.traffic_percent);
        split["0"] = options_.traffic_percent;  // the one that is being deployed
        return {
            {"deployedModel", google::merged(std::move(deployed), Json(options_.deploy_config))},
            {"trafficSplit", split}};
    }
    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    [[nodiscard]] const std::string& model_id() const noexcept { return model_id_; }

private:
    [[nodiscard]] Labels labels() const {
        return google::labels_of(options_.google, run_id_, "vertex-serving");
    }
    static void set(Json& object, const char* key, const std::string& value) {
        if (!value.empty()) {
            object[key] = value;
        }
    }

    const VertexServingDeployer& options_;
    std::string run_id_, name_, model_id_;
};

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
        const Json operation =
            client.create(root + endpoint + ":undeployModel", body, "undeploy", model);
        static_cast<void>(client.finish(operation, root, "undeploy", model));
    }
}

/// Deletes a resource by its name; one that is not there counts as deleted.
inline void delete_resource(const google::Client& client, const std::string& root,
                            const std::string& name) {
    if (const std::optional<Json> operation = client.remove(root + name, name)) {
        static_cast<void>(client.finish(*operation, root, "remove", name));
    }
}

/// Deletes what an operation makes, once it has made it: nothing under way can be deleted.
/// `member` of its response is the name.
inline void delete_made(const google::Client& client, const std::string& root,
                        const Json& operation, const char* member) {
    const Json end = client.end_of(operation, root, "wait for", "what has to be removed");
    if (const std::string name = kube::text(end, {"response", member}); !name.empty()) {
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

/// The steps of one run, each of which knows how it is undone.
class VertexLaunch {
public:
    VertexLaunch(const google::Client& client, const VertexServing& run, google::Undo& undo)
        : client_(client),
          run_(run),
          undo_(undo),
          root_(vertex_endpoint(client.options()) + "/v1/"),
          place_(root_ + vertex_place(client.project(), client.options())) {}

    [[nodiscard]] const std::string& root() const noexcept { return root_; }

    /// The model's resource name.
    [[nodiscard]] std::string upload(const Image& image) const {
        const auto find = [this]() -> std::optional<Json> {
            const auto found = client_.find(place_ + "/models/" + run_.model_id(), "look for model",
                                            run_.model_id());
            return found ? std::optional{ended({{"model", text_or(*found, "name")}})}
                         : std::nullopt;
        };
        std::optional<Json> operation = again() ? find() : std::nullopt;
        if (!operation) {
            operation = client_.create(place_ + "/models:upload", run_.model_request(image),
                                       "upload model", run_.name(), find);
        }
        undo_.add([root = root_, begun = *operation](const google::Client& with) {
            delete_made(with, root, begun, "model");
        });
        const Json end = client_.finish(*operation, root_, "upload model", run_.name());
        std::string model = kube::text(end, {"response", "model"});
        static_cast<void>(region_of(model, "models"));
        undo_.amend([root = root_, model](const google::Client& with) {
            delete_resource(with, root, model);
        });
        return model;
    }

    /// The endpoint, found or made.
    [[nodiscard]] Json target() const {
        const auto find = [this]() -> std::optional<Json> {
            const Json found =
                client_.get(place_ + "/endpoints?filter=" +
                                net::percent_encode("display_name=\"" + run_.endpoint_name() + '"'),
                            "look for endpoint", run_.endpoint_name());
            const Json& endpoints = kube::list(found, {"endpoints"});
            return endpoints.empty() ? std::nullopt : std::optional{ended(endpoints.front())};
        };
        std::optional<Json> operation = find();
        const bool is_made = !operation;
        if (is_made) {
            operation = client_.create(place_ + "/endpoints", run_.endpoint_request(),
                                       "create endpoint", run_.endpoint_name(), find);
            undo_.add([root = root_, begun = *operation](const google::Client& with) {
                delete_made(with, root, begun, "name");
            });
        }
        const Json end = client_.finish(*operation, root_, "create endpoint", run_.endpoint_name());
        Json endpoint = kube::member(end, {"response"});
        const std::string name = text_or(endpoint, "name");
        static_cast<void>(region_of(name, "endpoints"));
        if (is_made) {
            undo_.amend([root = root_, name](const google::Client& with) {
                delete_endpoint(with, root, name);
            });
        }
        return endpoint;
    }

    /// The operation of the deployment.
    [[nodiscard]] Json deploy(const std::string& model, const Json& endpoint) const {
        const std::string name = text_or(endpoint, "name");
        bool is_there = false;
        for (const Json& deployed : kube::list(endpoint, {"deployedModels"})) {
            is_there = is_there || text_or(deployed, "model") == model;
        }
        Json operation =
            is_there ? ended(endpoint)
                     : client_.create(root_ + name + ":deployModel",
                                      run_.deploy_request(model, google::traffic_of(endpoint)),
                                      "deploy model", run_.name());
        undo_.add([root = root_, name, model](const google::Client& with) {
            undeploy(with, root, name, model);
        });
        return operation;
    }

private:
    /// Whether this run may have been here before.
    [[nodiscard]] bool again() const { return !client_.options().run_id.empty(); }
    /// What is there already is an operation that has ended.
    [[nodiscard]] static Json ended(const Json& result) {
        return {{"done", true}, {"response", result}};
    }

    const google::Client& client_;
    const VertexServing& run_;
    google::Undo& undo_;
    std::string root_, place_;
};

}  // namespace detail

inline void VertexServingDeployer::check() const {
    google::check_options(google);
    google::check_machine(machine);
    google::check_least("container_port", container_port, 0);
    google::check_least("min_replica_count", min_replica_count, 1);
    google::check_least("max_replica_count", max_replica_count, 0);
    google::check_least("traffic_percent", traffic_percent, 0);
    if (machine.machine_type.empty()) {
        throw google::bad_option("machine_type", "\"\"", "a deployed model needs one");
    }
    if (traffic_percent > 100) {
        throw google::bad_option("traffic_percent", std::to_string(traffic_percent),
                                 "it is more than 100");
    }
    if (max_replica_count > 0 && max_replica_count < min_replica_count) {
        throw google::bad_option("max_replica_count", std::to_string(max_replica_count),
                                 "it is less than min_replica_count");
    }
    if (!artifact_uri.empty() && !artifact_uri.starts_with("gs://")) {
        throw google::bad_option("artifact_uri", artifact_uri, "it does not begin with gs://");
    }
}

inline std::vector<Json> VertexServingDeployer::manifests(const Image& image,
                                                          const Session& /*session*/) const {
    check();
    const detail::VertexServing run{*this,
                                    google.run_id.empty() ? derive_run_id(image) : google.run_id};
    const std::string project = google.project.empty() ? "-" : google.project;
    return {run.model_request(image), run.endpoint_request(),
            run.deploy_request(detail::vertex_place(project, google) + "/models/" + run.model_id(),
                               {})};
}

inline Endpoint VertexServingDeployer::deploy(const Image& image, const Session& session) const {
    check();
    check_pullable(image);
    const google::Client client{google, session};
    const detail::VertexServing run{*this, google.run_id.empty() ? draw_run_id() : google.run_id};
    google::Undo undo{client};
    const detail::VertexLaunch launch{client, run, undo};
    const std::string model = launch.upload(image);
    const Json target = launch.target();
    const std::string endpoint = text_or(target, "name");
    const std::string& root = launch.root();
    const bool has_others = !google::traffic_of(target).empty();
    if (!has_others && traffic_percent != 100) {
        throw google::bad_option(
            "traffic_percent", std::to_string(traffic_percent),
            "the endpoint " + run.endpoint_name() + " has no other model that takes the rest");
    }
    const Json deployment = launch.deploy(model, target);
    return Endpoint{std::make_shared<google::EndpointWorkload>(
        client, google::Served{.object = {.api_version = "aiplatform.googleapis.com/v1",
                                          .kind = "Endpoint",
                                          .name = endpoint},
                               .predict_url = root + endpoint + ":predict",
                               .operation_root = root,
                               .operation = deployment,
                               .undo = undo.keep()})};
}

static_assert(Deployer<VertexServingDeployer> && Renderer<VertexServingDeployer> &&
              SelfChecking<VertexServingDeployer>);

}  // namespace fairing
