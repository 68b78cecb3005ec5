// fairing/deployers/google/follower.hpp - follows what runs in Google Cloud, and reads its lines
// meanwhile.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "../../runs/patience.hpp"
#include "../../stage/workload.hpp"
#include "client.hpp"
#include "log_reader.hpp"

namespace fairing::google {

class Follower {
public:
    static constexpr std::size_t tail_size = 20;

    /// `client` carries the stop; without a sink the log is read at a bad end only.
    Follower(Client client, LogPlace log, std::string subject, OutputSink sink)
        : client_(std::move(client)),
          log_(std::move(log)),
          subject_(std::move(subject)),
          sink_(client_.options().stream_log ? std::move(sink) : OutputSink{}) {}

    /// Until `is_end` says so of what `look` gives; the outcome then has the last lines.
    [[nodiscard]] Outcome follow(const std::function<Outcome(const Client&)>& look,
                                 const std::function<bool(State)>& is_end = detail::has_ended) {
        const std::chrono::milliseconds pause{client_.options().poll_milliseconds};
        Outcome outcome = detail::follow_patiently(client_.control(),
                                                   {.subject = subject_,
                                                    .first_pause = pause,
                                                    .look = [&] { return look(client_); },
                                                    .is_end = is_end,
                                                    .meanwhile =
                                                        [this](State state) {
                                                            if (sink_ && state != State::removed) {
                                                                read();
                                                            }
                                                        }});
        if (outcome.state == State::failed || (sink_ && detail::has_ended(outcome.state))) {
            client_.sleep(pause * 5, "read the last lines of " + subject_);
            read();
        }
        outcome.tail = {tail_.begin(), tail_.end()};
        return outcome;
    }

private:
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
    bool is_said_ = false;
};

}  // namespace fairing::google
