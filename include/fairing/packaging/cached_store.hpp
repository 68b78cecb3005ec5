// fairing/packaging/cached_store.hpp - a store whose manifests and configs are read once: they come
// out of the layer cache, by digest.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "../oci/media_type.hpp"
#include "../oci/store.hpp"
#include "layer_cache.hpp"

namespace fairing::packaging {

/// For a tag that was read before the store behind is asked for its digest, each time; everything
/// else is as there. `name` says which repository that is; the cache outlives this.
class CachedStore final : public oci::Store {
public:
    CachedStore(std::unique_ptr<oci::Store> store, std::string name, const LayerCache& cache)
        : store_(std::move(store)), name_(std::move(name)), cache_(cache) {}

    [[nodiscard]] std::optional<oci::RawManifest> find_manifest(
        const std::string& tag_or_digest) override {
        const std::string reference = name_ + ' ' + tag_or_digest;
        const std::string digest = oci::is_digest(tag_or_digest) ? tag_or_digest
                                   : cache_.knows_tag(reference)
                                       ? store_->find_digest(tag_or_digest)
                                       : "";
        if (!digest.empty()) {
            if (auto known = cache_.find_document(digest)) {
                return oci::RawManifest{.media_type = std::move(known->media_type),
                                        .body = std::move(known->text)};
            }
        }
        auto manifest = store_->find_manifest(tag_or_digest);
        if (manifest) {
            cache_.keep_document({.media_type = manifest->media_type, .text = manifest->body});
            cache_.keep_tag(reference);
        }
        return manifest;
    }

    void read_blob(const oci::Descriptor& blob, const net::BodySink& sink) override {
        const bool config = blob.media_type == oci::media_type::config ||
                            blob.media_type == oci::media_type::docker_config;
        if (!config) {
            store_->read_blob(blob, sink);
            return;
        }
        auto known = cache_.find_document(blob.digest);
        if (!known) {
            known.emplace().media_type = blob.media_type;
            store_->read_blob(blob, [&](std::span<const std::byte> bytes) {
                known->text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
            });
            cache_.keep_document(*known);
        }
        sink(std::as_bytes(std::span{known->text}));
    }

    oci::Transfer write_blob(const oci::Descriptor& blob, const net::Body& body,
                             const std::string& mount_from) override {
        return store_->write_blob(blob, body, mount_from);
    }
    void write_manifest(const oci::RawManifest& manifest, const std::string& tag) override {
        store_->write_manifest(manifest, tag);
    }
    [[nodiscard]] std::uint64_t requests() const noexcept override { return store_->requests(); }

private:
    std::unique_ptr<oci::Store> store_;
    std::string name_;
    const LayerCache& cache_;
};

}  // namespace fairing::packaging
