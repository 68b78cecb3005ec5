// fairing/engine/frames.hpp - standard output and error in one stream, as a container engine sends
// them (Docker Engine API, "Attach to a container", stream format).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>

#include "../core/error.hpp"
#include "../core/process.hpp"

namespace fairing::engine {

/// Takes the stream in any portions: a header of 8 bytes (stream, three zeros, length big-endian),
/// then so many bytes.
class FrameReader {
public:
    using Sink = std::function<void(Stream, std::span<const std::byte>)>;

    explicit FrameReader(Sink sink) : sink_(std::move(sink)) {}

    /// Throws Error{integrity} for what is no frame.
    void write(std::span<const std::byte> bytes) {
        while (!bytes.empty()) {
            const bool in_header = header_size_ < header_.size();
            const std::size_t wanted = in_header ? header_.size() - header_size_ : left_;
            const std::span<const std::byte> part = bytes.first(std::min(wanted, bytes.size()));
            bytes = bytes.subspan(part.size());
            if (in_header) {
                std::copy(part.begin(), part.end(),
                          header_.begin() + static_cast<std::ptrdiff_t>(header_size_));
                header_size_ += part.size();
                if (header_size_ == header_.size()) {
                    open_frame();
                }
            } else {
                sink_(stream_, part);
                left_ -= part.size();
            }
            if (left_ == 0 && header_size_ == header_.size()) {
                header_size_ = 0;
            }
        }
    }

    /// Throws Error{integrity} when the stream ended within a frame.
    void finish() const {
        if (header_size_ != 0) {
            throw refuse("the stream ended within a frame");
        }
    }

private:
    static Error refuse(std::string answer) {
        return Error{ErrorCode::integrity,
                     {.attempted = "read the output of a container", .answer = std::move(answer)}};
    }

    void open_frame() {
        const auto number = [this](std::size_t at) {
            return std::to_integer<std::uint32_t>(header_[at]);
        };
        if (number(0) > 2 || number(1) != 0 || number(2) != 0 || number(3) != 0) {
            throw refuse("a frame with a malformed header");
        }
        stream_ = number(0) == 2 ? Stream::errors : Stream::output;
        left_ = number(4) << 24U | number(5) << 16U | number(6) << 8U | number(7);
    }

    Sink sink_;
    std::array<std::byte, 8> header_ = {};
    std::size_t header_size_ = 0;  ///< bytes of the header that are there; 0 between frames
    std::size_t left_ = 0;         ///< bytes of the frame that are not
    Stream stream_ = Stream::output;
};

}  // namespace fairing::engine
