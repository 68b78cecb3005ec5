// The searching levels find matches that are true, and skip none of the input.
#include <doctest/doctest.h>

#include <fairing/codec/chain_parser.hpp>
#include <memory>
#include <string>

#include "../support/samples.hpp"
#include "replay.hpp"

using namespace fairing::codec::detail;

TEST_CASE("chain parser: sequences stand for the input, whatever the pieces") {
    const ChainEffort effort{.depth = 8, .nice = 32, .lazy = 16, .places = 2};
    const auto tables = std::make_unique<ChainTables>();
    for (const auto& [name, text] : support::samples()) {
        const std::string& sample = name;
        CAPTURE(sample);
        for (const std::size_t piece : {std::size_t{1000}, text.size() + 1}) {
            codec_test::check_parser(text, ChainParser{support::bytes_of(text), effort, *tables},
                                     piece);
        }
    }
}

TEST_CASE("chain parser: a better match one place later is taken") {
    // At the second "abcd" there is "abcd" behind, but one place later "bcdefgh".
    const std::string noise = support::random_bytes(100, 1);
    const std::string text = "abcd#bcdefgh" + noise + "abcdefgh" + support::random_bytes(100, 2);
    const auto tables = std::make_unique<ChainTables>();
    for (const std::size_t lazy : {0U, 32U}) {
        const ChainEffort effort{.depth = 8, .nice = 32, .lazy = lazy, .places = 1};
        Sequences sequences{text.size()};
        ChainParser parser{support::bytes_of(text), effort, *tables};
        parser.parse(0, text.size(), MatchCost{}, sequences);
        CHECK(codec_test::replay(sequences) == text);
        std::size_t longest = 0;
        for (const Sequence& sequence : sequences.sequences({}, sequences.mark())) {
            longest = std::max<std::size_t>(longest, sequence.length);
        }
        CHECK(longest == (lazy > 0 ? 7 : 4));
    }
}
