// fairing/registry/attempts.hpp - a step that takes several requests, tried again as a whole.
#pragma once

#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "../core/control.hpp"
#include "../net/exchange.hpp"
#include "api.hpp"

namespace fairing::registry {

/// Carries an exception through repeat() as it is: no further attempt.
struct FinalFailure {
    std::exception_ptr cause;
};

/// Calls `once` with the number of the attempt until it gives nullopt: done. An answer that it
/// gives is a failure; what is temporary, and what broke, is tried again as the registry's policy
/// says. Throws the last failure, with the number of attempts.
inline void repeat(const Api& api, const Control& control, const net::ExchangeOptions& options,
                   const std::function<std::optional<net::Answer>(int)>& once) {
    const int most = api.retry().attempts;
    for (int attempt = 1;; ++attempt) {
        control.check(options.attempted + ' ' + options.subject);
        std::optional<net::Answer> answer;
        std::optional<std::string> broken;
        try {
            answer = once(attempt);
        } catch (const FinalFailure& failure) {
            std::rethrow_exception(failure.cause);
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
            broken = error.details().answer;
        }
        if (!answer && !broken) {
            return;
        }
        if (answer) {
            if (!net::is_temporary(answer->status) || attempt >= most) {
                throw api.failure(*answer, options, attempt);
            }
        }
        const std::string why = answer ? net::status_text(answer->status) : *broken;
        const auto pause = net::retry_delay(
            api.retry(), attempt, answer ? net::header(answer->headers, "Retry-After") : "",
            control.now());
        control.say(Level::debug, options.attempted + ' ' + options.subject + ": attempt " +
                                      std::to_string(attempt) + " failed (" + why + "), again in " +
                                      std::to_string(pause.count()) + " ms");
        control.sleep(pause);
    }
}

}  // namespace fairing::registry
