#include <doctest/doctest.h>
#include <sys/stat.h>

#include <fairing/packaging/elf_file.hpp>
#include <string>

#include "../support/workspace.hpp"

using fairing::packaging::is_library_of_the_base;
using fairing::packaging::read_elf_file;
using support::contains;
using support::error_of;

TEST_CASE("a file of this machine is read as its bytes are") {
    const std::string bytes = fairing::read_file("/proc/self/exe", std::size_t{1} << 30);
    const fairing::codec::ElfFile here = read_elf_file("/proc/self/exe");
    const fairing::codec::ElfFile expected = fairing::codec::read_elf(bytes, "this");
    CHECK(here.needed == expected.needed);
    CHECK(here.interpreter == expected.interpreter);
    CHECK_FALSE(here.needed.empty());
    const support::Workspace space;
    space.file("cut\n", bytes.substr(0, 100));
    CHECK(contains(error_of([&] { (void)read_elf_file(space / "cut\n"); }), "it is cut off"));
    CHECK(contains(error_of([&] { (void)read_elf_file(space / "cut\n"); }), "/cut\\x0a"));
}

TEST_CASE("what is no file is refused, and never waited for") {
    const support::Workspace space;
    space.folder("folder");
    REQUIRE(::mkfifo((space / "queue").c_str(), 0600) == 0);
    CHECK(contains(error_of([&] { (void)read_elf_file(space / "folder"); }), "it is no file"));
    CHECK(contains(error_of([&] { (void)read_elf_file(space / "queue"); }), "it is no file"));
    CHECK(contains(error_of([&] { (void)read_elf_file(space / "absent"); }),
                   "absent: No such file or directory"));
}

TEST_CASE("glibc and the driver's libraries are no image's") {
    for (const char* name : {"libc.so.6", "libm.so.6", "libpthread.so.0", "ld-linux-x86-64.so.2",
                             "ld-linux-aarch64.so.1", "ld64.so.2", "libnss_dns.so.2",
                             "linux-vdso.so.1", "libcuda.so.1", "libnvidia-ml.so.1"}) {
        CAPTURE(name);
        CHECK(is_library_of_the_base(name));
    }
    for (const char* name :
         {"", "libc.so", "libc.so.60", "libc.musl-x86_64.so.1", "libstdc++.so.6", "libgcc_s.so.1",
          "libcudart.so.12", "libnsskeymgr.so", "/lib/libc.so.6"}) {
        CAPTURE(name);
        CHECK_FALSE(is_library_of_the_base(name));
    }
}
