// fairing/codec/lazy_parser.hpp - literals and matches by a search at each place
// and a look at the next ones: the balanced and the best levels.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "match_cost.hpp"
#include "match_finder.hpp"
#include "sequences.hpp"

namespace fairing::codec::detail {

/// How hard a level searches: candidates in a row, the length that ends a search,
/// the length from which the next places are not tried for a better match, and
/// how many of them are.
struct SearchEffort {
    unsigned depth = 0;
    std::uint32_t nice = 0;
    std::uint32_t lazy = 0;
    unsigned places = 0;
};

/// Visits one input piece by piece. Where nothing is found it looks at fewer
/// and fewer places.
template <unsigned ways>
class LazyParser {
public:
    LazyParser(std::span<const std::byte> input, const SearchEffort& effort,
               MatchTables<ways>& tables)
        : input_(input), effort_(effort), finder_(input, tables) {}

    /// Adds the input from `position` to at least `target`, and returns where it
    /// got to.
    [[gnu::always_inline]] std::size_t parse(std::size_t position, std::size_t target,
                                             const MatchCost& cost, Sequences& sequences) {
        const std::size_t begin = position;
        const std::byte* const data = input_.data();
        const SearchEffort effort = effort_;
        MatchFinder<ways> finder = finder_;  // in registers
        std::size_t anchor = position;
        Sequences::Cursor cursor = sequences.cursor();
        const std::size_t stop = std::min(target, finder.end());
        while (position < stop) {
            Match match = finder.find(position, {}, effort.nice, effort.depth, cost);
            if (match.length == 0) {
                const std::size_t step = std::min(widest_step, 1 + (position - anchor) / patience);
                if (step > 1 && position % (step * step) < step) [[unlikely]] {
                    finder.insert(position + 1, position + step);
                }
                position += step;
                continue;
            }
            // Does a match that begins a little later save more?
            std::size_t next = position + 1;
            for (unsigned left = effort.places;
                 left > 0 && match.length < effort.lazy && next < finder.end(); --left) {
                // What stands before it goes into literals, which cost more than they seem.
                Match rival = match;
                rival.gain +=
                    static_cast<std::int32_t>((2 * (next - position) - 1) * cost.literal() / 5);
                const Match later = finder.find(next, rival, effort.nice, effort.depth, cost);
                if (later.length > 0) {
                    match = later;
                    position = next;
                    left = effort.places + 1;
                }
                ++next;
            }
            cursor.add(data + anchor, position - anchor, match.length, match.distance);
            position += match.length;
            anchor = position;
            finder.insert(next, position);
        }
        sequences.resume(cursor, anchor - begin);
        if (anchor < target) {
            sequences.add_literals(input_.subspan(anchor, target - anchor));
            anchor = target;
        }
        return anchor;
    }

private:
    static constexpr std::size_t patience = 128;
    /// Of places that are looked at one in `step`, and noted in bursts of `step`
    /// every step^2, some meet at any distance.
    static constexpr std::size_t widest_step = 16;

    std::span<const std::byte> input_;
    const SearchEffort& effort_;
    MatchFinder<ways> finder_;
};

}  // namespace fairing::codec::detail
