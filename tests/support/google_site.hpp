// tests/support/google_site.hpp - a scripted Google in memory, and what a deployer to it needs.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "fairing/deployers/google/client.hpp"
#include "fairing/stage/image.hpp"
#include "fairing/stage/session.hpp"
#include "google_server.hpp"
#include "workspace.hpp"

namespace support {

struct GoogleSite {
    /// Where what options() name is.
    static inline const std::string root = "https://us-central1-aiplatform.googleapis.com/v1/";
    static inline const std::string place = "projects/proj-1/locations/us-central1";

    GoogleServer server = {};
    std::vector<std::string> said = {};   ///< our log
    std::vector<std::string> lines = {};  ///< the workload's: "task: text"
    std::stop_source stopping = {};

    [[nodiscard]] fairing::Session session() {
        // Half a hundredth of a second before the time at which it is welcome again.
        server.retry_after = "Thu, 01 Jan 2026 00:00:10 GMT";
        return {
            .stop = stopping.get_token(),
            .log = [this](const fairing::LogRecord& record) { said.push_back(record.text); },
            .output =
                [this](const fairing::OutputLine& line) {
                    lines.push_back(line.pod + ": " + line.text);
                },
            .clock =
                [] {
                    return std::chrono::system_clock::from_time_t(1767225610) -
                           std::chrono::milliseconds{5};
                },
            .transport = std::ref(server),
            .credentials =
                [](const fairing::CredentialRequest&) {
                    return std::optional{fairing::Credential{.token = fairing::Secret{"token-1"}}};
                }};
    }
    [[nodiscard]] static fairing::GoogleOptions options(std::string name = {}) {
        return {.project = "proj-1", .name = std::move(name), .poll_milliseconds = 1};
    }
    [[nodiscard]] static fairing::Image image() {
        return {.reference = "europe-docker.pkg.dev/proj-1/jobs/train:abc@sha256:1234",
                .digest = "sha256:1234",
                .command = {"python3", "/app/train.py"},
                .environment = {{"FAIRING_RUNTIME", "1"}}};
    }
    [[nodiscard]] fairing::google::Client client() { return {options(), session()}; }
    /// What that deployer makes of image().
    template <class Deployer>
    [[nodiscard]] auto deploy(const Deployer& deployer) {
        return deployer.deploy(image(), session());
    }
    /// How much is there of "models", "endpoints".
    [[nodiscard]] std::size_t left(const std::string& collection) const {
        return static_cast<std::size_t>(
            std::count_if(server.resources.begin(), server.resources.end(), [&](const auto& each) {
                return each.first.starts_with(place + '/' + collection + '/') &&
                       !contains(each.first, "/operations/");
            }));
    }
    /// What was said about `part`.
    [[nodiscard]] std::size_t times_said(const std::string& part) const {
        return static_cast<std::size_t>(std::count_if(
            said.begin(), said.end(),
            [&](const std::string& each) { return each.find(part) != std::string::npos; }));
    }
};

}  // namespace support
