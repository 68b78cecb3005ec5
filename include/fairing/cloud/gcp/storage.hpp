// fairing/cloud/gcp/storage.hpp - objects of Google Cloud Storage (cloud.google.com/storage/docs/
// performing-resumable-uploads, JSON API).
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "../connection.hpp"
#include "../content.hpp"
#include "../renewed.hpp"

namespace fairing::cloud::gcp {

struct StorageOptions {
    /// Empty: STORAGE_EMULATOR_HOST, else https://storage.googleapis.com.
    std::string endpoint = {};
    /// Bytes in one request: what a broken connection may cost. A multiple of 256 KiB.
    std::uint64_t chunk_size = std::uint64_t{16} << 20;
};

inline namespace FAIRING_ABI {

/// One bucket. Without a token requests are anonymous, as emulators take them.
class Bucket {
public:
    Bucket(Connection connection, Renewed<AccessToken> token, std::string bucket,
           StorageOptions options = {})
        : connection_(std::move(connection)),
          token_(std::move(token)),
          bucket_(std::move(bucket)),
          options_(std::move(options)) {
        std::string endpoint = options_.endpoint;
        if (endpoint.empty()) {
            endpoint = connection_.env("STORAGE_EMULATOR_HOST");
        }
        if (endpoint.empty()) {
            endpoint = "https://storage.googleapis.com";
        }
        endpoint_ = checked_endpoint(
            endpoint.find("://") == std::string::npos ? "http://" + endpoint : endpoint);
        if (token_) {
            check_token_url(endpoint_);
        }
        constexpr std::uint64_t unit = 256 << 10;
        options_.chunk_size = std::max(unit, options_.chunk_size / unit * unit);
    }

    [[nodiscard]] std::string url(const std::string& name) const {
        return "gs://" + bucket_ + '/' + name;
    }

    /// Creates the bucket in `project` unless it is there. True when it was created.
    bool ensure(const std::string& project) const {
        const std::string subject = "gs://" + bucket_;
        const net::Answer found = send({.url = bucket_url()}, "look for bucket", subject);
        if (is_success(found.status)) {
            return false;
        }
        if (found.status != 404) {
            throw refuse(found, "look for bucket", subject);
        }
        const net::Answer made =
            send({.method = "POST",
                  .url = endpoint_ + "/storage/v1/b?project=" + net::percent_encode(project),
                  .headers = {{"Content-Type", "application/json"}},
                  .body = net::Body::of(Json{{"name", bucket_}}.dump())},
                 "create bucket", subject);
        if (made.status == 409) {
            throw refuse(made, "create bucket", subject, "it belongs to another project");
        }
        need_success(made, "create bucket", subject);
        return true;
    }

    /// Uploads in chunks. After a broken connection the service is asked what it has, and the rest
    /// is sent; when that does not help, the upload is cancelled.
    void put(const std::string& name, const Content& content) const {
        const net::Answer begun =
            send({.method = "POST",
                  .url = endpoint_ + "/upload/storage/v1/b/" + net::percent_encode(bucket_) +
                         "/o?uploadType=resumable&name=" + net::percent_encode(name),
                  .headers = {{"Content-Type", "application/json; charset=UTF-8"},
                              {"X-Upload-Content-Type", "application/octet-stream"},
                              {"X-Upload-Content-Length", std::to_string(content.size)}},
                  .body = net::Body::of("{}")},
                 "begin to upload", url(name), net::Repeat::always);
        need_success(begun, "begin to upload", url(name));
        const std::string session =
            net::resolve(net::parse_url(begun.url), net::header(begun.headers, "Location")).text();
        if (net::header(begun.headers, "Location").empty()) {
            throw Error{ErrorCode::unavailable,
                        {.attempted = "begin to upload",
                         .subject = url(name),
                         .answer = "the answer names no place to upload to"}};
        }
        if (token_) {
            check_token_url(session);
        }
        try {
            send_chunks(name, content, session);
        } catch (...) {
            cancel(name, session);
            throw;
        }
    }

    /// Removes the object; one that is not there counts as removed.
    void remove(const std::string& name) const {
        const net::Answer answer =
            send({.method = "DELETE", .url = bucket_url() + "/o/" + net::percent_encode(name)},
                 "remove", url(name));
        if (answer.status != 404) {
            need_success(answer, "remove", url(name));
        }
    }

    /// The same bucket for what must be done at the end: see Connection::for_cleanup().
    [[nodiscard]] Bucket for_cleanup() const {
        Bucket copy = *this;
        copy.connection_ = connection_.for_cleanup();
        return copy;
    }

private:
    [[nodiscard]] std::string bucket_url() const {
        return endpoint_ + "/storage/v1/b/" + net::percent_encode(bucket_);
    }
    [[nodiscard]] net::Answer send(net::Request request, const std::string& attempted,
                                   const std::string& subject,
                                   net::Repeat repeat = net::Repeat::automatic) const {
        if (token_) {
            request.headers.emplace("Authorization", "Bearer " + token_.get().value.reveal());
        }
        return connection_.send(std::move(request), attempted, subject, repeat);
    }

    void send_chunks(const std::string& name, const Content& content,
                     const std::string& session) const {
        const Control& control = connection_.control;
        std::uint64_t offset = 0;
        for (int failures = 0;;) {
            control.check("upload " + url(name));
            std::optional<Error> failure;
            try {
                const net::Answer answer = send_chunk(name, content, session, offset);
                if (is_success(answer.status)) {
                    check_size(name, content, answer);
                    control.show({.step = "upload",
                                  .item = url(name),
                                  .done = content.size,
                                  .total = content.size});
                    return;
                }
                if (answer.status != 308 && !net::is_temporary(answer.status)) {
                    throw refuse(answer, "upload", url(name));
                }
                if (answer.status == 308) {
                    const std::uint64_t next = received(answer);
                    if (next > offset && next <= content.size) {
                        offset = next;
                        failures = 0;
                        control.show({.step = "upload",
                                      .item = url(name),
                                      .done = offset,
                                      .total = content.size});
                        continue;
                    }
                }
                failure = refuse(answer, "upload", url(name));
            } catch (const Cancelled&) {
                throw;
            } catch (const Error& error) {
                if (error.code() != ErrorCode::unavailable && error.code() != ErrorCode::timeout) {
                    throw;
                }
                failure = error;
            }
            if (++failures >= connection_.retry.attempts) {
                throw *failure;
            }
            control.sleep(net::retry_delay(connection_.retry, failures, {}, control.now()));
            if (const auto have = ask_received(name, content, session)) {
                offset = *have;
            } else {
                return;  // complete: the answer was lost
            }
        }
    }

    /// One chunk, once: what the service has afterwards is asked, not guessed.
    [[nodiscard]] net::Answer send_chunk(const std::string& name, const Content& content,
                                         const std::string& session, std::uint64_t offset) const {
        const ByteRange range = content.part(offset, options_.chunk_size);
        const std::string total = '/' + std::to_string(content.size);
        return send(
            {.method = "PUT",
             .url = session,
             .headers = {{"Content-Range",
                          range.size == 0 ? "bytes *" + total
                                          : "bytes " + std::to_string(offset) + '-' +
                                                std::to_string(offset + range.size - 1) + total}},
             .body = content.body(range)},
            "upload", url(name), net::Repeat::never);
    }

    /// How many bytes the service has; nullopt when it has all and the object is there.
    [[nodiscard]] std::optional<std::uint64_t> ask_received(const std::string& name,
                                                            const Content& content,
                                                            const std::string& session) const {
        const net::Answer answer =
            send({.method = "PUT",
                  .url = session,
                  .headers = {{"Content-Range", "bytes */" + std::to_string(content.size)}}},
                 "resume the upload of", url(name), net::Repeat::always);
        if (answer.status == 308) {
            return std::min(received(answer), content.size);
        }
        need_success(answer, "resume the upload of", url(name));
        check_size(name, content, answer);
        return std::nullopt;
    }

    /// The last answer describes the object.
    void check_size(const std::string& name, const Content& content,
                    const net::Answer& answer) const {
        const std::string size =
            text_or(Json::parse(answer.body, nullptr, false), "size", std::to_string(content.size));
        if (size != std::to_string(content.size)) {
            throw Error{ErrorCode::integrity,
                        {.attempted = "upload",
                         .subject = url(name),
                         .answer = "the service has " + net::printable(size, 30) + " bytes of " +
                                   std::to_string(content.size)}};
        }
    }

    /// "bytes=0-42" is 43; no Range is nothing.
    [[nodiscard]] static std::uint64_t received(const net::Answer& answer) {
        const std::string range = net::header(answer.headers, "Range");
        const std::size_t dash = range.find('-');
        std::uint64_t value = 0;
        if (!range.starts_with("bytes=0-") || dash + 1 == range.size() || range.size() > 8 + 18) {
            return 0;
        }
        for (const char digit : range.substr(dash + 1)) {
            if (digit < '0' || digit > '9') {
                return 0;
            }
            value = value * 10 + static_cast<std::uint64_t>(digit - '0');
        }
        return value + 1;
    }

    /// Also after a stop; what fails here is said and not thrown. The service forgets it in a week.
    void cancel(const std::string& name, const std::string& session) const {
        try {
            static_cast<void>(for_cleanup().send({.method = "DELETE", .url = session},
                                                 "cancel the upload of", url(name)));
        } catch (const Error& error) {
            connection_.control.say(Level::warning, error.what());
        }
    }

    Connection connection_;
    Renewed<AccessToken> token_;
    std::string bucket_;
    StorageOptions options_;
    std::string endpoint_;
};

}  // inline namespace FAIRING_ABI

}  // namespace fairing::cloud::gcp
