// fairing/registry/registry_error.hpp - what a registry says when it refuses (OCI
// distribution-spec, "Error Codes").
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../core/error.hpp"
#include "../core/json_text.hpp"
#include "../net/exchange.hpp"
#include "../oci/digest.hpp"

namespace fairing::registry {

/// A manifest was refused because the registry does not have these blobs (any more): upload them
/// once more.
class MissingBlobs : public Error {
public:
    MissingBlobs(Details details, std::vector<std::string> digests)
        : Error(ErrorCode::not_found, std::move(details)), digests_(std::move(digests)) {}
    /// Empty when the registry did not say which.
    [[nodiscard]] const std::vector<std::string>& digests() const noexcept { return digests_; }

private:
    std::vector<std::string> digests_;
};

namespace detail {

/// The `errors` array of an answer's body; an empty array when there is none.
[[nodiscard]] inline Json error_list(const std::string& body) {
    const Json document = Json::parse(body, nullptr, false);
    if (document.is_object() && document.contains("errors") && document["errors"].is_array()) {
        return document["errors"];
    }
    return Json::array();
}

}  // namespace detail

/// "CODE: message; CODE: message" out of the body of a refusal; empty when it is not in the
/// registries' form.
[[nodiscard]] inline std::string registry_message(const std::string& body) {
    std::string text;
    for (const Json& error : detail::error_list(body)) {
        std::string one = text_or(error, "code");
        const std::string message = text_or(error, "message");
        one += (one.empty() || message.empty() ? "" : ": ") + message;
        text += (text.empty() || one.empty() ? "" : "; ") + one;
    }
    return net::printable(text, 500);
}

/// The digests of blobs that a refused manifest names and the registry does not have; nullopt when
/// it was refused for another reason.
[[nodiscard]] inline std::optional<std::vector<std::string>> missing_blobs(
    const std::string& body) {
    std::optional<std::vector<std::string>> digests;
    for (const Json& error : detail::error_list(body)) {
        const std::string code = text_or(error, "code");
        if (code != "MANIFEST_BLOB_UNKNOWN" && code != "BLOB_UNKNOWN") {
            continue;
        }
        digests = digests.value_or(std::vector<std::string>{});
        const Json detail = error.value("detail", Json());
        for (const std::string& named :
             {detail.is_string() ? detail.get<std::string>() : text_or(detail, "digest"),
              text_or(detail, "Digest")}) {
            if (oci::is_digest(named)) {
                digests->push_back(named);
            }
        }
    }
    return digests;
}

/// The Error that an unwelcome answer is.
[[nodiscard]] inline Error::Details refusal(const net::Answer& answer, std::string attempted,
                                            std::string subject, std::string advice,
                                            int attempts = 0) {
    const std::string message = registry_message(answer.body);
    if (const int count = std::max(attempts, answer.attempts); count > 1) {
        subject += " after " + std::to_string(count) + " attempts";
    }
    return {.attempted = std::move(attempted),
            .subject = std::move(subject),
            .answer = net::status_text(answer.status) + (message.empty() ? "" : ": " + message),
            .advice = std::move(advice),
            .http_status = answer.status};
}

}  // namespace fairing::registry
