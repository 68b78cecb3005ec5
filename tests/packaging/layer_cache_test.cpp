#include "fairing/packaging/layer_cache.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <random>
#include <thread>

#include "../support/workspace.hpp"
#include "fairing/codec/gzip.hpp"

using namespace fairing::packaging;
using fairing::ContextFile;
using fairing::codec::GzipCompressor;

namespace {

constexpr std::int64_t minute = 60'000'000'000;

/// A folder of sources and a cache. Every file counts as settled unless `now` says otherwise.
struct CachedProject {
    support::Workspace sources = {}, cache_space = {};
    LayerCache cache{cache_space.path()};
    LayerRecipe recipe = {.compressor = "gzip 1", .name = "sources"};
    std::int64_t later = file_clock() + minute;  ///< when all that was written is long past

    [[nodiscard]] std::vector<ContextFile> files() const {
        std::vector<ContextFile> result;
        for (const auto& entry : std::filesystem::recursive_directory_iterator{sources.path()}) {
            if (entry.is_regular_file()) {
                struct stat status {};
                REQUIRE(::lstat(entry.path().c_str(), &status) == 0);
                result.push_back(
                    {.source = entry.path(),
                     .destination =
                         "/app/" + entry.path().lexically_relative(sources.path()).string(),
                     .mode = status.st_mode & 0777U,
                     .size = static_cast<std::uint64_t>(status.st_size)});
            }
        }
        std::sort(result.begin(), result.end(),
                  [](const auto& a, const auto& b) { return a.destination < b.destination; });
        return result;
    }
    [[nodiscard]] LayerBlob plain() const {
        return write_layer(files(), GzipCompressor{.level = 1}, {}, {});
    }
    /// As the builder does it.
    LayerBlob build(std::int64_t looked_at) const {
        const auto all = files();
        const KnownSegments known = cache.find_segments(all, recipe);
        LayerBlob blob = write_layer(
            all, GzipCompressor{.level = 1},
            {.temporary_directory = cache.folder().path(),
             .recall =
                 [&](const Segment& segment, std::span<const std::byte> input,
                     std::vector<std::byte>& out) { return known.recall(segment, input, out); }},
            {});
        cache.keep_segments(all, recipe, blob);
        cache.keep_layer(all, blob.identities, recipe,
                         {.digest = blob.digest,
                          .diff_id = blob.diff_id,
                          .size = blob.size,
                          .uncompressed_size = blob.uncompressed_size,
                          .contents = blob.contents},
                         looked_at);
        return blob;
    }
    LayerBlob build() const { return build(later); }
    [[nodiscard]] std::optional<KnownLayer> find() const { return find(later); }
    [[nodiscard]] std::optional<KnownLayer> find(std::int64_t looked_at) const {
        const auto all = files();
        return cache.find_layer(all, identities_of(all), recipe, looked_at);
    }
    /// Another content of the same size, and the old mtime.
    void edit_unseen(const std::string& name, char byte) const {
        const std::string path = sources / name;
        struct stat before {};
        REQUIRE(::lstat(path.c_str(), &before) == 0);
        const int fd = ::open(path.c_str(), O_WRONLY);
        CHECK(::pwrite(fd, &byte, 1, 0) == 1);
        ::close(fd);
        const timespec times[2] = {before.st_mtim, before.st_mtim};
        REQUIRE(::utimensat(AT_FDCWD, path.c_str(), times, 0) == 0);
    }
};

/// Until the clock that stamps files has moved on.
void next_tick() {
    const std::int64_t start = file_clock();
    while (file_clock() < start + 30'000'000) {
    }
}

std::string varied_text(std::size_t size, unsigned seed) {
    std::mt19937 random{seed};
    std::string text;
    while (text.size() < size) {
        text += "word" + std::to_string(random() % 5000) + ' ';
    }
    text.resize(size);
    return text;
}

}  // namespace

TEST_CASE("an unchanged layer is found, with all that it came to") {
    CachedProject project;
    project.sources.file("a.py", "print(1)\n");
    project.sources.file("big.csv", varied_text(std::size_t{1} << 20, 1));
    CHECK_FALSE(project.find());
    const LayerBlob blob = project.build();
    const auto known = project.find();
    REQUIRE(known);
    CHECK(known->digest == blob.digest);
    CHECK(known->diff_id == blob.diff_id);
    CHECK(known->size == blob.size);
    CHECK(known->contents == blob.contents);
    CHECK(known->bytes_read == 0);
    CHECK(project.cache.open_blob(blob.digest, blob.size));
    project.recipe.compressor = "gzip 9";
    CHECK_FALSE(project.find());
    project.recipe = {.compressor = "gzip 1", .modification_time = 1, .name = "sources"};
    CHECK_FALSE(project.find());
}

TEST_CASE("an edit that keeps size and mtime is seen") {
    const CachedProject project;
    project.sources.file("a.py", "print(1)\n");
    project.sources.file("b.py", "print(2)\n");
    project.build();
    next_tick();
    project.edit_unseen("a.py", 'q');
    CHECK_FALSE(project.find());
    CHECK(project.build().digest == project.plain().digest);
}

TEST_CASE("an edit within the tick of the build is seen by its content") {
    const CachedProject project;
    const std::int64_t now = file_clock();
    project.sources.file("a.py", "print(1)\n");
    project.build(now);
    CHECK(project.find(now)->bytes_read == 9);  // in doubt, and the same
    // What a write within the same tick leaves: other bytes under the same identity. The record is
    // made to say so.
    const auto files = project.files();
    const auto identities = identities_of(files);
    KnownLayer stale = *project.find(now);
    stale.contents[0][0] ^= std::byte{1};
    project.cache.keep_layer(files, identities, project.recipe, stale, now);
    CHECK_FALSE(project.find(now));
    CHECK_FALSE(project.find(project.later));
}

TEST_CASE("what was in doubt and proved the same is in doubt no longer, once it is old") {
    const CachedProject project;
    const std::int64_t now = file_clock();
    project.sources.file("a.py", "print(1)\n");
    project.build(now);
    CHECK(project.find(now)->bytes_read == 9);
    CHECK(project.find(project.later)->bytes_read == 9);
    CHECK(project.find(project.later)->bytes_read == 0);
}

TEST_CASE("a clock that jumps: times in the future are in doubt") {
    const CachedProject project;
    project.sources.file("a.py", "print(1)\n");
    project.build(file_clock() - 1000 * minute);  // the clock was set back
    CHECK(project.find(file_clock() - 1000 * minute)->bytes_read == 9);
    const timespec future[2] = {{.tv_sec = 4'000'000'000, .tv_nsec = 1},
                                {.tv_sec = 4'000'000'000, .tv_nsec = 1}};
    REQUIRE(::utimensat(AT_FDCWD, (project.sources / "a.py").c_str(), future, 0) == 0);
    CHECK_FALSE(project.find());
    project.build();
    CHECK(project.find()->bytes_read == 9);
}

TEST_CASE("replaced inodes, renames, modes and hard links") {
    const CachedProject project;
    project.sources.file("a.py", "print(1)\n");
    project.sources.file("b.py", "print(2)\n");
    project.build();
    const auto changed = [&](const char* what) {
        CAPTURE(what);
        CHECK_FALSE(project.find());
        CHECK(project.build().digest == project.plain().digest);
        CHECK(project.find());
    };
    next_tick();
    project.sources.file("a.py", "print(3)\n");  // another inode, the same size
    changed("replaced");
    next_tick();
    std::filesystem::rename(project.sources / "a.py", project.sources / "c");
    std::filesystem::rename(project.sources / "b.py", project.sources / "a.py");
    std::filesystem::rename(project.sources / "c", project.sources / "b.py");
    changed("swapped");
    next_tick();
    ::chmod((project.sources / "a.py").c_str(), 0755);
    changed("mode");
    next_tick();
    std::filesystem::create_hard_link(project.sources / "a.py", project.sources / "linked.py");
    changed("linked");
    next_tick();
    project.edit_unseen("linked.py", 'Q');  // changes a.py
    changed("edited through its other name");
    next_tick();
    std::filesystem::rename(project.sources / "linked.py", project.sources / "moved.py");
    changed("moved");
    next_tick();
    std::filesystem::remove(project.sources / "moved.py");
    changed("removed");
}

TEST_CASE("after an edit only its own file is compressed") {
    const CachedProject project;
    for (int i = 0; i < 20; ++i) {
        project.sources.file("m" + std::to_string(i) + ".py",
                             varied_text(20'000, 7U + unsigned(i)));
    }
    const LayerBlob first = project.build();
    project.sources.file("m7.py", varied_text(20'100, 99));
    const LayerBlob second = project.build();
    CHECK(second.digest == project.plain().digest);
    CHECK(second.bytes_compressed > 0);
    CHECK(second.bytes_compressed < first.bytes_compressed / 10);
    project.sources.file("new.py", varied_text(20'000, 100));
    std::filesystem::remove(project.sources / "m3.py");
    const LayerBlob third = project.build();
    CHECK(third.digest == project.plain().digest);
    CHECK(third.bytes_compressed < first.bytes_compressed / 10);
    std::ofstream{project.sources / "m5.py", std::ios::app} << varied_text(600'000, 5);
    project.build();
    std::ofstream{project.sources / "m5.py", std::ios::app} << "a line\n";
    const LayerBlob appended = project.build();  // of a long file the last piece only
    CHECK(appended.digest == project.plain().digest);
    CHECK(appended.bytes_compressed < appended.size / 2);
}

TEST_CASE("a cache damaged at random bytes never gives wrong ones") {
    const CachedProject project;
    for (int i = 0; i < 8; ++i) {
        project.sources.file("m" + std::to_string(i) + ".py", varied_text(3'000, 7U + unsigned(i)));
    }
    const LayerBlob right = project.build();
    const auto contents = right.contents;
    std::mt19937 random{4711};
    for (int round = 0; round < 30; ++round) {
        for (const auto& entry :
             std::filesystem::directory_iterator{project.cache.folder().path()}) {
            std::string bytes = fairing::read_file(entry.path());
            if (round % 3 == 0) {
                bytes.resize(random() % bytes.size());
            } else {
                bytes[random() % bytes.size()] ^= static_cast<char>(1 + random() % 255);
            }
            std::ofstream{entry.path(), std::ios::binary | std::ios::trunc} << bytes;
        }
        if (const auto known = project.find()) {
            CHECK(known->digest == right.digest);
            CHECK(known->contents == contents);
        }
        const LayerBlob again = project.build();
        CHECK(again.digest == right.digest);
        CHECK(again.contents == contents);
        if (round % 2 == 0) {
            project.cache.folder().shrink(0);
            project.build();
        }
    }
}

TEST_CASE("builders at once, and one that removes what they use") {
    const CachedProject project;
    for (int i = 0; i < 8; ++i) {
        project.sources.file("m" + std::to_string(i) + ".py", varied_text(3'000, 7U + unsigned(i)));
    }
    const std::string right = project.plain().digest;
    std::atomic<int> wrong = 0;
    {
        std::vector<std::jthread> builders;
        for (int thread = 0; thread < 3; ++thread) {
            builders.emplace_back([&, thread] {
                for (int round = 0; round < 8; ++round) {
                    const auto known = project.find();
                    wrong += known && known->digest != right;
                    wrong += project.build().digest != right;
                    if (thread == 0 && round % 3 == 0) {
                        project.cache.folder().shrink(0);
                    }
                }
            });
        }
    }
    CHECK(wrong == 0);
}

TEST_CASE("a process killed in the middle of its build leaves nothing that is believed") {
    const CachedProject project;
    project.sources.file("big.csv", varied_text(std::size_t{1} << 20, 1));
    for (int i = 0; i < 20; ++i) {
        project.sources.file("m" + std::to_string(i) + ".py", varied_text(3'000, 7U + unsigned(i)));
    }
    const std::string right = project.plain().digest;
    std::mt19937 random{1};
    for (int round = 0; round < 8; ++round) {
        int pipe_ends[2];
        REQUIRE(::pipe(pipe_ends) == 0);
        const pid_t child = ::fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            const char begun = 'b';
            static_cast<void>(!::write(pipe_ends[1], &begun, 1));
            while (true) {
                static_cast<void>(project.build());
                project.cache.folder().shrink(std::size_t{1} << 20);
            }
        }
        char begun = 0;
        CHECK(::read(pipe_ends[0], &begun, 1) == 1);
        ::usleep(static_cast<useconds_t>(random() % 60'000));
        ::kill(child, SIGKILL);
        ::waitpid(child, nullptr, 0);
        ::close(pipe_ends[0]);
        ::close(pipe_ends[1]);
        if (const auto known = project.find()) {
            CHECK(known->digest == right);
        }
        CHECK(project.build().digest == right);
    }
}

TEST_CASE("documents and repositories") {
    const CachedProject project;
    const std::string text = "{\"mediaType\":\"x\"}", digest = fairing::oci::digest_of(text);
    CHECK_FALSE(project.cache.find_document(digest));
    project.cache.keep_document({.media_type = "application/x", .text = text});
    const auto document = project.cache.find_document(digest);
    REQUIRE(document);
    CHECK(document->text == text);
    CHECK(document->media_type == "application/x");
    CHECK(project.cache.repository_with("r.example", digest).empty());
    project.cache.keep_repository("r.example", digest, "team/job");
    CHECK(project.cache.repository_with("r.example", digest) == "team/job");
    CHECK(project.cache.repository_with("other.example", digest).empty());
}

TEST_CASE("a cache that keeps nothing finds nothing") {
    const LayerCache none;
    CHECK_FALSE(none.find_document(fairing::oci::digest_of("x")));
    none.keep_document({.text = "x"});
    CHECK_FALSE(none.find_layer({}, {}, {}, 0));
    CHECK(none.find_segments({}, {}).empty());
    CHECK(none.repository_with("h", "d").empty());
    none.shrink();
}
