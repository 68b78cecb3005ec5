#include "fairing/deployers/local/container_run.hpp"

#include <doctest/doctest.h>

#include "../../support/workspace.hpp"

using namespace fairing;
using namespace fairing::local;

TEST_CASE("a program is looked for as inside the image: PATH, links, usr-merge") {
    const support::Workspace space;
    space.file("root/usr/bin/python3.11", "", 0755);
    space.link("root/usr/bin/python3", "python3.11");
    space.link("root/bin", "usr/bin");
    space.link("root/usr/local/bin/python", "/bin/python3");
    space.file("root/usr/bin/data", "", 0644);
    space.file("root/app/run.sh", "", 0755);
    space.link("root/usr/bin/escape", "../../../../../../../../bin/sh");
    space.folder("root/usr/bin/folder");
    const std::string root = space / "root";
    const std::string path = "/usr/local/bin::/bin";
    const auto find = [&](const std::string& program) {
        return find_in_image(root, program, "/app/", path).value_or("nowhere");
    };
    CHECK(find("python3") == "/usr/bin/python3.11");
    CHECK(find("python") == "/usr/bin/python3.11");
    CHECK(find("/bin/python3") == "/usr/bin/python3.11");
    CHECK(find("./run.sh") == "/app/run.sh");
    CHECK(find("/app/run.sh") == "/app/run.sh");
    CHECK(find("run.sh") == "nowhere");
    CHECK(find("data") == "nowhere");
    CHECK(find("folder") == "nowhere");
    CHECK(find("escape") == "nowhere");  // this machine has a /bin/sh, the image has none
    CHECK(find("sh") == "nowhere");
    CHECK(find("") == "nowhere");
    CHECK(find("/") == "nowhere");
    CHECK(find("..") == "nowhere");
    CHECK(find("../..") == "nowhere");
}

TEST_CASE("a runtime that is named and missing is an error, not a choice") {
    CHECK_THROWS_WITH_AS(static_cast<void>(find_runtime("crun-that-is-not-there")),
                         doctest::Contains("crun-that-is-not-there"), Error);
    CHECK(find_runtime("/bin/sh")->program == "/bin/sh");
    CHECK(Runtime{.program = "/usr/bin/crun"}.is_crun());
    CHECK_FALSE(Runtime{.program = "/usr/sbin/runc"}.is_crun());
}

TEST_CASE("a runtime that does not start the container is the reason, in its own words") {
    const support::Workspace space;
    space.file("broken", "#!/bin/sh\nshift 2; echo 'no user namespaces here' > \"$2\"; exit 1\n",
               0755);
    TemporaryDirectory bundle;
    const std::filesystem::path folder = bundle.path();
    std::filesystem::create_directory(folder / "rootfs");
    Image image;
    image.command = {"true"};
    {
        ContainerRun run{Runtime{.program = space / "broken"}, "job", std::move(bundle),
                         runtime_spec(image, {}), std::chrono::seconds{1}};
        CHECK(std::filesystem::is_directory(folder / "rootfs/app"));
        const RunEnd end = run.follow([](const std::string&) {}, {});
        CHECK(end.exit_code == 69);
        CHECK(support::contains(
            end.reason,
            "broken could not start the container: no user namespaces here; --isolation process"));
    }
    CHECK_FALSE(std::filesystem::exists(folder));
}
