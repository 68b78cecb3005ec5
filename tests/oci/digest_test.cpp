#include "fairing/oci/digest.hpp"

#include <doctest/doctest.h>

using namespace fairing;

namespace {
std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span{text}); }
}

TEST_CASE("digests are sha256 in lower-case hex") {
    const std::string abc =
        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    CHECK(oci::digest_of("abc") == abc);
    CHECK(oci::is_digest(abc));
    CHECK(oci::digest_hex(abc) == abc.substr(7));
    CHECK_FALSE(
        oci::is_digest("sha256:BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD"));
    CHECK_FALSE(oci::is_digest(abc + "0"));
    CHECK_FALSE(oci::is_digest("sha512:" + std::string(64, '0')));
    CHECK_THROWS_AS(static_cast<void>(oci::digest_hex("../../etc/passwd")), Error);
}

TEST_CASE("a verifier accepts the promised bytes only") {
    const auto verify = [](std::string_view text, std::uint64_t size) {
        oci::Verifier verifier{oci::digest_of("hello"), size, "blob x"};
        verifier.update(bytes(text));
        verifier.finish();
    };
    CHECK_NOTHROW(verify("hello", 5));
    CHECK_THROWS_WITH_AS(verify("hellO", 5), doctest::Contains("digest mismatch: expected sha256:"),
                         Error);
    CHECK_THROWS_WITH_AS(verify("hell", 5),
                         doctest::Contains("4 bytes where its descriptor says 5"), Error);
    CHECK_THROWS_WITH_AS(verify("hello!", 5), doctest::Contains("longer than the 5 bytes"), Error);
}
