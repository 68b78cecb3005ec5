// fairing/cloud/renewed.hpp - a credential that ends, fetched anew before it does.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "../core/control.hpp"
#include "../core/error.hpp"
#include "../core/json_text.hpp"
#include "../core/secret.hpp"

namespace fairing::cloud {

/// A bearer token; without an end it is asked for once.
struct AccessToken {
    Secret value = {};
    std::optional<std::chrono::system_clock::time_point> expires = {};
};

/// The answer of a token endpoint (RFC 6749, 5.1), which came at `now`; a minute when it does not
/// say how long the token lives. Throws Error{unavailable} when it holds none.
[[nodiscard]] inline AccessToken parse_access_token(const std::string& body,
                                                    const std::string& subject,
                                                    std::chrono::system_clock::time_point now) {
    const Json document = parse_json(body, "the token of " + subject);
    AccessToken token{.value = Secret{text_or(document, "access_token")}};
    if (token.value.empty()) {
        throw Error{ErrorCode::unavailable,
                    {.attempted = "get a token for",
                     .subject = subject,
                     .answer = "the answer holds none"}};
    }
    const Json lifetime = document.value("expires_in", Json());
    token.expires = now + std::chrono::seconds{
                              lifetime.is_number_integer()
                                  ? std::clamp<std::int64_t>(lifetime.get<std::int64_t>(), 0, 86400)
                                  : 60};
    return token;
}

/// `Value` has a member `expires`, as AccessToken. Copies share what was fetched; may be used from
/// several threads, which wait while one of them fetches. Expensive to make, cheap to copy.
template <class Value>
class Renewed {
public:
    Renewed() = default;
    Renewed(std::function<Value()> fetch, Clock clock)
        : shared_(std::make_shared<Shared>(std::move(fetch), std::move(clock))) {}

    /// What is good for five more minutes at least, where the service gives so much.
    [[nodiscard]] Value get() const {
        const std::lock_guard lock{shared_->mutex};
        const auto now = shared_->clock ? shared_->clock() : std::chrono::system_clock::now();
        if (!shared_->value ||
            (shared_->value->expires && *shared_->value->expires < now + std::chrono::minutes{5})) {
            shared_->value = shared_->fetch();
        }
        return *shared_->value;
    }
    explicit operator bool() const noexcept { return shared_ != nullptr; }

private:
    struct Shared {
        Shared(std::function<Value()> fetching, Clock timing)
            : fetch(std::move(fetching)), clock(std::move(timing)) {}
        std::function<Value()> fetch;
        Clock clock;
        std::mutex mutex = {};
        std::optional<Value> value = {};
    };
    std::shared_ptr<Shared> shared_ = {};
};

}  // namespace fairing::cloud
