// tests/support/pod_prober.hpp - asks a container of the test kubelet whether it has started, is
// ready and is alive (core/v1 Probe: tcpSocket and httpGet).
#pragma once

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>

#include "fairing/core/json.hpp"
#include "fairing/core/json_text.hpp"

namespace support {

/// An address of this machine that is not its loopback: Kubernetes takes no other for a pod. Empty
/// when there is none.
[[nodiscard]] inline std::string machine_address() {
    ifaddrs* all = nullptr;
    if (::getifaddrs(&all) != 0) {
        return {};
    }
    std::string found;
    for (const ifaddrs* each = all; each != nullptr && found.empty(); each = each->ifa_next) {
        const bool is_up = (each->ifa_flags & IFF_UP) != 0 && (each->ifa_flags & IFF_LOOPBACK) == 0;
        if (is_up && each->ifa_addr != nullptr && each->ifa_addr->sa_family == AF_INET) {
            std::array<char, INET_ADDRSTRLEN> text{};
            const auto* address = reinterpret_cast<const sockaddr_in*>(each->ifa_addr);
            found = ::inet_ntop(AF_INET, &address->sin_addr, text.data(), text.size());
        }
    }
    ::freeifaddrs(all);
    return found;
}

/// Probes from its construction to its end, on a thread of its own.
class PodProber {
public:
    struct Listener {
        std::function<void(bool)> on_ready = {};
        std::function<void(const std::string& message)> on_unhealthy = {};  ///< each failure
        std::function<void()> on_dead = {};  ///< the container is to be killed
    };

    PodProber(const fairing::Json& container, Listener listener)
        : listener_(std::move(listener)),
          startup_(probe(container, "startupProbe", "Startup")),
          readiness_(probe(container, "readinessProbe", "Readiness")),
          liveness_(probe(container, "livenessProbe", "Liveness")) {
        if (has_probes(container)) {
            thread_ = std::jthread{[this](const std::stop_token& stop) { run(stop); }};
        }
    }
    PodProber(PodProber&&) = delete;
    PodProber& operator=(PodProber&&) = delete;

    [[nodiscard]] static bool has_probes(const fairing::Json& container) {
        return container.contains("startupProbe") || container.contains("readinessProbe") ||
               container.contains("livenessProbe");
    }

private:
    using Json = fairing::Json;
    using Steady = std::chrono::steady_clock;

    struct Probe {
        Json spec = {};
        const char* name = "";
        int failures = 0;
        Steady::time_point next = Steady::now();
    };

    static Probe probe(const Json& container, const char* key, const char* name) {
        return {.spec = container.value(key, Json{}), .name = name};
    }

    void run(const std::stop_token& stop) {
        bool has_started = startup_.spec.is_null();
        bool is_ready = false;
        const auto set_ready = [&](bool value) {
            if (std::exchange(is_ready, value) != value) {
                listener_.on_ready(value);
            }
        };
        if (has_started && readiness_.spec.is_null()) {
            set_ready(true);
        }
        while (!stop.stop_requested()) {
            if (!has_started) {
                has_started = is_due(startup_) && passes(startup_);
                if (is_spent(startup_)) {
                    listener_.on_dead();
                    return;
                }
            }
            if (has_started && is_due(readiness_)) {
                const bool passed = passes(readiness_);
                set_ready(passed || (is_ready && !is_spent(readiness_)));
            }
            if (has_started && is_due(liveness_) && !passes(liveness_) && is_spent(liveness_)) {
                listener_.on_dead();
                return;
            }
            std::mutex mutex;
            std::condition_variable_any woken;
            std::unique_lock lock{mutex};
            woken.wait_for(lock, stop, std::chrono::milliseconds{50}, [] { return false; });
        }
    }

    static bool is_due(Probe& probe) {
        if (probe.spec.is_null() || Steady::now() < probe.next) {
            return false;
        }
        probe.next = Steady::now() + std::chrono::seconds{probe.spec.value("periodSeconds", 10)};
        return true;
    }
    static bool is_spent(const Probe& probe) {
        return probe.failures >= probe.spec.value("failureThreshold", 3);
    }
    [[nodiscard]] bool passes(Probe& probe) const {
        const std::string failure = ask(probe.spec);
        probe.failures = failure.empty() ? 0 : probe.failures + 1;
        if (!failure.empty()) {
            listener_.on_unhealthy(std::string{probe.name} + " probe failed: " + failure);
        }
        return failure.empty();
    }

    /// Why not; empty when all is well.
    static std::string ask(const Json& spec) {
        const bool is_http = spec.contains("httpGet");
        const int port = spec.at(is_http ? "httpGet" : "tcpSocket").at("port");
        const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const timeval limit{.tv_sec = spec.value("timeoutSeconds", 1), .tv_usec = 0};
        ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(static_cast<std::uint16_t>(port));
        ::inet_pton(AF_INET, machine_address().c_str(), &address.sin_addr);
        std::string failure;
        if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
            failure = "dial tcp " + machine_address() + ':' + std::to_string(port) +
                      ": connect: connection refused";
        } else if (is_http) {
            failure = get(fd, fairing::text_or(spec["httpGet"], "path", "/"));
        }
        ::close(fd);
        return failure;
    }
    static std::string get(int fd, const std::string& path) {
        const std::string request =
            "GET " + path + " HTTP/1.1\r\nHost: pod\r\nConnection: close\r\n\r\n";
        std::array<char, 64> answer{};
        if (::send(fd, request.data(), request.size(), MSG_NOSIGNAL) < 0 ||
            ::recv(fd, answer.data(), answer.size() - 1, MSG_WAITALL) < 12) {
            return "no answer in time";
        }
        const std::string status{answer.data() + 9, 3};
        return status.front() == '2' || status.front() == '3'
                   ? ""
                   : "HTTP probe failed with statuscode: " + status;
    }

    Listener listener_;
    Probe startup_, readiness_, liveness_;
    std::jthread thread_ = {};  // last: it uses all of the above
};

}  // namespace support
