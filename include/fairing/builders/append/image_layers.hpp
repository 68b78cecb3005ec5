// fairing/builders/append/image_layers.hpp - the layers of an image on their way into a store:
// found in the cache, made, sent, or seen to be there, several at once.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "../../core/control.hpp"
#include "../../core/parallel.hpp"
#include "../../core/stopwatch.hpp"
#include "../../oci/append.hpp"
#include "../../oci/reference.hpp"
#include "../../packaging/context.hpp"
#include "../../packaging/context_digest.hpp"
#include "../../packaging/layer_cache.hpp"
#include "../../packaging/layer_plan.hpp"
#include "../../packaging/layer_writer.hpp"
#include "../../stage/image.hpp"
#include "layer_compressor.hpp"

namespace fairing::detail {

/// Where the layers go.
struct LayerRoute {
    oci::Store* target = nullptr;  ///< null: nothing is sent
    std::string host = {};         ///< of a registry, else empty
    std::string repository = {};
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

inline namespace FAIRING_ABI {

/// The work on the layers of one image. Each layer that is new is made and sent by one thread of
/// its own, which reads, hashes and sends, while others compress for it.
class LayerWork {
public:
    LayerWork(const packaging::LayerCache& cache, const AnyCompressor& compressor, Control control)
        : cache_(cache), compressor_(compressor), control_(std::move(control)) {}

    /// What follows the "+" in the layers' media type.
    [[nodiscard]] std::string_view suffix() const {
        return std::visit([](const auto& each) { return each.suffix; }, compressor_);
    }

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
                if (own.known) {
                    describe_known(own);
                }
            }
        }
    }

    /// Whether nothing has to be made, as far as can be told.
    [[nodiscard]] bool all_known() const {
        return std::all_of(own_.begin(), own_.end(),
                           [](const OwnLayer& own) { return own.known.has_value(); });
    }

    /// Blobs that are to be sent in one piece as soon as they are known: new layers that are small,
    /// and the config of an image with a new layer. None beside a layer that is sent while it is
    /// made, which takes longer than any answer.
    [[nodiscard]] std::size_t blobs_to_come() const {
        if (all_known() || any_to_stream()) {
            return 0;
        }
        const auto layers =
            std::count_if(own_.begin(), own_.end(), [](const OwnLayer& own) { return !own.known; });
        return 1 + std::min(static_cast<std::size_t>(layers), layers_at_once);
    }

    /// Makes what is new, and has all layers be in the target. `base` runs beside; it calls
    /// follow() when the base is known. `described` is called once, as soon as that and the digests
    /// of all layers are known, beside what is still being sent.
    void run(const LayerRoute& route, const std::function<void()>& base,
             std::function<void()> described) {
        route_ = route;
        described_ = std::move(described);
        absent_ = knows_repository() ||
                  (route.target != nullptr && any_to_stream() && route.target->is_new());
        std::vector<OwnLayer*> makes, checks;
        for (OwnLayer& own : own_) {
            (own.known ? checks : makes).push_back(&own);
        }
        undescribed_ = makes.size() + 1;
        std::stable_sort(makes.begin(), makes.end(), [](const OwnLayer* a, const OwnLayer* b) {
            return a->files_size > b->files_size;
        });
        // What is made comes first: few questions beside it, or they delay its upload.
        const std::size_t at_once =
            1 + (makes.empty() ? checks.size() : std::min(layers_at_once, makes.size() + 1));
        makes.insert(makes.end(), checks.begin(), checks.end());
        parallel_for(makes.size() + 1, at_once, [&](std::size_t index) {
            control_.check("build image");
            if (index == 0) {
                base();
                return;
            }
            const Stopwatch watch;
            take(*makes[index - 1]);
            makes[index - 1]->layer.seconds = watch.seconds();
        });
        // After the others: until here a description, once given, stays as it is.
        parallel_for(damaged_.size(), layers_at_once,
                     [&](std::size_t index) { make(*damaged_[index]); });
    }
    /// One more description of those that are awaited is known. With the last begins what follows
    /// from them all, beside what is still being sent: then the future is valid, and to be waited
    /// for.
    [[nodiscard]] std::future<void> follow() {
        if (--undescribed_ > 0) {
            return {};
        }
        return std::async(std::launch::async | std::launch::deferred,  // without a thread: in get()
                          described_);
    }
    /// Blobs of the base may be mounted out of this repository of the target's host.
    void mount_from(const std::string& repository) { route_.base_repository = repository; }
    /// Has the base's layers be in the target; fills in how.
    void push_base(std::vector<Layer>& layers, oci::Store* base) const {
        parallel_for(layers.size(), layers_at_once, [&](std::size_t index) {
            control_.check("push image");
            const Stopwatch watch;
            push_base(layers[index], *base);
            layers[index].seconds = watch.seconds();
        });
    }
    /// Whether the target may have the blob already; when not, one request less looks for it.
    [[nodiscard]] bool may_be_there(const std::string& digest) const {
        return route_.host.empty() ||
               cache_.repository_with(route_.host, digest) == route_.repository;
    }

    /// Makes and sends once more those of our layers that `lost` is true for.
    void push_again(const std::function<bool(const std::string& digest)>& lost) {
        for (OwnLayer& own : own_) {
            if (lost(own.layer.digest)) {
                const packaging::LayerBlob blob = write(own, {});
                own.layer.transfer = route_.target->write_blob(
                    descriptor(own.layer),
                    {.size = blob.size,
                     .write = [&](const net::BodySink& sink) { blob.file.read(sink); }},
                    {});
            }
        }
    }

    [[nodiscard]] const std::vector<OwnLayer>& layers() const noexcept { return own_; }

    /// After the push: what this registry has, for the next one.
    void remember_push(const std::vector<Layer>& layers,
                       const std::set<std::string>& configs) const {
        if (route_.host.empty()) {
            return;
        }
        cache_.keep_repository(route_.host, route_.repository, route_.repository);
        for (const std::string& config : configs) {
            cache_.keep_repository(route_.host, config, route_.repository);
        }
        for (const Layer& layer : layers) {
            cache_.keep_repository(route_.host, layer.digest, route_.repository);
        }
    }

private:
    /// Layers on their way at once, and compressing threads for each: with at most two blocks of
    /// half a megabyte for each thread that bounds the memory.
    static constexpr std::size_t layers_at_once = 4, threads_each = 8;
    /// To be raised whenever the same files come to other bytes, but for what the compressor's
    /// recipe says: what older versions left in the cache is not used then.
    static constexpr const char* layer_format = "1";
    /// Below that, looking whether the registry has it already costs less than it can save.
    static constexpr std::uint64_t worth_streaming = std::uint64_t{1} << 20;

    [[nodiscard]] packaging::LayerRecipe recipe(const std::string& name) const {
        const std::string compressor =
            std::visit([](const auto& each) { return each.recipe(); }, compressor_);
        return {.compressor = compressor + ' ' + version + '.' + layer_format,
                .modification_time = packaging::source_date_epoch(),
                .name = name};
    }
    /// Whether a layer is to be made that is worth sending while it is.
    [[nodiscard]] bool any_to_stream() const {
        return std::any_of(own_.begin(), own_.end(), [](const OwnLayer& own) {
            return !own.known && own.files_size >= worth_streaming;
        });
    }
    /// Then what is not in the cache is not there either.
    [[nodiscard]] bool knows_repository() const {
        return !route_.host.empty() &&
               !cache_.repository_with(route_.host, route_.repository).empty();
    }

    static void describe_known(OwnLayer& own) {
        own.layer = {.digest = own.known->digest,
                     .diff_id = own.known->diff_id,
                     .size = own.known->size,
                     .uncompressed_size = own.known->uncompressed_size,
                     .origin = Origin::cached};
        own.contents = own.known->contents;
        own.bytes_read = own.known->bytes_read;
    }

    void take(OwnLayer& own) {
        if (own.known) {
            try {
                push_known(own);
            } catch (const Error& error) {
                if (error.code() != ErrorCode::integrity) {
                    throw;
                }
                control_.say(Level::debug, std::string{error.what()} + "; it is made once more");
                cache_.forget_blob(own.known->digest);
                const std::lock_guard lock{damaged_mutex_};
                damaged_.push_back(&own);
            }
            return;
        }
        make(own);
    }

    void push_known(OwnLayer& own) {
        const packaging::KnownLayer& known = *own.known;
        if (route_.target == nullptr) {
            return;
        }
        own.layer.transfer = route_.target->write_blob(
            descriptor(own.layer),
            {.size = known.size,
             .write = [&](const net::BodySink& sink) { read_cached(known, sink); }},
            {});
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
        std::future<void> following;
        const auto maker = [&](const net::BodySink& sink) {
            blob.emplace(write(own, sink));
            own.layer = {.digest = blob->digest,
                         .diff_id = blob->diff_id,
                         .size = blob->size,
                         .uncompressed_size = blob->uncompressed_size};
            if (!own.known) {  // a description that the cache had is not awaited
                following = follow();
            }
            return descriptor(own.layer);
        };
        const auto again = [&] {
            return net::Body{.size = blob->size,
                             .write = [&](const net::BodySink& sink) { blob->file.read(sink); }};
        };
        const bool is_small = own.files_size < worth_streaming;
        if (route_.target == nullptr) {
            static_cast<void>(maker({}));
        } else if (!is_small && absent_) {
            own.layer.transfer = route_.target->write_new_blob(maker, again, own.files_size);
        } else {
            const oci::Descriptor made = maker({});
            own.layer.transfer = is_small ? route_.target->write_absent_blob(made, again(), {})
                                          : route_.target->write_blob(made, again(), {});
        }
        if (following.valid()) {
            following.get();
        }
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
        packaging::LayerBlob blob = std::visit(
            [&](const auto& compressor) {
                return packaging::write_layer(own.group.files, compressor, options, control_);
            },
            compressor_);
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

    void push_base(Layer& layer, oci::Store& base) const {
        if (oci::media_type::is_foreign(layer.media_type)) {
            return;
        }
        const oci::Descriptor blob = descriptor(layer);
        const net::Body body{.size = blob.size, .write = [&](const net::BodySink& sink) {
                                 base.read_blob(blob, sink);
                             }};
        layer.transfer = route_.base_repository.empty() || may_be_there(layer.digest)
                             ? route_.target->write_blob(blob, body, route_.base_repository)
                             : route_.target->write_absent_blob(blob, body, route_.base_repository);
    }

    [[nodiscard]] static oci::Descriptor descriptor(const Layer& layer) {
        return {.media_type = layer.media_type, .digest = layer.digest, .size = layer.size};
    }

    const packaging::LayerCache& cache_;
    AnyCompressor compressor_;
    Control control_;
    LayerRoute route_ = {};
    bool absent_ = false;  ///< what the cache does not know is not in the target
    std::function<void()> described_ = {};
    std::atomic<std::size_t> undescribed_ = 0;  ///< the base, and the layers that are to be made
    std::mutex damaged_mutex_ = {};
    std::vector<OwnLayer*> damaged_ = {};  ///< what the cache knew, but did not have any more
    std::vector<OwnLayer> own_ = {};
};

}  // inline namespace FAIRING_ABI

}  // namespace fairing::detail
