#include "fairing/deployers/vertex.hpp"

#include <doctest/doctest.h>

#include <thread>

#include "../support/google_site.hpp"

using namespace fairing;
using support::contains;
using support::error_of;
using support::GoogleServer;
using support::GoogleSite;

namespace {

const std::string jobs = "/v1/" + GoogleSite::place + "/customJobs";

VertexDeployer small_job() { return {.google = GoogleSite::options()}; }

Outcome followed(GoogleSite& site, const VertexDeployer& deployer = small_job()) {
    const Session session = site.session();
    return site.deploy(deployer).follow(session.output, session.stop);
}

}  // namespace

TEST_CASE("every option of a custom job is where Vertex AI reads it") {
    GoogleSite site;
    VertexDeployer deployer{
        .google = GoogleSite::options(),
        .machine = {.machine_type = "a2-highgpu-1g", .accelerator_type = "NVIDIA_TESLA_A100"},
        .worker_count = 3,
        .evaluator_count = 1,
        .strategy = VertexStrategy::flex_start,
        .timeout_seconds = 3600,
        .max_wait_seconds = 600,
        .restart_on_worker_restart = true,
        .service_account = "train@proj-1.iam.gserviceaccount.com",
        .network = "projects/12345/global/networks/vpc",
        .base_output_directory = "gs://bucket/out",
        .environment = {{"EPOCHS", "3"}},
        .job_config = {
            {"encryptionSpec", {{"kmsKeyName", "key"}}},
            {"jobSpec",
             {{"enableWebAccess", true},
              {"workerPoolSpecs",
               {Json::object(), {{"machineSpec", {{"machineType", "n1-standard-8"}}}}}}}}}};
    deployer.google.labels = {{"team", "houses"}};
    deployer.google.name = "My job";
    deployer.google.run_id = "run-1";
    const Json body = deployer.manifests(GoogleSite::image(), {}).at(0);
    CHECK(body["displayName"] == "My job");
    CHECK(body["labels"] ==
          Json{{"team", "houses"}, {"fairing-id", "run-1"}, {"fairing-deployer", "vertex"}});
    CHECK(body["encryptionSpec"]["kmsKeyName"] == "key");
    const Json& spec = body["jobSpec"];
    CHECK(spec["enableWebAccess"] == true);
    CHECK(spec["scheduling"] == Json{{"strategy", "FLEX_START"},
                                     {"timeout", "3600s"},
                                     {"maxWaitDuration", "600s"},
                                     {"restartJobOnWorkerRestart", true}});
    CHECK(spec["serviceAccount"] == "train@proj-1.iam.gserviceaccount.com");
    CHECK(spec["network"] == "projects/12345/global/networks/vpc");
    CHECK(spec["baseOutputDirectory"]["outputUriPrefix"] == "gs://bucket/out");
    const Json& pools = spec["workerPoolSpecs"];
    REQUIRE(pools.size() == 4);
    CHECK(pools[0]["replicaCount"] == 1);
    CHECK(pools[0]["machineSpec"] == Json{{"machineType", "a2-highgpu-1g"},
                                          {"acceleratorType", "NVIDIA_TESLA_A100"},
                                          {"acceleratorCount", 1}});
    CHECK(pools[0]["containerSpec"]["imageUri"] ==
          "europe-docker.pkg.dev/proj-1/jobs/train@sha256:1234");
    CHECK(pools[0]["containerSpec"]["command"] == Json{"python3", "/app/train.py"});
    CHECK(pools[0]["containerSpec"]["env"] ==
          Json::array({{{"name", "EPOCHS"}, {"value", "3"}},
                       {{"name", "FAIRING_RUNTIME"}, {"value", "1"}}}));
    CHECK(pools[1]["replicaCount"] == 3);
    CHECK(pools[1]["machineSpec"]["machineType"] == "n1-standard-8");
    CHECK(pools[1]["machineSpec"]["acceleratorCount"] == 1);
    CHECK(pools[2] == Json::object());
    CHECK(pools[3]["replicaCount"] == 1);
    CHECK(deployer.manifests(GoogleSite::image(), {}).at(0) == body);

    const Workload job = site.deploy(deployer);
    CHECK(site.server.body_of("/customJobs") == body);
    CHECK(site.server.count("POST", jobs) == 1);
    CHECK(job.object().kind == "CustomJob");
    CHECK(job.object().name.starts_with("projects/proj-1/locations/us-central1/customJobs/"));
    // the same run is not submitted twice
    CHECK(site.deploy(deployer).object().name == job.object().name);
    CHECK(site.server.count("POST", jobs) == 1);
}

TEST_CASE("what is not asked for is not in the request; parameter servers have no accelerators") {
    VertexDeployer deployer = small_job();
    const Json plain = deployer.manifests(GoogleSite::image(), {}).at(0)["jobSpec"];
    CHECK(plain.size() == 1);
    CHECK(plain["workerPoolSpecs"].size() == 1);
    deployer.machine.accelerator_type = "NVIDIA_TESLA_T4";
    deployer.parameter_server_count = 2;
    deployer.strategy = VertexStrategy::spot;
    deployer.disable_retries = true;
    GoogleSite site;  // which checks it
    CHECK(followed(site, deployer).state == State::succeeded);
    const Json spec = site.server.body_of("/customJobs")["jobSpec"];
    CHECK(spec["scheduling"] == Json{{"strategy", "SPOT"}, {"disableRetries", true}});
    const Json& pools = spec["workerPoolSpecs"];
    REQUIRE(pools.size() == 3);
    CHECK(pools[1] == Json::object());
    CHECK(pools[2]["replicaCount"] == 2);
    CHECK(pools[2]["machineSpec"] == Json{{"machineType", "n1-standard-4"}});
}

TEST_CASE("what Google does not know is refused in its words") {
    GoogleSite site;
    VertexDeployer deployer = small_job();
    deployer.job_config = {{"jobSpec", {{"colour", "red"}}}};
    const std::string said = error_of([&] { (void)site.deploy(deployer); });
    CHECK(contains(said, "cannot create custom job fairing-job-"));
    CHECK(contains(said,
                   "400 Bad Request: INVALID_ARGUMENT: Invalid JSON payload received. "
                   "Unknown name \"colour\" at 'CustomJob.jobSpec': Cannot find field."));
    CHECK(site.server.requests.size() == 1);
}

TEST_CASE("options that can not be right are refused before anything is built") {
    const auto refused = [](auto change) {
        VertexDeployer deployer = small_job();
        change(deployer);
        return error_of([&] { deployer.check(); });
    };
    CHECK(refused([](auto&) {}).empty());
    CHECK(contains(refused([](auto& d) { d.google.region = "us/../x"; }), "use region us/../x"));
    CHECK(contains(refused([](auto& d) { d.google.project = "a b"; }), "use project"));
    CHECK(contains(refused([](auto& d) { d.google.labels = {{"Team", "x"}}; }), "use label Team"));
    CHECK(contains(refused([](auto& d) { d.google.name.assign(129, 'n'); }), "longer than 128"));
    CHECK(contains(refused([](auto& d) { d.worker_count = -1; }), "worker_count -1"));
    CHECK(contains(refused([](auto& d) { d.machine.machine_type = ""; }), "needs one"));
    CHECK(contains(refused([](auto& d) { d.machine.accelerator_count = 2; }),
                   "there is no accelerator_type"));
    CHECK(contains(refused([](auto& d) { d.network = "default"; }), "use network default"));
    CHECK(contains(refused([](auto& d) { d.base_output_directory = "/tmp"; }), "gs://"));
    CHECK(contains(refused([](auto& d) { d.max_wait_seconds = 5; }), "--strategy flex_start"));
    CHECK(contains(refused([](auto& d) { d.disable_retries = d.restart_on_worker_restart = true; }),
                   "contradicts"));
    Image image = GoogleSite::image();
    image.location = Location::layout;
    GoogleSite site;
    CHECK(contains(error_of([&] { (void)small_job().deploy(image, site.session()); }),
                   "no cluster can pull it"));
    CHECK(site.server.requests.empty());
}

TEST_CASE("a job is followed to its end, and every line comes once") {
    GoogleSite site;
    site.server.page_size = 2;
    for (const int second : {1, 2, 3}) {
        site.server.entries.emplace(
            1, GoogleServer::entry("a" + std::to_string(second), "0" + std::to_string(second),
                                   "epoch " + std::to_string(second)));
    }
    // the same entry again; one that comes late, before others in time; one after the end
    site.server.entries.emplace(2, GoogleServer::entry("a3", "03", "epoch 3"));
    site.server.entries.emplace(3,
                                GoogleServer::entry("late", "00", "two\nlines\n", "workerpool1-0"));
    Json structured = GoogleServer::entry("json", "04", "");
    structured.erase("textPayload");
    structured["jsonPayload"] = {{"message", "structured"}};
    site.server.entries.emplace(3, structured);
    site.server.entries.emplace(5, GoogleServer::entry("end", "05", "after the end"));
    const Outcome outcome = followed(site);
    CHECK(outcome.state == State::succeeded);
    CHECK(outcome.reason.empty());
    CHECK(site.lines == std::vector<std::string>{
                            "workerpool0-0: epoch 1", "workerpool0-0: epoch 2",
                            "workerpool0-0: epoch 3", "workerpool1-0: two", "workerpool1-0: lines",
                            "workerpool0-0: structured", "workerpool0-0: after the end"});
    const Json body = site.server.body_of("entries:list");
    CHECK(body["resourceNames"] == Json{"projects/proj-1"});
    CHECK(contains(body["filter"].get<std::string>(),
                   "resource.type=\"ml_job\" AND resource.labels.job_id=\"1001\" AND "
                   "timestamp>=\"2025-12-31T23:58:"));
}

TEST_CASE("every terminal state is one sentence") {
    struct Case {
        std::string last, failure, reason;
        State state = State::failed;
        int exit_code = 0;
    };
    const std::string words =
        "The replica workerpool0-0 exited with a non-zero status of 3. To find out more, check the "
        "logs.";
    for (const Case& each : std::vector<Case>{
             {"JOB_STATE_SUCCEEDED", "", "", State::succeeded},
             {"JOB_STATE_FAILED", words, "the job failed: " + words, State::failed, 3},
             {"JOB_STATE_CANCELLED", "", "the job was cancelled"},
             {"JOB_STATE_EXPIRED", "", "the job ran or waited longer than it may"},
             {"JOB_STATE_PARTIALLY_SUCCEEDED", "", "some of the job's results are missing"}}) {
        CAPTURE(each.last);
        GoogleSite site;
        site.server.states = {"JOB_STATE_QUEUED",     "JOB_STATE_NEW_ONE", "JOB_STATE_UPDATING",
                              "JOB_STATE_CANCELLING", "JOB_STATE_PAUSED",  each.last};
        site.server.failure = each.failure;
        site.server.entries.emplace(0, GoogleServer::entry("a", "01", "last words"));
        const Outcome outcome = followed(site);
        CHECK(outcome.state == each.state);
        CHECK(outcome.reason == each.reason);
        CHECK(outcome.exit_code == each.exit_code);
        CHECK(outcome.tail == std::vector<std::string>{"last words"});
    }
}

TEST_CASE("a job whose log is not shown still ends with its last lines") {
    GoogleSite site;
    site.server.states = {"JOB_STATE_RUNNING", "JOB_STATE_FAILED"};
    for (int line = 10; line < 40; ++line) {
        const std::string text = std::to_string(line);
        site.server.entries.emplace(0, GoogleServer::entry(text, text, "line " + text));
    }
    VertexDeployer deployer = small_job();
    deployer.google.stream_log = false;
    const Outcome outcome = followed(site, deployer);
    CHECK(site.lines.empty());
    REQUIRE(outcome.tail.size() == 20);
    CHECK(outcome.tail.front() == "line 20");
    CHECK(outcome.tail.back() == "line 39");
    CHECK(site.server.count("POST", "entries:list") == 1);
}

TEST_CASE("a reading that breaks off between two pages repeats no line, and loses none") {
    GoogleSite site;
    site.server.page_size = 1;
    for (const char* second : {"01", "02", "03"}) {
        site.server.entries.emplace(1, GoogleServer::entry(second, second, second));
    }
    int pages = 0;
    site.server.on_request = [&](const support::GoogleRequest& request) {
        if (contains(request.path, "entries:list") && request.body.contains("pageToken") &&
            ++pages == 1) {
            site.server.faults = {{.where = "entries:list", .status = 403, .reason = "not now"}};
        }
    };
    CHECK(followed(site).state == State::succeeded);
    CHECK(site.lines ==
          std::vector<std::string>{"workerpool0-0: 01", "workerpool0-0: 02", "workerpool0-0: 03"});
    CHECK(site.times_said("not now") == 1);
}

TEST_CASE("a log that may not be read is said once, and does not end the run") {
    GoogleSite site;
    site.server.faults = {{.where = "entries:list",
                           .status = 403,
                           .reason = "Permission 'logging.logEntries.list' denied",
                           .times = 100}};
    CHECK(followed(site).state == State::succeeded);
    CHECK(site.times_said("Permission 'logging.logEntries.list' denied; see that the account may "
                          "use this API in project proj-1 (roles/aiplatform.user, "
                          "roles/logging.viewer), and that it is enabled") == 1);
}

TEST_CASE("refusals that may pass are repeated, and a second job is never made") {
    GoogleSite site;
    site.server.faults = {{.where = "GET " + jobs, .status = 503, .reason = "busy"},
                          {.where = "POST " + jobs, .status = 429, .reason = "quota"}};
    CHECK(followed(site).state == State::succeeded);
    CHECK(site.server.count("POST", jobs) == 2);
    for (const int status : {0, 503}) {  // made, and the answer was lost
        CAPTURE(status);
        GoogleSite lossy;
        lossy.server.faults = {
            {.where = "POST " + jobs, .status = status, .reason = "lost", .is_done = true}};
        CHECK(followed(lossy).state == State::succeeded);
        CHECK(lossy.server.count("POST", jobs) == 1);
    }
    GoogleSite refusing;
    refusing.server.faults = {
        {.where = "POST " + jobs, .status = 403, .reason = "Permission denied."}};
    CHECK(contains(error_of([&] { (void)followed(refusing); }),
                   "403 Forbidden: PERMISSION_DENIED: Permission denied.; see that the account"));
}

TEST_CASE("a token that is refused is asked for anew, once") {
    GoogleSite site;
    Session session = site.session();
    int asked = 0;
    session.credentials = [&](const CredentialRequest& request) {
        CHECK(request.service == Service::google);
        CHECK(request.host == "us-central1-aiplatform.googleapis.com");
        return std::optional{Credential{.token = Secret{asked++ == 0 ? "old" : "token-1"}}};
    };
    (void)small_job().deploy(GoogleSite::image(), session);
    CHECK(asked == 2);
    session.credentials = [](const CredentialRequest&) {
        return std::optional{Credential{.token = Secret{"never"}}};
    };
    const std::string said =
        error_of([&] { (void)small_job().deploy(GoogleSite::image(), session); });
    CHECK(contains(said, "401 Unauthorized: UNAUTHENTICATED"));
    CHECK(contains(said, "a new token was refused too"));
    CHECK_FALSE(contains(said, "never"));
}

TEST_CASE("tokens of a user's file are renewed when they end early") {
    GoogleSite site;
    support::Workspace home;
    home.file("user.json", R"({"type": "authorized_user", "client_id": "id", "client_secret": "s1",
        "refresh_token": "s2", "quota_project_id": "proj-1"})");
    int given = 0;
    struct Both {  // Google's token server beside its services
        GoogleServer* server;
        int* given;
        net::Response send(const net::Request& request, const net::BodySink& sink,
                           std::stop_token stop) const {
            if (request.url != "https://oauth2.googleapis.com/token") {
                return server->send(request, sink, std::move(stop));
            }
            return {.status = 200,
                    .body = Json{
                        {"access_token", "token-" + std::to_string((*given)++)},
                        {"expires_in",
                         3599}}.dump()};
        }
    };
    Session session = site.session();
    session.credentials = {};
    session.transport = Both{&site.server, &given};
    VertexDeployer deployer = small_job();
    deployer.google.credentials_file = home / "user.json";
    deployer.google.project = "";
    const Workload job = deployer.deploy(GoogleSite::image(), session);  // token-0 is refused
    CHECK(given == 2);
    CHECK(job.wait().state == State::succeeded);
    CHECK(given == 2);
}

TEST_CASE("a stop ends the following, and remove cancels") {
    GoogleSite site;
    site.server.states = {"JOB_STATE_RUNNING"};
    const Session session = site.session();
    const Workload job = site.deploy(small_job());
    int looks = 0;
    site.server.on_request = [&](const support::GoogleRequest& request) {
        if (request.method == "GET" && ++looks == 3) {
            site.stopping.request_stop();
        }
    };
    CHECK_THROWS_AS((void)job.follow(session.output, session.stop), Cancelled);
    CHECK(job.status().state == State::running);
    job.remove();
    CHECK(site.server.count("POST", ":cancel") == 1);
    CHECK(job.status().reason == "the job was cancelled");
    job.remove();
    CHECK(site.server.count("POST", ":cancel") == 1);
}

TEST_CASE("a stop while the job is being made cancels what came of it") {
    GoogleSite site;
    site.server.states = {"JOB_STATE_RUNNING"};
    bool is_kept = true;
    SUBCASE("when the service made it") {}
    SUBCASE("and nothing, when it did not") {
        is_kept = false;
        site.server.faults = {{.where = "POST " + jobs, .status = 503, .reason = "busy"}};
    }
    site.server.on_request = [&](const support::GoogleRequest& request) {
        if (request.method == "POST" && request.path == jobs) {
            site.stopping.request_stop();
        }
    };
    CHECK_THROWS_AS((void)followed(site), Cancelled);
    CHECK(site.server.count("POST", ":cancel") == (is_kept ? 1 : 0));
    if (is_kept) {
        CHECK(site.server.resources.begin()->second["state"] == "JOB_STATE_CANCELLED");
    }
}

TEST_CASE("a stop at any other time ends at once, and leaves nothing") {
    struct Case {
        std::string method, part;
        std::size_t requests;  ///< after it
    };
    // before the job is looked for, while its lines are read, while it is looked at
    for (const Case& each :
         std::vector<Case>{{"", "", 0}, {"POST", "entries:list", 0}, {"GET", "customJobs/", 0}}) {
        CAPTURE(each.part);
        GoogleSite site;
        site.server.states = {"JOB_STATE_RUNNING"};
        std::size_t until = 0;
        if (each.method.empty()) {
            site.stopping.request_stop();
        }
        site.server.on_request = [&](const support::GoogleRequest& request) {
            if (!each.method.empty() && request.method == each.method &&
                contains(request.path, each.part)) {
                site.stopping.request_stop();
                until = site.server.requests.size() + 1;
            }
        };
        CHECK_THROWS_AS((void)followed(site), Cancelled);
        CHECK(site.server.requests.size() == until);
    }
}

TEST_CASE("a job that ends while it is cancelled counts as removed") {
    GoogleSite site;
    site.server.states = {"JOB_STATE_RUNNING", "JOB_STATE_SUCCEEDED"};
    site.server.faults = {{.where = ":cancel", .status = 400, .reason = "Job has ended."}};
    const Workload job = site.deploy(small_job());
    job.remove();
    CHECK(job.status().state == State::succeeded);
}

TEST_CASE("a job is found again by its resource name") {
    GoogleSite site;
    const std::string name = site.deploy(small_job()).object().name;
    GoogleOptions options = GoogleSite::options();
    options.region = "elsewhere1";
    options.project = "";
    CHECK(find_vertex_job(name, options, site.session()).wait().state == State::succeeded);
    CHECK(contains(error_of([&] { (void)find_vertex_job(name + "9", options, site.session()); }),
                   "it is not there"));
    for (const char* wrong :
         {"job", "projects/p/locations/l/endpoints/1", "projects/p/locations/l/customJobs/1/2",
          "projects/p/locations//customJobs/1", "projects/p/locations/a@b/customJobs/1"}) {
        CHECK(contains(error_of([&] { (void)find_vertex_job(wrong, options, site.session()); }),
                       "cannot use "));
    }
}

TEST_CASE("a service out of reach for a while does not end the following") {
    GoogleSite site;
    const Workload job = site.deploy(small_job());
    site.server.faults = {{.where = "GET " + jobs, .status = 503, .reason = "down", .times = 5}};
    CHECK(job.wait().state == State::succeeded);
    CHECK(site.times_said("503 Service Unavailable: UNAVAILABLE: down") == 1);
}
