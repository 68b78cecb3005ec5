#include "fairing/preprocessors/function.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "../support/shell.hpp"
#include "../support/workspace.hpp"

using namespace fairing;
using support::contains;
using support::error_of;

namespace {

const ContextFile* file_at(const Context& context, const std::string& destination) {
    for (const ContextFile& file : context.files) {
        if (file.destination == destination) {
            return &file;
        }
    }
    return nullptr;
}

/// A program with libone.so, which needs libtwo.so, found by RUNPATH with $ORIGIN.
bool make_program(const support::Workspace& space) {
    space.file("two.c", "int two(void) { return 2; }\n");
    space.file("one.c", "int two(void); int one(void) { return two() - 1; }\n");
    space.file("main.c", "int one(void); int main(void) { return one() - 1; }\n");
    space.folder("lib");
    return support::run("cd " + space.path().string() +
                        " && cc -shared -fPIC -o lib/libtwo.so two.c && cc -shared -fPIC -o "
                        "lib/libone.so one.c -Llib -ltwo '-Wl,-rpath,$ORIGIN' && cc -o program "
                        "main.c -Llib -lone '-Wl,-rpath,$ORIGIN/lib' -Wl,-rpath-link,lib 2>&1")
               .exit_code == 0;
}

}  // namespace

TEST_CASE("the running program is what is packaged, with its libraries and without glibc") {
    const Context context =
        FunctionPreprocessor{.function = "train", .arguments = {"--epochs", "10"}}.prepare({});
    REQUIRE(context.command.size() == 3);
    CHECK(context.command[0].starts_with("/app/test-"));
    CHECK(context.command[2] == "10");
    CHECK(context.environment.at("FAIRING_FUNCTION") == "train");
    const ContextFile* program = file_at(context, context.command[0]);
    REQUIRE(program != nullptr);
    CHECK(program->layer == "program");
    CHECK(program->mode == 0755);
    const ContextFile* runtime = file_at(context, "/app/.fairing/lib/libstdc++.so.6");
    REQUIRE(runtime != nullptr);
    CHECK(runtime->layer == "libraries");
    CHECK(file_at(context, "/app/.fairing/lib/libc.so.6") == nullptr);
    CHECK(context.search_paths.at("LD_LIBRARY_PATH") == "/app/.fairing/lib");
}

TEST_CASE("libraries are found through RUNPATH and $ORIGIN, also those of libraries") {
    const support::Workspace space;
    if (!make_program(space)) {
        MESSAGE("skipped: needs a C compiler");
        return;
    }
    const Context context =
        FunctionPreprocessor{.executable = space / "program", .path_prefix = "/job"}.prepare({});
    CHECK(file_at(context, "/job/program") != nullptr);
    CHECK(file_at(context, "/job/.fairing/lib/libone.so") != nullptr);
    CHECK(file_at(context, "/job/.fairing/lib/libtwo.so") != nullptr);
    CHECK(context.files.size() == 3);

    std::filesystem::remove(space / "lib/libtwo.so");
    const auto package = [&] {
        (void)FunctionPreprocessor{.executable = space / "program"}.prepare({});
    };
    CHECK(contains(error_of(package), "the shared library libtwo.so"));
    CHECK(contains(error_of(package), "is not on this machine; install it"));
    // The same library of another processor is passed over, and said.
    std::string other = read_file(space / "lib/libone.so");
    other[18] = static_cast<char>(183);
    space.file("lib/libtwo.so", other);
    CHECK(contains(error_of(package), "libtwo.so is for arm64"));
}

TEST_CASE("what is no program is named") {
    const support::Workspace space;
    space.file("text", "no program at all, and long enough");
    const auto said = [&](const std::string& file) {
        return error_of(
            [&] { (void)FunctionPreprocessor{.executable = space / file}.prepare({}); });
    };
    CHECK(contains(said("text"), "it is no ELF file"));
    CHECK(contains(said("absent"), "absent"));
}
