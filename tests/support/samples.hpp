// tests/support/samples.hpp - inputs of many kinds for the codecs; the same on every machine but
// for the program.
#pragma once

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace support {

/// xorshift: the same numbers everywhere, which the distributions of the standard library are not.
class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed * 2 + 1) {}
    std::uint64_t operator()() {
        state_ ^= state_ << 13;
        state_ ^= state_ >> 7;
        state_ ^= state_ << 17;
        return state_ * 0x2545f4914f6cdd1d >> 11;
    }
    std::size_t below(std::size_t limit) { return static_cast<std::size_t>((*this)() % limit); }

private:
    std::uint64_t state_;
};

inline std::span<const std::byte> bytes_of(std::string_view text) {
    return std::as_bytes(std::span{text});
}
inline std::string text_of(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline std::string random_bytes(std::size_t size, std::uint64_t seed) {
    Random random{seed};
    std::string bytes(size, '\0');
    for (char& byte : bytes) {
        byte = static_cast<char>(random());
    }
    return bytes;
}

/// Words of a small vocabulary: compresses like prose.
inline std::string prose(std::size_t size, std::uint64_t seed) {
    Random random{seed};
    std::vector<std::string> words;
    for (int i = 0; i < 500; ++i) {
        std::string word;
        for (std::size_t left = 1 + random.below(9); left > 0; --left) {
            word += static_cast<char>('a' + random.below(1 + random.below(26)));
        }
        words.push_back(word);
    }
    std::string text;
    while (text.size() < size) {
        text += words[random.below(1 + random.below(words.size()))];
        text += random.below(12) == 0 ? ".\n" : " ";
    }
    text.resize(size);
    return text;
}

/// At most `limit` bytes of a program of this machine: machine code, tables and strings.
inline std::string program_bytes(std::size_t limit) {
    std::ifstream file{"/proc/self/exe", std::ios::binary};
    std::string bytes{std::istreambuf_iterator<char>{file}, {}};
    bytes.resize(bytes.size() < limit ? bytes.size() : limit);
    return bytes;
}

/// Name and content of inputs that compressors stumble over.
inline std::vector<std::pair<std::string, std::string>> samples() {
    std::vector<std::pair<std::string, std::string>> all = {{"empty", ""}, {"one byte", "x"}};
    for (const std::size_t size : {2U, 3U, 4U, 5U, 257U, 258U, 259U, 16383U, 16384U, 16385U}) {
        all.emplace_back("run of " + std::to_string(size), std::string(size, 'r'));
    }
    for (const std::size_t size :
         {32767U, 32768U, 32769U, 65535U, 65536U, 65537U, 131072U, 200001U}) {
        all.emplace_back("random " + std::to_string(size), random_bytes(size, size));
        all.emplace_back("prose " + std::to_string(size), prose(size, size));
    }
    all.emplace_back("long run", std::string(1'000'003, '\0'));
    for (const std::size_t period : {32767U, 32768U, 32769U}) {
        const std::string unit = random_bytes(period, period);
        all.emplace_back("period " + std::to_string(period), unit + unit + unit);
    }
    all.emplace_back("random, then prose, then random",
                     random_bytes(150'000, 1) + prose(150'000, 2) + random_bytes(70'000, 3));
    std::string every_byte;
    for (int i = 0; i < 256; ++i) {
        every_byte.append(static_cast<std::size_t>(1 + i * i % 97), static_cast<char>(i));
    }
    all.emplace_back("every byte", every_byte);
    // Fibonacci frequencies ask for codes that are longer than 15 bits.
    std::string skewed;
    for (std::size_t a = 1, b = 1, symbol = 0; symbol < 22; ++symbol) {
        skewed.append(a, static_cast<char>('A' + symbol));
        a = std::exchange(b, a + b);
    }
    Random random{5};
    for (std::size_t i = skewed.size(); i > 1; --i) {
        std::swap(skewed[i - 1], skewed[random.below(i)]);
    }
    all.emplace_back("skewed", skewed);
    all.emplace_back("program", program_bytes(3'000'000));
    return all;
}

}  // namespace support
