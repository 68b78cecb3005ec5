// fairing/packaging/cache_record.hpp - what the layer cache writes to disk: numbers and texts under
// a checksum. Pure.
//
// "fairing1", the kind's name, the values, and SHA-256 of all that. Numbers are 8 bytes, least
// significant first; a text is its length and its bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "../codec/sha256.hpp"

namespace fairing::packaging {

class RecordWriter {
public:
    explicit RecordWriter(std::string_view kind) { text(kind); }

    void number(std::uint64_t value) {
        for (int i = 0; i < 8; ++i) {
            bytes_.push_back(static_cast<char>(value >> (8 * i)));
        }
    }
    void text(std::string_view value) {
        number(value.size());
        bytes_ += value;
    }
    void raw(std::span<const std::byte> bytes) {
        bytes_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }
    /// The whole record; once, at the end.
    [[nodiscard]] std::string finish() {
        codec::Sha256 hash;
        hash.update(bytes_);
        raw(hash.finish());
        return std::move(bytes_);
    }

private:
    std::string bytes_ = "fairing1";
};

/// Reads what a RecordWriter wrote. A record that is torn, damaged or of another kind is not ok(),
/// and so is one that was read beyond its end; every value is zero or empty then.
class RecordReader {
public:
    RecordReader(std::string_view bytes, std::string_view kind) {
        constexpr std::string_view magic = "fairing1";
        constexpr std::size_t checksum = 32;
        if (bytes.size() < magic.size() + checksum || !bytes.starts_with(magic)) {
            return;
        }
        codec::Sha256 hash;
        hash.update(bytes.substr(0, bytes.size() - checksum));
        const auto sum = hash.finish();
        const std::string_view stored = bytes.substr(bytes.size() - checksum);
        if (std::string_view{reinterpret_cast<const char*>(sum.data()), sum.size()} != stored) {
            return;
        }
        rest_ = bytes.substr(magic.size(), bytes.size() - checksum - magic.size());
        ok_ = true;
        ok_ = text() == kind;
    }
    [[nodiscard]] bool ok() const noexcept { return ok_; }
    /// Whether everything was read, and nothing beyond.
    [[nodiscard]] bool done() const noexcept { return ok_ && rest_.empty(); }

    std::uint64_t number() {
        const std::string_view bytes = take(8);
        std::uint64_t value = 0;
        for (std::size_t i = bytes.size(); i-- > 0;) {
            value = value << 8 | static_cast<unsigned char>(bytes[i]);
        }
        return value;
    }
    std::string text() { return std::string{take(number())}; }
    std::array<std::byte, 32> digest() {
        std::array<std::byte, 32> value = {};
        const std::string_view bytes = take(value.size());
        for (std::size_t i = 0; i < bytes.size(); ++i) {
            value[i] = static_cast<std::byte>(bytes[i]);
        }
        return value;
    }

private:
    std::string_view take(std::uint64_t size) {
        if (!ok_ || size > rest_.size()) {
            ok_ = false;
            return {};
        }
        const std::string_view bytes = rest_.substr(0, static_cast<std::size_t>(size));
        rest_.remove_prefix(bytes.size());
        return bytes;
    }

    std::string_view rest_ = {};
    bool ok_ = false;
};

}  // namespace fairing::packaging
