#include "fairing/deployers/ai_platform.hpp"

#include <doctest/doctest.h>

#include "../support/google_site.hpp"

using namespace fairing;
using support::contains;
using support::error_of;
using support::GoogleServer;
using support::GoogleSite;

namespace {

GoogleOptions at_gateway() {
    GoogleOptions options = GoogleSite::options();
    options.endpoint = "https://gateway.example";
    return options;
}

}  // namespace

TEST_CASE("without an endpoint AI Platform is refused: Google shut it down") {
    const std::string job = error_of([] { AiPlatformDeployer{}.check(); });
    CHECK(job ==
          "cannot use AI Platform v1: Google shut it down on 31 January 2025; use --deployer "
          "vertex, or name a gateway that speaks it with --endpoint");
    CHECK(contains(error_of([] { AiPlatformServingDeployer{}.check(); }),
                   "use --deployer vertex-serving"));
}

TEST_CASE("a job of AI Platform is Fairing's, and is followed like any other") {
    GoogleSite site;
    site.server.states = {"QUEUED", "PREPARING", "RUNNING", "FAILED"};
    site.server.failure = "The replica master 0 exited with a non-zero status of 2.";
    site.server.entries.emplace(1, GoogleServer::entry("a", "01", "hello", "master-replica-0"));
    AiPlatformDeployer deployer{.google = at_gateway(),
                                .scale_tier = "CUSTOM",
                                .job_config = {{"trainingInput",
                                                {{"masterType", "n1-standard-4"},
                                                 {"workerCount", 2},
                                                 {"scaleTier", "BASIC"},
                                                 {"masterConfig", {{"imageUri", "theirs"}}}}},
                                               {"jobId", "theirs"}}};
    deployer.google.run_id = "run-1";
    const Json body = deployer.manifests(GoogleSite::image(), {}).at(0);
    CHECK(body == Json{{"jobId", "fairing_job_run_1"},
                       {"labels", {{"fairing-id", "run-1"}, {"fairing-deployer", "gcp"}}},
                       {"trainingInput",
                        {{"scaleTier", "CUSTOM"},
                         {"region", "us-central1"},
                         {"masterType", "n1-standard-4"},
                         {"workerCount", 2},
                         {"masterConfig",
                          {{"imageUri", "europe-docker.pkg.dev/proj-1/jobs/train@sha256:1234"},
                           {"containerCommand", {"python3", "/app/train.py"}}}}}}});
    const Workload job = site.deploy(deployer);
    CHECK(site.server.body_of("/jobs") == body);
    const Outcome outcome = job.follow(site.session().output);
    CHECK(outcome.state == State::failed);
    CHECK(outcome.exit_code == 2);
    CHECK(outcome.reason ==
          "the job failed: The replica master 0 exited with a non-zero status of 2.");
    CHECK(site.lines == std::vector<std::string>{"master-replica-0: hello"});
    CHECK(contains(site.server.body_of("entries:list")["filter"].get<std::string>(),
                   "job_id=\"fairing_job_run_1\""));
    // the same run once more is the same job
    CHECK(site.deploy(deployer).object().name == "fairing_job_run_1");
    CHECK(site.server.count("POST", "/jobs") == 1);
}

TEST_CASE("a job of AI Platform is cancelled, and says so") {
    GoogleSite site;
    site.server.states = {"RUNNING"};
    const Workload job = site.deploy(AiPlatformDeployer{.google = at_gateway()});
    CHECK(job.object().name.starts_with("fairing_job_"));
    job.remove();
    CHECK(job.wait().reason == "the job was cancelled");
    AiPlatformDeployer wrong{.google = at_gateway()};
    wrong.google.name = "my-job";
    CHECK(contains(error_of([&] { wrong.check(); }), "use name my-job"));
}

TEST_CASE("a version is made in a model that is made when it is missing") {
    GoogleSite site;
    AiPlatformServingDeployer deployer{.google = at_gateway(), .machine_type = "n1-standard-2"};
    deployer.google.name = "Houses";
    deployer.version_name = "v1";
    const std::vector<Json> bodies = deployer.manifests(GoogleSite::image(), {});
    REQUIRE(bodies.size() == 2);
    CHECK(bodies[0]["name"] == "Houses");
    CHECK(bodies[1]["container"]["image"] == "europe-docker.pkg.dev/proj-1/jobs/train@sha256:1234");
    CHECK(bodies[1]["machineType"] == "n1-standard-2");
    const Endpoint first = site.deploy(deployer);
    CHECK(first.wait().state == State::ready);
    CHECK(first.url() ==
          "https://gateway.example/v1/projects/proj-1/models/Houses/versions/v1:predict");
    CHECK(first.predict({{21}}) == Json{{"predictions", {42}}});

    deployer.version_name = "v2";
    deployer.model_dir = "gs://bucket/model";
    deployer.runtime_version = "2.11";
    deployer.framework = "SCIKIT_LEARN";
    deployer.version_config = {{"predictionClass", "mine.Houses"}};
    const Endpoint second = site.deploy(deployer);
    CHECK(second.wait().state == State::ready);
    CHECK(site.server.body_of("/versions")["deploymentUri"] == "gs://bucket/model");
    CHECK(site.server.count("POST", "/models") == 4);  // one model, two versions, one question
    second.remove();
    CHECK(site.server.resources.contains("projects/proj-1/models/Houses/versions/v1"));
    first.remove();
    CHECK_FALSE(site.server.resources.contains("projects/proj-1/models/Houses"));
}

TEST_CASE("a lost answer makes no second job, model or version; a stop undoes what came of one") {
    for (const bool is_stopped : {false, true}) {
        CAPTURE(is_stopped);
        GoogleSite site;
        site.server.states = {"RUNNING"};
        site.server.operation_looks = 3;
        if (!is_stopped) {
            site.server.states.emplace_back("SUCCEEDED");
            for (const char* part : {"jobs", "models", "models/Houses/versions"}) {
                site.server.faults.push_back(
                    {.where = std::string{"POST /v1/projects/proj-1/"} + part,
                     .status = 503,
                     .is_done = true});
            }
        }
        site.server.on_request = [&](const support::GoogleRequest& request) {
            if (request.method == "GET") {
                site.server.go_on();
            }
            if (is_stopped && request.method == "POST" &&
                (request.path.ends_with("/jobs") || request.path.ends_with("/versions"))) {
                site.stopping.request_stop();
            }
        };
        AiPlatformDeployer job{.google = at_gateway()};
        job.google.name = "one";
        AiPlatformServingDeployer service{.google = at_gateway(), .version_name = "v1"};
        service.google.name = "Houses";
        const auto here = [&](const char* name) {
            return site.server.resources.contains(std::string{"projects/proj-1/"} + name);
        };
        if (is_stopped) {
            CHECK_THROWS_AS((void)site.deploy(job), Cancelled);
            CHECK(site.server.resources["projects/proj-1/jobs/one"]["state"] == "CANCELLED");
            site.stopping = {};
            CHECK_THROWS_AS((void)site.deploy(service), Cancelled);
            CHECK_FALSE(here("models/Houses"));
            CHECK_FALSE(here("models/Houses/versions/v1"));
            continue;
        }
        CHECK(site.deploy(job).wait().state == State::succeeded);
        CHECK(site.server.count("POST", "/jobs") == 1);
        CHECK(site.deploy(service).wait().state == State::ready);
        CHECK(here("models/Houses/versions/v1"));
    }
}

TEST_CASE("what a version says of itself; its lines") {
    CHECK(detail::ai_platform_version_state({{"state", "READY"}}).state == State::ready);
    CHECK(detail::ai_platform_version_state({{"state", "CREATING"}}).state == State::pending);
    CHECK(detail::ai_platform_version_state({{"state", "FAILED"}, {"errorMessage", "no\nmodel"}})
              .reason == "the model was not deployed: no?model");
    GoogleSite site;
    Json line = GoogleServer::entry("a", "01", "loaded");
    line["resource"] = {{"type", "cloudml_model_version"},
                        {"labels", {{"model_id", "Houses"}, {"version_id", "v1"}}}};
    Json other = line;
    other["insertId"] = "b";
    other["resource"]["labels"]["version_id"] = "v2";
    site.server.entries = {{0, line}, {0, other}};
    AiPlatformServingDeployer deployer{.google = at_gateway(), .version_name = "v1"};
    deployer.google.name = "Houses";
    CHECK(site.deploy(deployer).follow(site.session().output).state == State::ready);
    CHECK(site.lines == std::vector<std::string>{": loaded"});
}

TEST_CASE("a version that fails takes its model along") {
    GoogleSite site;
    site.server.operation_failures = {{"version", {{"code", 3}, {"message", "Bad model."}}}};
    const Endpoint endpoint = site.deploy(AiPlatformServingDeployer{.google = at_gateway()});
    CHECK(endpoint.wait().reason == "the model was not deployed: Bad model.");
    for (const auto& [name, resource] : site.server.resources) {
        CHECK(contains(name, "/operations/"));
    }
    GoogleSite kept;
    kept.server.operation_failures = site.server.operation_failures;
    AiPlatformServingDeployer keeping{.google = at_gateway(), .keep_failed = true};
    keeping.google.name = "Houses";
    CHECK(kept.deploy(keeping).wait().state == State::failed);
    CHECK(kept.server.resources.contains("projects/proj-1/models/Houses"));
    AiPlatformServingDeployer wrong{.google = at_gateway(), .runtime_version = "2.11"};
    CHECK(contains(error_of([&] { wrong.check(); }), "there is no model_dir"));
}
