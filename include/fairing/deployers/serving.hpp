// fairing/deployers/serving.hpp - serves the image: a Deployment (apps/v1) and a Service before it.
#pragma once

#include <array>
#include <chrono>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "../pods/pod_template.hpp"
#include "../runs/plan.hpp"
#include "../stage/concepts.hpp"
#include "../stage/fields.hpp"
#include "serving/deployment_kind.hpp"
#include "serving/endpoint_plan.hpp"
#include "serving/endpoint_workload.hpp"
#include "serving/predict_protocol.hpp"

namespace fairing {

/// How the Service is reached: by pods, by a port of every node, by an address of its own.
enum class ServiceType { cluster_ip, node_port, load_balancer };

/// `replicas` pods that answer on `port`: with Seldon's server for `serving_class`, with
/// `serving_command`, or else as the image itself is started. deploy() returns when the objects are
/// stored; follow() waits until all pods are ready and the Service has its address. The same run id
/// is never submitted twice.
struct ServingDeployer {
    static constexpr const char* name_prefix = "fairing-deployer-";
    static constexpr const char* service_prefix = "fairing-service-";
    static constexpr const char* container_name = "model";

    KubernetesOptions kubernetes = {};  ///< its cleanup is Cleanup::never when not set
    std::string serving_class = {};     ///< of Python, in a file of that name
    ServiceType service_type = ServiceType::cluster_ip;
    std::vector<std::string> serving_command = {};
    int replicas = 1;
    int port = 5000;
    std::string readiness_path = {};  ///< GET that a ready server answers; empty: its port is open
    std::string liveness_path = {};   ///< GET that a sound server answers; empty: its port is open
    int probe_period = 5;             ///< seconds
    int progress_deadline = 600;      ///< seconds that a new pod may take to get ready
    int address_timeout = 300;        ///< seconds that a load balancer may take
    PredictProtocol protocol = PredictProtocol::seldon;
    std::string model_name = "model";  ///< in the paths of v1 and v2

    /// Throws Error{usage} for what Kubernetes would refuse: names, labels, numbers, paths.
    void check() const;
    /// Throws as JobDeployer does; what was created before a failure is removed.
    [[nodiscard]] Endpoint deploy(const Image& image, const Session& session) const;
    /// What deploy() would create, without I/O; the Deployment comes last.
    [[nodiscard]] std::vector<Json> manifests(const Image& image, const Session& session) const;
    [[nodiscard]] std::vector<Json> dry_run(const Image& image, const Session& session) const;
};

template <>
inline constexpr auto value_names<ServiceType> =
    std::array<std::pair<std::string_view, ServiceType>, 3>{
        {{"ClusterIP", ServiceType::cluster_ip},
         {"NodePort", ServiceType::node_port},
         {"LoadBalancer", ServiceType::load_balancer}}};

template <>
inline constexpr auto fields<ServingDeployer> = std::tuple_cat(
    fields_of_part(&ServingDeployer::kubernetes),
    std::tuple{
        field("serving_class", &ServingDeployer::serving_class,
              "class that Seldon's server loads: the module's name, or MODULE.CLASS"),
        field("service_type", &ServingDeployer::service_type, "how the Service is reached"),
        field("serving_command", &ServingDeployer::serving_command,
              "command of the server, instead of Seldon's and the image's own"),
        field("replicas", &ServingDeployer::replicas, "how many pods answer (default: 1)"),
        field("port", &ServingDeployer::port, "port of the server (default: 5000, KServe: 8080)"),
        field("readiness_path", &ServingDeployer::readiness_path,
              "path that a ready server answers with 2xx (serving's default: its port is open)"),
        field("liveness_path", &ServingDeployer::liveness_path,
              "path that a sound server answers with 2xx (default: its port is open)"),
        field("probe_period", &ServingDeployer::probe_period,
              "seconds between two probes (default: 5)"),
        field("progress_deadline", &ServingDeployer::progress_deadline,
              "seconds that a pod may take to get ready (default: 600)"),
        field("address_timeout", &ServingDeployer::address_timeout,
              "seconds that a load balancer may take to give an address (default: 300)"),
        field("protocol", &ServingDeployer::protocol, "what the server speaks"),
        field("model_name", &ServingDeployer::model_name,
              "name of the model in the paths of v1 and v2"),
    });

namespace detail {

[[nodiscard]] inline std::string service_name(const ServingDeployer& deployer,
                                              const RunIdentity& identity) {
    return deployer.kubernetes.name.empty() ? ServingDeployer::service_prefix + identity.run_id
                                            : identity.name;
}

[[nodiscard]] inline RunIdentity serving_identity(const ServingDeployer& deployer,
                                                  const std::string& run_id) {
    RunIdentity identity =
        run_identity(deployer.kubernetes, run_id, ServingDeployer::name_prefix, "serving");
    kube::check_dns_1035_label("name of the Service", service_name(deployer, identity));
    return identity;
}

[[nodiscard]] inline std::vector<std::string> serving_command(const ServingDeployer& deployer,
                                                              const Image& image) {
    if (!deployer.serving_command.empty()) {
        return deployer.serving_command;
    }
    if (deployer.serving_class.empty()) {
        return image.command;
    }
    return {"seldon-core-microservice", deployer.serving_class, "REST", "--service-type=MODEL",
            "--persistence=0"};
}

/// core/v1 Probe, `failures` times in a row.
[[nodiscard]] inline Json probe(const ServingDeployer& deployer, const std::string& path,
                                int failures) {
    Json result{{"periodSeconds", deployer.probe_period},
                {"timeoutSeconds", 5},
                {"failureThreshold", failures}};
    if (path.empty()) {
        result["tcpSocket"] = {{"port", deployer.port}};
    } else {
        result["httpGet"] = {{"path", path}, {"port", deployer.port}};
    }
    return result;
}

/// Makes a server of the program: its port, and how it is seen to be ready and sound. While it
/// loads its model, it is not killed for being silent.
inline void make_server(const ServingDeployer& deployer, PodSpec& pod) {
    const int startup_failures =
        (deployer.progress_deadline + deployer.probe_period - 1) / deployer.probe_period;
    pod.json()["restartPolicy"] = "Always";
    Json& container = pod.container();
    container["ports"] = Json::array({Json{{"name", "http"}, {"containerPort", deployer.port}}});
    container["startupProbe"] = probe(deployer, deployer.readiness_path, startup_failures);
    container["readinessProbe"] = probe(deployer, deployer.readiness_path, 3);
    container["livenessProbe"] = probe(deployer, deployer.liveness_path, 3);
    if (!deployer.serving_class.empty() && deployer.serving_command.empty()) {
        // Seldon's servers before and since 1.5 read different names, and the newer ones would
        // take 5000 for gRPC.
        const std::string http = std::to_string(deployer.port);
        for (const auto& [name, value] :
             {std::pair{"PREDICTIVE_UNIT_SERVICE_PORT", http},
              std::pair{"PREDICTIVE_UNIT_HTTP_SERVICE_PORT", http},
              std::pair{"PREDICTIVE_UNIT_GRPC_SERVICE_PORT", std::to_string(deployer.port + 1)}}) {
            if (!deployer.kubernetes.environment.contains(name)) {
                pod.set_env(name, value);
            }
        }
    }
}

[[nodiscard]] inline Json service_object(const ServingDeployer& deployer,
                                         const RunIdentity& identity,
                                         const std::string& namespace_) {
    const char* type = "ClusterIP";
    for (const auto& [name, value] : value_names<ServiceType>) {
        type = value == deployer.service_type ? name.data() : type;
    }
    Json metadata{{"name", service_name(deployer, identity)},
                  {"labels", run_labels(deployer.kubernetes, identity)},
                  {"annotations", deployer.kubernetes.annotations}};
    if (!namespace_.empty()) {
        metadata["namespace"] = namespace_;
    }
    return {
        {"apiVersion", "v1"},
        {"kind", "Service"},
        {"metadata", std::move(metadata)},
        {"spec",
         {{"type", type},
          {"selector", {{kube::run_label, identity.run_id}, {deployer_label, identity.deployer}}},
          {"ports",
           Json::array({Json{
               {"name", "http"}, {"port", deployer.port}, {"targetPort", deployer.port}}})}}}};
}

/// The objects of the run, the Deployment last.
[[nodiscard]] inline std::vector<Json> serving_objects(const ServingDeployer& deployer,
                                                       const Image& image, const Session& session,
                                                       const std::string& run_id,
                                                       const kubernetes::Place& place) {
    kubernetes::say_notes(kubernetes::endpoint_notes(deployer.kubernetes), session);
    const RunIdentity identity = serving_identity(deployer, run_id);
    Image served = image;
    served.command = serving_command(deployer, image);
    // The caller's mutators see the server.
    KubernetesOptions options = deployer.kubernetes;
    options.pod_spec_mutators.insert(
        options.pod_spec_mutators.begin(),
        [&deployer](PodSpec& pod, PodContext& /*context*/) { make_server(deployer, pod); });
    const std::string role;
    std::vector<Json> objects;
    PodContext context{place.namespace_, role, place.client, session, objects, identity.name};
    Json pods = pod_template(served, {.container = ServingDeployer::container_name}, options,
                             identity, context);
    objects = adopted(std::move(objects), options, identity, place.namespace_);
    objects.push_back(service_object(deployer, identity, place.namespace_));
    Json metadata = run_metadata(options, identity, place.namespace_);
    metadata["annotations"][kubernetes::protocol_annotation] = protocol_name(deployer.protocol);
    metadata["annotations"][kubernetes::model_annotation] = deployer.model_name;
    objects.push_back({{"apiVersion", "apps/v1"},
                       {"kind", "Deployment"},
                       {"metadata", std::move(metadata)},
                       {"spec",
                        {{"replicas", deployer.replicas},
                         {"progressDeadlineSeconds", deployer.progress_deadline},
                         {"selector", {{"matchLabels", objects.back()["spec"]["selector"]}}},
                         {"template", std::move(pods)}}}});
    return objects;
}

}  // namespace detail

inline void ServingDeployer::check() const {
    const KubernetesOptions options = with_profile(kubernetes);
    kubernetes::check_options(options);
    kubernetes::check_range("port", port, 1, 65534);
    kubernetes::check_range("replicas", replicas, 1, 10000);
    kubernetes::check_range("probe_period", probe_period, 1, 3600);
    kubernetes::check_range("progress_deadline", progress_deadline, probe_period, 86400);
    kubernetes::check_range("address_timeout", address_timeout, 0, 86400);
    kubernetes::check_probe_path("readiness_path", readiness_path);
    kubernetes::check_probe_path("liveness_path", liveness_path);
    const std::string run_id = kubernetes::checked_run_id(options);
    static_cast<void>(run_metadata(options, detail::serving_identity(*this, run_id), {}));
}

namespace detail {

[[nodiscard]] inline kubernetes::Plan serving_plan(const ServingDeployer& deployer,
                                                   const Image& image, const Session& session) {
    return kubernetes::plan_of(deployer, image, session, serving_objects);
}

}  // namespace detail

inline Endpoint ServingDeployer::deploy(const Image& image, const Session& session) const {
    check_pullable(image);
    kubernetes::EndpointHabits habits = kubernetes::endpoint_habits(kubernetes, session);
    habits.address_timeout = std::chrono::seconds{address_timeout};
    return kubernetes::start_endpoint(detail::serving_plan(*this, image, session),
                                      kubernetes::deployment_kind, std::move(habits), session);
}

inline std::vector<Json> ServingDeployer::manifests(const Image& image,
                                                    const Session& session) const {
    return kubernetes::render(detail::serving_plan(*this, image, session), image);
}

inline std::vector<Json> ServingDeployer::dry_run(const Image& image,
                                                  const Session& session) const {
    return kubernetes::rehearse(detail::serving_plan(*this, image, session), image, session);
}

static_assert(Deployer<ServingDeployer> && Renderer<ServingDeployer> &&
              SelfChecking<ServingDeployer>);

}  // namespace fairing
