// libdeflate's blocks: read by gzip, python and us at every level, and independent of each other.
#include <doctest/doctest.h>

#include <fairing/codec/gzip.hpp>
#include <fairing/codec/libdeflate_compressor.hpp>
#include <string>

#include "../support/compressor_suite.hpp"

#if FAIRING_LIBDEFLATE

using fairing::codec::LibdeflateCompressor;

namespace {

std::string unpacked(const std::string& file) {
    return fairing::codec::gunzip(file, std::size_t{1} << 30);
}

}  // namespace

TEST_CASE("libdeflate: every sample at every level, through every reader") {
    for (int level = 0; level <= 12; ++level) {
        CAPTURE(level);
        const LibdeflateCompressor compressor{.level = level};
        support::check_samples(compressor, unpacked);
        support::check_gzip_programs(compressor);
    }
}

TEST_CASE("libdeflate: blocks of any size, and what compresses gets smaller") {
    for (const int level : {1, 6, 12}) {
        CAPTURE(level);
        support::check_borders(LibdeflateCompressor{.level = level}, unpacked);
    }
}

TEST_CASE("libdeflate: a block is a function of its input") {
    support::check_independent(LibdeflateCompressor{.level = 1}, LibdeflateCompressor{.level = 12});
}

TEST_CASE(
    "libdeflate: the recipe says the level and the version, and a level that is none is refused") {
    const std::string recipe = LibdeflateCompressor{.level = 1}.recipe();
    CHECK(recipe.starts_with("libdeflate 1 "));
    CHECK(recipe != LibdeflateCompressor{.level = 2}.recipe());
    for (const int level : {-1, 13}) {
        CHECK_THROWS_WITH_AS(
            static_cast<void>(support::block_of(LibdeflateCompressor{.level = level}, "x")),
            doctest::Contains("choose 0 to 12"), fairing::Error);
    }
}

#endif
