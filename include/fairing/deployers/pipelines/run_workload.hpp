// fairing/deployers/pipelines/run_workload.hpp - a run of Kubeflow Pipelines as a Workload: polled
// until it has ended, its pods' lines read meanwhile where the cluster is known, terminated when it
// is removed.
#pragma once

#include <array>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../../kube/follow.hpp"
#include "../../pods/kubernetes_options.hpp"
#include "../../runs/patience.hpp"
#include "../../stage/workload.hpp"
#include "client.hpp"

namespace fairing::pipelines {

/// RuntimeState of v2beta1, what it is to us, and for a bad end what is said of it.
struct RunState {
    std::string_view name;
    State state;
    std::string_view sentence = {};
};
inline constexpr std::array<RunState, 8> run_states{
    {{"PENDING", State::pending},
     {"RUNNING", State::running},
     {"SUCCEEDED", State::succeeded},
     {"SKIPPED", State::failed, "the run was skipped"},
     {"FAILED", State::failed, "the run failed"},
     {"CANCELING", State::running},
     {"CANCELED", State::failed, "the run was cancelled"},
     {"PAUSED", State::pending}}};

/// Why a run failed: the words of the tasks that failed, else its own.
[[nodiscard]] inline std::string failure_of(const Json& run) {
    std::string words;
    for (const Json& task : kube::list(run, {"run_details", "task_details"})) {
        const std::string message = kube::text(task, {"error", "message"});
        if (kube::text(task, {"state"}) == "FAILED" && !message.empty() &&
            words.find(message) == std::string::npos) {
            words += (words.empty() ? "task " : "; task ") + kube::text(task, {"display_name"}) +
                     ": " + message;
        }
    }
    return net::printable(words.empty() ? kube::text(run, {"error", "message"}) : words, 1000);
}

/// What the service says of a run. A state that we do not know is one that passes.
[[nodiscard]] inline Outcome outcome_of(const Json& run) {
    const std::string name = text_or(run, "state");
    Outcome outcome{.state = State::pending};
    for (const RunState& known : run_states) {
        if (known.name == name) {
            outcome = {.state = known.state, .reason = std::string{known.sentence}};
        }
    }
    if (outcome.state != State::failed) {
        return outcome;
    }
    const std::string words = failure_of(run);
    outcome.reason += words.empty() ? "" : ": " + words;
    // The program's own code is in these words of Argo's only.
    constexpr std::string_view before = "(exit code ";
    if (const std::size_t at = words.find(before); at != std::string::npos) {
        static_cast<void>(std::from_chars(words.data() + at + before.size(),
                                          words.data() + words.size(), outcome.exit_code));
    }
    return outcome;
}

/// What a handle does beside following.
struct RunHabits {
    Cleanup cleanup = Cleanup::never;
    bool stream_log = true;
    bool archives = false;        ///< remove() archives the run
    std::string namespace_ = {};  ///< of the pods; empty: that of the service
};

/// The lines of the pods that run the tasks' programs.
class TaskLogs {
public:
    TaskLogs(const Client& client, std::string run_id, std::string space, OutputSink sink)
        : client_(client.cluster()->with_stop(client.control().stop)),
          selector_("pipeline/runid=" + std::move(run_id)),
          namespace_(std::move(space)),
          logs_(client_,
                // Before it stand Argo's and the launcher's own containers.
                [sink = std::move(sink)](const OutputLine& line) {
                    if (line.container == "main") {
                        sink(line);
                    }
                }) {}

    /// Looks which pods there are. That it may not is said once, and does not end the run.
    void look() {
        if (is_denied_) {
            return;
        }
        try {
            for (const Json& pod :
                 client_.list("v1", "Pod", namespace_, {.label_selector = selector_}).items) {
                if (kube::name_of(pod).find("-impl-") != std::string::npos) {
                    logs_.update(pod);
                }
            }
        } catch (const Cancelled&) {
            throw;
        } catch (const kube::StatusError& error) {
            is_denied_ = true;
            client_.control().say(Level::warning, error.what());
        }
    }
    void finish() {
        look();
        logs_.finish();
    }

private:
    kube::Client client_;
    std::string selector_, namespace_;
    bool is_denied_ = false;
    kube::PodLogs logs_;
};

/// Thread-safe.
class RunWorkload final : public Workload::Model {
public:
    static constexpr std::size_t tail_size = 20;

    /// `run` as the service gave it.
    RunWorkload(const Client& client, const Json& run, RunHabits habits)
        : client_(client.with_stop({})),
          id_(text_or(run, "run_id")),
          name_(text_or(run, "display_name")),
          habits_(std::move(habits)) {}

    [[nodiscard]] ObjectName name() const override {
        return {.api_version = "v2beta1",
                .kind = "PipelineRun",
                .namespace_ = habits_.namespace_,
                .name = name_};
    }

    [[nodiscard]] Outcome poll(std::stop_token stop) override {
        const std::optional<Json> run = look(client_.with_stop(stop));
        return run ? outcome_of(*run) : gone();
    }

    Outcome follow(const OutputSink& sink, std::stop_token stop) override {
        const Client client = client_.with_stop(stop);
        std::mutex mutex;
        std::deque<std::string> tail;
        std::optional<TaskLogs> logs;
        if (sink && habits_.stream_log && client.cluster() != nullptr) {
            logs.emplace(client, id_,
                         habits_.namespace_.empty() ? client.options().pipelines_namespace
                                                    : habits_.namespace_,
                         [&](const OutputLine& line) {
                             {
                                 const std::lock_guard lock{mutex};
                                 tail.push_back(line.text);
                                 if (tail.size() > tail_size) {
                                     tail.pop_front();
                                 }
                             }
                             sink(line);
                         });
        }
        Outcome outcome = detail::follow_patiently(
            client.control(),
            {.subject = "run " + name_,
             .first_pause = std::chrono::milliseconds{client.options().poll_milliseconds},
             .look = [&] { return poll(stop); },
             .meanwhile =
                 [&logs](State state) {
                     if (logs && !detail::has_ended(state)) {
                         logs->look();
                     }
                 }});
        if (logs && outcome.state != State::removed) {
            logs->finish();
        }
        logs.reset();
        outcome.tail = {tail.begin(), tail.end()};
        if (habits_.cleanup != Cleanup::never) {
            clean_up();
        }
        return outcome;
    }

    /// Terminates it when it has not ended, and removes the record of it, or archives that.
    void remove(std::stop_token stop) override {
        const Client client = client_.with_stop(stop);
        std::optional<Json> run = look(client);
        if (run && !detail::has_ended(outcome_of(*run).state)) {
            static_cast<void>(client.find({.method = "POST",
                                           .path = path() + ":terminate",
                                           .attempted = "terminate run",
                                           .subject = name_,
                                           .repeat = net::Repeat::always}));
            run = wait_until_ended(client);
        }
        if (!run || (habits_.archives && text_or(*run, "storage_state") == "ARCHIVED")) {
            return;
        }
        static_cast<void>(client.find({.method = habits_.archives ? "POST" : "DELETE",
                                       .path = path() + (habits_.archives ? ":archive" : ""),
                                       .attempted = habits_.archives ? "archive run" : "delete run",
                                       .subject = name_,
                                       .repeat = net::Repeat::always}));
    }

private:
    [[nodiscard]] static Outcome gone() {
        return {.state = State::removed, .reason = "it is not there any more"};
    }
    [[nodiscard]] std::string path() const { return "/runs/" + id_; }
    [[nodiscard]] std::optional<Json> look(const Client& client) const {
        return client.find({.path = path(), .attempted = "look at run", .subject = name_});
    }

    /// The service deletes a run that still goes on too, and forgets its pods: so they get some
    /// time.
    [[nodiscard]] std::optional<Json> wait_until_ended(const Client& client) const {
        constexpr std::chrono::seconds limit{10};
        const auto deadline = std::chrono::steady_clock::now() + limit;
        for (;;) {
            std::optional<Json> run = look(client);
            if (!run || detail::has_ended(outcome_of(*run).state) ||
                std::chrono::steady_clock::now() > deadline) {
                return run;
            }
            client.sleep(std::chrono::milliseconds{client.options().poll_milliseconds},
                         "terminate run " + name_);
        }
    }
    /// What the run said is worth more than a failure to remove it.
    void clean_up() {
        try {
            remove({});
        } catch (const Error& error) {
            client_.control().say(Level::warning, error.what());
        }
    }

    Client client_;
    std::string id_, name_;
    RunHabits habits_;
};

}  // namespace fairing::pipelines
