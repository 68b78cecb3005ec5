// fairing/registry/client.hpp - one repository of a registry as a store (OCI distribution-spec).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../core/control.hpp"
#include "../oci/reference.hpp"
#include "../oci/store.hpp"
#include "api.hpp"
#include "pull.hpp"
#include "push.hpp"
#include "referrers.hpp"
#include "uploads_ahead.hpp"

namespace fairing::registry {

/// Errors name the repository, the registry's own words and the number of attempts. A stop cancels
/// the upload at the registry too. Progress is in bytes, with step "push" or "pull" and the digest
/// as its item.
class Client final : public oci::Store {
public:
    Client(const oci::Reference& reference, const ClientOptions& options, Control control)
        : api_(reference, options), control_(std::move(control)) {}
    Client(Client&&) = delete;
    Client& operator=(Client&&) = delete;
    ~Client() override = default;

    [[nodiscard]] std::optional<oci::RawManifest> find_manifest(
        const std::string& tag_or_digest) override {
        return pull().find_manifest(tag_or_digest);
    }
    void read_blob(const oci::Descriptor& blob, const net::BodySink& sink) override {
        pull().read_blob(blob, sink);
    }
    oci::Transfer write_blob(const oci::Descriptor& blob, const net::Body& body,
                             const std::string& mount_from) override {
        return push().write_blob(blob, body, mount_from);
    }
    oci::Transfer write_absent_blob(const oci::Descriptor& blob, const net::Body& body,
                                    const std::string& mount_from) override {
        return push().write_absent_blob(blob, body, mount_from,
                                        mount_from.empty() ? ahead_.take() : std::nullopt);
    }
    void expect_blobs(std::size_t count) override { ahead_.begin(count); }
    oci::Transfer write_new_blob(const oci::BlobMaker& make,
                                 const std::function<net::Body()>& again,
                                 std::uint64_t size) override {
        return push().write_new_blob(make, again, size);
    }
    [[nodiscard]] std::string find_digest(const std::string& tag) override {
        return pull().find_digest(tag);
    }
    [[nodiscard]] bool is_new() override { return pull().is_new(); }
    /// Throws MissingBlobs when the registry lacks a blob of it.
    void write_manifest(const oci::RawManifest& manifest, const std::string& tag) override {
        push().write_manifest(manifest, tag);
    }

    /// By its digest, with every tag that points at it; one that is not there is no error. Many
    /// registries do not let their clients do so.
    void remove_manifest(const std::string& digest) { push().remove_manifest(digest); }

    [[nodiscard]] std::vector<Json> find_referrers(const std::string& digest) override {
        return registry::find_referrers(api_, *this, digest, control_);
    }
    void write_referrer(const oci::RawManifest& manifest) override {
        registry::write_referrer(api_, *this, manifest, control_);
    }

    [[nodiscard]] std::uint64_t requests() const noexcept override { return api_.requests(); }

private:
    [[nodiscard]] Pull pull() { return {api_, control_}; }
    [[nodiscard]] Push push() { return {api_, control_}; }

    Api api_;
    Control control_;
    UploadsAhead ahead_{api_, control_};
};

}  // namespace fairing::registry
