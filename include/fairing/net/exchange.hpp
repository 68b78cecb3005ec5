// fairing/net/exchange.hpp - one request and its final answer: redirects followed safely (RFC
// 9110, 15.4), failures that may pass repeated.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <exception>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "../core/control.hpp"
#include "address.hpp"
#include "redact.hpp"
#include "retry.hpp"
#include "status.hpp"
#include "transport.hpp"
#include "url.hpp"
#include "validation.hpp"

namespace fairing::net {

/// Which requests may be sent a second time. `automatic`: those whose method is idempotent (RFC
/// 9110, 9.2.2).
enum class Repeat { automatic, always, never };

/// What happens when the connection breaks after the sink got bytes. `fail`: the error is final.
/// `resume`: the body is the same bytes every time (content addressed), so the rest is asked for
/// (Range; RFC 9110, section 14); a peer that gives everything again is heard out, and what the
/// sink already has is dropped. The sink never sees a byte twice.
enum class Partial { fail, resume };

struct ExchangeOptions {
    std::string attempted = "send request to";  ///< for errors: a verb phrase
    std::string subject = {};                   ///< what it is done to; empty means the URL
    RetryPolicy retry = {};
    Repeat repeat = Repeat::automatic;
    Partial partial = Partial::fail;
    int redirects = 10;  ///< of GET and HEAD; 0 gives a redirect back to the caller
    /// All attempts and pauses together; zero means no limit.
    std::chrono::milliseconds deadline = {};
};

/// A Response, and how it was come by.
struct Answer : Response {
    std::string url = {};  ///< that answered: the last one of a chain of redirects
    int attempts = 1;
};

namespace detail {

/// One URL after the other until an answer is no redirect.
class RedirectChain {
public:
    RedirectChain(const AnyTransport& transport, const ExchangeOptions& options,
                  const Control& control)
        : transport_(transport), options_(options), control_(control) {}

    [[nodiscard]] Answer follow(Request request, const BodySink& sink) const {
        const bool may_redirect =
            options_.redirects > 0 && (request.method == "GET" || request.method == "HEAD");
        Url url = validate(request);
        std::set<std::string> seen = {url.text()};
        for (int hops = 0;; ++hops) {
            Answer answer;
            static_cast<Response&>(answer) = transport_.send(request, sink, control_.stop);
            answer.url = request.url;
            control_.say(Level::debug, request.method + ' ' + redact_url(request.url) + ": " +
                                           status_text(answer.status));
            const bool redirect = answer.status == 301 || answer.status == 302 ||
                                  answer.status == 303 || answer.status == 307 ||
                                  answer.status == 308;
            if (!redirect || !may_redirect) {
                return answer;
            }
            if (hops == options_.redirects) {
                throw refuse(url, "more than " + std::to_string(hops) + " redirects");
            }
            Url next = target(url, header(answer.headers, "Location"));
            if (!seen.insert(next.text()).second) {
                throw refuse(url, "a redirect loop");
            }
            if (!same_origin(url, next)) {
                drop_secrets(request.headers);
            }
            request.url = next.text();
            url = std::move(next);
        }
    }

private:
    [[nodiscard]] static Error refuse(const Url& url, std::string answer) {
        return Error{ErrorCode::denied,
                     {.attempted = "follow redirect from",
                      .subject = redact_url(url.text()),
                      .answer = std::move(answer)}};
    }

    [[nodiscard]] static Url target(const Url& from, const std::string& location) {
        if (location.empty()) {
            throw refuse(from, "a redirect without a Location");
        }
        Url next = resolve(from, location);
        if (next.is_unix() != from.is_unix()) {
            throw refuse(from, "refused to leave for " + redact_url(next.text()));
        }
        if (from.is_tls() && !next.is_tls()) {
            throw refuse(from, "refused to go from https to http, " + redact_url(next.text()));
        }
        if (is_refused_address(next.host)) {
            throw refuse(from, "refused address " + next.host);
        }
        return next;
    }

    /// Only what says how to answer goes to another origin.
    static void drop_secrets(Headers& headers) {
        for (auto it = headers.begin(); it != headers.end();) {
            std::string name = it->first;
            std::transform(name.begin(), name.end(), name.begin(), lower);
            const bool harmless = name == "accept" || name == "accept-language" ||
                                  name == "range" || name == "user-agent";
            it = harmless ? std::next(it) : headers.erase(it);
        }
    }

    const AnyTransport& transport_;
    const ExchangeOptions& options_;
    const Control& control_;
};

/// The position of the first byte in "bytes 100-199/200"; nullopt for anything else.
[[nodiscard]] inline std::optional<std::uint64_t> part_begin(std::string_view content_range) {
    constexpr std::string_view unit = "bytes ";
    const std::size_t dash = std::min(content_range.find('-'), content_range.size());
    if (!content_range.starts_with(unit) || dash <= unit.size() || dash > unit.size() + 18) {
        return std::nullopt;
    }
    std::uint64_t value = 0;
    for (const char digit : content_range.substr(unit.size(), dash - unit.size())) {
        if (digit < '0' || digit > '9') {
            return std::nullopt;
        }
        value = value * 10 + static_cast<std::uint64_t>(digit - '0');
    }
    return value;
}

/// Passes on to a sink, and counts; after a broken attempt drops what was passed on before.
class CountedSink {
public:
    explicit CountedSink(const BodySink& sink) : sink_(sink) {}

    void restart() noexcept { position_ = 0; }
    [[nodiscard]] std::uint64_t delivered() const noexcept { return delivered_; }
    /// Whether the rest may be asked for: we are told where an answer's body begins, and the peer
    /// has not got that wrong yet.
    [[nodiscard]] bool takes_parts() const noexcept { return takes_parts_; }
    void refuse_parts() noexcept { refused_parts_ = true, takes_parts_ = false; }

    /// The head of an answer says where in the body its bytes belong.
    void begin(const Response& head) {
        takes_parts_ = !refused_parts_;
        position_ = 0;
        if (head.status != 206) {
            return;
        }
        const auto first = part_begin(header(head.headers, "Content-Range"));
        if (!first || *first > delivered_) {
            refuse_parts();
            throw Error{
                ErrorCode::unavailable,
                {.attempted = "read", .answer = "a part of the body that was not asked for"}};
        }
        position_ = *first;
    }

    [[nodiscard]] BodySink sink() {
        if (!sink_) {
            return {};
        }
        return [this](std::span<const std::byte> bytes) {
            const std::uint64_t known =
                std::min<std::uint64_t>(delivered_ - std::min(delivered_, position_), bytes.size());
            position_ += bytes.size();
            bytes = bytes.subspan(static_cast<std::size_t>(known));
            if (!bytes.empty()) {
                delivered_ += bytes.size();
                try {
                    sink_(bytes);
                } catch (...) {
                    failure_ = std::current_exception();
                    throw;
                }
            }
        };
    }
    /// What the sink itself threw is no failure of the network.
    void rethrow_own() const {
        if (failure_) {
            std::rethrow_exception(failure_);
        }
    }

private:
    const BodySink& sink_;
    std::uint64_t delivered_ = 0, position_ = 0;
    bool takes_parts_ = false, refused_parts_ = false;
    std::exception_ptr failure_ = {};
};

/// `body`, with what its own `write` throws kept in `failure`. What the transport throws through it
/// is not.
[[nodiscard]] inline Body watch_body(const Body& body, std::exception_ptr& failure) {
    if (!body.write) {
        return body;
    }
    return {.size = body.size, .write = [write = body.write, &failure](const BodySink& out) {
                bool from_transport = false;
                try {
                    write([&](std::span<const std::byte> bytes) {
                        try {
                            out(bytes);
                        } catch (...) {
                            from_transport = true;
                            throw;
                        }
                    });
                } catch (...) {
                    if (!from_transport) {
                        failure = std::current_exception();
                    }
                    throw;
                }
            }};
}

}  // namespace detail

/// Whether the policy allows to send this request again.
[[nodiscard]] inline bool may_repeat(const Request& request, Repeat repeat) noexcept {
    const std::string& method = request.method;
    return repeat == Repeat::always || (repeat == Repeat::automatic &&
                                        (method == "GET" || method == "HEAD" || method == "PUT" ||
                                         method == "DELETE" || method == "OPTIONS"));
}

/// Sends `request` and gives its last answer, whatever its status. Redirects of GET and HEAD are
/// followed; what holds a secret does not go to another origin. Connection errors, timeouts and
/// temporary statuses are repeated as `options` say; request.deadline bounds each attempt. Throws
/// Error that names the operation, the peer, the cause and the number of attempts when there is no
/// answer; what `sink` and the body throw passes through unchanged and is not repeated.
[[nodiscard]] inline Answer exchange(const AnyTransport& transport, Request request,
                                     const ExchangeOptions& options, const Control& control,
                                     const BodySink& sink = {}) {
    using std::chrono::milliseconds;
    using std::chrono::steady_clock;
    if (!transport) {
        throw Error{ErrorCode::usage,
                    {.attempted = options.attempted,
                     .subject = options.subject,
                     .answer = "there is no transport",
                     .advice = "pass net::default_transport()"}};
    }
    const auto begin = steady_clock::now();
    const milliseconds each = request.deadline;
    const auto left = [&]() -> std::optional<milliseconds> {
        if (options.deadline.count() == 0) {
            return std::nullopt;
        }
        return std::chrono::duration_cast<milliseconds>(begin + options.deadline -
                                                        steady_clock::now());
    };
    const bool repeatable = may_repeat(request, options.repeat);
    const std::string peer = redact_url(parse_url(request.url).origin());
    const auto failure = [&](const Error& cause, int attempts) {
        Error::Details details = cause.details();
        const std::string& cause_subject = cause.details().subject;
        details.attempted = options.attempted;
        details.subject = options.subject.empty() ? redact_url(request.url) : options.subject;
        if (attempts > 1) {
            details.subject += " after " + std::to_string(attempts) + " attempts";
        }
        details.answer += " (" + (cause_subject.empty() ? peer : cause_subject) + ')';
        return Error{cause.code(), std::move(details)};
    };
    const detail::RedirectChain chain{transport, options, control};
    detail::CountedSink counted{sink};
    std::exception_ptr body_failure;
    request.body = detail::watch_body(request.body, body_failure);
    const bool resumes = sink && options.partial == Partial::resume;
    if (resumes) {
        request.on_head = [&counted](const Response& head) { counted.begin(head); };
    }
    for (int attempt = 1;; ++attempt) {
        control.check(options.attempted + (options.subject.empty() ? "" : ' ' + options.subject));
        std::string retry_after, why;
        if (const auto left_now = left()) {
            // The pause may have taken longer than it should, and zero means none.
            const milliseconds rest = std::max(*left_now, milliseconds{1});
            request.deadline = each.count() == 0 ? rest : std::min(each, rest);
        }
        const bool rest_only = resumes && counted.delivered() > 0 && counted.takes_parts();
        if (resumes) {
            request.headers.erase("Range");
            if (rest_only) {
                request.headers.emplace("Range",
                                        "bytes=" + std::to_string(counted.delivered()) + '-');
            }
        }
        try {
            counted.restart();
            Answer answer = chain.follow(request, counted.sink());
            answer.attempts = attempt;
            const bool no_parts = rest_only && answer.status == 416;
            if (no_parts) {
                counted.refuse_parts();
            }
            if ((!is_temporary(answer.status) && !no_parts) || !repeatable ||
                attempt >= options.retry.attempts) {
                return answer;
            }
            retry_after = header(answer.headers, "Retry-After");
            why = status_text(answer.status);
        } catch (const Cancelled&) {
            throw;
        } catch (const Error& error) {
            counted.rethrow_own();
            if (body_failure) {
                std::rethrow_exception(body_failure);
            }
            const bool temporary =
                error.code() == ErrorCode::unavailable || error.code() == ErrorCode::timeout;
            const bool lost = counted.delivered() > 0 && options.partial == Partial::fail;
            if (!temporary || !repeatable || lost || attempt >= options.retry.attempts) {
                throw failure(error, attempt);
            }
            why = error.details().answer;
        }
        const milliseconds pause = retry_delay(options.retry, attempt, retry_after, control.now());
        if (const auto rest = left(); rest && *rest <= pause) {
            throw failure(
                Error{ErrorCode::timeout,
                      {.attempted = options.attempted,
                       .answer = "no success within " + std::to_string(options.deadline.count()) +
                                 " ms, last: " + why}},
                attempt);
        }
        control.say(Level::debug, options.attempted + ": attempt " + std::to_string(attempt) +
                                      " failed (" + why + "), again in " +
                                      std::to_string(pause.count()) + " ms");
        control.sleep(pause);
    }
}

}  // namespace fairing::net
