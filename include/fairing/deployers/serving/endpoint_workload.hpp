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
#include "../../core/json_text.hpp"
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
#include "endpoint_kind.hpp"
#include "predict_protocol.hpp"

namespace fairing::kubernetes {

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
    /// Of an edit of what was there before: remove() takes it back, and removes no more than that.
    std::function<void(const kube::Client& client)> undo = {};
};

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
        const std::string body = dump_json(predict_body(target, input), "ask", target.subject);
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
        {
            const std::lock_guard lock{mutex_};
            if (Steady::now() - events_read_ <= std::chrono::seconds{3} && events_about_ == pod) {
                return events_;
            }
        }
        std::vector<Json> found = events_of(client, subject_, pod);
        const std::lock_guard lock{mutex_};
        events_ = found;
        events_about_ = pod;
        events_read_ = Steady::now();
        return found;
    }

    /// What is waited for, each answer once.
    void explain(const kube::Client& client, const kube::Diagnosis& now) {
        {
            const std::lock_guard lock{mutex_};
            if (now.reason.empty() || std::exchange(explained_, now.reason) == now.reason) {
                return;
            }
        }
        client.control().say(now.cause == kube::Cause::starting ? Level::debug : Level::info,
                             now.reason);
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
