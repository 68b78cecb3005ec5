// 500 MB of this machine's files through every level of ours, and through every other compressor:
// read back by gzip, python, Go and us. Compiled with optimisation; FAIRING_TEST_LARGE=1 runs it.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <fairing/codec/gzip.hpp>
#include <fairing/codec/isal_compressor.hpp>
#include <fairing/codec/libdeflate_compressor.hpp>
#include <fairing/codec/sha256.hpp>
#include <fairing/codec/zlib_compressor.hpp>
#include <fairing/codec/zstd.hpp>
#include <fairing/core/env.hpp>
#include <fairing/core/files.hpp>
#include <fairing/core/parallel.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "../support/samples.hpp"
#include "../support/shell.hpp"

using namespace fairing::codec;
using support::bytes_of;

namespace {

constexpr std::size_t least_size = 520'000'000, largest_file = 40'000'000;

/// Files as blocks, none of which holds bytes of two of them.
struct Corpus {
    std::vector<std::string> files = {};
    std::map<std::string, std::size_t> bytes_of_kind = {};
    std::vector<std::span<const std::byte>> blocks = {};
    std::uint64_t size = 0;
    std::string digest = {};
    std::uint32_t crc = 0;

    static const Corpus& get() {
        static const Corpus corpus;
        return corpus;
    }

private:
    Corpus() {
        add_generated();
        // In percent; what is missing then comes from wherever there is more.
        for (const auto& [root, share] :
             {std::pair{"/usr/lib/python3", 10}, std::pair{"/usr/lib/x86_64-linux-gnu", 20},
              std::pair{"/usr/share/icons", 5}, std::pair{"/usr/share", 20},
              std::pair{"/usr/include", 10}, std::pair{"/usr/bin", 10}, std::pair{"/usr", 100}}) {
            add_folder(root, std::min(size + least_size / 100 * static_cast<std::size_t>(share),
                                      least_size));
        }
        Sha256 hash;
        for (const std::string& file : files) {
            hash.update(file);
            for (auto left = bytes_of(file); !left.empty();) {
                blocks.push_back(left.first(std::min(left.size(), GzipCompressor{}.block_size())));
                left = left.subspan(blocks.back().size());
            }
            crc = crc32(bytes_of(file), crc);
        }
        digest = hex(hash.finish());
        std::string kinds;
        for (const auto& [kind, bytes] : bytes_of_kind) {
            if (bytes > 2'000'000) {
                kinds += ' ' + kind + ' ' + std::to_string(bytes / 1'000'000);
            }
        }
        MESSAGE(files.size() << " files, " << size << " bytes; MB of each kind:" << kinds);
    }
    void add(std::string text, const std::string& kind) {
        size += text.size();
        bytes_of_kind[kind] += text.size();
        files.push_back(std::move(text));
    }
    /// A table of decimal numbers, and an array of floats.
    void add_generated() {
        std::string table, numbers;
        support::Random random{7};
        while (table.size() < 20'000'000) {
            table += (random.below(2) == 0 ? "-0." : "1.") +
                     std::to_string(100'000 + random.below(900'000));
            table += random.below(8) == 0 ? '\n' : ',';
            const float number = static_cast<float>(random.below(1'000'000)) / 3.0e7F - 0.01F;
            numbers.append(reinterpret_cast<const char*>(&number), sizeof number);
        }
        add(std::move(table), ".csv");
        add(std::move(numbers), ".floats");
    }
    void add_folder(const char* root, std::uint64_t until) {
        std::error_code failure;
        const auto options = std::filesystem::directory_options::skip_permission_denied;
        for (std::filesystem::recursive_directory_iterator next{root, options, failure}, end;
             next != end && size < until; next.increment(failure)) {
            if (next->is_symlink(failure) || !next->is_regular_file(failure) ||
                next->file_size(failure) > largest_file) {
                continue;
            }
            std::ifstream file{next->path(), std::ios::binary};
            const std::filesystem::path name = next->path().filename();
            add({std::istreambuf_iterator<char>{file}, std::istreambuf_iterator<char>{}},
                name.string().find(".so") == std::string::npos ? name.extension().string() : ".so");
        }
    }
};

/// Programs that print the SHA-256 of what a gzip file holds; a missing one is left out.
std::vector<std::pair<std::string, std::string>> gzip_judges(const std::filesystem::path& folder) {
    std::vector<std::pair<std::string, std::string>> commands;
    commands.emplace_back("gzip", "gzip -dc < FILE | sha256sum");
    if (support::has_program("python3")) {
        const std::string script = (folder / "judge.py").string();
        support::write_bytes(script, R"(import hashlib, sys, zlib
hash, reader = hashlib.sha256(), zlib.decompressobj(31)
with open(sys.argv[1], "rb") as file:
    while piece := file.read(1 << 20):
        while piece:
            hash.update(reader.decompress(piece))
            piece = reader.unused_data
            if reader.eof and piece:
                reader = zlib.decompressobj(31)
assert reader.eof
print(hash.hexdigest())
)");
        commands.emplace_back("python", "python3 " + script + " FILE");
    }
    if (support::run("go version 2>/dev/null").exit_code == 0) {
        const std::string source = (folder / "judge.go").string();
        const std::string program = (folder / "judge").string();
        support::write_bytes(source, R"(package main

import ("compress/gzip"; "crypto/sha256"; "fmt"; "io"; "os")

func main() {
	file, err := os.Open(os.Args[1])
	if err != nil { panic(err) }
	reader, err := gzip.NewReader(file)
	if err != nil { panic(err) }
	hash := sha256.New()
	if _, err := io.Copy(hash, reader); err != nil { panic(err) }
	fmt.Printf("%x\n", hash.Sum(nil))
}
)");
        const auto built = support::run("cd " + folder.string() +
                                        " && GOFLAGS=-mod=mod GO111MODULE=off go build -o " +
                                        program + ' ' + source + " 2>&1");
        INFO(built.output);
        REQUIRE(built.exit_code == 0);
        commands.emplace_back("go", program + " FILE");
    }
    return commands;
}

/// Writes the whole corpus as one stream, compressed on all processors; gives its size.
template <Compressor C>
std::uint64_t pack(const C& compressor, const std::string& path) {
    constexpr std::size_t group = 64;
    const Corpus& corpus = Corpus::get();
    std::ofstream file{path, std::ios::binary};
    const auto put = [&file](const std::vector<std::byte>& bytes) {
        file.write(reinterpret_cast<const char*>(bytes.data()),
                   static_cast<std::streamsize>(bytes.size()));
    };
    std::vector<std::byte> edge;
    compressor.begin(edge);
    put(edge);
    for (std::size_t at = 0; at < corpus.blocks.size(); at += group) {
        std::vector<std::vector<std::byte>> packed(std::min(group, corpus.blocks.size() - at));
        fairing::parallel_for(packed.size(), fairing::hardware_threads(), [&](std::size_t i) {
            compressor.block(corpus.blocks[at + i], packed[i]);
        });
        std::for_each(packed.begin(), packed.end(), put);
    }
    edge.clear();
    compressor.end(corpus.crc, corpus.size, edge);
    put(edge);
    REQUIRE(file.flush());
    return std::filesystem::file_size(path);
}

/// The judges run beside each other, and our own reader beside them.
template <class Reader>
void judge(const std::string& path,
           const std::vector<std::pair<std::string, std::string>>& commands) {
    std::string script;
    for (const auto& [name, command] : commands) {
        std::string line = command;
        line.replace(line.find("FILE"), 4, path);
        script += "(echo " + name + " $(" + line + " 2>&1)) & ";
    }
    std::string verdicts;
    std::jthread others{[&] { verdicts = support::run(script + "wait").output; }};
    Sha256 again;
    Reader reader{[&](std::span<const std::byte> bytes) { again.update(bytes); }};
    std::ifstream file{path, std::ios::binary};
    std::vector<char> piece(std::size_t{1} << 20);
    while (file.read(piece.data(), static_cast<std::streamsize>(piece.size())) ||
           file.gcount() > 0) {
        reader.write(
            std::as_bytes(std::span{piece}.first(static_cast<std::size_t>(file.gcount()))));
    }
    reader.finish();
    CHECK(hex(again.finish()) == Corpus::get().digest);
    others.join();
    CAPTURE(verdicts);
    for (const auto& command : commands) {
        CHECK(verdicts.find(command.first + ' ' + Corpus::get().digest) != std::string::npos);
    }
}

template <class Reader, Compressor C>
void check_files(const C& compressor, const std::filesystem::path& folder,
                 const std::vector<std::pair<std::string, std::string>>& commands) {
    const std::string path = (folder / "all").string();
    const std::uint64_t size = pack(compressor, path);
    MESSAGE(compressor.recipe() << ": " << size << " bytes");
    judge<Reader>(path, commands);
}

bool left_out() {
    if (fairing::env("FAIRING_TEST_LARGE")) {
        return false;
    }
    MESSAGE("skipped: takes minutes; FAIRING_TEST_LARGE=1 runs it");
    return true;
}

}  // namespace

TEST_CASE("gzip: 500 MB of real files, at every level, through every reader") {
    if (left_out()) {
        return;
    }
    const fairing::TemporaryDirectory folder;
    const auto commands = gzip_judges(folder.path());
    REQUIRE(Corpus::get().size >= 500'000'000);
    for (int level = deflate_store; level <= deflate_best; ++level) {
        check_files<GunzipReader>(GzipCompressor{.level = level}, folder.path(), commands);
    }
}

TEST_CASE("other compressors: the same files, through every reader") {
    if (left_out()) {
        return;
    }
    const fairing::TemporaryDirectory folder;
    const auto commands = gzip_judges(folder.path());
    std::size_t others = 0;
#if FAIRING_ZLIB
    check_files<GunzipReader>(ZlibCompressor{.level = 1}, folder.path(), commands);
    ++others;
#endif
#if FAIRING_LIBDEFLATE
    check_files<GunzipReader>(LibdeflateCompressor{.level = 1}, folder.path(), commands);
    ++others;
#endif
#if FAIRING_ISAL
    check_files<GunzipReader>(IsalCompressor{.level = 1}, folder.path(), commands);
    ++others;
#endif
#if FAIRING_ZSTD
    check_files<ZstdReader>(ZstdCompressor{.level = 1}, folder.path(),
                            {{"zstd", "zstd -dcq < FILE | sha256sum"}});
    ++others;
#endif
    if (others == 0) {
        MESSAGE("skipped: this build has no other compressor");
    }
}
