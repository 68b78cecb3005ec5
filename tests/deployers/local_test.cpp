#include "fairing/deployers/local.hpp"

#include <doctest/doctest.h>

#include "../support/hand_made_image.hpp"
#include "../support/workspace.hpp"

using namespace fairing;
using support::HandMade;
using support::TarArchive;

namespace {

struct NotADeployer {
    void deploy(const Image&, const Session&) const {}
};
struct NotARenderer {
    [[nodiscard]] Json manifests(const Image&, const Session&) const { return {}; }
};
static_assert(!Deployer<NotADeployer> && !Renderer<NotARenderer>);

}  // namespace

TEST_CASE("an image in a layout runs as a process, with the exit code of its own program") {
    const support::Workspace space;
    const std::string directory = space / "layout";
    oci::Layout layout{directory};
    const Image image = HandMade{
        .own = {TarArchive{}.file("app/run.sh", "echo line $1; exit 3\n")},
        .command = {"sh", "/app/run.sh",
                    "one"}}.write(layout, "oci:" + directory);
    const LocalDeployer deployer{.isolation = Isolation::process};
    std::vector<std::string> lines;
    const Workload workload = deployer.deploy(image, {});
    const Outcome outcome = workload.follow([&](OutputLine line) { lines.push_back(line.text); });
    CHECK(lines == std::vector<std::string>{"line one"});
    CHECK(outcome.exit_code == 3);
    CHECK(workload.object().kind == "Process");
}

TEST_CASE("an image that is nowhere, or not there, is an error that says so") {
    const LocalDeployer deployer;
    Image image;
    image.command = {"true"};
    image.reference = "job:tag";
    image.location = Location::nowhere;
    CHECK_THROWS_WITH_AS(
        static_cast<void>(deployer.deploy(image, {})),
        "cannot run job:tag: it was built, but is stored nowhere; build it with --registry oci:DIR",
        Error);
    image.location = Location::layout;
    image.reference = "oci:/nowhere/at/all@sha256:" + std::string(64, '0');
    CHECK_THROWS_AS(static_cast<void>(deployer.deploy(image, {})), Error);
}

TEST_CASE("what would run is rendered without I/O, and the same every time") {
    Image image;
    image.command = {"python3", "/app/train.py"};
    image.environment = {{"SEED", "1"}};
    image.reference = "oci:/nowhere@sha256:" + std::string(64, '0');
    const std::vector<Json> manifests = LocalDeployer{}.manifests(image, {});
    REQUIRE(manifests.size() == 1);
    CHECK(manifests[0].at("ociVersion") == "1.0.2");
    CHECK(manifests[0].at("process").at("args")[1] == "/app/train.py");
    CHECK(LocalDeployer{}.manifests(image, {})[0].dump() == manifests[0].dump());
}

TEST_CASE("options by name") {
    const auto deployer = stage_from<LocalDeployer>(
        {{"isolation", "process"}, {"runtime", "runc"}, {"grace_seconds", 5}}, "local");
    CHECK(deployer.isolation == Isolation::process);
    CHECK(deployer.runtime == "runc");
    CHECK(deployer.grace_seconds == 5);
    CHECK(stage_from<LocalDeployer>({{"isolation", "auto"}}, "local").isolation ==
          Isolation::automatic);
    CHECK_THROWS_WITH_AS((void)stage_from<LocalDeployer>({{"isolation", "jail"}}, "local"),
                         doctest::Contains("container"), Error);
    CHECK_THROWS_WITH_AS((void)stage_from<LocalDeployer>({{"isolatoin", "auto"}}, "local"),
                         doctest::Contains("isolation"), Error);
}
