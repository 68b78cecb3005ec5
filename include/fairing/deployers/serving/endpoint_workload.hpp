// fairing/deployers/serving/endpoint_workload.hpp - an object of a cluster that serves requests,
// as an Endpoint: ready or why not, its URL, its predictions, its end.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "../../core/control.hpp"
#include "../../kube/client.hpp"
#include "../../kube/document.hpp"
#include "../../kube/follow.hpp"
#include "../../kube/object.hpp"
#include "../../kube/state.hpp"
#include "../../net/exchange.hpp"
#include "../../net/httplib_transport.hpp"
#include "../../runs/cluster_workload.hpp"
#include "../../runs/run_watch.hpp"
#include "../../runs/subject.hpp"
#include "../../stage/workload.hpp"
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

/// Until when a log is followed: an endpoint has no end of its own.
enum class EndpointEnd { ready, removed };

struct EndpointHabits {
    Cleanup cleanup = Cleanup::never;
    bool stream_log = true;
    std::chrono::seconds start_timeout{0};      ///< until it is ready; zero waits
    std::chrono::seconds address_timeout{300};  ///< ready, and still without an address
    std::chrono::seconds predict_timeout{60};
    std::string only_pod = {};
    EndpointEnd end = EndpointEnd::ready;  ///< of a following with a sink
    net::AnyTransport transport = {};      ///< for requests that go past the API server
    /// Of an edit of what was there before: remove() takes it back, and removes nothing.
    std::function<void(const kube::Client& client)> undo = {};
};

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

/// The first pod that runs and is not ready; "" when there is none.
[[nodiscard]] inline std::string unready_pod(const std::vector<Json>& pods) {
    for (const Json& pod : pods) {
        if (kube::text(pod, {"status", "phase"}) == "Running" &&
            !kube::condition(pod, "Ready").is_object()) {
            return kube::name_of(pod);
        }
    }
    return {};
}

/// What keeps the pods of an endpoint from being ready: which one, and why. A server that was
/// started over and over, and is not up, is given up.
[[nodiscard]] inline kube::Diagnosis diagnose_servers(const std::vector<Json>& pods,
                                                      const std::vector<Json>& events) {
    constexpr std::int64_t most_restarts = 3;
    for (const Json& pod : pods) {
        for (const Json& status : kube::list(pod, {"status", "containerStatuses"})) {
            const std::int64_t restarts = kube::number(status, {"restartCount"});
            if (restarts < most_restarts || kube::member(status, {"ready"}) == true) {
                continue;
            }
            kube::Diagnosis result{.phase = kube::Phase::failed,
                                   .cause = kube::Cause::restarting,
                                   .pod = kube::name_of(pod),
                                   .container = kube::text(status, {"name"})};
            const std::string last =
                kube::text(status, {"lastState", "terminated", "reason"}) == "OOMKilled"
                    ? "it ran out of memory (OOMKilled); raise its limit with --memory"
                    : "its last exit code was " +
                          std::to_string(
                              kube::number(status, {"lastState", "terminated", "exitCode"}));
            result.reason = "container " + result.container + " of pod " + result.pod +
                            " does not stay up, and was restarted " + std::to_string(restarts) +
                            " times: " + last;
            return result;
        }
    }
    kube::Diagnosis result = kube::diagnose_pods(pods);
    if (result.phase == kube::Phase::failed || result.phase == kube::Phase::succeeded) {
        result.phase = kube::Phase::pending;  // its controller starts another one
    }
    const std::string unready = unready_pod(pods);
    const bool is_starting = result.cause == kube::Cause::starting;
    if (result.cause == kube::Cause::none && !unready.empty()) {
        result.pod = unready;
        result.reason = "pod " + unready + " runs, and is not ready yet";
    }
    if (is_starting || (result.cause == kube::Cause::none && !unready.empty())) {
        const std::string complaint = kube::last_complaint(events, result.pod);
        result.reason += complaint.empty() ? "" : ": " + complaint;
    }
    return result;
}

/// How a diagnosis reads to somebody who waits for readiness.
[[nodiscard]] inline Outcome endpoint_outcome(const kube::Diagnosis& diagnosis) {
    Outcome outcome = outcome_of(diagnosis);
    if (outcome.state == State::succeeded) {
        outcome.state = State::ready;
    }
    return outcome;
}

/// An object that serves requests, and its pods, whoever made them. Thread-safe.
class EndpointWorkload final : public Workload::Model {
public:
    static constexpr int tail_size = 20;

    /// `object` is the main one as the server gave it; `beside` what else is removed with it.
    EndpointWorkload(const kube::Client& client, const EndpointKind& kind, const Json& object,
                     std::vector<kube::ObjectKey> beside, EndpointHabits habits)
        : client_(client.with_stop({})),
          kind_(kind),
          subject_{.key = kube::key_of(object, client.cluster().namespace_),
                   .uid = kube::uid_of(object),
                   .run_id = kube::label_of(object, kube::run_label)},
          habits_(std::move(habits)),
          object_(client_, subject_, std::move(beside), {}),
          known_(object) {}

    [[nodiscard]] ObjectName name() const override { return object_.name(); }

    [[nodiscard]] Outcome poll(std::stop_token stop) override {
        const kube::Client client = client_.with_stop(std::move(stop));
        const std::optional<Json> object = find(client);
        if (!object) {
            return gone();
        }
        Outcome outcome = endpoint_outcome(diagnose(client, *object));
        if (outcome.state == State::ready) {
            outcome.reason = kind_.locate(client, *object).missing;
            outcome.state = outcome.reason.empty() ? State::ready : State::running;
        }
        return outcome;
    }

    Outcome follow(const OutputSink& sink, std::stop_token stop) override {
        const kube::Client client = client_.with_stop(std::move(stop));
        Outcome outcome = habits_.stream_log && sink ? follow_log(client, sink)
                                                     : wait(client, nullptr, EndpointEnd::ready);
        if (outcome.state == State::failed && habits_.cleanup != Cleanup::never) {
            try {
                remove({});
            } catch (const Error& error) {
                client_.control().say(Level::warning, error.what());
            }
        }
        return outcome;
    }

    void remove(std::stop_token stop) override {
        if (habits_.undo) {
            habits_.undo(client_.with_stop(std::move(stop)));
        } else {
            object_.remove(std::move(stop));
        }
    }

    /// With the path that takes predictions; empty while there is no address.
    [[nodiscard]] std::string url() const override {
        const std::optional<Json> object = find(client_);
        if (!object) {
            return {};
        }
        const EndpointAddress address = kind_.locate(client_, *object);
        return address.missing.empty() ? address.url() + predict_path(kind_.target(*object)) : "";
    }

    /// From inside the cluster, or where a load balancer has an address, straight to it; else
    /// through the API server.
    Json call(const Json& input, std::stop_token stop) override {
        const kube::Client client = client_.with_stop(std::move(stop));
        const std::optional<Json> object = find(client);
        PredictTarget target = kind_.target(object ? *object : known_);
        target.subject = subject_.key.text();
        const std::string body = predict_body(target, input).dump();
        if (!object) {
            throw Error{ErrorCode::not_found,
                        {.attempted = "ask", .subject = target.subject, .answer = "it is gone"}};
        }
        const EndpointAddress address = kind_.locate(client, *object);
        if (!address.missing.empty()) {
            throw Error{ErrorCode::unavailable,
                        {.attempted = "ask",
                         .subject = target.subject,
                         .answer = address.missing,
                         .advice = "fairing wait " + subject_.key.name + " waits for it"}};
        }
        const net::Answer answer = ask(client, address, predict_path(target), body, target.subject);
        return parse_prediction(target, answer.status, answer.body);
    }

private:
    using Steady = std::chrono::steady_clock;

    [[nodiscard]] Outcome gone() const {
        return {.state = State::removed, .reason = subject_.key.text() + " is not there"};
    }
    /// The object as it is now; nullopt when it is gone, whoever has its name.
    [[nodiscard]] std::optional<Json> find(const kube::Client& client) const {
        std::optional<Json> object = client.find(subject_.key);
        return object && kube::uid_of(*object) == subject_.uid ? std::move(object) : std::nullopt;
    }
    /// But for those that are on their way out: they tell of what was before.
    [[nodiscard]] std::vector<Json> pods(const kube::Client& client, const Json& object) const {
        std::vector<Json> found = client
                                      .list("v1", "Pod", subject_.key.namespace_,
                                            {.label_selector = kind_.pod_selector(object)})
                                      .items;
        std::erase_if(found, [](const Json& pod) {
            return !kube::metadata_text(pod, "deletionTimestamp").empty();
        });
        return found;
    }
    [[nodiscard]] kube::Diagnosis diagnose(const kube::Client& client, const Json& object) const {
        const std::vector<Json> pods_now = pods(client, object);
        kube::Diagnosis now = kind_.diagnose(object, pods_now, {});
        if (now.phase == kube::Phase::succeeded) {
            return now;
        }
        return kind_.diagnose(object, pods_now, events_of(client, subject_, now.pod));
    }
    [[nodiscard]] Outcome follow_log(const kube::Client& client, const OutputSink& sink) {
        kube::PodLogs logs{client, sink, {.expected_pods = replicas(), .only = habits_.only_pod}};
        Outcome outcome = wait(client, &logs, habits_.end);
        if (outcome.state == State::removed) {
            logs.finish();
        }
        return outcome;
    }
    [[nodiscard]] int replicas() const {
        return static_cast<int>(
            std::clamp<std::int64_t>(kube::number(known_, {"spec", "replicas"}), 1, 1000));
    }

    /// Looks until it is ready, can not be, or is gone. Requests are few: a look costs two.
    [[nodiscard]] Outcome wait(const kube::Client& client, kube::PodLogs* logs, EndpointEnd end) {
        using std::chrono::milliseconds;
        const Steady::time_point start = Steady::now();
        std::optional<Steady::time_point> ready_since;
        kube::Sightings sightings;
        for (milliseconds pause{100};; pause = std::min(pause * 2, milliseconds{1000})) {
            client.control().check("follow " + subject_.key.text());
            const std::optional<Json> object = find(client);
            if (!object) {
                return end == EndpointEnd::removed
                           ? gone()
                           : Outcome{.state = State::failed,
                                     .reason = subject_.key.text() + " was deleted"};
            }
            const std::vector<Json> pods_now = pods(client, *object);
            for (const Json& pod : pods_now) {
                if (logs != nullptr) {
                    logs->update(pod);
                }
            }
            kube::Diagnosis now = kind_.diagnose(*object, pods_now, {});
            if (now.phase == kube::Phase::succeeded) {
                const std::string missing = kind_.locate(client, *object).missing;
                if (missing.empty() && end == EndpointEnd::ready) {
                    return {.state = State::ready};
                }
                ready_since = ready_since.value_or(Steady::now());
                now = {.phase = kube::Phase::running, .reason = missing};
                if (!missing.empty() && Steady::now() - *ready_since > habits_.address_timeout) {
                    now.phase = kube::Phase::failed;
                    now.reason += "; nothing came within " +
                                  std::to_string(habits_.address_timeout.count()) + " s";
                }
            } else {
                judge(client, *object, pods_now, sightings, Steady::now() - start, now);
            }
            if (now.phase == kube::Phase::failed && end == EndpointEnd::ready) {
                Outcome result = endpoint_outcome(now);
                result.tail = tail(client, now, pods_now);
                return result;
            }
            explain(client, now);
            client.control().sleep(pause);
        }
    }

    /// Whether to wait any longer for what is not ready, and what is said about it.
    void judge(const kube::Client& client, const Json& object, const std::vector<Json>& pods_now,
               kube::Sightings& sightings, Steady::duration waited, kube::Diagnosis& now) {
        if (waited > std::chrono::seconds{2}) {
            now = kind_.diagnose(object, pods_now, events(client, now.pod));
        }
        for (const Json& pod : pods_now) {
            if (now.phase != kube::Phase::failed && sightings.see(pod, Steady::now())) {
                now = kube::diagnose_pod(pod);
                now.phase = kube::Phase::failed;
            }
        }
        const bool is_late = habits_.start_timeout.count() > 0 && waited > habits_.start_timeout;
        if (kube::is_hopeless(now.cause) || is_late) {
            now.reason = (is_late ? "it is not ready within " +
                                        std::to_string(habits_.start_timeout.count()) + " s: "
                                  : "") +
                         now.reason;
            now.phase = kube::Phase::failed;
        }
    }

    /// Asked again after three seconds.
    [[nodiscard]] std::vector<Json> events(const kube::Client& client, const std::string& pod) {
        const std::lock_guard lock{mutex_};
        if (Steady::now() - events_read_ > std::chrono::seconds{3} || events_about_ != pod) {
            events_ = events_of(client, subject_, pod);
            events_about_ = pod;
            events_read_ = Steady::now();
        }
        return events_;
    }

    /// What is waited for, each answer once.
    void explain(const kube::Client& client, const kube::Diagnosis& now) {
        const std::lock_guard lock{mutex_};
        if (!now.reason.empty() && std::exchange(explained_, now.reason) != now.reason) {
            client.control().say(now.cause == kube::Cause::starting ? Level::debug : Level::info,
                                 now.reason);
        }
    }

    /// The last lines of the server that is in the way; of its last run, when it is between two.
    [[nodiscard]] std::vector<std::string> tail(const kube::Client& client,
                                                const kube::Diagnosis& end,
                                                const std::vector<Json>& pods_now) const {
        std::vector<std::string> lines;
        for (const Json& pod : pods_now) {
            if (kube::name_of(pod) != end.pod || kube::told_containers(pod).empty()) {
                continue;
            }
            const std::string container =
                end.container.empty() ? kube::told_containers(pod).back() : end.container;
            const kube::ContainerView view = kube::container_view(pod, container);
            LineSplitter splitter;
            const auto take = [&lines](std::string line) { lines.push_back(std::move(line)); };
            try {
                client.read_log(
                    {.api_version = "v1",
                     .kind = "Pod",
                     .namespace_ = subject_.key.namespace_,
                     .name = end.pod},
                    {.container = container,
                     .previous = view.stage == kube::ContainerStage::waiting && view.has_previous,
                     .tail = tail_size},
                    [&](std::span<const std::byte> bytes) { splitter.write(bytes, take); });
                splitter.finish(take);
            } catch (const kube::StatusError&) {
                // there is none: it never ran
            }
            break;
        }
        return lines;
    }

    [[nodiscard]] net::Answer ask(const kube::Client& client, const EndpointAddress& address,
                                  const std::string& path, const std::string& body,
                                  const std::string& subject) const {
        const bool is_inside = client.cluster().context == "in-cluster";
        if (!is_inside && !address.is_public && !address.service.name.empty()) {
            return client.ask_service(
                address.service, address.service_port,
                {.path = path, .body = body, .deadline = habits_.predict_timeout});
        }
        const std::string& server =
            is_inside && !address.inside.empty() ? address.inside : address.outside;
        const net::AnyTransport transport =
            habits_.transport ? habits_.transport : net::default_transport();
        net::Request request{
            .method = "POST",
            .url = server + path,
            .headers = {{"Accept", "application/json"}, {"Content-Type", "application/json"}},
            .body = net::Body::of(body),
            .deadline = habits_.predict_timeout,
            .idle_timeout = habits_.predict_timeout,
            .max_body = std::uint64_t{256} << 20};
        return net::exchange(transport, std::move(request),
                             {.attempted = "ask", .subject = subject, .repeat = net::Repeat::never},
                             client.control());
    }

    kube::Client client_;
    const EndpointKind& kind_;
    Subject subject_;
    EndpointHabits habits_;
    ClusterWorkload object_;  ///< its name, and its end
    Json known_;              ///< as it was created or found
    std::mutex mutex_;
    std::vector<Json> events_ = {};
    std::string events_about_ = {}, explained_ = {};
    Steady::time_point events_read_ = {};
};

}  // namespace fairing::kubernetes
