// fairing/runs/run_watch.hpp - follows one run to its end: the object and its pods
// by watches, the logs, and what is in their way.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "../core/control.hpp"
#include "../kube/client.hpp"
#include "../kube/follow.hpp"
#include "../kube/names.hpp"
#include "../kube/object.hpp"
#include "../kube/pod_view.hpp"
#include "../kube/state.hpp"
#include "../kube/watch.hpp"
#include "../stage/workload.hpp"
#include "stop_after.hpp"
#include "subject.hpp"

namespace fairing::kubernetes {

struct FollowOptions {
    OutputSink sink = {};  ///< empty: no log is read
    std::chrono::seconds start_timeout{0};
    std::string only = {};  ///< the log of this pod alone (kube::FollowOptions)
};

/// How a diagnosis reads to somebody who waits for the end.
[[nodiscard]] inline Outcome outcome_of(const kube::Diagnosis& diagnosis) {
    Outcome outcome{.exit_code = diagnosis.exit_code, .reason = diagnosis.reason};
    switch (diagnosis.phase) {
        case kube::Phase::pending:
            outcome.state = State::pending;
            break;
        case kube::Phase::running:
            outcome.state = State::running;
            break;
        case kube::Phase::succeeded:
            outcome.state = State::succeeded;
            break;
        case kube::Phase::failed:
            outcome.state = State::failed;
            break;
    }
    return outcome;
}

/// One following; its threads end with it.
class RunWatch {
public:
    static constexpr std::size_t tail_size = 20;
    /// How long pods may take to end after their object has.
    static constexpr std::chrono::seconds log_patience{30};

    RunWatch(const kube::Client& client, const Subject& subject, FollowOptions options)
        : client_(client.with_stop(stopping_.get_token())),
          subject_(subject),
          options_(std::move(options)),
          owner_(subject.main) {
        if (options_.sink) {
            logs_.emplace(
                client_.with_stop(reading_.get_token()),
                [this](const OutputLine& line) { deliver(line); },
                kube::FollowOptions{.expected_pods = subject_.expected_pods,
                                    .only = options_.only});
        }
    }
    RunWatch(RunWatch&&) = delete;
    RunWatch& operator=(RunWatch&&) = delete;
    ~RunWatch() { end_threads(); }

    /// Until the run has ended, or can not start any more. Throws Cancelled on a stop.
    [[nodiscard]] Outcome follow(const std::stop_token& stop) {
        const std::stop_callback on_stop{stop, [this] {
                                             stopping_.request_stop();
                                             changed_.notify_all();
                                         }};
        start_threads();
        kube::Diagnosis end = wait_for_end(stop);
        if (logs_ && !is_given_up_) {
            finish_logs();
        }
        if (stop.stop_requested()) {
            throw_cancelled();
        }
        if (!is_given_up_) {
            end = last_words(std::move(end));
            if (end.cause != kube::Cause::deleted) {
                say_findings();
            }
        }
        Outcome outcome = outcome_of(end);
        outcome.state = is_given_up_ ? State::failed : outcome.state;
        outcome.tail = logs_ ? tail() : fetch_tail(end);
        return outcome;
    }

private:
    using Time = std::chrono::steady_clock::time_point;

    [[noreturn]] void throw_cancelled() const {
        throw Cancelled{ErrorCode::cancelled,
                        {.attempted = "follow",
                         .subject = subject_.key.text(),
                         .answer = "stopped on request"}};
    }

    /// The object may have ended before its pods' watch has told of all of them. Pods that nobody
    /// ends are not read for ever.
    void finish_logs() {
        std::string names;
        bool has_chosen = false, is_endless = false;
        for (const Json& pod : pods_of(client_, subject_)) {
            logs_->update(pod);
            is_endless = is_endless || kube::text(pod, {"status", "phase"}) == "Running";
            has_chosen = has_chosen || kube::is_chosen(pod, options_.only);
            names += (names.empty() ? "" : ", ") + kube::pod_label(pod);
        }
        std::optional<StopAfter> patience;
        std::optional<std::stop_callback<std::function<void()>>> on_patience_end;
        if (is_endless) {
            on_patience_end.emplace(patience.emplace(log_patience).token(),
                                    [this] { reading_.request_stop(); });
        }
        try {
            logs_->finish();
        } catch (const Cancelled&) {
            if (stopping_.stop_requested()) {
                throw;
            }
            client_.control().say(Level::warning,
                                  "pods of " + subject_.key.text() +
                                      " run on after its end; their logs are not read further");
        }
        if (!has_chosen && !options_.only.empty()) {
            throw Error{ErrorCode::not_found,
                        {.attempted = "show the log of pod",
                         .subject = kube::detail::quoted(options_.only),
                         .answer = subject_.key.text() + " has " +
                                   (names.empty() ? "no pods any more" : "these: " + names)}};
        }
    }

    void deliver(const OutputLine& line) {
        {
            const std::lock_guard lock{mutex_};
            tail_.push_back(line.text);
            if (tail_.size() > tail_size) {
                tail_.pop_front();
            }
        }
        options_.sink(line);
    }
    [[nodiscard]] std::vector<std::string> tail() {
        const std::lock_guard lock{mutex_};
        return {tail_.begin(), tail_.end()};
    }

    void say_findings() {
        if (subject_.findings == nullptr) {
            return;
        }
        std::unique_lock lock{mutex_};
        const Json owner = owner_;
        lock.unlock();
        for (const LogRecord& record : subject_.findings(owner)) {
            client_.control().say(record.level, record.text);
        }
    }

    /// The object may have failed before the watch brought its pods' ends: these tell why.
    [[nodiscard]] kube::Diagnosis last_words(kube::Diagnosis end) {
        if (end.phase != kube::Phase::failed || end.exit_code != 0 ||
            end.cause == kube::Cause::deleted) {
            return end;
        }
        kube::Diagnosis asked = look(client_, subject_, owner_);
        if (asked.phase == kube::Phase::failed && asked.exit_code != 0) {
            return asked;
        }
        if (end.cause != kube::Cause::backoff_limit) {
            return end;
        }
        // The two watches are not in step.
        std::unique_lock lock{mutex_};
        if (changed_.wait_for(lock, stopping_.get_token(), std::chrono::seconds{2},
                              [this] { return !lost_pod_.empty(); })) {
            end.reason = "pod " + lost_pod_ + " was deleted while it ran (" + end.reason + ')';
        }
        return end;
    }

    /// The last lines of the container that failed, for a run whose log nobody read.
    [[nodiscard]] std::vector<std::string> fetch_tail(const kube::Diagnosis& end) const {
        std::vector<std::string> lines;
        if (end.phase != kube::Phase::failed || end.pod.empty() || end.container.empty()) {
            return lines;
        }
        std::string text;
        try {
            client_.read_log({.api_version = "v1",
                              .kind = "Pod",
                              .namespace_ = subject_.key.namespace_,
                              .name = end.pod},
                             {.container = end.container, .tail = static_cast<int>(tail_size)},
                             [&text](std::span<const std::byte> bytes) {
                                 text.append(reinterpret_cast<const char*>(bytes.data()),
                                             bytes.size());
                             });
        } catch (const kube::StatusError&) {
            return lines;  // the pod is gone, or its log is not ours to read
        }
        for (std::size_t start = 0; start < text.size();) {
            const std::size_t newline = std::min(text.find('\n', start), text.size());
            lines.push_back(text.substr(start, newline - start));
            start = newline + 1;
        }
        return lines;
    }

    /// The watches begin at the version of the object as we know it. An object without a status had
    /// no pod before that version, so that nobody needs to list them.
    void start_threads() {
        const std::string version = kube::version_of(subject_.main);
        const bool is_new = kube::member(subject_.main, {"status"}).empty();
        threads_.emplace_back([this, version] {
            guarded([&] {
                kube::watch(client_,
                            {.api_version = subject_.key.api_version,
                             .kind = subject_.key.kind,
                             .namespace_ = subject_.key.namespace_,
                             .field_selector = "metadata.name=" + subject_.key.name},
                            [this](const kube::WatchEvent& event) { return on_owner(event); },
                            {.resource_version = version, .known = {subject_.main}});
            });
        });
        threads_.emplace_back([this, version, is_new] {
            guarded([&] {
                kube::watch(client_,
                            {.api_version = "v1",
                             .kind = "Pod",
                             .namespace_ = subject_.key.namespace_,
                             .label_selector = subject_.pod_selector()},
                            [this](const kube::WatchEvent& event) { return on_pod(event); },
                            {.resource_version = is_new ? version : ""});
            });
        });
    }

    void end_threads() noexcept {
        stopping_.request_stop();
        changed_.notify_all();
        for (std::thread& thread : threads_) {
            thread.join();
        }
        threads_.clear();
    }

    /// What a watch throws ends the following, on the caller's thread.
    template <class Body>
    void guarded(const Body& body) noexcept {
        try {
            body();
        } catch (...) {
            const std::lock_guard lock{mutex_};
            if (!failure_ && !stopping_.stop_requested()) {
                failure_ = std::current_exception();
            }
        }
        changed_.notify_all();
    }

    kube::Watching on_owner(const kube::WatchEvent& event) {
        if (kube::uid_of(event.object) != subject_.uid) {
            return kube::Watching::go_on;
        }
        const std::lock_guard lock{mutex_};
        if (event.change == kube::Change::deleted) {
            is_deleted_ = true;
        }
        owner_ = event.object;
        ++version_;
        changed_.notify_all();
        return is_deleted_ ? kube::Watching::enough : kube::Watching::go_on;
    }

    kube::Watching on_pod(const kube::WatchEvent& event) {
        if (!subject_.owns(event.object)) {
            return kube::Watching::go_on;
        }
        const bool is_gone = event.change == kube::Change::deleted;
        {
            const std::lock_guard lock{mutex_};
            const std::string phase = kube::text(event.object, {"status", "phase"});
            if (is_gone && phase != "Failed" && phase != "Succeeded") {
                pods_.erase(kube::uid_of(event.object));
                lost_pod_ = kube::name_of(event.object);
            } else {
                // A failed pod that is gone still tells why the run failed.
                pods_[kube::uid_of(event.object)] = event.object;
                see(event.object);
            }
            ++version_;
        }
        changed_.notify_all();
        if (logs_) {
            is_gone ? logs_->remove(event.object) : logs_->update(event.object);
        }
        return kube::Watching::go_on;
    }

    /// With the mutex held.
    void see(const Json& pod) {
        if (sightings_.see(pod, std::chrono::steady_clock::now())) {
            hopeless_ = kube::diagnose_pod(pod);
        }
    }

    /// The state as it is known, with the mutex held.
    [[nodiscard]] kube::Diagnosis judge(const std::vector<Json>& events) {
        if (is_deleted_) {
            return {.phase = kube::Phase::failed,
                    .cause = kube::Cause::deleted,
                    .reason = subject_.key.text() + " was deleted while it ran"};
        }
        std::vector<Json> pods;
        for (const auto& [uid, pod] : pods_) {
            pods.push_back(pod);
            see(pod);
        }
        return subject_.diagnose(owner_, pods, events);
    }

    [[nodiscard]] kube::Diagnosis wait_for_end(const std::stop_token& stop) {
        constexpr std::chrono::seconds tick{1};
        const Time start = std::chrono::steady_clock::now();
        Time events_read = start;
        std::vector<Json> events;
        bool has_started = false;
        for (;;) {
            kube::Diagnosis now;
            {
                std::unique_lock lock{mutex_};
                changed_.wait_for(lock, stopping_.get_token(), tick,
                                  [&] { return version_ != seen_ || failure_; });
                seen_ = version_;
                if (failure_) {
                    std::rethrow_exception(failure_);
                }
                now = judge(events);
                if (hopeless_ && now.phase != kube::Phase::failed) {
                    is_given_up_ = true;
                    return *hopeless_;
                }
            }
            if (stop.stop_requested()) {
                throw_cancelled();
            }
            if (now.phase == kube::Phase::succeeded || now.phase == kube::Phase::failed) {
                return now;
            }
            if (kube::is_hopeless(now.cause)) {
                is_given_up_ = true;
                return now;
            }
            has_started = has_started || now.phase == kube::Phase::running;
            explain(now);
            const Time time = std::chrono::steady_clock::now();
            if (!has_started && options_.start_timeout.count() > 0 &&
                time - start > options_.start_timeout) {
                now = look_late(std::move(now));
                if (now.phase != kube::Phase::running) {
                    is_given_up_ = now.phase == kube::Phase::pending;
                    return now;
                }
                has_started = true;
            }
            if (wants_events(now) && time - events_read >= std::chrono::seconds{3}) {
                events_read = time;
                events = events_of(client_, subject_, now.pod);
            }
        }
    }

    /// When the time to start is over: the watches may be late, so the pods are asked for.
    [[nodiscard]] kube::Diagnosis look_late(kube::Diagnosis now) {
        std::unique_lock lock{mutex_};
        const Json owner = owner_;
        lock.unlock();
        try {
            now = look(client_, subject_, owner);
        } catch (const Cancelled&) {
            throw;
        } catch (const Error& error) {  // then what was seen counts
            client_.control().say(Level::debug, error.what());
        }
        if (now.phase == kube::Phase::pending) {
            explain(now);
            now.reason = "nothing has started within " +
                         std::to_string(options_.start_timeout.count()) + " s: " + now.reason;
        }
        return now;
    }

    /// Says what the run waits for, each answer once. Where the first pod that fails ends the run,
    /// its failure is told as the end.
    void explain(const kube::Diagnosis& diagnosis) {
        const bool is_last_chance =
            diagnosis.phase == kube::Phase::running && !subject_.tries_again;
        if (diagnosis.reason.empty() || diagnosis.reason == explained_ || is_last_chance) {
            return;
        }
        explained_ = diagnosis.reason;
        const bool is_trouble = diagnosis.cause != kube::Cause::starting;
        client_.control().say(is_trouble ? Level::warning : Level::debug, diagnosis.reason);
    }

    std::stop_source stopping_ = {};
    std::stop_source reading_ = {};
    std::stop_callback<std::function<void()>> on_stopping_{stopping_.get_token(),
                                                           [this] { reading_.request_stop(); }};
    kube::Client client_;
    const Subject& subject_;
    FollowOptions options_;
    std::mutex mutex_;
    std::condition_variable_any changed_;
    Json owner_;
    std::map<std::string, Json> pods_ = {};
    std::deque<std::string> tail_ = {};
    kube::Sightings sightings_ = {};
    std::optional<kube::Diagnosis> hopeless_ = {};
    std::exception_ptr failure_ = {};
    std::uint64_t version_ = 0, seen_ = 0;
    bool is_deleted_ = false, is_given_up_ = false;
    std::string explained_ = {}, lost_pod_ = {};
    std::optional<kube::PodLogs> logs_ = {};
    std::vector<std::thread> threads_ = {};
};

}  // namespace fairing::kubernetes
