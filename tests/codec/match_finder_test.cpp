// Matches are true, within the window, longer than asked, and the longest when the search is long
// enough.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <fairing/codec/match_finder.hpp>
#include <string>

#include "../support/samples.hpp"

using namespace fairing::codec::detail;
using support::bytes_of;

namespace {

/// The longest match of at least four bytes, by trying all.
std::size_t longest_by_trying(const std::string& text, std::size_t position) {
    std::size_t longest = 0;
    const std::size_t limit = std::min(longest_match, text.size() - position);
    for (std::size_t from = position - std::min(position, window_size); from < position; ++from) {
        std::size_t length = 0;
        while (length < limit && text[from + length] == text[position + length]) {
            ++length;
        }
        longest = length >= 4 ? std::max(longest, length) : longest;
    }
    return longest;
}

}  // namespace

TEST_CASE("match finder: as good as trying all") {
    for (const std::string& text :
         {support::prose(3000, 1), std::string(700, 'x'),
          support::random_bytes(500, 2) + support::random_bytes(500, 2)}) {
        MatchFinder finder{bytes_of(text)};
        for (std::size_t position = 0; position < text.size(); ++position) {
            const Match match = finder.find(position, 0, 1000, 100'000);
            REQUIRE(match.distance <= position);
            if (match.length > 0) {
                REQUIRE(text.compare(position, match.length, text, position - match.distance,
                                     match.length) == 0);
            }
            if (position + 4 <= text.size()) {
                REQUIRE((match.length > 3 ? match.length : 0) == longest_by_trying(text, position));
            }
        }
    }
}

TEST_CASE("match finder: the window, and what is longer than asked") {
    for (const std::size_t gap : {100U, 32760U, 32761U, 32768U, 65536U}) {
        const std::string text = "abcdefgh" + support::random_bytes(gap, 3) + "abcdefgh";
        const std::size_t second = gap + 8;
        const auto find = [&](std::size_t shorter) {
            MatchFinder finder{bytes_of(text)};
            for (std::size_t position = 0; position < second; ++position) {
                finder.insert(position);
            }
            return finder.find(second, shorter, 258, 100'000);
        };
        const bool is_near = second <= window_size;
        CHECK((find(0).length == 8) == is_near);
        CHECK((find(7).length == 8) == is_near);
        CHECK(find(8).length == 0);
    }
}

TEST_CASE("match finder: overlapping matches, and the end of the input") {
    const std::string text = "aaaaaaaaaa";
    MatchFinder finder{bytes_of(text)};
    CHECK(finder.find(0, 0, 258, 10).length == 0);
    const Match match = finder.find(1, 0, 258, 10);
    CHECK(match.length == 9);
    CHECK(match.distance == 1);
    CHECK(finder.find(7, 0, 258, 10).length == 0);  // fewer than four bytes left
}
