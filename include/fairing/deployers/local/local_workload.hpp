// fairing/deployers/local/local_workload.hpp - something that runs on this machine, as a Workload.
#pragma once

#include <condition_variable>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>

#include "../../stage/workload.hpp"
#include "output_spool.hpp"

namespace fairing::local {

/// How a run ended.
struct RunEnd {
    int exit_code = 0;
    std::string reason = {};  ///< one sentence; empty for success
};

/// A process or a container. Its destructor ends it, if need be, and removes all that was made for
/// it.
struct Run {
    using LineSink = std::function<void(std::string)>;

    Run() = default;
    Run(Run&&) = delete;
    Run& operator=(Run&&) = delete;
    virtual ~Run() = default;
    /// Gives every line until the end. On a stop ends it, politely first, and still gives the lines
    /// that come.
    virtual RunEnd follow(const LineSink& sink, const std::stop_token& stop) = 0;
};

/// Reads the output from the start on, on a thread of its own, so that the program never waits for
/// a follower; every follower gets every line. A stop of `session_stop` ends the run, as do
/// remove() and the end of the last handle.
class LocalWorkload final : public Workload::Model {
public:
    static constexpr const char* container_name = "fairing-job";

    LocalWorkload(ObjectName name, std::unique_ptr<Run> run, const std::stop_token& session_stop)
        : name_(std::move(name)),
          run_(std::move(run)),
          on_session_stop_(session_stop, [this] { ending_.request_stop(); }),
          reader_([this] { read(); }) {}
    LocalWorkload(LocalWorkload&&) = delete;
    LocalWorkload& operator=(LocalWorkload&&) = delete;
    ~LocalWorkload() override {
        ending_.request_stop();
        reader_.join();
    }

    [[nodiscard]] ObjectName name() const override { return name_; }

    [[nodiscard]] Outcome poll(std::stop_token /*stop*/) override {
        const std::lock_guard lock{mutex_};
        Outcome outcome = outcome_;
        outcome.tail = spool_.tail();
        return outcome;
    }

    Outcome follow(const OutputSink& sink, std::stop_token stop) override {
        std::uint64_t offset = 0;
        for (;;) {
            const auto lines = spool_.next(offset, stop);
            if (!lines) {
                throw_cancelled();
            }
            if (lines->empty()) {
                break;
            }
            for (const std::string& line : *lines) {
                if (stop.stop_requested()) {
                    throw_cancelled();
                }
                if (sink) {
                    sink({.pod = name_.name, .container = container_name, .text = line});
                }
            }
        }
        const std::lock_guard lock{mutex_};
        if (failure_) {
            std::rethrow_exception(failure_);
        }
        Outcome outcome = outcome_;
        outcome.tail = spool_.tail();
        return outcome;
    }

    /// Waits until everything is gone, whatever `stop` says: half removed helps nobody.
    void remove(std::stop_token /*stop*/) override {
        ending_.request_stop();
        {
            std::unique_lock lock{mutex_};
            ended_.wait(lock, [this] { return has_ended_; });
        }
        release();
        const std::lock_guard lock{mutex_};
        outcome_.state = State::removed;
    }

private:
    [[noreturn]] void throw_cancelled() const {
        throw Cancelled{
            ErrorCode::cancelled,
            {.attempted = "follow", .subject = name_.name, .answer = "stopped on request"}};
    }

    /// Removes what was made for the run; whoever comes second waits until it is done.
    void release() {
        const std::lock_guard lock{releasing_};
        run_.reset();
    }

    void read() {
        Outcome outcome{.state = State::failed};
        std::exception_ptr failure;
        try {
            const RunEnd end = run_->follow([this](const std::string& line) { spool_.add(line); },
                                            ending_.get_token());
            outcome.state = end.exit_code == 0 ? State::succeeded : State::failed;
            outcome.exit_code = end.exit_code;
            outcome.reason = end.reason;
        } catch (const std::exception& error) {
            failure = std::current_exception();
            outcome.exit_code = 1;
            outcome.reason = error.what();
            release();  // nobody reads its output any more
        }
        {
            const std::lock_guard lock{mutex_};
            outcome_ = std::move(outcome);
            failure_ = std::move(failure);
            has_ended_ = true;
            ended_.notify_all();
        }
        spool_.close();
    }

    ObjectName name_;
    OutputSpool spool_ = {};
    std::mutex mutex_;
    std::condition_variable ended_;
    std::mutex releasing_;
    std::unique_ptr<Run> run_;
    Outcome outcome_{.state = State::running};
    std::exception_ptr failure_ = {};
    bool has_ended_ = false;
    std::stop_source ending_ = {};
    std::stop_callback<std::function<void()>> on_session_stop_;
    std::thread reader_;  // last: it uses all of the above
};

}  // namespace fairing::local
