#include "fairing/oci/unpack.hpp"

#include <doctest/doctest.h>
#include <sys/sysmacros.h>

#include <random>

#include "../support/memory_store.hpp"
#include "../support/process_table.hpp"
#include "../support/tar_archive.hpp"
#include "../support/workspace.hpp"
#include "fairing/oci/media_type.hpp"

using namespace fairing;
using support::TarArchive;

namespace {

/// A directory that layers go onto, with something beside it that must stay as it is.
struct Fixture {
    support::Workspace space = {};
    support::MemoryStore store = {};
    support::Log log = {};
    std::vector<oci::Descriptor> layers = {};

    Fixture() {
        space.folder("root");
        space.file("outside/secret", "untouched", 0600);
    }
    Fixture& layer(const TarArchive& archive) {
        layers.push_back(
            store.add(std::string{oci::media_type::layer_gzip}, codec::gzip(archive.bytes())));
        return *this;
    }
    void unpack(oci::UnpackOptions options = {}) {
        oci::unpack(store, layers, space / "root", options, log.control());
        CHECK(read_file(space / "outside/secret") == "untouched");
    }
    [[nodiscard]] std::string error() {
        const std::string text = support::error_of([&] { unpack(); });
        CHECK(read_file(space / "outside/secret") == "untouched");
        return text;
    }
    [[nodiscard]] std::string text(const std::string& path) const {
        return read_file(space / ("root/" + path));
    }
    [[nodiscard]] bool exists(const std::string& path) const {
        return std::filesystem::exists(std::filesystem::symlink_status(space / ("root/" + path)));
    }
    [[nodiscard]] unsigned mode(const std::string& path) const {
        struct stat status {};
        REQUIRE(::lstat((space / ("root/" + path)).c_str(), &status) == 0);
        return status.st_mode & 07777;
    }
};

}  // namespace

TEST_CASE("files, directories, links and modes") {
    Fixture f;
    f.layer(TarArchive{}
                .folder("app/", 0750)
                .file("app/run.sh", "#!/bin/sh\n", 0755)
                .file("app/empty", "")
                .file("./app/big", std::string(100000, 'b'), 0600)
                .link("app/alias", "run.sh")
                .hard_link("app/same", "app/run.sh")
                .file("/implied/parents/file", "p")
                .special('6', "app/pipe"));
    f.unpack();
    CHECK(f.text("app/run.sh") == "#!/bin/sh\n");
    CHECK(f.mode("app") == 0750);
    CHECK(f.mode("app/run.sh") == 0755);
    CHECK(f.mode("app/big") == 0600);
    CHECK(f.text("app/big").size() == 100000);
    CHECK(f.text("app/empty").empty());
    CHECK(std::filesystem::read_symlink(f.space / "root/app/alias") == "run.sh");
    CHECK(std::filesystem::equivalent(f.space / "root/app/same", f.space / "root/app/run.sh"));
    CHECK(f.text("implied/parents/file") == "p");
    CHECK(std::filesystem::is_fifo(f.space / "root/app/pipe"));
    struct stat status {};
    REQUIRE(::stat((f.space / "root/app/run.sh").c_str(), &status) == 0);
    CHECK(status.st_mtime == 1700000000);
    CHECK(status.st_uid == ::geteuid());
}

TEST_CASE("upper layers replace: file, mode, kind") {
    Fixture f;
    f.layer(TarArchive{}
                .folder("d", 0700)
                .file("d/keep", "1")
                .file("d/change", "old")
                .file("was_file", "x")
                .file("was_folder/inside", "x")
                .link("was_link", "/outside")
                .link("folder_link", "d"));
    f.layer(TarArchive{}
                .folder("d", 0755)
                .file("d/change", "new")
                .folder("was_file")
                .file("was_folder", "now a file")
                .file("was_link", "now a file too")
                .file("folder_link/through", "t"));
    f.unpack();
    CHECK(f.mode("d") == 0755);
    CHECK(f.text("d/keep") == "1");
    CHECK(f.text("d/change") == "new");
    CHECK(std::filesystem::is_directory(f.space / "root/was_file"));
    CHECK(f.text("was_folder") == "now a file");
    CHECK(f.text("was_link") == "now a file too");
    CHECK(f.text("d/through") == "t");  // as in images whose /bin is a link to usr/bin
}

TEST_CASE("a changed file leaves its other hard links alone") {
    Fixture f;
    f.layer(TarArchive{}.file("a", "old").hard_link("b", "a"));
    f.layer(TarArchive{}.file("a", "new").hard_link("a", "a"));
    f.unpack();
    CHECK(f.text("a") == "new");
    CHECK(f.text("b") == "old");
}

TEST_CASE("whiteouts hide what is below, not what the same layer brings") {
    Fixture f;
    f.layer(TarArchive{}
                .file("gone", "x")
                .file("gone_folder/a/b", "x")
                .file("mixed/lower", "x")
                .file("mixed/deep/lower", "x")
                .file("opaque/lower", "x")
                .file("opaque/sub/lower", "x")
                .file("opaque/sub2/lower", "x")
                .link("link", "opaque"));
    f.layer(TarArchive{}
                .file(".wh.gone", "")
                .file(".wh.gone_folder", "")
                .file(".wh.absent", "")
                .file("no/such/.wh.absent", "")
                .file("mixed/deep/own", "o")
                .file(".wh.mixed", "")  // behind what the layer itself puts there
                .file("opaque/own", "o")
                .file("opaque/.wh..wh..opq", "")
                .file("opaque/sub/own", "o")
                .file(".wh..wh.plnk", "")
                .file(".wh.link", ""));
    f.unpack();
    CHECK_FALSE(f.exists("gone"));
    CHECK_FALSE(f.exists("gone_folder"));
    CHECK_FALSE(f.exists("mixed/lower"));
    CHECK_FALSE(f.exists("mixed/deep/lower"));
    CHECK(f.text("mixed/deep/own") == "o");
    CHECK_FALSE(f.exists("opaque/lower"));
    CHECK_FALSE(f.exists("opaque/sub/lower"));
    CHECK_FALSE(f.exists("opaque/sub2"));
    CHECK(f.text("opaque/own") == "o");
    CHECK(f.text("opaque/sub/own") == "o");
    CHECK_FALSE(f.exists("link"));
    CHECK_FALSE(f.exists(".wh.gone"));
    CHECK_FALSE(f.exists("no"));
}

TEST_CASE("hostile: nothing is written, changed or removed outside") {
    const auto error = [](const TarArchive& archive) { return Fixture{}.layer(archive).error(); };
    CHECK_FALSE(error(TarArchive{}.file("../outside/secret", "x")).empty());
    CHECK_FALSE(error(TarArchive{}.file("a/../../outside/secret", "x")).empty());
    CHECK_FALSE(error(TarArchive{}.file("..", "x")).empty());
    CHECK_FALSE(error(TarArchive{}.file("a/..", "x")).empty());
    CHECK_FALSE(error(TarArchive{}.hard_link("mine", "../outside/secret")).empty());
    CHECK_FALSE(error(TarArchive{}.file("../outside/.wh.secret", "")).empty());
    CHECK_FALSE(error(TarArchive{}.file(".wh..", "")).empty());
    CHECK_FALSE(error(TarArchive{}.file(".wh...", "")).empty());
    CHECK_FALSE(error(TarArchive{}.file(".wh.", "")).empty());
    CHECK_FALSE(error(TarArchive{}.file("./", "x")).empty());
    CHECK_FALSE(error(TarArchive{}.hard_link("mine", "nothing")).empty());
    CHECK_FALSE(error(TarArchive{}.folder("d").hard_link("mine", "d")).empty());
    CHECK_FALSE(error(TarArchive{}.file("f", "").file("f/below", "x")).empty());
    CHECK_FALSE(error(TarArchive{}.link("l", "l").file("l/below", "x")).empty());
}

TEST_CASE("hostile: links that lead out lead nowhere") {
    Fixture f;
    f.layer(TarArchive{}
                .link("up", "../outside")
                .file("up/secret", "x")
                .link("far", "../../../../../../../../tmp")
                .file("far/fairing-escaped", "x")
                .link("absolute", "/outside")
                .file("absolute/new", "x")
                .link("file_link", "../outside/secret")
                .file("file_link", "replaces the link")
                .link("a", ".")
                .link("a/b", "..")
                .file("a/b/outside/secret", "x"));
    f.unpack();
    CHECK_FALSE(std::filesystem::exists(f.space / "outside/new"));
    CHECK_FALSE(std::filesystem::exists("/tmp/fairing-escaped"));
    CHECK(f.text("file_link") == "replaces the link");
    CHECK(f.text("outside/secret") == "x");  // inside: below the root
}

TEST_CASE("hostile: whiteouts and hard links through links stay inside") {
    Fixture f;
    f.layer(TarArchive{}.link("up", "../outside"));
    f.layer(TarArchive{}.file("up/.wh.secret", "").file("up/.wh..wh..opq", "").file("ok", "1"));
    f.unpack();
    CHECK(f.text("ok") == "1");
    Fixture g;
    g.layer(TarArchive{}.link("up", "../outside").hard_link("mine", "up/secret"));
    CHECK(support::contains(g.error(), "hard link"));
}

TEST_CASE(
    "setuid bits and owners are dropped, unreadable files become readable, for a user's own tree") {
    Fixture f;
    f.layer(TarArchive{}
                .owned_by(12345, 54321)
                .folder("d", 0500)
                .file("d/su", "x", 06755)
                .file("d/none", "x", 0));
    f.unpack();
    CHECK(f.mode("d/su") == 0755);
    CHECK(f.mode("d/none") == 0400);
    CHECK(f.mode("d") == 0700);
}

TEST_CASE("owners and modes as recorded, for root") {
    if (::geteuid() != 0) {
        MESSAGE("skipped: needs root");
        return;
    }
    Fixture f;
    f.layer(TarArchive{}
                .folder("./", 0711)
                .folder("tmp", 01777)
                .owned_by(1234, 4321)
                .file("su", "x", 04755)
                .link("l", "su")
                .folder("home", 0700));
    f.unpack({.ownership = oci::Ownership::recorded});
    CHECK(f.mode("") == 0711);
    CHECK(f.mode("tmp") == 01777);
    CHECK(f.mode("su") == 04755);
    CHECK(f.mode("home") == 0700);
    for (const char* path : {"root/su", "root/l", "root/home"}) {
        struct stat status {};
        REQUIRE(::lstat((f.space / path).c_str(), &status) == 0);
        CHECK(status.st_uid == 1234);
        CHECK(status.st_gid == 4321);
    }
}

TEST_CASE("device nodes are left out, and said") {
    Fixture f;
    f.layer(TarArchive{}.file("dev/disk", "old").special('4', "dev/disk").special('3', "dev/zero"));
    f.unpack();
    CHECK_FALSE(f.exists("dev/disk"));
    CHECK_FALSE(f.exists("dev/zero"));
    REQUIRE(f.log.lines.size() == 1);
    CHECK(support::contains(f.log.lines.front(), "2 device nodes"));
}

TEST_CASE("media types: plain and gzip, OCI's and Docker's; others are refused by name") {
    const std::string tar = TarArchive{}.file("a", "1").bytes();
    for (const std::string type : {"application/vnd.oci.image.layer.v1.tar",
                                   "application/vnd.docker.image.rootfs.diff.tar"}) {
        Fixture f;
        f.layers.push_back(f.store.add(type, tar));
        f.unpack();
        CHECK(f.text("a") == "1");
    }
    for (const std::string type : {"application/vnd.oci.image.layer.v1.tar+gzip",
                                   "application/vnd.docker.image.rootfs.diff.tar.gzip",
                                   "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
                                   "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"}) {
        Fixture f;
        f.layers.push_back(f.store.add(type, codec::gzip(tar)));
        f.unpack();
        CHECK(f.text("a") == "1");
    }
    for (const std::string type :
         {"application/vnd.oci.image.layer.v1.tar+xz", "application/x-tar-or-so"}) {
        Fixture f;
        f.layers.push_back(f.store.add(type, tar));
        const std::string error = f.error();
        CHECK(support::contains(error, type));
        CHECK(support::contains(error, f.layers.front().digest));
    }
}

TEST_CASE("a zstd layer is read where zstd is there, else refused with what to do") {
    for (const std::string type : {"application/vnd.oci.image.layer.v1.tar+zstd",
                                   "application/vnd.docker.image.rootfs.diff.tar.zstd"}) {
        Fixture f;
        const TarArchive archive = TarArchive{}.file("a", "1").file("b", std::string(300'000, 'x'));
#if FAIRING_ZSTD
        const std::string tar = archive.bytes();
        const auto bytes = std::as_bytes(std::span{tar});
        const codec::ZstdCompressor zstd;
        std::vector<std::byte> packed;
        zstd.block(bytes.first(1000), packed);
        zstd.block(bytes.subspan(1000), packed);
        const std::string whole{reinterpret_cast<const char*>(packed.data()), packed.size()};
        f.layers.push_back(f.store.add(type, whole));
        f.unpack();
        CHECK(f.text("a") == "1");
        CHECK(f.text("b") == std::string(300'000, 'x'));
        for (const std::string& broken :
             {whole.substr(0, whole.size() - 1), std::string{"no zstd"}, std::string{}}) {
            Fixture g;
            g.layers.push_back(g.store.add(type, broken));
            CHECK(support::contains(g.error(), g.layers.front().digest));
        }
#else
        f.layers.push_back(f.store.add(type, archive.bytes()));
        const std::string error = f.error();
        CHECK(support::contains(error, type));
        CHECK(support::contains(error, f.layers.front().digest));
        CHECK(support::contains(error, "-Dzstd=enabled"));
#endif
    }
}

TEST_CASE("a broken layer is an error that names it") {
    const std::string whole = codec::gzip(TarArchive{}.file("a", std::string(5000, 'x')).bytes());
    for (const std::string& bytes :
         {whole.substr(0, whole.size() / 2), std::string{"no gzip"}, std::string{},
          codec::gzip("not a tar archive, but longer than nothing" + std::string(600, 'x'))}) {
        Fixture f;
        f.layers.push_back(f.store.add(std::string{oci::media_type::layer_gzip}, bytes));
        CHECK(support::contains(f.error(), f.layers.front().digest));
    }
}

TEST_CASE("a stop ends it") {
    Fixture f;
    f.layer(TarArchive{}.file("a", "1"));
    std::stop_source source;
    source.request_stop();
    CHECK_THROWS_AS(
        oci::unpack(f.store, f.layers, f.space / "root", {}, {.stop = source.get_token()}),
        Cancelled);
    CHECK_FALSE(f.exists("a"));
}

TEST_CASE("random archives of links and files never leave the root, and leak no descriptor") {
    std::mt19937 random{42};
    const std::vector<std::string> names{"a", "b", "c", "a/b", "a/c", "b/a", "a/b/c", "c/a/b"};
    const std::vector<std::string> targets{
        ".", "..",         "../..",         "a",   "b",        "/a",
        "/", "../outside", "../../outside", "a/b", "/c/../..", "outside"};
    const auto pick = [&random](const auto& list) { return list[random() % list.size()]; };
    const std::size_t before = support::open_descriptors();
    int whole = 0;
    for (int round = 0; round < 300; ++round) {
        Fixture f;
        for (int i = 0; i < 2; ++i) {
            TarArchive archive;
            for (int j = 0; j < 6; ++j) {
                switch (random() % 5) {
                    case 0:
                        archive.link(pick(names), pick(targets));
                        break;
                    case 1:
                        archive.file(pick(names) + "/secret", "overwritten");
                        break;
                    case 2:
                        archive.hard_link(pick(names), pick(names) + "/secret");
                        break;
                    case 3:
                        archive.file(pick(names) + "/.wh.secret", "");
                        break;
                    default:
                        archive.folder(pick(names));
                }
            }
            f.layer(archive);
        }
        whole += f.error().empty() ? 1 : 0;
        CHECK(std::distance(std::filesystem::directory_iterator{f.space / "outside"}, {}) == 1);
        CHECK(std::distance(std::filesystem::directory_iterator{f.space.path()}, {}) == 2);
    }
    CHECK(whole > 0);
    CHECK(support::open_descriptors() == before);
}
