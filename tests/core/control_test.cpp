#include "fairing/core/control.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <thread>
#include <vector>

using namespace fairing;
using namespace std::chrono_literals;

TEST_CASE("an empty control is silent and never stopped") {
    const Control control;
    control.say(Level::error, "nobody hears it");
    control.show({.step = "s"});
    CHECK_NOTHROW(control.check("work"));
    const auto before = std::chrono::system_clock::now();
    CHECK(control.now() >= before);
}

TEST_CASE("a stop is thrown as Cancelled and names what was going on") {
    std::stop_source source;
    const Control control{.stop = source.get_token()};
    CHECK_NOTHROW(control.check("push image"));
    source.request_stop();
    CHECK_THROWS_WITH_AS(control.check("push image"), "cannot push image: stopped on request",
                         Cancelled);
}

TEST_CASE("records, progress and the clock go where they are sent") {
    std::vector<std::string> said;
    std::vector<std::uint64_t> shown;
    const std::chrono::system_clock::time_point noon{12h};
    const Control control{.log = [&](LogRecord record) { said.push_back(record.text); },
                          .progress = [&](const Progress& p) { shown.push_back(p.done); },
                          .clock = [noon] { return noon; }};
    control.say(Level::info, "hello");
    control.show({.done = 7});
    CHECK(said == std::vector<std::string>{"hello"});
    CHECK(shown == std::vector<std::uint64_t>{7});
    CHECK(control.now() == noon);
}

TEST_CASE("what a tame log throws is dropped") {
    int said = 0;
    const Control control{.log = [&said](const LogRecord&) {
        ++said;
        throw Error{ErrorCode::internal, {.attempted = "log"}};
    }};
    CHECK_THROWS_AS(control.say(Level::info, "a"), Error);
    CHECK_NOTHROW(control.with_tame_log().say(Level::info, "b"));
    CHECK(said == 2);
    CHECK_NOTHROW(Control{}.with_tame_log().say(Level::info, "c"));
}

TEST_CASE("sleep takes its time, unless stopped") {
    std::stop_source source;
    const Control control{.stop = source.get_token()};
    auto start = std::chrono::steady_clock::now();
    control.sleep(30ms);
    CHECK(std::chrono::steady_clock::now() - start >= 30ms);
    start = std::chrono::steady_clock::now();
    const std::jthread later{[&source] {
        std::this_thread::sleep_for(20ms);
        source.request_stop();
    }};
    control.sleep(60s);
    CHECK(std::chrono::steady_clock::now() - start < 30s);
}

TEST_CASE(
    "a serialized sink is called by one thread at a time, with no lock held, and loses nothing") {
    std::atomic<int> inside{0};
    std::atomic<bool> overlapped{false};
    int count = 0;
    std::function<void(int)> sink;
    sink = serialized<int>([&](int value) {
        overlapped = overlapped || ++inside != 1;
        ++count;
        --inside;
        if (value == 0) {
            sink(1);  // from within: queued, not a deadlock
        }
    });
    {
        std::vector<std::jthread> threads;
        for (int t = 0; t < 4; ++t) {
            threads.emplace_back([&sink] {
                for (int i = 0; i < 500; ++i) {
                    sink(i);
                }
            });
        }
    }
    CHECK_FALSE(overlapped);
    CHECK(count == 4 * 501);
}

TEST_CASE("what a serialized sink throws reaches the caller, and the next call works") {
    int count = 0;
    const auto sink = serialized<int>([&count](int value) {
        ++count;
        if (value < 0) {
            throw Error{ErrorCode::input, {.attempted = "a"}};
        }
    });
    CHECK_THROWS_AS(sink(-1), Error);
    CHECK_NOTHROW(sink(1));
    CHECK(count == 2);
    CHECK_FALSE(serialized<int>({}));
}
