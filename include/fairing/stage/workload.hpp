// fairing/stage/workload.hpp - a name for something that runs elsewhere: state, output, end,
// removal.
#pragma once

#include <exception>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "../core/control.hpp"
#include "../core/error.hpp"
#include "../core/json.hpp"

namespace fairing {

/// `none`: an empty handle.
enum class State { none, pending, running, ready, succeeded, failed, removed };

struct Outcome {
    State state = State::none;
    int exit_code = 0;                   ///< the workload's own
    std::string reason = {};             ///< one sentence; empty for success
    std::vector<std::string> tail = {};  ///< the last lines of its output
};

struct ObjectName {
    std::string api_version = {}, kind = {}, namespace_ = {}, name = {};
};

/// The workload ended badly. Its outcome holds the exit code, the reason and the last lines.
class WorkloadError : public Error {
public:
    WorkloadError(Details details, Outcome outcome)
        : Error(ErrorCode::workload_failed, std::move(details)),
          outcome_(std::make_shared<const Outcome>(std::move(outcome))) {}
    /// "cannot ATTEMPTED NAME: REASON".
    WorkloadError(std::string attempted, const ObjectName& object, Outcome outcome)
        : Error(ErrorCode::workload_failed, {.attempted = std::move(attempted),
                                             .subject = object.name,
                                             .answer = outcome.reason}),
          outcome_(std::make_shared<const Outcome>(std::move(outcome))) {}
    [[nodiscard]] const Outcome& outcome() const noexcept { return *outcome_; }

private:
    std::shared_ptr<const Outcome> outcome_;
};

/// One of our runs as a list shows it.
struct RunSummary {
    ObjectName object = {};
    std::string run_id = {};
    std::string created = {};  ///< RFC 3339
    State state = State::none;
    std::string reason = {};
};

/// What a deployer started. Copies name the same thing, every member may be called from any thread,
/// and the end of a handle ends nothing; remove() does, or a RemoveOnExit. (A local process is the
/// exception: it ends with its last handle.)
class Workload {
public:
    /// What a deployer implements.
    struct Model {
        virtual ~Model() = default;
        [[nodiscard]] virtual ObjectName name() const = 0;
        /// The state now; does not wait.
        [[nodiscard]] virtual Outcome poll(std::stop_token stop) = 0;
        /// Gives every line to `sink` until the end, or readiness. Throws Cancelled on a stop, and
        /// leaves it running.
        virtual Outcome follow(const OutputSink& sink, std::stop_token stop) = 0;
        /// Ends it and removes everything that was made for it; doing so twice is no error.
        virtual void remove(std::stop_token stop) = 0;
        /// Where requests go; empty for what answers none.
        [[nodiscard]] virtual std::string url() const { return {}; }
        /// One prediction. Throws Error{unsupported} for what answers none.
        // NOLINTNEXTLINE(performance-unnecessary-value-param): by value, as in its siblings
        virtual Json call(const Json& /*input*/, std::stop_token /*stop*/) {
            const ObjectName object = name();
            throw Error{ErrorCode::unsupported,
                        {.attempted = "ask",
                         .subject = object.kind + ' ' + object.name,
                         .answer = "it is no endpoint, and answers no requests"}};
        }
    };

    Workload() =
        default;  ///< what start() and run() give inside the job: every member does nothing
    explicit Workload(std::shared_ptr<Model> model) : model_(std::move(model)) {}
    explicit operator bool() const noexcept { return model_ != nullptr; }

    [[nodiscard]] ObjectName object() const { return model_ ? model_->name() : ObjectName{}; }
    [[nodiscard]] Outcome status(std::stop_token stop = {}) const {
        return model_ ? model_->poll(std::move(stop)) : Outcome{};
    }
    /// Until finished, or ready for what never finishes; never throws for a failed workload.
    Outcome wait(std::stop_token stop = {}) const { return follow({}, std::move(stop)); }
    Outcome follow(const OutputSink& sink, std::stop_token stop = {}) const {
        return model_ ? model_->follow(sink, std::move(stop)) : Outcome{};
    }
    void remove(std::stop_token stop = {}) const {
        if (model_) {
            model_->remove(std::move(stop));
        }
    }

protected:
    std::shared_ptr<Model> model_ = {};
};

/// A workload that answers. Adds members, no state: as a Workload nothing is lost.
class Endpoint : public Workload {
public:
    using Workload::Workload;
    /// What was found by its name; of a workload that answers nothing url() is empty, and predict()
    /// throws.
    explicit Endpoint(const Workload& workload) : Workload(workload) {}

    [[nodiscard]] std::string url() const { return model_ ? model_->url() : std::string{}; }
    [[nodiscard]] Json predict(const Json& input, std::stop_token stop = {}) const {
        return model_ ? model_->call(input, std::move(stop)) : Json{};
    }
};

/// Removes a workload at the end of a scope, unless told to keep it.
class RemoveOnExit {
public:
    [[nodiscard]] explicit RemoveOnExit(Workload workload, LogSink log = {})
        : workload_(std::move(workload)), log_(std::move(log)) {}
    RemoveOnExit(RemoveOnExit&& other) noexcept
        : workload_(std::exchange(other.workload_, {})), log_(std::move(other.log_)) {}
    RemoveOnExit& operator=(RemoveOnExit&&) = delete;
    ~RemoveOnExit() {
        try {
            workload_.remove();
        } catch (const std::exception& error) {
            report(error.what());
        }
    }
    void keep() noexcept { workload_ = {}; }

private:
    void report(const char* reason) const noexcept {
        try {
            if (log_) {
                log_({.level = Level::warning, .text = reason});
            }
        } catch (...) {
            // a destructor has nowhere to put it
        }
    }

    Workload workload_;
    LogSink log_;
};

}  // namespace fairing
