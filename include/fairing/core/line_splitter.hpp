// fairing/core/line_splitter.hpp - bytes in any portions, lines out.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace fairing {

/// Cuts a stream at '\n'. A line comes without its newline; one that is longer than the limit comes
/// in pieces of that size; the last one needs no newline. NUL, ESC and CR stay as they are.
class LineSplitter {
public:
    static constexpr std::size_t default_limit = std::size_t{1} << 20;

    explicit LineSplitter(std::size_t limit = default_limit) : limit_(limit) {}

    /// Gives every line that is complete now. When `sink` throws, the bytes behind that line are
    /// lost.
    void write(std::span<const std::byte> bytes, const std::function<void(std::string)>& sink) {
        std::string_view text{reinterpret_cast<const char*>(bytes.data()), bytes.size()};
        while (!text.empty()) {
            const std::size_t end = text.find('\n');
            append(text.substr(0, end), sink);
            if (end == std::string_view::npos) {
                return;
            }
            text.remove_prefix(end + 1);
            sink(std::exchange(pending_, {}));
        }
    }

    /// Gives what came after the last newline, if anything did.
    void finish(const std::function<void(std::string)>& sink) {
        if (!pending_.empty()) {
            sink(std::exchange(pending_, {}));
        }
    }

private:
    void append(std::string_view text, const std::function<void(std::string)>& sink) {
        while (pending_.size() + text.size() > limit_) {
            const std::size_t room = limit_ - pending_.size();
            pending_ += text.substr(0, room);
            text.remove_prefix(room);
            sink(std::exchange(pending_, {}));
        }
        pending_ += text;
    }

    std::size_t limit_;
    std::string pending_ = {};
};

}  // namespace fairing
