// fairing/deployers/vertex_serving.hpp - serves the image as a model of Vertex AI: upload,
// endpoint, deployment
// (cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.endpoints).
#pragma once

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "google/endpoint_workload.hpp"
#include "google/traffic.hpp"
#include "google/vertex_endpoint.hpp"
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
    int start_timeout = 0;     ///< seconds until the model is deployed; 0: as long as Google tries
    bool keep_failed = false;  ///< model and endpoint of a deployment that failed stay

    /// As VertexDeployer's.
    void check() const;
    /// The deployment has begun when this returns; follow() and wait() end when the model answers.
    /// What was made before a failure is removed, unless it is to be kept.
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
        field("start_timeout", &VertexServingDeployer::start_timeout,
              "fail when nothing runs after so many seconds (default: wait)"),
        field("keep_failed", &VertexServingDeployer::keep_failed,
              "leave what was made for a deployment that failed"),
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
          id_(VertexServingDeployer::name_prefix + run_id_) {}

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
        return {{"modelId", id_},
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
        Json deployed{{"id", deployed_id()},
                      {"model", model},
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
    /// Of the model, and of an endpoint that is made. Chosen here, so that a lost answer never
    /// makes a second one.
    [[nodiscard]] const std::string& id() const noexcept { return id_; }
    /// Of the deployed model: ten digits at most.
    [[nodiscard]] std::string deployed_id() const {
        return std::to_string(1 +
                              std::stoull(codec::sha256_hex(run_id_).substr(0, 7), nullptr, 16));
    }

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
    std::string run_id_, name_, id_;
};

/// The steps of one run, each of which knows how it is undone.
class VertexLaunch {
public:
    VertexLaunch(google::Client client, const VertexServing& run, google::Undo& undo)
        : client_(std::move(client)),
          run_(run),
          undo_(undo),
          root_(vertex_endpoint(client_.options()) + "/v1/"),
          place_(vertex_place(client_.project(), client_.options())) {}

    [[nodiscard]] const std::string& root() const noexcept { return root_; }

    /// The model's resource name.
    [[nodiscard]] std::string upload(const Image& image) const {
        google::Creation wanted{.url = root_ + place_ + "/models:upload",
                                .body = run_.model_request(image),
                                .attempted = "upload model",
                                .subject = run_.name()};
        wanted.made = [this](const google::Client& with) -> std::optional<Json> {
            const auto found = with.find(root_ + own("models"), "look for model", run_.id());
            return found ? std::optional{ended({{"model", text_or(*found, "name")}})}
                         : std::nullopt;
        };
        wanted.undo = [this](const google::Client& with, const Json& operation) {
            delete_made(with, root_, operation, own("models"));
        };
        std::optional<Json> operation = again() ? wanted.made(client_) : std::nullopt;
        if (!operation) {
            operation = client_.create(wanted);
        }
        undo_.add([root = root_, begun = *operation, name = own("models")](
                      const google::Client& with) { delete_made(with, root, begun, name); });
        const Json end =
            client_.finish(*operation, root_, wanted.attempted, wanted.subject, wanted.made);
        std::string model = kube::text(end, {"response", "model"});
        static_cast<void>(parse_vertex_name(model, "models"));
        undo_.amend([root = root_, model](const google::Client& with) {
            delete_resource(with, root, model);
        });
        return model;
    }

    /// The endpoint, found or made.
    [[nodiscard]] Json target() const {
        const std::string called = run_.endpoint_name();
        const Json found =
            client_.get(root_ + place_ + "/endpoints?filter=" +
                            net::percent_encode("display_name=" + google::filter_string(called)),
                        "look for endpoint", called);
        const Json& endpoints = kube::list(found, {"endpoints"});
        const auto named = std::find_if(endpoints.begin(), endpoints.end(), [&](const Json& each) {
            return text_or(each, "displayName") == called;
        });
        if (named == endpoints.end()) {
            return make_endpoint();
        }
        Json endpoint = checked(*named);
        const std::string name = text_or(endpoint, "name");
        if (name.ends_with("/endpoints/" + run_.id())) {  // this run was here before
            undo_.add(removal_of(name));
        }
        return endpoint;
    }

    /// The operation of the deployment.
    [[nodiscard]] Json deploy(const std::string& model, const Json& endpoint) const {
        const std::string name = text_or(endpoint, "name");
        google::Creation wanted{.url = root_ + name + ":deployModel",
                                .body = run_.deploy_request(model, google::traffic_of(endpoint)),
                                .attempted = "deploy model",
                                .subject = run_.name()};
        // While it is being deployed the endpoint does not show it.
        wanted.made = [&](const google::Client& with) -> std::optional<Json> {
            for (const Json& running : running_operations(with, root_ + name, name)) {
                static_cast<void>(with.end_of(running, root_, wanted.attempted, wanted.subject));
            }
            const Json now = with.get(root_ + name, "look at", name);
            return is_deployed(now, model) ? std::optional{ended(now)} : std::nullopt;
        };
        wanted.undo = [&](const google::Client& with, const Json& /*operation*/) {
            undeploy(with, root_, name, model);
        };
        std::optional<Json> there = is_deployed(endpoint, model) ? std::optional{ended(endpoint)}
                                    : again()                    ? wanted.made(client_)
                                                                 : std::nullopt;
        Json operation = there ? *std::move(there) : client_.create(wanted);
        undo_.add([root = root_, name, model](const google::Client& with) {
            undeploy(with, root, name, model);
        });
        return operation;
    }

private:
    [[nodiscard]] Json make_endpoint() const {
        google::Creation wanted{.url = root_ + place_ + "/endpoints?endpointId=" + run_.id(),
                                .body = run_.endpoint_request(),
                                .attempted = "create endpoint",
                                .subject = run_.endpoint_name()};
        wanted.made = [this](const google::Client& with) -> std::optional<Json> {
            const auto found = with.find(root_ + own("endpoints"), "look for endpoint", run_.id());
            return found ? std::optional{ended(*found)} : std::nullopt;
        };
        wanted.undo = [this](const google::Client& with, const Json& operation) {
            delete_made(with, root_, operation, own("endpoints"));
        };
        const Json operation = client_.create(wanted);
        undo_.add([root = root_, operation, name = own("endpoints")](const google::Client& with) {
            delete_made(with, root, operation, name);
        });
        const Json end =
            client_.finish(operation, root_, wanted.attempted, wanted.subject, wanted.made);
        Json endpoint = checked(kube::member(end, {"response"}));
        undo_.amend(removal_of(text_or(endpoint, "name")));
        return endpoint;
    }
    /// The name of what this run makes in a collection.
    [[nodiscard]] std::string own(const char* collection) const {
        return place_ + '/' + collection + '/' + run_.id();
    }
    [[nodiscard]] google::Undo::Step removal_of(const std::string& endpoint) const {
        return [root = root_, endpoint](const google::Client& with) {
            delete_endpoint(with, root, endpoint);
        };
    }
    [[nodiscard]] static Json checked(Json endpoint) {
        static_cast<void>(parse_vertex_name(text_or(endpoint, "name"), "endpoints"));
        return endpoint;
    }
    /// Whether this run may have been here before.
    [[nodiscard]] bool again() const { return !client_.options().run_id.empty(); }
    /// What is there already is an operation that has ended.
    [[nodiscard]] static Json ended(const Json& result) {
        return {{"done", true}, {"response", result}};
    }

    google::Client client_;
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
    google::check_least("start_timeout", start_timeout, 0);
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
            run.deploy_request(detail::vertex_place(project, google) + "/models/" + run.id(), {})};
}

inline Endpoint VertexServingDeployer::deploy(const Image& image, const Session& session) const {
    check();
    check_pullable(image);
    const google::Client client{google, session};
    const detail::VertexServing run{*this, google.run_id.empty() ? draw_run_id() : google.run_id};
    const std::optional<google::Steady::time_point> deadline =
        start_timeout > 0
            ? std::optional{google::Steady::now() + std::chrono::seconds{start_timeout}}
            : std::nullopt;
    google::Undo undo{client};
    const detail::VertexLaunch launch{client.with_deadline(deadline), run, undo};
    try {
        const std::string model = launch.upload(image);
        const Json target = launch.target();
        const std::string endpoint = text_or(target, "name");
        if (google::traffic_of(target).empty() && traffic_percent != 100) {
            throw google::bad_option(
                "traffic_percent", std::to_string(traffic_percent),
                "the endpoint " + run.endpoint_name() + " has no other model that takes the rest");
        }
        const Json deployment = launch.deploy(model, target);
        google::Served served = detail::served_by(
            client, endpoint, client.project(), detail::endpoint_log(endpoint, run.deployed_id()));
        served.operation = deployment;
        served.state = [model](const Json& resource) {
            return detail::is_deployed(resource, model)
                       ? Outcome{.state = State::ready}
                       : Outcome{.state = State::failed,
                                 .reason = "the model is not deployed any more"};
        };
        served.deadline = deadline;
        served.keep_failed = keep_failed;
        served.undo = undo.keep();
        return Endpoint{std::make_shared<google::EndpointWorkload>(client, std::move(served))};
    } catch (const Cancelled&) {
        throw;
    } catch (const Error&) {
        if (keep_failed && !undo.keep().empty()) {
            session.control().say(Level::warning, "what was made for " + run.name() + " stays");
        }
        throw;
    }
}

static_assert(Deployer<VertexServingDeployer> && Renderer<VertexServingDeployer> &&
              SelfChecking<VertexServingDeployer>);

}  // namespace fairing
