// What stands around the blocks: with nothing between, an empty gzip file.
#include <doctest/doctest.h>

#include <fairing/codec/gzip.hpp>
#include <fairing/codec/gzip_member.hpp>
#include <string>
#include <vector>

#include "../support/samples.hpp"

using namespace fairing::codec;

TEST_CASE("gzip member: without blocks it is empty, and its trailer is checked") {
    std::vector<std::byte> out;
    detail::begin_gzip_member(out);
    detail::end_gzip_member(0, 0, out);
    CHECK(out.size() == 20);
    CHECK(gunzip(support::text_of(out), 0).empty());
    out.clear();
    detail::begin_gzip_member(out);
    detail::end_gzip_member(0, 1, out);
    CHECK_THROWS_WITH_AS(static_cast<void>(gunzip(support::text_of(out), 0)),
                         doctest::Contains("does not match the size"), fairing::Error);
}

TEST_CASE("gzip member: the size is kept modulo 2^32") {
    std::vector<std::byte> out;
    detail::begin_gzip_member(out);
    detail::end_gzip_member(0, std::uint64_t{1} << 32, out);
    CHECK(gunzip(support::text_of(out), 0).empty());
}
