// fairing/runs/cluster_workload.hpp - an object of a cluster that runs pods, as a
// Workload: its state, its pods' logs, its end.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "../core/control.hpp"
#include "../kube/client.hpp"
#include "../kube/document.hpp"
#include "../kube/object.hpp"
#include "../kube/state.hpp"
#include "../pods/kubernetes_options.hpp"
#include "../stage/workload.hpp"
#include "run_watch.hpp"
#include "stop_after.hpp"
#include "subject.hpp"
#include "submission.hpp"

namespace fairing::kubernetes {

/// What a handle does beside following.
struct WorkloadHabits {
    Cleanup cleanup = Cleanup::never;
    bool stream_log = true;
    std::chrono::seconds start_timeout{0};  ///< zero waits
    std::string only_pod = {};              ///< whose log alone is read; empty: all of them
};

/// The object, and the pods that it owns. Thread-safe.
class ClusterWorkload final : public Workload::Model {
public:
    /// `main` is the object as the server gave it; `beside` what else is removed with it.
    ClusterWorkload(const kube::Client& client, Subject subject,
                    std::vector<kube::ObjectKey> beside, WorkloadHabits habits)
        : client_(client.with_stop({})),
          subject_(std::move(subject)),
          beside_(std::move(beside)),
          habits_(std::move(habits)) {}

    [[nodiscard]] ObjectName name() const override {
        const kube::ObjectKey& key = subject_.key;
        return {.api_version = key.api_version,
                .kind = key.kind,
                .namespace_ = key.namespace_,
                .name = key.name};
    }

    [[nodiscard]] Outcome poll(std::stop_token stop) override {
        if (auto ended = remembered()) {
            return *ended;
        }
        const kube::Client client = client_.with_stop(std::move(stop));
        const std::optional<Json> owner = client.find(subject_.key);
        if (!owner || kube::uid_of(*owner) != subject_.uid) {
            return {.state = State::removed, .reason = subject_.key.text() + " is not there"};
        }
        return outcome_of(look(client, subject_, *owner));
    }

    Outcome follow(const OutputSink& sink, std::stop_token stop) override {
        if (auto ended = remembered()) {
            return *ended;
        }
        RunWatch watch{client_,
                       subject_,
                       {.sink = habits_.stream_log ? sink : OutputSink{},
                        .start_timeout = habits_.start_timeout,
                        .only = habits_.only_pod}};
        Outcome outcome = watch.follow(stop);
        {
            const std::lock_guard lock{mutex_};
            if (removed_) {
                outcome.state = State::removed;
            }
            ended_ = outcome;
        }
        if (habits_.cleanup != Cleanup::never) {
            clean_up();
        }
        return outcome;
    }

    /// Waits until the objects are gone, for ten seconds at most: pods that take longer to end are
    /// left to the cluster, and that is said.
    void remove(std::stop_token stop) override {
        {
            const std::lock_guard lock{mutex_};
            removed_ = true;
        }
        const StopAfter limit{cleanup_limit, stop};
        try {
            remove_all(client_.with_stop(limit.token()));
        } catch (const Cancelled&) {
            if (stop.stop_requested()) {
                throw;
            }
            throw Error{ErrorCode::timeout,
                        {.attempted = "delete",
                         .subject = subject_.key.text(),
                         .answer = "the API server did not answer within 10 s",
                         .advice = "fairing delete " + subject_.key.name + " tries again"}};
        }
        wait_until_gone(client_.with_stop(limit.token()), stop);
    }

private:
    void remove_all(const kube::Client& client) const {
        static_cast<void>(client.remove(
            subject_.key, {.propagation = kube::Propagation::foreground, .uid = subject_.uid}));
        for (const kube::ObjectKey& key : beside_) {
            remove_own(client, key, subject_.run_id);
        }
    }
    [[nodiscard]] std::optional<Outcome> remembered() {
        const std::lock_guard lock{mutex_};
        if (!ended_ && removed_) {
            return Outcome{.state = State::removed};
        }
        return ended_;
    }

    /// What the run said is worth more than a failure to remove it.
    void clean_up() {
        try {
            remove({});
        } catch (const Error& error) {
            client_.control().say(Level::warning, error.what());
        }
    }

    void wait_until_gone(const kube::Client& client, const std::stop_token& stop) const {
        using std::chrono::milliseconds;
        try {
            for (milliseconds pause{50};; pause = std::min(pause * 2, milliseconds{1000})) {
                const auto found = client.find(subject_.key);
                if (!found || kube::uid_of(*found) != subject_.uid) {
                    return;
                }
                client.control().sleep(pause);
                client.control().check("remove " + subject_.key.text());
            }
        } catch (const Cancelled&) {
            if (stop.stop_requested()) {
                throw;
            }
            client_.control().say(Level::warning, subject_.key.text() +
                                                      " is being deleted; its pods have not ended "
                                                      "yet");
        }
    }

    kube::Client client_;
    Subject subject_;
    std::vector<kube::ObjectKey> beside_;
    WorkloadHabits habits_;
    std::mutex mutex_;
    std::optional<Outcome> ended_ = {};
    bool removed_ = false;
};

}  // namespace fairing::kubernetes
