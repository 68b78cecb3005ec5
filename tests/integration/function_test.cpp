// A C++ function as a job, against real peers: examples/04_function.cpp launches itself, with
// libraries that the base image lacks, and dockerd runs the image.
#include <doctest/doctest.h>

#include <string>

#include "../support/docker_site.hpp"
#include "../support/example_program.hpp"
#include "../support/shell.hpp"
#include "../support/site.hpp"
#include "../support/workspace.hpp"
#include "fairing/core/json_text.hpp"

using namespace fairing;
using support::contains;
using support::count;
using support::Launched;
using support::run;
using support::ShellResult;
using support::Site;

namespace {

/// Runs the launcher, and counts the blobs that it sends.
Launched launch_function(const Site& site, const std::string& program, std::size_t& blobs) {
    const std::string before = site.registry_log();
    Launched launched =
        support::launch(program, "BASE=" + site.base() + " REGISTRY=" + site.host() + "/functions");
    REQUIRE_MESSAGE(launched.exit_code == 0, launched.said);
    blobs = count(site.registry_log().substr(before.size()),
                  "\"PUT /v2/functions/fairing-job/blobs/uploads/");
    return launched;
}

Json layers_of(const std::string& image) {
    const ShellResult raw =
        run("skopeo inspect --raw --tls-verify=false " + Site::docker_url(image) + " 2>&1");
    REQUIRE_MESSAGE(raw.exit_code == 0, raw.output);
    return parse_json(raw.output, "skopeo's answer")["layers"];
}

}  // namespace

TEST_CASE("Fairing's simple/main.py: a C++ function trains in dockerd with its own libraries") {
    const auto* docker = support::missing_examples() ? nullptr : support::DockerSite::get();
    if (docker == nullptr) {
        return;
    }
    const Site& site = docker->site();
    const support::DockerEngine& engine = docker->engine();
    const std::string program = support::example_program("04_function");
    std::size_t first_blobs = 0;
    const Launched first = launch_function(site, program, first_blobs);
    CAPTURE(first.said);
    // The job's lines and nothing else; ours name the image and what runs it.
    CHECK(first.output.starts_with("rank 0 of 1\n"));
    CHECK(count(first.output, "\n") == 31);
    CHECK(first.image().find("@sha256:") != std::string::npos);
    CHECK(count(first.said, " fairing-job-") == 1);
    CHECK(first.said.ends_with(" started\n"));

    const ShellResult ran = engine.run_image(first.image());
    CAPTURE(ran.output);
    CHECK(ran.exit_code == 0);
    CHECK(ran.output.starts_with("rank 0 of 1\n"));
    CHECK(count(ran.output, " loss ") == 30);
    const ShellResult ranked =
        engine.run_image(first.image(), "-e JOB_COMPLETION_INDEX=2 -e WORLD_SIZE=4");
    CHECK(ranked.output.starts_with("rank 2 of 4\n"));
    // Without its own libraries it does not start: the base has not got them.
    const ShellResult bare = engine.run_image(first.image(), "-e LD_LIBRARY_PATH=");
    CHECK(bare.exit_code != 0);
    CHECK(contains(bare.output, "error while loading shared libraries: "));

    // What the base has can stay where it is.
    const ShellResult lean = docker->run_job(program + " --lean-libraries --input examples/data");
    CAPTURE(lean.output);
    CHECK(lean.exit_code == 0);
    CHECK(count(lean.output, " loss ") == 20);
    CHECK(site.errors().find("left to the base image: ") != std::string::npos);

    // Another version of the program.
    const support::Workspace space;
    const std::string edited = space / "04_function";
    REQUIRE(run("sed 's/epoch /EPOCH /' " + program + " >" + edited + " && chmod +x " + edited)
                .exit_code == 0);
    std::size_t second_blobs = 0;
    const Launched second = launch_function(site, edited, second_blobs);
    const Json before = layers_of(first.image()), after = layers_of(second.image());
    REQUIRE(before.size() == after.size());
    std::size_t changed = 0;
    for (std::size_t i = 0; i < before.size(); ++i) {
        changed += before[i] == after[i] ? 0 : 1;
    }
    CHECK(changed == 1);
    // That layer and the image's configuration.
    CHECK(second_blobs == 2);
    CHECK(first_blobs > second_blobs);
    const ShellResult again = engine.run_image(second.image());
    CHECK(again.exit_code == 0);
    CHECK(count(again.output, " loss ") == 30);
    CHECK(contains(again.output, "EPOCH 30 loss "));
}
