// fairing/oci/store.hpp - where the manifests and blobs of one repository live: a registry, an
// image layout or an archive.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../core/json_text.hpp"
#include "../net/message.hpp"
#include "descriptor.hpp"
#include "media_type.hpp"

namespace fairing::oci {

/// A manifest or index, byte for byte as it was stored: its digest is that of `body`.
struct RawManifest {
    std::string media_type = {};
    std::string body = {};

    /// Out of a place that does not say what it is: the document's own mediaType does, and where it
    /// has none, its members do.
    [[nodiscard]] static RawManifest from(std::string body, const std::string& subject) {
        const Json document = parse_json(body, subject);
        const bool is_index = document.is_object() && document.contains("manifests");
        std::string type =
            text_or(document, "mediaType",
                    std::string{is_index ? media_type::index : media_type::manifest});
        return {.media_type = std::move(type), .body = std::move(body)};
    }
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
    /// So many blobs will come by write_absent_blob() without a mount: a store may prepare for them
    /// meanwhile. Those that do not come are no error.
    virtual void expect_blobs(std::size_t /*count*/) {}
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
    /// Stores a manifest that an index will name, by digest only: it is no image of its own here.
    virtual void write_child(const RawManifest& manifest) { write_manifest(manifest, {}); }
    /// The descriptors, with artifactType and annotations, of the manifests here whose subject is
    /// this one: signatures, SBOMs (OCI distribution-spec 1.1, "Listing Referrers").
    [[nodiscard]] virtual std::vector<Json> find_referrers(const std::string& /*digest*/) {
        return {};
    }
    /// Stores a manifest that has a `subject`, so that find_referrers() finds it.
    virtual void write_referrer(const RawManifest& manifest) { write_manifest(manifest, {}); }
    /// Requests sent so far; 0 for what needs none.
    [[nodiscard]] virtual std::uint64_t requests() const noexcept { return 0; }
};

}  // namespace fairing::oci
