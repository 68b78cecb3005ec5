// tests/support/registry_site.hpp - docker-registry, clients of its repositories that read no
// credential files, and blobs for them.
#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "child_process.hpp"
#include "docker_registry.hpp"
#include "fairing/oci/media_type.hpp"
#include "fairing/oci/reference.hpp"
#include "fairing/registry/client.hpp"
#include "samples.hpp"
#include "transport.hpp"

namespace support {

[[nodiscard]] inline fairing::registry::ClientOptions client_options(
    fairing::CredentialsProvider credentials = {},
    fairing::registry::Upload upload = fairing::registry::Upload::automatic) {
    return {.transport = make_transport(),
            .credentials = std::move(credentials),
            .retry = {.first_delay = std::chrono::milliseconds{10}},
            .files = std::vector<std::filesystem::path>{},
            .upload = upload,
            .chunk_size = std::uint64_t{512} << 10};
}

class Registry : public DockerRegistry {
public:
    using DockerRegistry::DockerRegistry;

    [[nodiscard]] fairing::registry::Client client(const std::string& repository,
                                                   fairing::CredentialsProvider credentials = {},
                                                   fairing::Control control = {}) const {
        return {fairing::oci::parse_reference(host() + '/' + repository),
                client_options(std::move(credentials)), std::move(control)};
    }
};

inline bool missing_registry() {
    if (fairing::test::has_program("docker-registry")) {
        return false;
    }
    MESSAGE("skipped: docker-registry is not installed");
    return true;
}

/// A client of team/job at `host`.
inline fairing::registry::Client client_at(
    const std::string& host, const fairing::registry::ClientOptions& options = client_options(),
    fairing::Control control = {}) {
    return {fairing::oci::parse_reference(host + "/team/job"), options, std::move(control)};
}

inline fairing::CredentialsProvider user(const std::string& name, const std::string& password) {
    return [=](const fairing::CredentialRequest&) {
        return fairing::Credential{.user = name, .password = fairing::Secret{password}};
    };
}

struct Content {
    std::string bytes;
    fairing::oci::Descriptor descriptor;

    explicit Content(std::string text, std::string type = "application/octet-stream")
        : bytes(std::move(text)),
          descriptor{.media_type = std::move(type),
                     .digest = fairing::oci::digest_of(bytes),
                     .size = bytes.size()} {}
};

inline fairing::oci::Transfer push(fairing::registry::Client& client, const Content& content) {
    return client.write_blob(content.descriptor, fairing::net::Body::of(content.bytes), {});
}
inline std::string read(fairing::registry::Client& client, const fairing::oci::Descriptor& blob) {
    std::string got;
    client.read_blob(blob, [&](std::span<const std::byte> bytes) {
        got.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    });
    return got;
}

inline fairing::oci::RawManifest manifest_of(const Content& config, const Content& layer) {
    const fairing::Json document = {{"schemaVersion", 2},
                                    {"mediaType", fairing::oci::media_type::manifest},
                                    {"config", config.descriptor.json()},
                                    {"layers", fairing::Json::array({layer.descriptor.json()})}};
    return {.media_type = std::string{fairing::oci::media_type::manifest}, .body = document.dump()};
}

/// A config of no layers.
inline Content config() {
    return Content{
        R"({"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}})",
        std::string{fairing::oci::media_type::config}};
}

}  // namespace support
