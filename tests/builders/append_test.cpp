#include "fairing/builders/append.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <stop_token>

using namespace fairing;

namespace {

/// A folder with a program and a layout to build into.
struct Workshop {
    TemporaryDirectory directory = TemporaryDirectory{};
    Context context = {};
    Workshop() {
        add("train.py", "print('hello')\n");
        add("data.csv", "1,2\n3,4\n");
        context.command = {"python3", "/app/train.py"};
        context.environment = {{"FAIRING_RUNTIME", "1"}};
    }
    void add(const std::string& name, const std::string& text) {
        write_file(directory.path() / name, text);
        std::erase_if(context.files,
                      [&](const ContextFile& file) { return file.destination == "/app/" + name; });
        context.files.push_back({.source = directory.path() / name,
                                 .destination = "/app/" + name,
                                 .size = text.size()});
        std::sort(context.files.begin(), context.files.end(),
                  [](const auto& a, const auto& b) { return a.destination < b.destination; });
    }
    std::string target(const std::string& name = "image") const {
        return "oci:" + (directory.path() / name).string();
    }
    Image build(AppendBuilder builder, const Session& session = {}) const {
        return builder.build(context, session);
    }
};

}  // namespace

TEST_CASE("scratch and a context become an image in a layout") {
    const Workshop shop;
    const Image image = shop.build({.base_image = "scratch", .registry = shop.target()});
    CHECK(image.location == Location::layout);
    CHECK(image.reference == shop.target() + '@' + image.digest);
    CHECK(image.tag.size() == 12);
    CHECK(image.context_digest.starts_with("sha256:" + image.tag));
    REQUIRE(image.layers.size() == 1);
    CHECK(image.layers[0].origin == Origin::built);
    CHECK(image.layers[0].transfer == Transfer::uploaded);
    CHECK(image.figures.bytes_read == 23);

    oci::Layout layout{shop.directory.path() / "image"};
    const oci::StoredImage stored =
        oci::load_image(layout, image.tag, oci::host_platform(), "the result");
    CHECK(stored.manifest.digest == image.digest);
    CHECK(stored.image.setting("Cmd") == Json{"python3", "/app/train.py"});
    CHECK(stored.image.setting("User") == "0");
    CHECK(stored.image.setting("WorkingDir") == "/app/");
    CHECK(stored.image.setting("Env") == Json{"FAIRING_RUNTIME=1"});
    CHECK(oci::own_layers(stored.image) == 1);
}

TEST_CASE("the same context gives the same bytes, and nothing is sent again") {
    const Workshop shop;
    const AppendBuilder builder{.base_image = "scratch", .registry = shop.target()};
    const Image first = shop.build(builder);
    const Image second = shop.build(builder);
    CHECK(second.digest == first.digest);
    CHECK(second.tag == first.tag);
    CHECK(second.layers[0].transfer == Transfer::present);
    CHECK(second.figures.bytes_uploaded == 0);
}

TEST_CASE("an edit, a command or a variable changes the tag") {
    Workshop shop;
    const AppendBuilder builder{.base_image = "scratch", .registry = shop.target()};
    const Image first = shop.build(builder);
    shop.add("train.py", "print('hellO')\n");
    const Image edited = shop.build(builder);
    CHECK(edited.tag != first.tag);
    shop.context.command.emplace_back("--fast");
    const Image commanded = shop.build(builder);
    CHECK(commanded.tag != edited.tag);
    CHECK(commanded.layers[0].digest == edited.layers[0].digest);
}

TEST_CASE("a base in a layout: its layers come first, unchanged, and are copied") {
    Workshop shop;
    const Image base =
        shop.build({.base_image = "scratch", .registry = shop.target("base"), .tag = "v1"});
    shop.add("more.py", "pass\n");
    const Image image =
        shop.build({.base_image = shop.target("base") + ":v1", .registry = shop.target()});
    REQUIRE(image.layers.size() == 2);
    CHECK(image.layers[0].digest == base.layers[0].digest);
    CHECK(image.layers[0].origin == Origin::base);
    CHECK(image.layers[0].transfer == Transfer::uploaded);
    CHECK(image.layers[1].transfer == Transfer::uploaded);
    oci::Layout layout{shop.directory.path() / "image"};
    CHECK(oci::own_layers(oci::load_image(layout, image.tag, oci::host_platform(), "x").image) ==
          2);
}

TEST_CASE("without a push nothing is written, and the image says that it is nowhere") {
    const Workshop shop;
    const Image image = shop.build({.base_image = "scratch", .push = false});
    CHECK(image.location == Location::nowhere);
    CHECK(image.reference == "fairing-job:" + image.tag + '@' + image.digest);
    const Image named = shop.build(
        {.base_image = "scratch", .registry = "r.example/team", .tag = "v1", .push = false});
    CHECK(named.reference == "r.example/team/fairing-job:v1@" + named.digest);
    CHECK_FALSE(std::filesystem::exists(shop.directory.path() / "image"));
}

TEST_CASE("what can not be built is refused with what to do") {
    const Workshop shop;
    const auto refused = [&shop](const AppendBuilder& builder, const char* message) {
        CHECK_THROWS_WITH_AS(static_cast<void>(shop.build(builder)), doctest::Contains(message),
                             Error);
    };
    refused({.base_image = "scratch"}, "--registry oci:DIR");
    refused({.base_image = "scratch", .registry = shop.target(), .tag = "a b"},
            "cannot use tag \"a b\"");
    refused({.base_image = "scratch", .registry = "r.example", .image_name = "x:1"},
            "cannot use image name \"x:1\"");
    refused({.base_image = "no/Such", .registry = shop.target()}, "cannot use image reference");
    refused({.base_image = shop.target("absent") + ":v1", .registry = shop.target()},
            "there is no manifest v1");
    refused({.base_image = "scratch", .registry = "UPPER.example/Team"},
            "cannot use image reference");
    refused({.base_image = "scratch", .registry = shop.target(), .platform = "linux"},
            "OS/ARCHITECTURE");
    refused({.base_image = "scratch", .registry = shop.target(), .compression = 99}, "compression");
    static_cast<void>(shop.build({.base_image = "scratch",
                                  .registry = shop.target("base"),
                                  .tag = "v1",
                                  .platform = "linux/s390x"}));
    refused({.base_image = shop.target("base") + ":v1",
             .registry = shop.target(),
             .platform = "linux/amd64"},
            "it is for linux/s390x, not linux/amd64");
}

TEST_CASE("a stop leaves no image") {
    const Workshop shop;
    std::stop_source source;
    const Session session{.stop = source.get_token(),
                          .progress = [&source](const Progress&) { source.request_stop(); }};
    CHECK_THROWS_AS(static_cast<void>(
                        shop.build({.base_image = "scratch", .registry = shop.target()}, session)),
                    Cancelled);
    CHECK_FALSE(std::filesystem::exists(shop.directory.path() / "image" / "index.json"));
}

TEST_CASE("a file that changed since it was collected fails the build") {
    const Workshop shop;
    write_file(shop.directory.path() / "data.csv", std::string_view{"another length"});
    CHECK_THROWS_WITH_AS(
        static_cast<void>(shop.build({.base_image = "scratch", .registry = shop.target()})),
        doctest::Contains("changed while being packaged"), Error);
}

TEST_CASE("SOURCE_DATE_EPOCH is the image's time") {
    CHECK(fairing::detail::created_time(0) == "1970-01-01T00:00:00Z");
    CHECK(fairing::detail::created_time(1'700'000'000) == "2023-11-14T22:13:20Z");
}
