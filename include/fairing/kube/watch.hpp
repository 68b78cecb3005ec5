// fairing/kube/watch.hpp - the state of objects and each change of it, whatever the connection does
// (api-concepts, "Efficient detection of changes").
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "client.hpp"
#include "object.hpp"
#include "watch_stream.hpp"

namespace fairing::kube {

/// Which objects: those of a kind, in a namespace or (empty) in all, that the selectors choose.
struct WatchTarget {
    std::string api_version = {}, kind = {}, namespace_ = {};
    std::string label_selector = {}, field_selector = {};
};

enum class Change { added, modified, deleted };

struct WatchEvent {
    Change change = Change::added;
    Json object = {};
};

/// What the receiver of an event says.
enum class Watching { go_on, enough };

struct WatchOptions {
    /// Where to begin; empty means a list first, whose objects come as added.
    std::string resource_version = {};
    /// What is known already at that version: it does not come as added again.
    std::vector<Json> known = {};
    /// How long the server may fail in a row before that is an error.
    std::chrono::seconds patience = std::chrono::minutes{10};
    /// After so long the server ends a watch, and the next one begins.
    std::chrono::seconds length = std::chrono::minutes{4};
};

namespace detail {

/// What is known of each object, by uid: nothing is told twice, and what vanished unseen is
/// noticed.
class WatchedState {
public:
    explicit WatchedState(const WatchOptions& options) : version_(options.resource_version) {
        for (const Json& object : options.known) {
            known_.insert_or_assign(uid_of(object), object);
        }
    }
    [[nodiscard]] const std::string& version() const noexcept { return version_; }
    void forget_version() noexcept { version_.clear(); }
    void advance(const std::string& version) {
        if (!version.empty()) {
            version_ = version;
        }
    }

    /// The change that this object is; nullopt when it is none.
    [[nodiscard]] std::optional<WatchEvent> take(Json object, bool is_deleted) {
        const std::string uid = uid_of(object);
        if (is_deleted) {
            known_.erase(uid);
            return WatchEvent{Change::deleted, std::move(object)};
        }
        const auto found = known_.find(uid);
        if (found == known_.end()) {
            known_.emplace(uid, object);
            return WatchEvent{Change::added, std::move(object)};
        }
        if (version_of(found->second) == version_of(object)) {
            return std::nullopt;
        }
        found->second = object;
        return WatchEvent{Change::modified, std::move(object)};
    }

    /// The changes between what is known and a whole list.
    [[nodiscard]] std::vector<WatchEvent> compare(ObjectList list) {
        std::vector<WatchEvent> changes;
        std::map<std::string, Json> gone = known_;
        for (const Json& object : list.items) {
            gone.erase(uid_of(object));
        }
        for (auto& [uid, object] : gone) {
            known_.erase(uid);
            changes.push_back({Change::deleted, std::move(object)});
        }
        for (Json& object : list.items) {
            if (auto change = take(std::move(object), false)) {
                changes.push_back(*std::move(change));
            }
        }
        version_ = list.resource_version;
        return changes;
    }

private:
    std::string version_;
    std::map<std::string, Json> known_ = {};
};

/// Ends a stream from within its sink.
struct EnoughSeen {};

/// The version that we hold is too old: list again.
struct VersionExpired {};

/// One watch that goes on over many connections.
class Watcher {
public:
    Watcher(const Client& client, const WatchTarget& target, const WatchOptions& options,
            const std::function<Watching(const WatchEvent&)>& on_event)
        : client_(client),
          target_(target),
          options_(options),
          on_event_(on_event),
          state_(options) {}

    void run() {
        for (;;) {
            client_.control().check("watch " + target_.kind + " objects");
            const auto begin = SteadyClock::now();
            std::string why = "the watch ended";
            try {
                if (state_.version().empty()) {
                    list();
                }
                stream();
                last_answer_ = SteadyClock::now();
            } catch (const EnoughSeen&) {
                return;
            } catch (const VersionExpired&) {
                state_.forget_version();
                why = "the version that we know is forgotten";
            } catch (const Cancelled&) {
                throw;
            } catch (const Error& error) {
                forgive(error);
                why = error.what();
            }
            failures_ = SteadyClock::now() - begin >= std::chrono::seconds{1} ? 1 : failures_ + 1;
            pause(why);
        }
    }

private:
    using SteadyClock = std::chrono::steady_clock;

    /// Throws the error again when it will not pass. When nothing was heard for too long, a list
    /// shows whether the server is there: a quiet watch may just have been cut.
    void forgive(const Error& error) {
        if (of_receiver_) {
            std::rethrow_exception(of_receiver_);
        }
        const bool is_over = SteadyClock::now() - last_answer_ >= options_.patience;
        if (!may_pass(error) || (is_over && state_.version().empty())) {
            throw;
        }
        if (is_over) {
            state_.forget_version();
        }
    }

    /// Connections break, servers restart: those errors pass. That we may not, does not.
    [[nodiscard]] static bool may_pass(const Error& error) {
        if (const auto* refusal = dynamic_cast<const StatusError*>(&error)) {
            return net::is_temporary(refusal->status());
        }
        return error.code() == ErrorCode::unavailable || error.code() == ErrorCode::timeout ||
               error.code() == ErrorCode::integrity;
    }

    void pause(const std::string& why) const {
        if (failures_ == 1) {
            return;  // the usual end of a watch, or one broken connection: at once
        }
        const net::RetryPolicy policy{.first_delay = client_.retry().first_delay / 4,
                                      .longest_delay = std::chrono::seconds{10}};
        client_.control().say(failures_ == 5 ? Level::warning : Level::debug,
                              "the API server can not be watched (" + why + "), trying again");
        client_.control().sleep(
            net::retry_delay(policy, std::min(failures_ - 1, 20), "", client_.control().now()));
    }

    void list() {
        const ObjectList found = client_.list(
            target_.api_version, target_.kind, target_.namespace_,
            {.label_selector = target_.label_selector, .field_selector = target_.field_selector});
        for (const WatchEvent& change : state_.compare(found)) {
            tell(change);
        }
        last_answer_ = SteadyClock::now();
    }

    void stream() {
        WatchDecoder decoder;
        const Query query = {{"labelSelector", target_.label_selector},
                             {"fieldSelector", target_.field_selector},
                             {"resourceVersion", state_.version()},
                             {"allowWatchBookmarks", "true"},
                             {"timeoutSeconds", std::to_string(options_.length.count())}};
        try {
            client_.read_watch(
                target_.api_version, target_.kind, target_.namespace_, query,
                [&](std::span<const std::byte> bytes) {
                    decoder.write(bytes, [this](RawEvent event) { take(std::move(event)); });
                },
                options_.length + std::chrono::seconds{30});
        } catch (const StatusError& error) {
            if (error.status() == 410) {
                throw VersionExpired{};
            }
            throw;
        }
    }

    void take(RawEvent event) {
        if (event.type == "ERROR") {
            take_error(event.object);
        }
        last_answer_ = SteadyClock::now();
        failures_ = 0;
        const std::string version = version_of(event.object);
        if (event.type != "BOOKMARK") {
            const bool is_deleted = event.type == "DELETED";
            if (const auto change = state_.take(std::move(event.object), is_deleted)) {
                tell(*change);
            }
        }
        state_.advance(version);
    }

    [[noreturn]] static void take_error(const Json& status) {
        const Json code = status.value("code", Json(500));
        const int number = code.is_number_integer() ? code.get<int>() : 500;
        if (number == 410 || text_or(status, "reason") == "Expired") {
            throw VersionExpired{};
        }
        throw status_error(number, status.dump(), "watch", "");
    }

    void tell(const WatchEvent& event) {
        try {
            if (on_event_(event) == Watching::enough) {
                throw EnoughSeen{};
            }
        } catch (const EnoughSeen&) {
            throw;
        } catch (...) {
            of_receiver_ = std::current_exception();
            throw;
        }
    }
    const Client& client_;
    const WatchTarget& target_;
    const WatchOptions& options_;
    const std::function<Watching(const WatchEvent&)>& on_event_;
    WatchedState state_;
    SteadyClock::time_point last_answer_ = SteadyClock::now();
    int failures_ = 0;
    std::exception_ptr of_receiver_ = {};  ///< what it threw is no failure of the server
};

}  // namespace detail

/// Tells `on_event` what there is and every change, each once and in order, until it has seen
/// enough. Watches again after the end of a connection, and lists again when the server has
/// forgotten the version that we know; what vanished meanwhile comes as deleted, as it was last
/// seen. Throws Cancelled on a stop of the client, StatusError when we may not, the last error when
/// nothing worked for options.patience, and what `on_event` throws.
inline void watch(const Client& client, const WatchTarget& target,
                  const std::function<Watching(const WatchEvent&)>& on_event,
                  const WatchOptions& options = {}) {
    detail::Watcher{client, target, options, on_event}.run();
}

}  // namespace fairing::kube
