// fairing/cloud/content.hpp - what is uploaded: bytes that can be read from any place, any number
// of times.
#pragma once

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "../codec/sha256.hpp"
#include "../core/error.hpp"
#include "../core/files.hpp"
#include "../net/message.hpp"

namespace fairing::cloud {

/// One part of a content.
struct ByteRange {
    std::uint64_t offset = 0, size = 0;
};

struct Content {
    std::uint64_t size = 0;
    /// Gives the bytes of a range, in order. May be called from several threads.
    std::function<void(ByteRange, const net::BodySink&)> read = {};

    [[nodiscard]] static Content of(std::string text) {
        const auto size = static_cast<std::uint64_t>(text.size());
        return {.size = size,
                .read = [text = std::move(text)](ByteRange range, const net::BodySink& sink) {
                    sink(std::as_bytes(std::span{text})
                             .subspan(static_cast<std::size_t>(range.offset),
                                      static_cast<std::size_t>(range.size)));
                }};
    }
    /// A file as long as it is now. Reading throws Error{input} when it has become shorter.
    [[nodiscard]] static Content of_file(const std::filesystem::path& path) {
        auto file = std::make_shared<const UniqueFd>(open_file(path, O_RDONLY));
        struct stat status {};
        if (::fstat(file->get(), &status) != 0 || !S_ISREG(status.st_mode)) {
            throw Error{ErrorCode::input,
                        {.attempted = "upload",
                         .subject = path.string(),
                         .answer = "it is no regular file"}};
        }
        return {.size = static_cast<std::uint64_t>(status.st_size),
                .read = [file, path](ByteRange range, const net::BodySink& sink) {
                    read_range(file->get(), path.string(), range, sink);
                }};
    }

    [[nodiscard]] net::Body body(ByteRange range) const {
        return {.size = range.size,
                .write = [read = read, range](const net::BodySink& sink) { read(range, sink); }};
    }
    [[nodiscard]] std::string sha256_hex(ByteRange range) const {
        codec::Sha256 hash;
        read(range, [&hash](std::span<const std::byte> bytes) { hash.update(bytes); });
        return codec::hex(hash.finish());
    }
    /// The part of at most `longest` bytes that begins at `offset`.
    [[nodiscard]] ByteRange part(std::uint64_t offset, std::uint64_t longest) const {
        return {offset, std::min(longest, size - std::min(offset, size))};
    }

private:
    static void read_range(int fd, const std::string& name, ByteRange range,
                           const net::BodySink& sink) {
        std::array<std::byte, 65536> buffer;
        while (range.size > 0) {
            const auto wanted =
                static_cast<std::size_t>(std::min<std::uint64_t>(range.size, buffer.size()));
            const ssize_t got =
                ::pread(fd, buffer.data(), wanted, static_cast<off_t>(range.offset));
            if (got < 0 && errno == EINTR) {
                continue;
            }
            if (got <= 0) {
                throw got < 0 ? system_error(errno, "read", name)
                              : Error{ErrorCode::input,
                                      {.attempted = "read",
                                       .subject = name,
                                       .answer = "it became shorter while it was uploaded"}};
            }
            sink(std::span{buffer}.first(static_cast<std::size_t>(got)));
            range.offset += static_cast<std::uint64_t>(got);
            range.size -= static_cast<std::uint64_t>(got);
        }
    }
};

}  // namespace fairing::cloud
