#include "fairing/pipeline.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <thread>

#include "fairing/stage/any.hpp"

using namespace fairing;

namespace {

struct Trace {
    std::vector<std::string> steps = {};
    Outcome outcome = {.state = State::succeeded};
    BuildFigures figures = {};
    bool stop_while_following = false;
};

struct Prepare {
    Trace* trace;
    Context prepare(const Session&) const {
        trace->steps.emplace_back("prepare");
        return {.command = {"python3"}};
    }
};
struct Build {
    Trace* trace;
    Image build(const Context& context, const Session&) const {
        trace->steps.push_back("build " + context.command.at(0));
        return {.reference = "image", .figures = trace->figures};
    }
};
struct Handle : Workload::Model {
    Trace* trace = nullptr;
    ObjectName name() const override { return {.kind = "Test", .name = "w"}; }
    Outcome poll(std::stop_token) override { return trace->outcome; }
    Outcome follow(const OutputSink& sink, std::stop_token) override {
        trace->steps.emplace_back("follow");
        if (sink) {
            sink({.text = "hello"});
        }
        if (trace->stop_while_following) {
            throw Cancelled{ErrorCode::cancelled, {.attempted = "follow"}};
        }
        return trace->outcome;
    }
    void remove(std::stop_token) override { trace->steps.emplace_back("remove"); }
};
struct Deploy {
    Trace* trace;
    Workload deploy(const Image& image, const Session&) const {
        trace->steps.push_back("deploy " + image.reference);
        auto handle = std::make_shared<Handle>();
        handle->trace = trace;
        return Workload{handle};
    }
};
/// Refuses its own options.
struct RefusingDeploy : Deploy {
    void check() const {
        trace->steps.emplace_back("check");
        throw Error{ErrorCode::usage, {.attempted = "use name", .subject = "A"}};
    }
};
using Steps = std::vector<std::string>;
template <class T>
concept Runs = requires(const T& pipeline) {
    pipeline.run();
    pipeline.start();
};

}  // namespace

TEST_CASE("run goes through the stages in order and gives the lines to the session") {
    Trace trace;
    std::string lines;
    const Fairing pipeline{Prepare{&trace}, Build{&trace}, Deploy{&trace}};
    const Workload workload =
        pipeline.run({.output = [&lines](const OutputLine& line) { lines += line.text; }});
    CHECK(trace.steps == Steps{"prepare", "build python3", "deploy image", "follow"});
    CHECK(lines == "hello");
    CHECK(workload.object().name == "w");
}

TEST_CASE("the log names the image, with what it cost where that was measured, and the workload") {
    Trace trace;
    std::string said;
    const Session session{.log = [&said](const LogRecord& record) {
        CHECK(record.level == Level::info);
        said += record.text + '\n';
    }};
    const Fairing pipeline{Prepare{&trace}, Build{&trace}, Deploy{&trace}};
    pipeline.run(session);
    CHECK(said == "image image\nTest w started\n");
    trace.figures = {.build_seconds = 0.25, .push_seconds = 0.5, .bytes_read = 1200};
    said.clear();
    (void)pipeline.start(session);
    CHECK(said == "image image: 0 files, 1.20 kB read, 0 B sent in 0.75 s\nTest w started\n");
    said.clear();
    (void)pipeline.build(session);
    CHECK(said == "image image: 0 files, 1.20 kB read, 0 B sent in 0.75 s\n");
}

TEST_CASE("start lets go") {
    Trace trace;
    const Workload workload = Fairing{Prepare{&trace}, Build{&trace}, Deploy{&trace}}.start();
    CHECK(static_cast<bool>(workload));
    CHECK(trace.steps == Steps{"prepare", "build python3", "deploy image"});
}

TEST_CASE("what the deployer refuses is refused before anything is built") {
    Trace trace;
    const Fairing pipeline{Prepare{&trace}, Build{&trace}, RefusingDeploy{{&trace}}};
    CHECK_THROWS_AS(pipeline.run(), Error);
    CHECK_THROWS_AS((void)pipeline.start(), Error);
    const Fairing chosen{Prepare{&trace}, Build{&trace}, AnyDeployer{RefusingDeploy{{&trace}}}};
    CHECK_THROWS_AS(chosen.run(), Error);
    CHECK(trace.steps == Steps{"check", "check", "check"});
    CHECK_NOTHROW(AnyDeployer{Deploy{&trace}}.check());
}

TEST_CASE("without a third stage there is build and no run") {
    Trace trace;
    const Fairing pipeline{Prepare{&trace}, Build{&trace}};
    CHECK(pipeline.build().reference == "image");
    CHECK(pipeline.prepare().command == Steps{"python3"});
    static_assert(!Runs<decltype(pipeline)> && Runs<Fairing<Prepare, Build, Deploy>>);
}

TEST_CASE("a failed workload is a WorkloadError, and stays") {
    Trace trace;
    trace.outcome = {
        .state = State::failed, .exit_code = 7, .reason = "exited with 7", .tail = {"last"}};
    const Fairing pipeline{Prepare{&trace}, Build{&trace}, Deploy{&trace}};
    try {
        pipeline.run();
        FAIL("no error");
    } catch (const WorkloadError& error) {
        CHECK(error.outcome().exit_code == 7);
        CHECK(error.outcome().tail == Steps{"last"});
        CHECK(std::string{error.what()} == "cannot run w: exited with 7");
    }
    CHECK(trace.steps.back() == "follow");
}

TEST_CASE("a stop while following removes the workload") {
    Trace trace;
    trace.stop_while_following = true;
    CHECK_THROWS_AS((Fairing{Prepare{&trace}, Build{&trace}, Deploy{&trace}}.run()), Cancelled);
    CHECK(trace.steps.back() == "remove");
}

TEST_CASE("a stop before building builds nothing") {
    Trace trace;
    std::stop_source source;
    source.request_stop();
    CHECK_THROWS_AS(
        (Fairing{Prepare{&trace}, Build{&trace}, Deploy{&trace}}.run({.stop = source.get_token()})),
        Cancelled);
    CHECK(trace.steps == Steps{"prepare"});
}

TEST_CASE("a sink that throws ends the run with its exception, and the workload is removed") {
    Trace trace;
    const Session session{
        .output = [](const OutputLine&) { throw std::runtime_error{"disk full"}; }};
    CHECK_THROWS_WITH_AS((Fairing{Prepare{&trace}, Build{&trace}, Deploy{&trace}}.run(session)),
                         "disk full", std::runtime_error);
    CHECK(trace.steps.back() == "remove");
}

TEST_CASE("a log that throws when the workload has started ends the start, and it is removed") {
    Trace trace;
    const Session session{.log = [](const LogRecord& record) {
        if (record.text.ends_with("started")) {
            throw std::runtime_error{"disk full"};
        }
    }};
    CHECK_THROWS_WITH_AS(
        (void)(Fairing{Prepare{&trace}, Build{&trace}, Deploy{&trace}}.start(session)), "disk full",
        std::runtime_error);
    CHECK(trace.steps == Steps{"prepare", "build python3", "deploy image", "remove"});
}

TEST_CASE("in the job itself nothing is launched") {
    Trace trace;
    ::setenv("FAIRING_RUNTIME", "1", 1);
    std::string logged;
    const Fairing pipeline{Prepare{&trace}, Build{&trace}, Deploy{&trace}};
    const Session session{.log = [&logged](const LogRecord& record) { logged += record.text; }};
    CHECK_FALSE(static_cast<bool>(pipeline.run(session)));
    CHECK_FALSE(static_cast<bool>(pipeline.start(session)));
    ::unsetenv("FAIRING_RUNTIME");
    CHECK(trace.steps.empty());
    CHECK(logged.find("nothing is launched") != std::string::npos);
}

TEST_CASE("one launcher serves several threads") {
    std::vector<Trace> traces(4);
    std::vector<std::jthread> threads;
    for (Trace& trace : traces) {
        threads.emplace_back([&trace] {
            Fairing{Prepare{&trace}, Build{&trace}, Deploy{&trace}}.run();
        });
    }
    threads.clear();
    for (const Trace& trace : traces) {
        CHECK(trace.steps.size() == 4);
    }
}
