// tests/support/compressor_suite.hpp - what every compressor must do, whoever makes its blocks.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <fairing/codec/compressor.hpp>
#include <fairing/codec/crc32.hpp>
#include <fairing/core/files.hpp>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "samples.hpp"
#include "shell.hpp"

namespace support {

/// samples(), made once.
inline const std::vector<std::pair<std::string, std::string>>& known_samples() {
    static const auto all = samples();
    return all;
}

/// The stream of `text`, made of blocks of `block_size` bytes.
template <fairing::codec::Compressor C>
std::string compressed(const C& compressor, std::string_view text, std::size_t block_size) {
    std::vector<std::byte> out;
    compressor.begin(out);
    std::uint32_t crc = 0;
    for (std::size_t at = 0; at < text.size(); at += block_size) {
        const auto block = bytes_of(text.substr(at, block_size));
        compressor.block(block, out);
        crc = fairing::codec::combine_crc32(crc, fairing::codec::crc32(block), block.size());
    }
    compressor.end(crc, text.size(), out);
    return text_of(out);
}

template <fairing::codec::Compressor C>
std::string block_of(const C& compressor, std::string_view text) {
    std::vector<std::byte> out;
    compressor.block(bytes_of(text), out);
    return text_of(out);
}

/// `unpack` gives the text of a stream.
template <fairing::codec::Compressor C, class Unpack>
void check_samples(const C& compressor, const Unpack& unpack) {
    for (const auto& [name, text] : known_samples()) {
        const std::string& sample = name;
        CAPTURE(sample);
        REQUIRE(unpack(compressed(compressor, text, 65536)) == text);
    }
}

/// Blocks of any size, an empty one among them; large ones; and what compresses does get smaller.
template <fairing::codec::Compressor C, class Unpack>
void check_borders(const C& compressor, const Unpack& unpack) {
    const std::string text = prose(3000, 1);
    for (const std::size_t size : {1U, 2U, 100U, 2999U, 3000U}) {
        CAPTURE(size);
        REQUIRE(unpack(compressed(compressor, text, size)) == text);
    }
    std::vector<std::byte> out;
    compressor.begin(out);
    compressor.block({}, out);
    compressor.block(bytes_of(text), out);
    compressor.block({}, out);
    compressor.end(fairing::codec::crc32(bytes_of(text)), text.size(), out);
    CHECK(unpack(text_of(out)) == text);
    const std::string large = random_bytes(1'500'000, 9) + prose(1'500'000, 9);
    const std::string packed = compressed(compressor, large, large.size());
    CHECK(unpack(packed) == large);
    CHECK(packed.size() < 2'600'000);
}

/// A block is a function of its input: not of what this thread did before, nor of what others do.
template <fairing::codec::Compressor C>
void check_independent(const C& compressor, const C& other) {
    const std::string first = prose(200'000, 3), second = program_bytes(300'000);
    const std::string packed = block_of(compressor, first);
    const std::string beside = block_of(other, first);
    CHECK(block_of(compressor, second) != packed);
    CHECK(block_of(compressor, first) == packed);
    CHECK(block_of(other, first) == beside);
    std::vector<std::string> results(6);
    {
        std::vector<std::jthread> threads;
        for (std::size_t i = 0; i < results.size(); ++i) {
            threads.emplace_back([&, i] {
                for (std::size_t before = 0; before < i; ++before) {
                    static_cast<void>(block_of(before % 2 == 0 ? other : compressor, second));
                }
                results[i] = block_of(i % 2 == 0 ? compressor : other, first);
            });
        }
    }
    for (std::size_t i = 0; i < results.size(); ++i) {
        CHECK(results[i] == (i % 2 == 0 ? packed : beside));
    }
}

/// Streams in a folder, for programs to read: one of all samples, and small ones.
class PackedSamples {
public:
    template <fairing::codec::Compressor C>
    explicit PackedSamples(const C& compressor) {
        std::string all;
        for (const auto& [name, text] : known_samples()) {
            all += text;
        }
        add(compressor, all);
        for (const std::size_t size : {0U, 1U, 65535U, 65536U, 65537U}) {
            add(compressor, all.substr(all.size() / 3, size));
        }
    }
    /// Names those that `command < FILE` does not give as they were.
    [[nodiscard]] std::string wrong_by(const std::string& command) const {
        return run("cd " + folder_.path().string() + " && for i in $(seq 0 " +
                   std::to_string(count_ - 1) + "); do " + command +
                   " < $i.packed 2>&1 | cmp - $i.plain || echo $i; done 2>&1")
            .output;
    }
    /// The same by Python's own module gzip.
    [[nodiscard]] std::string wrong_by_python() const {
        const std::string script = (folder_.path() / "judge.py").string();
        write_bytes(script,
                    "import gzip\nfor i in range(" + std::to_string(count_) +
                        "):\n    with open(f'{i}.plain', 'rb') as plain:\n"
                        "        assert gzip.open(f'{i}.packed').read() == plain.read(), i\n");
        return run("cd " + folder_.path().string() + " && python3 judge.py 2>&1").output;
    }

private:
    template <fairing::codec::Compressor C>
    void add(const C& compressor, std::string_view text) {
        const std::string path = (folder_.path() / std::to_string(count_++)).string();
        write_bytes(path + ".plain", text);
        write_bytes(path + ".packed", compressed(compressor, text, 65536));
    }

    fairing::TemporaryDirectory folder_ = fairing::TemporaryDirectory{};
    std::size_t count_ = 0;
};

/// Whether gzip and python, where they are, read what the compressor makes.
template <fairing::codec::Compressor C>
void check_gzip_programs(const C& compressor) {
    static const bool has_python = has_program("python3");
    const PackedSamples packed{compressor};
    CHECK(packed.wrong_by("gzip -dc") == "");
    if (has_python) {
        CHECK(packed.wrong_by_python() == "");
    }
}

}  // namespace support
