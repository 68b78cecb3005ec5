// The searching levels find matches that are true, and skip none of the input.
#include <doctest/doctest.h>

#include <fairing/codec/lazy_parser.hpp>
#include <memory>
#include <string>

#include "../support/samples.hpp"
#include "replay.hpp"

using namespace fairing::codec::detail;

TEST_CASE("lazy parser: sequences stand for the input, whatever the pieces") {
    const SearchEffort effort{.depth = 8, .nice = 32, .lazy = 16, .places = 2};
    const auto few = std::make_unique<MatchTables<32>>();
    const auto many = std::make_unique<MatchTables<64>>();
    for (const auto& [name, text] : support::samples()) {
        const std::string& sample = name;
        CAPTURE(sample);
        for (const std::size_t piece : {std::size_t{1000}, text.size() + 1}) {
            codec_test::check_parser(text, LazyParser{support::bytes_of(text), effort, *few},
                                     piece);
            codec_test::check_parser(text, LazyParser{support::bytes_of(text), effort, *many},
                                     piece);
        }
    }
}

TEST_CASE("lazy parser: a better match one place later is taken") {
    // At the second "abcd" there is "abcd" behind, but one place later "bcdefgh".
    const std::string noise = support::random_bytes(100, 1);
    const std::string text = "abcd#bcdefgh" + noise + "abcdefgh" + support::random_bytes(100, 2);
    const auto tables = std::make_unique<MatchTables<32>>();
    for (const std::uint32_t lazy : {0U, 32U}) {
        const SearchEffort effort{.depth = 8, .nice = 32, .lazy = lazy, .places = 1};
        Sequences sequences{text.size()};
        LazyParser parser{support::bytes_of(text), effort, *tables};
        parser.parse(0, text.size(), MatchCost{}, sequences);
        CHECK(codec_test::replay(sequences) == text);
        std::size_t longest = 0;
        for (const Sequence& sequence : sequences.sequences({}, sequences.mark())) {
            longest = std::max<std::size_t>(longest, sequence.length);
        }
        CHECK(longest == (lazy > 0 ? 7 : 4));
    }
}
