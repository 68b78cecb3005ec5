#include <doctest/doctest.h>
#include <sys/stat.h>

#include <array>
#include <fairing/packaging/source_file.hpp>
#include <filesystem>
#include <string>

#include "../support/workspace.hpp"

using namespace fairing::packaging;
using support::contains;
using support::error_of;

namespace {

fairing::ContextFile entry(const std::string& path, std::uint64_t size) {
    return {.source = path, .destination = "/app/x", .size = size};
}

/// Reads the file whole; `meanwhile` happens before the last byte.
template <class Meanwhile>
std::string read_while(const fairing::ContextFile& file, const Meanwhile& meanwhile) {
    return error_of([&] {
        SourceFile source{file};
        std::string text(file.size, '\0');
        const auto bytes = std::as_writable_bytes(std::span{text});
        source.read(bytes.first(1));
        meanwhile();
        source.read(bytes.subspan(1));
        source.finish();
    });
}

}  // namespace

TEST_CASE("a file that stays as it is is read") {
    const support::Workspace space;
    space.file("x", "abc");
    CHECK(read_while(entry(space / "x", 3), [] {}).empty());
}

TEST_CASE("40 a file that grows, shrinks, is rewritten, replaced or removed while it is read") {
    const support::Workspace space;
    const std::string path = space / "x";
    space.file("x", "abcdef");
    const auto said = [&](const auto& meanwhile, const char* how) {
        const std::string text = read_while(entry(path, 6), meanwhile);
        CHECK(contains(text, path + ": changed while being packaged"));
        CHECK(contains(text, how));
    };
    SUBCASE("grows") {
        said([&] { std::filesystem::resize_file(path, 7); }, "longer");
    }
    SUBCASE("shrinks") {
        said([&] { std::filesystem::resize_file(path, 2); }, "shorter");
    }
    SUBCASE("is rewritten in place") {
        said(
            [&] {
                const fairing::UniqueFd file = fairing::open_file(path, O_WRONLY);
                fairing::write_all(file.get(), std::as_bytes(std::span{"ABC", 3}), path);
                const std::array<timespec, 2> times = {timespec{1, 0}, timespec{1, 5}};
                ::futimens(file.get(), times.data());
            },
            "written to");
    }
    SUBCASE("is replaced") {
        said([&] { space.file("x", "abcdef"); }, "another file took its place");
    }
    SUBCASE("is removed") {
        said([&] { std::filesystem::remove(path); }, "it is gone");
    }
}

TEST_CASE("40 a file that is not what was collected") {
    const support::Workspace space;
    space.file("x", "abc");
    space.file("y", "abc");
    CHECK(contains(read_while(entry(space / "x", 4), [] {}), "3 bytes, where it had 4"));
    CHECK(contains(read_while(entry(space / "gone", 4), [] {}), "it is gone"));
    space.link("link", "x");
    CHECK(contains(read_while(entry(space / "link", 3), [] {}), "a symbolic link took its place"));
}

TEST_CASE("41 a FIFO, a folder and a device are refused without hanging") {
    const support::Workspace space;
    ::mkfifo((space / "pipe").c_str(), 0600);
    CHECK(contains(read_while(entry(space / "pipe", 1), [] {}), "a named pipe (FIFO)"));
    CHECK(contains(read_while(entry("/dev/zero", 1), [] {}), "a character device"));
    CHECK(contains(read_while(entry(space.path().string(), 1), [] {}), "a folder"));
}

TEST_CASE("40 a link that points elsewhere by now") {
    const support::Workspace space;
    space.link("l", "a");
    fairing::ContextFile link{.source = space / "l",
                              .destination = "/app/l",
                              .kind = fairing::FileKind::symlink,
                              .link_target = "a"};
    CHECK_NOTHROW(check_link_unchanged(link));
    link.link_target = "b";
    CHECK(contains(error_of([&] { check_link_unchanged(link); }), "changed while being packaged"));
    link.source = space / "gone";
    CHECK(contains(error_of([&] { check_link_unchanged(link); }), "changed while being packaged"));
}
