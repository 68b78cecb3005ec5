#include "fairing/builders/append.hpp"

#include <doctest/doctest.h>
#include <sys/inotify.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <set>
#include <stop_token>

#include "../support/ecr_double.hpp"
#include "../support/hand_made_image.hpp"
#include "../support/memory_registry.hpp"
#include "fairing/oci/archive.hpp"

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
    Image build(AppendBuilder builder, Session session = {}) const {
        session.cache_directory = directory.path() / "cache";
        return builder.build(context, session);
    }
    /// Past the tick of the clock in which a write may leave no trace.
    static void settle() {
        const std::int64_t start = packaging::file_clock();
        while (packaging::file_clock() < start + 150'000'000) {
        }
    }
};

/// Counts how often files of a folder are opened.
class OpenCounter {
public:
    explicit OpenCounter(const std::filesystem::path& folder)
        : inotify_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
        REQUIRE(::inotify_add_watch(inotify_.get(), folder.c_str(), IN_OPEN) >= 0);
    }
    /// Names of the regular files opened since the last call.
    std::set<std::string> opened() {
        std::set<std::string> names;
        alignas(inotify_event) std::array<char, 65536> buffer;
        for (ssize_t got = 0; (got = ::read(inotify_.get(), buffer.data(), buffer.size())) > 0;) {
            for (ssize_t at = 0; at < got;) {
                inotify_event event{};
                std::memcpy(&event, buffer.data() + at, sizeof event);
                if (event.len > 0 && (event.mask & IN_ISDIR) == 0) {
                    names.insert(buffer.data() + at + sizeof event);
                }
                at += static_cast<ssize_t>(sizeof event + event.len);
            }
        }
        return names;
    }

private:
    UniqueFd inotify_;
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

TEST_CASE("nothing edited: no file is opened; one edited: none outside its layer") {
    Workshop shop;
    shop.add("weights.bin", std::string(std::size_t{2} << 20, 'w'));
    shop.add("table.csv", std::string(std::size_t{100} << 10, 't'));
    const AppendBuilder builder{.base_image = "scratch", .registry = shop.target()};
    Workshop::settle();
    const Image first = shop.build(builder);
    REQUIRE(first.layers.size() == 3);
    OpenCounter counter{shop.directory.path()};

    const Image same = shop.build(builder);
    CHECK(counter.opened().empty());
    CHECK(same.digest == first.digest);
    CHECK(same.figures.bytes_read == 0);
    CHECK(same.figures.bytes_compressed == 0);
    CHECK(same.figures.bytes_uploaded == 0);
    for (const Layer& layer : same.layers) {
        CHECK(layer.origin == Origin::cached);
        CHECK(layer.transfer == Transfer::present);
        CHECK(layer.uncompressed_size > 0);
    }

    shop.add("train.py", "print('hellO')\n");
    counter.opened();
    const Image edited = shop.build(builder);
    CHECK(counter.opened() == std::set<std::string>{"data.csv", "train.py"});
    CHECK(edited.layers[0].digest == first.layers[0].digest);
    CHECK(edited.layers[1].digest == first.layers[1].digest);
    CHECK(edited.layers[2].origin == Origin::built);
    CHECK(edited.figures.bytes_read == 23);
    CHECK(edited.figures.bytes_uploaded == edited.layers[2].size);
    CHECK(edited.figures.bytes_compressed < edited.layers[2].size);
}

TEST_CASE("with a cache and without, cold and warm: the same bytes") {
    Workshop shop;
    shop.add("weights.bin", std::string(std::size_t{2} << 20, 'w'));
    const AppendBuilder cached{.base_image = "scratch", .registry = shop.target("a")};
    const AppendBuilder plain{
        .base_image = "scratch", .registry = shop.target("b"), .cache = false};
    CHECK(shop.build(plain).digest == shop.build(cached).digest);
    for (const char* text : {"print('hellO')\n", "print('hello, again')\n", "\n"}) {
        shop.add("train.py", text);
        CHECK(shop.build(plain).digest == shop.build(cached).digest);
    }
    CHECK(shop.build(plain).layers[0].origin == Origin::built);
    CHECK(shop.build(cached).layers[0].origin == Origin::cached);
}

TEST_CASE("a target that lacks a layer gets it out of the cache, or anew when that is damaged") {
    Workshop shop;
    const Image first = shop.build({.base_image = "scratch", .registry = shop.target("a")});
    const Image second = shop.build({.base_image = "scratch", .registry = shop.target("b")});
    CHECK(second.digest == first.digest);
    CHECK(second.layers[0].origin == Origin::cached);
    CHECK(second.layers[0].transfer == Transfer::uploaded);
    const std::filesystem::path blob = shop.directory.path() / "cache/layers" /
                                       ("blob-" + oci::digest_hex(first.layers[0].digest));
    std::string bytes = read_file(blob);
    bytes[bytes.size() / 2] ^= 1;
    write_file(blob, bytes);
    const Image third = shop.build({.base_image = "scratch", .registry = shop.target("c")});
    CHECK(third.digest == first.digest);
    CHECK(third.layers[0].origin == Origin::built);
    CHECK(third.layers[0].transfer == Transfer::uploaded);
    std::filesystem::remove(blob);
    CHECK(shop.build({.base_image = "scratch", .registry = shop.target("d")}).digest ==
          first.digest);
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
    refused({.base_image = "no/Such", .registry = shop.target()}, "cannot use image reference");
    refused({.base_image = shop.target("absent") + ":v1", .registry = shop.target()},
            "there is no manifest v1");
    refused({.base_image = "scratch", .registry = shop.target(), .platform = "linux"},
            "OS/ARCHITECTURE");
    refused({.base_image = "scratch", .registry = shop.target(), .compression = 99}, "compression");
}

TEST_CASE("every compressor that is there makes an image of the same content, of its own type") {
    const Workshop shop;
    std::set<std::string> diff_ids, digests;
    std::size_t images = 0;
    for (const auto& [key, compressor] : value_names<LayerCompressor>) {
        const std::string name{key};
        CAPTURE(name);
        const AppendBuilder builder{
            .base_image = "scratch", .registry = shop.target(name), .compressor = compressor};
        if (detail::compressors_there.find(' ' + name) == std::string_view::npos) {
            CHECK_THROWS_WITH_AS(static_cast<void>(shop.build(builder)),
                                 doctest::Contains("build with it"), Error);
            CHECK_FALSE(std::filesystem::exists(shop.directory.path() / name));
            continue;
        }
        const Image image = shop.build(builder);
        ++images;
        REQUIRE(image.layers.size() == 1);
        CHECK(image.layers[0].media_type ==
              (name == "zstd" ? oci::media_type::layer_zstd : oci::media_type::layer_gzip));
        diff_ids.insert(image.layers[0].diff_id);
        digests.insert(image.layers[0].digest);
        CHECK(shop.build(builder).layers[0].origin == Origin::cached);
        oci::Layout layout{shop.directory.path() / name};
        const oci::StoredImage stored =
            oci::load_image(layout, image.tag, oci::host_platform(), "the result");
        const TemporaryDirectory root;
        oci::Unpacker{root.path()}.apply(layout, stored.image.layers().front());
        CHECK(read_file(root.path() / "app/train.py") == "print('hello')\n");
        CHECK(read_file(root.path() / "app/data.csv") == "1,2\n3,4\n");
    }
    CHECK(diff_ids.size() == 1);
    CHECK(digests.size() == images);
}

#if FAIRING_ZSTD
TEST_CASE("zstd on a base of Docker's is refused before anything is made or sent") {
    const Workshop shop;
    oci::Layout layout{shop.directory.path() / "docker"};
    const std::string config = oci::scratch(oci::host_platform()).config.dump();
    const oci::Descriptor blob{.media_type = std::string{oci::media_type::docker_config},
                               .digest = oci::digest_of(config),
                               .size = config.size()};
    layout.write_blob(blob, net::Body::of(config), {});
    const Json manifest = {{"schemaVersion", 2},
                           {"mediaType", oci::media_type::docker_manifest},
                           {"config", blob.json()},
                           {"layers", Json::array()}};
    layout.write_manifest(
        {.media_type = std::string{oci::media_type::docker_manifest}, .body = manifest.dump()},
        "v1");
    AppendBuilder builder{.base_image = shop.target("docker") + ":v1",
                          .registry = shop.target(),
                          .compressor = LayerCompressor::zstd};
    CHECK_THROWS_WITH_AS(static_cast<void>(shop.build(builder)),
                         doctest::Contains("a base with an OCI manifest"), Error);
    CHECK_FALSE(std::filesystem::exists(shop.directory.path() / "image"));
    builder.compressor = LayerCompressor::gzip;
    CHECK(shop.build(builder).layers.front().media_type == oci::media_type::docker_layer_gzip);
}
#endif

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

TEST_CASE("all platforms: one index, our layers made once, every base's own documents kept") {
    for (const support::Family family : {support::Family::oci, support::Family::docker}) {
        Workshop shop;
        shop.context.search_paths = {{"PYTHONPATH", "/app/libraries"}};
        oci::Layout base{shop.directory.path() / "base"};
        support::put_index(base, "v1",
                           {"linux/amd64", "linux/arm64/v8", "windows/amd64", "unknown/unknown"},
                           family);
        std::vector<std::string> said;
        const Session session{
            .log = [&said](const LogRecord& record) { said.push_back(record.text); }};
        const AppendBuilder builder{.base_image = shop.target("base") + ":v1",
                                    .registry = shop.target(),
                                    .all_platforms = true};
        const Image image = shop.build(builder, session);
        CHECK(image.platform == "linux/amd64,linux/arm64/v8");
        CHECK(std::count(said.begin(), said.end(),
                         "left out of the index: windows/amd64, which is not Linux") == 1);
        CHECK(image.layers.size() == 4);  // shared, amd64's, arm64's, ours
        CHECK(image.layers.back().origin == Origin::built);
        oci::Layout layout{shop.directory.path() / "image"};
        const oci::RawManifest index = layout.find_manifest("").value();
        CHECK(index.descriptor().digest == image.digest);
        CHECK(image.reference == shop.target() + '@' + image.digest);
        CHECK(index.media_type == (family == support::Family::docker ? oci::media_type::docker_list
                                                                     : oci::media_type::index));
        CHECK(Json::parse(index.body).at("manifests").size() == 2);
        for (const std::string architecture : {"amd64", "arm64"}) {
            const oci::Image one =
                oci::load_image(layout, image.tag, {.architecture = architecture}, "x").image;
            CHECK(one.is_docker() == (family == support::Family::docker));
            CHECK(one.layers().size() == 3);
            CHECK(one.layers().back().digest == image.layers.back().digest);
            CHECK(one.layers().back().media_type == oci::layer_media_type(one));
            CHECK(one.setting("Cmd") == Json{"python3", "/app/train.py"});
            CHECK(one.setting("Env").at(1) == "PYTHONPATH=/app/libraries:/of/" + architecture);
        }
        CHECK(shop.build(builder).digest == image.digest);
        AppendBuilder single = builder;
        single.all_platforms = false;
        single.platform = "linux/arm64";
        CHECK(shop.build(single).platform == "linux/arm64/v8");
    }
}

TEST_CASE("all platforms: refused where there are none, or a file is for one of them") {
    Workshop shop;
    oci::Layout base{shop.directory.path() / "base"};
    support::put_index(base, "v1", {"linux/riscv64", "linux/s390x"});
    const std::string single =
        Json::parse(base.find_manifest("v1")->body).at("manifests").at(0).at("digest");
    const auto refused = [&shop](AppendBuilder builder, const std::string& message) {
        builder.all_platforms = true;
        if (builder.registry.empty()) {
            builder.registry = shop.target();
        }
        CHECK_THROWS_WITH_AS(static_cast<void>(shop.build(builder)),
                             doctest::Contains(message.c_str()), Error);
        CHECK_FALSE(std::filesystem::exists(shop.directory.path() / "image"));
    };
    refused({.base_image = "scratch"}, "it is of no platform");
    refused({.base_image = shop.target("base") + ":v1", .platform = "linux/s390x"},
            "leave out one of the two");
    refused({.base_image = shop.target("base") + '@' + single}, "leave out --all-platforms");
    refused({.base_image = shop.target("base") + ":v1", .registry = "docker-archive:x.tar"},
            "holds the image of one platform");
    const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe");
    shop.context.files.push_back({.source = self,
                                  .destination = "/app/zz-program",
                                  .size = std::filesystem::file_size(self)});
    refused({.base_image = shop.target("base") + ":v1"},
            "cannot run " + self.string() + " on base image " + shop.target("base"));
}

TEST_CASE("an archive is as good as a layout, for the base and for the target") {
    Workshop shop;
    const std::string file = "docker-archive:" + (shop.directory.path() / "image.tar").string();
    const Image image = shop.build({.base_image = "scratch", .registry = file});
    CHECK(image.reference == file + '@' + image.digest);
    CHECK(image.location == Location::layout);
    oci::Archive archive{shop.directory.path() / "image.tar"};
    CHECK(archive.find_manifest("fairing-job:" + image.tag)->descriptor().digest == image.digest);
    shop.add("more.py", "pass\n");
    const Image next = shop.build({.base_image = file, .registry = file, .tag = "v2"});
    CHECK(next.layers.size() == 2);
    CHECK(next.layers[0].digest == image.layers[0].digest);
    const Image named =
        shop.build({.base_image = file + ":fairing-job:v2", .registry = file + ":team/other:v3"});
    CHECK(named.layers.size() == 3);
    CHECK(oci::Archive{shop.directory.path() / "image.tar"}.find_manifest("team/other:v3"));
}

TEST_CASE("row 26: blobs that the registry lost are sent once more, ours and the base's") {
    Workshop shop;
    support::MemoryRegistry registry;
    oci::Layout base{shop.directory.path() / "base"};
    support::put_index(base, "v1", {"linux/amd64", "linux/arm64"});
    const AppendBuilder builder{.base_image = shop.target("base") + ":v1",
                                .registry = "localhost:5000/team",
                                .tag = "v1",
                                .all_platforms = true};
    const Session session{.transport = std::ref(registry)};
    const Image image = shop.build(builder, session);
    auto& blobs = registry.repositories["team/fairing-job"].blobs;
    CHECK(blobs.size() == 6);  // shared, two own, two configs, ours
    for (const auto& [digest, bytes] : blobs) {
        registry.lost.insert(digest);
    }
    AppendBuilder other = builder;
    other.tag = "v2";
    CHECK(shop.build(other, session).digest == image.digest);
    CHECK(registry.lost.empty());
    CHECK(registry.repositories["team/fairing-job"].manifests.at("v2").descriptor().digest ==
          image.digest);
}

TEST_CASE("a push to ECR makes the repository, and enters with AWS's own credentials") {
    support::EcrDouble ecr;
    const Workshop work;
    const AppendBuilder builder{.base_image = "scratch",
                                .registry = std::string{ecr.host} + "/team"};
    const Session session{.transport = std::ref(ecr)};
    const Image image = work.build(builder, session);
    CHECK(image.reference.starts_with(std::string{ecr.host} + "/team/fairing-job:"));
    CHECK(ecr.repositories == std::set<std::string>{"team/fairing-job"});
    CHECK(ecr.registry.repositories.at("team/fairing-job").manifests.size() == 2);  // digest, tag
    CHECK(std::count(ecr.operations.begin(), ecr.operations.end(), "CreateRepository") == 1);
}
