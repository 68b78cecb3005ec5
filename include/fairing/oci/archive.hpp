// fairing/oci/archive.hpp - "docker-archive:FILE" as a store: an image in one file, for machines
// without a network.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "../core/files.hpp"
#include "archive_reader.hpp"
#include "docker_archive.hpp"
#include "image.hpp"
#include "layout.hpp"
#include "store.hpp"

namespace fairing::oci {

/// What is written is gathered in a private directory beside the file; write_manifest() makes the
/// file of it, whole, in place of the one that was there.
class Archive final : public Store {
public:
    explicit Archive(std::filesystem::path file) : file_(std::move(file)) {}

    [[nodiscard]] std::optional<RawManifest> find_manifest(
        const std::string& tag_or_digest) override {
        return reader().find_manifest(tag_or_digest);
    }
    void read_blob(const Descriptor& blob, const net::BodySink& sink) override {
        reader().read_blob(blob, sink);
    }
    Transfer write_blob(const Descriptor& blob, const net::Body& body,
                        const std::string& /*mount_from*/) override {
        return gathered().write_blob(blob, body, {});
    }

    /// Throws Error{unsupported} for an index: engines load one platform.
    void write_manifest(const RawManifest& manifest, const std::string& tag) override {
        if (media_type::is_index(manifest.media_type)) {
            throw Error{ErrorCode::unsupported,
                        {.attempted = "write",
                         .subject = "docker-archive:" + file_.string(),
                         .answer = "it holds the image of one platform, and this is an index",
                         .advice = "choose one with --platform, or write to oci:DIR"}};
        }
        Layout& layout = gathered();
        layout.write_manifest(manifest, {});
        const Descriptor descriptor = manifest.descriptor();
        const Image image = load_image(layout, descriptor.digest, {}, file_.string()).image;
        const net::Body body =
            docker_archive(layout, image, {.name = full_name(tag), .manifest = manifest});
        PendingFile pending{file_};
        body.write([&](std::span<const std::byte> bytes) {
            write_all(pending.fd(), bytes, file_.string());
        });
        pending.commit();
        const std::lock_guard lock{mutex_};
        reader_.reset();
    }

private:
    /// An engine wants a tag.
    [[nodiscard]] static std::string full_name(const std::string& name) {
        const std::size_t colon = name.rfind(':');
        const bool has_tag =
            colon != std::string::npos && name.find('/', colon) == std::string::npos;
        return name.empty() || has_tag ? name : name + ":latest";
    }
    [[nodiscard]] ArchiveReader& reader() {
        const std::lock_guard lock{mutex_};
        if (!reader_) {
            reader_ = std::make_unique<ArchiveReader>(file_);
        }
        return *reader_;
    }
    [[nodiscard]] Layout& gathered() {
        const std::lock_guard lock{mutex_};
        if (!layout_) {
            const std::filesystem::path folder = file_.parent_path();
            directory_.emplace(folder.empty() ? "." : folder);
            layout_ = std::make_unique<Layout>(directory_->path());
        }
        return *layout_;
    }

    std::filesystem::path file_;
    std::mutex mutex_ = {};
    std::unique_ptr<ArchiveReader> reader_ = {};
    std::optional<TemporaryDirectory> directory_ = {};
    std::unique_ptr<Layout> layout_ = {};
};

}  // namespace fairing::oci
