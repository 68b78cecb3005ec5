#include "fairing/codec/elf.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>

#include "../support/shell.hpp"
#include "../support/workspace.hpp"

using namespace fairing;
using support::contains;
using support::error_of;

namespace {

std::string own_bytes() {
    std::ifstream file{"/proc/self/exe", std::ios::binary};
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

}  // namespace

TEST_CASE("this program: its libraries are those that readelf lists") {
    const std::string bytes = own_bytes();
    const codec::ElfFile elf = codec::read_elf(bytes, "this");
    CHECK(elf.bits == 64);
    CHECK(elf.interpreter.find("ld-linux") != std::string::npos);
    CHECK(std::find(elf.needed.begin(), elf.needed.end(), "libc.so.6") != elf.needed.end());
    CHECK(std::any_of(elf.version_needs.begin(), elf.version_needs.end(), [](const auto& need) {
        return need.library == "libc.so.6" && codec::glibc_minor(need.version).value_or(0) >= 34;
    }));
    if (!support::has_program("readelf")) {
        MESSAGE("skipped: needs readelf");
        return;
    }
    std::string listed;
    for (const std::string& name : elf.needed) {
        listed += name + '\n';
    }
    CHECK(support::run("readelf -d /proc/" + std::to_string(::getpid()) +
                       "/exe | sed -n 's/.*(NEEDED).*\\[\\(.*\\)\\].*/\\1/p'")
              .output == listed);
}

TEST_CASE("damaged and foreign files are errors, never a crash") {
    std::string bytes = own_bytes();
    CHECK(contains(error_of([] { (void)codec::read_elf("#!/bin/sh and more text", "x.sh"); }),
                   "x.sh: it is no ELF file"));
    CHECK(contains(error_of([&] { (void)codec::read_elf(bytes.substr(0, 100), "cut"); }),
                   "it is cut off"));
    CHECK(contains(error_of([] { (void)codec::read_elf("", "empty"); }), "it is cut off"));
    // Every byte of the headers, one after the other, made something else.
    for (std::size_t i = 4; i < 64 + 13 * 56; ++i) {
        std::string damaged = bytes.substr(0, 1 << 16);
        damaged[i] = static_cast<char>(damaged[i] ^ 0xff);
        try {
            (void)codec::read_elf(damaged, "damaged");
        } catch (const Error& error) {
            CHECK(error.code() == ErrorCode::input);
        }
    }
    bytes[18] = static_cast<char>(183);
    CHECK(codec::read_elf(bytes, "arm").architecture() == "arm64");
}

TEST_CASE("versions of glibc") {
    CHECK(codec::glibc_minor("GLIBC_2.34") == 34);
    CHECK(codec::glibc_minor("GLIBC_2.2.5") == 2);
    CHECK(codec::glibc_minor("GLIBC_ABI_DT_RELR") == 36);
    CHECK_FALSE(codec::glibc_minor("GLIBC_PRIVATE"));
    CHECK_FALSE(codec::glibc_minor("GLIBCXX_3.4"));
}
