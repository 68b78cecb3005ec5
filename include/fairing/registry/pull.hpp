// fairing/registry/pull.hpp - manifests and blobs out of a registry (OCI distribution-spec,
// "Pull").
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "../core/control.hpp"
#include "../net/exchange.hpp"
#include "../oci/descriptor.hpp"
#include "../oci/digest.hpp"
#include "../oci/image.hpp"
#include "../oci/media_type.hpp"
#include "../oci/store.hpp"
#include "api.hpp"

namespace fairing::registry {

/// Throws Error{integrity} unless both digests are the same.
inline void check_digest(const std::string& expected, const std::string& got,
                         const net::ExchangeOptions& options) {
    if (expected != got) {
        throw Error{ErrorCode::integrity,
                    {.attempted = options.attempted,
                     .subject = options.subject,
                     .answer = "digest mismatch: expected " + expected + ", got " + got}};
    }
}

/// What one repository is asked. Everything is verified while it is read.
class Pull {
public:
    Pull(Api& api, const Control& control) : api_(api), control_(control) {}

    [[nodiscard]] std::optional<oci::RawManifest> find_manifest(const std::string& tag_or_digest) {
        const std::string name = api_.name_of(tag_or_digest);
        const net::ExchangeOptions options{
            .attempted = "read manifest", .subject = name, .retry = api_.retry()};
        const net::Answer answer =
            api_.call({.url = api_.manifest_url(tag_or_digest),
                       .headers = {{"Accept", std::string{oci::media_type::accept}}},
                       .deadline = Limits::question,
                       .max_body = Limits::manifest},
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
        (void)oci::parse_manifest(manifest, name);
        return manifest;
    }

    /// A download that breaks goes on where it broke.
    void read_blob(const oci::Descriptor& blob, const net::BodySink& sink) {
        const net::ExchangeOptions options{.attempted = "read blob",
                                           .subject = blob.digest + " of " + api_.name(),
                                           .retry = api_.retry(),
                                           .partial = net::Partial::resume};
        oci::Verifier verifier{blob.digest, blob.size, options.subject};
        std::uint64_t done = 0;
        const auto show = [&](std::uint64_t bytes) {
            control_.show({.step = "pull", .item = blob.digest, .done = bytes, .total = blob.size});
        };
        const net::Answer answer = api_.call({.url = api_.blob_url(blob),
                                              .deadline = Limits::transfer(blob.size),
                                              .max_body = Limits::error_body},
                                             options, api_.scopes(Access::pull), control_,
                                             [&](std::span<const std::byte> bytes) {
                                                 verifier.update(bytes);
                                                 sink(bytes);
                                                 done += bytes.size();
                                                 if (done < blob.size) {
                                                     show(done);
                                                 }
                                             });
        if (answer.status != 200 && answer.status != 206) {
            throw api_.failure(answer, options);
        }
        verifier.finish();
        show(blob.size);
    }

    /// Whatever goes wrong here gives "": who then reads the manifest learns what it was.
    [[nodiscard]] std::string find_digest(const std::string& tag, Access access = Access::pull) {
        const net::Answer answer =
            ask({.method = "HEAD",
                 .url = api_.manifest_url(tag),
                 .headers = {{"Accept", std::string{oci::media_type::accept}}},
                 .deadline = Limits::question},
                "look for manifest", access);
        const std::string digest = net::header(answer.headers, "Docker-Content-Digest");
        return answer.status == 200 && oci::is_digest(digest) ? digest : "";
    }

    /// Whether the repository is known to hold no image yet.
    [[nodiscard]] bool is_new() {
        return ask({.url = api_.url("tags/list?n=1"), .deadline = Limits::question},
                   "list the tags", Access::pull)
                   .status == 404;
    }

private:
    /// One question whose answer only saves time: a failure is an answer of status 0.
    [[nodiscard]] net::Answer ask(net::Request request, const char* attempted, Access access) {
        try {
            return api_.call(
                std::move(request),
                {.attempted = attempted, .subject = api_.name(), .repeat = net::Repeat::never},
                api_.scopes(access), control_);
        } catch (const Cancelled&) {
            throw;
        } catch (const Error& error) {
            control_.say(Level::debug, error.what());
            return {};
        }
    }

    Api& api_;
    const Control& control_;
};

}  // namespace fairing::registry
