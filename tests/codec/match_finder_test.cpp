// Matches are true, within the window, better than the one before, and the
// longest when the search is long enough.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <fairing/codec/match_finder.hpp>
#include <memory>
#include <string>
#include <vector>

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

/// Literals that cost much, and matches that cost little: the longest is the
/// best.
MatchCost length_alone() {
    MatchCost cost;
    cost.set(255 * cost_of_bit, 0);
    return cost;
}

}  // namespace

TEST_CASE("match finder: as good as trying all") {
    const auto tables = std::make_unique<MatchTables<64>>();
    for (const std::string& text :
         {support::prose(3000, 1), std::string(700, 'x'),
          support::random_bytes(500, 2) + support::random_bytes(500, 2)}) {
        MatchFinder finder{bytes_of(text), *tables};
        REQUIRE(finder.end() + 100 > text.size());
        for (std::size_t position = 0; position < finder.end(); ++position) {
            const Match match = finder.find(position, {}, 1000, 100'000, length_alone());
            REQUIRE(match.distance <= position);
            if (match.length > 0) {
                REQUIRE(text.compare(position, match.length, text, position - match.distance,
                                     match.length) == 0);
            }
            REQUIRE((match.length > 3 ? match.length : 0) == longest_by_trying(text, position));
        }
    }
}

TEST_CASE("match finder: the window, and what is better than the match before") {
    const auto tables = std::make_unique<MatchTables<64>>();
    for (const std::size_t gap : {100U, 32760U, 32761U, 32768U, 65528U, 65536U}) {
        const std::string text =
            "abcdefgh" + support::random_bytes(gap, 3) + "abcdefgh" + std::string(100, ' ');
        const std::size_t second = gap + 8;
        const auto find = [&](const Match& before) {
            MatchFinder finder{bytes_of(text), *tables};
            finder.insert(0, second);
            return finder.find(second, before, 258, 100'000, length_alone());
        };
        const bool is_near = second <= window_size;
        CHECK((find({}).length == 8) == is_near);
        CHECK((find({.length = 7, .distance = 1}).length == 8) == is_near);
        CHECK(find({.length = 9, .distance = 1}).length == 0);
    }
}

TEST_CASE("match finder: the places with a tag, the newest first") {
    const auto check = [](auto&& row) {
        support::Random random{7};
        const std::size_t ways = row.tags.size();
        std::vector<std::uint8_t> tags;
        for (std::size_t place = 0; place < 3 * ways; ++place) {
            tags.push_back(static_cast<std::uint8_t>(1 + random.below(4)));
            row.enter(tags.back(), place);
            for (std::uint8_t tag = 1; tag < 5 && place >= ways; ++tag) {
                auto found = row.with_tag(tag);
                for (std::size_t i = 0; i < ways; ++i) {
                    if (tags[place - i] == tag) {
                        REQUIRE(found != 0);
                        REQUIRE(row.place(found) == place - i);
                        found &= found - 1;
                    }
                }
                REQUIRE(found == 0);
            }
        }
    };
    check(MatchRow<32>{});
    check(MatchRow<64>{});
}

TEST_CASE("match finder: equal bytes without vectors") {
    for (unsigned wanted = 0; wanted < 256; ++wanted) {
        for (const std::uint64_t bytes : {0x0001'027f'8081'feffU, 0xff00'ff00'0101'8080U}) {
            std::uint64_t expected = 0;
            for (unsigned i = 0; i < 8; ++i) {
                expected |= std::uint64_t{(bytes >> (8 * i) & 0xff) == wanted} << i;
            }
            REQUIRE(equal_bytes(bytes, static_cast<std::uint8_t>(wanted)) == expected);
        }
    }
}

TEST_CASE("match finder: what does not pay is no match") {
    const auto tables = std::make_unique<MatchTables<64>>();
    const std::string text =
        "abcde" + support::random_bytes(5000, 4) + "abcde" + support::random_bytes(100, 5);
    MatchCost cost;
    for (const std::uint32_t literal : {2U, 8U}) {
        cost.set(literal * cost_of_bit, 6 * cost_of_bit);
        MatchFinder finder{bytes_of(text), *tables};
        finder.insert(0, 5005);
        CHECK((finder.find(5005, {}, 258, 1000, cost).length == 5) == (literal == 8));
    }
}

TEST_CASE("match finder: overlapping matches, and the end of the input") {
    const auto tables = std::make_unique<MatchTables<64>>();
    const std::string text(40, 'a');
    MatchFinder finder{bytes_of(text), *tables};
    CHECK(finder.end() < text.size());
    CHECK(finder.find(0, {}, 258, 10, length_alone()).length == 0);
    const Match match = finder.find(1, {}, 258, 10, length_alone());
    CHECK(match.length == 39);
    CHECK(match.distance == 1);
    CHECK(MatchFinder<64>{bytes_of("short"), *tables}.end() == 0);
}
