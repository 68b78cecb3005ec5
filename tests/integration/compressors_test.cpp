// Images of every compressor against real peers: pushed to docker-registry, copied by skopeo,
// unpacked by umoci and dockerd; and the command's own option.
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "../support/child_process.hpp"
#include "../support/docker_registry.hpp"
#include "../support/samples.hpp"
#include "../support/shell.hpp"
#include "../support/workspace.hpp"
#include "fairing/builders/append.hpp"
#include "fairing/core/env.hpp"

using namespace fairing;
using support::contains;
using support::run;
using support::ShellResult;

namespace {

/// Files of several kinds, below app/ as they lie in the image.
struct Project {
    support::Workspace space = {};
    Context context = {.command = {"/app/none"}};

    Project() {
        add("big.csv", support::prose(2'500'000, 1));
        add("empty", "");
        add("random.bin", support::random_bytes(1'500'000, 2));
        for (int i = 0; i < 300; ++i) {
            add("src/module_" + std::to_string(1000 + i) + ".py",
                support::prose(static_cast<std::size_t>(1 + i * 37),
                               static_cast<std::uint64_t>(i)));
        }
        std::sort(context.files.begin(), context.files.end(),
                  [](const auto& a, const auto& b) { return a.destination < b.destination; });
    }
    void add(const std::string& name, const std::string& text) {
        space.file("app/" + name, text);
        context.files.push_back({.source = space / ("app/" + name),
                                 .destination = "/app/" + name,
                                 .size = text.size()});
    }
};

bool is_there(std::string_view name) {
    return fairing::detail::compressors_there.find(' ' + std::string{name}) !=
           std::string_view::npos;
}

/// Pushes one image for each compressor that there is; names are "localhost:PORT/team/NAME:v1".
struct Pushed {
    Project project = {};
    support::DockerRegistry registry = support::DockerRegistry{};
    std::vector<std::string> names = {};

    Pushed() {
        REQUIRE(registry.running());
        const support::Workspace cache;
        for (const auto& [name, compressor] : value_names<LayerCompressor>) {
            if (!is_there(name)) {
                continue;
            }
            const AppendBuilder builder{.base_image = "scratch",
                                        .registry = registry.host() + "/team",
                                        .image_name = std::string{name},
                                        .tag = "v1",
                                        .compressor = compressor};
            const Image image = builder.build(project.context, {.cache_directory = cache.path()});
            CHECK(image.layers.size() > 1);
            for (const Layer& layer : image.layers) {
                CHECK(layer.transfer == Transfer::uploaded);
                CHECK(layer.media_type == "application/vnd.oci.image.layer.v1.tar+" +
                                              std::string{name == "zstd" ? "zstd" : "gzip"});
            }
            names.emplace_back(name);
        }
        REQUIRE(names.size() >= 1);
        MESSAGE(names.size() << " compressors");
    }
    [[nodiscard]] std::string image(const std::string& name) const {
        return registry.host() + "/team/" + name + ":v1";
    }
    /// What differs between `root`/app and the files; "" when nothing does.
    [[nodiscard]] std::string difference(const std::string& root) const {
        return run("diff -r " + (project.space / "app") + ' ' + root + "/app 2>&1").output;
    }
};

bool missing(std::initializer_list<const char*> programs) {
    for (const char* const program : programs) {
        if (!fairing::test::has_program(program) || ::geteuid() != 0) {
            MESSAGE("skipped: needs " << program << " and root");
            return true;
        }
    }
    return false;
}

}  // namespace

TEST_CASE("every compressor's image is copied by skopeo and unpacked by umoci") {
    if (missing({"docker-registry", "skopeo", "umoci"})) {
        return;
    }
    const Pushed pushed;
    const support::Workspace space;
    for (const std::string& name : pushed.names) {
        CAPTURE(name);
        const std::string layout = space / name;
        const std::string from =
            "skopeo copy -q --src-tls-verify=false docker://" + pushed.image(name);
        const ShellResult copied = run(from + " oci:" + layout + ":x 2>&1");
        REQUIRE_MESSAGE(copied.exit_code == 0, copied.output);
        if (name == "zstd") {
            // umoci knows no zstd: skopeo, which does, makes plain tars of the layers.
            const std::string plain = space / "plain";
            const ShellResult unpacked =
                run(from + " --dest-decompress dir:" + plain + " 2>&1 && mkdir " + plain +
                    "/root && for layer in $(python3 -c 'import json,sys; "
                    "print(*[l[\"digest\"][7:] for l in "
                    "json.load(open(sys.argv[1]))[\"layers\"]])' " +
                    plain + "/manifest.json); do tar -xf " + plain + "/$layer -C " + plain +
                    "/root || exit 1; done 2>&1");
            REQUIRE_MESSAGE(unpacked.exit_code == 0, unpacked.output);
            CHECK(pushed.difference(plain + "/root") == "");
            continue;
        }
        const ShellResult unpacked =
            run("umoci unpack --image " + layout + ":x " + (space / (name + ".bundle")) + " 2>&1");
        REQUIRE_MESSAGE(unpacked.exit_code == 0, unpacked.output);
        CHECK(pushed.difference(space / (name + ".bundle/rootfs")) == "");
    }
}

TEST_CASE("every compressor's image is pulled by dockerd") {
    if (missing({"docker-registry", "dockerd"})) {
        return;
    }
    const Pushed pushed;
    const support::Workspace space;
    const support::DockerEngine engine{space.path()};
    if (!engine.running()) {
        MESSAGE("skipped: dockerd does not start here");
        return;
    }
    for (const std::string& name : pushed.names) {
        CAPTURE(name);
        const ShellResult pulled = engine.docker("pull -q " + pushed.image(name));
        REQUIRE_MESSAGE(pulled.exit_code == 0, pulled.output);
        const std::string root = space / (name + ".root");
        const ShellResult exported =
            run("mkdir " + root + " && " + engine.client() + " create --name " + name + ' ' +
                pushed.image(name) + " && " + engine.client() + " export " + name +
                " | tar -xf - -C " + root + " 2>&1");
        CAPTURE(exported.output);
        CHECK(pushed.difference(root) == "");
    }
}

TEST_CASE("fairing build --compressor: help says which there are, others say how to get them") {
    const auto command = env("FAIRING_COMMAND");
    if (!command) {
        MESSAGE("skipped: FAIRING_COMMAND is not set");
        return;
    }
    const support::Workspace space;
    space.file("train.py", "print('hello')\n");
    const std::string go = "cd " + space.path().string() + " && FAIRING_CACHE=cache " + *command;
    const std::string help = run(go + " build --help").output;
    const std::size_t list = help.find("built in:");
    REQUIRE(list != std::string::npos);
    const std::string there = help.substr(list, help.find(')', list) - list);
    CHECK(contains(there, " gzip"));
    for (const auto& [key, value] : value_names<LayerCompressor>) {
        const std::string name{key};
        CAPTURE(name);
        const ShellResult built =
            run(go + " build train.py --base-image scratch --registry oci:" + name +
                " --quiet --compressor " + name + " 2>&1");
        CAPTURE(built.output);
        if (contains(there, name)) {
            CHECK(built.exit_code == 0);
            CHECK(run(go + " run train.py --base-image scratch --quiet --compressor " + name +
                      " 2>&1")
                      .output == "hello\n");
        } else {
            CHECK(built.exit_code == 65);
            CHECK(contains(built.output, "-D" + name + "=enabled"));
        }
    }
    const ShellResult unknown =
        run(go + " build train.py --base-image scratch --registry oci:x --compressor lzma 2>&1");
    CHECK(unknown.exit_code == 64);
    CHECK(contains(unknown.output, "there is gzip, zlib, libdeflate, isal, zstd"));
}
