#include <doctest/doctest.h>

#include <fairing/packaging/links.hpp>
#include <string>

#include "../support/workspace.hpp"

using fairing::packaging::check_link;
using fairing::packaging::read_link;
using support::contains;
using support::error_of;

namespace {

std::string judge(const support::Workspace& space, const std::string& name) {
    const std::string path = space / name;
    return error_of(
        [&] { check_link(space.path().string(), path, read_link(AT_FDCWD, path.c_str(), path)); });
}

}  // namespace

TEST_CASE("links that stay inside are fine") {
    const support::Workspace space;
    space.file("a/b/file");
    space.link("a/sibling", "b/file");
    space.link("a/up", "../a/./b/file");
    space.link("folder", "a");
    space.link("through", "folder/b/file");
    space.link("back", "folder/../a/sibling");
    for (const char* name : {"a/sibling", "a/up", "folder", "through", "back"}) {
        CAPTURE(name);
        CHECK(judge(space, name).empty());
    }
}

TEST_CASE("42 links that leave, dangle or loop are refused by name") {
    const support::Workspace space;
    space.file("a/file");
    space.link("shadow", "/etc/shadow");
    space.link("inside_but_absolute", space / "a/file");
    space.link("up", "../outside");
    space.link("out", "a/../../x");
    space.link("away", "/tmp");
    space.link("by_another", "away/file");
    space.link("missing", "nothing");
    space.link("file_as_folder", "a/file/x");
    space.link("one", "two");
    space.link("two", "one");
    space.link("self", "self");
    space.link("deeper", "a/../deeper/x");
    const auto said = [&](const char* name, const char* fault) {
        CAPTURE(name);
        const std::string text = judge(space, name);
        CHECK(contains(text, space / name));
        CHECK(contains(text, fault));
    };
    for (const char* name : {"shadow", "inside_but_absolute", "up", "out", "by_another"}) {
        said(name, "leaves the context root");
    }
    said("missing", "does not exist");
    said("file_as_folder", "does not exist");
    for (const char* name : {"one", "self", "deeper"}) {
        said(name, "leads back to itself");
    }
}

TEST_CASE("a long target is read whole") {
    const support::Workspace space;
    const std::string target(3000, 'a');
    space.link("long", target);
    CHECK(read_link(AT_FDCWD, (space / "long").c_str(), "long") == target);
}
