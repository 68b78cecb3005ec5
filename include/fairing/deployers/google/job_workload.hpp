// fairing/deployers/google/job_workload.hpp - a job of Google Cloud: polled until a terminal state,
// its lines read meanwhile, cancelled when it is removed.
#pragma once

#include <atomic>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <deque>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

#include "../../stage/workload.hpp"
#include "client.hpp"
#include "log_reader.hpp"

namespace fairing::google {

/// One state of a service, what it is to us, and for a bad end what is said of it.
struct JobState {
    std::string_view name;
    State state;
    std::string_view sentence = {};
};

/// A job that was made, and how to follow it.
struct Job {
    ObjectName object = {};
    std::string url = {};
    LogPlace log = {};
    std::span<const JobState> states = {};
};

/// What the service says of a job. A state that we do not know is one that passes.
[[nodiscard]] inline Outcome outcome_of(std::span<const JobState> states, const Json& job) {
    const std::string name = text_or(job, "state");
    Outcome outcome{.state = State::pending};
    for (const JobState& known : states) {
        if (known.name == name) {
            outcome = {.state = known.state, .reason = std::string{known.sentence}};
        }
    }
    if (outcome.state != State::failed) {
        return outcome;
    }
    std::string words = kube::text(job, {"error", "message"});
    words = net::printable(words.empty() ? text_or(job, "errorMessage") : words, 1000);
    outcome.reason += words.empty() ? "" : ": " + words;
    // Both services say it in these words only.
    constexpr std::string_view before = "non-zero status of ";
    const std::size_t at = words.find(before);
    if (at != std::string::npos) {
        static_cast<void>(std::from_chars(words.data() + at + before.size(),
                                          words.data() + words.size(), outcome.exit_code));
    }
    return outcome;
}

[[nodiscard]] constexpr bool is_terminal(State state) noexcept {
    return state == State::succeeded || state == State::failed || state == State::removed;
}

class JobWorkload : public Workload::Model {
public:
    static constexpr std::size_t tail_size = 20;
    /// How often in a row the service may be out of reach, each time with all repetitions.
    static constexpr int patience = 20;

    JobWorkload(Client client, Job job) : client_(std::move(client)), job_(std::move(job)) {}

    [[nodiscard]] ObjectName name() const override { return job_.object; }

    [[nodiscard]] Outcome poll(std::stop_token stop) override {
        const std::optional<Json> job =
            client_.with_stop(std::move(stop)).find(job_.url, "look at", job_.object.name);
        return job ? outcome_of(job_.states, *job) : gone();
    }

    Outcome follow(const OutputSink& sink, std::stop_token stop) override {
        const Client client = client_.with_stop(std::move(stop));
        const bool is_read = sink && client.options().stream_log;
        LogReader log{job_.log};
        std::deque<std::string> tail;
        const OutputSink keep = [&](const OutputLine& line) {
            tail.push_back(line.text);
            if (tail.size() > tail_size) {
                tail.pop_front();
            }
            if (is_read) {
                sink(line);
            }
        };
        Outcome outcome;
        int failures = 0;
        for (Pace pace{client.options()}; !is_terminal(outcome.state);) {
            if (outcome.state != State::none) {
                client.sleep(pace.next(), "follow " + job_.object.name);
            }
            const std::optional<Outcome> now = look(client, failures);
            if (now && now->state != outcome.state) {
                pace.restart();
            }
            outcome = now.value_or(outcome);
            outcome.state = outcome.state == State::none ? State::pending : outcome.state;
            if (is_read && outcome.state != State::removed) {
                read(log, client, keep);
            }
        }
        if (is_read || outcome.state == State::failed) {
            client.sleep(std::chrono::milliseconds{client.options().poll_milliseconds} * 5,
                         "read the last lines of " + job_.object.name);
            read(log, client, keep);
        }
        outcome.tail = {tail.begin(), tail.end()};
        return outcome;
    }

    /// Cancels it; the service keeps the record of it. One that has ended stays as it is.
    void remove(std::stop_token stop) override {
        const Client client = client_.with_stop(std::move(stop));
        if (is_over(client)) {
            return;
        }
        try {
            static_cast<void>(client.post(job_.url + ":cancel", Json::object(), "cancel",
                                          job_.object.kind + ' ' + job_.object.name));
        } catch (const Cancelled&) {
            throw;
        } catch (const Error&) {
            if (!is_over(client)) {  // it may have ended in between
                throw;
            }
        }
    }

private:
    [[nodiscard]] static Outcome gone() {
        return {.state = State::removed, .reason = "it is not there any more"};
    }
    [[nodiscard]] bool is_over(const Client& client) const {
        const std::optional<Json> job = client.find(job_.url, "look at", job_.object.name);
        return !job || is_terminal(outcome_of(job_.states, *job).state);
    }

    /// nullopt when the service is out of reach for the moment.
    [[nodiscard]] std::optional<Outcome> look(const Client& client, int& failures) {
        try {
            Outcome outcome = poll(client.control().stop);
            failures = 0;
            return outcome;
        } catch (const Cancelled&) {
            throw;
        } catch (const Error& error) {
            const bool may_pass =
                error.code() == ErrorCode::unavailable || error.code() == ErrorCode::timeout;
            if (!may_pass || ++failures >= patience) {
                throw;
            }
            client.control().say(Level::warning, error.what());
            return std::nullopt;
        }
    }

    /// A log that can not be read does not end the run; it is said once.
    void read(LogReader& log, const Client& client, const OutputSink& sink) {
        try {
            log.read(client, sink);
        } catch (const Cancelled&) {
            throw;
        } catch (const Error& error) {
            if (!said_.exchange(true)) {
                client.control().say(Level::warning, error.what());
            }
        }
    }

    Client client_;
    Job job_;
    std::atomic<bool> said_ = false;
};

}  // namespace fairing::google
