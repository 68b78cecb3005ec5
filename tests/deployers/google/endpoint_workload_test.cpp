#include "fairing/deployers/google/endpoint_workload.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <future>

#include "../../support/google_site.hpp"

using namespace fairing;
using support::contains;
using support::error_of;
using support::GoogleSite;

TEST_CASE("what was made is undone in the reverse order, and a step that fails is said") {
    GoogleSite site;
    const google::Client client = site.client();
    std::string done;
    const auto step = [&done](const char* name) {
        return [&done, name](const google::Client&) { done += name; };
    };
    {
        google::Undo undo{client};
        undo.add(step("a"));
        undo.add([](const google::Client&) {
            throw Error{ErrorCode::denied, {.attempted = "remove", .subject = "b"}};
        });
        undo.add(step("c"));
        undo.amend(step("C"));
    }
    CHECK(done == "Ca");
    CHECK(site.times_said("cannot remove b") == 1);
    {
        google::Undo undo{client};
        undo.add(step("kept"));
        CHECK(undo.keep().size() == 1);
    }
    CHECK(done == "Ca");
}

TEST_CASE("rows alone are instances") {
    CHECK(google::instances_of({{1, 37}}, "it") == Json{{"instances", {{1, 37}}}});
    const Json whole{{"instances", {1}}, {"parameters", {{"top", 3}}}};
    CHECK(google::instances_of(whole, "it") == whole);
    for (const Json& wrong : {Json{{"rows", 1}}, Json("text"), Json(7)}) {
        CHECK(contains(error_of([&] { (void)google::instances_of(wrong, "it"); }),
                       "cannot ask it: a request is an object with \"instances\""));
    }
}

namespace {

/// An endpoint that is there.
struct Site : GoogleSite {
    State state = State::ready;  ///< what it says of itself

    Site() { server.resources[place + "/endpoints/e-1"] = Json::object(); }
    [[nodiscard]] google::EndpointWorkload endpoint(std::vector<google::Undo::Step> undo = {}) {
        return {client(),
                {.url = root + place + "/endpoints/e-1",
                 .operation = {{"done", true}},
                 .state = [this](const Json&) { return Outcome{.state = state}; },
                 .undo = std::move(undo)}};
    }
};

}  // namespace

TEST_CASE("nobody waits for a look that takes long, and what it saw is not the last word") {
    Site site;
    std::atomic<int> looks{0};
    std::promise<void> reached, released;
    site.server.on_request = [&](const support::GoogleRequest&) {
        if (looks++ == 0) {
            reached.set_value();
            released.get_future().wait();
        }
    };
    google::EndpointWorkload endpoint = site.endpoint();
    auto slow = std::async(std::launch::async, [&] { return endpoint.poll({}).state; });
    reached.get_future().wait();
    auto others = std::async(std::launch::async, [&] {
        const State before = endpoint.poll({}).state;
        endpoint.remove({});
        return before;
    });
    const bool is_free = others.wait_for(std::chrono::minutes{1}) == std::future_status::ready;
    released.set_value();
    CHECK(is_free);
    CHECK(others.get() == State::ready);
    CHECK(slow.get() == State::removed);
    CHECK(endpoint.poll({}).state == State::removed);
}

TEST_CASE("what is being removed has not failed; a removal that fails can be tried again") {
    Site site;
    std::vector<State> seen;
    bool is_locked = true;
    google::EndpointWorkload* removed = nullptr;
    google::EndpointWorkload endpoint = site.endpoint({[&](const google::Client&) {
        site.state = State::failed;  // its model is gone already
        seen.push_back(removed->poll({}).state);
        if (is_locked) {
            throw Error{ErrorCode::denied, {.attempted = "remove"}};
        }
    }});
    removed = &endpoint;
    CHECK(endpoint.poll({}).state == State::ready);
    CHECK_THROWS_AS(endpoint.remove({}), Error);
    CHECK(endpoint.poll({}).state == State::failed);
    is_locked = false;
    endpoint.remove({});
    CHECK(endpoint.poll({}).state == State::removed);
    CHECK(seen == std::vector<State>{State::pending, State::pending});
    endpoint.remove({});
    CHECK(seen.size() == 2);
}

TEST_CASE("a second removal waits for the first, unless it is stopped; a sink may call one") {
    Site site;
    std::promise<void> reached, released;
    google::EndpointWorkload* removed = nullptr;
    int undone = 0;
    google::EndpointWorkload endpoint = site.endpoint({[&](const google::Client&) {
        removed->remove({});  // as a log sink may do
        reached.set_value();
        released.get_future().wait();
        ++undone;
    }});
    removed = &endpoint;
    auto first = std::async(std::launch::async, [&] { endpoint.remove({}); });
    reached.get_future().wait();
    std::stop_source stopping;
    auto stopped = std::async(std::launch::async, [&] { endpoint.remove(stopping.get_token()); });
    stopping.request_stop();
    const bool obeys = stopped.wait_for(std::chrono::minutes{1}) == std::future_status::ready;
    auto second = std::async(std::launch::async, [&] {
        endpoint.remove({});
        return undone;
    });
    released.set_value();
    CHECK(obeys);
    CHECK_THROWS_AS(stopped.get(), Cancelled);
    CHECK(second.get() == 1);
    first.get();
    CHECK(endpoint.poll({}).state == State::removed);
}
