#include "fairing/preprocessors/requirements.hpp"

#include <doctest/doctest.h>

#include "../support/fake_pip.hpp"
#include "../support/workspace.hpp"

using namespace fairing;
using support::contains;
using support::error_of;
using support::FirstInPath;
using support::make_pip;

TEST_CASE("packages are installed once, and become a layer and PYTHONPATH") {
    const support::Workspace space;
    space.file("more.txt", "other\n");
    space.file("requirements.txt", "numpy\n-r more.txt\n");
    make_pip(space, support::installing(space));
    const FirstInPath path{space / "bin"};
    const Session session{.cache_directory = space / "cache"};
    const requirements::Target target{.python_version = "3.9", .platform = "linux/arm64"};
    for (int i = 0; i < 2; ++i) {
        Context context;
        requirements::add(context, space / "requirements.txt", target, "/app/", session);
        REQUIRE(context.files.size() == 1);
        CHECK(context.files[0].destination == "/app/.fairing/site-packages/numpy/__init__.py");
        CHECK(context.files[0].layer == "requirements");
        CHECK(context.search_paths.at("PYTHONPATH") == "/app/.fairing/site-packages");
    }
    std::string calls = read_file(space / "calls");
    CHECK(contains(calls, "--python-version 3.9"));
    CHECK(contains(calls, "manylinux2014_aarch64"));
    CHECK(std::count(calls.begin(), calls.end(), '\n') == 1);
    space.file("more.txt", "another\n");
    Context context;
    requirements::add(context, space / "requirements.txt", target, "/app/", session);
    calls = read_file(space / "calls");
    CHECK(std::count(calls.begin(), calls.end(), '\n') == 2);
}

TEST_CASE("what pip says is said, and nothing is left in the cache") {
    const support::Workspace space;
    space.file("requirements.txt", "nope\n");
    make_pip(space,
             "echo 'ERROR: first' >&2; echo 'ERROR: No matching distribution found for nope' "
             ">&2; exit 1\n");
    const FirstInPath path{space / "bin"};
    Context context;
    const std::string said = error_of([&] {
        requirements::add(context, space / "requirements.txt",
                          {.python_version = "3.11", .platform = "linux/amd64"}, "/app/",
                          {.cache_directory = space / "cache"});
    });
    CHECK(contains(said,
                   "pip says: No matching distribution found for nope; only wheels for "
                   "Python 3.11 on linux/amd64"));
    CHECK(std::filesystem::is_empty(space / "cache/requirements"));
    CHECK(contains(error_of([&] {
                       requirements::add(context, space / "absent.txt", {.python_version = "3.11"},
                                         "/app/", {});
                   }),
                   "absent.txt"));
}

TEST_CASE("without pip, or a version to install for, that is said") {
    const support::Workspace space;
    space.file("requirements.txt", "numpy\n");
    space.folder("empty");
    const support::PathVariable path{space / "empty"};
    const auto said = [&](const std::string& python) {
        return error_of([&] {
            Context context;
            requirements::add(context, space / "requirements.txt", {.python_version = python},
                              "/app/", {.cache_directory = space / "cache"});
        });
    };
    CHECK(contains(said("3.11"), "pip is not on this machine; install it"));
    CHECK(contains(said(""), "the image's Python version is not known; name it with"));
}
