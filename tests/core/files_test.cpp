#include "fairing/core/files.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <utime.h>

#include "../support/process_table.hpp"

using namespace fairing;

TEST_CASE("a descriptor is closed once, by its last owner") {
    const std::size_t before = support::open_descriptors();
    {
        UniqueFd first = open_file("/dev/null", O_RDONLY);
        UniqueFd second = std::move(first);
        CHECK_FALSE(first);
        CHECK(second);
        first = std::move(second);
        CHECK(first);
        CHECK((::fcntl(first.get(), F_GETFD) & FD_CLOEXEC) != 0);
        UniqueFd third = open_file("/dev/null", O_RDONLY);
        third.reset();
        CHECK_FALSE(third);
    }
    CHECK(support::open_descriptors() == before);
}

TEST_CASE("whole files are read and replaced; nothing half-written stays") {
    const TemporaryDirectory folder;
    const std::filesystem::path path = folder.path() / "file";
    write_file(path, std::string_view{"one"});
    write_file(path, std::string_view{"two"}, 0600);
    CHECK(read_file(path) == "two");
    struct stat status {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    CHECK((status.st_mode & 07777) == 0600);
    CHECK(std::distance(std::filesystem::directory_iterator{folder.path()}, {}) == 1);
    CHECK_THROWS_AS(write_file(folder.path() / "no/such/file", std::string_view{"x"}), Error);
    CHECK_THROWS_AS(write_file(folder.path(), std::string_view{"over a directory"}), Error);
    CHECK(std::distance(std::filesystem::directory_iterator{folder.path()}, {}) == 1);
}

TEST_CASE("reading: limits, kinds and absence are errors that name the file") {
    const TemporaryDirectory folder;
    const std::filesystem::path path = folder.path() / "file";
    write_file(path, std::string_view{"12345"});
    CHECK(read_file(path, 5) == "12345");
    CHECK_THROWS_WITH_AS(static_cast<void>(read_file(path, 4)),
                         doctest::Contains("longer than 4 bytes"), Error);
    CHECK_THROWS_WITH_AS(static_cast<void>(read_file(folder.path() / "none")),
                         doctest::Contains("none"), Error);
    CHECK_THROWS_AS(static_cast<void>(read_file(folder.path())), Error);
    CHECK_THROWS_AS(static_cast<void>(read_file("/dev/zero", 1000)), Error);
}

TEST_CASE("writing to a full device is an error that names the file") {
    const UniqueFd full = open_file("/dev/full", O_WRONLY);
    CHECK_THROWS_WITH_AS(write_all(full.get(), std::as_bytes(std::span{"x", 1}), "blob"),
                         "cannot write blob: No space left on device", Error);
}

TEST_CASE("a temporary file has no name, and is read again from anywhere") {
    const TemporaryDirectory folder;
    TemporaryFile file{folder.path()};
    CHECK(std::filesystem::is_empty(folder.path()));
    const std::string text(300000, 'x');
    file.append(std::as_bytes(std::span{text}));
    file.append(std::as_bytes(std::span{"end", 3}));
    CHECK(file.size() == 300003);
    for (int i = 0; i < 2; ++i) {
        std::string read;
        file.read([&read](std::span<const std::byte> part) {
            read.append(reinterpret_cast<const char*>(part.data()), part.size());
        });
        CHECK(read == text + "end");
    }
    std::string tail;
    file.read(
        [&tail](std::span<const std::byte> part) {
            tail.append(reinterpret_cast<const char*>(part.data()), part.size());
        },
        300001);
    CHECK(tail == "nd");
    CHECK_THROWS_AS(TemporaryFile{folder.path() / "none"}, Error);
}

TEST_CASE("a temporary directory is private and goes with everything in it") {
    std::filesystem::path path;
    {
        TemporaryDirectory first;
        path = first.path();
        struct stat status {};
        REQUIRE(::stat(path.c_str(), &status) == 0);
        CHECK((status.st_mode & 07777) == 0700);
        std::filesystem::create_directories(path / "a/b");
        write_file(path / "a/b/c", std::string_view{"x"});
        std::filesystem::create_symlink("/", path / "a/link");
        ::chmod((path / "a/b").c_str(), 0);
        ::chmod((path / "a").c_str(), 0500);
        const TemporaryDirectory second = std::move(first);
        CHECK(std::filesystem::exists(path));
    }
    CHECK_FALSE(std::filesystem::exists(path));
    CHECK(std::filesystem::exists("/tmp"));
    CHECK_THROWS_AS(TemporaryDirectory{"/nowhere"}, Error);
}

TEST_CASE("what a killed process left is swept by the next one, what lives is not") {
    const TemporaryDirectory parent;
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        const TemporaryDirectory left{parent.path()};
        ::kill(::getpid(), SIGKILL);
    }
    ::waitpid(child, nullptr, 0);
    const auto entries = [&parent] {
        return std::distance(std::filesystem::directory_iterator{parent.path()}, {});
    };
    REQUIRE(entries() == 1);
    const TemporaryDirectory living{parent.path()};
    CHECK(entries() == 2);  // too young to judge
    const utimbuf old{.actime = 1000, .modtime = 1000};
    for (const auto& entry : std::filesystem::directory_iterator{parent.path()}) {
        ::utime(entry.path().c_str(), &old);
    }
    { const TemporaryDirectory next{parent.path()}; }
    CHECK(entries() == 1);
    CHECK(std::filesystem::exists(living.path()));
}
