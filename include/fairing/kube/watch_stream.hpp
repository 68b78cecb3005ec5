// fairing/kube/watch_stream.hpp - the bytes of a watch as events (api-concepts, "Efficient
// detection of changes"): JSON objects {type, object}, one after the other.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "../core/error.hpp"
#include "../core/json_text.hpp"
#include "../core/line_splitter.hpp"

namespace fairing::kube {

/// One event as the server sent it: ADDED, MODIFIED, DELETED, BOOKMARK or ERROR.
struct RawEvent {
    std::string type = {};
    Json object = {};
};

/// The event in one line of a watch. Throws Error{integrity} when it is none.
[[nodiscard]] inline RawEvent parse_watch_line(std::string_view line) {
    Json document = is_too_deep(line) ? Json() : Json::parse(line, nullptr, false);
    if (!document.is_object() || text_or(document, "type").empty() ||
        !document.contains("object") || !document["object"].is_object()) {
        throw Error{
            ErrorCode::integrity,
            {.attempted = "watch", .answer = "the API server sent something else than an event"}};
    }
    return {.type = text_or(document, "type"), .object = std::move(document["object"])};
}

/// Cuts the stream. What a broken connection leaves half-written is never an event: it comes whole
/// with the next watch.
class WatchDecoder {
public:
    /// Throws Error{integrity} for an event that is none, or longer than any object may be.
    void write(std::span<const std::byte> bytes, const std::function<void(RawEvent)>& sink) {
        lines_.write(bytes, [&sink](const std::string& line) {
            if (line.size() >= longest) {
                throw Error{ErrorCode::integrity,
                            {.attempted = "watch",
                             .answer = "the API server sent an event of more than 64 MiB"}};
            }
            if (line.find_first_not_of(" \t\r") != std::string::npos) {
                sink(parse_watch_line(line));
            }
        });
    }

private:
    static constexpr std::size_t longest = std::size_t{64} << 20;
    LineSplitter lines_{longest};
};

}  // namespace fairing::kube
