#include "fairing/stage/workload.hpp"

#include <doctest/doctest.h>

using namespace fairing;

namespace {

struct Recorder : Workload::Model {
    int removed = 0;
    bool broken = false;
    ObjectName name() const override { return {.kind = "Test", .name = "one"}; }
    Outcome poll(std::stop_token) override { return {.state = State::running}; }
    Outcome follow(const OutputSink& sink, std::stop_token) override {
        if (sink) {
            sink({.text = "line"});
        }
        return {.state = State::succeeded};
    }
    void remove(std::stop_token) override {
        ++removed;
        if (broken) {
            throw Error{ErrorCode::unavailable, {.attempted = "remove", .subject = "one"}};
        }
    }
    std::string url() const override { return "http://one"; }
    Json call(const Json& input, std::stop_token) override { return {{"echo", input}}; }
};

}  // namespace

TEST_CASE("an empty handle does nothing") {
    const Endpoint none;
    CHECK_FALSE(static_cast<bool>(none));
    CHECK(none.status().state == State::none);
    CHECK(none.wait().state == State::none);
    CHECK(none.url().empty());
    CHECK(none.object().name.empty());
    CHECK_NOTHROW(none.remove());
}

TEST_CASE("copies name the same thing; as a Workload an Endpoint loses nothing") {
    const auto model = std::make_shared<Recorder>();
    const Endpoint endpoint{model};
    const Workload plain = endpoint;
    plain.remove();
    CHECK(model->removed == 1);
    CHECK(endpoint.predict(1)["echo"] == 1);
    CHECK(plain.object().name == "one");
    std::string seen;
    CHECK(plain.follow([&seen](const OutputLine& line) { seen += line.text; }).state ==
          State::succeeded);
    CHECK(seen == "line");
}

TEST_CASE("what answers nothing says so") {
    struct Silent : Workload::Model {
        ObjectName name() const override { return {.kind = "Job", .name = "train"}; }
        Outcome poll(std::stop_token) override { return {}; }
        Outcome follow(const OutputSink&, std::stop_token) override { return {}; }
        void remove(std::stop_token) override {}
    };
    const Endpoint endpoint{Workload{std::make_shared<Silent>()}};
    CHECK(endpoint.url().empty());
    CHECK_THROWS_WITH_AS((void)endpoint.predict(1),
                         "cannot ask Job train: it is no endpoint, and answers no requests", Error);
}

TEST_CASE("RemoveOnExit removes once, unless kept, and reports a failure to the log") {
    const auto model = std::make_shared<Recorder>();
    { const RemoveOnExit guard{Workload{model}}; }
    CHECK(model->removed == 1);
    {
        RemoveOnExit guard{Workload{model}};
        guard.keep();
    }
    CHECK(model->removed == 1);
    {
        RemoveOnExit first{Workload{model}};
        const RemoveOnExit second{std::move(first)};
    }
    CHECK(model->removed == 2);
    model->broken = true;
    std::string logged;
    {
        const RemoveOnExit guard{Workload{model},
                                 [&logged](const LogRecord& record) { logged = record.text; }};
    }
    CHECK(logged == "cannot remove one");
}

TEST_CASE("a workload error carries the outcome") {
    const WorkloadError error{{.attempted = "run", .subject = "x", .answer = "exited with 3"},
                              {.state = State::failed, .exit_code = 3, .tail = {"a", "b"}}};
    const WorkloadError copy = error;
    CHECK(copy.outcome().exit_code == 3);
    CHECK(copy.code() == ErrorCode::workload_failed);
    CHECK(std::string{copy.what()} == "cannot run x: exited with 3");
}
