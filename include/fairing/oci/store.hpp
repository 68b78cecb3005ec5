// fairing/oci/store.hpp - where the manifests and blobs of one repository live: an image layout or
// a registry.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "../net/message.hpp"
#include "descriptor.hpp"

namespace fairing::oci {

/// A manifest or index, byte for byte as it was stored: its digest is that of `body`.
struct RawManifest {
    std::string media_type = {};
    std::string body = {};

    [[nodiscard]] Descriptor descriptor() const {
        return {.media_type = media_type, .digest = digest_of(body), .size = body.size()};
    }
};

/// How a blob came to be where it is.
enum class Transfer { none, present, mounted, uploaded };

/// Makes a blob: gives its bytes to the sink, when there is one, as they come; returns what it came
/// to. Called once.
using BlobMaker = std::function<Descriptor(const net::BodySink&)>;

/// One repository. Every member may be called from several threads at once.
class Store {
public:
    virtual ~Store() = default;

    /// The manifest of a tag, or of a digest; nullopt when there is none. Verified when asked for
    /// by digest.
    [[nodiscard]] virtual std::optional<RawManifest> find_manifest(
        const std::string& tag_or_digest) = 0;
    /// Streams a blob to `sink`, verified while it is read: Error{integrity} at the end or before,
    /// not_found.
    virtual void read_blob(const Descriptor& blob, const net::BodySink& sink) = 0;
    /// Makes the blob be here: present already, mounted out of repository `mount_from` of the same
    /// host (empty: do not try), or uploaded.
    virtual Transfer write_blob(const Descriptor& blob, const net::Body& body,
                                const std::string& mount_from) = 0;
    /// The same for a blob that is most likely not here: a store may do without looking first.
    virtual Transfer write_absent_blob(const Descriptor& blob, const net::Body& body,
                                       const std::string& mount_from) {
        return write_blob(blob, body, mount_from);
    }
    /// The same for a blob that is not made yet and therefore not here, of about `size` bytes; a
    /// store may take it while it is made. `again` gives the bytes once more.
    virtual Transfer write_new_blob(const BlobMaker& make, const std::function<net::Body()>& again,
                                    std::uint64_t /*size*/) {
        const Descriptor blob = make({});
        return write_blob(blob, again(), {});
    }
    /// The digest of a tag's manifest if it can be had without reading that, or "".
    [[nodiscard]] virtual std::string find_digest(const std::string& /*tag*/) { return {}; }
    /// Whether the repository is known to hold no image yet.
    [[nodiscard]] virtual bool is_new() { return false; }
    /// Stores the manifest and points `tag` at it; an empty tag stores it by digest only.
    virtual void write_manifest(const RawManifest& manifest, const std::string& tag) = 0;
    /// Requests sent so far; 0 for what needs none.
    [[nodiscard]] virtual std::uint64_t requests() const noexcept { return 0; }
};

}  // namespace fairing::oci
