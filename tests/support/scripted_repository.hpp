// tests/support/scripted_repository.hpp - the repository team/job at localhost:5000 as a script
// plays it, one blob and one manifest for it, and a client.
#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <filesystem>
#include <span>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "fairing/oci/reference.hpp"
#include "fairing/registry/client.hpp"
#include "scripted_transport.hpp"
#include "workspace.hpp"

namespace fairing::test::scripted {

inline const std::string content = "the bytes of a layer";
inline const oci::Descriptor blob{.media_type = "application/octet-stream",
                                  .digest = oci::digest_of(content),
                                  .size = content.size()};
inline const std::string encoded_digest = "sha256%3A" + oci::digest_hex(blob.digest);
inline const std::string base = "http://localhost:5000/v2/team/job/";
inline const std::string blob_url = base + "blobs/" + blob.digest;
inline const std::string uploads = base + "blobs/uploads/";
inline const std::string mount_url = uploads + "?mount=" + encoded_digest + "&from=base%2Fpython";
inline const std::string manifest_text =
    R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","layers":[]})";
inline const std::string manifest_digest = oci::digest_of(manifest_text);
inline const oci::RawManifest manifest{.media_type = std::string{oci::media_type::manifest},
                                       .body = manifest_text};

inline net::Response begun(
    const std::string& location = "/v2/team/job/blobs/uploads/1?_state=a%2B%2F%3D") {
    return {.status = 202, .headers = {{"Location", location}}};
}
inline const std::string begun_url = uploads + "1?_state=a%2B%2F%3D";
inline const std::string put_url = begun_url + "&digest=" + encoded_digest;

inline net::Response refused(int status, const std::string& code,
                             const std::string& detail = "null") {
    return {.status = status,
            .body = R"({"errors":[{"code":")" + code + R"(","message":"so it is","detail":)" +
                    detail + "}]}"};
}
inline const net::Response unauthorized{
    .status = 401,
    .headers = {{"WWW-Authenticate", R"(Bearer realm="http://localhost:5001/token",service=r)"}}};
inline const std::string token_url =
    "http://localhost:5001/token?service=r&scope=repository%3Ateam%2Fjob%3Apull%2Cpush";
inline net::Response token_answer(const std::string& token) {
    return {.status = 200, .body = R"({"token":")" + token + "\"}"};
}
inline net::Response served(const std::string& text, const std::string& type) {
    return {.status = 200, .headers = {{"Content-Type", type}}, .body = text};
}

struct Repository {
    ScriptedTransport script = {};
    std::stop_source stop = {};
    std::string log = {};
    std::vector<Progress> progress = {};
    int made = 0;
    registry::Client client;

    explicit Repository(const std::string& reference = "localhost:5000/team/job",
                        CredentialsProvider credentials = {},
                        registry::PlainHttp plain = registry::PlainHttp::loopback,
                        registry::Upload upload = registry::Upload::automatic)
        : client(oci::parse_reference(reference),
                 {.transport = std::ref(script),
                  .credentials = std::move(credentials),
                  .plain_http = plain,
                  .retry = {.first_delay = std::chrono::milliseconds{1}},
                  .files = std::vector<std::filesystem::path>{},
                  .upload = upload,
                  .chunk_size = 8},
                 {.stop = stop.get_token(),
                  .log = serialized<LogRecord>(
                      [this](const LogRecord& record) { log += record.text + '\n'; }),
                  .progress = [this](const Progress& value) { progress.push_back(value); }}) {}

    explicit Repository(registry::Upload upload)
        : Repository("localhost:5000/team/job", {}, registry::PlainHttp::loopback, upload) {}
    Repository(Repository&&) = delete;
    Repository& operator=(Repository&&) = delete;
    /// Whatever happened, nobody was told the password.
    ~Repository() {
        CHECK(log.find("geheim") == std::string::npos);
        CHECK(log.find("bWU6") == std::string::npos);
    }

    oci::Transfer push(const std::string& mount_from = {}) {
        return client.write_blob(blob, net::Body::of(content), mount_from);
    }
    /// The content as a blob that is made while it is sent.
    oci::Transfer push_new() {
        return client.write_new_blob(
            [this](const net::BodySink& sink) {
                ++made;
                if (sink) {
                    sink(std::as_bytes(std::span{content}).first(4));
                    sink(std::as_bytes(std::span{content}).subspan(4));
                }
                return blob;
            },
            [] { return net::Body::of(content); }, content.size());
    }
    Repository& absent() {
        script.expect("HEAD", blob_url, {.status = 404});
        return *this;
    }
    /// The same, and an upload of it begins.
    ScriptedTransport& begins() { return absent().script.expect("POST", uploads, begun()); }
    /// The same, and it succeeds.
    void takes() { begins().expect("PUT", put_url, {.status = 201}); }
    /// Everything happens as scripted, and the blob is there.
    void pushes(const std::string& mount_from = {},
                oci::Transfer transfer = oci::Transfer::uploaded) {
        CHECK(push(mount_from) == transfer);
        CHECK(script.complaint().empty());
    }
    /// The same for push_new(); the blob is made once.
    void pushes_new() {
        CHECK(push_new() == oci::Transfer::uploaded);
        CHECK(script.complaint().empty());
        CHECK(made == 1);
    }
    /// Everything happened as scripted; and once the fault is gone, the same push succeeds.
    void recovers() {
        CHECK(script.complaint().empty());
        takes();
        pushes();
    }
    [[nodiscard]] int count(const std::string& method) const {
        int number = 0;
        for (const Recorded& recorded : script.recorded()) {
            number += recorded.method == method;
        }
        return number;
    }
};

}  // namespace fairing::test::scripted
