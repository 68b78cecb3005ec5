#include <doctest/doctest.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fairing/codec/gzip.hpp>
#include <fairing/packaging/collect.hpp>
#include <fairing/packaging/layer_writer.hpp>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "../support/workspace.hpp"

using namespace fairing::packaging;
using fairing::ContextFile;
using fairing::codec::GzipCompressor;
using support::contains;
using support::error_of;

namespace {

/// What a shell command prints, its errors too.
std::string output_of(const std::string& command) {
    std::FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
    REQUIRE(pipe != nullptr);
    std::string text;
    std::array<char, 4096> buffer;
    while (const std::size_t got = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
        text.append(buffer.data(), got);
    }
    const int status = ::pclose(pipe);
    return status == 0 ? text : text + "exit status " + std::to_string(status);
}
bool has_program(const std::string& name) {
    return contains(output_of("command -v " + name), name);
}

/// The layer's file, by a name that other processes can open.
std::string path_of(const LayerBlob& blob) {
    return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(blob.file.fd());
}
std::string bytes_of(const LayerBlob& blob) {
    std::string text;
    blob.file.read([&](std::span<const std::byte> bytes) {
        text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    });
    return text;
}
std::size_t open_files() {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator{"/proc/self/fd"}) {
        count += entry.path().empty() ? 0 : 1;
    }
    return count;
}

/// Text that neither repeats soon nor resists compression.
std::string prose(std::size_t size) {
    std::string text;
    std::uint32_t state = 1;
    while (text.size() < size) {
        state = state * 1664525 + 1013904223;
        text += "word" + std::to_string(state >> 20) + ' ';
    }
    text.resize(size);
    return text;
}

/// A content digest as context_digest.hpp defines it.
std::string content_hex(std::string_view bytes) {
    if (bytes.size() <= piece_size) {
        return fairing::codec::sha256_hex(bytes);
    }
    fairing::codec::Sha256 all;
    for (; !bytes.empty(); bytes.remove_prefix(std::min(bytes.size(), piece_size))) {
        fairing::codec::Sha256 piece;
        piece.update(bytes.substr(0, piece_size));
        all.update(piece.finish());
    }
    return fairing::codec::hex(all.finish());
}

std::vector<ContextFile> collected(const support::Workspace& space) {
    return collect({.inputs = {"."}, .root = space.path()}, {});
}

/// Everything that a layer may hold.
void fill(const support::Workspace& space) {
    space.file("empty", "");
    space.file("one", "1");
    for (const int size : {511, 512, 513}) {
        space.file("sizes/" + std::to_string(size), prose(static_cast<std::size_t>(size)));
    }
    space.file("big.txt", prose(std::size_t{3} << 20));
    space.file("run.sh", "#!/bin/sh\n", 0755);
    space.file("private", "x", 0600);
    space.file("gr\xc3\xbc\xc3\x9f e \xe2\x98\xba", "utf-8");
    space.link("links/file", "../one");
    space.link("links/folder", "../sizes");
}

constexpr std::int64_t some_time = 1'700'000'000;

}  // namespace

TEST_CASE("GNU tar reads back what was packed") {
    if (!has_program("tar") || !has_program("gzip")) {
        MESSAGE("skipped: no tar or no gzip");
        return;
    }
    const support::Workspace space, out;
    fill(space);
    const auto files = collected(space);
    const LayerBlob blob =
        write_layer(files, GzipCompressor{}, {.modification_time = some_time}, {});
    CHECK(output_of("gzip -t < " + path_of(blob)).empty());
    CHECK(output_of("tar -C " + out.path().string() + " -xzpf " + path_of(blob)).empty());
    CHECK(output_of("diff -r --no-dereference " + space.path().string() + " " + (out / "app"))
              .empty());
    CHECK(output_of("stat -c %a " + (out / "app/run.sh")) == "755\n");
    CHECK(output_of("stat -c %a " + (out / "app/private")) == "600\n");
    const std::string list =
        output_of("TZ=UTC tar --numeric-owner --full-time -tvzf " + path_of(blob));
    CHECK(contains(list, "-rwxr-xr-x 0/0              10 2023-11-14 22:13:20 app/run.sh\n"));
    CHECK(contains(list, "app/links/file -> ../one\n"));
    CHECK_FALSE(contains(list, "\nd"));  // no folder: the base's own stay as they are (row 45)
    CHECK_FALSE(list.starts_with('d'));
    CHECK_FALSE(contains(list, "./app"));
}

TEST_CASE("digests and sizes are those of the bytes") {
    if (!has_program("sha256sum") || !has_program("gzip")) {
        MESSAGE("skipped: no sha256sum or no gzip");
        return;
    }
    const support::Workspace space;
    fill(space);
    const auto files = collected(space);
    const LayerBlob blob = write_layer(files, GzipCompressor{}, {}, {});
    CHECK("sha256:" + output_of("sha256sum < " + path_of(blob)).substr(0, 64) == blob.digest);
    CHECK("sha256:" + output_of("gzip -dc < " + path_of(blob) + " | sha256sum").substr(0, 64) ==
          blob.diff_id);
    CHECK(std::stoull(output_of("gzip -dc < " + path_of(blob) + " | wc -c")) ==
          blob.uncompressed_size);
    CHECK(bytes_of(blob).size() == blob.size);
    CHECK(blob.size < blob.uncompressed_size / 2);
    std::uint64_t total = 0;
    REQUIRE(blob.contents.size() == files.size());
    for (std::size_t i = 0; i < files.size(); ++i) {
        total += files[i].size;
        const std::string bytes = files[i].kind == fairing::FileKind::symlink
                                      ? files[i].link_target
                                      : fairing::read_file(files[i].source);
        CHECK(fairing::codec::hex(blob.contents[i]) == content_hex(bytes));
    }
    CHECK(blob.bytes_read == total);
}

TEST_CASE("38 names of any length and in any script: python's tarfile reads them as they are") {
    if (!has_program("python3")) {
        MESSAGE("skipped: no python3");
        return;
    }
    const support::Workspace space;
    std::string expected;
    for (const std::size_t length : {100U, 101U, 155U, 256U, 300U}) {
        std::string name = "app/";
        while (name.size() + 51 < length) {
            name += std::string(50, static_cast<char>('a' + name.size() % 23)) + '/';
        }
        name += std::string(length - name.size(), 'n');
        space.file(name.substr(4), std::to_string(length));
        expected += name + ' ' + std::to_string(length) + '\n';
    }
    space.file("\xe2\x98\xba\xe2\x98\xba", "smile");
    space.file("'quoted' \"names\" $(x) -flag", "q");
    const LayerBlob blob =
        write_layer(collected(space), GzipCompressor{}, {.modification_time = 0}, {});
    const support::Workspace tools;
    tools.file("judge.py",
               "import sys, tarfile\n"
               "with tarfile.open(sys.argv[1]) as archive:\n"
               "    for m in sorted(archive.getmembers(), key=lambda m: (len(m.name), m.name)):\n"
               "        assert (m.uid, m.gid, m.uname, m.gname, m.mtime) == (0, 0, '', '', 0), m\n"
               "        sys.stdout.buffer.write(m.name.encode() + b' ' + "
               "archive.extractfile(m).read() + b'\\n')\n");
    const std::string list = output_of("python3 " + (tools / "judge.py") + ' ' + path_of(blob));
    CHECK(contains(list, expected));
    CHECK(contains(list, "app/\xe2\x98\xba\xe2\x98\xba smile\n"));
    CHECK(contains(list, "app/'quoted' \"names\" $(x) -flag q\n"));
}

TEST_CASE("the bytes are the same for every number of threads") {
    const support::Workspace space;
    fill(space);
    const auto files = collected(space);
    const LayerOptions options{.threads = 1, .modification_time = 0};
    const LayerBlob first = write_layer(files, GzipCompressor{}, options, {});
    for (const std::size_t threads : {0U, 2U, 7U}) {
        const LayerBlob other =
            write_layer(files, GzipCompressor{}, {.threads = threads, .modification_time = 0}, {});
        CHECK(other.digest == first.digest);
        CHECK(other.diff_id == first.diff_id);
        CHECK(bytes_of(other) == bytes_of(first));
    }
}

TEST_CASE("the bytes are the same wherever and whenever the files were made") {
    const support::Workspace space, other;
    fill(space);
    fill(other);
    std::filesystem::last_write_time(other / "one", std::filesystem::file_time_type{});
    const LayerOptions options{.modification_time = 0};
    CHECK(write_layer(collected(space), GzipCompressor{}, options, {}).digest ==
          write_layer(collected(other), GzipCompressor{}, options, {}).digest);
}

TEST_CASE("SOURCE_DATE_EPOCH is every entry's time") {
    ::unsetenv("SOURCE_DATE_EPOCH");
    CHECK(LayerOptions{}.modification_time == 0);
    ::setenv("SOURCE_DATE_EPOCH", "1700000000", 1);
    CHECK(LayerOptions{}.modification_time == some_time);
    for (const char* text : {"", "x", "-1", "1.5", "8589934592", "99999999999999999999", "1\n"}) {
        CAPTURE(text);
        ::setenv("SOURCE_DATE_EPOCH", text, 1);
        CHECK(contains(error_of([] { (void)source_date_epoch(); }), "SOURCE_DATE_EPOCH"));
    }
    ::unsetenv("SOURCE_DATE_EPOCH");
}

TEST_CASE("no file is a layer as well") {
    const LayerBlob blob = write_layer({}, GzipCompressor{}, {}, {});
    CHECK(blob.uncompressed_size == 1024);
    CHECK(blob.contents.empty());
}

TEST_CASE("what is recalled gives the same bytes, and the sink gets them as they are made") {
    const support::Workspace space;
    fill(space);
    const auto files = collected(space);
    const LayerBlob first = write_layer(files, GzipCompressor{}, {.threads = 2}, {});
    const std::string bytes = bytes_of(first);
    CHECK(first.bytes_compressed > bytes.size() - 40);
    std::string sent;
    std::atomic<int> asked = 0;
    const LayerBlob again = write_layer(
        files, GzipCompressor{},
        {.threads = 3,
         .recall =
             [&](const Segment& segment, std::span<const std::byte>, std::vector<std::byte>& out) {
                 ++asked;
                 for (const StoredSegment& stored : first.segments) {
                     if (stored.key == segment.key) {
                         const auto part = std::as_bytes(std::span{bytes})
                                               .subspan(static_cast<std::size_t>(stored.offset),
                                                        stored.compressed_size);
                         out.insert(out.end(), part.begin(), part.end());
                         return true;
                     }
                 }
                 return false;
             },
         .sink =
             [&](std::span<const std::byte> part) {
                 sent.append(reinterpret_cast<const char*>(part.data()), part.size());
             }},
        {});
    CHECK(again.digest == first.digest);
    CHECK(again.bytes_compressed == 0);
    CHECK(static_cast<std::size_t>(asked) == first.segments.size());
    CHECK(sent == bytes);
}

TEST_CASE("an edit changes the segments of its own file alone") {
    const support::Workspace space;
    fill(space);
    const LayerBlob before = write_layer(collected(space), GzipCompressor{}, {}, {});
    space.file("one", "longer than it was");
    const LayerBlob after = write_layer(collected(space), GzipCompressor{}, {}, {});
    REQUIRE(after.segments.size() == before.segments.size());
    std::size_t changed = 0;
    for (std::size_t i = 0; i < after.segments.size(); ++i) {
        changed += after.segments[i].key != before.segments[i].key;
    }
    CHECK(changed == 1);
}

TEST_CASE("40 a file that changes while it is packaged") {
    const support::Workspace space, temporary;
    space.file("aa", "small");
    space.file("big.txt", prose(std::size_t{3} << 20));
    const auto files = collected(space);
    const std::string path = space / "big.txt";
    const std::size_t before = open_files();
    const auto said = [&](const std::function<void()>& change, std::size_t threads) {
        bool changed = false;
        fairing::Control control;
        control.progress = [&](const fairing::Progress& progress) {
            CHECK(progress.step == "build");
            if (progress.done > 1'000'000 && !changed) {
                changed = true;
                change();
            }
        };
        const std::string text = error_of([&] {
            (void)write_layer(files, GzipCompressor{},
                              {.threads = threads, .temporary_directory = temporary.path()},
                              control);
        });
        CHECK(changed);
        CHECK(contains(text, path + ": changed while being packaged"));
        return text;
    };
    const std::string same = prose(std::size_t{3} << 20);
    for (const std::size_t threads : {1U, 3U}) {
        CHECK(contains(said(
                           [&] {
                               std::ofstream{path, std::ios::app} << "more";
                           },
                           threads),
                       "longer"));
        space.file("big.txt", same);
        CHECK(contains(said([&] { std::filesystem::resize_file(path, 1'600'000); }, threads),
                       "shorter"));
        space.file("big.txt", same);
        CHECK(contains(said([&] { space.file("big.txt", same); }, threads), "another file"));
    }
    CHECK(open_files() == before);
    CHECK(std::filesystem::is_empty(temporary.path()));
    CHECK_NOTHROW((void)write_layer(files, GzipCompressor{}, {}, {}));  // once the fault is gone
}

TEST_CASE("43 a full disk: an error that names the directory, and nothing is left") {
    const support::Workspace space, mount;
    std::string noise(std::size_t{1} << 20, '\0');
    std::uint64_t state = 1;
    for (char& byte : noise) {
        state = state * 6364136223846793005U + 1442695040888963407U;
        byte = static_cast<char>(state >> 56);
    }
    space.file("noise", noise);
    const auto files = collected(space);
    const std::size_t before = open_files();
    const LayerOptions options{.threads = 2, .temporary_directory = mount.path()};
    SUBCASE("a small file system") {
        if (::mount("none", mount.path().c_str(), "tmpfs", 0, "size=64k") != 0) {
            MESSAGE("skipped: can not mount a small file system here");
            return;
        }
        const std::string text =
            error_of([&] { (void)write_layer(files, GzipCompressor{}, options, {}); });
        const bool empty = std::filesystem::is_empty(mount.path());
        ::umount2(mount.path().c_str(), MNT_DETACH);
        CHECK(contains(text, mount.path().string() + ": No space left on device"));
        CHECK(contains(text, "TMPDIR"));
        CHECK(empty);
    }
    SUBCASE("a limit on file sizes") {
        const auto handler = std::signal(SIGXFSZ, SIG_IGN);
        rlimit unlimited{};
        REQUIRE(::getrlimit(RLIMIT_FSIZE, &unlimited) == 0);
        rlimit limit = unlimited;
        limit.rlim_cur = 65536;
        REQUIRE(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
        const std::string text =
            error_of([&] { (void)write_layer(files, GzipCompressor{}, options, {}); });
        REQUIRE(::setrlimit(RLIMIT_FSIZE, &unlimited) == 0);
        std::signal(SIGXFSZ, handler);
        CHECK(contains(text, mount.path().string() + ": File too large"));
    }
    CHECK(open_files() == before);
    CHECK(std::filesystem::is_empty(mount.path()));
}

TEST_CASE("a stop ends it, and nothing is left") {
    const support::Workspace space, temporary;
    space.file("big.txt", prose(std::size_t{3} << 20));
    const auto files = collected(space);
    const std::size_t before = open_files();
    std::stop_source source;
    fairing::Control control;
    control.stop = source.get_token();
    control.progress = [&](const fairing::Progress& progress) {
        if (progress.done > 0) {
            source.request_stop();
        }
    };
    CHECK_THROWS_AS(
        (void)write_layer(files, GzipCompressor{},
                          {.threads = 2, .temporary_directory = temporary.path()}, control),
        fairing::Cancelled);
    CHECK(open_files() == before);
    CHECK(std::filesystem::is_empty(temporary.path()));
}

TEST_CASE("progress begins at nothing, never falls, and ends with all") {
    const support::Workspace space;
    fill(space);
    std::vector<fairing::Progress> seen;
    fairing::Control control;
    control.progress = [&](const fairing::Progress& progress) { seen.push_back(progress); };
    const LayerBlob blob =
        write_layer(collected(space), GzipCompressor{}, {.item = "sources"}, control);
    REQUIRE(seen.size() >= 3);
    CHECK(seen.front().done == 0);
    for (std::size_t i = 0; i < seen.size(); ++i) {
        CHECK(seen[i].item == "sources");
        CHECK(seen[i].total == blob.bytes_read);
        CHECK((i == 0 || seen[i].done >= seen[i - 1].done));
    }
    CHECK(seen.back().done == seen.back().total);
}

TEST_CASE("files out of order, twice or without a place are refused") {
    const support::Workspace space;
    space.file("a", "x");
    const auto file = [&](const char* destination) {
        return ContextFile{.source = space / "a", .destination = destination, .size = 1};
    };
    for (const auto& files : {std::vector{file("/b"), file("/a")},
                              std::vector{file("/a"), file("/a")}, std::vector{file("a")}}) {
        CHECK_THROWS_AS((void)write_layer(files, GzipCompressor{}, {}, {}), fairing::Error);
    }
}

TEST_CASE("39 8 GiB and a byte in bounded memory") {
    if (!fairing::env("FAIRING_TEST_LARGE")) {
        MESSAGE("skipped: takes two minutes; FAIRING_TEST_LARGE=1 runs it");
        return;
    }
    const support::Workspace space;
    space.file("huge", "");
    const std::uint64_t size = (std::uint64_t{1} << 33) + 1;
    std::filesystem::resize_file(space / "huge", size);
    rusage before{}, after{};
    ::getrusage(RUSAGE_SELF, &before);
    const LayerBlob blob = write_layer(collected(space), GzipCompressor{.level = 1}, {}, {});
    ::getrusage(RUSAGE_SELF, &after);
    CHECK(after.ru_maxrss - before.ru_maxrss < 64 * 1024);  // KiB
    CHECK(blob.bytes_read == size);
    CHECK(
        contains(output_of("gzip -dc < " + path_of(blob) + " | tar -tvf -"), std::to_string(size)));
}
