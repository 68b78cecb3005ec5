#include "fairing/core/rooted_tree.hpp"

#include <doctest/doctest.h>

#include <set>

#include "../support/process_table.hpp"
#include "../support/workspace.hpp"

using namespace fairing;
using Missing = RootedTree::Missing;

namespace {

std::string path_of(const std::optional<RootedTree::Place>& place) {
    return place ? place->path : "nothing";
}

}  // namespace

TEST_CASE("links and dots on the way stay inside, as chroot would have it") {
    const support::Workspace space;
    space.file("root/usr/bin/tool");
    space.link("root/bin", "usr/bin");
    space.link("root/abs", "/usr/bin");
    space.link("root/out", "../../../..");
    space.link("root/usr/up", "../..");
    space.link("root/host", "/etc");
    RootedTree tree{space / "root"};
    CHECK(path_of(tree.place("bin/tool", Missing::absent)) == "usr/bin/tool");
    CHECK(path_of(tree.place("/abs/tool", Missing::absent)) == "usr/bin/tool");
    CHECK(path_of(tree.place("out/usr/bin/tool", Missing::absent)) == "usr/bin/tool");
    CHECK(path_of(tree.place("usr/up/abs/../bin/./tool", Missing::absent)) == "usr/bin/tool");
    CHECK(path_of(tree.place("../../etc/passwd", Missing::absent)) == "nothing");
    CHECK(path_of(tree.place("host/passwd", Missing::absent)) == "nothing");
    CHECK(path_of(tree.place("bin", Missing::absent)) == "bin");  // the last one is not followed
    CHECK(path_of(tree.place("", Missing::absent)).empty());
    CHECK(path_of(tree.place("/", Missing::absent)).empty());
    CHECK_THROWS_AS(static_cast<void>(tree.place("usr/..", Missing::absent)), Error);
}

TEST_CASE("missing directories are made inside, also behind a dangling link") {
    const support::Workspace space;
    space.folder("root");
    space.link("root/data", "/var/lib/data");
    RootedTree tree{space / "root"};
    const auto place = tree.place("data/a/file", Missing::create);
    CHECK(path_of(place) == "var/lib/data/a/file");
    CHECK(std::filesystem::is_directory(space / "root/var/lib/data/a"));
    CHECK_FALSE(std::filesystem::exists("/var/lib/data/a"));
    CHECK(path_of(tree.place("nothing/here", Missing::absent)) == "nothing");
}

TEST_CASE("files on the way, loops and depth are errors") {
    const support::Workspace space;
    space.file("root/file");
    space.link("root/loop", "loop");
    space.link("root/a", "b");
    space.link("root/b", "a");
    RootedTree tree{space / "root"};
    CHECK_THROWS_WITH_AS(static_cast<void>(tree.place("file/x", Missing::create)),
                         "cannot use path \"file/x\": \"file\" is not a directory", Error);
    CHECK_THROWS_AS(static_cast<void>(tree.place("loop/x", Missing::create)), Error);
    CHECK_THROWS_AS(static_cast<void>(tree.place("a/x", Missing::create)), Error);
    CHECK_THROWS_AS(static_cast<void>(tree.resolve("a")), Error);
    std::string deep;
    for (int i = 0; i < 300; ++i) {
        deep += "d/";
    }
    CHECK_THROWS_WITH_AS(static_cast<void>(tree.place(deep + 'f', Missing::create)),
                         doctest::Contains("deeper than 256"), Error);
}

TEST_CASE("resolve follows the last link too") {
    const support::Workspace space;
    space.file("root/usr/bin/python3.11", "", 0755);
    space.link("root/usr/bin/python3", "python3.11");
    space.link("root/usr/local/bin/python", "../../bin/python3");
    space.link("root/abs", "/usr/local/bin/python");
    space.link("root/dangling", "/nowhere");
    space.link("root/folder", "usr/");
    RootedTree tree{space / "root"};
    CHECK(path_of(tree.resolve("abs")) == "usr/bin/python3.11");
    CHECK(path_of(tree.resolve("usr/bin/python3.11")) == "usr/bin/python3.11");
    CHECK(path_of(tree.resolve("folder")) == "usr");
    CHECK(path_of(tree.resolve("dangling")) == "nothing");
    CHECK(path_of(tree.resolve("none")) == "nothing");
}

TEST_CASE("removal takes whole directories, never what links point at, and the tree notices") {
    const support::Workspace space;
    space.file("keep/me");
    space.file("root/d/e/f");
    space.link("root/d/out", "../../keep");
    RootedTree tree{space / "root"};
    const std::size_t before = support::open_descriptors();
    REQUIRE(tree.place("d/e/g", Missing::absent));
    tree.remove(*tree.place("d", Missing::absent));
    CHECK_FALSE(std::filesystem::exists(space / "root/d"));
    CHECK(std::filesystem::exists(space / "keep/me"));
    tree.remove(*tree.place("d", Missing::absent));  // again: no error
    const auto place = tree.place("d/e/g", Missing::create);
    CHECK(std::filesystem::is_directory(space / "root/d/e"));
    CHECK(path_of(place) == "d/e/g");
    CHECK(support::open_descriptors() <= before + 2);
}

TEST_CASE("children are listed with their paths") {
    const support::Workspace space;
    space.file("root/d/a");
    space.file("root/d/b");
    RootedTree tree{space / "root"};
    std::set<std::string> paths;
    for (const auto& child : RootedTree::children(*tree.place("d", Missing::absent))) {
        paths.insert(child.path);
    }
    CHECK(paths == std::set<std::string>{"d/a", "d/b"});
    CHECK(RootedTree::children(*tree.place("", Missing::absent)).front().path == "d");
    CHECK_THROWS_AS(static_cast<void>(RootedTree::children(*tree.place("d/a", Missing::absent))),
                    Error);
}

TEST_CASE("names in messages show no control characters") {
    CHECK(RootedTree::shown("a\n\x1b[1m") == "\"a??[1m\"");
}
