#include "fairing/builders/base_image.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "../support/hand_made_image.hpp"
#include "../support/memory_store.hpp"
#include "../support/workspace.hpp"
#include "fairing/oci/layout.hpp"

using namespace fairing;
using detail::Base;

namespace {

/// Every registry, with nothing in it: remembers what it was asked.
struct EmptyRegistries {
    std::vector<std::string>* urls;
    [[nodiscard]] net::Response send(const net::Request& request, const net::BodySink& /*sink*/,
                                     const std::stop_token& /*stop*/) const {
        urls->push_back(request.url);
        return {.status = 404};
    }
};

/// The URLs that are asked for a base when the target's registry may be spoken to in the clear.
std::vector<std::string> asked_for(const std::string& base) {
    std::vector<std::string> urls;
    const Session session{.transport = EmptyRegistries{&urls},
                          .credentials = [](const CredentialRequest&) -> std::optional<Credential> {
                              return Credential{};
                          }};
    CHECK_THROWS_AS(
        static_cast<void>(detail::open_base(
            {.image = base}, oci::parse_reference("r.example:5000/team/job"),
            registry_options(session, {.insecure = true}), session, packaging::LayerCache{})),
        Error);
    return urls;
}

}  // namespace

TEST_CASE("without a base image it is Python's own, of the version that is here") {
    const support::Workspace space;
    const std::string before = *env("PATH");
    const auto base_with = [&](const std::string& path) {
        ::setenv("PATH", path.c_str(), 1);
        std::string said = support::error_of([&] { (void)detail::default_base_image({}); });
        said = said.empty() ? detail::default_base_image({}) : said;
        ::setenv("PATH", before.c_str(), 1);
        return said;
    };
    space.file("python3", "#!/bin/sh\nprintf 3.7", 0755);
    CHECK(base_with(space.path().string()) == "python:3.7-slim");
    space.file("python3", "#!/bin/sh\nprintf 'no version'", 0755);
    CHECK(support::contains(base_with(space.path().string()), "name one with --base-image"));
    CHECK(support::contains(base_with("/nowhere"), "name one with --base-image"));
}

TEST_CASE("the target's registry may have a base in the clear, another one may not") {
    const std::vector<std::string> ours = asked_for("r.example:5000/base:1");
    REQUIRE_FALSE(ours.empty());
    CHECK(ours.front().starts_with("http://r.example:5000/v2/"));
    const std::vector<std::string> others = asked_for("other.example/base:1");
    REQUIRE_FALSE(others.empty());
    for (const std::string& url : others) {
        CHECK(url.starts_with("https://other.example/v2/"));
    }
}

TEST_CASE(
    "scratch is one image without a layer and without a place, of the platform that is wanted") {
    const oci::Reference target = oci::parse_reference("r.example/team/job");
    const Base base = detail::open_base({.image = "scratch", .platform = "linux/s390x"}, target, {},
                                        {}, packaging::LayerCache{});
    CHECK(base.reference.kind == oci::ReferenceKind::scratch);
    CHECK(base.store == nullptr);
    CHECK(base.index.document.is_null());
    REQUIRE(base.images().size() == 1);
    CHECK(base.images()[0].image.platform().text() == "linux/s390x");
    CHECK(detail::layers_of(base.images()).empty());
}

TEST_CASE("an index gives the image that is wanted, an image of another platform is refused") {
    const support::Workspace space;
    oci::Layout layout{space.path() / "base"};
    support::put_index(layout, "v1", {"linux/amd64", "linux/arm64/v8"});
    const auto open = [&](const std::string& tag, const std::string& platform) {
        return detail::open_base(
            {.image = "oci:" + (space / "base") + ':' + tag, .platform = platform},
            oci::parse_reference("r.example/team/job"), {}, {}, packaging::LayerCache{});
    };
    const Base base = open("v1", "linux/arm64");
    CHECK(base.store != nullptr);
    REQUIRE(base.images().size() == 1);
    CHECK(base.images()[0].image.platform().text() == "linux/arm64/v8");
    // One image alone is of the platform that it is of.
    const Image single =
        support::HandMade{.platform = oci::parse_platform("linux/s390x")}.write(layout, "x");
    layout.write_manifest(layout.find_manifest(single.digest).value(), "single");
    CHECK(open("single", "").images()[0].image.platform().text() == "linux/s390x");
    CHECK(support::contains(support::error_of([&] { (void)open("single", "linux/amd64"); }),
                            "base:single: it is for linux/s390x, not linux/amd64"));
}

TEST_CASE("the layers of several images, what they share once") {
    support::MemoryStore store;
    support::put_index(store, "v1", {"linux/amd64", "linux/arm64/v8"});
    const std::vector<oci::StoredImage> images = oci::load_index(store, "v1", "x").images;
    REQUIRE(images.size() == 2);
    const std::vector<Layer> layers = detail::layers_of(images);
    REQUIRE(layers.size() == 3);  // shared, amd64's, arm64's
    for (const Layer& layer : layers) {
        CHECK(layer.origin == Origin::base);
        CHECK(layer.size > 0);
    }
    for (const std::size_t i : {std::size_t{0}, std::size_t{1}}) {
        CHECK(layers[i].digest == images[0].image.layers()[i].digest);
        CHECK(layers[i].diff_id == images[0].image.diff_ids()[i]);
        CHECK(layers[i].media_type == images[0].image.layers()[i].media_type);
    }
    CHECK(layers[2].digest == images[1].image.layers()[1].digest);
    CHECK(layers[2].diff_id == images[1].image.diff_ids()[1]);
    // One image has a layer as often as it says.
    const support::TarArchive same = support::TarArchive{}.file("a", "1");
    const Image image = support::HandMade{.base = {same, same}}.write(store, "x");
    std::vector<oci::StoredImage> twice;
    twice.push_back(oci::load_image(store, image.digest, oci::host_platform(), "x"));
    CHECK(detail::layers_of(twice).size() == 2);
}
