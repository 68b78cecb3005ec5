#include "fairing/builders/append/image_layers.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <functional>
#include <future>
#include <map>
#include <mutex>

#include "../../support/workspace.hpp"

using namespace fairing;
using fairing::detail::LayerRoute;
using fairing::detail::LayerWork;

namespace {

/// Keeps blobs in memory, and how each came.
class MemoryStore final : public oci::Store {
public:
    explicit MemoryStore(bool is_new) : new_(is_new) {}

    std::optional<oci::RawManifest> find_manifest(const std::string&) override { return {}; }
    void read_blob(const oci::Descriptor& blob, const net::BodySink& sink) override {
        sink(std::as_bytes(std::span{blobs_.at(blob.digest)}));
    }
    Transfer write_blob(const oci::Descriptor& blob, const net::Body& body,
                        const std::string&) override {
        return put(blob, body, "looked ");
    }
    Transfer write_absent_blob(const oci::Descriptor& blob, const net::Body& body,
                               const std::string&) override {
        return put(blob, body, "unasked ");
    }
    Transfer write_new_blob(const oci::BlobMaker& make, const std::function<net::Body()>& again,
                            std::uint64_t) override {
        std::string streamed;
        const oci::Descriptor blob = make([&](std::span<const std::byte> bytes) {
            streamed.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        });
        CHECK(oci::digest_of(streamed) == blob.digest);
        return put(blob, again(), "streamed ");
    }
    void write_manifest(const oci::RawManifest&, const std::string&) override {}
    bool is_new() override { return new_; }

    /// How the blobs came since the last call, in any order.
    std::map<std::string, int> ways() { return std::exchange(ways_, {}); }

    std::function<void()> described = {};  ///< called when all layers are described
    std::function<void()> sending = {};    ///< called before a blob is taken

private:
    bool holds(const std::string& digest) {
        const std::lock_guard lock{mutex_};
        return blobs_.contains(digest);
    }
    Transfer put(const oci::Descriptor& blob, const net::Body& body, const char* way) {
        if (sending) {
            sending();
        }
        std::string bytes;
        if (!holds(blob.digest)) {
            body.write([&](std::span<const std::byte> part) {
                bytes.append(reinterpret_cast<const char*>(part.data()), part.size());
            });
        }
        const std::lock_guard lock{mutex_};
        ++ways_[way];
        if (blobs_.contains(blob.digest)) {
            return Transfer::present;
        }
        CHECK(oci::digest_of(bytes) == blob.digest);
        blobs_[blob.digest] = bytes;
        return Transfer::uploaded;
    }

    bool new_;
    std::mutex mutex_ = {};
    std::map<std::string, std::string> blobs_ = {};
    std::map<std::string, int> ways_ = {};
};

void wait_for(std::future<void> following) {
    if (following.valid()) {
        following.get();
    }
}

struct LayerFixture {
    support::Workspace space = {}, cache_space = {};
    packaging::LayerCache cache{cache_space.path()};
    std::vector<ContextFile> files = {};

    LayerFixture() {
        add("a.bin", std::string(std::size_t{3} << 20, 'a'));
        add("train.py", "print(1)\n");
    }
    void add(const std::string& name, const std::string& text) {
        space.file(name, text);
        std::erase_if(files, [&](const auto& file) { return file.destination == "/app/" + name; });
        files.push_back(
            {.source = space / name, .destination = "/app/" + name, .size = text.size()});
        std::sort(files.begin(), files.end(),
                  [](const auto& a, const auto& b) { return a.destination < b.destination; });
    }
    std::vector<Layer> push(MemoryStore& store, const packaging::LayerCache& known,
                            const detail::AnyCompressor& compressor = codec::GzipCompressor{
                                .level = 1}) const {
        LayerWork work{known, compressor, {}};
        work.plan(files);
        bool base = false;
        std::size_t described = 0;
        work.run(
            {.target = &store, .host = "r.example", .repository = "team/job"},
            [&] {
                base = true;
                wait_for(work.follow());
            },
            [&] {
                for (const auto& own : work.layers()) {
                    described += own.layer.digest.empty() ? 0 : 1;
                }
                if (store.described) {
                    store.described();
                }
            });
        CHECK(base);
        CHECK(described == work.layers().size());
        std::vector<Layer> layers;
        for (const auto& own : work.layers()) {
            layers.push_back(own.layer);
            CHECK(own.contents.size() == own.group.files.size());
        }
        work.remember_push(layers, {oci::digest_of("config")});
        CHECK(work.may_be_there(oci::digest_of("config")) == known.folder().enabled());
        return layers;
    }
    std::vector<Layer> push(MemoryStore& store) const { return push(store, cache); }
};

using Ways = std::map<std::string, int>;

}  // namespace

TEST_CASE(
    "a new repository gets large layers while they are made, a known one looks for the rest") {
    LayerFixture fixture;
    MemoryStore store{true};
    const auto first = fixture.push(store);
    REQUIRE(first.size() == 2);
    CHECK(store.ways() == Ways{{"streamed ", 1}, {"unasked ", 1}});
    const auto second = fixture.push(store);
    CHECK(store.ways() == Ways{{"looked ", 2}});
    CHECK(second[0].digest == first[0].digest);
    CHECK(second[0].origin == Origin::cached);
    CHECK(second[1].transfer == Transfer::present);
    fixture.add("a.bin", std::string(std::size_t{3} << 20, 'b'));
    fixture.push(store);
    CHECK(store.ways() == Ways{{"looked ", 1}, {"streamed ", 1}});
}

TEST_CASE("without a memory, what an old repository may have is looked for before it is sent") {
    const LayerFixture fixture;
    const packaging::LayerCache none;
    MemoryStore store{false};
    const auto first = fixture.push(store, none);
    CHECK(store.ways() == Ways{{"looked ", 1}, {"unasked ", 1}});
    const auto second = fixture.push(store, none);
    CHECK(second[0].transfer == Transfer::present);
    CHECK(second[0].origin == Origin::built);
    CHECK(second[0].digest == first[0].digest);
}

TEST_CASE("what follows from the digests of all layers need not wait until they are sent") {
    LayerFixture fixture;
    fixture.files.erase(fixture.files.begin());  // the large one
    MemoryStore store{false};
    std::promise<void> described;
    const std::shared_future<void> is_described = described.get_future().share();
    store.described = [&] { described.set_value(); };
    store.sending = [&] {
        CHECK(is_described.wait_for(std::chrono::minutes{5}) == std::future_status::ready);
    };
    CHECK(fixture.push(store).size() == 1);
}

TEST_CASE("a damaged blob of the cache is not sent: the layer is made once more") {
    const LayerFixture fixture;
    MemoryStore store{true}, other{false};
    const auto first = fixture.push(store);
    const std::string path =
        fixture.cache.folder().path("blob-" + oci::digest_hex(first[0].digest)).string();
    std::string bytes = read_file(path);
    bytes[bytes.size() / 2] ^= 1;
    write_file(path, bytes);
    const auto again = fixture.push(other);
    CHECK(again[0].digest == first[0].digest);
    CHECK(again[0].origin == Origin::built);
    CHECK(again[0].transfer == Transfer::uploaded);
    CHECK(again[1].origin == Origin::cached);
}

TEST_CASE("nowhere to send to: the layers are made and known") {
    const LayerFixture fixture;
    LayerWork work{fixture.cache, codec::GzipCompressor{.level = 1}, {}};
    work.plan(fixture.files);
    CHECK_FALSE(work.all_known());
    work.run(
        {}, [&] { wait_for(work.follow()); }, [] {});
    CHECK(work.layers()[0].layer.transfer == Transfer::none);
    LayerWork again{fixture.cache, codec::GzipCompressor{.level = 1}, {}};
    again.plan(fixture.files);
    CHECK(again.all_known());
}

TEST_CASE("the cache keeps compressors and levels apart, and each finds its own again") {
    LayerFixture fixture;
    fixture.add("z.py", "print(2)\n");
    std::map<std::string, std::string> first;  // recipe -> digest of the small files' layer
    std::string diff_id;
    const auto each = [](const auto& visit) {
        for (const auto& [name, kind] : value_names<LayerCompressor>) {
            for (const int level : {1, 9}) {
                try {
                    visit(detail::make_compressor(kind, level),
                          std::string{name} + ' ' + std::to_string(level));
                } catch (const Error& error) {
                    REQUIRE(error.code() == ErrorCode::unsupported);  // not in this build
                }
            }
        }
    };
    each([&](const detail::AnyCompressor& compressor, const std::string& name) {
        CAPTURE(name);
        MemoryStore store{true};
        const auto layers = fixture.push(store, fixture.cache, compressor);
        CHECK(layers.back().origin == Origin::built);
        CHECK(first.emplace(name, layers.back().digest).second);
        CHECK((diff_id.empty() || layers.back().diff_id == diff_id));
        diff_id = layers.back().diff_id;
    });
    each([&](const detail::AnyCompressor& compressor, const std::string& name) {
        CAPTURE(name);
        MemoryStore store{true};
        const auto layers = fixture.push(store, fixture.cache, compressor);
        CHECK(layers.back().origin == Origin::cached);
        CHECK(layers.back().digest == first.at(name));
        CHECK(layers.back().transfer == Transfer::uploaded);
    });
    // An edit: what did not change is recalled, and the bytes are those of a build without a
    // memory.
    fixture.add("z.py", "print(3)\n");
    each([&](const detail::AnyCompressor& compressor, const std::string& name) {
        CAPTURE(name);
        MemoryStore store{true}, other{true};
        const auto edited = fixture.push(store, fixture.cache, compressor);
        CHECK(edited.front().origin == Origin::cached);
        CHECK(edited.back().origin == Origin::built);
        CHECK(edited.back().digest != first.at(name));
        const auto fresh = fixture.push(other, packaging::LayerCache{}, compressor);
        CHECK(fresh.back().digest == edited.back().digest);
    });
}
