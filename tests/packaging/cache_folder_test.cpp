#include "fairing/packaging/cache_folder.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <cstdlib>

#include "../support/workspace.hpp"

using namespace fairing::packaging;

namespace {

/// Sets a variable for a scope; null takes it away.
class Variable {
public:
    Variable(const char* name, const char* value) : name_(name), before_(fairing::env(name)) {
        set(value);
    }
    Variable(const Variable&) = delete;
    Variable& operator=(const Variable&) = delete;
    ~Variable() { set(before_ ? before_->c_str() : nullptr); }

private:
    void set(const char* value) const {
        value == nullptr ? ::unsetenv(name_) : ::setenv(name_, value, 1);
    }
    const char* name_;
    std::optional<std::string> before_;
};

}  // namespace

TEST_CASE("where the cache is") {
    const Variable home{"HOME", "/home/someone"}, base{"XDG_CACHE_HOME", nullptr};
    const Variable own{"FAIRING_CACHE", nullptr};
    CHECK(default_cache_directory() == "/home/someone/.cache/fairing");
    const Variable base_set{"XDG_CACHE_HOME", "/var/c"};
    CHECK(default_cache_directory() == "/var/c/fairing");
    const Variable own_set{"FAIRING_CACHE", "/my/cache"};
    CHECK(default_cache_directory() == "/my/cache");
    const Variable relative{"XDG_CACHE_HOME", "relative is to be ignored"};
    const Variable no_own{"FAIRING_CACHE", nullptr}, no_home{"HOME", nullptr};
    CHECK(default_cache_directory().empty());
}

TEST_CASE("entries are private, and gone when they are removed") {
    const support::Workspace space;
    const CacheFolder folder{space.path() / "deep/cache"};
    REQUIRE(folder.enabled());
    struct stat status {};
    REQUIRE(::stat(folder.path().c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0700);
    CHECK_FALSE(folder.read("a"));
    CHECK(folder.write("a", "text"));
    CHECK(folder.read("a") == "text");
    REQUIRE(::stat(folder.path("a").c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
    CHECK(folder.open("a", 4));
    CHECK_FALSE(folder.open("a", 5));
    CHECK(folder.size().bytes == 4);
    folder.remove("a");
    CHECK_FALSE(folder.read("a"));
}

TEST_CASE("a file without a name is kept under one, and still readable") {
    const support::Workspace space;
    const CacheFolder folder{space.path()};
    fairing::TemporaryFile here{folder.path()};
    here.append(std::as_bytes(std::span{"layer", 5}));
    CHECK(folder.keep("blob", here));
    CHECK(folder.keep("blob", here));
    CHECK(folder.read("blob") == "layer");
    fairing::TemporaryFile elsewhere{"/dev/shm"};  // another file system: copied
    elsewhere.append(std::as_bytes(std::span{"other", 5}));
    CHECK(folder.keep("copy", elsewhere));
    CHECK(folder.read("copy") == "other");
    CHECK(folder.size().entries == 2);
}

TEST_CASE("what was not used for longest goes first") {
    const support::Workspace space;
    const CacheFolder folder{space.path()};
    for (const char* name : {"old", "middle", "new"}) {
        folder.write(name, std::string(100, 'x'));
    }
    const auto used = [&](const char* name, time_t when) {
        const timespec times[2] = {{.tv_sec = when, .tv_nsec = 0}, {.tv_sec = when, .tv_nsec = 0}};
        ::utimensat(AT_FDCWD, folder.path(name).c_str(), times, 0);
    };
    used("old", 1000);
    used("middle", 2000);
    used("new", 3000);
    CHECK(folder.read("old"));  // used just now
    folder.shrink(200);
    CHECK(folder.size().entries == 2);
    CHECK_FALSE(folder.read("middle"));
    folder.shrink(0);
    CHECK(folder.size().entries == 0);
}

TEST_CASE("a folder that is not ours alone, or none, keeps nothing") {
    const support::Workspace space;
    space.folder("layers");
    ::chmod((space / "layers").c_str(), 0755);
    for (const CacheFolder& folder :
         {CacheFolder{space.path()}, CacheFolder{{}}, CacheFolder{"/proc/version/nothing"}}) {
        CHECK_FALSE(folder.enabled());
        CHECK_FALSE(folder.write("a", "b"));
        CHECK_FALSE(folder.read("a"));
        CHECK_FALSE(folder.open("a", 1));
        CHECK(folder.size().entries == 0);
        folder.shrink(0);
    }
}
