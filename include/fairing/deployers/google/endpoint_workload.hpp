// fairing/deployers/google/endpoint_workload.hpp - a model that Google Cloud serves: its deployment
// is followed, it is asked, and everything that was made for it is removed.
#pragma once

#include <chrono>
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "../../stage/workload.hpp"
#include "follower.hpp"

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

/// A model on its way to an endpoint, or an endpoint that is there.
struct Served {
    ObjectName object = {};
    std::string url = {};  ///< of the resource that is asked once the model is deployed
    std::string predict_url = {};
    std::string operation_root = {};  ///< what stands before an operation's name
    Json operation = {};              ///< the deployment
    /// What the resource says of itself.
    std::function<Outcome(const Json& resource)> state = {};
    LogPlace log = {};
    std::vector<Undo::Step> undo = {};
    std::optional<Steady::time_point> deadline = {};  ///< of the deployment
    bool keep_failed = false;                         ///< nothing is removed when it fails
    /// By its name: following removes nothing, and whoever reads the log reads on until it is gone.
    bool is_found = false;
    bool may_cancel = true;                   ///< the deployment, when it is removed before its end
    std::chrono::seconds predict_timeout{0};  ///< zero: no limit
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
        return look(client_.with_stop(std::move(stop)));
    }

    /// Until the model is deployed. When that fails, what was made for it is removed.
    Outcome follow(const OutputSink& sink, std::stop_token stop) override {
        const bool reads_on = served_.is_found && sink;
        Follower follower{client_.with_stop(stop), served_.log, served_.object.name, sink};
        Outcome outcome = follower.follow([this](const Client& client) { return look(client); },
                                          [reads_on](State state) {
                                              return detail::has_ended(state) ||
                                                     (state == State::ready && !reads_on);
                                          });
        if (outcome.state == State::failed && !served_.is_found) {
            clean_up_quietly(stop);
        }
        return outcome;
    }

    /// A deployment that is still going on is given up, and its end waited for: Google removes
    /// nothing under way. Nothing is done by a sink that the removal itself has called.
    void remove(std::stop_token stop) override {
        const Client client = client_.with_stop(stop);
        const Removal alone{*this, stop};
        if (!alone.has_begun()) {
            return;
        }
        client.control().say(Level::info, "removing " + served_.object.name);
        end_operation(client);
        while (!served_.undo.empty()) {
            served_.undo.back()(client);
            served_.undo.pop_back();
        }
        const std::lock_guard lock{mutex_};
        end_ = Outcome{.state = State::removed};
    }

    [[nodiscard]] Json call(const Json& input, std::stop_token stop) override {
        const std::string subject = served_.object.kind + ' ' + served_.object.name;
        return client_.with_stop(std::move(stop))
            .with_patience(served_.predict_timeout)
            .post(served_.predict_url, instances_of(input, subject), "get a prediction from",
                  subject);
    }

private:
    /// One thread at a time removes, and waits for Google: `undo` is its. No lock is held
    /// meanwhile.
    class Removal {
    public:
        /// Waits until nobody else removes. Throws Cancelled on a stop.
        Removal(EndpointWorkload& of, const std::stop_token& stop) : of_(of) {
            std::unique_lock lock{of_.mutex_};
            if (of_.remover_ == std::this_thread::get_id()) {
                return;
            }
            has_begun_ = of_.removal_ended_.wait(
                lock, stop, [this] { return of_.remover_ == std::thread::id{}; });
            if (!has_begun_) {
                throw Cancelled{ErrorCode::cancelled,
                                {.attempted = "remove",
                                 .subject = of_.served_.object.name,
                                 .answer = "stopped on request"}};
            }
            of_.remover_ = std::this_thread::get_id();
        }
        Removal(Removal&&) = delete;
        Removal& operator=(Removal&&) = delete;
        ~Removal() {
            if (has_begun_) {
                {
                    const std::lock_guard lock{of_.mutex_};
                    of_.remover_ = {};
                }
                of_.removal_ended_.notify_all();
            }
        }
        /// Else this thread is removing already.
        [[nodiscard]] bool has_begun() const noexcept { return has_begun_; }

    private:
        EndpointWorkload& of_;
        bool has_begun_ = false;
    };

    [[nodiscard]] Outcome look(const Client& client) {
        if (const auto end = known_end()) {
            return *end;
        }
        return settled(seen(client));
    }
    /// Asks the service.
    [[nodiscard]] Outcome seen(const Client& client) {
        Json operation = known_operation();
        if (!is_done(operation)) {
            operation = client.look_at(operation, served_.operation_root, served_.object.name);
            learn(operation);
        }
        if (!is_done(operation)) {
            return served_.deadline && Steady::now() >= *served_.deadline
                       ? not_deployed("it takes longer than start_timeout")
                       : Outcome{.state = State::pending};
        }
        if (const std::string words = failure_of(operation); !words.empty()) {
            return not_deployed(words);
        }
        const std::optional<Json> resource =
            client.find(served_.url, "look at", served_.object.name);
        return resource ? served_.state(*resource)
                        : Outcome{.state = State::removed, .reason = "it is not there any more"};
    }
    /// What is made of it. What failed on its way stays so, whatever becomes of the resource.
    [[nodiscard]] Outcome settled(Outcome outcome) {
        const std::lock_guard lock{mutex_};
        if (end_) {
            return *end_;  // known meanwhile
        }
        if (outcome.state == State::failed && remover_ != std::thread::id{}) {
            return {.state = State::pending, .reason = "it is being removed"};
        }
        was_ready_ = was_ready_ || outcome.state == State::ready;
        if (outcome.state == State::failed && !was_ready_ && !served_.is_found) {
            end_ = outcome;
        }
        return outcome;
    }
    [[nodiscard]] static Outcome not_deployed(const std::string& words) {
        return {.state = State::failed, .reason = "the model was not deployed: " + words};
    }

    [[nodiscard]] std::optional<Outcome> known_end() {
        const std::lock_guard lock{mutex_};
        return end_;
    }
    [[nodiscard]] Json known_operation() {
        const std::lock_guard lock{mutex_};
        return served_.operation;
    }
    /// Of two looks the one that saw the end counts.
    void learn(const Json& operation) {
        const std::lock_guard lock{mutex_};
        if (!is_done(served_.operation)) {
            served_.operation = operation;
        }
    }

    void end_operation(const Client& client) {
        const Json operation = known_operation();
        if (served_.may_cancel) {
            client.cancel(operation, served_.operation_root, served_.object.name);
        }
        learn(client.end_of(operation, served_.operation_root, "remove", served_.object.name));
    }
    void clean_up_quietly(const std::stop_token& stop) {
        if (!known_end()) {
            return;  // it was deployed, and somebody took it away
        }
        if (served_.keep_failed) {
            return client_.control().say(Level::warning,
                                         served_.object.name + " and its model stay, as they are");
        }
        const Removal alone{*this, stop};
        if (!alone.has_begun()) {
            return;
        }
        Undo undo{client_};
        for (Undo::Step& step : std::exchange(served_.undo, {})) {
            undo.add(std::move(step));
        }
        undo.add([this](const Client& with) { end_operation(with); });
    }

    Client client_;
    std::mutex mutex_ = {};  ///< of what is known: `operation`, and the members below `served_`
    Served served_;
    std::optional<Outcome> end_ = {};
    bool was_ready_ = false;
    std::thread::id remover_ = {};  ///< who is removing
    std::condition_variable_any removal_ended_ = {};
};

}  // namespace fairing::google
