#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ctime>
#include <fairing/packaging/collect.hpp>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "../support/workspace.hpp"

using namespace fairing::packaging;
using support::contains;
using support::error_of;

namespace {

using Places = std::map<std::string, std::string>;

/// Destination to source, the root cut off.
Places places(const CollectOptions& options, const fairing::Control& control = {}) {
    Places found;
    for (const fairing::ContextFile& file : collect(options, control)) {
        const std::string source = file.source.string();
        found[file.destination] = source.starts_with(options.root.string() + '/')
                                      ? source.substr(options.root.string().size() + 1)
                                      : source;
    }
    return found;
}

}  // namespace

TEST_CASE("files, folders and globs land below the prefix") {
    const support::Workspace space;
    space.file("train.py");
    space.file("data/a.csv");
    space.file("data/deep/b.csv");
    space.file("lib/x.py");
    space.file("lib/y.txt");
    CollectOptions options{.inputs = {"train.py", "data/", "lib/*.py", "./train.py"},
                           .root = space.path()};
    CHECK(places(options) == Places{{"/app/data/a.csv", "data/a.csv"},
                                    {"/app/data/deep/b.csv", "data/deep/b.csv"},
                                    {"/app/lib/x.py", "lib/x.py"},
                                    {"/app/train.py", "train.py"}});
    options.path_prefix = "/srv/job";
    options.inputs = {space / "train.py"};
    CHECK(places(options) == Places{{"/srv/job/train.py", "train.py"}});
    options.inputs = {"."};
    CHECK(places(options).size() == 5);
    CHECK(destination_of("lib/../train.py", options) == "/srv/job/train.py");
}

TEST_CASE("what lies outside the root lands by its name") {
    const support::Workspace space, other;
    other.file("util.py");
    other.file("pack/m/n.py");
    other.file("pack/o.py");
    other.link("pack/inner", "o.py");
    space.file("x");
    const CollectOptions options{.inputs = {other / "util.py", other / "pack"},
                                 .root = space.path()};
    CHECK(places(options) == Places{{"/app/util.py", other / "util.py"},
                                    {"/app/pack/m/n.py", other / "pack/m/n.py"},
                                    {"/app/pack/o.py", other / "pack/o.py"},
                                    {"/app/pack/inner", other / "pack/inner"}});
    const CollectOptions up{.inputs = {"../" + other.path().filename().string() + "/util.py"},
                            .root = space.path()};
    CHECK(places(up) == Places{{"/app/util.py", other / "util.py"}});
}

TEST_CASE("a root that is reached through a link is the same root") {
    const support::Workspace space, other;
    space.file("sub/train.py");
    other.link("way", space.path().string());
    const CollectOptions options{.inputs = {space / "sub/train.py"}, .root = other / "way"};
    CHECK(places(options) == Places{{"/app/sub/train.py", "sub/train.py"}});
}

TEST_CASE("the output map says where things land, the nearest entry first") {
    const support::Workspace space;
    for (const char* name : {"train.py", "data/a", "data/b", "data/in/c", "conf"}) {
        space.file(name);
    }
    const CollectOptions options{
        .inputs = {".", "data/b"},
        .output_map = {{"data", "/mnt/data"}, {"data/in/c", "c"}, {"conf", "/etc/job/"}},
        .root = space.path()};
    CHECK(places(options) == Places{{"/app/c", "data/in/c"},
                                    {"/app/train.py", "train.py"},
                                    {"/etc/job/conf", "conf"},
                                    {"/mnt/data/a", "data/a"},
                                    {"/mnt/data/b", "data/b"}});
    CHECK(destination_of("data/b", options) == "/mnt/data/b");
    CHECK(destination_of("train.py", options) == "/app/train.py");
    CHECK(contains(error_of([&] {
                       (void)collect({.output_map = {{"nothing", "/x"}}, .root = space.path()}, {});
                   }),
                   "nothing"));
}

TEST_CASE("42 destinations that can not be are refused by name") {
    const support::Workspace space;
    space.file("a");
    space.file("b");
    space.file("sub/a");
    const auto said = [&](std::map<std::string, std::string> map,
                          std::vector<std::filesystem::path> inputs) {
        return error_of([&] {
            (void)collect({.inputs = inputs, .output_map = map, .root = space.path()}, {});
        });
    };
    CHECK(contains(said({{"a", "../up"}}, {}), "a as ../up"));
    CHECK(contains(said({{"a", "/app/../etc/x"}}, {}), ".."));
    CHECK(contains(said({{"a", "/usr"}}, {}), "/usr"));
    CHECK(contains(said({{"a", "/app/.wh.b"}}, {}), ".wh."));
    CHECK(contains(said({{"a", ""}}, {}), "empty"));
    const std::string both = said({{"a", "/app/b"}}, {"b"});
    CHECK(contains(both, space / "a"));
    CHECK(contains(both, space / "b"));
    CHECK(contains(said({{"a", "/app/sub"}}, {"sub"}), "already is the file /app/sub"));
    space.file("sub/.wh.x");
    CHECK(contains(said({}, {"sub"}), ".wh."));
}

TEST_CASE("38 a name with a newline or bytes that are no UTF-8 is refused, escaped") {
    const support::Workspace space;
    space.file("line\nbreak");
    CHECK(contains(error_of([&] { (void)collect({.inputs = {"."}, .root = space.path()}, {}); }),
                   "line\\x0abreak"));
    const support::Workspace second;
    second.file("b\xff");
    CHECK(contains(error_of([&] { (void)collect({.inputs = {"."}, .root = second.path()}, {}); }),
                   "b\\xff"));
}

TEST_CASE("what is missing is named") {
    const support::Workspace space;
    space.file("a");
    const auto said = [&](const char* input) {
        return error_of([&] { (void)collect({.inputs = {input}, .root = space.path()}, {}); });
    };
    CHECK(contains(said("nothing.py"), "nothing.py: No such file"));
    CHECK(contains(said("*.py"), "*.py: no file matches"));
    CHECK(contains(said(""), "no name of a file"));
    CHECK(contains(said("a["), "use pattern"));
}

TEST_CASE("a name with wildcard characters that exists is taken as it is") {
    const support::Workspace space;
    space.file("data[1].csv");
    space.file("data1.csv");
    CHECK(places({.inputs = {"data[1].csv"}, .root = space.path()}) ==
          Places{{"/app/data[1].csv", "data[1].csv"}});
}

TEST_CASE("43 what can not be read is named") {
    if (::geteuid() != 0) {
        const support::Workspace space;
        space.file("closed", "x", 0000);
        CHECK(
            contains(error_of([&] { (void)collect({.inputs = {"."}, .root = space.path()}, {}); }),
                     "closed: Permission denied"));
        return;
    }
    const support::Workspace space;
    space.file("closed", "x", 0000);
    space.folder("locked");
    ::chmod((space / "locked").c_str(), 0000);
    ::chmod(space.path().c_str(), 0755);
    if (::seteuid(65534) != 0) {
        MESSAGE("skipped: can not become another user here");
        return;
    }
    const std::string file =
        error_of([&] { (void)collect({.inputs = {"closed"}, .root = space.path()}, {}); });
    const std::string folder =
        error_of([&] { (void)collect({.inputs = {"locked"}, .root = space.path()}, {}); });
    REQUIRE(::seteuid(0) == 0);
    CHECK(contains(file, "closed: Permission denied"));
    CHECK(contains(folder, "locked: Permission denied"));
}

TEST_CASE("44 secrets are left out and said once; asked for, they are taken") {
    const support::Workspace space;
    for (const char* name :
         {"train.py", ".git/config", ".env", "keys/id_rsa", "keys/id_rsa.pub", "certs/a.pem"}) {
        space.file(name);
    }
    support::Log log;
    CollectOptions options{.inputs = {".", "certs/*.pem"}, .root = space.path()};
    CHECK(places(options, log.control()) ==
          Places{{"/app/keys/id_rsa.pub", "keys/id_rsa.pub"}, {"/app/train.py", "train.py"}});
    REQUIRE(log.lines.size() == 1);
    CHECK(contains(log.lines[0],
                   ".env (.env*), .git (.git), certs/a.pem (*.pem), keys/id_rsa (id_*);"));
    CHECK(contains(log.lines[0], "--include-secrets"));
    options.secrets = Secrets::include;
    CHECK(places(options, log.control()).size() == 6);
    CHECK(log.lines.size() == 1);
}

TEST_CASE("44 a secret that is named itself is an error that says how to ask for it") {
    const support::Workspace space;
    space.file(".env");
    space.file(".ssh/config");
    for (const char* name : {".env", ".ssh", ".ssh/config"}) {
        CAPTURE(name);
        CollectOptions options{.inputs = {name}, .root = space.path()};
        const std::string text = error_of([&] { (void)collect(options, {}); });
        CHECK(contains(text, name));
        CHECK(contains(text, "--include-secrets"));
        CHECK(
            contains(error_of([&] {
                         (void)collect({.output_map = {{name, "/x/y"}}, .root = space.path()}, {});
                     }),
                     "--include-secrets"));
        options.secrets = Secrets::include;
        CHECK(places(options).size() == 1);
    }
}

TEST_CASE("44 .dockerignore counts, and a named input that it leaves out is an error") {
    const support::Workspace space;
    for (const char* name : {"train.py", "notes.md", "data/a.csv", "data/b.tmp", "cache/x"}) {
        space.file(name);
    }
    space.file(".dockerignore", "*.md\n**/*.tmp\ncache\n.dockerignore\n");
    CollectOptions options{.inputs = {"."}, .root = space.path()};
    CHECK(places(options) ==
          Places{{"/app/data/a.csv", "data/a.csv"}, {"/app/train.py", "train.py"}});
    for (const char* name : {"notes.md", "cache", "cache/x", "*.md", "data/*.tmp"}) {
        CAPTURE(name);
        options.inputs = {"train.py", name};
        const std::string text = error_of([&] { (void)collect(options, {}); });
        CHECK(contains(text, name));
        CHECK(contains(text, ".dockerignore leaves it out"));
    }
    space.file(".dockerignore", "[\n");
    CHECK(contains(error_of([&] { (void)collect(options, {}); }), "line 1"));
}

TEST_CASE("42 links whose target is not packaged are refused") {
    const support::Workspace space;
    space.file("data/real");
    space.link("current", "data/real");
    CollectOptions options{.inputs = {"current"}, .root = space.path()};
    CHECK(contains(error_of([&] { (void)collect(options, {}); }), "not packaged"));
    options.inputs = {"current", "data"};
    CHECK(places(options).size() == 2);
    options.inputs = {"current"};
    options.symlinks = Symlinks::follow;
    CHECK(places(options) == Places{{"/app/current", "data/real"}});
    options.symlinks = Symlinks::keep;
    space.link("shadow", "/etc/shadow");
    options.inputs = {"."};
    CHECK(contains(error_of([&] { (void)collect(options, {}); }), space / "shadow"));
}

TEST_CASE("hard links become files") {
    const support::Workspace space;
    space.file("one", "abc");
    std::filesystem::create_hard_link(space / "one", space / "two");
    const auto files = collect({.inputs = {"."}, .root = space.path()}, {});
    REQUIRE(files.size() == 2);
    CHECK(files[1].kind == fairing::FileKind::regular);
    CHECK(files[1].size == 3);
}

TEST_CASE("many files take time in proportion") {
    const support::Workspace space;
    for (int folder = 0; folder < 40; ++folder) {
        const std::string name = "d" + std::to_string(folder);
        space.folder(name);
        for (int file = 0; file < 250; ++file) {
            const std::string path = space / (name + "/f" + std::to_string(file) + ".py");
            const fairing::UniqueFd made = fairing::open_file(path, O_WRONLY | O_CREAT, 0644);
        }
    }
    space.file(".dockerignore", "**/*.pyc\n**/__pycache__\n!keep\nbuild/**\n");
    const std::clock_t start = std::clock();  // our own time, whatever else runs here
    CHECK(collect({.inputs = {"."}, .root = space.path()}, {}).size() == 10'001);
    CHECK((std::clock() - start) / CLOCKS_PER_SEC < 5);  // 0.05 s, unless instrumented
}
