// fairing/builders/image_layers.hpp - the layers of an image on their way into a store: found in
// the cache, made, sent, or seen to be there, several at once.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "../codec/gzip.hpp"
#include "../core/control.hpp"
#include "../core/parallel.hpp"
#include "../oci/append.hpp"
#include "../oci/reference.hpp"
#include "../packaging/context.hpp"
#include "../packaging/context_digest.hpp"
#include "../packaging/layer_cache.hpp"
#include "../packaging/layer_plan.hpp"
#include "../packaging/layer_writer.hpp"
#include "../stage/image.hpp"

namespace fairing::detail {

/// Seconds since it was made.
class Stopwatch {
public:
    [[nodiscard]] double seconds() const {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    }

private:
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// Where the layers go, and where those of the base come from.
struct LayerRoute {
    oci::Store* target = nullptr;  ///< null: nothing is sent
    oci::Store* base = nullptr;    ///< null for scratch
    std::string target_host = {};  ///< of a registry, else empty
    std::string target_repository = {};
    std::string base_repository = {};  ///< that blobs may be mounted from; empty: none
};

/// One layer of ours.
struct OwnLayer {
    packaging::LayerGroup group = {};
    std::vector<packaging::FileIdentity> identities = {};
    std::int64_t looked_at = 0;  ///< file_clock() before the identities were taken
    std::optional<packaging::KnownLayer> known = {};
    std::uint64_t files_size = 0;
    Layer layer = {};
    std::vector<packaging::ContentDigest> contents = {};
    std::uint64_t bytes_read = 0, bytes_compressed = 0;
};

/// The work on the layers of one image. Each layer that is new is made and sent by one thread of
/// its own, which reads, hashes and sends, while others compress for it.
class LayerWork {
public:
    LayerWork(const packaging::LayerCache& cache, int level, Control control)
        : cache_(cache), compressor_{.level = level}, control_(std::move(control)) {}

    /// Plans the layers and looks in the cache which of them are known. Reads files in doubt only.
    void plan(std::span<const ContextFile> files) {
        for (packaging::LayerGroup& group : packaging::plan(files)) {
            OwnLayer& own = own_.emplace_back();
            own.group = std::move(group);
            own.looked_at = packaging::file_clock();
            for (const ContextFile& file : own.group.files) {
                own.files_size += file.size;
            }
            if (cache_.folder().enabled()) {
                own.identities = packaging::identities_of(own.group.files);
                own.known = cache_.find_layer(own.group.files, own.identities,
                                              recipe(own.group.name), own.looked_at);
            }
        }
    }

    /// Makes what is new, and has all layers be in the target. Those of the base are in `base`.
    void run(std::vector<Layer>& base, const std::string& media_type, const LayerRoute& route) {
        route_ = route;
        media_type_ = media_type;
        stream_ = route.target != nullptr && streams_pay() &&
                  (knows_repository() || route.target->is_new());
        std::vector<OwnLayer*> makes, checks;
        for (OwnLayer& own : own_) {
            (own.known ? checks : makes).push_back(&own);
        }
        std::stable_sort(makes.begin(), makes.end(), [](const OwnLayer* a, const OwnLayer* b) {
            return a->files_size > b->files_size;
        });
        makes.insert(makes.end(), checks.begin(), checks.end());
        const std::size_t base_tasks = route.target != nullptr ? base.size() : 0;
        parallel_for(makes.size() + base_tasks, layers_at_once, [&](std::size_t index) {
            control_.check("push image");
            const Stopwatch watch;
            if (index < makes.size()) {
                take(*makes[index]);
                makes[index]->layer.seconds = watch.seconds();
            } else {
                Layer& layer = base[index - makes.size()];
                push_base(layer);
                layer.seconds = watch.seconds();
            }
        });
    }

    [[nodiscard]] const std::vector<OwnLayer>& layers() const noexcept { return own_; }

    /// After the push: what this registry has, for the next one.
    void remember_push() const {
        if (route_.target_host.empty()) {
            return;
        }
        cache_.keep_repository(route_.target_host, route_.target_repository,
                               route_.target_repository);
        for (const OwnLayer& own : own_) {
            cache_.keep_repository(route_.target_host, own.layer.digest, route_.target_repository);
        }
    }

private:
    /// Layers on their way at once, and compressing threads for each: with at most two blocks of
    /// half a megabyte for each thread that bounds the memory.
    static constexpr std::size_t layers_at_once = 4, threads_each = 8;
    /// Below that, looking whether the registry has it already costs less than it can save.
    static constexpr std::uint64_t worth_streaming = std::uint64_t{1} << 20;

    [[nodiscard]] packaging::LayerRecipe recipe(const std::string& name) const {
        return {.compressor = "gzip " + std::to_string(compressor_.level) + ' ' + version,
                .modification_time = packaging::source_date_epoch(),
                .name = name};
    }
    [[nodiscard]] bool streams_pay() const {
        return std::any_of(own_.begin(), own_.end(), [](const OwnLayer& own) {
            return !own.known && own.files_size >= worth_streaming;
        });
    }
    /// Then what is not in the cache is not there either.
    [[nodiscard]] bool knows_repository() const {
        return !cache_.repository_with(route_.target_host, route_.target_repository).empty();
    }

    void take(OwnLayer& own) {
        if (own.known) {
            try {
                push_known(own);
                return;
            } catch (const Error& error) {
                if (error.code() != ErrorCode::integrity) {
                    throw;
                }
                control_.say(Level::debug, std::string{error.what()} + "; it is made once more");
                cache_.forget_blob(own.known->digest);
            }
        }
        make(own);
    }

    void push_known(OwnLayer& own) {
        const packaging::KnownLayer& known = *own.known;
        own.layer = {.digest = known.digest,
                     .diff_id = known.diff_id,
                     .media_type = media_type_,
                     .size = known.size,
                     .uncompressed_size = known.uncompressed_size,
                     .origin = Origin::cached};
        own.contents = known.contents;
        own.bytes_read = known.bytes_read;
        if (route_.target == nullptr) {
            return;
        }
        const std::string elsewhere = cache_.repository_with(route_.target_host, known.digest);
        own.layer.transfer = route_.target->write_blob(
            descriptor(own.layer),
            {.size = known.size,
             .write = [&](const net::BodySink& sink) { read_cached(known, sink); }},
            elsewhere == route_.target_repository ? "" : elsewhere);
    }
    /// Throws Error{integrity} when the cache has the blob no more, or not as it was.
    void read_cached(const packaging::KnownLayer& known, const net::BodySink& sink) const {
        const UniqueFd file = cache_.open_blob(known.digest, known.size);
        if (!file) {
            throw Error{ErrorCode::integrity,
                        {.attempted = "read",
                         .subject = "layer " + known.digest,
                         .answer = "the cache has it no more"}};
        }
        oci::Verifier verifier{known.digest, known.size, "layer " + known.digest + " in the cache"};
        std::vector<std::byte> buffer(std::size_t{256} << 10);
        while (const std::size_t got = read_some(file.get(), buffer, "the layer cache")) {
            verifier.update(std::span{buffer}.first(got));
            sink(std::span{buffer}.first(got));
        }
        verifier.finish();
    }

    void make(OwnLayer& own) {
        std::optional<packaging::LayerBlob> blob;
        const auto maker = [&](const net::BodySink& sink) {
            blob.emplace(write(own, sink));
            own.layer = {.digest = blob->digest,
                         .diff_id = blob->diff_id,
                         .media_type = media_type_,
                         .size = blob->size,
                         .uncompressed_size = blob->uncompressed_size};
            return descriptor(own.layer);
        };
        const auto again = [&] {
            return net::Body{.size = blob->size,
                             .write = [&](const net::BodySink& sink) { blob->file.read(sink); }};
        };
        Transfer transfer = Transfer::none;
        if (route_.target == nullptr) {
            maker({});
        } else if (stream_ && own.files_size >= worth_streaming) {
            transfer = route_.target->write_new_blob(maker, again, own.files_size);
        } else {
            const oci::Descriptor made = maker({});
            transfer = route_.target->write_blob(made, again(), {});
        }
        own.layer.transfer = transfer;
    }

    [[nodiscard]] packaging::LayerBlob write(OwnLayer& own, const net::BodySink& sink) {
        const packaging::LayerRecipe made_by = recipe(own.group.name);
        const packaging::KnownSegments segments = cache_.find_segments(own.group.files, made_by);
        packaging::LayerOptions options{.item = own.group.name,
                                        .threads = std::min(hardware_threads(), threads_each),
                                        .sink = sink};
        if (!segments.empty()) {
            options.recall = [&segments](const packaging::Segment& segment,
                                         std::span<const std::byte> input,
                                         std::vector<std::byte>& out) {
                return segments.recall(segment, input, out);
            };
        }
        if (cache_.folder().enabled()) {
            options.temporary_directory = cache_.folder().path();
        }
        packaging::LayerBlob blob =
            packaging::write_layer(own.group.files, compressor_, options, control_);
        own.contents = blob.contents;
        own.bytes_read += blob.bytes_read;
        own.bytes_compressed += blob.bytes_compressed;
        if (cache_.folder().enabled()) {
            cache_.keep_segments(own.group.files, made_by, blob);
            cache_.keep_layer(own.group.files, blob.identities, made_by,
                              {.digest = blob.digest,
                               .diff_id = blob.diff_id,
                               .size = blob.size,
                               .uncompressed_size = blob.uncompressed_size,
                               .contents = blob.contents},
                              own.looked_at);
        }
        return blob;
    }

    void push_base(Layer& layer) {
        if (oci::media_type::is_foreign(layer.media_type)) {
            return;
        }
        const oci::Descriptor blob = descriptor(layer);
        const net::Body body{.size = blob.size, .write = [&](const net::BodySink& sink) {
                                 route_.base->read_blob(blob, sink);
                             }};
        layer.transfer = route_.target->write_blob(blob, body, route_.base_repository);
    }

    [[nodiscard]] static oci::Descriptor descriptor(const Layer& layer) {
        return {.media_type = layer.media_type, .digest = layer.digest, .size = layer.size};
    }

    const packaging::LayerCache& cache_;
    codec::GzipCompressor compressor_;
    Control control_;
    LayerRoute route_ = {};
    std::string media_type_ = {};
    bool stream_ = false;
    std::vector<OwnLayer> own_ = {};
};

}  // namespace fairing::detail
