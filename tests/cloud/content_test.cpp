#include "fairing/cloud/content.hpp"

#include <doctest/doctest.h>

#include "../support/workspace.hpp"

using namespace fairing;
using cloud::Content;

namespace {

std::string bytes_of(const Content& content, cloud::ByteRange range) {
    std::string text;
    content.body(range).write([&text](std::span<const std::byte> bytes) {
        text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    });
    return text;
}

}  // namespace

TEST_CASE("any part of a text or a file, any number of times") {
    const support::Workspace place;
    std::string large(200000, 'x');
    large[150000] = 'y';
    place.file("f", large);
    for (const Content& content : {Content::of(large), Content::of_file(place / "f")}) {
        CHECK(content.size == 200000);
        CHECK(bytes_of(content, {149999, 3}) == "xyx");
        CHECK(bytes_of(content, {149999, 3}) == "xyx");
        CHECK(bytes_of(content, {0, content.size}) == large);
        CHECK(content.sha256_hex({149999, 3}) == codec::sha256_hex("xyx"));
        CHECK(content.part(199999, 10).size == 1);
        CHECK(content.part(200000, 10).size == 0);
    }
}

TEST_CASE("a file that becomes shorter, and what is no file") {
    const support::Workspace place;
    place.file("f", "abcdef");
    const Content content = Content::of_file(place / "f");
    std::filesystem::resize_file(place / "f", 3);
    CHECK(support::contains(support::error_of([&] {
                                bytes_of(content, {0, 6});
                            }),
                            "it became shorter while it was uploaded"));
    CHECK(support::contains(support::error_of([&] { (void)Content::of_file(place.path()); }),
                            "it is no regular file"));
}
