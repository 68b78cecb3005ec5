// The registry client against Debian's docker-registry on a free loopback port.
#include "fairing/registry/client.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "../support/child_process.hpp"
#include "../support/process_table.hpp"
#include "../support/registry_site.hpp"
#include "../support/tcp_proxy.hpp"
#include "fairing/core/files.hpp"
#include "fairing/oci/reference.hpp"

using namespace fairing;
using support::Content;
using support::manifest_of;
using support::missing_registry;
using support::random_bytes;
using support::read;
using support::Registry;

TEST_CASE("docker-registry: a blob that is sent while it is made") {
    if (missing_registry()) {
        return;
    }
    const Registry registry;
    REQUIRE(registry.running());
    registry::Client client = registry.client("team/streamed");
    CHECK(client.is_new());
    const Content layer{random_bytes(5'000'001, 1), std::string{oci::media_type::layer_gzip}};
    const oci::BlobMaker make = [&](const net::BodySink& sink) {
        const auto bytes = std::as_bytes(std::span{layer.bytes});
        for (std::size_t at = 0; at < bytes.size(); at += 700'000) {
            sink(bytes.subspan(at, std::min<std::size_t>(700'000, bytes.size() - at)));
        }
        return layer.descriptor;
    };
    const auto again = [&] { return net::Body::of(layer.bytes); };
    CHECK(client.write_new_blob(make, again, layer.bytes.size()) == oci::Transfer::uploaded);
    CHECK(client.requests() == 4);  // tags, POST, PATCH, PUT
    CHECK(read(client, layer.descriptor) == layer.bytes);
    const Content config = support::config();
    CHECK(client.write_absent_blob(config.descriptor, net::Body::of(config.bytes), {}) ==
          oci::Transfer::uploaded);
    client.write_manifest(manifest_of(config, layer), "v1");
    CHECK(client.find_digest("v1") == oci::digest_of(manifest_of(config, layer).body));
    CHECK_FALSE(client.is_new());
}

TEST_CASE("docker-registry: push, pull, mount, and all of it a second time") {
    if (missing_registry()) {
        return;
    }
    const Registry registry;
    REQUIRE(registry.running());
    std::uint64_t last = 0;
    Control control;
    control.progress = [&](const Progress& value) { last = value.done; };
    registry::Client client = registry.client("team/job", {}, control);
    const Content config = support::config();
    const Content layer{random_bytes(20 << 20, 1), std::string{oci::media_type::layer_gzip}};
    const oci::RawManifest manifest = manifest_of(config, layer);

    CHECK_FALSE(client.find_manifest("v1"));
    CHECK(client.write_blob(layer.descriptor, net::Body::of(layer.bytes), {}) ==
          oci::Transfer::uploaded);
    CHECK(last == layer.bytes.size());
    CHECK(client.write_blob(config.descriptor, net::Body::of(config.bytes), {}) ==
          oci::Transfer::uploaded);
    client.write_manifest(manifest, "v1");
    const auto found = client.find_manifest("v1");
    REQUIRE(found);
    CHECK(found->body == manifest.body);
    CHECK(client.find_manifest(oci::digest_of(manifest.body)));
    CHECK(read(client, layer.descriptor) == layer.bytes);
    CHECK(client.requests() == 1 + 3 + 3 + 1 + 1 + 1 + 1);

    registry::Client again = registry.client("team/job");
    CHECK(again.write_blob(layer.descriptor, net::Body::of(layer.bytes), {}) ==
          oci::Transfer::present);
    again.write_manifest(manifest, "v2");
    CHECK(again.requests() == 2);

    registry::Client other = registry.client("other/job");
    CHECK(other.write_blob(layer.descriptor, net::Body::of(layer.bytes), "team/job") ==
          oci::Transfer::mounted);
    CHECK(other.write_blob(config.descriptor, net::Body::of(config.bytes), "no/such") ==
          oci::Transfer::uploaded);
    CHECK(read(other, layer.descriptor) == layer.bytes);
    other.write_manifest(manifest, "");
    CHECK(other.find_manifest(oci::digest_of(manifest.body)));
}

TEST_CASE("docker-registry: what is missing or wrong") {
    if (missing_registry()) {
        return;
    }
    const Registry registry;
    REQUIRE(registry.running());
    registry::Client client = registry.client("team/job");
    const Content config = support::config();
    const Content layer{"a layer", std::string{oci::media_type::layer_gzip}};
    try {
        client.write_manifest(manifest_of(config, layer), "v1");
        FAIL("accepted");
    } catch (const registry::MissingBlobs& error) {
        CHECK(error.digests().size() == 2);
    }
    // Bytes that are not what their digest says.
    try {
        client.write_blob(layer.descriptor, net::Body::of("a LAYER"), {});
        FAIL("accepted");
    } catch (const Error& error) {
        CHECK(std::string{error.what()}.find("400 Bad Request: DIGEST_INVALID") !=
              std::string::npos);
        CHECK(error.details().http_status == 400);
    }
    CHECK_THROWS_AS(read(client, layer.descriptor), Error);

    // Bytes that change in the registry's own storage.
    client.write_blob(layer.descriptor, net::Body::of(layer.bytes), {});
    const std::string hex = oci::digest_hex(layer.descriptor.digest);
    write_file(
        registry.data() / "docker/registry/v2/blobs/sha256" / hex.substr(0, 2) / hex / "data",
        "A layer");
    try {
        (void)read(client, layer.descriptor);
        FAIL("accepted");
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::integrity);
        CHECK(std::string{error.what()}.find("digest mismatch: expected " +
                                             layer.descriptor.digest) != std::string::npos);
    }
}

TEST_CASE("docker-registry: a cancelled upload leaves no session") {
    if (missing_registry()) {
        return;
    }
    const Registry registry;
    REQUIRE(registry.running());
    std::stop_source stop;
    const support::TcpProxy proxy{registry.port()};
    registry::Client client =
        support::client_at("localhost:" + std::to_string(proxy.port()), support::client_options(),
                           {.stop = stop.get_token()});
    const Content layer{random_bytes(8 << 20, 1)};
    const std::filesystem::path sessions =
        registry.data() / "docker/registry/v2/repositories/team/job/_uploads";
    const auto begun = [&] {
        int count = 0;
        if (std::filesystem::exists(sessions)) {
            for (const auto& entry : std::filesystem::recursive_directory_iterator{sessions}) {
                count += entry.path().filename() == "startedat";
            }
        }
        return count;
    };
    const net::Body body{.size = layer.bytes.size(), .write = [&](const net::BodySink& sink) {
                             CHECK(begun() == 1);
                             stop.request_stop();
                             // so that no byte arrives
                             CHECK(support::eventually([&] { return proxy.open() == 0; }));
                             sink(std::as_bytes(std::span{layer.bytes}));
                         }};
    CHECK_THROWS_AS(client.write_blob(layer.descriptor, body, {}), Cancelled);
    CHECK(begun() == 0);
    CHECK_THROWS_AS((void)client.find_manifest("v1"), Cancelled);
}

TEST_CASE("docker-registry: users and passwords") {
    if (missing_registry()) {
        return;
    }
    const Registry registry{Registry::Users::htpasswd};
    REQUIRE(registry.running());
    const auto as = [&](const std::string& password) {
        return registry.client("team/job", [password](const CredentialRequest&) {
            return Credential{.user = "me", .password = Secret{password}};
        });
    };
    const Content layer{random_bytes(3 << 20, 1)};
    registry::Client me = as("s3cret");
    CHECK(me.write_blob(layer.descriptor, net::Body::of(layer.bytes), {}) ==
          oci::Transfer::uploaded);
    CHECK(read(me, layer.descriptor) == layer.bytes);
    const auto failure = [](registry::Client&& client) {
        try {
            (void)client.find_manifest("v1");
        } catch (const Error& error) {
            CHECK(error.code() == ErrorCode::denied);
            return std::string{error.what()};
        }
        return std::string{"no error"};
    };
    const std::string wrong = failure(as("guess"));
    CHECK(wrong.find("401 Unauthorized: UNAUTHORIZED") != std::string::npos);
    CHECK(wrong.find("check the credentials for " + registry.host()) != std::string::npos);
    CHECK(wrong.find("guess") == std::string::npos);
    CHECK(failure(registry.client("team/job")).find("docker login " + registry.host()) !=
          std::string::npos);
}

TEST_CASE("docker-registry: many blobs from several threads at once") {
    if (missing_registry()) {
        return;
    }
    const Registry registry;
    REQUIRE(registry.running());
    registry::Client client = registry.client("team/job");
    std::vector<Content> layers;
    for (int i = 0; i < 24; ++i) {
        layers.emplace_back("layer " + std::to_string(i) + random_bytes(100000, 1));
    }
    {
        std::vector<std::jthread> threads;
        for (std::size_t t = 0; t < 6; ++t) {
            threads.emplace_back([&, t] {
                for (std::size_t i = t; i < layers.size(); i += 6) {
                    (void)client.write_blob(layers[i].descriptor, net::Body::of(layers[i].bytes),
                                            {});
                }
            });
        }
    }
    for (const Content& layer : layers) {
        CHECK(read(client, layer.descriptor) == layer.bytes);
    }
}
