// The fast level finds matches that are true, and skips none of the input.
#include <doctest/doctest.h>

#include <fairing/codec/fast_parser.hpp>
#include <memory>
#include <string>

#include "../support/samples.hpp"
#include "replay.hpp"

using namespace fairing::codec::detail;

TEST_CASE("fast parser: sequences stand for the input, whatever the pieces") {
    const auto tables = std::make_unique<FastTable>();
    for (const auto& [name, text] : support::samples()) {
        const std::string& sample = name;
        CAPTURE(sample);
        for (const std::size_t piece : {std::size_t{1000}, text.size() + 1}) {
            codec_test::check_parser(text, FastParser{support::bytes_of(text), *tables}, piece);
        }
    }
}
