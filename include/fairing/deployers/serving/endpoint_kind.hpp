// fairing/deployers/serving/endpoint_kind.hpp - what a kind of object that serves requests has of
// its own: when it is ready, its pods, how it is asked, and where.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "../../kube/client.hpp"
#include "../../kube/document.hpp"
#include "../../kube/object.hpp"
#include "../../kube/state.hpp"
#include "../../stage/fields.hpp"
#include "predict_protocol.hpp"

namespace fairing::kubernetes {

/// Where an endpoint takes requests. Empty members are ways that there are not.
struct EndpointAddress {
    std::string outside = {};       ///< "http://203.0.113.7:5000"
    std::string inside = {};        ///< "http://name.team.svc.cluster.local:5000", for pods
    kube::ObjectKey service = {};   ///< what the API server's proxy reaches, and its port
    std::string service_port = {};  ///< by its number
    std::string missing = {};       ///< why requests can not reach it yet
    bool is_public = false;         ///< everybody reaches `outside`, as far as we know

    [[nodiscard]] const std::string& url() const { return outside.empty() ? inside : outside; }
};

/// What a kind of endpoint has of its own: functions over documents, and where it listens.
struct EndpointKind {
    const char* api_version;
    const char* kind;
    /// Phase::succeeded stands for ready. Events are about the object or its pods.
    kube::Diagnosis (*diagnose)(const Json& object, const std::vector<Json>& pods,
                                const std::vector<Json>& events);
    std::string (*pod_selector)(const Json& object);
    PredictTarget (*target)(const Json& object);
    /// Asks the cluster: addresses are given late, and by others.
    EndpointAddress (*locate)(const kube::Client& client, const Json& object);
};

/// Annotations of our own: how an endpoint that is found again is asked.
inline constexpr const char* protocol_annotation = "fairing-protocol";
inline constexpr const char* model_annotation = "fairing-model";

/// What our annotations say of an endpoint; `target` where they say nothing.
[[nodiscard]] inline PredictTarget annotated_target(const Json& object, PredictTarget target) {
    const Json& annotations = kube::member(object, {"metadata", "annotations"});
    for (const auto& [name, protocol] : value_names<PredictProtocol>) {
        if (kube::text(annotations, {protocol_annotation}) == name) {
            target.protocol = protocol;
        }
    }
    if (std::string model = kube::text(annotations, {model_annotation}); !model.empty()) {
        target.model = std::move(model);
    }
    return target;
}

namespace detail {

/// Host and port of a URL; an IPv6 address in brackets.
[[nodiscard]] inline std::string http_url(const std::string& host, const std::string& port) {
    const bool is_ipv6 = host.find(':') != std::string::npos;
    return "http://" + (is_ipv6 ? '[' + host + ']' : host) + (port == "80" ? "" : ':' + port);
}

/// The address of a node, its external one if it has any; empty when nodes are not ours to see.
[[nodiscard]] inline std::string node_address(const kube::Client& client) {
    std::string found;
    try {
        for (const Json& node : client.list("v1", "Node", "").items) {
            for (const Json& address : kube::list(node, {"status", "addresses"})) {
                const std::string type = kube::text(address, {"type"});
                if (type == "ExternalIP" || (type == "InternalIP" && found.empty())) {
                    found = kube::text(address, {"address"});
                }
            }
        }
    } catch (const kube::StatusError&) {
        // nodes belong to the cluster, and many users may not list them
    }
    return found;
}

}  // namespace detail

/// The address of a core/v1 Service, by its type.
[[nodiscard]] inline EndpointAddress service_address(const kube::Client& client,
                                                     const Json& service) {
    const Json& ports = kube::list(service, {"spec", "ports"});
    const Json port = ports.empty() ? Json::object() : ports.front();
    EndpointAddress address{.service = kube::key_of(service, client.cluster().namespace_),
                            .service_port = std::to_string(kube::number(port, {"port"}))};
    address.inside = detail::http_url(
        address.service.name + '.' + address.service.namespace_ + ".svc.cluster.local",
        address.service_port);
    const std::string type = kube::text(service, {"spec", "type"});
    if (type == "NodePort") {
        const std::string node = detail::node_address(client);
        if (!node.empty()) {
            address.outside =
                detail::http_url(node, std::to_string(kube::number(port, {"nodePort"})));
        }
    } else if (type == "LoadBalancer") {
        const Json& ingress = kube::list(service, {"status", "loadBalancer", "ingress"});
        const Json first = ingress.empty() ? Json::object() : ingress.front();
        const std::string ip = kube::text(first, {"ip"});
        const std::string host = ip.empty() ? kube::text(first, {"hostname"}) : ip;
        if (host.empty()) {
            address.missing = address.service.text() +
                              " of type LoadBalancer has no address yet: the cluster's load "
                              "balancer gives it";
        } else {
            address.outside = detail::http_url(host, address.service_port);
            address.is_public = true;
        }
    }
    return address;
}

}  // namespace fairing::kubernetes
