#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <fairing/packaging/walk.hpp>
#include <string>
#include <vector>

#include "../support/workspace.hpp"

using namespace fairing::packaging;
using support::contains;
using support::error_of;

namespace {

std::vector<std::string> destinations(const support::Workspace& space, const IgnoreRules& rules,
                                      Symlinks symlinks = Symlinks::keep) {
    const fairing::Control control;
    const std::string root = space.path().string();
    Walker walker{{.root = root, .symlinks = symlinks, .ignore = &rules}, control};
    walker.take(root, "/app", root);
    std::vector<std::string> found;
    for (const fairing::ContextFile& file : walker.files()) {
        found.push_back(file.destination);
    }
    std::sort(found.begin(), found.end());
    return found;
}

}  // namespace

TEST_CASE("modes, sizes and kinds are those of the files") {
    const support::Workspace space;
    space.file("run.sh", "12345", 0755);
    ::chmod((space / "run.sh").c_str(), 04751);
    space.link("link", "run.sh");
    const fairing::Control control;
    const IgnoreRules none;
    const std::string root = space.path().string();
    Walker walker{{.root = root, .ignore = &none}, control};
    walker.take(root, "/app", root);
    REQUIRE(walker.files().size() == 2);
    CHECK(walker.files()[0].kind == fairing::FileKind::symlink);
    CHECK(walker.files()[0].link_target == "run.sh");
    CHECK(walker.files()[0].size == 0);
    CHECK(walker.files()[1].mode == 0751);
    CHECK(walker.files()[1].size == 5);
    CHECK(walker.files()[1].source == space / "run.sh");
}

TEST_CASE("44 what is excluded is not looked at, what ! takes again is") {
    const support::Workspace space;
    space.file("a.py");
    space.file("build/x.o");
    space.file("build/keep/y.o");
    space.file("build/keep/z.log");
    space.file("cache/x");
    ::mkfifo((space / "cache/pipe").c_str(), 0600);
    ::mkfifo((space / "build/pipe").c_str(), 0600);
    CHECK(destinations(space, IgnoreRules{"build\ncache\n!build/keep\n*/*/*.log"}) ==
          std::vector<std::string>{"/app/a.py", "/app/build/keep/y.o"});
}

TEST_CASE("41 a FIFO, a socket and a device are named, and nothing hangs") {
    const IgnoreRules none;
    SUBCASE("FIFO") {
        const support::Workspace space;
        ::mkfifo((space / "pipe").c_str(), 0600);
        CHECK(contains(error_of([&] { destinations(space, none); }), "pipe: a named pipe (FIFO)"));
    }
    SUBCASE("socket") {
        const support::Workspace space;
        const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        (space / "sock").copy(address.sun_path, sizeof(address.sun_path) - 1);
        REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
        CHECK(contains(error_of([&] { destinations(space, none); }), "sock: a socket"));
        ::close(fd);
    }
    SUBCASE("device") {
        const fairing::Control control;
        Walker walker{{.root = "/work", .ignore = &none}, control};
        const std::string text = error_of([&] { walker.take("/dev/zero", "/app/zero", "/dev"); });
        CHECK(contains(text, "/dev/zero: a character device"));
    }
}

TEST_CASE("following links stores what they point to, and refuses loops") {
    const IgnoreRules none;
    const support::Workspace outside;
    outside.file("data/x", "abc");
    const support::Workspace space;
    space.link("data", outside / "data");
    space.link("file", outside / "data/x");
    CHECK(destinations(space, none, Symlinks::follow) ==
          std::vector<std::string>{"/app/data/x", "/app/file"});
    SUBCASE("42 to itself") {
        space.link("self", "self");
        CHECK(contains(error_of([&] { destinations(space, none, Symlinks::follow); }),
                       "leads back to itself"));
    }
    SUBCASE("42 to a folder above it") {
        space.link("deep/up", "..");
        CHECK(contains(error_of([&] { destinations(space, none, Symlinks::follow); }),
                       "leads back to a folder that holds it"));
    }
    SUBCASE("42 to nothing") {
        space.link("nothing", "nowhere");
        CHECK(contains(error_of([&] { destinations(space, none, Symlinks::follow); }),
                       "does not exist"));
    }
    SUBCASE("44 to a secret") {
        outside.file(".ssh/config");
        space.link("innocent", outside / ".ssh/config");
        CHECK(destinations(space, none, Symlinks::follow) ==
              std::vector<std::string>{"/app/data/x", "/app/file"});
    }
}

TEST_CASE("a tree deeper than there are descriptors is walked") {
    const support::Workspace space;
    std::string path;
    for (int i = 0; i < 300; ++i) {
        path += "d/";
    }
    space.file(path + "x");
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    rlimit few = before;
    few.rlim_cur = 64;
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
    const auto found = destinations(space, IgnoreRules{});
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
    CHECK(found == std::vector<std::string>{"/app/" + path + "x"});
}

TEST_CASE("a stop ends the walk") {
    const support::Workspace space;
    space.file("a/x");
    std::stop_source source;
    source.request_stop();
    const fairing::Control control{.stop = source.get_token()};
    const IgnoreRules none;
    const std::string root = space.path().string();
    Walker walker{{.root = root, .ignore = &none}, control};
    CHECK_THROWS_AS(walker.take(root, "/app", root), fairing::Cancelled);
}
