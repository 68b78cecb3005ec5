// fairing/codec/chain_parser.hpp - literals and matches by hash chains and a
// look at the next places: the balanced and the best levels.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "match_cost.hpp"
#include "match_finder.hpp"
#include "sequences.hpp"

namespace fairing::codec::detail {

/// How hard a level searches: steps in a chain, the length that ends a search,
/// the length from which the next places are not tried for a better match, and
/// how many of them are.
struct ChainEffort {
    unsigned depth = 0;
    std::size_t nice = 0;
    std::size_t lazy = 0;
    unsigned places = 0;
};

/// Visits one input piece by piece. Where nothing is found it looks at fewer
/// and fewer places.
class ChainParser {
public:
    ChainParser(std::span<const std::byte> input, const ChainEffort& effort, ChainTables& tables)
        : input_(input), effort_(effort), finder_(input, tables) {}

    /// Adds the input from `position` to at least `target`, and returns where it
    /// got to.
    std::size_t parse(std::size_t position, std::size_t target, const MatchCost& cost,
                      Sequences& sequences) {
        const std::size_t begin = position;
        std::size_t anchor = position;
        Sequences::Cursor cursor = sequences.cursor();
        const std::size_t stop = std::min(target, finder_.end());
        while (position < stop) {
            Match match = finder_.find(position, {}, effort_.nice, effort_.depth, cost);
            if (match.length == 0) {
                const std::size_t step = std::min(widest_step, 1 + (position - anchor) / patience);
                if (step > 1 && position % (step * step) < step) {
                    finder_.insert(position + 1, position + step);
                }
                position += step;
                continue;
            }
            std::size_t entered = position + 1;
            match = improve(match, position, entered, cost);
            cursor.add(input_.data() + anchor, position - anchor, match.length, match.distance);
            position += match.length;
            anchor = position;
            finder_.insert(entered, position);
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

    /// Looks whether a match that begins a little later saves more, and moves
    /// there.
    Match improve(Match match, std::size_t& position, std::size_t& entered, const MatchCost& cost) {
        unsigned left = effort_.places;
        for (std::size_t at = position + 1; left > 0 && match.length < effort_.lazy &&
                                            at < finder_.end() && at < position + match.length;
             ++at, --left) {
            const unsigned depth = std::max(1U, effort_.depth >> (at - position));
            const Match other = finder_.find(at, match, effort_.nice, depth, cost);
            entered = at + 1;
            if (other.length > 0) {
                match = other;
                position = at;
                left = effort_.places + 1;
            }
        }
        return match;
    }

    std::span<const std::byte> input_;
    const ChainEffort& effort_;
    MatchFinder finder_;
};

}  // namespace fairing::codec::detail
