// fairing/codec/zlib_compressor.hpp - gzip layers through zlib, and only with FAIRING_ZLIB: for
// those who want the bytes that it gives. Ours is smaller at every speed.
#pragma once

#include "../core/version.hpp"
#include "compressor.hpp"
#include "gzip_member.hpp"

#if FAIRING_ZLIB
#include <zlib.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>
#endif

#if FAIRING_ZLIB

namespace fairing::codec {

namespace detail {

/// A stream of raw deflate that is set up once and begins anew for each block.
class ZlibStream {
public:
    ZlibStream() = default;
    ZlibStream(const ZlibStream&) = delete;
    ZlibStream& operator=(const ZlibStream&) = delete;
    ~ZlibStream() { close(); }

    /// Appends blocks that refer to nothing before `input`, and end at a byte border.
    void append(std::span<const std::byte> input, int level, std::vector<std::byte>& out) {
        begin(level);
        while (!input.empty()) {
            // zlib counts in 32 bits, and does not write to what it reads.
            const auto run = input.first(std::min(input.size(), std::size_t{1} << 30));
            stream_.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(run.data()));
            stream_.avail_in = static_cast<uInt>(run.size());
            write(out);
            input = input.subspan(run.size());
        }
    }

private:
    void begin(int level) {
        if (level == level_ && ::deflateReset(&stream_) == Z_OK) {
            return;
        }
        close();
        constexpr int raw_window = -15, most_memory = 9;
        if (deflateInit2(&stream_, level, Z_DEFLATED, raw_window, most_memory,
                         Z_DEFAULT_STRATEGY) != Z_OK) {
            throw compressor_failure("zlib", "it can not be set up");
        }
        level_ = level;
    }
    void write(std::vector<std::byte>& out) {
        std::size_t used = out.size();
        do {
            const std::size_t room = ::deflateBound(&stream_, stream_.avail_in) + 16;
            out.resize(used + room);
            stream_.next_out = reinterpret_cast<Bytef*>(out.data() + used);
            stream_.avail_out = static_cast<uInt>(room);
            if (::deflate(&stream_, Z_SYNC_FLUSH) != Z_OK) {
                throw compressor_failure("zlib", "it gives up");
            }
            used = out.size() - stream_.avail_out;
        } while (stream_.avail_out == 0);
        out.resize(used);
    }
    void close() noexcept {
        if (level_ != none) {
            ::deflateEnd(&stream_);
            level_ = none;
        }
    }

    static constexpr int none = -1;
    z_stream stream_ = {};
    int level_ = none;
};

}  // namespace detail

/// One member, of zlib's deflate blocks.
struct ZlibCompressor {
    int level = 6;  ///< 0 (store), 1 (fast) to 9 (small)

    static constexpr std::string_view suffix = "gzip";

    [[nodiscard]] std::size_t block_size() const { return std::size_t{512} << 10; }
    /// What decides the bytes besides the input, for those who keep them.
    [[nodiscard]] std::string recipe() const {
        return "zlib " + std::to_string(level) + ' ' + ::zlibVersion();
    }

    void begin(std::vector<std::byte>& out) const { detail::begin_gzip_member(out); }
    void block(std::span<const std::byte> input, std::vector<std::byte>& out) const {
        detail::check_level("zlib", level, 0, 9);
        static thread_local detail::ZlibStream stream;
        stream.append(input, level, out);
    }
    void end(std::uint32_t crc, std::uint64_t size, std::vector<std::byte>& out) const {
        detail::end_gzip_member(crc, size, out);
    }
};
static_assert(Compressor<ZlibCompressor>);

}  // namespace fairing::codec

#endif
