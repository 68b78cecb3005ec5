// fairing/codec/sequences.hpp - an input as literals and matches, collected
// until it is worth a block.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "deflate_tables.hpp"
#include "entropy.hpp"
#include "match_cost.hpp"

namespace fairing::codec::detail {

/// Literals, then a match; length 0: none.
struct Sequence {
    std::uint32_t literals = 0;
    std::uint16_t length = 0;
    std::uint16_t distance = 0;
};

/// How often each symbol occurs.
struct Histogram {
    std::array<std::uint32_t, literal_symbols> literals = {};
    std::array<std::uint32_t, distance_symbols> distances = {};

    void add(const Histogram& other) {
        for (std::size_t i = 0; i < literals.size(); ++i) {
            literals[i] += other.literals[i];
        }
        for (std::size_t i = 0; i < distances.size(); ++i) {
            distances[i] += other.distances[i];
        }
    }
    /// About the size of the block, without extra bits, which are the same in any
    /// block.
    [[nodiscard]] std::uint64_t cost() const {
        std::uint64_t described = 0;
        for (const std::uint32_t count : literals) {
            described += count > 0 ? 1 : 0;
        }
        for (const std::uint32_t count : distances) {
            described += count > 0 ? 1 : 0;
        }
        return entropy_cost(literals) + entropy_cost(distances) +
               (described * 7 / 2 + 80) * cost_of_bit;
    }
};

/// Counts bytes in four tables, so that equal ones need not wait for each
/// other: neighbours, and those of the same place in numbers of four bytes.
inline void count_bytes(std::span<const std::uint8_t> bytes, std::span<std::uint32_t> counts) {
    std::array<std::array<std::uint32_t, 256>, 4> tables = {};
    const std::uint8_t* next = bytes.data();
    const std::uint8_t* const end = next + bytes.size();
    for (; end - next >= 16; next += 16) {
        std::uint64_t first = 0, second = 0;
        std::memcpy(&first, next, 8);
        std::memcpy(&second, next + 8, 8);
        [&]<std::size_t... i>(std::index_sequence<i...>) {  // written out whatever the compiler
            ((++tables[(i + i / 4) % 4][first >> (8 * i) & 0xff],
              ++tables[(i + i / 4 + 2) % 4][second >> (8 * i) & 0xff]),
             ...);
        }
        (std::make_index_sequence<8>{});
    }
    for (; next != end; ++next) {
        ++tables[0][*next];
    }
    for (std::size_t value = 0; value < 256; ++value) {
        counts[value] += tables[0][value] + tables[1][value] + tables[2][value] + tables[3][value];
    }
}

/// Literals and matches of at most `capacity` bytes of input.
class Sequences {
public:
    explicit Sequences(std::size_t capacity)
        : literals_(capacity + padding),
          sequences_(capacity / shortest_match + capacity / 256 + 16) {}

    void clear() { literal_count_ = sequence_count_ = input_size_ = 0; }

    /// The place where the next literals and sequences go, as plain values: a
    /// loop keeps them in registers. To be given back with resume().
    class Cursor {
    public:
        Cursor(std::uint8_t* literals, Sequence* sequences)
            : literals_(literals), sequences_(sequences) {}
        /// Precondition: at least 16 bytes are readable at `from`.
        void add(const std::byte* from, std::size_t count, std::size_t length,
                 std::size_t distance) {
            std::memcpy(literals_, from, 16);
            if (count > 16) {
                std::memcpy(literals_ + 16, from + 16, count - 16);
            }
            literals_ += count;
            *sequences_++ = {static_cast<std::uint32_t>(count), static_cast<std::uint16_t>(length),
                             static_cast<std::uint16_t>(distance)};
        }
        [[nodiscard]] std::uint8_t* literals() const { return literals_; }
        [[nodiscard]] Sequence* sequences() const { return sequences_; }

    private:
        std::uint8_t* literals_;
        Sequence* sequences_;
    };
    [[nodiscard]] Cursor cursor() {
        return {literals_.data() + literal_count_, sequences_.data() + sequence_count_};
    }
    /// `size` bytes of input were added.
    void resume(const Cursor& cursor, std::size_t size) {
        literal_count_ = static_cast<std::size_t>(cursor.literals() - literals_.data());
        sequence_count_ = static_cast<std::size_t>(cursor.sequences() - sequences_.data());
        input_size_ += size;
    }
    /// Literals without a match.
    void add_literals(std::span<const std::byte> bytes) {
        std::memcpy(literals_.data() + literal_count_, bytes.data(), bytes.size());
        literal_count_ += bytes.size();
        sequences_[sequence_count_++] = {static_cast<std::uint32_t>(bytes.size()), 0, 0};
        input_size_ += bytes.size();
    }

    struct Mark {
        std::size_t literals = 0, sequences = 0, input = 0;
    };
    [[nodiscard]] Mark mark() const { return {literal_count_, sequence_count_, input_size_}; }
    [[nodiscard]] std::span<const std::uint8_t> literals(const Mark& from, const Mark& to) const {
        return std::span{literals_}.subspan(from.literals, to.literals - from.literals);
    }
    [[nodiscard]] std::span<const Sequence> sequences(const Mark& from, const Mark& to) const {
        return std::span{sequences_}.subspan(from.sequences, to.sequences - from.sequences);
    }
    /// Forgets what is before `mark`.
    void drop(const Mark& mark) {
        std::memmove(literals_.data(), literals_.data() + mark.literals,
                     literal_count_ - mark.literals);
        std::copy(sequences_.data() + mark.sequences, sequences_.data() + sequence_count_,
                  sequences_.data());
        literal_count_ -= mark.literals;
        sequence_count_ -= mark.sequences;
        input_size_ -= mark.input;
    }

    /// Counts the symbols between two marks.
    [[nodiscard]] Histogram count(const Mark& from, const Mark& to) const {
        Histogram histogram;
        count_bytes(literals(from, to), histogram.literals);
        for (const Sequence& sequence : sequences(from, to)) {
            if (sequence.length > 0) {
                ++histogram.literals[length_symbols[sequence.length]];
                ++histogram.distances[distance_symbol(sequence.distance)];
            }
        }
        return histogram;
    }

    static constexpr std::size_t padding = 64;

private:
    std::vector<std::uint8_t> literals_;
    std::vector<Sequence> sequences_;
    std::size_t literal_count_ = 0, sequence_count_ = 0, input_size_ = 0;
};

/// What literals and matches cost where these symbols are usual.
inline void learn(const Histogram& histogram, MatchCost& cost) {
    std::uint64_t literals = 0, literal_bits = 0, lengths = 0, length_bits = 0, total = 0;
    for (const std::uint32_t count : histogram.literals) {
        total += count;
    }
    if (total == 0) {
        return;
    }
    const std::uint32_t whole = log2_cost(static_cast<std::uint32_t>(total));
    for (std::size_t i = 0; i < histogram.literals.size(); ++i) {
        const std::uint32_t count = histogram.literals[i];
        if (count > 0) {
            const std::uint64_t bits = std::uint64_t{count} * (whole - log2_cost(count));
            (i < first_length_symbol ? literals : lengths) += count;
            (i < first_length_symbol ? literal_bits : length_bits) += bits;
        }
    }
    const std::uint64_t distance_bits = entropy_cost(histogram.distances);
    // A few matches of the usual cost, for when there are none to learn from.
    constexpr std::uint64_t usual = 16;
    const std::uint64_t match =
        (length_bits + distance_bits + usual * 10 * cost_of_bit) / (lengths + usual);
    const std::uint64_t literal = (literal_bits + usual * 6 * cost_of_bit) / (literals + usual);
    cost.set(static_cast<std::uint32_t>(literal), static_cast<std::uint32_t>(match));
}

}  // namespace fairing::codec::detail
