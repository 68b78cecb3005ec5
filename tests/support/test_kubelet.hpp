// tests/support/test_kubelet.hpp - a node for a control plane that has none: it registers itself,
// runs the pods that are bound to it (see pod_runner.hpp), and serves their logs to the API server.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "container_log.hpp"
#include "fairing/net/url.hpp"
#include "kube_api.hpp"
#include "pod_runner.hpp"
#include "tls_server.hpp"

namespace support {

/// Connections that serve a log are cut, so many times, each after so many bytes of its body.
struct LogCuts {
    int times = 0;
    std::size_t after_bytes = 0;
};

class TestKubelet {
public:
    TestKubelet(KubeApi api, const TlsFiles& tls, fairing::net::AnyTransport registries,
                std::string name = "test-node")
        : api_(std::move(api)),
          registries_(std::move(registries)),
          name_(std::move(name)),
          server_(tls, [this](TlsPeer& peer) { serve(peer); }) {
        thread_ = std::jthread{[this](const std::stop_token& stop) { run(stop); }};
    }
    TestKubelet(TestKubelet&&) = delete;
    TestKubelet& operator=(TestKubelet&&) = delete;
    ~TestKubelet() { closing_ = true; }

    [[nodiscard]] const std::string& name() const noexcept { return name_; }

    /// What happens to log connections from now on.
    void cut_logs(const LogCuts& cuts) {
        const std::lock_guard lock{mutex_};
        cuts_ = cuts;
    }
    /// How many of the cuts are still to come.
    [[nodiscard]] int cuts_left() const {
        const std::lock_guard lock{mutex_};
        return cuts_.times;
    }

private:
    using Json = fairing::Json;
    static constexpr std::chrono::milliseconds period{100};

    // --- the node
    // ----------------------------------------------------------------------------------------------------

    void run(const std::stop_token& stop) {
        auto heartbeat = std::chrono::steady_clock::time_point{};
        while (!stop.stop_requested()) {
            try {
                if (std::chrono::steady_clock::now() >= heartbeat) {
                    register_node(stop);
                    renew_lease(stop);
                    heartbeat = std::chrono::steady_clock::now() + std::chrono::seconds{5};
                }
                look_at_pods(stop);
            } catch (const std::exception&) {
                // the API server is away, or coming up: next time
            }
            std::mutex mutex;
            std::condition_variable_any woken;
            std::unique_lock lock{mutex};
            woken.wait_for(lock, stop, period, [] { return false; });
        }
    }

    void register_node(const std::stop_token& stop) {
        const std::string path = "/api/v1/nodes/" + name_;
        if (api_.get(path, stop).status == 404) {
            api_.post("/api/v1/nodes",
                      {{"metadata",
                        {{"name", name_},
                         {"labels",
                          {{"kubernetes.io/hostname", name_},
                           {"kubernetes.io/os", "linux"},
                           {"kubernetes.io/arch", "amd64"}}}}}},
                      stop);
            // Admission taints what is not ready yet; a controller would take that back in its own
            // time.
            api_.patch(path, {{"spec", {{"taints", nullptr}}}}, KubeApi::merge_patch, stop);
        }
        const std::string now = rfc3339(now_in_nanoseconds(), 0);
        const Json capacity = {
            {"cpu", "8"}, {"memory", "16Gi"}, {"pods", "200"}, {"ephemeral-storage", "100Gi"}};
        api_.patch(
            path + "/status",
            {{"status",
              {{"capacity", capacity},
               {"allocatable", capacity},
               {"conditions", Json::array({{{"type", "Ready"},
                                            {"status", "True"},
                                            {"reason", "KubeletReady"},
                                            {"message", "the test kubelet runs"},
                                            {"lastHeartbeatTime", now},
                                            {"lastTransitionTime", now}}})},
               {"addresses", Json::array({{{"type", "InternalIP"}, {"address", "127.0.0.1"}},
                                          {{"type", "Hostname"}, {"address", name_}}})},
               {"daemonEndpoints", {{"kubeletEndpoint", {{"Port", server_.port()}}}}},
               {"nodeInfo", {{"kubeletVersion", "v0.0.0-test"}, {"operatingSystem", "linux"}}}}}},
            KubeApi::merge_patch, stop);
    }

    void renew_lease(const std::stop_token& stop) {
        const std::string folder = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
        std::string now = rfc3339(now_in_nanoseconds());
        now.erase(now.size() - 4, 3);  // a MicroTime
        const Json spec = {
            {"holderIdentity", name_}, {"leaseDurationSeconds", 40}, {"renewTime", now}};
        const ApiAnswer renewed =
            api_.patch(folder + '/' + name_, {{"spec", spec}}, KubeApi::merge_patch, stop);
        if (renewed.status == 404) {
            api_.post(folder, {{"metadata", {{"name", name_}}}, {"spec", spec}}, stop);
        }
    }

    // --- pods
    // --------------------------------------------------------------------------------------------------------

    void look_at_pods(const std::stop_token& stop) {
        const ApiAnswer answer =
            api_.get("/api/v1/pods?resourceVersion=0&fieldSelector=spec.nodeName%3D" + name_, stop);
        if (!answer.ok()) {
            return;
        }
        std::map<std::string, Json> seen;
        for (const Json& pod : answer.body["items"]) {
            seen.emplace(pod["metadata"]["uid"].get<std::string>(), pod);
        }
        forget_the_gone(seen);
        for (const auto& [uid, pod] : seen) {
            look_at(uid, pod, stop);
        }
    }

    void look_at(const std::string& uid, const Json& pod, const std::stop_token& stop) {
        std::shared_ptr<PodRunner> runner = find(uid);
        const bool deleted = pod["metadata"].contains("deletionTimestamp");
        const std::string phase = fairing::text_or(pod["status"], "phase");
        const bool finished = phase == "Succeeded" || phase == "Failed";
        if (!runner && !deleted && !finished) {
            runner = std::make_shared<PodRunner>(api_, pod, registries_);
            const std::lock_guard lock{mutex_};
            pods_.emplace(uid, std::move(runner));
        } else if (deleted) {
            if (runner && !runner->ended()) {
                runner->stop();
                return;
            }
            const Json& metadata = pod["metadata"];
            api_.remove("/api/v1/namespaces/" + metadata["namespace"].get<std::string>() +
                            "/pods/" + metadata["name"].get<std::string>(),
                        {{"gracePeriodSeconds", 0}, {"preconditions", {{"uid", uid}}}}, stop);
        }
    }

    void forget_the_gone(const std::map<std::string, Json>& seen) {
        const std::lock_guard lock{mutex_};
        for (auto it = pods_.begin(); it != pods_.end();) {
            if (seen.contains(it->first)) {
                ++it;
            } else {
                it->second->stop();
                // A runner that still ends something is not waited for here.
                it = it->second->ended() ? pods_.erase(it) : std::next(it);
            }
        }
    }

    [[nodiscard]] std::shared_ptr<PodRunner> find(const std::string& uid) const {
        const std::lock_guard lock{mutex_};
        const auto found = pods_.find(uid);
        return found == pods_.end() ? nullptr : found->second;
    }
    [[nodiscard]] std::shared_ptr<PodRunner> find_by_path(const std::string& path) const {
        const std::lock_guard lock{mutex_};
        std::shared_ptr<PodRunner> result;
        for (const auto& [uid, runner] : pods_) {
            if (runner->path() == path && (!result || !runner->ended())) {
                result = runner;
            }
        }
        return result;
    }

    // --- logs
    // --------------------------------------------------------------------------------------------------------

    struct LogQuery {
        bool follow = false, timestamps = false, previous = false;
        std::string since = {};  ///< RFC 3339 with whole seconds; empty: from the start
        std::optional<std::size_t> tail = {}, limit_bytes = {};
    };

    static LogQuery parse_query(std::string_view query) {
        LogQuery result;
        while (!query.empty()) {
            const std::string_view pair = query.substr(0, query.find('&'));
            query.remove_prefix(std::min(query.size(), pair.size() + 1));
            const std::size_t equals = std::min(pair.find('='), pair.size());
            const std::string_view key = pair.substr(0, equals);
            const std::string value{pair.substr(std::min(equals + 1, pair.size()))};
            if (key == "follow") {
                result.follow = value == "true";
            } else if (key == "timestamps") {
                result.timestamps = value == "true";
            } else if (key == "previous") {
                result.previous = value == "true";
            } else if (key == "sinceTime") {
                result.since = fairing::net::detail::percent_decode(value, value);
            } else if (key == "sinceSeconds") {
                result.since = rfc3339(now_in_nanoseconds() - std::stoll(value) * 1'000'000'000, 0);
            } else if (key == "tailLines") {
                result.tail = std::stoul(value);
            } else if (key == "limitBytes") {
                result.limit_bytes = std::stoul(value);
            }
        }
        return result;
    }

    static void refuse(TlsPeer& peer, const char* status, const std::string& text) {
        peer.say(std::string{"HTTP/1.1 "} + status +
                 "\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: " +
                 std::to_string(text.size()) + "\r\n\r\n" + text);
    }

    /// GET /containerLogs/NAMESPACE/POD/CONTAINER?…
    void serve(TlsPeer& peer) {
        const std::string head = peer.head();
        const std::size_t space = head.find(' ');
        if (head.empty() || space == std::string::npos) {
            return;
        }
        const std::string target = head.substr(space + 1, head.find(' ', space + 1) - space - 1);
        const std::size_t question = std::min(target.find('?'), target.size());
        const std::string path = target.substr(0, question);
        const std::string prefix = "/containerLogs/";
        const std::size_t pod = path.find('/', prefix.size());
        const std::size_t container = path.rfind('/');
        if (!path.starts_with(prefix) || pod == std::string::npos || container <= pod) {
            return refuse(peer, "404 Not Found", "no such path: " + path);
        }
        const std::string object = "/api/v1/namespaces/" +
                                   path.substr(prefix.size(), pod - prefix.size()) + "/pods/" +
                                   path.substr(pod + 1, container - pod - 1);
        const std::shared_ptr<PodRunner> runner = find_by_path(object);
        if (!runner) {
            return refuse(peer, "404 Not Found", "pod not found");
        }
        const LogQuery query =
            parse_query(std::string_view{target}.substr(std::min(question + 1, target.size())));
        const auto [log, reason] = runner->log(path.substr(container + 1), query.previous);
        if (!log) {
            return refuse(peer, "400 Bad Request", reason);
        }
        send_log(peer, *log, query);
    }

    /// Takes one of the cuts that were asked for.
    [[nodiscard]] std::optional<std::size_t> next_cut() {
        const std::lock_guard lock{mutex_};
        if (cuts_.times <= 0) {
            return std::nullopt;
        }
        --cuts_.times;
        return cuts_.after_bytes;
    }

    void send_log(TlsPeer& peer, ContainerLog& log, const LogQuery& query) {
        if (!peer.say("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n"
                      "Transfer-Encoding: chunked\r\n\r\n")) {
            return;
        }
        std::optional<std::size_t> left = query.limit_bytes;
        std::optional<std::size_t> cut = query.follow ? next_cut() : std::nullopt;
        std::size_t index = query.tail ? log.size() - std::min(log.size(), *query.tail) : 0;
        for (bool more = true; more && !closing_ && !peer.gone();) {
            auto [lines, again] = query.follow ? log.next(index) : log.at_once(index);
            more = again && (query.follow || !lines.empty());
            index += lines.size();
            std::string text = text_of(lines, query);
            if (left) {
                text.resize(std::min(text.size(), *left));
                *left -= text.size();
                more = more && *left > 0;
            }
            if (cut && text.size() >= *cut) {
                static_cast<void>(say_chunk(peer, text.substr(0, *cut)));
                return peer.reset();
            }
            if (cut) {
                *cut -= text.size();
            }
            if (!text.empty() && !say_chunk(peer, text)) {
                return;
            }
        }
        peer.say("0\r\n\r\n");
    }

    static bool say_chunk(TlsPeer& peer, const std::string& text) {
        if (text.empty()) {
            return true;
        }
        char size[32];
        std::snprintf(size, sizeof size, "%zx\r\n", text.size());
        return peer.say(size + text + "\r\n");
    }

    static std::string text_of(const std::vector<ContainerLog::Line>& lines,
                               const LogQuery& query) {
        std::string text;
        for (const ContainerLog::Line& line : lines) {
            const std::string time = rfc3339(line.time);
            // Both are UTC and of one form, up to the fraction of a second.
            if (!query.since.empty() && time.substr(0, 19) < query.since.substr(0, 19)) {
                continue;
            }
            text += query.timestamps ? time + ' ' + line.text : line.text;
        }
        return text;
    }

    KubeApi api_;
    fairing::net::AnyTransport registries_;
    std::string name_;
    mutable std::mutex mutex_;
    std::map<std::string, std::shared_ptr<PodRunner>> pods_ = {};
    LogCuts cuts_ = {};
    std::atomic<bool> closing_ = false;
    TlsServer server_;
    std::jthread thread_ = {};  // last: it uses all of the above
};

}  // namespace support
