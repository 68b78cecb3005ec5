// fairing/registry/push.hpp - blobs and manifests into a registry (OCI distribution-spec, "Push").
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "../core/control.hpp"
#include "../net/exchange.hpp"
#include "../oci/descriptor.hpp"
#include "../oci/digest.hpp"
#include "../oci/store.hpp"
#include "api.hpp"
#include "attempts.hpp"
#include "blob_upload.hpp"
#include "pull.hpp"
#include "upload_session.hpp"

namespace fairing::registry {

/// What one repository is told. The contracts are those of oci::Store; an upload that is not
/// finished is cancelled at the registry.
class Push {
public:
    Push(Api& api, const Control& control) : api_(api), control_(control), uploads_(api, control) {}

    oci::Transfer write_blob(const oci::Descriptor& blob, const net::Body& body,
                             const std::string& mount_from) {
        check_body(blob, body);
        if (uploads_.has_blob(blob, api_.retry())) {
            return done(blob, oci::Transfer::present);
        }
        std::optional<UploadSession> session;
        if (!mount_from.empty() && uploads_.mount(blob, mount_from, session)) {
            return done(blob, oci::Transfer::mounted);
        }
        uploads_.upload(blob, body, std::move(session));
        return done(blob, oci::Transfer::uploaded);
    }

    /// Saves one request where the guess is right, and costs one upload of what is there at most
    /// where it is wrong; a mount finds that out by itself. `begun`: an upload that was begun
    /// ahead.
    oci::Transfer write_absent_blob(const oci::Descriptor& blob, const net::Body& body,
                                    const std::string& mount_from,
                                    std::optional<UploadSession> begun = std::nullopt) {
        check_body(blob, body);
        if (!mount_from.empty()) {
            std::optional<UploadSession> session;
            if (!uploads_.mount(blob, mount_from, session)) {
                session.reset();
                return write_blob(blob, body, {});
            }
            return done(blob, oci::Transfer::mounted);
        }
        uploads_.upload(blob, body, std::move(begun));
        return done(blob, oci::Transfer::uploaded);
    }

    /// Sent while it is made, unless Upload::single. When the registry or the network fails, the
    /// blob is finished and sent like one that is known; a refusal for good and what `make` throws
    /// pass through.
    oci::Transfer write_new_blob(const oci::BlobMaker& make,
                                 const std::function<net::Body()>& again, std::uint64_t size) {
        if (api_.upload() == Upload::single) {
            const oci::Descriptor blob = make({});
            return write_absent_blob(blob, again(), {});
        }
        BlobInMaking making{.make = make};
        bool sent = false;
        try {
            uploads_.stream(making, again, size);
            sent = true;
        } catch (const Cancelled&) {
            throw;
        } catch (const Error& error) {
            if (making.own) {
                std::rethrow_exception(making.own);
            }
            if (const int status = error.details().http_status.value_or(0);
                status == 403 || status == 413) {
                throw;  // it would be the same again
            }
            control_.say(Level::debug, std::string{error.what()} + "; it is sent once more");
        }
        if (!making.made) {
            making.made = make({});
        }
        return sent ? done(*making.made, oci::Transfer::uploaded)
                    : write_blob(*making.made, again(), {});
    }

    /// One that is not there is no error.
    void remove_manifest(const std::string& digest) {
        const net::ExchangeOptions options{
            .attempted = "remove manifest", .subject = api_.name_of(digest), .retry = api_.retry()};
        const net::Answer answer = api_.call({.method = "DELETE",
                                              .url = api_.manifest_url(digest),
                                              .deadline = Limits::question,
                                              .max_body = Limits::error_body},
                                             options, api_.scopes(Access::remove), control_);
        if (!detail::is_success(answer) && answer.status != 404) {
            throw api_.failure(answer, options);
        }
    }

    /// Throws MissingBlobs when the registry lacks a blob of it.
    void write_manifest(const oci::RawManifest& manifest, const std::string& tag) {
        const std::string digest = oci::digest_of(manifest.body);
        const std::string& name = tag.empty() ? digest : tag;
        const net::ExchangeOptions options{.attempted = "push manifest",
                                           .subject = api_.name_of(name),
                                           .retry = api_.retry(),
                                           .repeat = net::Repeat::never};
        const net::Request request{.method = "PUT",
                                   .url = api_.manifest_url(name),
                                   .headers = {{"Content-Type", manifest.media_type}},
                                   .body = net::Body::of(manifest.body),
                                   .deadline = Limits::commit,
                                   .idle_timeout = Limits::commit,
                                   .max_body = Limits::error_body};
        repeat(api_, control_, options, [&](int attempt) -> std::optional<net::Answer> {
            if (attempt > 1 && Pull{api_, control_}.find_digest(name, Access::push) == digest) {
                return std::nullopt;  // only the reply was lost
            }
            net::Answer answer = api_.call(request, options, api_.scopes(Access::push), control_);
            if (detail::is_success(answer)) {
                detail::check_stated_digest(answer, digest, options);
                return std::nullopt;
            }
            if (auto missing = missing_blobs(answer.body)) {
                throw MissingBlobs{
                    refusal(answer, options.attempted, options.subject,
                            "the registry lost a blob that it had: push once more", attempt),
                    *std::move(missing)};
            }
            return answer;
        });
    }

private:
    static void check_body(const oci::Descriptor& blob, const net::Body& body) {
        if (!oci::is_digest(blob.digest) || body.size != blob.size) {
            throw Error{ErrorCode::usage,
                        {.attempted = "upload blob",
                         .subject = blob.digest,
                         .answer = "descriptor and body do not belong together"}};
        }
    }
    oci::Transfer done(const oci::Descriptor& blob, oci::Transfer how) const {
        uploads_.show(blob, blob.size);
        return how;
    }
    Api& api_;
    const Control& control_;
    BlobUpload uploads_;
};

}  // namespace fairing::registry
