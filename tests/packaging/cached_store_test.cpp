#include "fairing/packaging/cached_store.hpp"

#include <doctest/doctest.h>

#include <map>

#include "../support/workspace.hpp"

using namespace fairing;
using packaging::CachedStore;
using packaging::LayerCache;

namespace {

/// Counts what is read of it.
struct CountingStore final : oci::Store {
    explicit CountingStore(std::string& log) : log_(log) {}
    std::optional<oci::RawManifest> find_manifest(const std::string& name) override {
        log_ += "manifest ";
        return name == "absent" ? std::nullopt : std::optional{document()};
    }
    void read_blob(const oci::Descriptor&, const net::BodySink& sink) override {
        log_ += "blob ";
        sink(std::as_bytes(std::span{"{}", 2}));
    }
    oci::Transfer write_blob(const oci::Descriptor&, const net::Body&,
                             const std::string&) override {
        log_ += "write ";
        return oci::Transfer::uploaded;
    }
    void write_manifest(const oci::RawManifest&, const std::string&) override { log_ += "tag "; }
    std::string find_digest(const std::string& tag) override {
        log_ += "digest ";
        return tag == "absent" ? "" : oci::digest_of(document().body);
    }
    static oci::RawManifest document() {
        return {.media_type = std::string{oci::media_type::manifest}, .body = "{\"a\":1}"};
    }
    std::string& log_;
};

}  // namespace

TEST_CASE("manifest and config are read once; then the tag's digest is enough") {
    const support::Workspace space;
    const LayerCache cache{space.path()};
    std::string log;
    CachedStore store{std::make_unique<CountingStore>(log), "r/a", cache};
    const oci::Descriptor config{.media_type = std::string{oci::media_type::config},
                                 .digest = oci::digest_of("{}"),
                                 .size = 2};
    const auto read = [&] {
        log.clear();
        const auto manifest = store.find_manifest("v1");
        REQUIRE(manifest);
        CHECK(manifest->body == CountingStore::document().body);
        CHECK(manifest->media_type == oci::media_type::manifest);
        std::string text;
        store.read_blob(config, [&](std::span<const std::byte> bytes) {
            text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        });
        CHECK(text == "{}");
        return log;
    };
    CHECK(read() == "manifest blob ");
    CHECK(read() == "digest ");
    log.clear();
    CHECK(store.find_manifest(oci::digest_of(CountingStore::document().body)));
    CHECK(log.empty());
    CHECK_FALSE(store.find_manifest("absent"));
    CHECK(log == "manifest ");
}

TEST_CASE("layers are not kept, and what is written goes through") {
    const support::Workspace space;
    const LayerCache cache{space.path()};
    std::string log;
    CachedStore store{std::make_unique<CountingStore>(log), "r/a", cache};
    const oci::Descriptor layer{.media_type = std::string{oci::media_type::layer_gzip},
                                .digest = oci::digest_of("{}"),
                                .size = 2};
    store.read_blob(layer, [](std::span<const std::byte>) {});
    store.read_blob(layer, [](std::span<const std::byte>) {});
    CHECK(store.write_blob(layer, {}, "") == oci::Transfer::uploaded);
    store.write_manifest(CountingStore::document(), "v1");
    CHECK(log == "blob blob write tag ");
}
