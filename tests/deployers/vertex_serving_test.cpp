#include "fairing/deployers/vertex_serving.hpp"

#include <doctest/doctest.h>

#include "../support/google_site.hpp"

using namespace fairing;
using support::contains;
using support::error_of;
using support::GoogleSite;

namespace {

const std::string& place = GoogleSite::place;

VertexServingDeployer small_service() { return {.google = GoogleSite::options("houses")}; }

}  // namespace

TEST_CASE("every option of a served model is where Vertex AI reads it") {
    VertexServingDeployer deployer = small_service();
    deployer.google.run_id = "run-1";
    deployer.machine = {.machine_type = "n1-standard-4",
                        .accelerator_type = "NVIDIA_TESLA_T4",
                        .accelerator_count = 2};
    deployer.endpoint_name = "prices";
    deployer.artifact_uri = "gs://bucket/model";
    deployer.container_port = 5000;
    deployer.predict_route = "/predict";
    deployer.health_route = "/ready";
    deployer.min_replica_count = 2;
    deployer.max_replica_count = 5;
    deployer.service_account = "serve@proj-1";
    deployer.environment = {{"DEPTH", "3"}};
    deployer.model_config = {{"description", "prices of houses"}};
    deployer.deploy_config = {{"enableAccessLogging", true}};
    const std::vector<Json> bodies = deployer.manifests(GoogleSite::image(), {});
    REQUIRE(bodies.size() == 3);
    const Json labels{{"fairing-id", "run-1"}, {"fairing-deployer", "vertex-serving"}};
    CHECK(bodies[0] ==
          Json{{"modelId", "fairing-service-run-1"},
               {"model",
                {{"displayName", "houses"},
                 {"description", "prices of houses"},
                 {"labels", labels},
                 {"artifactUri", "gs://bucket/model"},
                 {"containerSpec",
                  {{"imageUri", "europe-docker.pkg.dev/proj-1/jobs/train@sha256:1234"},
                   {"command", {"python3", "/app/train.py"}},
                   {"env", Json::array({{{"name", "DEPTH"}, {"value", "3"}},
                                        {{"name", "FAIRING_RUNTIME"}, {"value", "1"}}})},
                   {"ports", Json::array({{{"containerPort", 5000}}})},
                   {"predictRoute", "/predict"},
                   {"healthRoute", "/ready"}}}}}});
    CHECK(bodies[1] == Json{{"displayName", "prices"}, {"labels", labels}});
    CHECK(bodies[2] == Json{{"deployedModel",
                             {{"id", bodies[2]["deployedModel"]["id"]},
                              {"model", place + "/models/fairing-service-run-1"},
                              {"displayName", "houses"},
                              {"enableAccessLogging", true},
                              {"serviceAccount", "serve@proj-1"},
                              {"dedicatedResources",
                               {{"machineSpec",
                                 {{"machineType", "n1-standard-4"},
                                  {"acceleratorType", "NVIDIA_TESLA_T4"},
                                  {"acceleratorCount", 2}}},
                                {"minReplicaCount", 2},
                                {"maxReplicaCount", 5}}}}},
                            {"trafficSplit", {{"0", 100}}}});
    GoogleSite site;  // which checks them
    CHECK(site.deploy(deployer).wait().state == State::ready);
    CHECK(site.server.body_of(":upload") == bodies[0]);
    CHECK(site.server.body_of(":deployModel") == bodies[2]);
    // the same run once more makes nothing
    CHECK(site.deploy(deployer).wait().state == State::ready);
    CHECK(site.server.count("POST", ":upload") == 1);
    CHECK(site.server.count("POST", "/endpoints") == 2);  // made, and deployed to
    CHECK(site.left("endpoints") == 1);
    CHECK(site.server.resources.contains(place + "/endpoints/fairing-service-run-1"));
}

TEST_CASE("a model is uploaded, deployed, asked and removed") {
    GoogleSite site;
    site.server.operation_looks = 2;
    const Endpoint endpoint = site.deploy(small_service());
    CHECK(endpoint.object().kind == "Endpoint");
    CHECK(endpoint.status().state == State::pending);
    CHECK(endpoint.wait().state == State::ready);
    CHECK(endpoint.url() == "https://us-central1-aiplatform.googleapis.com/v1/" +
                                endpoint.object().name + ":predict");
    CHECK(endpoint.predict({{1, 2}, {5, 6}}) == Json{{"predictions", {2, 10}}});
    CHECK(endpoint.predict({{"instances", {{4}}}}) == Json{{"predictions", {8}}});
    CHECK(contains(error_of([&] {
                       (void)endpoint.predict({{"rows", 1}});
                   }),
                   "a request is an object with \"instances\""));
    endpoint.remove();
    CHECK(site.left("models") == 0);
    CHECK(site.left("endpoints") == 0);
    CHECK(endpoint.status().state == State::removed);
    endpoint.remove();
    CHECK(site.server.count("POST", ":undeployModel") == 1);
}

TEST_CASE("a second model shares the endpoint, and leaves its traffic to the first") {
    GoogleSite site;
    const Endpoint first = site.deploy(small_service());
    CHECK(first.wait().state == State::ready);
    VertexServingDeployer canary = small_service();
    canary.endpoint_name = "houses";
    canary.google.name = "canary";
    canary.traffic_percent = 10;
    const Endpoint second = site.deploy(canary);
    CHECK(second.wait().state == State::ready);
    CHECK(second.object().name == first.object().name);
    const Json& split = site.server.resources[first.object().name]["trafficSplit"];
    CHECK(split.size() == 2);
    CHECK(site.server.body_of(":deployModel")["trafficSplit"]["0"] == 10);
    second.remove();
    CHECK(site.left("models") == 1);
    CHECK(split.size() == 1);
    CHECK(split.begin().value() == 100);
    CHECK(first.predict({{3}}) == Json{{"predictions", {6}}});
    first.remove();
    CHECK(site.left("endpoints") == 0);

    VertexServingDeployer alone = small_service();
    alone.traffic_percent = 10;
    CHECK(contains(error_of([&] { (void)site.deploy(alone); }),
                   "has no other model that takes the rest"));
    CHECK(site.left("models") + site.left("endpoints") == 0);
}

TEST_CASE("a run that is started again is the same one, and removes all that it made") {
    GoogleSite site;
    VertexServingDeployer deployer = small_service();
    deployer.google.run_id = "r1";
    const Endpoint first = site.deploy(deployer);
    CHECK(first.wait().state == State::ready);
    const Endpoint again = site.deploy(deployer);
    CHECK(again.wait().state == State::ready);
    CHECK(site.server.count("POST", ":deployModel") == 1);
    again.remove();
    CHECK(site.left("models") + site.left("endpoints") == 0);
}

TEST_CASE("what was made before a failure is removed") {
    const Json why{{"code", 9}, {"message", "The image has no health route."}};
    for (const char* step : {"upload", "endpoint", "deploy"}) {
        CAPTURE(step);
        GoogleSite site;
        site.server.operation_failures = {{step, why}};
        std::string said;
        try {
            said = site.deploy(small_service()).wait().reason;
        } catch (const Error& error) {
            said = error.what();
            CHECK(error.code() == ErrorCode::input);
        }
        CHECK(contains(said, ": The image has no health route."));
        CHECK(site.left("models") == 0);
        CHECK(site.left("endpoints") == 0);
    }
    GoogleSite site;
    site.server.faults = {{.where = ":deployModel", .status = 403, .reason = "Permission denied."}};
    CHECK(contains(
        error_of([&] { (void)site.deploy(small_service()); }),
        "cannot deploy model houses: 403 Forbidden: PERMISSION_DENIED: Permission denied."));
    CHECK(site.left("models") + site.left("endpoints") == 0);
}

TEST_CASE("what operations do that the service forgets is looked for") {
    GoogleSite site;
    site.server.faults = {{.where = "/operations/", .status = 404, .times = 1000}};
    bool goes_on = true;
    site.server.on_request = [&](const support::GoogleRequest& request) {
        goes_on = goes_on || request.method == "DELETE";
        if (goes_on && request.method != "POST") {
            site.server.go_on();
        }
    };
    SUBCASE("it is done") {
        const Endpoint endpoint = site.deploy(small_service());
        CHECK(endpoint.wait().state == State::ready);
        endpoint.remove();
        CHECK(site.server.count("POST", ":undeployModel") == 1);
    }
    SUBCASE("it is not, and comes to be later") {
        goes_on = false;
        const std::string said = error_of([&] { (void)site.deploy(small_service()); });
        CHECK(contains(said, "cannot upload model houses: its operation " + place +
                                 "/operations/upload1 is not known any more, and what it was to "
                                 "do is not done; try it again"));
        CHECK(site.server.count("DELETE", "/models/fairing-service-") == 1);
    }
    CHECK(site.left("models") + site.left("endpoints") == 0);
}

TEST_CASE("an endpoint is found by its whole name, whatever is in it") {
    GoogleSite site;
    VertexServingDeployer other = small_service();
    CHECK(site.deploy(other).wait().state == State::ready);
    for (const char* name : {R"(a "b" \c)", R"(x" OR display_name="houses)", R"(\)"}) {
        CAPTURE(name);
        VertexServingDeployer named = small_service();
        named.endpoint_name = name;
        const std::string made = site.deploy(named).object().name;
        CHECK(site.server.resources[made]["displayName"] == name);
        CHECK(site.deploy(named).object().name == made);
    }
    CHECK(site.left("endpoints") == 4);
}

TEST_CASE("what can not be removed is said, and the rest is removed") {
    GoogleSite site;
    site.server.operation_failures = {{"deploy", {{"code", 13}, {"message", "internal"}}}};
    site.server.faults = {{.where = "DELETE /v1/" + place + "/endpoints",
                           .status = 400,
                           .reason = "The endpoint is locked."}};
    CHECK(site.deploy(small_service()).wait().state == State::failed);
    CHECK(site.times_said("The endpoint is locked.") == 1);
    CHECK(site.left("models") == 0);
    CHECK(site.left("endpoints") == 1);
}

TEST_CASE("a lost answer makes no second model, no second endpoint and no second deployment") {
    for (const int looks : {0, 4}) {  // what is under way can not be seen yet
        CAPTURE(looks);
        GoogleSite site;
        site.server.operation_looks = looks;
        site.server.faults = {
            {.where = "models:upload", .status = 503, .is_done = true},
            {.where = "POST /v1/" + place + "/endpoints", .status = 503, .is_done = true},
            {.where = ":deployModel", .status = 503, .is_done = true}};
        // What is being made comes to be with time, whether anybody looks at its operation or not.
        site.server.on_request = [&site](const support::GoogleRequest& request) {
            if (request.method == "GET") {
                site.server.go_on();
            }
        };
        const Endpoint endpoint = site.deploy(small_service());
        CHECK(endpoint.wait().state == State::ready);
        CHECK(site.left("models") == 1);
        CHECK(site.left("endpoints") == 1);
        CHECK(site.server.resources[endpoint.object().name]["deployedModels"].size() == 1);
        endpoint.remove();
        CHECK(site.left("models") + site.left("endpoints") == 0);
    }
}

TEST_CASE("a stop while a request is obeyed undoes what came of it") {
    for (const char* part : {"models:upload", "/endpoints", ":deployModel"}) {
        CAPTURE(part);
        GoogleSite site;
        site.server.on_request = [&](const support::GoogleRequest& request) {
            if (request.method == "POST" && request.path.ends_with(part)) {
                site.stopping.request_stop();
            }
            if (request.method == "GET") {
                site.server.go_on();
            }
        };
        CHECK_THROWS_AS((void)site.deploy(small_service()), Cancelled);
        CHECK(site.left("models") + site.left("endpoints") == 0);
    }
}

TEST_CASE("a deployment that takes too long is given up, and leaves nothing") {
    GoogleSite site;
    VertexServingDeployer deployer = small_service();
    deployer.start_timeout = 1;
    std::string slow;
    SUBCASE("while the model is uploaded") { slow = "models:upload"; }
    SUBCASE("while it is deployed") {
        slow = ":deployModel";
        deployer.start_timeout = 4;  // in which it must come so far
    }
    site.server.on_request = [&](const support::GoogleRequest& request) {
        if (request.method == "POST") {
            site.server.operation_looks = request.path.ends_with(slow) ? 1000000 : 0;
        }
    };
    std::string said;
    try {
        said = site.deploy(deployer).wait().reason;
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::timeout);
        said = error.what();
    }
    CHECK(said == (slow == ":deployModel"
                       ? "the model was not deployed: it takes longer than start_timeout"
                       : "cannot upload model houses: it takes too long"));
    CHECK(site.server.count("POST", ":cancel") == 1);
    CHECK(site.left("models") + site.left("endpoints") == 0);
}

TEST_CASE("what was made stays after a failure when it is to be looked at") {
    for (const bool is_refused : {true, false}) {
        GoogleSite site;
        VertexServingDeployer deployer = small_service();
        deployer.keep_failed = true;
        if (is_refused) {
            site.server.faults = {{.where = ":deployModel", .status = 403, .reason = "no quota"}};
            CHECK(contains(error_of([&] { (void)site.deploy(deployer); }), "no quota"));
            CHECK(site.times_said("what was made for houses stays") == 1);
        } else {
            site.server.operation_failures = {{"deploy", {{"code", 9}, {"message", "no port"}}}};
            const Endpoint endpoint = site.deploy(deployer);
            CHECK(endpoint.wait().state == State::failed);
            CHECK(site.times_said("and its model stay, as they are") == 1);
            CHECK(site.left("models") + site.left("endpoints") == 2);
            endpoint.remove();
            CHECK(site.left("models") + site.left("endpoints") == 0);
            continue;
        }
        CHECK(site.left("models") + site.left("endpoints") == 2);
    }
}

TEST_CASE("the lines of a model on its way are shown once, and those of a failed one kept") {
    for (const char* fails : {"", "deploy"}) {
        CAPTURE(fails);
        GoogleSite site;
        site.server.operation_looks = 3;
        if (*fails != '\0') {
            site.server.operation_failures = {{fails, {{"code", 9}, {"message", "no port"}}}};
        }
        VertexServingDeployer deployer = small_service();
        deployer.google.run_id = "r1";
        const std::string id =
            deployer.manifests(GoogleSite::image(), {})[2]["deployedModel"]["id"];
        const auto line = [&](const char* second, const std::string& model) {
            return support::GoogleServer::endpoint_entry(
                second, second, std::string{"line "} + second,
                {{"replica_id", "r1"}, {"deployed_model_id", model}});
        };
        site.server.entries.emplace(0, line("01", id));
        site.server.entries.emplace(1, line("01", id));
        site.server.entries.emplace(1, line("02", "7"));  // another model's
        site.server.entries.emplace(2, line("03", id));
        const Session session = site.session();
        const Outcome outcome = site.deploy(deployer).follow(session.output, session.stop);
        CHECK(site.lines == std::vector<std::string>{"r1: line 01", "r1: line 03"});
        CHECK(outcome.tail == std::vector<std::string>{"line 01", "line 03"});
        CHECK((outcome.state == State::failed) == (*fails != '\0'));
    }
}

TEST_CASE("what becomes of an endpoint later is told") {
    GoogleSite site;
    const Endpoint endpoint = site.deploy(small_service());
    site.server.faults = {{.where = "/operations/", .status = 503, .reason = "down", .times = 5}};
    CHECK(endpoint.wait().state == State::ready);
    CHECK(site.times_said("503 Service Unavailable: UNAVAILABLE: down") == 1);
    Json& resource = site.server.resources[endpoint.object().name];
    const Json deployed = std::exchange(resource["deployedModels"], Json::array());
    CHECK(endpoint.status().reason == "the model is not deployed any more");
    CHECK(endpoint.wait().state == State::failed);
    CHECK(site.left("endpoints") == 1);  // somebody else's doing is not undone
    resource["deployedModels"] = deployed;
    CHECK(endpoint.status().state == State::ready);
    site.server.resources.erase(endpoint.object().name);
    CHECK(endpoint.status().state == State::removed);
    CHECK(endpoint.status().reason == "it is not there any more");
}

TEST_CASE("a stop while something is made removes what is there") {
    GoogleSite site;
    site.server.operation_looks = 1000;
    site.server.on_request = [&](const support::GoogleRequest& request) {
        if (contains(request.path, "/operations/endpoint")) {
            site.server.operation_looks = 0;
            site.stopping.request_stop();
        } else if (contains(request.path, "/endpoints") && request.method == "GET") {
            site.server.operation_looks = 5;
        }
        if (contains(request.path, "models:upload")) {
            site.server.operation_looks = 0;
        }
    };
    CHECK_THROWS_AS((void)site.deploy(small_service()), Cancelled);
    CHECK(site.server.count("POST", "/endpoints") == 1);  // and it came to be after the stop
    CHECK(site.left("models") == 0);
    CHECK(site.left("endpoints") == 0);
}

TEST_CASE("options of a served model that can not be right") {
    const auto refused = [](auto change) {
        VertexServingDeployer deployer = small_service();
        change(deployer);
        return error_of([&] { deployer.check(); });
    };
    CHECK(refused([](auto&) {}).empty());
    CHECK(contains(refused([](auto& d) { d.traffic_percent = 101; }), "more than 100"));
    CHECK(contains(refused([](auto& d) { d.min_replica_count = 0; }), "less than 1"));
    CHECK(contains(refused([](auto& d) { d.start_timeout = -1; }), "start_timeout -1"));
    CHECK(contains(refused([](auto& d) {
                       d.min_replica_count = 3;
                       d.max_replica_count = 2;
                   }),
                   "less than min_replica_count"));
    CHECK(contains(refused([](auto& d) { d.artifact_uri = "s3://x"; }), "gs://"));
    CHECK(contains(refused([](auto& d) { d.machine.machine_type = ""; }), "needs one"));
}
