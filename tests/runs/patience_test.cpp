#include "fairing/runs/patience.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "../support/workspace.hpp"

using namespace fairing;
using std::chrono::milliseconds;

namespace {

/// A run whose looks are played: 'u' and 't' are out of reach, 'd' is denied, the others states.
struct Played {
    std::string looks;
    support::Log log = {};
    std::string seen = {};  ///< what was known after each look

    [[nodiscard]] Outcome follow(std::stop_token stop = {}) {
        std::size_t next = 0;
        Control control = log.control();
        control.stop = std::move(stop);
        return detail::follow_patiently(control,
                                        {.subject = "run 7",
                                         .first_pause = milliseconds{1},
                                         .look = [&] { return look(looks.at(next++)); },
                                         .meanwhile = [&](State state) { seen += letter(state); }});
    }

private:
    static Outcome look(char what) {
        switch (what) {
            case 'u':
                throw Error{ErrorCode::unavailable, {.attempted = "look at", .subject = "it"}};
            case 't':
                throw Error{ErrorCode::timeout, {.attempted = "look at", .subject = "it"}};
            case 'd':
                throw Error{ErrorCode::denied, {.attempted = "see"}};
            case 'c':
                throw Cancelled{ErrorCode::cancelled, {.attempted = "see"}};
            case 'r':
                return {.state = State::running};
            case 's':
                return {.state = State::succeeded};
            default:
                return {.state = State::failed, .reason = "it broke"};
        }
    }
    static char letter(State state) {
        return state == State::pending ? 'p' : state == State::running ? 'r' : 's';
    }
};

}  // namespace

TEST_CASE("pauses grow by half, to twenty times the first, and begin anew after a change") {
    detail::Pace pace{milliseconds{1000}};
    std::vector<long> pauses;
    for (int i = 0; i < 10; ++i) {
        pauses.push_back(pace.next().count());
    }
    CHECK(pauses ==
          std::vector<long>{1000, 1501, 2252, 3379, 5069, 7604, 11407, 17111, 20000, 20000});
    pace.restart();
    CHECK(pace.next() == milliseconds{1000});
}

TEST_CASE("a run is looked at until its end, and what is known in between is told") {
    Played run{.looks = "uurtrs"};
    CHECK(run.follow().state == State::succeeded);
    CHECK(run.seen == "pprrrs");
    CHECK(run.log.lines.size() == 3);
    Played broken{.looks = "rf"};
    CHECK(broken.follow().reason == "it broke");
}

TEST_CASE("what is out of reach for a while is said, and for too long is the error") {
    Played run{.looks = std::string(19, 'u') + 'r' + std::string(19, 't') + 's'};
    CHECK(run.follow().state == State::succeeded);
    CHECK(run.log.lines == std::vector<std::string>(38, "cannot look at it"));
    Played away{.looks = std::string(21, 'u')};
    CHECK(support::error_of([&] { (void)away.follow(); }) == "cannot look at it");
    CHECK(away.log.lines.size() == 19);
}

TEST_CASE("a refusal, and a stop, end the looking at once") {
    Played refused{.looks = "rd"};
    CHECK(support::error_of([&] { (void)refused.follow(); }) == "cannot see");
    Played stopped{.looks = "rc"};
    CHECK_THROWS_AS((void)stopped.follow(), Cancelled);
    std::stop_source stop;
    stop.request_stop();
    Played asleep{.looks = "rr"};
    CHECK(support::error_of([&] { (void)asleep.follow(stop.get_token()); }) ==
          "cannot follow run 7: stopped on request");
    CHECK(asleep.seen == "r");
    CHECK(refused.log.lines.empty());
}
