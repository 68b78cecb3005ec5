// fairing/packaging/segment.hpp - the part of a layer that is compressed by itself, and can be
// recalled by its content. Data, no I/O.
//
// A file is a segment: its tar header, its bytes, its padding. One of more than 512 KiB is cut: its
// header, which holds its size, then every 512 KiB of its own bytes. So no edit moves the borders
// of what follows: a segment depends on what it holds alone, and so does what it compresses to.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "../codec/crc32.hpp"
#include "../codec/sha256.hpp"

namespace fairing::packaging {

using Sha256Digest = std::array<std::byte, 32>;

/// The bytes of a file in one segment, at most.
inline constexpr std::size_t piece_size = std::size_t{512} << 10;

struct Segment {
    std::size_t file = 0;          ///< number of the file that it belongs to
    std::size_t begin = 0;         ///< in its block
    std::size_t size = 0;          ///< with header and padding
    std::size_t content = 0;       ///< where the file's bytes begin, from `begin`
    std::size_t content_size = 0;  ///< how many there are

    // What came out of it:
    Sha256Digest content_digest = {};  ///< of the file's bytes
    Sha256Digest key = {};             ///< of all its bytes: segment_key()
    std::uint32_t crc = 0;             ///< of all its bytes
    std::size_t compressed_size = 0;
    std::uint32_t compressed_crc = 0;
    bool recalled = false;  ///< compressed by an earlier build
};

/// Appends what a segment compressed to earlier, if that is known; called on several threads at
/// once.
using Recall = std::function<bool(const Segment&, std::span<const std::byte> input,
                                  std::vector<std::byte>& out)>;

/// What a segment is known by: its bytes, header and padding too.
[[nodiscard]] inline Sha256Digest segment_key(const Segment& segment,
                                              std::span<const std::byte> input) {
    codec::Sha256 hash;
    hash.update(segment.content_digest);
    hash.update(input.first(segment.content));
    hash.update(input.subspan(segment.content + segment.content_size));
    return hash.finish();
}

}  // namespace fairing::packaging
