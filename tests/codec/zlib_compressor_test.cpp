// zlib's blocks: read by gzip, python and us at every level, and independent of each other.
#include <doctest/doctest.h>

#include <fairing/codec/gzip.hpp>
#include <fairing/codec/zlib_compressor.hpp>
#include <string>

#include "../support/compressor_suite.hpp"

#if FAIRING_ZLIB

using fairing::codec::ZlibCompressor;

namespace {

std::string unpacked(const std::string& file) {
    return fairing::codec::gunzip(file, std::size_t{1} << 30);
}

}  // namespace

TEST_CASE("zlib: every sample at every level, through every reader") {
    for (int level = 0; level <= 9; ++level) {
        CAPTURE(level);
        const ZlibCompressor compressor{.level = level};
        support::check_samples(compressor, unpacked);
        support::check_gzip_programs(compressor);
    }
}

TEST_CASE("zlib: blocks of any size, and what compresses gets smaller") {
    for (const int level : {1, 6, 9}) {
        CAPTURE(level);
        support::check_borders(ZlibCompressor{.level = level}, unpacked);
    }
}

TEST_CASE("zlib: a block is a function of its input") {
    support::check_independent(ZlibCompressor{.level = 1}, ZlibCompressor{.level = 9});
}

TEST_CASE("zlib: the recipe says the level and the version, and a level that is none is refused") {
    const std::string recipe = ZlibCompressor{.level = 1}.recipe();
    CHECK(recipe.starts_with("zlib 1 "));
    CHECK(recipe != ZlibCompressor{.level = 2}.recipe());
    for (const int level : {-1, 10}) {
        CHECK_THROWS_WITH_AS(
            static_cast<void>(support::block_of(ZlibCompressor{.level = level}, "x")),
            doctest::Contains("choose 0 to 9"), fairing::Error);
    }
}

#endif
