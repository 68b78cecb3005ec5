// fairing/codec/isal_compressor.hpp - gzip layers through ISA-L (libisal), and only with
// FAIRING_ISAL: the fastest there is on Intel's processors.
//
// What it gives may differ from one family of processors to the next: images are equal only where
// these are.
#pragma once

#include "../core/version.hpp"
#include "compressor.hpp"
#include "gzip_member.hpp"

#if FAIRING_ISAL
#include <isa-l.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>
#endif

#if FAIRING_ISAL

namespace fairing::codec {

namespace detail {

/// A stream of raw deflate that is set up once and begins anew for each block.
class IsalStream {
public:
    /// Appends blocks that refer to nothing before `input`, and end at a byte border.
    void append(std::span<const std::byte> input, int level, std::vector<std::byte>& out) {
        begin(level);
        while (!input.empty()) {
            // ISA-L counts in 32 bits, and does not write to what it reads.
            const auto run = input.first(std::min(input.size(), std::size_t{1} << 30));
            stream_.next_in = reinterpret_cast<std::uint8_t*>(const_cast<std::byte*>(run.data()));
            stream_.avail_in = static_cast<std::uint32_t>(run.size());
            write(out);
            input = input.subspan(run.size());
        }
    }

private:
    void begin(int level) {
        if (level == level_) {
            isal_deflate_reset(&stream_);
            return;
        }
        constexpr std::array<std::uint32_t, 4> memory = {
            ISAL_DEF_LVL0_DEFAULT, ISAL_DEF_LVL1_DEFAULT, ISAL_DEF_LVL2_DEFAULT,
            ISAL_DEF_LVL3_DEFAULT};
        isal_deflate_init(&stream_);
        memory_.assign(memory[static_cast<std::size_t>(level)], 0);
        stream_.level = static_cast<std::uint32_t>(level);
        stream_.level_buf = memory_.data();
        stream_.level_buf_size = static_cast<std::uint32_t>(memory_.size());
        stream_.gzip_flag = IGZIP_DEFLATE;
        stream_.flush = FULL_FLUSH;
        stream_.end_of_stream = 0;
        level_ = level;
    }
    void write(std::vector<std::byte>& out) {
        std::size_t used = out.size();
        do {
            const std::size_t room = stream_.avail_in + stream_.avail_in / 8 + 1024;
            out.resize(used + room);
            stream_.next_out = reinterpret_cast<std::uint8_t*>(out.data() + used);
            stream_.avail_out = static_cast<std::uint32_t>(room);
            if (isal_deflate(&stream_) != COMP_OK) {
                level_ = none;
                throw compressor_failure("ISA-L", "it gives up");
            }
            used = out.size() - stream_.avail_out;
        } while (stream_.avail_out == 0);
        out.resize(used);
    }

    static constexpr int none = -1;
    isal_zstream stream_ = {};
    std::vector<std::uint8_t> memory_ = {};
    int level_ = none;
};

}  // namespace detail

/// One member, of ISA-L's deflate blocks.
struct IsalCompressor {
    int level = 1;  ///< 0 (fast) to 3 (small)

    static constexpr std::string_view suffix = "gzip";

    [[nodiscard]] std::size_t block_size() const { return std::size_t{512} << 10; }
    /// What decides the bytes besides the input, for those who keep them.
    [[nodiscard]] std::string recipe() const {
        return "isal " + std::to_string(level) + ' ' + std::to_string(ISAL_VERSION);
    }

    void begin(std::vector<std::byte>& out) const { detail::begin_gzip_member(out); }
    void block(std::span<const std::byte> input, std::vector<std::byte>& out) const {
        detail::check_level("ISA-L", level, 0, 3);
        // It is 200 KiB: not for every thread of the program.
        static thread_local const auto stream = std::make_unique<detail::IsalStream>();
        stream->append(input, level, out);
    }
    void end(std::uint32_t crc, std::uint64_t size, std::vector<std::byte>& out) const {
        detail::end_gzip_member(crc, size, out);
    }
};
static_assert(Compressor<IsalCompressor>);

}  // namespace fairing::codec

#endif
