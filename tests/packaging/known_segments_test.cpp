#include <doctest/doctest.h>
#include <unistd.h>

#include <fairing/packaging/known_segments.hpp>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../support/samples.hpp"
#include "../support/workspace.hpp"

using namespace fairing::packaging;
using support::bytes_of;

namespace {

/// A layer of two segments, "first" and "second", compressed to "FIRST" and "SECOND".
struct StoredLayer {
    support::Workspace space = {};
    std::vector<StoredSegment> stored = {};

    StoredLayer() {
        space.file("blob", "FIRSTSECOND");
        add("first", "FIRST", 0);
        add("second", "SECOND", 5);
    }
    void add(std::string_view text, std::string_view compressed, std::uint64_t offset) {
        stored.push_back({.key = key_of(text),
                          .offset = offset,
                          .compressed_size = static_cast<std::uint32_t>(compressed.size()),
                          .compressed_crc = fairing::codec::crc32(bytes_of(compressed)),
                          .size = static_cast<std::uint32_t>(text.size()),
                          .crc = fairing::codec::crc32(bytes_of(text))});
    }
    static Sha256Digest key_of(std::string_view text) {
        fairing::codec::Sha256 hash;
        hash.update(bytes_of(text));
        return hash.finish();
    }
    [[nodiscard]] KnownSegments known() const {
        return {fairing::open_file(space / "blob", O_RDONLY), stored};
    }
};

/// What a segment of these bytes compressed to; "unknown".
std::string recalled(const KnownSegments& known, std::string_view text) {
    Segment segment;
    segment.key = StoredLayer::key_of(text);
    segment.crc = fairing::codec::crc32(bytes_of(text));
    std::vector<std::byte> out = {std::byte{'>'}};
    const bool found = known.recall(segment, bytes_of(text), out);
    if (!found) {
        CHECK(support::text_of(out) == ">");
    }
    return found ? support::text_of(out) : "unknown";
}

}  // namespace

TEST_CASE("a segment is recalled by its content, behind what is there") {
    const KnownSegments known = StoredLayer{}.known();
    CHECK_FALSE(known.empty());
    CHECK(recalled(known, "second") == ">SECOND");
    CHECK(recalled(known, "first") == ">FIRST");
    CHECK(recalled(known, "second") == ">SECOND");
    CHECK(recalled(known, "third") == "unknown");
    CHECK(KnownSegments{}.empty());
    CHECK(recalled(KnownSegments{}, "first") == "unknown");
}

TEST_CASE("what a record says of a segment must all be so") {
    const auto changed = [](auto change) {
        StoredLayer layer;
        change(layer.stored[0]);
        CHECK(recalled(layer.known(), "second") == ">SECOND");
        return recalled(layer.known(), "first");
    };
    CHECK(changed([](StoredSegment&) {}) == ">FIRST");
    CHECK(changed([](StoredSegment& segment) { ++segment.size; }) == "unknown");
    CHECK(changed([](StoredSegment& segment) { ++segment.crc; }) == "unknown");
    CHECK(changed([](StoredSegment& segment) { ++segment.offset; }) == "unknown");
    CHECK(changed([](StoredSegment& segment) { --segment.compressed_size; }) == "unknown");
    CHECK(changed([](StoredSegment& segment) { ++segment.compressed_crc; }) == "unknown");
    // Keys that begin alike are told apart.
    CHECK(changed([](StoredSegment& segment) { segment.key.back() ^= std::byte{1}; }) == "unknown");
}

TEST_CASE("a blob that was damaged or cut off gives nothing, and is no error") {
    const StoredLayer layer;
    layer.space.file("blob", "FIRSTSECONd");
    CHECK(recalled(layer.known(), "second") == "unknown");
    CHECK(recalled(layer.known(), "first") == ">FIRST");
    layer.space.file("blob", "FIRSTSECON");
    CHECK(recalled(layer.known(), "second") == "unknown");
    CHECK(recalled(layer.known(), "first") == ">FIRST");
    layer.space.file("blob", "");
    CHECK(recalled(layer.known(), "first") == "unknown");
    CHECK(recalled(KnownSegments{fairing::UniqueFd{}, layer.stored}, "first") == "unknown");
}
