// fairing/registry/blob_upload.hpp - one blob on its way into a registry (OCI distribution-spec,
// "Pushing blobs"): looked for, mounted, sent whole or in chunks, or while it is made.
#pragma once

#include <charconv>
#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "../core/control.hpp"
#include "../net/exchange.hpp"
#include "../oci/descriptor.hpp"
#include "../oci/digest.hpp"
#include "../oci/store.hpp"
#include "api.hpp"
#include "attempts.hpp"
#include "chunked_upload.hpp"
#include "pull.hpp"
#include "upload_session.hpp"

namespace fairing::registry {

namespace detail {

[[nodiscard]] inline bool is_success(const net::Answer& answer) noexcept {
    return answer.status >= 200 && answer.status <= 299;
}

/// After a push: does the registry say that it stored something else?
inline void check_stated_digest(const net::Answer& answer, const std::string& digest,
                                const net::ExchangeOptions& options) {
    const std::string stated = net::header(answer.headers, "Docker-Content-Digest");
    if (oci::is_digest(stated)) {
        check_digest(digest, stated, options);
    }
}

}  // namespace detail

/// A blob on its way into being.
struct BlobInMaking {
    const oci::BlobMaker& make;
    std::optional<oci::Descriptor> made = {};  ///< as soon as it is
    std::exception_ptr own = {};               ///< what `make` threw

    /// Makes it, whatever happens to `out`; throws what that threw when it is done.
    void into(const net::BodySink& out) {
        std::exception_ptr gone;
        try {
            made = make([&](std::span<const std::byte> bytes) {
                try {
                    if (!gone) {
                        out(bytes);
                    }
                } catch (...) {
                    gone = std::current_exception();
                }
            });
        } catch (...) {
            own = std::current_exception();
            throw;
        }
        if (gone) {
            std::rethrow_exception(gone);
        }
    }
};

/// An upload that is not finished is cancelled at the registry.
class BlobUpload {
public:
    BlobUpload(Api& api, const Control& control) : api_(api), control_(control) {}

    /// How much of it is there.
    void show(const oci::Descriptor& blob, std::uint64_t bytes) const {
        control_.show({.step = "push", .item = blob.digest, .done = bytes, .total = blob.size});
    }
    /// Whether the registry has it already.
    [[nodiscard]] bool has_blob(const oci::Descriptor& blob, const net::RetryPolicy& retry) {
        const net::ExchangeOptions options{.attempted = "look for blob",
                                           .subject = blob.digest + " in " + api_.name(),
                                           .retry = retry};
        const net::Answer answer =
            api_.call({.method = "HEAD", .url = api_.blob_url(blob), .deadline = Limits::question},
                      options, api_.scopes(Access::push), control_);
        if (answer.status == 403 || net::is_temporary(answer.status)) {
            throw api_.failure(answer, options);
        }
        return answer.status == 200;
    }
    /// True when the registry took the blob out of its repository `from`. When it began an upload
    /// instead, that is in `session`. Whatever else happens means a plain upload.
    [[nodiscard]] bool mount(const oci::Descriptor& blob, const std::string& from,
                             std::optional<UploadSession>& session) {
        const net::ExchangeOptions options{.attempted = "mount blob",
                                           .subject = blob.digest + " from " + from,
                                           .repeat = net::Repeat::never};
        try {
            const net::Answer answer = api_.call(
                {.method = "POST",
                 .url = api_.url("blobs/uploads/?mount=" + net::percent_encode(blob.digest) +
                                 "&from=" + net::percent_encode(from)),
                 .deadline = Limits::question},
                options, api_.scopes(Access::push, from), control_);
            if (answer.status == 202) {
                session.emplace(session_of(answer, options));
            }
            return answer.status == 201;
        } catch (const Cancelled&) {
            throw;
        } catch (const Error& error) {
            control_.say(Level::debug, std::string{error.what()} + "; it is uploaded");
            return false;
        }
    }

    /// An upload of whatever comes; nullopt when the registry takes none.
    [[nodiscard]] std::optional<UploadSession> begin() {
        net::Answer refusal;
        return begin_upload({.attempted = "begin an upload",
                             .subject = "to " + api_.name(),
                             .repeat = net::Repeat::never},
                            refusal);
    }
    /// A blob that is known; begins again as often as the policy says. `begun`: an upload of any
    /// age to try first.
    void upload(const oci::Descriptor& blob, const net::Body& body,
                std::optional<UploadSession> begun) {
        const net::ExchangeOptions options{.attempted = "upload blob",
                                           .subject = blob.digest + " to " + api_.name(),
                                           .retry = api_.retry(),
                                           .repeat = net::Repeat::never};
        repeat(api_, control_, options, [&](int attempt) -> std::optional<net::Answer> {
            if (attempt > 1 && arrived(blob)) {
                return std::nullopt;  // only the reply was lost
            }
            net::Answer answer;
            std::optional<UploadSession> session = std::exchange(begun, std::nullopt);
            if (session) {
                std::optional<net::Answer> refusal = send(*session, blob, body, options);
                if (!refusal || refusal->status < 400 || refusal->status > 499 ||
                    net::is_temporary(refusal->status)) {
                    return refusal;
                }
                session->finished();  // it was begun a while ago, and is forgotten by now
            }
            session = begin_upload(options, answer);
            if (!session) {
                return answer;
            }
            std::optional<net::Answer> refusal = send(*session, blob, body, options);
            if (refusal && (refusal->status == 404 || refusal->status == 416)) {
                session->finished();  // it is gone: begin again
                throw Error{ErrorCode::unavailable,
                            {.attempted = options.attempted,
                             .subject = options.subject,
                             .answer = api_.failure(*refusal, options).details().answer}};
            }
            return refusal;
        });
    }
    /// A blob that is made meanwhile; the registry has all of it then.
    void stream(BlobInMaking& making, const std::function<net::Body()>& again, std::uint64_t size) {
        const net::ExchangeOptions options{.attempted = "upload a new blob",
                                           .subject = "to " + api_.name(),
                                           .retry = api_.retry(),
                                           .repeat = net::Repeat::never};
        net::Answer answer;
        std::optional<UploadSession> session = begin_upload(options, answer);
        if (!session) {
            throw api_.failure(answer, options);
        }
        if (api_.upload() == Upload::chunked) {
            stream_chunks(*session, making, options);
        } else {
            stream_patch(*session, making, again, size, options);
        }
        answer = put_blob(*session, *making.made, {}, options);
        if (!detail::is_success(answer)) {
            throw api_.failure(answer, options);
        }
        session->finished();
        detail::check_stated_digest(answer, making.made->digest, options);
    }

private:
    [[nodiscard]] bool arrived(const oci::Descriptor& blob) {
        try {
            return has_blob(blob, {.attempts = 1});
        } catch (const Cancelled&) {
            throw;
        } catch (const Error&) {
            return false;
        }
    }

    /// nullopt leaves the registry's answer in `refusal`.
    [[nodiscard]] std::optional<UploadSession> begin_upload(const net::ExchangeOptions& options,
                                                            net::Answer& refusal) {
        net::Answer answer = api_.call(
            {.method = "POST", .url = api_.url("blobs/uploads/"), .deadline = Limits::question},
            options, api_.scopes(Access::push), control_);
        if (answer.status != 202) {
            refusal = std::move(answer);
            return std::nullopt;
        }
        return session_of(answer, options);
    }
    [[nodiscard]] UploadSession session_of(const net::Answer& answer,
                                           const net::ExchangeOptions& options) {
        const std::string least = net::header(answer.headers, "OCI-Chunk-Min-Length");
        std::uint64_t bytes = 0;
        std::from_chars(least.data(), least.data() + least.size(), bytes);  // nonsense is none
        return {api_, control_, api_.location(answer, options), bytes};
    }

    [[nodiscard]] std::optional<net::Answer> send(UploadSession& session,
                                                  const oci::Descriptor& blob,
                                                  const net::Body& body,
                                                  const net::ExchangeOptions& options) {
        const bool in_chunks = api_.upload() == Upload::chunked && blob.size > api_.chunk_size();
        if (in_chunks) {
            send_chunks(session, blob, body, options);
        }
        session.sending();
        net::Answer answer = put_blob(session, blob, in_chunks ? net::Body{} : body, options);
        session.answered();
        if (detail::is_success(answer)) {
            session.finished();
            detail::check_stated_digest(answer, blob.digest, options);
            return std::nullopt;
        }
        if (answer.status == 413) {
            throw FinalFailure{std::make_exception_ptr(too_large(answer, options))};
        }
        return answer;
    }
    [[nodiscard]] Error too_large(const net::Answer& answer,
                                  const net::ExchangeOptions& options) const {
        const Error failure = api_.failure(answer, options);
        Error::Details details = failure.details();
        if (api_.upload() != Upload::chunked) {
            details.advice =
                "the registry, or what stands before it, limits bodies: try --upload chunked";
        }
        return Error{failure.code(), std::move(details)};
    }

    void send_chunks(UploadSession& session, const oci::Descriptor& blob, const net::Body& body,
                     const net::ExchangeOptions& options) {
        ChunkedUpload chunks{api_, control_, session, options, [&](std::uint64_t bytes) {
                                 if (bytes < blob.size) {
                                     show(blob, bytes);
                                 }
                             }};
        std::exception_ptr own;
        try {
            net::detail::watch_body(body, own).write(
                [&](std::span<const std::byte> bytes) { chunks.write(bytes); });
        } catch (...) {
            if (own) {
                throw FinalFailure{own};  // the body's own trouble is not the network's
            }
            throw;
        }
        chunks.flush();
    }

    void stream_chunks(UploadSession& session, BlobInMaking& making,
                       const net::ExchangeOptions& options) const {
        try {
            ChunkedUpload chunks{api_, control_, session, options};
            making.into([&](std::span<const std::byte> bytes) { chunks.write(bytes); });
            chunks.flush();
        } catch (const FinalFailure& failure) {
            std::rethrow_exception(failure.cause);
        }
    }
    /// One PATCH with the whole body and without a range: what every registry takes.
    void stream_patch(UploadSession& session, BlobInMaking& making,
                      const std::function<net::Body()>& again, std::uint64_t size,
                      const net::ExchangeOptions& options) const {
        const net::Body body{.size = net::Body::unknown_size,
                             .write = [&](const net::BodySink& out) {
                                 if (making.made) {
                                     again().write(out);  // the registry wanted to be asked again
                                 } else {
                                     making.into(out);
                                 }
                             }};
        session.sending();
        const net::Answer answer =
            api_.call({.method = "PATCH",
                       .url = session.location(),
                       .headers = {{"Content-Type", "application/octet-stream"}},
                       .body = body,
                       .deadline = Limits::transfer(size),
                       .idle_timeout = Limits::commit,
                       .max_body = Limits::error_body},
                      options, api_.scopes(Access::push), control_);
        session.answered();
        if (answer.status == 413) {
            throw too_large(answer, options);
        }
        if (!detail::is_success(answer) || !making.made) {
            throw api_.failure(answer, options);
        }
        session.moved(api_.location(answer, options));
    }

    /// The end of an upload, with the bytes that are not there yet.
    [[nodiscard]] net::Answer put_blob(const UploadSession& session, const oci::Descriptor& blob,
                                       const net::Body& body,
                                       const net::ExchangeOptions& options) const {
        const char separator = session.location().find('?') == std::string::npos ? '?' : '&';
        const net::Body shown{.size = body.size, .write = [&](const net::BodySink& sink) {
                                  if (!body.write) {
                                      return;  // all of it is there already
                                  }
                                  std::uint64_t sent = 0;
                                  body.write([&](std::span<const std::byte> bytes) {
                                      sink(bytes);
                                      sent += bytes.size();
                                      if (sent < blob.size) {
                                          show(blob, sent);
                                      }
                                  });
                              }};
        std::exception_ptr own;
        try {
            return api_.call({.method = "PUT",
                              .url = session.location() + separator +
                                     "digest=" + net::percent_encode(blob.digest),
                              .headers = {{"Content-Type", "application/octet-stream"}},
                              .body = net::detail::watch_body(shown, own),
                              .deadline = Limits::transfer(blob.size),
                              .idle_timeout = Limits::commit,
                              .max_body = Limits::error_body},
                             options, api_.scopes(Access::push), control_);
        } catch (const Error&) {
            if (own) {
                throw FinalFailure{own};  // the body's own trouble is not the network's
            }
            throw;
        }
    }

    Api& api_;
    const Control& control_;
};

}  // namespace fairing::registry
