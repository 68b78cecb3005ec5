// fairing/packaging/layer_writer.hpp - files to one compressed layer (OCI image-spec, layer.md),
// the same bytes on every machine and for every number of threads.
//
// Entries are in path order, owned by 0:0, with one modification time; no folder is an entry, so
// that none of the base changes its mode or owner. Memory is bounded by blocks and threads,
// whatever the sizes.
//
// files ─ read into segments, 512 KiB and more a block ─ hashed: diff_id ─┐ (this thread)
//   hashed: content, compressed or recalled ─┘ (all threads) ─ hashed: digest ─ file, sink
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
#include "../codec/utf8.hpp"
#include "../core/control.hpp"
#include "../core/env.hpp"
#include "../core/error.hpp"
#include "../core/files.hpp"
#include "../core/parallel.hpp"
#include "block_pipeline.hpp"
#include "context.hpp"
#include "context_digest.hpp"
#include "file_identity.hpp"
#include "segment.hpp"
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
                     .subject = codec::in_quotes(text),
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
    Recall recall = {};                              ///< what is compressed already
    codec::ByteSink sink = {};                       ///< gets the layer too, while it is made
};

/// What a segment compressed to, and where in the layer that lies.
struct StoredSegment {
    Sha256Digest key = {};  ///< segment_key()
    std::uint64_t offset = 0;
    std::uint32_t compressed_size = 0, compressed_crc = 0, size = 0, crc = 0;
};

/// A layer in a file without a name: it goes with this object.
struct LayerBlob {
    TemporaryFile file;
    std::string digest = {};   ///< "sha256:…" of the compressed bytes
    std::string diff_id = {};  ///< "sha256:…" of the tar
    std::uint64_t size = 0;    ///< of the compressed bytes
    std::uint64_t uncompressed_size = 0;
    std::uint64_t bytes_read = 0;               ///< from the files
    std::uint64_t bytes_compressed = 0;         ///< came out of the compressor: not recalled
    std::vector<ContentDigest> contents = {};   ///< one for each file, in their order
    std::vector<FileIdentity> identities = {};  ///< the same; of a symbolic link nothing
    std::vector<StoredSegment> segments = {};
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

/// The tar stream, cut into segments and these gathered in blocks.
template <codec::Compressor C>
class LayerStream {
public:
    LayerStream(const C& compressor, std::size_t threads, codec::ByteSink sink,
                typename BlockPipeline<C>::SegmentSink segment_sink, Recall recall)
        : pipeline_(compressor, threads, std::move(sink), std::move(segment_sink),
                    std::move(recall)) {}

    /// A new segment: `header`, room for `content` bytes of the file, which is returned and filled
    /// by the caller before the next call, and `padding` zeros.
    [[nodiscard]] std::span<std::byte> segment(std::size_t file, std::span<const std::byte> header,
                                               std::size_t content, std::size_t padding) {
        const std::size_t size = header.size() + content + padding;
        if (used_ + size > block_.size()) {
            send();
            block_ = pipeline_.buffer(std::max(block_size, size));
        }
        const auto begin = std::span{block_}.subspan(used_, size);
        std::copy(header.begin(), header.end(), begin.begin());
        std::fill(begin.end() - static_cast<std::ptrdiff_t>(padding), begin.end(), std::byte{0});
        segments_.push_back({.file = file,
                             .begin = used_,
                             .size = size,
                             .content = header.size(),
                             .content_size = content});
        used_ += size;
        total_ += size;
        return begin.subspan(header.size(), content);
    }
    void finish() {
        send();
        pipeline_.finish();
    }
    [[nodiscard]] std::uint64_t total() const noexcept { return total_; }
    [[nodiscard]] std::string diff_id() { return "sha256:" + codec::hex(hash_.finish()); }

private:
    /// Room for a full piece, and what stands around it.
    static constexpr std::size_t block_size = piece_size + 4096;

    void send() {
        if (used_ > 0) {
            block_.resize(std::exchange(used_, 0));
            hash_.update(block_);
            pipeline_.submit(std::move(block_), std::exchange(segments_, {}));
            block_ = {};
        }
    }

    BlockPipeline<C> pipeline_;
    std::vector<std::byte> block_ = {};
    std::vector<Segment> segments_ = {};
    std::size_t used_ = 0;
    std::uint64_t total_ = 0;
    codec::Sha256 hash_ = {};
};

/// Content digests out of the pieces'.
class ContentDigests {
public:
    explicit ContentDigests(std::size_t files) : digests_(files) {}

    void set(std::size_t file, const ContentDigest& digest) { digests_[file] = digest; }
    /// The piece of a file of `size` bytes; pieces come in order.
    void add(std::size_t file, std::uint64_t size, const Sha256Digest& piece) {
        if (size <= piece_size) {
            digests_[file] = piece;
            return;
        }
        hash_.update(piece);
        if (++pieces_ == (size + piece_size - 1) / piece_size) {
            digests_[file] = hash_.finish();
            hash_ = {};
            pieces_ = 0;
        }
    }
    [[nodiscard]] std::vector<ContentDigest> take() { return std::move(digests_); }

private:
    std::vector<ContentDigest> digests_;
    codec::Sha256 hash_ = {};
    std::uint64_t pieces_ = 0;
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

namespace detail {

/// Gathers what comes out of the pipeline for one layer.
class LayerRecorder {
public:
    LayerRecorder(std::span<const ContextFile> files, const LayerOptions& options)
        : files_(files),
          output_(options.temporary_directory),
          sink_(options.sink),
          digests_(files.size()) {}

    void bytes(std::span<const std::byte> bytes) {
        output_.append(bytes);
        if (sink_) {
            sink_(bytes);
        }
        written_ += bytes.size();
    }
    /// Comes behind its bytes, so they end where the output ends now.
    void segments(std::span<const Segment> segments) {
        std::uint64_t offset = written_;
        for (const Segment& segment : segments) {
            offset -= segment.compressed_size;
        }
        for (const Segment& segment : segments) {
            segments_.push_back(
                {.key = segment.key,
                 .offset = offset,
                 .compressed_size = static_cast<std::uint32_t>(segment.compressed_size),
                 .compressed_crc = segment.compressed_crc,
                 .size = static_cast<std::uint32_t>(segment.size),
                 .crc = segment.crc});
            offset += segment.compressed_size;
            compressed_ += segment.recalled ? 0 : segment.compressed_size;
            if (holds_content(segment)) {
                digests_.add(segment.file, files_[segment.file].size, segment.content_digest);
            }
        }
    }
    [[nodiscard]] ContentDigests& digests() noexcept { return digests_; }

    [[nodiscard]] LayerBlob finish() {
        std::string digest = output_.digest();
        return {.file = output_.take(),
                .digest = std::move(digest),
                .size = written_,
                .bytes_compressed = compressed_,
                .contents = digests_.take(),
                .segments = std::move(segments_)};
    }

private:
    /// Not the end of the archive, a symbolic link, or the header alone.
    [[nodiscard]] bool holds_content(const Segment& segment) const {
        return segment.file < files_.size() && files_[segment.file].kind == FileKind::regular &&
               (segment.content_size > 0 || files_[segment.file].size == 0);
    }

    std::span<const ContextFile> files_;
    BlobFile output_;
    codec::ByteSink sink_;
    ContentDigests digests_;
    std::vector<StoredSegment> segments_ = {};
    std::uint64_t written_ = 0, compressed_ = 0;
};

/// Reads one regular file into segments, and tells `done` of each piece.
template <codec::Compressor C, class Done>
[[nodiscard]] FileIdentity pack_file(const ContextFile& file, std::size_t number,
                                     std::span<const std::byte> header, LayerStream<C>& stream,
                                     const Done& done) {
    SourceFile source{file};
    std::uint64_t left = file.size;
    if (left > piece_size) {
        (void)stream.segment(number, header, 0, 0);
        header = {};
    }
    do {
        const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left, piece_size));
        left -= size;
        const std::size_t padding = left == 0 ? codec::tar_padding(file.size) : 0;
        source.read(stream.segment(number, header, size, padding));
        header = {};
        done(size);
    } while (left > 0);
    source.finish();
    return FileIdentity::of(source.status());
}

}  // namespace detail

/// Packs files (in destination order, each once) into one layer. Throws Error{input} "changed while
/// being packaged" for a file that is not what was collected or does not stay so, an Error that
/// names the directory when it is full, and Cancelled on a stop; then nothing is left. What the
/// options' sink throws passes through. Progress: step "build", in bytes of files.
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
    std::vector<FileIdentity> identities(files.size());
    detail::LayerRecorder recorder{files, options};
    detail::LayerStream<C> stream{
        compressor, threads, [&](std::span<const std::byte> bytes) { recorder.bytes(bytes); },
        [&](std::span<const Segment> segments) { recorder.segments(segments); }, options.recall};
    std::vector<std::byte> header;
    std::uint64_t shown = 0;
    for (std::size_t i = 0; i < files.size(); ++i) {
        const ContextFile& file = files[i];
        header.clear();
        codec::append_tar_header(detail::tar_entry(file, options.modification_time), header);
        if (file.kind == FileKind::symlink) {
            check_link_unchanged(file);
            (void)stream.segment(i, header, 0, 0);
            codec::Sha256 hash;
            hash.update(file.link_target);
            recorder.digests().set(i, hash.finish());
            continue;
        }
        identities[i] = detail::pack_file(file, i, header, stream, [&](std::size_t size) {
            progress.done += size;
            if (progress.done - shown >= piece_size) {
                shown = progress.done;
                control.check(attempted);
                control.show(progress);
            }
        });
    }
    control.check(attempted);
    header.clear();
    codec::append_tar_end(header);
    (void)stream.segment(files.size(), header, 0, 0);
    stream.finish();
    control.show(progress);
    LayerBlob blob = recorder.finish();
    blob.diff_id = stream.diff_id();
    blob.uncompressed_size = stream.total();
    blob.bytes_read = progress.done;
    blob.identities = std::move(identities);
    return blob;
}

}  // namespace fairing::packaging
