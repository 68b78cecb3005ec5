// fairing/registry/client.hpp - one repository of a registry as a store (OCI distribution-spec:
// pull and push).
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "../core/control.hpp"
#include "../net/exchange.hpp"
#include "../oci/descriptor.hpp"
#include "../oci/digest.hpp"
#include "../oci/image.hpp"
#include "../oci/media_type.hpp"
#include "../oci/reference.hpp"
#include "../oci/store.hpp"
#include "api.hpp"
#include "referrers.hpp"
#include "upload_session.hpp"

namespace fairing::registry {

/// Errors name the repository, the registry's own words and the number of attempts. A stop cancels
/// the upload at the registry too. Progress is in bytes, with step "push" or "pull" and the digest
/// as its item.
class Client final : public oci::Store {
public:
    Client(const oci::Reference& reference, const ClientOptions& options, Control control)
        : api_(reference, options), control_(std::move(control)) {}

    [[nodiscard]] std::optional<oci::RawManifest> find_manifest(
        const std::string& tag_or_digest) override {
        const net::ExchangeOptions options{
            .attempted = "read manifest", .subject = with(tag_or_digest), .retry = api_.retry()};
        const net::Answer answer =
            api_.call({.url = manifest_url(tag_or_digest),
                       .headers = {{"Accept", std::string{oci::media_type::accept}}},
                       .deadline = small_deadline,
                       .max_body = largest_manifest},
                      options, api_.scopes(Access::pull), control_);
        if (answer.status == 404) {
            return std::nullopt;
        }
        if (answer.status != 200) {
            throw api_.failure(answer, options);
        }
        const std::string type = net::header(answer.headers, "Content-Type");
        oci::RawManifest manifest{.media_type = type.substr(0, type.find_first_of("; \t")),
                                  .body = answer.body};
        const std::string got = oci::digest_of(manifest.body);
        if (oci::is_digest(tag_or_digest)) {
            check_digest(tag_or_digest, got, options);
        }
        if (const std::string stated = net::header(answer.headers, "Docker-Content-Digest");
            oci::is_digest(stated)) {
            check_digest(stated, got, options);
        }
        (void)oci::parse_manifest(manifest, with(tag_or_digest));
        return manifest;
    }

    void read_blob(const oci::Descriptor& blob, const net::BodySink& sink) override {
        const net::ExchangeOptions options{.attempted = "read blob",
                                           .subject = blob.digest + " of " + api_.name(),
                                           .retry = api_.retry(),
                                           .partial = net::Partial::skip};
        oci::Verifier verifier{blob.digest, blob.size, options.subject};
        std::uint64_t done = 0;
        const net::Answer answer = api_.call(
            {.url = blob_url(blob), .deadline = deadline_of(blob), .max_body = largest_error},
            options, api_.scopes(Access::pull), control_, [&](std::span<const std::byte> bytes) {
                verifier.update(bytes);
                sink(bytes);
                done += bytes.size();
                if (done < blob.size) {
                    show("pull", blob, done);
                }
            });
        if (answer.status != 200) {
            throw api_.failure(answer, options);
        }
        verifier.finish();
        show("pull", blob, blob.size);
    }

    oci::Transfer write_blob(const oci::Descriptor& blob, const net::Body& body,
                             const std::string& mount_from) override {
        check_body(blob, body);
        if (has_blob(blob, api_.retry())) {
            show("push", blob, blob.size);
            return oci::Transfer::present;
        }
        std::optional<UploadSession> session;
        if (!mount_from.empty() && mount(blob, mount_from, session)) {
            show("push", blob, blob.size);
            return oci::Transfer::mounted;
        }
        upload(blob, body, std::move(session));
        show("push", blob, blob.size);
        return oci::Transfer::uploaded;
    }

    /// Saves one request where the guess is right, and costs one upload of what is there at most
    /// where it is wrong; a mount finds that out by itself.
    oci::Transfer write_absent_blob(const oci::Descriptor& blob, const net::Body& body,
                                    const std::string& mount_from) override {
        check_body(blob, body);
        if (!mount_from.empty()) {
            std::optional<UploadSession> session;
            if (!mount(blob, mount_from, session)) {
                session.reset();
                return write_blob(blob, body, {});
            }
            show("push", blob, blob.size);
            return oci::Transfer::mounted;
        }
        upload(blob, body, std::nullopt);
        show("push", blob, blob.size);
        return oci::Transfer::uploaded;
    }

    /// POST, one PATCH with the whole body in chunks and without a range, PUT with the digest: what
    /// every registry takes. When the registry or the network fails, the blob is finished and sent
    /// like one that is known; what `make` throws passes through.
    oci::Transfer write_new_blob(const oci::BlobMaker& make,
                                 const std::function<net::Body()>& again,
                                 std::uint64_t size) override {
        std::optional<oci::Descriptor> made;
        std::exception_ptr own;
        bool sent = false;
        try {
            sent = stream(make, again, size, made, own);
        } catch (const Cancelled&) {
            throw;
        } catch (const Error& error) {
            if (own) {
                std::rethrow_exception(own);
            }
            control_.say(Level::debug, std::string{error.what()} + "; it is sent once more");
        }
        if (!made) {
            made = make({});
        }
        if (!sent) {
            return write_blob(*made, again(), {});
        }
        show("push", *made, made->size);
        return oci::Transfer::uploaded;
    }

    /// Whatever goes wrong here gives "": who then reads the manifest learns what it was.
    [[nodiscard]] std::string find_digest(const std::string& tag) override {
        const auto answer = ask({.method = "HEAD",
                                 .url = manifest_url(tag),
                                 .headers = {{"Accept", std::string{oci::media_type::accept}}},
                                 .deadline = small_deadline},
                                "look for manifest");
        const std::string digest = net::header(answer.headers, "Docker-Content-Digest");
        return answer.status == 200 && oci::is_digest(digest) ? digest : "";
    }

    [[nodiscard]] bool is_new() override {
        const auto answer =
            ask({.url = api_.url("tags/list?n=1"), .deadline = small_deadline}, "list the tags");
        return answer.status == 404;
    }

    /// Throws MissingBlobs when the registry lacks a blob of it.
    void write_manifest(const oci::RawManifest& manifest, const std::string& tag) override {
        const std::string digest = oci::digest_of(manifest.body);
        const std::string& name = tag.empty() ? digest : tag;
        const net::ExchangeOptions options{.attempted = "push manifest",
                                           .subject = with(name),
                                           .retry = api_.retry(),
                                           .repeat = net::Repeat::never};
        const net::Request request{.method = "PUT",
                                   .url = manifest_url(name),
                                   .headers = {{"Content-Type", manifest.media_type}},
                                   .body = net::Body::of(manifest.body),
                                   .deadline = commit_time,
                                   .idle_timeout = commit_time,
                                   .max_body = largest_error};
        repeat(options, [&](int attempt) -> std::optional<net::Answer> {
            if (attempt > 1 && holds_manifest(name, digest)) {
                return std::nullopt;  // only the reply was lost
            }
            net::Answer answer = api_.call(request, options, api_.scopes(Access::push), control_);
            if (answer.status < 200 || answer.status > 299) {
                if (auto missing = missing_blobs(answer.body)) {
                    throw MissingBlobs{
                        refusal(answer, options.attempted, options.subject,
                                "the registry lost a blob that it had: push once more", attempt),
                        *std::move(missing)};
                }
                return answer;
            }
            check_stated_digest(answer, digest, options);
            return std::nullopt;
        });
    }

    [[nodiscard]] std::vector<Json> find_referrers(const std::string& digest) override {
        return registry::find_referrers(api_, *this, digest, control_);
    }
    void write_referrer(const oci::RawManifest& manifest) override {
        registry::write_referrer(api_, *this, manifest, control_);
    }

    [[nodiscard]] std::uint64_t requests() const noexcept override { return api_.requests(); }

private:
    static constexpr std::chrono::milliseconds small_deadline = std::chrono::seconds{60};
    /// Registries check and move what they got before they answer.
    static constexpr std::chrono::milliseconds commit_time = std::chrono::minutes{5};
    static constexpr std::uint64_t largest_manifest = std::uint64_t{4} << 20;
    static constexpr std::uint64_t largest_error = std::uint64_t{64} << 10;

    /// At least 64 KiB per second.
    [[nodiscard]] static std::chrono::milliseconds deadline_of(const oci::Descriptor& blob) {
        return commit_time + std::chrono::seconds{blob.size >> 16};
    }
    [[nodiscard]] std::string with(const std::string& tag_or_digest) const {
        return api_.name() + (oci::is_digest(tag_or_digest) ? '@' : ':') + tag_or_digest;
    }
    [[nodiscard]] std::string manifest_url(const std::string& tag_or_digest) const {
        if (!oci::is_digest(tag_or_digest) && !oci::is_tag(tag_or_digest)) {
            throw Error{ErrorCode::input,
                        {.attempted = "use tag",
                         .subject = '"' + net::printable(tag_or_digest) + '"',
                         .answer = "it is neither a tag nor a sha256 digest"}};
        }
        return api_.url("manifests/" + tag_or_digest);
    }
    [[nodiscard]] std::string blob_url(const oci::Descriptor& blob) const {
        return api_.url("blobs/sha256:" + oci::digest_hex(blob.digest));
    }
    static void check_body(const oci::Descriptor& blob, const net::Body& body) {
        if (!oci::is_digest(blob.digest) || body.size != blob.size) {
            throw Error{ErrorCode::usage,
                        {.attempted = "upload blob",
                         .subject = blob.digest,
                         .answer = "descriptor and body do not belong together"}};
        }
    }
    void show(const char* step, const oci::Descriptor& blob, std::uint64_t done) const {
        control_.show({.step = step, .item = blob.digest, .done = done, .total = blob.size});
    }

    static void check_digest(const std::string& expected, const std::string& got,
                             const net::ExchangeOptions& options) {
        if (expected != got) {
            throw Error{ErrorCode::integrity,
                        {.attempted = options.attempted,
                         .subject = options.subject,
                         .answer = "digest mismatch: expected " + expected + ", got " + got}};
        }
    }
    /// After a push: does the registry say that it stored something else?
    static void check_stated_digest(const net::Answer& answer, const std::string& digest,
                                    const net::ExchangeOptions& options) {
        const std::string stated = net::header(answer.headers, "Docker-Content-Digest");
        if (oci::is_digest(stated)) {
            check_digest(digest, stated, options);
        }
    }

    /// Calls `once` until it gives nullopt: done. An answer that it gives is a failure; what is
    /// temporary, and what broke, is tried again as the policy says. `also` is one more status that
    /// is.
    template <class Once>
    void repeat(const net::ExchangeOptions& options, const Once& once) {
        const int most = api_.retry().attempts;
        for (int attempt = 1;; ++attempt) {
            control_.check(options.attempted + ' ' + options.subject);
            std::string retry_after, why;
            try {
                const std::optional<net::Answer> answer = once(attempt);
                if (!answer) {
                    return;
                }
                if (!net::is_temporary(answer->status) || attempt >= most) {
                    throw_final(api_.failure(*answer, options, attempt));
                }
                retry_after = net::header(answer->headers, "Retry-After");
                why = net::status_text(answer->status);
            } catch (const Final& final_failure) {
                std::rethrow_exception(final_failure.cause);
            } catch (const Cancelled&) {
                throw;
            } catch (const Error& error) {
                const bool temporary =
                    error.code() == ErrorCode::unavailable || error.code() == ErrorCode::timeout;
                if (!temporary) {
                    throw;
                }
                if (attempt >= most) {
                    Error::Details details = error.details();
                    details.subject +=
                        attempt > 1 ? " after " + std::to_string(attempt) + " attempts" : "";
                    throw Error{error.code(), std::move(details)};
                }
                why = error.details().answer;
            }
            const auto pause = net::retry_delay(api_.retry(), attempt, retry_after, control_.now());
            control_.say(Level::debug, options.attempted + ' ' + options.subject + ": attempt " +
                                           std::to_string(attempt) + " failed (" + why +
                                           "), again in " + std::to_string(pause.count()) + " ms");
            control_.sleep(pause);
        }
    }
    /// Carries an exception through repeat() as it is.
    struct Final {
        std::exception_ptr cause;
    };
    [[noreturn]] static void throw_final(const Error& error) {
        throw Final{std::make_exception_ptr(error)};
    }

    /// One question whose answer only saves time: a failure is an answer of status 0.
    [[nodiscard]] net::Answer ask(net::Request request, const char* attempted) {
        try {
            return api_.call(
                std::move(request),
                {.attempted = attempted, .subject = api_.name(), .repeat = net::Repeat::never},
                api_.scopes(Access::pull), control_);
        } catch (const Cancelled&) {
            throw;
        } catch (const Error& error) {
            control_.say(Level::debug, error.what());
            return {};
        }
    }

    [[nodiscard]] bool has_blob(const oci::Descriptor& blob, const net::RetryPolicy& retry) {
        const net::ExchangeOptions options{.attempted = "look for blob",
                                           .subject = blob.digest + " in " + api_.name(),
                                           .retry = retry};
        const net::Answer answer =
            api_.call({.method = "HEAD", .url = blob_url(blob), .deadline = small_deadline},
                      options, api_.scopes(Access::push), control_);
        if (answer.status == 403 || net::is_temporary(answer.status)) {
            throw api_.failure(answer, options);
        }
        return answer.status == 200;
    }
    [[nodiscard]] bool holds_manifest(const std::string& name, const std::string& digest) {
        try {
            const net::Answer answer =
                api_.call({.method = "HEAD",
                           .url = manifest_url(name),
                           .headers = {{"Accept", std::string{oci::media_type::accept}}},
                           .deadline = small_deadline},
                          {.attempted = "look for manifest",
                           .subject = with(name),
                           .repeat = net::Repeat::never},
                          api_.scopes(Access::push), control_);
            return answer.status == 200 &&
                   net::header(answer.headers, "Docker-Content-Digest") == digest;
        } catch (const Cancelled&) {
            throw;
        } catch (const Error&) {
            return false;
        }
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
                 .deadline = small_deadline},
                options, api_.scopes(Access::push, from), control_);
            if (answer.status == 202) {
                session.emplace(api_, control_, api_.location(answer, options));
            }
            return answer.status == 201;
        } catch (const Cancelled&) {
            throw;
        } catch (const Error& error) {
            control_.say(Level::debug, std::string{error.what()} + "; it is uploaded");
            return false;
        }
    }

    void upload(const oci::Descriptor& blob, const net::Body& body,
                std::optional<UploadSession> begun) {
        const net::ExchangeOptions options{.attempted = "upload blob",
                                           .subject = blob.digest + " to " + api_.name(),
                                           .retry = api_.retry(),
                                           .repeat = net::Repeat::never};
        repeat(options, [&](int attempt) -> std::optional<net::Answer> {
            if (attempt > 1 && arrived(blob)) {
                return std::nullopt;  // only the reply was lost
            }
            net::Answer refusal;
            std::optional<UploadSession> session = std::exchange(begun, std::nullopt);
            if (!session) {
                session = begin_upload(options, refusal);
                if (!session) {
                    return refusal;
                }
            }
            session->sending();
            net::Answer answer = put_blob(*session, blob, body, options);
            session->answered();
            if (answer.status < 200 || answer.status > 299) {
                if (answer.status == 404 ||
                    answer.status == 416) {  // the session is gone: begin again
                    session->finished();
                    throw Error{ErrorCode::unavailable,
                                {.attempted = options.attempted,
                                 .subject = options.subject,
                                 .answer = api_.failure(answer, options).details().answer}};
                }
                return answer;
            }
            session->finished();
            check_stated_digest(answer, blob.digest, options);
            return std::nullopt;
        });
    }
    /// The upload of a blob that is made meanwhile: true when the registry has all of it. `made` is
    /// set as soon as it is; `own` to what `make` threw.
    [[nodiscard]] bool stream(const oci::BlobMaker& make, const std::function<net::Body()>& again,
                              std::uint64_t size, std::optional<oci::Descriptor>& made,
                              std::exception_ptr& own) {
        const net::ExchangeOptions options{.attempted = "upload a new blob",
                                           .subject = "to " + api_.name(),
                                           .repeat = net::Repeat::never};
        net::Answer answer;
        std::optional<UploadSession> session = begin_upload(options, answer);
        if (!session) {
            throw api_.failure(answer, options);
        }
        const net::Body body{
            .size = net::Body::unknown_size, .write = [&](const net::BodySink& out) {
                if (made) {
                    return again().write(out);  // the registry wanted to be asked again
                }
                std::exception_ptr gone;
                try {
                    made = make([&](std::span<const std::byte> bytes) {
                        try {
                            if (!gone) {
                                out(bytes);
                            }
                        } catch (...) {
                            gone = std::current_exception();  // then it is made all the same
                        }
                    });
                } catch (...) {
                    own = std::current_exception();
                    throw;
                }
                if (gone) {
                    std::rethrow_exception(gone);
                }
            }};
        session->sending();
        answer = api_.call({.method = "PATCH",
                            .url = session->location(),
                            .headers = {{"Content-Type", "application/octet-stream"}},
                            .body = body,
                            .deadline = deadline_of({.size = size}),
                            .idle_timeout = commit_time,
                            .max_body = largest_error},
                           options, api_.scopes(Access::push), control_);
        session->answered();
        if (answer.status < 200 || answer.status > 299 || !made) {
            throw api_.failure(answer, options);
        }
        session->moved(api_.location(answer, options));
        answer = put_blob(*session, *made, {}, options);
        if (answer.status < 200 || answer.status > 299) {
            throw api_.failure(answer, options);
        }
        session->finished();
        check_stated_digest(answer, made->digest, options);
        return true;
    }
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
            {.method = "POST", .url = api_.url("blobs/uploads/"), .deadline = small_deadline},
            options, api_.scopes(Access::push), control_);
        if (answer.status != 202) {
            refusal = std::move(answer);
            return std::nullopt;
        }
        return UploadSession{api_, control_, api_.location(answer, options)};
    }
    [[nodiscard]] net::Answer put_blob(const UploadSession& session, const oci::Descriptor& blob,
                                       const net::Body& body, const net::ExchangeOptions& options) {
        const char separator = session.location().find('?') == std::string::npos ? '?' : '&';
        const net::Body shown{.size = body.size, .write = [&](const net::BodySink& sink) {
                                  if (!body.write) {
                                      return;  // all of it is there already
                                  }
                                  std::uint64_t done = 0;
                                  body.write([&](std::span<const std::byte> bytes) {
                                      sink(bytes);
                                      done += bytes.size();
                                      if (done < blob.size) {
                                          show("push", blob, done);
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
                              .deadline = deadline_of(blob),
                              .idle_timeout = commit_time,
                              .max_body = largest_error},
                             options, api_.scopes(Access::push), control_);
        } catch (const Error&) {
            if (own) {
                throw Final{own};  // the body's own trouble is not the network's
            }
            throw;
        }
    }

    Api api_;
    Control control_;
};

}  // namespace fairing::registry
