// fairing/deployers/google/job_workload.hpp - a job of Google Cloud: polled until a terminal state,
// its lines read meanwhile, cancelled when it is removed.
#pragma once

#include <charconv>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

#include "../../stage/workload.hpp"
#include "follower.hpp"

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

class JobWorkload : public Workload::Model {
public:
    JobWorkload(Client client, Job job) : client_(std::move(client)), job_(std::move(job)) {}

    [[nodiscard]] ObjectName name() const override { return job_.object; }

    [[nodiscard]] Outcome poll(std::stop_token stop) override {
        return look(client_.with_stop(std::move(stop)));
    }

    Outcome follow(const OutputSink& sink, std::stop_token stop) override {
        return Follower{client_.with_stop(std::move(stop)), job_.log, job_.object.name, sink}
            .follow([this](const Client& client) { return look(client); });
    }

    /// Cancels it; the service keeps the record of it. One that has ended stays as it is.
    void remove(std::stop_token stop) override {
        const Client client = client_.with_stop(std::move(stop));
        if (detail::has_ended(look(client).state)) {
            return;
        }
        try {
            static_cast<void>(client.post(job_.url + ":cancel", Json::object(), "cancel",
                                          job_.object.kind + ' ' + job_.object.name));
        } catch (const Cancelled&) {
            throw;
        } catch (const Error&) {
            if (!detail::has_ended(look(client).state)) {  // it may have ended in between
                throw;
            }
        }
    }

private:
    [[nodiscard]] Outcome look(const Client& client) const {
        const std::optional<Json> job = client.find(job_.url, "look at", job_.object.name);
        return job ? outcome_of(job_.states, *job)
                   : Outcome{.state = State::removed, .reason = "it is not there any more"};
    }

    Client client_;
    Job job_;
};

}  // namespace fairing::google
