// ISA-L's blocks: read by gzip, python and us at every level, and independent of each other.
#include <doctest/doctest.h>

#include <fairing/codec/gzip.hpp>
#include <fairing/codec/isal_compressor.hpp>
#include <string>

#include "../support/compressor_suite.hpp"

#if FAIRING_ISAL

using fairing::codec::IsalCompressor;

namespace {

std::string unpacked(const std::string& file) {
    return fairing::codec::gunzip(file, std::size_t{1} << 30);
}

}  // namespace

TEST_CASE("ISA-L: every sample at every level, through every reader") {
    for (int level = 0; level <= 3; ++level) {
        CAPTURE(level);
        const IsalCompressor compressor{.level = level};
        support::check_samples(compressor, unpacked);
        support::check_gzip_programs(compressor);
    }
}

TEST_CASE("ISA-L: blocks of any size, and what compresses gets smaller") {
    for (const int level : {0, 1, 2, 3}) {
        CAPTURE(level);
        support::check_borders(IsalCompressor{.level = level}, unpacked);
    }
}

TEST_CASE("ISA-L: a block is a function of its input") {
    support::check_independent(IsalCompressor{.level = 1}, IsalCompressor{.level = 3});
}

TEST_CASE("ISA-L: the recipe says the level and the version, and a level that is none is refused") {
    const std::string recipe = IsalCompressor{.level = 1}.recipe();
    CHECK(recipe.starts_with("isal 1 "));
    CHECK(recipe != IsalCompressor{.level = 2}.recipe());
    for (const int level : {-1, 4}) {
        CHECK_THROWS_WITH_AS(
            static_cast<void>(support::block_of(IsalCompressor{.level = level}, "x")),
            doctest::Contains("choose 0 to 3"), fairing::Error);
    }
}

#endif
