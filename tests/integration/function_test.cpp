// A C++ function as a job, against real peers: examples/02_launch_function.cpp is compiled with a
// library that the base image lacks, launches itself, and dockerd runs the image.
#include <doctest/doctest.h>

#include <string>

#include "../support/docker_site.hpp"
#include "../support/shell.hpp"
#include "../support/site.hpp"
#include "../support/workspace.hpp"
#include "fairing/core/json_text.hpp"

using namespace fairing;
using support::count;
using support::missing;
using support::run;
using support::ShellResult;
using support::Site;

namespace {

constexpr const char* lacking = "libyaml-cpp.so";  // what the base image has none of

/// Compiles and links the example as `space`/NAME/train; `edit` is a sed script for its source.
void compile_example(const Site& site, const support::Workspace& space, const std::string& name,
                     const std::string& edit) {
    space.folder(name);
    // By ccache where it is, and under no name that changes: a second run compiles nothing.
    const std::string compiler = fairing::test::has_program("ccache") ? "ccache g++" : "g++";
    const ShellResult made = run(
        "(set -e; httplib=$(" + site.source() + "/tools/dependencies build); cd " + (space / name) +
        "; sed '" + edit + "' " + site.source() + "/examples/02_launch_function.cpp > train.cpp; " +
        compiler + " -std=c++20 -DFAIRING_YAML=1 -I " + site.source() +
        "/include -isystem $httplib -c train.cpp -o train.o; g++ train.o -o train "
        "-Wl,--no-as-needed -lyaml-cpp -lssl -lcrypto -pthread) 2>&1");
    REQUIRE_MESSAGE(made.exit_code == 0, made.output);
}

/// What the job printed, what the launcher said of it, the image, and how many blobs went along.
struct Launched {
    std::string output = {}, said = {}, image = {};
    std::size_t blobs = 0;
};

/// Runs the launcher where the tree's examples/ lie.
Launched launch_example(const Site& site, const support::Workspace& space,
                        const std::string& name) {
    const std::string before = site.registry_log();
    const ShellResult ran =
        run("cd " + site.source() + " && BASE=" + site.base() + " REGISTRY=" + site.host() +
            "/functions " + (space / name) + "/train 2>" + (space / "said"));
    const std::string said = support::text_of(space / "said");
    REQUIRE_MESSAGE(ran.exit_code == 0, said);
    const std::string start = "image " + site.host() + "/functions/fairing-job:";
    const std::size_t begin = said.find(start);
    REQUIRE_MESSAGE(begin != std::string::npos, said);
    const std::size_t end = said.find(": ", begin + start.size());
    REQUIRE_MESSAGE(end != std::string::npos, said);
    return {.output = ran.output,
            .said = said,
            .image = said.substr(begin + 6, end - begin - 6),
            .blobs = count(site.registry_log().substr(before.size()),
                           "\"PUT /v2/functions/fairing-job/blobs/uploads/")};
}

Json layers_of(const std::string& image) {
    const ShellResult raw =
        run("skopeo inspect --raw --tls-verify=false " + Site::docker_url(image) + " 2>&1");
    REQUIRE_MESSAGE(raw.exit_code == 0, raw.output);
    return parse_json(raw.output, "skopeo's answer")["layers"];
}

}  // namespace

TEST_CASE("a C++ function trains in dockerd with the libraries that its base lacks") {
    const auto* docker = support::DockerSite::get();
    if (docker == nullptr || missing("g++")) {
        return;
    }
    if (run("pkg-config --exists yaml-cpp").exit_code != 0) {
        MESSAGE("skipped: needs yaml-cpp");
        return;
    }
    const Site& site = docker->site();
    const support::DockerEngine& engine = docker->engine();
    const support::Workspace space;
    compile_example(site, space, "first", "");
    const Launched first = launch_example(site, space, "first");
    CAPTURE(first.said);
    // The job's lines and nothing else; ours name the image and what runs it.
    CHECK(first.output.starts_with("rank 0 of 1\n"));
    CHECK(count(first.output, "\n") == 31);
    CHECK(first.image.find("@sha256:") != std::string::npos);
    CHECK(count(first.said, " fairing-job-") == 1);
    CHECK(first.said.ends_with(" started\n"));

    const ShellResult ran = engine.run_image(first.image);
    CAPTURE(ran.output);
    CHECK(ran.exit_code == 0);
    CHECK(ran.output.starts_with("rank 0 of 1\n"));
    CHECK(count(ran.output, " loss ") == 30);
    const ShellResult ranked =
        engine.run_image(first.image, "-e JOB_COMPLETION_INDEX=2 -e WORLD_SIZE=4");
    CHECK(ranked.output.starts_with("rank 2 of 4\n"));
    // Without its own libraries it does not start: the base has not got them.
    const ShellResult bare = engine.run_image(first.image, "-e LD_LIBRARY_PATH=");
    CHECK(bare.exit_code != 0);
    CHECK(bare.output.find(lacking) != std::string::npos);

    // What the base has can stay where it is.
    const ShellResult lean =
        docker->run_job((space / "first/train") + " --lean-libraries --input examples/data");
    CAPTURE(lean.output);
    CHECK(lean.exit_code == 0);
    CHECK(count(lean.output, " loss ") == 20);
    CHECK(site.errors().find("left to the base image: ") != std::string::npos);

    compile_example(site, space, "second", "s/rate = 0.1;/rate = 0.05;/");
    const Launched second = launch_example(site, space, "second");
    const Json before = layers_of(first.image), after = layers_of(second.image);
    REQUIRE(before.size() == after.size());
    std::size_t changed = 0;
    for (std::size_t i = 0; i < before.size(); ++i) {
        changed += before[i] == after[i] ? 0 : 1;
    }
    CHECK(changed == 1);
    // That layer and the image's configuration.
    CHECK(second.blobs == 2);
    CHECK(first.blobs > second.blobs);
    const ShellResult again = engine.run_image(second.image);
    CHECK(again.exit_code == 0);
    CHECK(count(again.output, " loss ") == 30);
    CHECK(again.output != ran.output);
}
