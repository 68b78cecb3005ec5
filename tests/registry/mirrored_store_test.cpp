#include "fairing/registry/mirrored_store.hpp"

#include <doctest/doctest.h>

#include "../support/memory_store.hpp"
#include "../support/workspace.hpp"

using namespace fairing;

namespace {

/// A store that breaks after that many bytes of a blob, and counts how often it is asked.
struct Shaky final : oci::Store {
    explicit Shaky(support::MemoryStore& store) : inner(store) {}
    std::optional<oci::RawManifest> find_manifest(const std::string& name) override {
        ++asked;
        if (broken) {
            throw Error{ErrorCode::unavailable, {.attempted = "reach", .answer = "refused"}};
        }
        return inner.find_manifest(name);
    }
    void read_blob(const oci::Descriptor& blob, const net::BodySink& sink) override {
        ++asked;
        inner.read_blob(blob, [&](std::span<const std::byte> bytes) {
            sink(bytes.first(std::min(bytes.size(), breaks_after)));
            if (bytes.size() > breaks_after) {
                throw Error{ErrorCode::unavailable, {.attempted = "read", .answer = "reset"}};
            }
        });
    }
    oci::Transfer write_blob(const oci::Descriptor&, const net::Body&,
                             const std::string&) override {
        FAIL("a mirror is written to");
        return {};
    }
    void write_manifest(const oci::RawManifest&, const std::string&) override {
        FAIL("a mirror is written to");
    }

    support::MemoryStore& inner;
    int asked = 0;
    bool broken = false;
    std::size_t breaks_after = 1000;
};

struct Fixture {
    support::MemoryStore at_mirror = {}, at_origin = {};
    Shaky* mirror = nullptr;
    Shaky* origin = nullptr;
    support::Log log = {};
    std::unique_ptr<registry::MirroredStore> store = {};

    Fixture() {
        auto one = std::make_unique<Shaky>(at_mirror);
        auto two = std::make_unique<Shaky>(at_origin);
        mirror = one.get();
        origin = two.get();
        std::vector<registry::MirroredStore::Mirror> mirrors;
        mirrors.push_back({.name = "mirror.example", .store = std::move(one)});
        store = std::make_unique<registry::MirroredStore>(std::move(mirrors), std::move(two),
                                                          log.control());
    }
    std::string read(const oci::Descriptor& blob) {
        std::string text;
        store->read_blob(blob, [&text](std::span<const std::byte> bytes) {
            text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        });
        return text;
    }
};

}  // namespace

TEST_CASE("a mirror that has it serves it alone") {
    Fixture f;
    f.at_mirror.write_manifest({.media_type = "a/b", .body = "{}"}, "v1");
    CHECK(f.store->find_manifest("v1")->body == "{}");
    CHECK(f.read(f.at_mirror.add("a/b", "bytes")) == "bytes");
    CHECK(f.origin->asked == 0);
}

TEST_CASE("what a mirror has not got, the origin has; the mirror is asked again") {
    Fixture f;
    f.at_origin.write_manifest({.media_type = "a/b", .body = "{}"}, "v1");
    CHECK(f.store->find_manifest("v1")->body == "{}");
    CHECK(f.read(f.at_origin.add("a/b", "bytes")) == "bytes");
    CHECK_FALSE(f.store->find_manifest("v2").has_value());
    CHECK(f.mirror->asked == 3);
}

TEST_CASE("a mirror that fails is named once and left alone") {
    Fixture f;
    f.mirror->broken = true;
    f.at_origin.write_manifest({.media_type = "a/b", .body = "{}"}, "v1");
    CHECK(f.store->find_manifest("v1")->body == "{}");
    CHECK(f.store->find_manifest("v1")->body == "{}");
    CHECK(f.mirror->asked == 1);
    REQUIRE(f.log.lines.size() == 1);
    CHECK(f.log.lines[0].starts_with("mirror mirror.example: cannot reach"));
}

TEST_CASE("a blob that a mirror began is ended by the origin, and verified as a whole") {
    Fixture f;
    const oci::Descriptor blob = f.at_mirror.add("a/b", "0123456789");
    f.at_origin.add("a/b", "0123456789");
    f.mirror->breaks_after = 4;
    CHECK(f.read(blob) == "0123456789");
    CHECK(f.origin->asked == 1);
    f.origin->broken = true;
    CHECK_THROWS_AS(static_cast<void>(f.store->find_manifest("v1")), Error);
}

TEST_CASE("what is written goes to the origin") {
    Fixture f;
    auto target = std::make_unique<support::MemoryStore>();
    support::MemoryStore& memory = *target;
    registry::MirroredStore store{{}, std::move(target), {}};
    store.write_manifest({.media_type = "a/b", .body = "{}"}, "v1");
    CHECK(memory.manifests.contains("v1"));
}
