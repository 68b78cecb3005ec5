#include "fairing/packaging/segment.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace fairing::packaging;

namespace {

Sha256Digest key_of(const std::string& header, const std::string& content,
                    const std::string& padding) {
    const std::string bytes = header + content + padding;
    Segment segment{.size = bytes.size(), .content = header.size(), .content_size = content.size()};
    fairing::codec::Sha256 hash;
    hash.update(content);
    segment.content_digest = hash.finish();
    return segment_key(segment, std::as_bytes(std::span{bytes}));
}

}  // namespace

TEST_CASE("the key covers header, content and padding") {
    const Sha256Digest key = key_of("h", "content", "00");
    CHECK(key == key_of("h", "content", "00"));
    CHECK(key != key_of("H", "content", "00"));
    CHECK(key != key_of("h", "Content", "00"));
    CHECK(key != key_of("h", "content", "0"));
    CHECK(key != key_of("", "hcontent00", ""));
}
