// tests/support/cloud_site.hpp - the surroundings of a client of a cloud, scripted: environment,
// home, clock, peers and what is logged.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "fairing/cloud/connection.hpp"
#include "scripted_transport.hpp"
#include "workspace.hpp"

namespace support {

struct CloudSite {
    fairing::test::ScriptedTransport script = {};
    fairing::test::ScriptedTransport metadata = {};
    std::map<std::string, std::string> variables = {};
    Workspace home = {};
    Log log = {};
    std::chrono::system_clock::time_point now =
        std::chrono::system_clock::from_time_t(1767225600);  // 2026-01-01 00:00:00

    CloudSite() { variables["HOME"] = home.path().string(); }
    CloudSite(const CloudSite&) = delete;
    CloudSite& operator=(const CloudSite&) = delete;

    [[nodiscard]] fairing::cloud::Connection connection() {
        fairing::Control control = log.control();
        control.clock = [this] { return now; };
        return {.transport = std::ref(script),
                .metadata = std::ref(metadata),
                .control = control,
                .retry = {.attempts = 5, .first_delay = std::chrono::milliseconds{1}},
                .variable = [this](const char* name) -> std::optional<std::string> {
                    const auto found = variables.find(name);
                    return found == variables.end() ? std::nullopt : std::optional{found->second};
                }};
    }
    /// Everything that was said, for tests that no secret is in it.
    [[nodiscard]] std::string said() const {
        std::string text;
        for (const std::string& line : log.lines) {
            text += line + '\n';
        }
        return text;
    }
};

/// An answer in XML or JSON, with the service's own time when one is given.
inline fairing::net::Response answer(int status, std::string body = {},
                                     fairing::net::Headers headers = {}) {
    return {.status = status, .headers = std::move(headers), .body = std::move(body)};
}

}  // namespace support
