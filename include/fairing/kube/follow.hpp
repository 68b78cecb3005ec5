// fairing/kube/follow.hpp - the logs of a workload's pods, line by line, to their ends: whatever
// connections and containers do, no line is lost and none comes twice.
#pragma once

#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>

#include "../core/control.hpp"
#include "client.hpp"
#include "container_log.hpp"
#include "object.hpp"
#include "pod_view.hpp"

namespace fairing::kube {

/// Follows each pod that it is told of in a thread of its own: its init containers one after the
/// other, then its main container, over restarts. Lines go to the sink one at a time, each once; of
/// several pods in no particular order among each other. The destructor ends the threads without
/// waiting for the logs; so does a stop of the client.
class PodLogs {
public:
    PodLogs(const Client& client, OutputSink sink, FollowOptions options = {})
        : client_(client.with_stop(stop_.get_token())),
          sink_(serialized<OutputLine>(std::move(sink))),
          options_(std::move(options)),
          on_stop_(client.control().stop, [this] { stop_.request_stop(); }) {}
    PodLogs(const PodLogs&) = delete;
    PodLogs& operator=(const PodLogs&) = delete;
    ~PodLogs() {
        stop_.request_stop();
        join();
    }

    /// The pod as it is now: a new one is followed. Throws what the sink has thrown, or the error
    /// that ended a reader.
    void update(const Json& pod) {
        rethrow();
        if (!is_chosen(pod, options_.only)) {
            return;
        }
        const std::lock_guard lock{mutex_};
        const auto known = followed_.find(uid_of(pod));
        if (known != followed_.end()) {
            known->second->board.put(pod);
            return;
        }
        const auto added = followed_.emplace(uid_of(pod), std::make_unique<Followed>(pod)).first;
        Followed& followed = *added->second;
        followed.thread = std::thread{[this, &followed, pod] { follow(followed.board, pod); }};
    }
    /// The pod is gone: what was not read of its log is lost.
    void remove(const Json& pod) {
        const std::lock_guard lock{mutex_};
        if (const auto known = followed_.find(uid_of(pod)); known != followed_.end()) {
            known->second->board.put_gone();
        }
    }
    /// Nobody will call update() any more: waits until every log was read to its end. Containers
    /// that have not begun by now are not waited for. Throws like update(), and Cancelled on a
    /// stop.
    void finish() {
        {
            const std::lock_guard lock{mutex_};
            for (const auto& [uid, followed] : followed_) {
                followed->board.put_last();
            }
        }
        join();
        rethrow();
        if (stop_.stop_requested()) {
            throw Cancelled{ErrorCode::cancelled,
                            {.attempted = "follow logs", .answer = "stopped on request"}};
        }
    }

private:
    struct Followed {
        explicit Followed(const Json& pod) : board(pod) {}
        detail::PodBoard board;
        std::thread thread = {};
    };

    void follow(detail::PodBoard& board, const Json& pod) {
        try {
            const ObjectKey key{.api_version = "v1",
                                .kind = "Pod",
                                .namespace_ = metadata_text(pod, "namespace"),
                                .name = name_of(pod)};
            const std::string prefix = options_.expected_pods > 1 ? pod_label(pod) + " | " : "";
            for (const std::string& container : told_containers(pod)) {
                const detail::ContainerReader::Sink sink = [&](std::string text) {
                    if (sink_) {
                        text = original_line(container, std::move(text));
                        sink_({.pod = key.name,
                               .container = container,
                               .text = prefix.empty() ? std::move(text) : prefix + text});
                    }
                };
                detail::ContainerReader{client_, board, options_, key, uid_of(pod), container, sink}
                    .run();
            }
        } catch (...) {
            const std::lock_guard lock{mutex_};
            if (!failure_ && !stop_.stop_requested()) {
                failure_ = std::current_exception();
            }
            stop_.request_stop();
        }
    }
    void join() {
        for (;;) {
            std::thread thread;
            {
                const std::lock_guard lock{mutex_};
                for (const auto& [uid, followed] : followed_) {
                    if (followed->thread.joinable()) {
                        thread = std::move(followed->thread);
                        break;
                    }
                }
            }
            if (!thread.joinable()) {
                return;
            }
            thread.join();
        }
    }
    void rethrow() {
        const std::lock_guard lock{mutex_};
        if (failure_) {
            std::rethrow_exception(failure_);
        }
    }

    std::stop_source stop_ = {};
    const Client client_;
    const OutputSink sink_;
    const FollowOptions options_;
    std::mutex mutex_;
    std::map<std::string, std::unique_ptr<Followed>> followed_ = {};
    std::exception_ptr failure_ = {};
    std::stop_callback<std::function<void()>> on_stop_;  ///< last: it uses the others
};

}  // namespace fairing::kube
