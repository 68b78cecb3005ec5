// fairing/deployers/google/follower.hpp - follows what runs in Google Cloud: looks at it in pauses
// that grow, reads its lines meanwhile, and stands a service that is out of reach for a while.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../../stage/workload.hpp"
#include "client.hpp"
#include "log_reader.hpp"

namespace fairing::google {

[[nodiscard]] constexpr bool is_terminal(State state) noexcept {
    return state == State::succeeded || state == State::failed || state == State::removed;
}

class Follower {
public:
    static constexpr std::size_t tail_size = 20;
    /// How often in a row the service may be out of reach, each time with all repetitions.
    static constexpr int patience = 20;

    /// `client` carries the stop; without a sink the log is read at a bad end only.
    Follower(Client client, LogPlace log, std::string subject, OutputSink sink)
        : client_(std::move(client)),
          log_(std::move(log)),
          subject_(std::move(subject)),
          sink_(client_.options().stream_log ? std::move(sink) : OutputSink{}) {}

    /// Until `is_end` says so of what `look` gives; the outcome then has the last lines.
    [[nodiscard]] Outcome follow(const std::function<Outcome(const Client&)>& look,
                                 const std::function<bool(State)>& is_end) {
        Outcome outcome;
        for (Pace pace{client_.options()}; !is_end(outcome.state);) {
            if (outcome.state != State::none) {
                client_.sleep(pace.next(), "follow " + subject_);
            }
            const std::optional<Outcome> now = patient(look);
            if (now && now->state != outcome.state) {
                pace.restart();
            }
            outcome = now.value_or(outcome);
            outcome.state = outcome.state == State::none ? State::pending : outcome.state;
            if (sink_ && outcome.state != State::removed) {
                read();
            }
        }
        if (outcome.state == State::failed || (sink_ && is_terminal(outcome.state))) {
            client_.sleep(std::chrono::milliseconds{client_.options().poll_milliseconds} * 5,
                          "read the last lines of " + subject_);
            read();
        }
        outcome.tail = {tail_.begin(), tail_.end()};
        return outcome;
    }

private:
    /// nullopt when the service is out of reach for the moment.
    [[nodiscard]] std::optional<Outcome> patient(
        const std::function<Outcome(const Client&)>& look) {
        try {
            Outcome outcome = look(client_);
            failures_ = 0;
            return outcome;
        } catch (const Cancelled&) {
            throw;
        } catch (const Error& error) {
            const bool may_pass =
                error.code() == ErrorCode::unavailable || error.code() == ErrorCode::timeout;
            if (!may_pass || ++failures_ >= patience) {
                throw;
            }
            client_.control().say(Level::warning, error.what());
            return std::nullopt;
        }
    }

    /// A log that can not be read does not end the run; it is said once.
    void read() {
        std::vector<OutputLine> lines;
        try {
            log_.read(client_, [&lines](OutputLine line) { lines.push_back(std::move(line)); });
        } catch (const Cancelled&) {
            throw;
        } catch (const Error& error) {
            if (!std::exchange(is_said_, true)) {
                client_.control().say(Level::warning, error.what());
            }
        }
        for (OutputLine& line : lines) {
            tail_.push_back(line.text);
            if (tail_.size() > tail_size) {
                tail_.pop_front();
            }
            if (sink_) {
                sink_(std::move(line));
            }
        }
    }

    Client client_;
    LogReader log_;
    std::string subject_;
    OutputSink sink_;
    std::deque<std::string> tail_ = {};
    int failures_ = 0;
    bool is_said_ = false;
};

}  // namespace fairing::google
