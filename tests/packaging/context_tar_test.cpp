#include "fairing/packaging/context_tar.hpp"

#include <doctest/doctest.h>

#include <fairing/codec/gzip.hpp>
#include <fairing/packaging/layer_writer.hpp>
#include <map>
#include <stop_token>

#include "../support/workspace.hpp"

using namespace fairing;
using packaging::ContextTar;

namespace {

struct Bench {
    support::Workspace space = {};
    Context context = {};

    void file(const std::string& name, const std::string& text, unsigned mode = 0644) {
        space.file(name, text);
        context.files.push_back({.source = space / name,
                                 .destination = "/app/" + name,
                                 .mode = mode,
                                 .size = text.size()});
    }
    [[nodiscard]] ContextTar tar(Control control = {}) const {
        return ContextTar{context, {{"Dockerfile", "FROM scratch\n"}}, std::move(control)};
    }
};

struct Members {
    std::map<std::string, std::string> texts = {};
    std::map<std::string, codec::TarEntry> entries = {};
    std::uint64_t size = 0;
};

Members members_of(ContextTar& tar) {
    Members members;
    std::string* current = nullptr;
    codec::TarReader reader{[&](const codec::TarEntry& entry) {
                                CHECK_FALSE(members.entries.contains(entry.path));
                                members.entries[entry.path] = entry;
                                current = &members.texts[entry.path];
                            },
                            [&](std::span<const std::byte> bytes) {
                                current->append(reinterpret_cast<const char*>(bytes.data()),
                                                bytes.size());
                            }};
    tar.write([&](std::span<const std::byte> bytes) {
        members.size += bytes.size();
        reader.write(bytes);
    });
    reader.finish();
    return members;
}

}  // namespace

TEST_CASE("the archive holds texts and files, is as long as it says, and is the same again") {
    Bench bench;
    const std::string large(packaging::piece_size * 2 + 77, 'x');
    bench.file("a\"$(b)\n", "1", 0755);
    bench.file("empty", "");
    bench.file("large", large);
    bench.space.link("link", "large");
    bench.context.files.push_back({.source = bench.space / "link",
                                   .destination = "/app/link",
                                   .kind = FileKind::symlink,
                                   .link_target = "large"});
    std::vector<Progress> shown;
    ContextTar tar = bench.tar({.progress = [&](const Progress& value) { shown.push_back(value); }});
    for (int replay = 0; replay < 2; ++replay) {
        const Members members = members_of(tar);
        CHECK(members.size == tar.size());
        CHECK(members.texts.size() == 5);
        CHECK(members.texts.at("Dockerfile") == "FROM scratch\n");
        CHECK(members.texts.at("app/a\"$(b)\n") == "1");
        CHECK(members.entries.at("app/a\"$(b)\n").mode == 0755);
        CHECK(members.texts.at("app/large") == large);
        CHECK(members.entries.at("app/link").link_target == "large");
        CHECK(members.entries.at("app/large").mtime == 0);
    }
    CHECK(tar.files_size() == large.size() + 1);
    CHECK(shown.back().done == tar.files_size());
    CHECK(shown.back().total == tar.files_size());

    // The digest is the one that the other builders compute.
    packaging::ContextDigest digest;
    digest.add(bench.context.files,
               packaging::write_layer(bench.context.files, codec::GzipCompressor{}, {}, {}).contents);
    CHECK(tar.digest() == digest.finish(bench.context));
}

TEST_CASE("a changed file, a stop and a file in the place of a text are errors") {
    Bench bench;
    bench.file("a", "text");
    {
        std::stop_source source;
        ContextTar tar = bench.tar({.stop = source.get_token()});
        source.request_stop();
        CHECK_THROWS_AS(members_of(tar), Cancelled);
    }
    ContextTar tar = bench.tar();
    bench.space.file("a", "longer text");
    CHECK_THROWS_WITH_AS(members_of(tar), doctest::Contains("changed while being packaged"), Error);
    bench.context.files.front().destination = "/Dockerfile";
    CHECK_THROWS_WITH_AS(static_cast<void>(bench.tar()), doctest::Contains("its own Dockerfile"),
                         Error);
}
