// tests/support/memory_store.hpp - an oci::Store in memory, for tests of what uses one.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "fairing/oci/store.hpp"

namespace support {

class MemoryStore final : public fairing::oci::Store {
public:
    std::optional<fairing::oci::RawManifest> find_manifest(const std::string& name) override {
        const std::lock_guard lock{mutex};
        const auto found = manifests.find(name);
        return found == manifests.end() ? std::nullopt : std::optional{found->second};
    }
    void read_blob(const fairing::oci::Descriptor& blob,
                   const fairing::net::BodySink& sink) override {
        std::string bytes;
        {
            const std::lock_guard lock{mutex};
            if (!blobs.contains(blob.digest)) {
                throw fairing::Error{fairing::ErrorCode::not_found,
                                     {.attempted = "read blob", .subject = blob.digest}};
            }
            bytes = blobs.at(blob.digest);
        }
        fairing::oci::Verifier verifier{blob.digest, blob.size, blob.digest};
        verifier.update(std::as_bytes(std::span{bytes}));
        verifier.finish();
        sink(std::as_bytes(std::span{bytes}));
    }
    fairing::oci::Transfer write_blob(const fairing::oci::Descriptor& blob,
                                      const fairing::net::Body& body, const std::string&) override {
        std::string bytes;
        body.write([&bytes](std::span<const std::byte> piece) {
            bytes.append(reinterpret_cast<const char*>(piece.data()), piece.size());
        });
        const std::lock_guard lock{mutex};
        return blobs.insert_or_assign(blob.digest, bytes).second ? fairing::oci::Transfer::uploaded
                                                                 : fairing::oci::Transfer::present;
    }
    void write_manifest(const fairing::oci::RawManifest& manifest,
                        const std::string& tag) override {
        const std::lock_guard lock{mutex};
        manifests[manifest.descriptor().digest] = manifest;
        if (!tag.empty()) {
            manifests[tag] = manifest;
        }
    }
    /// Stores `text` as a blob and gives its descriptor.
    fairing::oci::Descriptor add(const std::string& media_type, const std::string& text) {
        const fairing::oci::Descriptor descriptor{
            .media_type = media_type, .digest = fairing::oci::digest_of(text), .size = text.size()};
        blobs[descriptor.digest] = text;
        return descriptor;
    }

    std::mutex mutex = {};
    std::map<std::string, std::string> blobs = {};
    std::map<std::string, fairing::oci::RawManifest> manifests = {};
};

}  // namespace support
