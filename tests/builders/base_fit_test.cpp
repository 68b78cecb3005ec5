#include "fairing/builders/base_fit.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "../support/hand_made_image.hpp"
#include "../support/memory_store.hpp"
#include "../support/workspace.hpp"

using namespace fairing;
using support::contains;
using support::error_of;
using support::TarArchive;

namespace {

const std::string library_folder = "usr/lib/some-linux-gnu/";

/// This machine's file of that name, out of the folders where libraries are.
std::string library(const std::string& name) {
    for (const char* folder :
         {"/lib/x86_64-linux-gnu/", "/lib/aarch64-linux-gnu/", "/lib64/", "/usr/lib/"}) {
        if (std::filesystem::exists(folder + name)) {
            return read_file(folder + name);
        }
    }
    return {};
}

/// glibc 2.30 and newer made 2.10 to 2.19: what such a library says of itself.
std::string aged(std::string libc) {
    if (const std::size_t at = libc.find("GLIBC_ABI_DT_RELR"); at != std::string::npos) {
        libc[at] = 'X';  // came with 2.36
    }
    for (std::size_t at = libc.find("GLIBC_2.3"); at != std::string::npos;
         at = libc.find("GLIBC_2.3", at + 1)) {
        if (libc[at + 9] >= '0' && libc[at + 9] <= '9') {
            libc[at + 8] = '1';
        }
    }
    return libc;
}

struct BaseFixture {
    support::MemoryStore store = {};
    support::Workspace space = {};

    [[nodiscard]] Context fit(const TarArchive& layer, Context context,
                              oci::Platform platform = oci::host_platform()) {
        support::HandMade made{.base = {layer}};
        made.base_environment = {"PATH=/bin", "LD_LIBRARY_PATH=/cuda/lib"};
        made.platform = std::move(platform);
        const Image image = made.write(store, "memory");
        const oci::StoredImage stored =
            oci::load_image(store, image.digest, made.platform, "memory");
        return fit_to_base(std::move(context), stored.image, &store, "debian:old", image.digest,
                           space.path(), {});
    }
    /// This test program as a job, and one library.
    [[nodiscard]] Context program() const {
        Context context;
        context.files = {{.source = "/proc/self/exe", .destination = "/app/job"}};
        context.needs.programs = {"/app/job"};
        context.search_paths = {{"LD_LIBRARY_PATH", "/app/lib"}};
        return context;
    }
};

}  // namespace

TEST_CASE("a base with glibc fits; search paths go in front of its own") {
    const std::string libc = library("libc.so.6");
    if (libc.empty()) {
        MESSAGE("skipped: needs the libc.so.6 of a glibc");
        return;
    }
    BaseFixture f;
    const TarArchive base = TarArchive{}.file(library_folder + "libc.so.6", libc);
    const Context fitted = f.fit(base, f.program());
    CHECK(fitted.environment.at("LD_LIBRARY_PATH") == "/app/lib:/cuda/lib");
    // The second time the layers are not read.
    f.store.blobs.clear();
    CHECK_FALSE(std::filesystem::is_empty(f.space / "libraries"));
}

TEST_CASE("a base with an older glibc, without one, or for another processor is an error") {
    const std::string libc = library("libc.so.6");
    if (libc.empty()) {
        MESSAGE("skipped: needs the libc.so.6 of a glibc");
        return;
    }
    BaseFixture f;
    const std::string old = error_of([&] {
        (void)f.fit(TarArchive{}.file(library_folder + "libc.so.6", aged(libc)), f.program());
    });
    CAPTURE(old);
    CHECK(contains(old, "on base image debian:old: it needs glibc 2.3"));
    CHECK(contains(old, "and the image has 2.2"));
    CHECK(contains(old, "take a newer base"));
    CHECK(contains(error_of([&] { (void)f.fit(TarArchive{}.file("etc/x", "y"), f.program()); }),
                   "and the image has none; take a base with glibc"));
    CHECK(contains(error_of([&] {
                       (void)f.fit(TarArchive{}.file("etc/x", "y"), f.program(),
                                   {.architecture = "s390x"});
                   }),
                   "and the image for s390x"));
}

TEST_CASE("lean: a library that the base has in a version that will do is left to it") {
    const std::string libc = library("libc.so.6");
    const std::string runtime = library("libstdc++.so.6");
    if (libc.empty() || runtime.empty()) {
        MESSAGE("skipped: needs libc.so.6 and libstdc++.so.6");
        return;
    }
    BaseFixture f;
    f.space.file("libstdc++.so.6", runtime);
    f.space.file("libother.so.1", runtime);
    Context context = f.program();
    for (const char* name : {"libother.so.1", "libstdc++.so.6"}) {
        context.files.push_back({.source = f.space / name,
                                 .destination = std::string{"/app/lib/"} + name,
                                 .layer = "libraries"});
    }
    const TarArchive base = TarArchive{}
                                .file(library_folder + "libc.so.6", libc)
                                .file("lib/some-linux-gnu/libstdc++.so.6.0.1", runtime)
                                .link(library_folder + "libstdc++.so.6", "libstdc++.so.6.0.1");
    CHECK(f.fit(base, context).files.size() == 3);
    context.needs.lean_libraries = true;
    const Context lean = f.fit(base, context);
    REQUIRE(lean.files.size() == 2);
    CHECK(lean.files[1].destination == "/app/lib/libother.so.1");
    // One that lacks what the program asks of it is no help.
    std::string poor = runtime;
    for (std::size_t at = poor.find("GLIBCXX_3.4"); at != std::string::npos;
         at = poor.find("GLIBCXX_3.4", at + 1)) {
        poor[at] = 'X';
    }
    CHECK(f.fit(TarArchive{}
                    .file(library_folder + "libc.so.6", libc)
                    .file(library_folder + "libstdc++.so.6", poor),
                context)
              .files.size() == 3);
}
