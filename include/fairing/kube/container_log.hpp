// fairing/kube/container_log.hpp - the log of one container, line by line, to its end: over
// restarts and broken connections.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <utility>

#include "../core/control.hpp"
#include "../core/line_splitter.hpp"
#include "client.hpp"
#include "log_lines.hpp"
#include "object.hpp"
#include "pod_view.hpp"

namespace fairing::kube {

struct FollowOptions {
    int expected_pods = 1;   ///< of more than one, each line begins with its pod's label
    std::string only = {};   ///< one pod by its label ("worker-0"), number or name
    int previous_tail = 50;  ///< lines of the crash before, when a container has restarted already
    /// How long a pod may rest before it is looked at anew: a watch may be late.
    std::chrono::milliseconds look_again = std::chrono::seconds{10};
    /// How long a connection may be silent before another one is made.
    std::chrono::milliseconds idle = std::chrono::minutes{5};
};

namespace detail {

/// The newest that is known of one pod: a watch and readers tell, readers wait.
class PodBoard {
public:
    explicit PodBoard(Json pod) : pod_(std::move(pod)) {}

    void put(Json pod) {
        const std::lock_guard lock{mutex_};
        pod_ = std::move(pod);
        ++count_;
        changed_.notify_all();
    }
    void put_gone() {
        const std::lock_guard lock{mutex_};
        is_gone_ = true;
        ++count_;
        changed_.notify_all();
    }
    /// No more news will come by themselves.
    void put_last() {
        const std::lock_guard lock{mutex_};
        is_last_ = true;
        ++count_;
        changed_.notify_all();
    }
    /// nullopt when the pod is gone.
    [[nodiscard]] std::optional<Json> pod() const {
        const std::lock_guard lock{mutex_};
        return is_gone_ ? std::nullopt : std::optional<Json>{pod_};
    }
    [[nodiscard]] bool is_last() const {
        const std::lock_guard lock{mutex_};
        return is_last_;
    }
    [[nodiscard]] std::size_t count() const {
        const std::lock_guard lock{mutex_};
        return count_;
    }
    /// Until there is more news than `known`, or the time is over, or a stop.
    void wait(std::size_t known, std::chrono::milliseconds longest, const std::stop_token& stop) {
        std::unique_lock lock{mutex_};
        changed_.wait_for(lock, stop, longest, [&] { return count_ != known; });
    }

private:
    mutable std::mutex mutex_;
    std::condition_variable_any changed_;
    Json pod_;
    bool is_gone_ = false, is_last_ = false;
    std::size_t count_ = 0;
};

/// Reads one container's log to its end.
class ContainerReader {
public:
    using Sink = std::function<void(std::string)>;

    ContainerReader(const Client& client, PodBoard& board, const FollowOptions& options,
                    ObjectKey pod, std::string uid, std::string container, const Sink& sink)
        : client_(client),
          board_(board),
          options_(options),
          pod_(std::move(pod)),
          uid_(std::move(uid)),
          container_(std::move(container)),
          sink_(sink) {}

    void run() {
        for (;;) {
            client_.control().check("follow the log of " + what());
            const std::size_t news = board_.count();
            const std::optional<Json> pod = board_.pod();
            const ContainerView view = pod ? container_view(*pod, container_) : ContainerView{};
            if (!pod || (is_read_out(view) && !runs_again(*pod, view)) ||
                (!view.has_log() && is_over(*pod))) {
                return;
            }
            if (!view.has_log() || is_read_out(view)) {
                if (seen_last_) {
                    return;
                }
                wait(news);
                continue;
            }
            if (!read_instance(view)) {
                return;
            }
        }
    }

private:
    enum class Got { end, broken, nothing, gone };

    [[nodiscard]] std::string what() const {
        return "container " + container_ + " of " + pod_.text();
    }
    /// Whether all of this instance's lines have been told.
    [[nodiscard]] bool is_read_out(const ContainerView& view) const {
        return read_out_ >= view.restarts && view.stage != ContainerStage::running;
    }
    void wait(std::size_t news) {
        board_.wait(news, options_.look_again, client_.control().stop);
        seen_last_ = board_.is_last();
        if (seen_last_ || board_.count() == news) {
            look();
        }
    }
    /// The pod as it is now, onto the board.
    void look() {
        std::optional<Json> pod = client_.find(pod_);
        if (pod && uid_of(*pod) == uid_) {
            board_.put(*std::move(pod));
        } else {
            board_.put_gone();
        }
    }

    /// The rest of the instance before, then this one until the connection ends. False when there
    /// is nothing more to come.
    bool read_instance(const ContainerView& view) {
        if (view.restarts > instance_) {
            read_previous(view);
        }
        if (view.stage == ContainerStage::running) {
            read_out_ = std::min(read_out_, view.restarts - 1);
        }
        const Got got = read({.follow = true});
        if (got == Got::gone) {
            return false;
        }
        look();
        const std::optional<Json> pod = board_.pod();
        const ContainerView now = pod ? container_view(*pod, container_) : ContainerView{};
        if (!pod) {
            return false;
        }
        if (now.restarts > instance_) {
            return true;
        }
        if (now.stage == ContainerStage::running || !now.has_log()) {
            pause(got);
            return true;
        }
        return read_rest(now);
    }
    /// The container has ended: once more without following, so that no last line is missing.
    bool read_rest(const ContainerView& view) {
        constexpr int most_attempts = 6;
        for (int attempt = 1;; ++attempt) {
            const Got got = read({});
            if (got == Got::gone) {
                return false;
            }
            if (got != Got::broken) {
                break;
            }
            if (attempt == most_attempts) {
                client_.control().say(Level::warning,
                                      "the end of the log of " + what() + " can not be read");
                break;
            }
            pause(got);
        }
        read_out_ = view.restarts;
        silent_ = 0;
        return true;
    }
    void read_previous(const ContainerView& view) {
        const bool is_first = instance_ < 0;
        if (is_first && view.has_previous && options_.previous_tail > 0) {
            static_cast<void>(read({.previous = true, .tail = options_.previous_tail}));
        } else if (!is_first && read_out_ < view.restarts - 1) {
            static_cast<void>(read({.previous = true}));
        }
        if (view.restarts > 0) {
            client_.control().say(Level::warning, what() + " was restarted (" +
                                                      std::to_string(view.restarts) + " times)");
        }
        instance_ = view.restarts;
    }

    /// At once after lines, later and later after none.
    void pause(Got got) {
        silent_ = told_ > 0 ? 0 : silent_ + 1;
        if (silent_ == 6 && got == Got::broken) {
            client_.control().say(Level::warning,
                                  "the log of " + what() + " can not be read, trying again");
        }
        if (silent_ > 1) {
            const net::RetryPolicy policy{.first_delay = client_.retry().first_delay / 4,
                                          .longest_delay = std::chrono::seconds{5}};
            client_.control().sleep(
                net::retry_delay(policy, std::min(silent_ - 1, 20), "", client_.control().now()));
        }
    }

    [[nodiscard]] Got read(LogQuery query) {
        query.container = container_;
        query.timestamps = true;
        query.since_time = cursor_.since_time();
        cursor_.reopen();
        told_ = 0;
        // Room for a line of the longest kind and its time.
        LineSplitter lines{LineSplitter::default_limit + 64};
        const auto take = [this](std::string line) { tell(parse_log_line(std::move(line))); };
        try {
            client_.read_log(
                pod_, query, [&](std::span<const std::byte> bytes) { lines.write(bytes, take); },
                options_.idle);
            if (!query.follow) {
                lines.finish(take);  // while following, it comes whole with the next opening
            }
            return Got::end;
        } catch (const Cancelled&) {
            throw;
        } catch (const Error& error) {
            return judge(error);
        }
    }
    [[nodiscard]] Got judge(const Error& error) const {
        if (of_sink_) {
            std::rethrow_exception(of_sink_);
        }
        client_.control().say(Level::debug, error.what());
        const auto* refusal = dynamic_cast<const StatusError*>(&error);
        if (refusal == nullptr) {
            const bool may_pass = error.code() == ErrorCode::unavailable ||
                                  error.code() == ErrorCode::timeout ||
                                  error.code() == ErrorCode::integrity;
            if (!may_pass) {
                throw;
            }
            return Got::broken;
        }
        if (refusal->status() == 404) {
            return Got::gone;
        }
        if (refusal->status() == 400) {
            return Got::nothing;  // "is waiting to start", "previous terminated container not
                                  // found"
        }
        if (!net::is_temporary(refusal->status())) {
            throw;
        }
        return Got::broken;
    }
    void tell(LogLine line) {
        if (is_word_of_node(line)) {
            client_.control().say(Level::warning, what() + ": " + net::printable(line.text));
            return;
        }
        if (!cursor_.take(line)) {
            return;
        }
        ++told_;
        try {
            sink_(std::move(line.text));
        } catch (...) {
            of_sink_ = std::current_exception();
            throw;
        }
    }

    const Client& client_;
    PodBoard& board_;
    const FollowOptions& options_;
    const ObjectKey pod_;
    const std::string uid_, container_;
    const Sink& sink_;
    LogCursor cursor_ = {};
    int instance_ = -1;  ///< restarts of the instance that is being read
    int read_out_ = -1;  ///< restarts of the last instance that was read to its end
    int silent_ = 0;
    std::size_t told_ = 0;
    bool seen_last_ = false;  ///< the board has its last news, and we have looked since
    std::exception_ptr of_sink_ = {};
};

}  // namespace detail

}  // namespace fairing::kube
