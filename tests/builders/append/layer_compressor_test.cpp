// Whoever compresses: the layer is the same on every number of threads, and what it holds is too.
#include "fairing/builders/append/layer_compressor.hpp"

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <variant>
#include <vector>

#include "../../support/samples.hpp"
#include "../../support/workspace.hpp"
#include "fairing/oci/unpack.hpp"
#include "fairing/packaging/layer_writer.hpp"

using namespace fairing;
using fairing::detail::AnyCompressor;
using fairing::detail::make_compressor;

namespace {

/// Of a file of many kinds each; in order of their names.
struct Files {
    support::Workspace space = {};
    std::vector<ContextFile> all = {};

    Files() {
        add("a_large.txt", support::prose(1'300'000, 1));
        add("b_random.bin", support::random_bytes(700'000, 2));
        add("c_empty", "");
        add("d_zeros", std::string(600'000, '\0'));
        for (int i = 0; i < 40; ++i) {
            add("e_small_" + std::to_string(100 + i),
                support::prose(1 + 97U * static_cast<unsigned>(i), 3));
        }
    }
    void add(const std::string& name, const std::string& text) {
        space.file(name, text);
        all.push_back({.source = space / name, .destination = "/app/" + name, .size = text.size()});
    }
    [[nodiscard]] packaging::LayerBlob layer(const AnyCompressor& compressor,
                                             std::size_t threads) const {
        return std::visit(
            [&](const auto& each) {
                return packaging::write_layer(all, each,
                                              {.threads = threads, .modification_time = 0}, {});
            },
            compressor);
    }
};

template <class Reader>
std::string unpacked_digest(const packaging::LayerBlob& blob) {
    codec::Sha256 hash;
    Reader reader{[&hash](std::span<const std::byte> bytes) { hash.update(bytes); }};
    blob.file.read([&reader](std::span<const std::byte> bytes) { reader.write(bytes); });
    reader.finish();
    return "sha256:" + codec::hex(hash.finish());
}

std::string unpacked_digest(LayerCompressor by, const packaging::LayerBlob& blob) {
    if (by != LayerCompressor::zstd) {
        return unpacked_digest<codec::GunzipReader>(blob);
    }
#if FAIRING_ZSTD
    return unpacked_digest<codec::ZstdReader>(blob);
#else
    return {};
#endif
}

/// What this build has.
std::vector<LayerCompressor> those_there() {
    std::vector<LayerCompressor> there;
    for (const auto& [name, value] : value_names<LayerCompressor>) {
        const std::string list{detail::compressors_there};
        if (list.find(' ' + std::string{name}) != std::string::npos) {
            there.push_back(value);
        }
    }
    return there;
}

}  // namespace

TEST_CASE("a compressor that is there is made; one that is not is refused with what to do") {
    const auto there = those_there();
    CHECK(there.front() == LayerCompressor::gzip);
    CHECK(there.size() == std::variant_size_v<AnyCompressor>);
    for (const auto& [key, value] : value_names<LayerCompressor>) {
        const std::string name{key};
        CAPTURE(name);
        if (std::find(there.begin(), there.end(), value) != there.end()) {
            const std::string recipe = std::visit([](const auto& each) { return each.recipe(); },
                                                  make_compressor(value, 1));
            CHECK(recipe.starts_with(name + " 1 "));
            continue;
        }
        try {
            static_cast<void>(make_compressor(value, 1));
            FAIL("made");
        } catch (const Error& error) {
            CHECK(error.code() == ErrorCode::unsupported);
            CHECK(error.details().advice.find("-D" + name + "=enabled") != std::string::npos);
            CHECK(error.details().advice.find("FAIRING_") != std::string::npos);
        }
    }
}

TEST_CASE("levels from 1 to 9 are every compressor's own, in order of size") {
    const Files files;
    for (const LayerCompressor by : those_there()) {
        CAPTURE(static_cast<int>(by));
        std::set<std::string> recipes;
        for (int level = 1; level <= 9; ++level) {
            recipes.insert(std::visit([](const auto& each) { return each.recipe(); },
                                      make_compressor(by, level)));
        }
        CHECK(recipes.size() == (by == LayerCompressor::isal ? 3 : 9));
        CHECK(files.layer(make_compressor(by, 9), 2).size <
              files.layer(make_compressor(by, 1), 2).size);
    }
}

TEST_CASE("the same layer on every number of threads, with the diff_id of every other compressor") {
    const Files files;
    const std::string diff_id = files.layer(codec::GzipCompressor{}, 1).diff_id;
    std::set<std::string> digests;
    std::size_t made = 0;
    for (const LayerCompressor by : those_there()) {
        for (const int level : {1, 6, 9}) {
            CAPTURE(static_cast<int>(by));
            CAPTURE(level);
            const AnyCompressor compressor = make_compressor(by, level);
            const packaging::LayerBlob first = files.layer(compressor, 1);
            CHECK(first.diff_id == diff_id);
            CHECK(unpacked_digest(by, first) == diff_id);
            for (const std::size_t threads : {2U, 5U}) {
                CHECK(files.layer(compressor, threads).digest == first.digest);
            }
            digests.insert(first.digest);
            ++made;
        }
    }
    CHECK(digests.size() == made);
}

TEST_CASE("segments of an earlier layer fit into the next, whoever made them") {
    Files files;
    for (const LayerCompressor by : those_there()) {
        CAPTURE(static_cast<int>(by));
        const AnyCompressor compressor = make_compressor(by, 1);
        const packaging::LayerBlob before = files.layer(compressor, 2);
        std::vector<std::byte> bytes;
        before.file.read([&bytes](std::span<const std::byte> piece) {
            bytes.insert(bytes.end(), piece.begin(), piece.end());
        });
        std::size_t recalled = 0;
        const packaging::Recall recall = [&](const packaging::Segment& segment,
                                             std::span<const std::byte> input,
                                             std::vector<std::byte>& out) {
            for (const packaging::StoredSegment& stored : before.segments) {
                // Every other one, so that old and new stand side by side.
                if (stored.key == segment.key && segment.file % 2 == 0) {
                    CHECK(stored.size == input.size());
                    const auto found = std::span{bytes}.subspan(
                        static_cast<std::size_t>(stored.offset), stored.compressed_size);
                    out.insert(out.end(), found.begin(), found.end());
                    ++recalled;
                    return true;
                }
            }
            return false;
        };
        const packaging::LayerBlob again = std::visit(
            [&](const auto& each) {
                return packaging::write_layer(
                    files.all, each, {.threads = 1, .modification_time = 0, .recall = recall}, {});
            },
            compressor);
        CHECK(again.digest == before.digest);
        CHECK(recalled > 20);
    }
}
