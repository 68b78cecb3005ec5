// tests/codec/replay.hpp - what sequences stand for, and whether a parser's
// stand for its input.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <fairing/codec/sequences.hpp>
#include <string>

namespace codec_test {

using namespace fairing::codec::detail;

inline std::string replay(const Sequences& sequences) {
    std::string text;
    const auto literals = sequences.literals({}, sequences.mark());
    std::size_t used = 0;
    for (const Sequence& sequence : sequences.sequences({}, sequences.mark())) {
        text.append(reinterpret_cast<const char*>(literals.data()) + used, sequence.literals);
        used += sequence.literals;
        if (sequence.length > 0) {
            REQUIRE(sequence.length >= shortest_match);
            REQUIRE(sequence.length <= longest_match);
            REQUIRE(sequence.distance >= 1);
            REQUIRE(sequence.distance <= window_size);
            REQUIRE(sequence.distance <= text.size());
        }
        for (std::size_t i = 0; i < sequence.length; ++i) {
            text += text[text.size() - sequence.distance];
        }
    }
    REQUIRE(used == literals.size());
    return text;
}

template <class Parser>
void check_parser(const std::string& text, Parser parser, std::size_t piece) {
    Sequences sequences{text.size() + 300};
    const MatchCost cost;
    std::size_t position = 0;
    while (position < text.size()) {
        const std::size_t target = std::min(text.size(), position + piece);
        position = parser.parse(position, target, cost, sequences);
        REQUIRE(position >= target);
        REQUIRE(sequences.mark().input == position);
    }
    REQUIRE(replay(sequences) == text);
}

}  // namespace codec_test
