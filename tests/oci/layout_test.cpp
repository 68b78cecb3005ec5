#include "fairing/oci/layout.hpp"

#include <doctest/doctest.h>

#include <thread>

using namespace fairing;

namespace {

oci::Descriptor descriptor_of(const std::string& text) {
    return {.media_type = "x/y", .digest = oci::digest_of(text), .size = text.size()};
}

std::string read(oci::Layout& layout, const oci::Descriptor& blob) {
    std::string text;
    layout.read_blob(blob, [&text](std::span<const std::byte> bytes) {
        text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    });
    return text;
}

oci::RawManifest manifest(const std::string& content) {
    return {.media_type = std::string{oci::media_type::manifest}, .body = content};
}

std::size_t files_in(const std::filesystem::path& directory) {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator{directory}) {
        ++count;
    }
    return count;
}

}  // namespace

TEST_CASE("blobs and manifests are found again, by tag and digest") {
    const TemporaryDirectory directory;
    oci::Layout layout{directory.path() / "image"};
    CHECK_FALSE(layout.find_manifest("v1").has_value());
    CHECK(layout.write_blob(descriptor_of("hello"), net::Body::of("hello"), {}) ==
          oci::Transfer::uploaded);
    CHECK(layout.write_blob(descriptor_of("hello"), net::Body::of("hello"), {}) ==
          oci::Transfer::present);
    CHECK(read(layout, descriptor_of("hello")) == "hello");

    layout.write_manifest(manifest("{\"a\":1}"), "v1");
    layout.write_manifest(manifest("{\"a\":2}"), "v2");
    CHECK(layout.find_manifest("v1")->body == "{\"a\":1}");
    CHECK(layout.find_manifest(oci::digest_of("{\"a\":2}"))->body == "{\"a\":2}");
    layout.write_manifest(manifest("{\"a\":3}"), "v1");
    CHECK(layout.find_manifest("v1")->body == "{\"a\":3}");
    CHECK_THROWS_WITH_AS(static_cast<void>(layout.find_manifest("")),
                         doctest::Contains("it holds 2: v2, v1"), Error);

    const Json marker = Json::parse(read_file(directory.path() / "image" / "oci-layout"));
    CHECK(marker["imageLayoutVersion"] == "1.0.0");
}

TEST_CASE("the only image needs no name") {
    const TemporaryDirectory directory;
    oci::Layout layout{directory.path()};
    layout.write_manifest(manifest("{}"), "");
    CHECK(layout.find_manifest("")->body == "{}");
}

TEST_CASE("a child of an index is found by its digest, and what it is follows from its members") {
    const TemporaryDirectory directory;
    oci::Layout layout{directory.path()};
    layout.write_manifest(manifest("{}"), "");
    for (const char* body : {"{\"manifests\":[]}", "{\"layers\":[]}"}) {
        layout.write_child({.body = body});
        const auto found = layout.find_manifest(oci::digest_of(body));
        REQUIRE(found);
        CHECK(oci::media_type::is_index(found->media_type) ==
              (std::string_view{body}.find("manifests") != std::string_view::npos));
    }
    CHECK(layout.find_manifest("")->body == "{}");
}

TEST_CASE("wrong bytes never get a name") {
    const TemporaryDirectory directory;
    oci::Layout layout{directory.path() / "image"};
    oci::Descriptor lie = descriptor_of("hello");
    CHECK_THROWS_WITH_AS(static_cast<void>(layout.write_blob(lie, net::Body::of("hellO"), {})),
                         doctest::Contains("digest mismatch"), Error);
    CHECK(files_in(directory.path() / "image" / "blobs" / "sha256") == 0);
    CHECK_THROWS_AS(
        static_cast<void>(layout.write_blob(
            {.media_type = "x", .digest = "sha256:../../x", .size = 1}, net::Body::of("x"), {})),
        Error);
}

TEST_CASE("damage is noticed when it is read") {
    const TemporaryDirectory directory;
    oci::Layout layout{directory.path()};
    layout.write_blob(descriptor_of("hello"), net::Body::of("hello"), {});
    write_file(directory.path() / "blobs" / "sha256" / oci::digest_hex(oci::digest_of("hello")),
               std::string_view{"jello"});
    CHECK_THROWS_WITH_AS(static_cast<void>(read(layout, descriptor_of("hello"))),
                         doctest::Contains("digest mismatch"), Error);
    CHECK_THROWS_AS(static_cast<void>(read(layout, descriptor_of("absent"))), Error);
    write_file(directory.path() / "index.json", std::string_view{"{"});
    CHECK_THROWS_WITH_AS(static_cast<void>(layout.find_manifest("v1")),
                         doctest::Contains("index.json"), Error);
}

TEST_CASE("a directory that holds something else is left alone") {
    const TemporaryDirectory directory;
    write_file(directory.path() / "thesis.tex", std::string_view{"x"});
    oci::Layout layout{directory.path()};
    CHECK_THROWS_WITH_AS(
        static_cast<void>(layout.write_blob(descriptor_of("a"), net::Body::of("a"), {})),
        doctest::Contains("holds no index.json"), Error);
    CHECK(files_in(directory.path()) == 1);
}

TEST_CASE("several writers share a layout") {
    const TemporaryDirectory directory;
    {
        std::vector<std::jthread> writers;
        for (int i = 0; i < 8; ++i) {
            writers.emplace_back([&directory, i] {
                oci::Layout layout{directory.path() / "image"};
                layout.write_blob(descriptor_of("same"), net::Body::of("same"), {});
                layout.write_manifest(manifest("{\"n\":" + std::to_string(i) + "}"),
                                      "t" + std::to_string(i));
            });
        }
    }
    oci::Layout layout{directory.path() / "image"};
    for (int i = 0; i < 8; ++i) {
        CHECK(layout.find_manifest("t" + std::to_string(i)).has_value());
    }
    CHECK(files_in(directory.path() / "image" / "blobs" / "sha256") == 9);
}
