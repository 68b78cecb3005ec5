// The codes of a block: the fixed ones, and those of headers in every split, good and malformed.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <fairing/codec/inflate_codes.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "../support/samples.hpp"
#include "bits.hpp"

using namespace fairing::codec::detail;
using codec_test::Bits;

namespace {

/// The opening of a dynamic header: counts, and lengths of the code length code in the order of the
/// format: 16 17 18 0 8 7 9 6 10 5 11 4 12 3 13 2 14 1 15.
Bits opening(unsigned literals, unsigned distances, const std::vector<unsigned>& lengths) {
    Bits bits;
    bits.value(literals - 257, 5).value(distances - 1, 5);
    bits.value(static_cast<unsigned>(lengths.size()) - 4, 4);
    for (const unsigned length : lengths) {
        bits.value(length, 3);
    }
    return bits;
}

/// So many lengths of 0, 11 to 138, where `code` is that of 18.
Bits& gap(Bits& bits, unsigned count, std::string_view code = "1") {
    return bits.code(code).value(count - 11, 7);
}

/// Reads one header, which comes in pieces; whether it is complete.
bool read(InflateCodes& codes, std::string_view header, std::size_t piece) {
    BitReader bits;
    codes.begin();
    for (;;) {
        bits.input = support::bytes_of(header.substr(0, piece));
        header.remove_prefix(std::min(piece, header.size()));
        if (codes.read(bits)) {
            return true;
        }
        REQUIRE(bits.input.empty());
        if (header.empty()) {
            return false;
        }
    }
}

std::string refusal(const std::string& header) {
    std::string reason;
    for (const std::size_t piece : {std::size_t{1}, header.size() + 1}) {
        InflateCodes codes;
        try {
            return read(codes, header, piece) ? "accepted" : "incomplete";
        } catch (const fairing::Error& error) {
            CHECK(error.code() == fairing::ErrorCode::integrity);
            CHECK((reason.empty() || reason == error.details().answer));
            reason = error.details().answer;
        }
    }
    return reason;
}

/// What a code stands for, its first bit first.
template <class Table>
InflateEntry look(const Table& table, std::string_view code) {
    std::uint64_t bits = ~std::uint64_t{0} << code.size();
    for (std::size_t i = 0; i < code.size(); ++i) {
        bits |= std::uint64_t{code[i] == '1'} << i;
    }
    const InflateEntry entry = table.find(bits);
    if (entry.kind != inflate_invalid) {
        CHECK(entry.bits == code.size());
    }
    return entry;
}
bool is_range(const InflateEntry& entry, unsigned base, unsigned extra_bits) {
    return entry.kind == extra_bits && entry.value == base;
}
bool is_literal(const InflateEntry& entry, unsigned value) {
    return entry.kind == inflate_literal && entry.value == value;
}
void check_fixed(const InflateCodes& codes) {
    const auto& literals = codes.literals();
    CHECK(is_literal(look(literals, "00110000"), 0));
    CHECK(is_literal(look(literals, "10111111"), 143));
    CHECK(is_literal(look(literals, "110010000"), 144));
    CHECK(is_literal(look(literals, "111111111"), 255));
    CHECK(look(literals, "0000000").kind == inflate_end_of_block);
    CHECK(is_range(look(literals, "0000001"), 3, 0));
    CHECK(is_range(look(literals, "0010111"), 99, 4));
    CHECK(is_range(look(literals, "11000000"), 115, 4));
    CHECK(is_range(look(literals, "11000101"), 258, 0));
    CHECK(is_range(look(codes.distances(), "00000"), 1, 0));
    CHECK(is_range(look(codes.distances(), "11101"), 24577, 13));
}

/// The codes of 18 and 1 are 1 and 0.
const std::vector<unsigned> ones_and_gaps = {0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

}  // namespace

TEST_CASE("inflate codes: the fixed ones (RFC 1951, 3.2.6), also after others") {
    InflateCodes codes;
    codes.use_fixed();
    check_fixed(codes);
    // The symbols 286 and 287, and the distances 30 and 31, never occur.
    CHECK(look(codes.literals(), "11000110").kind == inflate_invalid);
    CHECK(look(codes.literals(), "11000111").kind == inflate_invalid);
    CHECK(look(codes.distances(), "11110").kind == inflate_invalid);
    CHECK(look(codes.distances(), "11111").kind == inflate_invalid);

    Bits other = opening(257, 1, ones_and_gaps);
    REQUIRE(read(codes, gap(gap(other, 138), 118).code("00").bytes(), 1));
    CHECK(look(codes.literals(), "0").kind == inflate_end_of_block);
    codes.use_fixed();
    check_fixed(codes);
    CHECK_THROWS_AS(read(codes, std::string(40, '\xff'), 1), fairing::Error);
    codes.use_fixed();
    check_fixed(codes);
}

TEST_CASE("inflate codes: a header in every split, a repetition over the border of its codes") {
    // The codes of 1, 16 and 18 are 0, 10 and 11: literals 255 and 256, and two distances.
    Bits bits = opening(257, 2, {2, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
    gap(gap(bits, 138, "11"), 117, "11").code("0").code("10").value(0, 2);
    const std::string header = bits.bytes();
    for (std::size_t piece = 1; piece <= header.size(); ++piece) {
        InflateCodes codes;
        REQUIRE(read(codes, header, piece));
        CHECK(is_literal(look(codes.literals(), "0"), 255));
        CHECK(look(codes.literals(), "1").kind == inflate_end_of_block);
        CHECK(is_range(look(codes.distances(), "0"), 1, 0));
        CHECK(is_range(look(codes.distances(), "1"), 2, 0));
    }
    for (std::size_t size = 0; size < header.size(); ++size) {
        InflateCodes codes;
        REQUIRE(!read(codes, std::string_view{header}.substr(0, size), 1));
    }
}

TEST_CASE("inflate codes: what follows a header is left in the reader") {
    Bits bits = opening(257, 1, ones_and_gaps);
    gap(gap(bits, 138), 118).code("0").code("0").value(0x155, 9);
    BitReader reader{.input = support::bytes_of(bits.bytes())};
    InflateCodes codes;
    codes.begin();
    REQUIRE(codes.read(reader));
    CHECK(reader.available(9));
    CHECK(reader.take(9) == 0x155);
}

TEST_CASE("inflate codes: one code of one bit will do, and none for distances") {
    Bits bits = opening(257, 1, {0, 0, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
    // The codes of 1, 0 and 18 are 0, 10 and 11.
    gap(gap(bits, 138, "11"), 118, "11").code("0").code("10");
    InflateCodes codes;
    REQUIRE(read(codes, bits.bytes(), 1));
    CHECK(look(codes.literals(), "0").kind == inflate_end_of_block);
    CHECK(look(codes.literals(), "1").kind == inflate_invalid);
    CHECK(look(codes.distances(), "0").kind == inflate_invalid);
    CHECK(look(codes.distances(), "1").kind == inflate_invalid);
}

TEST_CASE("inflate codes: counts, and codes of code lengths, that there can not be") {
    CHECK(refusal(opening(287, 1, {0, 0, 0, 0}).bytes()) == "a code for too many symbols");
    CHECK(refusal(opening(257, 31, {0, 0, 0, 0}).bytes()) == "a code for too many symbols");
    CHECK(refusal(opening(286, 30, {0, 0, 0, 0}).bytes()) == "an incomplete code of code lengths");
    CHECK(refusal(opening(257, 1, {1, 1, 1, 0}).bytes()) ==
          "an over-subscribed code of code lengths");
    CHECK(refusal(opening(257, 1, {1, 2, 0, 0}).bytes()) == "an incomplete code of code lengths");
    CHECK(refusal(opening(257, 1, {1, 0, 0, 0}).bytes()) == "an incomplete code of code lengths");
}

TEST_CASE("inflate codes: malformed code lengths") {
    const std::string zeros(40, '\0');
    // The codes of 16 and 18 are 0 and 1: a repetition at the beginning, and one over the end.
    CHECK(refusal(opening(257, 1, {1, 0, 1, 0}).code("0").bytes() + zeros) ==
          "a repeated code length without one before");
    Bits too_many = opening(257, 1, {1, 0, 1, 0});
    CHECK(refusal(gap(gap(too_many, 138), 121).bytes() + zeros) ==
          "more code lengths than symbols");
    Bits endless = opening(257, 1, ones_and_gaps);
    CHECK(refusal(gap(gap(endless, 138), 120).bytes() + zeros) ==
          "a code without an end of the block");
    // Three literals of one bit.
    Bits literals = opening(257, 1, ones_and_gaps);
    gap(gap(literals.code("00"), 138), 116).code("00");
    CHECK(refusal(literals.bytes()) == "an over-subscribed code of literals");
    // Three distances of one bit.
    Bits distances = opening(257, 3, ones_and_gaps);
    gap(gap(distances, 138), 118).code("0").code("000");
    CHECK(refusal(distances.bytes()) == "an over-subscribed code of distances");
}

TEST_CASE("inflate codes: incomplete ones") {
    // The codes of 18, 1 and 2 are 0, 10 and 11.
    const std::vector<unsigned> lengths = {0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 2};
    Bits literals = opening(257, 1, lengths);
    gap(gap(literals, 138, "0"), 117, "0").code("10").code("11").code("10");
    CHECK(refusal(literals.bytes()) == "an incomplete code of literals");
    Bits distances = opening(257, 2, lengths);
    gap(gap(distances, 138, "0"), 117, "0").code("10").code("10").code("11").code("11");
    CHECK(refusal(distances.bytes()) == "an incomplete code of distances");
}
