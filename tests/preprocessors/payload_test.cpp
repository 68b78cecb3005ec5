#include <doctest/doctest.h>

#include <fairing/preprocessors/payload.hpp>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "../support/workspace.hpp"

using namespace fairing;
using support::contains;
using support::error_of;

namespace {

struct Stage {
    std::vector<Input> input_files = {};
    std::string path_prefix = "/app/";
    std::map<std::string, std::string> output_map = {};
    bool follow_symlinks = false, include_secrets = false;
};

}  // namespace

TEST_CASE("a stage's members are what is collected") {
    const auto usual = payload::collect_options(Stage{.input_files = {"a", "b"}});
    CHECK(usual.inputs == std::vector<std::filesystem::path>{"a", "b"});
    CHECK(usual.path_prefix == "/app/");
    CHECK(usual.symlinks == packaging::Symlinks::keep);
    CHECK(usual.secrets == packaging::Secrets::leave_out);
    const auto other = payload::collect_options(Stage{.path_prefix = "/x/",
                                                      .output_map = {{"a", "/b"}},
                                                      .follow_symlinks = true,
                                                      .include_secrets = true});
    CHECK(other.path_prefix == "/x/");
    CHECK(other.output_map.at("a") == "/b");
    CHECK(other.symlinks == packaging::Symlinks::follow);
    CHECK(other.secrets == packaging::Secrets::include);
}

TEST_CASE("a context has what every job has, and works in a folder with a slash at its end") {
    const support::Workspace space;
    space.file("a.py");
    for (const char* prefix : {"/work", "/work/"}) {
        const Context context = payload::context_of(
            {.inputs = {space / "a.py"}, .path_prefix = prefix, .root = space.path()}, {});
        REQUIRE(context.files.size() == 1);
        CHECK(context.files[0].destination == "/work/a.py");
        CHECK(context.working_directory == "/work/");
        CHECK(context.environment.at("FAIRING_RUNTIME") == "1");
        CHECK(payload::own_folder(prefix) == "/work/.fairing/");
    }
}

TEST_CASE("files of a stage's own live as long as the context does, in their places") {
    Context context{.files = {{.source = "/nowhere", .destination = "/app/m"}}};
    {
        payload::OwnFiles own;
        own.add("/app/z", "last");
        own.add("/app/a", "first");
        own.add_to(context);
    }
    REQUIRE(context.files.size() == 3);
    CHECK(context.files[0].destination == "/app/a");
    CHECK(context.files[1].destination == "/app/m");
    CHECK(context.files[2].destination == "/app/z");
    CHECK(context.files[2].size == 4);
    CHECK(read_file(context.files[0].source) == "first");
    CHECK(read_file(context.files[2].source) == "last");
    const std::filesystem::path source = context.files[0].source;
    {
        const Context copy = std::exchange(context, {});
        CHECK(std::filesystem::exists(source));
    }
    CHECK_FALSE(std::filesystem::exists(source));
}

TEST_CASE("an input in the place of one is a conflict that names both, and changes nothing") {
    Context context{.files = {{.source = "/home/me/a", .destination = "/app/a"}}};
    payload::OwnFiles own;
    own.add("/app/b", "x");
    own.add("/app/a", "x");
    CHECK(contains(error_of([&] { own.add_to(context); }),
                   "cannot write /app/a: /home/me/a is packaged at that place"));
    CHECK(context.files.size() == 1);
    CHECK(context.keeps.empty());
}

TEST_CASE("a list of many is shown in short") {
    CHECK(payload::shortlist({}).empty());
    CHECK(payload::shortlist({"a", "b\n"}) == "a, b\\x0a");
    CHECK(payload::shortlist({"1", "2", "3", "4", "5", "6"}).ends_with(", 6"));
    CHECK(payload::shortlist({"1", "2", "3", "4", "5", "6", "7", "8"}).ends_with(", 6 and 2 more"));
}

TEST_CASE("a file is a regular one, or a link to one") {
    const support::Workspace space;
    space.file("file");
    space.folder("folder");
    space.link("link", "file");
    space.link("dangling", "absent");
    CHECK(payload::is_file(space / "file"));
    CHECK(payload::is_file(space / "link"));
    CHECK_FALSE(payload::is_file(space / "folder"));
    CHECK_FALSE(payload::is_file(space / "dangling"));
    CHECK_FALSE(payload::is_file("/dev/null"));
}
