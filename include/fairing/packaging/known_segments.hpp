// fairing/packaging/known_segments.hpp - the segments of a layer that was made before, to be taken
// into another one as they are.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "../codec/crc32.hpp"
#include "../core/files.hpp"
#include "layer_writer.hpp"
#include "segment.hpp"

namespace fairing::packaging {

/// They are recalled by content, and verified. Safe to use from several threads.
class KnownSegments {
public:
    KnownSegments() = default;
    KnownSegments(UniqueFd blob, std::vector<StoredSegment> segments)
        : blob_(std::move(blob)), segments_(std::move(segments)) {
        for (std::size_t i = 0; i < segments_.size(); ++i) {
            by_key_.emplace(short_key(segments_[i].key), i);
        }
    }
    /// Appends what the segment compressed to; false when it is not known, or is damaged.
    bool recall(const Segment& segment, std::span<const std::byte> input,
                std::vector<std::byte>& out) const {
        const auto found = by_key_.find(short_key(segment.key));
        if (found == by_key_.end()) {
            return false;
        }
        const StoredSegment& stored = segments_[found->second];
        if (stored.key != segment.key || stored.size != input.size() || stored.crc != segment.crc) {
            return false;
        }
        const std::size_t before = out.size();
        out.resize(before + stored.compressed_size);
        const auto bytes = std::span{out}.subspan(before);
        if (read_at(bytes, stored.offset) && codec::crc32(bytes) == stored.compressed_crc) {
            return true;
        }
        out.resize(before);
        return false;
    }
    [[nodiscard]] bool empty() const noexcept { return segments_.empty(); }

private:
    [[nodiscard]] static std::uint64_t short_key(const Sha256Digest& key) noexcept {
        std::uint64_t value = 0;
        std::memcpy(&value, key.data(), sizeof value);
        return value;
    }
    [[nodiscard]] bool read_at(std::span<std::byte> bytes, std::uint64_t offset) const noexcept {
        while (!bytes.empty()) {
            const ssize_t got =
                ::pread(blob_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
            if (got < 0 && errno == EINTR) {
                continue;
            }
            if (got <= 0) {
                return false;
            }
            bytes = bytes.subspan(static_cast<std::size_t>(got));
            offset += static_cast<std::uint64_t>(got);
        }
        return true;
    }

    UniqueFd blob_ = {};
    std::vector<StoredSegment> segments_ = {};
    std::unordered_map<std::uint64_t, std::size_t> by_key_ = {};
};

}  // namespace fairing::packaging
