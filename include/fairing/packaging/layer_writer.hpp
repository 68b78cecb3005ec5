// fairing/packaging/layer_writer.hpp - files to one compressed layer (OCI image-spec, layer.md),
// the same bytes on every machine and for every number of threads.
//
// Entries are in path order, owned by 0:0, with one modification time; no folder is an entry, so
// that none of the base changes its mode or owner. Memory is bounded by blocks and threads,
// whatever the sizes.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../codec/compressor.hpp"
#include "../codec/sha256.hpp"
#include "../codec/tar.hpp"
#include "../core/control.hpp"
#include "../core/env.hpp"
#include "../core/error.hpp"
#include "../core/files.hpp"
#include "../core/parallel.hpp"
#include "block_pipeline.hpp"
#include "context.hpp"
#include "context_digest.hpp"
#include "source_file.hpp"
#include "text.hpp"

namespace fairing::packaging {

/// SOURCE_DATE_EPOCH (seconds since 1970, reproducible-builds.org), or 0 when it is not set. Throws
/// Error{usage} when it is no such number or more than a tar header holds.
[[nodiscard]] inline std::int64_t source_date_epoch() {
    constexpr std::int64_t most = (std::int64_t{1} << 33) - 1;
    const std::string text = env("SOURCE_DATE_EPOCH", "0");
    std::int64_t seconds = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (failure != std::errc{} || end != text.data() + text.size() || seconds < 0 ||
        seconds > most) {
        throw Error{ErrorCode::usage,
                    {.attempted = "use SOURCE_DATE_EPOCH",
                     .subject = '"' + escaped(text) + '"',
                     .answer = "not a number of seconds from 0 to " + std::to_string(most),
                     .advice = "correct it, or unset it"}};
    }
    return seconds;
}

struct LayerOptions {
    std::string item = "layer";  ///< what Progress calls it
    std::size_t threads = 0;     ///< 0: as many as the machine runs at once
    std::int64_t modification_time =
        source_date_epoch();                         ///< of every entry, in seconds since 1970
    std::filesystem::path temporary_directory = {};  ///< empty: temporary_root()
};

/// A layer in a file without a name: it goes with this object.
struct LayerBlob {
    TemporaryFile file;
    std::string digest = {};   ///< "sha256:…" of the compressed bytes
    std::string diff_id = {};  ///< "sha256:…" of the tar
    std::uint64_t size = 0;    ///< of the compressed bytes
    std::uint64_t uncompressed_size = 0;
    std::uint64_t bytes_read = 0;              ///< from the files
    std::vector<ContentDigest> contents = {};  ///< one for each file, in their order
};

namespace detail {

/// A temporary file and the digest of what went into it.
class BlobFile {
public:
    explicit BlobFile(const std::filesystem::path& directory)
        : directory_(directory.empty() ? temporary_root() : directory), file_(directory_) {}

    /// Throws an Error that names the directory when it is full.
    void append(std::span<const std::byte> bytes) {
        hash_.update(bytes);
        try {
            file_.append(bytes);
        } catch (const Error& error) {
            throw Error{error.code(),
                        {.attempted = "write",
                         .subject = "a layer to a temporary file in " + directory_.string(),
                         .answer = error.details().answer,
                         .advice = "make room there, or set TMPDIR to where there is more"}};
        }
    }
    /// Once, at the end.
    [[nodiscard]] std::string digest() { return "sha256:" + codec::hex(hash_.finish()); }
    [[nodiscard]] TemporaryFile take() { return std::move(file_); }

private:
    std::filesystem::path directory_;
    TemporaryFile file_;
    codec::Sha256 hash_ = {};
};

/// The tar stream, cut into blocks.
template <codec::Compressor C>
class LayerStream {
public:
    LayerStream(const C& compressor, std::size_t threads, codec::ByteSink sink)
        : block_size_(std::max<std::size_t>(512, compressor.block_size())),
          pipeline_(compressor, threads, std::move(sink)),
          block_(pipeline_.buffer(block_size_)) {}

    /// Room for up to `size` bytes, at least one; what was filled is told with filled().
    [[nodiscard]] std::span<std::byte> room(std::uint64_t size) {
        const std::uint64_t left = block_.size() - used_;
        return std::span{block_}.subspan(used_, static_cast<std::size_t>(std::min(left, size)));
    }
    /// Returns whether a block went on its way.
    bool filled(std::size_t size) {
        used_ += size;
        total_ += size;
        if (used_ < block_.size()) {
            return false;
        }
        send();
        block_ = pipeline_.buffer(block_size_);
        return true;
    }
    void put(std::span<const std::byte> bytes) {
        while (!bytes.empty()) {
            const auto part = room(bytes.size());
            std::copy_n(bytes.begin(), part.size(), part.begin());
            bytes = bytes.subspan(part.size());
            filled(part.size());
        }
    }
    void finish() {
        if (used_ > 0) {
            block_.resize(used_);
            send();
        }
        pipeline_.finish();
    }
    [[nodiscard]] std::uint64_t total() const noexcept { return total_; }
    [[nodiscard]] std::string diff_id() { return "sha256:" + codec::hex(hash_.finish()); }

private:
    void send() {
        hash_.update(block_);
        pipeline_.submit(std::move(block_));
        used_ = 0;
    }

    std::size_t block_size_;
    BlockPipeline<C> pipeline_;
    std::vector<std::byte> block_;
    std::size_t used_ = 0;
    std::uint64_t total_ = 0;
    codec::Sha256 hash_ = {};
};

[[nodiscard]] inline codec::TarEntry tar_entry(const ContextFile& file, std::int64_t time) {
    codec::TarEntry entry;
    entry.path = relative_to(file.destination, "/");
    entry.kind = file.kind == FileKind::symlink ? codec::TarKind::symlink : codec::TarKind::file;
    entry.mode = file.mode & 0777U;
    entry.size = file.kind == FileKind::symlink ? 0 : file.size;
    entry.mtime = time;
    entry.link_target = file.link_target;
    return entry;
}

inline void check_order(std::span<const ContextFile> files) {
    for (std::size_t i = 0; i < files.size(); ++i) {
        if (!files[i].destination.starts_with('/') ||
            (i > 0 && files[i - 1].destination >= files[i].destination)) {
            throw Error{ErrorCode::usage,
                        {.attempted = "package",
                         .subject = escaped(files[i].destination),
                         .answer = "destinations are absolute, in order, and each is there once"}};
        }
    }
}

}  // namespace detail

/// Packs files (in destination order, each once) into one layer. Throws Error{input} "changed while
/// being packaged" for a file that is not what was collected or does not stay so, an Error that
/// names the directory when it is full, and Cancelled on a stop; then nothing is left. Progress:
/// step "build", in bytes of files.
template <codec::Compressor C>
[[nodiscard]] LayerBlob write_layer(std::span<const ContextFile> files, const C& compressor,
                                    const LayerOptions& options, const Control& control) {
    detail::check_order(files);
    Progress progress{.step = "build", .item = options.item, .total = 0};
    for (const ContextFile& file : files) {
        *progress.total += file.kind == FileKind::regular ? file.size : 0;
    }
    control.show(progress);
    const std::string attempted = "package " + options.item;
    const std::size_t threads = options.threads == 0 ? hardware_threads() : options.threads;
    detail::BlobFile output{options.temporary_directory};
    std::vector<ContentDigest> contents;
    contents.reserve(files.size());
    detail::LayerStream<C> stream{compressor, threads,
                                  [&](std::span<const std::byte> bytes) { output.append(bytes); }};
    std::vector<std::byte> header;
    for (const ContextFile& file : files) {
        control.check(attempted);
        header.clear();
        codec::append_tar_header(detail::tar_entry(file, options.modification_time), header);
        codec::Sha256 hash;
        if (file.kind == FileKind::symlink) {
            check_link_unchanged(file);
            stream.put(header);
            hash.update(file.link_target);
            contents.push_back(hash.finish());
            continue;
        }
        SourceFile source{file};
        stream.put(header);
        for (std::uint64_t left = file.size; left > 0;) {
            const auto part = stream.room(left);
            source.read(part);
            hash.update(part);
            left -= part.size();
            progress.done += part.size();
            if (stream.filled(part.size())) {
                control.check(attempted);
                control.show(progress);
            }
        }
        source.finish();
        contents.push_back(hash.finish());
        const std::vector<std::byte> padding(codec::tar_padding(file.size));
        stream.put(padding);
    }
    header.clear();
    codec::append_tar_end(header);
    stream.put(header);
    stream.finish();
    control.show(progress);
    LayerBlob blob{.file = output.take(),
                   .digest = output.digest(),
                   .diff_id = stream.diff_id(),
                   .uncompressed_size = stream.total(),
                   .bytes_read = progress.done,
                   .contents = std::move(contents)};
    blob.size = blob.file.size();
    return blob;
}

}  // namespace fairing::packaging
