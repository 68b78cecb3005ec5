#include "fairing/deployers/serving/endpoint_workload.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <functional>
#include <future>
#include <thread>

#include "../../support/memory_api.hpp"
#include "../../support/workspace.hpp"

using namespace fairing;
using kubernetes::EndpointAddress;
using kubernetes::EndpointHabits;
using kubernetes::EndpointWorkload;

namespace {

/// Where the endpoint of these tests is said to be.
EndpointAddress the_address;

/// A Job of the server in memory, as an endpoint whose status says what it is.
constexpr kubernetes::EndpointKind test_kind{
    .api_version = "batch/v1",
    .kind = "Job",
    .diagnose =
        [](const Json& object, const std::vector<Json>&, const std::vector<Json>&) {
            const std::string said = kube::text(object, {"status", "said"});
            return kube::Diagnosis{.phase = said == "ready"    ? kube::Phase::succeeded
                                            : said == "broken" ? kube::Phase::failed
                                                               : kube::Phase::pending,
                                   .reason = said == "ready" ? "" : said};
        },
    .pod_selector = [](const Json&) { return std::string{"fairing-id=r"}; },
    .target = [](const Json&) { return PredictTarget{.protocol = PredictProtocol::v1}; },
    .locate = [](const kube::Client&, const Json&) { return the_address; }};

/// Answers whatever goes past the API server.
struct Wire {
    net::Request seen = {};
    net::Response send(const net::Request& request, const net::BodySink&, std::stop_token) {
        seen = request;
        return {.status = 200, .body = R"({"predictions": [1]})"};
    }
};

struct Place {
    support::MemoryApi api = {};
    Wire wire = {};
    std::vector<std::string> said = {};
    std::function<void()> when_said = {};

    Place() {
        the_address = {.inside = "http://s.team.svc.cluster.local:80",
                       .service = {"v1", "Service", "team", "s"},
                       .service_port = "80"};
        tell("starting");
    }
    void tell(const char* status) {
        api.put({{"apiVersion", "batch/v1"},
                 {"kind", "Job"},
                 {"metadata",
                  {{"name", "s"}, {"namespace", "team"}, {"labels", {{"fairing-id", "r"}}}}},
                 {"status", {{"said", status}}}});
    }
    void hear(const LogRecord& record) {
        if (record.level != Level::debug) {
            said.push_back(record.text);
            if (when_said) {
                when_said();
            }
        }
    }
    [[nodiscard]] std::shared_ptr<EndpointWorkload> model(EndpointHabits habits = {},
                                                          const char* context = "one") {
        habits.transport = std::ref(wire);
        const kube::Client client{
            {.server = "https://k.example", .namespace_ = "team", .context = context},
            std::ref(api),
            {.log = [this](LogRecord record) { hear(record); }}};
        return std::make_shared<EndpointWorkload>(client, test_kind, *api.get("Job", "s"),
                                                  std::vector<kube::ObjectKey>{}, habits);
    }
};

}  // namespace

TEST_CASE("requests take the way that there is from here") {
    Place place;
    const Json rows = Json::array({Json::array({1})});
    // Outside: through the API server.
    place.api.intercept([](const std::string& request) -> std::optional<net::Response> {
        if (request == "GET /api/v1") {
            return net::Response{.status = 200, .body = R"({"kind": "APIResourceList", "resources":
                [{"name": "services", "kind": "Service", "namespaced": true}]})"};
        }
        if (!request.starts_with("POST")) {
            return std::nullopt;
        }
        CHECK(request ==
              "POST /api/v1/namespaces/team/services/s%3A80/proxy/v1/models/model:predict");
        return net::Response{.status = 200, .body = R"({"predictions": [2]})"};
    });
    CHECK(place.model()->url() == "http://s.team.svc.cluster.local:80/v1/models/model:predict");
    CHECK(place.model()->call(rows, {})["predictions"][0] == 2);
    // In the cluster: straight to the Service.
    CHECK(place.model({}, "in-cluster")->call(rows, {})["predictions"][0] == 1);
    CHECK(place.wire.seen.url == "http://s.team.svc.cluster.local:80/v1/models/model:predict");
    CHECK(place.wire.seen.deadline == std::chrono::seconds{60});
    // Where everybody reaches it: straight there, too.
    the_address.outside = "http://203.0.113.7";
    the_address.is_public = true;
    CHECK(place.model()->call(rows, {})["predictions"][0] == 1);
    CHECK(place.wire.seen.url == "http://203.0.113.7/v1/models/model:predict");
    the_address.missing = "no address yet";
    CHECK(place.model()->url().empty());
    CHECK(support::contains(support::error_of([&] { (void)place.model()->call(rows, {}); }),
                            "no address yet; fairing wait s"));
    const auto gone = place.model();
    place.api.remove("Job", "s");
    CHECK(support::contains(support::error_of([&] { (void)gone->call(rows, {}); }), "it is gone"));
    CHECK(gone->url().empty());
}

TEST_CASE("it is followed until it is ready, broken, late or gone") {
    Place place;
    const auto model = place.model();
    CHECK(model->poll({}).state == State::pending);
    place.when_said = [&place] { place.tell("ready"); };
    CHECK(model->follow({}, {}).state == State::ready);
    place.when_said = {};
    REQUIRE(place.said.size() == 1);
    CHECK(place.said[0] == "starting");
    CHECK(model->poll({}).state == State::ready);

    the_address.missing = "no address yet";
    CHECK(model->poll({}).state == State::running);
    const Outcome late = place.model({.address_timeout = std::chrono::seconds{0}})->follow({}, {});
    CHECK(late.state == State::failed);
    CHECK(late.reason == "no address yet; nothing came within 0 s");
    std::stop_source stop;
    std::jthread stopper{[&] {
        std::this_thread::sleep_for(std::chrono::milliseconds{200});
        stop.request_stop();
    }};
    CHECK_THROWS_AS(model->follow({}, stop.get_token()), Cancelled);

    place.tell("broken");
    CHECK(model->follow({}, {}).reason == "broken");
    CHECK(place.api.get("Job", "s"));
    CHECK(place.model({.cleanup = Cleanup::when_done})->follow({}, {}).state == State::failed);
    CHECK_FALSE(place.api.get("Job", "s"));
    CHECK(model->poll({}).state == State::removed);
    const Outcome gone = model->follow({}, {});
    CHECK(gone.state == State::failed);
    CHECK(gone.reason == "Job team/s was deleted");
    CHECK_NOTHROW(model->remove({}));
}

TEST_CASE("an edit is taken back, and nothing is removed") {
    Place place;
    int undone = 0;
    place.tell("broken");
    const auto model = place.model(
        {.cleanup = Cleanup::when_done, .undo = [&undone](const kube::Client&) { ++undone; }});
    CHECK(model->follow({}, {}).state == State::failed);
    CHECK(undone == 1);
    model->remove({});
    CHECK(undone == 2);
    CHECK(place.api.get("Job", "s"));
}

TEST_CASE("a following does not wait for the events that another one asks for") {
    Place place;
    std::promise<void> second, released;
    std::atomic<int> asked{0};
    place.api.intercept([&](const std::string& request) -> std::optional<net::Response> {
        const int before = support::contains(request, "/events?") ? asked++ : 2;
        if (before == 0) {
            released.get_future().wait();
        } else if (before == 1) {
            second.set_value();
        }
        return std::nullopt;
    });
    const auto model = place.model();
    const auto follow = [&model] { return model->follow({}, {}).state; };
    auto one = std::async(std::launch::async, follow);
    auto other = std::async(std::launch::async, follow);
    CHECK(second.get_future().wait_for(std::chrono::minutes{1}) == std::future_status::ready);
    released.set_value();
    place.tell("ready");
    CHECK(one.get() == State::ready);
    CHECK(other.get() == State::ready);
}
