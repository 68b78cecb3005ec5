// fairing/deployers/google/endpoint_workload.hpp - a model that Google Cloud serves: its deployment
// is followed, it is asked, and everything that was made for it is removed.
#pragma once

#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "../../stage/workload.hpp"
#include "client.hpp"

namespace fairing::google {

/// What was made, undone in the reverse order unless it is kept: by a failure at once, else when
/// the endpoint is removed. Undoing twice is no error.
class Undo {
public:
    using Step = std::function<void(const Client&)>;

    explicit Undo(Client client) : client_(std::move(client)) {}
    Undo(Undo&&) = delete;
    Undo& operator=(Undo&&) = delete;
    ~Undo() {
        while (!steps_.empty()) {
            undo_last();
        }
    }
    void add(Step step) { steps_.push_back(std::move(step)); }
    /// Says better how the last one is undone.
    void amend(Step step) { steps_.back() = std::move(step); }
    [[nodiscard]] std::vector<Step> keep() { return std::exchange(steps_, {}); }

private:
    /// Google may take minutes for it, and a stop does not end it.
    void undo_last() noexcept {
        try {
            try {
                steps_.back()(client_.with_stop({}));
            } catch (const std::exception& error) {
                client_.control().say(Level::warning, error.what());
            }
        } catch (...) {
            // a destructor has nowhere to put it
        }
        steps_.pop_back();
    }

    Client client_;
    std::vector<Step> steps_ = {};
};

/// A model on its way to an endpoint.
struct Served {
    ObjectName object = {};
    std::string predict_url = {};
    std::string operation_root = {};  ///< what stands before an operation's name
    Json operation = {};              ///< the deployment
    std::vector<Undo::Step> undo = {};
};

/// A request of the service: rows alone are its instances.
[[nodiscard]] inline Json instances_of(const Json& input, const std::string& subject) {
    if (input.is_array()) {
        return {{"instances", input}};
    }
    if (input.is_object() && input.contains("instances")) {
        return input;
    }
    throw Error{ErrorCode::input,
                {.attempted = "ask",
                 .subject = subject,
                 .answer = "a request is an object with \"instances\"",
                 .advice = "or give rows alone: [[1, 37]]"}};
}

class EndpointWorkload : public Workload::Model {
public:
    EndpointWorkload(Client client, Served served)
        : client_(std::move(client)), served_(std::move(served)) {}

    [[nodiscard]] ObjectName name() const override { return served_.object; }
    [[nodiscard]] std::string url() const override { return served_.predict_url; }

    [[nodiscard]] Outcome poll(std::stop_token stop) override {
        const std::lock_guard lock{mutex_};
        return look(client_.with_stop(std::move(stop)));
    }

    /// Until the model is deployed. When that fails, what was made for it is removed.
    Outcome follow(const OutputSink& /*sink*/, std::stop_token stop) override {
        const Client client = client_.with_stop(std::move(stop));
        for (Pace pace{client.options()};;) {
            Outcome outcome = poll(client.control().stop);
            if (outcome.state == State::failed) {
                clean_up_quietly();
            }
            if (outcome.state != State::pending) {
                return outcome;
            }
            client.sleep(pace.next(), "wait for " + served_.object.name);
        }
    }

    /// A deployment that is still going on is waited for: Google removes nothing under way.
    void remove(std::stop_token stop) override {
        const std::lock_guard lock{mutex_};
        const Client client = client_.with_stop(std::move(stop));
        client.control().say(Level::info, "removing " + served_.object.name);
        for (Pace pace{client.options()}; look(client).state == State::pending;) {
            client.sleep(pace.next(), "remove " + served_.object.name);
        }
        while (!served_.undo.empty()) {
            served_.undo.back()(client);
            served_.undo.pop_back();
        }
        is_removed_ = true;
    }

    [[nodiscard]] Json call(const Json& input, std::stop_token stop) override {
        const std::string subject = served_.object.kind + ' ' + served_.object.name;
        return client_.with_stop(std::move(stop))
            .post(served_.predict_url, instances_of(input, subject), "get a prediction from",
                  subject);
    }

private:
    [[nodiscard]] Outcome look(const Client& client) {
        if (is_removed_) {
            return {.state = State::removed};
        }
        if (!is_done(served_.operation)) {
            served_.operation =
                client.get(served_.operation_root + text_or(served_.operation, "name"),
                           "follow the deployment of", served_.object.name);
        }
        if (!is_done(served_.operation)) {
            return {.state = State::pending};
        }
        const std::string words = failure_of(served_.operation);
        return words.empty() ? Outcome{.state = State::ready}
                             : Outcome{.state = State::failed,
                                       .reason = "the model was not deployed: " + words};
    }
    void clean_up_quietly() {
        const std::lock_guard lock{mutex_};
        Undo undo{client_};
        for (Undo::Step& step : std::exchange(served_.undo, {})) {
            undo.add(std::move(step));
        }
    }

    Client client_;
    std::mutex mutex_ = {};
    Served served_;
    bool is_removed_ = false;
};

}  // namespace fairing::google
