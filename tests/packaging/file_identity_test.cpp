#include "fairing/packaging/file_identity.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "../support/workspace.hpp"

using fairing::packaging::FileIdentity;

namespace {

FileIdentity identity_of(const std::string& path) {
    struct stat status {};
    REQUIRE(::lstat(path.c_str(), &status) == 0);
    return FileIdentity::of(status);
}
constexpr std::int64_t second = 1'000'000'000;

}  // namespace

TEST_CASE("recent times are in doubt, those in the future too, coarse ones for longer") {
    const FileIdentity fine{.modified = 100 * second, .changed = 100 * second + 123'456'789};
    CHECK(fine.is_settled(101 * second));
    CHECK_FALSE(fine.is_settled(100 * second + 200'000'000));
    CHECK_FALSE(fine.is_settled(99 * second));
    const FileIdentity coarse{.modified = 100 * second, .changed = 100 * second};
    CHECK_FALSE(coarse.is_settled(102 * second));
    CHECK(coarse.is_settled(103 * second));
    FileIdentity touched = fine;
    touched.modified = 500 * second;
    CHECK_FALSE(touched.is_settled(300 * second));
}

TEST_CASE("an edit that keeps size and mtime, and a replaced file, are another identity") {
    const support::Workspace space;
    space.file("a", "one");
    const FileIdentity before = identity_of(space / "a");
    CHECK(before == identity_of(space / "a"));
    const timespec times[2] = {
        {.tv_sec = before.modified / second, .tv_nsec = before.modified % second},
        {.tv_sec = before.modified / second, .tv_nsec = before.modified % second}};
    while (fairing::packaging::file_clock() < before.changed + 50'000'000) {
    }
    const int fd = ::open((space / "a").c_str(), O_WRONLY);
    CHECK(::pwrite(fd, "two", 3, 0) == 3);
    ::close(fd);
    ::utimensat(AT_FDCWD, (space / "a").c_str(), times, 0);
    const FileIdentity edited = identity_of(space / "a");
    CHECK(edited.modified == before.modified);
    CHECK(edited.size == before.size);
    CHECK(edited != before);
    space.file("a", "two");  // writes another file and renames it
    CHECK(identity_of(space / "a").inode != edited.inode);
}
