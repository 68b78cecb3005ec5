// fairing/oci/archive_reader.hpp - what a tar archive of an image holds: that of `docker save`, old
// (Docker image-spec v1.2) or new, and an image layout in a tar (OCI image-spec, image-layout.md).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../codec/tar.hpp"
#include "../core/files.hpp"
#include "../core/json_text.hpp"
#include "image.hpp"
#include "media_type.hpp"
#include "store.hpp"

namespace fairing::oci {

/// The members are found once, by their headers; blobs are read from where they lie, verified. An
/// archive without an image layout gets a manifest of Docker's (version 2, schema 2), the same for
/// the same archive.
class ArchiveReader {
public:
    /// Throws Error{input} for a file that is no such archive, and what TarReader throws.
    explicit ArchiveReader(std::filesystem::path path)
        : path_(std::move(path)), file_(open_file(path_, O_RDONLY | O_NONBLOCK)) {
        find_members();
        if (members_.contains("index.json")) {
            read_layout();
        } else if (members_.contains("manifest.json")) {
            read_docker();
        } else {
            refuse("it holds neither manifest.json nor index.json");
        }
    }

    /// As Store::find_manifest(). A name is "team/job:v1" or its tag; an empty one means the only
    /// image.
    [[nodiscard]] std::optional<RawManifest> find_manifest(const std::string& wanted) const {
        std::set<std::string> digests;
        std::string all;
        for (const Entry& entry : entries_) {
            for (const std::string& name : entry.names) {
                all += (all.empty() ? "" : ", ") + name;
            }
            if (wanted.empty() || entry.is_called(wanted)) {
                digests.insert(entry.manifest.digest);
            }
        }
        if (digests.size() > 1) {
            throw Error{ErrorCode::input,
                        {.attempted = "choose an image in",
                         .subject = path_.string(),
                         .answer = "it holds " + std::to_string(digests.size()) + ": " + all,
                         .advice = "write docker-archive:" + path_.string() + ":NAME:TAG"}};
        }
        const std::string digest = !digests.empty() ? *digests.begin() : wanted;
        if (!is_digest(digest) || !blobs_.contains(digest)) {
            return std::nullopt;
        }
        return RawManifest::from(text_of(digest), "manifest " + digest);
    }

    /// As Store::read_blob().
    void read_blob(const Descriptor& blob, const net::BodySink& sink) const {
        const auto found = blobs_.find(blob.digest);
        if (found == blobs_.end()) {
            throw Error{ErrorCode::not_found,
                        {.attempted = "read",
                         .subject = "blob " + blob.digest + " of " + path_.string(),
                         .answer = "the archive does not hold it"}};
        }
        Verifier verifier{blob.digest, blob.size, "blob " + blob.digest + " of " + path_.string()};
        const auto checked = [&](std::span<const std::byte> bytes) {
            verifier.update(bytes);
            sink(bytes);
        };
        if (found->second.made.empty()) {
            read(found->second.place, checked);
        } else {
            checked(std::as_bytes(std::span{found->second.made}));
        }
        verifier.finish();
    }

private:
    struct Member {
        std::uint64_t offset = 0, size = 0;
    };
    /// Bytes of the archive, or a manifest that was made up for it.
    struct Blob {
        Member place = {};
        std::string made = {};
    };
    struct Entry {
        Descriptor manifest = {};
        std::vector<std::string> names = {};

        [[nodiscard]] bool is_called(const std::string& wanted) const {
            return manifest.digest == wanted ||
                   std::any_of(names.begin(), names.end(), [&](const std::string& name) {
                       return name == wanted || name.ends_with('/' + wanted) ||
                              name.ends_with(':' + wanted);
                   });
        }
    };
    static constexpr std::uint64_t largest_document = std::uint64_t{4} << 20;

    [[noreturn]] void refuse(std::string answer, std::string advice = {}) const {
        throw Error{ErrorCode::input,
                    {.attempted = "use image archive",
                     .subject = path_.string(),
                     .answer = std::move(answer),
                     .advice = std::move(advice)}};
    }

    // Members -----------------------------------------------------------------------------------

    /// The bytes of `place` in pieces.
    template <class Sink>
    void read(Member place, const Sink& sink) const {
        std::vector<std::byte> buffer(
            static_cast<std::size_t>(std::min<std::uint64_t>(place.size, 256U << 10U)));
        while (place.size > 0) {
            const auto wanted =
                static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), place.size));
            const ssize_t got =
                ::pread(file_.get(), buffer.data(), wanted, static_cast<off_t>(place.offset));
            if (got < 0 && errno == EINTR) {
                continue;
            }
            if (got < 0) {
                throw system_error(errno, "read", path_.string());
            }
            if (got == 0) {
                refuse("it is cut off");
            }
            sink(std::span<const std::byte>{buffer}.first(static_cast<std::size_t>(got)));
            place.offset += static_cast<std::uint64_t>(got);
            place.size -= static_cast<std::uint64_t>(got);
        }
    }
    [[nodiscard]] std::string text(const Member& place) const {
        if (place.size > largest_document) {
            refuse("one of its documents is longer than 4 MiB");
        }
        std::string result;
        read(place, [&result](std::span<const std::byte> bytes) {
            result.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        });
        return result;
    }
    [[nodiscard]] std::string text_of(const std::string& digest) const {
        const Blob& blob = blobs_.at(digest);
        std::string result = blob.made.empty() ? text(blob.place) : blob.made;
        if (digest_of(result) != digest) {
            throw Error{
                ErrorCode::integrity,
                {.attempted = "read",
                 .subject = "manifest " + digest + " of " + path_.string(),
                 .answer = "digest mismatch: expected " + digest + ", got " + digest_of(result)}};
        }
        return result;
    }
    /// The member at `path`, where links lead to it as well.
    [[nodiscard]] const Member& member(std::string path) const {
        for (int hops = 0; hops < 8; ++hops) {
            if (const auto found = members_.find(path); found != members_.end()) {
                return found->second;
            }
            const auto link = links_.find(path);
            if (link == links_.end()) {
                break;
            }
            path = link->second;
        }
        refuse("it has no " + codec::in_quotes(path));
    }

    /// Reads the headers and passes over what is between them.
    void find_members() {
        struct stat status {};
        if (::fstat(file_.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
            refuse("it is not a file");
        }
        const auto end = static_cast<std::uint64_t>(status.st_size);
        constexpr std::uint64_t block_size = codec::detail::tar_block_size;
        for (std::uint64_t at = 0; at < end;) {
            std::optional<codec::TarEntry> entry;
            codec::TarReader reader{[&entry](const codec::TarEntry& found) { entry = found; },
                                    [](std::span<const std::byte>) {}};
            std::string block = text({at, std::min(block_size, end - at)});
            if (block.starts_with("\x1f\x8b") || block.starts_with("\x28\xb5\x2f\xfd")) {
                refuse("it is compressed", "decompress it first, for example with gunzip");
            }
            if (block.find_first_not_of('\0') == std::string::npos) {
                return;
            }
            if (block.size() < block_size) {
                refuse("it is cut off");
            }
            for (reader.write(std::as_bytes(std::span{block})); !entry;
                 reader.write(std::as_bytes(std::span{block}))) {
                at += block_size;
                block = text({at, block_size});
            }
            at += block_size;
            keep(*entry, at);
            at += entry->size + codec::tar_padding(entry->size);
            if (at > end) {
                refuse("it is cut off");
            }
        }
    }
    void keep(const codec::TarEntry& entry, std::uint64_t offset) {
        const std::filesystem::path path = std::filesystem::path{entry.path}.lexically_normal();
        if (entry.kind == codec::TarKind::file) {
            members_[path.string()] = {offset, entry.size};
        } else if (entry.kind == codec::TarKind::symlink) {
            links_[path.string()] =
                (path.parent_path() / entry.link_target).lexically_normal().string();
        } else if (entry.kind == codec::TarKind::hardlink) {
            links_[path.string()] =
                std::filesystem::path{entry.link_target}.lexically_normal().string();
        }
    }

    // An image layout ---------------------------------------------------------------------------

    void read_layout() {
        constexpr std::string_view folder = "blobs/sha256/";
        for (const auto& [path, place] : members_) {
            if (path.starts_with(folder)) {
                blobs_["sha256:" + path.substr(folder.size())].place = place;
            }
        }
        const Json index =
            parse_json(text(member("index.json")), "index.json of " + path_.string());
        const Json entries = index.is_object() ? index.value("manifests", Json()) : Json();
        for (const Json& each : entries.is_array() ? entries : Json::array()) {
            Entry& entry = entries_.emplace_back();
            entry.manifest = Descriptor::from(each, "index.json of " + path_.string());
            const Json annotations = each.value("annotations", Json());
            for (const char* key :
                 {"io.containerd.image.name", "org.opencontainers.image.ref.name"}) {
                if (std::string name = text_or(annotations, key); !name.empty()) {
                    entry.names.push_back(std::move(name));
                }
            }
        }
        if (entries_.empty()) {
            refuse("its index.json names no image");
        }
    }

    // The old form ------------------------------------------------------------------------------

    void read_docker() {
        const Json images =
            parse_json(text(member("manifest.json")), "manifest.json of " + path_.string());
        if (!images.is_array() || images.empty()) {
            refuse("its manifest.json names no image");
        }
        for (const Json& image : images) {
            add_docker_image(image);
        }
    }
    void add_docker_image(const Json& image) {
        const Member& config_place = member(text_or(image, "Config"));
        const std::string config_text = text(config_place);
        const Json config = parse_json(config_text, "an image's config in " + path_.string());
        const Json rootfs = config.is_object() ? config.value("rootfs", Json()) : Json();
        const Json diff_ids = rootfs.is_object() ? rootfs.value("diff_ids", Json()) : Json();
        const Json paths = image.value("Layers", Json());
        if (!paths.is_array() || !diff_ids.is_array() || paths.size() != diff_ids.size()) {
            refuse("an image in it has layers and diff_ids that differ in number");
        }
        Json layers = Json::array();
        for (std::size_t i = 0; i < paths.size(); ++i) {
            if (!paths[i].is_string() || !diff_ids[i].is_string()) {
                refuse("an image in it has a layer without a name or a diff_id");
            }
            layers.push_back(
                add_layer(member(paths[i].get<std::string>()), diff_ids[i].get<std::string>())
                    .json());
        }
        const Descriptor blob{.media_type = std::string{media_type::docker_config},
                              .digest = digest_of(config_text),
                              .size = config_text.size()};
        blobs_[blob.digest].place = config_place;
        const Json manifest = {{"schemaVersion", 2},
                               {"mediaType", media_type::docker_manifest},
                               {"config", blob.json()},
                               {"layers", std::move(layers)}};
        Entry& entry = entries_.emplace_back();
        const RawManifest raw{.media_type = std::string{media_type::docker_manifest},
                              .body = manifest.dump()};
        entry.manifest = raw.descriptor();
        const Json names = image.value("RepoTags", Json());
        for (const Json& name : names.is_array() ? names : Json::array()) {
            entry.names.push_back(name.is_string() ? name.get<std::string>() : "");
        }
        blobs_[entry.manifest.digest].made = raw.body;
    }
    /// Of a plain tar the digest is the diff_id; only what is compressed has to be hashed.
    Descriptor add_layer(const Member& place, const std::string& diff_id) {
        const std::string magic = text({place.offset, std::min<std::uint64_t>(place.size, 4)});
        Descriptor layer{.media_type = std::string{media_type::docker_layer},
                         .digest = diff_id,
                         .size = place.size};
        if (magic.starts_with("\x1f\x8b")) {
            codec::Sha256 hash;
            read(place, [&hash](std::span<const std::byte> bytes) { hash.update(bytes); });
            layer.media_type = media_type::docker_layer_gzip;
            layer.digest = "sha256:" + codec::hex(hash.finish());
        }
        blobs_[layer.digest].place = place;
        return layer;
    }

    std::filesystem::path path_;
    UniqueFd file_;
    std::map<std::string, Member> members_ = {};
    std::map<std::string, std::string> links_ = {};
    std::map<std::string, Blob> blobs_ = {};
    std::vector<Entry> entries_ = {};
};

}  // namespace fairing::oci
