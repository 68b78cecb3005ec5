// fairing/deployers/google/client.hpp - Google's REST services: JSON with a bearer token, and
// long-running operations (google.aip.dev/151).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>

#include "../../cloud/connection.hpp"
#include "../../cloud/gcp/credentials.hpp"
#include "../../core/json_text.hpp"
#include "../../kube/document.hpp"
#include "../../net/url.hpp"
#include "../../runs/patience.hpp"
#include "../../stage/cloud_access.hpp"
#include "../../stage/session.hpp"
#include "options.hpp"

namespace fairing::google {

using Steady = std::chrono::steady_clock;

/// What an error of an operation is to us (google/rpc/code.proto).
[[nodiscard]] constexpr ErrorCode error_code(int rpc_code) noexcept {
    switch (rpc_code) {
        case 3:   // INVALID_ARGUMENT
        case 9:   // FAILED_PRECONDITION
        case 11:  // OUT_OF_RANGE
            return ErrorCode::input;
        case 4:  // DEADLINE_EXCEEDED
            return ErrorCode::timeout;
        case 5:  // NOT_FOUND
            return ErrorCode::not_found;
        case 6:   // ALREADY_EXISTS
        case 10:  // ABORTED
            return ErrorCode::conflict;
        case 7:   // PERMISSION_DENIED
        case 16:  // UNAUTHENTICATED
            return ErrorCode::denied;
        case 12:  // UNIMPLEMENTED
            return ErrorCode::unsupported;
        default:
            return ErrorCode::unavailable;
    }
}

/// What an operation that failed says; empty for one that did not.
[[nodiscard]] inline std::string failure_of(const Json& operation) {
    if (!operation.contains("error")) {
        return {};
    }
    const std::string words = net::printable(kube::text(operation, {"error", "message"}), 1000);
    return words.empty() ? "it gives no reason" : words;
}

[[nodiscard]] inline bool is_done(const Json& operation) {
    return kube::member(operation, {"done"}) == true;
}

/// Throws what the operation failed with, if it did.
inline void need_result(const Json& operation, const std::string& attempted,
                        const std::string& subject) {
    if (std::string words = failure_of(operation); !words.empty()) {
        const Json& code = kube::member(operation, {"error", "code"});
        throw Error{code.is_number_integer() ? error_code(code.get<int>()) : ErrorCode::unavailable,
                    {.attempted = attempted, .subject = subject, .answer = std::move(words)}};
    }
}

/// `value` as a string of a filter (google.aip.dev/160, and Cloud Logging's query language).
[[nodiscard]] inline std::string filter_string(const std::string& value) {
    std::string text{'"'};
    for (const char c : value) {
        if (c == '"' || c == '\\') {
            text += '\\';
        }
        text += c;
    }
    return text + '"';
}

class Client;

/// Looks for something: nullopt when it is not there.
using Look = std::function<std::optional<Json>(const Client&)>;

/// One thing to make.
struct Creation {
    std::string url = {};
    Json body = {};
    std::string attempted = {}, subject = {};
    Look made = {};                                             ///< looks for it
    std::function<void(const Client&, const Json&)> undo = {};  ///< removes what `made` found
};

/// A cheap value; copies share the token. The program's own credentials come before application
/// default credentials.
class Client {
public:
    Client(const GoogleOptions& options, const Session& session)
        : connection_(cloud_connection(session)),
          options_(options),
          tokens_(std::make_shared<Tokens>(
              cloud::gcp::CredentialChain{connection_, {.file = options.credentials_file}})) {
        tokens_->program = session.credentials;
    }

    [[nodiscard]] const GoogleOptions& options() const noexcept { return options_; }
    [[nodiscard]] const Control& control() const noexcept { return connection_.control; }
    [[nodiscard]] std::string project() const {
        if (!options_.project.empty()) {
            return options_.project;
        }
        std::string found = tokens_->chain.project();
        check_characters("project", found, "-:.");
        return found;
    }
    [[nodiscard]] Client with_stop(std::stop_token stop) const {
        Client copy = *this;
        copy.connection_.control.stop = std::move(stop);
        return copy;
    }
    /// Operations may take until then; nullopt: as long as they like.
    [[nodiscard]] Client with_deadline(std::optional<Steady::time_point> deadline) const {
        Client copy = *this;
        copy.deadline_ = deadline;
        return copy;
    }
    [[nodiscard]] bool is_late() const { return deadline_ && Steady::now() >= *deadline_; }
    /// One request may take so long, with all its repetitions; zero means no limit.
    [[nodiscard]] Client with_patience(std::chrono::milliseconds limit) const {
        Client copy = *this;
        copy.connection_.deadline = limit;
        return copy;
    }
    /// Sleeps; throws Cancelled on a stop.
    void sleep(std::chrono::milliseconds pause, const std::string& attempted) const {
        control().sleep(pause);
        control().check(attempted);
    }

    [[nodiscard]] Json get(const std::string& url, const std::string& attempted,
                           const std::string& subject) const {
        return document(ask({.url = url}, attempted, subject), attempted, subject);
    }
    /// nullopt for what is not there.
    [[nodiscard]] std::optional<Json> find(const std::string& url, const std::string& attempted,
                                           const std::string& subject) const {
        const net::Answer answer = ask({.url = url}, attempted, subject);
        return answer.status == 404 ? std::nullopt
                                    : std::optional{document(answer, attempted, subject)};
    }
    /// For what may be done twice.
    [[nodiscard]] Json post(const std::string& url, const Json& body, const std::string& attempted,
                            const std::string& subject) const {
        return document(ask(post_request(url, body, attempted, subject), attempted, subject,
                            net::Repeat::always),
                        attempted, subject);
    }
    /// Changes members of what is there; may be done twice.
    [[nodiscard]] Json patch(const std::string& url, const Json& body, const std::string& attempted,
                             const std::string& subject) const {
        net::Request request = post_request(url, body, attempted, subject);
        request.method = "PATCH";
        return document(ask(request, attempted, subject, net::Repeat::always), attempted, subject);
    }
    /// Removes it, and waits until it is gone; what is not there is. `root` as end_of()'s.
    void remove(const std::string& url, const std::string& root, const std::string& subject) const {
        const net::Answer answer = ask({.method = "DELETE", .url = url}, "remove", subject);
        if (answer.status == 404) {
            return;
        }
        static_cast<void>(finish(
            document(answer, "remove", subject), root, "remove", subject, [&](const Client& with) {
                return with.find(url, "look at", subject) ? std::nullopt
                                                          : std::optional{Json::object()};
            }));
    }

    /// Makes it, and never a second one: when the answer is lost, `made` looks for it first.
    /// Without `made` only what was refused for the moment (429) is sent again. What nobody saw the
    /// end of, for a stop or a dead service, is looked for and undone.
    [[nodiscard]] Json create(const Creation& wanted) const {
        control().check(wanted.attempted + ' ' + wanted.subject);
        bool is_in_doubt = false;
        try {
            return create(wanted, is_in_doubt);
        } catch (const Error&) {
            if (is_in_doubt && wanted.made && wanted.undo) {
                undo_unseen(wanted);
            }
            throw;
        }
    }

    /// Asks to give up an operation that is still going on. Not all can be: its end tells.
    void cancel(const Json& operation, const std::string& root, const std::string& subject) const {
        if (is_done(operation)) {
            return;
        }
        try {
            static_cast<void>(post(root + text_or(operation, "name") + ":cancel", Json::object(),
                                   "cancel the operation of", subject));
        } catch (const Cancelled&) {
            throw;
        } catch (const Error& error) {
            control().say(Level::debug, error.what());
        }
    }

    /// The operation as it is now. One that the service has forgotten, three times in a row, is
    /// done, and has neither a response nor an error. `root` is the URL before the operation's
    /// name.
    [[nodiscard]] Json look_at(const Json& operation, const std::string& root,
                               const std::string& subject) const {
        constexpr int most_looks = 3;
        const std::string name = text_or(operation, "name");
        detail::Pace pace = new_pace();
        for (int look = 1;; ++look) {
            if (std::optional<Json> now = find(root + name, "follow the operation of", subject)) {
                return *std::move(now);
            }
            if (look == most_looks) {
                return {{"name", name}, {"done", true}};
            }
            sleep(pace.next(), "follow the operation of " + subject);
        }
    }
    /// The same at its end, good, bad or forgotten.
    [[nodiscard]] Json end_of(Json operation, const std::string& root, const std::string& attempted,
                              const std::string& subject) const {
        for (detail::Pace pace = new_pace(); !is_done(operation);) {
            if (is_late()) {
                throw Error{
                    ErrorCode::timeout,
                    {.attempted = attempted, .subject = subject, .answer = "it takes too long"}};
            }
            sleep(pace.next(), attempted + ' ' + subject);
            operation = look_at(operation, root, subject);
        }
        return operation;
    }
    /// The same; throws what it failed with. After one that was forgotten `done` looks for what it
    /// was to do, and gives the operation as it would have ended.
    [[nodiscard]] Json finish(Json operation, const std::string& root, const std::string& attempted,
                              const std::string& subject, const Look& done) const {
        operation = end_of(std::move(operation), root, attempted, subject);
        need_result(operation, attempted, subject);
        if (operation.contains("response")) {
            return operation;
        }
        if (std::optional<Json> found = done(*this)) {
            return *std::move(found);
        }
        throw Error{ErrorCode::unavailable,
                    {.attempted = attempted,
                     .subject = subject,
                     .answer = "its operation " + text_or(operation, "name") +
                               " is not known any more, and what it was to do is not done",
                     .advice = "try it again"}};
    }

private:
    /// A token that was refused is asked for anew, once.
    struct Tokens {
        explicit Tokens(cloud::gcp::CredentialChain credentials)
            : chain(std::move(credentials)), current(chain.renewed()) {}
        cloud::gcp::CredentialChain chain;
        CredentialsProvider program = {};
        std::mutex mutex = {};
        cloud::Renewed<cloud::AccessToken> current;

        [[nodiscard]] Secret get(const std::string& host) {
            if (program) {
                if (auto given = program({.service = Service::google, .host = host})) {
                    return given->token;
                }
            }
            cloud::Renewed<cloud::AccessToken> renewed;
            {
                const std::lock_guard lock{mutex};
                renewed = current;
            }
            return renewed.get().value;
        }
        void drop() {
            const std::lock_guard lock{mutex};
            current = chain.renewed();
        }
    };

    [[nodiscard]] detail::Pace new_pace() const {
        return detail::Pace{std::chrono::milliseconds{options_.poll_milliseconds}};
    }

    /// `is_in_doubt` afterwards: it may be there all the same.
    [[nodiscard]] Json create(const Creation& wanted, bool& is_in_doubt) const {
        for (int attempt = 1;; ++attempt) {
            const bool was_lost = std::exchange(is_in_doubt, true);
            bool may_be_there = was_lost;  // once it was answered
            std::optional<Error> failure;
            std::string retry_after;
            try {
                const net::Answer answer =
                    ask(post_request(wanted.url, wanted.body, wanted.attempted, wanted.subject),
                        wanted.attempted, wanted.subject, net::Repeat::never);
                may_be_there = was_lost || cloud::is_success(answer.status) ||
                               (net::is_temporary(answer.status) && answer.status != 429);
                if (was_lost && answer.status == 409) {
                    return made_meanwhile(wanted, answer);
                }
                if (!net::is_temporary(answer.status)) {
                    return document(answer, wanted.attempted, wanted.subject);
                }
                is_in_doubt = may_be_there;
                retry_after = net::header(answer.headers, "Retry-After");
                failure =
                    cloud::refuse(answer, wanted.attempted, wanted.subject, advice(answer.status));
            } catch (const Cancelled&) {
                throw;
            } catch (const Error& error) {
                if (error.code() != ErrorCode::unavailable && error.code() != ErrorCode::timeout) {
                    is_in_doubt = may_be_there;
                    throw;
                }
                failure = error;
            }
            if (attempt >= connection_.retry.attempts || (is_in_doubt && !wanted.made)) {
                throw *failure;
            }
            sleep(net::retry_delay(connection_.retry, attempt, retry_after, control().now()),
                  wanted.attempted + ' ' + wanted.subject);
            if (is_in_doubt) {
                if (std::optional<Json> found = wanted.made(*this)) {
                    return *std::move(found);
                }
            }
        }
    }
    /// It is being made by the request whose answer was lost, and can not be seen yet.
    [[nodiscard]] Json made_meanwhile(const Creation& wanted, const net::Answer& conflict) const {
        detail::Pace pace = new_pace();
        for (int look = 0; look < 40; ++look) {
            if (std::optional<Json> found = wanted.made(*this)) {
                return *std::move(found);
            }
            sleep(pace.next(), wanted.attempted + ' ' + wanted.subject);
        }
        throw cloud::refuse(conflict, wanted.attempted, wanted.subject);
    }
    void undo_unseen(const Creation& wanted) const {
        try {
            const Client free = with_stop({}).with_deadline({});
            detail::Pace pace = new_pace();
            for (int look = 0; look < 5; ++look) {
                if (const std::optional<Json> found = wanted.made(free)) {
                    return wanted.undo(free, *found);
                }
                free.control().sleep(pace.next());
            }
        } catch (const Error& error) {
            control().say(Level::warning, error.what());
        }
    }

    [[nodiscard]] static net::Request post_request(const std::string& url, const Json& body,
                                                   const std::string& attempted,
                                                   const std::string& subject) {
        return {.method = "POST",
                .url = url,
                .headers = {{"Content-Type", "application/json; charset=utf-8"}},
                .body = net::Body::of(dump_json(body, attempted, subject))};
    }

    [[nodiscard]] net::Answer ask(const net::Request& request, const std::string& attempted,
                                  const std::string& subject,
                                  net::Repeat repeat = net::Repeat::automatic) const {
        cloud::check_token_url(request.url);
        for (bool is_second = false;; is_second = true) {
            net::Request signed_request = request;
            signed_request.max_body = std::uint64_t{64} << 20;
            signed_request.headers.emplace(
                "Authorization",
                "Bearer " + tokens_->get(net::parse_url(request.url).host).reveal());
            net::Answer answer =
                connection_.send(std::move(signed_request), attempted, subject, repeat);
            if (answer.status != 401 || is_second) {
                return answer;
            }
            tokens_->drop();
        }
    }

    [[nodiscard]] Json document(const net::Answer& answer, const std::string& attempted,
                                const std::string& subject) const {
        cloud::need_success(answer, attempted, subject, advice(answer.status));
        Json value = parse_json(answer.body, "the answer about " + subject);
        if (!value.is_object()) {
            throw Error{ErrorCode::unavailable,
                        {.attempted = attempted,
                         .subject = subject,
                         .answer = "the answer is no JSON object"}};
        }
        return value;
    }

    [[nodiscard]] std::string advice(int status) const {
        const std::string project =
            options_.project.empty() ? std::string{"the project"} : "project " + options_.project;
        switch (status) {
            case 401:
                return "a new token was refused too; run gcloud auth application-default login";
            case 403:
                return "see that the account may use this API in " + project +
                       " (roles/aiplatform.user, roles/logging.viewer), and that it is enabled";
            case 429:
                return "the quota of " + project + " is used up";
            default:
                return {};
        }
    }

    cloud::Connection connection_;
    GoogleOptions options_;
    std::shared_ptr<Tokens> tokens_;
    std::optional<Steady::time_point> deadline_ = {};
};

}  // namespace fairing::google
