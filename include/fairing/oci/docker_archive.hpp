// fairing/oci/docker_archive.hpp - an image as one tar archive that `docker load` and the like take
// (Docker image-spec v1.2, and an image layout of the OCI beside it, as Docker 25 writes).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "../codec/tar.hpp"
#include "../net/message.hpp"
#include "image.hpp"
#include "reference.hpp"
#include "store.hpp"

namespace fairing::oci {

/// The name by which an engine knows an image without a tag: the digest of its config.
[[nodiscard]] inline std::string image_id(const Image& image) {
    return Descriptor::from(image.manifest.at("config"), "the config of an image").digest;
}

struct ArchiveOptions {
    std::string name = {};  ///< "team/job:v1": what it is loaded as; empty: without a name
    /// The manifest as it is stored: then the archive is an image layout too, and whoever reads
    /// that finds the image by the same digest.
    std::optional<RawManifest> manifest = {};
};

namespace detail {

/// Members of an archive, in order; blobs stay where they are until they are written.
class ArchiveMembers {
public:
    /// A blob that occurs twice is a member once.
    std::string add(const Descriptor& blob) {
        std::string path = "blobs/sha256/" + digest_hex(blob.digest);
        if (seen_.insert(path).second) {
            append(path, blob.size);
            blobs_.push_back(blob);
        }
        return path;
    }
    void add(const std::string& path, std::string text) {
        append(path, text.size());
        blobs_.push_back({.digest = {}, .size = text.size()});
        texts_.push_back(std::move(text));
    }
    [[nodiscard]] net::Body body(Store& store) && {
        const std::uint64_t size = size_ + 2 * tar_block_size;
        return {.size = size,
                .write = [&store, members = std::move(*this)](const net::BodySink& sink) {
                    members.write(store, sink);
                }};
    }

private:
    using TarBlocks = std::vector<std::byte>;
    static constexpr std::size_t tar_block_size = codec::detail::tar_block_size;

    void append(const std::string& path, std::uint64_t size) {
        TarBlocks& header = headers_.emplace_back();
        codec::append_tar_header({.path = path, .size = size}, header);
        size_ += header.size() + size + codec::tar_padding(size);
    }
    void write(Store& store, const net::BodySink& sink) const {
        std::size_t text = 0;
        for (std::size_t i = 0; i < headers_.size(); ++i) {
            sink(headers_[i]);
            if (blobs_[i].digest.empty()) {
                sink(std::as_bytes(std::span{texts_[text++]}));
            } else {
                store.read_blob(blobs_[i], sink);
            }
            sink(TarBlocks(codec::tar_padding(blobs_[i].size)));
        }
        TarBlocks end;
        codec::append_tar_end(end);
        sink(end);
    }

    std::vector<TarBlocks> headers_ = {};
    std::vector<Descriptor> blobs_ = {};  ///< without a digest: the next of texts_
    std::vector<std::string> texts_ = {};
    std::set<std::string> seen_ = {};
    std::uint64_t size_ = 0;
};

}  // namespace detail

/// The image as a tar archive, streamed out of `store`, which must outlive the body. Layers go in
/// as they are stored: engines detect how they are compressed. Equal images, equal bytes.
[[nodiscard]] inline net::Body docker_archive(Store& store, const Image& image,
                                              const ArchiveOptions& options = {}) {
    detail::ArchiveMembers members;
    const std::string config =
        members.add(Descriptor::from(image.manifest.at("config"), "the config of an image"));
    Json layers = Json::array();
    for (const Descriptor& layer : image.layers()) {
        layers.push_back(members.add(layer));
    }
    if (options.manifest) {
        const Descriptor manifest = options.manifest->descriptor();
        members.add("blobs/sha256/" + digest_hex(manifest.digest), options.manifest->body);
        Json entry = manifest.json();
        if (!options.name.empty()) {
            entry["annotations"] = {
                {"io.containerd.image.name", parse_reference(options.name).text()},
                {"org.opencontainers.image.ref.name", options.name}};
        }
        const Json index = {{"schemaVersion", 2},
                            {"mediaType", media_type::index},
                            {"manifests", Json::array({std::move(entry)})}};
        members.add("index.json", index.dump());
        members.add("oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
    }
    const Json names = options.name.empty() ? Json() : Json::array({options.name});
    const Json manifest =
        Json::array({{{"Config", config}, {"RepoTags", names}, {"Layers", std::move(layers)}}});
    members.add("manifest.json", manifest.dump());
    return std::move(members).body(store);
}

}  // namespace fairing::oci
