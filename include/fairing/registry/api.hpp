// fairing/registry/api.hpp - authenticated requests to the API of one repository (OCI
// distribution-spec).
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "../core/control.hpp"
#include "../core/credential.hpp"
#include "../net/exchange.hpp"
#include "../oci/descriptor.hpp"
#include "../oci/digest.hpp"
#include "../oci/reference.hpp"
#include "authenticator.hpp"
#include "registry_error.hpp"

namespace fairing::registry {

/// When a registry is spoken to without TLS. `loopback`: when its host is this machine; `insecure`:
/// always, but never at Docker Hub; `never`: not on loopback either.
enum class PlainHttp { loopback, insecure, never };

/// How blobs are sent. `automatic`: one PUT for what is known, one PATCH without a range for what
/// is being made. `single`: always one PUT, so that nothing is sent before it is made. `chunked`:
/// several PATCHes with ranges, which go on where they broke, and fit through what limits bodies;
/// not every registry takes them.
enum class Upload { automatic, single, chunked };

struct ClientOptions {
    net::AnyTransport transport = {};
    CredentialsProvider credentials = {};
    PlainHttp plain_http = PlainHttp::loopback;
    net::RetryPolicy retry = {};
    /// Where credentials are looked for after `credentials`; nullopt means credential_files().
    std::optional<std::vector<std::filesystem::path>> files = {};
    /// Asked by host when neither of these has an answer, and again when what it gave is refused.
    CredentialsProvider keychain = {};
    Upload upload = Upload::automatic;
    /// Of Upload::chunked, unless the registry wants larger ones; kept in memory per upload.
    std::uint64_t chunk_size = std::uint64_t{16} << 20;
};

/// How long registries may take, and how much they may say.
struct Limits {
    static constexpr std::chrono::milliseconds question = std::chrono::seconds{60};
    /// Registries check and move what they got before they answer.
    static constexpr std::chrono::milliseconds commit = std::chrono::minutes{5};
    static constexpr std::uint64_t manifest = std::uint64_t{4} << 20;
    static constexpr std::uint64_t error_body = std::uint64_t{64} << 10;

    /// At least 64 KiB per second.
    [[nodiscard]] static std::chrono::milliseconds transfer(std::uint64_t bytes) {
        return commit + std::chrono::seconds{bytes >> 16};
    }
};

/// What a token must allow.
enum class Access { pull, push };

class Api {
public:
    Api(const oci::Reference& reference, const ClientOptions& options)
        : reference_(reference),
          base_(base_url(reference, options.plain_http)),
          retry_(options.retry),
          upload_(options.upload),
          chunk_size_(options.chunk_size),
          transport_(Counting{options.transport, count_}),
          connected_(static_cast<bool>(options.transport)),
          authenticator_(
              reference.host, reference.repository, base_,
              {.transport = transport_,
               .credentials = {.program = options.credentials,
                               .files = options.files ? *options.files : credential_files(),
                               .keychain = options.keychain},
               .retry = options.retry}) {}

    [[nodiscard]] std::string name() const { return reference_.name(); }
    [[nodiscard]] const net::RetryPolicy& retry() const noexcept { return retry_; }
    [[nodiscard]] Upload upload() const noexcept { return upload_; }
    [[nodiscard]] std::uint64_t chunk_size() const noexcept { return chunk_size_; }
    [[nodiscard]] std::uint64_t requests() const noexcept { return *count_; }

    /// "https://host/v2/NAME/" + `path`.
    [[nodiscard]] std::string url(const std::string& path) const {
        return base_.origin() + "/v2/" + reference_.repository + '/' + path;
    }

    /// Throws Error{input} for what is neither a tag nor a digest.
    [[nodiscard]] std::string manifest_url(const std::string& tag_or_digest) const {
        if (!oci::is_digest(tag_or_digest) && !oci::is_tag(tag_or_digest)) {
            throw Error{ErrorCode::input,
                        {.attempted = "use tag",
                         .subject = '"' + net::printable(tag_or_digest) + '"',
                         .answer = "it is neither a tag nor a sha256 digest"}};
        }
        return url("manifests/" + tag_or_digest);
    }
    [[nodiscard]] std::string blob_url(const oci::Descriptor& blob) const {
        return url("blobs/sha256:" + oci::digest_hex(blob.digest));
    }
    /// "host/repository:tag" or "host/repository@digest".
    [[nodiscard]] std::string name_of(const std::string& tag_or_digest) const {
        return name() + (oci::is_digest(tag_or_digest) ? '@' : ':') + tag_or_digest;
    }

    /// Tokens for this repository, and for reading `other` when it is not empty.
    [[nodiscard]] std::vector<std::string> scopes(Access access,
                                                  const std::string& other = {}) const {
        std::vector<std::string> result = {"repository:" + reference_.repository +
                                           (access == Access::push ? ":pull,push" : ":pull")};
        if (!other.empty()) {
            result.push_back("repository:" + other + ":pull");
        }
        return result;
    }

    /// exchange() with Authorization, which goes to the registry's own origin only. A 401 leads to
    /// one new token and one replay; a second one is an Error{denied}.
    [[nodiscard]] net::Answer call(net::Request request, const net::ExchangeOptions& options,
                                   const std::vector<std::string>& scopes, const Control& control,
                                   const net::BodySink& sink = {}) {
        if (!connected_) {
            return net::exchange({}, std::move(request), options, control);  // says what is missing
        }
        if (!is_ours(request.url)) {
            return net::exchange(transport_, std::move(request), options, control, sink);
        }
        std::string shown = authenticator_.authorization(scopes, control);
        authorize(request, shown);
        net::Answer answer = net::exchange(transport_, request, options, control, sink);
        if (answer.status != 401 || !is_ours(answer.url)) {
            return answer;
        }
        const std::string again = authenticator_.refresh(scopes, shown, answer.headers, control);
        authorize(request, again);
        answer = net::exchange(transport_, std::move(request), options, control, sink);
        if (answer.status == 401 && is_ours(answer.url)) {
            Error::Details details = refusal(answer, options.attempted, options.subject, advice());
            if (!shown.empty()) {
                details.answer += " (unauthorized after a token refresh)";
            }
            throw Error{ErrorCode::denied, std::move(details)};
        }
        return answer;
    }

    /// Where an answer sends us for an upload. Throws Error{denied} for a place where we do not go.
    [[nodiscard]] std::string location(const net::Answer& answer,
                                       const net::ExchangeOptions& options) const {
        const auto refuse = [&options](std::string why) {
            return Error{ErrorCode::denied,
                         {.attempted = options.attempted,
                          .subject = options.subject,
                          .answer = std::move(why)}};
        };
        const std::string text = net::header(answer.headers, "Location");
        if (text.empty()) {
            throw refuse("the registry answered without a Location");
        }
        net::Url url;
        try {
            url = net::resolve(net::parse_url(answer.url), text);
        } catch (const Error& error) {
            throw refuse("the registry's Location is refused: " + error.details().answer);
        }
        if (url.is_unix() || (base_.is_tls() && !url.is_tls())) {
            throw refuse("the registry's Location goes from https to http: " +
                         net::redact_url(url.text()));
        }
        if (net::is_refused_address(url.host)) {
            throw refuse("the registry's Location is at the refused address " + url.host);
        }
        return url.text();
    }

    /// The Error that an unwelcome answer is.
    [[nodiscard]] Error failure(const net::Answer& answer, const net::ExchangeOptions& options,
                                int attempts = 0) const {
        const bool login = answer.status == 401 || answer.status == 403;
        return Error{net::error_code(answer.status),
                     refusal(answer, options.attempted, options.subject,
                             login ? advice() : std::string{}, attempts)};
    }
    [[nodiscard]] std::string advice() const { return authenticator_.advice(); }

private:
    /// Counts every request, redirects and tokens too.
    struct Counting {
        net::AnyTransport inner;
        std::shared_ptr<std::atomic<std::uint64_t>> count;

        net::Response send(const net::Request& request, const net::BodySink& sink,
                           std::stop_token stop) const {
            ++*count;
            return inner.send(request, sink, std::move(stop));
        }
    };

    [[nodiscard]] static net::Url base_url(const oci::Reference& reference, PlainHttp plain) {
        if (reference.kind != oci::ReferenceKind::registry ||
            !oci::is_repository(reference.repository)) {
            throw Error{ErrorCode::usage,
                        {.attempted = "open",
                         .subject = reference.text(),
                         .answer = "it is not in a registry"}};
        }
        net::Url url = net::parse_url("https://" + reference.api_host() + '/');
        const bool hub = reference.api_host() != reference.host;
        if ((plain == PlainHttp::insecure && !hub) ||
            (plain == PlainHttp::loopback && net::is_loopback(url))) {
            url = net::parse_url("http://" + reference.api_host() + '/');
        }
        return url;
    }
    [[nodiscard]] bool is_ours(const std::string& url) const {
        return net::same_origin(net::parse_url(url), base_);
    }
    static void authorize(net::Request& request, const std::string& value) {
        request.headers.erase("Authorization");
        if (!value.empty()) {
            request.headers.emplace("Authorization", value);
        }
    }

    const oci::Reference reference_;
    const net::Url base_;
    const net::RetryPolicy retry_;
    const Upload upload_;
    const std::uint64_t chunk_size_;
    const std::shared_ptr<std::atomic<std::uint64_t>> count_ =
        std::make_shared<std::atomic<std::uint64_t>>(0);
    const net::AnyTransport transport_;
    const bool connected_;
    Authenticator authenticator_;
};

}  // namespace fairing::registry
