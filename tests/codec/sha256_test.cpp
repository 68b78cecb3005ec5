// SHA-256 against NIST's vectors (FIPS 180-2, appendix B, and the longer ones of its examples),
// sha256sum, and itself.
#include <doctest/doctest.h>

#include <fairing/codec/sha256.hpp>
#include <fairing/core/files.hpp>
#include <string>
#include <utility>
#include <vector>

#include "../support/samples.hpp"
#include "../support/shell.hpp"

using namespace fairing::codec;
using support::bytes_of;

namespace {

std::string digest_of(std::string_view text, Sha256Implementation implementation) {
    Sha256 hash{implementation};
    hash.update(text);
    return hex(hash.finish());
}

}  // namespace

TEST_CASE("sha256: NIST's vectors, by every implementation of this machine") {
    const std::vector<std::pair<std::string, std::string>> vectors = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
        {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrl"
         "mnopqrsmnopqrstnopqrstu",
         "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
        {std::string(1'000'000, 'a'),
         "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"}};
    REQUIRE(sha256_implementations().back() == Sha256Implementation::portable);
    for (const Sha256Implementation implementation : sha256_implementations()) {
        CAPTURE(static_cast<int>(implementation));
        for (const auto& [text, digest] : vectors) {
            CHECK(digest_of(text, implementation) == digest);
            CHECK(sha256_hex(text) == digest);
        }
    }
}

TEST_CASE("sha256: every length to 300 and every alignment agree with the portable one") {
    const std::string bytes = support::random_bytes(320, 1);
    for (const Sha256Implementation implementation : sha256_implementations()) {
        for (std::size_t size = 0; size <= 300; ++size) {
            const std::string_view text = std::string_view{bytes}.substr(size % 17, size);
            REQUIRE(digest_of(text, implementation) ==
                    digest_of(text, Sha256Implementation::portable));
        }
    }
}

TEST_CASE("sha256: the borders of the pieces do not matter") {
    const std::string bytes = support::random_bytes(1000, 2);
    const std::string expected = sha256_hex(bytes);
    for (std::size_t size = 1; size <= 200; ++size) {
        Sha256 hash;
        for (std::size_t at = 0; at < bytes.size(); at += size) {
            hash.update(std::string_view{bytes}.substr(at, size));
        }
        REQUIRE(hex(hash.finish()) == expected);
    }
}

TEST_CASE("sha256: a copy goes on alone, and finish() begins anew") {
    Sha256 trunk;
    trunk.update("ab");
    Sha256 branch = trunk;
    branch.update("d");
    trunk.update("c");
    CHECK(hex(trunk.finish()) == sha256_hex("abc"));
    CHECK(hex(branch.finish()) == sha256_hex("abd"));
    CHECK(hex(trunk.finish()) == sha256_hex(""));
    CHECK(sha256_hex(bytes_of("abc")) == sha256_hex("abc"));
}

TEST_CASE("sha256: hex") {
    CHECK(hex({}).empty());
    CHECK(hex(bytes_of(std::string_view{"\0\x7f\x80\xff", 4})) == "007f80ff");
}

TEST_CASE("sha256: sha256sum agrees") {
    if (!support::has_program("sha256sum")) {
        MESSAGE("skipped: there is no sha256sum");
        return;
    }
    const fairing::TemporaryDirectory folder;
    const std::string path = (folder.path() / "file").string();
    for (const std::size_t size : {0U, 55U, 56U, 63U, 64U, 65U, 119U, 120U, 5'000'000U}) {
        const std::string bytes = support::random_bytes(size, size);
        support::write_bytes(path, bytes);
        CHECK(support::run("sha256sum < " + path).output == sha256_hex(bytes) + "  -\n");
    }
}
