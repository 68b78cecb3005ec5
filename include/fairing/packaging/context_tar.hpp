// fairing/packaging/context_tar.hpp - a build context as one tar archive: some texts, such as a
// Dockerfile, and the files at their destinations. Streamed: no file is copied, and none is in
// memory.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "../codec/sha256.hpp"
#include "../codec/tar.hpp"
#include "../core/control.hpp"
#include "../core/error.hpp"
#include "../net/message.hpp"
#include "context.hpp"
#include "context_digest.hpp"
#include "layer_writer.hpp"
#include "source_file.hpp"

namespace fairing::packaging {

/// "/app/train.py" is the member "app/train.py". Folders have no members of their own.
class ContextTar {
public:
    struct Text {
        std::string path = {};  ///< in the archive
        std::string text = {};
    };

    /// `context` must outlive this object. Throws Error{usage} for a file that would take the place
    /// of a text.
    ContextTar(const Context& context, std::vector<Text> texts, Control control)
        : context_(context), texts_(std::move(texts)), control_(std::move(control)) {
        detail::check_order(context_.files);
        std::vector<std::byte> header;
        const auto add = [&](const codec::TarEntry& entry) {
            header.clear();
            codec::append_tar_header(entry, header);
            size_ += header.size() + entry.size + codec::tar_padding(entry.size);
        };
        for (const Text& each : texts_) {
            add(entry_of(each));
        }
        for (const ContextFile& file : context_.files) {
            const codec::TarEntry entry = detail::tar_entry(file, modification_time_);
            for (const Text& each : texts_) {
                if (each.path == entry.path) {
                    throw Error{ErrorCode::usage,
                                {.attempted = "package",
                                 .subject = escaped(file.source.native()),
                                 .answer = "the build puts its own " + each.path + " there",
                                 .advice = "give it another place with --map"}};
                }
            }
            add(entry);
            files_size_ += entry.size;
        }
        header.clear();
        codec::append_tar_end(header);
        size_ += header.size();
    }

    [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
    [[nodiscard]] std::uint64_t files_size() const noexcept { return files_size_; }

    /// Gives the archive to `sink`, the same every time. Throws Error{input} for a file that is not
    /// what was collected, and Cancelled on a stop. Progress: step "send", in bytes of files.
    void write(const net::BodySink& sink) {
        constexpr const char* attempted = "send the build context";
        Progress progress{.step = "send", .item = "build context", .total = files_size_};
        detail::ContentDigests digests{context_.files.size()};
        std::vector<std::byte> buffer;
        const auto give = [&](const codec::TarEntry& entry) {
            buffer.clear();
            codec::append_tar_header(entry, buffer);
            sink(buffer);
        };
        for (const Text& each : texts_) {
            give(entry_of(each));
            sink(std::as_bytes(std::span{each.text}));
            sink(std::vector<std::byte>(codec::tar_padding(each.text.size())));
        }
        for (std::size_t i = 0; i < context_.files.size(); ++i) {
            const ContextFile& file = context_.files[i];
            control_.check(attempted);
            give(detail::tar_entry(file, modification_time_));
            if (file.kind == FileKind::symlink) {
                check_link_unchanged(file);
                codec::Sha256 hash;
                hash.update(file.link_target);
                digests.set(i, hash.finish());
                continue;
            }
            SourceFile source{file};
            std::uint64_t left = file.size;
            do {
                buffer.resize(
                    static_cast<std::size_t>(std::min<std::uint64_t>(left, piece_size)));
                left -= buffer.size();
                source.read(buffer);
                codec::Sha256 hash;
                hash.update(buffer);
                digests.add(i, file.size, hash.finish());
                sink(buffer);
                progress.done += buffer.size();
                if (left > 0) {
                    control_.check(attempted);
                    control_.show(progress);
                }
            } while (left > 0);
            source.finish();
            sink(std::vector<std::byte>(codec::tar_padding(file.size)));
        }
        buffer.clear();
        codec::append_tar_end(buffer);
        sink(buffer);
        control_.show(progress);
        ContextDigest digest;
        digest.add(context_.files, digests.take());
        digest_ = digest.finish(context_);
    }

    /// "sha256:…": the digest of the context, as every builder computes it; after a write().
    [[nodiscard]] const std::string& digest() const noexcept { return digest_; }

private:
    [[nodiscard]] codec::TarEntry entry_of(const Text& text) const {
        return {.path = text.path, .size = text.text.size(), .mtime = modification_time_};
    }

    const Context& context_;
    std::vector<Text> texts_;
    Control control_;
    std::int64_t modification_time_ = source_date_epoch();
    std::uint64_t size_ = 0, files_size_ = 0;
    std::string digest_ = {};
};

}  // namespace fairing::packaging
