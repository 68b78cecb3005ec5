// fairing/kube/status_error.hpp - what an API server says when it refuses: a `Status` object
// (apimachinery meta/v1).
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "../core/error.hpp"
#include "../core/json_text.hpp"
#include "../net/redact.hpp"
#include "../net/status.hpp"

namespace fairing::kube {

/// One thing that is wrong with a refused object.
struct StatusCause {
    std::string field = {}, reason = {}, message = {};
};

/// An answer of the API server that is no success. what() shows its message and causes;
/// details().kubernetes_status is the whole `Status`.
class StatusError : public Error {
public:
    StatusError(int status, std::string reason, std::vector<StatusCause> causes, Details details)
        : Error(net::error_code(status), std::move(details)),
          said_(std::make_shared<const Said>(Said{status, std::move(reason), std::move(causes)})) {}

    [[nodiscard]] int status() const noexcept { return said_->status; }
    /// "NotFound", "AlreadyExists", "Invalid", "Forbidden", …; empty when the answer was no Status.
    [[nodiscard]] const std::string& reason() const noexcept { return said_->reason; }
    [[nodiscard]] const std::vector<StatusCause>& causes() const noexcept { return said_->causes; }

private:
    struct Said {
        int status = 0;
        std::string reason = {};
        std::vector<StatusCause> causes = {};
    };
    std::shared_ptr<const Said> said_;
};

/// The `Status` in `text`; null when it is something else, a proxy's page for one.
[[nodiscard]] inline Json parse_status(std::string_view text) {
    if (is_too_deep(text)) {
        return {};
    }
    Json document = Json::parse(text, nullptr, false);
    const bool is_status = document.is_object() && text_or(document, "kind") == "Status";
    return is_status ? document : Json();
}

/// The causes in a `Status`.
[[nodiscard]] inline std::vector<StatusCause> causes_of(const Json& status) {
    std::vector<StatusCause> causes;
    if (!status.is_object() || !status.contains("details") || !status["details"].is_object()) {
        return causes;
    }
    const Json list = status["details"].value("causes", Json::array());
    for (const Json& cause : list) {
        causes.push_back({.field = text_or(cause, "field"),
                          .reason = text_or(cause, "reason"),
                          .message = text_or(cause, "message")});
    }
    return causes;
}

namespace detail {

/// The message, and each cause whose words are not in it already.
[[nodiscard]] inline std::string words_of(const Json& status,
                                          const std::vector<StatusCause>& causes) {
    std::string text = text_or(status, "message");
    for (const StatusCause& cause : causes) {
        if (!cause.message.empty() && text.find(cause.message) == std::string::npos) {
            text += (text.empty() ? "" : "; ") + cause.field + (cause.field.empty() ? "" : ": ") +
                    cause.message;
        }
    }
    return net::printable(text, 2000);
}

[[nodiscard]] inline std::string advice_for(int status, const std::string& context) {
    if (status == 401) {
        return "check the credentials of context \"" + context + '"';
    }
    if (status == 403) {
        return "ask for this permission, or choose another --namespace or --context";
    }
    return {};
}

}  // namespace detail

/// The StatusError for an answer with this HTTP status and body. `context` is the kubeconfig's, for
/// the advice.
[[nodiscard]] inline StatusError status_error(int http_status, const std::string& body,
                                              std::string attempted, std::string subject,
                                              const std::string& context = {}) {
    const Json status = parse_status(body);
    std::vector<StatusCause> causes = causes_of(status);
    std::string words = detail::words_of(status, causes);
    if (words.empty()) {
        words = net::printable(body, 300);
    }
    Error::Details details{
        .attempted = std::move(attempted),
        .subject = std::move(subject),
        .answer = net::status_text(http_status) + (words.empty() ? "" : ": " + words),
        .advice = detail::advice_for(http_status, context),
        .http_status = http_status,
        .kubernetes_status = status};
    return StatusError{http_status, text_or(status, "reason"), std::move(causes),
                       std::move(details)};
}

}  // namespace fairing::kube
