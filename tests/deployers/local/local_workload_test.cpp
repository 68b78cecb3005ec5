#include "fairing/deployers/local/local_workload.hpp"

#include <doctest/doctest.h>

#include <atomic>

using namespace fairing;
using namespace fairing::local;

namespace {

/// A run that is told what to do.
struct Scripted final : Run {
    std::function<RunEnd(const LineSink&, const std::stop_token&)> script;
    std::atomic<int>* alive;

    Scripted(std::function<RunEnd(const LineSink&, const std::stop_token&)> what,
             std::atomic<int>& counter)
        : script(std::move(what)), alive(&counter) {
        ++*alive;
    }
    ~Scripted() override { --*alive; }
    RunEnd follow(const LineSink& sink, const std::stop_token& stop) override {
        return script(sink, stop);
    }
};

struct Fixture {
    std::atomic<int> alive{0};

    Workload make(std::function<RunEnd(const Run::LineSink&, const std::stop_token&)> script,
                  const std::stop_token& stop = {}) {
        return Workload{std::make_shared<LocalWorkload>(
            ObjectName{.api_version = "fairing/v1", .kind = "Process", .name = "job"},
            std::make_unique<Scripted>(std::move(script), alive), stop)};
    }
};

/// Runs until it is stopped.
RunEnd until_stopped(const Run::LineSink& sink, const std::stop_token& stop) {
    sink("started");
    std::mutex mutex;
    std::condition_variable_any woken;
    std::unique_lock lock{mutex};
    woken.wait(lock, stop, [] { return false; });
    sink("stopped");
    return {.exit_code = 143, .reason = "killed by signal 15 (SIGTERM)"};
}

}  // namespace

TEST_CASE("lines carry the names, and the outcome is the run's") {
    Fixture f;
    const Workload workload = f.make([](const Run::LineSink& sink, const std::stop_token&) {
        for (int i = 0; i < 30; ++i) {
            sink(std::to_string(i));
        }
        return RunEnd{.exit_code = 3, .reason = "exited with 3"};
    });
    for (int reader = 0; reader < 2; ++reader) {
        std::vector<OutputLine> lines;
        const Outcome outcome =
            workload.follow([&](OutputLine line) { lines.push_back(std::move(line)); });
        REQUIRE(lines.size() == 30);
        CHECK(lines[7].pod == "job");
        CHECK(lines[7].container == "fairing-job");
        CHECK(lines[7].text == "7");
        CHECK(outcome.state == State::failed);
        CHECK(outcome.exit_code == 3);
        CHECK(outcome.reason == "exited with 3");
        CHECK(outcome.tail.size() == 20);
        CHECK(outcome.tail.back() == "29");
    }
    CHECK(workload.status().state == State::failed);
    CHECK(workload.object().kind == "Process");
    CHECK(f.alive == 1);
    workload.remove();
    workload.remove();
    CHECK(f.alive == 0);
    CHECK(workload.status().state == State::removed);
    CHECK(workload.wait().exit_code == 3);
}

TEST_CASE("success has no reason") {
    Fixture f;
    const Outcome outcome =
        f.make([](const Run::LineSink&, const std::stop_token&) { return RunEnd{}; }).wait();
    CHECK(outcome.state == State::succeeded);
    CHECK(outcome.reason.empty());
}

TEST_CASE(
    "a follower's stop leaves it running; remove, the session's stop and the last handle end it") {
    Fixture f;
    {
        Workload workload = f.make(until_stopped);
        std::stop_source source;
        source.request_stop();
        CHECK_THROWS_AS(workload.follow({}, source.get_token()), Cancelled);
        CHECK(workload.status().state == State::running);
        const Workload copy = workload;
        workload = {};
        CHECK(copy.status().state == State::running);
        copy.remove();
        CHECK(copy.status().state == State::removed);
        CHECK(copy.status().exit_code == 143);
    }
    {
        std::stop_source session;
        const Workload workload = f.make(until_stopped, session.get_token());
        session.request_stop();
        const Outcome outcome = workload.wait();
        CHECK(outcome.reason == "killed by signal 15 (SIGTERM)");
        CHECK(outcome.tail.back() == "stopped");
    }
    { const Workload dropped = f.make(until_stopped); }
    CHECK(f.alive == 0);
}

TEST_CASE("a sink that throws reaches its caller and harms nobody else") {
    Fixture f;
    const Workload workload = f.make([](const Run::LineSink& sink, const std::stop_token&) {
        sink("a");
        return RunEnd{};
    });
    CHECK_THROWS_AS(workload.follow([](OutputLine) { throw std::runtime_error{"mine"}; }),
                    std::runtime_error);
    CHECK(workload.wait().state == State::succeeded);
}

TEST_CASE("a run that can not be followed is ended, and its error reaches the follower") {
    Fixture f;
    const Workload workload = f.make([](const Run::LineSink&, const std::stop_token&) -> RunEnd {
        throw Error{ErrorCode::internal,
                    {.attempted = "keep output", .answer = "No space left on device"}};
    });
    CHECK_THROWS_WITH_AS(workload.wait(), "cannot keep output: No space left on device", Error);
    CHECK(f.alive == 0);
    CHECK(workload.status().state == State::failed);
}

TEST_CASE("followers and a remover at once") {
    Fixture f;
    const Workload workload = f.make(until_stopped);
    std::vector<std::jthread> threads;
    for (int i = 0; i < 3; ++i) {
        threads.emplace_back([&workload] { workload.wait(); });
        threads.emplace_back([&workload] { workload.remove(); });
    }
    threads.clear();
    CHECK(f.alive == 0);
}
