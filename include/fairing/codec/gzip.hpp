// fairing/codec/gzip.hpp - the gzip format (RFC 1952): the usual compressor of layers, and a
// reader.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../core/error.hpp"
#include "byte_order.hpp"
#include "compressor.hpp"
#include "crc32.hpp"
#include "deflate.hpp"
#include "gzip_member.hpp"
#include "inflate.hpp"

namespace fairing::codec {

/// One member, of our own deflate blocks.
struct GzipCompressor {
    int level = deflate_balanced;  ///< 0 (store), 1 (fast) to 9 (small)

    static constexpr std::string_view suffix = "gzip";

    /// Large enough to lose little of what a common window would find, small enough to keep every
    /// core busy.
    [[nodiscard]] std::size_t block_size() const { return std::size_t{512} << 10; }
    /// What decides the bytes besides the input, for those who keep them.
    [[nodiscard]] std::string recipe() const {
        return "gzip " + std::to_string(level) + ' ' + std::to_string(deflate_version);
    }

    void begin(std::vector<std::byte>& out) const { detail::begin_gzip_member(out); }
    void block(std::span<const std::byte> input, std::vector<std::byte>& out) const {
        deflate(input, out, {.level = level});
    }
    void end(std::uint32_t crc, std::uint64_t size, std::vector<std::byte>& out) const {
        detail::end_gzip_member(crc, size, out);
    }
};
static_assert(Compressor<GzipCompressor>);

/// Gives what a gzip file of any number of members holds to a sink. Verifies every checksum and
/// size; throws Error{integrity} with the reason, and is good for nothing then. What the sink got
/// before may be wrong.
class GunzipReader {
public:
    explicit GunzipReader(ByteSink sink)
        : sink_(std::move(sink)), inflater_([this](std::span<const std::byte> bytes) {
              crc_ = crc32(bytes, crc_);
              size_ += static_cast<std::uint32_t>(bytes.size());
              sink_(bytes);
          }) {}
    GunzipReader(const GunzipReader&) = delete;
    GunzipReader& operator=(const GunzipReader&) = delete;

    /// Takes the next piece of the file, of any size.
    void write(std::span<const std::byte> input) {
        while (!input.empty()) {
            if (state_ == State::body) {
                input = input.subspan(inflater_.write(input));
                if (inflater_.done()) {
                    enter(State::trailer);
                }
            } else {
                take(input.front());
                input = input.subspan(1);
            }
        }
    }

    /// To be called at the end of the file. Throws when it is cut off.
    void finish() {
        if (members_ == 0 || state_ != State::fixed_header || field_size_ > 0) {
            malformed("it is cut off");
        }
    }

private:
    enum class State { fixed_header, extra_size, extra, name, comment, header_crc, body, trailer };

    // Bits of the flags (RFC 1952, section 2.3.1).
    static constexpr unsigned has_header_crc = 2, has_extra = 4, has_name = 8, has_comment = 16;
    static constexpr unsigned reserved_flags = 0xe0;

    [[noreturn]] static void malformed(std::string reason) {
        throw Error{ErrorCode::integrity,
                    {.attempted = "unpack",
                     .subject = "gzip data",
                     .answer = std::move(reason),
                     .advice = "the data is damaged"}};
    }

    void enter(State state) {
        state_ = state;
        field_size_ = 0;
    }

    /// One byte of a header or trailer.
    void take(std::byte byte) {
        const std::size_t index = field_size_++;
        if (index < field_.size()) {
            field_[index] = byte;
        }
        if (state_ != State::header_crc && state_ != State::trailer) {
            crc_ = crc32({&byte, 1}, crc_);
        }
        switch (state_) {
            case State::fixed_header:
                return take_fixed_header();
            case State::extra_size:
                if (field_size_ == 2) {
                    extra_left_ = detail::load_little<std::uint16_t>(field_.data());
                    enter(extra_left_ > 0 ? State::extra : after(State::extra));
                    open_body();
                }
                return;
            case State::extra:
                if (field_size_ == extra_left_) {
                    enter(after(State::extra));
                    open_body();
                }
                return;
            case State::name:
            case State::comment:
                if (byte == std::byte{0}) {
                    enter(after(state_));
                    open_body();
                }
                return;
            case State::header_crc:
                return take_header_crc();
            case State::body:
                return;
            case State::trailer:
                return take_trailer();
        }
    }

    void take_fixed_header() {
        constexpr std::array<unsigned char, 3> magic = {0x1f, 0x8b, 8};
        const std::size_t index = field_size_ - 1;
        if (index < magic.size() && field_[index] != std::byte{magic[index]}) {
            malformed(members_ > 0 ? "something other follows its end"
                      : index < 2  ? "it does not begin like gzip"
                                   : "an unknown compression method");
        }
        if (field_size_ < 10) {
            return;
        }
        flags_ = std::to_integer<unsigned>(field_[3]);
        if ((flags_ & reserved_flags) != 0) {
            malformed("reserved flags in its header");
        }
        enter(after(State::fixed_header));
        open_body();
    }

    /// The next part of the header that the flags announce.
    [[nodiscard]] State after(State state) const {
        if (state < State::extra_size && (flags_ & has_extra) != 0) {
            return State::extra_size;
        }
        if (state < State::name && (flags_ & has_name) != 0) {
            return State::name;
        }
        if (state < State::comment && (flags_ & has_comment) != 0) {
            return State::comment;
        }
        return (flags_ & has_header_crc) != 0 ? State::header_crc : State::body;
    }

    void open_body() {
        if (state_ == State::body) {
            inflater_.reset();
            crc_ = 0;
            size_ = 0;
        }
    }

    void take_header_crc() {
        if (field_size_ < 2) {
            return;
        }
        if (detail::load_little<std::uint16_t>(field_.data()) != (crc_ & 0xffff)) {
            malformed("its header does not match the checksum");
        }
        enter(State::body);
        open_body();
    }

    void take_trailer() {
        if (field_size_ < 8) {
            return;
        }
        if (detail::load_little<std::uint32_t>(field_.data()) != crc_) {
            malformed("its content does not match the checksum");
        }
        if (detail::load_little<std::uint32_t>(field_.data() + 4) != size_) {
            malformed("its content does not match the size");
        }
        ++members_;
        crc_ = 0;
        enter(State::fixed_header);
    }

    ByteSink sink_;
    Inflater inflater_;
    State state_ = State::fixed_header;
    std::array<std::byte, 10> field_ = {};
    std::size_t field_size_ = 0;
    std::size_t extra_left_ = 0;
    unsigned flags_ = 0;
    std::uint32_t crc_ = 0;
    std::uint32_t size_ = 0;
    std::uint64_t members_ = 0;
};

/// `text` as one gzip file.
[[nodiscard]] inline std::string gzip(std::string_view text,
                                      const GzipCompressor& compressor = {}) {
    const auto input = std::as_bytes(std::span{text});
    std::vector<std::byte> out;
    compressor.begin(out);
    compressor.block(input, out);
    compressor.end(crc32(input), input.size(), out);
    return {reinterpret_cast<const char*>(out.data()), out.size()};
}

/// What the gzip file holds. Throws Error{integrity} when it is malformed or unpacks to more than
/// `limit` bytes, of which no more are kept.
[[nodiscard]] inline std::string gunzip(std::string_view file, std::size_t limit) {
    std::string text;
    GunzipReader reader{[&](std::span<const std::byte> bytes) {
        if (bytes.size() > limit - text.size()) {
            throw Error{ErrorCode::integrity,
                        {.attempted = "unpack",
                         .subject = "gzip data",
                         .answer = "it holds more than " + std::to_string(limit) + " bytes"}};
        }
        text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }};
    reader.write(std::as_bytes(std::span{file}));
    reader.finish();
    return text;
}

}  // namespace fairing::codec
