// fairing/codec/inflate_table.hpp - prefix codes as a table to look bits up in (RFC 1951,
// section 3.2.2).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "deflate_tables.hpp"

namespace fairing::codec::detail {

/// What a code stands for: a range with so many extra bits (0 to 13), or one of these.
inline constexpr std::uint8_t inflate_literal = 16;
inline constexpr std::uint8_t inflate_end_of_block = 17;
inline constexpr std::uint8_t inflate_invalid = 18;
inline constexpr std::uint8_t inflate_subtable = 19;

struct InflateEntry {
    std::uint16_t value = 0;  ///< the literal, the base of the range, or where the subtable begins
    std::uint8_t bits = 0;    ///< of the whole code; of a subtable: how many bits index it
    std::uint8_t kind = inflate_invalid;
};

/// What a set of code lengths amounts to.
enum class CodeVerdict { complete, single, empty, incomplete, oversubscribed };

/// The codes of an alphabet of at most `symbols`, at most `longest` bits each: those of up to
/// `root_bits` are found by one look, the others by two.
template <unsigned root_bits, std::size_t symbols, unsigned longest>
class InflateTable {
public:
    /// Symbol n stands for entry_of(n). `single` is one code of one bit: the other bit is
    /// inflate_invalid; `empty` no code at all: any bit is. After `incomplete` and `oversubscribed`
    /// the table is useless.
    template <class EntryOf>
    CodeVerdict build(std::span<const std::uint8_t> lengths, const EntryOf& entry_of) {
        std::array<std::uint16_t, longest + 2> counts = {}, offsets = {};
        std::array<std::uint32_t, longest + 1> next = {};
        for (const std::uint8_t length : lengths) {
            ++counts[length];
        }
        counts[0] = 0;
        std::int32_t left = 1;
        unsigned used = 0;
        for (unsigned length = 1; length <= longest; ++length) {
            left = 2 * left - counts[length];
            if (left < 0) {
                return CodeVerdict::oversubscribed;
            }
            used = counts[length] > 0 ? length : used;
            next[length] = (next[length - 1] + counts[length - 1]) << 1;
            offsets[length + 1] = static_cast<std::uint16_t>(offsets[length] + counts[length]);
        }
        if (left > 0) {
            if (used > 1) {
                return CodeVerdict::incomplete;
            }
            entries_.fill({.bits = 1});
        }
        std::array<std::uint16_t, symbols> sorted;
        for (std::size_t symbol = 0; symbol < lengths.size(); ++symbol) {
            if (lengths[symbol] > 0) {
                sorted[offsets[lengths[symbol]]++] = static_cast<std::uint16_t>(symbol);
            }
        }
        end_ = root_size;
        prefix_ = root_size;
        std::size_t index = 0;
        for (unsigned length = 1; length <= used; ++length) {
            for (unsigned i = 0; i < counts[length]; ++i) {
                InflateEntry entry = entry_of(sorted[index++]);
                entry.bits = static_cast<std::uint8_t>(length);
                place(reversed(next[length]++, length), used, entry);
            }
        }
        return left == 0   ? CodeVerdict::complete
               : used == 1 ? CodeVerdict::single
                           : CodeVerdict::empty;
    }

    /// The entry for these bits, of which only the lowest `entry.bits` matter.
    [[nodiscard]] InflateEntry find(std::uint64_t bits) const {
        const InflateEntry entry = entries_[bits % root_size];
        if (entry.kind != inflate_subtable) {
            return entry;
        }
        const std::uint64_t index = bits >> root_bits & ((std::uint64_t{1} << entry.bits) - 1);
        return entries_[entry.value + index];
    }

private:
    static std::uint32_t reversed(std::uint32_t code, unsigned length) {
        std::uint32_t result = 0;
        for (unsigned bit = 0; bit < length; ++bit, code >>= 1) {
            result = result << 1 | (code & 1);
        }
        return result;
    }

    void place(std::size_t code, unsigned used, InflateEntry entry) {
        if (entry.bits <= root_bits) {
            for (std::size_t i = code; i < root_size; i += std::size_t{1} << entry.bits) {
                entries_[i] = entry;
            }
            return;
        }
        // Codes come in rising order, so those that share their first bits come one after the
        // other.
        const unsigned index_bits = used - root_bits;
        const std::size_t size = std::size_t{1} << index_bits;
        if (const std::size_t prefix = code % root_size; prefix != prefix_) {
            prefix_ = prefix;
            begin_ = end_;
            end_ += size;
            entries_[prefix] = {.value = static_cast<std::uint16_t>(begin_),
                                .bits = static_cast<std::uint8_t>(index_bits),
                                .kind = inflate_subtable};
        }
        for (std::size_t i = code / root_size; i < size;
             i += std::size_t{1} << (entry.bits - root_bits)) {
            entries_[begin_ + i] = entry;
        }
    }

    static constexpr std::size_t root_size = std::size_t{1} << root_bits;
    /// In a complete code at least two symbols share each subtable.
    static constexpr std::size_t capacity = root_size + (symbols / 2 << (longest - root_bits));

    std::array<InflateEntry, capacity> entries_ = {};
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    std::size_t prefix_ = 0;
};

}  // namespace fairing::codec::detail
