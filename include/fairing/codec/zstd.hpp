// fairing/codec/zstd.hpp - the zstd format (RFC 8878) through libzstd, and only with FAIRING_ZSTD:
// a compressor of layers, and a reader.
#pragma once

#include "../core/error.hpp"
#include "../core/version.hpp"
#include "compressor.hpp"

#if FAIRING_ZSTD
#include <zstd.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>
#endif

#if FAIRING_ZSTD

namespace fairing::codec {

namespace detail {

struct FreeZstd {
    void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

/// Appends one frame.
inline void append_zstd_frame(std::span<const std::byte> input, int level,
                              std::vector<std::byte>& out) {
    static thread_local const std::unique_ptr<ZSTD_CCtx, FreeZstd> context{ZSTD_createCCtx()};
    if (!context) {
        throw compressor_failure("zstd", "it can not be set up");
    }
    const std::size_t used = out.size();
    out.resize(used + ZSTD_compressBound(input.size()));
    const std::size_t size = ZSTD_compressCCtx(context.get(), out.data() + used, out.size() - used,
                                               input.data(), input.size(), level);
    if (ZSTD_isError(size) != 0) {
        throw compressor_failure("zstd", ZSTD_getErrorName(size));
    }
    out.resize(used + size);
}

}  // namespace detail

/// A frame for each block. Only images with OCI manifests can have such layers.
struct ZstdCompressor {
    int level = 3;  ///< 1 (fast) to 22 (small)

    static constexpr std::string_view suffix = "zstd";

    [[nodiscard]] std::size_t block_size() const { return std::size_t{512} << 10; }
    /// What decides the bytes besides the input, for those who keep them.
    [[nodiscard]] std::string recipe() const {
        return "zstd " + std::to_string(level) + ' ' + ZSTD_versionString();
    }

    void begin(std::vector<std::byte>&) const {}
    void block(std::span<const std::byte> input, std::vector<std::byte>& out) const {
        detail::check_level("zstd", level, 1, ZSTD_maxCLevel());
        if (!input.empty()) {
            detail::append_zstd_frame(input, level, out);
        }
    }
    /// No frame is no zstd file.
    void end(std::uint32_t, std::uint64_t size, std::vector<std::byte>& out) const {
        if (size == 0) {
            detail::append_zstd_frame({}, level, out);
        }
    }
};
static_assert(Compressor<ZstdCompressor>);

/// Gives what a zstd file of any number of frames holds to a sink. Throws Error{integrity} with the
/// reason, and is good for nothing then. Takes no frame whose window is larger than 128 MiB.
class ZstdReader {
public:
    explicit ZstdReader(ByteSink sink)
        : sink_(std::move(sink)), context_(ZSTD_createDCtx()), buffer_(ZSTD_DStreamOutSize()) {
        if (!context_) {
            refuse("there is no memory to read it");
        }
    }

    /// Takes the next piece of the file, of any size.
    void write(std::span<const std::byte> input) {
        ZSTD_inBuffer in{.src = input.data(), .size = input.size(), .pos = 0};
        bool more = !input.empty();
        while (more) {
            ZSTD_outBuffer out{.dst = buffer_.data(), .size = buffer_.size(), .pos = 0};
            const std::size_t left = ZSTD_decompressStream(context_.get(), &out, &in);
            if (ZSTD_isError(left) != 0) {
                refuse(ZSTD_getErrorName(left));
            }
            if (out.pos > 0) {
                sink_(std::span{buffer_}.first(out.pos));
            }
            ended_ = left == 0;
            more = in.pos < in.size || (!ended_ && out.pos == out.size);
        }
    }

    /// To be called at the end of the file. Throws when it is cut off.
    void finish() const {
        if (!ended_) {
            refuse("it is cut off");
        }
    }

private:
    [[noreturn]] static void refuse(const char* reason) {
        throw Error{ErrorCode::integrity,
                    {.attempted = "unpack", .subject = "zstd data", .answer = reason}};
    }

    ByteSink sink_;
    std::unique_ptr<ZSTD_DCtx, detail::FreeZstd> context_;
    std::vector<std::byte> buffer_;
    bool ended_ = false;  ///< no frame is open
};

}  // namespace fairing::codec

#endif
