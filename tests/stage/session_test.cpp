#include "fairing/stage/session.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <thread>
#include <vector>

using namespace fairing;

TEST_CASE("an empty session is silent and can not be stopped") {
    const Session session;
    CHECK_FALSE(session.control().stop.stop_possible());
    CHECK_NOTHROW(session.control().say(Level::error, "nobody hears it"));
    CHECK_NOTHROW(session.control().check("do it"));
}

TEST_CASE("an ordered session calls its sinks one at a time, with every line") {
    std::atomic<int> inside = 0;
    std::atomic<bool> overlapped = false;
    int lines = 0;
    const Session plain{.output = [&](const OutputLine&) {
        overlapped = overlapped || ++inside != 1;
        ++lines;
        --inside;
    }};
    const Session session = plain.ordered();
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < 4; ++i) {
            threads.emplace_back([&session] {
                for (int line = 0; line < 1000; ++line) {
                    session.output({.text = "x"});
                }
            });
        }
    }
    CHECK_FALSE(overlapped);
    CHECK(lines == 4000);
}

TEST_CASE("a sink may call itself through the session, and what it throws reaches the caller") {
    std::vector<std::string> seen;
    Session session;
    session.log = [&](const LogRecord& record) {
        seen.push_back(record.text);
        if (record.text == "first") {
            session.log({.text = "second"});
        }
        if (record.text == "bad") {
            throw std::runtime_error{"full"};
        }
    };
    session = session.ordered();
    session.log({.text = "first"});
    CHECK(seen == std::vector<std::string>{"first", "second"});
    CHECK_THROWS_AS(session.log({.text = "bad"}), std::runtime_error);
    session.log({.text = "after"});
    CHECK(seen.back() == "after");
}
