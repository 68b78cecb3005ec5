// fairing/packaging/layer_cache.hpp - what earlier builds know about layers: unchanged ones whole,
// others by their segments.
//
// An unchanged layer is found by what the file system tells of its files (FileIdentity, mode, path
// in the image): nothing of it is read. Files whose times were too recent to be told from a later
// write are marked in the record, and compared by content. Every other layer is read anyway, for
// its diff_id; its unchanged segments are found by their content, so what a file system says can
// not make them wrong.
//
// entries:  layer-KEY     what a layer came to
//           segments-KEY  where in which blob the segments of a project's last such layer lie
//           blob-HEX      a compressed layer
//           document-HEX  a manifest or config, by its digest
//           tag-KEY       a base that was read before
//           pushed-KEY    a repository of a registry that has a blob
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "../codec/sha256.hpp"
#include "../oci/digest.hpp"
#include "cache_folder.hpp"
#include "cache_record.hpp"
#include "context.hpp"
#include "file_identity.hpp"
#include "known_segments.hpp"
#include "layer_writer.hpp"
#include "source_file.hpp"

namespace fairing::packaging {

/// A layer that was made before.
struct KnownLayer {
    std::string digest = {}, diff_id = {};
    std::uint64_t size = 0, uncompressed_size = 0;
    std::vector<ContentDigest> contents = {};
    std::uint64_t bytes_read = 0;  ///< by find(), of files in doubt
};

struct KnownDocument {
    std::string media_type = {}, text = {};
};

/// What decides the bytes of a layer besides its files.
struct LayerRecipe {
    std::string compressor = {};  ///< with its level: "gzip 1"
    std::int64_t modification_time = 0;
    std::string name = {};  ///< of the group: layers of equal name in one folder share segments
};

/// The identities of `files` as they are now; nothing for a symbolic link, whose target is part of
/// the context, nor for a file that is gone.
[[nodiscard]] inline std::vector<FileIdentity> identities_of(std::span<const ContextFile> files) {
    std::vector<FileIdentity> result(files.size());
    for (std::size_t i = 0; i < files.size(); ++i) {
        struct stat status {};
        if (files[i].kind == FileKind::regular && ::lstat(files[i].source.c_str(), &status) == 0) {
            result[i] = FileIdentity::of(status);
        }
    }
    return result;
}

/// Safe to use from several threads, and from several processes at once.
class LayerCache {
public:
    static constexpr std::uint64_t default_limit = std::uint64_t{10} << 30;

    /// An empty directory gives a cache that keeps nothing.
    explicit LayerCache(const std::filesystem::path& directory = {},
                        std::uint64_t limit = default_limit)
        : folder_(directory), limit_(limit) {}

    [[nodiscard]] const CacheFolder& folder() const noexcept { return folder_; }

    /// The layer that these files make, if they are what they were then. Of files in doubt the
    /// content is compared; when that is all right, they are in doubt no longer. `looked_at` is
    /// file_clock() before `identities` were taken.
    [[nodiscard]] std::optional<KnownLayer> find_layer(std::span<const ContextFile> files,
                                                       std::span<const FileIdentity> identities,
                                                       const LayerRecipe& recipe,
                                                       std::int64_t looked_at) const {
        const std::string name = layer_name(files, identities, recipe);
        const auto text = folder_.read(name);
        if (!text) {
            return std::nullopt;
        }
        RecordReader reader{*text, "layer"};
        KnownLayer layer{.digest = reader.text(), .diff_id = reader.text()};
        layer.size = reader.number();
        layer.uncompressed_size = reader.number();
        std::vector<std::size_t> in_doubt;
        for (std::size_t i = 0; i < files.size() && reader.ok(); ++i) {
            layer.contents.push_back(reader.digest());
            if (reader.number() != 0) {
                in_doubt.push_back(i);
            }
        }
        if (!reader.done() || !oci::is_digest(layer.digest) || !oci::is_digest(layer.diff_id)) {
            return std::nullopt;
        }
        for (const std::size_t i : in_doubt) {
            layer.bytes_read += files[i].size;
            if (content_of(files[i], identities[i]) != layer.contents[i]) {
                return std::nullopt;
            }
        }
        if (!in_doubt.empty()) {
            keep_record(name, layer, files, identities, looked_at);
        }
        return layer;
    }

    /// Remembers what these files came to. `identities` are those that the files had when they were
    /// opened, and they were opened after `looked_at`.
    void keep_layer(std::span<const ContextFile> files, std::span<const FileIdentity> identities,
                    const LayerRecipe& recipe, const KnownLayer& layer,
                    std::int64_t looked_at) const {
        keep_record(layer_name(files, identities, recipe), layer, files, identities, looked_at);
    }

    [[nodiscard]] KnownSegments find_segments(std::span<const ContextFile> files,
                                              const LayerRecipe& recipe) const {
        const auto text = folder_.read(segments_name(files, recipe));
        if (!text) {
            return {};
        }
        RecordReader reader{*text, "segments"};
        const std::string digest = reader.text();
        const std::uint64_t size = reader.number();
        std::vector<StoredSegment> segments;
        for (std::uint64_t left = reader.number(); left > 0 && reader.ok(); --left) {
            StoredSegment& segment = segments.emplace_back();
            segment.key = reader.digest();
            segment.offset = reader.number();
            for (std::uint32_t* value :
                 {&segment.compressed_size, &segment.compressed_crc, &segment.size, &segment.crc}) {
                *value = static_cast<std::uint32_t>(reader.number());
            }
        }
        UniqueFd blob;
        if (reader.done() && oci::is_digest(digest)) {
            blob = folder_.open(blob_name(digest), size);
        }
        return blob ? KnownSegments{std::move(blob), std::move(segments)} : KnownSegments{};
    }
    /// Keeps the blob and where its segments lie; older entries may have to go for it.
    void keep_segments(std::span<const ContextFile> files, const LayerRecipe& recipe,
                       const LayerBlob& blob) const {
        if (!folder_.keep(blob_name(blob.digest), blob.file)) {
            return;
        }
        RecordWriter writer{"segments"};
        writer.text(blob.digest);
        writer.number(blob.size);
        writer.number(blob.segments.size());
        for (const StoredSegment& segment : blob.segments) {
            writer.raw(segment.key);
            writer.number(segment.offset);
            for (const std::uint32_t value :
                 {segment.compressed_size, segment.compressed_crc, segment.size, segment.crc}) {
                writer.number(value);
            }
        }
        folder_.write(segments_name(files, recipe), writer.finish());
    }

    /// A compressed layer as a body that can be sent again; what reads it must verify it.
    [[nodiscard]] UniqueFd open_blob(const std::string& digest, std::uint64_t size) const {
        return folder_.open(blob_name(digest), size);
    }
    void forget_blob(const std::string& digest) const { folder_.remove(blob_name(digest)); }

    /// A manifest, index or config, verified.
    [[nodiscard]] std::optional<KnownDocument> find_document(const std::string& digest) const {
        const auto bytes = folder_.read(document_name(digest));
        RecordReader reader{bytes ? *bytes : std::string_view{}, "document"};
        KnownDocument document{.media_type = reader.text(), .text = reader.text()};
        const bool sound = reader.done() && oci::digest_of(document.text) == digest;
        return sound ? std::optional{std::move(document)} : std::nullopt;
    }
    void keep_document(const KnownDocument& document) const {
        RecordWriter writer{"document"};
        writer.text(document.media_type);
        writer.text(document.text);
        folder_.write(document_name(oci::digest_of(document.text)), writer.finish());
    }

    /// Whether a tag was read before, so that its documents may be here.
    [[nodiscard]] bool knows_tag(const std::string& reference) const {
        return folder_.read(tag_name(reference)).has_value();
    }
    void keep_tag(const std::string& reference) const {
        folder_.write(tag_name(reference), reference);
    }

    /// A repository of `host` that had the blob, or "".
    [[nodiscard]] std::string repository_with(const std::string& host,
                                              const std::string& digest) const {
        const auto text = folder_.read(pushed_name(host, digest));
        RecordReader reader{text ? *text : std::string_view{}, "pushed"};
        std::string repository = reader.text();
        return reader.done() ? repository : "";
    }
    void keep_repository(const std::string& host, const std::string& digest,
                         const std::string& repository) const {
        if (repository_with(host, digest) != repository) {
            RecordWriter writer{"pushed"};
            writer.text(repository);
            folder_.write(pushed_name(host, digest), writer.finish());
        }
    }

    /// Down to the limit. Cheap enough for the end of every build that kept a blob.
    void shrink() const { folder_.shrink(limit_); }

private:
    [[nodiscard]] static std::string blob_name(const std::string& digest) {
        return "blob-" + oci::digest_hex(digest);
    }
    [[nodiscard]] static std::string document_name(const std::string& digest) {
        return "document-" + oci::digest_hex(digest);
    }
    [[nodiscard]] static std::string tag_name(const std::string& reference) {
        return "tag-" + codec::sha256_hex(reference);
    }
    [[nodiscard]] static std::string pushed_name(const std::string& host,
                                                 const std::string& digest) {
        return "pushed-" + codec::sha256_hex(host + '\n' + digest);
    }
    static void put_recipe(RecordWriter& writer, const LayerRecipe& recipe) {
        writer.text(recipe.compressor);
        writer.number(static_cast<std::uint64_t>(recipe.modification_time));
    }
    [[nodiscard]] static std::string layer_name(std::span<const ContextFile> files,
                                                std::span<const FileIdentity> identities,
                                                const LayerRecipe& recipe) {
        RecordWriter writer{"layer 1"};
        put_recipe(writer, recipe);
        for (std::size_t i = 0; i < files.size(); ++i) {
            const FileIdentity& identity = identities[i];
            writer.text(files[i].destination);
            writer.number(files[i].mode & 0777U);
            writer.number(files[i].kind == FileKind::symlink ? 1 : 0);
            writer.text(files[i].link_target);
            writer.number(files[i].size);
            for (const std::uint64_t value :
                 {identity.device, identity.inode, identity.size,
                  static_cast<std::uint64_t>(identity.modified),
                  static_cast<std::uint64_t>(identity.changed), identity.mode}) {
                writer.number(value);
            }
        }
        return "layer-" + codec::sha256_hex(writer.finish());
    }
    /// By the folder that the first file lies in: a project's layers follow each other.
    [[nodiscard]] static std::string segments_name(std::span<const ContextFile> files,
                                                   const LayerRecipe& recipe) {
        RecordWriter writer{"segments 1"};
        put_recipe(writer, recipe);
        writer.text(recipe.name);
        writer.text(common_folder(files));
        return "segments-" + codec::sha256_hex(writer.finish());
    }
    [[nodiscard]] static std::string common_folder(std::span<const ContextFile> files) {
        std::string common;
        for (const ContextFile& file : files) {
            const std::string folder = file.source.parent_path().string() + '/';
            if (common.empty()) {
                common = folder;
                continue;
            }
            const auto ends =
                std::mismatch(common.begin(), common.end(), folder.begin(), folder.end());
            common.erase(ends.first, common.end());
            common.erase(common.rfind('/') + 1);
        }
        return common;
    }

    void keep_record(const std::string& name, const KnownLayer& layer,
                     std::span<const ContextFile> files, std::span<const FileIdentity> identities,
                     std::int64_t looked_at) const {
        RecordWriter writer{"layer"};
        writer.text(layer.digest);
        writer.text(layer.diff_id);
        writer.number(layer.size);
        writer.number(layer.uncompressed_size);
        std::unordered_map<std::uint64_t, bool> local;
        for (std::size_t i = 0; i < files.size(); ++i) {
            bool settled = true;
            if (files[i].kind == FileKind::regular) {
                const auto device = local.try_emplace(identities[i].device, false);
                if (device.second) {
                    device.first->second = is_local_file_system(files[i].source.c_str());
                }
                settled = device.first->second && identities[i].is_settled(looked_at);
            }
            writer.raw(layer.contents[i]);
            writer.number(settled ? 0 : 1);
        }
        folder_.write(name, writer.finish());
    }

    /// nullopt when it can not be read, or is not the file of that identity.
    [[nodiscard]] static std::optional<ContentDigest> content_of(const ContextFile& file,
                                                                 const FileIdentity& identity) {
        try {
            SourceFile source{file};
            if (FileIdentity::of(source.status()) != identity) {
                return std::nullopt;
            }
            std::vector<std::byte> piece(
                static_cast<std::size_t>(std::min<std::uint64_t>(file.size, piece_size)));
            detail::ContentDigests digests{1};
            std::uint64_t left = file.size;
            do {
                const auto part = std::span{piece}.first(
                    static_cast<std::size_t>(std::min<std::uint64_t>(left, piece_size)));
                source.read(part);
                left -= part.size();
                codec::Sha256 hash;
                hash.update(part);
                digests.add(0, file.size, hash.finish());
            } while (left > 0);
            source.finish();
            return digests.take().front();
        } catch (const Error&) {
            return std::nullopt;
        }
    }

    CacheFolder folder_;
    std::uint64_t limit_;
};

}  // namespace fairing::packaging
