// gzip files: ours read by gzip and python, theirs read by us, and every way in which one can be
// broken.
#include <doctest/doctest.h>

#include <algorithm>
#include <fairing/codec/gzip.hpp>
#include <fairing/codec/sha256.hpp>
#include <fairing/core/env.hpp>
#include <fairing/core/files.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "../support/samples.hpp"
#include "../support/shell.hpp"

using namespace fairing::codec;
using support::bytes_of;

namespace {

constexpr std::size_t no_limit = std::size_t{1} << 30;

/// A file made block by block, as the layer writer does it.
std::string gzip_in_blocks(std::string_view text, std::size_t block_size) {
    const GzipCompressor compressor;
    std::vector<std::byte> out;
    compressor.begin(out);
    std::uint32_t crc = 0;
    for (std::size_t at = 0; at < text.size(); at += block_size) {
        const auto block = bytes_of(text.substr(at, block_size));
        compressor.block(block, out);
        crc = crc32_combine(crc, crc32(block), block.size());
    }
    compressor.end(crc, text.size(), out);
    return support::text_of(out);
}

std::string refusal(std::string_view file) {
    try {
        static_cast<void>(gunzip(file, no_limit));
    } catch (const fairing::Error& error) {
        CHECK(error.code() == fairing::ErrorCode::integrity);
        return error.details().answer;
    }
    return "accepted";
}

/// A header with these flags and fields, and the body and trailer of gzip("hello").
std::string with_header(char flags, const std::string& fields) {
    std::string header{"\x1f\x8b\x08", 3};
    header += flags;
    header += std::string{"\1\2\3\4\0\3", 6} + fields;
    return header + gzip("hello").substr(10);
}

/// At least `size` bytes of this machine's files, of generated tables and of numbers: one string
/// for each file.
std::vector<std::string> mixed_files(std::size_t size) {
    std::vector<std::string> files;
    std::string table, numbers;
    support::Random random{7};
    while (table.size() < 20'000'000) {
        table +=
            (random.below(2) == 0 ? "-0." : "1.") + std::to_string(100'000 + random.below(900'000));
        table += random.below(8) == 0 ? '\n' : ',';
        const float number = static_cast<float>(random.below(1'000'000)) / 3.0e7F - 0.01F;
        numbers.append(reinterpret_cast<const char*>(&number), sizeof number);
    }
    files.push_back(table);
    files.push_back(numbers);
    std::size_t total = table.size() + numbers.size();
    for (const char* const root : {"/usr/lib", "/usr/share", "/usr/bin", "/usr/include"}) {
        std::error_code failure;
        const auto options = std::filesystem::directory_options::skip_permission_denied;
        for (std::filesystem::recursive_directory_iterator next{root, options, failure}, end;
             next != end && total < size; next.increment(failure)) {
            if (next->is_symlink(failure) || !next->is_regular_file(failure)) {
                continue;
            }
            std::ifstream file{next->path(), std::ios::binary};
            files.emplace_back(std::istreambuf_iterator<char>{file},
                               std::istreambuf_iterator<char>{});
            total += files.back().size();
        }
    }
    MESSAGE(files.size() << " files, " << total << " bytes");
    return files;
}

/// Programs that print the SHA-256 of what a gzip file holds; a missing one is left out.
std::vector<std::pair<std::string, std::string>> judges(const std::filesystem::path& folder) {
    std::vector<std::pair<std::string, std::string>> commands;
    commands.emplace_back("gzip", "gzip -dc < FILE | sha256sum");
    if (support::has_program("python3")) {
        const std::string script = (folder / "judge.py").string();
        support::write_bytes(script, R"(import hashlib, sys, zlib
hash, reader = hashlib.sha256(), zlib.decompressobj(31)
with open(sys.argv[1], "rb") as file:
    while piece := file.read(1 << 20):
        hash.update(reader.decompress(piece))
assert reader.eof and not reader.unused_data
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

}  // namespace

TEST_CASE("gzip: 500 MB of real files, at every level, through every reader") {
    if (!fairing::env("FAIRING_TEST_LARGE")) {
        MESSAGE("skipped: takes two minutes; FAIRING_TEST_LARGE=1 runs it");
        return;
    }
    const std::vector<std::string> files = mixed_files(520'000'000);
    const fairing::TemporaryDirectory folder;
    const auto commands = judges(folder.path());
    for (int level = deflate_store; level <= deflate_best; ++level) {
        CAPTURE(level);
        // All files at the levels that have a name, and one in eight at those between them.
        const bool has_name = level == deflate_store || level == deflate_fast ||
                              level == deflate_balanced || level == deflate_best;
        const GzipCompressor compressor{.level = level};
        std::vector<std::byte> out;
        compressor.begin(out);
        Sha256 hash;
        std::uint32_t crc = 0;
        std::uint64_t size = 0;
        for (std::size_t i = 0; i < files.size(); i += has_name ? 1 : 8) {
            const std::string& file = files[i];
            hash.update(file);
            crc = crc32(bytes_of(file), crc);
            size += file.size();
            for (auto left = bytes_of(file); !left.empty();) {
                const auto block = left.first(std::min(left.size(), compressor.block_size()));
                compressor.block(block, out);
                left = left.subspan(block.size());
            }
        }
        compressor.end(crc, size, out);
        const std::string expected = hex(hash.finish());
        const std::string packed = (folder.path() / "all.gz").string();
        std::ofstream{packed, std::ios::binary}.write(reinterpret_cast<const char*>(out.data()),
                                                      static_cast<std::streamsize>(out.size()));
        // The judges run beside each other, and our own reader beside them.
        std::string script;
        for (const auto& [name, command] : commands) {
            std::string line = command;
            line.replace(line.find("FILE"), 4, packed);
            script += "(echo " + name + " $(" + line + " 2>&1)) & ";
        }
        std::string verdicts;
        std::jthread others{[&] { verdicts = support::run(script + "wait").output; }};
        Sha256 again;
        GunzipReader reader{[&](std::span<const std::byte> bytes) { again.update(bytes); }};
        reader.write(out);
        reader.finish();
        CHECK(hex(again.finish()) == expected);
        others.join();
        for (const auto& command : commands) {
            CHECK(verdicts.find(command.first + ' ' + expected) != std::string::npos);
        }
    }
}

TEST_CASE("gzip: every sample comes back, whole and in blocks") {
    for (const auto& [name, text] : support::samples()) {
        const std::string& sample = name;
        CAPTURE(sample);
        REQUIRE(gunzip(gzip(text), no_limit) == text);
        REQUIRE(gunzip(gzip_in_blocks(text, 65536), no_limit) == text);
    }
    const std::string text = support::prose(3000, 1);
    for (const std::size_t size : {1U, 2U, 100U, 2999U, 3000U}) {
        CHECK(gunzip(gzip_in_blocks(text, size), no_limit) == text);
    }
}

TEST_CASE("gzip: the header has no time, no name and no system") {
    CHECK(gzip("").substr(0, 10) == std::string{"\x1f\x8b\x08\0\0\0\0\0\0\xff", 10});
    CHECK(gzip("hello") == gzip("hello"));
}

TEST_CASE("gzip: optional parts of the header") {
    CHECK(gunzip(with_header(0, ""), no_limit) == "hello");
    CHECK(gunzip(with_header(1, ""), no_limit) == "hello");  // FTEXT
    CHECK(gunzip(with_header(8, std::string{"name.txt\0", 9}), no_limit) == "hello");
    CHECK(gunzip(with_header(16, std::string{"a comment\0", 10}), no_limit) == "hello");
    CHECK(gunzip(with_header(4, std::string{"\0\0", 2}), no_limit) == "hello");
    CHECK(gunzip(with_header(4, std::string{"\5\0ab\1\0x", 7}), no_limit) == "hello");
    const std::string fields{"\5\0ab\1\0xname\0comment\0", 20};
    CHECK(gunzip(with_header(4 + 8 + 16, fields), no_limit) == "hello");
    const std::string header = with_header(2 + 4 + 8 + 16, fields).substr(0, 10 + fields.size());
    const std::uint32_t crc = crc32(bytes_of(header));
    std::string checked = fields;
    checked += static_cast<char>(crc & 0xff);
    checked += static_cast<char>(crc >> 8 & 0xff);
    CHECK(gunzip(with_header(2 + 4 + 8 + 16, checked), no_limit) == "hello");
    checked.back() = static_cast<char>(checked.back() ^ 1);
    CHECK(refusal(with_header(2 + 4 + 8 + 16, checked)) ==
          "its header does not match the checksum");
    CHECK(refusal(with_header(32, "")) == "reserved flags in its header");
}

TEST_CASE("gzip: several members, in pieces of every size") {
    const std::string file =
        gzip("one ") + gzip("") + gzip("two ") + with_header(8, std::string{"n\0", 2});
    for (std::size_t piece = 1; piece <= file.size(); ++piece) {
        std::string text;
        GunzipReader reader{
            [&](std::span<const std::byte> bytes) { text += support::text_of(bytes); }};
        for (std::size_t at = 0; at < file.size(); at += piece) {
            reader.write(bytes_of(std::string_view{file}.substr(at, piece)));
        }
        reader.finish();
        REQUIRE(text == "one two hello");
    }
}

TEST_CASE("gzip: broken files") {
    const std::string file = gzip("hello, hello, hello");
    for (std::size_t size = 0; size < file.size(); ++size) {
        REQUIRE(refusal(file.substr(0, size)) == "it is cut off");
        REQUIRE(refusal(file + file.substr(0, size)) == (size == 0 ? "accepted" : "it is cut off"));
    }
    const auto flipped = [&](std::size_t at) {
        std::string copy = file;
        copy[at] = static_cast<char>(copy[at] ^ 4);
        return copy;
    };
    CHECK(refusal(flipped(0)) == "it does not begin like gzip");
    CHECK(refusal(flipped(1)) == "it does not begin like gzip");
    CHECK(refusal(flipped(2)) == "an unknown compression method");
    CHECK(refusal(flipped(file.size() - 5)) == "its content does not match the checksum");
    CHECK(refusal(flipped(file.size() - 1)) == "its content does not match the size");
    CHECK(refusal(file + "garbage") == "something other follows its end");
    CHECK(refusal(file + std::string(1, '\0')) == "something other follows its end");
    CHECK(refusal("not gzip") == "it does not begin like gzip");
}

TEST_CASE("gzip: a limit holds, and a bomb costs no more than it") {
    const std::string text(1000, 'x');
    CHECK(gunzip(gzip(text), 1000) == text);
    CHECK_THROWS_WITH_AS(static_cast<void>(gunzip(gzip(text), 999)),
                         doctest::Contains("it holds more than 999 bytes"), fairing::Error);
    const std::string bomb = gzip(std::string(50'000'000, '\0'));
    CHECK(bomb.size() < 100'000);
    CHECK_THROWS_AS(static_cast<void>(gunzip(bomb, 1'000'000)), fairing::Error);
}

TEST_CASE("gzip: gzip and python read ours, and we read theirs") {
    if (!support::has_program("gzip")) {
        MESSAGE("skipped: there is no gzip");
        return;
    }
    const bool has_python = support::has_program("python3");
    const fairing::TemporaryDirectory folder;
    const std::string plain = (folder.path() / "sample").string();
    const std::string packed = plain + ".gz";
    for (const auto& [name, text] : support::samples()) {
        const std::string& sample = name;
        CAPTURE(sample);
        support::write_bytes(plain, text);
        support::write_bytes(packed, gzip_in_blocks(text, 100'000));
        REQUIRE(support::run("gzip -t " + packed + " 2>&1").output.empty());
        REQUIRE(support::run("gzip -dc " + packed + " | cmp - " + plain + " 2>&1").output.empty());
        REQUIRE(gunzip(support::run("gzip -c " + plain).output, no_limit) == text);
    }
    if (!has_python) {
        MESSAGE("skipped in part: there is no python3");
        return;
    }
    CHECK(support::run("python3 -c 'import gzip; assert gzip.open(\"" + packed +
                       "\").read() == open(\"" + plain + "\", \"rb\").read()' 2>&1")
              .output.empty());
    CHECK(support::run("python3 -c 'import gzip; gzip.open(\"" + packed +
                       "\", \"wb\").write(b\"from python\")'")
              .exit_code == 0);
    CHECK(gunzip(fairing::read_file(packed), no_limit) == "from python");
}
