// fairing/oci/layout.hpp - an image layout directory as a store (OCI image-spec, image-layout.md).
#pragma once

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../core/files.hpp"
#include "../core/json_text.hpp"
#include "media_type.hpp"
#include "platform.hpp"
#include "referrers.hpp"
#include "store.hpp"

namespace fairing::oci {

/// The layout in `directory`, which is made when something is first written. Writers of several
/// processes may share it: blobs appear under their name only when they are whole, and index.json
/// changes under a lock, in one step.
class Layout final : public Store {
public:
    explicit Layout(std::filesystem::path directory) : directory_(std::move(directory)) {}

    /// By digest, or by the annotation org.opencontainers.image.ref.name; an empty name means the
    /// only manifest.
    [[nodiscard]] std::optional<RawManifest> find_manifest(
        const std::string& tag_or_digest) override {
        Json entries = read_index().value("manifests", Json::array());
        if (tag_or_digest.empty()) {  // referrers are no images
            entries.erase(std::remove_if(entries.begin(), entries.end(),
                                         [](const Json& entry) {
                                             return entry.is_object() &&
                                                    entry.contains("artifactType");
                                         }),
                          entries.end());
        }
        for (const Json& entry : entries) {
            const bool named = tag_or_digest.empty() ? entries.size() == 1
                                                     : text_or(entry, "digest") == tag_or_digest ||
                                                           ref_name(entry) == tag_or_digest;
            if (named) {
                const Descriptor found = Descriptor::from(entry, index_path().string());
                return RawManifest{.media_type = found.media_type, .body = read_text(found)};
            }
        }
        if (tag_or_digest.empty() && !entries.empty()) {
            throw Error{
                ErrorCode::input,
                {.attempted = "choose an image in",
                 .subject = directory_.string(),
                 .answer = "it holds " + std::to_string(entries.size()) + ": " + names(entries),
                 .advice = "write oci:" + directory_.string() + ":NAME"}};
        }
        if (is_digest(tag_or_digest) && std::filesystem::exists(blob_path(tag_or_digest))) {
            return read_nested(tag_or_digest);  // an index of the layout points at it
        }
        return std::nullopt;
    }

    void read_blob(const Descriptor& blob, const net::BodySink& sink) override {
        const std::filesystem::path path = blob_path(blob.digest);
        const UniqueFd file = open_file(path, O_RDONLY);
        Verifier verifier{blob.digest, blob.size, path.string()};
        std::vector<std::byte> buffer(std::size_t{256} << 10);
        while (const std::size_t got = read_some(file.get(), buffer, path.string())) {
            const std::span<const std::byte> bytes = std::span{buffer}.first(got);
            verifier.update(bytes);
            sink(bytes);
        }
        verifier.finish();
    }

    Transfer write_blob(const Descriptor& blob, const net::Body& body,
                        const std::string& /*mount_from*/) override {
        create();
        const std::filesystem::path path = blob_path(blob.digest);
        std::error_code ignored;
        if (std::filesystem::file_size(path, ignored) == blob.size) {
            return Transfer::present;
        }
        PendingFile pending{path};
        Verifier verifier{blob.digest, blob.size, "blob " + blob.digest};
        body.write([&](std::span<const std::byte> bytes) {
            verifier.update(bytes);
            write_all(pending.fd(), bytes, path.string());
        });
        verifier.finish();
        pending.commit();
        return Transfer::uploaded;
    }

    void write_manifest(const RawManifest& manifest, const std::string& tag) override {
        write_child(manifest);
        Json entry = manifest.descriptor().json();
        if (!tag.empty()) {
            entry["annotations"]["org.opencontainers.image.ref.name"] = tag;
        }
        name_in_index(std::move(entry), tag);
    }
    void write_child(const RawManifest& manifest) override {
        write_blob(manifest.descriptor(), net::Body::of(manifest.body), {});
    }
    void write_referrer(const RawManifest& manifest) override {
        write_child(manifest);
        name_in_index(referrer_descriptor(manifest), {});
    }

    /// Looks through what index.json names.
    [[nodiscard]] std::vector<Json> find_referrers(const std::string& digest) override {
        std::vector<Json> found;
        for (const Json& entry : read_index().value("manifests", Json::array())) {
            const Descriptor descriptor = Descriptor::from(entry, index_path().string());
            if (descriptor.size > largest_manifest) {
                continue;
            }
            const RawManifest manifest{.media_type = descriptor.media_type,
                                       .body = read_text(descriptor)};
            if (subject_of(manifest) == digest) {
                found.push_back(referrer_descriptor(manifest));
            }
        }
        return found;
    }

    [[nodiscard]] const std::filesystem::path& directory() const noexcept { return directory_; }

private:
    static constexpr std::size_t largest_manifest = std::size_t{4} << 20;

    /// Puts `entry` into index.json, in place of what had its tag or, without one, its digest.
    void name_in_index(Json entry, const std::string& tag) {
        const UniqueFd lock = open_file(directory_ / "blobs", O_RDONLY | O_DIRECTORY);
        while (::flock(lock.get(), LOCK_EX) != 0) {
            if (errno != EINTR) {
                throw system_error(errno, "lock", directory_.string());
            }
        }
        Json index = read_index();
        Json kept = Json::array();
        for (Json& each : index["manifests"]) {
            const bool replaced = tag.empty() ? text_or(each, "digest") == text_or(entry, "digest")
                                              : ref_name(each) == tag;
            if (!replaced) {
                kept.push_back(std::move(each));
            }
        }
        kept.push_back(std::move(entry));
        index["manifests"] = std::move(kept);
        write_file(index_path(), index.dump() + '\n');
    }

    [[nodiscard]] std::filesystem::path index_path() const { return directory_ / "index.json"; }
    [[nodiscard]] std::filesystem::path blob_path(const std::string& digest) const {
        return directory_ / "blobs" / "sha256" / digest_hex(digest);
    }
    [[nodiscard]] static std::string ref_name(const Json& entry) {
        return entry.is_object() ? text_or(entry.value("annotations", Json()),
                                           "org.opencontainers.image.ref.name")
                                 : std::string{};
    }
    [[nodiscard]] static std::string names(const Json& entries) {
        std::string result;
        for (const Json& entry : entries) {
            const std::string name = ref_name(entry);
            result += (result.empty() ? "" : ", ") +
                      (name.empty() ? text_or(entry, "digest", "(no digest)") : name);
        }
        return result;
    }

    [[nodiscard]] Json read_index() const {
        try {
            return read_index_file();
        } catch (const std::filesystem::filesystem_error& error) {
            throw system_error(error.code().value(), "read image layout", directory_.string());
        }
    }
    [[nodiscard]] Json read_index_file() const {
        if (!std::filesystem::exists(index_path())) {
            // In this order: another thread may be making blobs/, its first entry.
            const bool other = std::filesystem::exists(directory_) &&
                               !std::filesystem::is_empty(directory_) &&
                               !std::filesystem::exists(directory_ / "blobs");
            if (other) {
                throw Error{ErrorCode::input,
                            {.attempted = "use image layout",
                             .subject = directory_.string(),
                             .answer = "it is there, but holds no index.json",
                             .advice = "name an empty or new directory after oci:"}};
            }
            return empty_index();
        }
        Json index = parse_json(read_file(index_path()), index_path().string());
        if (!index.is_object() || !index.value("manifests", Json()).is_array()) {
            throw Error{ErrorCode::input,
                        {.attempted = "read",
                         .subject = index_path().string(),
                         .answer = "not the index of an image layout"}};
        }
        return index;
    }
    [[nodiscard]] static Json empty_index() {
        return {
            {"schemaVersion", 2}, {"mediaType", media_type::index}, {"manifests", Json::array()}};
    }

    [[nodiscard]] std::string read_text(const Descriptor& blob) {
        std::string text;
        read_blob(blob, [&text](std::span<const std::byte> bytes) {
            text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        });
        return text;
    }
    [[nodiscard]] RawManifest read_nested(const std::string& digest) {
        const std::string body = read_file(blob_path(digest), largest_manifest);
        if (digest_of(body) != digest) {
            throw Error{
                ErrorCode::integrity,
                {.attempted = "read",
                 .subject = blob_path(digest).string(),
                 .answer = "digest mismatch: expected " + digest + ", got " + digest_of(body)}};
        }
        return RawManifest::from(body, blob_path(digest).string());
    }

    /// Makes the directories and oci-layout. Refuses a directory that holds something else.
    void create() {
        static_cast<void>(read_index());
        std::error_code failure;
        std::filesystem::create_directories(directory_ / "blobs" / "sha256", failure);
        if (failure) {
            throw system_error(failure.value(), "create image layout", directory_.string());
        }
        const std::filesystem::path marker = directory_ / "oci-layout";
        if (!std::filesystem::exists(marker, failure)) {
            write_file(marker, std::string_view{"{\"imageLayoutVersion\":\"1.0.0\"}\n"});
        }
    }

    std::filesystem::path directory_;
};

}  // namespace fairing::oci
