#include "fairing/deployers/google/job_workload.hpp"

#include <doctest/doctest.h>

#include <array>

using namespace fairing;

TEST_CASE("what a service says of a job: its state, its words, the program's code") {
    constexpr std::array<google::JobState, 2> states{
        {{"DONE", State::succeeded}, {"BAD", State::failed, "the job failed"}}};
    const auto outcome = [&](const Json& job) { return google::outcome_of(states, job); };
    CHECK(outcome({{"state", "DONE"}}).state == State::succeeded);
    CHECK(outcome({{"state", "NEW_ONE"}}).state == State::pending);
    CHECK(outcome(Json::object()).state == State::pending);
    CHECK(outcome({{"state", "BAD"}}).reason == "the job failed");
    CHECK(outcome({{"state", "BAD"}}).exit_code == 0);
    const Outcome failed =
        outcome({{"state", "BAD"},
                 {"error", {{"message", "master exited with a non-zero status of 137.\nBye"}}}});
    CHECK(failed.reason == "the job failed: master exited with a non-zero status of 137.?Bye");
    CHECK(failed.exit_code == 137);
    CHECK(outcome({{"state", "BAD"}, {"errorMessage", "non-zero status of x"}}).exit_code == 0);
}
