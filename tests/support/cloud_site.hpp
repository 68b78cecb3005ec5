// tests/support/cloud_site.hpp - the surroundings of a client of a cloud, scripted: environment,
// home, clock, peers and what is logged.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "fairing/cloud/aws/client.hpp"
#include "fairing/cloud/azure/account.hpp"
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

inline const std::string aws_secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// The same with keys of AWS.
struct AwsSite : CloudSite {
    std::string region = "eu-west-1";

    [[nodiscard]] fairing::cloud::aws::Client client() {
        const fairing::cloud::Connection here = connection();
        return {here,
                {[] {
                     return fairing::cloud::aws::Credentials{
                         .access_key_id = "AKID", .secret_access_key = fairing::Secret{aws_secret}};
                 },
                 here.control.clock},
                region};
    }
};

/// What S3 and STS say when they refuse; the last member is for nobody's eyes.
inline std::string xml_error(const std::string& code, const std::string& message = "no") {
    return "<?xml version=\"1.0\"?><Error><Code>" + code + "</Code><Message>" + message +
           "</Message><StringToSign>AWS4</StringToSign></Error>";
}

/// How Azure refuses, for what it has already and the like.
inline fairing::net::Response azure_conflict(const std::string& code) {
    return answer(409, "", {{"x-ms-error-code", code}});
}

/// The blob "builds/a b" of container "c" in azure_account().
inline const std::string azure_blob_url = "https://acct.blob.core.windows.net/c/builds/a%20b";

/// A storage account with a key, whose bytes are "geheim".
inline fairing::cloud::azure::StorageAccount azure_account() {
    return {.name = "acct",
            .credential = {.key = fairing::Secret{fairing::codec::base64_encode("geheim")}}};
}

}  // namespace support
