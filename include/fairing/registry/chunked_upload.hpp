// fairing/registry/chunked_upload.hpp - a blob in several PATCHes, each with its range (OCI
// distribution-spec, "Pushing a blob in chunks").
//
// A chunk that breaks, or is refused with 416, goes on where the registry says that it is. A
// registry that says something else than it must (docker-registry 2.8 takes ranges without reading
// them) is not believed: the blob begins again.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "../core/control.hpp"
#include "../net/exchange.hpp"
#include "api.hpp"
#include "attempts.hpp"
#include "upload_session.hpp"

namespace fairing::registry {

/// The bytes that a registry says it has, out of its "Range: 0-99" (or "bytes=0-99"); nullopt for
/// anything else.
[[nodiscard]] inline std::optional<std::uint64_t> received_bytes(std::string_view range) {
    if (range.starts_with("bytes=")) {
        range.remove_prefix(6);
    }
    if (!range.starts_with("0-")) {
        return std::nullopt;
    }
    range.remove_prefix(2);
    std::uint64_t last = 0;
    const auto [end, failure] = std::from_chars(range.data(), range.data() + range.size(), last);
    if (failure != std::errc{} || end != range.data() + range.size() || last >> 62 != 0) {
        return std::nullopt;
    }
    return last + 1;
}

/// Takes the bytes of a blob in order and sends them on. One chunk is in memory.
class ChunkedUpload {
public:
    /// `sent` is called with the number of bytes that the registry has, after each chunk.
    ChunkedUpload(Api& api, const Control& control, UploadSession& session,
                  const net::ExchangeOptions& options, std::function<void(std::uint64_t)> sent = {})
        : api_(api),
          control_(control),
          session_(session),
          options_(options),
          sent_(std::move(sent)),
          chunk_size_(std::max(api.chunk_size(), session.least_chunk())) {
        if (session.least_chunk() > largest_chunk) {
            throw FinalFailure{std::make_exception_ptr(
                Error{ErrorCode::unsupported,
                      {.attempted = options.attempted,
                       .subject = options.subject,
                       .answer = "the registry takes no chunks of less than " +
                                 std::to_string(session.least_chunk()) + " bytes",
                       .advice = "use --upload single"}})};
        }
    }

    /// Throws FinalFailure when the registry refuses the blob or is not reached any more,
    /// Error{unavailable} when the blob has to begin again.
    void write(std::span<const std::byte> bytes) {
        while (!bytes.empty()) {
            const auto room = static_cast<std::size_t>(chunk_size_) - buffer_.size();
            const auto part = bytes.first(std::min(room, bytes.size()));
            buffer_.insert(buffer_.end(), part.begin(), part.end());
            bytes = bytes.subspan(part.size());
            if (buffer_.size() == chunk_size_) {
                send_chunk();
            }
        }
    }
    /// The end of the blob; throws like write().
    void flush() {
        if (!buffer_.empty()) {
            send_chunk();
        }
    }

private:
    static constexpr std::uint64_t largest_chunk = std::uint64_t{256} << 20;

    /// Not an Error, so that it passes through repeat().
    struct BeginAgain {
        std::string why = {};
    };

    void send_chunk() {
        try {
            repeat(api_, control_, options_,
                   [this](int attempt) { return try_chunk(attempt > 1); });
        } catch (const BeginAgain& again) {
            throw Error{ErrorCode::unavailable,
                        {.attempted = options_.attempted,
                         .subject = options_.subject,
                         .answer = again.why}};
        } catch (const Cancelled&) {
            throw;
        } catch (const Error&) {
            throw FinalFailure{std::current_exception()};
        }
        offset_ += buffer_.size();
        buffer_.clear();
        if (sent_) {
            sent_(offset_);
        }
    }

    /// `after_failure`: how much of the chunk arrived is not known.
    [[nodiscard]] std::optional<net::Answer> try_chunk(bool after_failure) {
        const std::uint64_t end = offset_ + buffer_.size();
        const std::uint64_t begin = after_failure ? ask_offset() : offset_;
        if (begin == end) {
            return std::nullopt;  // only the reply was lost
        }
        const auto rest = std::span{buffer_}.subspan(static_cast<std::size_t>(begin - offset_));
        session_.sending();
        net::Answer answer = api_.call(
            {.method = "PATCH",
             .url = session_.location(),
             .headers = {{"Content-Type", "application/octet-stream"},
                         {"Content-Range", std::to_string(begin) + '-' + std::to_string(end - 1)}},
             .body = {.size = rest.size(),
                      .write = [rest](const net::BodySink& out) { out(rest); }},
             .deadline = Limits::transfer(rest.size()),
             .idle_timeout = Limits::commit,
             .max_body = Limits::error_body},
            options_, api_.scopes(Access::push), control_);
        session_.answered();
        if (answer.status == 404) {
            session_.finished();
            throw BeginAgain{"the registry has forgotten the upload"};
        }
        if (answer.status == 416) {
            throw Error{ErrorCode::unavailable,
                        {.attempted = options_.attempted,
                         .subject = options_.subject,
                         .answer = "the registry is at another place of the blob"}};
        }
        if (answer.status < 200 || answer.status > 299) {
            return answer;
        }
        const std::string range = net::header(answer.headers, "Range");
        if (!range.empty() && received_bytes(range) != end) {
            throw BeginAgain{"the registry says that it has " + net::printable(range, 40) + " of " +
                             std::to_string(end) + " bytes"};
        }
        session_.moved(api_.location(answer, options_));
        return std::nullopt;
    }

    /// Where the registry is: within the chunk, else the blob begins again.
    [[nodiscard]] std::uint64_t ask_offset() {
        const net::Answer answer =
            api_.call({.url = session_.location(), .deadline = Limits::question}, options_,
                      api_.scopes(Access::push), control_);
        if (answer.status == 404) {
            session_.finished();
        }
        const std::string range = net::header(answer.headers, "Range");
        auto there = received_bytes(range);
        if (offset_ == 0 && there == 1 && buffer_.size() > 1) {
            there = 0;  // no bytes at all are written as 0-0
        }
        if (answer.status < 200 || answer.status > 299 || !there || *there < offset_ ||
            *there > offset_ + buffer_.size()) {
            throw BeginAgain{"the registry can not go on: " + net::status_text(answer.status) +
                             (range.empty() ? "" : ", " + net::printable(range, 40))};
        }
        if (!net::header(answer.headers, "Location").empty()) {
            session_.moved(api_.location(answer, options_));
        }
        return *there;
    }

    Api& api_;
    const Control& control_;
    UploadSession& session_;
    const net::ExchangeOptions& options_;
    std::function<void(std::uint64_t)> sent_;
    std::uint64_t chunk_size_;
    std::vector<std::byte> buffer_ = {};
    std::uint64_t offset_ = 0;  ///< in the blob, of the buffer's first byte
};

}  // namespace fairing::registry
