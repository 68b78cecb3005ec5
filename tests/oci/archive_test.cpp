#include "fairing/oci/archive.hpp"

#include <doctest/doctest.h>

#include "../support/hand_made_image.hpp"
#include "../support/workspace.hpp"

using namespace fairing;

namespace {

oci::RawManifest manifest_of(const Image& image, oci::Store& store) {
    return store.find_manifest(image.digest).value();
}

/// Writes an image with that file in it.
oci::RawManifest put(const std::string& path, const std::string& text, const std::string& name) {
    oci::Archive archive{path};
    const support::HandMade made{.base = {support::TarArchive{}.file("a", text)}};
    support::Workspace space;
    oci::Layout layout{space / "layout"};
    const oci::RawManifest raw = manifest_of(made.write(layout, "x"), layout);
    const Json document = Json::parse(raw.body);
    for (const Json& each : {document.at("layers").at(0), document.at("config")}) {
        const auto blob = oci::Descriptor::from(each, "a blob");
        const net::Body body{.size = blob.size, .write = [&](const net::BodySink& sink) {
                                 layout.read_blob(blob, sink);
                             }};
        CHECK(archive.write_blob(blob, body, {}) == oci::Transfer::uploaded);
        CHECK(archive.write_blob(blob, body, {}) == oci::Transfer::present);
    }
    archive.write_manifest(raw, name);
    CHECK(archive.find_manifest("")->body == raw.body);  // by the one that wrote it, too
    return raw;
}

}  // namespace

TEST_CASE(
    "what is written is read by the same digest, replaces the file, and leaves nothing else") {
    const support::Workspace space;
    const std::string path = space / "image.tar";
    const oci::RawManifest first = put(path, "1", "team/job:v1");
    CHECK(oci::Archive{path}.find_manifest("team/job:v1")->body == first.body);
    const std::string bytes = read_file(path);
    const oci::RawManifest second = put(path, "2", "team/job");
    oci::Archive archive{path};
    CHECK(archive.find_manifest("team/job:latest")->body == second.body);
    CHECK_FALSE(archive.find_manifest("v1").has_value());
    const oci::StoredImage stored = oci::load_image(archive, "", oci::host_platform(), "x");
    CHECK(stored.manifest.digest == second.descriptor().digest);
    CHECK(std::distance(std::filesystem::directory_iterator{space.path()}, {}) == 1);
    put(path, "1", "team/job:v1");
    CHECK(read_file(path) == bytes);
}

TEST_CASE("an index is refused, and a failure leaves the file as it was") {
    const support::Workspace space;
    const std::string path = space / "image.tar";
    const oci::RawManifest first = put(path, "1", "v1:v1");
    {
        oci::Archive archive{path};
        const oci::RawManifest index{.media_type = std::string{oci::media_type::index},
                                     .body = R"({"manifests":[]})"};
        CHECK_THROWS_WITH_AS(archive.write_manifest(index, "v1"),
                             doctest::Contains("choose one with --platform"), Error);
        CHECK_THROWS_AS(archive.write_manifest(first, "v1"), Error);  // its blobs are not there
    }
    CHECK(oci::Archive{path}.find_manifest("v1:v1")->body == first.body);
    CHECK(std::distance(std::filesystem::directory_iterator{space.path()}, {}) == 1);
}
