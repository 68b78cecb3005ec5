#include "fairing/oci/archive_reader.hpp"

#include <doctest/doctest.h>

#include "../support/tar_archive.hpp"
#include "../support/workspace.hpp"
#include "fairing/codec/gzip.hpp"
#include "fairing/oci/platform.hpp"

using namespace fairing;
using support::TarArchive;

namespace {

std::string read(const oci::ArchiveReader& archive, const oci::Descriptor& blob) {
    std::string text;
    archive.read_blob(blob, [&text](std::span<const std::byte> bytes) {
        text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    });
    return text;
}

/// What `docker save` of Docker 20 writes: plain layers in folders, one of them a link.
struct OldForm {
    support::Workspace space = {};
    const std::string layer = TarArchive{}.file("a", "1").bytes();
    const std::string packed = codec::gzip(TarArchive{}.file("b", "2").bytes());
    std::string config = {};
    TarArchive archive = {};

    explicit OldForm(std::size_t diff_ids = 3) {
        Json ids = Json::array();
        for (const std::string& tar : {layer, TarArchive{}.file("b", "2").bytes(), layer}) {
            if (ids.size() < diff_ids) {
                ids.push_back(oci::digest_of(tar));
            }
        }
        config = Json{{"os", "linux"},
                      {"architecture", "amd64"},
                      {"rootfs", {{"type", "layers"}, {"diff_ids", ids}}}}
                     .dump();
        archive.folder("1/").file("1/layer.tar", layer).file("2/layer.tar", packed);
        archive.link("3/layer.tar", "../1/layer.tar").file("c.json", config);
    }
    [[nodiscard]] std::string write(const Json& manifest) {
        return write_bytes(archive.file("manifest.json", manifest.dump()).bytes());
    }
    [[nodiscard]] std::string write_bytes(const std::string& bytes) const {
        space.file("image.tar", bytes);
        return space / "image.tar";
    }
    [[nodiscard]] static Json image(const Json& names) {
        return {{"Config", "c.json"},
                {"RepoTags", names},
                {"Layers", {"1/layer.tar", "2/layer.tar", "3/layer.tar"}}};
    }
};

}  // namespace

TEST_CASE("the old form: a manifest of Docker's is made up, and what is compressed is found out") {
    OldForm old;
    const oci::ArchiveReader archive{
        old.write(Json::array({OldForm::image({"team/job:v1", "team/job:v2"})}))};
    const auto raw = archive.find_manifest("");
    REQUIRE(raw);
    CHECK(raw->media_type == oci::media_type::docker_manifest);
    const Json layers = Json::parse(raw->body).at("layers");
    REQUIRE(layers.size() == 3);
    CHECK(layers[0].at("mediaType") == oci::media_type::docker_layer);
    CHECK(layers[0].at("digest") == oci::digest_of(old.layer));
    CHECK(layers[1].at("mediaType") == oci::media_type::docker_layer_gzip);
    CHECK(layers[2] == layers[0]);
    CHECK(read(archive, oci::Descriptor::from(layers[0], "")) == old.layer);
    CHECK(read(archive, oci::Descriptor::from(layers[1], "")) == old.packed);
    const auto config = oci::Descriptor::from(Json::parse(raw->body).at("config"), "");
    CHECK(read(archive, config) == old.config);
    for (const std::string name : {"team/job:v1", "job:v2", "v2"}) {
        CHECK(archive.find_manifest(name)->body == raw->body);
    }
    CHECK(archive.find_manifest(raw->descriptor().digest)->body == raw->body);
    CHECK_FALSE(archive.find_manifest("b:v1").has_value());
    CHECK_FALSE(archive.find_manifest(oci::digest_of("x")).has_value());
    CHECK_THROWS_WITH_AS(static_cast<void>(read(archive, {.digest = oci::digest_of("x")})),
                         doctest::Contains("the archive does not hold it"), Error);
}

TEST_CASE("an image layout in a tar: found by the names of its index") {
    support::Workspace space;
    const std::string one = R"({"schemaVersion":2,"layers":[]})";
    const std::string two = R"({"schemaVersion":2,"manifests":[]})";
    const auto entry = [](const std::string& body, const char* type, Json annotations) {
        Json result = oci::RawManifest{.media_type = type, .body = body}.descriptor().json();
        result["annotations"] = std::move(annotations);
        return result;
    };
    const Json index = {
        {"manifests",
         {entry(one, "application/vnd.oci.image.manifest.v1+json",
                {{"org.opencontainers.image.ref.name", "v1"}}),
          entry(two, "application/vnd.oci.image.index.v1+json",
                {{"io.containerd.image.name", "docker.io/library/busybox:latest"}})}}};
    TarArchive tar;
    for (const std::string& body : {one, two}) {
        tar.file("./blobs/sha256/" + oci::digest_hex(oci::digest_of(body)), body);
    }
    space.file("image.tar", tar.file("index.json", index.dump()).bytes());
    const oci::ArchiveReader archive{space / "image.tar"};
    CHECK(archive.find_manifest("v1")->body == one);
    CHECK(archive.find_manifest("v1")->media_type == oci::media_type::manifest);
    CHECK(archive.find_manifest("busybox:latest")->media_type == oci::media_type::index);
    CHECK_THROWS_WITH_AS(static_cast<void>(archive.find_manifest("")),
                         doctest::Contains("it holds 2: v1, docker.io/library/busybox:latest"),
                         Error);
}

TEST_CASE("what is no such archive is refused by name") {
    OldForm old{2};
    const auto refused = [](const std::string& path, const char* why) {
        CHECK_THROWS_WITH_AS(oci::ArchiveReader{path}, doctest::Contains(why), Error);
    };
    refused(old.write(Json::array({OldForm::image(nullptr)})), "differ in number");
    refused(old.write_bytes(TarArchive{}.file("x", "y").bytes()), "neither manifest.json");
    refused(old.write_bytes(codec::gzip("x")), "decompress it first");
    refused(old.write_bytes(TarArchive{}.file("manifest.json", "[]").bytes()), "names no image");
    refused(old.write_bytes(TarArchive{}.file("manifest.json", "[{\"Config\":\"c\"}]").bytes()),
            "it has no \"c\"");
    refused(old.write_bytes(TarArchive{}.file("x", std::string(2000, 'x')).bytes().substr(0, 1500)),
            "cut off");
    refused(old.write_bytes("x"), "cut off");
    refused(old.write_bytes(std::string(1024, 'x')), "tar archive");
    refused(old.space / "absent.tar", "absent.tar");
    refused(old.space.path().string(), "not a file");
    TarArchive circle;
    circle.link("a", "b").link("b", "a").file("manifest.json", "[{\"Config\":\"a\"}]");
    refused(old.write_bytes(circle.bytes()), "it has no ");
}

TEST_CASE("damage is noticed when it is read") {
    OldForm old;
    const std::string path = old.write(Json::array({OldForm::image({"a:b"})}));
    const oci::ArchiveReader archive{path};
    const Json layers = Json::parse(archive.find_manifest("")->body).at("layers");
    std::string bytes = read_file(path);
    bytes[bytes.find(old.layer) + 600] ^= 1;
    const UniqueFd file = open_file(path, O_WRONLY);
    write_all(file.get(), std::as_bytes(std::span{bytes}), path);
    CHECK_THROWS_WITH_AS(
        static_cast<void>(read(archive, oci::Descriptor::from(layers[0], "a layer"))),
        doctest::Contains("digest mismatch"), Error);
}
