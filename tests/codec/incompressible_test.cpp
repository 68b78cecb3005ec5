// What is stored without a try: random bytes, and nothing that deflate would shrink.
#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <fairing/codec/incompressible.hpp>
#include <string>

#include "../support/samples.hpp"

using fairing::codec::detail::RandomnessProbe;

namespace {

bool looks_random(const std::string& text) {
    return RandomnessProbe{support::bytes_of(text)}.looks_random(0, text.size());
}

}  // namespace

TEST_CASE("incompressible: random bytes look random, other things do not") {
    for (const std::uint64_t seed : {1U, 2U, 3U, 4U, 5U}) {
        CHECK(looks_random(support::random_bytes(65535, seed)));
        CHECK(looks_random(support::random_bytes(20'000, seed)));
        CHECK(!looks_random(support::prose(65535, seed)));
    }
    CHECK(!looks_random(""));
    CHECK(!looks_random(support::random_bytes(1000, 1)));  // too little to tell
    CHECK(!looks_random(std::string(65535, 'x')));
    std::string seven_bits = support::random_bytes(65535, 6);
    for (char& byte : seven_bits) {
        byte = static_cast<char>(byte & 0x7f);
    }
    CHECK(!looks_random(seven_bits));
}

TEST_CASE("incompressible: repetitions are seen at any distance and alignment of the window") {
    for (const std::size_t period : {300U, 1000U, 4097U, 20'011U, 32'000U}) {
        const std::string unit = support::random_bytes(period, period);
        std::string text;
        while (text.size() < 65535) {
            text += unit;
        }
        CHECK(!looks_random(text.substr(0, 65535)));
    }
    // A piece that repeats the piece before it.
    const std::string unit = support::random_bytes(20'000, 9);
    const std::string twice = unit + unit;
    RandomnessProbe probe{support::bytes_of(twice)};
    CHECK(probe.looks_random(0, 20'000));
    CHECK(!probe.looks_random(20'000, 20'000));
}
