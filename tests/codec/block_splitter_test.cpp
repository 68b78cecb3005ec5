// Alike chunks share a block, different ones do not, and what is stored keeps
// its place.
#include <doctest/doctest.h>

#include <cstddef>
#include <fairing/codec/block_splitter.hpp>
#include <fairing/codec/inflate.hpp>
#include <string>
#include <vector>

#include "../support/samples.hpp"

using namespace fairing::codec::detail;
using support::bytes_of;

namespace {

/// The chunks as literals, or stored where their first byte is '!'.
std::string split_blocks(const std::vector<std::string>& chunks) {
    std::string text;
    for (const std::string& chunk : chunks) {
        text += chunk;
    }
    std::vector<std::byte> out;
    BitWriter writer{out};
    Sequences sequences{BlockSplitter::capacity};
    BlockSplitter splitter{bytes_of(text), sequences, writer};
    for (const std::string& chunk : chunks) {
        if (chunk.starts_with('!')) {
            splitter.store(chunk.size());
        } else {
            sequences.add_literals(bytes_of(chunk));
            splitter.end_chunk();
        }
    }
    splitter.flush();
    writer.reserve(64);
    writer.put(0b011, 10);
    writer.finish();
    std::string again;
    fairing::codec::Inflater inflater{
        [&](std::span<const std::byte> bytes) { again += support::text_of(bytes); }};
    inflater.write(out);
    REQUIRE(inflater.done());
    REQUIRE(again == text);
    return support::text_of(out);
}

}  // namespace

TEST_CASE("block splitter: alike chunks share a block, different ones do not") {
    std::string digits, letters;
    support::Random random{1};
    while (digits.size() < BlockSplitter::longest_chunk) {
        digits += static_cast<char>('0' + random.below(10));
        letters += static_cast<char>('a' + random.below(26));
    }
    const std::size_t one = split_blocks({digits}).size(), other = split_blocks({letters}).size();
    const std::size_t alike = split_blocks({digits, digits}).size();
    CHECK(alike < 2 * one - 10);  // one description of the code less
    const std::size_t different = split_blocks({digits, letters}).size();
    CHECK(different > one + other - 10);
    CHECK(different < one + other + 10);
}

TEST_CASE("block splitter: stored chunks keep their place") {
    const std::string words = support::prose(20'000, 1),
                      noise = "!" + support::random_bytes(9'000, 2);
    split_blocks({noise, words, noise, noise, words, words, noise});
    split_blocks({words, noise, words});
    split_blocks({noise});
    CHECK(split_blocks({}).size() == 2);
}
