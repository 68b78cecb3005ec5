// fairing/codec/libdeflate_compressor.hpp - gzip layers through libdeflate, and only with
// FAIRING_LIBDEFLATE.
//
// It makes whole streams only, so a block is a member of its own (RFC 1952, section 2.2: "a gzip
// file consists of a series of members").
#pragma once

#include "../core/version.hpp"
#include "compressor.hpp"
#include "gzip_member.hpp"

#if FAIRING_LIBDEFLATE
#include <libdeflate.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>
#endif

#if FAIRING_LIBDEFLATE

namespace fairing::codec {

namespace detail {

/// This thread's compressor, which is kept for as long as the level is the same.
[[nodiscard]] inline libdeflate_compressor* libdeflate_for(int level) {
    struct Free {
        void operator()(libdeflate_compressor* compressor) const {
            libdeflate_free_compressor(compressor);
        }
    };
    static thread_local std::unique_ptr<libdeflate_compressor, Free> kept;
    static thread_local int kept_level = 0;
    if (!kept || kept_level != level) {
        kept.reset(libdeflate_alloc_compressor(level));
        kept_level = level;
    }
    if (!kept) {
        throw compressor_failure("libdeflate", "it can not be set up");
    }
    return kept.get();
}

}  // namespace detail

/// A member for each block.
struct LibdeflateCompressor {
    int level = 6;  ///< 0 (store), 1 (fast) to 12 (small)

    static constexpr std::string_view suffix = "gzip";

    [[nodiscard]] std::size_t block_size() const { return std::size_t{512} << 10; }
    /// What decides the bytes besides the input, for those who keep them.
    [[nodiscard]] std::string recipe() const {
        return "libdeflate " + std::to_string(level) + ' ' + LIBDEFLATE_VERSION_STRING;
    }

    void begin(std::vector<std::byte>&) const {}
    void block(std::span<const std::byte> input, std::vector<std::byte>& out) const {
        detail::check_level("libdeflate", level, 0, 12);
        if (input.empty()) {
            return;
        }
        libdeflate_compressor* const compressor = detail::libdeflate_for(level);
        const std::size_t used = out.size();
        out.resize(used + libdeflate_gzip_compress_bound(compressor, input.size()));
        const std::size_t size = libdeflate_gzip_compress(compressor, input.data(), input.size(),
                                                          out.data() + used, out.size() - used);
        if (size == 0) {
            throw detail::compressor_failure("libdeflate", "it needs more room than it said");
        }
        out.resize(used + size);
    }
    /// No member is no gzip file.
    void end(std::uint32_t, std::uint64_t size, std::vector<std::byte>& out) const {
        if (size == 0) {
            detail::begin_gzip_member(out);
            detail::end_gzip_member(0, 0, out);
        }
    }
};
static_assert(Compressor<LibdeflateCompressor>);

}  // namespace fairing::codec

#endif
